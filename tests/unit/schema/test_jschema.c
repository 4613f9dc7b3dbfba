// SPDX-License-Identifier: Apache-2.0
// What JSON-Schema-Test-Suite (tests/golden/json_schema.c) does not ask: errors, limits, references to texts
// that came along, URIs.
#include "base/mem.h"
#include "schema/jschema.h"
#include "schema/uri.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct jschema *parse_with(const char *text, const struct schema_reference *refs, size_t n_refs)
{
    struct jschema *schema;
    struct schema_error error;
    struct schema_source source = {.text = slice_str(text), .refs = refs, .n_refs = n_refs};
    cr_assert_eq(jschema_parse(&source, JSCHEMA_7, &error, &schema), ST_OK, "%s: %s", text, error.text);
    return schema;
}

static void expect(const char *text, const char *json, enum status status, const char *says)
{
    struct jschema *schema = parse_with(text, NULL, 0);
    struct schema_error error;
    cr_expect_eq(jschema_check(schema, slice_str(json), &error), status, "%s %s", text, json);
    cr_expect_not_null(strstr(error.text, says), "%s %s: %s", text, json, error.text);
    jschema_free(schema);
}

static void expect_refused(const char *text, const char *says)
{
    struct jschema *schema;
    struct schema_error error;
    struct schema_source source = {.text = slice_str(text)};
    cr_expect_eq(jschema_parse(&source, JSCHEMA_7, &error, &schema), ST_MALFORMED, "%s", text);
    cr_expect_null(schema);
    cr_expect_not_null(strstr(error.text, says), "%s: %s", text, error.text);
}

Test(jschema, what_is_no_schema_is_told)
{
    expect_refused("{", "line 1, column 2");
    expect_refused("5", "a schema is an object, true or false");
    expect_refused("{\"$ref\":\"#/definitions/x\"}", "the reference #/definitions/x leads nowhere");
    expect_refused("{\"$ref\":\"http://example.com/x\"}", "leads nowhere");
    expect_refused("{\"items\":[{\"$ref\":\"#none\"}]}", "leads nowhere");
    expect_refused("{\"pattern\":\"(\"}", "no regular expression: (");
    expect_refused("{\"patternProperties\":{\"[\":{}}}", "no regular expression: [");
}

Test(jschema, a_broken_rule_is_told_with_its_place)
{
    expect("{\"type\":\"integer\"}", "\"x\"", ST_MALFORMED, "the value breaks type \"integer\"");
    expect("{\"properties\":{\"a\":{\"items\":{\"maximum\":3}}}}", "{\"a\":[1,2,5]}", ST_MALFORMED,
           "/a/2: the value breaks maximum 3");
    expect("{\"required\":[\"a\"]}", "{}", ST_MALFORMED, "breaks required [\"a\"]");
    expect("{\"additionalProperties\":false}", "{\"x\":1}", ST_MALFORMED,
           "/x: the value breaks additionalProperties");
    expect("{\"anyOf\":[{\"type\":\"null\"},{\"minimum\":5}]}", "1", ST_MALFORMED, "breaks anyOf");
    expect("{\"propertyNames\":{\"pattern\":\"^a\"}}", "{\"b\":1}", ST_MALFORMED,
           "/b: the value breaks pattern");
    expect("false", "1", ST_MALFORMED, "the value breaks");
    expect("{}", "[1,", ST_MALFORMED, "line 1, column 4");
    expect("{\"type\":\"string\"}", "\"x\"", ST_OK, "");
}

// What PCRE2 bounds for each place of a text alone.
static void match_long(const char *pattern, size_t len, enum status status)
{
    char schema[200];
    char *text = mem_calloc(1, len + 3);
    memset(text, 'a', len + 2);
    text[0] = text[len + 1] = '"';
    snprintf(schema, sizeof schema, "{\"pattern\":\"%s\"}", pattern);
    expect(schema, text, status, "");
    mem_free(text);
}

Test(jschema, a_long_text_does_not_multiply_what_a_pattern_may_take, .timeout = 60)
{
    match_long("(a|aa){1,19}[bc]", 100000, ST_LIMIT);
    match_long("[a-z]*[@#]", 1 << 20, ST_LIMIT);
    match_long("([a-z]*x?)*[@#]", 30000, ST_LIMIT);
    match_long("^[a-z]*$", 1 << 20, ST_OK);
    match_long("^([a-z]|[0-9])*$", 5000, ST_OK);
    match_long("[a-z]+@", 1000, ST_MALFORMED);
    match_long("[a-z]+[@#]", 1000, ST_MALFORMED);
    match_long("a$", 1 << 20, ST_OK);
}

static enum status parse_status(const char *text)
{
    struct jschema *schema;
    struct schema_error error;
    struct schema_source source = {.text = slice_str(text)};
    enum status status = jschema_parse(&source, JSCHEMA_7, &error, &schema);
    jschema_free(schema);
    return status;
}

Test(jschema, patterns_have_bounded_memory, .timeout = 60)
{
    size_t room = 600000, len = 0;
    char *text = mem_calloc(1, room);
    len += (size_t)snprintf(text, room, "{\"pattern\":\"");
    memset(text + len, 'a', 9000);
    snprintf(text + len + 9000, room - len - 9000, "\"}");
    cr_expect_eq(parse_status(text), ST_LIMIT, "its counted form is too long");
    len = (size_t)snprintf(text, room, "{\"allOf\":[{}");
    for (int i = 0; i < 8000; i++)
        len += (size_t)snprintf(text + len, room - len, ",{\"pattern\":\"(?:(?:ab){60}){60}\"}");
    snprintf(text + len, room - len, "]}");
    cr_expect_eq(parse_status(text), ST_LIMIT);
    mem_free(text);
}

// A branch that takes long for each of many values, and copies many groups with each step.
Test(jschema, many_values_share_what_patterns_may_take, .timeout = 60)
{
    size_t room = 200000, len = 0;
    char *schema = mem_calloc(1, room), *value = mem_calloc(1, room);
    len += (size_t)snprintf(schema, room, "{\"items\":{\"anyOf\":[{\"pattern\":\"^(?:a");
    for (int i = 0; i < 23; i++)
        len += (size_t)snprintf(schema + len, room - len, "|a");
    len += (size_t)snprintf(schema + len, room - len, ")z|(?!)");
    for (int i = 0; i < 1200; i++)
        len += (size_t)snprintf(schema + len, room - len, "(?<a%d>)", i);
    snprintf(schema + len, room - len, "\"},{}]}}");
    len = (size_t)snprintf(value, room, "[1");
    for (int i = 0; i < 30000; i++)
        len += (size_t)snprintf(value + len, room - len, ",\"a\"");
    snprintf(value + len, room - len, "]");
    expect(schema, value, ST_LIMIT, "");
    mem_free(schema);
    mem_free(value);
}

Test(jschema, patterns_are_ecmas_not_perls)
{
    expect("{\"pattern\":\"^\\\\d$\"}", "\"\xd9\xa3\"", ST_MALFORMED,
           "breaks pattern"); // a digit, but no ASCII
    expect("{\"pattern\":\"^a$\"}", "\"a\\n\"", ST_MALFORMED, "breaks pattern");
    expect("{\"pattern\":\"^(ab)+$\"}", "\"abab\"", ST_OK, "");
    expect("{\"pattern\":\"^(ab)+$\"}", "\"aba\"", ST_MALFORMED, "breaks pattern");
    expect("{\"pattern\":\"\\\\u0041\"}", "\"A\"", ST_OK, "");
    expect("{\"pattern\":\"^\\\\p{L}$\"}", "\"\xc3\xa9\"", ST_OK, "");
    expect("{\"pattern\":\"^.$\"}", "\"\xf0\x9f\x98\x80\"", ST_OK, "");
}

Test(jschema, the_draft_a_schema_names_counts)
{
    const char *const draft4 = "{\"$schema\":\"http://json-schema.org/draft-04/schema#\",\"const\":1}";
    const char *const newest =
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"prefixItems\":[{\"const\":1}]}";
    expect(draft4, "2", ST_OK, "");
    expect("{\"const\":1}", "2", ST_MALFORMED, "breaks const 1");
    expect("{\"prefixItems\":[{\"const\":1}]}", "[2]", ST_OK, "");
    expect(newest, "[2]", ST_MALFORMED, "/0: the value breaks const");
}

Test(jschema, drafts_differ)
{
    const char *const contains =
        "{\"$schema\":\"https://json-schema.org/draft/%s/schema\",\"contains\":{\"const\":1},"
        "\"unevaluatedItems\":false}";
    char text[300];
    snprintf(text, sizeof text, contains, "2019-09");
    expect(text, "[1]", ST_MALFORMED, "/0: the value breaks unevaluatedItems");
    snprintf(text, sizeof text, contains, "2020-12");
    expect(text, "[1]", ST_OK, "");
    expect("{\"$schema\":\"http://json-schema.org/draft-04/schema#\",\"type\":\"integer\"}", "1.0",
           ST_MALFORMED, "breaks type");
    expect("{\"type\":\"integer\"}", "1.0", ST_OK, "");
}

Test(jschema, decimal_fractions_are_multiples_of_each_other)
{
    expect("{\"multipleOf\":0.01}", "4.35", ST_OK, "");
    expect("{\"multipleOf\":0.01}", "4.351", ST_MALFORMED, "breaks multipleOf");
    expect("{\"multipleOf\":3}", "9007199254740993", ST_OK, "");
    expect("{\"multipleOf\":3}", "9007199254740992", ST_MALFORMED, "breaks multipleOf");
}

Test(jschema, pointers_are_unescaped_once)
{
    const char *const text =
        "{\"definitions\":{\"~1\":{\"const\":1},\"/\":{\"const\":2},\"a b\":{\"const\":3}},"
        "\"items\":[{\"$ref\":\"#/definitions/~01\"},{\"$ref\":\"#/definitions/~1\"},"
        "{\"$ref\":\"#/definitions/a%20b\"}]}";
    expect(text, "[1,2,3]", ST_OK, "");
    expect(text, "[2]", ST_MALFORMED, "/0: the value breaks const 1");
}

Test(jschema, circles_end, .timeout = 20)
{
    expect("{\"$ref\":\"#\"}", "1", ST_LIMIT, "too many steps");
    expect("{\"definitions\":{\"a\":{\"allOf\":[{\"$ref\":\"#/definitions/a\"},{\"$ref\":\"#/definitions/"
           "a\"}]}},"
           "\"$ref\":\"#/definitions/a\"}",
           "1", ST_LIMIT, "too many steps");
}

// Each definition applies the one before it twice: 2^40 schemas for one number.
Test(jschema, steps_are_counted, .timeout = 60)
{
    struct buf text;
    buf_init(&text, 1 << 16);
    buf_printf(&text, "{\"definitions\":{\"d0\":{\"type\":\"integer\"}");
    for (int i = 1; i <= 40; i++)
        buf_printf(&text,
                   ",\"d%d\":{\"allOf\":[{\"$ref\":\"#/definitions/d%d\"},{\"$ref\":\"#/definitions/d%d\"}]}",
                   i, i - 1, i - 1);
    buf_printf(&text, "},\"$ref\":\"#/definitions/d40\"}");
    buf_put_u8(&text, '\0');
    expect((char *)text.data, "1", ST_LIMIT, "too many steps");
    buf_fini(&text);
}

Test(jschema, expressions_that_take_for_ever_are_cut_short, .timeout = 60)
{
    expect("{\"pattern\":\"^(a+)+$\"}",
           "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"", ST_LIMIT,
           "too many steps");
}

Test(jschema, texts_that_came_along_are_found_by_name_and_by_id)
{
    const struct schema_reference refs[] = {
        {.name = slice_str("one.json"), .text = slice_str("{\"type\":\"integer\"}")},
        {.name = slice_str("two"),
         .text = slice_str("{\"$id\":\"http://x.example/two.json\",\"definitions\":{\"s\":{"
                           "\"$id\":\"#s\",\"type\":\"string\"}}}")},
        {.name = slice_str("unused"), .text = slice_str("{\"$ref\":\"nowhere\"}")},
    };
    struct schema_error error;
    struct jschema *schema =
        parse_with("{\"$id\":\"http://x.example/\",\"properties\":{\"a\":{\"$ref\":\"one.json\"},"
                   "\"b\":{\"$ref\":\"two#s\"},\"c\":{\"$ref\":\"two.json#/definitions/s\"}}}",
                   refs, 2);
    cr_expect_eq(jschema_check(schema, slice_str("{\"a\":1,\"b\":\"x\",\"c\":\"y\"}"), &error), ST_OK);
    cr_expect_eq(jschema_check(schema, slice_str("{\"a\":\"1\"}"), &error), ST_MALFORMED);
    cr_expect_eq(jschema_check(schema, slice_str("{\"b\":1}"), &error), ST_MALFORMED);
    cr_expect_eq(jschema_check(schema, slice_str("{\"c\":1}"), &error), ST_MALFORMED);
    jschema_free(schema);
    jschema_free(
        parse_with("{\"$ref\":\"one.json\"}", refs, 3)); // what is wrong with the third does not matter
}

// Found by the fuzzer: the search for the metaschema met the damaged text, and the schema was taken all the
// same.
Test(jschema, a_metaschema_that_nobody_has_is_as_none)
{
    const char *const text = "{\"$schema\":\"http://x.example/own\",\"const\":1}";
    const struct schema_reference damaged = {.name = slice_str("x"), .text = slice_str("{")};
    struct schema_source source = {.text = slice_str(text), .refs = &damaged, .n_refs = 1};
    struct schema_error error;
    struct jschema *schema;
    expect(text, "2", ST_MALFORMED, "breaks const");
    cr_assert_eq(jschema_parse(&source, JSCHEMA_7, &error, &schema), ST_MALFORMED);
    cr_assert_null(schema);
}

static void expect_uri(const char *base, const char *ref, const char *uri, const char *fragment)
{
    struct arena arena;
    struct slice found;
    arena_init(&arena, 1 << 16);
    struct slice made = uri_resolve(&arena, slice_str(base), slice_str(ref), &found);
    cr_expect(slice_is(made, uri), "%s + %s gives %.*s", base, ref, (int)made.len, (const char *)made.data);
    cr_expect(slice_equal(found, slice_str(fragment)) && (found.data == NULL) == (fragment == NULL), "%s",
              ref);
    arena_fini(&arena);
}

// RFC 3986 section 5.4.1 and .2.
Test(jschema, uris_are_resolved)
{
    const char *base = "http://a/b/c/d;p?q";
    const char *const cases[][2] = {{"g:h", "g:h"},
                                    {"g", "http://a/b/c/g"},
                                    {"./g", "http://a/b/c/g"},
                                    {"g/", "http://a/b/c/g/"},
                                    {"/g", "http://a/g"},
                                    {"//g", "http://g"},
                                    {"?y", "http://a/b/c/d;p?y"},
                                    {"g?y", "http://a/b/c/g?y"},
                                    {";x", "http://a/b/c/;x"},
                                    {"", "http://a/b/c/d;p?q"},
                                    {".", "http://a/b/c/"},
                                    {"./", "http://a/b/c/"},
                                    {"..", "http://a/b/"},
                                    {"../g", "http://a/b/g"},
                                    {"../..", "http://a/"},
                                    {"../../g", "http://a/g"},
                                    {"../../../g", "http://a/g"},
                                    {"/./g", "http://a/g"},
                                    {"/../g", "http://a/g"},
                                    {"g.", "http://a/b/c/g."},
                                    {"..g", "http://a/b/c/..g"},
                                    {"./g/.", "http://a/b/c/g/"},
                                    {"g/../h", "http://a/b/c/h"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_uri(base, cases[i][0], cases[i][1], NULL);
    expect_uri(base, "g#s", "http://a/b/c/g", "s");
    expect_uri(base, "#s", "http://a/b/c/d;p?q", "s");
    expect_uri(base, "#", "http://a/b/c/d;p?q", "");
    expect_uri("urn:uuid:1", "#x", "urn:uuid:1", "x");
    expect_uri("", "a/b.json", "a/b.json", NULL);
    expect_uri("a/b.json", "c.json", "a/c.json", NULL);
}

// ---- many values with one budget ----

// How many of count values one behind the other are good before the first that is not, with status as it is.
static int hold_many(const char *text, const char *json, int count, size_t *spare, enum status *status)
{
    struct jschema *schema = parse_with(text, NULL, 0);
    int good = 0;
    do
        *status = jschema_check_many(schema, slice_str(json), spare);
    while (*status == ST_OK && ++good < count);
    jschema_free(schema);
    return good;
}

Test(jschema, ordinary_values_leave_the_budget_of_many_alone)
{
    size_t spare = 5;
    enum status status;
    const char *schema = "{\"properties\":{\"id\":{\"type\":\"integer\",\"minimum\":0},\"name\":{\"type\":"
                         "\"string\",\"pattern\":\"^[a-z]+$\"},\"kind\":{\"enum\":[\"a\",\"b\",\"c\"]}},"
                         "\"required\":[\"id\"],\"additionalProperties\":false}";
    cr_expect_eq(hold_many(schema, "{\"id\":17,\"name\":\"meier\",\"kind\":\"b\"}", 1000, &spare, &status),
                 1000);
    cr_expect_eq(spare, 5);
    cr_expect_eq(hold_many(schema, "{\"id\":-1}", 1, &spare, &status), 0);
    cr_expect_eq(status, ST_MALFORMED);
    cr_expect_eq(spare, 5);
}

Test(jschema, many_values_have_one_budget_of_steps)
{
    struct buf text;
    enum status status;
    size_t spare = 4 * (2001 - JSCHEMA_BYTE_STEPS) + 5;
    buf_init(&text, 1 << 16);
    buf_printf(&text, "{\"allOf\":[true");
    for (int i = 1; i < 2000; i++)
        buf_printf(&text, ",true");
    buf_printf(&text, "]}");
    buf_put_u8(&text, '\0');
    cr_expect_eq(hold_many((char *)text.data, "1", 100, &spare, &status), 4);
    cr_expect_eq(status, ST_LIMIT);
    cr_expect_eq(spare, 0);
    buf_fini(&text);
}

Test(jschema, a_list_that_is_gone_through_counts_for_many)
{
    struct buf text;
    enum status status;
    size_t spare = 10000; // the list is 20000 / 8 steps
    buf_init(&text, 1 << 20);
    buf_printf(&text, "{\"enum\":[");
    for (int i = 1; i <= 20000; i++)
        buf_printf(&text, "%d%s", i, i < 20000 ? "," : "]}");
    buf_put_u8(&text, '\0');
    cr_expect_eq(hold_many((char *)text.data, "20000", 100, &spare, &status), 4);
    cr_expect_eq(status, ST_LIMIT);
    buf_fini(&text);
}

// A value alone may have its expression look at thousands of characters.
Test(jschema, many_values_have_one_budget_of_characters)
{
    const char *schema = "{\"pattern\":\"(a|aa){1,19}[bc]\"}";
    const char *value = "\"aaaaaaaaaaaaaaaaaaaa\"";
    size_t spare = 1 << 20, alone = 1 << 20;
    enum status status;
    cr_expect_eq(hold_many("{\"pattern\":\"a$\"}", value, 100000, &alone, &status), 100000);
    cr_expect_eq(alone, 1 << 20);
    cr_expect_eq(hold_many(schema, value, 1000, &spare, &status), 0);
    cr_expect_eq(status, ST_MALFORMED);
    cr_expect_lt(spare, 1 << 20);
    for (int i = 0; i < 1000 && status != ST_LIMIT; i++)
        hold_many(schema, value, 1, &spare, &status);
    cr_expect_eq(status, ST_LIMIT);
}
