// SPDX-License-Identifier: Apache-2.0
// Accidents at every step of a log's compacted life (compare test_crash.c): appends
// through the journal and past it, cleanings that join segments, a truncation, cleanings again. The n-th
// change of a file is the moment of death, for every n, by kill -9 and by power cuts. After each: the newest
// record of every key that was acknowledged is there at its offset, nothing unknown is, the log ends where it
// must, a second recovery finds nothing to do, and compaction goes on from there.
#include "compact_help.h"

#include "log/internal.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum {
    GAP_MAX = 60
}; // below a cut the log may end so far: whole batches, and what compaction took before them

struct story {
    struct compact compact;
    int64_t durable;
    int64_t cut_pending; // a truncation to here was asked for and not answered; -1: none
};

static bool dead(const struct story *story)
{
    return fake_of(story->compact.help.env)->dead;
}

static void append(struct story *story, int batches, int at_once)
{
    for (int i = 0; i < batches && !dead(story); i += at_once) {
        compact_append(&story->compact, at_once);
        if (story->compact.help.acked > story->durable)
            story->durable = story->compact.help.acked;
    }
}

static void clean(struct story *story)
{
    if (!dead(story))
        compact_clean(&story->compact);
}

static void truncate(struct story *story, int64_t to)
{
    struct help *help = &story->compact.help;
    if (dead(story))
        return;
    story->cut_pending = to;
    compact_mark_superseded(&story->compact);
    help->done = ST_COUNT;
    log_truncate(help->log, to, help_on_done, help);
    fake_run(help->env);
    story->compact.epoch++;
    if (help->done != ST_OK)
        return;
    story->cut_pending = -1;
    story->durable = help->acked = log_end(help->log);
    compact_forget_from(&story->compact, log_end(help->log));
}

static void act(struct story *story)
{
    append(story, 12, 1); // mostly through the journal
    append(story, 30, 6);
    clean(story);
    append(story, 20, 1);
    clean(story); // joins what became small; the journal still names some of it
    append(story, 10, 5);
    if (!dead(story))
        truncate(story, log_end(story->compact.help.log) * 3 / 4);
    append(story, 14, 1);
    clean(story);
    append(story, 3, 1);
}

// Rows that were never acknowledged, or were cut, are forgotten.
static void settle_rows(struct story *story)
{
    struct compact *compact = &story->compact;
    int64_t end = log_end(compact->help.log);
    while (compact->count > 0 && compact->rows[compact->count - 1].last >= end)
        compact->count--;
}

static void check_after(struct story *story, long at)
{
    struct compact *compact = &story->compact;
    struct log *log;
    compact_open(compact);
    log = compact->help.log;
    int64_t least = story->durable;
    if (story->cut_pending >= 0 && story->cut_pending < least)
        least = story->cut_pending - GAP_MAX;
    cr_assert_not(log_lost(log), "lost after death at change %ld: %s", at,
                  fake_of(compact->help.env)->last_line);
    cr_assert_eq(log_status(log), ST_OK);
    cr_assert_geq(log_end(log), least, "death at change %ld: ends at %lld, acknowledged %lld; %s", at,
                  (long long)log_end(log), (long long)least, fake_of(compact->help.env)->last_line);
    settle_rows(story);
    compact_check(compact, 0);
}

static void check_idempotent(struct story *story)
{
    struct compact *compact = &story->compact;
    int64_t end = log_end(compact->help.log);
    help_crash(&compact->help, true, false);
    int lines = fake_of(compact->help.env)->lines;
    compact_open(compact);
    cr_assert_eq(log_end(compact->help.log), end);
    cr_assert_eq(fake_of(compact->help.env)->lines, lines, "%s", fake_of(compact->help.env)->last_line);
    compact_check(compact, 0);
    compact->epoch++;
    compact_append(compact, 12);
    compact_clean(compact);
    compact_check(compact, 0);
}

static void story_init(struct story *story, uint64_t seed)
{
    *story = (struct story){.cut_pending = -1};
    compact_init(&story->compact, seed);
    story->compact.keys = 12;
}

static bool die_at(long n, int kind)
{
    struct story *story = calloc(1, sizeof *story);
    story_init(story, (uint64_t)n * 31 + (uint64_t)kind);
    fake_of(story->compact.help.env)->changes = 0;
    fake_of(story->compact.help.env)->die_at = n;
    act(story);
    bool reached = dead(story);
    help_crash(&story->compact.help, kind > 0, kind > 1);
    check_after(story, n);
    check_idempotent(story);
    compact_fini(&story->compact);
    free(story);
    return reached;
}

static void die_everywhere(int kind)
{
    long n = 0;
    while (die_at(n, kind))
        n++;
    cr_assert_gt(n, 300, "the scenario has %ld steps", n);
}

Test(compaction_crash, kill_at_every_step_keeps_the_newest_of_every_key)
{
    die_everywhere(0);
}

Test(compaction_crash, power_cut_at_every_step_keeps_the_newest_of_every_key)
{
    die_everywhere(1);
}

Test(compaction_crash, power_cut_with_torn_writes_at_every_step_keeps_the_newest_of_every_key)
{
    for (int kind = 2; kind < 5; kind++)
        die_everywhere(kind);
}

Test(compaction_crash, recovery_cut_short_at_every_step_is_repeated)
{
    for (long death = 0; death < 600; death += 7) {
        for (long n = 0;; n++) {
            struct story *story = calloc(1, sizeof *story);
            struct help *help = &story->compact.help;
            story_init(story, (uint64_t)death);
            fake_of(help->env)->changes = 0;
            fake_of(help->env)->die_at = death;
            act(story);
            help_crash(help, true, death % 2 == 0);
            fake_of(help->env)->changes = 0;
            fake_of(help->env)->die_at = n;
            enum status status = help_try_open(help);
            bool reached = dead(story);
            help_crash(help, true, true);
            if (!reached)
                cr_assert_eq(status, ST_OK);
            check_after(story, n);
            compact_fini(&story->compact);
            free(story);
            if (!reached)
                break;
        }
    }
}
