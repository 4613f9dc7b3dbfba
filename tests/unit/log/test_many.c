// SPDX-License-Identifier: Apache-2.0
// Many logs in one data directory: what rounds of new logs, checkpoints, a clean stop and recovery cost in
// syncs, that a checkpoint keeps nobody waiting but changes of logs, and what a failed syncfs means.
// Accidents at every step are test_crash.c, which takes each scenario this way too.
#include "log_help.h"

#include "log/internal.h"
#include "log/journal.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { LOGS = 60 };

struct many {
    struct help help;
    struct log *logs[LOGS];
};

static struct fake_env *fake(struct many *many)
{
    return fake_of(many->help.env);
}

static const char *name_of(int i, char name[24])
{
    snprintf(name, 24, "many-%d", i);
    return name;
}

static void many_init(struct many *many)
{
    help_init(&many->help, 1);
    many->help.config.log.segment_bytes = 1 << 20;
    many->help.config.journal_block_bytes = 64 << 10;
    help_open(&many->help, true);
}

static void create_all(struct many *many)
{
    char name[24];
    struct uuid id = {{91, 92, 93, 94, 95}};
    for (int i = 0; i < LOGS; i++)
        cr_assert_eq(log_create(many->help.set, name_of(i, name), id, &many->help.config.log, &many->logs[i]),
                     ST_OK);
}

static void find_all(struct many *many)
{
    char name[24];
    for (int i = 0; i < LOGS; i++)
        cr_assert_not_null(many->logs[i] = log_set_find(many->help.set, name_of(i, name)));
}

static void append_all(struct many *many, int count, int32_t epoch)
{
    for (int k = 0; k < count; k++) {
        for (int i = 0; i < LOGS; i++)
            cr_assert_eq(help_append_to(&many->help, many->logs[i], 1, 300, epoch), ST_OK);
        help_flush(&many->help);
    }
}

static void check_all(struct many *many, int64_t end)
{
    for (int i = 0; i < LOGS; i++) {
        cr_assert_eq(log_status(many->logs[i]), ST_OK);
        cr_assert_eq(log_flushed(many->logs[i]), end, "log %d: %lld", i,
                     (long long)log_flushed(many->logs[i]));
    }
}

static void forget_costs(struct many *many)
{
    fake(many)->syncs = fake(many)->fs_syncs = 0;
}

// A few single syncs are the checkpoint files', the journal's and the data directory's.
static void expect_costs(struct many *many, int fs_syncs)
{
    cr_assert_eq(fake(many)->fs_syncs, fs_syncs, "%d syncfs", fake(many)->fs_syncs);
    cr_assert_lt(fake(many)->syncs, 16, "%d syncs", fake(many)->syncs);
}

Test(many, first_records_of_a_round_cost_two_syncs_and_survive_a_power_cut)
{
    struct many many;
    many_init(&many);
    create_all(&many);
    forget_costs(&many);
    append_all(&many, 1, 1);
    check_all(&many, 1);
    expect_costs(&many, 2);
    help_crash(&many.help, true, false);
    forget_costs(&many);
    help_open(&many.help, false);
    expect_costs(&many, 3); // what was recovered; epochs before and after their renaming
    find_all(&many);
    check_all(&many, 1);
    cr_assert_eq(log_id(many.logs[LOGS - 1]).bytes[0], 91);
    help_fini(&many.help);
}

Test(many, a_failed_syncfs_acknowledges_nothing_and_takes_the_directory_offline)
{
    struct many many;
    many_init(&many);
    create_all(&many);
    fake(&many)->sync_fs_fails = true;
    append_all(&many, 1, 1);
    for (int i = 0; i < LOGS; i++)
        cr_assert_eq(log_flushed(many.logs[i]), 0);
    cr_assert_eq(log_set_status(many.help.set), ST_IO);
    help_fini(&many.help);
}

Test(many, a_checkpoint_syncs_epochs_and_indexes_of_all_at_once)
{
    struct many many;
    many_init(&many);
    create_all(&many);
    append_all(&many, 4, 1);
    fake_advance_ms(many.help.env, 200); // index entries reach their files
    forget_costs(&many);
    log_set_checkpoint(many.help.set, NULL, NULL);
    fake_run(many.help.env);
    expect_costs(&many, 2);
    forget_costs(&many);
    log_set_checkpoint(many.help.set, NULL, NULL); // nothing has changed
    fake_run(many.help.env);
    expect_costs(&many, 0);
    help_fini(&many.help);
}

Test(many, rounds_go_on_beside_a_checkpoint_and_changes_wait_for_it)
{
    struct many many;
    many_init(&many);
    help_append(&many.help, 4, 100, 1);
    help_flush(&many.help);
    many.help.done = ST_COUNT;
    log_set_checkpoint(many.help.set, NULL, NULL);
    help_append(&many.help, 1, 100, 1);
    log_truncate(many.help.log, 4, help_on_done, &many.help);
    log_raise_start(many.help.log, 2, help_on_done, &many.help);
    cr_assert(fake_step(many.help.env)); // the flusher's queue comes first
    cr_assert_eq(many.help.acked, 5, "the round does not wait");
    cr_assert_eq(many.help.done, ST_COUNT);
    cr_assert_null(fake_file(many.help.env, "/data/t-0/leader-epoch-checkpoint"), "not begun");
    fake_run(many.help.env);
    cr_assert_eq(many.help.done, ST_OK);
    cr_assert_eq(log_end(many.help.log), 4);
    help_fini(&many.help);
}

Test(many, a_failed_checkpoint_takes_the_directory_offline)
{
    struct many many;
    many_init(&many);
    create_all(&many);
    append_all(&many, 1, 1);
    fake(&many)->sync_fs_fails = true;
    log_set_checkpoint(many.help.set, NULL, NULL);
    fake_run(many.help.env);
    cr_assert_eq(log_set_status(many.help.set), ST_IO);
    help_fini(&many.help);
}

Test(many, giving_a_block_back_syncs_all_its_logs_at_once)
{
    struct many many;
    many_init(&many);
    create_all(&many);
    append_all(&many, 2, 1);
    fake_advance_ms(many.help.env, 200);
    forget_costs(&many);
    for (int i = 0; i < 60; i++) { // another log fills the journal's blocks
        help_append(&many.help, 8, 600, 1);
        help_flush(&many.help);
    }
    cr_assert_geq(fake(&many)->fs_syncs, 1);
    cr_assert_lt(fake(&many)->fs_syncs, 5);
    help_crash(&many.help, true, false);
    help_open(&many.help, false);
    find_all(&many);
    check_all(&many, 2);
    help_fini(&many.help);
}

Test(many, a_failed_syncfs_gives_no_block_back)
{
    struct many many;
    many_init(&many);
    create_all(&many);
    append_all(&many, 2, 1);
    fake_advance_ms(many.help.env, 200);
    fake(&many)->sync_fs_fails = true;
    for (int i = 0; i < 60 && log_set_status(many.help.set) == ST_OK; i++) {
        help_append(&many.help, 8, 600, 1);
        help_flush(&many.help);
    }
    cr_assert_eq(log_set_status(many.help.set), ST_IO);
    help_crash(&many.help, true, false);
    help_open(&many.help, false);
    find_all(&many);
    check_all(&many, 2);
    help_fini(&many.help);
}

Test(many, a_clean_stop_costs_a_few_syncs_and_the_next_start_none)
{
    struct many many;
    many_init(&many);
    many.help.producer_id = 5; // snapshots too
    create_all(&many);
    many.help.sequence = 0;
    append_all(&many, 1, 1);
    forget_costs(&many);
    help_close(&many.help);
    expect_costs(&many, 3); // records; indexes, snapshots and epochs, before and after their renaming
    cr_assert_eq(many.help.done, ST_OK);
    fake_power_cut(many.help.env, false);
    forget_costs(&many);
    help_open(&many.help, false);
    cr_assert(log_set_was_clean(many.help.set));
    expect_costs(&many, 0);
    find_all(&many);
    check_all(&many, 1);
    cr_assert_not_null(fake_file(many.help.env, "/data/many-7/00000000000000000001.snapshot"));
    help_fini(&many.help);
}

Test(many, a_stop_whose_syncfs_fails_is_not_called_clean)
{
    struct many many;
    many_init(&many);
    create_all(&many);
    append_all(&many, 1, 1);
    fake(&many)->sync_fs_fails = true;
    help_close(&many.help);
    cr_assert_eq(many.help.done, ST_IO);
    fake_power_cut(many.help.env, false);
    help_open(&many.help, false);
    cr_assert_not(log_set_was_clean(many.help.set));
    find_all(&many);
    check_all(&many, 1);
    help_fini(&many.help);
}

// Time index entries that reach the file after a checkpoint belong to the next one, though nothing was
// appended in between: the recovery point has passed the batches they speak of, so no scan would find them
// again.
Test(many, indexes_written_back_after_a_checkpoint_are_synced_by_the_next)
{
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct help help;
        help_init(&help, seed * 1000003);
        help.config.log.segment_bytes = 1 << 20;
        help_open(&help, true);
        help_append(&help, 1, 300, 1);
        help_flush(&help);
        int64_t highest = help.timestamp += 100000000;
        for (int i = 0; i < 12; i++) {
            help_append(&help, 1, 300, 1);
            help.timestamp = highest - 50000000;
        }
        help_flush(&help); // in the journal
        log_set_checkpoint(help.set, NULL, NULL);
        fake_step(help.env);
        fake_run(help.env);
        fake_advance_ms(help.env, 200);
        struct log *other;
        struct uuid id = {{81, 82, 83, 84, 85}};
        cr_assert_eq(log_create(help.set, "other-0", id, &help.config.log, &other), ST_OK);
        for (int i = 0; i < 60; i++) { // its appends take the journal's blocks round
            help_append_to(&help, other, 1, 2000, 1);
            help_flush(&help);
        }
        log_set_checkpoint(help.set, NULL, NULL);
        fake_run(help.env);
        help_crash(&help, true, true);
        help_open(&help, false);
        int64_t timestamp, offset;
        log_max_timestamp(help.log, &timestamp, &offset);
        cr_assert_eq(timestamp, highest, "seed %llu", (unsigned long long)seed);
        cr_assert_eq(offset, 1);
        cr_assert_eq(help_check_content(&help), 13);
        help_fini(&help);
    }
}

// Recovery points are saved by the amount written, every second or so; with many logs the write-backs sync
// their index files, and the points of those that none has synced yet can wait.
Test(many, saving_recovery_points_often_syncs_nothing_of_many_logs)
{
    struct many many;
    many_init(&many);
    create_all(&many);
    append_all(&many, 1, 0);
    log_set_checkpoint(many.help.set, NULL, NULL); // of the epochs
    fake_run(many.help.env);
    int lazy = 0;
    for (int turn = 0; turn < 300 && lazy < LOGS / 2; turn++) {
        append_all(&many, 1, 0);
        fake_advance_ms(many.help.env, 200);
        lazy = 0;
        for (int i = 0; i < LOGS; i++)
            lazy += many.logs[i]->index_lazy;
    }
    cr_assert_geq(lazy, LOGS / 2);
    int64_t before = many.logs[0]->recovery_point;
    forget_costs(&many);
    log_checkpoint_points(many.help.set);
    fake_run(many.help.env);
    expect_costs(&many, 0);
    cr_assert_eq(many.logs[0]->recovery_point, before);
    for (int i = 0; i < 4; i++)
        log_checkpoint_points(many.help.set);
    fake_run(many.help.env);
    expect_costs(&many, 1); // it does not wait for ever
    cr_assert_gt(many.logs[0]->recovery_point, before);
    help_fini(&many.help);
}
