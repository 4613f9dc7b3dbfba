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
    bool unchanged;      // since the start: the files are as the last clean stop left them
    bool together;       // everything that is written is synced at once
    struct log **staged; // have a snapshot that is not installed yet
    int staged_count;
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
// not written to in this run is so already.
static enum status close_segment(const struct closing *closing, struct log *log, struct log_segment *segment)
{
    if (segment->reserved == 0)
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

static enum status close_snapshot(struct closing *closing, struct log *log)
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
        closing->staged[closing->staged_count++] = log;
    }
    buf_fini(&bytes);
    return status;
}

// Only while the set is closing: nothing else touches the log any more.
static enum status close_log(struct closing *closing, struct log *log)
{
    if (!log->on_disk || log->lost || log->deleted)
        return ST_OK;
    if (log->status != ST_OK || log->tail_bytes > 0)
        return log->status != ST_OK ? log->status : ST_NO_SPACE;
    struct log_segment *active = log->state.count > 0 ? log->state.segments[log->state.count - 1] : NULL;
    enum status status = active != NULL && active->exists ? close_segment(closing, log, active) : ST_OK;
    return status == ST_OK ? close_snapshot(closing, log) : status;
}

// Up to two index files and a snapshot each.
static bool close_together(const struct log_set *set)
{
    int written = 0;
    for (const struct log *log = set->first; log != NULL; log = log->next)
        written += log->state.count > 0 && log->state.segments[log->state.count - 1]->reserved > 0;
    return written > set->config.sync_each_max / 4;
}

// What was written is durable; then the snapshots that were staged take their names.
static enum status sync_closed(struct closing *closing)
{
    if (!closing->together)
        return ST_OK;
    enum status status = log_sync_all(closing->set, LOG_FLUSHER);
    for (int i = 0; i < closing->staged_count && status == ST_OK; i++) {
        const struct log *log = closing->staged[i];
        status = log_file_install(log->set->env, log->path, snapshot_name(log).text);
    }
    return status == ST_OK && closing->staged_count > 0 ? log_sync_all(closing->set, LOG_FLUSHER) : status;
}

static enum status close_logs(struct closing *closing)
{
    struct log_set *set = closing->set;
    closing->together = close_together(set);
    closing->staged = mem_calloc((size_t)set->count + 1, sizeof(struct log *));
    enum status status = ST_OK;
    for (struct log *log = set->first; log != NULL; log = log->next) {
        enum status own = close_log(closing, log);
        status = status == ST_OK ? own : status;
    }
    if (status == ST_OK)
        status = sync_closed(closing);
    mem_free(closing->staged);
    return status;
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
    log_resume_prepare(set);
    for (struct log *log = set->first; log != NULL; log = log->next) {
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
        log_resume_save(set);
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
