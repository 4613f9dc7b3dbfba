// SPDX-License-Identifier: Apache-2.0
// Accidents at every step. A scenario (appends, flushes, rolls, checkpoints, truncation, moves of the start,
// clean close) is run again and again; the n-th change of a file is the moment of death, for every n, by kill
// -9, by a power cut that loses all that was not synced, and by power cuts that keep a random mixture. After
// each: nothing acknowledged is missing, what is there is what was appended, epochs and producers fit, a
// second recovery finds nothing to do. Torn tails are cut at every byte besides.
#include "log_help.h"

#include <criterion/criterion.h>
#include <stdio.h>

// What must hold after an accident.
struct expectation {
    int64_t durable;     // the log must reach it (acknowledged and not truncated since)
    int64_t cut_pending; // a truncation to here was asked for and not answered; -1 none
    int64_t start;       // answered start
};

struct story {
    struct help help;
    struct expectation expect;
    void (*act)(struct story *story);
};

static void note_durable(struct story *story)
{
    if (story->help.acked > story->expect.durable)
        story->expect.durable = story->help.acked;
}

static void append_some(struct story *story, int count, int32_t epoch)
{
    for (int i = 0; i < count; i++)
        help_append(&story->help, 1 + i % 3, 100 + 10 * (size_t)i, epoch);
}

static void flush(struct story *story)
{
    help_flush(&story->help);
    note_durable(story);
}

static void truncate(struct story *story, int64_t to)
{
    struct help *help = &story->help;
    story->expect.cut_pending = to;
    help->done = ST_COUNT;
    log_truncate(help->log, to, help_on_done, help);
    fake_run(help->env);
    if (help->done != ST_OK)
        return;
    story->expect.cut_pending = -1;
    int64_t end = log_end(help->log);
    if (story->expect.durable > end)
        story->expect.durable = end;
    help->acked = story->expect.durable;
    help_forget_from(help, end);
    help->sequence = (int32_t)end; // one sequence number per record from offset 0 on
}

static void raise_start(struct story *story, int64_t to)
{
    struct help *help = &story->help;
    help->done = ST_COUNT;
    log_raise_start(help->log, to, help_on_done, help);
    fake_run(help->env);
    if (help->done == ST_OK)
        story->expect.start = to;
}

static bool dead(const struct story *story)
{
    return fake_of(story->help.env)->dead;
}

// Steps that are skipped once the process is dead, as a process would.
static void act(struct story *story)
{
    struct help *help = &story->help;
    append_some(story, 6, 1);
    flush(story);
    append_some(story, 10, 2);
    flush(story);
    if (!dead(story))
        log_set_checkpoint(help->set, NULL, NULL);
    fake_run(help->env);
    append_some(story, 20, 2);
    flush(story);
    append_some(story, 8, 3);
    if (!dead(story))
        truncate(story, log_flushed(help->log) - 7);
    if (!dead(story))
        append_some(story, 12, 4);
    flush(story);
    if (!dead(story))
        raise_start(story, 9);
    if (!dead(story))
        truncate(story, 12); // below the checkpoint, several segments
    if (!dead(story))
        append_some(story, 9, 5);
    flush(story);
}

static void flush_each(struct story *story, int count, int32_t epoch)
{
    for (int i = 0; i < count; i++) {
        append_some(story, 2, epoch);
        flush(story);
    }
}

static void write_back(struct story *story)
{
    fake_advance_ms(story->help.env, 200);
}

static void append_large(struct story *story, int count, int32_t epoch)
{
    for (int i = 0; i < count; i++)
        help_append(&story->help, 8, 8000, epoch);
}

// Few rolls, so that nearly everything goes through the journal: its blocks are written several times over,
// logs are cut while it holds what is cut, large appends go past it, and what it holds reaches the segments
// at all times.
static void act_journaled(struct story *story)
{
    struct help *help = &story->help;
    flush_each(story, 4, 1);
    write_back(story);
    flush_each(story, 4, 1); // and nothing is synced in the segment yet
    if (!dead(story))
        truncate(story, log_flushed(help->log) - 5); // into what only the journal holds
    flush_each(story, 2, 2);
    append_large(story, 5, 2); // directly, behind a backlog
    flush(story);
    flush_each(story, 3, 2);
    if (!dead(story))
        truncate(story, log_flushed(help->log) - 20); // into the direct part
    append_large(story, 5, 3);                        // over the place of what the journal held before
    flush(story);
    if (!dead(story))
        log_set_checkpoint(help->set, NULL, NULL);
    fake_run(help->env);
    flush_each(story, 4, 3);
    write_back(story);
    flush_each(story, 14, 3); // the blocks go round
    write_back(story);
    flush_each(story, 3, 4);
    if (!dead(story))
        truncate(story, log_flushed(help->log) - 9);
    append_some(story, 4, 5);
    flush(story);
}

static void on_start(struct log *log)
{
    struct help *help = log_user(log);
    help->start_told = log_start(log);
}

// Lets retention see what is flushed, and gives it time for the files.
static void expire(struct story *story, int64_t ms)
{
    struct help *help = &story->help;
    log_note_high_watermark(help->log, log_flushed(help->log));
    for (int i = 0; i < 8; i++)
        fake_advance_ms(help->env, ms / 8);
    if (help->start_told > story->expect.start)
        story->expect.start = help->start_told;
}

static void configure(struct story *story, int64_t retention_ms, int64_t retention_bytes)
{
    struct log_config config = story->help.config.log;
    config.retention_ms = retention_ms;
    config.retention_bytes = retention_bytes;
    config.delete_delay_ms = 2000;
    log_configure(story->help.log, &config);
}

// Segments go by size, then below a start that was moved, then all of them; records follow each time, and a
// log that was emptied rolls, is cut and grows again.
static void act_expiring(struct story *story)
{
    struct help *help = &story->help;
    configure(story, -1, 2000);
    log_set_retain(help->set, on_start);
    append_some(story, 40, 1);
    flush(story);
    expire(story, 8000);
    append_some(story, 20, 2);
    flush(story);
    if (!dead(story))
        raise_start(story, log_flushed(help->log) - 11);
    expire(story, 8000);
    flush_each(story, 3, 2);
    configure(story, 1000, -1);
    expire(story, 160000); // all of it, idle
    if (!dead(story))
        cr_assert_eq(log_size(help->log), 0);
    if (!dead(story))
        log_set_checkpoint(help->set, NULL, NULL); // which need not name its start any more
    fake_run(help->env);
    flush_each(story, 3, 3);
    configure(story, -1, -1);
    append_some(story, 20, 3);
    flush(story);
    if (!dead(story))
        truncate(story, log_flushed(help->log) - 7);
    append_some(story, 4, 4);
    flush(story);
}

static void stop_and_start(struct story *story)
{
    if (dead(story))
        return;
    help_close(&story->help);
    if (!dead(story))
        help_open(&story->help, false);
}

// Starts from manifests, each followed by another kind of first change; none of them may be taken for true
// after it. Every start but the first stands on what the one before it has left.
static void append_and_flush(struct story *story, int count, size_t value_len, int32_t epoch)
{
    for (int i = 0; i < count && story->help.set != NULL; i++) // it died while it was stopped
        help_append(&story->help, 1 + i % 3, value_len, epoch);
    if (story->help.set != NULL)
        flush(story);
}

// Starts from manifests, each followed by another kind of first change; none of them may be taken for true
// after it. Every start but the first stands on what the one before it has left.
static void act_resumed(struct story *story)
{
    struct help *help = &story->help;
    append_and_flush(story, 6, 100, 1);
    stop_and_start(story);
    append_and_flush(story, 2, 100, 2); // through the journal
    stop_and_start(story);
    append_and_flush(story, 5, 2000, 2); // directly, into new segments
    stop_and_start(story);
    if (!dead(story))
        truncate(story, log_flushed(help->log) - 9);
    stop_and_start(story);
    if (!dead(story))
        raise_start(story, 5);
    stop_and_start(story);
    stop_and_start(story); // nothing has changed
    if (!dead(story))
        log_set_checkpoint(help->set, NULL, NULL);
    fake_run(help->env);
    append_and_flush(story, 12, 200, 4);
    stop_and_start(story);
}

// Checkpoints while rounds, write-backs and changes are under way; the threads take turns by chance.
static void act_beside(struct story *story)
{
    struct help *help = &story->help;
    fake_of(help->env)->any_order = true;
    for (int i = 0; i < 9; i++) {
        append_some(story, 4, i / 3 + 1);
        if (!dead(story))
            log_set_checkpoint(help->set, NULL, NULL);
        fake_step(help->env);
        append_some(story, 3, i / 3 + 1);
        flush(story);
        write_back(story);
        append_some(story, 3, i / 3 + 1);
        if (!dead(story))
            log_set_checkpoint(help->set, NULL, NULL);
        if (i % 3 == 1 && !dead(story))
            truncate(story, log_flushed(help->log) - 6);
        if (i % 3 == 2 && !dead(story))
            raise_start(story, log_flushed(help->log) - 9);
        flush(story);
    }
    fake_of(help->env)->any_order = false;
}

// Each scenario also with one syncfs in the place of what it would sync one by one.
enum story_kind { PLAIN, JOURNALED, EXPIRING, BESIDE, RESUMED, TOGETHER, STORIES = 2 * TOGETHER };

static void story_init(struct story *story, uint64_t seed, enum story_kind kind)
{
    static void (*const acts[])(struct story *) = {act, act_journaled, act_expiring, act_beside, act_resumed};
    bool together = kind >= TOGETHER;
    kind = together ? kind - TOGETHER : kind;
    *story = (struct story){.expect = {.cut_pending = -1}, .act = acts[kind]};
    help_init(&story->help, seed);
    story->help.config.log.segment_bytes = kind == JOURNALED ? 900000 : 1500;
    story->help.config.sync_each_max = together ? 0 : story->help.config.sync_each_max;
    story->help.producer_id = 77;
    help_open(&story->help, true);
}

// The next sequence number the log accepts must continue the last batch it holds, and the five before are
// known.
static void check_producer(struct help *help)
{
    int last = help->count - 1;
    while (last >= 0 && help->batches[last].last >= log_end(help->log))
        last--;
    struct batch_place place;
    for (int i = last; i >= 0 && i > last - 5; i--) {
        int32_t size = (int32_t)(help->batches[i].last - help->batches[i].base);
        struct batch_header header = {
            .producer_id = 77, .base_sequence = (int32_t)help->batches[i].base, .last_offset_delta = size};
        cr_assert_eq(log_check_sequence(help->log, &header, &place), SEQUENCE_DUPLICATE, "batch at %lld",
                     (long long)help->batches[i].base);
        cr_assert_eq(place.base_offset, help->batches[i].base);
    }
    struct batch_header next = {.producer_id = 77, .base_sequence = (int32_t)log_end(help->log)};
    cr_assert_eq(log_check_sequence(help->log, &next, &place), SEQUENCE_APPEND);
    next.base_sequence += 1;
    if (last >= 0)
        cr_assert_eq(log_check_sequence(help->log, &next, &place), SEQUENCE_OUT_OF_ORDER);
}

static void check_epochs(struct help *help)
{
    int32_t before = -1;
    for (int i = 0; i < help->count && help->batches[i].last < log_end(help->log); i++) {
        const struct help_batch *batch = &help->batches[i];
        if (batch->last < log_start(help->log))
            continue;
        cr_assert_eq(log_epoch_at(help->log, batch->last), batch->epoch, "epoch at %lld",
                     (long long)batch->last);
        int32_t epoch;
        int64_t end;
        if (before >= 0 && batch->epoch != before) {
            log_epoch_end(help->log, before, &epoch, &end);
            cr_assert_eq(end, batch->base);
        }
        before = batch->epoch;
    }
}

static void check_after(struct story *story, long at)
{
    struct help *help = &story->help;
    const struct expectation *expect = &story->expect;
    help_open(help, true);
    int64_t least = expect->durable;
    if (expect->cut_pending >= 0 && expect->cut_pending < least)
        least = expect->cut_pending - 7; // whole batches of up to eight records
    cr_assert_not(log_lost(help->log), "lost after death at change %ld", at);
    cr_assert_eq(log_status(help->log), ST_OK);
    cr_assert_geq(log_end(help->log), least, "death at change %ld: ends at %lld, acknowledged %lld; %s", at,
                  (long long)log_end(help->log), (long long)least, fake_of(help->env)->last_line);
    cr_assert_geq(log_start(help->log), expect->start);
    help_check_content(help);
    check_epochs(help);
    check_producer(help);
}

// What recovery has told is durable: the same end after a power cut, and no new line in the diagnostics.
static void check_idempotent(struct story *story)
{
    struct help *help = &story->help;
    int64_t end = log_end(help->log);
    help_crash(help, true, false);
    int lines = fake_of(help->env)->lines;
    help_open(help, true);
    cr_assert_eq(log_end(help->log), end);
    cr_assert_eq(fake_of(help->env)->lines, lines, "%s", fake_of(help->env)->last_line);
    help_forget_from(help, end);
    help->sequence = (int32_t)end;
    cr_assert_eq(help_append(help, 2, 50, 9), ST_OK);
    help_flush(help);
    cr_assert_eq(help->acked, log_end(help->log));
    help_check_content(help);
}

// Returns false when the scenario ended before the n-th change.
static bool die_at(long n, int kind, enum story_kind what)
{
    struct story story;
    story_init(&story, (uint64_t)n * 31 + (uint64_t)kind, what);
    fake_of(story.help.env)->changes = 0;
    fake_of(story.help.env)->die_at = n;
    story.act(&story);
    bool reached = dead(&story);
    help_crash(&story.help, kind > 0, kind > 1);
    check_after(&story, n);
    check_idempotent(&story);
    help_fini(&story.help);
    return reached;
}

static void die_everywhere(int kind)
{
    for (int what = 0; what < STORIES; what++) {
        long n = 0;
        while (die_at(n, kind, what))
            n++;
        cr_assert_gt(n, 100, "the scenario has %ld steps", n);
    }
}

Test(crash, kill_at_every_step_keeps_what_was_acknowledged)
{
    die_everywhere(0);
}

Test(crash, power_cut_at_every_step_keeps_what_was_acknowledged)
{
    die_everywhere(1);
}

// Two tests, which run side by side: this takes the longest of all.
Test(crash, power_cut_with_torn_writes_at_every_step_keeps_what_was_acknowledged)
{
    for (int kind = 2; kind < 5; kind++)
        die_everywhere(kind);
}

Test(crash, power_cut_with_writes_torn_otherwise_keeps_what_was_acknowledged)
{
    for (int kind = 5; kind < 8; kind++)
        die_everywhere(kind);
}

static void recovery_cut_everywhere(enum story_kind what)
{
    for (long n = 0;; n++) {
        struct story story;
        story_init(&story, (uint64_t)n, what);
        story.act(&story);
        append_some(&story, 9, 6);
        fake_step(story.help.env); // a round is on its way
        help_crash(&story.help, true, true);
        fake_of(story.help.env)->changes = 0;
        fake_of(story.help.env)->die_at = n;
        enum status status = help_try_open(&story.help);
        bool reached = dead(&story);
        help_crash(&story.help, true, true);
        if (!reached)
            cr_assert_eq(status, ST_OK);
        check_after(&story, n);
        check_idempotent(&story);
        help_fini(&story.help);
        if (!reached)
            break;
    }
}

Test(crash, recovery_cut_short_at_every_step_is_repeated)
{
    for (int what = 0; what < STORIES; what++)
        recovery_cut_everywhere(what);
}

static void close_cut_everywhere(enum story_kind what)
{
    for (long n = 0;; n++) {
        struct story story;
        story_init(&story, (uint64_t)n, what);
        story.act(&story);
        append_some(&story, 9, 6);
        fake_of(story.help.env)->changes = 0;
        fake_of(story.help.env)->die_at = n;
        help_close(&story.help);
        note_durable(&story);
        bool reached = dead(&story);
        help_crash(&story.help, true, true);
        check_after(&story, n);
        check_idempotent(&story);
        help_fini(&story.help);
        if (!reached)
            break;
    }
}

Test(crash, close_cut_short_at_every_step_leaves_a_recoverable_log)
{
    for (int what = 0; what < STORIES; what++)
        close_cut_everywhere(what);
}

Test(crash, a_tail_torn_at_every_byte_is_cut_to_whole_batches)
{
    static const char path[] = "/data/t-0/00000000000000000000.log";
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    for (int i = 0; i < 3; i++)
        help_append(&help, 2, 40, 0);
    help_flush(&help);
    size_t full = fake_file(help.env, path)->len, batch = full / 3;
    help_crash(&help, false, false);
    for (size_t len = full; len-- > 0;) {
        fake_file(help.env, path)->len = len;
        help_open(&help, false);
        // Opening saves the recovery point: without that file the next, shorter one is not a loss.
        cr_assert_eq(log_end(help.log), (int64_t)(len / batch) * 2, "%zu of %zu bytes", len, full);
        cr_assert_eq(help_check_content(&help), (int)(len / batch));
        help_crash(&help, false, false);
        cr_assert_eq(path_unlink(help.env, "/data/recovery-point-offset-checkpoint"), ST_OK);
    }
    help_fini(&help);
}

Test(crash, every_flipped_byte_in_the_unsaved_part_cuts_there)
{
    static const char path[] = "/data/t-0/00000000000000000000.log";
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    for (int i = 0; i < 3; i++)
        help_append(&help, 2, 40, 0);
    help_flush(&help);
    help_crash(&help, false, false);
    struct buf saved;
    buf_init(&saved, 1 << 20);
    buf_append(&saved, fake_file(help.env, path)->data, fake_file(help.env, path)->len);
    size_t batch = saved.len / 3;
    for (size_t at = 0; at < saved.len; at++) {
        struct buf *file = fake_file(help.env, path);
        buf_clear(file);
        buf_append(file, saved.data, saved.len);
        size_t field = at % batch;
        if (field < 8 || (field >= 12 && field < 16))
            continue; // base offset and leader epoch are outside Kafka's checksum
        file->data[at] ^= 0x40;
        help_open(&help, false);
        cr_assert_eq(log_end(help.log), (int64_t)(at / batch) * 2, "byte %zu", at);
        help_crash(&help, false, false);
        cr_assert_eq(path_unlink(help.env, "/data/recovery-point-offset-checkpoint"), ST_OK);
    }
    buf_fini(&saved);
    help_fini(&help);
}

Test(crash, epochs_saved_before_a_truncation_do_not_come_back)
{
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    for (int i = 0; i < 5; i++)
        help_append(&help, 2, 100, 1);
    for (int i = 0; i < 5; i++)
        help_append(&help, 2, 100, 2);
    help_flush(&help);
    log_set_checkpoint(help.set, NULL, NULL);
    fake_run(help.env);
    log_truncate(help.log, 6, help_on_done, &help);
    fake_run(help.env);
    for (int i = 0; i < 5; i++)
        help_append(&help, 2, 100, 3);
    help_flush(&help);
    help_crash(&help, true, false);
    help_open(&help, false);
    int32_t epoch;
    int64_t end;
    log_epoch_end(help.log, 2, &epoch, &end);
    cr_assert_eq(epoch, 1);
    cr_assert_eq(end, 6);
    cr_assert_eq(log_epoch_at(help.log, 12), 3);
    help_fini(&help);
}

Test(crash, an_index_that_points_elsewhere_is_made_anew)
{
    static const char path[] = "/data/t-0/00000000000000000000.index";
    for (int kind = 0; kind < 4; kind++) {
        struct help help;
        help_init(&help, 1);
        help.config.log.segment_bytes = 1 << 20;
        help_open(&help, true);
        for (int i = 0; i < 60; i++)
            help_append(&help, 2, 100, 1);
        help_flush(&help);
        log_set_checkpoint(help.set, NULL, NULL);
        fake_run(help.env);
        help_crash(&help, true, false);
        struct buf *index = fake_file(help.env, path);
        cr_assert_gt(index->len, 32);
        if (kind == 0)
            index->data[index->len - 1] += 3; // the newest position
        else if (kind == 1)
            index->data[index->len - 5] -= 1; // the newest offset
        else if (kind == 2)
            memset(index->data + index->len / 2, 0, index->len / 2); // a page that never came
        else
            index->len -= 3;
        help_open(&help, false);
        cr_assert_not(log_lost(help.log));
        cr_assert_eq(help_check_content(&help), 60);
        for (int i = 0; i < 20; i++)
            help_append(&help, 2, 100, 1);
        help_flush(&help);
        help_close(&help);
        help_open(&help, false);
        cr_assert_eq(help_check_content(&help), 80);
        cr_assert_eq(log_start(help.log), 0);
        help_fini(&help);
    }
}
