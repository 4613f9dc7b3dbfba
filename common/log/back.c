// SPDX-License-Identifier: Apache-2.0
// Write-backs: what flush rounds have made durable in the journal goes to the segments, one job at a time on
// the writer's thread, beside the flush rounds. It waits a moment, so that many small appends to a log become
// one write. The journal's blocks are made here too, each before the one written then is full. When all are
// there and in use, every log that the oldest one still serves is synced, then it takes its next number and
// may be written again. A block that serves a log whose disk has failed stays as it is, since nothing else
// may have what was acknowledged: small appends then are synced in their segments, until the log is back
// (heal.c).
#include "base/assert.h"
#include "base/mem.h"
#include "log/part.h"

enum { WRITE_OUT_MIN = 16 << 10 }; // smaller writes of one log are left to the block's sync

struct write_back {
    struct job job;
    struct log_set *set;
    struct log_parts parts;
    uint64_t block; // to be made or given back, 0 none
    bool make;
    enum status status;      // of that
    enum status sync_status; // of the syncfs for many parts
};

// ---- the logs that have a backlog ----

static void backlog_unlink(struct log *log)
{
    struct log_set *set = log->set;
    *(log->back_previous != NULL ? &log->back_previous->back_next : &set->back_first) = log->back_next;
    *(log->back_next != NULL ? &log->back_next->back_previous : &set->back_last) = log->back_previous;
    log->back_next = log->back_previous = NULL;
    log->in_backlog = false;
}

static void backlog_move(struct log *log, int64_t bytes)
{
    log->backlog += bytes;
    log->set->backlog += bytes;
    metric_inc(&log->set->m_backlog_bytes, bytes);
}

void log_back_add(struct log *log, int64_t bytes)
{
    struct log_set *set = log->set;
    backlog_move(log, bytes);
    if (log->in_backlog)
        return;
    log->in_backlog = true;
    log->backlog_us = env_now_us(set->env);
    log->back_previous = set->back_last;
    *(set->back_last != NULL ? &set->back_last->back_next : &set->back_first) = log;
    set->back_last = log;
}

void log_back_settle(struct log *log, int64_t bytes)
{
    bool all = log->ring.written == log->ring.flushed;
    backlog_move(log, all ? -log->backlog : -bytes);
    if (all && log->in_backlog)
        backlog_unlink(log);
    else if (log->in_backlog)
        log->backlog_us = env_now_us(log->set->env);
}

void log_back_index(struct log *log)
{
    log->index_due = true;
    log_back_add(log, 0);
}

void log_back_serve(struct log *log, uint64_t block)
{
    struct log **lists = log->set->served;
    struct log **old = &lists[log->journal_oldest % JOURNAL_BLOCKS], **new = &lists[block % JOURNAL_BLOCKS];
    if (log->journal_oldest != 0) {
        *(log->served_previous != NULL ? &log->served_previous->served_next : old) = log->served_next;
        if (log->served_next != NULL)
            log->served_next->served_previous = log->served_previous;
    }
    log->served_next = log->served_previous = NULL;
    log->journal_oldest = block;
    if (block == 0)
        return;
    log->served_next = *new;
    if (*new != NULL)
        (*new)->served_previous = log;
    *new = log;
}

// ---- jobs ----

static bool wants_sync(const struct part *part)
{
    return part->status == ST_OK && part->sync;
}

static void sync_parts(struct write_back *back)
{
    int count = 0;
    for (int i = 0; i < back->parts.count; i++)
        count += wants_sync(&back->parts.rows[i]);
    bool together = count > back->set->config.sync_each_max;
    if (together)
        back->sync_status = log_sync_all(back->set, LOG_WRITER);
    for (int i = 0; i < back->parts.count; i++) {
        struct part *part = &back->parts.rows[i];
        if (!wants_sync(part))
            continue;
        part->status = together ? back->sync_status : log_part_sync(part);
        part->together = together;
    }
}

// A block's sync would otherwise meet all of its bytes at once, and every flush round meanwhile waits behind
// them on the disk.
static void write_part(struct write_back *back, struct part *part)
{
    part->status = log_part_write(part);
    if (part->status == ST_OK && !part->sync && part->bytes >= WRITE_OUT_MIN)
        file_write_out(back->set->env, part->handle->file, part->at, part->bytes);
}

static void back_run(struct job *job)
{
    struct write_back *back = (struct write_back *)job;
    for (int i = 0; i < back->parts.count; i++)
        write_part(back, &back->parts.rows[i]);
    sync_parts(back);
    struct journal *journal = &back->set->journal;
    if (back->block != 0)
        back->status =
            back->make ? journal_make(journal, back->block) : journal_restamp(journal, back->block);
}

static void finish_part(struct log_set *set, struct part *part)
{
    struct log *log = part->log;
    enum status status = part->status;
    log->writing = false;
    log_part_finish(part, 0);
    log_set_stalled(log, status == ST_NO_SPACE);
    log_trim_recent(log);
    if (log->held && log->status == ST_OK && !log->deleted)
        log_mark_dirty(log);
    log->held = false;
    if (set->on_durable != NULL && !log->deleted)
        set->on_durable(log, status); // its tail has room again
}

// Without space for another block small appends are synced in their segments, each of them.
static void block_done(struct write_back *back)
{
    struct log_set *set = back->set;
    if (back->make && back->status == ST_NO_SPACE) {
        set->block_retry_us = env_now_us(set->env) + LOG_RETRY_MS * 1000;
    } else if (back->status != ST_OK) {
        log_set_go_offline(set, back->status);
    } else if (back->make) {
        journal_made(&set->journal);
    } else {
        DIAG_DEBUG(&set->env->diag, "journal block given back dir=%s block=%llu", set->path,
                   (unsigned long long)back->block);
        journal_restamped(&set->journal);
    }
}

static void back_done(struct job *job)
{
    struct write_back *back = (struct write_back *)job;
    struct log_set *set = back->set;
    metric_inc(&set->m_write_backs, 1);
    if (back->sync_status != ST_OK)
        log_set_go_offline(set, back->sync_status);
    for (int i = 0; i < back->parts.count; i++)
        finish_part(set, &back->parts.rows[i]);
    log_parts_fini(&back->parts);
    if (back->block != 0)
        block_done(back);
    metric_set(&set->m_journal_blocks, journal_blocks(&set->journal));
    if (set->stalled_logs > 0 && !timer_running(&set->retry))
        timer_start_ms(set->env, &set->retry, LOG_RETRY_MS);
    mem_free(back);
    set->writing = false;
    log_set_work(set);
}

static void collect(struct write_back *back, struct log *log, bool sync)
{
    log_parts_collect_back(&back->parts, log, sync);
    log->writing = true;
}

static bool full(const struct write_back *back)
{
    return back->parts.count >= LOG_ROUND_PARTS_MAX || back->parts.bytes >= LOG_ROUND_MAX;
}

static void submit(struct write_back *back)
{
    struct log_set *set = back->set;
    if (back->parts.count == 0 && back->block == 0) {
        mem_free(back); // all of them are in the flush round that runs; it comes back here
        return;
    }
    set->writing = true;
    env_submit(set->env, set->writer, &back->job);
}

static struct write_back *write_back_new(struct log_set *set)
{
    struct write_back *back = mem_calloc(1, sizeof *back);
    *back = (struct write_back){.job = {.run = back_run, .done = back_done}, .set = set};
    return back;
}

// ---- when ----

static bool wants_block(const struct log_set *set)
{
    return set->journal_wanted && set->status == ST_OK && journal_wants_block(&set->journal) &&
           env_now_us(set->env) >= set->block_retry_us;
}

static bool needs_block(const struct log_set *set)
{
    const struct journal *journal = &set->journal;
    return journal->ready >= JOURNAL_BLOCKS && set->status == ST_OK &&
           journal_blocks(journal) >= JOURNAL_BLOCKS / 2 && env_now_us(set->env) >= set->block_held_us;
}

static void make_block(struct log_set *set)
{
    struct write_back *back = write_back_new(set);
    back->make = true;
    back->block = set->journal.ready + 1;
    submit(back);
}

// The logs that a block serves. False: a failed one keeps it, unless it is on its way out: nobody will read
// it again, and its removal may itself wait for room in the journal.
static bool collect_served(struct write_back *back, uint64_t block)
{
    bool held = false;
    struct log *next = NULL;
    for (struct log *log = back->set->served[block % JOURNAL_BLOCKS]; log != NULL && !full(back); log = next) {
        next = log->served_next;
        if (log->status != ST_OK && log->deleted)
            log_back_serve(log, 0);
        else if (log->status != ST_OK)
            held = true;
        else if (!log->flushing)
            collect(back, log, true);
    }
    return !held;
}

// False: a failed log keeps the block, and there is nothing to do for the others. The one syncfs of many logs
// does for those of all blocks, which then can be given back as soon as they are wanted.
static bool give_block_back(struct log_set *set)
{
    struct write_back *back = write_back_new(set);
    const struct journal *journal = &set->journal;
    bool held = !collect_served(back, journal->tail);
    bool served = set->served[journal->tail % JOURNAL_BLOCKS] != NULL; // the block still holds their bytes
    if (back->parts.count > set->config.sync_each_max)
        for (uint64_t block = journal->tail + 1; block <= journal->head; block++)
            collect_served(back, block);
    if (!served)
        back->block = journal->tail;
    if (held)
        set->block_held_us = env_now_us(set->env) + LOG_RETRY_MS * 1000; // it may be deleted meanwhile
    submit(back);
    return set->writing || !held;
}

static void write_backlog(struct log_set *set)
{
    struct write_back *back = write_back_new(set);
    for (struct log *log = set->back_first; log != NULL && !full(back); log = log->back_next)
        if (!log->flushing)
            collect(back, log, false);
    submit(back);
}

// Each write-out is waited for by the flush rounds beside it: many small ones slow all rounds of a fast load
// down, few large ones the slowest rounds of a slow load.
static bool is_due(const struct log_set *set, int64_t age_us)
{
    return age_us >= LOG_BACKLOG_MS * 1000 || set->backlog >= LOG_BACKLOG_MAX ||
           (set->backlog >= LOG_BACKLOG_MIN && age_us >= LOG_BACKLOG_SOON_MS * 1000);
}

static bool someone_waits(const struct log_set *set)
{
    const struct log_budget *budget = set->config.budget;
    return set->closing || (set->ops_first != NULL && set->ops_first->settle) ||
           budget->used > budget->max / 2 || set->back_first->tail_bytes > set->config.tail_bytes_max / 2;
}

void log_back_work(struct log_set *set)
{
    if (set->writing || set->ended || log_op_alone(set) ||
        (set->stalled_logs > 0 && timer_running(&set->retry)))
        return;
    if (wants_block(set)) {
        make_block(set);
        return;
    }
    if (needs_block(set) && give_block_back(set))
        return;
    if (set->back_first == NULL)
        return;
    int64_t age_us = env_now_us(set->env) - set->back_first->backlog_us;
    if (is_due(set, age_us) || someone_waits(set))
        write_backlog(set);
    else if (!timer_running(&set->back))
        timer_start_us(set->env, &set->back, LOG_BACKLOG_MS * 1000 - age_us);
}

void log_back_fire(struct timer *timer)
{
    log_set_work(timer->context);
}

void log_journal_wrote(struct log_set *set, const struct journal_place *place)
{
    journal_wrote(&set->journal, place);
    metric_inc(&set->m_journal_bytes, place->bytes);
    metric_set(&set->m_journal_blocks, journal_blocks(&set->journal));
    if (place->status != ST_OK)
        log_set_go_offline(set, place->status);
}
