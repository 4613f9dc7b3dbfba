// SPDX-License-Identifier: Apache-2.0
// The manifest as bytes: a golden one, every truncation and every flipped bit refused, rows that make no
// sense under a right checksum. What a set does with it is test_resume.c.
#include "base/bytes.h"
#include "base/hash.h"
#include "base/prng.h"
#include "log/manifest.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct log_segment *add(struct log_state *state, int64_t base, int64_t size, int32_t entries)
{
    struct log_segment *segment = log_state_add_segment(state, base);
    segment->exists = true;
    segment->size = segment->written = size;
    segment->first_timestamp = 1700000000000;
    segment->created_ms = 1700000000500;
    segment->max_timestamp = 1700000001000;
    segment->max_timestamp_last = base + 3;
    segment->last_time_entry = 1700000000900;
    segment->since_entry = 77;
    segment->index.entries = segment->times.entries = entries;
    segment->index.written = entries * (int64_t)LOG_INDEX_ENTRY;
    segment->times.written = entries * (int64_t)LOG_TIME_ENTRY;
    return segment;
}

static void note_producer(struct log_state *state)
{
    struct log_aborted aborted;
    struct batch_header header = {
        .producer_id = 9, .producer_epoch = 1, .base_offset = 4, .max_timestamp = 6};
    log_producers_note(&state->producers, &header, NULL, 0, &aborted);
}

// Two segments, two epochs, one producer, one aborted transaction.
static void make_state(struct log_state *state)
{
    log_state_init(state, 10);
    struct log_segment *first = add(state, 5, 4096, 2);
    first->sealed = first->found = true;
    first->aborted.entries = 1;
    first->aborted.written = LOG_ABORTED_ENTRY;
    first->aborted_first = 6;
    first->aborted_last = 8;
    add(state, 20, 300, 0)->jitter = 0xfedcba9876543211;
    log_epochs_assign(&state->epochs, 2, 5);
    log_epochs_assign(&state->epochs, 7, 21);
    note_producer(state);
    state->end = 30;
}

static const struct log_manifest_row wide = {.name = "t-0",
                                             .id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
                                             .start = 7,
                                             .high_watermark = 29,
                                             .first_dirty = 6,
                                             .leftovers = true};

static void make(struct buf *out)
{
    struct log_state state, empty;
    make_state(&state);
    log_state_init(&empty, 10);
    struct log_manifest_row narrow = {.name = "t-1"};
    buf_init(out, LOG_MANIFEST_MAX);
    log_manifest_begin(out);
    cr_assert_eq(log_manifest_add(out, &wide, &state), ST_OK);
    cr_assert_eq(log_manifest_add(out, &narrow, &empty), ST_OK);
    log_manifest_seal(
        out, &(struct log_manifest_totals){.marker_ns = 0x1122334455667788, .rows = 2, .left_out = 3});
    log_state_fini(&state);
    log_state_fini(&empty);
}

static enum status open_bytes(struct slice bytes, struct log_manifest *manifest)
{
    uint32_t version;
    return log_manifest_open(bytes, manifest, &version);
}

Test(manifest, bytes_are_what_they_always_were)
{
    static const char golden[] =
        "4d524d31000000025c9ffdd90000000200000003000000b81122334455667788b20206742d300102030405060708090a"
        "0b0c0d0e0f10020e3a0c3c04040a0e2a04060a804080a0abfef962e80700d00f06c7019a010404020206001ed80480a0"
        "abfef962e807ddb7de9af1d9a2a302d00f06c7019a0100000080010001ec5c96ee000000010000000000000009000100"
        "0000000000000000000004000000000000000000000006ffffffffffffffffffffffff4d525031000000003806742d31"
        "000000000000000000000000000000000000000000000000";
    struct buf bytes;
    char text[2048] = "";
    make(&bytes);
    for (size_t i = 0; i < bytes.len; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes.data[i]);
    cr_assert_str_eq(text, golden);
    buf_fini(&bytes);
}

static void check_segment(const struct log_segment *a, const struct log_segment *b)
{
    cr_assert(a->base == b->base && a->size == b->size && a->written == b->written && a->exists && b->exists);
    cr_assert(a->first_timestamp == b->first_timestamp && a->created_ms == b->created_ms);
    cr_assert(a->max_timestamp == b->max_timestamp && a->max_timestamp_last == b->max_timestamp_last);
    cr_assert(a->last_time_entry == b->last_time_entry && a->since_entry == b->since_entry);
    cr_assert(a->jitter == b->jitter && a->found == b->found && a->sealed == b->sealed);
    cr_assert(a->index.entries == b->index.entries && a->index.written == b->index.written);
    cr_assert(a->times.entries == b->times.entries && a->times.written == b->times.written);
    cr_assert(a->aborted.entries == b->aborted.entries && a->aborted.written == b->aborted.written);
    cr_assert(a->aborted_first == b->aborted_first && a->aborted_last == b->aborted_last);
}

Test(manifest, what_is_written_is_read)
{
    struct buf bytes;
    struct log_manifest manifest;
    struct log_manifest_row row;
    struct log_state state, read;
    make(&bytes);
    make_state(&state);
    log_state_init(&read, 10);
    cr_assert_eq(open_bytes(buf_slice(&bytes), &manifest), ST_OK);
    cr_assert_eq(manifest.totals.marker_ns, 0x1122334455667788);
    cr_assert_eq(manifest.totals.left_out, 3);
    cr_assert(log_manifest_next(&manifest));
    cr_assert_eq(log_manifest_read(&manifest, 0, &row, &read), ST_OK);
    cr_assert_str_eq(row.name, wide.name);
    cr_assert(uuid_equal(row.id, wide.id) && row.leftovers);
    cr_assert(row.start == 7 && row.high_watermark == 29 && row.first_dirty == 6 && read.end == 30);
    cr_assert_eq(read.count, 2);
    for (int i = 0; i < 2; i++)
        check_segment(read.segments[i], state.segments[i]);
    cr_assert(log_epochs_equal(&read.epochs, &state.epochs) && !read.epochs.changed);
    cr_assert_eq(read.producers.by_id.count, 1);
    cr_assert(log_manifest_next(&manifest));
    cr_assert_str_eq(manifest.name, "t-1");
    cr_assert_not(log_manifest_next(&manifest));
    cr_assert_not(manifest.broken);
    log_state_fini(&state);
    log_state_fini(&read);
    buf_fini(&bytes);
}

Test(manifest, every_truncation_and_every_flipped_bit_is_refused)
{
    struct buf bytes;
    struct log_manifest manifest;
    make(&bytes);
    for (size_t len = 0; len < bytes.len; len++)
        cr_assert_neq(open_bytes(slice_of(bytes.data, len), &manifest), ST_OK, "%zu bytes", len);
    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_neq(open_bytes(buf_slice(&bytes), &manifest), ST_OK, "bit %zu", bit);
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_fini(&bytes);
}

static void note_change(const char *name, void *context)
{
    char *names = context;
    snprintf(names + strlen(names), 20, "%s,", name);
}

static enum status changes_of(struct slice bytes, char names[100])
{
    struct log_manifest manifest;
    names[0] = 0;
    cr_assert_eq(open_bytes(bytes, &manifest), ST_OK);
    return log_manifest_each_change(&manifest, note_change, names);
}

// Two groups with names and one without.
static void make_changed(struct buf *bytes)
{
    make(bytes);
    log_manifest_add_changes(bytes, slice_of("t-1\0u-0", 8));
    log_manifest_add_changes(bytes, slice_of("", 0));
    log_manifest_add_changes(bytes, slice_of("t-0", 4));
}

Test(manifest, changes_stand_behind_the_rows)
{
    struct buf bytes;
    char names[100];
    make(&bytes);
    size_t rows = bytes.len;
    cr_assert_eq(changes_of(buf_slice(&bytes), names), ST_NOT_FOUND);
    buf_fini(&bytes);
    make_changed(&bytes);
    cr_assert_eq(bytes.len, rows + 3 * 8 + 12);
    cr_assert_eq(changes_of(buf_slice(&bytes), names), ST_OK);
    cr_assert_str_eq(names, "t-1,u-0,t-0,");
    buf_fini(&bytes);
}

// A group that a power cut has left half written, or the disk has damaged, may name anybody.
Test(manifest, changes_that_are_not_whole_are_refused)
{
    struct buf bytes;
    char names[100];
    make(&bytes);
    size_t rows = bytes.len;
    buf_fini(&bytes);
    make_changed(&bytes);
    for (size_t len = rows + 1; len < bytes.len; len++)
        if (len != rows + 16 && len != rows + 24) // between groups: they were not all written
            cr_assert_eq(changes_of(slice_of(bytes.data, len), names), ST_CORRUPT, "%zu bytes", len);
    for (size_t bit = rows * 8; bit < bytes.len * 8; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_eq(changes_of(buf_slice(&bytes), names), ST_CORRUPT, "bit %zu", bit);
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_fini(&bytes);
}

Test(manifest, another_version_is_named)
{
    struct buf bytes;
    struct log_manifest manifest;
    uint32_t version;
    make(&bytes);
    store_be32(bytes.data + 4, 3);
    cr_assert_eq(log_manifest_open(buf_slice(&bytes), &manifest, &version), ST_UNSUPPORTED);
    cr_assert_eq(version, 3);
    buf_fini(&bytes);
}

static int read_all(struct buf *bytes)
{
    struct log_manifest manifest;
    int rows = 0;
    store_be32(bytes->data + 20, (uint32_t)(bytes->len - LOG_MANIFEST_HEAD));
    store_be32(bytes->data + 8, crc32c(0, bytes->data + 12, bytes->len - 12));
    if (open_bytes(buf_slice(bytes), &manifest) != ST_OK)
        return 0;
    while (log_manifest_next(&manifest)) {
        struct log_manifest_row row;
        struct log_state state;
        log_state_init(&state, 10);
        rows += log_manifest_read(&manifest, 0, &row, &state) == ST_OK;
        log_state_fini(&state);
    }
    return rows;
}

// Under a right checksum: nothing is read behind the end, nothing large is allocated.
Test(manifest, rows_that_make_no_sense_are_survived)
{
    struct prng prng = {.state = 1};
    struct buf whole, bytes;
    make(&whole);
    for (int round = 0; round < 20000; round++) {
        buf_init(&bytes, LOG_MANIFEST_MAX);
        size_t len = round % 3 == 0 ? LOG_MANIFEST_HEAD + prng_next(&prng) % (whole.len - LOG_MANIFEST_HEAD)
                                    : whole.len;
        buf_append(&bytes, whole.data, len);
        for (int i = 0; i < 1 + round % 4 && bytes.len > 12; i++)
            bytes.data[12 + prng_next(&prng) % (bytes.len - 12)] = (uint8_t)prng_next(&prng);
        read_all(&bytes);
        buf_fini(&bytes);
    }
    cr_assert_eq(read_all(&whole), 2);
    buf_fini(&whole);
}

// Rows out of order would be passed over when directories are listed.
Test(manifest, rows_out_of_order_are_refused)
{
    struct buf bytes;
    struct log_state empty;
    struct log_manifest manifest;
    log_state_init(&empty, 10);
    buf_init(&bytes, LOG_MANIFEST_MAX);
    log_manifest_begin(&bytes);
    log_manifest_add(&bytes, &(struct log_manifest_row){.name = "t-1"}, &empty);
    log_manifest_add(&bytes, &(struct log_manifest_row){.name = "t-0"}, &empty);
    log_manifest_seal(&bytes, &(struct log_manifest_totals){.rows = 2});
    cr_assert_eq(open_bytes(buf_slice(&bytes), &manifest), ST_OK);
    cr_assert(log_manifest_next(&manifest));
    cr_assert_not(log_manifest_next(&manifest));
    cr_assert(manifest.broken);
    buf_fini(&bytes);
}
