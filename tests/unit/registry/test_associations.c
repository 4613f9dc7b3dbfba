// SPDX-License-Identifier: Apache-2.0
// Associations of subjects with resources: what may be made, changed and ended, in single requests and in
// batches; what is left of them in the topic.
#include "desk.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct desk desk;

static void setup(void)
{
    desk_open(&desk);
}
static void teardown(void)
{
    desk_close(&desk);
}
TestSuite(associations, .init = setup, .fini = teardown);

static bool has(const char *text)
{
    return strstr(desk.answer, text) != NULL;
}

// {"resource..." of topic t in namespace ns, "associations":[list]}
static const char *body(const char *list)
{
    static char text[4096];
    snprintf(
        text, sizeof text,
        "{\"resourceName\":\"t\",\"resourceNamespace\":\"ns\",\"resourceId\":\"r1\",\"associations\":[%s]}",
        list);
    return text;
}

static int code(const char *operation, const char *where, const char *query, const char *text)
{
    desk_ask(&desk, operation, where, query, text);
    const char *found = strstr(desk.answer, "\"error_code\":");
    return found != NULL && desk.code != 207 ? atoi(found + 13) : desk.code;
}

static int create(const char *list)
{
    return code("create-association", NULL, NULL, body(list));
}

static int put(const char *list)
{
    return code("put-association", "r1", NULL, body(list));
}

#define WITH_SCHEMA "\"schema\":{\"schema\":\"\\\"string\\\"\"}"

Test(associations, a_weak_one_needs_a_subject_with_a_schema)
{
    cr_assert_eq(create("{\"subject\":\"s\"}"), 40907);
    desk_register(&desk, "s", "\"int\"");
    cr_assert_eq(create("{\"subject\":\"s\"}"), 200);
    cr_assert(has("\"associations\":[{\"subject\":\"s\",\"associationType\":\"value\",\"lifecycle\":\"WEAK\","
                  "\"frozen\":false}]"),
              "%s", desk.answer);
    desk_ask(&desk, "subject-associations", "s", NULL, NULL);
    cr_assert(has("\"guid\":\"") && has("\"resourceId\":\"r1\"") && has("\"resourceType\":\"topic\""));
    desk_ask(&desk, "name-associations", "-|t", NULL, NULL);
    cr_assert(has("\"subject\":\"s\""));
    desk_ask(&desk, "name-associations", "other|t", NULL, NULL);
    cr_assert_str_eq(desk.answer, "[]");
}

Test(associations, a_schema_is_registered_along_and_both_are_frozen)
{
    cr_assert_eq(create("{\"associationType\":\"key\"," WITH_SCHEMA "},{" WITH_SCHEMA "}"), 200);
    cr_assert(has("\"subject\":\":.ns:t-key\"") && has("\"subject\":\":.ns:t-value\"") &&
                  has("\"frozen\":true") &&
                  has("\"schema\":{\"subject\":\":.ns:t-value\",\"version\":1,\"id\":1,"),
              "%s", desk.answer);
    size_t records = desk.log.len;
    cr_assert_eq(create("{\"associationType\":\"key\"," WITH_SCHEMA "},{" WITH_SCHEMA "}"), 200);
    cr_assert_eq(desk.log.len, records, "the same again writes nothing");
    cr_assert_eq(create("{\"schema\":{\"schema\":\"\\\"int\\\"\"}}"), 40903);
    cr_assert_eq(put("{\"schema\":{\"schema\":\"\\\"int\\\"\"},\"frozen\":true}"), 40908);
    cr_assert_eq(put("{\"lifecycle\":\"WEAK\"}"), 40908);
    cr_assert_eq(code("delete-associations", "r1", NULL, NULL), 40908);
    cr_assert_eq(code("delete-subject", ":.ns:t-key", NULL, NULL), 40904);
    cr_assert_eq(code("delete-version", ":.ns:t-key/1", NULL, NULL), 40905);
    cr_assert_eq(code("delete-associations", "r1", "cascadeLifecycle=true", NULL), 204);
    desk_ask(&desk, "list-subjects", NULL, "deleted=true", NULL);
    cr_assert_str_eq(desk.answer, "[]", "a strong association takes its subject along: %s", desk.answer);
    cr_assert_eq(code("delete-associations", "r1", "cascadeLifecycle=true", NULL), 40410);
}

Test(associations, a_subject_is_not_mistaken_for_what_it_became_an_alias_of)
{
    desk_register(&desk, ":.ns:orders", "\"int\"");
    cr_assert_eq(create("{" WITH_SCHEMA "}"), 200);
    desk_ask(&desk, "put-subject-config", ":.ns:t-value", NULL, "{\"alias\":\"orders\"}");
    cr_assert_eq(code("delete-associations", "r1", "cascadeLifecycle=true", NULL), 204, "%s", desk.answer);
    desk_ask(&desk, "list-subjects", NULL, "deleted=true", NULL);
    cr_assert_str_eq(desk.answer, "[\":.ns:orders\"]");
}

Test(associations, a_schema_is_found_again_in_the_form_it_was_registered_in)
{
    static const char list[] =
        "{\"normalize\":true,\"schema\":{\"schemaType\":\"JSON\",\"schema\":"
        "\"{\\\"type\\\": \\\"object\\\", \\\"additionalProperties\\\": false, \\\"title\\\": \\\"a\\\"}\"}}";
    cr_assert_eq(create(list), 200, "%s", desk.answer);
    cr_assert(has("\"schema\":{\"subject\":\":.ns:t-value\",\"version\":1"), "%s", desk.answer);
    size_t records = desk.log.len;
    cr_assert_eq(create(list), 200, "%s", desk.answer);
    cr_assert_eq(desk.log.len, records);
}

Test(associations, a_put_changes_the_lifecycle_and_nothing_else)
{
    desk_register(&desk, "s", "\"int\"");
    desk_register(&desk, "other", "\"int\"");
    cr_assert_eq(put("{\"subject\":\"s\"}"), 200);
    cr_assert_eq(put("{\"subject\":\"s\",\"lifecycle\":\"STRONG\"}"), 200);
    cr_assert(has("\"lifecycle\":\"STRONG\""));
    cr_assert_eq(put("{\"subject\":\"s\"}"), 200, "what is not said stays");
    cr_assert(has("\"lifecycle\":\"STRONG\""));
    cr_assert_eq(put("{\"subject\":\"other\"}"), 42212);
    cr_assert_eq(put("{\"subject\":\"s\",\"frozen\":true}"), 42212);
    cr_assert_eq(create("{\"subject\":\"s\",\"lifecycle\":\"WEAK\"}"), 40903);
    cr_assert_eq(code("put-association", "r2", NULL, body("{\"subject\":\"s\"}")), 42212, "ids differ");
}

Test(associations, a_resource_has_one_name)
{
    static const char other[] =
        "{\"resourceName\":\"%s\",\"resourceNamespace\":\"%s\",\"associations\":[{\"subject\":\"s\","
        "\"associationType\":\"%s\",\"lifecycle\":\"STRONG\"}]}";
    static const char *const others[][3] = {
        {"u", "ns", "value"}, {"t", "other", "value"}, {"u", "ns", "key"}};
    desk_register(&desk, "s", "\"int\"");
    cr_assert_eq(put("{\"subject\":\"s\"}"), 200);
    size_t records = desk.log.len;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char text[512];
        snprintf(text, sizeof text, other, others[i][0], others[i][1], others[i][2]);
        cr_assert_eq(code("put-association", "r1", NULL, text), 40903, "%s: %s", text, desk.answer);
    }
    cr_assert_eq(desk.log.len, records);
    cr_assert_eq(put("{\"subject\":\"s\",\"lifecycle\":\"STRONG\"}"), 200);
    desk_ask(&desk, "resource-associations", "r1", NULL, NULL);
    cr_assert(has("STRONG") && !has("WEAK"), "%s", desk.answer);
}

Test(associations, a_name_has_one_resource)
{
    static const char *const others[] = {"\"resourceId\":\"r2\",", ""};
    desk_register(&desk, "s", "\"int\"");
    cr_assert_eq(create("{\"subject\":\"s\"}"), 200);
    size_t records = desk.log.len;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char text[512];
        snprintf(
            text, sizeof text,
            "{%s\"resourceName\":\"t\",\"resourceNamespace\":\"ns\",\"associations\":[{\"subject\":\"s\"}]}",
            others[i]);
        cr_expect_neq(code("create-association", NULL, NULL, text), 200, "%s: %s", text, desk.answer);
    }
    cr_expect_eq(
        code("put-association", "r2", NULL,
             "{\"resourceName\":\"t\",\"resourceNamespace\":\"ns\",\"associations\":[{\"subject\":\"s\"}]}"),
        40903, "%s", desk.answer);
    cr_expect_eq(desk.log.len, records);
    desk_ask(&desk, "resource-associations", "r1", NULL, NULL);
    cr_expect(has("\"subject\":\"s\""), "%s", desk.answer);
}

// Its key has no subject, nor has the tombstone that ends it.
Test(associations, one_of_an_older_registry_can_be_changed_and_ended)
{
    static const char key[] = "{\"keytype\":\"ASSOC\",\"tenant\":\"default\",\"resourceName\":\"t\","
                              "\"resourceNamespace\":\"ns\",\"resourceType\":\"topic\",\"associationType\":"
                              "\"value\",\"magic\":0}";
    desk_register(&desk, "s", "\"int\"");
    cr_assert_eq(desk_apply(&desk, key,
                            "{\"subject\":\"s\",\"guid\":\"g\",\"tenant\":\"default\",\"resourceName\":\"t\","
                            "\"resourceNamespace\":\"ns\",\"resourceId\":\"r1\",\"resourceType\":\"topic\","
                            "\"associationType\":\"value\",\"lifecycle\":\"WEAK\",\"frozen\":false}"),
                 ST_OK);
    cr_assert_eq(put("{\"subject\":\"s\",\"lifecycle\":\"STRONG\"}"), 200, "%s", desk.answer);
    cr_expect(strstr(desk_record(&desk, key), "STRONG") != NULL, "under its own key");
    cr_expect_eq(code("delete-associations", "r1", NULL, NULL), 204, "%s", desk.answer);
    desk_ask(&desk, "resource-associations", "r1", NULL, NULL);
    cr_expect(!has("\"subject\""), "%s", desk.answer);
}

Test(associations, a_strong_one_is_alone)
{
    desk_register(&desk, "s", "\"int\"");
    cr_assert_eq(put("{\"subject\":\"s\"},{\"subject\":\"s\",\"associationType\":\"key\"}"), 200);
    cr_assert_eq(put("{\"subject\":\"s\",\"lifecycle\":\"STRONG\"}"), 40904);
    cr_assert_eq(code("delete-associations", "r1", "associationType=key", NULL), 204);
    cr_assert_eq(put("{\"subject\":\"s\",\"lifecycle\":\"STRONG\"}"), 200);
    cr_assert_eq(put("{\"subject\":\"s\",\"associationType\":\"key\"}"), 40905);
}

Test(associations, what_is_wrong_is_told_by_property)
{
    static const char *const wrong[] = {
        "",
        "3",
        "{\"associationType\":\"header\"}",
        "{\"lifecycle\":\"FOREVER\"}",
        "{\"lifecycle\":\"WEAK\"," WITH_SCHEMA "}",
        "{\"frozen\":true}",
        "{\"frozen\":false," WITH_SCHEMA "}",
        "{\"subject\":\"mine\"," WITH_SCHEMA "}",
        "{" WITH_SCHEMA "},{" WITH_SCHEMA "}",
        "{\"subject\":\"\"}",
        "{\"schema\":3}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_eq(create(wrong[i]), 42212, "%s: %s", wrong[i], desk.answer);
    cr_assert_eq(code("create-association", NULL, NULL, "{\"associations\":[{}]}"), 42212);
    cr_assert_eq(code("create-association", NULL, NULL, "[]"), 400);
    cr_assert_eq(create("{\"schema\":{\"schema\":\"no schema\"}}"), 42201);
    cr_assert_eq(desk.log.len, 0, "nothing was written");
}

Test(associations, schemas_must_fit_before_any_is_registered)
{
    desk_register(&desk, ":.ns:t-key", "\"int\"");
    cr_assert_eq(put("{" WITH_SCHEMA "},{\"associationType\":\"key\"," WITH_SCHEMA "}"), 40901);
    desk_ask(&desk, "list-subjects", NULL, NULL, NULL);
    cr_assert_str_eq(desk.answer, "[\":.ns:t-key\"]");
}

Test(associations, a_dry_run_writes_nothing)
{
    cr_assert_eq(code("create-association", NULL, "dryRun=true",
                      "{\"resourceName\":\"t\",\"resourceNamespace\":\"ns\",\"associations\":[{" WITH_SCHEMA
                      "}]}"),
                 200);
    cr_assert(has("\"associations\":[]"));
    cr_assert_eq(desk.log.len, 0);
}

Test(associations, there_is_a_limit)
{
    desk.settings.associations_max = 1;
    desk_register(&desk, "s", "\"int\"");
    cr_assert_eq(put("{\"subject\":\"s\"}"), 200);
    cr_assert_eq(put("{\"subject\":\"s\",\"associationType\":\"key\"}"), 40902);
}

Test(associations, a_batch_answers_each_request_by_itself)
{
    desk_register(&desk, "s", "\"int\"");
    static const char batch[] =
        "{\"requests\":["
        "{\"resourceName\":\"a\",\"resourceNamespace\":\"ns\",\"resourceId\":\"ra\",\"associations\":["
        "{\"opType\":\"CREATE\"," WITH_SCHEMA
        "},{\"opType\":\"UPSERT\",\"associationType\":\"key\",\"subject\":\"s\"}]},"
        "{\"resourceName\":\"b\",\"resourceNamespace\":\"ns\",\"resourceId\":\"rb\",\"associations\":["
        "{\"opType\":\"CREATE\",\"subject\":\"none\"}]},"
        "{\"resourceName\":\"a\",\"resourceNamespace\":\"ns\",\"resourceId\":\"ra\",\"associations\":["
        "{\"opType\":\"DELETE\",\"associationType\":\"key\"},{\"opType\":\"DELETE\",\"associationType\":"
        "\"key\"}]},"
        "{\"resourceName\":\"b\",\"associations\":[{\"opType\":\"JUMP\"}]},7]}";
    cr_assert_eq(code("mutate-associations", NULL, NULL, batch), 207);
    cr_assert(has("{\"results\":[{\"result\":{\"resourceName\":\"a\"") &&
                  has("{\"error\":{\"error_code\":40907") && has("{\"error\":{\"error_code\":42212"),
              "%s", desk.answer);
    cr_assert_eq(
        code("batch-get-associations", NULL, "includeSchemas=true",
             "{\"requests\":[{\"resourceId\":\"ra\"},{\"resourceName\":\"a\",\"resourceNamespace\":\"-\"},"
             "{\"resourceId\":\"none\"}]}"),
        207);
    cr_assert(has("\"schema\":{\"subject\":\":.ns:a-value\",\"version\":1") &&
                  has("{\"resourceId\":\"none\",\"resourceType\":\"topic\",\"associations\":[]}"),
              "%s", desk.answer);
    cr_assert_eq(code("batch-get-associations", NULL, NULL, "{\"requests\":[]}"), 42212);
}

Test(associations, compaction_and_another_reader_keep_them)
{
    create("{" WITH_SCHEMA "}");
    desk_register(&desk, "s", "\"int\"");
    put("{\"subject\":\"s\",\"associationType\":\"key\"}");
    code("delete-associations", "r1", "associationType=key", NULL);
    for (int compact = 0; compact < 2; compact++) {
        desk_replay(&desk, compact);
        desk_ask(&desk, "resource-associations", "r1", NULL, NULL);
        cr_assert(has(":.ns:t-value") && !has("\"key\""), "%s", desk.answer);
    }
    cr_assert_eq(
        desk_apply(
            &desk,
            "{\"keytype\":\"ASSOC\",\"tenant\":\"default\",\"resourceName\":\"x\",\"resourceNamespace\":"
            "\"n\",\"resourceType\":\"topic\",\"associationType\":\"value\",\"magic\":0}",
            "{\"subject\":\"s\",\"guid\":\"g\",\"resourceId\":\"rx\",\"lifecycle\":\"STRONG\"}"),
        ST_OK);
    desk_ask(&desk, "subject-associations", "s", "lifecycle=STRONG", NULL);
    cr_assert(has("\"resourceId\":\"rx\""), "a key of an older registry has no subject: %s", desk.answer);
    desk_ask(&desk, "list-schemas", NULL, "resourceType=topic&lifecycle=STRONG", NULL);
    cr_assert(has("\"subject\":\"s\"") && has(":.ns:t-value"));
    desk_ask(&desk, "list-schemas", NULL, "associationType=key", NULL);
    cr_assert_str_eq(desk.answer, "[]");
    cr_assert_eq(code("subject-associations", "s", "lifecycle=NONE", NULL), 404);
}

Test(associations, dear_schemas_are_read_off_the_loop_and_all_comes_out_the_same)
{
    desk.spot_max = 0;
    cr_assert_eq(create("{\"associationType\":\"key\"," WITH_SCHEMA "},{" WITH_SCHEMA "}"), 200, "%s",
                 desk.answer);
    cr_assert_gt(desk.jobs, 0);
    cr_assert(has("\"schema\":{\"subject\":\":.ns:t-value\",\"version\":1,\"id\":1,"), "%s", desk.answer);
    desk_register(&desk, ":.ns:b-value", "\"int\"");
    cr_assert_eq(
        code("mutate-associations", NULL, NULL,
             "{\"requests\":[{\"resourceName\":\"b\",\"resourceNamespace\":\"ns\",\"resourceId\":\"rb\","
             "\"associations\":[{\"opType\":\"UPSERT\"," WITH_SCHEMA "}]},"
             "{\"resourceName\":\"c\",\"resourceNamespace\":\"ns\",\"resourceId\":\"rc\","
             "\"associations\":[{\"opType\":\"CREATE\"," WITH_SCHEMA "}]}]}"),
        207);
    cr_assert(has("{\"results\":[{\"error\":{\"error_code\":40901,") &&
                  has("{\"result\":{\"resourceName\":\"c\""),
              "%s", desk.answer);
    cr_assert_eq(code("delete-associations", "r1", "cascadeLifecycle=true", NULL), 204);
}

// {"requests":[...]} with one operation on resource (id r and name) each, filled in from a list.
#define REQUEST(name, operation)                                                                             \
    "{\"resourceName\":\"" name "\",\"resourceNamespace\":\"ns\",\"resourceId\":\"r" name "\","              \
    "\"associations\":[" operation "]}"

// What the topic has of a batch whose parts come one after the other.
static char *log_of(const char *batch, size_t spot_max)
{
    desk_close(&desk);
    desk_open(&desk);
    cr_assert_eq(code("mutate-associations", NULL, NULL,
                      "{\"requests\":[" REQUEST("a", "{\"opType\":\"CREATE\"," WITH_SCHEMA "}") "]}"),
                 207);
    desk.spot_max = spot_max;
    cr_assert_eq(code("mutate-associations", NULL, NULL, batch), 207, "%s", desk.answer);
    cr_assert_eq(desk.jobs > 0, spot_max == 0);
    cr_assert_null(strstr(desk.answer, "\"error\""), "%s", desk.answer);
    return strndup((const char *)desk.log.data, desk.log.len);
}

Test(associations, no_part_of_a_batch_is_carried_out_twice)
{
    static const char batch[] = "{\"requests\":[" REQUEST(
        "a", "{\"opType\":\"DELETE\",\"cascadeLifecycle\":true},"
             "{\"opType\":\"CREATE\",\"schema\":{\"schema\":"
             "\"\\\"int\\\"\"}}") "," REQUEST("b", "{\"opType\":"
                                                   "\"CREATE\"," WITH_SCHEMA "}") "," REQUEST("c", "{\"opType"
                                                                                                   "\":"
                                                                                                   "\"UPSERT"
                                                                                                   "\","
                                                                                                   "\"schema"
                                                                                                   "\":{"
                                                                                                   "\"schema"
                                                                                                   "\":"
                                                                                                   "\"\\\"lon"
                                                                                                   "g\\\"\"}"
                                                                                                   "}") "]}";
    char *spot = log_of(batch, SIZE_MAX), *jobs = log_of(batch, 0);
    cr_assert_str_eq(jobs, spot);
    free(spot);
    free(jobs);
}

Test(associations, a_part_that_is_settled_is_not_run_again)
{
    static const char batch[] =
        "{\"requests\":[" REQUEST("a", "{\"opType\":\"CREATE\"," WITH_SCHEMA "}") "," REQUEST(
            "b", "{\"opType\":\"CREATE\",\"schema\":{\"schema\":\"\\\"int\\\"\",\"references\":[{\"name\":"
                 "\"n\",\"subject\":\":.ns:a-value\",\"version\":1}]}}") "]}";
    desk.spot_max = 0;
    cr_assert_eq(code("mutate-associations", NULL, NULL, batch), 50002, "%s", desk.answer);
    desk_ask(&desk, "list-versions", ":.ns:a-value", NULL, NULL);
    cr_assert_str_eq(desk.answer, "[1]");
    size_t records = desk.log.len;
    cr_assert_eq(code("mutate-associations", NULL, NULL, batch), 207, "%s", desk.answer);
    cr_assert(has("\"subject\":\":.ns:b-value\"") && desk.log.len > records, "%s", desk.answer);
}

Test(associations, a_key_is_not_registered_before_its_value_is_known_to_be_ready)
{
    desk_register(&desk, ":.ns:t-value", "\"int\"");
    size_t records = desk.log.len;
    desk.spot_max = 0;
    cr_assert_eq(
        put("{\"associationType\":\"key\"," WITH_SCHEMA "},{\"schema\":{\"schema\":\"\\\"long\\\"\"}}"), 200,
        "%s", desk.answer);
    char *jobs = strndup((const char *)desk.log.data + records, desk.log.len - records);
    desk_close(&desk);
    desk_open(&desk);
    desk_register(&desk, ":.ns:t-value", "\"int\"");
    put("{\"associationType\":\"key\"," WITH_SCHEMA "},{\"schema\":{\"schema\":\"\\\"long\\\"\"}}");
    desk.log.data[desk.log.len - 1] = '\0';
    jobs[strlen(jobs) - 1] = '\0';
    cr_assert_str_eq(jobs, (const char *)desk.log.data + records);
    free(jobs);
}

Test(associations, an_answer_has_so_many_and_no_more)
{
    char key[512];
    for (int i = 0; i < 5001; i++) {
        snprintf(
            key, sizeof key,
            "{\"keytype\":\"ASSOC\",\"tenant\":\"default\",\"resourceName\":\"x\",\"resourceNamespace\":"
            "\"n\",\"resourceType\":\"topic\",\"associationType\":\"value\",\"subject\":\"s%d\",\"magic\":0}",
            i);
        cr_assert_eq(desk_apply(&desk, key, "{\"guid\":\"g\",\"resourceId\":\"rx\"}"), ST_OK);
    }
    cr_assert_eq(code("batch-get-associations", NULL, NULL, "{\"requests\":[{\"resourceId\":\"rx\"}]}"), 207);
    cr_assert_eq(code("batch-get-associations", NULL, NULL,
                      "{\"requests\":[{\"resourceId\":\"rx\"},{\"resourceName\":\"x\"}]}"),
                 50001);
}
