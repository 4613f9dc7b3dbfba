// SPDX-License-Identifier: Apache-2.0
// Packed schemas come back as they were; whatever is cut, changed or too large is refused.
#include "schema/pack.h"

#include <criterion/criterion.h>

#define INNER "{\"type\":\"record\",\"name\":\"In\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"}]}"
#define OUTER "{\"type\":\"record\",\"name\":\"Out\",\"fields\":[{\"name\":\"in\",\"type\":\"In\"}]}"

static struct buf packed;

static void start(void)
{
    struct schema_reference refs[] = {{.name = slice_str("In"), .text = slice_str(INNER)}};
    buf_init(&packed, SCHEMA_PACK_MAX);
    cr_assert_eq(schema_pack(SCHEMA_AVRO, slice_str(OUTER), refs, 1, &packed), ST_OK);
}

static void stop(void)
{
    buf_fini(&packed);
}

TestSuite(pack, .init = start, .fini = stop);

Test(pack, what_was_packed_checks_payloads_as_before)
{
    struct schema_error error;
    struct schema *schema;
    cr_assert_eq(schema_unpack(buf_slice(&packed), &error, &schema), ST_OK, "%s", error.text);
    cr_expect(slice_is(schema_name(schema), "Out"));
    cr_expect_eq(schema_payload_check(schema, slice_of("\x02", 1)), ST_OK);
    cr_expect_eq(schema_payload_check(schema, slice_of("", 0)), ST_TRUNCATED);
    schema_free(schema);
}

Test(pack, nothing_shorter_or_longer_is_taken)
{
    struct schema_error error;
    struct schema *schema;
    for (size_t len = 0; len < packed.len; len++) {
        cr_expect_eq(schema_unpack(slice_of(packed.data, len), &error, &schema), ST_MALFORMED, "%zu", len);
        cr_expect(schema == NULL && error.text[0] != '\0');
    }
    buf_put_u8(&packed, 0);
    cr_expect_eq(schema_unpack(buf_slice(&packed), &error, &schema), ST_MALFORMED);
}

Test(pack, another_version_is_named_with_ours)
{
    struct schema_error error;
    struct schema *schema;
    packed.data[0] = 9;
    cr_expect_eq(schema_unpack(buf_slice(&packed), &error, &schema), ST_UNSUPPORTED);
    cr_expect(strstr(error.text, "9") != NULL && strstr(error.text, "1") != NULL, "%s", error.text);
}

Test(pack, an_unknown_format_and_endless_references_are_refused)
{
    static const uint8_t endless[] = {SCHEMA_PACK_VERSION, SCHEMA_AVRO, 0xff, 0xff, 0xff, 0xff, 0x0f};
    struct schema_error error;
    struct schema *schema;
    cr_expect_eq(schema_unpack(slice_of(endless, sizeof endless), &error, &schema), ST_MALFORMED);
    packed.data[1] = 200;
    cr_expect_eq(schema_unpack(buf_slice(&packed), &error, &schema), ST_UNSUPPORTED);
}

Test(pack, descriptors_are_of_protobuf_alone_and_nonsense_is_refused)
{
    static const uint8_t nonsense[] = {SCHEMA_PACK_VERSION, SCHEMA_PROTOBUF, 0xff, 0xff};
    struct schema_error error;
    struct schema *schema;
    cr_expect_eq(schema_unpack(slice_of(nonsense, sizeof nonsense), &error, &schema), ST_MALFORMED);
    cr_expect(schema == NULL && error.text[0] != '\0');
    cr_assert_eq(schema_unpack(buf_slice(&packed), &error, &schema), ST_OK);
    size_t before = packed.len;
    cr_expect_eq(schema_pack_descriptors(schema, &packed), ST_UNSUPPORTED);
    cr_expect_eq(packed.len, before);
    cr_expect_eq(schema_pack(SCHEMA_PROTOBUF, slice_str("syntax = \"proto3\";"), NULL, 0, &packed),
                 ST_UNSUPPORTED);
    schema_free(schema);
}

Test(pack, a_full_buffer_keeps_what_it_had)
{
    struct buf small;
    buf_init(&small, 10);
    buf_append(&small, "abc", 3);
    cr_expect_eq(schema_pack(SCHEMA_AVRO, slice_str(OUTER), NULL, 0, &small), ST_LIMIT);
    cr_expect_eq(small.len, 3);
    buf_fini(&small);
}
