// SPDX-License-Identifier: Apache-2.0
// Metadata and rule sets: what they may be made of, wherever they come in.
#include <criterion/criterion.h>

#include "desk.h"

#include <stdio.h>

#define RULE "{\"name\":\"r\",\"type\":\"CEL\",\"mode\":\"READ\""

static struct desk desk;

static void open_desk(void)
{
    desk_open(&desk);
}

static void close_desk(void)
{
    desk_close(&desk);
}

TestSuite(contract, .init = open_desk, .fini = close_desk);

static int registered(const char *member, const char *value)
{
    char body[1000];
    snprintf(body, sizeof body, "{\"schema\":\"\\\"int\\\"\",\"%s\":%s}", member, value);
    desk_ask(&desk, "register", "s", NULL, body);
    return desk.code;
}

static int configured(const char *member, const char *value)
{
    char body[1000];
    snprintf(body, sizeof body, "{\"%s\":%s}", member, value);
    desk_ask(&desk, "put-subject-config", "s", NULL, body);
    return desk.code;
}

Test(contract, what_is_of_another_kind_is_refused)
{
    static const char *const metadata[] = {
        "[]",
        "7",
        "{\"tags\":[]}",
        "{\"tags\":{\"a\":\"b\"}}",
        "{\"tags\":{\"a\":[{}]}}",
        "{\"properties\":[null]}",
        "{\"properties\":{\"a\":{}}}",
        "{\"properties\":{\"a\":[]}}",
        "{\"sensitive\":{}}",
        "{\"sensitive\":[null]}"};
    static const char *const rules[] = {"{\"domainRules\":{}}",
                                        "{\"enableAt\":false}",
                                        "{\"domainRules\":[" RULE ",\"doc\":{}}]}",
                                        "{\"domainRules\":[" RULE ",\"tags\":{}}]}",
                                        "{\"domainRules\":[" RULE ",\"params\":{\"a\":[]}}]}",
                                        "{\"domainRules\":[" RULE ",\"disabled\":\"no\"}]}"};
    for (size_t i = 0; i < sizeof metadata / sizeof *metadata; i++) {
        cr_expect_eq(registered("metadata", metadata[i]), 422, "%s: %s", metadata[i], desk.answer);
        cr_expect_eq(configured("defaultMetadata", metadata[i]), 422, "%s: %s", metadata[i], desk.answer);
    }
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        cr_expect_eq(registered("ruleSet", rules[i]), 422, "%s: %s", rules[i], desk.answer);
        cr_expect_eq(configured("overrideRuleSet", rules[i]), 422, "%s: %s", rules[i], desk.answer);
    }
}

Test(contract, numbers_are_texts_and_nulls_are_not_there)
{
    cr_assert_eq(registered("metadata", "{\"properties\":{\"b\":2,\"c\":null,\"a\":true},\"tags\":null}"), 200);
    desk_ask(&desk, "get-version", "s/1", NULL, NULL);
    cr_expect_not_null(strstr(desk.answer, "\"metadata\":{\"properties\":{\"a\":\"true\",\"b\":\"2\"}}"), "%s",
                       desk.answer);
    cr_assert_eq(
        configured("defaultRuleSet", "{\"migrationRules\":null,\"domainRules\":[" RULE ",\"doc\":null}]}"), 200);
    static const char kept[] = "{\"defaultRuleSet\":{\"domainRules\":[" RULE "}]}}";
    cr_expect_str_eq(desk.answer, kept);
    desk_ask(&desk, "get-subject-config", "s", NULL, NULL);
    cr_expect_str_eq(desk.answer, kept);
}
