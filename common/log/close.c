// SPDX-License-Identifier: Apache-2.0
// Ending a set: cleanly, so that the next start (ours or Kafka's) scans nothing, or by dropping everything as
// a crash would; and removing directories of deleted logs.
#include "base/assert.h"
#include "base/mem.h"
#include "log/internal.h"

// Disk space taken ahead of a segment's end that is worth giving back: a truncation costs as much as all else
// of a log's end, the file's size does not show the space, and the next append uses it.
enum { SURPLUS_MIN = 64 << 10 };

// ---- clean close ----

struct closing {
    struct log_checkpoint *checkpoint;
    struct log_set *set;
    enum status status;
    enum status failed; // the first failure of a log, by which the others are not kept from closing
    bool unchanged;     // since the start: the files are as the last clean stop left them
    bool together;      // everything that is written is synced at once
    bool *closed;       // by log of the checkpoint
    bool *staged;       // likewise: has a snapshot that is not installed yet
    log_set_closed_fn *done;
    void *context;
};

static enum status append_entries(const struct closing *closing, struct log *log, const char *suffix,
                                  struct log_index *index)
{
    struct log_segment *segment = log->state.segments[log->state.count - 1];
    struct env *env = log->set->env;
    struct log_path path = log_path_join(log->path, log_segment_name(segment->base, suffix).text);
    struct file *file;
    enum status status = file_open(env, path.text, FILE_WRITE | FILE_CREATE, &file);
    if (status != ST_OK)
        return status;
    if (index->pending.len > 0)
        status = file_pwrite(env, file, index->pending.data, index->pending.len, index->written);
    int64_t bytes, wanted = index->written + (int64_t)index->pending.len;
    if (status == ST_OK)
        status = file_size(env, file, &bytes);
    if (status == ST_OK && bytes != wanted)
        status = file_truncate(env, file, wanted);
    if (status == ST_OK && !closing->together)
        status = file_sync(env, file);
    file_close(env, &file);
    if (status == ST_OK) {
        index->written = wanted;
        buf_clear(&index->pending);
    }
    return status;
}

static enum status trim_segment(const struct closing *closing, const struct log *log,
                                const struct log_segment *segment)
{
    bool surplus = segment->reserved - segment->written >= SURPLUS_MIN;
    if (!surplus && (!log->lazy || closing->together))
        return ST_OK;
    struct env *env = log->set->env;
    struct log_path path = log_path_join(log->path, log_segment_name(segment->base, ".log").text);
    struct file *file;
    enum status status = file_open(env, path.text, FILE_WRITE, &file);
    if (status != ST_OK)
        return status;
    if (surplus)
        status = file_truncate(env, file, segment->written);
    if (status == ST_OK && log->lazy && !closing->together)
        status = file_sync(env, file);
    file_close(env, &file);
    return status;
}

// The active segment as Kafka leaves it: exact size, final time index entry, everything synced. One that was
// not written to in this run is so already, or was recovered and stays without that entry, unless it is known
// from a stop that has not come so far.
static enum status close_segment(const struct closing *closing, struct log *log, struct log_segment *segment)
{
    if (segment->reserved == 0 && !log->resumed)
        return ST_OK;
    enum status status = trim_segment(closing, log, segment);
    log_segment_finish(segment);
    if (status == ST_OK && segment->index.pending.len > 0)
        status = append_entries(closing, log, ".index", &segment->index);
    if (status == ST_OK && segment->times.pending.len > 0)
        status = append_entries(closing, log, ".timeindex", &segment->times);
    if (status == ST_OK && segment->aborted.written > 0 && !closing->together)
        // written with the batches, but perhaps not synced
        status = log_file_sync(log->set->env, log->path, log_segment_name(segment->base, ".txnindex").text);
    return status;
}

static struct log_segment_name snapshot_name(const struct log *log)
{
    return log_segment_name(log->state.end, ".snapshot");
}

// *staged: it is yet to be installed.
static enum status close_snapshot(const struct closing *closing, struct log *log, bool *staged)
{
    struct log_segment_name name = snapshot_name(log);
    struct log_path path = log_path_join(log->path, name.text);
    struct file_info info;
    if (log->state.producers.by_id.count == 0 || path_info(log->set->env, path.text, &info) == ST_OK)
        return ST_OK;
    struct buf bytes;
    buf_init(&bytes, SIZE_MAX);
    enum status status = log_producers_print(&log->state.producers, &bytes);
    if (status == ST_OK && !closing->together)
        status = log_file_replace(log->set->env, log->path, name.text, buf_slice(&bytes), true);
    if (status == ST_OK && closing->together) {
        status = log_file_stage(log->set->env, log->path, name.text, buf_slice(&bytes), false);
        *staged = status == ST_OK;
    }
    buf_fini(&bytes);
    return status;
}

// Why its files are not what it is.
static enum status failure_of(const struct log *log)
{
    if (log->lost || log->deleted)
        return ST_OK;
    return log->status == ST_OK && log->tail_bytes > 0 ? ST_NO_SPACE : log->status;
}

// Only while the set is closing: nothing else touches the log any more.
static enum status close_log(const struct closing *closing, struct log *log, bool *staged)
{
    enum status status = failure_of(log);
    if (status != ST_OK || !log->on_disk || log->lost || log->deleted)
        return status;
    struct log_segment *active = log->state.count > 0 ? log->state.segments[log->state.count - 1] : NULL;
    status = active != NULL && active->exists ? close_segment(closing, log, active) : ST_OK;
    return status == ST_OK ? close_snapshot(closing, log, staged) : status;
}

// Up to two index files and a snapshot each.
static bool wants_together(const struct log_set *set)
{
    int written = 0;
    for (const struct log *log = set->first; log != NULL; log = log->next)
        written += log->state.count > 0 && !log->finished &&
                   (log->resumed || log->state.segments[log->state.count - 1]->reserved > 0);
    return written > set->config.sync_each_max / 4;
}

// ---- in portions ----

static void note_outcome(struct closing *closing, int i, enum status status)
{
    closing->closed[i] = status == ST_OK;
    closing->failed = closing->failed == ST_OK ? status : closing->failed;
}

static void close_some(struct closing *closing, int from, int to)
{
    for (int i = from; i < to; i++) {
        struct log *log = log_checkpoint_log(closing->checkpoint, i);
        enum status status = log->finished ? ST_OK : close_log(closing, log, &closing->staged[i]);
        if (status == ST_OK && closing->together)
            status = log_checkpoint_stage(closing->checkpoint, i);
        note_outcome(closing, i, status);
    }
}

// What was staged is durable.
static void install_some(struct closing *closing, int from, int to)
{
    for (int i = from; i < to; i++) {
        const struct log *log = log_checkpoint_log(closing->checkpoint, i);
        if (!closing->closed[i])
            continue;
        enum status status = log_checkpoint_install(closing->checkpoint, i);
        if (status == ST_OK && closing->staged[i])
            status = log_file_install(log->set->env, log->path, snapshot_name(log).text);
        note_outcome(closing, i, status);
    }
}

static void note_closed(struct closing *closing, int from, int to)
{
    for (int i = from; i < to; i++) {
        struct log *log = log_checkpoint_log(closing->checkpoint, i);
        log->resumed = log->finished = closing->closed[i];
    }
}

static enum status close_portion(struct closing *closing, int from, int to)
{
    close_some(closing, from, to);
    enum status status = log_sync_all(closing->set, LOG_FLUSHER);
    if (status == ST_OK)
        install_some(closing, from, to);
    if (status == ST_OK)
        status = log_sync_all(closing->set, LOG_FLUSHER);
    if (status == ST_OK)
        note_closed(closing, from, to);
    return status;
}

// Behind the next so many logs that have changed.
static int portion_end(const struct closing *closing, int from)
{
    int changed = 0, count = log_checkpoint_count(closing->checkpoint);
    while (from < count && changed < closing->set->config.close_portion)
        changed += !log_checkpoint_log(closing->checkpoint, from++)->finished;
    return from;
}

// All records are in their segments for good, so nobody needs the journal, unless a log has failed.
static enum status end_journal(struct log_set *set)
{
    for (const struct log *log = set->first; log != NULL; log = log->next)
        if (log->status != ST_OK || log->tail_bytes > 0)
            return ST_OK;
    return journal_remove(set->env, set->path, (int)(set->journal.tail % JOURNAL_BLOCKS));
}

// Everything written is durable: the manifest tells of it before the files are made what Kafka expects, which
// takes long with many logs. Whoever ends the process from here on leaves the next start nothing to open.
static enum status save_ends(struct closing *closing)
{
    struct log_set *set = closing->set;
    enum status status = log_sync_all(set, LOG_FLUSHER);
    if (status == ST_OK)
        status = end_journal(set);
    for (int i = 0; i < log_checkpoint_count(closing->checkpoint); i++) {
        struct log *log = log_checkpoint_log(closing->checkpoint, i);
        log->resumed = log->on_disk && !log->lost && log->status == ST_OK && log->tail_bytes == 0;
    }
    if (status == ST_OK)
        (void)log_resume_save(set, false);
    return status;
}

static enum status save_portion(struct closing *closing)
{
    enum status status = log_checkpoint_save_points(closing->checkpoint);
    if (status == ST_OK)
        (void)log_resume_save(closing->set, false);
    return status;
}

static enum status close_together(struct closing *closing)
{
    int count = log_checkpoint_count(closing->checkpoint);
    enum status status = save_ends(closing);
    for (int from = 0, to; from < count && status == ST_OK; from = to) {
        to = portion_end(closing, from);
        status = close_portion(closing, from, to);
        if (status == ST_OK && (to < count || closing->failed != ST_OK))
            status = save_portion(closing);
    }
    return status;
}

static enum status close_logs(struct closing *closing)
{
    int count = log_checkpoint_count(closing->checkpoint);
    enum status status = ST_OK;
    closing->closed = mem_calloc((size_t)count + 1, sizeof *closing->closed);
    closing->staged = mem_calloc((size_t)count + 1, sizeof *closing->staged);
    if (closing->together) {
        status = close_together(closing);
    } else {
        close_some(closing, 0, count);
        note_closed(closing, 0, count);
    }
    mem_free(closing->closed);
    mem_free(closing->staged);
    return status == ST_OK ? closing->failed : status;
}

static void close_prepare(struct log_op *op)
{
    struct closing *closing = op->data;
    struct log_set *set = op->set;
    timer_stop(set->env, &set->retry);
    timer_stop(set->env, &set->checkpoint);
    timer_stop(set->env, &set->expiry);
    timer_stop(set->env, &set->heal);
    timer_stop(set->env, &set->look);
    closing->unchanged = log_resume_unchanged(set);
    if (closing->unchanged)
        return;
    if (set->status != ST_OK) { // a sync has failed: that the next one succeeds proves nothing
        op->status = set->status;
        return;
    }
    log_resume_prepare(set);
    closing->together = wants_together(set);
    for (struct log *log = set->first; log != NULL; log = log->next) {
        if (!log->on_disk && closing->failed == ST_OK) // the checkpoint does not have it
            closing->failed = failure_of(log);
        if (log->status != ST_OK || log->tail_bytes > 0 || log->lost)
            continue;
        log->synced = log->written; // true once close_segment has written and synced, and saved only then
        log->indexed = INT64_MAX;
    }
    closing->checkpoint = log_checkpoint_new(set, false);
}

static void close_run(struct log_op *op)
{
    static const char marker[] = "{\"version\":0,\"brokerEpoch\":-1}";
    struct log_set *set = op->set;
    struct closing *closing = op->data;
    if (closing->unchanged)
        return;
    op->status = close_logs(closing);
    // After a failure the old recovery points stand: the next start scans from there.
    if (op->status == ST_OK)
        op->status = log_checkpoint_write(closing->checkpoint, LOG_FLUSHER);
    if (op->status == ST_OK)
        op->status = journal_remove(set->env, set->path, (int)(set->journal.tail % JOURNAL_BLOCKS));
    if (op->status == ST_OK)
        op->status = log_file_replace(set->env, set->path, ".kafka_cleanshutdown", slice_str(marker), true);
    if (op->status == ST_OK)
        (void)log_resume_save(set, true);
}

// A turn later, when the flusher's completion has been dealt with: its queue goes too.
static void close_fire(struct timer *timer)
{
    struct closing *closing = timer->context;
    log_set_closed_fn *done = closing->done;
    void *context = closing->context;
    enum status status = closing->status;
    struct log_set *set = closing->set;
    mem_free(closing);
    log_set_abandon(&set);
    done(status, context);
}

static void close_finish(struct log_op *op)
{
    struct closing *closing = op->data;
    struct log_set *set = op->set;
    if (closing->checkpoint != NULL)
        log_checkpoint_done(closing->checkpoint);
    closing->status = op->status;
    timer_init(&set->retry, close_fire, closing);
    timer_start_us(set->env, &set->retry, 0);
}

void log_set_close(struct log_set *set, log_set_closed_fn *done, void *context)
{
    ASSERT(!set->closing);
    struct log_op *op = log_op_new(set, NULL);
    struct closing *closing = mem_calloc(1, sizeof *closing);
    *closing = (struct closing){.set = set, .done = done, .context = context};
    op->data = closing;
    op->last = true;
    op->prepare = close_prepare;
    op->run = close_run;
    op->finish = close_finish;
    set->closing = true;
    log_ops_release(set);
    log_cleaner_stop(set->cleaner);
    log_op_queue(op);
}

void log_set_abandon(struct log_set **pointer)
{
    struct log_set *set = *pointer;
    *pointer = NULL;
    set->ended = true;
    log_set_each_metric(set, metric_remove);
    env_queue_destroy(set->env, &set->flusher);
    env_queue_destroy(set->env, &set->writer);
    env_queue_destroy(set->env, &set->saver);
    log_cleaner_destroy(&set->cleaner);
    timer_stop(set->env, &set->retry);
    timer_stop(set->env, &set->checkpoint);
    timer_stop(set->env, &set->back);
    log_cold_abandon(set);
    timer_stop(set->env, &set->expiry);
    timer_stop(set->env, &set->heal);
    timer_stop(set->env, &set->look);
    log_reclaim_abandon(set);
    log_start_abandon(set);
    log_ops_release(set); // `ended`: nothing is started
    while (set->ops_first != NULL) {
        struct log_op *op = set->ops_first;
        set->ops_first = op->next;
        mem_free(op->data);
        mem_free(op);
    }
    set->dirty_first = NULL;
    while (set->first != NULL) {
        set->first->dirty = false;
        log_free(set->first);
    }
    mem_free(set->due);
    map_fini(&set->by_name);
    map_fini(&set->leaving);
    buf_fini(&set->changes);
    journal_fini(&set->journal);
    log_lent_unref(&set->lent);
    log_verified_destroy(&set->verified);
    log_sync_close(set);
    file_close(set->env, &set->lock);
    mem_free(set->path);
    mem_free(set);
}

// ---- removing directories ----

struct removal {
    struct job job;
    struct env *env;
    char *path;
};

struct emptied {
    struct env *env;
    const char *path;
};

static bool remove_entry(const char *name, void *context)
{
    const struct emptied *emptied = context;
    (void)log_file_remove(emptied->env, emptied->path, name);
    return true;
}

void log_remove_dir(struct env *env, const char *path)
{
    struct emptied emptied = {env, path};
    if (path_list(env, path, remove_entry, &emptied) == ST_OK)
        (void)path_rmdir(env, path);
}

static void removal_run(struct job *job)
{
    struct removal *removal = (struct removal *)job;
    log_remove_dir(removal->env, removal->path);
}

static void removal_done(struct job *job)
{
    struct removal *removal = (struct removal *)job;
    mem_free(removal->path);
    mem_free(removal);
}

void log_remove_dir_later(struct log_set *set, const char *name)
{
    struct removal *removal = mem_calloc(1, sizeof *removal);
    *removal = (struct removal){.job = {.run = removal_run, .done = removal_done}, .env = set->env};
    removal->path = mem_printf("%s/%s", set->path, name);
    env_submit(set->env, set->env->pool, &removal->job);
}
