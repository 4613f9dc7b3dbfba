// SPDX-License-Identifier: Apache-2.0
// Compaction of a log in its set: rounds of random records against a model, with truncations and restarts in
// between; tombstones by the clock; reads while files are swapped; what holds it back and what it survives.
#include "compact_help.h"

#include "base/bytes.h"
#include "log/internal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static void truncate_to(struct compact *compact, int64_t to)
{
    struct help *help = &compact->help;
    log_truncate(help->log, to, help_on_done, help);
    fake_run(help->env);
    cr_assert_eq(help->done, ST_OK, "%s", fake_of(help->env)->last_line);
    cr_assert_leq(log_end(help->log), to);
    cr_assert_eq(log_status(help->log), ST_OK);
    compact_forget_from(compact, log_end(help->log));
    compact->epoch++;
}

static void restart(struct compact *compact, int how)
{
    int64_t end = log_end(compact->help.log);
    if (how == 0)
        help_close(&compact->help);
    else
        help_crash(&compact->help, how > 1, how > 2);
    compact_open(compact);
    cr_assert_eq(log_end(compact->help.log), end);
    cr_assert_eq(log_status(compact->help.log), ST_OK);
}

Test(compaction, the_newest_record_of_each_key_stays_and_the_log_shrinks)
{
    struct compact compact;
    compact_init(&compact, 1);
    compact_append(&compact, 200);
    int64_t before = log_size(compact.help.log);
    int segments = compact.help.log->state.count, rows = compact.count;
    compact_clean(&compact);
    int64_t clean = compact_first_dirty(&compact);
    cr_assert_eq(clean, compact.help.log->state.segments[compact.help.log->state.count - 1]->base);
    int left = compact_check(&compact, clean);
    cr_assert_lt(left, rows / 4, "%d of %d", left, rows);
    cr_assert_lt(log_size(compact.help.log), before / 2);
    compact_append(&compact, 60);
    compact_clean(&compact); // what the first one left small is joined
    compact_check(&compact, compact_first_dirty(&compact));
    cr_assert_lt(compact.help.log->state.count, segments / 2);
    compact_fini(&compact);
}

Test(compaction, rounds_truncations_and_restarts_agree_with_the_model)
{
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct compact compact;
        compact_init(&compact, seed);
        if (seed % 3 == 0)
            compact.help.producer_id = 77;
        if (seed % 4 == 0) // the map holds a few keys: many cleanings, ends in the middle of batches
            compact.help.config.clean.map_bytes = 12 * 24;
        log_set_clean(compact.help.set, &compact.help.config.clean);
        for (int round = 0; round < 8; round++) {
            compact_append(&compact, 10 + (int)(prng_next(&compact.prng) % 40));
            compact_clean(&compact);
            compact_check(&compact, compact_first_dirty(&compact));
            uint64_t chance = prng_next(&compact.prng) % 8;
            if (chance < 2) // also far into what was cleaned, as after an unclean election
                truncate_to(&compact,
                            (int64_t)(prng_next(&compact.prng) % (uint64_t)log_end(compact.help.log)));
            else if (chance < 6)
                restart(&compact, (int)chance - 2);
            compact_check(&compact, 0);
        }
        compact_fini(&compact);
    }
}

Test(compaction, tombstones_stay_until_their_time_and_go_then)
{
    struct compact compact;
    compact_init(&compact, 3);
    struct help *help = &compact.help;
    help->config.log.delete_retention_ms = 60000;
    log_configure(help->log, &help->config.log);
    compact_append(&compact, 80);
    compact_clean(&compact);
    compact_check(&compact, compact_first_dirty(&compact)); // all tombstones are there
    fake_advance_ms(help->env, 61000);
    int before = compact_check(&compact, compact_first_dirty(&compact));
    compact.tombstones_gone = true;
    compact.keys = 1; // no later record takes the other keys' tombstones away
    compact_append(&compact, 40);
    compact_clean(&compact);
    compact_check(&compact, compact_first_dirty(&compact));
    int tombstones = 0;
    for (int i = 0; i < compact.count; i++)
        tombstones += compact.rows[i].version < 0;
    cr_assert_gt(tombstones, 5);
    cr_assert_lt(compact_check(&compact, compact_first_dirty(&compact)), before + 6);
    compact_fini(&compact);
}

Test(compaction, nothing_at_or_above_the_watermark_or_younger_than_the_lag_is_touched)
{
    struct compact compact;
    compact_init(&compact, 4);
    struct help *help = &compact.help;
    compact_append(&compact, 100);
    fake_advance_ms(help->env, 5000);
    cr_assert_eq(compact_first_dirty(&compact), 0, "the watermark is 0: KAFKA-13194");
    int64_t half = log_end(help->log) / 2;
    log_note_high_watermark(help->log, half);
    for (int i = 0; i < 8; i++)
        fake_advance_ms(help->env, 1001);
    cr_assert_gt(compact_first_dirty(&compact), 0);
    cr_assert_leq(compact_first_dirty(&compact), half);
    compact_check(&compact, compact_first_dirty(&compact));
    help->config.log.compaction_lag_ms_min = INT64_MAX / 2;
    log_configure(help->log, &help->config.log);
    int64_t before = compact_first_dirty(&compact);
    compact_clean(&compact);
    cr_assert_eq(compact_first_dirty(&compact), before);
    compact_fini(&compact);
}

Test(compaction, a_log_that_is_not_to_be_compacted_is_left_alone)
{
    struct compact compact;
    compact_init(&compact, 5);
    struct help *help = &compact.help;
    compact_append(&compact, 100);
    int64_t size = log_size(help->log);
    help->config.log.compact = false;
    log_configure(help->log, &help->config.log);
    compact_clean(&compact);
    cr_assert_eq(log_size(help->log), size);
    help->config.log.compact = true;
    log_configure(help->log, &help->config.log);
    help->config.clean.enable = false;
    log_set_clean(help->set, &help->config.clean);
    compact_clean(&compact);
    cr_assert_eq(log_size(help->log), size);
    help->config.clean.enable = true;
    log_set_clean(help->set, &help->config.clean);
    compact_clean(&compact);
    cr_assert_lt(log_size(help->log), size);
    compact_fini(&compact);
}

// The producer's last batch is superseded as a whole; its number must survive all the same.
Test(compaction, the_sequence_of_a_producer_survives_without_a_snapshot)
{
    struct compact compact;
    compact_init(&compact, 6);
    struct help *help = &compact.help;
    compact.keys = 1;
    help->producer_id = 77;
    compact_append(&compact, 3);
    int32_t next = (int32_t)log_end(help->log);
    help->producer_id = -1;
    compact_append(&compact, 100);
    compact_clean(&compact);
    cr_assert_gt(compact_first_dirty(&compact), next);
    help_crash(help, true, false);
    struct env *env = help->env;
    for (int64_t base = 0; base < 1000; base++) { // producers must come from the batches
        char path[64];
        snprintf(path, sizeof path, "/data/t-0/%020lld.snapshot", (long long)base);
        (void)path_unlink(env, path);
    }
    compact_open(&compact);
    struct batch_place place;
    struct batch_header header = {.producer_id = 77, .base_sequence = next};
    cr_assert_eq(log_check_sequence(help->log, &header, &place), SEQUENCE_APPEND);
    header.base_sequence = next + 1;
    cr_assert_eq(log_check_sequence(help->log, &header, &place), SEQUENCE_OUT_OF_ORDER);
    compact_fini(&compact);
}

// KAFKA-17076: records of a segment all superseded later; the log's end must not depend on them. Here each
// segment keeps its end, so that segments join also when the recovery points are lost.
Test(compaction, segments_join_when_everything_is_scanned)
{
    struct compact compact;
    compact_init(&compact, 7);
    struct help *help = &compact.help;
    for (int round = 0; round < 5; round++) {
        compact_append(&compact, 60);
        compact_clean(&compact);
    }
    int64_t end = log_end(help->log), clean = compact_first_dirty(&compact);
    help_crash(help, true, false);
    cr_assert_eq(path_unlink(help->env, "/data/recovery-point-offset-checkpoint"), ST_OK);
    compact_open(&compact);
    cr_assert_eq(log_end(help->log), end, "%s", fake_of(help->env)->last_line);
    compact_check(&compact, clean);
    compact_fini(&compact);
}

// ---- the time index ----

static struct slice file_of(struct compact *compact, int64_t base, const char *suffix)
{
    char path[100];
    snprintf(path, sizeof path, "/data/t-0/%s", log_segment_name(base, suffix).text);
    const struct buf *file = fake_file(compact->help.env, path);
    return file != NULL ? buf_slice(file) : (struct slice){0};
}

// An entry names a batch by its last offset; it must have a record of that time (DumpLogSegments).
static void check_time_entry(struct slice batches, int64_t timestamp, int64_t offset)
{
    struct batch_header header = {0};
    while (batches.len > 0) {
        cr_assert_eq(batch_parse(batches, &header), ST_OK);
        if (batch_last_offset(&header) >= offset)
            break;
        batches = slice_of(batches.data + batch_size(&header), batches.len - batch_size(&header));
    }
    cr_assert_eq(batch_last_offset(&header), offset);
    cr_assert_eq(header.max_timestamp, timestamp);
    cr_assert_gt(header.count, 0, "the time index names an empty batch at %lld", (long long)offset);
}

static int check_time_index(struct compact *compact, int64_t end)
{
    int entries = 0;
    for (int64_t base = 0; base < end; base++) {
        struct slice times = file_of(compact, base, ".timeindex"), batches = file_of(compact, base, ".log");
        for (size_t at = 0; at + LOG_TIME_ENTRY <= times.len; at += LOG_TIME_ENTRY, entries++)
            check_time_entry(batches, (int64_t)load_be64(times.data + at),
                             base + (int64_t)load_be32(times.data + at + 8));
    }
    return entries;
}

Test(compaction, the_time_index_names_batches_that_have_records)
{
    struct compact compact;
    compact_init(&compact, 9);
    for (int how = 0; how < 3; how++) {
        compact_append(&compact, 90);
        compact_clean(&compact);
        int64_t end = log_end(compact.help.log);
        help_close(&compact.help);
        cr_assert_gt(check_time_index(&compact, end), 5);
        if (how == 1) // it is made anew from the batches
            cr_assert_eq(path_unlink(compact.help.env, "/data/recovery-point-offset-checkpoint"), ST_OK);
        compact_open(&compact);
        compact_check(&compact, compact_first_dirty(&compact));
    }
    compact_fini(&compact);
}

// The batch with which an epoch began is gone; a full scan must not move the epoch's start: a follower whose
// log has other records there would keep them.
Test(compaction, epochs_begin_where_they_did_although_their_first_batches_are_gone)
{
    struct compact compact;
    compact_init(&compact, 8);
    struct help *help = &compact.help;
    int64_t starts[6];
    compact.keys = 3;
    for (compact.epoch = 0; compact.epoch < 6; compact.epoch++) {
        starts[compact.epoch] = log_end(help->log);
        compact_append(&compact, 30);
    }
    compact_clean(&compact);
    help_crash(help, true, false);
    help->config.verify_all = true;
    compact_open(&compact);
    for (int32_t epoch = 0; epoch + 1 < 6; epoch++) {
        int32_t found;
        int64_t end;
        log_epoch_end(help->log, epoch, &found, &end);
        cr_assert_eq(found, epoch);
        cr_assert_eq(end, starts[epoch + 1], "epoch %d ends at %lld", epoch, (long long)end);
    }
    compact_fini(&compact);
}

Test(compaction, a_damaged_log_is_left_alone_with_one_line_and_others_go_on)
{
    struct compact compact;
    compact_init(&compact, 9);
    struct help *help = &compact.help;
    compact_append(&compact, 60);
    struct log *other;
    struct uuid id = {{9}};
    cr_assert_eq(log_create(help->set, "t-1", id, &help->config.log, &other), ST_OK);
    struct log *damaged = help->log;
    help->log = other;
    struct compact_row *rows = malloc(sizeof compact.rows);
    int count = compact.count;
    memcpy(rows, compact.rows, sizeof compact.rows);
    compact.count = 0;
    compact_append(&compact, 60);
    fake_file(help->env, "/data/t-0/00000000000000000000.log")->data[200] ^= 1;
    log_note_high_watermark(damaged, log_flushed(damaged));
    int lines = fake_of(help->env)->lines;
    compact_clean(&compact);
    compact_clean(&compact);
    cr_assert_eq(fake_of(help->env)->lines, lines + 1, "%s", fake_of(help->env)->last_line);
    cr_assert(damaged->clean.failed);
    cr_assert_eq(damaged->clean.first_dirty, 0);
    cr_assert_gt(compact_first_dirty(&compact), 0);
    compact_check(&compact, compact_first_dirty(&compact));
    (void)count;
    free(rows);
    compact_fini(&compact);
}

Test(compaction, without_space_it_waits_and_leaves_nothing_behind)
{
    struct compact compact;
    compact_init(&compact, 10);
    struct help *help = &compact.help;
    compact_append(&compact, 100);
    fake_advance_ms(help->env, 200);
    log_set_checkpoint(help->set, NULL, NULL);
    fake_run(help->env);
    fake_of(help->env)->space = 600;
    log_note_high_watermark(help->log, log_flushed(help->log));
    fake_advance_ms(help->env, 1001);
    cr_assert_eq(compact_first_dirty(&compact), 0);
    cr_assert_not(help->log->clean.failed);
    cr_assert_null(fake_file(help->env, "/data/t-0/00000000000000000000.log.cleaned"));
    fake_of(help->env)->space = -1;
    compact_clean(&compact);
    cr_assert_gt(compact_first_dirty(&compact), 0);
    compact_check(&compact, compact_first_dirty(&compact));
    compact_fini(&compact);
}

// ---- races ----

struct cold_found {
    bool done;
    enum status status;
    int64_t first;
};

static void on_found(struct log *log, enum status status, struct piece *piece, const struct log_found *found,
                     void *context)
{
    *(struct cold_found *)context = (struct cold_found){true, status, found->first};
    piece_release(piece);
}

// Runs one job at a time while the cleaner works; at each step something is done to the log.
static void step_by_step(struct compact *compact, void (*between)(struct compact *compact, int step))
{
    struct help *help = &compact->help;
    log_note_high_watermark(help->log, log_flushed(help->log));
    log_set_checkpoint(help->set, NULL, NULL);
    fake_run(help->env);
    fake_of(help->env)->now_us += 1001000;
    for (int step = 0; step < 400; step++) {
        if (!fake_step(help->env))
            fake_fire(help->env);
        between(compact, step);
    }
}

static void read_everything(struct compact *compact, int step)
{
    compact_check(compact, 0);
}

// Reads begun at one step and answered some steps later: of each key, the newest record is not passed over.
static void read_everywhere(struct compact *compact, int step)
{
    enum { READS = 12 };
    struct log *log = compact->help.log;
    struct cold_found found[READS] = {0};
    for (int i = 0; i < READS; i++) {
        struct log_range range = {
            .from = log_end(log) * i / READS, .up_to = log_end(log), .max_bytes = 300, .min_one = true};
        log_read_async(log, &range, on_found, &found[i]);
    }
    for (int i = 0; i < READS; i++) {
        while (!found[i].done)
            cr_assert(fake_step(compact->help.env));
        cr_assert_eq(found[i].status, ST_OK, "%s", status_name(found[i].status));
        int64_t passed = compact_newest_from(compact, log_end(log) * i / READS);
        cr_assert_leq(found[i].first, passed, "%lld passed over, %lld comes first", (long long)passed,
                      (long long)found[i].first);
    }
}

Test(compaction, reads_that_a_swap_overtakes_are_answered_from_the_new_segment)
{
    struct compact compact;
    compact_init(&compact, 17);
    for (int round = 0; round < 3; round++) {
        compact_append(&compact, 40); // small segments are joined in later rounds
        compact_clean(&compact);
    }
    compact_append(&compact, 60);
    restart(&compact, 1); // so that reads are cold
    int segments = compact.help.log->state.count;
    step_by_step(&compact, read_everywhere);
    cr_assert_lt(compact.help.log->state.count, segments, "nothing was joined");
    compact_fini(&compact);
}

Test(compaction, reads_between_all_steps_of_a_cleaning_find_every_record)
{
    struct compact compact;
    compact_init(&compact, 12);
    compact.keys = 20;
    compact_append(&compact, 120);
    restart(&compact, 1); // so that reads are cold
    int64_t size = log_size(compact.help.log);
    step_by_step(&compact, read_everything);
    cr_assert_lt(log_size(compact.help.log), size, "nothing was cleaned");
    compact_check(&compact, compact_first_dirty(&compact));
    compact_fini(&compact);
}

struct time_found {
    bool done;
    enum status status;
    struct log_time_answer answer;
};

static void on_time(struct log *log, enum status status, const struct log_time_answer *answer, void *context)
{
    *(struct time_found *)context = (struct time_found){true, status, *answer};
}

// Reads and searches under way when the swap of a group begins are answered rightly after it.
static void search_everywhere(struct compact *compact, int step)
{
    struct log *log = compact->help.log;
    struct time_found found[4] = {0};
    for (int i = 0; i < 4; i++) {
        int64_t offset = log_end(log) * i / 4; // one record per millisecond
        log_find_by_timestamp(log, 1700000000000 + offset, log_end(log), on_time, &found[i]);
    }
    for (int i = 0; i < 4; i++) {
        while (!found[i].done)
            cr_assert(fake_step(compact->help.env));
        cr_assert_eq(found[i].status, ST_OK);
        cr_assert_geq(found[i].answer.offset, log_end(log) * i / 4);
        cr_assert_eq(found[i].answer.timestamp, 1700000000000 + found[i].answer.offset);
    }
}

Test(compaction, searches_by_time_between_all_steps_find_the_first_record_that_is_there)
{
    struct compact compact;
    compact_init(&compact, 13);
    compact_append(&compact, 120);
    step_by_step(&compact, search_everywhere);
    cr_assert_gt(compact_first_dirty(&compact), 0);
    compact_fini(&compact);
}

// Redpanda PR 15011: a truncation while the log is being cleaned.
Test(compaction, a_truncation_at_any_step_of_a_cleaning_wins)
{
    for (int at = 0; at < 120; at++) {
        struct compact compact;
        compact_init(&compact, 14);
        struct help *help = &compact.help;
        compact_append(&compact, 100);
        log_note_high_watermark(help->log, log_flushed(help->log));
        log_set_checkpoint(help->set, NULL, NULL);
        fake_run(help->env);
        fake_of(help->env)->now_us += 1001000;
        for (int step = 0; step < at / 2; step++)
            if (!fake_step(help->env))
                fake_fire(help->env);
        fake_of(help->env)->pool_last = true; // a swap of files may be waiting
        truncate_to(&compact, at % 2 ? log_end(help->log) / 2 : 3);
        compact_check(&compact, 0);
        compact_append(&compact, 50);
        compact_clean(&compact);
        compact_check(&compact, compact_first_dirty(&compact));
        restart(&compact, 2);
        compact_check(&compact, 0);
        compact_fini(&compact);
    }
}

Test(compaction, a_removal_and_a_close_at_any_step_end_it)
{
    for (int at = 0; at < 60; at++) {
        struct compact compact;
        compact_init(&compact, 15);
        struct help *help = &compact.help;
        compact_append(&compact, 100);
        log_note_high_watermark(help->log, log_flushed(help->log));
        log_set_checkpoint(help->set, NULL, NULL);
        fake_run(help->env);
        fake_of(help->env)->now_us += 1001000;
        for (int step = 0; step < at / 2; step++)
            if (!fake_step(help->env))
                fake_fire(help->env);
        if (at % 2 == 0) {
            log_delete(help->log, help_on_done, help);
            help->log = NULL;
            fake_run(help->env);
            cr_assert_eq(help->done, ST_OK);
            cr_assert_eq(log_set_count(help->set), 0);
        } else {
            restart(&compact, 0);
            compact_check(&compact, 0);
        }
        compact_fini(&compact);
    }
}

static void on_start(struct log *log)
{
}

// Segments below the start are removed while the log is being cleaned: either waits for the other or notices.
Test(compaction, removed_segments_at_any_step_of_a_cleaning_stay_removed)
{
    for (int at = 0; at < 80; at++) {
        struct compact compact;
        compact_init(&compact, 18);
        struct help *help = &compact.help;
        log_set_retain(help->set, on_start);
        compact_append(&compact, 100);
        log_note_high_watermark(help->log, log_flushed(help->log));
        log_set_checkpoint(help->set, NULL, NULL);
        fake_run(help->env);
        fake_of(help->env)->now_us += 1001000;
        for (int step = 0; step < at / 2; step++)
            if (!fake_step(help->env))
                fake_fire(help->env);
        fake_of(help->env)->pool_last = true; // a swap of files may be waiting
        int64_t start = log_end(help->log) / (at % 2 ? 2 : 4);
        log_raise_start(help->log, start, help_on_done, help);
        fake_step(help->env); // the start is durable
        fake_of(help->env)->now_us += 1001000;
        while (fake_fire(help->env)) // retention looks, and the flusher removes before the swap comes
            ;
        for (int i = 0; i < 8; i++)
            fake_advance_ms(help->env, 1001);
        cr_assert_eq(log_start(help->log), start);
        cr_assert_eq(log_status(help->log), ST_OK, "%s", fake_of(help->env)->last_line);
        cr_assert_gt(help->log->state.segments[0]->base, 0, "nothing was removed");
        compact_clean(&compact);
        compact_check(&compact, compact_first_dirty(&compact));
        restart(&compact, 2);
        compact_check(&compact, 0);
        compact_fini(&compact);
    }
}

// ---- followers ----

static void append_bytes(struct compact *compact, struct buf *bytes)
{
    struct batch_header header;
    struct block *block = block_copy(buf_slice(bytes));
    cr_assert_eq(batch_parse(block_slice(block), &header), ST_OK);
    cr_assert_eq(log_append(compact->help.log, block, 0, block->len, &header), ST_OK);
    block_unref(&block);
    buf_fini(bytes);
}

// A follower is given what a compacted leader has: offsets are missing, its log takes and keeps that.
Test(compaction, a_log_takes_batches_with_gaps_between_them)
{
    struct compact compact;
    compact_init(&compact, 16);
    struct help *help = &compact.help;
    for (int i = 0; i < 40; i++) {
        struct batch_record record = {.timestamp = help->timestamp++, .key = slice_str("key-1")};
        struct batch_spec spec = batch_spec_plain();
        spec.base_offset = log_end(help->log) + (i % 3) * 5;
        struct buf bytes;
        buf_init(&bytes, 1 << 10);
        cr_assert_eq(batch_build(&spec, &record, 1, &bytes), ST_OK);
        compact.rows[compact.count++] = (struct compact_row){
            .offset = spec.base_offset, .key = 1, .version = -1, .last = spec.base_offset};
        append_bytes(&compact, &bytes);
        help_flush(help);
    }
    cr_assert_eq(compact_check(&compact, 0), 40);
    restart(&compact, 2);
    cr_assert_eq(compact_check(&compact, 0), 40);
    truncate_to(&compact, compact.rows[21].offset - 2); // into a gap
    restart(&compact, 1);
    compact_check(&compact, 0);
    compact_fini(&compact);
}
