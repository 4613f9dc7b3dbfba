// SPDX-License-Identifier: Apache-2.0
#include "schema/protobuf.h"
#include "schema/protobuf_index.h"

#include <criterion/criterion.h>
#include <time.h>

#define BYTES(...) slice_of((const uint8_t[]){__VA_ARGS__}, sizeof(const uint8_t[]){__VA_ARGS__})

static struct schema *parse(const char *text)
{
    struct schema *schema;
    struct schema_error error;
    cr_assert_eq(schema_parse(SCHEMA_PROTOBUF, slice_str(text), NULL, 0, &error, &schema), ST_OK, "%s: %s",
                 text, error.text);
    return schema;
}

static enum status check(const char *text, struct slice payload)
{
    struct schema *schema = parse(text);
    enum status status = schema_payload_check(schema, payload);
    schema_free(schema);
    return status;
}

static const char simple[] =
    "syntax = \"proto3\"; message T { int32 a = 1; string b = 2; repeated fixed32 c = 3;"
    "T t = 4; map<string, int32> m = 5; } message U { message V { bool on = 1; } }";

Test(protobuf_payload, the_list_of_indexes_says_which_message)
{
    cr_assert_eq(check(simple, BYTES(0)), ST_OK);
    cr_assert_eq(check(simple, BYTES(0, 0x08, 5)), ST_OK);
    cr_assert_eq(check(simple, BYTES(2, 0, 0x08, 5)), ST_OK);    // [0], written in full
    cr_assert_eq(check(simple, BYTES(4, 2, 0, 0x08, 1)), ST_OK); // [1, 0]: U.V
    cr_assert_eq(check(simple, BYTES(4, 2, 0, 0x0d, 1, 1, 1, 1)), ST_MALFORMED);
    cr_assert_eq(check(simple, BYTES(4, 2, 2)), ST_MALFORMED); // U has one
    cr_assert_eq(check(simple, BYTES(2, 4)), ST_MALFORMED);
    cr_assert_eq(check(simple, BYTES(1)), ST_MALFORMED); // -1 levels
    cr_assert_eq(check(simple, BYTES(2, 1)), ST_MALFORMED);
    cr_assert_eq(check(simple, BYTES(4, 2)), ST_TRUNCATED);
    cr_assert_eq(check(simple, slice_of("", 0)), ST_TRUNCATED);
    cr_assert_eq(check("syntax = \"proto3\";", BYTES(0)), ST_MALFORMED);
}

Test(protobuf_payload, wire_types_are_those_of_the_fields)
{
    cr_assert_eq(check(simple, BYTES(0, 0x0a, 1, 'x')), ST_MALFORMED); // bytes for int32
    cr_assert_eq(check(simple, BYTES(0, 0x12, 2, 'x', 'y')), ST_OK);
    cr_assert_eq(check(simple, BYTES(0, 0x12, 2, 'x')), ST_TRUNCATED);
    cr_assert_eq(check(simple, BYTES(0, 0x12, 1, 0xff)), ST_MALFORMED); // no UTF-8
    cr_assert_eq(check(simple, BYTES(0, 0x1d, 1, 2, 3, 4)), ST_OK);
    cr_assert_eq(check(simple, BYTES(0, 0x1a, 4, 1, 2, 3, 4)), ST_OK); // packed
    cr_assert_eq(check(simple, BYTES(0, 0x1a, 3, 1, 2, 3)), ST_MALFORMED);
    cr_assert_eq(check(simple, BYTES(0, 0x22, 2, 0x08, 1)), ST_OK);
    cr_assert_eq(check(simple, BYTES(0, 0x22, 2, 0x0a, 0)), ST_MALFORMED);
    cr_assert_eq(check(simple, BYTES(0, 0x2a, 5, 0x0a, 1, 'k', 0x10, 7)), ST_OK);
    cr_assert_eq(check(simple, BYTES(0, 0x2a, 3, 0x08, 1, 0)), ST_MALFORMED); // the key is a string
    cr_assert_eq(check(simple, BYTES(0, 0x98, 0x06, 1)), ST_OK);              // unknown, number 99
    cr_assert_eq(check(simple, BYTES(0, 0x00, 1)), ST_MALFORMED);
    cr_assert_eq(check(simple, BYTES(0, 0x0f)), ST_MALFORMED); // wire type 7
    cr_assert_eq(check(simple, BYTES(0, 0x08)), ST_TRUNCATED);
}

Test(protobuf_payload, groups_end_where_they_begin)
{
    static const char text[] =
        "message T { repeated group G = 1 { optional int32 a = 2; } optional string s = 3; }";
    cr_assert_eq(check(text, BYTES(0, 0x0b, 0x10, 5, 0x0c)), ST_OK);
    cr_assert_eq(check(text, BYTES(0, 0x0b, 0x10, 5)), ST_TRUNCATED);
    cr_assert_eq(check(text, BYTES(0, 0x0b, 0x14)), ST_MALFORMED); // the end of group 2
    cr_assert_eq(check(text, BYTES(0, 0x0c)), ST_MALFORMED);
    cr_assert_eq(check(text, BYTES(0, 0x0b, 0x12, 0, 0x0c)), ST_MALFORMED);
    cr_assert_eq(check(text, BYTES(0, 0x53, 0x5b, 0x5c, 0x54)), ST_OK); // unknown, one in another
    cr_assert_eq(check(text, BYTES(0, 0x53, 0x5b, 0x54, 0x5c)), ST_MALFORMED);
    cr_assert_eq(check(text, BYTES(0, 0x53, 0x5b, 0x5c)), ST_TRUNCATED);
    cr_assert_eq(check(text, BYTES(0, 0x1a, 1, 0xff)), ST_OK, "strings of proto2 are not looked at");
}

Test(protobuf_payload, required_fields_are_there)
{
    static const char text[] = "message T { required int32 a = 1; optional N n = 2; required int32 z = 70; }"
                               "message N { required string s = 1; }";
    cr_assert_eq(check(text, BYTES(0, 0x08, 1, 0xb0, 0x04, 1)), ST_OK);
    cr_assert_eq(check(text, BYTES(0, 0x08, 1, 0x08, 1)), ST_MALFORMED);
    cr_assert_eq(check(text, BYTES(0)), ST_MALFORMED);
    cr_assert_eq(check(text, BYTES(0, 0x08, 1, 0xb0, 0x04, 1, 0x12, 2, 0x0a, 0)), ST_OK);
    cr_assert_eq(check(text, BYTES(0, 0x08, 1, 0xb0, 0x04, 1, 0x12, 0)), ST_MALFORMED);
}

Test(protobuf_payload, messages_that_stand_for_maps_count_or_not)
{
    static const char text[] =
        "syntax = \"proto3\"; message T { map<string, int32> m = 1; message N { bool on = 1; } }";
    cr_assert_eq(check(text, BYTES(4, 0, 2, 0x08, 1)), ST_OK); // T's second: N, as Python counts
    cr_assert_eq(check(text, BYTES(4, 0, 0, 0x08, 1)), ST_OK); // T's first, as Java counts
    cr_assert_eq(check(text, BYTES(4, 0, 2, 0x0a, 0)), ST_MALFORMED);
    cr_assert_eq(check(text, BYTES(4, 0, 4)), ST_MALFORMED);
}

// protoc puts what stands for a map behind the messages declared before its field; a registry's text has all
// fields first. Of "message A {} map m; message B {} map n; message C {}" B is the third for Python.
Test(protobuf_payload, messages_that_stand_for_maps_may_have_been_between_others)
{
    static const char text[] =
        "syntax = \"proto3\"; message T { map<string, int32> m = 1; map<string, int32> n = 2;"
        "message A { bool on = 1; } message B { string text = 1; } message C { int32 number = 1; } }";
    cr_assert_eq(check(text, BYTES(4, 0, 4, 0x0a, 1, 'x')), ST_OK);
    cr_assert_eq(check(text, BYTES(4, 0, 0, 0x08, 1)), ST_OK);
    cr_assert_eq(check(text, BYTES(4, 0, 8, 0x08, 1)), ST_OK);
    cr_assert_eq(check(text, BYTES(4, 0, 0, 0x0a, 1, 'x')), ST_MALFORMED,
                 "the first is A, however it is counted");
    cr_assert_eq(check(text, BYTES(4, 0, 8, 0x0a, 1, 'x')), ST_MALFORMED);
}

// 20,000 payloads of the last of 30,000 messages.
Test(protobuf_payload, many_messages_do_not_slow_a_payload_down, .timeout = 60)
{
    struct buf text;
    buf_init(&text, SCHEMA_TEXT_MAX);
    for (int i = 0; i < 30000; i++)
        buf_printf(&text, "message M%d{}", i);
    buf_put_u8(&text, '\0');
    struct schema *schema = parse((char *)text.data);
    clock_t from = clock();
    for (int i = 0; i < 20000; i++) // zigzag of 29,999
        cr_assert_eq(schema_payload_check(schema, BYTES(2, 0xde, 0xd4, 0x03)), ST_OK);
    cr_expect_lt(clock() - from, CLOCKS_PER_SEC / 4);
    schema_free(schema);
    buf_fini(&text);
}

// n messages, or groups, in one another.
static enum status nested(const char *text, size_t n, bool groups)
{
    struct buf inner, outer;
    buf_init(&inner, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        buf_init(&outer, 1 << 20);
        buf_put_u8(&outer, groups ? 0x53 : 0x0a);
        for (size_t left = inner.len; !groups; left >>= 7) {
            buf_put_u8(&outer, (uint8_t)((left & 0x7f) | (left > 0x7f ? 0x80 : 0)));
            if (left <= 0x7f)
                break;
        }
        buf_append(&outer, inner.data, inner.len);
        if (groups)
            buf_put_u8(&outer, 0x54);
        buf_fini(&inner);
        inner = outer;
    }
    buf_init(&outer, 1 << 20);
    buf_put_u8(&outer, 0);
    buf_append(&outer, inner.data, inner.len);
    enum status status = check(text, buf_slice(&outer));
    buf_fini(&inner);
    buf_fini(&outer);
    return status;
}

Test(protobuf_payload, nesting_is_bounded)
{
    static const char text[] = "syntax = \"proto3\"; message T { T t = 1; }";
    cr_assert_eq(nested(text, PROTOBUF_PAYLOAD_DEPTH_MAX, false), ST_OK);
    cr_assert_eq(nested(text, PROTOBUF_PAYLOAD_DEPTH_MAX + 1, false), ST_LIMIT);
    cr_assert_eq(nested(text, PROTOBUF_PAYLOAD_DEPTH_MAX, true), ST_OK);
    cr_assert_eq(nested(text, PROTOBUF_PAYLOAD_DEPTH_MAX + 1, true), ST_LIMIT);
}

Test(protobuf_payload, json_both_ways)
{
    struct schema *schema =
        parse("syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\";"
              "message T { int64 a = 1; google.protobuf.Timestamp at = 2; repeated string s = 3; }");
    struct schema_error error;
    struct buf payload, json;
    buf_init(&payload, 1000);
    buf_init(&json, 1000);
    const char *text = "{\"a\":\"9007199254740993\",\"at\":\"2024-01-02T03:04:05Z\",\"s\":[\"x\",\"\"]}";
    cr_assert_eq(schema_payload_from_json(schema, slice_str(text), &error, &payload), ST_OK, "%s",
                 error.text);
    cr_assert_eq(schema_payload_check(schema, buf_slice(&payload)), ST_OK);
    cr_assert_eq(schema_payload_to_json(schema, buf_slice(&payload), &json), ST_OK);
    cr_assert(slice_is(buf_slice(&json), text), "%.*s", (int)json.len, (char *)json.data);
    buf_clear(&payload);
    cr_assert_eq(schema_payload_from_json(schema, slice_str("{\"b\":1}"), &error, &payload), ST_MALFORMED);
    cr_assert_eq(schema_payload_to_json(schema, BYTES(0, 0x0a, 0), &json), ST_MALFORMED);
    buf_fini(&payload);
    buf_fini(&json);
    schema_free(schema);
}

static bool names(const char *text, const char *name, const char *expected, struct slice bytes)
{
    struct schema *schema = parse(text);
    struct protobuf_index index;
    struct buf list;
    char got[PROTOBUF_INDEX_TEXT] = "-";
    buf_init(&list, 100);
    if (protobuf_index_find(protobuf_of(schema)->main, slice_str(name), &index) != NULL) {
        protobuf_index_text(&index, got);
        protobuf_index_put(&index, &list);
    }
    bool good = strcmp(got, expected) == 0 && slice_equal(buf_slice(&list), bytes);
    buf_fini(&list);
    schema_free(schema);
    return good;
}

Test(protobuf_payload, a_message_is_named_and_its_index_written_as_javas_clients_do)
{
    static const char packed[] = "syntax = \"proto3\"; package a.b; message T { map<string, int32> m = 1;"
                                 "message I { message J { int32 x = 1; } } } message U {} message a {message b {"
                                 "message X {} }}";
    cr_expect(names(simple, "T", "0", BYTES(0)));
    cr_expect(names(simple, "U", "1", BYTES(2, 2)));
    cr_expect(names(simple, "U.V", "1.0", BYTES(4, 2, 0)));
    cr_expect(names(packed, "a.b.T", "0", BYTES(0)));
    cr_expect(names(packed, "T.I", "0.0", BYTES(4, 0, 0)), "the one for the map is not counted");
    cr_expect(names(packed, "a.b.T.I.J", "0.0.0", BYTES(6, 0, 0, 0)));
    cr_expect(names(packed, "a.b.X", "2.0.0", BYTES(6, 4, 0, 0)), "inside of the package, and of a message");
    static const char *const none[] = {"", ".", "T.", ".T", "T.MEntry", "U.V", "a.b", "a.b.", "x.T", "T..I"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        cr_expect(names(packed, none[i], strcmp(none[i], "a.b") == 0 ? "2.0" : "-",
                        strcmp(none[i], "a.b") == 0 ? BYTES(4, 4, 0) : slice_of("", 0)),
                  "%s", none[i]);
}

Test(protobuf_payload, json_becomes_any_message_of_the_schema)
{
    struct schema *schema = parse(simple);
    const struct protobuf_message *message;
    struct protobuf_index index;
    struct schema_error error = {.code = ST_OK};
    struct buf out;
    buf_init(&out, 100);
    message = protobuf_index_find(protobuf_of(schema)->main, slice_str("U.V"), &index);
    cr_assert_eq(protobuf_payload_from_json(schema, message, slice_str("{\"on\":true}"), &error, &out), ST_OK);
    cr_expect(slice_equal(buf_slice(&out), BYTES(8, 1)), "without the list");
    cr_expect_eq(protobuf_payload_from_json(schema, message, slice_str("{\"a\":1}"), &error, &out), ST_MALFORMED);
    buf_fini(&out);
    schema_free(schema);
}
