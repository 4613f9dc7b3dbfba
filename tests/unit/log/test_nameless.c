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
