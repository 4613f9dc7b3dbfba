// SPDX-License-Identifier: Apache-2.0
// The queue of the store: what the loop asks for is encoded on the loop, written in order on a thread of its
// own, and acknowledged in one go per round. While a round runs the next one gathers, so a burst of steps
// costs one sync. See store.h; the formats are in store_files.c and store_log.c.
#include "store.h"

#include "store_files.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { WRITE_MAX = 256 << 20 };

static const char part_name[] = "snapshot.part";

// What one step, or one snapshot, asks for.
struct write {
    struct write *next;
    uint64_t step; // 0: not a step
    bool hard_changed;
    struct raft_hard hard;
    bool has_chunk;
    struct raft_chunk chunk; // data is in block
    struct block *block;
    struct buf log;    // records to append
    bool own_snapshot; // header and records to write, then the log anew
    struct raft_snapshot snapshot;
    struct buf header, records;
    struct buf fresh_log;   // the log behind a snapshot, ours or an installed one
    struct store_boot boot; // of an installed one
    enum status status;     // of own_snapshot
};

struct store {
    struct store_options options;
    struct files files;
    struct file *lock;
    struct job_queue *queue;
    struct job job;
    bool running;
    bool closing;
    struct write *waiting, **waiting_tail;
    // Of the running round; the queue's thread owns them until done.
    struct write *round;
    struct file *log;
    int64_t log_end, log_reserved;
    bool log_dirty;
    char *failed; // what went wrong; nothing is written any more
    // Copies for the loop.
    int64_t log_bytes;
    bool low;
};

static void __attribute__((format(printf, 2, 3))) fail(struct store *store, const char *format, ...)
{
    if (store->failed != NULL)
        return;
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    store->failed = mem_printf("%s/%s", store->files.directory, text);
}

// ---- opening ----

static enum status lock_directory(struct store *store)
{
    struct env *env = store->options.env;
    char *path = store_files_path(&store->files, ".lock");
    enum status status = file_open(env, path, FILE_WRITE | FILE_CREATE, &store->lock);
    if (status == ST_OK)
        status = file_lock(env, store->lock);
    if (status == ST_AGAIN)
        DIAG_ERROR(&env->diag, "directory %s is in use by another process", store->files.directory);
    else if (status != ST_OK)
        DIAG_ERROR(&env->diag, "cannot lock %s: %s", path, status_text(status));
    mem_free(path);
    return status;
}

enum status store_open(const struct store_options *options, struct store **out)
{
    struct store *store = mem_calloc(1, sizeof *store);
    store->options = *options;
    store->waiting_tail = &store->waiting;
    store->files = (struct files){
        .env = options->env, .directory = mem_strdup(options->directory), .node_id = options->node_id};
    enum status status = lock_directory(store);
    if (status == ST_OK)
        status = store_meta_read(&store->files);
    if (status == ST_NOT_FOUND) {
        store->files.directory_id = env_random_uuid(options->env);
        status = store_meta_write(&store->files);
    }
    if (status != ST_OK) {
        store_close(&store);
        return status;
    }
    store->queue = env_queue_new(options->env, "raft-log", 1);
    *out = store;
    return ST_OK;
}

static void write_free(struct write *write)
{
    block_unref(&write->block);
    buf_fini(&write->log);
    buf_fini(&write->header);
    buf_fini(&write->records);
    buf_fini(&write->fresh_log);
    store_boot_fini(&write->boot);
    mem_free(write);
}

static void writes_free(struct write **list)
{
    while (*list != NULL) {
        struct write *write = *list;
        *list = write->next;
        write_free(write);
    }
}

void store_close(struct store **out)
{
    struct store *store = *out;
    if (store == NULL)
        return;
    store->closing = true;
    if (store->queue != NULL)
        env_queue_destroy(store->options.env, &store->queue);
    writes_free(&store->waiting);
    file_close(store->options.env, &store->log);
    file_close(store->options.env, &store->lock);
    mem_free((void *)(uintptr_t)store->files.directory);
    mem_free(store->failed);
    mem_free(store);
    *out = NULL;
}

struct uuid store_directory(const struct store *store)
{
    return store->files.directory_id;
}

struct uuid store_cluster(const struct store *store)
{
    return store->files.cluster;
}

// ---- the log file ----

// Space is taken before it is needed, so that votes and commits can still be written on a full disk.
static void reserve(struct store *store)
{
    if (store->log_reserved - store->log_end >= STORE_RESERVE / 2)
        return;
    int64_t want = store->log_end + STORE_RESERVE;
    if (file_reserve(store->files.env, store->log, store->log_end, STORE_RESERVE) == ST_OK)
        store->log_reserved = want;
}

static enum status open_log(struct store *store, int64_t end)
{
    struct env *env = store->files.env;
    file_close(env, &store->log);
    char *path = store_files_path(&store->files, "log");
    enum status status = file_open(env, path, FILE_WRITE, &store->log);
    mem_free(path);
    store->log_end = store->log_reserved = end;
    store->log_dirty = false;
    if (status == ST_OK)
        reserve(store);
    return status;
}

static bool sync_log(struct store *store)
{
    if (store->log_dirty && file_sync(store->files.env, store->log) != ST_OK)
        fail(store, "log: the disk did not confirm a write");
    store->log_dirty = false;
    return store->failed == NULL;
}

static void append_log(struct store *store, const struct buf *bytes)
{
    struct buf synced;
    buf_init(&synced, RECORD_HEADER);
    if (!store->log_dirty)
        store_log_put_synced(&synced, store->log_end);
    struct iovec iov[] = {{synced.data, synced.len}, {bytes->data, bytes->len}};
    enum status status = file_pwritev(store->files.env, store->log, iov + (synced.len == 0),
                                      1 + (synced.len > 0), store->log_end);
    int64_t written = (int64_t)(synced.len + bytes->len);
    buf_fini(&synced);
    if (status != ST_OK) {
        fail(store, "log: %s", status_text(status));
        return;
    }
    store->log_end += written;
    store->log_dirty = true;
    reserve(store);
}

static enum status format(struct store *store, struct uuid cluster, const struct raft_config *config)
{
    struct raft_entry entry = {.index = 1, .term = 1, .kind = RAFT_ENTRY_CONFIG};
    struct buf log;
    buf_init(&log, 4096);
    store->files.cluster = cluster;
    store_log_put_header(&store->files, &log, 0);
    if (config != NULL) {
        entry.data = raft_config_encode(config);
        store_log_put_entry(&log, &entry);
        block_unref(&entry.data);
    }
    struct iovec iov = {.iov_base = log.data, .iov_len = log.len};
    enum status status = store_files_replace(&store->files, "log", &iov, 1);
    if (status == ST_OK)
        status = store_hard_make(&store->files,
                                 &(struct raft_hard){.term = config != NULL ? 1 : 0, .vote = {.id = -1}});
    if (status == ST_OK)
        status = store_meta_write(&store->files); // last: only now the directory counts as formatted
    if (status != ST_OK) {
        store->files.cluster = (struct uuid){0};
        DIAG_ERROR(&store->files.env->diag, "cannot format %s: %s", store->files.directory,
                   status_text(status));
    }
    buf_fini(&log);
    return status;
}

enum status store_format(struct store *store, struct uuid cluster, const struct raft_config *config)
{
    return format(store, cluster, config);
}

enum status store_join(struct store *store, struct uuid cluster)
{
    return format(store, cluster, NULL);
}

// Entries the snapshot covers, or that do not follow it, are of no use (§7 of the paper). Whether what will
// follow the snapshot also follows the last entry of the file.
static bool drop_covered(struct store_boot *boot)
{
    bool empty = boot->entry_count == 0;
    int64_t from = 0;
    while (from < boot->entry_count && boot->entries[from].index < boot->snapshot.index)
        from++;
    bool agrees = from < boot->entry_count && boot->entries[from].index == boot->snapshot.index &&
                  boot->entries[from].term == boot->snapshot.term;
    bool follows = from < boot->entry_count && boot->entries[from].index == boot->snapshot.index + 1;
    if (agrees)
        from++;
    else if (!follows || boot->entries[from].term < boot->snapshot.term)
        from = boot->entry_count;
    for (int64_t i = 0; i < from; i++)
        block_unref(&boot->entries[i].data);
    boot->entry_count -= from;
    if (boot->entry_count > 0)
        memmove(boot->entries, boot->entries + from, (size_t)boot->entry_count * sizeof *boot->entries);
    return empty || agrees || boot->entry_count > 0;
}

// A crash came between the leader's snapshot and the log behind it (install): in the file the next entry would
// follow none. Takes no new file, so that a full disk does not matter.
static enum status void_log(struct store *store)
{
    struct buf bytes;
    buf_init(&bytes, RECORD_HEADER);
    store_log_put_truncate(&bytes, 1);
    append_log(store, &bytes);
    buf_fini(&bytes);
    if (store->failed == NULL && sync_log(store))
        return ST_OK;
    DIAG_ERROR(&store->files.env->diag, "%s", store->failed);
    return ST_IO;
}

enum status store_load(struct store *store, struct store_boot *boot)
{
    *boot = (struct store_boot){0};
    buf_init(&boot->records, 0);
    int64_t newest = 0, end = 0;
    enum status status = store_hard_read(&store->files, &boot->hard);
    if (status == ST_OK)
        status = store_snapshot_newest(&store->files, &newest);
    if (status == ST_OK && newest > 0) {
        char *name = store_files_snapshot_name(newest);
        status = store_snapshot_read(&store->files, name, boot);
        mem_free(name);
    }
    if (status == ST_OK)
        status = store_log_read(&store->files, boot, &end);
    bool goes_on = status != ST_OK || newest == 0 || drop_covered(boot);
    if (status == ST_OK && boot->entry_count > 0 && boot->entries[0].index > boot->snapshot.index + 1) {
        DIAG_ERROR(&store->files.env->diag, "%s/log begins at entry %lld, but the snapshot ends at %lld",
                   store->files.directory, (long long)boot->entries[0].index,
                   (long long)boot->snapshot.index);
        status = ST_CORRUPT;
    }
    if (status == ST_OK)
        status = open_log(store, end);
    if (status == ST_OK) // what lies behind a torn write must not be read again one day
        status = file_truncate(store->files.env, store->log, end);
    if (status == ST_OK)
        status = file_sync(store->files.env, store->log);
    if (status == ST_OK && !goes_on)
        status = void_log(store);
    store->log_bytes = store->log_end;
    return status;
}

void store_boot_fini(struct store_boot *boot)
{
    for (int64_t i = 0; i < boot->entry_count; i++)
        block_unref(&boot->entries[i].data);
    mem_free(boot->entries);
    buf_fini(&boot->records);
    *boot = (struct store_boot){0};
}

// ---- the round, on the queue's thread ----

static enum status replace_log(struct store *store, const struct buf *fresh)
{
    struct iovec iov = {.iov_base = fresh->data, .iov_len = fresh->len};
    enum status status = store_files_replace(&store->files, "log", &iov, 1);
    return status == ST_OK ? open_log(store, (int64_t)fresh->len) : status;
}

static void stage_chunk(struct store *store, struct write *write)
{
    struct env *env = store->files.env;
    char *path = store_files_path(&store->files, part_name);
    struct file *file = NULL;
    int flags = FILE_WRITE | FILE_CREATE | (write->chunk.offset == 0 ? FILE_TRUNCATE : 0);
    enum status status = file_open(env, path, flags, &file);
    if (status == ST_OK && write->block->len > 0)
        status = file_pwrite(env, file, write->block->data, write->block->len, write->chunk.offset);
    if (status == ST_OK && write->chunk.done)
        status = file_sync(env, file);
    file_close(env, &file);
    mem_free(path);
    if (status != ST_OK)
        fail(store, "%s: %s", part_name, status_text(status));
}

static void install(struct store *store, struct write *write)
{
    struct raft_snapshot *snapshot = &write->chunk.snapshot;
    buf_init(&write->boot.records, 0);
    enum status status = store_snapshot_read(&store->files, part_name, &write->boot);
    if (status == ST_OK &&
        (write->boot.snapshot.index != snapshot->index || write->boot.snapshot.term != snapshot->term))
        status = ST_MISMATCH;
    char *name = store_files_snapshot_name(snapshot->index);
    char *from = store_files_path(&store->files, part_name), *to = store_files_path(&store->files, name);
    if (status == ST_OK)
        status = path_rename(store->files.env, from, to);
    if (status == ST_OK)
        status = path_sync_dir(store->files.env, store->files.directory);
    if (status == ST_OK)
        status = replace_log(store, &write->fresh_log);
    if (status == ST_OK)
        store_snapshot_clean(&store->files, snapshot->index);
    else
        fail(store, "%s: snapshot of the leader cannot be installed: %s", name, status_text(status));
    mem_free(from);
    mem_free(to);
    mem_free(name);
}

static void write_snapshot(struct store *store, struct write *write)
{
    char *name = store_files_snapshot_name(write->snapshot.index);
    struct iovec iov[2] = {{.iov_base = write->header.data, .iov_len = write->header.len},
                           {.iov_base = write->records.data, .iov_len = write->records.len}};
    write->status = store_files_replace(&store->files, name, iov, write->records.len > 0 ? 2 : 1);
    mem_free(name);
    if (write->status != ST_OK)
        return; // the old snapshot and the whole log are still there
    write->status = replace_log(store, &write->fresh_log);
    if (write->status == ST_OK)
        store_snapshot_clean(&store->files, write->snapshot.index);
    else if (write->status == ST_IO || store->log == NULL) // which of the two files is the log is not known
        fail(store, "log: %s", status_text(write->status));
}

static void write_run(struct store *store, struct write *write)
{
    if (write->hard_changed) {
        enum status status = store_hard_write(&store->files, &write->hard);
        if (status != ST_OK)
            fail(store, "hard-state: %s", status_text(status));
    }
    if (write->has_chunk && store->failed == NULL)
        stage_chunk(store, write);
    if (write->has_chunk && write->chunk.done && store->failed == NULL && sync_log(store))
        install(store, write);
    if (write->log.len > 0 && store->failed == NULL)
        append_log(store, &write->log);
    if (write->own_snapshot && store->failed == NULL && sync_log(store))
        write_snapshot(store, write);
}

static void round_run(struct job *job)
{
    struct store *store = (struct store *)((char *)job - offsetof(struct store, job));
    for (struct write *write = store->round; write != NULL && store->failed == NULL; write = write->next)
        write_run(store, write);
    if (store->failed == NULL)
        sync_log(store);
}

// ---- the loop's side ----

static void round_start(struct store *store);

static void round_done(struct job *job)
{
    struct store *store = (struct store *)((char *)job - offsetof(struct store, job));
    struct write *round = store->round;
    store->round = NULL;
    store->running = false;
    store->log_bytes = store->log_end;
    store->low = store->log_reserved - store->log_end < STORE_RESERVE_LOW;
    if (store->closing) {
        writes_free(&round);
        return;
    }
    if (store->failed != NULL) {
        writes_free(&round);
        store->options.on_failed(store->options.context, store->failed);
        return;
    }
    round_start(store);
    uint64_t step = 0;
    void *context = store->options.context;
    for (struct write *write = round; write != NULL; write = write->next) {
        if (write->step != 0)
            step = write->step;
        if (write->has_chunk && write->chunk.done)
            store->options.on_installed(context, &write->boot);
        if (write->own_snapshot)
            store->options.on_snapshot(context, write->status, write->snapshot.index);
    }
    writes_free(&round);
    if (step != 0)
        store->options.on_durable(context, step);
}

static void round_start(struct store *store)
{
    if (store->running || store->waiting == NULL || store->failed != NULL)
        return;
    store->round = store->waiting;
    store->waiting = NULL;
    store->waiting_tail = &store->waiting;
    store->running = true;
    store->job = (struct job){.run = round_run, .done = round_done};
    env_submit(store->options.env, store->queue, &store->job);
}

static struct write *write_new(void)
{
    struct write *write = mem_calloc(1, sizeof *write);
    buf_init(&write->log, WRITE_MAX);
    buf_init(&write->header, 4096);
    buf_init(&write->records, 0);
    buf_init(&write->fresh_log, WRITE_MAX);
    return write;
}

static void write_queue(struct store *store, struct write *write)
{
    ASSERT(buf_status(&write->log) == ST_OK && buf_status(&write->fresh_log) == ST_OK);
    *store->waiting_tail = write;
    store->waiting_tail = &write->next;
    round_start(store);
}

void store_write(struct store *store, const struct raft *raft, const struct raft_updates *out)
{
    struct write *write = write_new();
    write->step = out->persist;
    write->hard_changed = out->hard_changed;
    write->hard = out->hard;
    if (out->has_chunk) {
        write->has_chunk = true;
        write->chunk = out->chunk;
        write->block = block_copy(out->chunk.data);
        ASSERT(write->block != NULL);
        if (out->chunk.done)
            store_log_put_header(&store->files, &write->fresh_log, out->chunk.snapshot.index);
    }
    if (out->truncate_from != 0)
        store_log_put_truncate(&write->log, out->truncate_from);
    for (int64_t i = out->append_from; out->append_from != 0 && i <= raft_last_index(raft); i++)
        store_log_put_entry(&write->log, raft_entry(raft, i));
    write_queue(store, write);
}

void store_snapshot_take(struct store *store, const struct raft *raft, const struct raft_snapshot *snapshot,
                         int64_t next_offset, struct buf *records_take)
{
    struct write *write = write_new();
    write->own_snapshot = true;
    write->snapshot = *snapshot;
    write->records = *records_take;
    buf_init(records_take, records_take->max);
    store_snapshot_put_header(&store->files, &write->header, snapshot, next_offset,
                              buf_slice(&write->records));
    store_log_put_header(&store->files, &write->fresh_log, snapshot->index);
    for (int64_t i = snapshot->index + 1; i <= raft_last_index(raft); i++)
        store_log_put_entry(&write->fresh_log, raft_entry(raft, i));
    write_queue(store, write);
}

bool store_low(const struct store *store)
{
    return store->low;
}

int64_t store_log_bytes(const struct store *store)
{
    return store->log_bytes;
}

// ---- reading a chunk for another voter ----

struct chunk_read {
    struct job job;
    struct env *env;
    char *path;
    int64_t offset;
    struct block *block;
    bool last;
    store_chunk_fn *done;
    void *context;
};

static void chunk_run(struct job *job)
{
    struct chunk_read *read = (struct chunk_read *)job;
    struct file *file = NULL;
    int64_t size = 0;
    if (file_open(read->env, read->path, FILE_READ, &file) != ST_OK)
        return;
    if (file_size(read->env, file, &size) == ST_OK && read->offset < size) {
        int64_t len = size - read->offset < STORE_CHUNK_BYTES ? size - read->offset : STORE_CHUNK_BYTES;
        size_t got = 0;
        read->block = block_new((size_t)len);
        read->last = read->offset + len == size;
        if (read->block != NULL &&
            (file_pread(read->env, file, read->block->data, (size_t)len, read->offset, &got) != ST_OK ||
             got != (size_t)len))
            block_unref(&read->block);
    }
    file_close(read->env, &file);
}

static void chunk_done(struct job *job)
{
    struct chunk_read *read = (struct chunk_read *)job;
    read->done(read->context, read->block, read->last);
    block_unref(&read->block);
    mem_free(read->path);
    mem_free(read);
}

void store_read_chunk(struct store *store, int64_t index, int64_t offset, store_chunk_fn *done, void *context)
{
    struct chunk_read *read = mem_calloc(1, sizeof *read);
    char *name = store_files_snapshot_name(index);
    *read = (struct chunk_read){.job = {.run = chunk_run, .done = chunk_done},
                                .env = store->options.env,
                                .path = store_files_path(&store->files, name),
                                .offset = offset,
                                .done = done,
                                .context = context};
    mem_free(name);
    env_submit(store->options.env, store->options.env->pool, &read->job);
}
