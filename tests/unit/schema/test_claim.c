// SPDX-License-Identifier: Apache-2.0
// Where records say which schema they are of, and what an id looks like.
#include "schema/claim.h"

#include <criterion/criterion.h>

static const struct slice none = {0};

Test(schema_claim, ids_are_read_as_they_stand_in_records)
{
    static const uint8_t plain[] = {0, 0, 0, 0, 7, 99};
    uint8_t guid[17] = {1,    0x0f, 0x1e, 0x2d, 0x3c, 0x4b, 0x5a, 0x69, 0x78,
                        0x87, 0x96, 0xa5, 0xb4, 0xc3, 0xd2, 0xe1, 0xf0};
    struct schema_id id;
    char text[SCHEMA_ID_TEXT];
    cr_expect_eq(schema_id_read(slice_of(plain, sizeof plain), &id), 5);
    cr_expect_str_eq(schema_id_text(&id, text), "7");
    cr_expect_eq(schema_id_read(slice_of(plain, 4), &id), 0);
    cr_expect_eq(schema_id_read(slice_of(guid, sizeof guid), &id), 17);
    cr_expect_str_eq(schema_id_text(&id, text), "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0");
    cr_expect_eq(schema_id_read(slice_of(guid, 16), &id), 0);
    guid[0] = 2;
    cr_expect_eq(schema_id_read(slice_of(guid, sizeof guid), &id), 0);
    cr_expect_eq(schema_id_read(slice_of("", 0), &id), 0);
}

Test(schema_claim, ids_are_made_of_numbers_and_of_texts)
{
    static const char guid[] = "0f1E2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
    char text[SCHEMA_ID_TEXT];
    struct schema_id id = schema_id_of(258);
    cr_expect(!schema_id_is_guid(&id) && schema_id_number(&id) == 258 && schema_id_size(&id) == 5);
    cr_assert_eq(schema_id_parse(slice_str(guid), &id), ST_OK);
    cr_expect(schema_id_is_guid(&id) && schema_id_size(&id) == 17);
    cr_expect_str_eq(schema_id_text(&id, text), "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0");
    cr_expect_eq(schema_id_parse(slice_of(guid, 35), &id), ST_MALFORMED);
    cr_expect_eq(schema_id_parse(slice_str("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1fg"), &id), ST_MALFORMED);
    cr_expect_eq(schema_id_parse(slice_str("0f1e2d3c04b5a-6978-8796-a5b4c3d2e1f0"), &id), ST_MALFORMED);
    cr_expect_eq(schema_id_parse(slice_str("0f1e2d3-c4b5a-6978-8796-a5b4c3d2e1f0"), &id), ST_MALFORMED);
}

Test(schema_claim, a_header_counts_before_what_the_payload_begins_with)
{
    static const uint8_t header[] = {0, 0, 0, 0, 9, 2, 4}, value[] = {0, 0, 0, 0, 7, 8};
    struct schema_claim claim;
    struct buf joined;
    buf_init(&joined, 100);
    cr_assert_eq(schema_claim_take(none, slice_of(value, sizeof value), &claim), ST_OK);
    cr_expect_eq(schema_id_number(&claim.id), 7);
    cr_expect(slice_equal(schema_claim_payload(&claim, &joined), slice_of("\10", 1)));
    cr_assert_eq(schema_claim_take(slice_of(header, sizeof header), slice_of(value, sizeof value), &claim),
                 ST_OK);
    cr_expect_eq(schema_id_number(&claim.id), 9);
    cr_expect(slice_equal(schema_claim_payload(&claim, &joined), slice_of("\2\4\0\0\0\0\7\10", 8)));
    cr_expect_eq(schema_claim_take(slice_str(""), slice_of(value, sizeof value), &claim), ST_MALFORMED,
                 "a header without an id");
    cr_expect_eq(schema_claim_take(none, slice_str(""), &claim), ST_MALFORMED);
    buf_fini(&joined);
}
