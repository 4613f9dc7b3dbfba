// SPDX-License-Identifier: Apache-2.0
// Flush rounds. One round at a time: the loop collects what every dirty log has in memory, the flusher writes
// it to the segments, syncs each of them and every directory with new entries, and only then, back on the
// loop, do `written` and `flushed` move and the owners hear of it. A failed fsync is never repeated: the page
// cache may have dropped the dirty pages and would then report success for bytes that are gone. Running out
// of space while writing is different: the batches are still in memory, and the same bytes are written again
// when there is room.
#include "base/assert.h"
#include "base/mem.h"
#include "log/internal.h"

enum {
    WRITE_IOV_MAX = 256,
    RESERVE_MIN =
        16 << 10, // disk space is taken ahead of the file's end: as much again as it has, within these
    RESERVE_MAX = 1 << 20,
    RETRY_MS = 1000
};

// What a round does to one segment.
struct part {
    struct log *log;
    struct log_segment *segment;
    struct iovec *iov;
    int iov_count;
    uint32_t entries; // of the log's ring
    int64_t bytes;
    struct buf index, times; // entries to write; moved out of the segment
    struct log_handle *handle;
    bool opened, seal, sync, new_dir, first_of_log;
    enum status status;
};

struct log_round {
    struct job job;
    struct log_set *set;
    struct part *parts;
    int count, cap;
    int64_t bytes;
    int syncs;
    bool check_space;
    int64_t free_bytes; // -1 unknown
};

void log_mark_dirty(struct log *log)
{
    if (log->dirty)
        return;
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

static struct part *add_part(struct log_round *round, struct log *log, struct log_segment *segment, bool seal)
{
    if (round->count == round->cap) {
        round->cap = round->cap ? round->cap * 2 : 8;
        round->parts = mem_realloc(round->parts, (size_t)round->cap * sizeof *round->parts);
    }
    struct part *part = &round->parts[round->count++];
    *part = (struct part){.log = log,
                          .segment = segment,
                          .handle = segment->handle,
                          .seal = seal,
                          .sync = log->config.flush_before_ack || seal,
                          .index = segment->index.pending,
                          .times = segment->times.pending};
    buf_init(&segment->index.pending, part->index.max);
    buf_init(&segment->times.pending, part->times.max);
    return part;
}

static uint32_t count_entries(const struct log *log, uint32_t from, const struct log_segment *segment)
{
    uint32_t count = 0;
    while (from + count < log->ring.count && log_ring_at(&log->ring, from + count)->segment == segment)
        count++;
    return count;
}

static void fill_part(struct part *part, uint32_t from, uint32_t count)
{
    part->entries = count;
    part->iov = mem_calloc(count > 0 ? count : 1, sizeof *part->iov);
    for (uint32_t i = 0; i < count; i++) {
        const struct log_entry *entry = log_ring_at(&part->log->ring, from + i);
        part->iov[i] = (struct iovec){.iov_base = entry->block->data + entry->from, .iov_len = entry->size};
        part->bytes += entry->size;
    }
    part->iov_count = (int)count;
}

static void collect_log(struct log_round *round, struct log *log)
{
    struct log_state *state = &log->state;
    int first = state->count;
    while (first > 0 && !state->segments[first - 1]->sealed)
        first--;
    uint32_t from = log->ring.written;
    bool first_of_log = true;
    for (int i = first; i < state->count; i++) {
        struct log_segment *segment = state->segments[i];
        uint32_t count = count_entries(log, from, segment);
        bool seal = i + 1 < state->count;
        if (count == 0 && !seal)
            continue;
        struct part *part = add_part(round, log, segment, seal);
        part->first_of_log = first_of_log;
        part->new_dir = first_of_log && !log->on_disk;
        fill_part(part, from, count);
        round->bytes += part->bytes;
        from += count;
        first_of_log = false;
    }
}

// ---- writing, on the flusher ----

// Also when the directory exists: a round that met a full disk may have left it half made.
// partition.metadata is durable before a segment is made (see is_nameless in open.c); the caller syncs the
// parent.
enum status log_make_directory(const struct log *log)
{
    struct env *env = log->set->env;
    enum status status = path_mkdir(env, log->path);
    if (status != ST_OK && status != ST_EXISTS)
        return status;
    struct buf text;
    buf_init(&text, 256);
    status = log_partition_metadata_print(log->id, &text);
    if (status == ST_OK && !uuid_is_zero(log->id))
        status = log_file_replace(env, log->path, "partition.metadata", buf_slice(&text), true);
    buf_fini(&text);
    return status;
}

// A new segment owes nothing to files a crash may have left under its name.
static int open_flags(const struct log_segment *segment)
{
    return FILE_WRITE | (segment->exists ? 0 : FILE_CREATE | FILE_TRUNCATE);
}

static enum status open_segment(struct part *part)
{
    struct env *env = part->log->set->env;
    struct log_segment *segment = part->segment;
    struct log_path path = log_path_join(part->log->path, log_segment_name(segment->base, ".log").text);
    struct file *file;
    enum status status = file_open(env, path.text, open_flags(segment), &file);
    if (status != ST_OK)
        return status;
    part->handle = log_handle_new(env, file);
    part->opened = true;
    segment->reserved = segment->written;
    if (segment->exists || segment->snapshot.len == 0)
        return ST_OK;
    return log_file_replace(env, part->log->path, log_segment_name(segment->base, ".snapshot").text,
                            buf_slice(&segment->snapshot), false);
}

// Disk space for the part before any of it is written. A file system without fallocate reserves nothing.
static enum status reserve(struct part *part)
{
    struct log_segment *segment = part->segment;
    int64_t need = segment->written + part->bytes;
    if (need <= segment->reserved)
        return ST_OK;
    int64_t ahead = need < RESERVE_MIN ? RESERVE_MIN : need > RESERVE_MAX ? RESERVE_MAX : need;
    struct env *env = part->log->set->env;
    int64_t from = segment->reserved;
    enum status status = file_reserve(env, part->handle->file, from, need + ahead - from);
    if (status == ST_NO_SPACE) {
        ahead = 0;
        status = file_reserve(env, part->handle->file, from, need - from);
    }
    if (status == ST_NO_SPACE)
        return status;
    segment->reserved = need + ahead;
    return ST_OK;
}

static enum status write_batches(struct part *part)
{
    struct env *env = part->log->set->env;
    int64_t at = part->segment->written;
    for (int i = 0; i < part->iov_count;) {
        int count = 0;
        int64_t bytes = 0;
        while (i + count < part->iov_count && count < WRITE_IOV_MAX && (count == 0 || bytes < LOG_WRITE_MAX))
            bytes += (int64_t)part->iov[i + count++].iov_len;
        enum status status = file_pwritev(env, part->handle->file, part->iov + i, count, at);
        if (status != ST_OK)
            return status;
        at += bytes;
        i += count;
    }
    return ST_OK;
}

static enum status write_index(struct part *part, const char *suffix, const struct log_index *index,
                               const struct buf *entries)
{
    if (entries->len == 0 && !part->seal && part->segment->exists)
        return ST_OK;
    struct env *env = part->log->set->env;
    struct log_path path = log_path_join(part->log->path, log_segment_name(part->segment->base, suffix).text);
    struct file *file;
    enum status status = file_open(env, path.text, open_flags(part->segment) | FILE_CREATE, &file);
    if (status != ST_OK)
        return status;
    if (entries->len > 0)
        status = file_pwrite(env, file, entries->data, entries->len, index->written);
    if (status == ST_OK && part->seal)
        status = file_truncate(env, file, index->written + (int64_t)entries->len);
    if (status == ST_OK && part->seal) {
        status = file_sync(env, file);
        status = status == ST_NO_SPACE ? ST_IO : status;
    }
    file_close(env, &file);
    return status;
}

static enum status write_part(struct part *part)
{
    struct log_segment *segment = part->segment;
    enum status status = part->new_dir ? log_make_directory(part->log) : ST_OK;
    // A second new segment in one round: its entry must not become durable without the first one's.
    if (!segment->exists && !part->first_of_log)
        status = path_sync_dir(part->log->set->env, part->log->path);
    if (status == ST_OK && part->handle == NULL)
        status = open_segment(part);
    if (status == ST_OK && part->bytes > 0)
        status = reserve(part);
    if (status == ST_OK)
        status = write_batches(part);
    if (status == ST_OK && part->seal && segment->reserved > segment->written + part->bytes)
        status = file_truncate(part->log->set->env, part->handle->file, segment->written + part->bytes);
    if (status == ST_OK)
        status = write_index(part, ".index", &segment->index, &part->index);
    return status == ST_OK ? write_index(part, ".timeindex", &segment->times, &part->times) : status;
}

// fdatasync of one segment; its error is final, also when it says there is no space.
static enum status sync_part(struct log_round *round, struct part *part)
{
    if (!part->sync)
        return ST_OK;
    round->syncs++;
    enum status status = file_sync(part->log->set->env, part->handle->file);
    return status == ST_NO_SPACE ? ST_IO : status;
}

static enum status sync_entries(struct log_round *round, struct part *part)
{
    if (part->segment->exists)
        return ST_OK;
    round->syncs++;
    enum status status = path_sync_dir(round->set->env, part->log->path);
    return status == ST_NO_SPACE ? ST_IO : status;
}

// Runs a step over all parts; behind a failed part the log's later ones fail too: only a prefix may be
// durable.
static void each_part(struct log_round *round, enum status (*step)(struct log_round *, struct part *))
{
    enum status before = ST_OK;
    for (int i = 0; i < round->count; i++) {
        struct part *part = &round->parts[i];
        if (part->first_of_log)
            before = ST_OK;
        if (part->status == ST_OK)
            part->status = before != ST_OK ? before : step(round, part);
        before = part->status;
    }
}

static enum status write_step(struct log_round *round, struct part *part)
{
    return write_part(part);
}

static void sync_parent(struct log_round *round)
{
    bool any = false;
    for (int i = 0; i < round->count; i++)
        any = any || (round->parts[i].new_dir && round->parts[i].status == ST_OK);
    if (!any)
        return;
    round->syncs++;
    enum status status = path_sync_dir(round->set->env, round->set->path);
    bool new_log = false;
    for (int i = 0; i < round->count && status != ST_OK; i++) {
        struct part *part = &round->parts[i];
        new_log = part->first_of_log ? part->new_dir : new_log;
        if (new_log && part->status == ST_OK)
            part->status = ST_IO;
    }
}

static void round_run(struct job *job)
{
    struct log_round *round = (struct log_round *)job;
    each_part(round, write_step);
    each_part(round, sync_part);
    each_part(round, sync_entries);
    sync_parent(round);
    round->free_bytes = -1;
    if (round->check_space && path_free_bytes(round->set->env, round->set->path, &round->free_bytes) != ST_OK)
        round->free_bytes = -1;
}

// ---- the outcome, on the loop ----

static void keep_handle(struct part *part)
{
    struct log_set *set = part->log->set;
    if (!part->opened)
        return;
    if (set->open_files < set->config.open_files_max) {
        part->segment->handle = part->handle;
        set->open_files++;
    } else {
        log_handle_unref(&part->handle);
    }
}

static void close_old_handles(struct log *log)
{
    for (int i = log->state.count - 3; i >= 0 && log->state.segments[i]->handle != NULL; i--)
        log_close_handle(log, log->state.segments[i]);
}

static void part_written(struct part *part)
{
    struct log *log = part->log;
    struct log_segment *segment = part->segment;
    for (uint32_t i = 0; i < part->entries; i++) {
        struct log_entry *entry = log_ring_at(&log->ring, log->ring.written++);
        block_unref(&entry->block);
        log->written = entry->last + 1;
    }
    log->tail_bytes -= part->bytes;
    log->set->config.budget->used -= part->bytes;
    metric_inc(&log->set->m_tail_bytes, -part->bytes);
    metric_inc(&log->set->m_written_bytes, part->bytes);
    segment->written += part->bytes;
    segment->index.written += (int64_t)part->index.len;
    segment->times.written += (int64_t)part->times.len;
    segment->exists = log->on_disk = true;
    segment->sealed = part->seal;
    buf_fini(&segment->snapshot);
    buf_init(&segment->snapshot, SIZE_MAX);
    log->flushed = log->written;
    log->lazy = !part->sync;
    if (part->sync)
        log->synced = log->written;
}

// The part's index entries go back in front of those made since.
static void give_back(struct buf *pending, struct buf *entries)
{
    struct buf later = *pending;
    *pending = *entries;
    buf_append(pending, later.data, later.len);
    buf_fini(&later);
    *entries = (struct buf){0};
}

static void part_failed(struct part *part)
{
    give_back(&part->segment->index.pending, &part->index);
    give_back(&part->segment->times.pending, &part->times);
    if (part->status != ST_NO_SPACE)
        log_go_offline(part->log, part->status);
}

// All parts of one log, from *i on; tells the owner once.
static void finish_log(struct log_round *round, int *i)
{
    struct log *log = round->parts[*i].log;
    enum status status = ST_OK;
    do {
        struct part *part = &round->parts[*i];
        status = part->status;
        keep_handle(part);
        if (status == ST_OK)
            part_written(part);
        else
            part_failed(part);
        mem_free(part->iov);
        buf_fini(&part->index);
        buf_fini(&part->times);
    } while (++*i < round->count && !round->parts[*i].first_of_log);
    log_set_stalled(log, status == ST_NO_SPACE);
    if (status == ST_NO_SPACE)
        log_mark_dirty(log);
    log_ring_trim(&log->ring, LOG_RECENT_MAX);
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
    for (int i = 0; i < round->count;)
        finish_log(round, &i);
    if ((set->stalled_logs > 0 || set->low_space) && !timer_running(&set->retry))
        timer_start_ms(set->env, &set->retry, RETRY_MS);
    mem_free(round->parts);
    mem_free(round);
    log_set_idle(set);
}

// With nothing dirty it only looks at the free space.
void log_round_start(struct log_set *set)
{
    struct log_round *round = mem_calloc(1, sizeof *round);
    *round = (struct log_round){.job = {.run = round_run, .done = round_done}, .set = set};
    round->check_space = env_now_us(set->env) - set->space_checked_us >= RETRY_MS * 1000;
    while (set->dirty_first != NULL && round->bytes < LOG_ROUND_MAX && round->count < LOG_ROUND_PARTS_MAX) {
        struct log *log = take_dirty(set);
        if (log->status == ST_OK && !log->deleted)
            collect_log(round, log);
    }
    log_set_submit(set, &round->job);
}

// Space may be back: try again, or at least look.
void log_retry_fire(struct timer *timer)
{
    struct log_set *set = timer->context;
    if (!set->running && set->ops_first == NULL)
        log_round_start(set);
    else
        timer_start_ms(set->env, timer, RETRY_MS);
}

// ---- one job at a time ----

void log_set_submit(struct log_set *set, struct job *job)
{
    ASSERT(!set->running);
    set->running = true;
    set->running_since_us = env_now_us(set->env);
    env_submit(set->env, set->flusher, job);
}

static void submit_op(struct log_set *set)
{
    struct log_op *op = set->ops_first;
    set->ops_first = op->next;
    if (set->ops_first == NULL)
        set->ops_last = NULL;
    if (op->prepare != NULL)
        op->prepare(op);
    log_set_submit(set, &op->job);
}

// Logs that wait for space are tried again only when the timer has fired.
static bool may_start_round(const struct log_set *set)
{
    if (set->dirty_first == NULL || (set->on_durable == NULL && !set->closing))
        return false;
    return set->stalled_logs == 0 || !timer_running(&set->retry);
}

static bool op_ready(const struct log_set *set)
{
    const struct log_op *op = set->ops_first;
    if (op == NULL)
        return false;
    return !op->last || (set->readers == 0 && (set->dirty_first == NULL || set->stalled_logs > 0));
}

void log_set_work(struct log_set *set)
{
    if (set->running)
        return;
    if (op_ready(set))
        submit_op(set);
    else if (may_start_round(set))
        log_round_start(set);
}

void log_set_idle(struct log_set *set)
{
    set->running = false;
    log_set_work(set);
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
