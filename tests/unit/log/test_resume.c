// SPDX-License-Identifier: Apache-2.0
// A start behind a clean stop: logs come from the manifest, files are not opened, nothing is removed before
// something changes, and whatever does not fit leads to the start that opens everything. Power cuts at every
// step are in test_crash.c.
#include "log/files.h"
#include "log/manifest.h"
#include "log_help.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const char manifest_path[] = "/data/millrace-manifest";
static const char marker_path[] = "/data/.kafka_cleanshutdown";

static bool is_there(struct help *help, const char *path)
{
    struct file_info info;
    return path_info(help->env, path, &info) == ST_OK;
}

static struct log *other_log(struct help *help)
{
    struct log *log = log_set_find(help->set, "u-0");
    if (log == NULL)
        cr_assert_eq(
            log_create(help->set, "u-0", (struct uuid){{0xff, 0xff, 0xff, 0xff, 8}}, &help->config.log, &log),
            ST_OK);
    return log;
}

// Some segments of t-0, one of u-0.
static void fill(struct help *help)
{
    help_init(help, 1);
    help->producer_id = 77;
    help_open(help, true);
    for (int i = 0; i < 40; i++)
        cr_assert_eq(help_append(help, 1 + i % 3, 200, i / 15), ST_OK);
    help_append_to(help, other_log(help), 2, 100, 1);
    help_flush(help);
    log_note_high_watermark(help->log, log_end(help->log) - 1);
}

static void stop(struct help *help)
{
    help_close(help);
    cr_assert_eq(help->done, ST_OK);
}

// Opens and says whether the manifest told of everything: then the marker stays.
static bool resumes(struct help *help)
{
    help_open(help, false);
    return is_there(help, marker_path);
}

static void check_log(struct help *help)
{
    struct batch_place place;
    cr_assert_eq(help_check_content(help), help->count);
    for (int i = 0; i < help->count; i++)
        cr_assert_eq(log_epoch_at(help->log, help->batches[i].last), help->batches[i].epoch);
    struct batch_header next = {.producer_id = 77, .base_sequence = help->sequence};
    cr_assert_eq(log_check_sequence(help->log, &next, &place), SEQUENCE_APPEND);
    next.base_sequence++;
    cr_assert_eq(log_check_sequence(help->log, &next, &place), SEQUENCE_OUT_OF_ORDER);
}

Test(resume, no_file_of_a_log_is_opened)
{
    struct help help;
    fill(&help);
    int64_t end = log_end(help.log), size = log_size(help.log), timestamp, last, timestamp_now, last_now;
    log_max_timestamp(help.log, &timestamp, &last);
    stop(&help);
    int opens = fake_of(help.env)->opens;
    long changes = fake_of(help.env)->changes;
    cr_assert(resumes(&help));
    cr_assert_leq(fake_of(help.env)->opens - opens, 6, "lock, manifest, meta.properties, three directories");
    cr_assert_leq(fake_of(help.env)->changes - changes, 0);
    cr_assert(log_set_was_clean(help.set));
    cr_assert(log_end(help.log) == end && log_size(help.log) == size && log_flushed(help.log) == end);
    cr_assert_eq(log_high_watermark(help.log), end - 1);
    cr_assert_eq(log_start_saved(help.log), 0);
    log_max_timestamp(help.log, &timestamp_now, &last_now);
    cr_assert(timestamp == timestamp_now && last == last_now);
    cr_assert(uuid_equal(log_id(help.log), (struct uuid){{7}}));
    check_log(&help);
    help_fini(&help);
}

Test(resume, what_follows_is_appended_and_survives)
{
    struct help help;
    fill(&help);
    for (int round = 0; round < 4; round++) {
        stop(&help);
        cr_assert(resumes(&help));
        for (int i = 0; i < 5; i++)
            cr_assert_eq(help_append(&help, 2, 300, 5 + round), ST_OK);
        help_flush(&help);
        cr_assert_eq(help.acked, log_end(help.log));
        cr_assert(is_there(&help, manifest_path));
        cr_assert_not(is_there(&help, marker_path));
        if (round % 2 == 1) { // also as recovery sees it
            help_crash(&help, true, false);
            help_open(&help, false);
        }
        check_log(&help);
    }
    help_fini(&help);
}

Test(resume, as_a_start_that_opens_everything_finds_it)
{
    struct help help;
    fill(&help);
    stop(&help);
    cr_assert_eq(path_unlink(help.env, manifest_path), ST_OK);
    cr_assert_not(resumes(&help));
    check_log(&help);
    stop(&help);
    cr_assert(resumes(&help));
    check_log(&help);
    help_fini(&help);
}

Test(resume, nothing_goes_while_nothing_changes)
{
    struct help help;
    fill(&help);
    stop(&help);
    for (int i = 0; i < 3; i++) {
        cr_assert(resumes(&help));
        fake_advance_ms(help.env, 61000); // past a checkpoint of the clock
        help_crash(&help, true, false);
    }
    cr_assert(resumes(&help));
    long changes = fake_of(help.env)->changes;
    stop(&help);
    cr_assert_eq(fake_of(help.env)->changes, changes, "a stop has nothing to write");
    cr_assert(resumes(&help));
    check_log(&help);
    help_fini(&help);
}

Test(resume, a_watermark_that_moved_is_saved)
{
    struct help help;
    fill(&help);
    int64_t end = log_end(help.log);
    stop(&help);
    cr_assert(resumes(&help));
    log_note_high_watermark(help.log, end);
    stop(&help);
    cr_assert(resumes(&help));
    cr_assert_eq(log_high_watermark(help.log), end);
    help_fini(&help);
}

Test(resume, another_marker_makes_it_worthless)
{
    struct help help;
    fill(&help);
    stop(&help);
    // As Kafka would: it removes the marker, uses the directory, and writes another one.
    cr_assert_eq(path_unlink(help.env, marker_path), ST_OK);
    cr_assert_eq(log_file_replace(help.env, "/data", ".kafka_cleanshutdown",
                                  slice_str("{\"version\":0,\"brokerEpoch\":-1}"), true),
                 ST_OK);
    cr_assert_not(resumes(&help));
    check_log(&help);
    help_fini(&help);
}

Test(resume, without_a_marker_it_is_worthless)
{
    struct help help;
    fill(&help);
    stop(&help);
    cr_assert_eq(path_unlink(help.env, marker_path), ST_OK);
    cr_assert_not(resumes(&help));
    cr_assert_not(log_set_was_clean(help.set));
    check_log(&help);
    help_fini(&help);
}

Test(resume, damage_anywhere_leads_to_the_start_that_opens_everything)
{
    struct help help;
    fill(&help);
    stop(&help);
    struct buf whole;
    buf_init(&whole, 1 << 20);
    struct buf *file = fake_file(help.env, manifest_path);
    buf_append(&whole, file->data, file->len);
    for (size_t at = 0; at < whole.len; at++) {
        file = fake_file(help.env, manifest_path);
        file->data[at] ^= (uint8_t)(1 << at % 8);
        cr_assert_not(resumes(&help), "byte %zu", at);
        check_log(&help);
        stop(&help);
    }
    cr_assert(resumes(&help));
    buf_fini(&whole);
    help_fini(&help);
}

Test(resume, a_directory_that_is_gone_is_a_lost_log)
{
    struct help help;
    fill(&help);
    stop(&help);
    cr_assert_eq(path_rename(help.env, "/data/u-0", "/u-0"), ST_OK);
    cr_assert_not(resumes(&help));
    cr_assert(log_lost(log_set_find(help.set, "u-0")));
    check_log(&help);
    stop(&help);
    cr_assert_not(resumes(&help), "a lost log is no state to resume");
    cr_assert(log_lost(log_set_find(help.set, "u-0")));
    help_fini(&help);
}

Test(resume, a_directory_that_has_come_is_opened)
{
    struct help help;
    fill(&help);
    stop(&help);
    cr_assert_eq(path_mkdir(help.env, "/data/v-0"), ST_OK);
    cr_assert_not(resumes(&help));
    cr_assert_not_null(log_set_find(help.set, "v-0"));
    check_log(&help);
    help_fini(&help);
}

static void shorten(struct help *help, const char *path)
{
    struct buf *file = fake_file(help->env, path);
    file->len -= 10;
}

static const char *last_segment(struct help *help)
{
    static char path[100];
    snprintf(path, sizeof path, "/data/t-0/%020lld.log",
             (long long)log_segment_start(help->log, log_end(help->log)));
    return path;
}

Test(resume, a_segment_that_is_shorter_takes_no_append)
{
    struct help help;
    fill(&help);
    const char *path = last_segment(&help);
    int64_t end = log_end(help.log);
    stop(&help);
    shorten(&help, path);
    cr_assert(resumes(&help));
    help_append(&help, 1, 100, 9);
    help_flush(&help);
    cr_assert_eq(log_status(help.log), ST_CORRUPT);
    cr_assert_leq(help.acked, end, "it was not acknowledged");
    help_close(&help);
    help_crash(&help, false, false);
    cr_assert_not(resumes(&help));
    cr_assert(log_lost(help.log), "the next start sees it as any start does");
    help_fini(&help);
}

Test(resume, another_topics_directory_takes_no_append)
{
    struct help help;
    fill(&help);
    stop(&help);
    cr_assert_eq(path_rename(help.env, "/data/u-0/partition.metadata", "/data/t-0/partition.metadata"),
                 ST_OK);
    cr_assert(resumes(&help));
    help_append(&help, 1, 100, 9);
    help_flush(&help);
    cr_assert_eq(log_status(help.log), ST_MISMATCH);
    help_fini(&help);
}

static void damage_metadata(struct help *help)
{
    struct buf *file = fake_file(help->env, "/data/t-0/partition.metadata");
    file->data[0] ^= 1;
}

// The manifest knows the id, and is not damaged.
Test(resume, a_damaged_topic_id_is_repaired)
{
    for (int append = 0; append < 2; append++) {
        struct help help;
        struct buf good;
        fill(&help);
        buf_init(&good, 4096);
        struct buf *file = fake_file(help.env, "/data/t-0/partition.metadata");
        buf_append(&good, file->data, file->len);
        stop(&help);
        damage_metadata(&help);
        cr_assert(resumes(&help));
        if (append) {
            help_append(&help, 1, 100, 9);
            help_flush(&help);
        } else {
            fake_advance_ms(help.env, 3000);
        }
        cr_assert_eq(log_status(help.log), ST_OK);
        file = fake_file(help.env, "/data/t-0/partition.metadata");
        cr_assert(slice_equal(buf_slice(file), buf_slice(&good)));
        check_log(&help);
        buf_fini(&good);
        help_fini(&help);
    }
}

Test(resume, files_are_looked_at_in_the_background)
{
    struct help help;
    fill(&help);
    const char *path = last_segment(&help);
    stop(&help);
    shorten(&help, path);
    cr_assert(resumes(&help));
    fake_advance_ms(help.env, 6000);
    fake_advance_ms(help.env, 1000);
    cr_assert_eq(log_status(help.log), ST_CORRUPT);
    cr_assert_eq(log_status(log_set_find(help.set, "u-0")), ST_OK);
    cr_assert_not(is_there(&help, marker_path), "the next start must see it, too");
    help_crash(&help, false, false);
    cr_assert_not(resumes(&help));
    cr_assert(log_lost(help.log));
    help_fini(&help);
}

Test(resume, looks_find_nothing_where_nothing_is_wrong)
{
    struct help help;
    fill(&help);
    stop(&help);
    cr_assert(resumes(&help));
    fake_advance_ms(help.env, 1999);
    for (int i = 0; i < 20; i++) { // while segments come
        cr_assert_eq(help_append(&help, 2, 400, 9), ST_OK);
        fake_advance_ms(help.env, 100);
    }
    cr_assert_eq(log_status(help.log), ST_OK);
    check_log(&help);
    help_fini(&help);
}

Test(resume, nothing_is_written_when_it_cannot_be_removed)
{
    struct help help;
    fill(&help);
    stop(&help);
    cr_assert(resumes(&help));
    int64_t flushed = log_flushed(help.log);
    help_append(&help, 1, 100, 9);
    fake_break(help.env, "/data", true);
    help_flush(&help);
    fake_break(help.env, "/data", false);
    fake_advance_ms(help.env, 1000);
    cr_assert_eq(log_flushed(help.log), flushed);
    cr_assert_neq(log_set_status(help.set), ST_OK);
    help.done = ST_COUNT;
    log_raise_start(help.log, 5, help_on_done, &help);
    fake_run(help.env);
    cr_assert_neq(help.done, ST_OK);
    help_close(&help);
    cr_assert_neq(help.done, ST_OK);
    help_fini(&help);
}

static void on_start(struct log *log)
{
}

// ---- first changes of many logs, one after the other ----

enum { IDLE = 12 };

static struct log *idle_log(struct help *help, int i)
{
    char name[16];
    struct log *log;
    snprintf(name, sizeof name, "v-%d", i);
    log = log_set_find(help->set, name);
    if (log == NULL)
        cr_assert_eq(log_create(help->set, name, (struct uuid){{9, (uint8_t)i}}, &help->config.log, &log),
                     ST_OK);
    return log;
}

static void fill_idle(struct help *help)
{
    fill(help);
    for (int i = 0; i < IDLE; i++)
        help_append_to(help, idle_log(help, i), 1, 100, 1);
    help_flush(help);
    stop(help);
    cr_assert(resumes(help));
}

static void hear_nothing(struct log *log, enum status status)
{
    (void)log, (void)status;
}

// One job after each append but the first, so that another log always waits to be listed; *acknowledged says
// how far each log is durable at the end.
static void change_one_by_one(struct help *help, int64_t acknowledged[IDLE])
{
    for (int i = 0; i < IDLE; i++) {
        help_append_to(help, idle_log(help, i), 1, 100, 1);
        log_flush(help->set, hear_nothing);
        if (i > 0)
            fake_step(help->env);
    }
    for (int i = 0; i < IDLE; i++)
        acknowledged[i] = log_flushed(idle_log(help, i));
}

Test(resume, first_changes_of_others_keep_no_append_waiting)
{
    struct help help;
    int64_t acknowledged[IDLE];
    fill_idle(&help);
    change_one_by_one(&help, acknowledged);
    cr_assert_eq(acknowledged[0], 2);
    cr_assert_eq(acknowledged[IDLE - 1], 1, "its change cannot be listed yet");
    fake_run(help.env);
    cr_assert_eq(log_flushed(idle_log(&help, IDLE - 1)), 2);
    help_fini(&help);
}

Test(resume, what_is_acknowledged_between_first_changes_survives_a_power_cut_at_any_step)
{
    bool died = true;
    for (long step = 1; died; step++) {
        struct help help;
        int64_t acknowledged[IDLE];
        fill_idle(&help);
        fake_of(help.env)->die_at = fake_of(help.env)->changes + step;
        change_one_by_one(&help, acknowledged);
        died = fake_of(help.env)->dead;
        help_crash(&help, true, step % 2 == 0);
        help_open(&help, false);
        for (int i = 0; i < IDLE; i++)
            cr_assert_geq(log_end(idle_log(&help, i)), acknowledged[i], "log %d, step %ld", i, step);
        check_log(&help);
        help_fini(&help);
    }
}

Test(resume, renamed_files_are_swept)
{
    struct help help;
    static const char renamed[] = "/data/t-0/00000000000000000000.log.deleted";
    fill(&help);
    struct log_config config = help.config.log;
    config.retention_bytes = 5000;
    config.retention_ms = -1;
    log_configure(help.log, &config);
    log_set_retain(help.set, on_start);
    log_note_high_watermark(help.log, log_end(help.log));
    for (int i = 0; i < 20; i++)
        fake_advance_ms(help.env, 500);
    cr_assert(is_there(&help, renamed));
    stop(&help);
    cr_assert(is_there(&help, renamed));
    cr_assert(resumes(&help));
    fake_run(help.env);
    cr_assert_not(is_there(&help, renamed));
    help_check_content(&help);
    help_fini(&help);
}

Test(resume, a_copy_that_is_to_take_another_directorys_place_is_loaded)
{
    struct help help;
    struct log *copy;
    fill(&help);
    cr_assert_eq(log_create_future(help.set, "v-0", (struct uuid){{9}}, &help.config.log, &copy), ST_OK);
    help_append_to(&help, copy, 3, 100, 1);
    help_flush(&help);
    stop(&help);
    cr_assert_not(resumes(&help), "the manifest told of all");
    check_log(&help);
    copy = log_set_next_future(help.set, NULL);
    cr_assert_not_null(copy);
    cr_assert_eq(log_end(copy), 3);
    cr_assert_null(log_set_find(help.set, "v-0"));
    help_fini(&help);
}
