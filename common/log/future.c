// SPDX-License-Identifier: Apache-2.0
// A log that is to take the place of another directory's log of its name (KIP-113). Its directory is Kafka's
// "NAME.UNIQUE-future" until log_take_name renames it; in checkpoints and journal it goes by NAME, as in
// Kafka, so that the renaming is all there is to do on disk. Who fills it and when is the caller's affair
// (services/storage/moves.c).
//
// The partition is in two directories from the renaming until the other one is removed. Which of them is the
// replica its log/origin.h says: the copy, once log_promote's op has written that down. Nothing that comes to
// the copy after log_promote is durable, or told to be, before that; until then the other one has everything.
#include "base/assert.h"
#include "base/mem.h"
#include "log/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FILE_NAME_MAX = 255, UNIQUE_MIN = 4, UNIQUE_MAX = 16 };

static const char suffix[] = "-future";

// As many digits as there is room for: two of the same name meet only while the first one is being removed.
static bool future_dir(const char *name, uint64_t unique, char dir[LOG_NAME_MAX])
{
    int room = FILE_NAME_MAX - (int)(strlen(name) + sizeof suffix);
    if (room < UNIQUE_MIN)
        return false;
    char digits[UNIQUE_MAX + 1];
    snprintf(digits, sizeof digits, "%016" PRIx64, unique);
    snprintf(dir, LOG_NAME_MAX, "%s.%.*s%s", name, room < UNIQUE_MAX ? room : UNIQUE_MAX, digits, suffix);
    return true;
}

bool log_future_split(const char *dir, char name[LOG_NAME_MAX])
{
    size_t len = strlen(dir), end = sizeof suffix - 1;
    if (len <= end || len >= LOG_NAME_MAX || strcmp(dir + len - end, suffix) != 0)
        return false;
    snprintf(name, LOG_NAME_MAX, "%.*s", (int)(len - end), dir);
    char *dot = strrchr(name, '.');
    if (dot == NULL)
        return false;
    *dot = 0;
    return log_name_ok(name);
}

bool log_is_future(const struct log *log)
{
    return log->future;
}

struct log *log_set_next_future(struct log_set *set, struct log *log)
{
    struct log *next = log == NULL ? set->first : log->next;
    while (next != NULL && (next->deleted || !next->future))
        next = next->next;
    return next;
}

bool log_future_exists(const struct log_set *set, const char *name)
{
    for (const struct log *log = set->first; log != NULL; log = log->next)
        if (log->future && !log->deleted && strcmp(log->name, name) == 0)
            return true;
    return false;
}

enum status log_create_future(struct log_set *set, const char *name, struct uuid id,
                              const struct log_config *config, struct log **log)
{
    char dir[LOG_NAME_MAX];
    if (!log_name_ok(name) || !future_dir(name, env_random(set->env), dir))
        return ST_INVALID;
    if (map_get(&set->by_name, slice_str(name)) != NULL || log_future_exists(set, name))
        return ST_EXISTS;
    *log = log_new_in(set, dir, name, config);
    (*log)->id = id;
    (*log)->future = true;
    return ST_OK;
}

enum status log_future_return(struct log_set *set, const char *name, char dir[LOG_NAME_MAX])
{
    if (!future_dir(name, env_random(set->env), dir))
        return ST_INVALID;
    struct log_path from = log_path_join(set->path, name), to = log_path_join(set->path, dir);
    enum status status = path_rename(set->env, from.text, to.text);
    return status == ST_OK ? path_sync_dir(set->env, set->path) : status;
}

static void status_prepare(struct log_op *op)
{
    op->status = op->log->status;
}

// ---- taking the name ----

static void install_run(struct log_op *op)
{
    op->status = log_origin_save(op->set->env, op->log->path, &op->log->origin);
    if (op->status == ST_OK)
        op->status = path_rename(op->set->env, op->log->path, op->data);
    if (op->status != ST_OK)
        return;
    op->offset = 1; // it is there, though perhaps not for good
    op->status = path_sync_dir(op->set->env, op->set->path);
}

static void install_finish(struct log_op *op)
{
    struct log *log = op->log;
    bool renamed = op->offset > 0;
    char *other = renamed ? log->path : op->data;
    log->path = renamed ? op->data : log->path;
    mem_free(other);
    if (op->status != ST_OK)
        log_go_offline(log, op->status); // under which name a crash would leave it is not known
    op->on_log_done(log, op->status, op->context);
}

void log_take_name(struct log *future, const struct log *old, log_done_fn *done, void *context)
{
    ASSERT(future->future && future->on_disk && !future->deleted);
    struct log_op *op = log_op_new(future->set, future);
    future->origin = (struct log_origin){.directory_id = log_set_directory_id(old->set)};
    op->status = future->status;
    op->data = mem_printf("%s/%s", future->set->path, future->name);
    op->on_log_done = done;
    op->context = context;
    op->again = status_prepare;
    op->run = install_run;
    op->finish = install_finish;
    log_op_queue(op);
}

// ---- the exchange ----

bool log_undecided(const struct log *log)
{
    return !log->future && !uuid_is_zero(log->origin.directory_id) && !log->origin.decided;
}

enum status log_origin_decide(const struct log *log)
{
    const struct log_origin decided = {.directory_id = log->origin.directory_id, .decided = true};
    return log_undecided(log) ? log_origin_save(log->set->env, log->path, &decided) : ST_OK;
}

void log_origin_decided(struct log *log)
{
    log->origin.decided = log->origin.decided || log_undecided(log);
    if (!log->held || log->deleted)
        return;
    log->held = false;
    log_mark_dirty(log);
}

static void decide_run(struct log_op *op)
{
    op->status = log_origin_decide(op->log);
    if (op->status == ST_NO_SPACE)
        op->status = ST_IO; // nothing else may be done to the log before it, so it cannot wait
}

static void decide_finish(struct log_op *op)
{
    if (op->status == ST_OK)
        log_origin_decided(op->log);
    else if (op->log->status == ST_OK)
        log_go_offline(op->log, op->status);
    op->on_log_done(op->log, op->status, op->context);
}

// Before what waits already, which may be about it.
static void decide(struct log *log, log_done_fn *done, void *context)
{
    struct log_op *op = log_op_new(log->set, log);
    op->prepare = status_prepare;
    op->run = decide_run;
    op->finish = decide_finish;
    op->on_log_done = done;
    op->context = context;
    log_change_note(log);
    log_op_queue_first(op);
}

void log_promote(struct log *future, struct log *old, log_done_fn *done, void *context)
{
    struct log_set *set = future->set;
    struct log_producers producers = future->state.producers;
    ASSERT(future->future && future->start == old->start && future->state.end == old->state.end);
    ASSERT(future->flushed == future->state.end && old->flushed == old->state.end);
    ASSERT(map_get(&set->by_name, slice_str(future->name)) == NULL && uuid_is_zero(old->origin.directory_id));
    future->future = false;
    map_put(&set->by_name, slice_str(future->name), future);
    future->state.producers = old->state.producers;
    old->state.producers = producers;
    log_epochs_fini(&future->state.epochs);
    log_epochs_copy(&future->state.epochs, &old->state.epochs);
    future->state.epochs.changed = future->touched = true;
    decide(future, done, context);
}

// ---- behind it ----

bool log_replaces(const struct log *log, const struct log *other)
{
    return log->origin.decided && strcmp(log->name, other->name) == 0 &&
           uuid_equal(log->origin.directory_id, log_set_directory_id(other->set));
}

struct uuid log_moved_from(const struct log *log)
{
    return log->origin.directory_id;
}

bool log_is_decided(const struct log *log)
{
    return !log_undecided(log);
}

static void settle_run(struct log_op *op)
{
    op->status = log_origin_remove(op->set->env, op->log->path);
}

static void settle_finish(struct log_op *op)
{
    if (op->status == ST_OK)
        op->log->origin = (struct log_origin){0};
    else if (op->log->status == ST_OK)
        log_go_offline(op->log, op->status);
}

void log_settle(struct log *log)
{
    ASSERT(log->origin.decided && !log->deleted);
    struct log_op *op = log_op_new(log->set, log);
    op->prepare = status_prepare;
    op->run = settle_run;
    op->finish = settle_finish;
    log_op_queue(op);
}
