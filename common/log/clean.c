// SPDX-License-Identifier: Apache-2.0
// Compaction as the loop sees it: choosing a log, feeding its job (clean_job.h) to the pool slice by slice,
// and putting finished segments in the place of old ones. A truncation, a removal or the end of the set makes
// a running job worthless, which is noticed behind every slice; nothing waits for it but a swap of files,
// which is short and holds back changes of that log's files only.
//
// A swap: an op of the flusher makes the journal forget the segments (log/journal.h); the pool swaps the
// files (log/swap.h), while reads that meet them are parked; the loop replaces the segments and lets the
// reads go on.
#include "base/assert.h"
#include "base/mem.h"
#include "log/clean_job.h"
#include "log/internal.h"
#include "log/swap.h"

#include <stddef.h>
#include <string.h>

enum { BACKOFF_MS_MIN = 10, PERCENT = 100 };

struct log_cleaner {
    struct log_set *set;
    struct log_clean_config config;
    struct timer timer;     // the next choice or slice
    struct clean_job *work; // NULL: idle
    struct log *log;        // being cleaned
    uint64_t generation;    // of the log when its cleaning began
    int64_t began_us;       // of the slice
    bool waiting; // for recovery points that are saved, or for the aborted transactions of a log to clean
    int64_t asked_first, asked_end; // the log's first offset and what was stable when they were asked for
    struct job swap;
    enum status swap_status;
    bool swap_decided;
    int64_t ran_ms; // when the last cleaning ended
    struct metric m_runs, m_read, m_written, m_dirty, m_idle, m_failed;
};

struct log_clean_config log_clean_config_default(void)
{
    return (struct log_clean_config){.enable = true,
                                     .backoff_ms = 15000,
                                     .map_bytes = 128 << 20,
                                     .map_load = 0.9,
                                     .bytes_per_second = 1e300};
}

static struct env *env_of(const struct log_cleaner *cleaner)
{
    return cleaner->set->env;
}

static void back_off(struct log_cleaner *cleaner)
{
    int64_t wait_ms = cleaner->config.backoff_ms;
    if (!cleaner->set->closing)
        timer_start_ms(env_of(cleaner), &cleaner->timer, wait_ms < BACKOFF_MS_MIN ? BACKOFF_MS_MIN : wait_ms);
}

// ---- the end of a cleaning ----

static void work_end(struct log_cleaner *cleaner, int64_t wait_us)
{
    struct log *log = cleaner->log;
    clean_job_destroy(&cleaner->work);
    cleaner->log = NULL;
    cleaner->ran_ms = env_now_ms(env_of(cleaner));
    if (wait_us < 0)
        back_off(cleaner);
    else if (!cleaner->set->closing)
        timer_start_us(env_of(cleaner), &cleaner->timer, wait_us);
    log_reader_ended(log);
}

// Its files go first, if it has any.
static void give_up(struct log_cleaner *cleaner)
{
    if (clean_job_forget(cleaner->work))
        env_submit(env_of(cleaner), env_of(cleaner)->pool, &cleaner->work->job);
    else
        work_end(cleaner, -1);
}

// Without memory or space it is tried again; anything else would be met again and again.
static void work_failed(struct log_cleaner *cleaner, enum status status)
{
    struct log *log = cleaner->log;
    bool passes = status == ST_NO_SPACE || status == ST_NO_MEMORY;
    DIAG_WARN(&env_of(cleaner)->diag, "cannot compact log=%s status=%s %s", log->name, status_name(status),
              passes ? "it is tried again" : "it is left as it is until the next start");
    log->clean.failed = !passes;
    metric_inc(&cleaner->m_failed, !passes);
    give_up(cleaner);
}

static void work_done(struct log_cleaner *cleaner)
{
    const struct clean_job *work = cleaner->work;
    struct log *log = cleaner->log;
    log->clean.first_dirty = work->end;
    log->touched = true;
    metric_inc(&cleaner->m_runs, 1);
    DIAG_DEBUG(&env_of(cleaner)->diag, "compacted log=%s from=%lld to=%lld read=%lld written=%lld", log->name,
               (long long)work->first, (long long)work->end, (long long)work->read_bytes,
               (long long)work->written_bytes);
    work_end(cleaner, 0);
}

// ---- putting a group in place ----

// Whether the log is still the one whose segments the job reads.
static bool is_wanted(const struct log_cleaner *cleaner)
{
    const struct log *log = cleaner->log;
    const struct clean_job *work = cleaner->work;
    if (cleaner->set->closing || !cleaner->config.enable || log->deleted ||
        log->generation != cleaner->generation || log->status != ST_OK || !log->config.compact)
        return false;
    int at =
        log_state_segment_at(&log->state, work->sources[work->group < work->count ? work->group : 0].base);
    for (int i = work->group; i < work->count; i++, at++)
        if (at < 0 || at + 1 >= log->state.count || log->state.segments[at]->base != work->sources[i].base)
            return false; // retention has removed some
    return true;
}

static int64_t group_next(const struct clean_job *work)
{
    return work->sources[work->group_end - 1].next;
}

// Batches and ends of reads that are remembered by their place in a replaced segment.
static void forget_places(struct log *log, int64_t end)
{
    uint32_t gone = 0;
    while (gone < log->ring.written && log_ring_at(&log->ring, gone)->segment->base < end)
        gone++;
    log_ring_trim(&log->ring, log->ring.written - gone);
    log_cursors_destroy(&log->cursors);
    log_verified_forget(log->set->verified, &log->known, end);
}

static void install(struct log *log, struct log_segment *segment_take, int64_t end)
{
    struct log_state *state = &log->state;
    int from = log_state_segment_at(state, segment_take->base), to = from;
    ASSERT(from >= 0 && state->segments[from]->base == segment_take->base);
    forget_places(log, end);
    segment_take->created_ms = state->segments[from]->created_ms;
    for (; to < state->count && state->segments[to]->base < end; to++) {
        log->bytes -= state->segments[to]->size;
        log_close_handle(log, state->segments[to]);
        log_segment_destroy(&state->segments[to]);
    }
    state->segments[from] = segment_take;
    log->bytes += segment_take->size;
    memmove(&state->segments[from + 1], &state->segments[to],
            (size_t)(state->count - to) * sizeof *state->segments);
    state->count -= to - from - 1;
}

static void unpark(struct log *log)
{
    while (log->clean.parked != NULL) {
        struct log_parked *parked = log->clean.parked;
        log->clean.parked = parked->next;
        parked->again(parked);
    }
}

bool log_swap_overtook(struct log *log, int64_t segment_base, uint64_t swaps, struct log_parked *parked)
{
    struct log_clean *clean = &log->clean;
    if (clean->swapping && segment_base >= clean->swap_from && segment_base < clean->swap_end) {
        parked->next = clean->parked;
        clean->parked = parked;
        return true;
    }
    if (clean->swaps == swaps)
        return false;
    parked->again(parked);
    return true;
}

static void slice_submit(struct log_cleaner *cleaner)
{
    cleaner->began_us = env_now_us(env_of(cleaner));
    env_submit(env_of(cleaner), env_of(cleaner)->pool, &cleaner->work->job);
}

// Waits as long as the slice took, so that half of the time is everybody else's, or as the budget says.
static void slice_later(struct log_cleaner *cleaner)
{
    double took_us = (double)(env_now_us(env_of(cleaner)) - cleaner->began_us);
    double budget_us = (double)cleaner->work->slice_bytes * 1e6 / cleaner->config.bytes_per_second - took_us;
    timer_start_us(env_of(cleaner), &cleaner->timer, (int64_t)(budget_us > took_us ? budget_us : took_us));
}

static void swap_run(struct job *job)
{
    struct log_cleaner *cleaner = (struct log_cleaner *)((char *)job - offsetof(struct log_cleaner, swap));
    const struct clean_job *work = cleaner->work;
    cleaner->swap_status =
        log_swap_files(work->env, work->path, work->out->base, group_next(work), &cleaner->swap_decided);
}

static void swap_done(struct job *job)
{
    struct log_cleaner *cleaner = (struct log_cleaner *)((char *)job - offsetof(struct log_cleaner, swap));
    struct log *log = cleaner->log;
    struct log_set *set = cleaner->set;
    log->clean.swapping = false;
    log->clean.swaps++;
    if (cleaner->swap_status == ST_OK) {
        install(log, cleaner->work->out, log->clean.swap_end);
        clean_job_swapped(cleaner->work);
    }
    unpark(log); // while the cleaning still keeps the log
    if (cleaner->swap_status == ST_OK) {
        slice_later(cleaner);
    } else if (cleaner->swap_decided) {
        log_go_offline(log, cleaner->swap_status); // recovery finishes it
        log_segment_destroy(&cleaner->work->out);
        work_end(cleaner, -1);
    } else {
        work_failed(cleaner, cleaner->swap_status);
    }
    log_set_work(set);
}

static void void_prepare(struct log_op *op)
{
    if (is_wanted(op->context))
        return;
    op->status = ST_CANCELLED;
    op->voids = false;
}

static void void_run(struct log_op *op)
{
    op->status = log_op_void(op);
}

static void void_finish(struct log_op *op)
{
    struct log_cleaner *cleaner = op->context;
    struct log *log = cleaner->log;
    if (op->status == ST_CANCELLED || op->status == ST_NO_SPACE) {
        give_up(cleaner);
        return;
    }
    if (op->status != ST_OK) {
        work_failed(cleaner, op->status);
        return;
    }
    log->clean.swapping = true;
    log->clean.swap_from = cleaner->work->out->base;
    log->clean.swap_end = group_next(cleaner->work);
    cleaner->swap = (struct job){.run = swap_run, .done = swap_done};
    env_submit(env_of(cleaner), env_of(cleaner)->pool, &cleaner->swap);
}

static void swap_begin(struct log_cleaner *cleaner)
{
    struct log_op *op = log_op_new(cleaner->set, cleaner->log);
    op->context = cleaner;
    op->prepare = void_prepare;
    op->run = void_run;
    op->finish = void_finish;
    op->voids = true;
    op->voids_below = group_next(cleaner->work);
    log_op_queue(op);
}

// ---- slices ----

static void slice_done(struct job *job)
{
    struct clean_job *work = (struct clean_job *)job;
    struct log_cleaner *cleaner = work->owner;
    metric_inc(&cleaner->m_read, work->slice_bytes);
    if (work->phase == CLEAN_OVER)
        work_end(cleaner, -1);
    else if (!is_wanted(cleaner))
        give_up(cleaner);
    else if (work->status != ST_OK)
        work_failed(cleaner, work->status);
    else if (work->phase == CLEAN_SWAP)
        swap_begin(cleaner);
    else if (work->phase == CLEAN_DONE)
        work_done(cleaner);
    else
        slice_later(cleaner);
}

// ---- choosing ----

// Open transactions and those whose marker the watermark has not passed may end either way: nothing from
// them on is cleaned.
static struct log_dirty dirty_of(const struct log *log, int64_t durable)
{
    struct log_dirty_bounds bounds = {.first = log->clean.first_dirty,
                                      .limit = log_stable_end(log, log->high_watermark),
                                      .now_ms = env_wall_ms(log->set->env)};
    if (bounds.limit > durable)
        bounds.limit = durable;
    return log_dirty_find(&log->state, &log->config, &bounds);
}

static bool may_be_cleaned(const struct log *log)
{
    return log->config.compact && !log->clean.failed && !log->deleted && !log->lost && !log->busy &&
           log->status == ST_OK;
}

// The log with the largest share of dirty bytes among those that are due; NULL: none. saved: what counts is
// below the recovery point on disk, else what will be below it when it is saved.
static struct log *choose(struct log_cleaner *cleaner, bool saved)
{
    struct log *best = NULL;
    double best_ratio = -1, largest = 0;
    for (struct log *log = cleaner->set->first; log != NULL; log = log->next) {
        if (!may_be_cleaned(log))
            continue;
        struct log_dirty dirty = dirty_of(log, saved ? log->recovery_point : log->synced);
        double ratio = log_dirty_ratio(&dirty);
        largest = ratio > largest ? ratio : largest;
        if (!log_dirty_due(&dirty, &log->config) || ratio <= best_ratio)
            continue;
        best = log;
        best_ratio = ratio;
    }
    metric_set(&cleaner->m_dirty, (int64_t)(largest * PERCENT));
    return best;
}

static void take_sources(struct clean_spec *spec, const struct log *log, int64_t end)
{
    const struct log_state *state = &log->state;
    spec->sources = mem_calloc((size_t)state->count, sizeof *spec->sources);
    for (int i = 0; i + 1 < state->count && state->segments[i]->base < end; i++) {
        const struct log_segment *segment = state->segments[i];
        spec->sources[spec->count++] = (struct log_source){.base = segment->base,
                                                           .next = state->segments[i + 1]->base,
                                                           .size = segment->size,
                                                           .index_bytes = segment->index.written,
                                                           .times_bytes = segment->times.written,
                                                           .aborted = segment->aborted.entries > 0};
    }
}

// At most log_set_config.producers_max; only those whose last batch is among what is cleaned matter.
static void take_producers(struct clean_spec *spec, const struct log *log)
{
    const struct log_producers *producers = &log->state.producers;
    spec->producers = mem_calloc(producers->by_id.count + 1, sizeof *spec->producers);
    for (const struct log_producer *at = producers->oldest; at != NULL; at = at->newer) {
        int64_t last = at->batch_count > 0 ? at->batches[at->batch_count - 1].last_offset : -1;
        if (last >= spec->end)
            continue;
        spec->producers[spec->producer_count++] =
            (struct log_last_batch){.producer_id = at->id, .last_offset = last, .epoch = at->epoch};
    }
}

// rows: the aborted transactions that end in the segments below dirty->end or reach into them.
static void begin(struct log_cleaner *cleaner, struct log *log, const struct log_dirty *dirty,
                  const struct log_aborted *rows, int count)
{
    struct clean_spec spec = {.env = env_of(cleaner),
                              .path = log->path,
                              .config = &log->config,
                              .first = dirty->first,
                              .end = dirty->end,
                              .aborted = mem_calloc((size_t)count + 1, sizeof *rows),
                              .aborted_count = count,
                              .map_bytes = cleaner->config.map_bytes,
                              .map_load = cleaner->config.map_load};
    if (count > 0)
        memcpy(spec.aborted, rows, (size_t)count * sizeof *rows);
    take_sources(&spec, log, dirty->end);
    take_producers(&spec, log);
    cleaner->work = clean_job_new(&spec);
    if (cleaner->work == NULL) {
        DIAG_WARN(&env_of(cleaner)->diag, "no memory to compact a log log=%s", log->name);
        back_off(cleaner);
        return;
    }
    cleaner->work->owner = cleaner;
    cleaner->work->job.done = slice_done;
    cleaner->log = log;
    cleaner->generation = log->generation;
    log_reader_began(log);
    slice_submit(cleaner);
}

static void aborted_unknown(struct log_cleaner *cleaner, struct log *log, enum status status)
{
    DIAG_WARN(&env_of(cleaner)->diag,
              "cannot compact log=%s status=%s its aborted transactions cannot be read, it is left as it is "
              "until the next start",
              log->name, status_name(status));
    log->clean.failed = true;
    metric_inc(&cleaner->m_failed, 1);
}

static void on_aborted_known(struct log *log, enum status status, const struct log_aborted *rows, int count,
                             void *context)
{
    struct log_cleaner *cleaner = context;
    cleaner->waiting = false;
    if (!cleaner->set->closing && cleaner->config.enable && may_be_cleaned(log)) {
        struct log_dirty dirty = dirty_of(log, log->recovery_point);
        if (dirty.end > cleaner->asked_end) // what is stable since then they do not tell
            dirty.end = cleaner->asked_end;
        // Else a truncation or the removal of segments came between.
        bool same = status != ST_AGAIN && log->state.segments[0]->base == cleaner->asked_first;
        if (status == ST_OK && same && dirty.end > dirty.first) {
            begin(cleaner, log, &dirty, rows, count);
            return;
        }
        if (status != ST_OK && same)
            aborted_unknown(cleaner, log, status);
    }
    back_off(cleaner);
}

static void ask(struct log_cleaner *cleaner, struct log *log)
{
    struct log_dirty dirty = dirty_of(log, log->recovery_point);
    cleaner->asked_first = log->state.segments[0]->base;
    cleaner->asked_end = dirty.end;
    if (!log_may_have_aborted(log, cleaner->asked_first, dirty.end)) {
        begin(cleaner, log, &dirty, NULL, 0);
        return;
    }
    cleaner->waiting = true;
    log_list_aborted(log, dirty.end, on_aborted_known, cleaner);
}

static void on_saved(struct log_set *set, enum status status, void *context)
{
    struct log_cleaner *cleaner = context;
    struct log *log = status == ST_OK && !set->closing ? choose(cleaner, true) : NULL;
    cleaner->waiting = false;
    if (log != NULL)
        ask(cleaner, log);
    else
        back_off(cleaner);
}

static void choose_next(struct log_cleaner *cleaner)
{
    metric_set(&cleaner->m_idle, (env_now_ms(env_of(cleaner)) - cleaner->ran_ms) / 1000);
    if (!cleaner->config.enable || cleaner->waiting) {
        back_off(cleaner);
        return;
    }
    bool untouched = cleaner->set->manifest == MANIFEST_STANDS; // which a checkpoint ends
    struct log *log = untouched ? NULL : choose(cleaner, true);
    if (log != NULL) {
        ask(cleaner, log);
    } else if (choose(cleaner, false) != NULL) {
        cleaner->waiting = true;
        log_set_checkpoint(cleaner->set, on_saved, cleaner);
    } else {
        back_off(cleaner);
    }
}

static void cleaner_fire(struct timer *timer)
{
    struct log_cleaner *cleaner = timer->context;
    if (cleaner->work == NULL)
        choose_next(cleaner);
    else if (is_wanted(cleaner))
        slice_submit(cleaner);
    else
        give_up(cleaner);
}

// ---- life ----

void log_clean_cut(struct log *log, int64_t to)
{
    if (log->clean.first_dirty > to)
        log->clean.first_dirty = to;
}

static void init_metrics(struct log_cleaner *cleaner)
{
    cleaner->m_runs = (struct metric){.name = "millrace_log_cleanings_total",
                                      .help = "Logs compacted as far as they could be."};
    cleaner->m_read = (struct metric){.name = "millrace_log_clean_bytes_total",
                                      .help = "Bytes read and written by compaction."};
    cleaner->m_dirty = (struct metric){.name = "millrace_log_dirty_percent_max",
                                       .help = "Largest share of a compacted log not yet cleaned.",
                                       .kind = METRIC_GAUGE};
    cleaner->m_idle = (struct metric){.name = "millrace_log_clean_idle_seconds",
                                      .help = "Time since a cleaning ended.",
                                      .kind = METRIC_GAUGE};
    cleaner->m_failed = (struct metric){.name = "millrace_log_uncleanable",
                                        .help = "Logs that cannot be compacted until the next start.",
                                        .kind = METRIC_GAUGE};
}

void log_cleaner_each_metric(struct log_cleaner *cleaner,
                             void (*act)(struct metric_registry *registry, struct metric *metric))
{
    struct metric *all[] = {&cleaner->m_runs, &cleaner->m_read, &cleaner->m_dirty, &cleaner->m_idle,
                            &cleaner->m_failed};
    for (size_t i = 0; env_of(cleaner)->metrics != NULL && i < sizeof all / sizeof all[0]; i++)
        act(env_of(cleaner)->metrics, all[i]);
}

struct log_cleaner *log_cleaner_new(struct log_set *set, const struct log_clean_config *config)
{
    struct log_cleaner *cleaner = mem_calloc(1, sizeof *cleaner);
    cleaner->set = set;
    cleaner->config = *config;
    cleaner->ran_ms = env_now_ms(set->env);
    timer_init(&cleaner->timer, cleaner_fire, cleaner);
    init_metrics(cleaner);
    log_cleaner_each_metric(cleaner, metric_add);
    return cleaner;
}

void log_set_clean(struct log_set *set, const struct log_clean_config *config)
{
    struct log_cleaner *cleaner = set->cleaner;
    cleaner->config = *config;
    if (cleaner->work == NULL && !cleaner->waiting)
        back_off(cleaner);
}

void log_cleaner_stop(struct log_cleaner *cleaner)
{
    bool waits = timer_running(&cleaner->timer);
    timer_stop(env_of(cleaner), &cleaner->timer);
    if (waits && cleaner->work != NULL)
        give_up(cleaner);
}

void log_cleaner_destroy(struct log_cleaner **pointer)
{
    struct log_cleaner *cleaner = *pointer;
    *pointer = NULL;
    timer_stop(env_of(cleaner), &cleaner->timer);
    if (cleaner->work != NULL) {
        clean_job_destroy(&cleaner->work);
        log_reader_ended(cleaner->log);
    }
    log_cleaner_each_metric(cleaner, metric_remove);
    mem_free(cleaner);
}
