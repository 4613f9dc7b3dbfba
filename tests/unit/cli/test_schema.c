// SPDX-License-Identifier: Apache-2.0
// Schemas of produce and consume: what a schema may be named by, key and value of a line, the header before a
// payload, what a reader keeps, a schema over several lines.
#include "base/mem.h"
#include "schema_diff.h"
#include "schema_reader.h"
#include "schema_spec.h"
#include "schema_wire.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- names ----

static enum cli_exit spec(const char *text, struct schema_spec *out)
{
    return schema_spec_parse(text, out);
}

Test(schema_spec, an_id_a_subject_and_a_text)
{
    struct schema_spec it;
    cr_assert_eq(spec("id:17", &it), CLI_DONE);
    cr_expect(it.kind == SCHEMA_SPEC_ID && it.id == 17);
    cr_assert_eq(spec("orders-value", &it), CLI_DONE);
    cr_expect(it.kind == SCHEMA_SPEC_SUBJECT);
    cr_expect_str_eq(it.subject, "orders-value");
    cr_expect_str_eq(it.version, "latest");
    cr_assert_eq(spec("orders-value:3", &it), CLI_DONE);
    cr_expect_str_eq(it.subject, "orders-value");
    cr_expect_str_eq(it.version, "3");
    cr_assert_eq(spec(":.dev:orders:latest", &it), CLI_DONE);
    cr_expect_str_eq(it.subject, ":.dev:orders");
    cr_expect_str_eq(it.version, "latest");
    cr_assert_eq(spec(":.dev:orders", &it), CLI_DONE);
    cr_expect_str_eq(it.subject, ":.dev:orders");
    cr_assert_eq(spec(" {\"type\":\"string\"}", &it), CLI_DONE);
    cr_expect_eq(it.kind, SCHEMA_SPEC_TEXT);
    cr_assert_eq(spec("\"string\"", &it), CLI_DONE);
    cr_expect_eq(it.kind, SCHEMA_SPEC_TEXT);
}

Test(schema_spec, a_file_is_one_that_is_there)
{
    char path[] = "/tmp/cli-schema-XXXXXX";
    struct schema_spec it;
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_eq(spec(path, &it), CLI_DONE);
    cr_expect_eq(it.kind, SCHEMA_SPEC_FILE);
    unlink(path);
    cr_assert_eq(spec(path, &it), CLI_DONE);
    cr_expect_eq(it.kind, SCHEMA_SPEC_SUBJECT);
    cr_assert_eq(spec("/tmp", &it), CLI_DONE);
    cr_expect_eq(it.kind, SCHEMA_SPEC_SUBJECT, "a directory is no schema");
}

Test(schema_spec, what_is_none_is_refused)
{
    static char subject[SCHEMA_SUBJECT_MAX + 2];
    struct schema_spec it;
    memset(subject, 's', SCHEMA_SUBJECT_MAX + 1);
    cr_expect_eq(spec("id:", &it), CLI_USAGE);
    cr_expect_eq(spec("id:x", &it), CLI_USAGE);
    cr_expect_eq(spec("id:-1", &it), CLI_USAGE);
    cr_expect_eq(spec("id:4294967296", &it), CLI_USAGE);
    cr_expect_eq(spec("", &it), CLI_USAGE);
    cr_expect_eq(spec(subject, &it), CLI_USAGE);
}

Test(schema_spec, a_type_is_given_or_of_the_file_s_name)
{
    struct schema_spec file = {.kind = SCHEMA_SPEC_FILE, .text = "a/order.proto"};
    const char *type;
    cr_assert_eq(schema_spec_type(NULL, &file, &type), CLI_DONE);
    cr_expect_str_eq(type, "PROTOBUF");
    cr_assert_eq(schema_spec_type("json", &file, &type), CLI_DONE);
    cr_expect_str_eq(type, "JSON");
    file.text = "order.avsc";
    cr_assert_eq(schema_spec_type(NULL, &file, &type), CLI_DONE);
    cr_expect_null(type);
    cr_expect_eq(schema_spec_type("xml", &file, &type), CLI_USAGE);
    cr_expect_eq(schema_spec_type("avro and a good deal more", &file, &type), CLI_USAGE);
}

// ---- lines ----

static bool split(const char *line, const char *separator, char *out)
{
    struct slice key, value;
    if (!schema_wire_split(slice_str(line), separator, &key, &value))
        return false;
    sprintf(out, "%.*s|%.*s", (int)key.len, key.data, (int)value.len, value.data);
    return true;
}

Test(schema_split, the_separator_is_the_first_outside_of_the_key)
{
    char out[100];
    cr_assert(split("{\"a\":1}:{\"b\":2}", ":", out));
    cr_expect_str_eq(out, "{\"a\":1}|{\"b\":2}");
    cr_assert(split("\"x:\\\":\":[1]", ":", out));
    cr_expect_str_eq(out, "\"x:\\\":\"|[1]");
    cr_assert(split("5\t\t6", "\t", out));
    cr_expect_str_eq(out, "5|\t6");
    cr_assert(split("[1,[2,3]],4", ",", out));
    cr_expect_str_eq(out, "[1,[2,3]]|4");
    cr_assert(split("1 => ", " => ", out));
    cr_expect_str_eq(out, "1|");
    cr_expect_not(split("{\"a\":1}", ":", out));
    cr_expect_not(split(":1", ":", out), "a key of no bytes is none");
    cr_expect_not(split("", ":", out));
    cr_expect_not(split("\"\\", ":", out));
}

// ---- bytes ----

static struct schema *parsed(const char *text)
{
    struct schema_error error;
    struct schema *schema;
    cr_assert_eq(schema_parse(SCHEMA_AVRO, slice_str(text), NULL, 0, &error, &schema), ST_OK, "%s",
                 error.text);
    return schema;
}

Test(schema_wire, there_and_back)
{
    static const uint8_t expected[] = {0, 0, 0, 1, 2, 6};
    const struct schema_id id = schema_id_of(258);
    struct schema_claim claim;
    struct schema_wire wire;
    struct schema *schema = parsed("\"long\"");
    struct schema_error error;
    struct buf out, json;
    buf_init(&out, 100);
    buf_init(&json, 100);
    cr_assert_eq(schema_wire_init(&wire, schema, &id, NULL), ST_OK);
    cr_assert_eq(schema_wire_encode(&wire, slice_str("3"), &error, &out), ST_OK);
    cr_expect(slice_equal(buf_slice(&out), slice_of(expected, sizeof expected)));
    cr_assert_eq(schema_claim_take((struct slice){0}, buf_slice(&out), &claim), ST_OK);
    cr_assert_eq(schema_wire_decode(schema, claim.payload, &json), ST_OK);
    cr_expect(slice_is(buf_slice(&json), "3"));
    cr_expect_eq(schema_wire_encode(&wire, slice_str("{}"), &error, &out), ST_MALFORMED);
    cr_expect_eq(schema_wire_init(&wire, schema, &id, "Message"), ST_MALFORMED, "it has none");
    buf_fini(&out);
    buf_fini(&json);
    schema_free(schema);
}

static struct schema *parsed_protobuf(const char *text)
{
    struct schema_error error;
    struct schema *schema;
    cr_assert_eq(schema_parse(SCHEMA_PROTOBUF, slice_str(text), NULL, 0, &error, &schema), ST_OK, "%s",
                 error.text);
    return schema;
}

static bool encodes(struct schema_wire *wire, const char *json, const uint8_t *expected, size_t len)
{
    struct schema_error error;
    struct buf out;
    buf_init(&out, 100);
    bool good = schema_wire_encode(wire, slice_str(json), &error, &out) == ST_OK &&
                slice_equal(buf_slice(&out), slice_of(expected, len));
    buf_fini(&out);
    return good;
}

// As Confluent's PrefixSchemaIdSerializer and HeaderSchemaIdSerializer write them.
Test(schema_wire, a_message_of_a_protobuf_schema_in_front_or_in_a_header)
{
    static const uint8_t first[] = {0, 0, 0, 0, 7, 0, 8, 5}, inner[] = {0, 0, 0, 0, 7, 4, 2, 0, 8, 5};
    static const uint8_t header[] = {1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 4, 2, 0};
    struct schema *schema = parsed_protobuf("syntax = \"proto3\"; package p; message A { int32 a = 1; } message B {"
                                            " message C { int32 c = 1; } }");
    struct schema_id id = schema_id_of(7), guid;
    struct schema_wire wire;
    struct buf out;
    buf_init(&out, 100);
    cr_assert_eq(schema_wire_init(&wire, schema, &id, NULL), ST_OK);
    cr_expect(encodes(&wire, "{\"a\":5}", first, sizeof first));
    cr_assert_eq(schema_wire_init(&wire, schema, &id, "p.B.C"), ST_OK);
    cr_expect(encodes(&wire, "{\"c\":5}", inner, sizeof inner));
    cr_assert_eq(schema_id_parse(slice_str("00010203-0405-0607-0809-0a0b0c0d0e0f"), &guid), ST_OK);
    cr_assert_eq(schema_wire_init(&wire, schema, &guid, "B.C"), ST_OK);
    wire.in_header = true;
    cr_expect(encodes(&wire, "{\"c\":5}", inner + 8, 2));
    schema_wire_header(&wire, &out);
    cr_expect(slice_equal(buf_slice(&out), slice_of(header, sizeof header)));
    cr_expect_eq(schema_wire_init(&wire, schema, &id, "C"), ST_MALFORMED);
    buf_fini(&out);
    schema_free(schema);
}

// ---- reading ----

struct fetched {
    struct schema_options options; // first: what the reader hands on
    int count, refused;
    size_t bytes;
    enum cli_exit code;
};

static enum cli_exit fetch(const struct schema_options *options, const struct schema_id *id,
                           const char *subject, struct schema **schema, size_t *bytes)
{
    struct fetched *fetched = (struct fetched *)options;
    fetched->count++;
    *schema = NULL;
    *bytes = fetched->bytes;
    cr_expect_str_eq(subject, "t-value");
    if (fetched->code == CLI_DONE && schema_id_number(id) != fetched->refused)
        *schema = parsed("\"long\"");
    return fetched->code != CLI_DONE ? fetched->code : *schema != NULL ? CLI_DONE : CLI_FAILED;
}

static enum cli_exit read_one(struct schema_reader *reader, int32_t number)
{
    const struct schema_claim claim = {.id = schema_id_of(number), .payload = slice_of("\2", 1)};
    struct schema_error error;
    struct buf json;
    buf_init(&json, 100);
    enum cli_exit code = schema_reader_json(reader, &claim, &error, &json);
    cr_expect(code == CLI_DONE ? slice_is(buf_slice(&json), "1") : code != CLI_FAILED || *error.text != '\0');
    buf_fini(&json);
    return code;
}

Test(schema_reader, a_schema_is_asked_for_once_and_so_is_one_that_is_refused)
{
    struct fetched fetched = {.refused = 7};
    struct schema_reader reader;
    schema_reader_init(&reader, &fetched.options, fetch, "t-value");
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(read_one(&reader, 5), CLI_DONE);
        cr_expect_eq(read_one(&reader, 7), CLI_FAILED);
    }
    cr_expect_eq(fetched.count, 2);
    schema_reader_fini(&reader);
}

Test(schema_reader, a_registry_that_does_not_answer_is_asked_again)
{
    struct fetched fetched = {.code = CLI_TIMEOUT};
    struct schema_reader reader;
    schema_reader_init(&reader, &fetched.options, fetch, "t-value");
    cr_expect_eq(read_one(&reader, 5), CLI_TIMEOUT);
    fetched.code = CLI_DONE;
    cr_expect_eq(read_one(&reader, 5), CLI_DONE);
    schema_reader_fini(&reader);
}

Test(schema_reader, what_was_not_needed_for_longest_goes)
{
    struct fetched fetched = {.refused = -1};
    struct schema_reader reader;
    schema_reader_init(&reader, &fetched.options, fetch, "t-value");
    for (int i = 0; i < SCHEMA_READER_SCHEMAS; i++)
        cr_assert_eq(read_one(&reader, i), CLI_DONE);
    cr_expect_eq(read_one(&reader, 0), CLI_DONE);
    cr_expect_eq(fetched.count, SCHEMA_READER_SCHEMAS);
    cr_expect_eq(read_one(&reader, SCHEMA_READER_SCHEMAS), CLI_DONE);
    cr_expect_eq(reader.known.count, SCHEMA_READER_SCHEMAS);
    cr_expect_eq(read_one(&reader, 0), CLI_DONE);
    cr_expect_eq(fetched.count, SCHEMA_READER_SCHEMAS + 1, "0 was used lately");
    cr_expect_eq(read_one(&reader, 1), CLI_DONE);
    cr_expect_eq(fetched.count, SCHEMA_READER_SCHEMAS + 2, "1 was not");
    schema_reader_fini(&reader);
}

Test(schema_reader, long_schemas_are_fewer)
{
    struct fetched fetched = {.refused = -1, .bytes = SCHEMA_READER_BYTES / 4};
    struct schema_reader reader;
    schema_reader_init(&reader, &fetched.options, fetch, "t-value");
    for (int i = 0; i < 10; i++)
        cr_assert_eq(read_one(&reader, i), CLI_DONE);
    cr_expect_eq(reader.known.count, 4);
    cr_expect_leq(reader.bytes, (size_t)SCHEMA_READER_BYTES);
    schema_reader_fini(&reader);
}

Test(schema_reader, bytes_that_are_no_value_say_why)
{
    struct fetched fetched = {.refused = -1};
    struct schema_reader reader;
    struct schema_error error;
    const struct schema_claim claim = {.id = schema_id_of(5)};
    struct buf json;
    buf_init(&json, 100);
    schema_reader_init(&reader, &fetched.options, fetch, "t-value");
    cr_expect_eq(schema_reader_json(&reader, &claim, &error, &json), CLI_FAILED);
    cr_expect(strstr(error.text, "schema 5 (AVRO)") != NULL, "%s", error.text);
    buf_fini(&json);
    schema_reader_fini(&reader);
}

Test(schema_reader, a_guid_is_not_the_number_that_begins_like_it_and_its_lead_is_payload)
{
    struct fetched fetched = {.refused = -1};
    struct schema_reader reader;
    struct schema_error error;
    struct schema_claim claim = {.lead = slice_of("\2", 1)};
    struct buf json;
    buf_init(&json, 100);
    schema_reader_init(&reader, &fetched.options, fetch, "t-value");
    cr_assert_eq(schema_id_parse(slice_str("00000000-0000-0000-0000-000000000000"), &claim.id), ST_OK);
    cr_expect_eq(read_one(&reader, 0), CLI_DONE);
    cr_expect_eq(schema_reader_json(&reader, &claim, &error, &json), CLI_DONE);
    cr_expect(slice_is(buf_slice(&json), "1"));
    cr_expect_eq(fetched.count, 2);
    buf_fini(&json);
    schema_reader_fini(&reader);
}

// ---- diff ----

static void lines(const char *text, const char *expected)
{
    char *got = schema_diff_lines(text);
    cr_expect_str_eq(got, expected);
    mem_free(got);
}

Test(schema_diff, json_is_indented_and_any_other_text_stays)
{
    lines("{\"b\":[1,{\"c\":\"x\\ny\"}],\"a\":{},\"d\":[]}",
          "{\n\t\"b\":\t[\n\t\t1,\n\t\t{\n\t\t\t\"c\":\t\"x\\ny\"\n\t\t}\n\t],\n\t\"a\":\t{},\n\t\"d\":\t[]"
          "\n}");
    lines("\"string\"", "\"string\"");
    lines("syntax = \"proto3\";\nmessage A {}\n", "syntax = \"proto3\";\nmessage A {}\n");
    lines("", "");
}

Test(schema_diff, digits_that_no_double_has_are_kept)
{
    lines("{\"default\":9007199254740993}", "{\n\t\"default\":\t9007199254740993\n}");
    lines("{\"default\":9007199254740992}", "{\n\t\"default\":\t9007199254740992\n}");
    lines("{\"multipleOf\":0.10000000000000000001}", "{\n\t\"multipleOf\":\t0.10000000000000000001\n}");
}

Test(schema_diff, one_that_would_become_too_long_stays_whole)
{
    enum { DEPTH = 190, COUNT = 100000 };
    char *text = malloc(2 * COUNT + 2 * DEPTH + 1), *at = text;
    memset(at, '[', DEPTH);
    at += DEPTH;
    for (int i = 0; i < COUNT; i++, at += 2)
        memcpy(at, "1,", 2);
    memset(--at, ']', DEPTH); // in place of the last comma
    at[DEPTH] = '\0';
    lines(text, text);
    free(text);
}
