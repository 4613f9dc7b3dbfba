// SPDX-License-Identifier: Apache-2.0
// What is an Avro schema and what is none, and what an error says.
#include "schema/avro.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <time.h>

static enum status parse(const char *text, struct schema_error *error, struct schema **schema)
{
    return schema_parse(SCHEMA_AVRO, slice_str(text), NULL, 0, error, schema);
}

static void expect_refused(const char *text, const char *says)
{
    struct schema *schema;
    struct schema_error error;
    cr_expect_eq(parse(text, &error, &schema), ST_MALFORMED, "%s", text);
    cr_expect_null(schema);
    cr_expect_not_null(strstr(error.text, says), "%s says: %s", text, error.text);
}

static void expect_good(const char *text)
{
    struct schema *schema;
    struct schema_error error;
    cr_expect_eq(parse(text, &error, &schema), ST_OK, "%s: %s", text, error.text);
    if (schema != NULL)
        cr_expect_eq(schema_validate(schema, &error), ST_OK, "%s: %s", text, error.text);
    schema_free(schema);
}

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define FIELD(rest)    RECORD("{\"name\":\"f\"," rest "}")

Test(avro_parse, errors_say_where_and_what)
{
    expect_refused("{", "line 1, column 2: ");
    expect_refused("5", "a type is a name");
    expect_refused("\"Unknown\"", "undefined name: Unknown");
    expect_refused("{}", "\"type\" is missing");
    expect_refused("{\"type\":[\"int\"]}", "\"type\" is missing or no string");
    expect_refused("{\"type\":\"array\"}", "array has no \"items\"");
    expect_refused("{\"type\":\"map\"}", "map has no \"values\"");
    expect_refused("{\"type\":\"record\",\"name\":\"R\"}", "no array of fields");
    expect_refused("{\"type\":\"record\",\"fields\":[]}", "record has no name");
    expect_refused(RECORD("{\"name\":\"f\"}"), "/fields/0: field f has no type");
    expect_refused(RECORD("{\"type\":\"int\"}"), "/fields/0: a field has no name");
    expect_refused(RECORD("5"), "/fields/0: a field has no name");
    expect_refused(FIELD("\"type\":{\"type\":\"array\",\"items\":{\"type\":\"map\",\"values\":7}}"),
                   "/fields/0/type/items/values: a type is a name");
    expect_refused(FIELD("\"type\":\"int\",\"order\":\"up\""), "\"order\" is ascending");
    expect_refused(FIELD("\"type\":\"int\",\"aliases\":\"x\""), "\"aliases\" is no array");
    expect_refused(FIELD("\"type\":\"int\",\"aliases\":[1]"), "an alias is no string");
    expect_refused(FIELD("\"type\":\"double\",\"default\":\"1,5\""), "is no number");
    expect_refused(RECORD("{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"a\",\"type\":\"int\"}"),
                   "/fields: field a is there twice");
    expect_refused("[\"int\",\"int\"]", "int is twice in a union");
    expect_refused("[\"int\",[\"null\"]]", "a union stands in a union");
    expect_refused("{\"type\":\"enum\",\"name\":\"E\"}", "no array of symbols");
    expect_refused("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"A\"]}", "symbol A is there twice");
    expect_refused("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"],\"default\":\"B\"}",
                   "is no symbol of enum E");
    expect_refused("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[1]}", "a symbol of enum E is no name");
    expect_refused("{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}", "fixed F has no valid size");
    expect_refused("{\"type\":\"fixed\",\"name\":\"F\",\"size\":1.0}", "fixed F has no valid size");
    expect_refused("{\"type\":\"fixed\",\"name\":\"F\"}", "fixed F has no valid size");
}

Test(avro_parse, names_are_checked)
{
    const char *const bad[] = {"",        "9a", "a-b", "a b", "a.", "a..b", "int", "a.9", "\xf0\x9d\x95\x8f",
                               "a\\u0000"};
    const char *const good[] = {"A",
                                "_",
                                "a.b.C",
                                "Gr\xc3\xb6\xc3\x9f"
                                "e",
                                "a.int",
                                ".A",
                                "\xe5\xad\x97"};
    char text[200];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "{\"type\":\"fixed\",\"size\":1,\"name\":\"%s\"}", bad[i]);
        expect_refused(text, "name");
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(text, sizeof text, "{\"type\":\"fixed\",\"size\":1,\"name\":\"%s\"}", good[i]);
        expect_good(text);
    }
    expect_refused("{\"type\":\"fixed\",\"size\":1,\"name\":\"A\",\"namespace\":\"a-b\"}",
                   "invalid name or namespace");
    expect_refused("{\"type\":\"fixed\",\"size\":1,\"name\":\"A\",\"aliases\":[\"a-b\"]}", "invalid alias");
    expect_refused(RECORD("{\"name\":\"a.b\",\"type\":\"int\"}"), "invalid name of a field");
}

Test(avro_parse, names_are_found_in_their_namespace_and_before_they_stand)
{
    expect_good("{\"type\":\"record\",\"name\":\"a.R\",\"fields\":[{\"name\":\"x\",\"type\":\"a.S\"},{"
                "\"name\":\"y\",\"type\":"
                "{\"type\":\"record\",\"name\":\"S\",\"fields\":[]}},{\"name\":\"z\",\"type\":\"S\"}]}");
    expect_good("[\"S\",{\"type\":\"fixed\",\"name\":\"S2\",\"size\":1},{\"type\":\"array\",\"items\":{"
                "\"type\":\"fixed\","
                "\"name\":\"S\",\"size\":1}}]");
    expect_refused("[\"S\",{\"type\":\"fixed\",\"name\":\"S\",\"size\":1}]", "S is twice in a union");
    expect_refused("{\"type\":\"record\",\"name\":\"a.R\",\"fields\":[{\"name\":\"x\",\"type\":\"b.R\"}]}",
                   "undefined name: b.R");
    expect_refused("{\"type\":\"record\",\"name\":\"a.R\",\"fields\":[{\"name\":\"x\",\"type\":\"S\"}]}",
                   "undefined name: a.S");
}

Test(avro_parse, a_name_is_defined_once)
{
    expect_refused(RECORD("{\"name\":\"a\",\"type\":{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}}"),
                   "R is defined twice");
    expect_refused("[{\"type\":\"array\",\"items\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}},{\"type\":"
                   "\"map\",\"values\":"
                   "{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}}]",
                   "F is defined twice");
    // The same again is no other definition to Java, if the first has no properties.
    expect_good("[{\"type\":\"array\",\"items\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}},{\"type\":"
                "\"map\",\"values\":"
                "{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}}]");
    expect_refused("[{\"type\":\"array\",\"items\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":1,\"p\":1}},{"
                   "\"type\":\"map\","
                   "\"values\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}}]",
                   "F is defined twice");
}

static void expect_default(bool fits, const char *type, const char *value)
{
    char text[400];
    struct schema *schema;
    struct schema_error error;
    snprintf(text, sizeof text,
             "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"f\",\"type\":%s,\"default\":%s}]}",
             type, value);
    cr_assert_eq(parse(text, &error, &schema), ST_OK, "%s: %s", text, error.text);
    cr_expect_eq(schema_validate(schema, &error), fits ? ST_OK : ST_MALFORMED, "%s", text);
    if (!fits)
        cr_expect_not_null(strstr(error.text, "/fields/0: the default of field f does not fit"), "%s",
                           error.text);
    schema_free(schema);
}

// Schema.isValidDefault of Avro 1.12.
Test(avro_parse, defaults_of_new_schemas_fit_their_types)
{
    const char *enumeration = "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}";
    const char *record =
        "{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"b\","
        "\"type\":\"int\",\"default\":1}]}";
    expect_default(true, "\"int\"", "2147483647");
    expect_default(false, "\"int\"", "2147483648");
    expect_default(false, "\"int\"", "1.0");
    expect_default(false, "\"int\"", "\"1\"");
    expect_default(true, "\"long\"", "-9223372036854775808");
    expect_default(false, "\"long\"", "9223372036854775808");
    expect_default(true, "\"float\"", "1");
    expect_default(true, "\"double\"", "\"Infinity\"");
    expect_default(false, "\"boolean\"", "\"true\"");
    expect_default(false, "\"null\"", "0");
    expect_default(true, "\"bytes\"", "\"\\u00ff\"");
    expect_default(false, "\"bytes\"", "[1]");
    expect_default(true, enumeration, "\"not one of them\"");
    expect_default(false, enumeration, "0");
    expect_default(true, "[\"null\",\"int\"]", "5"); // any branch since 1.12
    expect_default(false, "[\"null\",\"int\"]", "\"x\"");
    expect_default(true, "{\"type\":\"array\",\"items\":\"int\"}", "[1,2]");
    expect_default(false, "{\"type\":\"array\",\"items\":\"int\"}", "[1,\"2\"]");
    expect_default(true, "{\"type\":\"map\",\"values\":\"int\"}", "{\"k\":1}");
    expect_default(false, "{\"type\":\"map\",\"values\":\"int\"}", "[]");
    expect_default(true, record, "{\"a\":1}");
    expect_default(false, record, "{\"b\":1}");
    expect_default(false, "\"R\"", "{}");
}

// Each record's field is twice the one before it, by defaults alone: 2^60 values.
Test(avro_parse, defaults_that_grow_without_bounds_are_cut_short, .timeout = 20)
{
    struct buf text;
    struct schema *schema;
    struct schema_error error;
    buf_init(&text, 1 << 20);
    buf_printf(&text, "[{\"type\":\"record\",\"name\":\"R0\",\"fields\":[]}");
    for (int i = 1; i <= 60; i++)
        buf_printf(&text,
                   ",{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"a\",\"type\":\"R%d\","
                   "\"default\":{}},"
                   "{\"name\":\"b\",\"type\":\"R%d\",\"default\":{}}]}",
                   i, i - 1, i - 1);
    buf_printf(&text, "]");
    cr_assert_eq(schema_parse(SCHEMA_AVRO, buf_slice(&text), NULL, 0, &error, &schema), ST_OK);
    cr_assert_eq(schema_validate(schema, &error), ST_LIMIT);
    schema_free(schema);
    buf_fini(&text);
}

static const struct avro_type *type_of(const char *text, struct schema **schema)
{
    struct schema_error error;
    cr_assert_eq(parse(text, &error, schema), ST_OK, "%s: %s", text, error.text);
    return avro_of(*schema)->root;
}

Test(avro_parse, logical_types_count_where_they_fit)
{
    const struct {
        const char *text;
        enum avro_logical logical;
    } cases[] = {
        {"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4,\"scale\":2}", AVRO_DECIMAL},
        {"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4,\"scale\":5}", AVRO_PLAIN},
        {"{\"type\":\"bytes\",\"logicalType\":\"decimal\"}", AVRO_PLAIN},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2,\"logicalType\":\"decimal\",\"precision\":4}",
         AVRO_DECIMAL},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2,\"logicalType\":\"decimal\",\"precision\":5}",
         AVRO_PLAIN},
        {"{\"type\":\"string\",\"logicalType\":\"uuid\"}", AVRO_UUID},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":16,\"logicalType\":\"uuid\"}", AVRO_UUID},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":15,\"logicalType\":\"uuid\"}", AVRO_PLAIN},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":12,\"logicalType\":\"duration\"}", AVRO_DURATION},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":11,\"logicalType\":\"duration\"}", AVRO_PLAIN},
        {"{\"type\":\"int\",\"logicalType\":\"date\"}", AVRO_DATE},
        {"{\"type\":\"long\",\"logicalType\":\"date\"}", AVRO_PLAIN},
        {"{\"type\":\"long\",\"logicalType\":\"local-timestamp-nanos\"}", AVRO_LOCAL_TIMESTAMP_NANOS},
        {"{\"type\":\"int\",\"logicalType\":\"time-millis\"}", AVRO_TIME_MILLIS},
        {"{\"type\":\"bytes\",\"logicalType\":\"big-decimal\"}", AVRO_BIG_DECIMAL},
        {"{\"type\":\"int\",\"logicalType\":\"unheard-of\"}", AVRO_PLAIN},
        {"{\"type\":\"int\",\"logicalType\":5}", AVRO_PLAIN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct schema *schema;
        cr_expect_eq(type_of(cases[i].text, &schema)->logical, cases[i].logical, "%s", cases[i].text);
        schema_free(schema);
    }
}

Test(avro_parse, references_come_first_and_are_limited)
{
    struct schema_reference refs[2] = {
        {.name = slice_str("one"), .text = slice_str("{\"type\":\"fixed\",\"name\":\"a.One\",\"size\":1}")},
        {.name = slice_str("two"), .text = slice_str("{\"type\":\"array\",\"items\":\"a.One\"}")}};
    struct schema *schema;
    struct schema_error error;
    cr_assert_eq(schema_parse(SCHEMA_AVRO, slice_str("\"a.One\""), refs, 2, &error, &schema), ST_OK);
    cr_assert(slice_is(schema_name(schema), "a.One"));
    schema_free(schema);
    struct schema_reference turned[2] = {refs[1], refs[0]};
    cr_assert_eq(schema_parse(SCHEMA_AVRO, slice_str("\"a.One\""), turned, 2, &error, &schema), ST_MALFORMED);
    cr_assert_str_eq(error.text, "reference two: undefined name: a.One");
    cr_assert_eq(schema_parse(SCHEMA_AVRO, slice_str("1"), refs, SCHEMA_REFERENCES_MAX + 1, &error, &schema),
                 ST_LIMIT);
    struct slice endless = slice_of(refs, SCHEMA_TEXT_MAX + 1);
    cr_assert_eq(schema_parse(SCHEMA_AVRO, endless, NULL, 0, &error, &schema), ST_LIMIT);
    cr_assert_eq(schema_parse(SCHEMA_PROTOBUF, slice_str(""), NULL, 0, &error, &schema), ST_UNSUPPORTED);
}

static double seconds(const struct timespec *from)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)(now.tv_sec - from->tv_sec) + (double)(now.tv_nsec - from->tv_nsec) / 1e9;
}

static void fill(struct buf *text, const char *open, const char *repeat, const char *close)
{
    buf_init(text, SCHEMA_TEXT_MAX);
    buf_printf(text, "%s", open);
    for (int i = 0; text->len + 100 < SCHEMA_TEXT_MAX; i++)
        for (const char *at = repeat; *at != '\0'; at++)
            if (*at == '#')
                buf_printf(text, "%d", i);
            else
                buf_put_u8(text, (uint8_t)*at);
    buf_printf(text, "%s", close);
}

// Texts of a megabyte, each heavy in another way: none takes longer than a multiple of its length.
Test(avro_parse, time_is_linear_in_the_text, .timeout = 120)
{
    const char *const texts[][3] = {
        {"[", "{\"type\":\"fixed\",\"name\":\"F#\",\"size\":1},", "\"null\"]"},
        {"[", "{\"type\":\"array\",\"items\":\"X\"},", "\"null\"]"},
        {"[", "\"F#\",", "\"null\"]"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[", "\"S#\",", "\"Z\"]}"},
        {"{\"type\":\"record\",\"name\":\"E\",\"fields\":[", "{\"name\":\"f#\",\"type\":\"E\"},",
         "{\"name\":\"z\",\"type\":\"E\"}]}"},
        {"{\"type\":\"int\",", "\"p#\":[[]],", "\"z\":1}"},
        {"{\"type\":\"int\",", "\"p\":0,", "\"z\":1}"},
        {"{\"type\":\"int\",\"p\":[", "0,", "0]}"},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":1,\"aliases\":[", "\"A\",", "\"B\"]}"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf text;
        struct schema *schema;
        struct schema_error error;
        struct timespec from;
        fill(&text, texts[i][0], texts[i][1], texts[i][2]);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
        enum status status = schema_parse(SCHEMA_AVRO, buf_slice(&text), NULL, 0, &error, &schema);
        cr_expect(status == ST_OK || status == ST_MALFORMED, "%zu: %s %s", i, status_name(status),
                  error.text);
        cr_expect_lt(seconds(&from), 5, "%zu takes %.1f s", i, seconds(&from));
        schema_free(schema);
        buf_fini(&text);
    }
}

Test(avro_parse, depth_is_limited)
{
    char text[20 * 250];
    struct schema *schema;
    struct schema_error error;
    size_t len = 0;
    for (int i = 0; i < SCHEMA_DEPTH_MAX + 1; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "[");
    cr_assert_eq(schema_parse(SCHEMA_AVRO, slice_of(text, len), NULL, 0, &error, &schema), ST_LIMIT);
}

// A chain of names, each record in the one before it, would be as deep as it is long.
Test(avro_parse, a_long_chain_of_names_is_told_as_a_limit, .timeout = 20)
{
    struct buf text, out;
    struct schema *schema;
    struct schema_error error;
    struct schema_findings findings;
    buf_init(&text, SCHEMA_TEXT_MAX);
    buf_printf(&text, "[");
    for (int i = 0; i < 9000; i++)
        buf_printf(&text,
                   "{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"x\",\"type\":\"R%d\"}]},",
                   i, i + 1);
    buf_printf(&text, "{\"type\":\"record\",\"name\":\"R9000\",\"fields\":[]}]");
    cr_assert_eq(schema_parse(SCHEMA_AVRO, buf_slice(&text), NULL, 0, &error, &schema), ST_OK, "%s",
                 error.text);
    buf_init(&out, SCHEMA_TEXT_MAX);
    for (enum schema_text form = SCHEMA_TEXT_PLAIN; form <= SCHEMA_TEXT_RESOLVED; form++) {
        buf_clear(&out);
        cr_assert_eq(schema_text(schema, form, &out), ST_LIMIT);
    }
    schema_findings_init(&findings);
    cr_assert_eq(schema_check(schema, schema, &findings), ST_LIMIT);
    schema_findings_fini(&findings);
    schema_free(schema);
    buf_fini(&out);
    buf_fini(&text);
}
