// SPDX-License-Identifier: Apache-2.0
// Compaction's pure parts: the key map, what stays of a batch under every codec, the dirty range, grouping.
#include "log/dirty.h"
#include "log/fates.h"
#include "log/filter.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const uint8_t secret[HASH_SIP_SIZE] = {3, 1, 4};

// ---- key map ----

Test(key_map, the_newest_offset_of_each_key_is_kept_in_bounded_memory)
{
    struct log_key_map map;
    cr_assert_eq(log_key_map_init(&map, secret, 1 << 20, 100 * LOG_KEY_SLOT, 0.9), ST_OK);
    cr_assert_eq(map.slot_count, 100);
    char key[16];
    for (int i = 0; i < 90; i++) {
        int len = snprintf(key, sizeof key, "k%d", i);
        cr_assert(log_key_map_put(&map, slice_of(key, (size_t)len), i));
    }
    cr_assert_not(log_key_map_put(&map, slice_str("one more"), 90), "load factor");
    cr_assert(log_key_map_put(&map, slice_str("k7"), 1000), "a key that is there has room");
    cr_assert(log_key_map_put(&map, slice_str("k7"), 500), "an older record changes nothing");
    cr_assert_eq(log_key_map_get(&map, slice_str("k7")), 1000);
    cr_assert_eq(log_key_map_get(&map, slice_str("k0")), 0);
    cr_assert_eq(log_key_map_get(&map, slice_str("k89")), 89);
    cr_assert_eq(log_key_map_get(&map, slice_str("k90")), -1);
    log_key_map_fini(&map);
}

Test(key_map, few_keys_take_little_memory_and_the_smallest_map_holds_one)
{
    struct log_key_map map;
    cr_assert_eq(log_key_map_init(&map, secret, 9, 128 << 20, 0.9), ST_OK);
    cr_assert_leq(map.slot_count, 12);
    cr_assert_geq(map.max, 9);
    log_key_map_fini(&map);
    cr_assert_eq(log_key_map_init(&map, secret, 9, 1, 0.01), ST_OK);
    cr_assert(log_key_map_put(&map, slice_str(""), 5));
    cr_assert_not(log_key_map_put(&map, slice_str("b"), 6));
    cr_assert_eq(log_key_map_get(&map, slice_str("")), 5);
    cr_assert_eq(log_key_map_get(&map, slice_str("b")), -1);
    log_key_map_fini(&map);
}

// ---- filter ----

enum { NOW = 1000000, RETENTION = 5000, BASE = 100 };

// A batch at BASE of records named by one letter of `keys` each ('-': without key), "v<i>" as values but for
// those named in `tombstones`; a record header each; times go down.
static struct buf make_batch(const char *keys, const char *tombstones, enum compression codec)
{
    struct batch_record rows[32];
    char values[32][16];
    struct record_header header = {slice_str("h"), slice_str("x")};
    int count = (int)strlen(keys);
    for (int i = 0; i < count; i++) {
        bool tombstone = strchr(tombstones, keys[i]) != NULL;
        snprintf(values[i], sizeof values[i], "v%d", i);
        rows[i] = (struct batch_record){.timestamp = 900000 - i,
                                        .key = keys[i] == '-' ? (struct slice){0} : slice_of(&keys[i], 1),
                                        .value = tombstone ? (struct slice){0} : slice_str(values[i]),
                                        .headers = &header,
                                        .header_count = 1};
    }
    struct batch_spec spec = batch_spec_plain();
    spec.base_offset = BASE;
    spec.leader_epoch = 7;
    spec.compression = codec;
    spec.producer_id = 42;
    spec.producer_epoch = 3;
    spec.base_sequence = 11;
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    cr_assert_eq(batch_build(&spec, rows, count, &bytes), ST_OK);
    return bytes;
}

struct filtering {
    struct log_key_map map;
    struct log_filter filter;
    struct buf out;
    struct batch_header header; // of what came out
};

static void filtering_init(struct filtering *f)
{
    *f = (struct filtering){0};
    cr_assert_eq(log_key_map_init(&f->map, secret, 100, 1 << 20, 0.9), ST_OK);
    log_filter_init(&f->filter);
    f->filter.map = &f->map;
    f->filter.map_end = INT64_MAX;
    f->filter.now_ms = NOW;
    f->filter.delete_retention_ms = RETENTION;
    buf_init(&f->out, 1 << 20);
}

static void filtering_fini(struct filtering *f)
{
    log_filter_fini(&f->filter);
    log_key_map_fini(&f->map);
    buf_fini(&f->out);
}

static void note(struct filtering *f, char key, int64_t offset)
{
    log_key_map_put(&f->map, slice_of(&key, 1), offset);
}

// Filters the batch; whether something came out. It must be one valid batch with the old one's identity.
static bool filter(struct filtering *f, struct slice batch, bool keep_header)
{
    struct batch_header before;
    cr_assert_eq(batch_parse(batch, &before), ST_OK);
    buf_clear(&f->out);
    cr_assert_eq(log_filter_batch(&f->filter, batch, &before, keep_header, &f->out), ST_OK);
    if (f->out.len == 0)
        return false;
    cr_assert_eq(batch_parse(buf_slice(&f->out), &f->header), ST_OK);
    cr_assert_eq(batch_size(&f->header), f->out.len);
    cr_assert(batch_crc_ok(buf_slice(&f->out), &f->header));
    cr_assert_eq(f->header.base_offset, before.base_offset);
    cr_assert_eq(f->header.last_offset_delta, before.last_offset_delta);
    cr_assert_eq(f->header.leader_epoch, before.leader_epoch);
    cr_assert_eq(f->header.producer_id, before.producer_id);
    cr_assert_eq(f->header.producer_epoch, before.producer_epoch);
    cr_assert_eq(f->header.base_sequence, before.base_sequence);
    return true;
}

// The records as "offset key value time;" in order.
static const char *records_of(const struct filtering *f, char text[512])
{
    struct batch_reader reader;
    struct record record;
    struct record_header header;
    struct buf scratch;
    buf_init(&scratch, 1 << 20);
    cr_assert_eq(
        batch_reader_init(&reader, buf_slice(&f->out), &f->header, &compress_limits_default, &scratch),
        ST_OK);
    enum status status;
    size_t at = 0;
    text[0] = 0;
    while ((status = batch_next(&reader, &record)) == ST_OK) {
        at += (size_t)snprintf(
            text + at, 512 - at, "%lld %.*s %.*s %lld;", (long long)record.offset, (int)record.key.len,
            record.key.data != NULL ? (const char *)record.key.data : "",
            record.value.data != NULL ? (int)record.value.len : 1,
            record.value.data != NULL ? (const char *)record.value.data : "-", (long long)record.timestamp);
        cr_assert(record_next_header(&record, &header));
        cr_assert(slice_equal(header.value, slice_str("x")));
    }
    cr_assert_eq(status, ST_NOT_FOUND);
    buf_fini(&scratch);
    return text;
}

Test(filter, records_superseded_or_without_key_go_under_every_codec)
{
    for (int codec = 0; codec < COMPRESSION_COUNT; codec++) {
        struct filtering f;
        char text[512];
        filtering_init(&f);
        struct buf batch = make_batch("ab-ca", "", (enum compression)codec);
        note(&f, 'a', BASE + 4);
        note(&f, 'b', BASE + 50);
        note(&f, 'c', BASE + 3);
        cr_assert(filter(&f, buf_slice(&batch), false));
        cr_assert_str_eq(records_of(&f, text), "103 c v3 899997;104 a v4 899996;");
        cr_assert_eq(f.header.count, 2);
        cr_assert_eq(f.header.max_timestamp, 899997);
        cr_assert_eq((int)batch_compression(&f.header), codec);
        cr_assert_eq(f.header.attributes & BATCH_DELETE_HORIZON, 0);
        buf_fini(&batch);
        filtering_fini(&f);
    }
}

Test(filter, a_batch_that_loses_nothing_is_copied_byte_for_byte)
{
    for (int codec = 0; codec < COMPRESSION_COUNT; codec++) {
        struct filtering f;
        filtering_init(&f);
        struct buf batch = make_batch("abc", "", (enum compression)codec);
        cr_assert(filter(&f, buf_slice(&batch), false));
        cr_assert_eq(f.out.len, batch.len);
        cr_assert_arr_eq(f.out.data, batch.data, batch.len);
        buf_fini(&batch);
        filtering_fini(&f);
    }
}

Test(filter, records_from_the_maps_end_on_stay)
{
    struct filtering f;
    char text[512];
    filtering_init(&f);
    struct buf batch = make_batch("aa-a", "", COMPRESSION_NONE);
    note(&f, 'a', BASE + 1);
    f.filter.map_end = BASE + 2;
    cr_assert(filter(&f, buf_slice(&batch), false));
    cr_assert_str_eq(records_of(&f, text), "101 a v1 899999;102  v2 899998;103 a v3 899997;");
    buf_fini(&batch);
    filtering_fini(&f);
}

Test(filter, a_tombstone_gets_a_horizon_stays_until_it_and_goes_then)
{
    for (int codec = 0; codec < COMPRESSION_COUNT; codec++) {
        struct filtering f;
        char text[512];
        filtering_init(&f);
        struct buf batch = make_batch("abc", "b", (enum compression)codec);
        note(&f, 'c', BASE + 9);
        cr_assert(filter(&f, buf_slice(&batch), false));
        cr_assert_str_eq(records_of(&f, text), "100 a v0 900000;101 b - 899999;");
        cr_assert(f.header.attributes & BATCH_DELETE_HORIZON);
        cr_assert_eq(f.header.base_timestamp, NOW + RETENTION);
        cr_assert_eq(f.header.max_timestamp, 900000);
        struct buf marked;
        buf_init(&marked, 1 << 20);
        buf_append(&marked, f.out.data, f.out.len);
        f.filter.now_ms = NOW + RETENTION - 1; // the horizon is set once
        cr_assert(filter(&f, buf_slice(&marked), false));
        cr_assert_eq(f.out.len, marked.len);
        cr_assert_arr_eq(f.out.data, marked.data, marked.len);
        f.filter.now_ms = NOW + RETENTION;
        cr_assert(filter(&f, buf_slice(&marked), false));
        cr_assert_str_eq(records_of(&f, text), "100 a v0 900000;");
        buf_fini(&marked);
        buf_fini(&batch);
        filtering_fini(&f);
    }
}

Test(filter, a_horizon_beyond_all_time_is_the_end_of_time)
{
    struct filtering f;
    filtering_init(&f);
    struct buf batch = make_batch("a", "a", COMPRESSION_NONE);
    f.filter.delete_retention_ms = INT64_MAX;
    cr_assert(filter(&f, buf_slice(&batch), false));
    cr_assert_eq(f.header.base_timestamp, INT64_MAX);
    char text[512];
    cr_assert_str_eq(records_of(&f, text), "100 a - 900000;");
    buf_fini(&batch);
    filtering_fini(&f);
}

Test(filter, an_empty_batch_goes_unless_it_is_the_last_of_its_producer_or_must_stay)
{
    struct filtering f;
    filtering_init(&f);
    struct buf batch = make_batch("aaa", "", COMPRESSION_ZSTD);
    note(&f, 'a', BASE + 70);
    cr_assert_not(filter(&f, buf_slice(&batch), false));
    cr_assert(filter(&f, buf_slice(&batch), true));
    cr_assert_eq(f.out.len, BATCH_HEADER_SIZE);
    cr_assert_eq(f.header.count, 0);
    cr_assert_eq(f.header.max_timestamp, 900000);
    cr_assert_eq((int)batch_compression(&f.header), COMPRESSION_NONE);
    struct log_last_batch last[] = {{41, BASE + 2, 3}, {42, BASE + 2, 3}, {43, BASE + 2, 3}};
    f.filter.producers = last;
    f.filter.producer_count = 3;
    cr_assert(filter(&f, buf_slice(&batch), false));
    struct buf empty;
    buf_init(&empty, 1 << 10);
    buf_append(&empty, f.out.data, f.out.len);
    cr_assert(filter(&f, buf_slice(&empty), false), "again");
    last[1].last_offset = BASE + 90; // a later one has come
    cr_assert_not(filter(&f, buf_slice(&empty), false));
    cr_assert_not(filter(&f, buf_slice(&batch), false));
    buf_fini(&empty);
    buf_fini(&batch);
    filtering_fini(&f);
}

// ---- transactions ----

// A whole batch with its header.
struct shown {
    struct buf bytes;
    struct batch_header header;
};

static struct shown make_marker(int64_t producer_id, int64_t offset, bool commit)
{
    struct shown shown;
    struct batch_spec spec = batch_spec_plain();
    spec.base_offset = offset;
    spec.producer_id = producer_id;
    spec.producer_epoch = 3;
    buf_init(&shown.bytes, 1 << 10);
    cr_assert_eq(batch_build_marker(&spec, commit, 1, 900000, &shown.bytes), ST_OK);
    cr_assert_eq(batch_parse(buf_slice(&shown.bytes), &shown.header), ST_OK);
    return shown;
}

static bool filter_how(struct filtering *f, struct slice batch, unsigned how)
{
    struct batch_header before;
    cr_assert_eq(batch_parse(batch, &before), ST_OK);
    buf_clear(&f->out);
    cr_assert_eq(log_filter_batch(&f->filter, batch, &before, how, &f->out), ST_OK);
    if (f->out.len > 0)
        cr_assert_eq(batch_parse(buf_slice(&f->out), &f->header), ST_OK);
    return f->out.len > 0;
}

Test(filter, a_marker_is_copied_while_needed_then_gets_a_horizon_and_goes_at_it)
{
    struct filtering f;
    struct batch_marker marker;
    filtering_init(&f);
    struct shown abort = make_marker(5, BASE, false);
    cr_assert(filter_how(&f, buf_slice(&abort.bytes), 0));
    cr_assert_eq(f.out.len, abort.bytes.len);
    cr_assert_arr_eq(f.out.data, abort.bytes.data, abort.bytes.len);
    cr_assert(filter_how(&f, buf_slice(&abort.bytes), LOG_FILTER_USELESS));
    cr_assert(f.header.attributes & BATCH_DELETE_HORIZON);
    cr_assert_eq(f.header.base_timestamp, NOW + RETENTION);
    cr_assert_eq(f.header.max_timestamp, 900000);
    cr_assert_eq(batch_marker_parse(buf_slice(&f.out), &f.header, &marker), ST_OK);
    cr_assert(marker.abort);
    cr_assert_eq(marker.coordinator_epoch, 1);
    struct buf marked;
    buf_init(&marked, 1 << 10);
    buf_append(&marked, f.out.data, f.out.len);
    f.filter.now_ms = NOW + RETENTION - 1;
    cr_assert(filter_how(&f, buf_slice(&marked), LOG_FILTER_USELESS));
    cr_assert_arr_eq(f.out.data, marked.data, marked.len);
    f.filter.now_ms = NOW + RETENTION;
    cr_assert(filter_how(&f, buf_slice(&marked), 0), "something of it is left after all");
    cr_assert_not(filter_how(&f, buf_slice(&marked), LOG_FILTER_USELESS));
    cr_assert(filter_how(&f, buf_slice(&marked), LOG_FILTER_USELESS | LOG_FILTER_KEEP_HEADER));
    cr_assert_eq(f.header.count, 0);
    cr_assert_eq(f.header.attributes & BATCH_DELETE_HORIZON, 0);
    cr_assert_eq(batch_marker_parse(buf_slice(&f.out), &f.header, &marker), ST_NOT_FOUND);
    struct log_last_batch last[] = {{5, -1, 3}}; // nothing else tells its epoch
    f.filter.producers = last;
    f.filter.producer_count = 1;
    cr_assert(filter_how(&f, buf_slice(&marked), LOG_FILTER_USELESS));
    cr_assert_arr_eq(f.out.data, marked.data, marked.len);
    last[0].epoch = 4;
    cr_assert_not(filter_how(&f, buf_slice(&marked), LOG_FILTER_USELESS));
    buf_fini(&marked);
    buf_fini(&abort.bytes);
    filtering_fini(&f);
}

Test(filter, aborted_records_go_also_behind_the_map_and_leave_the_last_sequence)
{
    struct filtering f;
    filtering_init(&f);
    f.filter.map_end = BASE;
    struct buf batch = make_batch("abc", "", COMPRESSION_LZ4);
    cr_assert(filter_how(&f, buf_slice(&batch), 0));
    cr_assert_not(filter_how(&f, buf_slice(&batch), LOG_FILTER_USELESS));
    struct log_last_batch last[] = {{42, BASE + 2, 3}};
    f.filter.producers = last;
    f.filter.producer_count = 1;
    cr_assert(filter_how(&f, buf_slice(&batch), LOG_FILTER_USELESS));
    cr_assert_eq(f.header.count, 0);
    cr_assert_eq(f.header.base_sequence, 11);
    buf_fini(&batch);
    filtering_fini(&f);
}

// ---- fates ----

static void fates_of(struct log_fates *fates, const struct log_aborted *rows, int count)
{
    struct log_aborted *copy = mem_calloc((size_t)count + 1, sizeof *copy);
    if (count > 0)
        memcpy(copy, rows, (size_t)count * sizeof *rows);
    log_fates_init(fates, copy, count);
}

static bool show_data(struct log_fates *fates, int64_t producer_id, int64_t offset)
{
    const struct log_aborted *entry;
    struct batch_header header = {
        .base_offset = offset, .producer_id = producer_id, .attributes = BATCH_TRANSACTIONAL};
    bool aborted = log_fates_aborted(fates, &header);
    cr_assert_eq(log_fates_show(fates, (struct slice){0}, &header, &entry), aborted);
    cr_assert_null(entry);
    return aborted;
}

// Whether the marker is of no use; *first: of its index entry, -1: none.
static bool show_marker(struct log_fates *fates, int64_t producer_id, int64_t offset, bool commit,
                        int64_t *first)
{
    const struct log_aborted *entry;
    struct shown marker = make_marker(producer_id, offset, commit);
    bool useless = log_fates_show(fates, buf_slice(&marker.bytes), &marker.header, &entry);
    *first = entry != NULL ? entry->first : -1;
    buf_fini(&marker.bytes);
    return useless;
}

Test(fates, interleaved_transactions_are_told_apart)
{
    struct log_fates fates;
    int64_t first;
    // In no order: producer 1 aborts twice and commits between, producer 2 aborts.
    fates_of(&fates, (struct log_aborted[]){{1, 30, 40, 30}, {2, 11, 35, 11}, {1, 10, 20, 10}}, 3);
    cr_assert_not(show_data(&fates, 1, 9));
    cr_assert(show_data(&fates, 1, 10));
    cr_assert(show_data(&fates, 2, 11));
    cr_assert_not(show_data(&fates, 3, 12));
    cr_assert(show_data(&fates, 1, 19));
    cr_assert_not(show_marker(&fates, 1, 20, false, &first));
    cr_assert_eq(first, 10);
    cr_assert_not(show_data(&fates, 1, 21));
    cr_assert_not(show_marker(&fates, 1, 25, true, &first));
    cr_assert_eq(first, -1);
    cr_assert(show_data(&fates, 1, 30));
    cr_assert_not(show_marker(&fates, 2, 35, false, &first));
    cr_assert_eq(first, 11);
    cr_assert_not(show_marker(&fates, 1, 40, false, &first));
    cr_assert_eq(first, 30);
    cr_assert_not(show_marker(&fates, 3, 50, true, &first));
    log_fates_fini(&fates);
}

Test(fates, a_marker_without_batches_is_of_no_use)
{
    struct log_fates fates;
    int64_t first;
    fates_of(&fates, (struct log_aborted[]){{1, 10, 20, 10}}, 1);
    cr_assert(show_marker(&fates, 1, 20, false, &first), "all of its batches are gone");
    cr_assert_eq(first, -1);
    cr_assert(show_marker(&fates, 1, 21, true, &first), "an empty transaction");
    cr_assert(show_marker(&fates, 2, 22, false, &first));
    cr_assert_not(show_data(&fates, 2, 23));
    cr_assert_not(show_marker(&fates, 2, 24, false, &first), "aborted, but no row says so: it stays");
    cr_assert_eq(first, -1);
    log_fates_fini(&fates);
}

Test(fates, batches_outside_of_transactions_and_other_control_records_are_kept)
{
    struct log_fates fates;
    const struct log_aborted *entry;
    int64_t first;
    fates_of(&fates, (struct log_aborted[]){{1, 10, 20, 10}}, 1);
    struct batch_header plain = {.base_offset = 12, .producer_id = 1};
    cr_assert_not(log_fates_show(&fates, (struct slice){0}, &plain, &entry));
    cr_assert(show_marker(&fates, 1, 20, false, &first), "not one of its batches");
    struct shown other = make_marker(1, 30, true);
    other.bytes.data[BATCH_HEADER_SIZE + 8] = 3; // type of the control record
    cr_assert_not(log_fates_show(&fates, buf_slice(&other.bytes), &other.header, &entry));
    buf_fini(&other.bytes);
    log_fates_fini(&fates);
}

Test(filter, records_that_cannot_be_read_are_an_error)
{
    struct filtering f;
    struct batch_header header;
    filtering_init(&f);
    struct buf batch = make_batch("abc", "", COMPRESSION_LZ4);
    memset(batch.data + BATCH_HEADER_SIZE, 0xff, 8);
    cr_assert_eq(batch_parse(buf_slice(&batch), &header), ST_OK);
    cr_assert_eq(log_filter_batch(&f.filter, buf_slice(&batch), &header, false, &f.out), ST_CORRUPT);
    cr_assert_eq(f.out.len, 0);
    buf_fini(&batch);
    filtering_fini(&f);
}

// ---- the dirty range ----

static void add_segment(struct log_state *state, int64_t base, int64_t size, int64_t first, int64_t newest)
{
    struct log_segment *segment = log_state_add_segment(state, base);
    segment->size = segment->written = size;
    segment->first_timestamp = first;
    segment->max_timestamp = newest;
    segment->sealed = segment->exists = true;
}

// Segments at 0, 10, 20, 30 of 100 bytes and times 1000, 2000, 3000, 4000; the last one is active.
static void four_segments(struct log_state *state)
{
    log_state_init(state, 10);
    for (int i = 0; i < 4; i++)
        add_segment(state, i * 10, 100, 1000 * (i + 1) - 500, 1000 * (i + 1));
    state->segments[3]->sealed = false;
    state->end = 40;
}

static struct log_dirty find(const struct log_state *state, const struct log_config *config, int64_t first,
                             int64_t limit)
{
    struct log_dirty_bounds bounds = {.first = first, .limit = limit, .now_ms = 5000};
    return log_dirty_find(state, config, &bounds);
}

Test(dirty, only_whole_segments_below_the_limit_and_the_active_one_are_cleaned)
{
    struct log_state state;
    struct log_config config = log_config_default();
    four_segments(&state);
    struct log_dirty dirty = find(&state, &config, 0, INT64_MAX);
    cr_assert_eq(dirty.end, 30, "not the active one");
    cr_assert_eq(dirty.dirty_bytes, 300);
    dirty = find(&state, &config, 0, 29); // the watermark or an open transaction: KAFKA-13194
    cr_assert_eq(dirty.end, 20);
    dirty = find(&state, &config, 10, 30);
    cr_assert_eq(dirty.clean_bytes, 100);
    cr_assert_eq(dirty.dirty_bytes, 200);
    cr_assert_float_eq(log_dirty_ratio(&dirty), 2.0 / 3, 1e-9);
    dirty = find(&state, &config, 15, 30); // in the middle, as a full map leaves it
    cr_assert_eq(dirty.first, 15);
    cr_assert_eq(dirty.dirty_bytes, 200);
    state.segments[1]->sealed = false;
    dirty = find(&state, &config, 0, 30);
    cr_assert_eq(dirty.end, 10);
    state.segments[1]->sealed = true;
    dirty = find(&state, &config, 30, 30);
    cr_assert_eq(dirty.dirty_bytes, 0);
    cr_assert_not(log_dirty_due(&dirty, &config));
    log_state_fini(&state);
}

Test(dirty, a_log_that_starts_later_is_dirty_from_there)
{
    struct log_state state;
    struct log_config config = log_config_default();
    log_state_init(&state, 10);
    add_segment(&state, 500, 100, 1, 2);
    add_segment(&state, 600, 100, 3, 4);
    struct log_dirty dirty = find(&state, &config, 0, INT64_MAX);
    cr_assert_eq(dirty.first, 500);
    cr_assert_eq(dirty.end, 600);
    log_state_fini(&state);
    log_state_init(&state, 10);
    dirty = find(&state, &config, 0, INT64_MAX);
    cr_assert_eq(dirty.first, dirty.end);
}

Test(dirty, lags_hold_back_and_force)
{
    struct log_state state;
    struct log_config config = log_config_default();
    four_segments(&state);
    config.compaction_lag_ms_min = 2500; // now is 5000
    struct log_dirty dirty = find(&state, &config, 0, INT64_MAX);
    cr_assert_eq(dirty.end, 20);
    config.compaction_lag_ms_min = 5000;
    dirty = find(&state, &config, 0, INT64_MAX);
    cr_assert_eq(dirty.end, 0);
    config.compaction_lag_ms_min = 0;
    config.dirty_ratio_min = 0.9;
    dirty = find(&state, &config, 20, INT64_MAX);
    cr_assert_not(log_dirty_due(&dirty, &config));
    config.compaction_lag_ms_max = 2500; // the first record of the third segment came at 2500
    dirty = find(&state, &config, 20, INT64_MAX);
    cr_assert_not(dirty.overdue);
    config.compaction_lag_ms_max = 2499;
    dirty = find(&state, &config, 20, INT64_MAX);
    cr_assert(dirty.overdue);
    cr_assert(log_dirty_due(&dirty, &config));
    log_state_fini(&state);
}

Test(dirty, groups_are_no_larger_than_a_segment_its_index_and_31_bits_of_offsets)
{
    struct log_config config = log_config_default();
    config.segment_bytes = 1000;
    config.index_bytes_max = 100;
    struct log_source s[] = {{0, 10, 400, 8, 12, false},
                             {10, 20, 400, 8, 12, false},
                             {20, 30, 300, 8, 12, false},
                             {30, 40, 100, 8, 12, false}};
    cr_assert_eq(log_dirty_group(s, 4, &config), 2);
    cr_assert_eq(log_dirty_group(s + 2, 2, &config), 2);
    cr_assert_eq(log_dirty_group(s, 1, &config), 1);
    s[0].size = 5000; // larger than allowed by itself
    cr_assert_eq(log_dirty_group(s, 4, &config), 1);
    s[0].size = 1;
    s[1].index_bytes = 93;
    cr_assert_eq(log_dirty_group(s, 4, &config), 1);
    s[1].index_bytes = 8;
    s[1].times_bytes = 89;
    cr_assert_eq(log_dirty_group(s, 4, &config), 1);
    s[1].times_bytes = 12;
    s[1].next = s[2].base = (1ll << 31) + 1;
    cr_assert_eq(log_dirty_group(s, 4, &config), 1);
    s[1].next = s[2].base = 1ll << 31;
    cr_assert_eq(log_dirty_group(s, 2, &config), 2);
}
