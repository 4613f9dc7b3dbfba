// SPDX-License-Identifier: Apache-2.0
// Records that lie inside a batch whose checksum is right, packed by every codec; and the single pass over
// uncompressed ones, whose verdict may not depend on where its steps end.
#include "base/bytes.h"
#include "base/hash.h"
#include "kafka/batch.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { T = 1000000, ROOM = 1 << 20 };

static const struct batch_rules client = {.from_client = true,
                                          .now_ms = T,
                                          .before_ms = INT64_MAX,
                                          .after_ms = INT64_MAX,
                                          .limits = {ROOM, ROOM, 100}};

static struct batch_verdict verdict;

// What the header says of records that are in fact something else.
struct says {
    int32_t count, last_delta;
    int64_t max_timestamp;
};

static void seal(struct buf *batch)
{
    store_be32(batch->data + 8, (uint32_t)(batch->len - BATCH_PREFIX_SIZE));
    store_be32(batch->data + 17, crc32c(0, batch->data + 21, batch->len - 21));
}

static struct buf make(enum compression codec, struct slice body, const struct says *says)
{
    struct buf batch;
    buf_init(&batch, 2 * ROOM);
    buf_put_be64(&batch, 0);
    buf_put_be32(&batch, 0); // length
    buf_put_be32(&batch, UINT32_MAX);
    buf_put_u8(&batch, 2);
    buf_put_be32(&batch, 0); // checksum
    buf_put_be16(&batch, (uint16_t)codec);
    buf_put_be32(&batch, (uint32_t)says->last_delta);
    buf_put_be64(&batch, T);
    buf_put_be64(&batch, (uint64_t)says->max_timestamp);
    buf_put_be64(&batch, UINT64_MAX);
    buf_put_be16(&batch, UINT16_MAX);
    buf_put_be32(&batch, UINT32_MAX);
    buf_put_be32(&batch, (uint32_t)says->count);
    cr_assert_eq(compress_pack(codec, body, &batch), ST_OK);
    seal(&batch);
    return batch;
}

static enum status judge(struct slice batch, const struct batch_rules *rules)
{
    struct batch_header header;
    struct buf scratch;
    buf_init(&scratch, ROOM);
    enum status status = batch_validate(batch, rules, &scratch, &header, &verdict);
    buf_fini(&scratch);
    return status;
}

// ---- lies: two records, at T and T + 1, and what is wrong with them ----

#define FIRST  "\x10\0\0\0\2k\2v\0" // length 8, attributes, time +0, offset +0, key, value, no headers
#define SECOND "\x10\0\2\2\2k\2v\0" // time +1, offset +1

struct lie {
    const char *name;
    const char *body;
    size_t len;
    int count, last_delta; // 0: 2 and 1
    int bad_record;        // -1: the header's fault; -2: it is taken
};

#define BODY(text) text, sizeof text - 1

static const struct lie lies[] = {
    {"true", BODY(FIRST SECOND), 0, 0, -2},
    {"too few", BODY(FIRST), 0, 0, 1},
    {"too many", BODY(FIRST SECOND "\x10\0\2\4\2k\2v\0"), 0, 0, 2},
    {"none", BODY(""), 0, 0, 0},
    {"count too small", BODY(FIRST SECOND), 1, 1, -1},
    {"count and range too small", BODY(FIRST SECOND), 1, 0, 1},
    {"count and range too large", BODY(FIRST SECOND), 3, 2, 2},
    {"offsets from one", BODY(SECOND SECOND), 0, 0, 0},
    {"offset twice", BODY(FIRST FIRST), 0, 0, 1},
    {"offsets backwards", BODY(SECOND FIRST), 0, 0, 0},
    {"offset left out", BODY(FIRST "\x10\0\2\4\2k\2v\0"), 3, 2, 1},
    {"negative offset", BODY(FIRST "\x10\0\2\1\2k\2v\0"), 0, 0, 1},
    {"rubbish", BODY("\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 0, 0, 0},
    {"zeros", BODY("\0\0\0\0\0\0\0"), 0, 0, 0},
    {"byte behind", BODY(FIRST SECOND "\0"), 0, 0, 2},
    {"cut", BODY(FIRST "\x10\0\2\2\2k\2v"), 0, 0, 1},
    {"record length -1", BODY(FIRST "\1\0\2\2\2k\2v\0"), 0, 0, 1},
    {"record length one less", BODY(FIRST "\xe\0\2\2\2k\2v\0"), 0, 0, 1},
    {"record length one more", BODY(FIRST "\x12\0\2\2\2k\2v\0\0"), 0, 0, 1},
    {"record length of six bytes", BODY(FIRST "\x90\x80\x80\x80\x80\0\0\2\2\2k\2v\0"), 0, 0, 1},
    {"record length of two bytes", BODY(FIRST "\x90\0\0\2\2\2k\2v\0"), 0, 0, -2},
    {"key length -2", BODY(FIRST "\xe\0\2\2\3\2v\0"), 0, 0, 1},
    {"key too long", BODY(FIRST "\x10\0\2\2\xck\2v\0"), 0, 0, 1},
    {"key null", BODY(FIRST "\xe\0\2\2\1\2v\0"), 0, 0, -2},
    {"value length -2", BODY(FIRST "\xe\0\2\2\2k\3\0"), 0, 0, 1},
    {"value too long", BODY(FIRST "\x10\0\2\2\2k\x4v\0"), 0, 0, 1},
    {"value null", BODY(FIRST "\xe\0\2\2\2k\1\0"), 0, 0, -2},
    {"header count -1", BODY(FIRST "\x10\0\2\2\2k\2v\1"), 0, 0, 1},
    {"header count too large", BODY(FIRST "\x10\0\2\2\2k\2v\2"), 0, 0, 1},
    {"header count huge", BODY(FIRST "\x18\0\2\2\2k\2v\xfe\xff\xff\xff\xf"), 0, 0, 1},
    {"header key null", BODY(FIRST "\x14\0\2\2\2k\2v\2\1\0"), 0, 0, 1},
    {"header value null", BODY(FIRST "\x14\0\2\2\2k\2v\2\0\1"), 0, 0, -2},
    {"header value -2", BODY(FIRST "\x14\0\2\2\2k\2v\2\0\3"), 0, 0, 1},
    {"record attributes", BODY(FIRST "\x10\x7f\2\2\2k\2v\0"), 0, 0, -2},
};

static void check_lie(enum compression codec, const struct lie *lie)
{
    struct says says = {2, 1, T + 1};
    if (lie->count != 0)
        says = (struct says){lie->count, lie->last_delta, T + 1};
    struct buf batch = make(codec, slice_of(lie->body, lie->len), &says);
    enum status expected = lie->bad_record == -2 ? ST_OK : ST_MALFORMED;
    enum status status = judge(buf_slice(&batch), &client);
    const char *name = compression_name(codec);
    cr_expect_eq(status, expected, "%s: %s: %d %s", name, lie->name, status, verdict.why);
    if (expected == ST_OK)
        cr_expect_eq(verdict.max_timestamp, T + 1, "%s: %s", name, lie->name);
    else
        cr_expect_eq(verdict.bad_record, lie->bad_record, "%s: %s: %d", name, lie->name, verdict.bad_record);
    cr_expect(status == ST_OK || verdict.why[0] != 0);
    cr_expect_eq(verdict.fault_count, 0);
    buf_fini(&batch);
}

Test(validate, lies_inside_a_right_checksum_are_found_in_every_codec)
{
    for (int codec = COMPRESSION_NONE; codec < COMPRESSION_COUNT; codec++)
        for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
            check_lie((enum compression)codec, &lies[i]);
}

Test(validate, it_is_said_on_which_side_the_count_is_wrong)
{
    struct says two = {2, 1, T + 1}, one = {1, 0, T + 1};
    struct buf batch = make(COMPRESSION_NONE, slice_of(BODY(FIRST)), &two);
    judge(buf_slice(&batch), &client);
    cr_assert_str_eq(verdict.why, "the batch has fewer records than its header says");
    buf_fini(&batch);
    batch = make(COMPRESSION_NONE, slice_of(BODY(FIRST SECOND)), &one);
    judge(buf_slice(&batch), &client);
    cr_assert_str_eq(verdict.why, "the batch goes on behind its last record");
    buf_fini(&batch);
}

// Kafka overwrites it as well.
Test(validate, a_wrong_max_timestamp_is_said_and_not_refused)
{
    static const int64_t wrong[] = {-1, 0, T - 5, T, T + 2, INT64_MAX};
    for (int codec = COMPRESSION_NONE; codec < COMPRESSION_COUNT; codec++) {
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
            struct says says = {2, 1, wrong[i]};
            struct buf batch = make((enum compression)codec, slice_of(BODY(FIRST SECOND)), &says);
            cr_assert_eq(judge(buf_slice(&batch), &client), ST_OK);
            cr_assert_eq(verdict.max_timestamp, T + 1);
            buf_fini(&batch);
        }
    }
}

Test(validate, a_payload_that_does_not_unpack_is_no_transfer_error)
{
    for (int codec = COMPRESSION_GZIP; codec < COMPRESSION_COUNT; codec++) {
        struct says says = {2, 1, T + 1};
        struct buf batch = make(COMPRESSION_NONE, slice_of(BODY(FIRST SECOND)), &says);
        store_be16(batch.data + 21, (uint16_t)codec);
        seal(&batch);
        cr_assert_eq(judge(buf_slice(&batch), &client), ST_MALFORMED, "%s",
                     compression_name((enum compression)codec));
        buf_fini(&batch);
    }
}

// ---- rules ----

Test(validate, the_header_alone_is_enough_where_the_topic_says_so)
{
    struct batch_rules header_only = client;
    header_only.header_only = true;
    for (int codec = COMPRESSION_NONE; codec < COMPRESSION_COUNT; codec++) {
        struct says says = {3, 2, T + 7};
        struct buf batch = make((enum compression)codec, slice_of(BODY(FIRST)), &says);
        cr_assert_eq(judge(buf_slice(&batch), &header_only), ST_OK);
        cr_assert_eq(verdict.max_timestamp, T + 7, "as the header says");
        batch.data[batch.len - 1] ^= 1;
        cr_assert_eq(judge(buf_slice(&batch), &header_only), ST_CORRUPT);
        says.count = 4;
        buf_fini(&batch);
        batch = make((enum compression)codec, slice_of(BODY(FIRST)), &says);
        cr_assert_eq(judge(buf_slice(&batch), &header_only), ST_MALFORMED);
        buf_fini(&batch);
    }
}

Test(validate, the_headers_times_are_bounded_where_the_records_are_not_looked_at)
{
    struct batch_rules rules = client;
    struct says says = {1, 0, T + 500};
    struct buf batch = make(COMPRESSION_NONE, slice_of(BODY(FIRST)), &says);
    rules.header_only = true;
    rules.after_ms = 500;
    cr_assert_eq(judge(buf_slice(&batch), &rules), ST_OK);
    rules.after_ms = 499;
    cr_assert_eq(judge(buf_slice(&batch), &rules), ST_OUT_OF_RANGE);
    rules.log_append_time = true;
    cr_assert_eq(judge(buf_slice(&batch), &rules), ST_OK);
    rules = client;
    rules.header_only = true;
    rules.before_ms = 10;
    rules.now_ms = T + 10;
    cr_assert_eq(judge(buf_slice(&batch), &rules), ST_OK);
    rules.now_ms = T + 11;
    cr_assert_eq(judge(buf_slice(&batch), &rules), ST_OUT_OF_RANGE);
    buf_fini(&batch);
}

Test(validate, the_checksum_outweighs_what_is_found_before_its_end)
{
    struct batch_rules rules = client;
    struct says says = {2, 1, T + 1};
    rules.key_required = true;
    for (int codec = COMPRESSION_NONE; codec < COMPRESSION_COUNT; codec++) {
        struct buf batch = make((enum compression)codec, slice_of(BODY(FIRST "\xe\0\2\2\1\2v\0")), &says);
        cr_assert_eq(judge(buf_slice(&batch), &rules), ST_MALFORMED);
        cr_assert_eq(verdict.fault_count, 1);
        cr_assert_eq(verdict.faults[0].timestamp, T + 1);
        batch.data[17] ^= 1;
        cr_assert_eq(judge(buf_slice(&batch), &rules), ST_CORRUPT);
        cr_assert_eq(verdict.fault_count, 0);
        cr_assert_eq(verdict.bad_record, -1);
        store_be32(batch.data + 57, 9);
        cr_assert_eq(judge(buf_slice(&batch), &rules), ST_CORRUPT, "also the header's count");
        buf_fini(&batch);
    }
}

// ---- steps of the pass ----

// A batch of records whose values have so many bytes; the one at `keyless` has no key.
static struct buf steps(int count, size_t value, int keyless)
{
    struct batch_record *records = calloc((size_t)count, sizeof *records);
    struct batch_spec spec = batch_spec_plain();
    char *bytes = calloc(1, value + 1);
    struct buf batch;
    for (int i = 0; i < count; i++)
        records[i] =
            (struct batch_record){.timestamp = T + i, .key = slice_str("k"), .value = slice_of(bytes, value)};
    if (keyless >= 0)
        records[keyless].key = (struct slice){0};
    buf_init(&batch, ROOM);
    cr_assert_eq(batch_build(&spec, records, count, &batch), ST_OK);
    free(records);
    free(bytes);
    return batch;
}

Test(validate, no_record_is_passed_over_wherever_a_step_ends)
{
    struct batch_rules rules = client;
    rules.key_required = true;
    for (size_t value = 0; value < 40000; value = value * 3 / 2 + 1) {
        int count = (int)(60000 / (value + 12)) + 2;
        for (int at = 0; at < count; at += 1 + count / 50) {
            struct buf batch = steps(count, value, at);
            cr_assert_eq(judge(buf_slice(&batch), &rules), ST_MALFORMED);
            cr_assert_eq(verdict.bad_record, at, "value %zu, record %d", value, at);
            cr_assert_eq(verdict.max_timestamp, T + count - 1);
            cr_assert_eq(verdict.fault_count, 1);
            buf_fini(&batch);
        }
    }
}

Test(validate, a_damaged_byte_in_any_step_is_noticed)
{
    struct buf batch = steps(300, 100, -1);
    for (size_t at = BATCH_CRC_FROM; at < batch.len; at += 7) {
        batch.data[at] ^= 4;
        cr_assert_eq(judge(buf_slice(&batch), &client), ST_CORRUPT, "byte %zu", at);
        batch.data[at] ^= 4;
    }
    cr_assert_eq(judge(buf_slice(&batch), &client), ST_OK);
    buf_fini(&batch);
}
