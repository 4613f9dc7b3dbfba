// SPDX-License-Identifier: Apache-2.0
// What is kept of share partitions (KIP-932): merging what was said of records, fencing, snapshots and
// updates, and their records in Kafka's bytes.
#include "share_record.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "base/prng.h"
#include "kafka/errors.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { NOW = 1000, UPDATES_MAX = 2 };

static struct share_batches list_of(struct share_batch *items, size_t count)
{
    return (struct share_batches){items, count};
}

// "0-4:2x1 5-5:0x2": offsets, state, deliveries.
static const char *text_of(const struct share_batches *batches)
{
    static char text[400];
    int len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < batches->count && len < 350; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "%s%ld-%ld:%dx%d", i > 0 ? " " : "",
                        (long)batches->items[i].first, (long)batches->items[i].last, batches->items[i].state,
                        batches->items[i].deliveries);
    return text;
}

static const char *merged(struct share_batches one, struct share_batches other, int64_t start)
{
    struct share_batches out;
    share_batches_merge(&one, &other, start, &out);
    const char *text = text_of(&out);
    share_batches_fini(&out);
    return text;
}

// ---- merging ----

Test(share_batches, what_is_further_counts_whichever_comes_first)
{
    struct share_batch old[] = {{0, 9, 0, 1}, {20, 29, 2, 1}};
    struct share_batch new[] = {{5, 6, 2, 1}, {8, 21, 0, 2}, {25, 35, 0, 1}};
    const char *expected = "0-4:0x1 5-6:2x1 7-7:0x1 8-21:0x2 22-29:2x1 30-35:0x1";
    cr_expect_str_eq(merged(list_of(old, 2), list_of(new, 3), 0), expected);
    cr_expect_str_eq(merged(list_of(new, 3), list_of(old, 2), -1), expected);
}

Test(share_batches, neighbours_that_are_alike_become_one)
{
    struct share_batch old[] = {{0, 4, 2, 1}, {10, 14, 2, 1}};
    struct share_batch new[] = {{5, 9, 2, 1}, {15, 19, 2, 2}};
    cr_expect_str_eq(merged(list_of(old, 2), list_of(new, 2), 0), "0-14:2x1 15-19:2x2");
}

Test(share_batches, nothing_is_kept_below_the_start)
{
    struct share_batch old[] = {{0, 4, 2, 1}, {5, 9, 0, 1}};
    cr_expect_str_eq(merged(list_of(old, 2), list_of(NULL, 0), 7), "7-9:0x1");
    cr_expect_str_eq(merged(list_of(old, 2), list_of(NULL, 0), 10), "");
}

Test(share_batches, what_cannot_be_is_not_valid)
{
    struct share_batch bad[] = {{-1, 2, 0, 1}, {3, 2, 0, 1},  {0, 2, 1, 1},
                                {0, 2, 3, 1},  {0, 2, 0, -1}, {0, INT64_MAX, 0, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(share_batches_valid(&bad[i], 1), "%zu", i);
    struct share_batch overlap[] = {{0, 4, 0, 1}, {4, 6, 0, 1}}, good[] = {{0, 4, 4, 0}, {5, 6, 2, 1}};
    cr_expect_not(share_batches_valid(overlap, 2));
    cr_expect(share_batches_valid(good, 2));
}

enum { OFFSETS = 60, BATCHES = 8 };

static size_t random_batches(struct prng *prng, struct share_batch *items)
{
    static const int8_t states[] = {0, 2, 4};
    size_t count = 0;
    for (int64_t at = 0; count < BATCHES; count++) {
        int64_t first = at + (int64_t)prng_below(prng, 4), last = first + (int64_t)prng_below(prng, 6);
        if (last >= OFFSETS)
            break;
        items[count] =
            (struct share_batch){first, last, states[prng_below(prng, 3)], (int16_t)prng_below(prng, 3)};
        at = last + 1;
    }
    return count;
}

static int rank_at(const struct share_batches *batches, int64_t offset)
{
    for (size_t i = 0; i < batches->count; i++)
        if (batches->items[i].first <= offset && offset <= batches->items[i].last)
            return batches->items[i].deliveries * 8 + batches->items[i].state;
    return -1;
}

Test(share_batches, merging_agrees_with_single_offsets)
{
    struct prng prng = {7};
    for (int round = 0; round < 5000; round++) {
        struct share_batch one[BATCHES], other[BATCHES];
        struct share_batches a = list_of(one, random_batches(&prng, one)),
                             b = list_of(other, random_batches(&prng, other)), out;
        int64_t start = (int64_t)prng_below(&prng, 20);
        share_batches_merge(&a, &b, start, &out);
        cr_assert(share_batches_valid(out.items, out.count));
        for (int64_t at = 0; at < OFFSETS; at++) {
            int x = rank_at(&a, at), y = rank_at(&b, at), best = x > y ? x : y;
            cr_assert_eq(rank_at(&out, at), at < start ? -1 : best, "round %d offset %ld", round, (long)at);
        }
        share_batches_fini(&out);
    }
}

// ---- deciding ----

static struct share_state state;
static bool present;
static struct buf bytes;

static void setup(void)
{
    state = (struct share_state){.start_offset = 0};
    present = false;
    buf_init(&bytes, 1 << 20);
}

static void teardown(void)
{
    if (present)
        share_state_fini(&state);
    buf_fini(&bytes);
}

TestSuite(share_state, .init = setup, .fini = teardown);
TestSuite(share_record, .init = setup, .fini = teardown);

static struct share_desk desk(void)
{
    return (struct share_desk){.state = present ? &state : NULL, .updates_max = UPDATES_MAX, .now_ms = NOW};
}

static void adopt(struct share_state *next)
{
    if (present)
        share_state_fini(&state);
    state = *next;
    present = true;
}

static int16_t initialize(int32_t state_epoch, int64_t start_offset)
{
    struct share_desk at = desk();
    struct share_state next;
    int16_t error = share_state_initialize(&at, state_epoch, start_offset, &next);
    if (error == KAFKA_ERR_NONE)
        adopt(&next);
    return error;
}

static int16_t write(int32_t state_epoch, int32_t leader_epoch, int64_t start, struct share_batches batches)
{
    struct share_desk at = desk();
    struct share_update update = {state_epoch, leader_epoch, start, 3, batches};
    struct share_state next;
    int16_t error = share_state_write(&at, &update, &next);
    if (error == KAFKA_ERR_NONE)
        adopt(&next);
    return error;
}

static int16_t read(int32_t leader_epoch, bool *moves)
{
    struct share_desk at = desk();
    struct share_state next;
    int16_t error = share_state_read(&at, leader_epoch, moves, &next);
    if (error == KAFKA_ERR_NONE && *moves)
        adopt(&next);
    return error;
}

Test(share_state, what_was_not_initialized_is_neither_read_nor_written)
{
    bool moves;
    cr_expect_eq(write(0, 0, 0, list_of(NULL, 0)), KAFKA_ERR_INVALID_REQUEST);
    cr_expect_eq(read(0, &moves), KAFKA_ERR_INVALID_REQUEST);
}

Test(share_state, initializing_forgets_all_but_the_epochs)
{
    struct share_batch batch[] = {{5, 9, 2, 1}};
    bool moves;
    cr_assert_eq(initialize(1, 5), KAFKA_ERR_NONE);
    cr_expect_eq(state.snapshot_epoch, 0);
    cr_expect_eq(state.delivery_complete, 0);
    cr_assert_eq(read(4, &moves), KAFKA_ERR_NONE);
    cr_assert_eq(write(1, 4, 5, list_of(batch, 1)), KAFKA_ERR_NONE);
    cr_expect_eq(initialize(0, 7), KAFKA_ERR_FENCED_STATE_EPOCH);
    cr_assert_eq(initialize(2, 7), KAFKA_ERR_NONE);
    cr_expect_eq(state.snapshot_epoch, 1);
    cr_expect_eq(state.leader_epoch, 4);
    cr_expect_eq(state.start_offset, 7);
    cr_expect_eq(state.delivery_complete, 0);
    cr_expect_eq(state.batches.count, 0);
    cr_expect_eq(write(1, 4, 5, list_of(batch, 1)), KAFKA_ERR_FENCED_STATE_EPOCH);
}

Test(share_state, initializing_again_behind_writes_forgets_nothing)
{
    struct share_batch batch[] = {{5, 9, 2, 1}};
    bool moves;
    cr_assert_eq(initialize(0, SHARE_STATE_UNSET), KAFKA_ERR_NONE);
    cr_expect_eq(state.start_offset, SHARE_STATE_UNSET);
    cr_expect_eq(state.delivery_complete, SHARE_STATE_UNSET);
    cr_assert_eq(read(4, &moves), KAFKA_ERR_NONE);
    cr_assert_eq(write(0, 4, 5, list_of(batch, 1)), KAFKA_ERR_NONE);
    for (int32_t epoch = 0; epoch < 2; epoch++)
        cr_expect_eq(initialize(epoch, SHARE_STATE_UNSET), KAFKA_ERR_FENCED_STATE_EPOCH);
    cr_expect_eq(state.start_offset, 5);
    cr_expect_eq(state.batches.count, 1);
    cr_expect_eq(initialize(0, 7), KAFKA_ERR_NONE); // of offsets that are altered
    cr_expect_eq(state.start_offset, 7);
}

Test(share_state, a_leader_that_reads_fences_earlier_ones)
{
    bool moves;
    cr_assert_eq(initialize(0, 5), KAFKA_ERR_NONE);
    cr_expect_eq(read(3, &moves), KAFKA_ERR_NONE);
    cr_expect(moves);
    cr_expect_eq(read(3, &moves), KAFKA_ERR_NONE);
    cr_expect_not(moves);
    cr_expect_eq(read(2, &moves), KAFKA_ERR_FENCED_LEADER_EPOCH);
    cr_expect_eq(write(0, 2, 5, list_of(NULL, 0)), KAFKA_ERR_FENCED_LEADER_EPOCH);
    cr_expect_eq(read(SHARE_STATE_UNSET, &moves), KAFKA_ERR_NONE);
    cr_expect_not(moves);
    cr_expect_eq(write(0, 3, 5, list_of(NULL, 0)), KAFKA_ERR_NONE);
    cr_expect_eq(state.start_offset, 5);
}

// A group that is deleted and made anew has the epochs of its first days again.
Test(share_state, a_leader_that_has_not_read_does_not_write)
{
    struct share_batch batch[] = {{5, 9, 2, 1}};
    bool moves;
    cr_assert_eq(initialize(1, 5), KAFKA_ERR_NONE);
    cr_expect_eq(write(1, 0, 5, list_of(batch, 1)), KAFKA_ERR_FENCED_LEADER_EPOCH);
    cr_assert_eq(read(0, &moves), KAFKA_ERR_NONE);
    cr_expect(moves);
    cr_expect_eq(write(1, 1, 5, list_of(batch, 1)), KAFKA_ERR_FENCED_LEADER_EPOCH);
    cr_expect_eq(write(1, 0, 5, list_of(batch, 1)), KAFKA_ERR_NONE);
    cr_expect_str_eq(text_of(&state.batches), "5-9:2x1");
}

Test(share_state, a_write_that_comes_late_does_not_move_the_start_back)
{
    struct share_batch late[] = {{6, 9, 2, 1}};
    bool moves;
    cr_assert_eq(initialize(1, 5), KAFKA_ERR_NONE);
    cr_assert_eq(read(3, &moves), KAFKA_ERR_NONE);
    cr_assert_eq(write(1, 3, 8, list_of(NULL, 0)), KAFKA_ERR_NONE);
    state.delivery_complete = 2;
    cr_expect_eq(write(1, 3, 6, list_of(late, 1)), KAFKA_ERR_NONE);
    cr_expect_eq(state.start_offset, 8);
    cr_expect_eq(state.delivery_complete, 2, "of what lies behind the start");
    cr_expect_str_eq(text_of(&state.batches), "8-9:2x1");
    cr_expect_eq(write(2, 3, 6, list_of(NULL, 0)), KAFKA_ERR_NONE);
    cr_expect_eq(state.start_offset, 6, "set anew");
    cr_expect_eq(state.delivery_complete, 3);
}

Test(share_state, a_snapshot_follows_so_many_updates)
{
    struct share_batch batch[] = {{5, 9, 0, 1}};
    cr_assert_eq(initialize(0, 5), KAFKA_ERR_NONE);
    for (int i = 1; i <= UPDATES_MAX; i++) {
        cr_assert_eq(write(0, -1, 5, list_of(batch, 1)), KAFKA_ERR_NONE);
        cr_expect_eq(state.updates, i);
        cr_expect_eq(state.snapshot_epoch, 0);
    }
    cr_assert_eq(write(0, -1, 7, list_of(batch, 1)), KAFKA_ERR_NONE);
    cr_expect_eq(state.updates, 0);
    cr_expect_eq(state.snapshot_epoch, 1);
    cr_expect_eq(state.written_ms, NOW);
    cr_expect_eq(state.delivery_complete, 3);
    cr_expect_str_eq(text_of(&state.batches), "7-9:0x1");
    cr_assert_eq(write(1, -1, 7, list_of(NULL, 0)), KAFKA_ERR_NONE);
    cr_expect_eq(state.updates, 0, "a new state epoch stands in snapshots only");
    cr_expect_eq(state.state_epoch, 1);
}

Test(share_state, unset_fields_leave_things_as_they_are)
{
    cr_assert_eq(initialize(2, 5), KAFKA_ERR_NONE);
    cr_assert_eq(write(-1, -1, -1, list_of(NULL, 0)), KAFKA_ERR_NONE);
    cr_expect_eq(state.state_epoch, 2);
    cr_expect_eq(state.leader_epoch, SHARE_STATE_UNSET);
    cr_expect_eq(state.start_offset, 5);
}

Test(share_state, batches_have_a_limit)
{
    static struct share_batch many[SHARE_BATCHES_MAX + 1],
        more[] = {{2 * SHARE_BATCHES_MAX + 9, INT32_MAX, 0, 1}};
    for (int64_t i = 0; i <= SHARE_BATCHES_MAX; i++)
        many[i] = (struct share_batch){2 * i, 2 * i, 0, 1};
    struct share_batch bad[] = {{5, 4, 0, 1}};
    cr_assert_eq(initialize(0, 0), KAFKA_ERR_NONE);
    cr_expect_eq(write(0, -1, 0, list_of(bad, 1)), KAFKA_ERR_INVALID_REQUEST);
    cr_expect_eq(write(0, -1, 0, list_of(many, SHARE_BATCHES_MAX + 1)), KAFKA_ERR_RECORD_LIST_TOO_LARGE);
    cr_expect_eq(write(0, -1, 0, list_of(many, SHARE_BATCHES_MAX)), KAFKA_ERR_NONE);
    cr_expect_eq(write(0, -1, 0, list_of(more, 1)), KAFKA_ERR_RECORD_LIST_TOO_LARGE);
    cr_expect_eq(write(0, -1, 2, list_of(more, 1)), KAFKA_ERR_NONE, "the start that moves makes room");
}

// ---- records ----

static const struct share_key key = {{(const uint8_t *)"g", 1}, {{1, 2}}, 7};

// Bytes of Kafka's ShareSnapshotKey and ShareUpdateKey, worked out from their schemas.
Test(share_record, keys_have_kafkas_bytes)
{
    uint8_t expected[] = {0, 0, 0, 1, 'g', 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7};
    struct share_key back;
    for (int type = 0; type < 2; type++) {
        bool snapshot;
        buf_clear(&bytes);
        expected[1] = (uint8_t)type;
        cr_assert_eq(share_record_key(&key, type == 0, &bytes), ST_OK);
        cr_expect(slice_equal(buf_slice(&bytes), slice_of(expected, sizeof expected)));
        cr_assert_eq(share_record_key_parse(buf_slice(&bytes), &back, &snapshot), ST_OK);
        cr_expect_eq(snapshot, type == 0);
        cr_expect(slice_is(back.group, "g"));
        cr_expect(uuid_equal(back.topic, key.topic));
        cr_expect_eq(back.partition, 7);
    }
    bool snapshot;
    expected[1] = 2;
    cr_expect_eq(share_record_key_parse(slice_of(expected, sizeof expected), &back, &snapshot),
                 ST_UNSUPPORTED);
    expected[1] = 0;
    cr_expect_eq(share_record_key_parse(slice_of(expected, 9), &back, &snapshot), ST_TRUNCATED);
    cr_expect_eq(share_record_key_parse(slice_of(expected, 1), &back, &snapshot), ST_TRUNCATED);
}

// Bytes of Kafka's ShareUpdateValue version 0, worked out from its schema.
Test(share_record, an_update_has_kafkas_bytes)
{
    static const uint8_t expected[] = {
        0, 0,                   // version
        0, 0, 0, 3,             // snapshot epoch
        0, 0, 0, 2,             // leader epoch
        0, 0, 0, 0, 0, 0, 0, 5, // start offset
        2,                      // one batch
        0, 0, 0, 0, 0, 0, 0, 5, // first
        0, 0, 0, 0, 0, 0, 0, 9, // last
        2, 0, 1, 0,             // acknowledged, delivered once, no tags
        1, 0, 4, 0, 0, 0, 5,    // tag 0: delivery complete count
    };
    struct share_batch batch[] = {{5, 9, 2, 1}};
    struct share_update update = {4, 2, 5, 5, list_of(batch, 1)};
    cr_assert_eq(share_record_update(3, &update, &bytes), ST_OK);
    cr_expect(slice_equal(buf_slice(&bytes), slice_of(expected, sizeof expected)));
}

static enum status apply(bool snapshot)
{
    enum status status = share_record_apply(snapshot, buf_slice(&bytes), &state, &present);
    buf_clear(&bytes);
    return status;
}

static void apply_snapshot(struct share_batches batches)
{
    struct share_state whole = {3, 1, 2, 5, 4, 100, 200, batches, 0};
    cr_assert_eq(share_record_snapshot(&whole, &bytes), ST_OK);
    cr_assert_eq(apply(true), ST_OK);
}

Test(share_record, a_snapshot_and_its_updates_make_the_state)
{
    struct share_batch old[] = {{5, 9, 0, 1}, {10, 12, 4, 5}}, new[] = {{6, 9, 2, 2}};
    apply_snapshot(list_of(old, 2));
    cr_assert(present);
    cr_expect_eq(state.snapshot_epoch, 3);
    cr_expect_eq(state.state_epoch, 1);
    cr_expect_eq(state.leader_epoch, 2);
    cr_expect_eq(state.start_offset, 5);
    cr_expect_eq(state.delivery_complete, 4);
    cr_expect_eq(state.created_ms, 100);
    cr_expect_eq(state.written_ms, 200);
    cr_expect_str_eq(text_of(&state.batches), "5-9:0x1 10-12:4x5");
    struct share_update update = {SHARE_STATE_UNSET, 3, 6, 7, list_of(new, 1)};
    cr_assert_eq(share_record_update(3, &update, &bytes), ST_OK);
    cr_assert_eq(apply(false), ST_OK);
    cr_expect_eq(state.leader_epoch, 3);
    cr_expect_eq(state.state_epoch, 1);
    cr_expect_eq(state.start_offset, 6);
    cr_expect_eq(state.updates, 1);
    cr_expect_str_eq(text_of(&state.batches), "6-9:2x2 10-12:4x5");
}

Test(share_record, an_update_without_its_snapshot_changes_nothing)
{
    struct share_batch old[] = {{5, 9, 0, 1}};
    struct share_update update = {SHARE_STATE_UNSET, 3, 6, 7, list_of(NULL, 0)};
    cr_assert_eq(share_record_update(3, &update, &bytes), ST_OK);
    cr_expect_eq(apply(false), ST_OK);
    cr_expect_not(present);
    apply_snapshot(list_of(old, 1));
    cr_assert_eq(share_record_update(2, &update, &bytes), ST_OK);
    cr_expect_eq(apply(false), ST_OK);
    cr_expect_eq(state.start_offset, 5);
    cr_expect_eq(state.updates, 0);
}

Test(share_record, a_snapshots_tombstone_ends_the_state)
{
    struct share_batch old[] = {{5, 9, 0, 1}};
    struct slice tombstone = {NULL, 0};
    apply_snapshot(list_of(old, 1));
    cr_expect_eq(share_record_apply(false, tombstone, &state, &present), ST_OK);
    cr_expect(present);
    cr_expect_eq(share_record_apply(true, tombstone, &state, &present), ST_OK);
    cr_expect_not(present);
    cr_expect_eq(share_record_apply(true, tombstone, &state, &present), ST_OK);
}

Test(share_record, what_cannot_be_changes_nothing)
{
    struct share_batch good[] = {{5, 9, 0, 1}}, bad[] = {{5, 9, 1, 1}};
    struct share_state whole = {.snapshot_epoch = 9, .batches = list_of(bad, 1)};
    struct share_update update = {SHARE_STATE_UNSET, 3, 6, 7, list_of(bad, 1)};
    apply_snapshot(list_of(good, 1));
    cr_assert_eq(share_record_snapshot(&whole, &bytes), ST_OK);
    cr_expect_eq(apply(true), ST_CORRUPT);
    cr_assert_eq(share_record_update(3, &update, &bytes), ST_OK);
    cr_expect_eq(apply(false), ST_CORRUPT);
    cr_assert_eq(share_record_snapshot(&whole, &bytes), ST_OK);
    store_be16(bytes.data, 1);
    cr_expect_eq(apply(true), ST_UNSUPPORTED);
    cr_expect_eq(share_record_apply(true, slice_str("x"), &state, &present), ST_TRUNCATED);
    cr_expect_eq(state.snapshot_epoch, 3);
    cr_expect_str_eq(text_of(&state.batches), "5-9:0x1");
}
