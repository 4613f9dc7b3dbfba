// SPDX-License-Identifier: Apache-2.0
// The journal by itself: what a round of many logs costs, when it is passed by, what damage in it means, and
// that nothing of it is left after a clean stop. Accidents at every step are test_crash.c.
#include "log_help.h"

#include "log/internal.h"
#include "log/journal.h"
#include "log/replay.h"

#include <criterion/criterion.h>
#include <stdio.h>

static int64_t metric_value(struct help *help, const char *name)
{
    for (struct metric *at = help->env->metrics->first; at != NULL; at = at->next)
        if (strcmp(at->name, name) == 0)
            return at->value;
    cr_assert_fail("no metric %s", name);
    return -1;
}

static struct buf *block_file(struct help *help, int index)
{
    char path[64];
    snprintf(path, sizeof path, "/data/%s", journal_file_name(index).text);
    return fake_file(help->env, path);
}

static void start(struct help *help)
{
    help_init(help, 1);
    help->config.log.segment_bytes = 1 << 20;
    help_open(help, true);
    help_append(help, 1, 50, 1);
    help_flush(help); // its files are there: what follows may go to the journal
}

Test(journal, a_round_of_many_logs_costs_one_sync)
{
    enum { LOGS = 40 };
    struct help help;
    struct log *logs[LOGS];
    start(&help);
    for (int round = 0; round < 2; round++) {
        int64_t syncs = metric_value(&help, "millrace_log_syncs_total");
        for (int i = 0; i < LOGS; i++) {
            char name[24];
            struct uuid id = {{9}};
            snprintf(name, sizeof name, "many-%d", i);
            if (round == 0)
                cr_assert_eq(log_create(help.set, name, id, &help.config.log, &logs[i]), ST_OK);
            help_append_to(&help, logs[i], 1, 20, 1);
        }
        help_flush(&help);
        for (int i = 0; i < LOGS; i++)
            cr_assert_eq(log_flushed(logs[i]), round + 1);
        if (round == 1)
            cr_assert_eq(metric_value(&help, "millrace_log_syncs_total") - syncs, 1);
    }
    cr_assert_eq(log_written(logs[0]), 1, "the second batch is in the journal only");
    fake_advance_ms(help.env, 200);
    cr_assert_eq(log_written(logs[0]), 2);
    cr_assert_eq(metric_value(&help, "millrace_log_backlog_bytes"), 0);
    help_fini(&help);
}

// Into the journal alone, a bit under 200 KB.
static void journal_some(struct help *help)
{
    help_append(help, 24, 8000, 1);
    help_flush(help);
}

Test(journal, much_goes_to_the_segments_when_it_has_waited_a_little_or_is_very_much)
{
    struct help help;
    help_init(&help, 1);
    help.config.journal_block_bytes = 8 << 20;
    help.config.log.segment_bytes = 8 << 20;
    help_open(&help, true);
    help_append(&help, 1, 50, 1);
    help_flush(&help);
    int64_t written = log_written(help.log);
    journal_some(&help);
    journal_some(&help);
    cr_assert_eq(log_flushed(help.log), log_end(help.log));
    cr_assert_eq(log_written(help.log), written, "much, but just now");
    fake_advance_ms(help.env, LOG_BACKLOG_SOON_MS - 1);
    help_append(&help, 1, 50, 1);
    help_flush(&help);
    cr_assert_eq(log_written(help.log), written);
    fake_advance_ms(help.env, 1);
    help_append(&help, 1, 50, 1);
    help_flush(&help);
    cr_assert_gt(log_written(help.log), written);
    written = log_written(help.log);
    for (int i = 0; i < 5; i++)
        journal_some(&help);
    cr_assert_eq(log_written(help.log), written, "not yet 1 MiB");
    journal_some(&help);
    cr_assert_gt(log_written(help.log), written);
    help_fini(&help);
}

Test(journal, large_appends_pass_it_by)
{
    struct help help;
    start(&help);
    int64_t before = metric_value(&help, "millrace_log_journal_bytes_total");
    for (int i = 0; i < 5; i++)
        help_append(&help, 8, 8000, 1);
    help_flush(&help);
    cr_assert_eq(metric_value(&help, "millrace_log_journal_bytes_total"), before);
    cr_assert_eq(log_written(help.log), log_end(help.log));
    help_fini(&help);
}

// Each piece but the last, which the sync behind it begins with at once.
Test(journal, the_disk_begins_with_a_large_append_before_all_of_it_is_written)
{
    enum { BATCHES = 40, PIECE = 1 << 20 };
    struct help help;
    help_init(&help, 1);
    help.config.log.segment_bytes = 8 << 20;
    help_open(&help, true);
    for (int i = 0; i < BATCHES; i++)
        cr_assert_eq(help_append(&help, 8, 8000, 1), ST_OK);
    help_flush(&help);
    cr_assert_geq(fake_of(help.env)->written_out, 2 * PIECE);
    cr_assert_lt(fake_of(help.env)->written_out, BATCHES * 8 * 8000);
    cr_assert_eq(help_check_content(&help), BATCHES);
    int64_t before = fake_of(help.env)->written_out;
    for (int i = 0; i < BATCHES / 4; i++)
        help_append(&help, 8, 8000, 1);
    help_flush(&help);
    cr_assert_eq(fake_of(help.env)->written_out, before, "one piece is all there is");
    help_fini(&help);
}

Test(journal, without_one_everything_goes_to_the_segments)
{
    struct help help;
    help_init(&help, 1);
    help.config.journal_block_bytes = 0;
    help_open(&help, true);
    for (int i = 0; i < 3; i++) {
        help_append(&help, 1, 50, 1);
        help_flush(&help);
        cr_assert_eq(log_written(help.log), log_end(help.log));
    }
    cr_assert_null(block_file(&help, 1));
    help_fini(&help);
}

Test(journal, its_blocks_go_round_and_their_number_is_bounded)
{
    struct help help;
    start(&help);
    for (int i = 0; i < 100; i++) {
        help_append(&help, 1, 50, 1);
        help_flush(&help);
        cr_assert_leq(metric_value(&help, "millrace_log_journal_blocks"), JOURNAL_BLOCKS);
    }
    cr_assert_eq(log_flushed(help.log), 101);
    cr_assert_eq(help_check_content(&help), 101);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_eq(help_check_content(&help), 101);
    help_fini(&help);
}

// The journal's next block cannot be made: appends are durable all the same, and it is made later.
Test(journal, a_full_disk_keeps_its_blocks_from_being_made_for_a_while_only)
{
    struct help help;
    help_init(&help, 1);
    help.config.free_bytes_min = 0;
    help_open(&help, true);
    fake_of(help.env)->space = 3 * JOURNAL_PAGE; // less than a block
    help_append(&help, 1, 50, 1);
    help_flush(&help);
    help_append(&help, 1, 50, 1);
    help_flush(&help);
    cr_assert_eq(log_flushed(help.log), 2);
    cr_assert_eq(log_written(help.log), 2);
    cr_assert_eq(metric_value(&help, "millrace_log_journal_bytes_total"), 0);
    fake_of(help.env)->space = -1;
    fake_advance_ms(help.env, 1500);
    for (int i = 0; i < 2; i++) { // the first finds it missing
        help_append(&help, 1, 50, 1);
        help_flush(&help);
    }
    cr_assert_gt(metric_value(&help, "millrace_log_journal_bytes_total"), 0);
    cr_assert_eq(help_check_content(&help), 4);
    help_fini(&help);
}

// What the journal alone has cannot go to its segment: the start says why and keeps it, and the next one has it.
Test(journal, a_start_without_room_keeps_what_it_has)
{
    struct help help;
    start(&help);
    for (int i = 0; i < 3; i++) {
        help_append(&help, 1, 1000, 1);
        help_flush(&help);
    }
    cr_assert_eq(log_flushed(help.log), 4);
    help_crash(&help, true, false);
    fake_of(help.env)->space = 500;
    cr_assert_eq(help_try_open(&help), ST_NO_SPACE);
    cr_assert_not_null(strstr(fake_of(help.env)->last_line, "no room for what the journal holds"));
    fake_of(help.env)->space = -1;
    help_open(&help, false);
    cr_assert_eq(help_check_content(&help), 4);
    help_fini(&help);
}

Test(journal, a_clean_stop_leaves_nothing_of_it)
{
    struct help help;
    start(&help);
    help_append(&help, 1, 50, 1);
    help_flush(&help);
    cr_assert_not_null(block_file(&help, 1));
    help_close(&help);
    cr_assert_eq(help.done, ST_OK);
    for (int i = 0; i < JOURNAL_BLOCKS; i++)
        cr_assert_null(block_file(&help, i));
    help_open(&help, false);
    cr_assert(log_set_was_clean(help.set));
    cr_assert_eq(help_check_content(&help), 2);
    help_fini(&help);
}

static const char segment[] = "/data/t-0/00000000000000000000.log";

// The disk fails the segment, not the journal: that is the only place that has what was acknowledged.
Test(journal, what_only_it_has_of_a_failed_log_outlives_many_rounds_of_others)
{
    struct help help;
    struct log *other;
    start(&help);
    struct uuid id = {{8}};
    cr_assert_eq(log_create(help.set, "t-1", id, &help.config.log, &other), ST_OK);
    help_append(&help, 1, 50, 1);
    help_flush(&help);
    cr_assert_eq(log_flushed(help.log), 2);
    fake_break(help.env, segment, true);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(help_append_to(&help, other, 1, 50, 1), ST_OK);
        help_flush(&help);
        cr_assert_eq(log_flushed(other), i + 1);
    }
    cr_assert_eq(log_status(help.log), ST_IO);
    help_crash(&help, true, false);
    fake_break(help.env, segment, false);
    help_open(&help, false);
    cr_expect_eq(log_status(help.log), ST_OK);
    cr_expect_eq(help_check_content(&help), 2);
    cr_expect_eq(log_end(log_set_find(help.set, "t-1")), 100);
    help_fini(&help);
}

// ... or at a start, which then is none: without its journal the next one would have less.
Test(journal, it_is_kept_for_a_log_that_cannot_take_it)
{
    struct help help;
    start(&help);
    help_append(&help, 1, 50, 1);
    help_flush(&help);
    help_crash(&help, true, false);
    fake_break(help.env, segment, true);
    cr_assert_eq(help_try_open(&help), ST_IO);
    help_crash(&help, true, false);
    fake_break(help.env, segment, false);
    help_open(&help, false);
    cr_expect_eq(help_check_content(&help), 2);
    help_fini(&help);
}

Test(journal, a_failed_sync_of_it_takes_the_directory_offline)
{
    struct help help;
    start(&help);
    help_append(&help, 1, 50, 1);
    help_flush(&help);
    fake_of(help.env)->sync_fails = true;
    help_append(&help, 1, 50, 1);
    help_flush(&help);
    cr_assert_eq(log_flushed(help.log), 2);
    cr_assert_eq(log_set_status(help.set), ST_IO);
    fake_of(help.env)->sync_fails = false;
    cr_assert_eq(help_append(&help, 1, 50, 1), ST_IO);
    help_fini(&help);
}

// Four groups of one batch each in the first block; the crash leaves them there.
static void leave_groups(struct help *help)
{
    start(help);
    for (int i = 0; i < 4; i++) {
        help_append(help, 1, 50, 1);
        help_flush(help);
    }
    help_crash(help, true, false);
}

Test(journal, a_flipped_byte_is_never_served_nor_taken_for_the_end)
{
    enum { USED = 200 }; // of a group's page
    for (int group = 0; group < 4; group++)
        for (int at = 0; at < USED; at++) {
            struct help help;
            leave_groups(&help);
            struct buf *file = block_file(&help, 1);
            file->data[JOURNAL_PAGE * (1 + group) + at] ^= 0x10;
            enum status status = help_try_open(&help);
            if (group < 3) {
                cr_assert(status == ST_CORRUPT, "byte %d of group %d: %s", at, group, status_name(status));
                help_fini(&help);
                continue;
            }
            // The last one cannot be told from a torn write that nobody was promised; unused bytes do not
            // count.
            cr_assert_eq(status, ST_OK);
            cr_assert_geq(log_end(help.log), 4);
            help_check_content(&help);
            help_fini(&help);
        }
}

Test(journal, a_damaged_header_of_a_block_is_noticed)
{
    struct help help;
    leave_groups(&help);
    struct buf *file = block_file(&help, 1);
    file->data[20] ^= 1; // the second copy counts
    cr_assert_eq(help_try_open(&help), ST_OK);
    log_attach(help.log, &help);
    cr_assert_eq(help_check_content(&help), 5);
    help_fini(&help);
    leave_groups(&help);
    file = block_file(&help, 1);
    file->data[20] ^= 1;
    file->data[JOURNAL_COPY + 20] ^= 1;
    cr_assert_eq(help_try_open(&help), ST_CORRUPT);
    help_fini(&help);
}

Test(journal, what_it_held_of_a_segment_that_is_gone_makes_the_log_lost)
{
    struct help help;
    leave_groups(&help);
    cr_assert_eq(path_unlink(help.env, "/data/t-0/00000000000000000000.log"), ST_OK);
    cr_assert_eq(help_try_open(&help), ST_OK);
    cr_assert(log_lost(help.log));
    help_crash(&help, false, false);
    cr_assert_eq(help_try_open(&help), ST_OK);
    cr_assert(log_lost(help.log), "it is remembered without the journal");
    help_fini(&help);
}

Test(journal, a_log_made_anew_is_not_given_what_its_forerunner_had)
{
    struct help help;
    start(&help);
    help_append(&help, 3, 50, 1);
    help_flush(&help); // in the journal only
    log_delete(help.log, help_on_done, &help);
    fake_run(help.env);
    cr_assert_eq(help.done, ST_OK);
    struct uuid id = {{7}}; // the same topic comes back to this node
    cr_assert_eq(log_create(help.set, "t-0", id, &help.config.log, &help.log), ST_OK);
    log_attach(help.log, &help);
    help.count = 0;
    help_append(&help, 1, 70, 2);
    help_flush(&help);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_eq(log_end(help.log), 1);
    cr_assert_eq(help_check_content(&help), 1);
    help_fini(&help);
}
