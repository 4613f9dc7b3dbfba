// SPDX-License-Identifier: Apache-2.0
// Parts of flush rounds and write-backs. See part.h.
#include "log/part.h"

#include "base/assert.h"
#include "base/mem.h"

enum {
    RESERVE_MIN =
        16 << 10, // disk space is taken ahead of the file's end: as much again as it has, within these
    RESERVE_MAX = 1 << 20,
    JOURNAL_PART_MAX = 512 << 10, // (tune) as much and more of one log goes to its segment directly
    WRITE_OUT_PIECE = 1 << 20,    // (tune) bytes of one log's round after which the disk begins with them
    INDEX_KEPT_MAX = 512          // bytes of either index that write-backs keep back
};

// ---- collecting, on the loop ----

static struct part *add_part(struct log_parts *parts, struct log *log, struct log_segment *segment)
{
    if (parts->count == parts->cap) {
        parts->cap = parts->cap ? parts->cap * 2 : 8;
        parts->rows = mem_realloc(parts->rows, (size_t)parts->cap * sizeof *parts->rows);
    }
    struct part *part = &parts->rows[parts->count++];
    *part = (struct part){.log = log,
                          .segment = segment,
                          .handle = segment->handle != NULL ? log_handle_ref(segment->handle) : NULL,
                          .at = segment->written,
                          .index_at = segment->index.written,
                          .times_at = segment->times.written,
                          .aborted_at = segment->aborted.written,
                          .exists = segment->exists};
    log->jobs++;
    return part;
}

static void take_indexes(struct part *part)
{
    struct log_segment *segment = part->segment;
    part->index = segment->index.pending;
    part->times = segment->times.pending;
    buf_init(&segment->index.pending, part->index.max);
    buf_init(&segment->times.pending, part->times.max);
    part->indexed = true;
}

static void copy_aborted(struct part *part)
{
    const struct log_segment *segment = part->segment;
    buf_init(&part->aborted, segment->aborted.pending.max);
    buf_append(&part->aborted, segment->aborted.pending.data, segment->aborted.pending.len);
}

// Entries of the ring in [from, to) that belong to the segment.
static uint32_t count_entries(const struct log *log, uint32_t from, uint32_t to,
                              const struct log_segment *segment)
{
    uint32_t count = 0;
    while (from + count < to && log_ring_at(&log->ring, from + count)->segment == segment)
        count++;
    return count;
}

static void take_entries(struct log_parts *parts, struct part *part, uint32_t from, uint32_t count)
{
    part->entries = count;
    part->iov = mem_calloc(count > 0 ? count : 1, sizeof *part->iov);
    for (uint32_t i = 0; i < count; i++) {
        const struct log_entry *entry = log_ring_at(&part->log->ring, from + i);
        part->iov[i] = (struct iovec){.iov_base = entry->block->data + entry->from, .iov_len = entry->size};
        part->bytes += entry->size;
        part->end = entry->last + 1;
    }
    part->iov_count = (int)count;
    parts->bytes += part->bytes;
    if (count == 0)
        return;
    part->base = log_ring_at(&part->log->ring, from)->base;
    part->at = log_ring_at(&part->log->ring, from)->position;
}

void log_parts_collect(struct log_parts *parts, struct log *log)
{
    struct log_state *state = &log->state;
    int first = state->count;
    while (first > 0 && !state->segments[first - 1]->sealed)
        first--;
    uint32_t from = log->ring.written;
    bool first_of_log = true;
    for (int i = first; i < state->count; i++) {
        struct log_segment *segment = state->segments[i];
        uint32_t count = count_entries(log, from, log->ring.count, segment);
        bool seal = i + 1 < state->count;
        if (count == 0 && !seal)
            continue;
        struct part *part = add_part(parts, log, segment);
        part->seal = seal;
        part->sync = log->config.flush_before_ack || seal;
        part->first_of_log = first_of_log;
        part->new_dir = first_of_log && !log->on_disk;
        take_indexes(part);
        copy_aborted(part);
        take_entries(parts, part, from, count);
        from += count;
        first_of_log = false;
    }
}

static struct log_segment *active_segment(const struct log *log)
{
    return log->state.count > 0 ? log->state.segments[log->state.count - 1] : NULL;
}

bool log_part_unsealed(const struct log *log)
{
    return log->state.count > 1 && !log->state.segments[log->state.count - 2]->sealed;
}

// Only what joins an existing segment: new files and directories are synced on the direct way.
bool log_part_journals(const struct log *log)
{
    const struct log_segment *active = active_segment(log);
    if (!log->config.flush_before_ack || !log->on_disk || uuid_is_zero(log->id) || active == NULL ||
        !active->exists)
        return false;
    if (log_part_unsealed(log))
        return false;
    return log->tail_bytes - log->backlog < JOURNAL_PART_MAX;
}

void log_parts_collect_journal(struct log_parts *parts, struct log *log)
{
    struct part *part = add_part(parts, log, active_segment(log));
    part->journal = part->first_of_log = true;
    take_entries(parts, part, log->ring.flushed, log->ring.count - log->ring.flushed);
}

// The segment that what is in the journal belongs to; a newer one may so far be in memory only.
static struct log_segment *journaled_segment(const struct log *log)
{
    int at = log->state.count - 1;
    while (!log->state.segments[at]->exists)
        at--;
    return log->state.segments[at];
}

// Writing a few bytes to two files costs more than the batch they speak of, and a sync of many logs would
// have as many pages of index to write as of batches. So write-backs take a number of entries at once.
// Meanwhile they are in memory alone, as a crash finds out by scanning from the newest one in the file; the
// recovery point stays at them, since it promises that the index files are right below it.
static void take_or_keep_indexes(struct part *part)
{
    struct log *log = part->log;
    const struct log_segment *segment = part->segment;
    size_t index = segment->index.pending.len, times = segment->times.pending.len;
    part->indexed = index == 0 && times == 0;
    if (log->index_due || index > INDEX_KEPT_MAX || times > INDEX_KEPT_MAX)
        take_indexes(part);
    else if (!part->indexed && log->indexed == INT64_MAX)
        log->indexed = log->written;
    log->index_due = false;
}

void log_parts_collect_back(struct log_parts *parts, struct log *log, bool sync)
{
    const struct log_ring *ring = &log->ring;
    struct log_segment *segment = journaled_segment(log);
    struct part *part = add_part(parts, log, segment);
    part->back = part->first_of_log = true;
    part->sync = sync;
    take_or_keep_indexes(part);
    copy_aborted(part);
    take_entries(parts, part, ring->written, count_entries(log, ring->written, ring->flushed, segment));
}

// ---- writing, on a helper thread ----

// Also when the directory exists: a round that met a full disk may have left it half made.
// partition.metadata is durable before a segment is made (see log_load_id in open.c); the caller syncs the
// parent. Until then a crash may leave it empty: there is nothing yet whose owner it would have to name.
enum status log_make_directory(const struct log *log, bool durable)
{
    struct env *env = log->set->env;
    enum status status = path_mkdir(env, log->path);
    if (status != ST_OK && status != ST_EXISTS)
        return status;
    struct buf text;
    buf_init(&text, 256);
    status = log_partition_metadata_print(log->id, &text);
    if (status != ST_OK || uuid_is_zero(log->id)) {
        buf_fini(&text);
        return status;
    }
    status = log_file_stage(env, log->path, "partition.metadata", buf_slice(&text), durable);
    if (status == ST_OK)
        status = log_file_install(env, log->path, "partition.metadata");
    if (status == ST_OK && durable)
        status = path_sync_dir(env, log->path);
    buf_fini(&text);
    return status;
}

// A new segment owes nothing to files a crash may have left under its name.
static int open_flags(const struct part *part)
{
    return FILE_WRITE | (part->exists ? 0 : FILE_CREATE | FILE_TRUNCATE);
}

static enum status open_segment(struct part *part)
{
    if (part->handle != NULL)
        return ST_OK;
    struct env *env = part->log->set->env;
    struct log_segment *segment = part->segment;
    struct log_path path = log_path_join(part->log->path, log_segment_name(segment->base, ".log").text);
    struct file *file;
    enum status status = file_open(env, path.text, open_flags(part) | FILE_AS_ASKED, &file);
    if (status != ST_OK)
        return status;
    part->handle = log_handle_new(env, file);
    part->opened = true;
    if (segment->unseen)
        status = log_resume_look(part->log, segment);
    if (status != ST_OK)
        return status;
    segment->unseen = false;
    if (part->back)
        return ST_OK; // its space was taken when it went to the journal
    segment->reserved = part->at;
    if (part->exists || segment->snapshot.len == 0)
        return ST_OK;
    return log_file_replace(env, part->log->path, log_segment_name(segment->base, ".snapshot").text,
                            buf_slice(&segment->snapshot), false);
}

// Disk space for the part before any of it is written. A file system without fallocate reserves nothing.
static enum status reserve(struct part *part)
{
    struct log_segment *segment = part->segment;
    int64_t need = part->at + part->bytes;
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

enum status log_part_prepare(struct part *part)
{
    enum status status = open_segment(part);
    return status == ST_OK ? reserve(part) : status;
}

static enum status write_index(struct part *part, const char *suffix, const struct buf *entries, int64_t at)
{
    if (entries->len == 0 && !part->seal && part->exists)
        return ST_OK;
    struct env *env = part->log->set->env;
    struct log_path path = log_path_join(part->log->path, log_segment_name(part->segment->base, suffix).text);
    struct file *file;
    enum status status = file_open(env, path.text, open_flags(part) | FILE_CREATE, &file);
    if (status != ST_OK)
        return status;
    if (entries->len > 0)
        status = file_pwrite(env, file, entries->data, entries->len, at);
    if (status == ST_OK && part->seal)
        status = file_truncate(env, file, at + (int64_t)entries->len);
    if (status == ST_OK && part->seal) {
        status = file_sync(env, file);
        status = status == ST_NO_SPACE ? ST_IO : status;
    }
    file_close(env, &file);
    return status;
}

// Most segments have no such file; what a crash left under a new one's name goes.
static enum status write_aborted(struct part *part)
{
    if (part->aborted_at > 0 || part->aborted.len > 0)
        return write_index(part, ".txnindex", &part->aborted, part->aborted_at);
    if (part->exists)
        return ST_OK;
    return log_file_remove(part->log->set->env, part->log->path,
                           log_segment_name(part->segment->base, ".txnindex").text);
}

// What is large is on its way to the disk while the rest of it is still being written to the page cache.
static enum status write_batches(struct part *part)
{
    struct env *env = part->log->set->env;
    int64_t at = part->at;
    enum status status = ST_OK;
    for (int from = 0, n = 0; from < part->iov_count && status == ST_OK; from += n) {
        int64_t bytes = 0;
        for (n = 0; from + n < part->iov_count && bytes < WRITE_OUT_PIECE; n++)
            bytes += (int64_t)part->iov[from + n].iov_len;
        status = file_pwritev(env, part->handle->file, part->iov + from, n, at);
        if (status == ST_OK && part->sync && from + n < part->iov_count)
            file_write_out(env, part->handle->file, at, bytes);
        at += bytes;
    }
    return status;
}

enum status log_part_write(struct part *part)
{
    struct env *env = part->log->set->env;
    enum status status = ST_OK;
    // A second new segment in one round: its entry must not become durable without the first one's.
    if (!part->exists && !part->first_of_log)
        status = path_sync_dir(env, part->log->path);
    if (status == ST_OK)
        status = open_segment(part);
    if (status == ST_OK && part->bytes > 0 && !part->back)
        status = reserve(part);
    if (status == ST_OK)
        status = write_batches(part);
    if (status == ST_OK && part->seal && part->segment->reserved > part->at + part->bytes)
        status = file_truncate(env, part->handle->file, part->at + part->bytes);
    if (status == ST_OK)
        status = write_index(part, ".index", &part->index, part->index_at);
    if (status == ST_OK)
        status = write_index(part, ".timeindex", &part->times, part->times_at);
    return status == ST_OK ? write_aborted(part) : status;
}

enum status log_part_sync(struct part *part)
{
    enum status status = file_sync(part->log->set->env, part->handle->file);
    return status == ST_NO_SPACE ? ST_IO : status;
}

// ---- the outcome, on the loop ----

static void keep_handle(struct part *part)
{
    struct log_set *set = part->log->set;
    if (part->opened && part->segment->handle == NULL && part->log->status == ST_OK &&
        set->open_files < set->config.open_files_max) {
        part->segment->handle = part->handle;
        part->handle = NULL;
        set->open_files++;
    }
    log_handle_unref(&part->handle);
}

static void part_journaled(struct part *part, uint64_t block)
{
    struct log *log = part->log;
    for (uint32_t i = 0; i < part->entries; i++)
        log_ring_at(&log->ring, log->ring.flushed++)->journal = block;
    log->flushed = part->end;
    log->journal_newest = block;
    if (log->journal_oldest == 0)
        log_back_serve(log, block);
    log_back_add(log, part->bytes);
}

// The oldest block that holds what a crash would need it for.
static void note_synced(struct log *log)
{
    const struct log_ring *ring = &log->ring;
    log->synced = log->written;
    log_back_serve(log, ring->written < ring->flushed ? log_ring_at(ring, ring->written)->journal : 0);
}

static void part_written(struct part *part)
{
    struct log *log = part->log;
    struct log_segment *segment = part->segment;
    struct log_ring *ring = &log->ring;
    for (uint32_t i = 0; i < part->entries; i++) {
        struct log_entry *entry = log_ring_at(ring, ring->written++);
        block_unref(&entry->block);
        log->written = entry->last + 1;
    }
    if (ring->flushed < ring->written)
        ring->flushed = ring->written;
    if (log->flushed < log->written)
        log->flushed = log->written;
    log_account_tail(log, -part->bytes);
    metric_inc(&log->set->m_written_bytes, part->bytes);
    log->set->unsaved_bytes += part->bytes;
    log_back_settle(log, part->bytes);
    segment->written += part->bytes;
    segment->index.written += (int64_t)part->index.len;
    segment->times.written += (int64_t)part->times.len;
    segment->aborted.written += (int64_t)part->aborted.len;
    buf_consume(&segment->aborted.pending, part->aborted.len);
    // The next checkpoint syncs them, though it may not be the first since the append.
    if (part->index.len > 0 || part->times.len > 0)
        log->touched = log->index_lazy = true;
    if (part->together || part->seal)
        log->index_lazy = false;
    if (part->indexed)
        log->indexed = INT64_MAX;
    segment->exists = log->on_disk = true;
    if (!part->back) {
        segment->sealed = part->seal;
        buf_fini(&segment->snapshot);
        buf_init(&segment->snapshot, SIZE_MAX);
    }
    log->lazy = !part->sync;
#ifdef PLANTED_BLOCK_GIVEN_BACK_EARLY
    if (part->back)
        note_synced(log);
#endif
    if (part->sync)
        note_synced(log);
}

// The part's index entries go back in front of those made since.
static void give_back(struct buf *pending, struct buf *entries)
{
    if (entries->len == 0)
        return;
    struct buf later = *pending;
    *pending = *entries;
    buf_append(pending, later.data, later.len);
    buf_fini(&later);
    *entries = (struct buf){0};
}

static void part_failed(struct part *part)
{
    if (!part->journal) {
        give_back(&part->segment->index.pending, &part->index);
        give_back(&part->segment->times.pending, &part->times);
    }
    if (part->status != ST_NO_SPACE)
        log_go_offline(part->log, part->status);
}

void log_part_finish(struct part *part, uint64_t block)
{
    struct log *log = part->log;
    keep_handle(part);
    log->jobs--;
    if (part->status != ST_OK)
        part_failed(part);
    else if (log->status == ST_OK && part->journal)
        part_journaled(part, block);
    else if (log->status == ST_OK)
        part_written(part);
    else if (part->journal)
        log->journal_newest = block; // nobody was told, but a replay would find it
    log_let_go(log);
    mem_free(part->iov);
    buf_fini(&part->index);
    buf_fini(&part->times);
    buf_fini(&part->aborted);
}

void log_parts_fini(struct log_parts *parts)
{
    mem_free(parts->rows);
}
