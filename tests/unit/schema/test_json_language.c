// SPDX-License-Identifier: Apache-2.0
// JSON Schema as a schema language: how it is read, named and printed, and what a payload is.
#include "schema/schema.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct schema *parse_with(const char *text, const struct schema_reference *refs, size_t n_refs)
{
    struct schema *schema;
    struct schema_error error;
    cr_assert_eq(schema_parse(SCHEMA_JSON, slice_str(text), refs, n_refs, &error, &schema), ST_OK, "%s: %s",
                 text, error.text);
    return schema;
}

static void expect_text(const struct schema *schema, enum schema_text form, const char *expected)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    cr_expect_eq(schema_text(schema, form, &out), ST_OK);
    cr_expect(slice_is(buf_slice(&out), expected), "got %.*s, not %s", (int)out.len, (char *)out.data,
              expected);
    buf_fini(&out);
}

static void expect(const char *text, enum schema_text form, const char *expected)
{
    struct schema *schema = parse_with(text, NULL, 0);
    expect_text(schema, form, expected);
    schema_free(schema);
}

static void expect_refused(const char *text, const char *says)
{
    struct schema *schema;
    struct schema_error error;
    cr_expect_eq(schema_parse(SCHEMA_JSON, slice_str(text), NULL, 0, &error, &schema), ST_MALFORMED, "%s",
                 text);
    cr_expect_null(schema);
    cr_expect_not_null(strstr(error.text, says), "%s: %s", text, error.text);
}

Test(json_language, a_text_keeps_its_order_and_its_digits)
{
    expect(" { \"b\" : 1 , \"a\" : [ true , null ] } ", SCHEMA_TEXT_PLAIN, "{\"b\":1,\"a\":[true,null]}");
    expect("{\"b\":1,\"a\":{\"d\":0,\"c\":0}}", SCHEMA_TEXT_NORMAL, "{\"a\":{\"c\":0,\"d\":0},\"b\":1}");
    expect("{\"b\":1,\"a\":1}", SCHEMA_TEXT_CANONICAL, "{\"a\":1,\"b\":1}");
    expect("{\"maximum\":1.10}", SCHEMA_TEXT_PLAIN, "{\"maximum\":1.10}");
    expect("{\"b\":1}", SCHEMA_TEXT_RESOLVED, "{\"b\":1}");
    expect("true", SCHEMA_TEXT_PLAIN, "true");
}

Test(json_language, numbers_are_printed_as_big_decimals)
{
    static const char *const cases[][2] = {
        {"1.0", "1.0"},
        {"1e5", "1E+5"},
        {"1.5E3", "1.5E+3"},
        {"15e-1", "1.5"},
        {"1e-6", "0.000001"},
        {"1e-7", "1E-7"},
        {"-0.0", "0.0"},
        {"0e5", "0E+5"},
        {"0.00", "0.00"},
        {"12.5e1", "125"},
        {"-2.50", "-2.50"},
        {"100", "100"},
        {"1E400", "1E+400"},
        {"12.345e-8", "1.2345E-7"},
        {"0.0012", "0.0012"},
        {"00", NULL},
        {"160e94701234560", "160e94701234560"},
        {"123456789012345678901234567890.5", "123456789012345678901234567890.5"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[100], expected[100];
        snprintf(text, sizeof text, "{\"x\":%s}", cases[i][0]);
        snprintf(expected, sizeof expected, "{\"x\":%s}", cases[i][1] != NULL ? cases[i][1] : "");
        if (cases[i][1] == NULL)
            expect_refused(text, "line 1");
        else
            expect(text, SCHEMA_TEXT_PLAIN, expected);
    }
}

Test(json_language, keywords_have_values_of_their_kind)
{
    expect_refused("{\"type\":\"text\"}", "the keyword type cannot have the value \"text\"");
    expect_refused("{\"type\":[\"string\",5]}", "the keyword type");
    expect_refused("{\"properties\":{\"a\":{\"minLength\":\"1\"}}}", "the keyword minLength");
    expect_refused("{\"required\":true}", "the keyword required");
    expect_refused("{\"properties\":{\"a\":5}}", "the keyword properties");
    expect_refused("{\"allOf\":{}}", "the keyword allOf");
    expect_refused("{\"exclusiveMaximum\":true}", "the keyword exclusiveMaximum");
    expect_refused("{\"$schema\":\"http://json-schema.org/draft-04/schema#\",\"not\":true}",
                   "the keyword not");
    expect_refused("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"items\":[]}", "items");
    expect("{\"$schema\":\"http://json-schema.org/draft-04/schema#\",\"additionalItems\":false}",
           SCHEMA_TEXT_NORMAL,
           "{\"$schema\":\"http://json-schema.org/draft-04/schema#\",\"additionalItems\":false}");
    expect("{\"enum\":[],\"items\":{\"type\":\"null\"}}", SCHEMA_TEXT_PLAIN,
           "{\"enum\":[],\"items\":{\"type\":\"null\"}}");
    expect("{\"$ref\":\"#/definitions/a\",\"type\":5,\"definitions\":{\"a\":{}}}", SCHEMA_TEXT_PLAIN,
           "{\"$ref\":\"#/definitions/a\",\"type\":5,\"definitions\":{\"a\":{}}}");
}

static bool draft_6_on(const char *text)
{
    struct schema *schema = parse_with(text, NULL, 0);
    bool refused = schema_payload_check(schema, slice_str("1")) == ST_MALFORMED;
    schema_free(schema);
    return refused;
}

Test(json_language, the_draft_is_that_of_the_schema_or_7)
{
    cr_expect(draft_6_on("{\"const\":2}"));
    cr_expect(draft_6_on("{\"$schema\":\"http://example.com/unknown\",\"const\":2}"));
    cr_expect(draft_6_on("{\"$schema\":\"https://json-schema.org/draft-06/schema#\",\"const\":2}"));
    cr_expect_not(draft_6_on("{\"$schema\":\"http://json-schema.org/draft-04/schema#\",\"const\":2}"));
    cr_expect_not(draft_6_on("{\"$schema\":\"https://json-schema.org/draft-04/schema\",\"const\":2}"));
}

Test(json_language, the_name_is_the_title)
{
    struct schema *named = parse_with("{\"title\":\"org.Order\",\"$id\":\"http://example.com/x\"}", NULL, 0);
    struct schema *unnamed = parse_with("{\"$id\":\"http://example.com/x\",\"title\":5}", NULL, 0);
    cr_expect(slice_is(schema_name(named), "org.Order"));
    cr_expect_eq(schema_name(unnamed).len, 0);
    cr_expect_eq(schema_format(named), SCHEMA_JSON);
    schema_free(named);
    schema_free(unnamed);
}

Test(json_language, names_of_the_registrys_own_are_refused_in_new_schemas)
{
    struct schema_error error;
    struct schema *bad = parse_with("{\"properties\":{\"$$a\":{}}}", NULL, 0);
    struct schema *good = parse_with("{\"properties\":{\"$a\":{\"properties\":{\"$$b\":{}}}}}", NULL, 0);
    cr_expect_eq(schema_validate(bad, &error), ST_MALFORMED);
    cr_expect_not_null(strstr(error.text, "$$a"));
    cr_expect_eq(schema_validate(good, &error), ST_OK);
    schema_free(bad);
    schema_free(good);
}

Test(json_language, a_payload_is_the_json_text_itself)
{
    struct schema_error error;
    struct buf out;
    struct schema *schema = parse_with("{\"type\":\"object\",\"required\":[\"a\"]}", NULL, 0);
    buf_init(&out, 100);
    cr_expect_eq(schema_payload_check(schema, slice_str("{\"a\":1}")), ST_OK);
    cr_expect_eq(schema_payload_check(schema, slice_str("{}")), ST_MALFORMED);
    cr_expect_eq(schema_payload_check(schema, slice_str("{\"a\":")), ST_MALFORMED);
    cr_expect_eq(schema_payload_check(schema, (struct slice){0}), ST_MALFORMED);
    cr_expect_eq(schema_payload_to_json(schema, slice_str("{\"a\": 1.0}"), &out), ST_OK);
    cr_expect(slice_is(buf_slice(&out), "{\"a\": 1.0}"));
    cr_expect_eq(schema_payload_to_json(schema, slice_str("{}"), &out), ST_MALFORMED);
    buf_clear(&out);
    cr_expect_eq(schema_payload_from_json(schema, slice_str("{\"a\":2}"), &error, &out), ST_OK);
    cr_expect(slice_is(buf_slice(&out), "{\"a\":2}"));
    cr_expect_eq(schema_payload_from_json(schema, slice_str("5"), &error, &out), ST_MALFORMED);
    cr_expect_not_null(strstr(error.text, "breaks type"));
    buf_fini(&out);
    buf_init(&out, 3);
    cr_expect_eq(schema_payload_from_json(schema, slice_str("{\"a\":2}"), &error, &out), ST_LIMIT);
    cr_expect_eq(error.code, ST_LIMIT);
    buf_fini(&out);
    schema_free(schema);
}

Test(json_language, references_are_found_by_name_and_by_id)
{
    const struct schema_reference refs[] = {
        {slice_str("money.json"), slice_str("{\"type\":\"integer\"}")},
        {slice_str("any-name"),
         slice_str("{\"$id\":\"http://example.com/c\",\"definitions\":{\"c\":{\"enum\":"
                   "[\"EUR\"]}}}")}};
    struct schema *schema = parse_with("{\"properties\":{\"m\":{\"$ref\":\"money.json\"},\"c\":{\"$ref\":"
                                       "\"http://example.com/c#/definitions/c\"}}}",
                                       refs, 2);
    cr_expect_eq(schema_payload_check(schema, slice_str("{\"m\":5,\"c\":\"EUR\"}")), ST_OK);
    cr_expect_eq(schema_payload_check(schema, slice_str("{\"m\":\"x\"}")), ST_MALFORMED);
    cr_expect_eq(schema_payload_check(schema, slice_str("{\"c\":\"USD\"}")), ST_MALFORMED);
    schema_free(schema);
}

// Texts and names of references are the caller's and go away after parsing. The name of part.json is asked
// for while a value is checked: it is the outermost text with the anchor n, so that items are arrays, not
// strings.
Test(json_language, nothing_of_the_references_is_kept)
{
    static const char draft[] = "\"$schema\":\"https://json-schema.org/draft/2020-12/schema\"";
    char name[] = "part.json", part[300], inner[300], text[300];
    snprintf(part, sizeof part,
             "{%s,\"$dynamicAnchor\":\"n\",\"type\":\"array\",\"items\":{\"$dynamicRef\":\"inner.json#n\"}}",
             draft);
    snprintf(inner, sizeof inner, "{%s,\"$dynamicAnchor\":\"n\",\"type\":\"string\"}", draft);
    snprintf(text, sizeof text, "{%s,\"$ref\":\"part.json\"}", draft);
    struct schema_reference refs[] = {{slice_str(name), slice_str(part)},
                                      {slice_str("inner.json"), slice_str(inner)}};
    struct schema *schema = parse_with(text, refs, 2);
    memset(name, 'x', strlen(name));
    memset(part, 'x', strlen(part));
    memset(inner, 'x', strlen(inner));
    memset(text, 'x', strlen(text));
    cr_expect_eq(schema_payload_check(schema, slice_str("[[]]")), ST_OK);
    cr_expect_eq(schema_payload_check(schema, slice_str("[\"a\"]")), ST_MALFORMED);
    schema_free(schema);
}

static struct schema *resolve(const struct schema *schema, struct buf *out)
{
    buf_init(out, 1 << 16);
    cr_assert_eq(schema_text(schema, SCHEMA_TEXT_RESOLVED, out), ST_OK);
    buf_put_u8(out, '\0');
    return parse_with((char *)out->data, NULL, 0);
}

Test(json_language, references_written_out_mean_the_same)
{
    const struct schema_reference refs[] = {
        {slice_str("b.json"),
         slice_str("{\"$id\":\"http://x/b.json\",\"$ref\":\"#/definitions/B\",\"definitions\":"
                   "{\"B\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/definitions/B\"},"
                   "\"minItems\":1}}}")},
        {slice_str("a.json"), slice_str("{\"definitions\":{\"x y\":{\"items\":{\"$ref\":\"b.json\"}}}}")}};
    struct schema *schema =
        parse_with("{\"properties\":{\"p\":{\"$ref\":\"a.json#/definitions/x%20y\"},\"q\":"
                   "{\"$ref\":\"#/definitions/a.json\"}},\"definitions\":{\"a.json\":{"
                   "\"type\":\"null\"}}}",
                   refs, 2);
    struct buf out;
    struct schema *one = resolve(schema, &out);
    static const char *const values[] = {"{\"p\":[[[]]]}", "{\"p\":[5]}", "{\"p\":[]}", "{\"q\":null}",
                                         "{\"q\":5}"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        cr_expect_eq(schema_payload_check(schema, slice_str(values[i])),
                     schema_payload_check(one, slice_str(values[i])), "%s", values[i]);
    cr_expect_not_null(strstr((char *)out.data, "\"$ref\":\"#/definitions/a.json_/definitions/x%20y\""), "%s",
                       (char *)out.data);
    cr_expect_null(strstr((char *)out.data, "http://x"), "%s", (char *)out.data);
    struct schema_findings findings;
    schema_findings_init(&findings);
    cr_expect_eq(schema_check(one, schema, &findings), ST_OK);
    cr_expect_eq(findings.count, 0);
    schema_findings_fini(&findings);
    buf_fini(&out);
    schema_free(one);
    schema_free(schema);
}

Test(json_language, what_cannot_be_one_text_is_unsupported)
{
    const struct schema_reference ref = {
        slice_str("a.json"),
        slice_str("{\"$schema\":\"http://json-schema.org/draft-04/schema#\",\"type\":\"string\"}")};
    struct schema *schema = parse_with("{\"$ref\":\"a.json\"}", &ref, 1);
    struct buf out;
    buf_init(&out, 1000);
    cr_expect_eq(schema_text(schema, SCHEMA_TEXT_RESOLVED, &out), ST_UNSUPPORTED);
    buf_fini(&out);
    schema_free(schema);
}
