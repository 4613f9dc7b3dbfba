// SPDX-License-Identifier: Apache-2.0
// Compaction of logs with transactions: what a read_committed consumer sees is the same before and after,
// records of aborted transactions leave the log at once, markers and index entries when nothing needs them
// any more, producers and the stable end survive; also accidents at every step.
#include "txn_help.h"

#include "log/internal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const int64_t retention_ms = 60000; // delete.retention.ms

static struct txns *txns_new(uint64_t seed)
{
    struct txns *txns = calloc(1, sizeof *txns);
    txns_init(txns, seed);
    struct help *help = &txns->compact.help;
    help->config.log.delete_retention_ms = retention_ms;
    log_configure(help->log, &help->config.log);
    return txns;
}

static void txns_destroy(struct txns *txns)
{
    txns_fini(txns);
    free(txns);
}

static void drop_snapshots(struct txns *txns)
{
    for (int64_t base = 0; base < log_end(txns->compact.help.log); base++) {
        char path[64];
        snprintf(path, sizeof path, "/data/t-0/%020lld.snapshot", (long long)base);
        (void)path_unlink(txns->compact.help.env, path);
    }
}

// how: 0 cleanly, 1 killed, 2 power, 3 power with torn writes; 4 killed and without a snapshot.
static void restart(struct txns *txns, int how)
{
    struct help *help = &txns->compact.help;
    int64_t end = log_end(help->log), clean = compact_first_dirty(&txns->compact);
    if (how == 4)
        drop_snapshots(txns);
    if (how == 0)
        help_close(help);
    else
        help_crash(help, how == 2 || how == 3, how == 3);
    compact_open(&txns->compact);
    cr_assert_eq(log_end(help->log), end);
    cr_assert_leq(compact_first_dirty(&txns->compact), clean);
}

static void clean(struct txns *txns)
{
    compact_clean(&txns->compact);
    cr_assert_not(txns->compact.help.log->clean.failed, "%s", fake_of(txns->compact.help.env)->last_line);
}

static int64_t first_dirty(const struct txns *txns)
{
    return compact_first_dirty(&txns->compact);
}

// Something to clean, of one key, outside of transactions.
static void fill(struct txns *txns, int batches)
{
    for (int i = 0; i < batches; i++)
        txns_write(txns, -1, 0);
    help_flush(&txns->compact.help);
}

static void fill_and_clean(struct txns *txns)
{
    fill(txns, 40);
    clean(txns);
}

// ---- the model ----

Test(clean_txns, a_consumer_sees_the_same_before_and_after_every_round)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct txns *txns = txns_new(seed);
        if (seed % 4 == 0) // the map holds a few keys: many cleanings, ends in the middle of batches
            txns->compact.help.config.clean.map_bytes = 6 * 24;
        log_set_clean(txns->compact.help.set, &txns->compact.help.config.clean);
        txns->tombstones_gone = seed % 3 == 0;
        for (int round = 0; round < 7; round++) {
            txns_random(txns, 20 + (int)(prng_next(&txns->compact.prng) % 50));
            txns_check(txns, 0);
            clean(txns);
            cr_assert_leq(first_dirty(txns), txns_stable(txns));
            txns_check(txns, first_dirty(txns));
            if (txns->tombstones_gone)
                fake_advance_ms(txns->compact.help.env, retention_ms + 1);
            restart(txns, (int)(prng_next(&txns->compact.prng) % 5));
            txns_check(txns, 0);
        }
        txns_destroy(txns);
    }
}

// ---- one rule each ----

Test(clean_txns, nothing_from_the_first_open_transaction_on_is_cleaned)
{
    struct txns *txns = txns_new(1);
    fill(txns, 40);
    txns_write(txns, 0, 1);
    int64_t open = txns_stable(txns);
    for (int i = 0; i < 10; i++) {
        txns_write(txns, 1, 2);
        txns_end(txns, 1, i % 2);
    }
    fill_and_clean(txns);
    cr_assert_gt(first_dirty(txns), 0);
    cr_assert_leq(first_dirty(txns), open);
    cr_assert_eq(txns_stable(txns), open);
    txns_check(txns, first_dirty(txns));
    txns_end(txns, 0, false);
    fill_and_clean(txns);
    cr_assert_gt(first_dirty(txns), open);
    cr_assert_eq(txns_check(txns, first_dirty(txns)).aborted, 0);
    txns_destroy(txns);
}

// The watermark has not passed the marker: its transaction may yet end the other way.
Test(clean_txns, a_transaction_whose_marker_is_not_replicated_is_left_alone)
{
    struct txns *txns = txns_new(2);
    struct help *help = &txns->compact.help;
    int64_t first = log_end(help->log);
    txns_write(txns, 0, 1);
    fill(txns, 60);
    int64_t marker = log_end(help->log);
    txns_end(txns, 0, false);
    fill(txns, 20);
    log_note_high_watermark(help->log, marker);
    for (int i = 0; i < 8; i++)
        fake_advance_ms(help->env, 1001);
    cr_assert_eq(first_dirty(txns), first);
    clean(txns);
    cr_assert_gt(first_dirty(txns), marker);
    txns_destroy(txns);
}

Test(clean_txns, an_aborted_transaction_supersedes_nothing_and_leaves_in_three_rounds)
{
    struct txns *txns = txns_new(3);
    struct help *help = &txns->compact.help;
    txns_write(txns, -1, 5); // must stay the newest of its key
    txns_write(txns, 0, 5);
    txns_end(txns, 0, false);
    txns_write(txns, 0, 6); // so that no batch of the aborted one is the producer's last
    txns_end(txns, 0, true);
    fill(txns, 40);
    struct txn_view view = txns_check(txns, 0);
    cr_assert_gt(view.aborted, 0);
    cr_assert_gt(view.entries, 0);
    clean(txns); // its records go; who has read them may still ask for the entry
    view = txns_check(txns, first_dirty(txns));
    cr_assert_eq(view.aborted, 0);
    cr_assert_eq(view.markers, 2);
    cr_assert_gt(help->log->state.segments[0]->aborted.entries, 0);
    fill_and_clean(txns); // nothing of it was met: the entry goes, the marker gets its horizon
    cr_assert_eq(help->log->state.segments[0]->aborted.entries, 0);
    cr_assert_null(fake_file(help->env, "/data/t-0/00000000000000000000.txnindex"));
    cr_assert_eq(txns_check(txns, first_dirty(txns)).markers, 2);
    fill_and_clean(txns);
    cr_assert_eq(txns_check(txns, first_dirty(txns)).markers, 2, "before the horizon");
    fake_advance_ms(help->env, retention_ms);
    fill_and_clean(txns);
    view = txns_check(txns, first_dirty(txns));
    cr_assert_eq(view.markers, 1, "the committed one's records are there");
    cr_assert_eq(view.entries, 0);
    restart(txns, 4);
    txns_check(txns, 0);
    txns_destroy(txns);
}

Test(clean_txns, the_marker_of_a_committed_transaction_stays_as_long_as_a_record_of_it)
{
    struct txns *txns = txns_new(4);
    struct help *help = &txns->compact.help;
    txns_write(txns, 0, 5);
    txns_end(txns, 0, true);
    txns_end(txns, 1, true); // empty ones
    txns_end(txns, 1, false);
    txns_write(txns, 0, 6);
    txns_end(txns, 0, true);
    for (int round = 0; round < 3; round++) {
        fill_and_clean(txns);
        fake_advance_ms(help->env, retention_ms);
        txns->tombstones_gone = true;
    }
    cr_assert_eq(txns_check(txns, first_dirty(txns)).markers, 4, "two with records, two that tell an epoch");
    txns_write(txns, 1, 7); // now its epoch is told by a batch
    txns_end(txns, 1, true);
    txns_write(txns, 0, 5); // supersedes the first
    txns_end(txns, 0, true);
    for (int round = 0; round < 4; round++) {
        fill_and_clean(txns);
        fake_advance_ms(help->env, retention_ms);
    }
    cr_assert_eq(txns_check(txns, first_dirty(txns)).markers, 3);
    restart(txns, 4);
    txns_check(txns, 0);
    txns_destroy(txns);
}

static void check_sequence(struct txns *txns, int producer)
{
    struct batch_place place;
    const struct txn_producer *of = &txns->producers[producer];
    struct batch_header header = {
        .producer_id = 1000 + producer, .producer_epoch = of->epoch, .base_sequence = of->sequence};
    cr_assert_eq(log_check_sequence(txns->compact.help.log, &header, &place), SEQUENCE_APPEND);
    header.base_sequence++;
    cr_assert_eq(log_check_sequence(txns->compact.help.log, &header, &place), SEQUENCE_OUT_OF_ORDER);
    header.producer_epoch--;
    cr_assert_eq(log_check_sequence(txns->compact.help.log, &header, &place), SEQUENCE_FENCED);
}

Test(clean_txns, sequences_and_epochs_survive_without_a_snapshot)
{
    struct txns *txns = txns_new(5);
    for (int i = 0; i < TXN_PRODUCERS; i++)
        txns->producers[i].epoch = 7;
    txns_write(txns, 0, 5); // aborted: the last batch stays without records
    txns_end(txns, 0, false);
    txns_write(txns, 1, 0); // committed, superseded as a whole
    txns_end(txns, 1, true);
    txns_write(txns, 2, 5);
    txns->producers[2].epoch++; // only a marker says so
    txns->producers[2].sequence = 0;
    txns_end(txns, 2, false);
    for (int round = 0; round < 4; round++) {
        fill_and_clean(txns);
        fake_advance_ms(txns->compact.help.env, retention_ms);
    }
    txns->tombstones_gone = true;
    txns_check(txns, first_dirty(txns));
    restart(txns, 4);
    txns_check(txns, 0);
    for (int i = 0; i < 3; i++)
        check_sequence(txns, i);
    txns_destroy(txns);
}

static void set_segment_bytes(struct txns *txns, int32_t bytes)
{
    struct help *help = &txns->compact.help;
    help->config.log.segment_bytes = bytes;
    log_configure(help->log, &help->config.log);
}

// A round after which horizons pass and that joins no segments.
static void age_apart(struct txns *txns)
{
    fill(txns, 40);
    set_segment_bytes(txns, 1);
    clean(txns);
    set_segment_bytes(txns, 2000);
    fake_advance_ms(txns->compact.help.env, retention_ms);
}

// A snapshot between a transaction's records and its marker speaks of it as open; the log says nothing of it
// any more. Newer snapshots may be damaged, or cut away.
Test(clean_txns, an_old_snapshot_does_not_open_what_was_cleaned_away)
{
    struct txns *txns = txns_new(8);
    struct help *help = &txns->compact.help;
    help->config.producer_expiry_ms = retention_ms / 2; // no batch tells that the producer went on
    restart(txns, 0);
    int64_t first = log_end(help->log);
    txns_write(txns, 0, 5);
    fill(txns, 40);
    int64_t marker = log_end(help->log);
    txns_end(txns, 0, false);
    for (int round = 0; round < 4; round++)
        age_apart(txns);
    txns->tombstones_gone = true;
    cr_assert_eq(txns_check(txns, first_dirty(txns)).markers, 0);
    int left = 0;
    for (int64_t base = 0; base < log_end(help->log); base++) {
        char path[64];
        snprintf(path, sizeof path, "/data/t-0/%020lld.snapshot", (long long)base);
        if (base > first && base <= marker)
            left += fake_file(help->env, path) != NULL;
        else
            (void)path_unlink(help->env, path);
    }
    cr_assert_gt(left, 0);
    restart(txns, 1);
    txns_check(txns, 0); // nothing is open
    txns_write(txns, 0, 3);
    help_flush(help);
    restart(txns, 1);
    txns_check(txns, 0); // the producer's next one is, from its own beginning on
    txns_destroy(txns);
}

static int entries_of(const struct txns *txns)
{
    const struct log_state *state = &txns->compact.help.log->state;
    int entries = 0;
    for (int i = 0; i < state->count; i++)
        entries += state->segments[i]->aborted.entries;
    return entries;
}

Test(clean_txns, joined_segments_keep_the_entries_of_all)
{
    struct txns *txns = txns_new(6);
    for (int i = 0; i < 60; i++) {
        txns_write(txns, i % TXN_PRODUCERS, i % TXN_KEYS);
        txns_end(txns, i % TXN_PRODUCERS, false);
    }
    fill(txns, 30);
    int segments = txns->compact.help.log->state.count;
    cr_assert_eq(entries_of(txns), 60);
    set_segment_bytes(txns, 1 << 20);
    clean(txns);
    cr_assert_lt(txns->compact.help.log->state.count, segments);
    cr_assert_eq(entries_of(txns), 60, "all were met");
    restart(txns, 1);
    cr_assert_eq(entries_of(txns), 60);
    txns_check(txns, 0);
    set_segment_bytes(txns, 2000);
    fill_and_clean(txns);
    cr_assert_lt(entries_of(txns), 12, "but for batches that end a segment or are a producer's last");
    restart(txns, 0);
    txns_check(txns, first_dirty(txns));
    txns_destroy(txns);
}

// A swap that failed before it was decided has left an index; the next one of the segment has none.
Test(clean_txns, an_index_left_by_a_failed_swap_is_not_taken)
{
    struct txns *txns = txns_new(7);
    struct env *env = txns->compact.help.env;
    struct file *file;
    fill(txns, 40);
    cr_assert_eq(
        file_open(env, "/data/t-0/00000000000000000000.txnindex.swap", FILE_WRITE | FILE_CREATE, &file),
        ST_OK);
    cr_assert_eq(file_pwrite(env, file, "something", 9, 0), ST_OK);
    file_close(env, &file);
    clean(txns);
    cr_assert_gt(first_dirty(txns), 0);
    cr_assert_null(fake_file(env, "/data/t-0/00000000000000000000.txnindex"));
    txns_destroy(txns);
}

// ---- races ----

Test(clean_txns, consumers_between_all_steps_of_a_cleaning_see_what_is_committed)
{
    for (uint64_t seed = 20; seed < 24; seed++) {
        struct txns *txns = txns_new(seed);
        struct help *help = &txns->compact.help;
        for (int round = 0; round < 3; round++) {
            txns_random(txns, 60);
            if (round == 1)
                restart(txns, 1); // so that reads are cold
            log_note_high_watermark(help->log, log_flushed(help->log));
            log_set_checkpoint(help->set, NULL, NULL);
            fake_run(help->env);
            fake_of(help->env)->now_us += 1001000;
            for (int step = 0; step < 120; step++) {
                if (!fake_step(help->env))
                    fake_fire(help->env);
                txns_check(txns, 0);
            }
        }
        cr_assert_gt(first_dirty(txns), 0);
        txns_destroy(txns);
    }
}

// What becomes stable while the aborted transactions are being read is not among them.
Test(clean_txns, a_transaction_aborted_at_any_step_of_a_cleaning_supersedes_nothing)
{
    for (int at = 0; at < 30; at++) {
        struct txns *txns = txns_new(9);
        struct help *help = &txns->compact.help;
        txns_write(txns, 1, 4);
        txns_end(txns, 1, false);
        fill(txns, 40);
        txns_write(txns, -1, 5);
        txns_write(txns, 0, 5);
        fill(txns, 80);
        log_note_high_watermark(help->log, log_flushed(help->log));
        log_set_checkpoint(help->set, NULL, NULL);
        fake_run(help->env);
        fake_of(help->env)->now_us += 1001000;
        for (int step = 0; step < at; step++)
            if (!fake_step(help->env))
                fake_fire(help->env);
        txns_end(txns, 0, false);
        log_note_high_watermark(help->log, log_end(help->log));
        fake_run(help->env);
        help_flush(help);
        clean(txns);
        txns_check(txns, first_dirty(txns));
        txns_destroy(txns);
    }
}

struct found {
    int calls;
    enum status status;
};

static void on_found(struct log *log, enum status status, const struct log_aborted *rows, int count,
                     void *context)
{
    struct found *found = context;
    found->calls++;
    found->status = status;
}

// Look-ups begun at every step and answered later: the files they read may be replaced meanwhile.
Test(clean_txns, look_ups_that_a_swap_overtakes_are_answered)
{
    struct txns *txns = txns_new(30);
    struct help *help = &txns->compact.help;
    struct found found = {0};
    int asked = 0;
    txns_random(txns, 200);
    set_segment_bytes(txns, 1 << 20); // joins them all
    for (int i = 0; i < TXN_PRODUCERS; i++)
        txns_end(txns, i, false);
    help_flush(help);
    log_note_high_watermark(help->log, log_flushed(help->log));
    log_set_checkpoint(help->set, NULL, NULL);
    fake_run(help->env);
    fake_of(help->env)->now_us += 1001000;
    for (int step = 0; step < 200; step++) {
        log_find_aborted(help->log, log_end(help->log) * (asked++ % 3) / 3, log_end(help->log), on_found,
                         &found);
        for (int i = 0; i < 2; i++)
            if (!fake_step(help->env))
                fake_fire(help->env);
        cr_assert_eq(found.status, ST_OK, "%s", status_name(found.status));
    }
    fake_run(help->env);
    cr_assert_eq(found.calls, asked);
    cr_assert_gt(first_dirty(txns), 0);
    txns_destroy(txns);
}

// ---- accidents ----

static bool dead(const struct txns *txns)
{
    return fake_of(txns->compact.help.env)->dead;
}

static void act(struct txns *txns)
{
    for (int round = 0; round < 3 && !dead(txns); round++) {
        compact_clean(&txns->compact);
        if (!dead(txns))
            fill(txns, 12); // of which what was not flushed may be lost
        if (!dead(txns))
            fake_advance_ms(txns->compact.help.env, retention_ms);
    }
}

static void settle(struct txns *txns)
{
    while (txns->count > 0 && txns->rows[txns->count - 1].offset >= log_end(txns->compact.help.log))
        txns->count--;
}

static bool die_at(long n, int kind)
{
    struct txns *txns = txns_new((uint64_t)n * 31 + (uint64_t)kind);
    struct help *help = &txns->compact.help;
    txns->tombstones_gone = true;
    txns_random(txns, 60);
    int64_t written = log_end(help->log);
    fake_of(help->env)->changes = 0;
    fake_of(help->env)->die_at = n;
    act(txns);
    bool reached = dead(txns);
    help_crash(help, kind > 0, kind > 1);
    compact_open(&txns->compact);
    cr_assert_not(log_lost(help->log), "death at change %ld", n);
    cr_assert_eq(log_status(help->log), ST_OK);
    cr_assert_geq(log_end(help->log), written);
    settle(txns);
    txns_check(txns, 0);
    help_crash(help, true, false);
    int lines = fake_of(help->env)->lines;
    compact_open(&txns->compact); // and a second recovery finds nothing to do
    cr_assert_eq(fake_of(help->env)->lines, lines, "%s", fake_of(help->env)->last_line);
    fill_and_clean(txns);
    txns_check(txns, first_dirty(txns));
    txns_destroy(txns);
    return reached;
}

static void die_everywhere(int kind)
{
    long n = 0;
    while (die_at(n, kind))
        n++;
    cr_assert_gt(n, 80, "the scenario has %ld steps", n);
}

Test(clean_txns, kill_at_every_step_changes_nothing_for_a_consumer)
{
    die_everywhere(0);
}

Test(clean_txns, power_cut_at_every_step_changes_nothing_for_a_consumer)
{
    die_everywhere(1);
}

Test(clean_txns, power_cut_with_torn_writes_at_every_step_changes_nothing_for_a_consumer)
{
    for (int kind = 2; kind < 5; kind++)
        die_everywhere(kind);
}
