// SPDX-License-Identifier: Apache-2.0
// The table of schemas, and records of forms that are read member by member.
#include <criterion/criterion.h>

#include "base/mem.h"
#include "record.h"
#include "schema_table.h"

#include <stdio.h>

enum { MANY = 3000 };

static struct state_schema *schemas_new(void)
{
    struct state_schema *schemas = mem_calloc(MANY, sizeof *schemas);
    for (int i = 0; i < MANY; i++) {
        schemas[i].id = i * 512; // the same low bits
        memcpy(schemas[i].guid, &schemas[i].id, sizeof schemas[i].id);
    }
    return schemas;
}

static struct schema_table_key key(const struct state_schema *schema, bool by_guid)
{
    return by_guid ? schema_table_guid(schema->guid) : schema_table_id(schema->id);
}

static void fill_and_empty(bool by_guid)
{
    struct schema_table table = {0};
    struct state_schema *schemas = schemas_new();
    for (int i = 0; i < MANY; i++)
        schema_table_put(&table, key(&schemas[i], by_guid), &schemas[i]);
    cr_assert_eq(table.count, MANY);
    schema_table_put(&table, key(&schemas[7], by_guid), &schemas[7]);
    cr_assert_eq(table.count, MANY, "the same key, the same place");
    for (int step = 0; step < MANY; step++) {
        int i = step * 7 % MANY; // every one once
        cr_assert_eq(schema_table_get(&table, key(&schemas[i], by_guid)), &schemas[i], "%d", i);
        schema_table_remove(&table, key(&schemas[i], by_guid));
        cr_assert_null(schema_table_get(&table, key(&schemas[i], by_guid)));
        if (step % 100 == 0) // what is left is found, whatever was removed before it
            for (int rest = step + 1; rest < MANY; rest++)
                cr_assert_not_null(schema_table_get(&table, key(&schemas[rest * 7 % MANY], by_guid)));
    }
    cr_assert_eq(table.count, 0);
    schema_table_fini(&table);
    mem_free(schemas);
}

Test(schema_table, holds_what_was_put_there_whatever_was_removed)
{
    fill_and_empty(false);
    fill_and_empty(true);
}

Test(schema_table, an_empty_one_has_nothing)
{
    struct schema_table table = {0};
    cr_expect_null(schema_table_get(&table, schema_table_id(1)));
    schema_table_fini(&table);
}

static enum status value_status(const char *text)
{
    struct record_value value;
    enum status status = record_value_parse(slice_str(text), &value);
    record_value_free(&value);
    return status;
}

Test(record_value, members_may_come_in_any_order_but_once)
{
    struct record_value value;
    const char *text =
        "{\"unknown\":{\"schema\":1},\"schema\":\"\\\"int\\\"\",\"deleted\":true,\"references\":[{\"name\":"
        "\"n\",\"subject\":\"s\",\"version\":-1}],\"id\":7,\"metadata\":{ \"tags\": {} },\"ruleSet\":null}";
    cr_assert_eq(record_value_parse(slice_str(text), &value), ST_OK);
    cr_expect_eq(value.id, 7);
    cr_expect(value.deleted);
    cr_expect_str_eq(value.content.text, "\"int\"");
    cr_expect_str_eq(value.content.type, "AVRO");
    cr_expect_str_eq(value.content.metadata, "{\"tags\":{}}");
    cr_expect_null(value.content.rule_set);
    cr_assert_eq(value.content.reference_count, 1);
    cr_expect_str_eq(value.content.references[0].name, "n");
    cr_expect_eq(value.content.references[0].version, -1);
    record_value_free(&value);
    const char *const bad[] = {
        "{\"id\":1,\"schema\":\"a\",\"id\":1}",
        "{\"id\":1,\"schema\":\"a\",\"schema\":\"a\"}",
        "{\"id\":1}",
        "{\"schema\":\"a\"}",
        "{\"id\":-1,\"schema\":\"a\"}",
        "{\"id\":2147483648,\"schema\":\"a\"}",
        "{\"id\":\"1\",\"schema\":\"a\"}",
        "{\"id\":1,\"schema\":1}",
        "{\"id\":1,\"schema\":\"a\",\"references\":[{\"name\":\"n\",\"subject\":\"s\"}]}",
        "{\"id\":1,\"schema\":\"a\",\"references\":[],\"references\":[]}",
        "{\"id\":1,\"schema\":\"a\",\"metadata\":{\"a\":1,\"a\":2}}",
        "{\"id\":1,\"schema\":\"a\"}{}",
        "null",
        ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(value_status(bad[i]), ST_MALFORMED, "%s", bad[i]);
}
