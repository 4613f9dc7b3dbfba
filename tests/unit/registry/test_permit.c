// SPDX-License-Identifier: Apache-2.0
// Whose permission is asked for: the subject that is meant, not the one that was written. What is asked comes
// by here instead of permit.c.
#include <criterion/criterion.h>

#include "desk.h"
#include "permit.h"

#include <stdio.h>

static struct desk desk;
static const char *denied; // subject; NULL: none
static char asked[1000];   // "operation subject;" of every question

bool permitted(const struct call *call)
{
    size_t len = strlen(asked);
    snprintf(asked + len, sizeof asked - len, "%s %s;", call->operation->name, call->subject);
    return denied == NULL || strcmp(call->subject, denied) != 0;
}

static void open_desk(void)
{
    desk_open(&desk);
    desk.settings.local_secret = "secret";
    desk_ask(&desk, "create-kek", NULL, NULL,
             "{\"name\":\"k\",\"kmsType\":\"local-kms\",\"kmsKeyId\":\"i\",\"shared\":true}");
    desk_ask(&desk, "put-subject-config", ":.c:alias", NULL, "{\"alias\":\"real\",\"aliasForDeks\":true}");
    desk_ask(&desk, "put-subject-config", ":.c:schemas", NULL, "{\"alias\":\"real\"}");
}

static void close_desk(void)
{
    desk_close(&desk);
}

TestSuite(permit, .init = open_desk, .fini = close_desk);

static void expect(const char *operation, const char *where, const char *body, const char *questions)
{
    *asked = '\0';
    denied = NULL;
    desk_ask(&desk, operation, where, "permanent=false", body);
    cr_expect_leq(desk.code, 204, "%s %s: %s", operation, where, desk.answer);
    cr_expect_str_eq(asked, questions);
}

static void expect_denied(const char *operation, const char *where, const char *body, const char *subject)
{
    size_t records = desk.log.len;
    denied = subject;
    desk_ask(&desk, operation, where, "permanent=false", body);
    cr_expect_eq(desk.code, 403, "%s %s: %s", operation, where, desk.answer);
    cr_expect_not_null(strstr(desk.answer, "\"error_code\":40301"));
    cr_expect_eq(desk.log.len, records);
}

static const struct {
    const char *operation, *where, *body;
} of_deks[] = {
    {"create-subject-dek", "k|:.c:alias", "{}"},
    {"create-subject-dek", "k|:.c:alias", "{\"subject\":\"alias\",\"version\":2}"},
    {"create-dek", "k", "{\"subject\":\":.c:alias\",\"version\":3}"},
    {"get-dek", "k|:.c:alias", NULL},
    {"list-dek-versions", "k|:.c:alias", NULL},
    {"get-dek-version", "k|:.c:alias|1", NULL},
    {"delete-dek-version", "k|:.c:alias|1", NULL},
    {"undelete-dek-version", "k|:.c:alias|1", NULL},
    {"delete-dek", "k|:.c:alias", NULL},
    {"undelete-dek", "k|:.c:alias", NULL},
};

Test(permit, keys_ask_for_the_subject_an_alias_stands_for)
{
    char questions[100];
    for (size_t i = 0; i < sizeof of_deks / sizeof *of_deks; i++) {
        expect_denied(of_deks[i].operation, of_deks[i].where, of_deks[i].body, ":.c:real");
        snprintf(questions, sizeof questions, "%s :.c:real;", of_deks[i].operation);
        expect(of_deks[i].operation, of_deks[i].where, of_deks[i].body, questions);
    }
}

Test(permit, an_alias_that_is_not_for_keys_is_a_subject_of_its_own_there)
{
    expect("create-subject-dek", "k|:.c:schemas", "{}", "create-subject-dek :.c:schemas;");
    expect("create-dek", "k", "{\"subject\":\":.c:schemas\",\"version\":2}", "create-dek :.c:schemas;");
}

Test(permit, schemas_ask_for_the_subject_an_alias_stands_for)
{
    static const char *const schema = "{\"schema\":\"\\\"int\\\"\"}";
    expect_denied("register", ":.c:schemas", schema, ":.c:real");
    expect("register", ":.c:schemas", schema, "register :.c:real;");
    expect("put-subject-config", ":.c:schemas", "{\"normalize\":true}", "put-subject-config :.c:schemas;");
}

// A subject without context that is not in the default one is looked for in the others.
Test(permit, what_is_found_in_another_context_is_asked_for_there)
{
    static const char *const schema = "{\"schema\":\"\\\"float\\\"\"}";
    desk_register(&desk, ":.c:only", "\"float\"");
    expect("get-version", "only/1", NULL, "get-version only;get-version :.c:only;");
    expect("get-version-schema", "only/1", NULL, "get-version-schema only;get-version-schema :.c:only;");
    expect("look-up", "only", schema, "look-up only;look-up :.c:only;");
    expect_denied("get-version", "only/1", NULL, ":.c:only");
    expect_denied("referenced-by", "only/1", NULL, ":.c:only");
    expect_denied("look-up", "only", schema, ":.c:only");
    expect_denied("compatible-with-version", "only/1", schema, ":.c:only");
}

Test(permit, associations_ask_for_each_subject)
{
    static const char *const body =
        "{\"resourceName\":\"t\",\"resourceNamespace\":\"n\",\"resourceId\":\"i\",\"resourceType\":\"topic\","
        "\"associations\":[{\"subject\":\"s\",\"associationType\":\"value\",\"lifecycle\":\"WEAK\"}]}";
    desk_register(&desk, "s", "\"int\"");
    expect_denied("create-association", "", body, "s");
    *asked = '\0';
    denied = NULL;
    desk_ask(&desk, "create-association", "", NULL, body);
    cr_expect_not_null(strstr(asked, "create-association s;"), "%s", asked);
}

Test(permit, there_is_no_operation_that_does_not_ask)
{
    for (size_t i = 0; i < operation_count; i++) {
        *asked = '\0';
        char where[] = "a|b|1";
        bool by_name = strstr(operations[i].path, "{name}") != NULL;
        desk_ask(&desk, operations[i].name, by_name ? where : "s/1", NULL,
                 "{\"subject\":\"s\",\"version\":1}");
        bool itself = strcmp(operations[i].name, "create-dek") == 0; // when it has found its key
        cr_expect(*asked != '\0' || itself, "%s", operations[i].name);
    }
}
