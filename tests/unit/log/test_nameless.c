// SPDX-License-Identifier: Apache-2.0
// Directories of partitions whose partition.metadata cannot be read, where no manifest tells of them: the
// journal may say whose they are, or the owner of the set does; else they are lost, and stay. Others start.
#include "log_help.h"

#include <criterion/criterion.h>

static const struct uuid id = {{7}}, other_id = {{9}};
static const char metadata[] = "/data/t-0/partition.metadata";

static struct log *log_add(struct help *help, const char *name, struct uuid of)
{
    struct log *log;
    cr_assert_eq(log_create(help->set, name, of, &help->config.log, &log), ST_OK);
    help_append_to(help, log, 2, 100, 1); // makes its directory
    help_flush(help);
    return log;
}

// "t-0" and a log beside it, with records in the segments and then some in the journal.
static void begin(struct help *help, const char *name, bool journaled)
{
    help_init(help, 3);
    help_open(help, true);
    for (int i = 0; i < 5; i++)
        help_append(help, 2, 100, 1);
    help_flush(help);
    struct log *log = log_add(help, name, other_id);
    if (!journaled) {
        help_crash(help, false, false);
        help_open(help, false); // the journal is empty
        help_crash(help, false, false);
        return;
    }
    for (int i = 0; i < 5; i++) {
        help_append(help, 2, 100, 1);
        help_append_to(help, log, 2, 100, 1);
        help_flush(help);
    }
    help_crash(help, true, false);
}

static void damage(struct help *help, const char *path)
{
    fake_file(help->env, path)->data[0] ^= 1;
}

static void check_named(struct help *help)
{
    cr_assert_not(log_lost(help->log));
    cr_assert(uuid_equal(log_id(help->log), id));
    cr_assert_eq(log_status(help->log), ST_OK);
}

Test(nameless, the_journal_says_whose_records_they_are)
{
    static const char *const beside[] = {"u-0", "u-1"};
    for (int i = 0; i < 4; i++) {
        struct help help;
        begin(&help, beside[i % 2], true);
        if (i < 2)
            damage(&help, metadata);
        else
            cr_assert_eq(path_unlink(help.env, metadata), ST_OK);
        for (int start = 0; start < 2; start++) {
            help_open(&help, false);
            check_named(&help);
            cr_assert_eq(help_check_content(&help), 10);
            help_crash(&help, true, false);
        }
        help_fini(&help);
    }
}

Test(nameless, the_owner_says_whose_a_log_is_that_the_journal_does_not_tell_of)
{
    struct help help;
    begin(&help, "u-0", false);
    damage(&help, metadata);
    for (int start = 0; start < 2; start++) {
        help_open(&help, false);
        cr_assert(log_lost(help.log) && log_nameless(help.log) && uuid_is_zero(log_id(help.log)));
        cr_assert_eq(help_append(&help, 1, 100, 1), ST_CORRUPT);
        struct log *other = log_set_find(help.set, "u-0");
        cr_assert(!log_lost(other) && uuid_equal(log_id(other), other_id));
        help_close(&help);
        cr_assert_eq(fake_file(help.env, metadata)->data[0], 'v' ^ 1, "nothing is done without the owner");
    }
    help_open(&help, false);
    log_identify(help.log, id);
    fake_run(help.env);
    for (int start = 0; start < 2; start++) {
        check_named(&help);
        cr_assert_not(log_nameless(help.log));
        cr_assert_eq(fake_file(help.env, metadata)->data[0], 'v');
        help_append(&help, 2, 100, 1);
        help_flush(&help);
        cr_assert_eq(help_check_content(&help), 6 + start);
        help_crash(&help, true, false);
        help_open(&help, false);
    }
    help_fini(&help);
}

Test(nameless, two_of_one_number_are_not_guessed_and_stay)
{
    struct help help;
    begin(&help, "u-0", true);
    damage(&help, metadata);
    damage(&help, "/data/u-0/partition.metadata");
    int64_t size = (int64_t)fake_file(help.env, "/data/t-0/00000000000000000000.log")->len;
    for (int start = 0; start < 2; start++) {
        help_open(&help, false);
        cr_assert(log_lost(help.log) && log_lost(log_set_find(help.set, "u-0")));
        cr_assert(start > 0 || !log_nameless(help.log), "the journal had some of it");
        help_crash(&help, false, false);
        cr_assert_eq((int64_t)fake_file(help.env, "/data/t-0/00000000000000000000.log")->len, size);
    }
    help_fini(&help);
}

Test(nameless, what_the_journal_has_of_one_of_two_is_not_given_to_the_other)
{
    struct help help;
    begin(&help, "u-0", false);
    help_open(&help, false);
    help_append_to(&help, log_set_find(help.set, "u-0"), 2, 100, 1);
    help_flush(&help);
    help_crash(&help, false, false);
    damage(&help, metadata);
    damage(&help, "/data/u-0/partition.metadata");
    help_open(&help, false);
    cr_assert(log_lost(help.log) && uuid_is_zero(log_id(help.log)));
    cr_assert(log_lost(log_set_find(help.set, "u-0")));
    help_fini(&help);
}

// ---- the disk does not give the file ----

static bool may_heal(struct log *log)
{
    return true;
}

static struct log *healed; // the last one
static int healed_count;

static void on_healed(struct log *log)
{
    healed = log;
    healed_count++;
}

static void mute(struct help *help, const char *part)
{
    fake_of(help->env)->mute = part;
}

static void open_healing(struct help *help)
{
    help_open(help, false);
    log_set_heal(help->set, may_heal, on_healed);
    healed = NULL;
    healed_count = 0;
}

static void advance(struct help *help, int seconds)
{
    for (int i = 0; i < seconds; i++)
        fake_advance_ms(help->env, 1000);
}

static void check_unread(struct help *help)
{
    cr_assert_eq(log_status(help->log), ST_IO);
    cr_assert(log_id_unread(help->log) && uuid_is_zero(log_id(help->log)));
    cr_assert(!log_lost(help->log) && !log_nameless(help->log));
    cr_assert_eq(help_append(help, 1, 100, 1), ST_IO);
}

Test(nameless, a_log_whose_id_a_start_cannot_read_is_offline_and_comes_back)
{
    static const char *const parts[] = {metadata, "/t-0/"};
    for (int i = 0; i < 4; i++) {
        struct help help;
        begin(&help, "u-0", false);
        mute(&help, parts[i % 2]);
        for (int start = 0; start <= i / 2; start++) {
            if (start > 0)
                help_crash(&help, true, false);
            open_healing(&help);
            check_unread(&help);
            cr_assert_eq(log_status(log_set_find(help.set, "u-0")), ST_OK);
            log_set_checkpoint(help.set, NULL, NULL); // which must go on saying what is known
            advance(&help, 5);
            check_unread(&help);
            cr_assert_eq(fake_file(help.env, metadata)->data[0], 'v');
        }
        mute(&help, NULL);
        advance(&help, 10);
        cr_assert(healed == help.log && healed_count == 1);
        cr_assert_not(log_id_unread(help.log));
        for (int start = 0; start < 2; start++) {
            check_named(&help);
            help_append(&help, 2, 100, 1);
            help_flush(&help);
            cr_assert_eq(help_check_content(&help), 6 + start);
            help_crash(&help, true, false);
            help_open(&help, false);
        }
        help_fini(&help);
    }
}

Test(nameless, a_file_that_is_no_good_when_it_can_be_read_leaves_the_log_nameless)
{
    for (int missing = 0; missing < 2; missing++) {
        struct help help;
        begin(&help, "u-0", false);
        mute(&help, metadata);
        open_healing(&help);
        check_unread(&help);
        if (missing)
            cr_assert_eq(path_unlink(help.env, metadata), ST_OK);
        else
            damage(&help, metadata);
        mute(&help, NULL);
        advance(&help, 5);
        cr_assert(healed == help.log && healed_count == 1);
        cr_assert(log_lost(help.log) && log_nameless(help.log) && uuid_is_zero(log_id(help.log)));
        cr_assert_not(log_id_unread(help.log));
        cr_assert_eq(log_status(help.log), ST_OK);
        cr_assert_eq(help_append(&help, 1, 100, 1), ST_CORRUPT);
        log_identify(help.log, id);
        fake_run(help.env);
        check_named(&help);
        cr_assert_eq(help_check_content(&help), 5);
        help_crash(&help, true, false);
        help_open(&help, false);
        check_named(&help);
        cr_assert_eq(help_check_content(&help), 5);
        help_fini(&help);
    }
}

// All of it was durable up to the recovery point, and is not there any more.
Test(nameless, a_log_that_is_short_when_it_can_be_read_is_lost_by_its_id)
{
    struct help help;
    begin(&help, "u-0", false);
    mute(&help, metadata);
    open_healing(&help);
    check_unread(&help);
    buf_clear(fake_file(help.env, "/data/t-0/00000000000000000000.log"));
    mute(&help, NULL);
    advance(&help, 5);
    cr_assert(healed == help.log && log_lost(help.log) && !log_nameless(help.log));
    cr_assert(uuid_equal(log_id(help.log), id));
    help_fini(&help);
}

Test(nameless, a_log_whose_id_cannot_be_read_can_be_removed)
{
    struct help help;
    begin(&help, "u-0", false);
    mute(&help, "/t-0/");
    open_healing(&help);
    log_delete(help.log, help_on_done, &help);
    fake_run(help.env);
    cr_assert_eq(help.done, ST_OK);
    mute(&help, NULL);
    advance(&help, 5);
    cr_assert_eq(healed_count, 0);
    cr_assert_null(log_set_find(help.set, "t-0"));
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_null(help.log);
    help_fini(&help);
}

// The journal has records of it that are nowhere else: where it says whose they are that is enough, if they
// can be written; else it stays, and the directory does not open, until that is known.
Test(nameless, the_journal_keeps_what_may_be_of_a_log_that_cannot_be_read)
{
    static const struct {
        const char *beside, *part;
        bool opens;
    } rows[] = {{"u-1", metadata, true},
                {"u-0", metadata, true},
                {"u-1", "/data/t-0/", false},
                {"u-0", "/partition.metadata", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct help help;
        begin(&help, rows[i].beside, true);
        mute(&help, rows[i].part);
        for (int start = 0; start < 2; start++) {
            cr_expect_eq(help_try_open(&help), rows[i].opens ? ST_OK : ST_IO, "row %zu", i);
            help_crash(&help, true, false);
        }
        mute(&help, NULL);
        help_open(&help, false);
        check_named(&help);
        cr_assert_eq(help_check_content(&help), 10);
        struct log *other = log_set_find(help.set, rows[i].beside);
        cr_assert(!log_lost(other) && uuid_equal(log_id(other), other_id));
        cr_assert_eq(log_end(other), 12);
        help_fini(&help);
    }
}
