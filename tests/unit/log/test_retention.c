// SPDX-License-Identifier: Apache-2.0
// Retention: the pure choice at its boundaries, the clock that is not believed, and a set whose logs lose
// segments by time, size and DeleteRecords under a clock the test moves.
#include "log/retention.h"
#include "log_help.h"

#include "log/internal.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { MINUTE = 60000, HOUR = 60 * MINUTE };

// ---- the choice ----

// Three full segments of 100 bytes at 0, 10 and 20 with largest timestamps 1000, 2000 and 3000, the last one
// active, end 30.
struct shape {
    struct log_segment *segments[3];
    struct log_retention_view view;
    struct log_retention_rules rules;
};

static void shape_init(struct shape *shape)
{
    *shape = (struct shape){.rules = {.ms = -1, .bytes = -1, .deletes = true}};
    for (int i = 0; i < 3; i++) {
        shape->segments[i] = log_segment_new(i * 10);
        shape->segments[i]->size = 100;
        shape->segments[i]->max_timestamp = (i + 1) * 1000;
    }
    shape->view = (struct log_retention_view){
        .segments = shape->segments, .count = 3, .bytes = 300, .end = 30, .high_watermark = 30};
}

static void shape_fini(struct shape *shape)
{
    for (int i = 0; i < 3; i++)
        log_segment_destroy(&shape->segments[i]);
}

static int by_time(struct shape *shape, int64_t now_ms, int64_t ms)
{
    shape->view.now_ms = now_ms;
    shape->rules.ms = ms;
    return log_retention_choose(&shape->view, &shape->rules);
}

Test(retention, time_is_over_when_more_than_retention_ms_have_passed)
{
    struct shape shape;
    shape_init(&shape);
    cr_assert_eq(by_time(&shape, 6000, 5000), 0); // exactly
    cr_assert_eq(log_retention_due_ms(&shape.view, &shape.rules), 6001);
    cr_assert_eq(by_time(&shape, 6001, 5000), 1);
    cr_assert_eq(by_time(&shape, 8001, 5000), 3);
    cr_assert_eq(by_time(&shape, 8001, -1), 0);
    cr_assert_eq(by_time(&shape, INT64_MAX, INT64_MAX), 0);
    cr_assert_eq(by_time(&shape, 1001, 0), 1);
    shape.segments[0]->max_timestamp = 9999; // a newer record in front keeps what follows
    cr_assert_eq(by_time(&shape, 8001, 5000), 0);
    shape_fini(&shape);
}

Test(retention, a_segment_without_timestamps_counts_from_when_it_was_made)
{
    struct shape shape;
    shape_init(&shape);
    shape.segments[0]->max_timestamp = -1;
    shape.segments[0]->created_ms = 4000;
    cr_assert_eq(by_time(&shape, 9000, 5000), 0);
    cr_assert_eq(by_time(&shape, 9001, 5000), 3);
    shape_fini(&shape);
}

Test(retention, records_that_came_too_old_stay_a_while)
{
    struct shape shape;
    shape_init(&shape);
    shape.rules.late_ms = 300;
    shape.segments[0]->created_ms = 6001; // over since a moment when it was begun
    cr_assert_eq(by_time(&shape, 6300, 5000), 0);
    cr_assert_eq(by_time(&shape, 6301, 5000), 0);
    cr_assert_eq(log_retention_due_ms(&shape.view, &shape.rules), 6302);
    cr_assert_eq(by_time(&shape, 6302, 5000), 1);
    shape.segments[0]->created_ms = 6000;
    cr_assert_eq(by_time(&shape, 6001, 5000), 1, "it became too old here");
    shape.segments[0]->created_ms = 10000; // when the process was started
    shape.segments[0]->found = true;
    cr_assert_eq(by_time(&shape, 10000, 5000), 3);
    shape_fini(&shape);
}

Test(retention, nothing_reaches_beyond_the_watermark)
{
    struct shape shape;
    shape_init(&shape);
    shape.view.high_watermark = 19;
    cr_assert_eq(by_time(&shape, 100000, 1), 1);
    shape.view.high_watermark = 20;
    cr_assert_eq(by_time(&shape, 100000, 1), 2);
    shape.view.high_watermark = 29;
    cr_assert_eq(by_time(&shape, 100000, 1), 2);
    shape.rules = (struct log_retention_rules){.ms = -1, .bytes = 0, .deletes = true};
    cr_assert_eq(log_retention_choose(&shape.view, &shape.rules), 2);
    shape_fini(&shape);
}

Test(retention, size_leaves_at_least_retention_bytes)
{
    struct shape shape;
    shape_init(&shape);
    static const struct {
        int64_t bytes;
        int count;
    } cases[] = {{301, 0}, {201, 0}, {200, 1}, {101, 1}, {100, 2}, {1, 2}, {0, 3}, {-1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shape.rules.bytes = cases[i].bytes;
        cr_assert_eq(log_retention_choose(&shape.view, &shape.rules), cases[i].count, "retention.bytes=%lld",
                     (long long)cases[i].bytes);
    }
    shape.rules.bytes = 150;
    cr_assert_eq(log_retention_bytes_max(&shape.view, &shape.rules), 250);
    shape_fini(&shape);
}

Test(retention, an_empty_active_segment_stays)
{
    struct shape shape;
    shape_init(&shape);
    shape.segments[2]->size = 0;
    shape.view.bytes = 200;
    cr_assert_eq(by_time(&shape, 100000, 1), 2);
    shape.view.segments = shape.segments + 2;
    shape.view.count = 1;
    cr_assert_eq(by_time(&shape, 100000, 1), 0);
    cr_assert_eq(log_retention_due_ms(&shape.view, &shape.rules), INT64_MAX);
    shape_fini(&shape);
}

Test(retention, what_lies_below_the_start_goes_whatever_the_policy)
{
    struct shape shape;
    shape_init(&shape);
    shape.rules = (struct log_retention_rules){.ms = 0, .bytes = 0, .deletes = false};
    shape.view.now_ms = 100000;
    static const struct {
        int64_t start;
        int count;
    } cases[] = {{0, 0}, {9, 0}, {10, 1}, {19, 1}, {20, 2}, {30, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shape.view.start = cases[i].start;
        cr_assert_eq(log_retention_choose(&shape.view, &shape.rules), cases[i].count);
    }
    cr_assert_eq(log_retention_due_ms(&shape.view, &shape.rules), INT64_MAX);
    cr_assert_eq(log_retention_bytes_max(&shape.view, &shape.rules), INT64_MAX);
    shape_fini(&shape);
}

Test(retention, an_idle_segment_rolls_by_its_first_record_and_not_before_it_is_old)
{
    struct log_segment *segment = log_segment_new(0);
    cr_assert_eq(log_retention_roll_ms(segment, 1000), INT64_MAX);
    segment->size = 1;
    segment->first_timestamp = 5000;
    segment->created_ms = 4000;
    cr_assert_eq(log_retention_roll_ms(segment, 1000), 6001);
    segment->created_ms = 7000; // old records, written now
    cr_assert_eq(log_retention_roll_ms(segment, 1000), 8001);
    segment->found = true; // the file is older than that
    cr_assert_eq(log_retention_roll_ms(segment, 1000), 6001);
    segment->first_timestamp = -1;
    cr_assert_eq(log_retention_roll_ms(segment, 1000), 8001);
    cr_assert_eq(log_retention_roll_ms(segment, INT64_MAX), INT64_MAX);
    log_segment_destroy(&segment);
}

Test(retention, a_leap_of_the_clock_is_not_believed_for_an_hour)
{
    struct log_clock clock = {0};
    cr_assert_not(log_clock_rests(&clock, 1000000, 0)); // the first look has nothing to compare with
    cr_assert_not(log_clock_rests(&clock, 1000000 + HOUR, 0));
    cr_assert_not(log_clock_rests(&clock, 1000000 + HOUR + 500, 500));
    int64_t leapt = 1000000 + 2 * HOUR + 1;
    cr_assert(log_clock_rests(&clock, leapt + 500, 500));
    cr_assert(log_clock_rests(&clock, leapt + HOUR, HOUR));
    cr_assert_not(log_clock_rests(&clock, leapt + HOUR + 500, HOUR + 500), "the rest has an end");
    cr_assert_not(log_clock_rests(&clock, leapt + HOUR + 1000, HOUR + 1000), "and is not begun anew");
}

Test(retention, a_clock_that_is_put_right_is_believed_at_once)
{
    struct log_clock clock = {0};
    log_clock_rests(&clock, 1000000, 0);
    cr_assert(log_clock_rests(&clock, 1000000 + 10 * HOUR, 1000));
    cr_assert(log_clock_rests(&clock, 1000000 + 20 * HOUR, 1500), "a second leap");
    cr_assert_not(log_clock_rests(&clock, 1002000, 2000));
    cr_assert_not(log_clock_rests(&clock, 1002000 - 10 * HOUR, 2000), "backwards nothing expires early");
}

// ---- a set ----

static int starts_told;

static void on_start(struct log *log)
{
    starts_told++;
}

static struct log_config config_of(const struct help *help)
{
    struct log_config config = help->config.log;
    config.segment_ms = 365ll * 24 * HOUR;
    config.retention_ms = -1;
    return config;
}

static void set_open(struct help *help, const struct log_config *config)
{
    help->config.log = *config;
    help_open(help, true);
    log_configure(help->log, config);
    log_set_retain(help->set, on_start);
    starts_told = 0;
}

static void set_init(struct help *help, struct log_config *config)
{
    help_init(help, 3);
    *config = config_of(help);
    set_open(help, config);
}

// Batches of two records and 300 bytes: 12 or so fill a segment.
static void fill(struct help *help, int batches)
{
    for (int i = 0; i < batches; i++)
        cr_assert_eq(help_append(help, 2, 130, 1), ST_OK);
    help_flush(help);
    log_note_high_watermark(help->log, log_flushed(help->log));
}

static void pass(struct help *help, int64_t ms)
{
    for (int64_t at = 0; at < ms; at += 500)
        fake_advance_ms(help->env, 500);
}

static bool has_file(struct help *help, int64_t base, const char *suffix)
{
    char path[128];
    snprintf(path, sizeof path, "/data/t-0/%020lld%s", (long long)base, suffix);
    return fake_file(help->env, path) != NULL;
}

static int64_t base_of(const struct help *help, int i)
{
    return help->log->state.segments[i]->base;
}

// Segments below the start are gone from the state, after a checkpoint that allows it.
static void settle(struct help *help)
{
    log_set_checkpoint(help->set, NULL, NULL);
    fake_run(help->env);
    pass(help, 2000);
}

Test(retention, an_idle_log_is_empty_a_second_after_its_last_record_has_expired)
{
    struct help help;
    struct log_config config;
    set_init(&help, &config);
    help.timestamp = fake_of(help.env)->wall_ms;
    fill(&help, 30);
    int64_t newest = help.timestamp - 1000 + 1, end = log_end(help.log);
    config.retention_ms = MINUTE;
    log_configure(help.log, &config);
    int64_t left = newest + MINUTE - fake_of(help.env)->wall_ms;
    pass(&help, left - 500);
    cr_assert_lt(log_start(help.log), end);
    pass(&help, 1500);
    cr_assert_eq(log_start(help.log), end);
    cr_assert_gt(starts_told, 0);
    struct log_range range = {.from = 0, .up_to = end, .max_bytes = 100, .min_one = true};
    struct piece piece;
    struct log_found found;
    int count;
    cr_assert_eq(log_read(help.log, &range, &piece, 1, &count, &found), ST_OUT_OF_RANGE);
    settle(&help);
    cr_assert_eq(help.log->state.count, 1);
    cr_assert_eq(log_size(help.log), 0);
    cr_assert(has_file(&help, end, ".log"), "a log keeps a file");
    cr_assert(has_file(&help, 0, ".log.deleted"));
    pass(&help, 62000);
    cr_assert_not(has_file(&help, 0, ".log.deleted"));
    cr_assert_eq(help_append(&help, 2, 100, 1), ST_OK);
    help_flush(&help);
    cr_assert_eq(help_check_content(&help), 1);
    help_fini(&help);
}

Test(retention, size_is_kept_when_segments_come)
{
    struct help help;
    struct log_config config;
    set_init(&help, &config);
    config.retention_bytes = 10000;
    log_configure(help.log, &config);
    fill(&help, 120);
    pass(&help, 1000);
    settle(&help);
    cr_assert_geq(log_size(help.log), 10000);
    cr_assert_lt(log_size(help.log), 10000 + 2 * 4096);
    cr_assert_eq(log_start(help.log), base_of(&help, 0));
    cr_assert_gt(log_start(help.log), 0);
    help_check_content(&help);
    help_fini(&help);
}

Test(retention, the_watermark_holds_it_back)
{
    struct help help;
    struct log_config config;
    set_init(&help, &config);
    fill(&help, 60);
    int64_t second = base_of(&help, 1);
    log_note_high_watermark(help.log, base_of(&help, 2) - 1);
    config.retention_ms = 0;
    log_configure(help.log, &config);
    fake_of(help.env)->wall_ms += 10 * MINUTE; // no leap
    pass(&help, 2000);
    cr_assert_eq(log_start(help.log), second);
    log_note_high_watermark(help.log, log_end(help.log));
    pass(&help, 1000);
    cr_assert_eq(log_start(help.log), log_end(help.log));
    help_fini(&help);
}

Test(retention, a_leap_of_the_clock_deletes_nothing_until_it_is_believed)
{
    struct help help;
    struct log_config config;
    set_init(&help, &config);
    config.retention_ms = 24ll * HOUR;
    log_configure(help.log, &config);
    fill(&help, 30);
    pass(&help, 1000);
    int lines = fake_of(help.env)->lines;
    fake_of(help.env)->wall_ms += 10ll * 365 * 24 * HOUR;
    pass(&help, 10 * MINUTE);
    cr_assert_eq(log_start(help.log), 0);
    cr_assert_eq(fake_of(help.env)->lines, lines + 1, "one line tells it");
    cr_assert_eq(help.set->m_resting.value, 1);
    config.retention_bytes = 5000; // only time rests
    log_configure(help.log, &config);
    pass(&help, 1000);
    cr_assert_gt(log_start(help.log), 0);
    cr_assert_lt(log_start(help.log), log_end(help.log));
    pass(&help, HOUR);
    cr_assert_eq(log_start(help.log), log_end(help.log), "the new time is the true one");
    cr_assert_eq(help.set->m_resting.value, 0);
    help_fini(&help);
}

Test(retention, an_idle_segment_rolls)
{
    struct help help;
    struct log_config config;
    set_init(&help, &config);
    help.timestamp = fake_of(help.env)->wall_ms;
    config.segment_ms = MINUTE;
    log_configure(help.log, &config);
    fill(&help, 2);
    pass(&help, MINUTE - 1000);
    cr_assert_eq(help.log->state.count, 1);
    pass(&help, 2000);
    cr_assert_eq(help.log->state.count, 2);
    cr_assert(help.log->state.segments[0]->sealed);
    pass(&help, 10 * MINUTE);
    cr_assert_eq(help.log->state.count, 2, "an empty one does not roll");
    help_close(&help);
    help_open(&help, false);
    cr_assert_eq(help_check_content(&help), 2);
    help_fini(&help);
}

// Kafka draws for segments that are appended to; one that idles must not wait longer than those.
Test(retention, an_idle_segment_rolls_earlier_by_its_jitter)
{
    struct help help;
    struct log_config config;
    int64_t early = 0;
    set_init(&help, &config);
    config.segment_ms = MINUTE;
    config.segment_jitter_ms = MINUTE / 2;
    log_configure(help.log, &config);
    for (int i = 0; i < 20; i++) {
        int count = help.log->state.count, waited = 0;
        help.timestamp = fake_of(help.env)->wall_ms;
        fill(&help, 1);
        count = help.log->state.count > count ? help.log->state.count : count;
        for (; help.log->state.count == count; waited += 1000)
            pass(&help, 1000);
        cr_assert(waited >= MINUTE / 2 - 1000 && waited <= MINUTE + 2000, "%d", waited);
        early += waited < MINUTE - 2000;
    }
    cr_assert_gt(early, 10);
    help_fini(&help);
}

Test(retention, a_start_inside_a_segment_keeps_it_until_it_is_left_behind)
{
    struct help help;
    struct log_config config;
    set_init(&help, &config);
    fill(&help, 40);
    int64_t second = base_of(&help, 1);
    config.deletes = false; // also where nothing else goes
    log_configure(help.log, &config);
    log_raise_start(help.log, second + 3, help_on_done, &help);
    fake_run(help.env);
    cr_assert_eq(help.done, ST_OK);
    settle(&help);
    cr_assert_eq(base_of(&help, 0), second);
    cr_assert_eq(log_start(help.log), second + 3);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_eq(log_start(help.log), second + 3);
    help_fini(&help);
}

Test(retention, files_left_by_a_crash_are_removed_at_the_next_start)
{
    struct help help;
    struct log_config config;
    set_init(&help, &config);
    fill(&help, 40);
    int64_t second = base_of(&help, 1);
    log_raise_start(help.log, second, help_on_done, &help);
    fake_run(help.env);
    help_crash(&help, true, false); // before the segment was renamed
    cr_assert(has_file(&help, 0, ".log"));
    set_open(&help, &config);
    cr_assert_eq(log_start(help.log), second);
    settle(&help);
    cr_assert_not(has_file(&help, 0, ".log"));
    cr_assert(has_file(&help, 0, ".log.deleted"));
    help_crash(&help, true, false); // before the renamed one was removed
    help_open(&help, false);
    cr_assert_not(has_file(&help, 0, ".log.deleted"));
    cr_assert_eq(log_start(help.log), second);
    help_check_content(&help);
    help_fini(&help);
}

static enum status cold_status;
static size_t cold_len;

static void on_cold(struct log *log, enum status status, struct piece *piece, const struct log_found *found,
                    void *context)
{
    cold_status = status;
    cold_len = piece->len;
    piece_release(piece);
}

static int64_t found_offset;

static void on_found(struct log *log, enum status status, const struct log_time_answer *answer, void *context)
{
    cr_assert_eq(status, ST_OK);
    found_offset = answer->offset;
}

Test(retention, reads_under_way_are_refused_and_searches_go_on_behind_the_start)
{
    struct help help;
    struct log_config config;
    set_init(&help, &config);
    fill(&help, 40);
    help_crash(&help, false, false); // nothing in memory
    set_open(&help, &config);
    int64_t second = base_of(&help, 1);
    struct log_range range = {.from = 1, .up_to = second, .max_bytes = 4096, .min_one = true};
    log_read_async(help.log, &range, on_cold, NULL);
    log_find_by_timestamp(help.log, 0, log_end(help.log), on_found, NULL);
    log_raise_start(help.log, second + 2, help_on_done, &help);
    fake_run(help.env);
    cr_assert_eq(cold_status, ST_OUT_OF_RANGE);
    cr_assert_eq(cold_len, 0);
    cr_assert_eq(found_offset, second + 2);
    help_fini(&help);
}

Test(retention, moves_of_one_turn_are_one_write)
{
    struct help help;
    struct log_config config;
    set_init(&help, &config);
    struct log *logs[3];
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "u-%d", i);
        cr_assert_eq(log_create(help.set, name, (struct uuid){{9}}, &config, &logs[i]), ST_OK);
        cr_assert_eq(help_append_to(&help, logs[i], 4, 100, 1), ST_OK);
    }
    help_flush(&help);
    long changes = fake_of(help.env)->changes;
    log_raise_start(logs[0], 1, help_on_done, &help);
    fake_run(help.env);
    long one = fake_of(help.env)->changes - changes;
    for (int i = 0; i < 3; i++)
        log_raise_start(logs[i], 2, help_on_done, &help);
    fake_run(help.env);
    cr_assert_eq(help.done_calls, 4);
    // The write of the first may be under way when the others come.
    cr_assert_leq(fake_of(help.env)->changes - changes, 3 * one);
    help_fini(&help);
}
