// SPDX-License-Identifier: Apache-2.0
// What a registry says when a schema may not follow the versions before it: everything that does not fit, in
// a list that stays JSON and bounded.
#include <criterion/criterion.h>

#include "desk.h"

#include "base/mem.h"
#include "http/json.h"

#include <stdio.h>

static struct desk desk;

static void open_desk(void)
{
    desk_open(&desk);
}

static void close_desk(void)
{
    desk_close(&desk);
}

TestSuite(compatibility, .init = open_desk, .fini = close_desk);

#define PROTOBUF(text) "\"schemaType\":\"PROTOBUF\",\"schema\":\"syntax = \\\"proto3\\\"; " text "\""
#define JSON_SCHEMA(text) "{\"schemaType\":\"JSON\",\"schema\":\"" text "\"}"

static bool says(const char *text)
{
    return strstr(desk.answer, text) != NULL;
}

Test(compatibility, a_reserved_name_hides_nothing_else)
{
    desk_ask(&desk, "put-config", NULL, NULL, "{\"validateFields\":true}");
    desk_ask(&desk, "register", "s", NULL,
             "{" PROTOBUF("message R { int32 a = 1; int32 b = 2; }") ",\"metadata\":{\"properties\":{"
                                                                     "\"confluent:reserved\":\"old\"}}}");
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    static const char *const bad =
        "{" PROTOBUF("message R { string a = 1; double b = 2; int32 city = 3; }") ",\"metadata\":{"
                                                                                  "\"properties\":{"
                                                                                  "\"confluent:reserved\":"
                                                                                  "\"city\"}}}";
    desk_ask(&desk, "compatible-with-all", "s", "verbose=true", bad);
    cr_expect(says("RESERVED_FIELD_REMOVED"), "%s", desk.answer);
    cr_expect(says("FIELD_CONFLICTS_WITH_RESERVED_FIELD"), "%s", desk.answer);
    cr_expect(says("'#/R/1'"), "%s", desk.answer);
    cr_expect(says("'#/R/2'"), "%s", desk.answer);
    cr_expect(says("{oldSchemaVersion: 1}"), "%s", desk.answer);
    desk_ask(&desk, "register", "s", NULL, bad);
    cr_expect(desk.code == 409 && says("RESERVED_FIELD_REMOVED") && says("'#/R/1'"), "%s", desk.answer);
}

Test(compatibility, both_directions_of_full_are_told)
{
    desk_ask(&desk, "put-config", NULL, NULL, "{\"compatibility\":\"FULL\"}");
    desk_register(&desk, "s", "{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"}]}");
    desk_ask(&desk, "compatible-with-all", "s", "verbose=true",
             "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"A\\\",\\\"fields\\\":[{\\\"name\\\":"
             "\\\"y\\\",\\\"type\\\":\\\"int\\\"}]}\"}");
    const char *old = strstr(desk.answer, "The field 'x' at path '/fields/0' in the old schema");
    const char *new = strstr(desk.answer, "The field 'y' at path '/fields/0' in the new schema");
    cr_expect(old != NULL && new != NULL && old < new, "the old one's first, as Confluent's: %s", desk.answer);
}

// An Avro enum with a doc of so many bytes.
static char *with_doc(const char *symbol, const char *letter, int count)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_printf(&text, "{\"schema\":\"{\\\"type\\\":\\\"enum\\\",\\\"name\\\":\\\"E\\\",\\\"doc\\\":\\\"");
    for (int i = 0; i < count; i++)
        buf_printf(&text, "%s", letter);
    buf_printf(&text, "\\\",\\\"symbols\\\":[\\\"%s\\\"]}\"}", symbol);
    buf_put_u8(&text, '\0');
    return (char *)text.data;
}

// As SchemaValidatorBuilder of Confluent's client: 10 KiB of it; ours counts bytes and cuts no character.
Test(compatibility, a_long_old_schema_is_cut)
{
    char *old = with_doc("A", "\u20ac", 5000), *new = with_doc("B", "x", 1);
    desk_ask(&desk, "register", "s", NULL, old);
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    desk_ask(&desk, "compatible-with-all", "s", "verbose=true", new);
    cr_expect(says("{oldSchema: <truncated to 10240 characters> '{"), "%s", desk.answer);
    size_t len = strlen(desk.answer);
    cr_expect(len > 10240 && len < 13000, "%zu", len);
    cJSON *answer = cJSON_Parse(desk.answer);
    cr_expect_not_null(answer, "%s", desk.answer);
    cJSON_Delete(answer);
    mem_free(old);
    mem_free(new);
}

// One object inside of another under a long name, with so many properties of a type.
static char *nested(const char *type, size_t name, int properties)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_printf(&text, "{\"schemaType\":\"JSON\",\"schema\":\"{\\\"properties\\\":{\\\"");
    for (size_t i = 0; i < name; i++)
        buf_put_u8(&text, 'n');
    buf_printf(&text, "\\\":{\\\"type\\\":\\\"object\\\",\\\"properties\\\":{");
    for (int i = 0; i < properties; i++)
        buf_printf(&text, "%s\\\"p%d\\\":{\\\"type\\\":\\\"%s\\\"}", i > 0 ? "," : "", i, type);
    buf_printf(&text, "}}}}\"}");
    buf_put_u8(&text, '\0');
    return (char *)text.data;
}

Test(compatibility, what_is_told_stays_json_however_long_its_paths_are)
{
    char *old = nested("string", 60000, 100), *new = nested("integer", 60000, 100);
    desk_ask(&desk, "register", "s", NULL, old);
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    desk_ask(&desk, "compatible-with-all", "s", "verbose=true", new);
    cJSON *answer = cJSON_Parse(desk.answer);
    cr_expect_not_null(answer, "%.200s", desk.answer);
    cr_expect(says("there are more incompatibilities than are told here"));
    cr_expect(says("{oldSchemaVersion: 1}"));
    cr_expect_lt(strlen(desk.answer), 4 << 20);
    cJSON_Delete(answer);
    mem_free(old);
    mem_free(new);
}

static bool fits(const char *where, const char *schema)
{
    desk_ask(&desk, "compatible-with-all", where, NULL, schema);
    return says("\"is_compatible\":true");
}

Test(compatibility, the_policy_is_the_subjects_or_the_contexts)
{
    static const char *const old = JSON_SCHEMA("{\\\"type\\\":\\\"object\\\"}");
    static const char *const new = JSON_SCHEMA(
        "{\\\"type\\\":\\\"object\\\",\\\"properties\\\":{\\\"a\\\":{\\\"type\\\":\\\"string\\\"}}}");
    desk_ask(&desk, "register", "s", NULL, old);
    desk_ask(&desk, "register", "t", NULL, old);
    cr_expect_not(fits("s", new));
    desk_ask(&desk, "put-subject-config", "s", NULL, "{\"compatibilityPolicy\":\"lenient\"}");
    cr_expect(fits("s", new));
    cr_expect_not(fits("t", new));
    desk_ask(&desk, "put-config", NULL, NULL, "{\"compatibilityPolicy\":\"LENIENT\"}");
    cr_expect(fits("t", new));
    desk_ask(&desk, "put-subject-config", "s", NULL, "{\"compatibilityPolicy\":\"STRICT\"}");
    cr_expect_not(fits("s", new));
    desk_ask(&desk, "put-subject-config", "s", NULL, "{\"compatibilityPolicy\":\"LOGICAL\"}");
    cr_expect(desk.code == 422 && says("42203"), "%s", desk.answer);
    desk_ask(&desk, "put-subject-config", "s", NULL, "{\"compatibilityPolicy\":7}");
    cr_expect(desk.code == 422 && says("42203"), "%s", desk.answer);
    // as another registry may have left it
    desk_apply(&desk, "{\"keytype\":\"CONFIG\",\"subject\":\"s\",\"magic\":0}",
               "{\"subject\":\"s\",\"compatibilityLevel\":\"BACKWARD\",\"compatibilityPolicy\":\"LOGICAL\"}");
    cr_expect_not(fits("s", new));
}
