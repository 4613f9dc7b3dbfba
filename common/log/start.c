// SPDX-License-Identifier: Apache-2.0
// Moving the start of logs: by DeleteRecords, by retention, and on followers by what their leader says. The
// start moves in memory at once, so that nobody reads what is to go; all moves that wait are then made
// durable by one op, which writes log-start-offset-checkpoint and nothing else. That file names only logs
// whose first segment begins below their start.
#include "base/mem.h"
#include "log/internal.h"

struct log_raise {
    struct log_raise *next;
    struct log *log;
    int64_t start;
    enum status status;
    log_done_fn *done;
    void *context;
};

// What one op makes durable.
struct raising {
    struct log_raise *raises;
    struct log_offset_row *rows;
    int count;
};

// ---- the logs whose start the files do not tell ----

static void unlist(struct log *log)
{
    struct log_set *set = log->set;
    *(log->raised_previous != NULL ? &log->raised_previous->raised_next : &set->raised_first) =
        log->raised_next;
    if (log->raised_next != NULL)
        log->raised_next->raised_previous = log->raised_previous;
    log->raised_next = log->raised_previous = NULL;
    log->raised = false;
}

static void list(struct log *log)
{
    struct log_set *set = log->set;
    log->raised_next = set->raised_first;
    if (set->raised_first != NULL)
        set->raised_first->raised_previous = log;
    set->raised_first = log;
    log->raised = true;
}

void log_start_note(struct log *log)
{
    bool raised = log->start > (log->state.count > 0 ? log->state.segments[0]->base : 0);
    if (raised && !log->raised)
        list(log);
    else if (!raised && log->raised)
        unlist(log);
}

void log_start_forget(struct log *log)
{
    if (log->raised)
        unlist(log);
}

// ---- the op ----

static void raise_prepare(struct log_op *op)
{
    struct raising *raising = op->data;
    struct log_set *set = op->set;
    raising->raises = set->raises;
    set->raises = set->raises_last = NULL;
    for (const struct log *log = set->raised_first; log != NULL; log = log->raised_next)
        raising->count += !log->deleted;
    raising->rows = mem_calloc((size_t)raising->count + 1, sizeof *raising->rows);
    int at = 0;
    for (const struct log *log = set->raised_first; log != NULL; log = log->raised_next)
        if (!log->deleted)
            raising->rows[at++] = (struct log_offset_row){log->name, log->start};
}

static void raise_run(struct log_op *op)
{
    const struct raising *raising = op->data;
    op->status = log_checkpoint_starts(op->set, raising->rows, raising->count);
}

static void raise_end(struct log_raise *raise, enum status status)
{
    struct log *log = raise->log;
    if (raise->status != ST_OK)
        status = raise->status;
    // The epochs not before: their file must not be ahead of the start's. Past the start: another op has put
    // the log back meanwhile.
    if (status == ST_OK && raise->start <= log->start) {
        log_epochs_trim(&log->state.epochs, raise->start);
        if (raise->start > log->start_saved)
            log->start_saved = raise->start;
        log_reclaim_want(log);
    }
    if (raise->done != NULL)
        raise->done(log, status, raise->context);
}

static void raise_finish(struct log_op *op)
{
    struct raising *raising = op->data;
    struct log_raise *next;
    if (op->status != ST_OK) // who asked is told and asks again; the next checkpoint saves it, too
        DIAG_WARN(&op->set->env->diag, "cannot save the start of partitions dir=%s status=%s", op->set->path,
                  status_name(op->status));
    for (struct log_raise *raise = raising->raises; raise != NULL; raise = next) {
        next = raise->next;
        raise_end(raise, op->status);
        mem_free(raise);
    }
    mem_free(raising->rows);
    mem_free(raising);
}

static void raise_queue(struct log_set *set)
{
    struct log_op *op = log_op_new(set, NULL);
    op->data = mem_calloc(1, sizeof(struct raising));
    op->prepare = raise_prepare;
    op->run = raise_run;
    op->finish = raise_finish;
    log_op_queue(op);
}

void log_raise_start(struct log *log, int64_t start, log_done_fn *done, void *context)
{
    struct log_set *set = log->set;
    struct log_raise *raise = mem_calloc(1, sizeof *raise);
    *raise = (struct log_raise){.log = log, .start = start, .done = done, .context = context};
    if (start < log->start || start > log->state.end)
        raise->status = ST_OUT_OF_RANGE;
    else
        log->start = start;
    log_change_note(log);
    if (log->high_watermark < log->start)
        log->high_watermark = log->start; // on a follower the leader's start may come before its watermark
    log_start_note(log);
    bool queued = set->raises != NULL;
    *(queued ? &set->raises_last->next : &set->raises) = raise;
    set->raises_last = raise;
    if (!queued)
        raise_queue(set);
}

void log_start_abandon(struct log_set *set)
{
    while (set->raises != NULL) {
        struct log_raise *raise = set->raises;
        set->raises = raise->next;
        mem_free(raise);
    }
}
