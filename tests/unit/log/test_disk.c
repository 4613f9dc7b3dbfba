// SPDX-License-Identifier: Apache-2.0
// What a log does on a disk that is full or fails: changes that wait for space, recovery after a failed sync.
#include "log_help.h"

#include <criterion/criterion.h>

Test(disk, a_truncation_on_a_full_disk_waits_for_space)
{
    struct help help;
    help_init(&help, 1);
    help.config.free_bytes_min = 0;
    help_open(&help, true);
    for (int i = 0; i < 4; i++)
        help_append(&help, 1, 100, 0);
    help_flush(&help);
    log_set_checkpoint(help.set, NULL, NULL); // a recovery point that must be lowered first
    fake_run(help.env);
    fake_of(help.env)->space = 0;
    log_truncate(help.log, 2, help_on_done, &help);
    fake_run(help.env);
    fake_advance_ms(help.env, 3000);
    fake_run(help.env);
    cr_assert_eq(help.done_calls, 0);
    cr_assert_eq(log_status(help.log), ST_OK);
    fake_of(help.env)->space = -1;
    fake_run(help.env);
    fake_advance_ms(help.env, 3000);
    fake_run(help.env);
    cr_assert_eq(help.done_calls, 1);
    cr_assert_eq(help.done, ST_OK);
    cr_assert_eq(log_end(help.log), 2);
    help_forget_from(&help, 2);
    cr_expect_eq(help_check_content(&help), 2);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_expect_eq(help_check_content(&help), 2);
    help_fini(&help);
}

Test(disk, a_log_deleted_while_its_truncation_waits_for_space_is_gone)
{
    struct help help;
    help_init(&help, 1);
    help.config.free_bytes_min = 0;
    help_open(&help, true);
    help_append(&help, 1, 100, 0);
    help_flush(&help);
    log_set_checkpoint(help.set, NULL, NULL);
    fake_run(help.env);
    fake_of(help.env)->space = 0;
    log_truncate(help.log, 0, help_on_done, &help);
    fake_run(help.env);
    fake_advance_ms(help.env, 500);
    fake_run(help.env);
    cr_assert_eq(help.done_calls, 0);
    log_delete(help.log, help_on_done, &help);
    fake_run(help.env);
    fake_advance_ms(help.env, 3000);
    fake_run(help.env);
    cr_assert_eq(help.done_calls, 2, "both are told");
    fake_of(help.env)->space = -1;
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_expect_null(log_set_find(help.set, "t-0"));
    help.log = NULL;
    help_fini(&help);
}

Test(disk, after_a_failed_sync_recovery_believes_the_disk_and_not_the_memory)
{
    struct help help;
    help_init(&help, 1);
    help.config.journal_block_bytes = 0;
    help_open(&help, true);
    help_append(&help, 1, 100, 0);
    help_flush(&help);
    help_append(&help, 1, 100, 0);
    fake_of(help.env)->sync_fails = true;
    help_flush(&help);
    cr_assert_eq(log_status(help.log), ST_IO);
    fake_of(help.env)->sync_fails = false;
    help_crash(&help, false, false);
    help_open(&help, false);
    int64_t durable = log_flushed(help.log); // what it would tell the leader
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_expect_eq(log_end(help.log), durable);
    help_forget_from(&help, durable);
    cr_expect_eq(help_check_content(&help), 1);
    help_fini(&help);
}

static void on_saved(struct log_set *set, enum status status, void *context)
{
    struct help *help = context;
    help->done = status;
    help->done_calls++;
}

static bool file_says(struct help *help, const char *path, const char *text)
{
    struct buf *bytes = fake_file(help->env, path);
    return bytes != NULL && memmem(bytes->data, bytes->len, text, strlen(text)) != NULL;
}

// Nothing of what it would say is lost, and nothing was that it does not say: recovery has more to read.
Test(disk, a_checkpoint_file_that_cannot_be_written_is_written_when_the_disk_works)
{
    static const char *const files[] = {"leader-epoch-checkpoint", "cleaner-offset-checkpoint",
                                        "recovery-point-offset-checkpoint", "replication-offset-checkpoint",
                                        "log-start-offset-checkpoint"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct help help;
        help_init(&help, 1);
        help.config.journal_block_bytes = 0;
        help_open(&help, true);
        help_append(&help, 2, 100, 7);
        help_flush(&help);
        fake_break(help.env, files[i], true);
        log_set_checkpoint(help.set, on_saved, &help);
        fake_run(help.env);
        cr_expect_eq(help.done, ST_IO);
        for (int again = 0; again < 5; again++)
            fake_advance_ms(help.env, 1000);
        cr_expect_eq(log_set_status(help.set), ST_OK, "%s", files[i]);
        cr_expect_eq(log_status(help.log), ST_OK);
        cr_assert_eq(help_append(&help, 1, 100, 7), ST_OK);
        help_flush(&help);
        fake_break(help.env, files[i], false);
        fake_advance_ms(help.env, 1000);
        cr_expect(file_says(&help, "/data/recovery-point-offset-checkpoint", "t 0 3"), "%s", files[i]);
        cr_expect(file_says(&help, "/data/t-0/leader-epoch-checkpoint", "7 0"), "%s", files[i]);
        help_crash(&help, true, false);
        help_open(&help, false);
        cr_expect_eq(help_check_content(&help), 2);
        help_fini(&help);
    }
}

Test(disk, a_start_that_cannot_be_saved_is_told_and_saved_when_the_disk_works)
{
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    help_append(&help, 1, 100, 0);
    help_append(&help, 1, 100, 0);
    help_flush(&help);
    fake_break(help.env, "log-start", true);
    log_raise_start(help.log, 1, help_on_done, &help);
    fake_run(help.env);
    cr_assert_eq(help.done, ST_IO);
    cr_assert_eq(log_status(help.log), ST_OK);
    cr_assert_eq(log_start_saved(help.log), 0);
    fake_break(help.env, "log-start", false);
    log_raise_start(help.log, 1, help_on_done, &help);
    fake_run(help.env);
    cr_assert_eq(help.done, ST_OK);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_expect_eq(log_start(help.log), 1);
    help_fini(&help);
}

// A truncation waits until the journal's part of its log is written; that waits for space.
Test(disk, a_change_behind_a_write_back_that_met_a_full_disk_goes_on_when_there_is_space)
{
    struct help help;
    help_init(&help, 1);
    help.config.free_bytes_min = 0;
    help_open(&help, true);
    help_append(&help, 1, 100, 0);
    help_flush(&help);
    help_append(&help, 1, 100, 0);
    help_flush(&help);
    cr_assert_lt(log_written(help.log), log_flushed(help.log), "the second is in the journal alone");
    fake_of(help.env)->space = 0;
    fake_advance_ms(help.env, 150);
    cr_assert_eq(log_status(help.log), ST_NO_SPACE);
    help.done_calls = 0;
    log_truncate(help.log, 1, help_on_done, &help);
    fake_run(help.env);
    cr_assert_eq(help.done_calls, 0);
    fake_of(help.env)->space = -1;
    for (int i = 0; i < 5; i++)
        fake_advance_ms(help.env, 1000);
    cr_assert_eq(help.done_calls, 1);
    cr_expect_eq(help.done, ST_OK);
    cr_expect_eq(log_end(help.log), 1);
    help_fini(&help);
}

// While a log is offline nothing of it can be made durable: a recovery point past its saved epochs and index
// files would have the next start believe them.
Test(disk, the_recovery_point_of_an_offline_log_stays_with_what_is_saved_of_its_epochs)
{
    struct help help;
    help_init(&help, 1);
    help.config.log.segment_bytes = 1 << 20;
    help.config.journal_block_bytes = 0;
    help_open(&help, true);
    help_append(&help, 2, 100, 5);
    help_flush(&help);
    log_set_checkpoint(help.set, on_saved, &help);
    fake_run(help.env);
    for (int i = 0; i < 40; i++) {
        help_append(&help, 2, 100, 6);
        help_flush(&help);
    }
    fake_break(help.env, "/t-0/", true);
    help_append(&help, 2, 100, 6);
    help_flush(&help);
    cr_assert_eq(log_status(help.log), ST_IO);
    log_set_checkpoint(help.set, on_saved, &help);
    fake_run(help.env);
    help_crash(&help, false, false);
    fake_break(help.env, "/t-0/", false);
    help_open(&help, false);
    int32_t epoch;
    int64_t end;
    log_epoch_end(help.log, 5, &epoch, &end);
    cr_assert_eq(end, 2, "%lld", (long long)end);
    help_fini(&help);
}

// The points had got their file when the checkpoint failed: a truncation lowers them there.
Test(disk, points_saved_by_a_checkpoint_that_failed_do_not_make_a_truncation_look_like_loss)
{
    struct help help;
    help_init(&help, 1);
    help.config.journal_block_bytes = 0;
    help_open(&help, true);
    for (int i = 0; i < 6; i++)
        help_append(&help, 1, 100, 0);
    help_flush(&help);
    fake_break(help.env, "replication-offset-checkpoint", true);
    log_set_checkpoint(help.set, on_saved, &help);
    fake_run(help.env);
    cr_assert_eq(help.done, ST_IO);
    cr_assert(file_says(&help, "/data/recovery-point-offset-checkpoint", "t 0 6"));
    fake_break(help.env, "replication-offset-checkpoint", false);
    log_truncate(help.log, 4, help_on_done, &help);
    fake_run(help.env);
    cr_assert_eq(help.done, ST_OK);
    help_crash(&help, false, false);
    help_open(&help, false);
    cr_assert_not(log_lost(help.log));
    cr_assert_eq(log_end(help.log), 4);
    help_fini(&help);
}

// What it was to save of other logs is saved by whoever saves first.
Test(disk, a_truncation_that_waits_for_space_keeps_no_epochs_of_others_from_their_files)
{
    struct help help;
    struct log *other;
    help_init(&help, 1);
    help.config.free_bytes_min = 0;
    help.config.journal_block_bytes = 0;
    help.config.log.segment_bytes = 1000;
    help_open(&help, true);
    cr_assert_eq(log_create(help.set, "o-0", (struct uuid){{9}}, &help.config.log, &other), ST_OK);
    help_append_to(&help, other, 1, 50, 0);
    help_append_to(&help, other, 1, 50, 0);
    help_append(&help, 1, 50, 0);
    help_flush(&help);
    log_set_checkpoint(help.set, NULL, NULL);
    fake_run(help.env);
    for (int epoch = 1; epoch < 5; epoch++)
        for (int i = 0; i < 6; i++)
            help_append(&help, 1, 200, epoch);
    help_flush(&help);
    fake_of(help.env)->space = 0;
    log_truncate(other, 1, help_on_done, &help);
    fake_run(help.env);
    cr_assert_eq(help.done_calls, 0);
    fake_of(help.env)->space = -1;
    log_set_checkpoint(help.set, NULL, NULL);
    fake_run(help.env);
    cr_assert_eq(help.done_calls, 0, "it is tried again a second later");
    help_crash(&help, true, false);
    help_open(&help, false);
    for (int32_t wanted = 1; wanted < 5; wanted++) {
        int64_t end;
        int32_t epoch;
        log_epoch_end(help.log, wanted, &epoch, &end);
        cr_expect_eq(epoch, wanted);
        cr_expect_eq(end, 1 + 6 * wanted);
    }
    help_fini(&help);
}
