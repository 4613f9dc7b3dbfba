// SPDX-License-Identifier: Apache-2.0
// Flush rounds. One round at a time: the loop collects what every dirty log has in memory that is not
// durable. Small appends to existing segments go to the journal (log/journal.h) together, by one write and
// one fdatasync; what is large, or needs a new file, is written to its segment and synced there, or with many
// such in the round by one syncfs for all (sync.c). Only then,
// back on the loop, does `flushed` move and do the owners hear of it. What the journal holds reaches the
// segments in write-backs (back.c). A failed fsync is never repeated: the page cache may have dropped the
// dirty pages and would then report success for bytes that are gone. Running out of space while writing is
// different: the batches are still in memory, and the same bytes are written again when there is room.
#include "base/assert.h"
#include "base/mem.h"
#include "log/part.h"

struct log_round {
    struct job job;
    struct log_set *set;
    struct log_parts parts;
    struct journal_place place; // of the group, when there is one
    int journaled, direct;      // parts of either kind
    int spilled;                // logs of small appends that the journal has no room for
    int64_t journaled_bytes;
    int syncs;
    bool together;               // all that is direct is synced at once
    enum status together_status; // of that
    bool check_space;
    int64_t free_bytes; // -1 unknown
};

void log_mark_dirty(struct log *log)
{
    if (log->dirty)
        return;
    log_change_note(log);
    struct log_set *set = log->set;
    log->dirty = true;
    log->next_dirty = NULL;
    if (set->dirty_last != NULL)
        set->dirty_last->next_dirty = log;
    else
        set->dirty_first = log;
    set->dirty_last = log;
}

void log_unmark_dirty(struct log *log)
{
    struct log_set *set = log->set;
    struct log *before = NULL;
    for (struct log *at = set->dirty_first; at != log; at = at->next_dirty)
        before = at;
    *(before != NULL ? &before->next_dirty : &set->dirty_first) = log->next_dirty;
    if (set->dirty_last == log)
        set->dirty_last = before;
    log->dirty = false;
}

static struct log *take_dirty(struct log_set *set)
{
    struct log *log = set->dirty_first;
    set->dirty_first = log->next_dirty;
    if (set->dirty_first == NULL)
        set->dirty_last = NULL;
    log->dirty = false;
    return log;
}

// ---- collecting, on the loop ----

// Not behind a group that came to nothing: should that be on the disk all the same, one that went to the next
// block would not be taken for the one after it.
static bool may_join_group(const struct log_round *round, const struct log *log)
{
    const struct log_set *set = round->set;
    return set->journal.block_bytes > 0 && set->status == ST_OK && log_part_journals(log);
}

// Whether the log's news fit into the round's group.
static bool fits_group(const struct log_round *round, const struct log *log)
{
    int64_t bytes = log->tail_bytes - log->backlog;
    return journal_takes(&round->set->journal, round->journaled + 1, round->journaled_bytes + bytes);
}

static void collect_log(struct log_round *round, struct log *log)
{
    int before = round->parts.count;
    if (log->ring.flushed == log->ring.count && !log_part_unsealed(log))
        return; // a truncation took what made it dirty
    round->set->journal_wanted = true;
    if (log_undecided(log)) {
        log->held = true;
        return;
    }
    bool small = may_join_group(round, log);
    if (small && fits_group(round, log)) {
        log_parts_collect_journal(&round->parts, log);
        round->journaled++;
        round->journaled_bytes += round->parts.rows[before].bytes;
    } else if (log->writing || log_name_taken(log)) {
        log->held = true;
    } else {
        log->flushing = true;
        log_parts_collect(&round->parts, log);
        round->direct += round->parts.count - before;
        round->spilled += small;
    }
}

// ---- writing, on the flusher ----

// Runs a step over all parts; behind a failed part the log's later ones fail too: only a prefix may be
// durable.
static void each_part(struct log_round *round, enum status (*step)(struct log_round *, struct part *))
{
    enum status before = ST_OK;
    for (int i = 0; i < round->parts.count; i++) {
        struct part *part = &round->parts.rows[i];
        if (part->first_of_log)
            before = ST_OK;
        if (part->status == ST_OK)
            part->status = before != ST_OK ? before : step(round, part);
        before = part->status;
    }
}

// What syncing the direct parts one by one would take.
static int count_syncs(const struct log_round *round)
{
    int count = 0;
    for (int i = 0; i < round->parts.count; i++) {
        const struct part *part = &round->parts.rows[i];
        if (!part->journal)
            count += part->sync + !part->exists + 2 * part->new_dir;
    }
    return count;
}

static enum status directory_step(struct log_round *round, struct part *part)
{
    if (!part->new_dir)
        return ST_OK;
    round->syncs += round->together ? 0 : 2;
    return log_make_directory(part->log, !round->together);
}

static enum status write_step(struct log_round *round, struct part *part)
{
    return part->journal ? log_part_prepare(part) : log_part_write(part);
}

static enum status sync_step(struct log_round *round, struct part *part)
{
    if (part->journal || !part->sync)
        return ST_OK;
    round->syncs++;
    return log_part_sync(part);
}

static enum status entries_step(struct log_round *round, struct part *part)
{
    if (part->exists)
        return ST_OK;
    round->syncs++;
    enum status status = path_sync_dir(round->set->env, part->log->path);
    return status == ST_NO_SPACE ? ST_IO : status;
}

static void sync_parent(struct log_round *round)
{
    bool any = false;
    for (int i = 0; i < round->parts.count; i++)
        any = any || (round->parts.rows[i].new_dir && round->parts.rows[i].status == ST_OK);
    if (!any)
        return;
    round->syncs++;
    enum status status = path_sync_dir(round->set->env, round->set->path);
    bool new_log = false;
    for (int i = 0; i < round->parts.count && status != ST_OK; i++) {
        struct part *part = &round->parts.rows[i];
        new_log = part->first_of_log ? part->new_dir : new_log;
        if (new_log && part->status == ST_OK)
            part->status = ST_IO;
    }
}

static void sync_apart(struct log_round *round)
{
    each_part(round, sync_step);
    each_part(round, entries_step);
    sync_parent(round);
}

// No part is durable before all of them are, so the order among them does not matter.
static enum status together_step(struct log_round *round, struct part *part)
{
    return part->journal ? ST_OK : round->together_status;
}

static void sync_together(struct log_round *round)
{
    round->syncs++;
    round->together_status = log_sync_all(round->set, LOG_FLUSHER);
    each_part(round, together_step);
}

// All of them are on their way to the disk before the first sync waits for its own.
static enum status write_out_step(struct log_round *round, struct part *part)
{
    if (!part->journal && part->sync && part->bytes > 0)
        file_write_out(round->set->env, part->handle->file, part->at, part->bytes);
    return ST_OK;
}

static bool any_new_dir(const struct log_round *round)
{
    bool any = false;
    for (int i = 0; i < round->parts.count; i++)
        any = any || round->parts.rows[i].new_dir;
    return any;
}

static void write_direct(struct log_round *round)
{
    each_part(round, directory_step);
    if (round->together && any_new_dir(round))
        sync_together(round); // see log_make_directory
    each_part(round, write_step);
    if (round->direct > 1)
        each_part(round, write_out_step);
    if (round->together && round->together_status == ST_OK)
        sync_together(round);
    else if (!round->together)
        sync_apart(round);
}

static struct journal_item item_of(const struct part *part)
{
    return (struct journal_item){.id = part->log->id,
                                 .partition = part->log->partition,
                                 .base = part->base,
                                 .end = part->end,
                                 .segment_base = part->segment->base,
                                 .position = part->at,
                                 .batches = part->iov,
                                 .count = part->iov_count,
                                 .bytes = part->bytes};
}

static void write_group(struct log_round *round)
{
    struct journal_item *items = mem_calloc((size_t)round->journaled, sizeof *items);
    int count = 0;
    for (int i = 0; i < round->parts.count; i++)
        if (round->parts.rows[i].journal && round->parts.rows[i].status == ST_OK)
            items[count++] = item_of(&round->parts.rows[i]);
    enum status status = count > 0 ? journal_write(&round->set->journal, &round->place, items, count) : ST_OK;
    round->syncs += count > 0;
    for (int i = 0; i < round->parts.count && status != ST_OK; i++)
        if (round->parts.rows[i].journal && round->parts.rows[i].status == ST_OK)
            round->parts.rows[i].status = status;
    mem_free(items);
}

static void round_run(struct job *job)
{
    struct log_round *round = (struct log_round *)job;
    round->together = count_syncs(round) > round->set->config.sync_each_max;
    write_direct(round);
    if (round->journaled > 0)
        write_group(round);
    round->free_bytes = -1;
    if (round->check_space && path_free_bytes(round->set->env, round->set->path, &round->free_bytes) != ST_OK)
        round->free_bytes = -1;
}

// ---- the outcome, on the loop ----

static void close_old_handles(struct log *log)
{
    for (int i = log->state.count - 3; i >= 0 && log->state.segments[i]->handle != NULL; i--)
        log_close_handle(log, log->state.segments[i]);
}

// All parts of one log, from *i on; tells the owner once.
static void finish_log(struct log_round *round, int *i)
{
    struct log *log = round->parts.rows[*i].log;
    enum status status = ST_OK;
    do {
        struct part *part = &round->parts.rows[*i];
        status = part->status;
        log_part_finish(part, round->place.block);
    } while (++*i < round->parts.count && !round->parts.rows[*i].first_of_log);
    log->flushing = false;
    log_set_stalled(log, status == ST_NO_SPACE);
    if (status == ST_NO_SPACE)
        log_mark_dirty(log);
    log_trim_recent(log);
    close_old_handles(log);
    if (round->set->on_durable != NULL && !log->deleted)
        round->set->on_durable(log, status);
}

static void note_space(struct log_round *round)
{
    struct log_set *set = round->set;
    if (!round->check_space)
        return;
    set->space_checked_us = env_now_us(set->env);
    bool low = round->free_bytes >= 0 && round->free_bytes < set->config.free_bytes_min;
    if (low != set->low_space)
        DIAG_WARN(&set->env->diag,
                  low ? "disk is nearly full, appends are refused dir=%s free_bytes=%lld"
                      : "disk has space again dir=%s free_bytes=%lld",
                  set->path, (long long)round->free_bytes);
    set->low_space = low;
}

static void round_done(struct job *job)
{
    struct log_round *round = (struct log_round *)job;
    struct log_set *set = round->set;
    metric_inc(&set->m_rounds, 1);
    metric_inc(&set->m_syncs, round->syncs);
    metric_observe_us(&set->m_flush_us, env_now_us(set->env) - set->running_since_us);
    note_space(round);
    log_journal_wrote(set, &round->place);
    if (round->together_status != ST_OK)
        log_set_go_offline(set, round->together_status);
    for (int i = 0; i < round->parts.count;)
        finish_log(round, &i);
    if ((set->stalled_logs > 0 || set->low_space) && !timer_running(&set->retry))
        timer_start_ms(set->env, &set->retry, LOG_RETRY_MS);
    log_parts_fini(&round->parts);
    mem_free(round);
    log_set_idle(set);
}

// What the journal has no room for is not taken all at once: a syncfs for it would only queue up behind the
// one that gives a block back, and there is room again when that has ended.
static bool round_full(const struct log_round *round)
{
    return round->parts.bytes >= LOG_ROUND_MAX || round->parts.count >= LOG_ROUND_PARTS_MAX ||
           round->direct >= LOG_ROUND_DIRECT_MAX || round->spilled > round->set->config.sync_each_max;
}

// With nothing dirty it only looks at the free space.
void log_round_start(struct log_set *set)
{
    struct log_round *round = mem_calloc(1, sizeof *round);
    *round = (struct log_round){.job = {.run = round_run, .done = round_done}, .set = set};
    round->check_space = env_now_us(set->env) - set->space_checked_us >= LOG_RETRY_MS * 1000;
    while (set->dirty_first != NULL && log_change_listed(set->dirty_first) && !round_full(round)) {
        struct log *log = take_dirty(set);
        if (log->status == ST_OK && !log->deleted)
            collect_log(round, log);
    }
    if (round->journaled > 0)
        round->place = journal_take(&set->journal, round->journaled, round->journaled_bytes);
    log_set_submit(set, &round->job);
}

// Space may be back: try again, or at least look. What waits for a directory that has failed as a whole waits
// until that is back (heal.c).
void log_retry_fire(struct timer *timer)
{
    struct log_set *set = timer->context;
    if (set->status == ST_OK)
        log_ops_release(set);
    log_set_work(set); // a change may wait for a write-back, which rests while this timer runs
    bool idle = !set->running && set->ops_first == NULL && log_changes_listed(set);
    if (idle)
        log_round_start(set);
    if ((!idle || set->ops_waiting != NULL) && !timer_running(timer))
        timer_start_ms(set->env, timer, LOG_RETRY_MS);
}

// ---- one job at a time ----

void log_set_submit(struct log_set *set, struct job *job)
{
    ASSERT(!set->running);
    set->running = true;
    set->running_since_us = env_now_us(set->env);
    env_submit(set->env, set->flusher, job);
}

// Logs that wait for space are tried again only when the timer has fired.
static bool may_start_round(const struct log_set *set)
{
    if (set->dirty_first == NULL || !log_change_listed(set->dirty_first) ||
        (set->on_durable == NULL && !set->closing))
        return false;
    return set->stalled_logs == 0 || !timer_running(&set->retry);
}

void log_set_work(struct log_set *set)
{
    if (set->ended)
        return;
    bool all_listed = log_changes_listed(set);
    if (all_listed && !set->running && log_op_ready(set))
        log_op_submit(set);
    if (!set->running && may_start_round(set))
        log_round_start(set);
    if (all_listed || set->manifest == MANIFEST_LISTS)
        log_back_work(set);
    if (all_listed)
        log_checkpoint_work(set);
}

void log_set_idle(struct log_set *set)
{
    set->running = false;
    log_set_work(set);
    log_cold_turn(set);
}

void log_flush(struct log_set *set, log_durable_fn *on_durable)
{
    set->on_durable = on_durable;
    log_set_work(set);
}

int64_t log_set_flush_age_us(const struct log_set *set)
{
    return set->running ? env_now_us(set->env) - set->running_since_us : 0;
}
