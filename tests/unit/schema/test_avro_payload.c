// SPDX-License-Identifier: Apache-2.0
// Payloads of Avro schemas: the specification's encodings, and bytes that are no value. The vectors of
// `refused` that are marked so are those of the Avro project's share/test/data/binary-rejections.json.
#include "schema/schema.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct schema *parse(const char *text)
{
    struct schema *schema;
    struct schema_error error;
    cr_assert_eq(schema_parse(SCHEMA_AVRO, slice_str(text), NULL, 0, &error, &schema), ST_OK, "%s: %s", text,
                 error.text);
    return schema;
}

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t len = 0;
    for (; hex[0] != '\0'; hex += 2) {
        unsigned byte;
        char two[3] = {hex[0], hex[1], '\0'};
        byte = (unsigned)strtoul(two, NULL, 16);
        out[len++] = (uint8_t)byte;
    }
    return len;
}

#define LIST                                                                                                 \
    "{\"type\":\"record\",\"name\":\"L\",\"fields\":[{\"name\":\"v\",\"type\":\"int\"},{\"name\":\"n\","     \
    "\"type\":[\"null\",\"L\"]}]}"
#define ENUM "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}"

static const struct {
    const char *schema, *hex, *json;
} values[] = {
    {"\"null\"", "", "null"},
    {"\"boolean\"", "01", "true"},
    {"\"int\"", "01", "-1"},
    {"\"int\"", "ffffffff0f", "-2147483648"},
    {"\"long\"", "8001", "64"},
    {"\"long\"", "ffffffffffffffffff01", "-9223372036854775808"},
    {"\"float\"", "0000803f", "1.0"},
    {"\"double\"", "000000000000f03f", "1.0"},
    {"\"double\"", "000000000000f07f", "\"Infinity\""},
    {"\"bytes\"", "0600ff41",
     "\"\\u0000\xc3\xbf"
     "A\""},
    {"\"string\"", "06666f6f", "\"foo\""},
    {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", "80f0", "\"\xc2\x80\xc3\xb0\""},
    {ENUM, "02", "\"B\""},
    {"{\"type\":\"array\",\"items\":\"long\"}", "04063600", "[3,27]"},
    {"{\"type\":\"array\",\"items\":\"null\"}", "0600", "[null,null,null]"},
    {"{\"type\":\"map\",\"values\":\"int\"}", "02026b0200", "{\"k\":1}"},
    {"[\"null\",\"string\"]", "00", "null"},
    {"[\"null\",\"string\"]", "020261", "{\"string\":\"a\"}"},
    {"[\"null\",{\"type\":\"fixed\",\"name\":\"a.F\",\"size\":1}]", "0241", "{\"a.F\":\"A\"}"},
    {"{\"type\":\"record\",\"name\":\"test\",\"fields\":[{\"name\":\"a\",\"type\":\"long\"},{\"name\":\"b\","
     "\"type\":\"string\"}]}",
     "3606666f6f", "{\"a\":27,\"b\":\"foo\"}"},
    {LIST,
     "020204"
     "00",
     "{\"v\":1,\"n\":{\"L\":{\"v\":2,\"n\":null}}}"},
};

Test(avro_payload, values_of_the_specification_go_both_ways)
{
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        uint8_t bytes[100];
        struct schema_error error;
        struct schema *schema = parse(values[i].schema);
        struct slice payload = slice_of(bytes, unhex(values[i].hex, bytes));
        struct buf out;
        buf_init(&out, 1000);
        cr_expect_eq(schema_payload_check(schema, payload), ST_OK, "%zu", i);
        cr_expect_eq(schema_payload_to_json(schema, payload, &out), ST_OK, "%zu", i);
        cr_expect(slice_is(buf_slice(&out), values[i].json), "%zu: %.*s", i, (int)out.len, (char *)out.data);
        buf_clear(&out);
        cr_expect_eq(schema_payload_from_json(schema, slice_str(values[i].json), &error, &out), ST_OK,
                     "%zu: %s", i, error.text);
        cr_expect(slice_equal(buf_slice(&out), payload), "%zu", i);
        if (payload.len > 0)
            cr_expect_neq(schema_payload_check(schema, slice_of(bytes, payload.len - 1)), ST_OK, "%zu", i);
        bytes[payload.len] = 0;
        cr_expect_eq(schema_payload_check(schema, slice_of(bytes, payload.len + 1)), ST_MALFORMED, "%zu", i);
        buf_fini(&out);
        schema_free(schema);
    }
}

Test(avro_payload, nothing_is_a_payload_too)
{
    struct schema_error error;
    struct schema *null = parse("\"null\""), *text = parse("\"string\"");
    struct slice nothing = {0};
    struct buf out;
    buf_init(&out, 100);
    cr_assert_eq(schema_payload_check(null, nothing), ST_OK);
    cr_assert_eq(schema_payload_check(text, nothing), ST_TRUNCATED);
    cr_assert_eq(schema_payload_from_json(text, nothing, &error, &out), ST_MALFORMED);
    buf_fini(&out);
    schema_free(null);
    schema_free(text);
}

Test(avro_payload, blocks_may_say_their_size)
{
    struct schema *schema = parse("{\"type\":\"array\",\"items\":\"long\"}");
    uint8_t bytes[100];
    struct buf out;
    buf_init(&out, 100);
    struct slice payload = slice_of(bytes, unhex("0304"
                                                 "0636"
                                                 "020a"
                                                 "00",
                                                 bytes));
    cr_assert_eq(schema_payload_to_json(schema, payload, &out), ST_OK);
    cr_assert(slice_is(buf_slice(&out), "[3,27,5]"));
    bytes[1] = 6; // three bytes said, two there
    cr_assert_eq(schema_payload_check(schema, payload), ST_MALFORMED);
    buf_fini(&out);
    schema_free(schema);
}

static const struct {
    const char *schema, *hex;
    enum status status;
} refused[] = {
    {"\"long\"", "80808080808080808080", ST_MALFORMED},                                 // Avro's
    {"\"int\"", "8080808080", ST_MALFORMED},                                            // Avro's
    {"{\"type\":\"array\",\"items\":\"int\"}", "ffffffffffffffffff0102", ST_MALFORMED}, // Avro's
    {"\"bytes\"", "01", ST_MALFORMED},                                                  // Avro's
    {"\"string\"", "01", ST_MALFORMED},                                                 // Avro's
    {"[\"null\",\"int\"]", "01", ST_MALFORMED},                                         // Avro's
    {"[\"null\",\"int\"]", "0a", ST_MALFORMED},                                         // Avro's
    {ENUM, "01", ST_MALFORMED},                                                         // Avro's
    {ENUM, "0a", ST_MALFORMED},                                                         // Avro's
    {"\"boolean\"", "02", ST_MALFORMED},
    {"\"int\"", "808080808000", ST_MALFORMED},
    {"\"int\"", "ffffffff1f", ST_MALFORMED},
    {"\"string\"", "02ff", ST_MALFORMED},
    {"\"string\"", "feffffffffffffffff01", ST_TRUNCATED},
    {"{\"type\":\"map\",\"values\":\"null\"}", "0202ff00", ST_MALFORMED},
    {"{\"type\":\"array\",\"items\":\"null\"}", "feffffffffffffffff01", ST_LIMIT},
    {"{\"type\":\"array\",\"items\":\"null\"}", "0301", ST_MALFORMED},
    {"[]", "00", ST_MALFORMED},
    {"\"double\"", "00000000", ST_TRUNCATED},
    {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"r\",\"type\":\"R\"}]}", "", ST_LIMIT},
};

Test(avro_payload, bytes_that_are_no_value_are_refused, .timeout = 20)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        uint8_t bytes[100];
        struct schema *schema = parse(refused[i].schema);
        struct slice payload = slice_of(bytes, unhex(refused[i].hex, bytes));
        struct buf out;
        buf_init(&out, 1 << 20);
        cr_expect_eq(schema_payload_check(schema, payload), refused[i].status, "%zu", i);
        cr_expect_neq(schema_payload_to_json(schema, payload, &out), ST_OK, "%zu", i);
        buf_fini(&out);
        schema_free(schema);
    }
}

// Two fields of each record are the one before it: 2^40 values of no byte.
Test(avro_payload, values_without_bytes_are_counted, .timeout = 20)
{
    struct buf text;
    buf_init(&text, 1 << 16);
    buf_printf(&text, "[{\"type\":\"record\",\"name\":\"R0\",\"fields\":[]}");
    for (int i = 1; i <= 40; i++)
        buf_printf(&text,
                   ",{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"a\",\"type\":\"R%d\"},"
                   "{\"name\":\"b\",\"type\":\"R%d\"}]}",
                   i, i - 1, i - 1);
    buf_printf(&text, "]");
    buf_put_u8(&text, '\0');
    struct schema *schema = parse((char *)text.data);
    uint8_t last = 80;
    cr_assert_eq(schema_payload_check(schema, slice_of(&last, 1)), ST_LIMIT);
    schema_free(schema);
    buf_fini(&text);
}

static void expect_wrong(const char *schema_text, const char *json, const char *says)
{
    struct schema_error error;
    struct schema *schema = parse(schema_text);
    struct buf out;
    buf_init(&out, 1000);
    cr_expect_eq(schema_payload_from_json(schema, slice_str(json), &error, &out), ST_MALFORMED, "%s", json);
    cr_expect_not_null(strstr(error.text, says), "%s: %s", json, error.text);
    buf_fini(&out);
    schema_free(schema);
}

Test(avro_payload, json_that_is_no_value_is_told_with_its_place)
{
    expect_wrong("\"int\"", "2147483648", "this is no int");
    expect_wrong("\"int\"", "1.0", "this is no int");
    expect_wrong("\"int\"", "[", "line 1, column 2");
    expect_wrong(LIST, "{\"v\":1}", "field n is missing");
    expect_wrong(LIST, "{\"v\":1,\"n\":null,\"m\":1}", "record L has no field m");
    expect_wrong(LIST, "{\"v\":1,\"n\":{\"L\":{\"v\":null,\"n\":null}}}", "/n/L/v: this is no int");
    expect_wrong("[\"null\",\"int\"]", "5", "null or {\"type\": value}");
    expect_wrong("[\"int\"]", "null", "the union has no branch null");
    expect_wrong("[\"int\"]", "{\"long\":1}", "the union has no branch long");
    expect_wrong("{\"type\":\"array\",\"items\":\"string\"}", "[\"a\",1]", "/1: this is no string");
    expect_wrong("{\"type\":\"map\",\"values\":\"string\"}", "{\"k\":1}", "/k: this is no string");
    expect_wrong("\"bytes\"", "\"\xc4\x80\"", "no character beyond");
    expect_wrong("{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", "\"a\"", "1 bytes stand where 2 belong");
    expect_wrong(ENUM, "\"C\"", "this is no E");
    expect_wrong("\"boolean\"", "1", "this is no boolean");
    expect_wrong("\"null\"", "0", "this is no null");
    expect_wrong("\"double\"", "\"nan\"", "this is no double");
}

Test(avro_payload, what_does_not_fit_is_told)
{
    struct schema_error error;
    struct schema *schema = parse("\"string\"");
    struct buf out;
    buf_init(&out, 3);
    cr_assert_eq(schema_payload_from_json(schema, slice_str("\"abcdef\""), &error, &out), ST_LIMIT);
    cr_assert_str_eq(error.text, "the payload is too long");
    buf_fini(&out);
    buf_init(&out, 3);
    cr_assert_eq(schema_payload_to_json(schema,
                                        slice_of("\x06"
                                                 "abc",
                                                 4),
                                        &out),
                 ST_LIMIT);
    buf_fini(&out);
    schema_free(schema);
}

static const struct {
    const char *schema, *hex, *text;
} explained[] = {
    {"\"int\"", "", ": too few bytes at byte 0 for the type int"},
    {"\"int\"", "0200", "1 bytes are left behind the value"},
    {LIST, "0202", "/n/v: too few bytes at byte 2 for the type int"},
    {LIST, "02020208", "/n/n: no valid bytes at byte 4 for the type union"},
    {"{\"type\":\"array\",\"items\":\"boolean\"}", "0400010205",
     "/2: no valid bytes at byte 5 for the type boolean"},
    {"{\"type\":\"map\",\"values\":\"boolean\"}", "02026b05",
     "/k: no valid bytes at byte 4 for the type boolean"},
};

Test(avro_payload, a_refusal_says_where)
{
    for (size_t i = 0; i < sizeof explained / sizeof *explained; i++) {
        uint8_t bytes[64];
        struct schema_error error;
        struct schema *schema = parse(explained[i].schema);
        size_t len = unhex(explained[i].hex, bytes);
        enum status status = schema_payload_check(schema, slice_of(bytes, len));
        cr_expect_eq(schema_payload_explain(schema, slice_of(bytes, len), &error), status);
        cr_expect_eq(error.code, status);
        cr_expect_str_eq(error.text, explained[i].text, "%zu: %s", i, error.text);
        schema_free(schema);
    }
}
