// SPDX-License-Identifier: Apache-2.0
// Tags of Protobuf schemas: options of confluent/meta.proto, found, added, taken away, kept.
#include "desk.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct desk desk;
static char text[1 << 16];

static void setup(void)
{
    desk_open(&desk);
}
static void teardown(void)
{
    desk_close(&desk);
}
TestSuite(tags_protobuf, .init = setup, .fini = teardown);

static bool has(const char *part)
{
    return strstr(desk.answer, part) != NULL;
}

#define P3   "syntax = \"proto3\";\n"
#define META "\nimport \"confluent/meta.proto\";\n"
// Entities as a list of SchemaTags. Of each ("F .T.a X Y" a field, "M .T X" a message): its path and tags;
// ";" between them.
static cJSON *parts(const char *entities)
{
    cJSON *list = cJSON_CreateArray(), *tags = NULL;
    char *copy = strdup(entities), *next = copy;
    for (char *word; (word = strsep(&next, " ;")) != NULL;)
        if (strcmp(word, "F") == 0 || strcmp(word, "M") == 0) {
            cJSON *one = cJSON_CreateObject(), *entity = cJSON_AddObjectToObject(one, "schemaEntity");
            cJSON_AddStringToObject(entity, "entityPath", strsep(&next, " "));
            cJSON_AddStringToObject(entity, "entityType", *word == 'F' ? "SR_FIELD" : "SR_RECORD");
            tags = cJSON_AddArrayToObject(one, "tags");
            cJSON_AddItemToArray(list, one);
        } else if (*word != '\0') {
            cJSON_AddItemToArray(tags, cJSON_CreateString(word));
        }
    free(copy);
    return list;
}

static int ask(const char *operation, const char *where, cJSON *body)
{
    char *printed = cJSON_PrintUnformatted(body);
    desk_ask(&desk, operation, where, NULL, printed);
    cJSON_free(printed);
    cJSON_Delete(body);
    return desk.code;
}

static cJSON *body_of(const char *schema)
{
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "schemaType", "PROTOBUF");
    cJSON_AddStringToObject(body, "schema", schema);
    return body;
}

static int put(const char *schema)
{
    return ask("register", "p", body_of(schema));
}

// NULL: none.
static int tag(const char *add, const char *remove)
{
    cJSON *body = cJSON_CreateObject();
    if (add != NULL)
        cJSON_AddItemToObject(body, "tagsToAdd", parts(add));
    if (remove != NULL)
        cJSON_AddItemToObject(body, "tagsToRemove", parts(remove));
    return ask("tag-version", "p/latest", body);
}

static const char *latest(void)
{
    desk_ask(&desk, "get-version-schema", "p/latest", NULL, NULL);
    snprintf(text, sizeof text, "%s", desk.answer);
    return text;
}

// Entities of the latest version with one of the tags, as parts() takes them.
static const char *tagged(const char *tags)
{
    char query[100];
    snprintf(query, sizeof query, "findTags=%s", tags);
    cJSON *answer = cJSON_Parse(desk_ask(&desk, "get-version", "p/latest", query, NULL)), *one;
    cJSON *list = cJSON_GetObjectItem(answer, "schemaTags");
    cr_assert(cJSON_IsArray(list), "%s", desk.answer);
    text[0] = '\0';
    cJSON_ArrayForEach(one, list)
    {
        const cJSON *entity = cJSON_GetObjectItem(one, "schemaEntity"), *tag;
        const char *type = cJSON_GetObjectItem(entity, "entityType")->valuestring;
        sprintf(text + strlen(text), "%s%s %s", text[0] != '\0' ? ";" : "",
                strcmp(type, "SR_FIELD") == 0 ? "F" : "M",
                cJSON_GetObjectItem(entity, "entityPath")->valuestring);
        cJSON_ArrayForEach(tag, cJSON_GetObjectItem(one, "tags"))
            sprintf(text + strlen(text), " %s", tag->valuestring);
    }
    cJSON_Delete(answer);
    return text;
}

static const char schema[] =
    P3 "package io.confluent.x;\n" META "\noption (confluent.file_meta).tags = \"FILE\";\n"
       "\nmessage R {\n  option (confluent.message_meta).tags = \"OTHER\";\n\n"
       "  int32 a = 1 [\n    (confluent.field_meta).tags = \"OTHER\",\n    deprecated = true,\n"
       "    (confluent.field_meta).tags = \"PRIVATE\"\n  ];\n"
       "  map<string, N> b = 2 [(confluent.field_meta) = {\n    doc: \"d\",\n    tags: [ \"PRIVATE\" ],\n    "
       "params: [\n"
       "      { key: \"k\" value: \"v\" }\n    ]\n  }];\n  optional N c = 3;\n\n"
       "  oneof o {\n    string d = 4;\n    string e = 5;\n  }\n\n  message N {\n    int64 f = 4;\n  }\n"
       "  enum K {\n    option (confluent.enum_meta).tags = \"ENUM\";\n    Z = 0;\n  }\n}\n";

// What Confluent's ProtobufSchemaTest expects, but for "deprecated", whose place it does not keep.
Test(tags_protobuf, tags_become_one_option_with_braces)
{
    static const char wanted[] =
        P3 "package io.confluent.x;\n" META "\noption (confluent.file_meta).tags = \"FILE\";\n"
           "\nmessage R {\n  option (confluent.message_meta) = {\n    tags: [\n      \"OTHER\",\n"
           "      \"PII\"\n    ]\n  };\n\n"
           "  int32 a = 1 [\n    (confluent.field_meta) = {\n      tags: [\n        \"OTHER\",\n"
           "        \"PRIVATE\",\n        \"PII\"\n      ]\n    },\n    deprecated = true\n  ];\n"
           "  map<string, N> b = 2 [(confluent.field_meta) = {\n    doc: \"d\",\n    tags: [\n"
           "      \"PRIVATE\",\n      \"PII\"\n    ],\n    params: [\n      {\n        key: \"k\",\n"
           "        value: \"v\"\n      }\n    ]\n  }];\n"
           "  optional N c = 3 [(confluent.field_meta) = {\n    tags: [\n      \"PII\"\n    ]\n  }];\n\n"
           "  oneof o {\n    string d = 4 [(confluent.field_meta) = {\n      tags: [\n        \"PII\"\n"
           "      ]\n    }];\n    string e = 5 [(confluent.field_meta) = {\n      tags: [\n"
           "        \"\\\"Iä\"\n      ]\n    }];\n  }\n\n"
           "  message N {\n    option (confluent.message_meta) = {\n      tags: [\n        \"PII\"\n"
           "      ]\n    };\n  \n    int64 f = 4 [(confluent.field_meta) = {\n      tags: [\n"
           "        \"PII\"\n      ]\n    }];\n  }\n"
           "  enum K {\n    option (confluent.enum_meta).tags = \"ENUM\";\n    Z = 0;\n  }\n}\n";
    cr_assert_eq(put(schema), 200, "%s", desk.answer);
    tag("F .R.a PII;F R.b PII PRIVATE;F .R.c PII;F .R.o.d PII;F .R.e \"Iä;F .R.N.f PII;M .R PII;M .R.N PII",
        NULL);
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    cr_assert_str_eq(latest(), wanted);
}

Test(tags_protobuf, what_has_no_tags_left_has_no_option)
{
    cr_assert_eq(put(schema), 200, "%s", desk.answer);
    tag(NULL, "F .R.a OTHER PRIVATE;F .R.b PRIVATE;F .R.c PII;M R OTHER NONE");
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    latest();
    cr_expect_not_null(strstr(text, "message R {\n  int32 a = 1 [deprecated = true];\n"), "%s", text);
    cr_expect_not_null(strstr(text, "b = 2 [(confluent.field_meta) = {\n    doc: \"d\",\n    params: [\n"),
                       "%s", text);
    cr_expect_not_null(strstr(text, "optional N c = 3;"), "%s", text);
}

Test(tags_protobuf, an_entity_has_the_path_of_its_names)
{
    cr_assert_eq(put(schema), 200, "%s", desk.answer);
    cr_expect_str_eq(tagged("*"), "M .R OTHER;F .R.a OTHER PRIVATE;F .R.b PRIVATE");
    cr_expect_str_eq(tagged("NONE&findTags=PRIVATE"), "F .R.a OTHER PRIVATE;F .R.b PRIVATE");
    cr_assert_eq(tag("F .R.d A;F .R.o.d B", NULL), 200, "%s", desk.answer);
    cr_expect_str_eq(tagged("B"), "F .R.d A B");
}

static void refused(const char *entities)
{
    tag(entities, NULL);
    cr_expect(has("42201"), "%s: %s", entities, desk.answer);
    tag(NULL, entities);
    cr_expect(has("42201"), "%s: %s", entities, desk.answer);
}

Test(tags_protobuf, what_is_no_entity_is_refused)
{
    static const char *const none[] = {"F R T",   "F R.x.d T",  "F R.none T",   "M None T",
                                       "M ..R T", "M .R.d T",   "M R.BEntry T", "F R.K.Z T",
                                       "M R.K T", "F R._c.c T", "F R.o T",      "F R.a T;F R.z T"};
    cr_assert_eq(put(schema), 200, "%s", desk.answer);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        refused(none[i]);
    cr_expect_str_eq(desk_ask(&desk, "list-versions", "p", NULL, NULL), "[1]");
}

// Nor have they to Confluent's registry.
Test(tags_protobuf, groups_and_extensions_have_no_tags)
{
    static const char *const none[] = {"F T.g T", "F T.G.a T", "M T.G T", "F H.c T", "F e T", "F T.e T"};
    put("message T { optional group G = 1 { optional int32 a = 2; } extensions 5 to 9; optional int32 b = 3;"
        "message N {} } extend T { optional group H = 5 { optional int32 c = 1; } optional int32 e = 6; }");
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        refused(none[i]);
    cr_expect_eq(tag("F T.b T;M T.N T", NULL), 200, "%s", desk.answer);
    cr_expect_str_eq(tagged("T"), "F .T.b T;M .T.N T");
}

static int put_tagged(const char *schema_text, const char *add)
{
    cJSON *body = body_of(schema_text);
    cJSON_AddItemToObject(body, "schemaTagsToAdd", parts(add));
    return ask("register", "p", body);
}

// Confluent's registry adds no import, and takes the text all the same.
Test(tags_protobuf, a_registration_may_bring_them)
{
    cr_assert_eq(put_tagged(P3 "message T { int32 a = 1; }", "F T.a X"), 200, "%s", desk.answer);
    cr_expect_str_eq(latest(),
                     P3 "\nmessage T {\n  int32 a = 1 [(confluent.field_meta) = {\n    tags: [\n      \"X\"\n"
                        "    ]\n  }];\n}\n");
    put_tagged(P3 "message T { int32 a = }", "F T.a X");
    cr_expect(has("42201") && has("2:23: Expected field number."), "%s", desk.answer);
}

#define OTHERS(more)                                                                                         \
    P3 META "message T { int32 a = 1 [(.confluent.field_meta) = { " more "doc: 'x' 'y' # tags: 'no'\n }];"   \
            "int32 b = 2 [(confluent.field_meta).params = { key: 'k', value: 'tags' },"                      \
            " (confluent.field_meta).doc = 'd'];"                                                            \
            "int32 c = 3 [(confluent.field_meta) = { tags: 'A' 'B' tags: ['C', 'A\\x42'] }]; }"

Test(tags_protobuf, other_ways_of_writing_are_understood)
{
    put(OTHERS("tags < >, "));
    cr_expect(has("42201"), "tags is no message: %s", desk.answer);
    cr_assert_eq(put(OTHERS("")), 200, "%s", desk.answer);
    cr_expect_str_eq(tagged("*"), "F .T.c AB C");
    tag("F T.a X;F T.b X;F T.c X", NULL);
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    latest();
    cr_expect_not_null(strstr(text, "(.confluent.field_meta) = {\n    doc: \"xy\",\n    tags: [\n"
                                    "      \"X\"\n    ]\n  }];"),
                       "%s", text);
    cr_expect_not_null(strstr(text, "(confluent.field_meta) = {\n    params: {\n      key: \"k\",\n"
                                    "      value: \"tags\"\n    },\n    doc: \"d\",\n    tags: [\n"
                                    "      \"X\"\n    ]\n  }];"),
                       "%s", text);
    cr_expect_str_eq(tagged("C"), "F .T.c AB C X");
}

Test(tags_protobuf, a_tag_that_is_no_text_is_kept_and_not_told)
{
    put(P3 META "message T { int32 a = 1 [(confluent.field_meta).tags = '\\xff']; }");
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    cr_expect_str_eq(tagged("*"), "");
    cr_assert_eq(tag("F T.a X", NULL), 200, "%s", desk.answer);
    cr_expect_not_null(strstr(latest(), "tags: [\n      \"\\377\",\n      \"X\"\n"), "%s", text);
}

static int put_keeping(const char *schema_text, bool referring)
{
    cJSON *body = body_of(schema_text);
    cJSON_AddTrueToObject(body, "propagateSchemaTags");
    if (referring)
        cJSON_AddItemToObject(body, "references",
                              cJSON_Parse("[{\"name\":\"o.proto\",\"subject\":\"o\",\"version\":1}]"));
    return ask("register", "p", body);
}

Test(tags_protobuf, a_registration_may_keep_those_of_the_latest)
{
    cr_assert_eq(put(schema), 200, "%s", desk.answer);
    desk_ask(&desk, "put-subject-config", "p", NULL, "{\"compatibility\":\"NONE\"}");
    cr_assert_eq(put_keeping(latest(), false), 200, "the text that the tags are of: %s", desk.answer);
    put_keeping(
        P3 "package io.confluent.x; message R { int32 a = 1; map<string, N> b = 2; message N { int64 f = "
           "4; } }",
        false);
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    cr_expect_str_eq(tagged("*"), "M .R OTHER;F .R.a OTHER PRIVATE;F .R.b PRIVATE");
    put_keeping(P3 "package io.confluent.x; message R { int32 z = 1; }", false);
    cr_expect_str_eq(tagged("*"), "M .R OTHER");
    desk_ask(&desk, "list-versions", "p", NULL, NULL);
    cr_expect(strcmp(desk.answer, "[1,2,3,4]") == 0, "%s", desk.answer);
}

Test(tags_protobuf, tags_are_no_matter_of_compatibility)
{
    cr_assert_eq(put(schema), 200, "%s", desk.answer);
    desk_ask(&desk, "put-subject-config", "p", NULL, "{\"compatibility\":\"FULL_TRANSITIVE\"}");
    cr_assert_eq(tag("F R.N.f X", NULL), 200, "%s", desk.answer);
    cr_assert_eq(tag(NULL, "F R.a OTHER"), 200, "%s", desk.answer);
    cr_expect_str_eq(desk_ask(&desk, "list-versions", "p", NULL, NULL), "[1,2,3]");
}

Test(tags_protobuf, a_schema_with_a_reference_is_tagged_in_a_job)
{
    ask("register", "o", body_of(P3 "message O { int32 x = 1; }"));
    put_keeping(P3 "import \"o.proto\"; message T { O o = 1; }", true);
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    desk.spot_max = 0;
    cr_assert_eq(tag("F T.o X", NULL), 200, "%s", desk.answer);
    cr_expect_gt(desk.jobs, 0);
    cr_expect_str_eq(tagged("X"), "F .T.o X");
    put_keeping(P3 "import \"o.proto\"; message T { O o = 1; int32 b = 2; }", true);
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    cr_expect_str_eq(tagged("X"), "F .T.o X");
}

Test(tags_protobuf, many_fields_and_many_entities_are_no_matter, .timeout = 60)
{
    enum { FIELDS = 15000, ENTITIES = 1000, ROOM = 4 << 20 };
    char *big = malloc(ROOM), *add = malloc(ROOM);
    int at = snprintf(big, ROOM, P3 "message R {"), end = 0;
    for (int i = 0; i < FIELDS; i++)
        at += snprintf(big + at, (size_t)(ROOM - at), "int32 f%d = %d;", i, i < 10000 ? i + 1 : i + 20001);
    snprintf(big + at, (size_t)(ROOM - at), "}");
    cr_assert_eq(put(big), 200, "%.300s", desk.answer);
    for (int i = 0; i < ENTITIES; i++)
        end += snprintf(add + end, (size_t)(ROOM - end), "%sF R.f%d T", i > 0 ? ";" : "", FIELDS - 1 - i);
    clock_t began = clock();
    cr_assert_eq(tag(add, NULL), 200, "%.300s", desk.answer);
    cr_expect_lt((double)(clock() - began) / CLOCKS_PER_SEC, 5);
    free(big);
    free(add);
}

// A oneof's name is in the path of each of its members.
Test(tags_protobuf, paths_have_a_limit, .timeout = 60)
{
    enum { NAME = 200000, FIELDS = 100, ROOM = 1 << 20 };
    char *big = malloc(ROOM);
    int at = snprintf(big, ROOM, P3 "message R { oneof %0*d {", NAME, 0);
    memset(big + at - NAME - 2, 'a', NAME);
    for (int i = 1; i <= FIELDS; i++)
        at += snprintf(big + at, (size_t)(ROOM - at), "int32 f%d = %d;", i, i);
    snprintf(big + at, (size_t)(ROOM - at), "} }");
    cr_assert_eq(put(big), 200, "%.300s", desk.answer);
    tag("F R.f1 X", NULL);
    cr_expect(has("42209") && has("too many names"), "%.300s", desk.answer);
    free(big);
}

// As Confluent's registry answers format=serialized for a text without the import: option 1088 of the field,
// which no file of the descriptor's defines.
Test(tags_protobuf, a_descriptor_brings_its_tags)
{
    cr_assert_eq(put("Cgd4LnByb3RvIhYKAVQSEQoBYRgBIAEoBUIGgkQDGgFYYgZwcm90bzM="), 200, "%s", desk.answer);
    cr_expect_str_eq(tagged("*"), "F .T.a X", "%s", latest());
}
