// SPDX-License-Identifier: Apache-2.0
// What a registry decides and answers, operation by operation, and that whoever reads its records comes to
// the same.
#include <criterion/criterion.h>

#include "desk.h"

#include <stdio.h>
#include <stdlib.h>

#define A1 "{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"}]}"
#define A2                                                                                                   \
    "{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"},{\"name\":\"y\","     \
    "\"type\":\"int\",\"default\":1}]}"
#define A_BAD                                                                                                \
    "{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"},{\"name\":\"z\","     \
    "\"type\":\"int\"}]}"

static struct desk desk;

static void open_desk(void)
{
    desk_open(&desk);
}

static void close_desk(void)
{
    desk_close(&desk);
}

TestSuite(registering, .init = open_desk, .fini = close_desk);
TestSuite(deleting, .init = open_desk, .fini = close_desk);
TestSuite(reading, .init = open_desk, .fini = close_desk);
TestSuite(settings, .init = open_desk, .fini = close_desk);
TestSuite(records, .init = open_desk, .fini = close_desk);

static void expect(const char *operation, const char *where, const char *query, const char *answer)
{
    const char *got = desk_ask(&desk, operation, where, query, NULL);
    cr_expect_str_eq(got, answer, "%s %s %s: %s", operation, where ? where : "", query ? query : "", got);
}

// The answer's error code.
static int error(const char *operation, const char *where, const char *query, const char *body)
{
    const char *text = strstr(desk_ask(&desk, operation, where, query, body), "\"error_code\":");
    return text == NULL ? 0 : (int)strtol(text + 13, NULL, 10);
}

// ---- registering ----

Test(registering, ids_are_dense_and_the_same_schema_has_the_same_id)
{
    cr_assert_eq(desk_register(&desk, "a", A1), 1);
    cr_assert_eq(desk_register(&desk, "a", A1), 1);
    cr_assert_eq(desk_register(&desk, "b", A1), 1);
    cr_assert_eq(desk_register(&desk, "b", A2), 2);
    cr_assert_eq(desk_register(&desk, "c", "\"string\""), 3);
    expect("list-versions", "a", NULL, "[1]");
    expect("list-versions", "b", NULL, "[1,2]");
    expect("schema-subjects", "1", NULL, "[\"b\",\"a\"]");
}

Test(registering, spaces_make_no_difference)
{
    cr_assert_eq(desk_register(&desk, "a", A1), 1);
    cr_assert_eq(desk_register(&desk, "a",
                               "{ \"type\": \"record\", \"name\": \"A\",\n \"fields\": [ {\"name\": \"x\", "
                               "\"type\": \"int\"} ] }"),
                 1);
}

Test(registering, what_does_not_fit_is_refused_with_the_reason)
{
    desk_register(&desk, "a", A1);
    cr_assert_eq(desk_register(&desk, "a", A_BAD), -40901);
    cr_assert_eq(desk.code, 409);
    cr_assert_not_null(strstr(desk.answer, "READER_FIELD_MISSING_DEFAULT_VALUE"));
    cr_assert_not_null(strstr(desk.answer, "{oldSchemaVersion: 1}"));
    cr_assert_not_null(strstr(desk.answer, "compatibility: 'BACKWARD'"));
    expect("list-versions", "a", NULL, "[1]");
}

Test(registering, levels_look_at_the_versions_they_name)
{
    desk_ask(&desk, "put-subject-config", "a", NULL, "{\"compatibility\":\"NONE\"}");
    desk_register(&desk, "a", A1);
    desk_register(&desk, "a", "\"string\"");
    desk_ask(&desk, "put-subject-config", "a", NULL, "{\"compatibility\":\"BACKWARD\"}");
    cr_assert_gt(desk_register(&desk, "a", "[\"string\",\"int\"]"), 0, "the latest only");
    desk_ask(&desk, "put-subject-config", "a", NULL, "{\"compatibility\":\"BACKWARD_TRANSITIVE\"}");
    cr_assert_eq(desk_register(&desk, "a", "[\"string\",\"int\",\"long\"]"), -40901);
    cr_assert_not_null(strstr(desk.answer, "{oldSchemaVersion: 1}"));
    desk_ask(&desk, "put-subject-config", "a", NULL, "{\"compatibility\":\"FORWARD\"}");
    cr_assert_eq(desk_register(&desk, "a", "[\"string\",\"int\",\"boolean\"]"), -40901);
    cr_assert_gt(desk_register(&desk, "a", "\"int\""), 0, "old readers know int");
}

Test(registering, other_formats_and_nonsense_are_refused)
{
    cr_assert_eq(error("register", "a", NULL, "{\"schemaType\":\"XML\",\"schema\":\"{}\"}"), 42201);
    cr_assert_eq(error("register", "a", NULL, "{\"schema\":\"{\\\"type\\\":\\\"nothing\\\"}\"}"), 42201);
    cr_assert_eq(error("register", "a", NULL, "{\"schema\":\"\"}"), 42201);
    cr_assert_eq(error("register", "a", NULL, "{}"), 42201);
    cr_assert_eq(error("register", "a", NULL, "{\"schema\":"), 400);
    cr_assert_eq(error("register", "a", NULL, "[]"), 400);
    cr_assert_eq(error("register", "__GLOBAL", NULL, "{\"schema\":\"\\\"int\\\"\"}"), 42208);
    cr_assert_eq(error("register", "a\x01", NULL, "{\"schema\":\"\\\"int\\\"\"}"), 42208);
    cr_assert_eq(error("register", "caf\xe9", NULL, "{\"schema\":\"\\\"int\\\"\"}"), 42208);
    cr_assert_eq(error("register", ":.caf\xe9:a", NULL, "{\"schema\":\"\\\"int\\\"\"}"), 42208);
    cr_assert_eq(desk.log.len, 0, "nothing is written");
}

Test(registering, references_are_found_counted_and_kept)
{
    const char *body = "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"B\\\",\\\"fields\\\":[{"
                       "\\\"name\\\":\\\"a\\\",\\\"type\\\":\\\"A\\\"}]}\",\"references\":[{\"name\":\"A\","
                       "\"subject\":\"a\",\"version\":1}]}";
    cr_assert_eq(error("register", "b", NULL, body), 42201);
    desk_register(&desk, "a", A1);
    cr_assert_eq(error("register", "b", NULL, body), 0);
    expect("referenced-by", "a/1", NULL, "[2]");
    cr_assert_eq(error("delete-version", "a/1", NULL, NULL), 42206);
    cr_assert_eq(error("delete-subject", "a", NULL, NULL), 42206);
    desk_ask(&desk, "get-version", "b/1", NULL, NULL);
    cr_assert_not_null(
        strstr(desk.answer, "\"references\":[{\"name\":\"A\",\"subject\":\"a\",\"version\":1}]"));
    desk_ask(&desk, "get-version-schema", "b/1", "format=resolved", NULL);
    cr_assert_not_null(strstr(desk.answer, "\"name\":\"x\""), "%s", desk.answer);
    cr_assert_eq(error("delete-subject", "b", NULL, NULL), 0);
    expect("referenced-by", "a/1", NULL, "[]");
    cr_assert_eq(error("delete-subject", "a", NULL, NULL), 0);
}

Test(registering, a_reference_to_the_latest_is_one_to_the_version_it_is_now)
{
    const char *body = "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"B\\\",\\\"fields\\\":[{"
                       "\\\"name\\\":\\\"a\\\",\\\"type\\\":\\\"A\\\"}]}\",\"references\":[{\"name\":\"A\","
                       "\"subject\":\"a\",\"version\":-1}]}";
    cr_assert_eq(error("register", "b", NULL, body), 42201);
    desk_register(&desk, "a", A1);
    desk_register(&desk, "a", A2);
    desk_ask(&desk, "register", "b", NULL, body);
    cr_assert_str_eq(desk.answer, "{\"id\":3}");
    desk_ask(&desk, "register", "b", NULL, body);
    cr_assert_str_eq(desk.answer, "{\"id\":3}");
    expect("referenced-by", "a/2", NULL, "[3]");
    desk_ask(&desk, "get-version", "b/1", NULL, NULL);
    cr_assert_not_null(
        strstr(desk.answer, "\"references\":[{\"name\":\"A\",\"subject\":\"a\",\"version\":2}]"));
    cr_assert_eq(error("look-up", "b", NULL, body), 0);
    cr_assert_eq(desk_register(&desk, "c", "\"int\""), 4);
}

Test(registering, too_many_references_or_too_deep_ones_are_refused)
{
    desk.settings.reference_depth = 2;
    desk_register(&desk, "r0", "{\"type\":\"record\",\"name\":\"R0\",\"fields\":[]}");
    for (int i = 1; i <= 3; i++) {
        char subject[16], body[600];
        snprintf(subject, sizeof subject, "r%d", i);
        snprintf(body, sizeof body,
                 "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"R%d\\\",\\\"fields\\\":[{"
                 "\\\"name\\\":\\\"f\\\",\\\"type\\\":\\\"R%d\\\"}]}\",\"references\":[{\"name\":\"R%d\","
                 "\"subject\":\"r%d\",\"version\":1}]}",
                 i, i - 1, i - 1, i - 1);
        cr_assert_eq(error("register", subject, NULL, body), i < 3 ? 0 : 42201, "%d", i);
    }
    desk.settings.references_max = 0;
    cr_assert_eq(error("register", "s", NULL,
                       "{\"schema\":\"\\\"R0\\\"\",\"references\":[{\"name\":\"R0\",\"subject\":\"r0\","
                       "\"version\":1}]}"),
                 42201);
}

Test(registering, metadata_and_rules_are_stored_answered_and_part_of_what_a_schema_is)
{
    const char *with = "{\"schema\":\"\\\"int\\\"\",\"metadata\":{\"properties\":{\"b\":\"2\",\"a\":\"1\"}},"
                       "\"ruleSet\":{\"domainRules\":[{\"name\":\"r\",\"kind\":\"CONDITION\",\"mode\":"
                       "\"WRITE\",\"type\":\"CEL\",\"expr\":\"true\"}]}}";
    cr_assert_eq(desk_register(&desk, "a", "\"int\""), 1);
    desk_ask(&desk, "register", "a", NULL, with);
    cr_assert_not_null(strstr(desk.answer, "{\"id\":2,\"version\":2"), "%s", desk.answer);
    desk_ask(&desk, "get-version", "a/2", NULL, NULL);
    cr_assert_not_null(strstr(desk.answer, "\"metadata\":{\"properties\":{\"a\":\"1\",\"b\":\"2\"}}"));
    cr_assert_not_null(strstr(desk.answer, "\"ruleSet\":{\"domainRules\":[{\"name\":\"r\""));
    cr_assert_eq(desk_register(&desk, "a", "\"int\""), 2, "the latest's metadata is taken over");
    desk_ask(&desk, "latest-with-metadata", "a", "key=a&value=1", NULL);
    cr_assert_eq(desk.code, 200);
    cr_assert_eq(error("latest-with-metadata", "a", "key=a&value=2", NULL), 40403);
    cr_assert_eq(error("register", "a", NULL,
                       "{\"schema\":\"\\\"int\\\"\",\"ruleSet\":{\"domainRules\":[{\"name\":\"r\",\"mode\":"
                       "\"UPGRADE\",\"type\":\"CEL\"}]}}"),
                 42210);
}

#define RESERVES(schema, names)                                                                              \
    "{" schema ",\"metadata\":{\"properties\":{\"confluent:reserved\":\"" names "\"}}}"
#define OF_AVRO                                                                                              \
    "\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"R\\\",\\\"fields\\\":[{\\\"name\\\":"        \
    "\\\"city\\\",\\\"type\\\":\\\"int\\\"}]}\""
#define OF_JSON "\"schemaType\":\"JSON\",\"schema\":\"{\\\"properties\\\":{\\\"city\\\":{}}}\""
#define OF_PROTOBUF                                                                                          \
    "\"schemaType\":\"PROTOBUF\",\"schema\":\"syntax = \\\"proto3\\\"; message R { int32 city = 1; }\""

Test(registering, reserved_names_are_kept_free_when_fields_are_validated)
{
    static const char *const taken[] = {RESERVES(OF_AVRO, "name, city"), RESERVES(OF_JSON, "city"),
                                        RESERVES(OF_PROTOBUF, " city ")};
    cr_expect_eq(error("register", "before", NULL, taken[0]), 0, "only when it is asked for");
    desk_ask(&desk, "put-config", NULL, NULL, "{\"compatibility\":\"NONE\",\"validateFields\":true}");
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        cr_expect_eq(error("register", "s", NULL, taken[i]), 40901, "%zu: %s", i, desk.answer);
        cr_expect_not_null(strstr(desk.answer, "FIELD_CONFLICTS_WITH_RESERVED_FIELD"));
    }
    cr_expect_eq(error("register", "s", NULL, RESERVES(OF_AVRO, "name,street")), 0, "%s", desk.answer);
    cr_expect_eq(error("register", "s", NULL, RESERVES(OF_JSON, "street")), 40901);
    cr_expect_not_null(strstr(desk.answer, "RESERVED_FIELD_REMOVED"));
    cr_expect_eq(error("register", "s", NULL, RESERVES(OF_JSON, "street,name,more")), 0, "%s", desk.answer);
}

// The head, count rules with names of their own numbered from `from` on, the tail.
static const char *many(struct buf *out, const char *head, int from, int count, const char *tail)
{
    buf_clear(out);
    buf_printf(out, "%s", head);
    for (int i = from; i < from + count; i++)
        buf_printf(out, "%s{\"name\":\"r%d\",\"mode\":\"WRITE\",\"type\":\"CEL\"}", i > from ? "," : "", i);
    buf_append(out, tail, strlen(tail) + 1);
    return (const char *)out->data;
}

Test(registering, lists_of_rules_and_metadata_have_a_limit_together_with_the_configs_too)
{
    struct buf body;
    const char *schema = "{\"schema\":\"\\\"int\\\"\",\"ruleSet\":{\"domainRules\":[", *end = "]}}";
    const char *config = "{\"overrideRuleSet\":{\"domainRules\":[";
    buf_init(&body, 1 << 20);
    cr_assert_eq(error("register", "a", NULL, many(&body, schema, 0, 1001, end)), 42210);
    cr_assert_eq(error("put-subject-config", "a", NULL, many(&body, config, 0, 1001, end)), 42210);
    cr_assert_eq(error("register", "a", NULL, many(&body, schema, 0, 1000, end)), 0);
    cr_assert_eq(error("put-subject-config", "a", NULL, many(&body, config, 999, 1, end)), 0);
    cr_assert_eq(error("register", "a", NULL, many(&body, schema, 0, 1000, end)), 0);
    cr_assert_eq(error("put-subject-config", "a", NULL, many(&body, config, 1000, 1, end)), 0);
    cr_assert_eq(error("register", "a", NULL, many(&body, schema, 0, 1000, end)), 42210, "one too many");
    cr_assert_eq(
        error("register", "b", NULL,
              many(&body, "{\"schema\":\"\\\"int\\\"\",\"metadata\":{\"sensitive\":[", 0, 1001, end)),
        42201);
    cr_assert_eq(error("put-subject-config", "b", NULL,
                       many(&body, "{\"defaultMetadata\":{\"sensitive\":[", 0, 1001, end)),
                 422);
    buf_fini(&body);
}

// Registers under "b" a record with a field of the large schema A and one named after the number.
static int register_large(int number)
{
    char body[700];
    snprintf(
        body, sizeof body,
        "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"B\\\",\\\"fields\\\":[{\\\"name\\\":"
        "\\\"a\\\","
        "\\\"type\\\":\\\"A\\\"},{\\\"name\\\":\\\"f%d\\\",\\\"type\\\":\\\"int\\\",\\\"default\\\":0}]}\","
        "\"references\":[{\"name\":\"A\",\"subject\":\"a\",\"version\":1}]}",
        number);
    return error("register", "b", NULL, body);
}

Test(registering, a_request_parses_only_so_much)
{
    enum { DOC = 1000 << 10, FIT = 14, MORE = 4 };
    struct buf body;
    buf_init(&body, 2 << 20);
    buf_printf(&body, "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"A\\\",\\\"fields\\\":[],"
                      "\\\"doc\\\":\\\"");
    for (int i = 0; i < DOC; i += 8)
        buf_append(&body, "abcdefgh", 8);
    buf_append(&body, "\\\"}\"}", 6);
    cr_assert_eq(error("register", "a", NULL, (const char *)body.data), 0);
    desk_ask(&desk, "put-subject-config", "b", NULL, "{\"compatibility\":\"BACKWARD_TRANSITIVE\"}");
    for (int i = 0; i < FIT; i++)
        cr_assert_eq(register_large(i), 0, "%d", i);
    desk_ask(&desk, "put-subject-config", "b", NULL, "{\"compatibility\":\"BACKWARD\"}");
    for (int i = FIT; i < FIT + MORE; i++)
        cr_assert_eq(register_large(i), 0, "%d", i);
    cr_assert_eq(error("register", "b", NULL, "{\"schema\":\"\\\"int\\\"\"}"), 42209,
                 "written out it may be one of them");
    desk_ask(&desk, "put-subject-config", "b", NULL, "{\"compatibility\":\"BACKWARD_TRANSITIVE\"}");
    cr_assert_eq(register_large(99), 42209);
    cr_assert_eq(desk.code, 422);
    cr_assert_eq(register_large(0), 0, "what is there needs no comparison");
    buf_fini(&body);
}

Test(registering, only_looking_whether_it_is_there_compares_and_writes_nothing)
{
    desk_register(&desk, "a", A1);
    desk.there_only = true;
    cr_assert_eq(desk_register(&desk, "a", A1), 1);
    size_t written = desk.log.len;
    desk_ask(&desk, "register", "a", NULL, "{\"schema\":\"\\\"int\\\"\"}");
    cr_assert_str_eq(desk.answer, "", "not even that it does not fit");
    cr_assert_eq(desk.log.len, written);
}

Test(registering, import_takes_ids_and_versions_of_the_client)
{
    const char *given = "{\"schema\":\"\\\"int\\\"\",\"id\":77,\"version\":5}";
    cr_assert_eq(error("register", "a", NULL, given), 42205);
    desk_ask(&desk, "put-subject-mode", "a", NULL, "{\"mode\":\"IMPORT\"}");
    desk_ask(&desk, "register", "a", NULL, given);
    cr_assert_str_eq(desk.answer, "{\"id\":77}");
    expect("list-versions", "a", NULL, "[5]");
    cr_assert_eq(error("register", "a", NULL, "{\"schema\":\"\\\"long\\\"\",\"id\":77,\"version\":6}"),
                 42205);
    cr_assert_eq(error("register", "a", NULL, "{\"schema\":\"\\\"long\\\"\"}"), 42205, "an id is asked for");
    cr_assert_eq(desk_register(&desk, "b", "\"long\""), 78);
}

Test(registering, an_id_that_an_import_replaces_is_not_given_again)
{
    desk_ask(&desk, "put-mode", NULL, NULL, "{\"mode\":\"IMPORT\"}");
    desk_ask(&desk, "register", "a", NULL, "{\"schema\":\"\\\"int\\\"\",\"id\":100,\"version\":1}");
    desk_ask(&desk, "register", "a", NULL, "{\"schema\":\"\\\"long\\\"\",\"id\":5,\"version\":1}");
    cr_assert_str_eq(desk.answer, "{\"id\":5}");
    desk_ask(&desk, "put-mode", NULL, NULL, "{\"mode\":\"READWRITE\"}");
    desk_replay(&desk, true);
    expect("list-versions", "a", NULL, "[1]");
    cr_assert_eq(desk_register(&desk, "b", "\"string\""), 101);
}

Test(registering, after_the_last_version_there_is_no_next)
{
    desk_ask(&desk, "put-subject-mode", "a", NULL, "{\"mode\":\"IMPORT\"}");
    desk_ask(&desk, "register", "a", NULL, "{\"schema\":\"\\\"int\\\"\",\"id\":1,\"version\":2147483647}");
    expect("list-versions", "a", NULL, "[2147483647]");
    cr_assert_eq(error("register", "a", NULL, "{\"schema\":\"\\\"long\\\"\",\"id\":2}"), 42201);
    desk_ask(&desk, "put-subject-mode", "a", NULL, "{\"mode\":\"READWRITE\"}");
    cr_assert_eq(desk_register(&desk, "a", "\"long\""), -42201);
    cr_assert_eq(desk_register(&desk, "a", "\"int\""), 1, "what is there is there");
    expect("list-versions", "a", NULL, "[2147483647]");
}

Test(registering, a_version_that_is_asked_for_must_be_the_next)
{
    desk_register(&desk, "a", A1);
    cr_assert_eq(error("register", "a", NULL, "{\"schema\":\"\\\"int\\\"\",\"version\":5}"), 40901);
    desk_ask(&desk, "put-subject-config", "a", NULL, "{\"compatibility\":\"NONE\"}");
    cr_assert_eq(error("register", "a", NULL, "{\"schema\":\"\\\"int\\\"\",\"version\":5}"), 42201);
    desk_ask(&desk, "register", "a", NULL, "{\"schema\":\"\\\"int\\\"\",\"version\":2}");
    cr_assert_not_null(strstr(desk.answer, "{\"id\":2"), "%s", desk.answer);
    size_t written = desk.log.len;
    desk_ask(&desk, "register", "a", NULL, "{\"schema\":\"\\\"int\\\"\",\"version\":2}");
    cr_assert_not_null(strstr(desk.answer, "{\"id\":2"), "the answer was lost: %s", desk.answer);
    cr_assert_eq(desk.log.len, written);
    cr_assert_eq(error("register", "a", NULL, "{\"schema\":\"\\\"long\\\"\",\"version\":2}"), 42201);
    cr_assert_eq(error("register", "a", NULL, "{\"schema\":\"\\\"int\\\"\",\"version\":1}"), 42201);
    desk_ask(&desk, "delete-version", "a/2", NULL, NULL);
    cr_assert_eq(error("register", "a", NULL, "{\"schema\":\"\\\"int\\\"\",\"version\":2}"), 42201);
}

Test(registering, looking_up_finds_what_registering_would)
{
    desk_register(&desk, "a", A1);
    desk_ask(&desk, "look-up", "a", NULL, "{\"schema\":\"\\\"int\\\"\"}");
    cr_assert_eq(desk.code, 404);
    cr_assert_not_null(strstr(desk.answer, "40403"));
    cr_assert_eq(error("look-up", "b", NULL, "{\"schema\":\"\\\"int\\\"\"}"), 40401);
    desk_register(&desk, "c", "\"int\"");
    desk_ask(&desk, "look-up", "c", NULL, "{\"schema\":\"\\\"int\\\"\"}");
    cr_assert_str_eq(desk.answer, "{\"subject\":\"c\",\"version\":1,\"id\":2,\"schema\":\"\\\"int\\\"\"}");
}

// ---- deleting ----

Test(deleting, softly_first_then_for_good)
{
    desk_register(&desk, "a", A1);
    desk_register(&desk, "a", A2);
    cr_assert_eq(error("delete-subject", "a", "permanent=true", NULL), 40405);
    expect("delete-subject", "a", NULL, "[1,2]");
    expect("list-subjects", NULL, NULL, "[]");
    expect("list-subjects", NULL, "deleted=true", "[\"a\"]");
    expect("list-subjects", NULL, "deletedOnly=true", "[\"a\"]");
    cr_assert_eq(error("delete-subject", "a", NULL, NULL), 40404);
    cr_assert_eq(error("list-versions", "a", NULL, NULL), 40401);
    expect("list-versions", "a", "deleted=true", "[1,2]");
    expect("list-versions", "a", "deletedAsNegative=true", "[-1,-2]");
    cr_assert_eq(error("get-schema", "1", NULL, NULL), 0, "whoever has the id still reads");
    expect("delete-subject", "a", "permanent=true", "[1,2]");
    expect("list-subjects", NULL, "deleted=true", "[]");
    cr_assert_eq(error("get-schema", "1", NULL, NULL), 40403);
    cr_assert_eq(error("delete-subject", "a", NULL, NULL), 40401);
}

Test(deleting, one_version)
{
    desk_register(&desk, "a", A1);
    desk_register(&desk, "a", A2);
    cr_assert_eq(error("delete-version", "a/3", NULL, NULL), 40402);
    cr_assert_eq(error("delete-version", "a/0", NULL, NULL), 42202);
    cr_assert_eq(error("delete-version", "a/x", NULL, NULL), 42202);
    cr_assert_eq(error("delete-version", "b/1", NULL, NULL), 40401);
    cr_assert_eq(error("delete-version", "a/1", "permanent=true", NULL), 40407);
    expect("delete-version", "a/1", NULL, "1");
    cr_assert_eq(error("delete-version", "a/1", NULL, NULL), 40406);
    cr_assert_eq(error("get-version", "a/1", NULL, NULL), 40402);
    cr_assert_eq(error("get-version", "a/1", "deleted=true", NULL), 0);
    expect("delete-version", "a/1", "permanent=true", "1");
    cr_assert_eq(error("get-version", "a/1", "deleted=true", NULL), 40402);
    expect("delete-version", "a/latest", NULL, "2");
}

Test(deleting, a_schema_that_comes_again_keeps_its_id_and_gets_the_next_version)
{
    desk_register(&desk, "a", A1);
    desk_ask(&desk, "delete-subject", "a", NULL, NULL);
    cr_assert_eq(desk_register(&desk, "a", A1), 1);
    expect("list-versions", "a", "deleted=true", "[2]");
}

Test(deleting, an_id_is_never_given_twice_not_after_compaction_either)
{
    desk_register(&desk, "a", A1);
    desk_register(&desk, "a", A2);
    desk_ask(&desk, "delete-subject", "a", NULL, NULL);
    desk_ask(&desk, "delete-subject", "a", "permanent=true", NULL);
    desk_replay(&desk, true);
    expect("list-subjects", NULL, "deleted=true", "[]");
    cr_assert_eq(desk_register(&desk, "b", "\"int\""), 3);
}

Test(deleting, deleted_stays_deleted_after_compaction)
{
    desk_register(&desk, "a", A1);
    desk_register(&desk, "a", A2);
    desk_register(&desk, "b", A1);
    desk_ask(&desk, "delete-subject", "a", NULL, NULL);
    desk_register(&desk, "a", "\"string\"");
    for (int compact = 0; compact < 2; compact++) {
        desk_replay(&desk, compact);
        expect("list-versions", "a", NULL, "[3]");
        expect("list-versions", "a", "deletedOnly=true", "[1,2]");
        expect("list-subjects", NULL, NULL, "[\"a\",\"b\"]");
    }
}

Test(deleting, config_and_mode_go_with_the_last_version)
{
    desk_register(&desk, "a", A1);
    desk_ask(&desk, "put-subject-config", "a", NULL, "{\"compatibility\":\"FULL\"}");
    desk_ask(&desk, "delete-version", "a/1", NULL, NULL);
    cr_assert_eq(error("get-subject-config", "a", NULL, NULL), 40408);
}

// ---- reading ----

Test(reading, pages_and_prefixes)
{
    const char *const subjects[] = {"d", "b", "a", "c", ":.x:b"};
    for (size_t i = 0; i < 5; i++)
        desk_register(&desk, subjects[i], A1);
    expect("list-subjects", NULL, NULL, "[\":.x:b\",\"a\",\"b\",\"c\",\"d\"]");
    expect("list-subjects", NULL, "offset=1&limit=2", "[\"a\",\"b\"]");
    expect("list-subjects", NULL, "subjectPrefix=b", "[\"b\"]");
    expect("list-subjects", NULL, "subjectPrefix=:*:b", "[\":.x:b\",\"b\"]");
    expect("list-subjects", NULL, "subjectPrefix=:.x:", "[\":.x:b\"]");
    desk.settings.subjects_max = 1;
    expect("list-subjects", NULL, "limit=5", "[\":.x:b\"]");
}

Test(reading, lists_of_schemas)
{
    desk_register(&desk, "a", A1);
    desk_register(&desk, "a", A2);
    desk_register(&desk, "b", "\"int\"");
    expect("list-schemas", NULL, "latestOnly=true&subjectPrefix=b",
           "[{\"subject\":\"b\",\"version\":1,\"id\":3,\"schema\":\"\\\"int\\\"\"}]");
    desk_ask(&desk, "list-schemas", NULL, NULL, NULL);
    cr_assert_not_null(strstr(desk.answer, "\"version\":2"));
    desk_ask(&desk, "put-subject-config", "other", NULL, "{\"alias\":\"b\"}");
    desk_ask(&desk, "list-schemas", NULL, "subjectPrefix=b&aliases=true", NULL);
    cr_assert_not_null(strstr(desk.answer, "\"aliases\":[\"other\"]}"), "%s", desk.answer);
    expect("types", NULL, NULL, "[\"JSON\",\"PROTOBUF\",\"AVRO\"]");
}

Test(reading, a_subject_that_has_a_schema_twice_is_listed_once)
{
    desk_register(&desk, "a", "\"int\"");
    desk_register(&desk, "b", "\"int\"");
    desk_apply(&desk, "{\"keytype\":\"SCHEMA\",\"subject\":\"a\",\"version\":2,\"magic\":1}",
               "{\"subject\":\"a\",\"version\":2,\"id\":1,\"schema\":\"\\\"int\\\"\",\"deleted\":false}");
    expect("schema-subjects", "1", NULL, "[\"a\",\"b\"]");
    desk_ask(&desk, "delete-version", "a/2", NULL, NULL);
    expect("schema-subjects", "1", NULL, "[\"b\",\"a\"]");
    expect("schema-subjects", "1", "deleted=true", "[\"b\",\"a\"]");
    desk_ask(&desk, "delete-version", "a/1", NULL, NULL);
    expect("schema-subjects", "1", NULL, "[\"b\"]");
    expect("schema-subjects", "1", "deleted=true", "[\"a\",\"b\"]");
}

Test(reading, contexts_have_ids_of_their_own)
{
    desk_register(&desk, "a", A1);
    cr_assert_eq(desk_register(&desk, ":.x:a", "\"int\""), 1);
    expect("get-schema-text", "1", NULL, A1);
    expect("get-schema-text", "1", "subject=:.x:", "\"int\"");
    expect("get-schema-text", "1", "subject=:.x:a", "\"int\"");
    cr_assert_eq(error("get-schema", "1", "subject=:.y:", NULL), 40403);
    cr_assert_eq(desk_register(&desk, ":.x:other", "\"long\""), 2);
    expect("get-schema-text", "2", "subject=other", "\"long\"");
    expect("get-version-schema", "other/1", NULL, "\"long\"");
    expect("list-contexts", NULL, NULL, "[\".\",\".x\"]");
    cr_assert_eq(error("delete-context", ".x", NULL, NULL), 42211);
    const char *const subjects[] = {":.x:a", ":.x:other"};
    for (int i = 0; i < 2; i++) {
        desk_ask(&desk, "delete-subject", subjects[i], NULL, NULL);
        desk_ask(&desk, "delete-subject", subjects[i], "permanent=true", NULL);
    }
    desk_ask(&desk, "delete-context", ".x", NULL, NULL);
    cr_assert_eq(desk.code, 204);
    expect("list-contexts", NULL, NULL, "[\".\"]");
    cr_assert_eq(error("delete-context", ".x", NULL, NULL), 40401);
}

Test(deleting, a_context_that_is_deleted_does_not_begin_its_ids_anew)
{
    for (int compact = 0; compact < 2; compact++) {
        cr_assert_eq(desk_register(&desk, ":.x:a", compact ? A1 : "\"int\""), compact + 1);
        desk_ask(&desk, "delete-subject", ":.x:a", NULL, NULL);
        desk_ask(&desk, "delete-subject", ":.x:a", "permanent=true", NULL);
        desk_ask(&desk, "delete-context", ".x", NULL, NULL);
        cr_assert_eq(desk.code, 204);
        desk_replay(&desk, compact);
        expect("list-contexts", NULL, NULL, "[\".\"]");
        cr_assert_eq(error("delete-context", ".x", NULL, NULL), 40401);
    }
    cr_assert_eq(desk_register(&desk, ":.x:a", "\"int\""), 3);
    expect("list-contexts", NULL, NULL, "[\".\",\".x\"]");
}

Test(deleting, the_default_context_stays)
{
    desk_register(&desk, "a", "\"int\"");
    desk_ask(&desk, "delete-subject", "a", NULL, NULL);
    desk_ask(&desk, "delete-subject", "a", "permanent=true", NULL);
    cr_assert_eq(error("delete-context", ".", NULL, NULL), 42211);
    cr_assert_eq(desk_register(&desk, "a", "\"long\""), 2);
}

Test(reading, fields_added_later_are_for_those_who_take_them)
{
    desk_register(&desk, "a", "\"int\"");
    expect("get-schema", "1", NULL, "{\"schema\":\"\\\"int\\\"\"}");
    expect("get-schema", "1", "fetchMaxId=true", "{\"schema\":\"\\\"int\\\"\",\"maxId\":1}");
    desk.unknown_fields = true;
    // md5("\"int\"") as a UUID, as Confluent's client computes a guid
    expect("get-schema", "1", NULL,
           "{\"schemaType\":\"AVRO\",\"schema\":\"\\\"int\\\"\",\"subject\":\"a\",\"version\":1,\"guid\":"
           "\"ef524ea1-b91e-7317-3d93-8ade36c1db32\",\"ts\":1700000000000,\"deleted\":false}");
    expect("guid-ids", "ef524ea1-b91e-7317-3d93-8ade36c1db32", NULL, "[{\"context\":\".\",\"id\":1}]");
    cr_assert_eq(error("get-guid", "ef524ea1-b91e-7317-3d93-8ade36c1db33", NULL, NULL), 40403);
    cr_assert_eq(error("get-guid", "nonsense", NULL, NULL), 40403);
}

Test(reading, an_alias_stands_for_its_subject)
{
    desk_register(&desk, "a", A1);
    desk_ask(&desk, "put-subject-config", "nick", NULL, "{\"alias\":\"a\"}");
    expect("list-versions", "nick", NULL, "[1]");
    cr_assert_eq(desk_register(&desk, "nick", A2), 2);
    expect("list-versions", "a", NULL, "[1,2]");
    expect("get-subject-config", "nick", NULL, "{\"alias\":\"a\"}");
}

Test(reading, compatibility_is_told_without_writing)
{
    const char *bad = "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"A\\\",\\\"fields\\\":[{"
                      "\\\"name\\\":\\\"z\\\",\\\"type\\\":\\\"int\\\"}]}\"}";
    desk_register(&desk, "a", A1);
    size_t written = desk.log.len;
    desk_ask(&desk, "compatible-with-version", "a/latest", NULL, bad);
    cr_assert_str_eq(desk.answer, "{\"is_compatible\":false}");
    desk_ask(&desk, "compatible-with-version", "a/1", "verbose=true", bad);
    cr_assert_not_null(strstr(desk.answer, "\"messages\":[\"{errorType:"));
    desk_ask(&desk, "compatible-with-all", "a", NULL, bad);
    cr_assert_str_eq(desk.answer, "{\"is_compatible\":false}");
    desk_ask(&desk, "compatible-with-version", "none/latest", NULL, bad);
    cr_assert_str_eq(desk.answer, "{\"is_compatible\":true}");
    cr_assert_eq(error("compatible-with-version", "a/7", NULL, bad), 40402);
    cr_assert_eq(error("compatible-with-version", "none/1", NULL, bad), 40401);
    cr_assert_eq(desk.log.len, written);
}

// ---- config and mode ----

Test(settings, configs_are_merged_and_inherited)
{
    expect("get-config", NULL, NULL, "{\"compatibilityLevel\":\"BACKWARD\"}");
    desk_ask(&desk, "put-config", NULL, NULL, "{\"compatibility\":\"full\"}");
    cr_assert_str_eq(desk.answer, "{\"compatibility\":\"full\"}");
    desk_ask(&desk, "put-config", NULL, NULL, "{\"other\":[1],\"compatibilityLevel\":\"full\"}");
    cr_assert_str_eq(desk.answer, "{\"compatibility\":\"full\"}", "what is known of it, by the request's name");
    expect("get-config", NULL, NULL, "{\"compatibilityLevel\":\"FULL\"}");
    expect("get-subject-config", "a", "defaultToGlobal=true", "{\"compatibilityLevel\":\"FULL\"}");
    cr_assert_eq(error("get-subject-config", "a", NULL, NULL), 40408);
    expect("get-subject-config", ":.x:a", "defaultToGlobal=true", "{\"compatibilityLevel\":\"BACKWARD\"}");
    desk_ask(&desk, "put-subject-config", "a", NULL, "{\"normalize\":true}");
    desk_ask(&desk, "put-subject-config", "a", NULL,
             "{\"compatibility\":\"NONE\",\"compatibilityGroup\":\"g\"}");
    expect("get-subject-config", "a", NULL,
           "{\"normalize\":true,\"compatibilityLevel\":\"NONE\",\"compatibilityGroup\":\"g\"}");
    desk_ask(&desk, "put-subject-config", "a", NULL, "{\"compatibilityGroup\":null}");
    expect("get-subject-config", "a", NULL, "{\"normalize\":true,\"compatibilityLevel\":\"NONE\"}");
    cr_assert_eq(error("put-config", NULL, NULL, "{\"compatibility\":\"SOME\"}"), 42203);
    cr_assert_eq(error("put-config", NULL, NULL, "{\"normalize\":\"yes\"}"), 422);
    expect("delete-subject-config", "a", NULL, "{\"normalize\":true,\"compatibilityLevel\":\"NONE\"}");
    cr_assert_eq(error("delete-subject-config", "a", NULL, NULL), 40401);
    expect("delete-config", NULL, NULL, "{\"compatibilityLevel\":\"FULL\"}");
    expect("get-config", NULL, NULL, "{\"compatibilityLevel\":\"BACKWARD\"}");
}

Test(settings, modes_stop_what_they_are_to_stop)
{
    desk_register(&desk, "a", A1);
    expect("get-mode", NULL, NULL, "{\"mode\":\"READWRITE\"}");
    cr_assert_eq(error("get-subject-mode", "a", NULL, NULL), 40409);
    desk_ask(&desk, "put-mode", NULL, NULL, "{\"mode\":\"READONLY\"}");
    cr_assert_str_eq(desk.answer, "{\"mode\":\"READONLY\"}");
    cr_assert_eq(desk_register(&desk, "b", A1), -42205);
    cr_assert_eq(error("delete-subject", "a", NULL, NULL), 42205);
    cr_assert_eq(error("put-subject-config", "a", NULL, "{\"compatibility\":\"NONE\"}"), 42205);
    desk_ask(&desk, "put-subject-mode", "b", NULL, "{\"mode\":\"readwrite\"}");
    cr_assert_eq(desk_register(&desk, "b", A1), 1);
    desk_ask(&desk, "put-mode", NULL, NULL, "{\"mode\":\"READONLY_OVERRIDE\"}");
    cr_assert_eq(desk_register(&desk, "b", A2), -42205);
    expect("get-subject-mode", "b", NULL, "{\"mode\":\"READONLY_OVERRIDE\"}");
    cr_assert_eq(error("put-mode", NULL, NULL, "{\"mode\":\"OFF\"}"), 42204);
    expect("delete-mode", NULL, NULL, "{\"mode\":\"READONLY_OVERRIDE\"}");
    cr_assert_eq(desk_register(&desk, "b", A2), 2);
    cr_assert_eq(error("put-subject-mode", "b", NULL, "{\"mode\":\"IMPORT\"}"), 42205);
    cr_assert_eq(error("put-subject-mode", "b", "force=true", "{\"mode\":\"IMPORT\"}"), 0);
    desk.settings.mode_mutable = false;
    cr_assert_eq(error("put-mode", NULL, NULL, "{\"mode\":\"READONLY\"}"), 42205);
}

Test(settings, going_to_import_forgets_what_was_deleted)
{
    desk_register(&desk, "a", A1);
    desk_ask(&desk, "delete-subject", "a", NULL, NULL);
    cr_assert_eq(error("put-subject-mode", "a", NULL, "{\"mode\":\"IMPORT\"}"), 0);
    expect("list-subjects", NULL, "deleted=true", "[]");
}

// ---- records ----
// Keys and values in the form Confluent's registry writes, so that the topic can be copied either way.

Test(records, what_is_written_has_confluents_form)
{
    desk_register(&desk, "a", "\"int\"");
    cr_expect_str_eq(
        desk_record(&desk, "{\"keytype\":\"SCHEMA\",\"subject\":\"a\",\"version\":1,\"magic\":1}"),
        "{\"subject\":\"a\",\"version\":1,\"id\":1,\"schema\":\"\\\"int\\\"\",\"deleted\":false}");
    desk_ask(&desk, "put-config", NULL, NULL, "{\"compatibility\":\"FULL\"}");
    cr_expect_str_eq(desk_record(&desk, "{\"keytype\":\"CONFIG\",\"subject\":null,\"magic\":0}"),
                     "{\"compatibilityLevel\":\"FULL\"}");
    desk_ask(&desk, "put-subject-config", "a", NULL, "{\"compatibility\":\"NONE\"}");
    cr_expect_str_eq(desk_record(&desk, "{\"keytype\":\"CONFIG\",\"subject\":\"a\",\"magic\":0}"),
                     "{\"subject\":\"a\",\"compatibilityLevel\":\"NONE\"}");
    desk_ask(&desk, "put-mode", NULL, NULL, "{\"mode\":\"READWRITE\"}");
    cr_expect_str_eq(desk_record(&desk, "{\"keytype\":\"MODE\",\"subject\":null,\"magic\":0}"),
                     "{\"mode\":\"READWRITE\"}");
    desk_ask(&desk, "delete-version", "a/1", NULL, NULL);
    cr_expect_str_eq(
        desk_record(&desk, "{\"keytype\":\"SCHEMA\",\"subject\":\"a\",\"version\":1,\"magic\":1}"),
        "{\"subject\":\"a\",\"version\":1,\"id\":1,\"schema\":\"\\\"int\\\"\",\"deleted\":true}");
    cr_expect_str_eq(desk_record(&desk, "{\"keytype\":\"CONFIG\",\"subject\":\"a\",\"magic\":0}"), "-");
    desk_register(&desk, "b", "\"int\"");
    desk_ask(&desk, "delete-subject", "b", NULL, NULL);
    cr_expect_str_eq(desk_record(&desk, "{\"keytype\":\"DELETE_SUBJECT\",\"subject\":\"b\",\"magic\":0}"),
                     "{\"subject\":\"b\",\"version\":1}");
    desk_register(&desk, ":.x:c", "\"int\"");
    cr_expect_str_eq(
        desk_record(&desk, "{\"keytype\":\"CONTEXT\",\"tenant\":\"default\",\"context\":\".x\",\"magic\":0}"),
        "{\"tenant\":\"default\",\"context\":\".x\",\"maxId\":0}");
}

Test(records, what_confluents_registry_writes_is_read)
{
    cr_assert_eq(desk_apply(&desk, "{\"keytype\":\"NOOP\",\"magic\":0}", NULL), ST_OK);
    cr_assert_eq(desk_apply(&desk,
                            "{\"keytype\":\"SCHEMA\",\"subject\":\"t-value\",\"version\":1,\"magic\":1}",
                            "{\"subject\":\"t-value\",\"version\":1,\"id\":1,\"md5\":\"x\",\"schema\":"
                            "\"\\\"string\\\"\",\"deleted\":false}"),
                 ST_OK);
    cr_assert_eq(desk_apply(&desk, "{\"keytype\":\"SCHEMA\",\"subject\":\"p\",\"version\":1,\"magic\":1}",
                            "{\"subject\":\"p\",\"version\":1,\"id\":2,\"schemaType\":\"PROTOBUF\","
                            "\"references\":[],\"schema\":\"syntax=\\\"proto3\\\";\",\"deleted\":false}"),
                 ST_OK);
    cr_assert_eq(desk_apply(&desk, "{\"keytype\":\"DELETE_SUBJECT\",\"subject\":\"t-value\",\"magic\":0}",
                            "{\"subject\":\"t-value\",\"version\":1}"),
                 ST_OK);
    expect("list-subjects", NULL, NULL, "[\"p\"]");
    expect("get-schema", "2", NULL, "{\"schemaType\":\"PROTOBUF\",\"schema\":\"syntax=\\\"proto3\\\";\"}");
    cr_assert_eq(desk_apply(&desk, "{\"magic\":0,\"subject\":\"t-value\",\"keytype\":\"CLEAR_SUBJECT\"}",
                            "{\"subject\":\"t-value\"}"),
                 ST_OK);
    expect("list-subjects", NULL, "deleted=true", "[\"p\"]");
}

Test(records, a_reference_to_the_latest_is_kept_as_it_was_written)
{
    desk_register(&desk, "a", A1);
    cr_assert_eq(
        desk_apply(&desk, "{\"keytype\":\"SCHEMA\",\"subject\":\"b\",\"version\":1,\"magic\":1}",
                   "{\"subject\":\"b\",\"version\":1,\"id\":2,\"references\":[{\"name\":\"A\",\"subject\":"
                   "\"a\",\"version\":-1}],\"schema\":\"\\\"A\\\"\",\"deleted\":false}"),
        ST_OK);
    desk_ask(&desk, "get-version-schema", "b/1", "format=resolved", NULL);
    cr_assert_str_eq(desk.answer, A1);
    cr_assert_eq(
        desk_apply(&desk, "{\"keytype\":\"SCHEMA\",\"subject\":\"c\",\"version\":1,\"magic\":1}",
                   "{\"subject\":\"c\",\"version\":1,\"id\":3,\"references\":[{\"name\":\"A\",\"subject\":"
                   "\"a\",\"version\":-2}],\"schema\":\"\\\"A\\\"\",\"deleted\":false}"),
        ST_MALFORMED);
}

Test(records, what_cannot_be_is_passed_over)
{
    const char *key = "{\"keytype\":\"SCHEMA\",\"subject\":\"a\",\"version\":1,\"magic\":1}";
    cr_assert_eq(desk_apply(&desk, "nonsense", "{}"), ST_MALFORMED);
    cr_assert_eq(desk_apply(&desk, "{\"keytype\":\"NEW\",\"magic\":0}", "{}"), ST_MALFORMED);
    cr_assert_eq(desk_apply(&desk, "{\"keytype\":\"SCHEMA\",\"version\":1}", "{}"), ST_MALFORMED);
    cr_assert_eq(desk_apply(&desk, key, "nonsense"), ST_MALFORMED);
    cr_assert_eq(desk_apply(&desk, key, "[]"), ST_MALFORMED);
    cr_assert_eq(desk_apply(&desk, key, "{\"id\":1}"), ST_MALFORMED);
    cr_assert_eq(desk_apply(&desk, key, "{\"id\":-1,\"schema\":\"x\"}"), ST_MALFORMED);
    desk_register(&desk, "b", "\"int\"");
    cr_assert_eq(desk_apply(&desk, key, "{\"id\":1,\"schema\":\"\\\"long\\\"\"}"), ST_MISMATCH);
    expect("list-subjects", NULL, "deleted=true", "[\"b\"]");
}

Test(records, a_replay_gives_the_same_answers)
{
    desk_register(&desk, "a", A1);
    desk_register(&desk, "a", A2);
    desk_register(&desk, ":.x:a", A1);
    desk_ask(&desk, "put-subject-config", "a", NULL, "{\"compatibility\":\"NONE\"}");
    desk_ask(&desk, "put-subject-mode", ":.x:", NULL, "{\"mode\":\"READONLY\"}");
    desk_ask(&desk, "delete-version", "a/1", NULL, NULL);
    desk_ask(&desk, "delete-version", "a/1", "permanent=true", NULL);
    for (int compact = 0; compact < 2; compact++) {
        desk_replay(&desk, compact);
        expect("list-subjects", NULL, NULL, "[\":.x:a\",\"a\"]");
        expect("list-versions", "a", "deleted=true", "[2]");
        expect("get-subject-config", "a", NULL, "{\"compatibilityLevel\":\"NONE\"}");
        expect("get-subject-mode", ":.x:a", "defaultToGlobal=true", "{\"mode\":\"READONLY\"}");
        expect("list-contexts", NULL, NULL, "[\".\",\".x\"]");
    }
    cr_assert_eq(desk_register(&desk, "c", "\"int\""), 3);
}
