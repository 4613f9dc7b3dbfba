// SPDX-License-Identifier: Apache-2.0
// What recovery has to read: recovery points follow what is written, and what lies below them is left alone.
#include "log_help.h"

#include "log/internal.h"

#include <criterion/criterion.h>
#include <stdio.h>

// The clock moves by seconds: no checkpoint of its own is due.
Test(recovery, recovery_points_follow_what_is_written_not_only_the_clock)
{
    struct help help;
    help_init(&help, 1);
    help.config.checkpoint_bytes = 64 << 10;
    help_open(&help, true);
    for (int i = 0; i < 40; i++) {
        help_append(&help, 2, 4000, 0);
        help_flush(&help);
    }
    fake_advance_ms(help.env, 1000);
    int64_t first = help.log->recovery_point;
    cr_assert_geq(first, 16, "%lld", (long long)first);
    for (int i = 0; i < 40; i++) {
        help_append(&help, 2, 4000, 0);
        help_flush(&help);
    }
    fake_advance_ms(help.env, 2000); // they rest a second in between
    help_append(&help, 2, 4000, 0);
    help_flush(&help);
    cr_assert_geq(help.log->recovery_point, first + 16);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_eq(help_check_content(&help), 81);
    help_fini(&help);
}

Test(recovery, recovery_does_not_read_the_segments_below_the_recovery_point)
{
    struct help help;
    help_init(&help, 1);
    help.config.journal_block_bytes = 0; // its blocks are read whole, whatever they hold
    help_open(&help, true);
    for (int i = 0; i < 400; i++) {
        help_append(&help, 2, 100, 0);
        help_flush(&help);
    }
    cr_assert_gt(help.log->state.count, 20);
    int64_t all = help.log->bytes;
    log_set_checkpoint(help.set, NULL, NULL);
    fake_run(help.env);
    help_crash(&help, true, false);
    fake_of(help.env)->read_bytes = 0;
    help_open(&help, false);
    // These segments are no larger than a window, which is read of each for its first timestamp; once, not
    // twice.
    cr_assert_lt(fake_of(help.env)->read_bytes, all * 3 / 2);
    cr_assert_eq(help_check_content(&help), 400);
    help_fini(&help);
}

// Twelve batches of two records, the second half of epoch 4, all below a saved recovery point, after a crash.
static void crash_with_two_epochs(struct help *help)
{
    help_init(help, 1);
    help->config.log.segment_bytes = 1 << 20;
    help_open(help, true);
    for (int i = 0; i < 12; i++)
        help_append(help, 2, 100, i < 6 ? 2 : 4);
    help_flush(help);
    log_set_checkpoint(help->set, NULL, NULL);
    fake_run(help->env);
    cr_assert_eq(help->log->recovery_point, 24);
    help_crash(help, true, false);
}

static bool epochs_are_right(const struct log *log)
{
    return log_epoch_at(log, 0) == 2 && log_epoch_at(log, 11) == 2 && log_epoch_at(log, 12) == 4 &&
           log_epoch_at(log, 23) == 4 && log_last_epoch(log) == 4;
}

Test(recovery, a_flipped_bit_in_a_leader_epoch_changes_no_history)
{
    for (int i = 0; i < 12 * 32; i++) {
        int batch = i / 32, bit = i % 32;
        struct help help;
        crash_with_two_epochs(&help);
        struct buf *bytes = fake_file(help.env, "/data/t-0/00000000000000000000.log");
        bytes->data[bytes->len / 12 * (size_t)batch + 12 + (size_t)bit / 8] ^= (uint8_t)(1u << bit % 8);
        help_open(&help, false);
        cr_expect(epochs_are_right(help.log), "bit %d of batch %d", bit, batch);
        cr_expect_eq(log_end(help.log), 24);
        help_fini(&help);
    }
}

Test(recovery, epochs_that_are_saved_wrong_are_made_anew)
{
    static const char *const wrong[] = {"0\n2\n2 0\n6 12\n", "0\n2\n3 0\n4 12\n", "0\n2\n2 0\n4 18\n",
                                        "0\n2\n2 0\n4 4\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct help help;
        crash_with_two_epochs(&help);
        buf_clear(fake_file(help.env, "/data/t-0/00000000000000000000.index")); // every batch is read
        struct buf *bytes = fake_file(help.env, "/data/t-0/leader-epoch-checkpoint");
        buf_clear(bytes);
        buf_printf(bytes, "%s", wrong[i]);
        help_open(&help, false);
        cr_expect(epochs_are_right(help.log), "list %zu", i);
        cr_expect_eq(help_check_content(&help), 12);
        help_fini(&help);
    }
}

static size_t file_bytes(struct help *help, const char *suffix)
{
    char path[64];
    snprintf(path, sizeof path, "/data/t-0/00000000000000000000%s", suffix);
    struct buf *bytes = fake_file(help->env, path);
    return bytes != NULL ? bytes->len : 0;
}

// Sixty batches in the journal and written back, each of a later time; a checkpoint has found their index
// entries kept back.
static void keep_entries_back(struct help *help)
{
    help_init(help, 1);
    help->config.log.segment_bytes = 1 << 20;
    help_open(help, true);
    for (int i = 0; i < 60; i++) {
        help_append(help, 1, 50, 0);
        help_flush(help);
    }
    fake_advance_ms(help->env, 200);
    cr_assert_eq(log_written(help->log), 60);
    cr_assert_eq(file_bytes(help, ".index"), 0);
    cr_assert_gt(help->log->state.segments[0]->index.entries, 10);
    log_set_checkpoint(help->set, NULL, NULL);
    fake_advance_ms(help->env, 200);
}

Test(recovery, recovery_points_do_not_pass_index_entries_that_are_kept_back)
{
    struct help help;
    keep_entries_back(&help);
    cr_assert_geq(help.log->synced, 40);
    cr_assert_leq(help.log->recovery_point, 1);
    cr_assert_eq(file_bytes(&help, ".index"), help.log->state.segments[0]->index.entries * 8);
    // Of two files that nothing has synced a power cut may leave the one.
    int64_t newest = help.timestamp - 1000;
    help_crash(&help, false, false);
    buf_clear(fake_file(help.env, "/data/t-0/00000000000000000000.timeindex"));
    help_open(&help, false);
    cr_assert_eq(help.log->state.segments[0]->max_timestamp, newest);
    cr_assert_eq(help_check_content(&help), 60);
    help_fini(&help);
}

Test(recovery, the_next_checkpoint_finds_them_written_and_syncs_them)
{
    struct help help;
    keep_entries_back(&help);
    log_set_checkpoint(help.set, NULL, NULL);
    fake_run(help.env);
    cr_assert_geq(help.log->recovery_point, 40);
    size_t index = file_bytes(&help, ".index"), times = file_bytes(&help, ".timeindex");
    help_crash(&help, true, false);
    cr_assert_eq(file_bytes(&help, ".index"), index);
    cr_assert_eq(file_bytes(&help, ".timeindex"), times);
    help_open(&help, false);
    cr_assert_eq(help_check_content(&help), 60);
    help_fini(&help);
}

// A log that is written to all the time does not wait for a checkpoint.
Test(recovery, index_entries_are_written_when_there_are_many)
{
    struct help help;
    help_init(&help, 1);
    help.config.log.segment_bytes = 1 << 20;
    help_open(&help, true);
    for (int i = 0; i < 300; i++) {
        help_append(&help, 1, 50, 0);
        help_flush(&help);
        if (i % 20 == 0)
            fake_advance_ms(help.env, 200);
    }
    cr_assert_gt(file_bytes(&help, ".index"), 512);
    cr_assert_lt(file_bytes(&help, ".index"), help.log->state.segments[0]->index.entries * 8);
    help_close(&help);
    help_open(&help, false);
    cr_assert_eq(help_check_content(&help), 300);
    cr_assert_eq(file_bytes(&help, ".index"), help.log->state.segments[0]->index.entries * 8);
    help_fini(&help);
}
