// SPDX-License-Identifier: Apache-2.0
// Logs that their disk has failed for a while: when they are read anew, what they have then, and what becomes
// of the journal in between.
#include "log_help.h"

#include "log/journal.h"

#include <criterion/criterion.h>
#include <stdio.h>

static bool allowed;
static int told;

static bool may_heal(struct log *log)
{
    return allowed;
}

static void on_healed(struct log *log)
{
    told++;
}

static int64_t metric_value(struct help *help, const char *name)
{
    for (struct metric *at = help->env->metrics->first; at != NULL; at = at->next)
        if (strcmp(at->name, name) == 0)
            return at->value;
    cr_assert_fail("no metric %s", name);
    return -1;
}

static void start(struct help *help, int64_t journal)
{
    help_init(help, 1);
    help->config.journal_block_bytes = journal;
    help->config.log.segment_bytes = 1 << 20;
    help_open(help, true);
    log_set_heal(help->set, may_heal, on_healed);
    allowed = true;
    told = 0;
    help_append(help, 1, 100, 0);
    help_flush(help);
}

static void fail(struct help *help, bool fails)
{
    fake_break(help->env, "/t-0/", fails);
}

Test(heal, a_failed_log_is_read_from_the_disk_when_that_works_and_its_owner_says_so)
{
    struct help help;
    start(&help, 0);
    help_append(&help, 1, 100, 0);
    fake_of(help.env)->sync_fails = true; // the bytes are in the memory of the kernel
    allowed = false;
    help_flush(&help);
    cr_assert_eq(log_status(help.log), ST_IO);
    fake_advance_ms(help.env, 5000);
    cr_assert_eq(metric_value(&help, "millrace_log_heal_failures_total"), 0, "not tried");
    allowed = true;
    fake_advance_ms(help.env, 500);
    cr_assert_eq(metric_value(&help, "millrace_log_heal_failures_total"), 1);
    cr_assert_eq(log_status(help.log), ST_IO);
    fake_of(help.env)->sync_fails = false;
    fake_advance_ms(help.env, 5000);
    cr_assert_eq(log_status(help.log), ST_OK);
    cr_assert_eq(told, 1);
    cr_assert_eq(log_end(help.log), 1, "what was not synced is not there, whatever the memory says");
    help_forget_from(&help, 1);
    cr_assert_eq(help_append(&help, 2, 100, 1), ST_OK);
    help_flush(&help);
    cr_assert_eq(log_flushed(help.log), 3);
    cr_assert_eq(help_check_content(&help), 2);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_eq(help_check_content(&help), 2);
    help_fini(&help);
}

Test(heal, the_pauses_grow_and_are_bounded)
{
    struct help help;
    start(&help, 0);
    help_append(&help, 1, 100, 0);
    fail(&help, true);
    help_flush(&help);
    for (int i = 0; i < 10 * 60; i++)
        fake_advance_ms(help.env, 1000);
    int64_t tries = metric_value(&help, "millrace_log_heal_failures_total");
    cr_assert_geq(tries, 6 + 7); // 1, 2, 4, ... 32 seconds, and every minute
    cr_assert_leq(tries, 6 + 10);
    cr_assert_eq(metric_value(&help, "millrace_log_offline"), 1);
    fail(&help, false);
    for (int i = 0; i < 61; i++)
        fake_advance_ms(help.env, 1000);
    cr_assert_eq(log_status(help.log), ST_OK);
    cr_assert_eq(metric_value(&help, "millrace_log_offline"), 0);
    cr_assert_eq(metric_value(&help, "millrace_log_healed_total"), 1);
    help_fini(&help);
}

// The journal's sync fails: nothing of the directory can be trusted. What was acknowledged before is in the
// journal or in segments; what was not is gone.
Test(heal, a_directory_that_failed_as_a_whole_comes_back_with_all_its_logs)
{
    struct help help;
    struct uuid id = {{0x99, 0x55, 0xaa, 0x66}}; // not one flipped bit away from the other's
    struct log *other;
    start(&help, 5 * JOURNAL_PAGE);
    cr_assert_eq(log_create(help.set, "o-0", id, &help.config.log, &other), ST_OK);
    help_append_to(&help, other, 1, 50, 0);
    help_append(&help, 2, 50, 0);
    help_flush(&help);
    cr_assert_eq(log_flushed(help.log), 3);
    help_append(&help, 1, 50, 0);
    fake_of(help.env)->sync_fails = true;
    help_flush(&help);
    cr_assert_eq(log_set_status(help.set), ST_IO);
    cr_assert_eq(log_status(other), ST_IO, "it fails with its directory");
    fake_advance_ms(help.env, 5000);
    cr_assert_eq(log_set_status(help.set), ST_IO);
    fake_of(help.env)->sync_fails = false;
    fake_advance_ms(help.env, 10000);
    cr_assert_eq(log_set_status(help.set), ST_OK, "%s", fake_of(help.env)->last_line);
    fake_advance_ms(help.env, 10000);
    cr_assert_eq(log_status(help.log), ST_OK);
    cr_assert_eq(log_status(other), ST_OK);
    cr_assert_eq(told, 2);
    cr_assert_eq(metric_value(&help, "millrace_log_offline"), 0);
    cr_assert_geq(log_end(help.log), 3);
    cr_assert_eq(log_end(other), 1);
    help_forget_from(&help, log_end(help.log));
    for (int i = 0; i < 20; i++) { // all blocks of the journal are used again
        cr_assert_eq(help_append(&help, 1, 100, 1), ST_OK);
        cr_assert_eq(help_append_to(&help, other, 1, 50, 1), ST_OK);
        help_flush(&help);
    }
    int count = help_check_content(&help);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_eq(help_check_content(&help), count);
    help_fini(&help);
}

// The journal's sync fails behind what it has made durable, and nothing else of the log is in the journal.
Test(heal, a_group_that_came_to_nothing_is_not_replayed_over_what_came_later)
{
    struct help help;
    start(&help, 5 * JOURNAL_PAGE);
    fake_of(help.env)->syncs_late = 1;
    help_append(&help, 1, 50, 0);
    help_flush(&help);
    cr_assert_eq(log_set_status(help.set), ST_IO);
    for (int i = 0; i < 10; i++)
        fake_advance_ms(help.env, 1000);
    cr_assert_eq(log_status(help.log), ST_OK);
    help_forget_from(&help, log_end(help.log));
    cr_assert_eq(help_append(&help, 64, 8000, 1), ST_OK); // to the segment directly
    help_flush(&help);
    cr_assert_eq(help.acked, log_end(help.log));
    int count = help.count;
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_eq(help_check_content(&help), count);
    help_fini(&help);
}

static void on_round(struct log *log, enum status status)
{
    (void)log;
    (void)status;
}

// What comes next does not fit behind such a group, and finds room in the next block.
Test(heal, nothing_joins_a_journal_that_has_failed)
{
    struct help help;
    struct log *other;
    start(&help, 5 * JOURNAL_PAGE);
    cr_assert_eq(log_create(help.set, "o-0", (struct uuid){{9}}, &help.config.log, &other), ST_OK);
    for (int i = 0; i < 3; i++) {
        help_append_to(&help, other, 1, 50, 0);
        help_flush(&help);
    }
    fake_of(help.env)->syncs_late = 1;
    help_append(&help, 1, 50, 0);
    log_flush(help.set, on_round);
    help_append_to(&help, other, 2, 5000, 0);
    help_flush(&help);
    cr_assert_eq(log_set_status(help.set), ST_IO);
    int64_t flushed = log_flushed(other);
    cr_assert_eq(flushed, 5);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_geq(log_end(log_set_find(help.set, "o-0")), flushed);
    help_fini(&help);
}

// Four segments, and something in the journal.
static void fill_segments(struct help *help)
{
    start(help, 5 * JOURNAL_PAGE);
    help->config.log.segment_bytes = 1;
    log_configure(help->log, &help->config.log);
    for (int i = 0; i < 3; i++)
        help_append(help, 1, 50, 0);
    help_flush(help);
    help->config.log.segment_bytes = 1 << 20;
    log_configure(help->log, &help->config.log);
    help_append(help, 1, 50, 0);
    help_flush(help);
    log_attach(help->log, NULL);
}

static void make_anew(struct help *help, struct uuid id)
{
    cr_assert_eq(log_create(help->set, "t-0", id, &help->config.log, &help->log), ST_OK);
    help->count = 0;
    help->acked = 0;
    cr_assert_eq(help_append(help, 1, 100, 5), ST_OK);
}

static bool count_stray(const char *name, void *context)
{
    int *count = context;
    *count += strstr(name, "-stray") != NULL;
    return true;
}

// The directory fails before the old one's files are out of the way. Also when another one of the name comes
// and goes meanwhile.
Test(heal, a_log_has_nothing_of_one_of_its_name_whose_removal_has_failed)
{
    struct uuid id = {{0x99, 0x55, 0xaa, 0x66}};
    for (int twice = 0; twice < 2; twice++) {
        struct help help;
        int strays = 0;
        fill_segments(&help);
        fake_break(help.env, "millrace-journal", true);
        (twice ? log_set_aside : log_delete)(help.log, help_on_done, &help);
        make_anew(&help, (struct uuid){{twice ? 0x77 : 0x99, 0x55, 0xaa, 0x66}});
        if (twice) {
            log_delete(help.log, help_on_done, &help);
            make_anew(&help, id);
        }
        log_attach(help.log, &help);
        help_flush(&help);
        cr_assert_eq(log_set_status(help.set), ST_IO);
        int opens = fake_of(help.env)->opens;
        for (int i = 0; i < 20; i++)
            fake_advance_ms(help.env, 1000);
        cr_assert_leq(fake_of(help.env)->opens - opens, 10, "it is not tried while its directory fails");
        cr_assert_eq(log_status(help.log), ST_IO);
        cr_assert_eq(help.acked, 0);
        fake_break(help.env, "millrace-journal", false);
        for (int i = 0; i < 60; i++)
            fake_advance_ms(help.env, 1000);
        cr_assert_eq(help.done_calls, 1 + twice);
        cr_assert_eq(help.done, ST_OK);
        cr_assert_eq(log_status(help.log), ST_OK);
        cr_assert_eq(log_end(help.log), 0);
        help.count = 0;
        for (int i = 0; i < 2; i++) {
            cr_assert_eq(help_append(&help, 1, 100, 5), ST_OK);
            help_flush(&help);
        }
        cr_assert_eq(help.acked, 2);
        help_crash(&help, true, false);
        help_open(&help, false);
        cr_assert(uuid_equal(log_id(help.log), id));
        cr_assert_eq(help_check_content(&help), 2);
        cr_assert_eq(path_list(help.env, "/data", count_stray, &strays), ST_OK);
        cr_assert_eq(strays, twice);
        help_fini(&help);
    }
}

Test(heal, a_directory_waits_until_its_owner_may_have_it_back)
{
    struct help help;
    start(&help, 5 * JOURNAL_PAGE);
    help_append(&help, 1, 50, 0);
    fake_of(help.env)->sync_fails = true;
    allowed = false;
    help_flush(&help);
    fake_of(help.env)->sync_fails = false;
    fake_advance_ms(help.env, 20000);
    cr_assert_eq(log_set_status(help.set), ST_OK);
    cr_assert_eq(log_status(help.log), ST_IO, "followers may have what is not here");
    allowed = true;
    fake_advance_ms(help.env, 5000);
    cr_assert_eq(log_status(help.log), ST_OK);
    help_fini(&help);
}

// Four batches acknowledged, three of them in the journal only, and the write-back of those has failed.
static struct log *fail_write_back(struct help *help)
{
    struct uuid id = {{9}};
    struct log *other;
    start(help, 5 * JOURNAL_PAGE);
    cr_assert_eq(log_create(help->set, "o-0", id, &help->config.log, &other), ST_OK);
    help_append_to(help, other, 1, 50, 0);
    help_flush(help);
    help_append(help, 3, 50, 0);
    help_append_to(help, other, 1, 50, 0);
    help_flush(help);
    cr_assert_eq(log_flushed(help->log), 4);
    cr_assert_eq(log_written(help->log), 1);
    fail(help, true);
    fake_advance_ms(help->env, 200);
    cr_assert_eq(log_status(help->log), ST_IO);
    return other;
}

static void append_much(struct help *help, struct log *other)
{
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(help_append_to(help, other, 1, 50, 0), ST_OK);
        help_flush(help);
        cr_assert_leq(metric_value(help, "millrace_log_journal_blocks"), JOURNAL_BLOCKS);
    }
    cr_assert_eq(log_flushed(other), log_end(other));
}

Test(heal, the_journal_keeps_what_a_failed_log_has_only_there)
{
    for (int restarts = 0; restarts < 2; restarts++) {
        struct help help;
        struct log *other = fail_write_back(&help);
        append_much(&help, other);
        fail(&help, false);
        if (restarts) {
            help_crash(&help, true, false);
            help_open(&help, false);
        } else {
            fake_advance_ms(help.env, 5000);
            cr_assert_eq(told, 1);
        }
        cr_assert_eq(log_status(help.log), ST_OK);
        cr_assert_not(log_lost(help.log));
        cr_assert_eq(log_end(help.log), 4);
        cr_assert_eq(help_check_content(&help), 2);
        if (!restarts)
            append_much(&help, other); // its blocks go round again
        help_fini(&help);
    }
}

// A full journal has room for what is void, also when it must be kept for a log that the disk fails.
Test(heal, a_truncation_of_another_log_finds_room_in_the_journal_and_nothing_is_lost)
{
    for (int restarts = 0; restarts < 2; restarts++) {
        struct help help;
        struct log *other = fail_write_back(&help);
        append_much(&help, other);
        log_truncate(other, 1, help_on_done, &help);
        fake_advance_ms(help.env, 1000);
        cr_assert_eq(help.done_calls, 1);
        cr_assert_eq(help.done, ST_OK);
        append_much(&help, other);
        fail(&help, false);
        if (restarts) {
            help_crash(&help, true, false);
            help_open(&help, false);
        } else {
            fake_advance_ms(help.env, 5000);
        }
        cr_expect_eq(log_status(help.log), ST_OK);
        cr_expect_eq(log_end(help.log), 4);
        cr_expect_eq(help_check_content(&help), 2);
        cr_expect_eq(log_end(log_set_find(help.set, "o-0")), 101);
        help_fini(&help);
    }
}

// The second of two truncations finds no room behind the first one's entry; the failed log holds all of it.
static void truncate_two(struct help *help)
{
    struct log *others[2];
    others[0] = fail_write_back(help);
    cr_assert_eq(log_create(help->set, "p-0", (struct uuid){{10}}, &help->config.log, &others[1]), ST_OK);
    help_append_to(help, others[1], 2, 50, 0);
    help_flush(help); // makes its segment
    help_append_to(help, others[1], 2, 50, 0);
    help_flush(help); // into the journal
    append_much(help, others[0]);
    for (int i = 0; i < 2; i++)
        log_truncate(others[i], 1, help_on_done, help);
    for (int i = 0; i < 10; i++)
        fake_advance_ms(help->env, 1000);
    cr_assert_eq(help->done_calls, 1);
}

Test(heal, a_truncation_that_finds_no_room_waits_for_the_failed_log_to_be_back)
{
    struct help help;
    truncate_two(&help);
    fail(&help, false);
    for (int i = 0; i < 20; i++)
        fake_advance_ms(help.env, 1000);
    cr_expect_eq(log_status(help.log), ST_OK);
    cr_expect_eq(help_check_content(&help), 2);
    cr_expect_eq(help.done_calls, 2);
    cr_expect_eq(help.done, ST_OK);
    help_fini(&help);
}

Test(heal, a_failed_log_on_its_way_out_keeps_no_room_from_others)
{
    struct help help;
    truncate_two(&help);
    log_delete(help.log, help_on_done, &help);
    for (int i = 0; i < 10; i++)
        fake_advance_ms(help.env, 1000);
    cr_assert_eq(help.done_calls, 3);
    cr_assert_eq(help.done, ST_OK);
    help_crash(&help, true, false);
    help.count = 0;
    help_open(&help, true);
    cr_expect_eq(log_end(help.log), 0, "a new one");
    help_fini(&help);
}

// The one made anew has failed with its directory, which is back before there is room for the removal.
Test(heal, a_log_has_nothing_of_one_of_its_name_whose_removal_waits_for_room)
{
    struct help help;
    struct log *log;
    char name[16];
    truncate_two(&help);
    log_delete(log_set_find(help.set, "p-0"), help_on_done, &help);
    cr_assert_eq(log_create(help.set, "p-0", (struct uuid){{11}}, &help.config.log, &log), ST_OK);
    fake_of(help.env)->sync_fs_fails = true;
    for (int i = 0; i <= help.config.sync_each_max; i++) {
        struct log *other;
        snprintf(name, sizeof name, "q-%d", i);
        cr_assert_eq(log_create(help.set, name, (struct uuid){{12}}, &help.config.log, &other), ST_OK);
        help_append_to(&help, other, 1, 50, 0);
    }
    help_flush(&help);
    cr_assert_eq(log_set_status(help.set), ST_IO);
    fake_of(help.env)->sync_fs_fails = false;
    for (int i = 0; i < 20; i++)
        fake_advance_ms(help.env, 1000);
    cr_assert_eq(log_set_status(help.set), ST_OK);
    cr_assert_eq(help.done_calls, 1);
    fail(&help, false);
    for (int i = 0; i < 100; i++)
        fake_advance_ms(help.env, 1000);
    cr_expect_eq(help.done_calls, 3);
    cr_expect_eq(log_status(log), ST_OK);
    cr_expect_eq(log_end(log), 0);
    help_fini(&help);
}

Test(heal, a_failed_log_can_be_removed_from_a_full_journal)
{
    struct help help;
    struct log *other = fail_write_back(&help);
    append_much(&help, other);
    log_delete(help.log, help_on_done, &help);
    fake_advance_ms(help.env, 1000);
    cr_assert_eq(help.done_calls, 1);
    cr_assert_eq(help.done, ST_OK);
    cr_assert_eq(metric_value(&help, "millrace_log_offline"), 0);
    append_much(&help, other); // its blocks go round again
    help_crash(&help, true, false);
    help.count = 0;
    help_open(&help, true);
    cr_expect_eq(log_end(help.log), 0, "a new one");
    help_fini(&help);
}

// The job that reads it anew is submitted and has not run.
static void begin_to_heal(struct help *help)
{
    help_append(help, 1, 100, 0);
    fail(help, true);
    help_flush(help);
    cr_assert_eq(log_status(help->log), ST_IO);
    fail(help, false);
    for (int i = 0; i < 10; i++) {
        fake_of(help->env)->now_us += 200000;
        while (fake_fire(help->env))
            ;
    }
}

Test(heal, a_log_removed_while_it_is_read_is_gone)
{
    struct help help;
    start(&help, 0);
    begin_to_heal(&help);
    log_delete(help.log, help_on_done, &help);
    fake_advance_ms(help.env, 5000);
    cr_assert_eq(help.done_calls, 1);
    cr_assert_eq(help.done, ST_OK);
    cr_assert_eq(told, 0);
    cr_assert_null(log_set_find(help.set, "t-0"));
    cr_assert_eq(metric_value(&help, "millrace_log_offline"), 0);
    help_fini(&help);
}

Test(heal, a_log_that_leads_when_it_has_been_read_stays_offline)
{
    struct help help;
    start(&help, 0);
    begin_to_heal(&help);
    allowed = false;
    fake_advance_ms(help.env, 0);
    cr_assert_eq(told, 0);
    cr_assert_eq(log_status(help.log), ST_IO);
    allowed = true;
    for (int i = 0; i < 5; i++)
        fake_advance_ms(help.env, 1000);
    cr_assert_eq(told, 1);
    cr_assert_eq(log_status(help.log), ST_OK);
    cr_assert_eq(log_end(help.log), 1);
    help_fini(&help);
}

Test(heal, a_log_that_fails_again_while_it_is_read_is_tried_again)
{
    struct help help;
    start(&help, 0);
    begin_to_heal(&help);
    fail(&help, true);
    fake_advance_ms(help.env, 0);
    cr_assert_eq(log_status(help.log), ST_IO);
    cr_assert_eq(metric_value(&help, "millrace_log_heal_failures_total"), 1);
    fail(&help, false);
    for (int i = 0; i < 5; i++)
        fake_advance_ms(help.env, 1000);
    cr_assert_eq(log_status(help.log), ST_OK);
    cr_assert_eq(log_end(help.log), 1);
    help_fini(&help);
}

// Its file may hold what the disk has not: the next start must not take the kernel's word for it.
Test(heal, a_stop_with_a_log_whose_first_write_failed_is_no_clean_one)
{
    struct help help;
    struct log *other;
    start(&help, 0);
    cr_assert_eq(log_create(help.set, "t-1", (struct uuid){{8}}, &help.config.log, &other), ST_OK);
    fake_break(help.env, "/t-1/", true);
    cr_assert_eq(help_append_to(&help, other, 1, 50, 1), ST_OK);
    help_flush(&help);
    cr_assert_eq(log_status(other), ST_IO);
    fake_break(help.env, "/t-1/", false);
    help_close(&help);
    cr_expect_eq(help.done, ST_IO);
    help_open(&help, false);
    cr_expect_not(log_set_was_clean(help.set));
    cr_expect_eq(help_check_content(&help), 1);
    help_fini(&help);
}

Test(heal, a_log_that_a_start_could_not_read_is_back_as_its_checkpoints_say)
{
    struct help help;
    start(&help, 0);
    help.config.log.segment_bytes = 400;
    log_configure(help.log, &help.config.log);
    for (int i = 0; i < 4; i++)
        help_append(&help, 1, 100, i);
    help_flush(&help);
    log_note_high_watermark(help.log, 4);
    log_raise_start(help.log, 2, NULL, NULL);
    log_set_checkpoint(help.set, NULL, NULL);
    fake_run(help.env);
    help_append(&help, 1, 100, 4);
    help_flush(&help);
    help_crash(&help, true, false);
    fail(&help, true);
    cr_assert_eq(help_try_open(&help), ST_OK);
    help.log = log_set_find(help.set, "t-0");
    log_set_heal(help.set, may_heal, on_healed);
    cr_assert_eq(log_status(help.log), ST_IO);
    log_set_checkpoint(help.set, NULL, NULL); // which must go on saying what is known
    fake_advance_ms(help.env, 2000);
    help_crash(&help, true, false);
    fail(&help, true);
    cr_assert_eq(help_try_open(&help), ST_OK);
    help.log = log_set_find(help.set, "t-0");
    log_set_heal(help.set, may_heal, on_healed);
    fail(&help, false);
    for (int i = 0; i < 5; i++)
        fake_advance_ms(help.env, 1000);
    cr_assert_eq(log_status(help.log), ST_OK);
    cr_assert_eq(log_end(help.log), 6);
    cr_assert_eq(log_start(help.log), 2);
    cr_assert_eq(log_high_watermark(help.log), 4);
    cr_assert_eq(log_last_epoch(help.log), 4);
    cr_assert_eq(log_epoch_at(help.log, 3), 2);
    help_fini(&help);
}

// It cannot be cut where the leader says: what is behind the damage is fetched from the leader instead.
Test(heal, a_truncation_that_meets_damage_drops_it)
{
    enum { MAGIC_AT = 16 };
    struct help help;
    start(&help, 0);
    int64_t second = log_size(help.log);
    help_append(&help, 1, 100, 0);
    help_append(&help, 1, 100, 0);
    help_flush(&help);
    log_set_checkpoint(help.set, NULL, NULL);
    fake_run(help.env);
    fake_file(help.env, "/data/t-0/00000000000000000000.log")->data[second + MAGIC_AT] ^= 0x40;
    log_truncate(help.log, 2, help_on_done, &help);
    fake_run(help.env);
    cr_assert_eq(help.done, ST_CORRUPT);
    cr_assert_eq(log_status(help.log), ST_CORRUPT);
    for (int i = 0; i < 5; i++)
        fake_advance_ms(help.env, 1000);
    cr_assert_eq(log_status(help.log), ST_OK);
    cr_assert_not(log_lost(help.log));
    cr_assert_eq(log_end(help.log), 1);
    help_forget_from(&help, 1);
    help_append(&help, 2, 100, 1);
    help_flush(&help);
    cr_assert_eq(help_check_content(&help), 2);
    help_fini(&help);
}

Test(heal, a_cut_that_failed_at_its_sync_is_made_again)
{
    struct help help;
    start(&help, 0);
    help.config.log.segment_bytes = 1; // the next batch begins a segment, of which the cut leaves nothing
    log_configure(help.log, &help.config.log);
    help_append(&help, 2, 100, 0);
    help_flush(&help);
    fake_break(help.env, ".log", true); // the cut itself works
    log_truncate(help.log, 1, help_on_done, &help);
    fake_run(help.env);
    cr_assert_eq(help.done, ST_IO);
    fake_break(help.env, ".log", false);
    fake_advance_ms(help.env, 1500);
    cr_assert_eq(log_status(help.log), ST_OK);
    cr_assert_eq(log_end(help.log), 1);
    help_forget_from(&help, 1);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_eq(log_end(help.log), 1, "what was cut came back");
    cr_assert_eq(help_check_content(&help), 1);
    help_fini(&help);
}

Test(heal, epochs_younger_than_their_file_are_known)
{
    struct help help;
    start(&help, 0);
    help.config.log.segment_bytes = 1000; // a segment and more for each
    log_configure(help.log, &help.config.log);
    for (int epoch = 1; epoch < 5; epoch++) {
        for (int i = 0; i < 6; i++)
            help_append(&help, 1, 200, epoch);
        help_flush(&help);
        if (epoch == 1)
            log_set_checkpoint(help.set, NULL, NULL);
        fake_run(help.env);
    }
    int64_t end = log_end(help.log), epoch_end;
    int32_t epoch;
    help_append(&help, 1, 200, 5);
    fail(&help, true);
    help_flush(&help);
    fail(&help, false);
    fake_advance_ms(help.env, 5000);
    cr_assert_eq(told, 1);
    cr_assert_eq(log_end(help.log), end);
    for (int32_t wanted = 1; wanted < 5; wanted++) {
        log_epoch_end(help.log, wanted, &epoch, &epoch_end);
        cr_assert_eq(epoch, wanted);
        cr_assert_eq(epoch_end, 1 + 6 * wanted);
    }
    help_fini(&help);
}
