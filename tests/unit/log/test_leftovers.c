// SPDX-License-Identifier: Apache-2.0
// What a crash, ours or Apache Kafka's, leaves in a data directory under Kafka's suffixes, and what a start
// makes of it: as LogManager and LogLoader do, but that nothing is removed for a name that is not theirs.
#include "log_help.h"

#include "log/leftover.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define UNIQUE "0123456789abcdef0123456789abcdef"

static void put(struct help *help, const char *path, const void *data, size_t len)
{
    struct file *file;
    cr_assert_eq(file_open(help->env, path, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file), ST_OK);
    if (len > 0)
        cr_assert_eq(file_pwrite(help->env, file, data, len, 0), ST_OK);
    file_close(help->env, &file);
}

static void copy(struct help *help, const char *from, const char *to)
{
    const struct buf *bytes = fake_file(help->env, from);
    cr_assert_not_null(bytes, "%s", from);
    put(help, to, bytes->data, bytes->len);
}

static bool is_there(struct help *help, const char *path)
{
    struct file_info info;
    return path_info(help->env, path, &info) == ST_OK;
}

// Three segments and more, closed without a marker.
static void help_begin(struct help *help)
{
    help_init(help, 1);
    help->config.log.segment_bytes = 900;
    help_open(help, true);
    for (int i = 0; i < 12; i++)
        help_append(help, 2, 100, 1);
    help_flush(help);
    log_set_checkpoint(help->set, NULL, NULL);
    fake_run(help->env);
    help_crash(help, false, false);
}

// Of the segment behind the one that begins at base.
static int64_t next_base(struct help *help, int64_t base)
{
    char path[128];
    do
        snprintf(path, sizeof path, "/data/t-0/%020lld.log", (long long)++base);
    while (!is_there(help, path) && base < 30);
    cr_assert_lt(base, 30, "one segment");
    return base;
}

static char *part(int64_t base, const char *suffix)
{
    static char paths[4][128];
    static int at;
    char *path = paths[at++ % 4];
    snprintf(path, 128, "/data/t-0/%020lld%s", (long long)base, suffix);
    return path;
}

// A decided swap of two segments; its length.
static size_t join(struct help *help, int64_t first, int64_t second)
{
    struct buf joined;
    size_t len;
    buf_init(&joined, 1 << 20);
    buf_append(&joined, fake_file(help->env, part(first, ".log"))->data,
               fake_file(help->env, part(first, ".log"))->len);
    buf_append(&joined, fake_file(help->env, part(second, ".log"))->data,
               fake_file(help->env, part(second, ".log"))->len);
    put(help, part(first, ".log.swap"), joined.data, joined.len);
    len = joined.len;
    buf_fini(&joined);
    return len;
}

Test(leftovers, directories_are_told_apart_by_their_names)
{
    static const struct {
        const char *name;
        enum log_dir_kind kind;
    } rows[] = {{"t-0", LOG_DIR_LOG},
                {"a.b_c-d-12", LOG_DIR_LOG},
                {"t-0." UNIQUE "-delete", LOG_DIR_DELETE},
                {"t-0." UNIQUE "-stray", LOG_DIR_STRAY},
                {"t-0." UNIQUE "-future", LOG_DIR_FUTURE},
                {"t-0.0123456789abcdef-future", LOG_DIR_FUTURE},
                {"cut-off-nam." UNIQUE "-delete", LOG_DIR_DELETE},
                {"backup-delete", LOG_DIR_OTHER},
                {"." UNIQUE "-delete", LOG_DIR_OTHER},
                {"t-0.0123456789abcdef0123456789abcdeF-delete", LOG_DIR_OTHER},
                {"t-0x" UNIQUE "-delete", LOG_DIR_OTHER},
                {"the-stray", LOG_DIR_OTHER},
                {"t-future", LOG_DIR_OTHER},
                {"lost+found", LOG_DIR_OTHER}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert_eq(log_dir_kind(rows[i].name), rows[i].kind, "%s", rows[i].name);
}

Test(leftovers, directories_on_their_way_out_go_and_nobody_elses_do)
{
    static const char *const dirs[] = {"/data/t-1." UNIQUE "-delete", "/data/t-2." UNIQUE "-stray",
                                       "/data/old-delete"};
    struct help help;
    char path[128];
    help_begin(&help);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(path_mkdir(help.env, dirs[i]), ST_OK);
        snprintf(path, sizeof path, "%s/00000000000000000000.log", dirs[i]);
        put(&help, path, "x", 1);
    }
    for (int i = 0; i < 2; i++) {
        help_open(&help, false);
        cr_assert(strstr(fake_of(help.env)->last_line,
                         "files that were set aside are left alone dir=/data/t-2") != NULL);
        fake_run(help.env);
        cr_assert_not(is_there(&help, dirs[0]));
        cr_assert(is_there(&help, dirs[1]) && is_there(&help, dirs[2]));
        cr_assert_eq(log_set_count(help.set), 1);
        help_check_content(&help);
        help_close(&help);
    }
    help_fini(&help);
}

Test(leftovers, files_that_were_removed_or_never_decided_go)
{
    struct help help;
    help_begin(&help);
    static const char *const names[] = {
        "/data/t-0/00000000000000000099.log.deleted",      "/data/t-0/00000000000000000099.index.deleted",
        "/data/t-0/00000000000000000099.snapshot.deleted", "/data/t-0/00000000000000000000.log.cleaned",
        "/data/t-0/00000000000000000000.index.cleaned",    "/data/t-0/00000000000000000000.timeindex.swap",
        "/data/t-0/00000000000000000000.txnindex.cleaned"};
    int count = (int)(sizeof names / sizeof names[0]);
    for (int i = 0; i < count; i++)
        put(&help, names[i], "x", 1);
    help_open(&help, false);
    for (int i = 0; i < count; i++)
        cr_assert_not(is_there(&help, names[i]), "%s", names[i]);
    cr_assert_not(log_lost(help.log));
    cr_assert_eq(help_check_content(&help), 12);
    help_fini(&help);
}

// The segments of a swap that was decided, ours or Kafka's, which joins the first two.
Test(leftovers, a_swap_that_was_decided_is_completed)
{
    for (int kafka = 0; kafka < 2; kafka++) {
        struct help help;
        help_begin(&help);
        int64_t second = next_base(&help, 0);
        size_t len = join(&help, 0, second);
        if (kafka) // which had removed nothing yet
            copy(&help, part(0, ".index"), part(0, ".index.swap"));
        help_open(&help, false);
        cr_assert_not(is_there(&help, part(second, ".log")));
        cr_assert_not(is_there(&help, part(0, ".log.swap")) || is_there(&help, part(0, ".index.swap")));
        cr_assert_eq(fake_file(help.env, part(0, ".log"))->len, len);
        cr_assert_eq(help_check_content(&help), 12);
        help_fini(&help);
    }
}

// Kafka splits a segment: the last part is .swap, the first one still .cleaned.
Test(leftovers, a_split_that_was_not_decided_is_undone)
{
    struct help help;
    help_begin(&help);
    int64_t second = next_base(&help, 0);
    copy(&help, part(0, ".log"), part(0, ".log.cleaned"));
    put(&help, part(1, ".log.swap"), "not a batch", 11);
    put(&help, part(1, ".index.swap"), "x", 1);
    help_open(&help, false);
    cr_assert_not(is_there(&help, part(0, ".log.cleaned")) || is_there(&help, part(1, ".log.swap")));
    cr_assert_not(is_there(&help, part(1, ".log")) || is_there(&help, part(1, ".index.swap")));
    cr_assert(is_there(&help, part(second, ".log")));
    cr_assert_not(log_lost(help.log));
    cr_assert_eq(help_check_content(&help), 12);
    help_fini(&help);
}

// What a failed removal has left of an older cleaning decides nothing about a swap that has begun since.
Test(leftovers, a_swap_behind_an_older_attempt_is_completed_all_the_same)
{
    struct help help;
    help_begin(&help);
    int64_t second = next_base(&help, 0), third = next_base(&help, second);
    join(&help, second, third);
    cr_assert_eq(path_unlink(help.env, part(third, ".log")), ST_OK); // the swap had come so far
    put(&help, part(0, ".log.cleaned"), "x", 1);
    help_open(&help, false);
    cr_assert_not(is_there(&help, part(0, ".log.cleaned")) || is_there(&help, part(second, ".log.swap")));
    cr_assert_eq(help_check_content(&help), 12);
    help_fini(&help);
}

// A copy of Kafka's without the log it was to replace waits for its owner; one beside its log goes.
Test(leftovers, a_copy_stays_for_its_owner_unless_the_log_is_beside_it)
{
    struct help help;
    help_begin(&help);
    cr_assert_eq(path_mkdir(help.env, "/data/t-0." UNIQUE "-future"), ST_OK);
    help_open(&help, false);
    fake_run(help.env);
    cr_assert_null(log_set_next_future(help.set, NULL));
    cr_assert_not(is_there(&help, "/data/t-0." UNIQUE "-future"));
    help_check_content(&help);
    help_crash(&help, false, false);
    cr_assert_eq(path_rename(help.env, "/data/t-0", "/data/t-0." UNIQUE "-future"), ST_OK);
    help_open(&help, false);
    help.log = log_set_next_future(help.set, NULL);
    cr_assert_not_null(help.log);
    cr_assert_eq(help_check_content(&help), 12);
    help_fini(&help);
}
