// SPDX-License-Identifier: Apache-2.0
// Share partitions (KIP-932): what is delivered to whom and again, what acknowledgements, locks and writes
// change; at last against a model that knows every record by itself.
#include "share_partition.h"

#include "base/mem.h"
#include "base/prng.h"
#include "kafka/errors.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { LOCK_MS = 1000 };

static const struct share_limits limits = {.locks_max = 100, .deliveries_max = 5, .lock_ms = LOCK_MS};
static struct share_partition partition;
static struct share_write write;
static struct share_acquisition got;

static void begin(int64_t start)
{
    share_partition_init(&partition, &limits, start, 1);
    share_write_init(&write);
    got = (struct share_acquisition){.count = 0};
}

static void end(void)
{
    share_write_fini(&write);
    mem_free(got.parts);
    share_partition_fini(&partition);
    cr_expect_eq(partition.runs.available + partition.runs.acquired + partition.runs.over, 0);
}

TestSuite(share_partition, .fini = end);

static struct share_demand demand_of(const char *member, int32_t records_max)
{
    return (struct share_demand){.member = slice_str(member), .records_max = records_max, .batch_size = 1000};
}

// Each call answers anew. "0-9x1 10-14x2": offsets and deliveries.
static const char *acquire_of(const struct share_demand *demand, int64_t offset,
                              const struct share_span *batches, size_t count)
{
    static char text[400];
    struct share_fetched fetched = {.offset = offset, .batches = batches, .count = count};
    int len = 0;
    mem_free(got.parts);
    got = (struct share_acquisition){.count = 0};
    share_partition_acquire(&partition, demand, &fetched, &got);
    text[0] = '\0';
    for (size_t i = 0; i < got.count && len < 350; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "%s%ld-%ldx%d", i > 0 ? " " : "",
                        (long)got.parts[i].first, (long)got.parts[i].last, got.parts[i].deliveries);
    return text;
}

// One batch, read from its base offset.
static const char *acquire(const char *member, int64_t first, int64_t last)
{
    struct share_demand demand = demand_of(member, 1000);
    struct share_span batch = {first, last};
    return acquire_of(&demand, first, &batch, 1);
}

// "0-4:2x1 5-5:0x2": offsets, state, deliveries.
static const char *written_of(const struct share_write *of)
{
    static char text[400];
    int len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < of->count && len < 350; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "%s%ld-%ld:%dx%d", i > 0 ? " " : "",
                        (long)of->batches[i].first, (long)of->batches[i].last, of->batches[i].fate.state,
                        of->batches[i].fate.deliveries);
    return text;
}

static int16_t acknowledge_at(const char *member, int64_t first, int64_t last, int8_t type, int64_t now_ms)
{
    struct share_ack ack = {.first = first, .last = last, .types = &type, .count = 1};
    share_write_fini(&write);
    return share_partition_acknowledge(&partition, slice_str(member), &ack, 1, now_ms, &write);
}

static int16_t acknowledge(const char *member, int64_t first, int64_t last, int8_t type)
{
    return acknowledge_at(member, first, last, type, 0);
}

static void written(bool ok)
{
    const int64_t numbers[] = {write.number, write.dead_number};
    for (int i = 0; i < 2; i++) {
        if (numbers[i] > 0 && ok)
            share_partition_written(&partition, numbers[i]);
        else if (numbers[i] > 0)
            share_partition_kept(&partition, numbers[i], 0);
    }
}

static const char *expire(int64_t now_ms)
{
    share_write_fini(&write);
    share_partition_expire(&partition, now_ms, &write);
    return written_of(&write);
}

// Acquired and given back again until every record was delivered so often.
static void deliver(int64_t first, int64_t last, int times)
{
    for (int i = 0; i < times; i++) {
        cr_assert_str_neq(acquire("m", first, last), "");
        cr_assert_eq(acknowledge("m", first, last, SHARE_RELEASE), KAFKA_ERR_NONE);
        written(true);
    }
}

// ---- acquiring ----

Test(share_partition, new_records_are_acquired_once)
{
    begin(10);
    cr_expect_eq(share_partition_next(&partition), 10);
    cr_expect_str_eq(acquire("m", 10, 19), "10-19x1");
    cr_expect_eq(share_partition_next(&partition), 20);
    cr_expect_str_eq(acquire("n", 10, 19), "");
    cr_expect_str_eq(acquire("n", 15, 24), "20-24x1");
    cr_expect_eq(partition.runs.acquired, 15);
    cr_expect_eq(partition.start, 10);
}

Test(share_partition, records_below_the_start_are_not_acquired)
{
    begin(5);
    cr_expect_str_eq(acquire("m", 0, 9), "5-9x1");
}

Test(share_partition, a_batch_that_is_begun_is_taken_whole)
{
    begin(0);
    struct share_span batches[] = {{0, 9}, {10, 19}, {20, 29}};
    struct share_demand demand = demand_of("m", 12);
    cr_expect_str_eq(acquire_of(&demand, 0, batches, 3), "0-19x1");
    demand.records_max = 0;
    cr_expect_str_eq(acquire_of(&demand, 20, batches, 3), "");
}

Test(share_partition, strict_means_not_one_record_more)
{
    begin(0);
    struct share_span batches[] = {{0, 9}, {10, 19}};
    struct share_demand demand = demand_of("m", 12);
    demand.strict = true;
    cr_expect_str_eq(acquire_of(&demand, 0, batches, 2), "0-11x1");
    cr_assert_eq(acknowledge("m", 0, 11, SHARE_RELEASE), KAFKA_ERR_NONE);
    written(true);
    demand.records_max = 5;
    cr_expect_str_eq(acquire_of(&demand, 0, batches, 2), "0-4x2");
    cr_expect_str_eq(acquire_of(&demand, 5, batches, 2), "5-9x2");
    cr_expect_str_eq(acquire_of(&demand, 10, &batches[1], 1), "10-11x2 12-14x1");
}

Test(share_partition, parts_are_joined_until_they_have_the_batch_size)
{
    begin(0);
    struct share_span batches[] = {{0, 3}, {4, 7}, {8, 11}, {12, 15}};
    struct share_demand demand = demand_of("m", 100);
    demand.batch_size = 6;
    cr_expect_str_eq(acquire_of(&demand, 0, batches, 4), "0-7x1 8-15x1");
    cr_expect_eq(got.records, 16);
}

Test(share_partition, no_more_are_on_their_way_than_the_limit)
{
    begin(0);
    cr_expect_str_eq(acquire("m", 0, 149), "0-99x1");
    cr_expect_not(share_partition_room(&partition));
    cr_expect_str_eq(acquire("m", 100, 149), "");
    cr_expect_eq(partition.end, 100);
    // What is over in the middle makes room, although the start cannot move.
    cr_assert_eq(acknowledge("m", 50, 59, SHARE_ACCEPT), KAFKA_ERR_NONE);
    cr_expect_not(share_partition_room(&partition));
    written(true);
    cr_expect(share_partition_room(&partition));
    cr_expect_eq(partition.start, 0);
    cr_expect_str_eq(acquire("n", 100, 149), "100-109x1");
    // At the limit, what came back can still be acquired.
    cr_assert_eq(acknowledge("m", 0, 4, SHARE_RELEASE), KAFKA_ERR_NONE);
    written(true);
    cr_expect_str_eq(acquire("n", 0, 9), "0-4x2");
}

Test(share_partition, what_is_missing_from_the_log_is_over)
{
    begin(0);
    acquire("m", 0, 19);
    cr_assert_eq(acknowledge("m", 0, 19, SHARE_RELEASE), KAFKA_ERR_NONE);
    written(true);
    struct share_span batches[] = {{5, 7}, {12, 14}, {25, 26}};
    struct share_demand demand = demand_of("m", 100);
    cr_expect_str_eq(acquire_of(&demand, 0, batches, 3), "5-7x2 12-14x2 25-26x1");
    cr_expect_eq(partition.start, 5);
    cr_expect_eq(share_partition_next(&partition), 27);
    cr_expect_eq(partition.runs.over, 14);
}

static void pass(int64_t first, int64_t last)
{
    share_partition_pass(&partition, &(struct share_span){first, last}, 1);
}

Test(share_partition, records_nobody_may_read_are_passed)
{
    begin(0);
    pass(0, 4);
    cr_expect_eq(partition.start, 5);
    cr_expect_eq(share_partition_next(&partition), 5);
    acquire("m", 5, 9);
    pass(10, 12);
    cr_expect_eq(partition.start, 5);
    cr_expect_eq(share_partition_next(&partition), 13);
    pass(7, 8); // acquired: the member says what becomes of them
    cr_expect_eq(partition.runs.acquired, 5);
    cr_assert_eq(acknowledge("m", 5, 9, SHARE_ACCEPT), KAFKA_ERR_NONE);
    written(true);
    cr_expect_eq(partition.start, 13);
}

Test(share_partition, what_is_passed_at_once_is_passed_as_one_after_the_other)
{
    static const struct share_span spans[] = {{0, 1}, {3, 4}, {6, 6}, {8, 8}, {10, 11}, {14, 15}};
    begin(0);
    acquire("m", 0, 9);
    share_partition_release(&partition, slice_str("m"), &write);
    written(true);
    share_partition_pass(&partition, spans, 6);
    cr_expect_eq(partition.start, 2);
    cr_expect_eq(partition.end, 12, "the last begins behind it");
    cr_expect_eq(partition.runs.available, 4);
    cr_expect_str_eq(acquire("m", 2, 9), "2-2x1 5-5x1 7-7x1 9-9x1");
}

Test(share_partition, records_delivered_often_come_with_ever_fewer_others)
{
    begin(0);
    deliver(0, 15, 3);
    cr_expect_str_eq(acquire("m", 0, 15), "0-7x4");
    cr_assert_eq(acknowledge("m", 0, 7, SHARE_RELEASE), KAFKA_ERR_NONE);
    written(true);
    cr_expect_str_eq(acquire("m", 0, 15), "0-0x5");
    cr_expect_str_eq(acquire("m", 0, 15), "1-1x5");
}

Test(share_partition, a_record_delivered_often_does_not_join_others)
{
    begin(0);
    deliver(2, 2, 0);
    acquire("m", 0, 3);
    cr_assert_eq(acknowledge("m", 0, 3, SHARE_RELEASE), KAFKA_ERR_NONE);
    written(true);
    deliver(2, 3, 2);
    cr_expect_str_eq(acquire("m", 0, 3), "0-1x2");
    cr_expect_str_eq(acquire("m", 2, 3), "2-2x4");
}

// ---- acknowledging ----

Test(share_partition, an_acknowledgement_counts_once_it_is_written)
{
    begin(0);
    acquire("m", 0, 9);
    cr_assert_eq(acknowledge("m", 0, 4, SHARE_ACCEPT), KAFKA_ERR_NONE);
    cr_expect_eq(write.number, 1);
    cr_expect_str_eq(written_of(&write), "0-4:2x1");
    cr_expect_eq(write.start_offset, 0);
    cr_expect_eq(write.delivery_complete, 5);
    cr_expect_eq(partition.start, 0);
    written(true);
    cr_expect_eq(partition.start, 5);
    cr_assert_eq(acknowledge("m", 5, 9, SHARE_REJECT), KAFKA_ERR_NONE);
    cr_expect_str_eq(written_of(&write), "5-9:4x1");
    written(true);
    cr_expect_eq(partition.start, 10);
    cr_expect_null(partition.runs.head);
}

Test(share_partition, an_acknowledgement_that_was_not_written_can_be_made_again)
{
    begin(0);
    acquire("m", 0, 9);
    cr_assert_eq(acknowledge("m", 0, 9, SHARE_ACCEPT), KAFKA_ERR_NONE);
    cr_expect_eq(acknowledge("m", 0, 9, SHARE_ACCEPT), KAFKA_ERR_INVALID_RECORD_STATE);
    share_partition_kept(&partition, 1, 0);
    cr_expect_eq(partition.start, 0);
    cr_expect_eq(acknowledge("m", 0, 9, SHARE_REJECT), KAFKA_ERR_NONE);
    written(true);
    cr_expect_eq(partition.start, 10);
}

Test(share_partition, each_offset_can_have_a_type_of_its_own)
{
    begin(0);
    acquire("m", 0, 9);
    static const int8_t types[] = {SHARE_GAP,     SHARE_ACCEPT, SHARE_ACCEPT,
                                   SHARE_RELEASE, SHARE_RENEW,  SHARE_REJECT};
    struct share_ack ack = {.first = 0, .last = 5, .types = types, .count = 6};
    cr_assert_eq(share_partition_acknowledge(&partition, slice_str("m"), &ack, 1, 500, &write), 0);
    cr_expect_str_eq(written_of(&write), "0-0:4x1 1-2:2x1 3-3:0x1 5-5:4x1");
    written(true);
    cr_expect_eq(partition.start, 3);
    cr_expect_eq(share_partition_next(&partition), 3);
    cr_expect_str_eq(acquire("n", 3, 9), "3-3x2");
    cr_expect_str_eq(expire(LOCK_MS), "3-3:0x2 6-9:0x1"); // all but the renewed one
    cr_expect_eq(partition.runs.acquired, 1);
}

Test(share_partition, a_renewal_alone_needs_no_write)
{
    begin(0);
    acquire("m", 0, 9);
    cr_expect_eq(acknowledge_at("m", 0, 9, SHARE_RENEW, 700), KAFKA_ERR_NONE);
    cr_expect_eq(write.number, 0);
    cr_expect_eq(write.count, 0);
    cr_expect_str_eq(expire(LOCK_MS + 699), "");
    cr_expect_eq(share_partition_deadline(&partition), LOCK_MS + 700);
    cr_expect_str_eq(expire(LOCK_MS + 700), "0-9:0x1");
}

Test(share_partition, renewals_are_refused_where_they_are_switched_off)
{
    begin(0);
    acquire("m", 0, 9);
    partition.limits.no_renewals = true;
    cr_expect_eq(acknowledge("m", 0, 9, SHARE_RENEW), KAFKA_ERR_INVALID_RECORD_STATE);
    cr_expect_eq(share_partition_deadline(&partition), LOCK_MS);
    cr_expect_eq(acknowledge("m", 0, 9, SHARE_ACCEPT), KAFKA_ERR_NONE);
}

Test(share_partition, only_who_holds_a_record_speaks_for_it)
{
    begin(0);
    cr_expect_eq(acknowledge("m", 0, 9, SHARE_ACCEPT), KAFKA_ERR_INVALID_RECORD_STATE);
    acquire("m", 0, 4);
    acquire("n", 5, 9);
    cr_expect_eq(acknowledge("n", 0, 4, SHARE_ACCEPT), KAFKA_ERR_INVALID_RECORD_STATE);
    cr_expect_eq(acknowledge("m", 0, 9, SHARE_ACCEPT), KAFKA_ERR_INVALID_RECORD_STATE);
    cr_expect_eq(acknowledge("x", 0, 4, SHARE_ACCEPT), KAFKA_ERR_INVALID_RECORD_STATE);
    cr_expect_eq(acknowledge("m", 0, 4, SHARE_RELEASE), KAFKA_ERR_NONE);
    written(true);
    cr_expect_eq(acknowledge("m", 0, 4, SHARE_ACCEPT), KAFKA_ERR_INVALID_RECORD_STATE);
    cr_expect_eq(partition.runs.available, 5);
}

Test(share_partition, a_refused_request_changes_nothing)
{
    begin(0);
    acquire("m", 0, 4);
    acquire("n", 5, 9);
    static const int8_t accept = SHARE_ACCEPT;
    struct share_ack acks[] = {{0, 2, &accept, 1}, {4, 5, &accept, 1}};
    cr_expect_eq(share_partition_acknowledge(&partition, slice_str("m"), acks, 2, 0, &write),
                 KAFKA_ERR_INVALID_RECORD_STATE);
    cr_expect_eq(write.number, 0);
    cr_expect_eq(write.count, 0);
    cr_expect_eq(acknowledge("m", 0, 4, SHARE_ACCEPT), KAFKA_ERR_NONE);
}

Test(share_partition, acknowledgements_that_make_no_sense_are_invalid_requests)
{
    begin(0);
    acquire("m", 0, 9);
    static const int8_t types[] = {SHARE_ACCEPT, SHARE_ACCEPT, 5, -1};
    struct share_ack bad[] = {
        {0, 2, types, 2},     {0, 0, types, 2},         {0, 1, types, 0},  {3, 2, types, 1},
        {2, 2, &types[2], 1}, {2, 2, &types[3], 1},     {-1, 2, types, 1}, {0, 10, types, 1},
        {10, 12, types, 1},   {0, INT64_MAX, types, 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(share_partition_acknowledge(&partition, slice_str("m"), &bad[i], 1, 0, &write),
                     KAFKA_ERR_INVALID_REQUEST, "%zu", i);
    struct share_ack twice[] = {{0, 4, types, 1}, {4, 5, types, 1}};
    cr_expect_eq(share_partition_acknowledge(&partition, slice_str("m"), twice, 2, 0, &write),
                 KAFKA_ERR_INVALID_REQUEST);
    cr_expect_eq(write.count, 0);
}

Test(share_partition, a_record_released_too_often_is_archived)
{
    begin(0);
    for (int i = 1; i < 5; i++)
        deliver(0, 0, 1);
    cr_expect_str_eq(acquire("m", 0, 0), "0-0x5");
    cr_expect_eq(acknowledge("m", 0, 0, SHARE_RELEASE), KAFKA_ERR_NONE);
    cr_expect_str_eq(written_of(&write), "0-0:4x5");
    written(true);
    cr_expect_eq(partition.start, 1);
}

// ---- locks and sessions ----

Test(share_partition, a_lock_ends_with_its_time)
{
    begin(0);
    cr_expect_eq(share_partition_deadline(&partition), INT64_MAX);
    acquire("m", 0, 9);
    cr_expect_eq(share_partition_deadline(&partition), LOCK_MS);
    cr_expect_str_eq(expire(LOCK_MS - 1), "");
    cr_expect_str_eq(expire(LOCK_MS), "0-9:0x1");
    cr_expect_eq(write.number, 0);
    cr_expect_eq(share_partition_deadline(&partition), INT64_MAX);
    cr_expect_eq(share_partition_next(&partition), 0);
    cr_expect_eq(acknowledge("m", 0, 9, SHARE_ACCEPT), KAFKA_ERR_INVALID_RECORD_STATE);
    cr_expect_str_eq(acquire("n", 0, 9), "0-9x2");
}

Test(share_partition, a_lock_that_ends_too_often_archives)
{
    begin(0);
    deliver(0, 0, 4);
    acquire("m", 0, 0);
    cr_expect_str_eq(expire(LOCK_MS), "0-0:4x5");
    cr_expect_eq(partition.start, 0); // not before it is written
    cr_expect_eq(share_partition_deadline(&partition), INT64_MAX);
    cr_expect_str_eq(acquire("n", 0, 0), "");
    written(true);
    cr_expect_eq(partition.start, 1);
}

Test(share_partition, what_cannot_be_given_up_yet_is_kept_for_a_while)
{
    begin(0);
    deliver(0, 0, 4);
    acquire("m", 0, 0);
    expire(LOCK_MS);
    share_partition_kept(&partition, write.dead_number, LOCK_MS + 700);
    cr_expect_eq(share_partition_deadline(&partition), LOCK_MS + 700);
    cr_expect_str_eq(acquire("n", 0, 0), "");
    cr_expect_str_eq(expire(LOCK_MS + 699), "");
    cr_expect_str_eq(expire(LOCK_MS + 700), "0-0:4x5");
    share_partition_kept(&partition, write.dead_number, LOCK_MS + 900);
    cr_expect_eq(acknowledge("m", 0, 0, SHARE_ACCEPT), KAFKA_ERR_NONE); // its member is done after all
}

Test(share_partition, a_lock_does_not_end_while_its_acknowledgement_is_written)
{
    begin(0);
    acquire("m", 0, 9);
    cr_assert_eq(acknowledge("m", 0, 9, SHARE_ACCEPT), KAFKA_ERR_NONE);
    int64_t number = write.number;
    cr_expect_str_eq(expire(LOCK_MS), "");
    cr_expect_eq(share_partition_deadline(&partition), INT64_MAX);
    share_partition_kept(&partition, number, 0);
    cr_expect_eq(share_partition_deadline(&partition), LOCK_MS);
    cr_expect_str_eq(expire(LOCK_MS), "0-9:0x1");
}

Test(share_partition, deliveries_of_a_session_that_ends_do_not_count)
{
    begin(0);
    acquire("m", 0, 4);
    acquire("n", 5, 9);
    share_partition_release(&partition, slice_str("x"), &write);
    cr_expect_eq(write.number, 0);
    share_partition_release(&partition, slice_str("m"), &write);
    cr_expect_str_eq(written_of(&write), "0-4:0x0");
    cr_expect_eq(share_partition_next(&partition), 10);
    written(true);
    cr_expect_eq(share_partition_next(&partition), 0);
    cr_expect_str_eq(acquire("n", 0, 9), "0-4x1");
}

// ---- the log's start ----

Test(share_partition, the_start_moves_with_the_log)
{
    begin(0);
    acquire("m", 0, 9);
    share_partition_move_start(&partition, 5);
    cr_expect_eq(partition.start, 5);
    cr_expect_eq(partition.runs.acquired, 5);
    share_partition_move_start(&partition, 3);
    cr_expect_eq(partition.start, 5);
    // What lies below is over; to acknowledge it is no mistake.
    cr_expect_eq(acknowledge("m", 0, 4, SHARE_ACCEPT), KAFKA_ERR_NONE);
    cr_expect_eq(write.number, 0);
    cr_expect_eq(acknowledge("m", 0, 7, SHARE_ACCEPT), KAFKA_ERR_NONE);
    cr_expect_str_eq(written_of(&write), "5-7:2x1");
    cr_expect_eq(write.start_offset, 5);
    share_partition_move_start(&partition, 20);
    written(true);
    cr_expect_eq(partition.start, 20);
    cr_expect_eq(share_partition_next(&partition), 20);
}

// ---- restoring ----

Test(share_partition, restored_as_it_was_written)
{
    begin(5);
    struct share_batch batches[] = {{0, 2, {SHARE_ACKNOWLEDGED, 1}, SHARE_NO_DEATH},
                                    {3, 6, {SHARE_AVAILABLE, 2}, SHARE_NO_DEATH},
                                    {10, 12, {SHARE_ARCHIVED, 5}, SHARE_NO_DEATH},
                                    {13, 14, {SHARE_AVAILABLE, 1}, SHARE_NO_DEATH}};
    cr_assert_eq(share_partition_restore(&partition, batches, 4), ST_OK);
    cr_expect_eq(partition.start, 5);
    cr_expect_eq(partition.end, 15);
    cr_expect_eq(partition.runs.over, 3);
    cr_expect_str_eq(acquire("m", 0, 19), "5-6x3 7-9x1 13-14x2 15-19x1");
}

Test(share_partition, restored_over_what_is_over)
{
    begin(5);
    struct share_batch batches[] = {{5, 6, {SHARE_ACKNOWLEDGED, 1}, SHARE_NO_DEATH},
                                    {7, 9, {SHARE_ARCHIVED, 2}, SHARE_NO_DEATH}};
    cr_assert_eq(share_partition_restore(&partition, batches, 2), ST_OK);
    cr_expect_eq(partition.start, 10);
    cr_expect_eq(share_partition_next(&partition), 10);
    cr_expect_null(partition.runs.head);
}

Test(share_partition, what_was_never_written_is_not_restored)
{
    struct share_batch bad[] = {{0, 2, {SHARE_ACQUIRED, 1}, SHARE_NO_DEATH},
                                {3, 2, {SHARE_AVAILABLE, 1}, SHARE_NO_DEATH},
                                {0, 2, {3, 1}, SHARE_NO_DEATH},
                                {0, 2, {SHARE_AVAILABLE, -1}, SHARE_NO_DEATH},
                                {-2, 2, {SHARE_ARCHIVED, 1}, SHARE_NO_DEATH},
                                {0, INT64_MAX, {SHARE_ARCHIVED, 1}, SHARE_NO_DEATH}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        begin(0);
        cr_expect_eq(share_partition_restore(&partition, &bad[i], 1), ST_CORRUPT, "%zu", i);
        end();
    }
    begin(0);
    struct share_batch overlap[] = {{0, 4, {SHARE_AVAILABLE, 1}, SHARE_NO_DEATH},
                                    {4, 5, {SHARE_ARCHIVED, 1}, SHARE_NO_DEATH}};
    cr_expect_eq(share_partition_restore(&partition, overlap, 2), ST_CORRUPT);
}

// ---- against a model ----

enum { MODEL_OFFSETS = 400, MODEL_WRITES = 3 };

struct model_record {
    struct share_fate fate;
    int member; // ACQUIRED
    int64_t deadline_ms, write;
    struct share_fate outcome;
};

static struct model_record model[MODEL_OFFSETS];
static int64_t model_end, model_start;
static const char *const members[] = {"a", "b", "c"};

static bool model_over(int64_t offset)
{
    return model[offset].fate.state >= SHARE_ACKNOWLEDGED;
}

static void model_settled(void)
{
    while (model_start < model_end && model_over(model_start))
        model_start++;
}

// Invariants: the runs lie end to end from start to end, say what the model says, and are few.
static void compare(void)
{
    int64_t at = partition.start, runs = 0;
    cr_assert_eq(partition.start, model_start);
    cr_assert_eq(partition.end, model_end);
    for (const struct share_run *run = partition.runs.head; run != NULL; run = run->next, runs++) {
        cr_assert_eq(run->first, at);
        for (; at <= run->last; at++) {
            const struct model_record *record = &model[at];
            cr_assert_eq(run->write, record->write);
            if (share_state_over(run->fate.state)) {
                cr_assert(model_over(at));
                continue;
            }
            cr_assert_eq(run->fate.state, record->fate.state);
            cr_assert_eq(run->fate.deliveries, record->fate.deliveries);
            if (record->fate.state != SHARE_ACQUIRED)
                continue;
            cr_assert(slice_is(run->member->id, members[record->member]));
            cr_assert_eq(run->deadline_ms, record->deadline_ms);
        }
    }
    cr_assert_eq(at, partition.end);
    int64_t under_way = partition.runs.available + partition.runs.acquired;
    cr_assert_leq(under_way, partition.limits.locks_max);
    cr_assert_leq(runs, 2 * under_way + 1);
}

// Whoever acquires gets each record once, and none that is not available.
static void step_acquire(struct prng *prng, int64_t now_ms)
{
    int member = (int)prng_below(prng, 3);
    struct share_demand demand = demand_of(members[member], 1 + (int32_t)prng_below(prng, 12));
    demand.now_ms = now_ms;
    demand.strict = prng_below(prng, 2) == 0;
    demand.batch_size = 1 + (int32_t)prng_below(prng, 8);
    int64_t offset = share_partition_next(&partition);
    int64_t last = offset + (int64_t)prng_below(prng, 20);
    if (last >= MODEL_OFFSETS)
        return;
    struct share_span batches[] = {{offset, (offset + last) / 2}, {(offset + last) / 2 + 1, last}};
    acquire_of(&demand, offset, batches, offset < last ? 2 : 1);
    if (demand.strict)
        cr_assert_leq(got.records, demand.records_max);
    for (size_t i = 0; i < got.count; i++)
        for (int64_t at = got.parts[i].first; at <= got.parts[i].last; at++) {
            struct model_record *record = &model[at];
            cr_assert(record->fate.state == SHARE_AVAILABLE && at >= model_start);
            cr_assert_eq(got.parts[i].deliveries, record->fate.deliveries + 1);
            record->fate = (struct share_fate){SHARE_ACQUIRED, got.parts[i].deliveries};
            record->member = member;
            record->deadline_ms = now_ms + LOCK_MS;
            model_end = at >= model_end ? at + 1 : model_end;
        }
}

static struct share_fate model_back(int16_t deliveries)
{
    return (struct share_fate){deliveries < limits.deliveries_max ? SHARE_AVAILABLE : SHARE_ARCHIVED,
                               deliveries};
}

static void model_await(struct model_record *record, int8_t type, int64_t now_ms)
{
    int16_t deliveries = record->fate.deliveries;
    if (type == SHARE_RENEW) {
        record->deadline_ms = now_ms + LOCK_MS;
        return;
    }
    record->outcome =
        type == SHARE_RELEASE
            ? model_back(deliveries)
            : (struct share_fate){type == SHARE_ACCEPT ? SHARE_ACKNOWLEDGED : SHARE_ARCHIVED, deliveries};
    bool dies = record->outcome.state == SHARE_ARCHIVED && type != SHARE_GAP;
    record->write = dies ? write.dead_number : write.number;
}

static bool model_holds(int member, int64_t first, int64_t last)
{
    for (int64_t at = first > model_start ? first : model_start; at <= last; at++)
        if (model[at].fate.state != SHARE_ACQUIRED || model[at].member != member || model[at].write != 0)
            return false;
    return true;
}

static void step_acknowledge(struct prng *prng, int64_t now_ms)
{
    int member = (int)prng_below(prng, 3);
    int64_t back = (int64_t)prng_below(prng, 60), first = model_end > back ? model_end - back : 0;
    int64_t last = first + (int64_t)prng_below(prng, 6);
    if (last >= model_end)
        return;
    int8_t types[8];
    for (int i = 0; i < 8; i++)
        types[i] = (int8_t)prng_below(prng, 5);
    struct share_ack ack = {first, last, types, prng_below(prng, 2) ? 1 : (int32_t)(last - first + 1)};
    share_write_fini(&write);
    int16_t error =
        share_partition_acknowledge(&partition, slice_str(members[member]), &ack, 1, now_ms, &write);
    cr_assert_eq(error == KAFKA_ERR_NONE, last < model_start || model_holds(member, first, last));
    for (int64_t at = first; at <= last && error == KAFKA_ERR_NONE; at++)
        if (at >= model_start)
            model_await(&model[at], types[ack.count == 1 ? 0 : at - first], now_ms);
}

static void step_written(struct prng *prng)
{
    int64_t back = (int64_t)prng_below(prng, MODEL_WRITES), number = partition.writes - back;
    bool ok = prng_below(prng, 4) != 0;
    if (number <= 0)
        return;
    if (ok)
        share_partition_written(&partition, number);
    else
        share_partition_kept(&partition, number, 0);
    for (int64_t at = model_start; at < model_end; at++) {
        struct model_record *record = &model[at];
        if (record->write != number)
            continue;
        record->write = 0;
        if (ok)
            record->fate = record->outcome;
    }
    model_settled();
}

static void step_expire(int64_t now_ms)
{
    expire(now_ms);
    for (int64_t at = model_start; at < model_end; at++) {
        struct model_record *record = &model[at];
        if (record->fate.state == SHARE_ACQUIRED && record->write == 0 && record->deadline_ms <= now_ms) {
            struct share_fate back = model_back(record->fate.deliveries);
            record->write = back.state == SHARE_ARCHIVED ? write.dead_number : 0;
            if (record->write == 0)
                record->fate = back;
            else
                record->outcome = back;
        }
        cr_assert(record->fate.state != SHARE_ACQUIRED || record->write != 0 ||
                  share_partition_deadline(&partition) <= record->deadline_ms);
    }
    model_settled();
}

static void step_release(struct prng *prng)
{
    int member = (int)prng_below(prng, 3);
    share_write_fini(&write);
    share_partition_release(&partition, slice_str(members[member]), &write);
    for (int64_t at = model_start; at < model_end; at++)
        if (model_holds(member, at, at)) {
            model[at].write = write.number;
            model[at].outcome =
                (struct share_fate){SHARE_AVAILABLE, (int16_t)(model[at].fate.deliveries - 1)};
        }
}

static void step(struct prng *prng, int64_t now_ms)
{
    uint64_t die = prng_below(prng, 100);
    if (die < 40)
        step_acquire(prng, now_ms);
    else if (die < 70)
        step_acknowledge(prng, now_ms);
    else if (die < 90)
        step_written(prng);
    else if (die < 98)
        step_expire(now_ms);
    else if (die < 99)
        step_release(prng);
    else if (model_start < model_end) {
        share_partition_move_start(&partition, ++model_start);
        model_settled();
    }
}

Test(share_partition, walks_at_random_agree_with_a_model_of_single_records)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct prng prng = {seed};
        int64_t now_ms = 0;
        begin(0);
        partition.limits.locks_max = 1 + (int32_t)prng_below(&prng, 60);
        model_start = model_end = 0;
        for (int i = 0; i < MODEL_OFFSETS; i++)
            model[i] = (struct model_record){.write = 0};
        for (int i = 0; i < 600; i++) {
            step(&prng, now_ms += (int64_t)prng_below(&prng, 60));
            compare();
        }
        end();
    }
    begin(0);
}
