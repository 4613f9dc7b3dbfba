// SPDX-License-Identifier: Apache-2.0
// A log that is to take the place of another directory's log of its name (KIP-113). Its directory is Kafka's
// "NAME.UNIQUE-future" until log_take_name renames it; in checkpoints and journal it goes by NAME, as in
// Kafka, so that the renaming is all there is to do on disk. Who fills it and when is the caller's affair
// (services/storage/moves.c).
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

// ---- taking the name ----

static void install_run(struct log_op *op)
{
    op->status = path_rename(op->set->env, op->log->path, op->data);
    if (op->status == ST_OK)
        op->status = path_sync_dir(op->set->env, op->set->path);
}

static void install_finish(struct log_op *op)
{
    struct log *log = op->log;
    if (op->status == ST_OK) {
        mem_free(log->path);
        log->path = op->data;
    } else {
        mem_free(op->data);
        log_go_offline(log, op->status); // under which name it is now is not known
    }
    op->on_log_done(log, op->status, op->context);
}

void log_take_name(struct log *future, log_done_fn *done, void *context)
{
    ASSERT(future->future && future->on_disk && !future->deleted);
    struct log_op *op = log_op_new(future->set, future);
    op->status = future->status;
    op->data = mem_printf("%s/%s", future->set->path, future->name);
    op->on_log_done = done;
    op->context = context;
    op->run = install_run;
    op->finish = install_finish;
    log_op_queue(op);
}

void log_promote(struct log *future, struct log *old)
{
    struct log_set *set = future->set;
    struct log_producers producers = future->state.producers;
    ASSERT(future->future && future->start == old->start && future->state.end == old->state.end);
    ASSERT(future->flushed == future->state.end && map_get(&set->by_name, slice_str(future->name)) == NULL);
    future->future = false;
    map_put(&set->by_name, slice_str(future->name), future);
    future->state.producers = old->state.producers;
    old->state.producers = producers;
    log_epochs_fini(&future->state.epochs);
    log_epochs_copy(&future->state.epochs, &old->state.epochs);
    future->state.epochs.changed = future->touched = true;
}
