// SPDX-License-Identifier: Apache-2.0
// When retention looks at which log. The set keeps its logs in a heap by the time of the next possible
// expiry or roll, so that a look costs nothing while nothing is due, however many logs there are. What a look
// finds is moved by start.c and removed by reclaim.c; which segments go is retention.c's choice.
#include "base/assert.h"
#include "base/mem.h"
#include "log/internal.h"

enum {
    TICK_MS = 500,  // an expiry is acted upon within a second
    LOOKS_MAX = 256 // of one turn of the loop
};

// ---- the heap ----

static void put(struct log_set *set, int at, struct log *log)
{
    set->due[at] = log;
    log->due_at = at;
}

static void sift_up(struct log_set *set, int at)
{
    struct log *log = set->due[at];
    while (at > 0 && set->due[(at - 1) / 2]->due_ms > log->due_ms) {
        put(set, at, set->due[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(set, at, log);
}

static void sift_down(struct log_set *set, int at)
{
    struct log *log = set->due[at];
    for (;;) {
        int child = 2 * at + 1;
        if (child + 1 < set->due_count && set->due[child + 1]->due_ms < set->due[child]->due_ms)
            child++;
        if (child >= set->due_count || set->due[child]->due_ms >= log->due_ms)
            break;
        put(set, at, set->due[child]);
        at = child;
    }
    put(set, at, log);
}

void log_expiry_forget(struct log *log)
{
    struct log_set *set = log->set;
    int at = log->due_at;
    if (at < 0)
        return;
    log->due_at = -1;
    struct log *last = set->due[--set->due_count];
    if (last == log)
        return;
    put(set, at, last);
    sift_up(set, at);
    sift_down(set, last->due_at);
}

static void schedule(struct log *log, int64_t due_ms)
{
    struct log_set *set = log->set;
    if (due_ms == INT64_MAX) {
        log_expiry_forget(log);
        return;
    }
    log->due_ms = due_ms;
    if (log->due_at < 0) {
        if (set->due_count == set->due_cap) {
            set->due_cap = set->due_cap ? set->due_cap * 2 : 16;
            set->due = mem_realloc(set->due, (size_t)set->due_cap * sizeof *set->due);
        }
        put(set, set->due_count++, log);
    }
    sift_up(set, log->due_at);
    sift_down(set, log->due_at);
}

void log_expiry_soon(struct log *log)
{
    log->bytes_max = INT64_MAX; // the look says it anew
    if (log->set->on_start != NULL && !log->deleted)
        schedule(log, 0);
}

// ---- a look at a log ----

static struct log_retention_rules rules_of(const struct log *log)
{
    const struct log_config *config = &log->config;
    return (struct log_retention_rules){.ms = log->set->clock.resting ? -1 : config->retention_ms,
                                        .late_ms = config->late_ms,
                                        .bytes = config->retention_bytes,
                                        .deletes = config->deletes};
}

static struct log_retention_view view_of(const struct log *log, int64_t now_ms)
{
    return (struct log_retention_view){.segments = log->state.segments,
                                       .count = log->state.count,
                                       .bytes = log->bytes,
                                       .start = log->start,
                                       .end = log->state.end,
                                       .high_watermark = log->high_watermark,
                                       .now_ms = now_ms};
}

static struct log_segment *active_of(const struct log *log)
{
    return log->state.segments[log->state.count - 1];
}

// When it rolls although nobody appends.
static int64_t roll_due_ms(const struct log *log)
{
    struct log_segment *active = active_of(log);
    return log_retention_roll_ms(active, log_roll_after_ms(log, active));
}

static void on_raised(struct log *log, enum status status, void *context)
{
    if (status == ST_OK && !log->deleted)
        log->set->on_start(log);
    else if (status == ST_NO_SPACE)
        log_expiry_soon(log); // what is saved stays behind: tried again
}

// The oldest `count` segments go. All of them: only behind a new one, as in Kafka.
static void drop(struct log *log, const struct log_retention_view *view, int count)
{
    int64_t start = log_retention_upper(view, count - 1);
    if (count == view->count) {
        log_roll(log);
        log_mark_dirty(log);
    }
    if (start > log->start || log->start_saved < log->start)
        log_raise_start(log, start > log->start ? start : log->start, on_raised, NULL);
    else
        log_reclaim_want(log);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// Looks that came to nothing (the watermark is behind) and new ones are not before the next tick.
static void schedule_next(struct log *log, const struct log_retention_rules *rules, int64_t now_ms)
{
    const struct log_retention_view view = view_of(log, now_ms);
    int64_t due_ms = earlier(log_retention_due_ms(&view, rules), roll_due_ms(log));
    log->bytes_max = log_retention_bytes_max(&view, rules);
    if (log->bytes >= log->bytes_max)
        due_ms = 0;
    schedule(log, due_ms <= now_ms ? now_ms + 1 : due_ms);
}

static void look(struct log *log, int64_t now_ms)
{
    log_expiry_forget(log);
    if (log->status != ST_OK || log->lost || log->deleted || log->state.count == 0)
        return;
    if (log->busy) {
        schedule(log, now_ms + 1); // a truncation may change everything
        return;
    }
    const struct log_retention_rules rules = rules_of(log);
    const struct log_retention_view view = view_of(log, now_ms);
    int count = log_retention_choose(&view, &rules);
    if (count > 0)
        drop(log, &view, count);
    if (roll_due_ms(log) <= now_ms) {
        log_roll(log);
        log_mark_dirty(log);
    }
    schedule_next(log, &rules, now_ms);
}

// ---- the clock ----

static void look_at_all(struct log_set *set)
{
    for (struct log *log = set->first; log != NULL; log = log->next)
        log_expiry_soon(log);
}

static void look_at_clock(struct log_set *set, int64_t wall_ms)
{
    bool before = set->clock.resting, rests = log_clock_rests(&set->clock, wall_ms, env_now_ms(set->env));
    if (before == rests)
        return;
    metric_set(&set->m_resting, rests);
    if (rests)
        DIAG_WARN(&set->env->diag, "retention by time rests: the clock has leapt dir=%s leap_ms=%lld",
                  set->path, (long long)(wall_ms - env_now_ms(set->env) - set->clock.apart_ms));
    else
        DIAG_INFO(&set->env->diag, "retention by time goes on dir=%s", set->path);
    look_at_all(set);
}

void log_expiry_fire(struct timer *timer)
{
    struct log_set *set = timer->context;
    int64_t now_ms = env_wall_ms(set->env);
    int looks = 0;
    if (set->closing)
        return;
    look_at_clock(set, now_ms);
    while (set->due_count > 0 && set->due[0]->due_ms <= now_ms && looks++ < LOOKS_MAX)
        look(set->due[0], now_ms);
    log_reclaim_work(set);
    log_set_work(set);
    if (looks > LOOKS_MAX)
        timer_start_us(set->env, timer, 0);
    else
        timer_start_together_ms(set->env, timer, TICK_MS);
}

void log_set_retain(struct log_set *set, log_start_fn *on_start)
{
    ASSERT(set->on_start == NULL && on_start != NULL);
    set->on_start = on_start;
    look_at_all(set);
    timer_start_ms(set->env, &set->expiry, 0);
}
