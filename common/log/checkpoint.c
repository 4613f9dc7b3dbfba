// SPDX-License-Identifier: Apache-2.0
// The checkpoint files of a data directory. The loop copies what they shall say, a helper thread writes them:
// first what recovery would no longer derive from batches below the new recovery points (epochs, index
// files), then the recovery points, then watermarks and start offsets; each file replaced atomically and
// synced. Index files must be durable with the batches they point at: of what a time index has lost nothing
// tells, and no scan below the recovery point would find it.
//
// The checkpoint of the clock runs on the saver's thread, so that no flush round waits for it. Rounds and
// write-backs only add to what it copied: the recovery points it saves stay true. Everything that takes away
// (truncation, removal, segments below the start) is an op, and ops wait for it. When a file of it cannot be
// written it is tried again soon: the file is made anew each time, and the old one is as true as before. A
// sync of what was written earlier is not repeated: after an error it proves nothing.
#include "base/assert.h"
#include "base/mem.h"
#include "log/internal.h"

enum {
    WRITTEN_US = 1000000, // recovery points are saved for what was written at most so often,
    WRITTEN_LOG_US = 100, // and more rarely with many logs: the loop copies all of them
    POINTS_LEFT_MAX = 4   // of such checkpoints in a row may leave out what would take many syncs
};

static const char epochs_name[] = "leader-epoch-checkpoint";
static const char points_name[] = "recovery-point-offset-checkpoint";

struct saved_log {
    struct log *log;
    const char *path; // the log's; stays while its removal waits behind this op
    int64_t recovery_point;
    struct buf epochs;  // content of leader-epoch-checkpoint when it has changed
    int64_t index_base; // segment whose index files must be synced, -1: none
};

struct log_checkpoint {
    struct log_set *set;
    struct saved_log *logs;
    struct log_offset_row *points, *watermarks, *starts, *cleaned;
    int count, start_count, point_count, watermark_count, cleaned_count;
    int syncs; // of files and directories of logs
    bool points_only;
    bool lazy_stay; // recovery points of logs whose index files are not synced
    bool any_epochs;
    bool again;         // tried again when a file cannot be written; else that takes the directory offline
    bool sync_failed;   // of what was written before
    enum status status; // of writing; ST_CANCELLED: not tried
};

static bool has_lazy_index(const struct log *log)
{
    const struct log_segment *active =
        log->state.count > 0 ? log->state.segments[log->state.count - 1] : NULL;
    return log->index_lazy && active != NULL && active->exists && active->index.written > 0;
}

static int64_t saved_point(const struct log *log)
{
    return log->recovery_point < log->synced ? log->recovery_point : log->synced;
}

// Below it everything is durable, and the index files say all there is to say.
static int64_t point_of(const struct log_checkpoint *checkpoint, const struct log *log)
{
    if (checkpoint->lazy_stay && has_lazy_index(log) && !log->lost)
        return saved_point(log);
    return log->indexed < log->synced ? log->indexed : log->synced;
}

// A start leaves what it has not opened: the epochs come with the first checkpoint, and the point then. Of
// what is offline neither epochs nor index files are made durable, so the point must not pass them either. A
// lost log stays listed as it was, or the next start would take it for an empty one.
static bool is_left(const struct log_checkpoint *checkpoint, const struct log *log)
{
    const struct log_set *set = checkpoint->set;
    if (set->opening && log->resumed && !log->finished)
        return true;
    return !log->lost && (log->status != ST_OK || set->status != ST_OK);
}

static void save_log(struct log_checkpoint *checkpoint, struct log *log)
{
    struct saved_log *saved = &checkpoint->logs[checkpoint->count++];
    bool left = is_left(checkpoint, log);
    int64_t point = left ? saved_point(log) : point_of(checkpoint, log);
    *saved = (struct saved_log){.log = log, .path = log->path, .recovery_point = point, .index_base = -1};
    checkpoint->points[checkpoint->point_count++] = (struct log_offset_row){log->name, point};
    if (log->raised)
        checkpoint->starts[checkpoint->start_count++] = (struct log_offset_row){log->name, log->start};
    checkpoint->watermarks[checkpoint->watermark_count++] =
        (struct log_offset_row){log->name, log->high_watermark};
    if (log->clean.first_dirty > 0)
        checkpoint->cleaned[checkpoint->cleaned_count++] =
            (struct log_offset_row){log->name, log->clean.first_dirty};
    buf_init(&saved->epochs, LOG_SMALL_FILE_MAX);
    if (log->lost || !log->on_disk || left)
        return;
    if (log->state.epochs.changed && log_epochs_print(&log->state.epochs, &saved->epochs) == ST_OK) {
        log->state.epochs.changed = false;
        checkpoint->any_epochs = true;
        checkpoint->syncs += 2;
    }
    log->touched = false;
    if (checkpoint->lazy_stay || !has_lazy_index(log))
        return;
    saved->index_base = log->state.segments[log->state.count - 1]->base;
    checkpoint->syncs += 2;
    log->index_lazy = false;
}

// Index files are synced by the write-backs that sync many logs; a checkpoint of recovery points comes often,
// and leaves out the logs that wait for one of those.
static bool many_lazy(const struct log_set *set)
{
    int count = 0;
    for (const struct log *log = set->first; log != NULL; log = log->next)
        count += log->index_lazy;
    return 2 * count > set->config.sync_each_max;
}

struct log_checkpoint *log_checkpoint_new(struct log_set *set, bool points_only)
{
    size_t room = (size_t)set->count + 1;
    struct log_checkpoint *checkpoint = mem_calloc(1, sizeof *checkpoint);
    checkpoint->set = set;
    checkpoint->points_only = points_only;
    checkpoint->lazy_stay = points_only && set->points_left < POINTS_LEFT_MAX && many_lazy(set);
    set->points_left = checkpoint->lazy_stay ? set->points_left + 1 : 0;
    checkpoint->status = ST_CANCELLED;
    checkpoint->logs = mem_calloc(room, sizeof *checkpoint->logs);
    checkpoint->points = mem_calloc(room, sizeof *checkpoint->points);
    checkpoint->watermarks = mem_calloc(room, sizeof *checkpoint->watermarks);
    checkpoint->starts = mem_calloc(room, sizeof *checkpoint->starts);
    checkpoint->cleaned = mem_calloc(room, sizeof *checkpoint->cleaned);
    for (struct log *log = set->first; log != NULL; log = log->next)
        if (!log->deleted && (log->on_disk || log->lost))
            save_log(checkpoint, log);
    return checkpoint;
}

static enum status sync_file(struct log_checkpoint *checkpoint, const struct saved_log *saved,
                             const char *suffix)
{
    struct log_segment_name name = log_segment_name(saved->index_base, suffix);
    enum status status = log_file_sync(checkpoint->set->env, saved->path, name.text);
    checkpoint->sync_failed = status != ST_OK && status != ST_NOT_FOUND;
    return checkpoint->sync_failed ? status : ST_OK;
}

static enum status write_log(struct log_checkpoint *checkpoint, const struct saved_log *saved)
{
    struct env *env = checkpoint->set->env;
    enum status status = ST_OK;
    if (saved->epochs.len > 0)
        status = log_file_replace(env, saved->path, epochs_name, buf_slice(&saved->epochs), true);
    if (status == ST_OK && saved->index_base >= 0)
        status = sync_file(checkpoint, saved, ".index");
    if (status == ST_OK && saved->index_base >= 0)
        status = sync_file(checkpoint, saved, ".timeindex");
    return status;
}

static enum status write_apart(struct log_checkpoint *checkpoint)
{
    enum status status = ST_OK;
    for (int i = 0; i < checkpoint->count && status == ST_OK; i++)
        status = write_log(checkpoint, &checkpoint->logs[i]);
    return status;
}

static enum status stage_epochs(struct env *env, const struct saved_log *saved)
{
    return log_file_stage(env, saved->path, epochs_name, buf_slice(&saved->epochs), false);
}

static enum status install_epochs(struct env *env, const struct saved_log *saved)
{
    return log_file_install(env, saved->path, epochs_name);
}

typedef enum status epochs_step(struct env *env, const struct saved_log *saved);

static enum status each_epochs(struct log_checkpoint *checkpoint, epochs_step *step)
{
    enum status status = ST_OK;
    for (int i = 0; i < checkpoint->count && status == ST_OK; i++)
        if (checkpoint->logs[i].epochs.len > 0)
            status = step(checkpoint->set->env, &checkpoint->logs[i]);
    return status;
}

static enum status sync_all(struct log_checkpoint *checkpoint, enum log_thread thread)
{
    enum status status = log_sync_all(checkpoint->set, thread);
    checkpoint->sync_failed = status != ST_OK;
    return status;
}

// The first sync covers the index files too.
static enum status write_together(struct log_checkpoint *checkpoint, enum log_thread thread)
{
    enum status status = each_epochs(checkpoint, stage_epochs);
    if (status == ST_OK)
        status = sync_all(checkpoint, thread);
    if (status == ST_OK)
        status = each_epochs(checkpoint, install_epochs);
    return status == ST_OK && checkpoint->any_epochs ? sync_all(checkpoint, thread) : status;
}

static enum status write_offsets(const struct log_set *set, const char *name,
                                 const struct log_offset_row *rows, int count, bool sync_dir)
{
    struct buf text;
    buf_init(&text, LOG_SMALL_FILE_MAX);
    enum status status = log_offsets_print(rows, count, &text);
    if (status == ST_OK)
        status = log_file_replace(set->env, set->path, name, buf_slice(&text), sync_dir);
    buf_fini(&text);
    return status;
}

enum status log_checkpoint_starts(struct log_set *set, const struct log_offset_row *rows, int count)
{
    return write_offsets(set, "log-start-offset-checkpoint", rows, count, true);
}

enum status log_checkpoint_write(struct log_checkpoint *checkpoint, enum log_thread thread)
{
    struct log_set *set = checkpoint->set;
    enum status status = checkpoint->syncs > set->config.sync_each_max ? write_together(checkpoint, thread)
                                                                       : write_apart(checkpoint);
    if (status == ST_OK && checkpoint->points_only)
        return checkpoint->status =
                   write_offsets(set, points_name, checkpoint->points, checkpoint->point_count, true);
    if (status == ST_OK) // a lower one than is true costs work, never data
        status = write_offsets(set, "cleaner-offset-checkpoint", checkpoint->cleaned,
                               checkpoint->cleaned_count, false);
    if (status == ST_OK)
        status = write_offsets(set, points_name, checkpoint->points, checkpoint->point_count, false);
    if (status == ST_OK)
        status = write_offsets(set, "replication-offset-checkpoint", checkpoint->watermarks,
                               checkpoint->watermark_count, false);
    if (status == ST_OK)
        status = write_offsets(set, "log-start-offset-checkpoint", checkpoint->starts,
                               checkpoint->start_count, true);
    return checkpoint->status = status;
}

// ---- of a stop, log by log ----

int log_checkpoint_count(const struct log_checkpoint *checkpoint)
{
    return checkpoint->count;
}

struct log *log_checkpoint_log(const struct log_checkpoint *checkpoint, int i)
{
    return checkpoint->logs[i].log;
}

enum status log_checkpoint_stage(const struct log_checkpoint *checkpoint, int i)
{
    const struct saved_log *saved = &checkpoint->logs[i];
    return saved->epochs.len > 0 ? stage_epochs(checkpoint->set->env, saved) : ST_OK;
}

enum status log_checkpoint_install(struct log_checkpoint *checkpoint, int i)
{
    struct saved_log *saved = &checkpoint->logs[i];
    enum status status = saved->epochs.len > 0 ? install_epochs(checkpoint->set->env, saved) : ST_OK;
    if (status != ST_OK)
        return status;
    checkpoint->syncs -= (saved->epochs.len > 0 ? 2 : 0) + (saved->index_base >= 0 ? 2 : 0);
    buf_clear(&saved->epochs);
    saved->index_base = -1;
    return ST_OK;
}

enum status log_checkpoint_save_points(const struct log_checkpoint *checkpoint)
{
    struct log_offset_row *rows = mem_calloc((size_t)checkpoint->count + 1, sizeof *rows);
    for (int i = 0; i < checkpoint->count; i++) {
        const struct log *log = checkpoint->logs[i].log;
        rows[i] = checkpoint->points[i];
        rows[i].offset = log->finished ? rows[i].offset : log->recovery_point;
    }
    enum status status = write_offsets(checkpoint->set, points_name, rows, checkpoint->count, true);
    mem_free(rows);
    return status;
}

static void note_saved(const struct saved_log *saved, enum status status)
{
    struct log *log = saved->log;
    if (status == ST_OK) {
        log->recovery_point = saved->recovery_point;
        return;
    }
    log->touched = true;
    log->index_lazy = log->index_lazy || saved->index_base >= 0;
    log->state.epochs.changed = true;
}

void log_checkpoint_done(struct log_checkpoint *checkpoint)
{
    struct log_set *set = checkpoint->set;
    enum status status = checkpoint->status;
    for (int i = 0; i < checkpoint->count; i++) {
        note_saved(&checkpoint->logs[i], status);
        buf_fini(&checkpoint->logs[i].epochs);
    }
    if (status != ST_CANCELLED)
        set->points_unsure = status != ST_OK;
    bool passes = status == ST_NO_SPACE || (checkpoint->again && !checkpoint->sync_failed);
    if (status != ST_OK && status != ST_CANCELLED && !passes)
        log_set_go_offline(set, status);
    mem_free(checkpoint->logs);
    mem_free(checkpoint->points);
    mem_free(checkpoint->watermarks);
    mem_free(checkpoint->starts);
    mem_free(checkpoint->cleaned);
    mem_free(checkpoint);
}

// ---- on demand and by the clock ----

// Idle logs give their memory and descriptors back.
static void rest(struct log *log)
{
    if (log->tail_bytes > 0 || log->ring.count == 0)
        return;
    log_drop_recent(log);
    for (int i = 0; i < log->state.count; i++)
        log_close_handle(log, log->state.segments[i]);
}

static void rest_all(struct log_set *set)
{
    int64_t now_ms = env_now_ms(set->env);
    for (struct log *log = set->first; log != NULL; log = log->next) {
        if (!log->touched)
            rest(log);
        if (log->indexed != INT64_MAX && log->status == ST_OK && !log->deleted)
            log_back_index(log);
        log_producers_expire(&log->state.producers, now_ms, set->config.producer_expiry_ms);
    }
}

void log_set_expire_producers(struct log_set *set, int64_t expiry_ms)
{
    set->config.producer_expiry_ms = expiry_ms;
}

static void checkpoint_prepare(struct log_op *op)
{
    rest_all(op->set);
    struct log_checkpoint *checkpoint = log_checkpoint_new(op->set, false);
    checkpoint->again = true;
    op->data = checkpoint;
}

static void checkpoint_run(struct log_op *op)
{
    op->status = log_checkpoint_write(op->data, LOG_SAVER);
}

// One line when it begins to fail, one when it is over.
static void note_failing(struct log_set *set, enum status status)
{
    bool fails = status != ST_OK && status != ST_NO_SPACE && set->status == ST_OK;
    if (fails && !set->checkpoint_fails)
        DIAG_ERROR(&set->env->diag, "checkpoints cannot be written, it is tried again dir=%s status=%s",
                   set->path, status_name(status));
    else if (!fails && set->checkpoint_fails)
        DIAG_INFO(&set->env->diag, "checkpoints are written again dir=%s", set->path);
    set->checkpoint_fails = fails;
    metric_inc(&set->m_checkpoint_failures, fails);
    if (fails && !set->closing)
        timer_start_ms(set->env, &set->checkpoint, LOG_RETRY_MS);
}

static void checkpoint_finish(struct log_op *op)
{
    op->set->points_after_us = env_now_us(op->set->env) + WRITTEN_US + op->set->count * WRITTEN_LOG_US;
    struct log_checkpoint *checkpoint = op->data;
    bool partly = checkpoint->points_only && op->status == ST_OK; // the other files may fail still
    log_checkpoint_done(checkpoint);
    if (!partly)
        note_failing(op->set, op->status);
    if (op->on_set_done != NULL)
        op->on_set_done(op->set, op->status, op->context);
}

static void checkpoint_queue(struct log_set *set, void (*prepare)(struct log_op *), log_set_done_fn *done,
                             void *context)
{
    struct log_op *op = log_op_new(set, NULL);
    set->unsaved_bytes = 0;
    op->on_set_done = done;
    op->context = context;
    op->prepare = prepare;
    op->run = checkpoint_run;
    op->finish = checkpoint_finish;
    op->beside = true;
    log_op_queue(op);
}

void log_set_checkpoint(struct log_set *set, log_set_done_fn *done, void *context)
{
    checkpoint_queue(set, checkpoint_prepare, done, context);
}

static void points_prepare(struct log_op *op)
{
    struct log_checkpoint *checkpoint = log_checkpoint_new(op->set, true);
    checkpoint->again = true;
    op->data = checkpoint;
}

void log_checkpoint_points(struct log_set *set)
{
    checkpoint_queue(set, points_prepare, NULL, NULL);
}

// Recovery reads what was written behind the recovery points; by the clock alone that may be gigabytes.
void log_checkpoint_work(struct log_set *set)
{
    if (set->unsaved_bytes < set->config.checkpoint_bytes || set->closing || set->status != ST_OK ||
        env_now_us(set->env) < set->points_after_us)
        return;
    set->points_after_us = INT64_MAX; // until this one is done
    log_checkpoint_points(set);
}

void log_checkpoint_fire(struct timer *timer)
{
    struct log_set *set = timer->context;
    if (log_resume_unchanged(set))
        rest_all(set); // what is saved is true, and stays with the manifest
    else
        log_set_checkpoint(set, NULL, NULL);
    timer_start_ms(set->env, timer, set->config.checkpoint_ms);
}
