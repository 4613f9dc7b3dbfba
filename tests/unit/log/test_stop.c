// SPDX-License-Identifier: Apache-2.0
// Stops that do not come to their end, and crashes: what a log's row of the manifest says is believed as long
// as nothing has touched the log, and no longer. Every step of a stop of many logs is the moment of death
// once, by kill and by power cuts; after each everything is there, and what had been closed is not opened.
#include "log/internal.h"
#include "log_help.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { LOGS = 11, PORTION = 3 };

static const char manifest_path[] = "/data/millrace-manifest";
static const char marker_path[] = "/data/.kafka_cleanshutdown";

static const char *name_of(int i)
{
    static char name[24];
    snprintf(name, sizeof name, "many-%02d-0", i);
    return name;
}

static struct log *log_of(struct help *help, int i)
{
    return log_set_find(help->set, name_of(i));
}

static void create(struct help *help, int i)
{
    struct log *log;
    struct uuid id = {{91, 92, 93, 94, (uint8_t)i}};
    cr_assert_eq(log_create(help->set, name_of(i), id, &help->config.log, &log), ST_OK);
}

static void append(struct help *help, int i, int32_t epoch)
{
    cr_assert_eq(help_append_to(help, log_of(help, i), 1, 300, epoch), ST_OK);
}

static void append_all(struct help *help, int32_t epoch)
{
    for (int i = 0; i < LOGS; i++)
        append(help, i, epoch);
    help_flush(help);
}

// A record in each log.
static void fill(struct help *help)
{
    help_init(help, 1);
    help->config.close_portion = PORTION;
    help_open(help, false);
    for (int i = 0; i < LOGS; i++)
        create(help, i);
    append_all(help, 1);
}

static void stop(struct help *help)
{
    help_close(help);
    cr_assert_eq(help->done, ST_OK);
}

static bool is_there(struct help *help, const char *path)
{
    struct file_info info;
    return path_info(help->env, path, &info) == ST_OK;
}

// Logs that the last start has not opened.
static int64_t resumed(const struct help *help)
{
    return help->set->m_resumed.value;
}

static void check_ends(struct help *help, int from, int to, int64_t end)
{
    for (int i = from; i < to; i++) {
        cr_assert_not_null(log_of(help, i));
        cr_assert_eq(log_status(log_of(help, i)), ST_OK);
        cr_assert_eq(log_flushed(log_of(help, i)), end, "log %d ends at %lld", i,
                     (long long)log_flushed(log_of(help, i)));
    }
}

Test(stop, a_crash_opens_those_that_have_changed_and_no_others)
{
    struct help help;
    fill(&help);
    stop(&help);
    help_open(&help, false);
    cr_assert_eq(resumed(&help), LOGS);
    for (int i = 0; i < 3; i++)
        append(&help, i, 1);
    help_flush(&help);
    for (int round = 0; round < 3; round++) {
        help_crash(&help, true, false);
        int opens = fake_of(help.env)->opens;
        help_open(&help, false);
        cr_assert_eq(resumed(&help), LOGS - 3 - round);
        cr_assert_lt(fake_of(help.env)->opens - opens, 30 + 12 * (3 + round));
        check_ends(&help, 0, 3 + round, 2);
        check_ends(&help, 3 + round, LOGS, 1);
        append(&help, 3 + round, 1);
        help_flush(&help);
    }
    stop(&help);
    help_open(&help, false);
    cr_assert_eq(resumed(&help), LOGS);
    check_ends(&help, 0, 6, 2);
    help_fini(&help);
}

Test(stop, idle_logs_keep_their_watermark_over_a_crash)
{
    struct help help;
    fill(&help);
    stop(&help);
    help_open(&help, false);
    append(&help, 0, 1);
    help_flush(&help);
    log_note_high_watermark(log_of(&help, 5), 1);
    log_set_checkpoint(help.set, NULL, NULL);
    fake_run(help.env);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_eq(resumed(&help), LOGS - 1);
    cr_assert_eq(log_high_watermark(log_of(&help, 5)), 1);
    cr_assert_eq(log_high_watermark(log_of(&help, 6)), 0);
    help_fini(&help);
}

// ---- what must not be taken for untouched ----

static void on_done(struct log *log, enum status status, void *context)
{
    *(enum status *)context = status;
}

static void truncate_away(struct help *help, int i)
{
    enum status status = ST_COUNT;
    log_truncate(log_of(help, i), 0, on_done, &status);
    fake_run(help->env);
    cr_assert_eq(status, ST_OK);
}

static void delete_and_create(struct help *help, int i)
{
    enum status status = ST_COUNT;
    log_delete(log_of(help, i), on_done, &status);
    fake_run(help->env);
    cr_assert_eq(status, ST_OK);
    create(help, i);
}

// Its end, its size and its recovery point are the old ones again, its epoch is not.
static void grow_again(struct help *help, int i)
{
    append(help, i, 9);
    help_flush(help);
    check_ends(help, 0, LOGS, 1);
    log_set_checkpoint(help->set, NULL, NULL);
    fake_run(help->env);
    help_crash(help, true, false);
    help_open(help, false);
    cr_assert_eq(resumed(help), LOGS - 1);
    check_ends(help, 0, LOGS, 1);
    cr_assert_eq(log_last_epoch(log_of(help, i)), 9);
}

Test(stop, a_log_that_was_cut_and_grew_as_before_is_another)
{
    struct help help;
    fill(&help);
    stop(&help);
    help_open(&help, false);
    truncate_away(&help, 4);
    grow_again(&help, 4);
    help_fini(&help);
}

Test(stop, a_log_that_was_removed_and_made_anew_is_another)
{
    struct help help;
    fill(&help);
    stop(&help);
    help_open(&help, false);
    delete_and_create(&help, 4);
    grow_again(&help, 4);
    help_fini(&help);
}

Test(stop, a_log_whose_directory_was_gone_is_another_when_it_comes_back)
{
    struct help help;
    enum status status = ST_COUNT;
    fill(&help);
    stop(&help);
    char path[40];
    snprintf(path, sizeof path, "/data/%s", name_of(4));
    cr_assert_eq(path_rename(help.env, path, "/elsewhere"), ST_OK);
    cr_assert_eq(path_sync_dir(help.env, "/data"), ST_OK);
    help_open(&help, false);
    cr_assert(log_lost(log_of(&help, 4)));
    log_adopt(log_of(&help, 4), (struct uuid){{8, 8, 8}});
    log_truncate_fully(log_of(&help, 4), 0, on_done, &status);
    fake_run(help.env);
    cr_assert_eq(status, ST_OK);
    grow_again(&help, 4);
    help_fini(&help);
}

Test(stop, a_start_that_moved_is_not_forgotten)
{
    struct help help;
    enum status status = ST_COUNT;
    fill(&help);
    stop(&help);
    help_open(&help, false);
    log_raise_start(log_of(&help, 4), 1, on_done, &status);
    fake_run(help.env);
    cr_assert_eq(status, ST_OK);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_eq(resumed(&help), LOGS - 1);
    cr_assert_eq(log_start(log_of(&help, 4)), 1);
    help_fini(&help);
}

static void lengthen(struct help *help, int i, int bytes)
{
    char path[80];
    snprintf(path, sizeof path, "/data/%s/00000000000000000000.log", name_of(i));
    struct buf *file = fake_file(help->env, path);
    if (bytes < 0)
        file->len -= (size_t)-bytes;
    else
        buf_append(file, file->data, (size_t)bytes);
}

// Whoever keeps no list is betrayed by the files' ends.
Test(stop, what_others_did_after_a_crash_is_noticed)
{
    struct help help;
    fill(&help);
    stop(&help);
    help_open(&help, false);
    append(&help, 0, 1);
    help_flush(&help);
    help_crash(&help, true, false);
    lengthen(&help, 4, -10);
    lengthen(&help, 5, 100);
    lengthen(&help, 6, 100);
    help_open(&help, false);
    append(&help, 6, 1);
    help_flush(&help);
    cr_assert_eq(log_status(log_of(&help, 6)), ST_CORRUPT, "it takes no append");
    cr_assert_eq(log_flushed(log_of(&help, 6)), 1);
    for (int i = 0; i < 8; i++)
        fake_advance_ms(help.env, 1000);
    cr_assert_eq(log_status(log_of(&help, 4)), ST_CORRUPT);
    cr_assert_eq(log_status(log_of(&help, 5)), ST_CORRUPT);
    check_ends(&help, 7, LOGS, 1);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_eq(resumed(&help), LOGS - 4);
    help_fini(&help);
}

Test(stop, without_the_marker_that_others_took_away_it_is_not_believed)
{
    struct help help;
    fill(&help);
    stop(&help);
    cr_assert_eq(path_unlink(help.env, marker_path), ST_OK);
    help_open(&help, false);
    cr_assert_eq(resumed(&help), 0);
    cr_assert_not(is_there(&help, manifest_path));
    check_ends(&help, 0, LOGS, 1);
    help_fini(&help);
}

Test(stop, a_damaged_list_is_not_believed)
{
    struct help help;
    fill(&help);
    stop(&help);
    size_t rows = fake_file(help.env, manifest_path)->len;
    help_open(&help, false);
    append(&help, 4, 1);
    help_flush(&help);
    help_crash(&help, true, false);
    struct buf *file = fake_file(help.env, manifest_path);
    cr_assert_gt(file->len, rows);
    file->data[file->len - 2] ^= 1; // of the name
    help_open(&help, false);
    cr_assert_eq(resumed(&help), 0);
    check_ends(&help, 4, 5, 2);
    help_fini(&help);
}

// The list needs space; to do without the manifest does not.
Test(stop, on_a_full_disk_the_manifest_goes)
{
    struct help help;
    fill(&help);
    stop(&help);
    help_open(&help, false);
    fake_of(help.env)->space = 5;
    append(&help, 4, 1);
    help_flush(&help);
    cr_assert_not(is_there(&help, manifest_path));
    cr_assert_not(is_there(&help, marker_path));
    fake_of(help.env)->space = -1;
    fake_advance_ms(help.env, 3000);
    check_ends(&help, 4, 5, 2);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_eq(resumed(&help), 0);
    check_ends(&help, 4, 5, 2);
    help_fini(&help);
}

// ---- a stop that dies ----

static void on_closed(enum status status, void *context)
{
    struct help *help = context;
    help->set = NULL;
}

// What a start finds of a stop.
struct found {
    int64_t resumed, finished;
};

static struct found found_of(struct help *help)
{
    struct found found = {.resumed = resumed(help)};
    for (int i = 0; i < LOGS; i++)
        found.finished += log_of(help, i)->finished;
    return found;
}

// False when the stop had ended before the n-th change.
static bool die_while_stopping(long n, int kind, struct found *found)
{
    struct help help;
    fill(&help);
    fake_of(help.env)->changes = 0;
    fake_of(help.env)->die_at = n;
    log_set_close(help.set, on_closed, &help);
    fake_run(help.env);
    bool reached = fake_of(help.env)->dead;
    help_crash(&help, kind > 0, kind > 1);
    help_open(&help, false);
    *found = found_of(&help);
    check_ends(&help, 0, LOGS, 1);
    append_all(&help, 2);
    help_crash(&help, true, false);
    help_open(&help, false);
    check_ends(&help, 0, LOGS, 2);
    for (int i = 0; i < LOGS; i++)
        cr_assert(log_epoch_at(log_of(&help, i), 0) == 1 && log_epoch_at(log_of(&help, i), 1) == 2);
    help_fini(&help);
    return reached;
}

Test(stop, one_log_that_fails_keeps_no_other_from_closing)
{
    struct help help;
    fill(&help);
    fake_break(help.env, name_of(4), true);
    help_close(&help);
    cr_assert_eq(help.done, ST_IO);
    fake_break(help.env, name_of(4), false);
    fake_power_cut(help.env, false);
    help_open(&help, false);
    cr_assert_not(log_set_was_clean(help.set));
    cr_assert_eq(resumed(&help), LOGS - 1);
    check_ends(&help, 0, LOGS, 1);
    help_fini(&help);
}

Test(stop, one_that_dies_keeps_what_it_has_done)
{
    for (int kind = 0; kind < 3; kind++) {
        struct found found, before = {0};
        int steps = 0, opened = 0;
        for (long n = 0; die_while_stopping(n, kind, &found); n++) {
            steps += found.finished > before.finished;
            opened += found.resumed < LOGS;
            before = found;
        }
        cr_assert_geq(steps, LOGS / PORTION);
        cr_assert_lt(opened, 20, "%d deaths",
                     opened); // before it knew where the logs end, or at the very end
    }
}

// A stop that knew of all logs, and had no time for anything else, is finished by the next one.
Test(stop, what_was_left_is_done_by_the_next)
{
    struct help help;
    struct found found = {0};
    for (long n = 0; found.resumed < LOGS || found.finished > 0; n++) {
        if (n > 0)
            help_fini(&help);
        fill(&help);
        fake_of(help.env)->die_at = fake_of(help.env)->changes + n;
        log_set_close(help.set, on_closed, &help);
        fake_run(help.env);
        help_crash(&help, true, false);
        help_open(&help, false);
        found = found_of(&help);
    }
    stop(&help);
    for (int i = 0; i < LOGS; i++) {
        char path[80];
        snprintf(path, sizeof path, "/data/%s/leader-epoch-checkpoint", name_of(i));
        cr_assert(is_there(&help, path));
        snprintf(path, sizeof path, "/data/%s/00000000000000000000.timeindex", name_of(i));
        cr_assert_eq(fake_file(help.env, path)->len, LOG_TIME_ENTRY);
    }
    help_open(&help, false);
    cr_assert(log_set_was_clean(help.set));
    cr_assert_eq(found_of(&help).finished, LOGS);
    help_fini(&help);
}
