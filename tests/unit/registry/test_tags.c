// SPDX-License-Identifier: Apache-2.0
// Tags inside of Avro schemas: found, added, taken away.
#include "desk.h"

#include <criterion/criterion.h>
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
