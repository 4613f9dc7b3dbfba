// SPDX-License-Identifier: Apache-2.0
// The table of compatibility cases: json_cases.txt, whose verdicts are Confluent's; what a finding says;
// limits.
#include "schema/jschema_words.h"
#include "schema/schema.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINE = 4096 };

static struct schema *parse(const char *text)
{
    struct schema *schema;
    struct schema_error error;
    cr_assert_eq(schema_parse(SCHEMA_JSON, slice_str(text), NULL, 0, &error, &schema), ST_OK, "%s: %s", text,
                 error.text);
    return schema;
}

static enum status check(const char *reader_text, const char *writer_text, struct schema_findings *findings)
{
    struct schema *reader = parse(reader_text), *writer = parse(writer_text);
    schema_findings_init(findings);
    enum status status = schema_check(reader, writer, findings);
    schema_free(reader);
    schema_free(writer);
    return status;
}

typedef enum status check_fn(const struct schema *reader, const struct schema *writer,
                             struct schema_findings *findings);

static bool fits(const char *reader_text, const char *writer_text, check_fn *by)
{
    struct schema_findings findings;
    struct schema *reader = parse(reader_text), *writer = parse(writer_text);
    schema_findings_init(&findings);
    cr_assert_eq(by(reader, writer, &findings), ST_OK);
    bool fits = findings.count == 0;
    schema_findings_fini(&findings);
    schema_free(reader);
    schema_free(writer);
    return fits;
}

static void found(const char *reader, const char *writer, char *out)
{
    struct schema_findings findings;
    size_t len = 0;
    cr_assert_eq(check(reader, writer, &findings), ST_OK);
    for (size_t i = 0; i < findings.count; i++) {
        const struct schema_finding *one = &findings.items[i];
        len += (size_t)snprintf(out + len, LINE - len, "%s%s %s", i > 0 ? " | " : "", one->type, one->path);
        cr_assert(*one->remedy != '\0' && *one->message != '\0' && *one->reader != '\0' &&
                  *one->writer != '\0');
        cr_assert_not_null(jschema_wording(one->type).text);
    }
    if (findings.count == 0)
        snprintf(out, LINE, "ok");
    schema_findings_fini(&findings);
}

static bool next_line(FILE *file, char line[LINE])
{
    if (fgets(line, LINE, file) == NULL)
        return false;
    line[strcspn(line, "\n")] = '\0';
    return true;
}

Test(json_cases, verdicts_are_those_of_confluents_registry)
{
    FILE *file = fopen(MILLRACE_SOURCE_DIR "/tests/unit/schema/json_cases.txt", "r");
    char reason[LINE], reader[LINE], writer[LINE], expected[LINE], got[LINE];
    int cases = 0;
    cr_assert_not_null(file);
    while (next_line(file, reason)) {
        if (*reason == '#' || *reason == '\0')
            continue;
        cr_assert(next_line(file, reader) && next_line(file, writer) && next_line(file, expected));
        found(reader, writer, got);
        cr_expect_str_eq(got, expected, "%s\n%s\n%s", reason, reader, writer);
        cases++;
    }
    fclose(file);
    cr_assert_geq(cases, 150);
}

Test(json_cases, every_schema_of_the_table_fits_itself)
{
    FILE *file = fopen(MILLRACE_SOURCE_DIR "/tests/unit/schema/json_cases.txt", "r");
    char reason[LINE], schemas[2][LINE], expected[LINE], got[LINE];
    cr_assert_not_null(file);
    while (next_line(file, reason)) {
        if (*reason == '#' || *reason == '\0')
            continue;
        cr_assert(next_line(file, schemas[0]) && next_line(file, schemas[1]) && next_line(file, expected));
        for (int i = 0; i < 2; i++) {
            found(schemas[i], schemas[i], got);
            cr_expect_str_eq(got, "ok", "%s", schemas[i]);
        }
    }
    fclose(file);
}

Test(json_cases, a_finding_says_what_was_and_what_is_and_what_would_be_accepted)
{
    struct schema_findings findings;
    struct buf out;
    buf_init(&out, 1 << 16);
    cr_assert_eq(check("{\"properties\":{\"a\":{\"maximum\":3}}}",
                       "{\"properties\":{\"a\":{\"maximum\":5.50}}}", &findings),
                 ST_OK);
    cr_assert_eq(findings.count, 1);
    cr_expect_str_eq(findings.items[0].reader, "3");
    cr_expect_str_eq(findings.items[0].writer, "5.50");
    cr_assert_eq(schema_finding_text(&findings.items[0], true, &out), ST_OK);
    cr_expect(slice_is(buf_slice(&out),
                       "{errorType:\"MAXIMUM_DECREASED\", description:\"the bound at "
                       "'#/properties/a/maximum' is lower in the new schema than in the old schema\", "
                       "new:'3', old:'5.50', remedy:'keep the bound or raise it'}"),
              "%.*s", (int)out.len, (char *)out.data);
    buf_clear(&out);
    cr_assert_eq(schema_finding_text(&findings.items[0], false, &out), ST_OK);
    buf_put_u8(&out, '\0');
    cr_expect_not_null(strstr((char *)out.data, "lower in the old schema than in the new schema"));
    cr_expect_not_null(strstr((char *)out.data, "old:'3', new:'5.50'"));
    schema_findings_fini(&findings);
    buf_fini(&out);
}

// A and C lead to each other, "x" of A has that type; root: the members of the root's "properties".
static char *mutual(const char *type, const char *root)
{
    size_t room = strlen(type) + strlen(root) + 300;
    char *text = malloc(room);
    snprintf(text, room,
             "{\"definitions\":{"
             "\"A\":{\"type\":\"object\",\"properties\":{\"c\":{\"$ref\":\"#/definitions/C\"},"
             "\"x\":{\"type\":\"%s\"}}},"
             "\"C\":{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/definitions/A\"}}}},"
             "\"type\":\"object\",\"properties\":{%s}}",
             type, root);
    return text;
}

// For the branch of "p" A is compared, and inside of it C while A is thought to fit. A does not, which "p"
// may have, having another branch; "q" may not have it of C.
Test(json_cases, what_fits_by_an_assumption_falls_with_it)
{
    static const char p[] = "\"p\":{\"anyOf\":[{\"$ref\":\"#/definitions/A\"},{}]}";
    static const char q[] = "\"q\":{\"$ref\":\"#/definitions/C\"}";
    char orders[2][LINE], got[LINE],
        *writer = mutual("string", "\"p\":{\"$ref\":\"#/definitions/A\"},"
                                   "\"q\":{\"$ref\":\"#/definitions/C\"}");
    snprintf(orders[0], LINE, "%s,%s", p, q);
    snprintf(orders[1], LINE, "%s,%s", q, p);
    for (int i = 0; i < 2; i++) {
        char *reader = mutual("integer", orders[i]), *same = mutual("string", orders[i]);
        found(reader, writer, got);
        cr_expect_str_eq(got, "TYPE_CHANGED #/properties/q/properties/a/properties/x", "%s", reader);
        found(same, writer, got);
        cr_expect_str_eq(got, "ok", "%s", same);
        free(same);
        free(reader);
    }
    free(writer);
}

// {"definitions":{"D0":...},"$ref":"#/definitions/D0"}: each leads to all, and one has that type at "x".
static char *tangle(int count, const char *type)
{
    size_t room = (size_t)count * (size_t)(count + 2) * 50 + 200, len = 0;
    char *text = malloc(room);
    len += (size_t)snprintf(text, room, "{\"$ref\":\"#/definitions/D0\",\"definitions\":{");
    for (int i = 0; i < count; i++) {
        len += (size_t)snprintf(text + len, room - len, "%s\"D%d\":{\"type\":\"object\",\"properties\":{",
                                i > 0 ? "," : "", i);
        for (int j = 0; j < count; j++)
            len += (size_t)snprintf(text + len, room - len, "\"d%d\":{\"$ref\":\"#/definitions/D%d\"},", j,
                                    (i + j) % count);
        len += (size_t)snprintf(text + len, room - len, "\"x\":{\"type\":\"%s\"}}}",
                                i == count / 2 ? type : "boolean");
    }
    snprintf(text + len, room - len, "}}");
    return text;
}

// All rest on each other and fall one by one: each fails once, which keeps the work far from its limit.
Test(json_cases, definitions_that_all_lead_to_all_are_compared_in_time, .timeout = 60)
{
    struct schema_findings findings;
    char *reader = tangle(100, "integer"), *writer = tangle(100, "string");
    cr_expect_eq(check(reader, writer, &findings), ST_OK);
    cr_expect_gt(findings.count, 0);
    schema_findings_fini(&findings);
    cr_expect_eq(check(writer, writer, &findings), ST_OK);
    cr_expect_eq(findings.count, 0);
    schema_findings_fini(&findings);
    free(writer);
    free(reader);
}

Test(json_cases, codes_without_words_of_their_own_are_known_by_their_end)
{
    cr_expect_not_null(jschema_wording("MAX_ITEMS_ADDED").text);
    cr_expect_not_null(jschema_wording("UNEVALUATED_ITEMS_REMOVED").text);
    cr_expect_null(jschema_wording("NAME_MISMATCH").text);
    cr_expect_null(jschema_wording("_ADD").text);
}

// {"properties":{"p0":KIND,...}}
static char *many_properties(int count, const char *kind)
{
    size_t room = (size_t)count * (strlen(kind) + 20) + 100, len = 0;
    char *text = malloc(room);
    len += (size_t)snprintf(text, room, "{\"additionalProperties\":false,\"properties\":{");
    for (int i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, room - len, "%s\"p%d\":%s", i > 0 ? "," : "", i, kind);
    snprintf(text + len, room - len, "}}");
    return text;
}

Test(json_cases, what_is_told_is_bounded)
{
    struct schema_findings findings;
    char *reader = many_properties(SCHEMA_FINDINGS_MAX + 50, "{\"type\":\"string\"}");
    char *writer = many_properties(SCHEMA_FINDINGS_MAX + 50, "{\"type\":\"null\"}");
    cr_assert_eq(check(reader, writer, &findings), ST_OK);
    cr_expect_eq(findings.count, SCHEMA_FINDINGS_MAX);
    cr_expect(findings.more);
    schema_findings_fini(&findings);
    free(reader);
    free(writer);
}

// {"anyOf":[{"minimum":0},...]}: each branch against each.
static char *many_branches(int count, const char *keyword)
{
    size_t room = (size_t)count * 40 + 100, len = 0;
    char *text = malloc(room);
    len += (size_t)snprintf(text, room, "{\"anyOf\":[");
    for (int i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, room - len, "%s{\"%s\":%d}", i > 0 ? "," : "", keyword, i);
    snprintf(text + len, room - len, "]}");
    return text;
}

Test(json_cases, too_many_pairs_are_a_limit, .timeout = 60)
{
    struct schema_findings findings;
    char *few = many_branches(200, "minimum"), *many = many_branches(2000, "minimum");
    cr_expect_eq(check(few, few, &findings), ST_OK);
    cr_expect_eq(findings.count, 0);
    schema_findings_fini(&findings);
    cr_expect_eq(check(many, many, &findings), ST_LIMIT);
    schema_findings_fini(&findings);
    free(few);
    free(many);
}

// Each choice by itself is below the limit, all together are not.
Test(json_cases, pairs_are_counted_over_the_whole_schema, .timeout = 60)
{
    struct schema_findings findings;
    char *branches = many_branches(200, "const"), *one = many_properties(1, branches),
         *several = many_properties(5, branches);
    cr_expect_eq(check(one, one, &findings), ST_OK);
    schema_findings_fini(&findings);
    cr_expect_eq(check(several, several, &findings), ST_LIMIT);
    schema_findings_fini(&findings);
    free(several);
    free(one);
    free(branches);
}

Test(json_cases, patterns_are_tried_a_bounded_number_of_times, .timeout = 60)
{
    struct schema_findings findings;
    char *writer = many_properties(1000, "{\"type\":\"string\"}");
    size_t room = 1 << 16, len = 0;
    char *reader = malloc(room);
    len += (size_t)snprintf(reader, room, "{\"type\":\"object\",\"patternProperties\":{");
    for (int i = 0; i < 1000; i++)
        len += (size_t)snprintf(reader + len, room - len, "%s\"^x%d$\":{}", i > 0 ? "," : "", i);
    snprintf(reader + len, room - len, "}}");
    cr_expect_eq(check(reader, writer, &findings), ST_LIMIT);
    schema_findings_fini(&findings);
    free(reader);
    free(writer);
}

// (a|aa){1,15}[bc] takes 2^15 steps at each place of a name of a's.
Test(json_cases, a_pattern_that_takes_long_is_a_limit, .timeout = 60)
{
    struct schema_findings findings;
    char writer[1000], name[400];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(writer, sizeof writer, "{\"properties\":{\"%s\":{}},\"type\":\"object\"}", name);
    cr_expect_eq(
        check("{\"type\":\"object\",\"patternProperties\":{\"(a|aa){1,15}[bc]\":{}}}", writer, &findings),
        ST_LIMIT);
    schema_findings_fini(&findings);
    cr_expect_eq(check("{\"type\":\"object\",\"patternProperties\":{\"^a+$\":{}}}", writer, &findings),
                 ST_OK);
    cr_expect_eq(findings.count, 0);
    schema_findings_fini(&findings);
}

// Confluent's policies STRICT and LENIENT (change 4292 of its repository): a property comes or goes, required or
// not, with a default or without, in an open or a closed object.
Test(json_cases, the_policy_decides_about_optional_properties)
{
    static const char *const properties[] = {"", ",\"required\":[\"b\"]", ",\"required\":[\"b\"]"};
    static const char *const b[] = {"{\"type\":\"string\"}", "{\"type\":\"string\"}",
                                    "{\"type\":\"string\",\"default\":\"\"}"};
    static const struct {
        bool closed, comes;
        bool strict[3], lenient[3]; // optional, required, required with a default
    } cases[] = {
        {false, true, {false, false, false}, {true, false, true}},
        {false, false, {true, true, true}, {true, true, true}},
        {true, true, {true, false, true}, {true, false, true}},
        {true, false, {false, false, false}, {true, true, true}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int kind = 0; kind < 3; kind++) {
            const char *closed = cases[i].closed ? ",\"additionalProperties\":false" : "";
            char with[LINE], without[LINE];
            snprintf(with, LINE, "{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":%s}%s%s}", b[kind],
                     properties[kind], closed);
            snprintf(without, LINE, "{\"type\":\"object\",\"properties\":{\"a\":{}}%s}", closed);
            const char *reader = cases[i].comes ? with : without, *writer = cases[i].comes ? without : with;
            cr_expect_eq(fits(reader, writer, schema_check), cases[i].strict[kind], "%s %s", reader, writer);
            cr_expect_eq(fits(reader, writer, schema_check_lenient), cases[i].lenient[kind], "%s %s", reader,
                         writer);
        }
}

Test(json_cases, the_lenient_policy_reaches_into_branches_and_lets_objects_close)
{
    static const char *const pairs[][2] = {
        {"{\"allOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}]}",
         "{\"allOf\":[{\"type\":\"object\"}]}"},
        {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"object\",\"properties\":{\"a\":{\"type\":"
         "\"string\"}}}]}",
         "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"object\"}]}"},
        {"{\"type\":\"object\",\"additionalProperties\":false}", "{\"type\":\"object\"}"},
        {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}", "{\"type\":\"object\"}"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        cr_expect_not(fits(pairs[i][0], pairs[i][1], schema_check), "%s", pairs[i][0]);
        cr_expect(fits(pairs[i][0], pairs[i][1], schema_check_lenient), "%s", pairs[i][0]);
    }
    cr_expect_not(fits("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}",
                       "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}",
                       schema_check_lenient));
}
