// SPDX-License-Identifier: Apache-2.0
// Changes to a log that are not appends: truncation, starting anew, moving the start, removal. Each is an op
// in the order of the flusher, between rounds, durable before its caller hears of it. A recovery point that
// would name bytes about to be cut is lowered on disk first, else a crash in the middle would make the log
// look lost.
#include "base/assert.h"
#include "base/mem.h"
#include "log/internal.h"

#include <stdio.h>

struct change {
    struct log_load load;
    struct log_epochs epochs; // copy of the known ones
    struct log_checkpoint *checkpoint;
    struct log_state state; // the new one
    struct log_load_report report;
    bool nothing; // to do
    bool lowers;  // the next try has recovery points to save
};

static void op_run(struct job *job)
{
    struct log_op *op = (struct log_op *)job;
    if (op->status == ST_OK)
        op->run(op);
}

static bool op_waits(const struct log_op *op)
{
    if (op->again == NULL || op->set->closing)
        return false;
    return op->removal ? op->status != ST_OK : op->status == ST_NO_SPACE && !op->log->deleted;
}

static bool is_repeated(const struct log_op *op)
{
    return op->again != NULL && op->prepare == op->again;
}

static void op_wait(struct log_op *op)
{
    struct log_set *set = op->set;
    if (!op->removal)
        DIAG_WARN(&set->env->diag, "a truncation waits for disk space log=%s", op->log->name);
    else if (!is_repeated(op))
        DIAG_ERROR(&set->env->diag, "files cannot be removed, it is tried again log=%s status=%s",
                   op->log->name, status_name(op->status));
    if (op->ended != NULL)
        op->ended(op);
    op->prepare = op->again;
    op->next = set->ops_waiting;
    set->ops_waiting = op;
    if (!timer_running(&set->retry))
        timer_start_ms(set->env, &set->retry, LOG_RETRY_MS);
}

void log_ops_release(struct log_set *set)
{
    struct log_op *op = set->ops_waiting;
    set->ops_waiting = NULL;
    while (op != NULL) {
        struct log_op *next = op->next;
        op->next = NULL;
        op->place = (struct journal_place){0};
        log_op_queue(op);
        op = next;
    }
}

static void op_done(struct job *job)
{
    struct log_op *op = (struct log_op *)job;
    struct log_set *set = op->set;
    bool last = op->last, beside = op->beside;
    set->alone = false;
    if (beside)
        set->saving = false;
    if (op->voids)
        log_journal_wrote(set, &op->place);
    if (op->voids && op->place.bytes > 0 && op->voids_below == 0) {
        log_back_serve(op->log, 0);
        op->log->journal_newest = 0;
    }
    if (op->log != NULL)
        op->log->flushing = false;
    if (op_waits(op)) {
        op_wait(op);
    } else {
        op->finish(op);
        mem_free(op);
    }
    if (beside)
        log_set_work(set);
    else if (!last)
        log_set_idle(set);
}

struct log_op *log_op_new(struct log_set *set, struct log *log)
{
    struct log_op *op = mem_calloc(1, sizeof *op);
    *op = (struct log_op){.job = {.run = op_run, .done = op_done}, .set = set, .log = log};
    return op;
}

void log_op_queue(struct log_op *op)
{
    struct log_set *set = op->set;
    if (op->log != NULL)
        log_change_note(op->log);
    if (set->ops_last != NULL)
        set->ops_last->next = op;
    else
        set->ops_first = op;
    set->ops_last = op;
    log_set_work(set);
}

void log_op_queue_first(struct log_op *op)
{
    struct log_set *set = op->set;
    op->next = set->ops_first;
    set->ops_first = op;
    if (set->ops_last == NULL)
        set->ops_last = op;
    log_set_work(set);
}

// A set being closed waits until everything is written that can be.
static bool all_written(const struct log_set *set)
{
    if (set->readers > 0 || set->writing)
        return false;
    return (set->dirty_first == NULL && set->backlog == 0) || set->stalled_logs > 0;
}

bool log_is_journaled(const struct log *log)
{
    return log->journal_newest >= log->set->journal.tail;
}

bool log_op_ready(const struct log_set *set)
{
    const struct log_op *op = set->ops_first;
    if (op == NULL || set->saving)
        return false;
    if (op->last)
        return all_written(set);
    if (op->alone && set->writing)
        return false;
    if (op->log == NULL)
        return true;
    if (op->log->writing || op->log->clean.swapping ||
        (op->settle && op->log->backlog > 0 && op->log->status == ST_OK))
        return false;
    return !op->voids || !log_is_journaled(op->log) || journal_fits(&set->journal, 1, 0);
}

bool log_op_alone(const struct log_set *set)
{
    return set->alone || (set->ops_first != NULL && set->ops_first->alone);
}

void log_op_submit(struct log_set *set)
{
    struct log_op *op = set->ops_first;
    set->ops_first = op->next;
    if (set->ops_first == NULL)
        set->ops_last = NULL;
    set->ended = op->last;
    set->alone = op->alone;
    if (op->prepare != NULL)
        op->prepare(op);
    if (set->manifest == MANIFEST_STUCK && op->status == ST_OK)
        op->status = set->status;
    op->voids = op->voids && log_is_journaled(op->log);
#ifdef PLANTED_TRUNCATION_NOT_JOURNALED
    op->voids = false;
#endif
    if (op->voids)
        op->place = journal_take(&set->journal, 1, 0);
    if (op->log != NULL)
        op->log->flushing = true;
    set->saving = op->beside;
    if (op->beside)
        env_submit(set->env, set->saver, &op->job);
    else
        log_set_submit(set, &op->job);
}

enum status log_op_void(struct log_op *op)
{
    const struct journal_item item = {
        .id = op->log->id, .partition = op->log->partition, .voids = true, .end = op->voids_below};
    return op->voids ? journal_write(&op->set->journal, &op->place, &item, 1) : ST_OK;
}

static struct log_op *log_change(struct log *log, int64_t offset, log_done_fn *done, void *context)
{
    struct log_op *op = log_op_new(log->set, log);
    op->offset = offset;
    op->on_log_done = done;
    op->context = context;
    op->data = mem_calloc(1, sizeof(struct change));
    return op;
}

// Runs on the loop before a change of the log's files.
static void prepare_change(struct log_op *op, int64_t recovery_point)
{
    struct change *change = op->data;
    struct log *log = op->log;
    log_files_changed(log);
    log_drop_tail(log);
    change->load = log_load_of(log, 0);
    log_epochs_copy(&change->epochs, &log->state.epochs);
    log_state_init(&change->state, log->set->config.producers_max);
    // Below where the log will end: a recovery that finds it at its recovery point takes it for one that
    // nobody has written to, and leaves out the sync that makes the cut durable.
    int64_t point = recovery_point > 0 ? recovery_point - 1 : 0;
    if (log->synced > point)
        log->synced = point;
    log_clean_cut(log, recovery_point);
    if (log->recovery_point > point || log->set->points_unsure)
        change->checkpoint = log_checkpoint_new(log->set, false);
}

// The recovery points on disk, lowered where needed.
static enum status save_first(struct change *change)
{
    return change->checkpoint != NULL ? log_checkpoint_write(change->checkpoint, LOG_FLUSHER) : ST_OK;
}

static void end_change(struct log_op *op)
{
    struct change *change = op->data;
    struct log *log = op->log;
    if (change->checkpoint != NULL)
        log_checkpoint_done(change->checkpoint);
    log_epochs_fini(&change->epochs);
    log_state_fini(&change->state);
    mem_free(change);
    log->busy = false;
    if (op->on_log_done != NULL)
        op->on_log_done(log, op->status, op->context);
}

void log_install(struct log *log, struct log_state *state, int64_t start)
{
    log_files_changed(log); // a read may have begun before the cut and end after it
    for (int i = 0; i < log->state.count; i++)
        log_close_handle(log, log->state.segments[i]);
    struct log_state old = log->state;
    log->state = *state;
    *state = old;
    log->state.epochs.changed = true;
    log->touched = log->index_lazy = true;
    log->ring.written = log->ring.flushed = log->ring.count; // the tail is dropped
    log_drop_recent(log);
    log->start = log->start_saved = start;
    log_start_note(log);
    log_expiry_soon(log);
    log->written = log->flushed = log->synced = log->state.end;
    log->indexed = INT64_MAX;
    log->index_due = false;
    if (log->high_watermark > log->state.end)
        log->high_watermark = log->state.end;
    log->bytes = 0;
    for (int i = 0; i < log->state.count; i++)
        log->bytes += log->state.segments[i]->size;
}

// What its checkpoint has taken of other logs is for whoever saves next: their recovery points may pass it.
static void change_ended(struct log_op *op)
{
    struct change *change = op->data;
    if (change->checkpoint == NULL)
        return;
    log_checkpoint_done(change->checkpoint);
    change->checkpoint = NULL;
    change->lowers = true;
}

// Every step of a change that a full disk can stop finds done what was done before.
static void change_again(struct log_op *op)
{
    struct change *change = op->data;
    struct log *log = op->log;
    op->status = log->status;
    log_state_fini(&change->state);
    log_state_init(&change->state, op->set->config.producers_max);
    change->load = log_load_of(log, 0);
    change->report = (struct log_load_report){0};
    if (change->lowers)
        change->checkpoint = log_checkpoint_new(op->set, false); // what it says of other logs has moved
}

// ---- truncation ----

// The cut is at a batch's start, not known before the file is read, but not below the segment's base.
static int64_t lowest_cut(const struct log *log, int64_t to)
{
    int at = log_state_segment_at(&log->state, to);
    return at >= 0 ? log->state.segments[at]->base : 0;
}

static void truncate_prepare(struct log_op *op)
{
    struct change *change = op->data;
    op->status = op->log->lost ? ST_CORRUPT : op->log->status;
    change->nothing = op->status != ST_OK || op->offset >= op->log->state.end;
    op->voids = !change->nothing;
    if (!change->nothing)
        prepare_change(op, lowest_cut(op->log, op->offset));
}

// What the journal is about to forget must be in the segments for good.
static enum status sync_active(const struct log *log)
{
    const struct log_segment *active =
        log->state.count > 0 ? log->state.segments[log->state.count - 1] : NULL;
#ifdef PLANTED_VOID_BEFORE_SYNC
    active = NULL;
#endif
    if (!log->lazy || active == NULL)
        return ST_OK;
    return log_file_sync(log->set->env, log->path, log_segment_name(active->base, ".log").text);
}

static void truncate_run(struct log_op *op)
{
    struct change *change = op->data;
    if (change->nothing)
        return;
    int64_t cut;
    op->status = save_first(change);
    if (op->status == ST_OK && op->voids)
        op->status = sync_active(op->log);
    if (op->status == ST_OK)
        op->status = log_op_void(op);
    if (op->status == ST_OK)
        op->status = log_state_cut_files(&change->load, &op->log->state, op->offset, &cut);
    if (op->status != ST_OK)
        return;
    change->load.recovery_point = op->log->on_disk ? cut : 0;
    change->load.epochs = &change->epochs;
    op->status = log_state_load(&change->load, &change->state, &change->report);
    if (op->status == ST_OK && change->report.lost)
        op->status = ST_CORRUPT;
}

static void truncate_finish(struct log_op *op)
{
    struct change *change = op->data;
    if (op->status != ST_OK && !change->nothing)
        log_go_offline(op->log, op->status);
    else if (!change->nothing)
        log_install(op->log, &change->state,
                    op->log->start < change->state.end ? op->log->start : change->state.end);
    end_change(op);
}

void log_truncate(struct log *log, int64_t to, log_done_fn *done, void *context)
{
    if (log->state.count > 0 && to < log->state.segments[0]->base) {
        log_truncate_fully(log, to, done, context);
        return;
    }
    struct log_op *op = log_change(log, to, done, context);
    op->prepare = truncate_prepare;
    op->again = change_again;
    op->ended = change_ended;
    op->run = truncate_run;
    op->finish = truncate_finish;
    op->settle = op->voids = true;
    log->busy = true;
    log_op_queue(op);
}

// ---- starting anew ----

static void fully_prepare(struct log_op *op)
{
    op->status = op->log->status;
    prepare_change(op, 0);
}

struct name_list {
    int64_t *bases;
    int count, cap;
};

static bool list_segment(const char *name, void *context)
{
    struct name_list *list = context;
    int64_t base = log_segment_name_base(name, ".log");
    if (base < 0)
        base = log_segment_name_base(name, ".snapshot");
    if (base < 0)
        return true;
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 8;
        list->bases = mem_realloc(list->bases, (size_t)list->cap * sizeof *list->bases);
    }
    list->bases[list->count++] = base;
    return true;
}

// By the directory, not by the state: the files of a lost log were never loaded.
static enum status remove_all(const struct log_load *load)
{
    struct name_list list = {0};
    enum status status = path_list(load->env, load->path, list_segment, &list);
    for (int i = list.count - 1; i >= 0 && status == ST_OK; i--)
        status = log_segment_remove(load->env, load->path, list.bases[i]);
    mem_free(list.bases);
    return status == ST_OK ? log_file_remove(load->env, load->path, "leader-epoch-checkpoint") : status;
}

enum status log_segment_make(const struct log_load *load, int64_t base)
{
    static const char *const suffixes[] = {".index", ".timeindex", ".log"};
    enum status status = ST_OK;
    for (int i = 0; i < 3 && status == ST_OK; i++) {
        struct log_path path = log_path_join(load->path, log_segment_name(base, suffixes[i]).text);
        struct file *file;
        status = file_open(load->env, path.text, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file);
        if (status == ST_OK)
            file_close(load->env, &file);
    }
    return status == ST_OK ? path_sync_dir(load->env, load->path) : status;
}

static void fully_run(struct log_op *op)
{
    struct change *change = op->data;
    op->status = save_first(change);
    if (op->status == ST_OK)
        op->status = log_op_void(op);
    if (op->status == ST_OK)
        op->status = log_make_directory(op->log, true);
    if (op->status == ST_OK)
        op->status = path_sync_dir(op->set->env, op->set->path);
    if (op->status == ST_OK)
        op->status = remove_all(&change->load);
    if (op->status == ST_OK)
        op->status = log_segment_make(&change->load, op->offset);
}

static void fully_finish(struct log_op *op)
{
    struct change *change = op->data;
    struct log *log = op->log;
    if (op->status != ST_OK) {
        log_go_offline(log, op->status);
    } else {
        struct log_segment *segment = log_state_add_segment(&change->state, op->offset);
        segment->exists = true;
        segment->created_ms = env_wall_ms(log->set->env);
        change->state.end = op->offset;
        log_install(log, &change->state, op->offset);
        log->on_disk = true;
        log->lost = false;
    }
    end_change(op);
}

void log_truncate_fully(struct log *log, int64_t offset, log_done_fn *done, void *context)
{
    ASSERT(offset >= 0);
    struct log_op *op = log_change(log, offset, done, context);
    op->prepare = fully_prepare;
    op->again = change_again;
    op->ended = change_ended;
    op->run = fully_run;
    op->voids = true;
    op->finish = fully_finish;
    log->busy = true;
    log_op_queue(op);
}

// ---- removal ----

static void delete_prepare(struct log_op *op)
{
    struct change *change = op->data;
    struct log *log = op->log;
    log_drop_tail(log);
    log_state_init(&change->state, 0);
    if (log->on_disk || log->lost)
        change->checkpoint = log_checkpoint_new(op->set, false);
    op->offset = (int64_t)env_random(op->set->env); // makes the new name unique
}

// Kafka's names for a directory on its way out, and for one that is nobody's.
static void delete_name(const struct log_op *op, char name[LOG_NAME_MAX])
{
    snprintf(name, LOG_NAME_MAX, "%.200s.%032llx-%s", op->log->name, (unsigned long long)op->offset,
             op->keeps ? "stray" : "delete");
}

static enum status rename_away(const struct log_op *op, const char *to)
{
    const struct change *change = op->data;
    struct env *env = op->set->env;
    enum status status = change->nothing ? ST_NOT_FOUND : path_rename(env, op->log->path, to);
    if (status == ST_NOT_FOUND && !is_repeated(op))
        return ST_OK; // never had a record
    return status == ST_OK || status == ST_NOT_FOUND ? path_sync_dir(env, op->set->path) : status;
}

// The recovery point is forgotten first: a crash before the rename leaves a log that is scanned whole, one
// after it a directory whose name says that it may go. On a disk too full for that the files go first, since
// deleting is how space comes back; a crash in between leaves a log that is reported as lost.
static void delete_run(struct log_op *op)
{
    struct env *env = op->set->env;
    char name[LOG_NAME_MAX];
    delete_name(op, name);
    struct log_path to = log_path_join(op->set->path, name);
    op->status = save_first(op->data);
    if (op->status == ST_OK)
        op->status = log_op_void(op);
    bool full = op->status == ST_NO_SPACE;
    if (op->status == ST_OK || full)
        op->status = rename_away(op, to.text);
    if (!full || op->keeps || op->status != ST_OK)
        return; // with its recovery point still there a log set aside is reported as lost at the next start
    log_remove_dir(env, to.text);
    op->status = save_first(op->data);
    if (op->status == ST_OK)
        op->status = log_op_void(op);
}

// What a try has done the next one finds done. Until one comes to its end nobody else can have the name: who
// waits for it has failed by the same disk, and is read anew (heal.c) behind it.
static void delete_ended(struct log_op *op)
{
    struct log_set *set = op->set;
    struct log *next = map_get(&set->by_name, slice_str(op->log->name));
    change_ended(op);
    if (op->status == ST_NO_SPACE || next == NULL || next->status != ST_OK || !log_name_taken(next))
        return;
    log_go_offline(next, op->status);
    if (set->on_durable != NULL)
        set->on_durable(next, op->status);
}

static void delete_again(struct log_op *op)
{
    struct change *change = op->data;
    op->status = ST_OK;
    if (change->lowers)
        change->checkpoint = log_checkpoint_new(op->set, false);
}

bool log_name_taken(const struct log *log)
{
    return !log->on_disk && map_get(&log->set->leaving, slice_str(log->name)) != NULL;
}

// The directory's name is free: who waits for it may write.
static void name_left(const struct log *log)
{
    struct slice name = slice_str(log->name);
    if (map_get(&log->set->leaving, name) != log)
        return; // a later one leaves it, too
    map_remove(&log->set->leaving, name);
    struct log *next = map_get(&log->set->by_name, name);
    if (next == NULL || !next->held)
        return;
    next->held = false;
    log_mark_dirty(next);
}

static void delete_finish(struct log_op *op)
{
    struct log *log = op->log;
    char name[LOG_NAME_MAX];
    name_left(log);
    delete_name(op, name);
    if (op->status != ST_OK)
        log_go_offline(log, op->status);
    else if (!op->keeps)
        log_remove_dir_later(op->set, name);
    else
        DIAG_WARN(&op->set->env->diag, "files of a partition are set aside dir=%s/%s", op->set->path, name);
    end_change(op);
    log->gone = true;
    if (log->dirty)
        log_unmark_dirty(log);
    if (log->readers == 0)
        log_free(log);
}

static void log_leave(struct log *log, bool keeps, log_done_fn *done, void *context)
{
    ASSERT(!log->deleted);
    log_ops_release(log->set); // its own come before its removal
    struct log_op *op = log_change(log, 0, done, context);
    struct change *change = op->data;
    op->prepare = delete_prepare;
    op->again = delete_again;
    op->ended = delete_ended;
    op->run = delete_run;
    op->voids = op->removal = true;
    op->keeps = keeps;
    op->finish = delete_finish;
    log->deleted = true; // from now on the name may be used anew: a new log writes nothing before the rename
    log_files_changed(log);
    if (!log->future)
        map_remove(&log->set->by_name, slice_str(log->name));
    change->nothing = log_name_taken(log);
    if (!change->nothing)
        map_put(&log->set->leaving, slice_str(log->name), log);
    log_op_queue(op);
}

void log_delete(struct log *log, log_done_fn *done, void *context)
{
    log_leave(log, false, done, context);
}

void log_set_aside(struct log *log, log_done_fn *done, void *context)
{
    log_leave(log, true, done, context);
}

// ---- identity ----

static void adopt_run(struct log_op *op)
{
    op->status = op->log->on_disk ? log_make_directory(op->log, true) : ST_OK;
}

static void adopt_finish(struct log_op *op)
{
    op->log->adopting = false;
    if (op->status != ST_OK)
        log_go_offline(op->log, op->status);
}

void log_adopt(struct log *log, struct uuid id)
{
    struct log_op *op = log_op_new(log->set, log);
    log->id = id;
    log->adopting = true;
    op->run = adopt_run;
    op->finish = adopt_finish;
    log_op_queue(op);
}

void log_identify(struct log *log, struct uuid id)
{
    ASSERT(log->nameless && log->lost && log->on_disk);
    log->nameless = log->lost = false;
    log_adopt(log, id);
}

void log_declare_lost(struct log *log, int64_t had)
{
    ASSERT(log->state.end == 0 && !log->on_disk && had > 0);
    log->lost = true;
    log->recovery_point = log->synced = had;
}
