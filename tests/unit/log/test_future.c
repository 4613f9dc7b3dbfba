// SPDX-License-Identifier: Apache-2.0
// A log that takes the place of another directory's (KIP-113): copied, installed, promoted, the old one
// removed, with appends, a cut and a moved start before, between and behind. The n-th change of a file is the
// moment of death, for every n: the directories say which of them is the log, it is as it was acknowledged,
// and a move that was answered goes on or is over.
#include "log_help.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct story {
    struct help help; // of /data; help.log is the replica's log, wherever it is
    struct log_set *other;
    struct log *future;
    int64_t durable;
    int64_t start;     // acknowledged
    int64_t cut;       // a truncation to here was asked for and not answered, -1: none
    bool made;         // the move was answered
    bool removed;      // so was the old log's removal
    struct log *fresh; // in the place of the old one, at the end
};

static struct fake_env *fake(const struct story *story)
{
    return fake_of(story->help.env);
}

// At once: a death may come before anything else is heard.
static void on_durable(struct log *log, enum status status)
{
    struct help *help = log_user(log);
    if (help != NULL && log == help->log && log_flushed(log) > help->acked)
        help->acked = log_flushed(log);
}

static void open_other(struct story *story)
{
    cr_assert_eq(log_set_open(story->help.env, "/other", &story->help.config, &story->other), ST_OK);
    log_flush(story->other, on_durable);
}

static void story_init(struct story *story, uint64_t seed, int32_t segment_bytes)
{
    *story = (struct story){.cut = -1};
    help_init(&story->help, seed);
    story->help.config.log.segment_bytes = segment_bytes;
    story->help.producer_id = 77;
    help_open(&story->help, true);
    open_other(story);
}

static void flush(struct story *story)
{
    struct help *help = &story->help;
    log_flush(log_owner_set(help->log), on_durable);
    fake_run(help->env);
    story->durable = help->acked;
}

static void append_some(struct story *story, int count, int32_t epoch)
{
    for (int i = 0; i < count && !fake(story)->dead; i++)
        help_append(&story->help, 1 + i % 3, 100 + 10 * (size_t)i, epoch);
}

// ---- copying, as services/storage/moves.c does ----

static void take(struct story *story, struct slice bytes)
{
    struct block *block = block_copy(bytes);
    for (size_t at = 0; at < bytes.len;) {
        struct batch_header header;
        cr_assert_eq(batch_parse(slice_of(bytes.data + at, bytes.len - at), &header), ST_OK);
        if (log_append(story->future, block, at, batch_size(&header), &header) != ST_OK)
            break;
        at += batch_size(&header);
    }
    block_unref(&block);
}

static void on_read(struct log *log, enum status status, struct piece *piece, const struct log_found *found,
                    void *context)
{
    if (status == ST_OK && piece->len > 0)
        take(context, slice_of(piece->data, piece->len));
    piece_release(piece);
    log_flush(((struct story *)context)->other, on_durable);
}

static void copy_once(struct story *story)
{
    struct log *log = story->help.log;
    struct piece pieces[LOG_PIECES];
    struct log_found found;
    int count;
    struct log_range range = {
        .from = log_end(story->future), .up_to = log_end(log), .max_bytes = 2000, .min_one = true};
    range.from = range.from > log_start(log) ? range.from : log_start(log);
    enum status status = log_read(log, &range, pieces, LOG_PIECES, &count, &found);
    if (status == ST_AGAIN || (count > 0 && pieces[0].file != NULL))
        log_read_async(log, &range, on_read, story);
    bool in_memory = status == ST_OK;
    for (int i = 0; i < count; i++) {
        in_memory = in_memory && pieces[i].file == NULL;
        if (in_memory)
            take(story, slice_of(pieces[i].data, pieces[i].len));
        piece_release(&pieces[i]);
    }
    log_flush(story->other, on_durable);
    fake_run(story->help.env);
}

static void copy(struct story *story)
{
    for (int i = 0; i < 200 && log_end(story->future) < log_end(story->help.log) && !fake(story)->dead; i++)
        copy_once(story);
}

static void begin(struct story *story)
{
    struct help *help = &story->help;
    cr_assert_eq(log_create_future(story->other, "t-0", log_id(help->log), &help->config.log, &story->future),
                 ST_OK);
    log_truncate_fully(story->future, log_start_base(help->log), help_on_done, help);
    fake_run(help->env);
    story->made = help->done == ST_OK;
}

static void install(struct story *story)
{
    log_take_name(story->future, story->help.log, help_on_done, &story->help);
    fake_run(story->help.env);
}

static void on_raised(struct log *log, enum status status, void *context)
{
    if (status == ST_OK)
        ((struct story *)context)->start = log_start(log);
}

static void raise_start(struct story *story)
{
    log_raise_start(story->help.log, log_flushed(story->help.log) - 3, on_raised, story);
    fake_run(story->help.env);
}

// A move of the start of another log, which waits; the next ones go along with it.
static void raise_beside(struct story *story)
{
    struct help *help = &story->help;
    struct log *log;
    cr_assert_eq(log_create(story->other, "u-0", (struct uuid){{8}}, &help->config.log, &log), ST_OK);
    help_append_to(help, log, 2, 100, 1);
    log_set_checkpoint(story->other, NULL, NULL);
    log_raise_start(log, 1, NULL, NULL);
}

static void cut(struct story *story)
{
    struct help *help = &story->help;
    story->cut = log_flushed(help->log) - 1;
    help->done = ST_COUNT;
    log_truncate(help->log, story->cut, help_on_done, help);
    fake_run(help->env);
    if (help->done != ST_OK)
        return;
    story->cut = -1;
    story->durable = help->acked = log_end(help->log);
    help_forget_from(help, log_end(help->log));
    help->sequence = (int32_t)log_end(help->log);
}

// A checkpoint of the other directory is under way, and changes of the log that is moved wait before the
// exchange is written down.
static void exchange(struct story *story)
{
    struct help *help = &story->help;
    struct log *old = help->log;
    help->done = ST_COUNT;
    raise_beside(story);
    log_promote(story->future, old, help_on_done, help);
    help->log = story->future;
    story->future = NULL;
    log_attach(old, NULL);
    log_attach(help->log, help);
    cr_assert_not(log_is_decided(help->log));
    log_flush(story->other, on_durable);
    append_some(story, 3, 3);
    raise_start(story);
    flush(story);
    if (!fake(story)->dead)
        cut(story);
    append_some(story, 3, 4);
    flush(story);
    if (fake(story)->dead)
        return;
    cr_assert(log_is_decided(help->log) && log_replaces(help->log, old));
    help->done = ST_COUNT;
    log_delete(old, help_on_done, help);
    fake_run(help->env);
    story->removed = help->done == ST_OK;
}

// The old directory gets a log of that name again, of which the new one must know nothing.
static void settle(struct story *story)
{
    struct help *help = &story->help;
    log_settle(help->log);
    fake_run(help->env);
    if (fake(story)->dead)
        return;
    cr_assert(uuid_is_zero(log_moved_from(help->log)));
    cr_assert_eq(log_create(help->set, "t-0", log_id(help->log), &help->config.log, &story->fresh), ST_OK);
    log_truncate_fully(story->fresh, 0, help_on_done, help);
    fake_run(help->env);
}

// Steps that are skipped once the process is dead, as a process would.
static void act(struct story *story)
{
    append_some(story, 12, 1);
    flush(story);
    append_some(story, 6, 2);
    flush(story);
    if (!fake(story)->dead)
        begin(story);
    if (!fake(story)->dead)
        copy(story);
    append_some(story, 5, 3);
    flush(story);
    if (!fake(story)->dead)
        install(story);
    append_some(story, 4, 3);
    flush(story);
    if (!fake(story)->dead)
        copy(story);
    if (!fake(story)->dead)
        exchange(story);
    append_some(story, 9, 4);
    if (!fake(story)->dead)
        flush(story);
    if (!fake(story)->dead)
        settle(story);
}

// ---- after an accident ----

static void crash(struct story *story, bool power, bool torn)
{
    fake(story)->dead = true;
    fake_run(story->help.env);
    if (story->other != NULL)
        log_set_abandon(&story->other);
    help_crash(&story->help, power, torn);
}

// The log to go on with, as the node finds it (services/storage/twins.c).
static struct log *choose(struct story *story, long at)
{
    struct log *here = log_set_find(story->help.set, "t-0"), *there = log_set_find(story->other, "t-0");
    if (here == NULL || there == NULL)
        return here != NULL ? here : there;
    cr_assert_not(log_replaces(here, there));
    cr_assert(log_replaces(there, here) || story->removed, "death at change %ld: nobody says which", at);
    return there;
}

static void check_move(struct story *story, long at)
{
    struct log *future = log_set_next_future(story->other, NULL);
    cr_assert(future == NULL || (log_set_next_future(story->other, future) == NULL && log_is_future(future)));
    cr_assert(future == NULL || !log_lost(future), "the copy is lost after death at change %ld", at);
    cr_assert(!story->made || future != NULL || log_set_find(story->other, "t-0") != NULL,
              "the move is forgotten after death at change %ld", at);
    cr_assert(!story->removed || story->help.log == log_set_find(story->other, "t-0"));
}

static void check_log(struct story *story, long at)
{
    struct help *help = &story->help;
    int64_t least = story->durable;
    if (story->cut >= 0 && story->cut < least)
        least = story->cut - 2; // whole batches of up to three records
    cr_assert_eq(log_status(help->log), ST_OK);
    cr_assert_not(log_lost(help->log));
    cr_assert_geq(log_end(help->log), least, "death at change %ld: ends at %lld, acknowledged %lld", at,
                  (long long)log_end(help->log), (long long)least);
    cr_assert_geq(log_start(help->log), story->start, "death at change %ld: the start is forgotten", at);
    help_check_content(help);
}

static void check_after(struct story *story, long at)
{
    struct help *help = &story->help;
    help_open(help, false);
    open_other(story);
    help->log = choose(story, at);
    cr_assert(help->log != NULL || story->durable == 0, "gone after death at change %ld", at);
    check_move(story, at);
    if (help->log != NULL)
        check_log(story, at);
}

static bool die_at(long n, bool power, bool torn, int32_t segment_bytes)
{
    struct story story;
    story_init(&story, (uint64_t)n, segment_bytes);
    fake(&story)->changes = 0;
    fake(&story)->die_at = n;
    act(&story);
    bool reached = fake(&story)->dead;
    crash(&story, power, torn);
    check_after(&story, n);
    crash(&story, power, torn);
    help_fini(&story.help);
    return reached;
}

Test(future, death_at_every_step_of_a_move_keeps_one_whole_log)
{
    for (int kind = 0; kind < 6; kind++) {
        long n = 0;
        while (die_at(n, kind % 3 > 0, kind % 3 > 1, kind < 3 ? 1500 : 900000))
            n++;
        cr_assert_gt(n, 50, "the move has %ld steps", n);
    }
}

// ---- one without accidents ----

static void close_other(enum status status, void *context)
{
    *(struct log_set **)context = NULL;
}

Test(future, a_copy_goes_by_its_own_name_until_it_is_promoted)
{
    struct story story;
    story_init(&story, 1, 1500);
    struct help *help = &story.help;
    append_some(&story, 12, 1);
    flush(&story);
    begin(&story);
    struct log *again;
    cr_assert_eq(log_create_future(story.other, "t-0", log_id(help->log), &help->config.log, &again),
                 ST_EXISTS);
    cr_assert_null(log_set_find(story.other, "t-0"));
    cr_assert_null(log_set_next(story.other, NULL));
    cr_assert_eq(log_set_next_future(story.other, NULL), story.future);
    cr_assert_eq(log_set_count(story.other), 0);
    copy(&story);
    install(&story);
    cr_assert_eq(help->done, ST_OK);
    cr_assert_null(log_set_find(story.other, "t-0"));
    exchange(&story);
    settle(&story);
    log_delete(story.fresh, help_on_done, help);
    fake_run(help->env);
    cr_assert_eq(log_set_find(story.other, "t-0"), help->log);
    cr_assert_null(log_set_next_future(story.other, NULL));
    cr_assert_null(log_set_find(help->set, "t-0"));
    struct batch_place place;
    struct batch_header known = {.producer_id = 77, .base_sequence = 0, .last_offset_delta = 0};
    known.base_sequence = (int32_t)help->batches[help->count - 1].base;
    known.last_offset_delta = (int32_t)(log_end(help->log) - 1 - help->batches[help->count - 1].base);
    cr_assert_eq(log_check_sequence(help->log, &known, &place), SEQUENCE_DUPLICATE);
    append_some(&story, 4, 2);
    flush(&story);
    int count = help_check_content(help);
    log_set_close(story.other, close_other, &story.other);
    fake_run(help->env);
    cr_assert_null(story.other);
    open_other(&story);
    help->log = log_set_find(story.other, "t-0");
    cr_assert_eq(help_check_content(help), count);
    crash(&story, false, false);
    help_fini(help);
}

Test(future, where_a_log_was_moved_from_is_known_after_a_clean_stop)
{
    struct story story;
    story_init(&story, 1, 900000);
    struct help *help = &story.help;
    append_some(&story, 12, 1);
    flush(&story);
    begin(&story);
    copy(&story);
    install(&story);
    exchange(&story);
    log_set_close(story.other, close_other, &story.other);
    fake_run(help->env);
    open_other(&story);
    help->log = log_set_find(story.other, "t-0");
    cr_assert(uuid_equal(log_moved_from(help->log), log_set_directory_id(help->set)));
    help_check_content(help);
    crash(&story, false, false);
    help_fini(help);
}

Test(future, a_copy_is_recovered_and_can_be_given_up)
{
    struct story story;
    story_init(&story, 1, 1500);
    struct help *help = &story.help;
    append_some(&story, 12, 1);
    flush(&story);
    begin(&story);
    copy(&story);
    int64_t end = log_end(story.future);
    cr_assert_eq(end, log_end(help->log));
    crash(&story, true, false);
    help_open(help, false);
    open_other(&story);
    story.future = log_set_next_future(story.other, NULL);
    cr_assert_not_null(story.future);
    cr_assert_eq(log_end(story.future), end);
    log_delete(story.future, help_on_done, help);
    fake_run(help->env);
    cr_assert_eq(help->done, ST_OK);
    crash(&story, true, false);
    help_open(help, false);
    open_other(&story);
    cr_assert_null(log_set_next_future(story.other, NULL));
    cr_assert_null(log_set_find(story.other, "t-0"));
    help_check_content(help);
    crash(&story, false, false);
    help_fini(help);
}

// The background's look at the files behind a start must not take the renaming for damage.
Test(future, a_copy_found_at_a_start_takes_the_name_while_files_are_looked_at)
{
    struct story story;
    story_init(&story, 1, 1500);
    struct help *help = &story.help;
    append_some(&story, 12, 1);
    flush(&story);
    begin(&story);
    copy(&story);
    crash(&story, true, false);
    help_open(help, false);
    open_other(&story);
    story.future = log_set_next_future(story.other, NULL);
    fake(&story)->pool_last = true;
    fake(&story)->now_us += 3000000;
    while (fake_fire(help->env))
        continue;
    install(&story);
    cr_assert_eq(help->done, ST_OK);
    cr_assert_eq(log_status(story.future), ST_OK, "%s", fake(&story)->last_line);
    crash(&story, false, false);
    help_fini(help);
}

Test(future, names_too_long_for_a_copys_directory_are_refused)
{
    struct story story;
    story_init(&story, 1, 1500);
    struct log_config config = log_config_default();
    struct log *log;
    char name[300];
    for (int len = 230; len <= 255; len++) {
        snprintf(name, sizeof name, "%0*d-0", len - 2, 0);
        bool fits = len + 4 + (int)strlen(".-future") <= 255;
        cr_assert_eq(log_create_future(story.other, name, (struct uuid){{1}}, &config, &log),
                     fits ? ST_OK : ST_INVALID, "%d characters", len);
    }
    crash(&story, false, false);
    help_fini(&story.help);
}

Test(future, held_appends_are_refused_as_if_there_were_no_room)
{
    struct story story;
    story_init(&story, 1, 1500);
    append_some(&story, 2, 1);
    log_hold(story.help.log, true);
    cr_assert_eq(help_append(&story.help, 1, 100, 1), ST_LIMIT);
    log_hold(story.help.log, false);
    cr_assert_eq(help_append(&story.help, 1, 100, 1), ST_OK);
    crash(&story, false, false);
    help_fini(&story.help);
}

// The n-th change of a file fails, and the disk works again: false when taking the name has none.
static bool fail_install_at(long n)
{
    const struct uuid id = {{0x99, 0x55, 0xaa, 0x66}};
    struct story story;
    struct log *fresh;
    story_init(&story, 1, 1500);
    struct help *help = &story.help;
    append_some(&story, 12, 1);
    flush(&story);
    begin(&story);
    copy(&story);
    fake(&story)->die_at = fake(&story)->changes + n;
    install(&story);
    bool failed = help->done != ST_OK;
    fake(&story)->dead = false;
    fake(&story)->die_at = -1;
    log_delete(story.future, help_on_done, help);
    fake_run(help->env);
    cr_assert_eq(help->done, ST_OK);
    cr_assert_eq(log_create(story.other, "t-0", id, &help->config.log, &fresh), ST_OK);
    help_append_to(help, fresh, 1, 50, 9);
    log_flush(story.other, on_durable);
    fake_run(help->env);
    cr_assert_eq(log_flushed(fresh), 1);
    crash(&story, true, false);
    help_open(help, false);
    open_other(&story);
    fresh = log_set_find(story.other, "t-0");
    cr_assert(fresh != NULL && uuid_equal(log_id(fresh), id), "error at change %ld", n);
    cr_assert_eq(log_end(fresh), 1, "error at change %ld", n);
    crash(&story, false, false);
    help_fini(help);
    return failed;
}

// Under whatever name it is then, it leaves nothing that a new log of the partition would find.
Test(future, a_copy_that_could_not_take_the_name_can_be_given_up)
{
    long n = 0;
    while (fail_install_at(n))
        n++;
    cr_assert_geq(n, 7);
}
