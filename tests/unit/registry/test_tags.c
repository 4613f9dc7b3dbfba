// SPDX-License-Identifier: Apache-2.0
// Tags inside of Avro and JSON schemas: found, added, taken away.
#include "desk.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct desk desk;

static void setup(void)
{
    desk_open(&desk);
}
static void teardown(void)
{
    desk_close(&desk);
}
TestSuite(tags, .init = setup, .fini = teardown);

static bool has(const char *text)
{
    return strstr(desk.answer, text) != NULL;
}

static const char schema[] =
    "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"n\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},"
    "{\"name\":\"in\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"b\","
    "\"type\":"
    "\"string\",\"confluent:tags\":[\"OLD\"]}]}]}]}";

#define ENTITY(path, type)                                                                                   \
    "{\"schemaEntity\":{\"entityPath\":\"" path "\",\"entityType\":\"" type "\"},\"tags\":"

Test(tags, a_tag_makes_a_version)
{
    desk_register(&desk, "s", schema);
    desk_ask(&desk, "tag-version", "s/1", NULL,
             "{\"tagsToAdd\":[" ENTITY("n.R.a", "SR_FIELD") "[\"PII\",\"X\"]}," ENTITY(
                 ".n.R", "SR_RECORD") "[\"T\"]}],"
                                      "\"tagsToRemove\":[" ENTITY(
                                          "n.S.b", "SR_FIELD") "[\"OLD\"]}],\"newVersion\":2}");
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    desk_ask(&desk, "get-version", "s/2", "findTags=PII", NULL);
    cr_assert(has("\"schemaTags\":[" ENTITY("n.R.a", "SR_FIELD") "[\"PII\",\"X\"]}]}"), "%s", desk.answer);
    cr_assert(!has("OLD") && has("\"confluent:version\":\"2\""));
    desk_ask(&desk, "get-version", "s/1", "findTags=*", NULL);
    cr_assert(has("\"schemaTags\":[" ENTITY("n.S.b", "SR_FIELD") "[\"OLD\"]}]}"), "%s", desk.answer);
    desk_ask(&desk, "get-schema", "1", "findTags=NONE", NULL);
    cr_assert(has("\"schemaTags\":[]}"));
}

// As Confluent's: what is added and taken away at once is not there.
Test(tags, what_is_taken_away_goes_last)
{
    desk_register(&desk, "s", schema);
    desk_ask(&desk, "tag-version", "s/1", NULL,
             "{\"tagsToAdd\":[" ENTITY("n.S.b", "SR_FIELD") "[\"NEW\",\"OLD\"]}],\"tagsToRemove\":[" ENTITY(
                 "n.S.b", "SR_FIELD") "[\"OLD\",\"NEW\"]}]}");
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    desk_ask(&desk, "get-version", "s/2", NULL, NULL);
    cr_expect(!has("confluent:tags"), "%s", desk.answer);
}

Test(tags, an_entity_without_tags_is_not_listed)
{
    desk_register(
        &desk, "s",
        "{\"type\":\"record\",\"name\":\"R\",\"confluent:tags\":[],\"fields\":[{\"name\":\"a\",\"type\":"
        "\"int\",\"confluent:tags\":[\"T\"]}]}");
    desk_ask(&desk, "get-version", "s/1", "findTags=*", NULL);
    cr_expect(has("\"schemaTags\":[" ENTITY("R.a", "SR_FIELD") "[\"T\"]}]}"), "%s", desk.answer);
}

Test(tags, an_alias_is_followed_once)
{
    desk_register(&desk, "t", schema);
    desk_register(&desk, "u", "\"int\"");
    desk_ask(&desk, "put-subject-config", "s", NULL, "{\"alias\":\"t\"}");
    desk_ask(&desk, "put-subject-config", "t", NULL, "{\"alias\":\"u\",\"compatibility\":\"NONE\"}");
    desk_ask(&desk, "put-subject-config", "u", NULL, "{\"compatibility\":\"NONE\"}");
    desk_ask(&desk, "tag-version", "s/1", NULL, "{\"tagsToAdd\":[" ENTITY("n.R", "SR_RECORD") "[\"T\"]}]}");
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    cr_assert_str_eq(desk_ask(&desk, "list-versions", "s", NULL, NULL), "[1,2]");
    cr_assert_str_eq(desk_ask(&desk, "list-versions", "u", NULL, NULL), "[1]");
}

Test(tags, a_registration_may_bring_them)
{
    desk_ask(&desk, "register", "s", NULL,
             "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"R\\\",\\\"fields\\\":[]}\","
             "\"schemaTagsToAdd\":[" ENTITY("R", "SR_RECORD") "[\"T\"]}]}");
    cr_assert(desk.code == 200 && has("confluent:tags"), "%s", desk.answer);
}

Test(tags, what_cannot_be_tagged_is_refused)
{
    desk_register(&desk, "s", schema);
    desk_register(&desk, "big",
                  "{\"type\":\"record\",\"name\":\"B\",\"fields\":[{\"name\":\"a\",\"type\":\"long\","
                  "\"default\":9007199254740993}]}");
    desk_ask(&desk, "tag-version", "s/1", NULL,
             "{\"tagsToAdd\":[" ENTITY("n.R.none", "SR_FIELD") "[\"T\"]}]}");
    cr_assert(has("42201"));
    desk_ask(&desk, "tag-version", "s/1", NULL, "{\"tagsToAdd\":[{\"tags\":[\"T\"]}]}");
    cr_assert_eq(desk.code, 422);
    desk_ask(&desk, "tag-version", "s/9", NULL, "{}");
    cr_assert(has("40402"));
    desk_ask(&desk, "tag-version", "big/1", NULL, "{\"tagsToAdd\":[" ENTITY("B", "SR_RECORD") "[\"T\"]}]}");
    cr_assert(has("42201"), "a number that would be changed: %s", desk.answer);
}

// The loop is not held for the product of the two: before, 32,000 fields took seconds.
Test(tags, many_fields_and_many_entities_are_no_matter)
{
    enum { FIELDS = 20000, ENTITIES = 1000, ROOM = 4 << 20 };
    char *text = malloc(ROOM), *body = malloc(ROOM);
    int at = snprintf(text, ROOM, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[");
    for (int i = 0; i < FIELDS; i++)
        at += snprintf(text + at, (size_t)(ROOM - at), "%s{\"name\":\"f%d\",\"type\":\"int\"}",
                       i > 0 ? "," : "", i);
    snprintf(text + at, (size_t)(ROOM - at), "]}");
    cr_assert_gt(desk_register(&desk, "s", text), 0);
    at = snprintf(body, ROOM, "{\"tagsToAdd\":[");
    for (int i = 0; i < ENTITIES; i++)
        at += snprintf(body + at, (size_t)(ROOM - at), "%s" ENTITY("R.f%d", "SR_FIELD") "[\"T\"]}",
                       i > 0 ? "," : "", FIELDS - 1 - i);
    snprintf(body + at, (size_t)(ROOM - at), "]}");
    clock_t began = clock();
    desk_ask(&desk, "tag-version", "s/1", NULL, body);
    cr_expect_lt((double)(clock() - began) / CLOCKS_PER_SEC, 1.5);
    cr_assert_eq(desk.code, 200, "%.300s", desk.answer);
    cr_expect(strstr(desk_ask(&desk, "get-version", "s/2", NULL, NULL), "confluent:tags") != NULL);
    free(text);
    free(body);
}

Test(tags, a_request_has_a_limit_of_tags)
{
    enum { ENTITIES = 11, TAGS = 1000, ROOM = 1 << 20 };
    char *body = malloc(ROOM);
    int at = snprintf(body, ROOM, "{\"tagsToAdd\":[");
    desk_register(&desk, "s", schema);
    for (int i = 0; i < ENTITIES; i++) {
        at += snprintf(body + at, (size_t)(ROOM - at), "%s" ENTITY("n.R", "SR_RECORD") "[", i > 0 ? "," : "");
        for (int t = 0; t < TAGS; t++)
            at += snprintf(body + at, (size_t)(ROOM - at), "%s\"T%d\"", t > 0 ? "," : "", t);
        at += snprintf(body + at, (size_t)(ROOM - at), "]}");
    }
    snprintf(body + at, (size_t)(ROOM - at), "]}");
    desk_ask(&desk, "tag-version", "s/1", NULL, body);
    cr_expect_eq(desk.code, 422);
    free(body);
}

// A record "R" with `fields` fields "f0"... of `tags` tags each, on the heap.
static char *tagged_record(int fields, int tags)
{
    enum { ROOM = 1 << 20 };
    char *made = malloc(ROOM);
    int at = snprintf(made, ROOM, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[");
    for (int i = 0; i < fields; i++) {
        at += snprintf(made + at, (size_t)(ROOM - at),
                       "%s{\"name\":\"f%d\",\"type\":\"int\",\"confluent:tags\":[", i > 0 ? "," : "", i);
        for (int t = 0; t < tags; t++)
            at += snprintf(made + at, (size_t)(ROOM - at), "%s\"t%d\"", t > 0 ? "," : "", t);
        at += snprintf(made + at, (size_t)(ROOM - at), "]}");
    }
    snprintf(made + at, (size_t)(ROOM - at), "]}");
    return made;
}

// What is added is looked for among those there, one by one.
Test(tags, an_entity_with_very_many_tags_is_not_changed)
{
    char *many = tagged_record(2, 1001);
    cr_assert_gt(desk_register(&desk, "s", many), 0, "%.300s", desk.answer);
    desk_ask(&desk, "tag-version", "s/1", NULL, "{\"tagsToAdd\":[" ENTITY("R.f1", "SR_FIELD") "[\"T\"]}]}");
    cr_expect(has("42209"), "%.300s", desk.answer);
    desk_ask(&desk, "tag-version", "s/1", NULL, "{\"tagsToAdd\":[" ENTITY("R", "SR_RECORD") "[\"T\"]}]}");
    cr_expect_eq(desk.code, 200, "%.300s", desk.answer);
    free(many);
}

Test(tags, very_many_tags_are_not_passed_on)
{
    char *many = tagged_record(11, 1000);
    cr_assert_gt(desk_register(&desk, "s", many), 0, "%.300s", desk.answer);
    desk_ask(&desk, "register", "s", NULL,
             "{\"propagateSchemaTags\":true,\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":"
             "\\\"R\\\",\\\"fields\\\":[]}\"}");
    cr_expect(has("42209"), "%.300s", desk.answer);
    free(many);
}

Test(tags, a_record_without_a_name_is_refused)
{
    desk_ask(&desk, "register", "s", NULL,
             "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"fields\\\":[]}\",\"schemaTagsToAdd\":[" ENTITY(
                 "R", "SR_RECORD") "[\"T\"]}]}");
    cr_expect(has("42201"), "%s", desk.answer);
}

// ---- rules ----

#define RULE(name, type) "{\"name\":\"" name "\",\"mode\":\"WRITE\",\"type\":\"" type "\"}"
#define RULES(list)      "{\"domainRules\":[" list "]}"

static void tag_rules(const char *where, const char *body)
{
    desk_ask(&desk, "tag-version", where, NULL, body);
    cr_assert_eq(desk.code, 200, "%s: %s", body, desk.answer);
}

// Confluent's maybeModifyPreviousRuleSet: they are those of the version before the new one.
Test(tags, rules_are_merged_with_those_before_and_removed_by_name)
{
    desk_register(&desk, "s", schema);
    tag_rules("s/1", "{\"rulesToMerge\":" RULES(RULE("a", "X") "," RULE("b", "X")) "}");
    tag_rules("s/1", "{\"newVersion\":3,\"rulesToMerge\":" RULES(RULE("b", "Y")) ",\"rulesToRemove\":[\"a\","
                                                                                 "\"z\"],\"ruleSet\":" RULES(
                                                                                     RULE("c", "Z")) "}");
    desk_ask(&desk, "get-version", "s/3", NULL, NULL);
    cr_expect(has("\"type\":\"Y\"") && !has("\"name\":\"a\"") && !has("\"name\":\"c\""), "%s", desk.answer);
    tag_rules("s/1", "{\"newVersion\":4,\"rulesToRemove\":[\"b\"]}");
    desk_ask(&desk, "get-version", "s/4", NULL, NULL);
    cr_expect(!has("\"name\":\"b\""), "%s", desk.answer);
    cr_expect_str_eq(desk_ask(&desk, "list-versions", "s", NULL, NULL), "[1,2,3,4]");
    tag_rules("s/2", "{\"newVersion\":5,\"rulesToRemove\":[\"z\"]}");
    desk_ask(&desk, "get-version", "s/5", NULL, NULL);
    cr_expect(!has("\"name\":"), "not those of the version that is tagged: %s", desk.answer);
}

Test(tags, what_is_no_rule_is_not_merged)
{
    static const char *const bodies[] = {"{\"rulesToMerge\":[]}", "{\"rulesToRemove\":\"a\"}",
                                         "{\"rulesToRemove\":[1]}"};
    desk_register(&desk, "s", schema);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        desk_ask(&desk, "tag-version", "s/1", NULL, bodies[i]);
        cr_expect_eq(desk.code, 422, "%s: %s", bodies[i], desk.answer);
    }
    desk_ask(&desk, "tag-version", "s/1", NULL, "{\"rulesToMerge\":" RULES("{\"name\":\"a\"}") "}");
    cr_expect(has("42210"), "%s", desk.answer);
    cr_expect_str_eq(desk_ask(&desk, "list-versions", "s", NULL, NULL), "[1]");
}

// ---- JSON Schema ----

static const char json_schema[] =
    "{\"type\":\"object\",\"title\":\"T\",\"properties\":{\"a\":{\"type\":\"string\",\"confluent:tags\":["
    "\"OLD\"]},"
    "\"o\":{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"number\",\"multipleOf\":0.5}}},"
    "\"l\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"c\":{\"type\":\"integer\"}}}}"
    ","
    "\"n\":{\"type\":[\"object\",\"null\"],\"properties\":{\"d\":{\"type\":\"string\"}}},"
    "\"u\":{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"e\":{\"type\":\"string\"}}},{\"type\":\"null\"}"
    "]},"
    "\"r\":{\"$ref\":\"#/definitions/D\"}},"
    "\"definitions\":{\"D\":{\"type\":\"object\",\"properties\":{\"f\":{\"type\":\"string\"}}}}}";

static int register_json(const char *subject, const char *text)
{
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "schemaType", "JSON");
    cJSON_AddStringToObject(body, "schema", text);
    char *printed = cJSON_PrintUnformatted(body);
    desk_ask(&desk, "register", subject, NULL, printed);
    cJSON_free(printed);
    cJSON_Delete(body);
    return desk.code;
}

static void add_json(const char *path, const char *type)
{
    char body[512];
    snprintf(
        body, sizeof body,
        "{\"tagsToAdd\":[{\"schemaEntity\":{\"entityPath\":\"%s\",\"entityType\":\"%s\"},\"tags\":[\"T\"]}]}",
        path, type);
    desk_ask(&desk, "tag-version", "j/latest", NULL, body);
}

Test(tags, a_json_schema_is_tagged_by_path)
{
    cr_assert_eq(register_json("j", json_schema), 200, "%s", desk.answer);
    desk_ask(&desk, "get-version", "j/1", "findTags=*", NULL);
    cr_expect(has("\"schemaTags\":[" ENTITY("object.a", "SR_FIELD") "[\"OLD\"]}]}"), "%s", desk.answer);
    desk_ask(&desk, "tag-version", "j/1", NULL,
             "{\"tagsToAdd\":[" ENTITY("object", "SR_RECORD") "[\"T\"]}," ENTITY(
                 "object.o.object.b", "SR_FIELD") "[\"PII\"]}],"
                                                  "\"tagsToRemove\":[" ENTITY("object.a",
                                                                              "SR_FIELD") "[\"OLD\"]}]}");
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    desk_ask(&desk, "get-version", "j/2", "findTags=PII", NULL);
    cr_expect(has("\"schemaTags\":[" ENTITY("object.o.object.b", "SR_FIELD") "[\"PII\"]}]}"), "%s",
              desk.answer);
    desk_ask(&desk, "get-version", "j/2", "findTags=*", NULL);
    cr_expect(has("\"schemaTags\":[" ENTITY("object", "SR_RECORD") "[\"T\"]},"), "%s", desk.answer);
    cr_expect(!has("OLD"), "%s", desk.answer);
}

Test(tags, a_json_schema_has_an_entity_for_each_place)
{
    static const char *const places[] = {"object.l.array.object.c", "object.n.anyof.1.object.d",
                                         "object.u.oneof.1.object.e", "object.definitions.D.object.f"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char wanted[256];
        desk_ask(&desk, "delete-subject", "j", NULL, NULL);
        register_json("j", json_schema);
        add_json(places[i], "SR_FIELD");
        cr_expect_eq(desk.code, 200, "%s: %s", places[i], desk.answer);
        snprintf(wanted, sizeof wanted, "\"entityPath\":\"%s\",\"entityType\":\"SR_FIELD\"}", places[i]);
        desk_ask(&desk, "get-version", "j/latest", "findTags=T", NULL);
        cr_expect(has(wanted), "%s", desk.answer);
    }
}

Test(tags, a_property_is_a_record_by_its_path_and_listed_once)
{
    register_json("j", json_schema);
    add_json("object.o.object", "SR_RECORD");
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    desk_ask(&desk, "get-version", "j/2", "findTags=T", NULL);
    cr_expect(has("\"schemaTags\":[" ENTITY("object.o", "SR_FIELD") "[\"T\"]}]}"), "%s", desk.answer);
}

Test(tags, what_a_json_schema_has_not_is_refused)
{
    register_json("j", json_schema);
    add_json("object.r.object.f", "SR_FIELD"); // a "$ref" is not followed
    cr_expect(has("42201"), "%s", desk.answer);
    add_json("object.u.oneof.0.object.e", "SR_FIELD");
    cr_expect(has("42201"), "%s", desk.answer);
}

// Strings end at a NUL here: what is behind it would be lost.
Test(tags, a_json_schema_with_a_nul_is_left_alone)
{
    register_json("j", "{\"type\":\"object\",\"properties\":{\"a\":{\"const\":\"x\\u0000y\"}}}");
    add_json("object.a", "SR_FIELD");
    cr_expect(has("42201"), "%s", desk.answer);
}

Test(tags, many_properties_of_a_json_schema_are_no_matter)
{
    enum { PROPERTIES = 15000, ENTITIES = 1000, ROOM = 4 << 20 };
    char *text = malloc(ROOM), *body = malloc(ROOM);
    int at = snprintf(text, ROOM, "{\"type\":\"object\",\"properties\":{");
    for (int i = 0; i < PROPERTIES; i++)
        at +=
            snprintf(text + at, (size_t)(ROOM - at), "%s\"f%d\":{\"type\":\"object\"}", i > 0 ? "," : "", i);
    snprintf(text + at, (size_t)(ROOM - at), "}}");
    cr_assert_eq(register_json("j", text), 200, "%.300s", desk.answer);
    at = snprintf(body, ROOM, "{\"tagsToAdd\":[");
    for (int i = 0; i < ENTITIES; i++)
        at += snprintf(body + at, (size_t)(ROOM - at), "%s" ENTITY("object.f%d", "SR_FIELD") "[\"T\"]}",
                       i > 0 ? "," : "", PROPERTIES - 1 - i);
    snprintf(body + at, (size_t)(ROOM - at), "]}");
    clock_t began = clock();
    desk_ask(&desk, "tag-version", "j/1", NULL, body);
    cr_expect_lt((double)(clock() - began) / CLOCKS_PER_SEC, 1.5);
    cr_assert_eq(desk.code, 200, "%.300s", desk.answer);
    free(text);
    free(body);
}

static void propagate_json(const char *text)
{
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "schemaType", "JSON");
    cJSON_AddStringToObject(body, "schema", text);
    cJSON_AddBoolToObject(body, "propagateSchemaTags", true);
    char *printed = cJSON_PrintUnformatted(body);
    desk_ask(&desk, "register", "j", NULL, printed);
    cJSON_free(printed);
    cJSON_Delete(body);
}

Test(tags, a_registration_keeps_the_latest_tags)
{
    desk_ask(&desk, "put-subject-config", "j", NULL, "{\"compatibility\":\"NONE\"}");
    register_json(
        "j", "{\"type\":\"object\",\"confluent:tags\":[\"TABLE\"],\"properties\":{\"a\":{\"type\":\"string\","
             "\"confluent:tags\":[\"PII\"]},\"gone\":{\"confluent:tags\":[\"X\"]},"
             "\"odd\":{\"confluent:tags\":[1]}}}");
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    propagate_json(
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"confluent:tags\":[\"NEW\"]},"
        "\"odd\":{},\"b\":{}}}");
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    cr_expect(has("confluent:tags"), "what is stored is answered: %s", desk.answer);
    desk_ask(&desk, "get-version", "j/2", "findTags=*", NULL);
    cr_expect(has("\"schemaTags\":[" ENTITY("object", "SR_RECORD") "[\"TABLE\"]}," ENTITY(
                  "object.a", "SR_FIELD") "[\"NEW\",\"PII\"]}]}"),
              "%s", desk.answer);
}

Test(tags, what_has_no_tags_is_registered_as_it_is)
{
    desk_register(&desk, "s", "\"int\"");
    desk_ask(&desk, "register", "s", NULL, "{\"schema\":\"\\\"long\\\"\",\"propagateSchemaTags\":true}");
    cr_expect_str_eq(desk.answer, "{\"id\":2}");
}

Test(tags, avro_keeps_the_latest_tags_too)
{
    desk_register(&desk, "s", schema);
    desk_ask(&desk, "put-subject-config", "s", NULL, "{\"compatibility\":\"NONE\"}");
    desk_ask(&desk, "register", "s", NULL,
             "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"S\\\",\\\"namespace\\\":\\\"n\\\","
             "\\\"fields\\\":"
             "[{\\\"name\\\":\\\"b\\\",\\\"type\\\":\\\"string\\\"}]}\",\"propagateSchemaTags\":true}");
    cr_expect(desk.code == 200 && has("OLD"), "%s", desk.answer);
}
