// SPDX-License-Identifier: Apache-2.0
// What share groups are given of bytes from the log, and dead letters made of them.
#include "base/bytes.h"
#include "base/hash.h"
#include "dead_batch.h"
#include "kafka/batch.h"
#include "kafka/compress.h"
#include "share_cut.h"

#include <criterion/criterion.h>
#include <string.h>

static struct buf bytes;
static struct share_cut cut;

static void setup(void)
{
    buf_init(&bytes, 1 << 20);
}

static void teardown(void)
{
    share_cut_fini(&cut);
    buf_fini(&bytes);
}

TestSuite(share_cut, .init = setup, .fini = teardown, .timeout = 20);

// A batch of records whose values are "a", "b", ...; each with the header h=1.
static void put(int64_t base, int count, int16_t attributes, int64_t producer_id)
{
    static const char letters[] = "abcdefgh";
    struct record_header header = {slice_str("h"), slice_str("1")};
    struct batch_record records[8];
    struct batch_spec spec = batch_spec_plain();
    spec.base_offset = base;
    spec.attributes = attributes;
    spec.producer_id = producer_id;
    spec.producer_epoch = producer_id >= 0 ? 0 : -1;
    spec.base_sequence = producer_id >= 0 ? 0 : -1;
    for (int i = 0; i < count; i++)
        records[i] = (struct batch_record){.timestamp = 5,
                                           .key = slice_str("k"),
                                           .value = slice_of(letters + i, 1),
                                           .headers = &header,
                                           .header_count = 1};
    cr_assert_eq(batch_build(&spec, records, count, &bytes), ST_OK);
}

static struct piece whole(void)
{
    struct block *block = block_copy(buf_slice(&bytes));
    struct piece piece = piece_of_block(block, 0, block->len);
    block_unref(&block);
    return piece;
}

Test(share_cut, aborted_records_and_markers_are_for_nobody)
{
    struct log_aborted row = {.producer_id = 7, .first = 2, .last = 5};
    put(0, 2, 0, -1);
    put(2, 2, BATCH_TRANSACTIONAL, 7);
    put(4, 1, BATCH_TRANSACTIONAL, 8);
    put(5, 1, BATCH_TRANSACTIONAL | BATCH_CONTROL, 7);
    put(6, 1, BATCH_TRANSACTIONAL, 7); // of the transaction after that
    struct piece piece = whole();
    cr_assert_eq(share_cut_parse(&cut, &piece, 1, 0, &(struct share_aborted){&row, 1}), ST_OK);
    cr_assert_eq(cut.count, 5);
    cr_assert_eq(cut.span_count, 3);
    cr_expect_eq(cut.spans[0].last, 1);
    cr_expect_eq(cut.spans[1].first, 4);
    cr_expect_eq(cut.spans[2].first, 6);
    cr_assert_eq(cut.passed_count, 2);
    cr_expect_eq(cut.passed[0].first, 2);
    cr_expect_eq(cut.passed[0].last, 3);
    cr_expect_eq(cut.passed[1].first, 5);
    piece_release(&piece);
}

// Where the group reads next when nobody gets anything of what was read.
static int64_t next_without_records(int64_t start)
{
    static const struct share_limits limits = {.locks_max = 10, .deliveries_max = 5, .lock_ms = 1000};
    struct share_partition partition;
    struct piece piece = whole();
    share_partition_init(&partition, &limits, start, 1);
    cr_assert_eq(share_cut_parse(&cut, &piece, 1, start, &(struct share_aborted){NULL, 0}), ST_OK);
    share_partition_pass(&partition, cut.passed, cut.passed_count);
    int64_t next = share_partition_next(&partition);
    share_partition_fini(&partition);
    share_cut_fini(&cut);
    piece_release(&piece);
    return next;
}

Test(share_cut, what_compaction_took_before_a_marker_is_passed_with_it)
{
    put(5, 1, BATCH_TRANSACTIONAL | BATCH_CONTROL, 7);
    put(8, 1, BATCH_TRANSACTIONAL | BATCH_CONTROL, 7);
    cr_expect_eq(next_without_records(2), 9);
    cr_expect_eq(next_without_records(8), 9, "in the middle of what was read");
    put(10, 1, 0, -1);
    put(13, 1, BATCH_TRANSACTIONAL | BATCH_CONTROL, 7);
    cr_expect_eq(next_without_records(2), 9, "a record is to be had before the next");
    cr_expect_eq(next_without_records(11), 14);
}

Test(share_cut, only_batches_with_acquired_records_are_sent)
{
    for (int i = 0; i < 4; i++)
        put(i * 2, 2, 0, -1);
    struct piece pieces[2] = {whole(), whole()};
    size_t one = pieces[0].len / 4;
    pieces[0].len = 2 * one;
    pieces[1].data += 2 * one;
    pieces[1].len = 2 * one;
    cr_assert_eq(share_cut_parse(&cut, pieces, 2, 0, &(struct share_aborted){NULL, 0}), ST_OK);
    cr_assert_eq(share_cut_trim(&cut, pieces, 2, (struct share_span){3, 4}), 2);
    cr_expect_eq(pieces[0].len, one);
    cr_expect_eq(pieces[1].len, one);
    struct batch_header header;
    cr_assert_eq(batch_parse(slice_of(pieces[0].data, pieces[0].len), &header), ST_OK);
    cr_expect_eq(header.base_offset, 2);
    share_cut_fini(&cut);
    cr_assert_eq(share_cut_parse(&cut, pieces, 2, 0, &(struct share_aborted){NULL, 0}), ST_OK);
    cr_assert_eq(share_cut_trim(&cut, pieces, 2, (struct share_span){4, 5}), 1);
    piece_release(&pieces[0]);
}

Test(share_cut, bytes_that_are_no_batches_are_corrupt)
{
    put(0, 2, 0, -1);
    struct piece piece = whole();
    piece.len -= 1;
    cr_expect_eq(share_cut_parse(&cut, &piece, 1, 0, &(struct share_aborted){NULL, 0}), ST_CORRUPT);
    piece_release(&piece);
}

// ---- dead letters ----

static struct dead_spec spec_of(int64_t first, int64_t last, bool copies)
{
    return (struct dead_spec){.topic = "t",
                              .partition = 3,
                              .group = "g",
                              .first = first,
                              .last = last,
                              .deliveries = 2,
                              .cause = "because",
                              .copies = copies,
                              .now_ms = 99};
}

static struct record first_letter(struct buf *letters, int *count)
{
    struct batch_header header;
    struct batch_reader reader;
    struct record record;
    cr_assert_eq(batch_parse(buf_slice(letters), &header), ST_OK);
    cr_assert(batch_crc_ok(buf_slice(letters), &header));
    *count = header.count;
    cr_assert_eq(batch_reader_init(&reader, buf_slice(letters), &header, &compress_limits_default, NULL),
                 ST_OK);
    cr_assert_eq(batch_next(&reader, &record), ST_OK);
    return record;
}

Test(share_cut, dead_letters_say_where_they_come_from)
{
    static const char *const names[] = {"__dlq.errors.topic",
                                        "__dlq.errors.partition",
                                        "__dlq.errors.offset",
                                        "__dlq.errors.group",
                                        "__dlq.errors.delivery.count",
                                        "__dlq.errors.message",
                                        "h"};
    static const char *const values[] = {"t", "3", "11", "g", "2", "because", "1"};
    struct buf letters;
    struct record_header header;
    int64_t next;
    int count;
    buf_init(&letters, 1 << 20);
    put(10, 4, 0, -1);
    struct dead_spec spec = spec_of(11, 12, true);
    cr_assert_eq(dead_batch_build(&spec, buf_slice(&bytes), &letters, &next), ST_OK);
    cr_expect_eq(next, 14);
    struct record record = first_letter(&letters, &count);
    cr_expect_eq(count, 2);
    cr_expect_eq(record.timestamp, 99);
    cr_expect(slice_is(record.key, "k"));
    cr_expect(slice_is(record.value, "b"));
    cr_assert_eq(record.header_count, 7);
    for (int i = 0; i < 7; i++) {
        cr_assert(record_next_header(&record, &header));
        cr_expect(slice_is(header.key, names[i]), "%s", names[i]);
        cr_expect(slice_is(header.value, values[i]), "%s", names[i]);
    }
    buf_fini(&letters);
}

Test(share_cut, dead_letters_without_copies_have_the_context_only)
{
    struct buf letters;
    int64_t next;
    int count;
    buf_init(&letters, 1 << 20);
    put(10, 4, 0, -1);
    struct dead_spec spec = spec_of(10, 10, false);
    cr_assert_eq(dead_batch_build(&spec, buf_slice(&bytes), &letters, &next), ST_OK);
    struct record record = first_letter(&letters, &count);
    cr_expect_eq(count, 1);
    cr_expect_null(record.key.data);
    cr_expect_null(record.value.data);
    cr_expect_eq(record.header_count, 6);
    buf_clear(&letters);
    spec = spec_of(20, 30, false);
    cr_assert_eq(dead_batch_build(&spec, buf_slice(&bytes), &letters, &next), ST_OK);
    cr_expect_eq(letters.len, 0);
    buf_fini(&letters);
}

// The attributes' codec is changed and the sum is right: whoever takes headers only keeps such a batch.
static void break_last(size_t from)
{
    uint8_t *batch = bytes.data + from;
    batch[BATCH_CRC_FROM + 1] |= COMPRESSION_ZSTD;
    store_be32(batch + BATCH_CRC_FROM - 4, crc32c(0, batch + BATCH_CRC_FROM, bytes.len - from - BATCH_CRC_FROM));
}

Test(share_cut, dead_letters_pass_over_what_cannot_be_unpacked)
{
    struct buf letters;
    int64_t next;
    int count;
    buf_init(&letters, 1 << 20);
    put(10, 2, 0, -1);
    size_t middle = bytes.len;
    put(12, 2, 0, -1);
    break_last(middle);
    put(14, 2, 0, -1);
    struct dead_spec spec = spec_of(11, 14, true);
    cr_expect_neq(dead_batch_build(&spec, buf_slice(&bytes), &letters, &next), ST_OK);
    first_letter(&letters, &count);
    cr_expect_eq(count, 2, "those of the batches around it");
    cr_expect_eq(next, 16);
    buf_clear(&letters);
    struct slice broken = slice_of(bytes.data + middle, bytes.len - middle);
    cr_expect_neq(dead_batch_build(&spec, slice_of(broken.data, 70), &letters, &next), ST_OK);
    cr_expect_eq(letters.len, 0);
    cr_expect_eq(next, 11, "no whole batch");
    buf_fini(&letters);
}
