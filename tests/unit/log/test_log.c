// SPDX-License-Identifier: Apache-2.0
// The life of a log without accidents: append, flush, read, roll, reopen, truncate, start offset, delete,
// lost, limits, full disk, failed sync.
#include "log_help.h"

#include "base/bytes.h"
#include "log/internal.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(log, appended_batches_are_readable_at_once_and_flushed_by_a_round)
{
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    cr_assert_eq(help_append(&help, 3, 100, 5), ST_OK);
    cr_assert_eq(help_append(&help, 2, 100, 5), ST_OK);
    cr_assert_eq(log_end(help.log), 5);
    cr_assert_eq(log_flushed(help.log), 0);
    cr_assert_eq(help_check_content(&help), 2);
    help_flush(&help);
    cr_assert_eq(help.acked, 5);
    cr_assert_eq(log_written(help.log), 5);
    cr_assert_eq(help_check_content(&help), 2);
    help_fini(&help);
}

Test(log, nothing_is_on_disk_before_the_first_record)
{
    struct help help;
    struct file_info info;
    help_init(&help, 1);
    help_open(&help, true);
    help_flush(&help);
    cr_assert_eq(path_info(help.env, "/data/t-0", &info), ST_NOT_FOUND);
    help_append(&help, 1, 10, 0);
    help_flush(&help);
    cr_assert_eq(path_info(help.env, "/data/t-0/00000000000000000000.log", &info), ST_OK);
    struct buf *metadata = fake_file(help.env, "/data/t-0/partition.metadata");
    cr_assert_not_null(metadata);
    cr_assert(slice_equal(buf_slice(metadata), slice_str("version: 0\ntopic_id: BwAAAAAAAAAAAAAAAAAAAA")));
    help_fini(&help);
}

Test(log, many_segments_are_read_back_warm_and_cold_and_after_reopening)
{
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    for (int i = 0; i < 400; i++) {
        cr_assert_eq(help_append(&help, 1 + i % 3, 50 + i % 100, i / 100), ST_OK);
        if (i % 7 == 0)
            help_flush(&help);
    }
    help_flush(&help);
    cr_assert_eq(help_check_content(&help), 400);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_not_null(help.log);
    cr_assert_eq(help_check_content(&help), 400);
    cr_assert_eq(log_last_epoch(help.log), 3);
    help_close(&help);
    cr_assert_eq(help.done, ST_OK);
    int lines = fake_of(help.env)->lines;
    help_open(&help, false);
    cr_assert(log_set_was_clean(help.set));
    cr_assert_eq(fake_of(help.env)->lines, lines, "%s", fake_of(help.env)->last_line);
    cr_assert_eq(help_check_content(&help), 400);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(help_append(&help, 2, 80, 4), ST_OK);
    help_flush(&help);
    cr_assert_eq(help_check_content(&help), 420);
    help_fini(&help);
}

Test(log, a_read_begins_with_the_batch_that_contains_the_offset_and_respects_the_limits)
{
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    for (int i = 0; i < 4; i++)
        help_append(&help, 5, 100, 0);
    struct piece pieces[LOG_PIECES];
    struct log_found found;
    int count;
    struct log_range range = {.from = 7, .up_to = 20, .max_bytes = 1, .min_one = true};
    cr_assert_eq(log_read(help.log, &range, pieces, LOG_PIECES, &count, &found), ST_OK);
    cr_assert_eq(found.first, 5);
    cr_assert_eq(found.next, 10);
    for (int i = 0; i < count; i++)
        piece_release(&pieces[i]);
    range.min_one = false;
    cr_assert_eq(log_read(help.log, &range, pieces, LOG_PIECES, &count, &found), ST_OK);
    cr_assert_eq(count, 0);
    cr_assert_eq(found.next, 7);
    range = (struct log_range){.from = 0, .up_to = 12, .max_bytes = 1 << 20, .min_one = true};
    cr_assert_eq(log_read(help.log, &range, pieces, LOG_PIECES, &count, &found), ST_OK);
    cr_assert_eq(found.next, 10, "a batch that reaches beyond up_to is not returned");
    for (int i = 0; i < count; i++)
        piece_release(&pieces[i]);
    range.from = 21;
    cr_assert_eq(log_read(help.log, &range, pieces, LOG_PIECES, &count, &found), ST_OUT_OF_RANGE);
    range.from = 20;
    range.up_to = 99;
    cr_assert_eq(log_read(help.log, &range, pieces, LOG_PIECES, &count, &found), ST_OK);
    cr_assert_eq(count, 0);
    help_fini(&help);
}

Test(log, appends_out_of_order_or_of_an_older_epoch_are_refused)
{
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    help_append(&help, 3, 10, 2);
    cr_assert_eq(help_append(&help, 1, 10, 1), ST_STALE);
    struct batch_spec spec = batch_spec_plain();
    spec.base_offset = 1;
    spec.leader_epoch = 2;
    struct batch_record record = {.timestamp = 1, .value = slice_str("x")};
    struct buf bytes;
    buf_init(&bytes, 1000);
    batch_build(&spec, &record, 1, &bytes);
    struct block *block = block_copy(buf_slice(&bytes));
    struct batch_header header;
    batch_parse(block_slice(block), &header);
    cr_assert_eq(log_append(help.log, block, 0, block->len, &header), ST_OUT_OF_RANGE);
    block_unref(&block);
    buf_fini(&bytes);
    help_fini(&help);
}

Test(log, a_full_tail_refuses_and_takes_again_after_the_flush)
{
    struct help help;
    struct log_budget budget = {.max = 10000};
    help_init(&help, 1);
    help.config.tail_bytes_max = 2000;
    help.config.budget = &budget;
    help_open(&help, true);
    cr_assert_eq(help_append(&help, 1, 1500, 0), ST_OK);
    cr_assert_eq(help_append(&help, 1, 1500, 0), ST_LIMIT);
    cr_assert_eq(log_end(help.log), 1);
    cr_assert_gt(budget.used, 1500);
    help_flush(&help);
    cr_assert_eq(budget.used, 0);
    cr_assert_eq(help_append(&help, 1, 5000, 0), ST_OK, "one batch above the cap passes when it is alone");
    help_fini(&help);
    cr_assert_eq(budget.used, 0);
}

Test(log, truncation_is_durable_and_keeps_whole_batches)
{
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    for (int i = 0; i < 100; i++) {
        help_append(&help, 3, 100, i / 30);
        if (i % 5 == 0)
            help_flush(&help);
    }
    help_flush(&help);
    log_truncate(help.log, 100, help_on_done, &help); // within the batch 99..101
    cr_assert_eq(help_append(&help, 1, 10, 9), ST_AGAIN);
    fake_run(help.env);
    cr_assert_eq(help.done_calls, 1);
    cr_assert_eq(help.done, ST_OK);
    cr_assert_eq(log_end(help.log), 99);
    cr_assert_eq(log_last_epoch(help.log), 1);
    help_forget_from(&help, 99);
    cr_assert_eq(help_check_content(&help), 33);
    help_append(&help, 2, 100, 7);
    help_flush(&help);
    cr_assert_eq(help_check_content(&help), 34);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_eq(help_check_content(&help), 34);
    cr_assert_eq(log_last_epoch(help.log), 7);
    help_fini(&help);
}

Test(log, truncation_below_a_saved_recovery_point_is_not_taken_for_loss)
{
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    for (int i = 0; i < 50; i++)
        help_append(&help, 2, 100, 0);
    help_flush(&help);
    log_set_checkpoint(help.set, NULL, NULL);
    fake_run(help.env);
    log_truncate(help.log, 11, help_on_done, &help); // within the batch 10..11
    fake_run(help.env);
    cr_assert_eq(log_end(help.log), 10);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_not(log_lost(help.log));
    cr_assert_eq(log_end(help.log), 10);
    help_forget_from(&help, 10);
    cr_assert_eq(help_check_content(&help), 5);
    help_fini(&help);
}

Test(log, starting_anew_drops_everything_and_survives_a_power_cut)
{
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    for (int i = 0; i < 50; i++)
        help_append(&help, 2, 100, 3);
    help_flush(&help);
    log_set_checkpoint(help.set, NULL, NULL);
    log_truncate_fully(help.log, 1000, help_on_done, &help);
    fake_run(help.env);
    cr_assert_eq(help.done, ST_OK);
    help.count = 0;
    cr_assert_eq(log_start(help.log), 1000);
    cr_assert_eq(log_end(help.log), 1000);
    cr_assert_eq(log_last_epoch(help.log), -1);
    help_append(&help, 2, 100, 4);
    help_flush(&help);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_not(log_lost(help.log));
    cr_assert_eq(log_start(help.log), 1000);
    cr_assert_eq(help_check_content(&help), 1);
    help_fini(&help);
}

Test(log, the_start_offset_moves_up_only_and_is_remembered)
{
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    for (int i = 0; i < 20; i++)
        help_append(&help, 2, 100, i / 5);
    help_flush(&help);
    log_raise_start(help.log, 17, help_on_done, &help);
    fake_run(help.env);
    cr_assert_eq(help.done, ST_OK);
    cr_assert_eq(log_start(help.log), 17);
    log_raise_start(help.log, 5, help_on_done, &help);
    fake_run(help.env);
    cr_assert_eq(help.done, ST_OUT_OF_RANGE);
    cr_assert_eq(log_status(help.log), ST_OK);
    int32_t epoch;
    int64_t end;
    log_epoch_end(help.log, 0, &epoch, &end);
    cr_assert_eq(end, 17);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_eq(log_start(help.log), 17);
    help_fini(&help);
}

Test(log, deletion_frees_the_name_at_once_and_the_directory_later)
{
    struct help help;
    struct file_info info;
    help_init(&help, 1);
    help_open(&help, true);
    help_append(&help, 2, 100, 0);
    help_flush(&help);
    log_set_checkpoint(help.set, NULL, NULL);
    fake_run(help.env);
    struct log *old = help.log;
    log_delete(old, help_on_done, &help);
    cr_assert_null(log_set_find(help.set, "t-0"));
    struct uuid id = {{9}};
    cr_assert_eq(log_create(help.set, "t-0", id, &help.config.log, &help.log), ST_OK);
    log_attach(help.log, &help);
    help.count = 0;
    help_append(&help, 1, 10, 0);
    help_flush(&help);
    cr_assert_eq(help.done, ST_OK);
    cr_assert_eq(help_check_content(&help), 1);
    log_delete(help.log, help_on_done, &help);
    fake_run(help.env);
    cr_assert_eq(path_info(help.env, "/data/t-0", &info), ST_NOT_FOUND);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_null(help.log, "neither found nor lost");
    help_fini(&help);
}

Test(log, a_log_whose_files_are_gone_or_short_is_lost_until_it_starts_anew)
{
    for (int gone = 0; gone < 2; gone++) {
        struct help help;
        help_init(&help, 1);
        help_open(&help, true);
        for (int i = 0; i < 5; i++)
            help_append(&help, 2, 100, 0);
        help_flush(&help);
        log_set_checkpoint(help.set, NULL, NULL);
        fake_run(help.env);
        help_crash(&help, true, false);
        if (gone)
            cr_assert_eq(path_rename(help.env, "/data/t-0", "/data/elsewhere"), ST_OK);
        else
            fake_file(help.env, "/data/t-0/00000000000000000000.log")->len -= 1;
        for (int again = 0; again < 2; again++) { // also at the next start
            help_open(&help, false);
            cr_assert_not_null(help.log);
            cr_assert(log_lost(help.log));
            cr_assert_eq(help_append(&help, 1, 10, 0), ST_CORRUPT);
            if (again == 0)
                help_crash(&help, false, false);
        }
        if (gone) { // nobody knows its topic id: it is removed and made anew
            struct uuid id = {{7}};
            log_delete(help.log, help_on_done, &help);
            fake_run(help.env);
            cr_assert_eq(log_create(help.set, "t-0", id, &help.config.log, &help.log), ST_OK);
            log_attach(help.log, &help);
        }
        log_truncate_fully(help.log, 3, help_on_done, &help);
        fake_run(help.env);
        cr_assert_eq(help.done, ST_OK);
        cr_assert_not(log_lost(help.log));
        help.count = 0;
        cr_assert_eq(help_append(&help, 1, 10, 0), ST_OK);
        help_flush(&help);
        help_crash(&help, true, false);
        help_open(&help, false);
        cr_assert_not(log_lost(help.log));
        cr_assert_eq(log_start(help.log), 3);
        cr_assert_eq(help_check_content(&help), 1);
        help_fini(&help);
    }
}

Test(log, records_whose_topic_id_cannot_be_read_are_lost_and_stay_on_disk)
{
    for (int how = 0; how < 3; how++) {
        struct help help;
        help_init(&help, 1);
        help_open(&help, true);
        help_append(&help, 2, 100, 0);
        help_flush(&help);
        help_crash(&help, true, false);
        struct buf *metadata = fake_file(help.env, "/data/t-0/partition.metadata");
        if (how == 0)
            metadata->data[0] ^= 1;
        else if (how == 1)
            metadata->len = 0;
        else
            cr_assert_eq(path_unlink(help.env, "/data/t-0/partition.metadata"), ST_OK);
        help_open(&help, false);
        cr_assert_not_null(help.log);
        cr_expect(log_lost(help.log));
        cr_expect(uuid_is_zero(log_id(help.log)));
        cr_expect_eq(help_append(&help, 1, 10, 0), ST_CORRUPT);
        cr_expect_gt(fake_file(help.env, "/data/t-0/00000000000000000000.log")->len, 0);
        help_fini(&help);
    }
}

Test(log, a_full_disk_keeps_batches_in_memory_and_writes_them_when_there_is_room)
{
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    help_append(&help, 1, 100, 0);
    help_flush(&help);
    help.config.free_bytes_min = 0;
    fake_of(help.env)->space = 50;
    cr_assert_eq(help_append(&help, 1, 5000, 0), ST_OK);
    help_flush(&help);
    cr_assert_eq(help.told, ST_NO_SPACE);
    cr_assert_eq(help.acked, 1);
    cr_assert_eq(log_status(help.log), ST_NO_SPACE);
    cr_assert_eq(help_append(&help, 1, 10, 0), ST_NO_SPACE);
    cr_assert_eq(help_check_content(&help), 2);
    fake_of(help.env)->space = -1;
    fake_advance_ms(help.env, 2500);
    cr_assert_eq(help.told, ST_OK);
    cr_assert_eq(help.acked, 2);
    cr_assert_eq(log_status(help.log), ST_OK);
    cr_assert_eq(help_append(&help, 1, 10, 0), ST_OK);
    help_flush(&help);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_eq(help_check_content(&help), 3);
    help_fini(&help);
}

// A log of the set that waits for space, next to "t-0", which does not.
static struct log *stalled_neighbour(struct help *help)
{
    struct log *own = help->log, *other;
    struct uuid id = {{9}};
    cr_assert_eq(log_create(help->set, "u-0", id, &help->config.log, &other), ST_OK);
    log_attach(other, help);
    help->log = other;
    help_append(help, 1, 100, 0);
    help_flush(help);
    help->config.free_bytes_min = 0;
    fake_of(help->env)->space = 50;
    cr_assert_eq(help_append(help, 1, 5000, 0), ST_OK);
    help_flush(help);
    cr_assert_eq(log_status(other), ST_NO_SPACE);
    help->log = own;
    help->count = 0;
    return other;
}

Test(log, what_waited_for_space_and_is_dropped_waits_no_more)
{
    for (int how = 0; how < 3; how++) {
        struct help help;
        help_init(&help, 1);
        help_open(&help, true);
        struct log *other = stalled_neighbour(&help);
        fake_of(help.env)->space = -1;
        if (how == 0)
            log_delete(other, help_on_done, &help);
        else if (how == 1)
            log_truncate(other, 1, help_on_done, &help);
        else
            log_truncate_fully(other, 0, help_on_done, &help);
        fake_run(help.env);
        cr_assert_eq(help.done, ST_OK);
        if (how > 0)
            cr_expect_eq(log_status(other), ST_OK);
        cr_expect_eq(log_set_status(help.set), ST_OK);
        for (int i = 1; i <= 3; i++) { // each round at once, without the clock
            cr_assert_eq(help_append(&help, 1, 100, 0), ST_OK);
            help_flush(&help);
            cr_expect_eq(log_flushed(help.log), i);
        }
        help_fini(&help);
    }
}

Test(log, starting_anew_in_a_directory_a_full_disk_left_half_made_is_durable)
{
    struct help help;
    help_init(&help, 1);
    help.config.free_bytes_min = 0;
    help_open(&help, true);
    fake_of(help.env)->space = 100; // the directory and partition.metadata fit, the segment does not
    help_append(&help, 1, 1000, 0);
    help_flush(&help);
    cr_assert_eq(help.told, ST_NO_SPACE);
    fake_of(help.env)->space = -1;
    log_truncate_fully(help.log, 0, help_on_done, &help);
    fake_run(help.env);
    cr_assert_eq(help.done, ST_OK);
    help.count = 0;
    help_append(&help, 1, 100, 0);
    help_flush(&help);
    cr_assert_eq(help.acked, 1);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_not_null(help.log);
    cr_expect_eq(help_check_content(&help), 1);
    help_fini(&help);
}

Test(log, a_log_can_be_deleted_on_a_full_disk)
{
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    struct log *other = stalled_neighbour(&help);
    fake_of(help.env)->space = -1;
    log_set_checkpoint(help.set, NULL, NULL); // a recovery point that must be forgotten
    fake_run(help.env);
    fake_of(help.env)->space = 0;
    log_delete(other, help_on_done, &help);
    fake_run(help.env);
    cr_expect_eq(help.done, ST_OK);
    cr_expect_null(fake_file(help.env, "/data/u-0/00000000000000000000.log"));
    fake_of(help.env)->space = -1;
    help_append(&help, 1, 100, 0);
    help_flush(&help);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_expect_null(log_set_find(help.set, "u-0"));
    cr_expect_eq(help_check_content(&help), 1);
    help_fini(&help);
}

Test(log, truncation_of_a_log_with_segments_not_yet_written)
{
    for (int64_t to = 0; to <= 40; to++) {
        struct help help;
        help_init(&help, 1);
        help.config.log.segment_bytes = 1000;
        help_open(&help, true);
        for (int i = 0; i < 20; i++) {
            help_append(&help, 2, 100, 0);
            if (i == 6)
                help_flush(&help);
        }
        int64_t flushed = log_flushed(help.log);
        log_truncate(help.log, to, help_on_done, &help);
        fake_run(help.env);
        cr_assert_eq(help.done, ST_OK, "to=%lld", (long long)to);
        cr_assert_eq(log_status(help.log), ST_OK, "to=%lld", (long long)to);
        int64_t end = to == 40 ? 40 : to / 2 * 2 < flushed ? to / 2 * 2 : flushed;
        cr_assert_eq(log_end(help.log), end, "to=%lld end=%lld", (long long)to, (long long)log_end(help.log));
        help_forget_from(&help, end);
        help_append(&help, 2, 100, 1);
        help_flush(&help);
        help_crash(&help, true, false);
        help_open(&help, false);
        cr_assert_eq(help_check_content(&help), end / 2 + 1);
        help_fini(&help);
    }
}

Test(log, appends_are_refused_before_the_disk_is_full)
{
    struct help help;
    help_init(&help, 1);
    help.config.free_bytes_min = 1 << 20;
    help_open(&help, true);
    fake_of(help.env)->space = 1 << 19;
    help_append(&help, 1, 100, 0);
    help_flush(&help);
    cr_assert_eq(help.acked, 1);
    cr_assert_eq(help_append(&help, 1, 100, 0), ST_NO_SPACE);
    fake_of(help.env)->space = 1 << 21;
    fake_advance_ms(help.env, 2500);
    cr_assert_eq(help_append(&help, 1, 100, 0), ST_OK);
    help_fini(&help);
}

Test(log, a_failed_sync_takes_the_partition_offline_and_is_never_repeated)
{
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    help_append(&help, 1, 100, 0);
    help_flush(&help);
    help_append(&help, 1, 100, 0);
    fake_of(help.env)->sync_fails = true;
    help_flush(&help);
    cr_assert_eq(help.told, ST_IO);
    fake_of(help.env)->sync_fails = false;
    help_flush(&help);
    fake_advance_ms(help.env, 5000);
    cr_assert_eq(help.acked, 1);
    cr_assert_eq(log_status(help.log), ST_IO);
    cr_assert_eq(help_append(&help, 1, 100, 0), ST_IO);
    struct log_range range = {.from = 0, .up_to = 1, .max_bytes = 100, .min_one = true};
    struct piece pieces[1];
    struct log_found found;
    int count;
    cr_assert_eq(log_read(help.log, &range, pieces, 1, &count, &found), ST_IO);
    help_fini(&help);
}

Test(log, without_flush_before_ack_a_round_syncs_no_segment)
{
    struct help help;
    help_init(&help, 1);
    help.config.log.flush_before_ack = false;
    help_open(&help, true);
    help_append(&help, 1, 100, 0);
    help_flush(&help);
    cr_assert_eq(help.acked, 1);
    help_append(&help, 1, 100, 0);
    help_flush(&help);
    cr_assert_eq(help.acked, 2);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_lt(log_end(help.log), 2, "what was never synced is gone after a power cut");
    help_fini(&help);
}

Test(log, directories_of_others_are_refused)
{
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    help_append(&help, 1, 100, 0);
    help_flush(&help);
    struct log_set *second;
    cr_assert_eq(log_set_open(help.env, "/data", &help.config, &second), ST_AGAIN);
    struct uuid id = log_set_directory_id(help.set);
    help_crash(&help, true, false);
    help.config.cluster_id = "cluster-2";
    cr_assert_eq(help_try_open(&help), ST_MISMATCH);
    help.config.cluster_id = "cluster-1";
    help.config.node_id = 2;
    cr_assert_eq(help_try_open(&help), ST_MISMATCH);
    help.config.node_id = -1;
    help.config.cluster_id = NULL;
    cr_assert_eq(help_try_open(&help), ST_OK);
    cr_assert_str_eq(log_set_cluster_id(help.set), "cluster-1");
    cr_assert(uuid_equal(log_set_directory_id(help.set), id));
    cr_assert_eq(log_set_adopt(help.set, "cluster-1", 1), ST_OK);
    cr_assert_eq(log_set_adopt(help.set, "cluster-9", 1), ST_MISMATCH);
    help_fini(&help);
}

struct answer {
    enum status status;
    struct log_time_answer found;
};

static void on_time(struct log *log, enum status status, const struct log_time_answer *answer, void *context)
{
    *(struct answer *)context = (struct answer){status, *answer};
}

Test(log, records_are_found_by_time_in_segments_and_tail)
{
    for (int compression = 0; compression < COMPRESSION_COUNT; compression++) {
        struct help help;
        help_init(&help, 1);
        help.compression = (enum compression)compression;
        help_open(&help, true);
        int64_t first = help.timestamp;
        for (int i = 0; i < 60; i++) {
            help_append(&help, 4, 100, 0); // batch i: times first + 1000 i + 0..3, offsets 4 i + 0..3
            if (i < 50)
                help_flush(&help);
        }
        for (int i = 0; i < 60; i++) {
            struct answer answer = {0};
            log_find_by_timestamp(help.log, first + 1000 * i + 2, INT64_MAX, on_time, &answer);
            fake_run(help.env);
            cr_assert_eq(answer.status, ST_OK);
            cr_assert_eq(answer.found.offset, 4 * i + 2, "batch %d gives %lld", i,
                         (long long)answer.found.offset);
            cr_assert_eq(answer.found.timestamp, first + 1000 * i + 2);
        }
        struct answer answer = {0};
        log_find_by_timestamp(help.log, first + 1000 * 59 + 4, INT64_MAX, on_time, &answer);
        fake_run(help.env);
        cr_assert_eq(answer.found.offset, -1);
        log_find_by_timestamp(help.log, first + 5000, 20, on_time, &answer);
        fake_run(help.env);
        cr_assert_eq(answer.found.offset, -1, "not at or above up_to");
        int64_t timestamp, offset;
        log_max_timestamp(help.log, &timestamp, &offset);
        cr_assert_eq(timestamp, first + 59 * 1000 + 3);
        cr_assert_eq(offset, 239);
        help_fini(&help);
    }
}

static void on_read(struct log *log, enum status status, struct piece *piece, const struct log_found *found,
                    void *context)
{
    *(enum status *)context = status;
    piece_release(piece);
}

Test(log, a_flipped_bit_in_a_cold_range_is_reported_not_served)
{
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    for (int i = 0; i < 10; i++)
        help_append(&help, 1, 100, 0);
    help_flush(&help);
    help_close(&help);
    help_open(&help, false);
    fake_file(help.env, "/data/t-0/00000000000000000000.log")->data[70] ^= 1;
    struct log_range range = {.from = 0, .up_to = 10, .max_bytes = 100000, .min_one = true};
    struct piece pieces[LOG_PIECES];
    struct log_found found;
    int count;
    cr_assert_eq(log_read(help.log, &range, pieces, LOG_PIECES, &count, &found), ST_AGAIN);
    enum status status = ST_COUNT;
    log_read_async(help.log, &range, on_read, &status);
    fake_run(help.env);
    cr_assert_eq(status, ST_CORRUPT);
    help_fini(&help);
}

static void append_at(struct help *help, int64_t timestamp)
{
    help->timestamp = timestamp;
    cr_assert_eq(help_append(help, 1, 10, 1), ST_OK);
}

// LogSegment.shouldRoll: by the batches' own times, also across a restart.
Test(log, a_segment_rolls_by_the_time_since_its_first_batch)
{
    struct help help;
    help_init(&help, 1);
    help.config.log.segment_ms = 10000;
    help_open(&help, true);
    append_at(&help, 50000);
    append_at(&help, 60000);
    append_at(&help, 55000);
    cr_assert_eq(help.log->state.count, 1);
    help_close(&help);
    help_open(&help, false);
    append_at(&help, 60000);
    cr_assert_eq(help.log->state.count, 1, "ten seconds are not more than ten seconds");
    fake_advance_ms(help.env, 3600 * 1000);
    append_at(&help, 60000);
    cr_assert_eq(help.log->state.count, 1, "the clock does not matter where batches have times");
    append_at(&help, 60001);
    cr_assert_eq(help.log->state.count, 2);
    append_at(&help, 70001);
    cr_assert_eq(help.log->state.count, 2);
    append_at(&help, 70002);
    cr_assert_eq(help.log->state.count, 3);
    help_fini(&help);
}

Test(log, jitter_is_drawn_per_segment_and_taken_off_its_time)
{
    struct help help;
    int64_t lengths[20], before = 0;
    int rolls = 0, different = 0;
    help_init(&help, 1);
    help.config.log.segment_ms = 100000;
    help.config.log.segment_jitter_ms = 50000;
    help.config.log.segment_bytes = 1 << 20;
    help_open(&help, true);
    for (int64_t now = 0; rolls < 20; now += 1000) {
        int count = help.log->state.count;
        append_at(&help, now);
        help_forget_from(&help, 0);
        if (count > 0 && help.log->state.count > count) {
            lengths[rolls++] = now - before;
            before = now;
        }
    }
    for (int i = 0; i < rolls; i++) {
        cr_assert(lengths[i] > 50000 && lengths[i] <= 101000, "%lld", (long long)lengths[i]);
        different += i > 0 && lengths[i] != lengths[i - 1];
    }
    cr_assert_gt(different, 10);
    help_fini(&help);
}

// TimeIndex.isFull: the last entry is kept for the one at roll, so that no file is larger than allowed.
Test(log, a_full_index_rolls_the_segment)
{
    struct help help;
    help_init(&help, 1);
    help.config.log.index_interval_bytes = 100;
    help.config.log.index_bytes_max = 12 * 5 + 3;
    help.config.log.segment_bytes = 1 << 20;
    help_open(&help, true);
    for (int i = 0; i < 40; i++)
        append_at(&help, 1000 * i);
    help_close(&help);
    help_open(&help, false);
    cr_assert_gt(help.log->state.count, 3);
    cr_assert_eq(help.log->state.segments[1]->base, 9,
                 "four entries, by batches 3, 5, 7 and 9, of five that fit");
    for (int i = 0; i < help.log->state.count; i++) {
        cr_assert_leq(help.log->state.segments[i]->times.entries, 5);
        cr_assert_leq(help.log->state.segments[i]->index.entries, 7);
    }
    help_fini(&help);
}
