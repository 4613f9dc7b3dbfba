// SPDX-License-Identifier: Apache-2.0
// The owner's part of a ledger, one test per behaviour (design sections 3.3 and 5).
#include "leaders.h"

#include "kafka/batch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

static struct leaders all;

struct note {
    struct ledger_wait wait;
    int done;
    enum status status;
};

static void on_done(void *context, enum status status)
{
    struct note *note = context;
    note->done++;
    note->status = status;
}

static void await_commit(struct note *note)
{
    ledger_wait(all.ledger, &note->wait, on_done, note);
}

static void setup(void)
{
    leaders_start(&all);
}

static void setup_serving(void)
{
    leaders_start(&all);
    leaders_own(&all);
    leaders_await(&all, &all.readies, 1);
}

static void teardown(void)
{
    leaders_stop(&all);
}

TestSuite(ledger_load, .init = setup, .fini = teardown);
TestSuite(ledger, .init = setup_serving, .fini = teardown);

Test(ledger_load, an_empty_log_is_ready_at_once)
{
    leaders_own(&all);
    cr_assert(!ledger_ready(all.ledger));
    leaders_await(&all, &all.readies, 1);
    cr_assert(ledger_ready(all.ledger));
}

Test(ledger_load, every_record_is_applied_in_order_before_it_is_ready)
{
    char value[16];
    for (int i = 0; i < 20; i++) {
        snprintf(value, sizeof value, "v%d", i);
        leaders_write(&all, i % 2 ? "odd" : "even", value);
    }
    leaders_own(&all);
    leaders_await(&all, &all.readies, 1);
    cr_assert_eq(all.applied, 20);
    cr_assert_str_eq(leaders_value(&all, "odd"), "v19");
    cr_assert_str_eq(leaders_value(&all, "even"), "v18");
}

Test(ledger_load, it_is_not_ready_before_the_high_watermark_has_passed_the_end)
{
    leaders_write(&all, "a", "1");
    leaders_write(&all, "b", "2");
    all.high_watermark_lag = 1;
    leaders_own(&all);
    leaders_turns(&all, 100);
    cr_assert_eq(all.readies, 0);
    cr_assert_eq(all.applied, 1);
    all.high_watermark_lag = 0;
    leaders_await(&all, &all.readies, 1);
    cr_assert_eq(all.applied, 2);
}

Test(ledger_load, a_leader_that_moves_while_loading_is_followed)
{
    leaders_write(&all, "a", "1");
    leaders_write(&all, "b", "2");
    all.high_watermark_lag = 1;
    leaders_own(&all);
    leaders_turns(&all, 50);
    leaders_move(&all);
    all.high_watermark_lag = 0;
    leaders_await(&all, &all.readies, 1);
    cr_assert_eq(all.applied, 2);
    cr_assert_gt(all.nodes[1].opens, 0);
}

// ---- in slices ----

static int64_t metric_value(const char *name)
{
    for (struct metric *metric = all.env->metrics->first; metric != NULL; metric = metric->next)
        if (strcmp(metric->name, name) == 0)
            return metric->value;
    cr_assert_fail("no metric %s", name);
    return -1;
}

// Counts what is applied from one turn of the loop to the next.
struct meter {
    struct timer timer;
    int before, most;
};

static void meter_on_turn(struct timer *timer)
{
    struct meter *meter = timer->context;
    int now = all.applied - meter->before;
    meter->most = now > meter->most ? now : meter->most;
    meter->before = all.applied;
    timer_start_us(all.env, timer, 0);
}

static int most_in_one_turn(int count)
{
    struct meter meter = {.before = 0};
    timer_init(&meter.timer, meter_on_turn, &meter);
    timer_start_us(all.env, &meter.timer, 0);
    leaders_own(&all);
    leaders_await(&all, &all.readies, 1);
    env_posix_turn(all.env, 0);
    timer_stop(all.env, &meter.timer);
    cr_assert_eq(all.applied, count);
    return meter.most;
}

Test(ledger_load, a_turn_applies_no_more_records_than_a_slice_has)
{
    enum { COUNT = 3 * LEDGER_SLICE_RECORDS };
    leaders_write_many(&all, COUNT);
    int most = most_in_one_turn(COUNT);
    cr_assert_leq(most, LEDGER_SLICE_RECORDS);
    cr_assert_str_eq(leaders_value(&all, "0"), "v");
    cr_assert_str_eq(leaders_value(&all, "12287"), "v");
    cr_assert_geq(metric_value("millrace_ledger_load_records_total"), COUNT);
    cr_assert_eq(metric_value("millrace_ledger_loads_total"), 1);
}

Test(ledger_load, a_turn_applies_slow_records_no_longer_than_a_slice_lasts)
{
    all.apply_us = 1000;
    leaders_write_many(&all, 30);
    cr_assert_leq(most_in_one_turn(30), LEDGER_SLICE_US / 1000 + 1);
}

Test(ledger_load, a_leader_that_moves_within_a_batch_is_followed_from_there)
{
    all.apply_us = 1000;
    leaders_write_many(&all, 30);
    leaders_own(&all);
    leaders_await(&all, &all.applied, 10);
    cr_assert_lt(all.applied, 30);
    leaders_move(&all);
    leaders_await(&all, &all.readies, 1);
    cr_assert_eq(all.applied, 30, "each once");
    cr_assert_gt(all.nodes[1].reads, 0);
}

Test(ledger_load, one_that_is_closed_within_a_batch_applies_nothing_more)
{
    all.apply_us = 1000;
    leaders_write_many(&all, 30);
    leaders_own(&all);
    leaders_await(&all, &all.applied, 10);
    int applied = all.applied;
    cr_assert_lt(applied, 30);
    cr_assert_eq(metric_value("millrace_ledger_loading"), 1);
    ledger_destroy(&all.ledger);
    leaders_turns(&all, 20);
    cr_assert_eq(all.applied, applied);
    cr_assert_eq(metric_value("millrace_ledger_loading"), 0);
}

struct second {
    int applied, readies;
};

static void second_apply(void *context, int64_t timestamp_ms, struct slice key, struct slice value)
{
    ((struct second *)context)->applied++;
    usleep(1000);
}

static void second_ready(void *context)
{
    ((struct second *)context)->readies++;
}

Test(ledger_load, the_first_to_load_is_whole_while_the_second_waits)
{
    static const struct ledger_ops second_ops = {.apply = second_apply, .ready = second_ready};
    struct second second = {0};
    all.apply_us = 1000;
    leaders_write_many(&all, 60);
    leaders_own(&all);
    leaders_await(&all, &all.applied, 1);
    struct ledger_config config = leaders_config(&all);
    config.ops = &second_ops;
    config.context = &second;
    struct ledger *ledger = ledger_new(&config);
    leaders_await(&all, &all.readies, 1);
    cr_assert_leq(second.applied, LEDGER_SLICE_US / 1000 + 1);
    leaders_await(&all, &second.readies, 1);
    cr_assert_eq(second.applied, 60);
    ledger_destroy(&ledger);
}

Test(ledger_load, a_stale_owner_never_becomes_ready)
{
    all.owner_epoch = 6;
    leaders_own(&all);
    leaders_turns(&all, 100);
    cr_assert_eq(all.readies, 0);
}

Test(ledger, a_record_is_applied_at_once_and_the_answer_waits_for_the_commit)
{
    struct note note = {0};
    cr_assert_eq(leaders_put(&all, "k", "v"), ST_OK);
    cr_assert_str_eq(leaders_value(&all, "k"), "v");
    await_commit(&note);
    cr_assert_eq(note.done, 0);
    leaders_await(&all, &note.done, 1);
    cr_assert_eq(note.status, ST_OK);
    cr_assert_eq(all.log_end, 1);
}

Test(ledger, a_read_waits_for_what_it_could_have_seen)
{
    struct note read = {0};
    all.mode = APPEND_HELD;
    leaders_put(&all, "k", "v");
    leaders_turns(&all, 50);
    await_commit(&read); // decided nothing itself
    leaders_turns(&all, 50);
    cr_assert_eq(read.done, 0);
    leaders_release_held(&all);
    leaders_await(&all, &read.done, 1);
}

Test(ledger, an_answer_is_immediate_when_nothing_is_open)
{
    struct note note = {0};
    await_commit(&note);
    cr_assert_eq(note.done, 1);
    cr_assert_eq(note.status, ST_OK);
}

Test(ledger, what_is_decided_while_a_batch_is_on_its_way_becomes_one_batch)
{
    struct note last = {0};
    char key[16];
    all.mode = APPEND_HELD;
    leaders_put(&all, "first", "v");
    leaders_turns(&all, 50);
    for (int i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "k%d", i);
        leaders_put(&all, key, "v");
    }
    await_commit(&last);
    leaders_release_held(&all);
    leaders_await(&all, &last.done, 1);
    cr_assert_eq(all.batches, 2);
    cr_assert_eq(all.log_end, 11);
}

Test(ledger, a_touch_writes_one_snapshot_for_many_changes)
{
    struct note note = {0};
    all.snapshot_key = "group";
    all.snapshot_value = "whole";
    for (int i = 0; i < 5; i++)
        ledger_touch(all.ledger);
    await_commit(&note);
    leaders_await(&all, &note.done, 1);
    cr_assert_eq(all.seals, 1);
    cr_assert_eq(all.log_end, 1);
    cr_assert_eq(all.applied, 0); // the owner has it in effect already
}

Test(ledger, a_touch_with_nothing_to_write_still_ends_the_wait)
{
    struct note note = {0};
    ledger_touch(all.ledger);
    await_commit(&note);
    leaders_await(&all, &note.done, 1);
    cr_assert_eq(all.batches, 0);
}

Test(ledger, a_snapshot_that_cannot_be_written_drops_the_state)
{
    struct note note = {0};
    all.seal_fails = true;
    ledger_touch(all.ledger);
    await_commit(&note);
    leaders_await(&all, &note.done, 1);
    cr_assert_eq(note.status, ST_LOADING);
    all.seal_fails = false;
    leaders_await(&all, &all.readies, 2);
    cr_assert_eq(all.resets, 1);
}

Test(ledger, a_refused_append_is_sent_again_and_written_once)
{
    struct note note = {0};
    all.mode = APPEND_REFUSED;
    leaders_put(&all, "k", "v");
    await_commit(&note);
    leaders_await(&all, &note.done, 1);
    cr_assert_eq(note.status, ST_OK);
    cr_assert_eq(all.log_end, 1);
    cr_assert_eq(all.resets, 0);
}

Test(ledger, an_append_of_unknown_outcome_that_is_there_is_not_written_again)
{
    struct note note = {0};
    all.mode = APPEND_UNKNOWN;
    leaders_put(&all, "k", "v");
    await_commit(&note);
    leaders_await(&all, &note.done, 1);
    cr_assert_eq(note.status, ST_OK);
    cr_assert_eq(all.batches, 1);
    cr_assert_eq(all.resets, 0);
}

Test(ledger, such_an_append_is_answered_only_when_it_is_committed)
{
    struct note note = {0};
    all.mode = APPEND_UNKNOWN;
    all.high_watermark_lag = 1;
    leaders_put(&all, "k", "v");
    await_commit(&note);
    leaders_turns(&all, 150);
    cr_assert_eq(note.done, 0);
    all.high_watermark_lag = 0;
    leaders_await(&all, &note.done, 1);
}

Test(ledger, a_leader_that_moves_with_an_append_on_its_way_loses_nothing)
{
    struct note note = {0};
    all.mode = APPEND_HELD;
    leaders_put(&all, "k", "v");
    await_commit(&note);
    leaders_turns(&all, 50);
    leaders_move(&all); // the new leader has the batch
    leaders_await(&all, &note.done, 1);
    cr_assert_eq(note.status, ST_OK);
    cr_assert_eq(all.batches, 1);
    leaders_put(&all, "k", "w");
    note = (struct note){0};
    await_commit(&note);
    leaders_await(&all, &note.done, 1);
    cr_assert_eq(all.nodes[1].appends, 1);
    cr_assert_eq(all.log_end, 2);
    leaders_release_held(&all);
}

Test(ledger, a_leader_that_is_back_in_the_same_epoch_is_asked_anew)
{
    struct note note = {0};
    all.mode = APPEND_HELD; // its answer never comes: the process that took it has died
    leaders_put(&all, "a", "1");
    await_commit(&note);
    leaders_await(&all, &all.nodes[0].appends, 1);
    int opens = all.nodes[0].opens;
    leaders_restart(&all, 2);
    leaders_turns(&all, 20);
    cr_assert_eq(all.nodes[0].opens, opens, "another one came back");
    leaders_restart(&all, 1);
    leaders_await(&all, &note.done, 1);
    cr_assert_eq(note.status, ST_OK);
    cr_assert_eq(all.nodes[0].opens, opens + 1);
    cr_assert_eq(all.batches, 1, "it was there");
    rpc_fail(all.held, ST_CLOSED, "");
}

Test(ledger, a_foreign_record_drops_the_state_and_it_is_loaded_again)
{
    struct note note = {0};
    leaders_put(&all, "mine", "1");
    await_commit(&note);
    leaders_await(&all, &note.done, 1);
    leaders_write(&all, "foreign", "2");
    note = (struct note){0};
    leaders_put(&all, "mine", "3");
    await_commit(&note);
    leaders_await(&all, &note.done, 1);
    cr_assert_eq(note.status, ST_LOADING);
    leaders_await(&all, &all.readies, 2);
    cr_assert_eq(all.resets, 1);
    cr_assert_str_eq(leaders_value(&all, "mine"), "1");
    cr_assert_str_eq(leaders_value(&all, "foreign"), "2");
}

Test(ledger, a_newer_owner_ends_it)
{
    struct note note = {0};
    all.owner_epoch = 6;
    leaders_put(&all, "k", "v");
    await_commit(&note);
    leaders_await(&all, &note.done, 1);
    cr_assert_neq(note.status, ST_OK);
    cr_assert(!ledger_ready(all.ledger));
    cr_assert_eq(all.log_end, 0);
}

Test(ledger, closing_ends_the_waits_as_not_the_owner)
{
    struct note note = {0};
    all.mode = APPEND_HELD;
    leaders_put(&all, "k", "v");
    await_commit(&note);
    leaders_turns(&all, 50);
    ledger_destroy(&all.ledger);
    cr_assert_eq(note.done, 1);
    cr_assert_eq(note.status, ST_NOT_LEADER);
    leaders_release_held(&all);
}

Test(ledger, a_cancelled_wait_is_not_told)
{
    struct note note = {0};
    leaders_put(&all, "k", "v");
    await_commit(&note);
    ledger_wait_cancel(&note.wait);
    leaders_turns(&all, 100);
    cr_assert_eq(note.done, 0);
}

Test(ledger, large_batches_go_in_several_appends)
{
    static char big[200 << 10];
    struct note note = {0};
    memset(big, 'x', sizeof big - 1);
    char key[16];
    for (int i = 0; i < 8; i++) {
        snprintf(key, sizeof key, "k%d", i);
        leaders_put(&all, key, big);
    }
    await_commit(&note);
    leaders_await(&all, &note.done, 1);
    cr_assert_eq(all.log_end, 8);
    cr_assert_geq(all.batches, 4);
}

Test(ledger, a_record_too_large_is_refused_and_nothing_is_done)
{
    size_t len = LEDGER_RECORD_MAX + 1;
    uint8_t *bytes = calloc(1, len);
    cr_assert_eq(ledger_append(all.ledger, slice_str("k"), slice_of(bytes, len)), ST_LIMIT);
    cr_assert_eq(all.applied, 0);
    free(bytes);
}

// ---- transactions ----

static const struct ledger_producer producer = {70, 3};

static void put_pending(const char *key, const char *value)
{
    cr_assert_eq(ledger_append_pending(all.ledger, &producer, slice_str(key), slice_str(value)), ST_OK);
}

static void settle(void)
{
    struct note note = {0};
    await_commit(&note);
    leaders_await(&all, &note.done, 1);
    cr_assert_eq(note.status, ST_OK);
}

Test(ledger, a_batch_has_one_producer_and_a_marker_stands_alone)
{
    leaders_put(&all, "a", "1");
    put_pending("b", "2");
    put_pending("c", "3");
    leaders_put(&all, "d", "4");
    cr_assert_eq(ledger_append_marker(all.ledger, &producer, true, 9), ST_OK);
    leaders_put(&all, "e", "5");
    settle();
    static const int records[] = {1, 2, 1, 1, 1};
    cr_assert_eq(all.batches, 5);
    for (int i = 0; i < 5; i++) {
        struct batch_header header;
        struct batch_marker marker;
        cr_assert_eq(batch_parse(block_slice(all.log[i]), &header), ST_OK);
        cr_expect_eq(header.count, records[i], "batch %d", i);
        cr_expect_eq(header.producer_id, i == 1 || i == 3 ? 70 : -1);
        cr_expect_eq((header.attributes & BATCH_TRANSACTIONAL) != 0, i == 1 || i == 3);
        cr_expect_eq((header.attributes & BATCH_CONTROL) != 0, i == 3);
        if (i != 3)
            continue;
        cr_assert_eq(batch_marker_parse(block_slice(all.log[i]), &header, &marker), ST_OK);
        cr_expect_eq(marker.coordinator_epoch, 9);
        cr_expect_not(marker.abort);
    }
}

static void own_again(void)
{
    ledger_destroy(&all.ledger);
    all.readies = 0;
    leaders_forget(&all);
    leaders_own(&all);
    leaders_await(&all, &all.readies, 1);
}

Test(ledger, what_is_pending_counts_when_its_marker_commits_it_also_at_the_next_owner)
{
    put_pending("a", "1");
    cr_expect_str_eq(leaders_value(&all, "a"), "");
    settle();
    own_again();
    cr_expect_str_eq(leaders_value(&all, "a"), "");
    cr_expect_eq(all.pending.count, 1);
    cr_assert_eq(ledger_append_marker(all.ledger, &producer, true, 9), ST_OK);
    cr_expect_str_eq(leaders_value(&all, "a"), "1");
    settle();
    own_again();
    cr_expect_str_eq(leaders_value(&all, "a"), "1");
    cr_expect_eq(all.pending.count, 0);
}

Test(ledger, what_is_aborted_never_counts)
{
    put_pending("a", "1");
    cr_assert_eq(ledger_append_marker(all.ledger, &producer, false, 9), ST_OK);
    cr_expect_eq(all.pending.count, 0);
    settle();
    own_again();
    cr_expect_str_eq(leaders_value(&all, "a"), "");
    cr_expect_eq(all.pending.count, 0);
}

Test(ledger, a_marker_of_unknown_outcome_is_found_and_not_written_twice)
{
    put_pending("a", "1");
    settle();
    all.mode = APPEND_UNKNOWN;
    cr_assert_eq(ledger_append_marker(all.ledger, &producer, true, 9), ST_OK);
    settle();
    cr_expect_eq(all.batches, 2);
    cr_expect_eq(all.resets, 0);
}
