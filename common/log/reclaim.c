// SPDX-License-Identifier: Apache-2.0
// Segments that lie below the start of their log: once the start is durable and a recovery point beyond them
// is saved, their files are renamed as Kafka renames them (".deleted"), durably, and leave the log's state;
// file.delete.delay.ms later the pool removes them. A crash in between leaves files below the start, which
// the next look finds again, or renamed ones, which the next load removes. Whoever sends from such a segment
// holds its file open.
#include "base/mem.h"
#include "log/internal.h"

#include <stdio.h>
#include <string.h>

enum {
    LOGS_MAX = 64,                 // of one op: appends wait meanwhile
    SEGMENTS_MAX = 1024,           // of one log and op
    POINTS_US = 5 * 1000 * 1000ll, // recovery points are saved for removals no more often
    FILES = 5
};

static const char *const suffixes[FILES] = {".log", ".index", ".timeindex", ".txnindex", ".snapshot"};

// One log's part of an op.
struct reclaim {
    struct log *log;
    struct log_load load;
    int64_t *bases; // of the segments that go
    int count;
    int64_t make;        // base of the segment that remains, when it has no files yet; -1
    struct buf snapshot; // and its producers
    enum status status;
};

struct reclaims {
    struct reclaim rows[LOGS_MAX];
    int count;
};

// Renamed files until they are removed.
struct log_doomed {
    struct job job;
    struct timer timer;
    struct log_set *set;
    struct log_doomed *next, *previous;
    struct env *env;
    char *path; // the log's directory
    int64_t *bases;
    int count;
    int64_t bytes;
};

// ---- the logs that have something to remove ----

void log_reclaim_want(struct log *log)
{
    struct log_set *set = log->set;
    const struct log_state *state = &log->state;
    bool any = state->count > 1 && state->segments[1]->base <= log->start_saved;
    if (!any || log->reclaiming || log->deleted || set->on_start == NULL)
        return;
    log_change_note(log);
    log->reclaiming = true;
    log->reclaim_next = NULL;
    *(set->reclaims_last != NULL ? &set->reclaims_last->reclaim_next : &set->reclaims) = log;
    set->reclaims_last = log;
}

static struct log *take_first(struct log_set *set)
{
    struct log *log = set->reclaims;
    set->reclaims = log->reclaim_next;
    if (set->reclaims == NULL)
        set->reclaims_last = NULL;
    log->reclaiming = false;
    return log;
}

void log_reclaim_forget(struct log *log)
{
    struct log_set *set = log->set;
    struct log *before = NULL;
    if (!log->reclaiming)
        return;
    for (struct log *at = set->reclaims; at != log; at = at->reclaim_next)
        before = at;
    *(before != NULL ? &before->reclaim_next : &set->reclaims) = log->reclaim_next;
    if (set->reclaims_last == log)
        set->reclaims_last = before;
    log->reclaiming = false;
}

// How many segments may go now: final on disk, and not needed by a recovery.
static int removable(const struct log *log)
{
    const struct log_state *state = &log->state;
    int count = 0;
    if (log->status != ST_OK || log->lost || log->busy || log->deleted || log->clean.swapping)
        return 0;
    while (count + 1 < state->count && count < SEGMENTS_MAX && state->segments[count]->sealed &&
           state->segments[count + 1]->base <= log->start_saved &&
           state->segments[count + 1]->base <= log->recovery_point)
        count++;
    return count;
}

// ---- removing files, later ----

static void doomed_free(struct log_doomed *doomed)
{
    mem_free(doomed->path);
    mem_free(doomed->bases);
    mem_free(doomed);
}

struct doomed_name {
    char text[LOG_SEGMENT_NAME + 16];
};

static struct doomed_name doomed_name(int64_t base, const char *suffix)
{
    struct doomed_name name;
    snprintf(name.text, sizeof name.text, "%s.deleted", log_segment_name(base, suffix).text);
    return name;
}

static void doomed_run(struct job *job)
{
    const struct log_doomed *doomed = (struct log_doomed *)job;
    for (int i = 0; i < doomed->count; i++)
        for (int k = 0; k < FILES; k++) // what fails is left for the next start
            (void)log_file_remove(doomed->env, doomed->path, doomed_name(doomed->bases[i], suffixes[k]).text);
}

static void doomed_done(struct job *job)
{
    doomed_free((struct log_doomed *)job);
}

static void doomed_unlink(struct log_doomed *doomed)
{
    struct log_set *set = doomed->set;
    *(doomed->previous != NULL ? &doomed->previous->next : &set->doomed) = doomed->next;
    if (doomed->next != NULL)
        doomed->next->previous = doomed->previous;
    metric_inc(&set->m_doomed_bytes, -doomed->bytes);
}

void log_reclaim_each_doomed(struct log_set *set, void (*each)(const char *name, void *context),
                             void *context)
{
    for (const struct log_doomed *doomed = set->doomed; doomed != NULL; doomed = doomed->next)
        each(doomed->path + strlen(set->path) + 1, context);
}

static void doomed_fire(struct timer *timer)
{
    struct log_doomed *doomed = timer->context;
    doomed_unlink(doomed);
    metric_inc(&doomed->set->m_removed_bytes, doomed->bytes);
    env_submit(doomed->env, doomed->env->pool, &doomed->job);
}

static void doom(struct log *log, struct reclaim *row, int64_t bytes)
{
    struct log_set *set = log->set;
    struct log_doomed *doomed = mem_calloc(1, sizeof *doomed);
    *doomed = (struct log_doomed){.job = {.run = doomed_run, .done = doomed_done},
                                  .set = set,
                                  .next = set->doomed,
                                  .env = set->env,
                                  .path = mem_strdup(log->path),
                                  .bases = row->bases,
                                  .count = row->count,
                                  .bytes = bytes};
    row->bases = NULL;
    if (set->doomed != NULL)
        set->doomed->previous = doomed;
    set->doomed = doomed;
    metric_inc(&set->m_doomed_bytes, bytes);
    timer_init(&doomed->timer, doomed_fire, doomed);
    timer_start_ms(set->env, &doomed->timer, log->config.delete_delay_ms);
}

// ---- the op ----

static void take_row(struct reclaims *reclaims, struct log *log, int count)
{
    const struct log_state *state = &log->state;
    struct reclaim *row = &reclaims->rows[reclaims->count++];
    *row = (struct reclaim){.log = log, .load = log_load_of(log, 0), .count = count, .make = -1};
    row->bases = mem_calloc((size_t)count, sizeof *row->bases);
    for (int i = 0; i < count; i++)
        row->bases[i] = state->segments[i]->base;
    const struct log_segment *remains = state->segments[count];
    buf_init(&row->snapshot, remains->snapshot.max);
    if (remains->exists)
        return;
    row->make = remains->base;
    buf_append(&row->snapshot, remains->snapshot.data, remains->snapshot.len);
}

static void reclaim_prepare(struct log_op *op)
{
    struct reclaims *reclaims = op->data;
    struct log_set *set = op->set;
    struct log *last = set->reclaims_last;
    for (bool more = set->reclaims != NULL; more && reclaims->count < LOGS_MAX;) {
        more = set->reclaims != last;
        struct log *log = take_first(set);
        int count = removable(log);
        if (count > 0)
            take_row(reclaims, log, count);
        else
            log_reclaim_want(log); // behind the others
    }
}

static enum status rename_segment(const struct log_load *load, int64_t base)
{
    enum status status = ST_OK;
    for (int i = 0; i < FILES && status == ST_OK; i++) {
        struct log_path from = log_path_join(load->path, log_segment_name(base, suffixes[i]).text);
        struct log_path to = log_path_join(load->path, doomed_name(base, suffixes[i]).text);
        status = path_rename(load->env, from.text, to.text);
        if (status == ST_NOT_FOUND)
            status = ST_OK;
    }
    return status;
}

// A log without any file would be taken for a lost one.
static enum status make_remaining(const struct reclaim *row)
{
    if (row->make < 0)
        return ST_OK;
    enum status status = ST_OK;
    if (row->snapshot.len > 0)
        status =
            log_file_replace(row->load.env, row->load.path, log_segment_name(row->make, ".snapshot").text,
                             buf_slice(&row->snapshot), false);
    return status == ST_OK ? log_segment_make(&row->load, row->make) : status;
}

static void reclaim_run(struct log_op *op)
{
    struct reclaims *reclaims = op->data;
    for (int i = 0; i < reclaims->count; i++) {
        struct reclaim *row = &reclaims->rows[i];
        row->status = make_remaining(row);
        for (int k = 0; k < row->count && row->status == ST_OK; k++)
            row->status = rename_segment(&row->load, row->bases[k]);
        if (row->status == ST_OK) // before the start's row goes, which covers them
            row->status = path_sync_dir(row->load.env, row->load.path);
    }
}

// The segments leave the state; whatever points at them goes first.
static int64_t leave_state(struct log *log, int count)
{
    struct log_state *state = &log->state;
    int64_t bytes = 0;
    while (log->ring.written > 0 && log_ring_at(&log->ring, 0)->last < state->segments[count]->base)
        log_ring_trim(&log->ring, log->ring.written - 1);
    log_verified_forget(log->set->verified, &log->known, state->segments[count]->base);
    for (int i = 0; i < count; i++) {
        bytes += state->segments[i]->size;
        log_close_handle(log, state->segments[i]);
        log_segment_destroy(&state->segments[i]);
    }
    state->count -= count;
    memmove(state->segments, state->segments + count, (size_t)state->count * sizeof *state->segments);
    log->bytes -= bytes;
    return bytes;
}

static void note_made(struct log_segment *segment)
{
    segment->exists = true;
    buf_fini(&segment->snapshot);
    buf_init(&segment->snapshot, SIZE_MAX);
}

static void row_finish(struct reclaim *row)
{
    struct log *log = row->log;
    if (row->status == ST_OK) {
        if (row->make >= 0)
            note_made(log->state.segments[row->count]);
        int64_t bytes = leave_state(log, row->count);
        DIAG_DEBUG(&log->set->env->diag, "segments removed log=%s count=%d start=%lld", log->name, row->count,
                   (long long)log->start);
        metric_inc(&log->set->m_segments_removed, row->count);
        doom(log, row, bytes);
        log_start_note(log);
        log_expiry_soon(log);
    } else if (row->status != ST_NO_SPACE) {
        log_go_offline(log, row->status);
    }
    log_reclaim_want(log);
    buf_fini(&row->snapshot);
    mem_free(row->bases);
}

static void reclaim_finish(struct log_op *op)
{
    struct reclaims *reclaims = op->data;
    for (int i = 0; i < reclaims->count; i++) {
        if (op->status != ST_OK) // it has not run
            reclaims->rows[i].status = op->status;
        row_finish(&reclaims->rows[i]);
    }
    mem_free(reclaims);
    op->set->reclaiming = false;
}

static void reclaim_queue(struct log_set *set)
{
    struct log_op *op = log_op_new(set, NULL);
    op->data = mem_calloc(1, sizeof(struct reclaims));
    op->prepare = reclaim_prepare;
    op->run = reclaim_run;
    op->finish = reclaim_finish;
    set->reclaiming = true;
    log_op_queue(op);
}

void log_reclaim_work(struct log_set *set)
{
    bool waits = false, ready = false;
    if (set->reclaiming || set->closing || set->reclaims == NULL)
        return;
    for (const struct log *log = set->reclaims; log != NULL && !ready; log = log->reclaim_next) {
        ready = removable(log) > 0;
        waits = waits || log->status == ST_OK;
    }
    if (ready) {
        reclaim_queue(set);
    } else if (waits && env_now_us(set->env) - set->points_us >= POINTS_US) {
        set->points_us = env_now_us(set->env);
        log_checkpoint_points(set);
    }
}

void log_reclaim_abandon(struct log_set *set)
{
    while (set->doomed != NULL) {
        struct log_doomed *doomed = set->doomed;
        timer_stop(set->env, &doomed->timer);
        doomed_unlink(doomed);
        doomed_free(doomed);
    }
}
