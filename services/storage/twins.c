// SPDX-License-Identifier: Apache-2.0
// See twins.h.
#include "twins.h"

#include "partitions_state.h"

// Whether a has more of the partition than b.
static bool has_more(const struct log *a, const struct log *b)
{
    if (log_lost(a) != log_lost(b))
        return log_lost(b);
    int32_t epoch = log_last_epoch(a), other = log_last_epoch(b);
    return epoch != other ? epoch > other : log_end(a) >= log_end(b);
}

// Whether a has every record of b: of one leader epoch the same offset is the same record.
static bool has_all(const struct log *a, const struct log *b)
{
    int32_t epoch;
    int64_t end;
    if (log_lost(a) || log_status(a) != ST_OK || !uuid_equal(log_id(a), log_id(b)))
        return false;
    if (log_replaces(a, b))
        return true; // and what is missing was cut since
    log_epoch_end(a, log_last_epoch(b), &epoch, &end);
    bool same = log_end(b) == log_start(b) || (epoch == log_last_epoch(b) && log_end(b) <= end);
    return !log_lost(b) && same && log_start(a) <= log_start(b);
}

// Not by what is in them after a move: the one moved to may have been cut, or its start raised, since.
static bool is_used(const struct log *a, const struct log *b)
{
    if (log_replaces(a, b) != log_replaces(b, a))
        return log_replaces(a, b);
    return has_more(a, b);
}

struct log *twins_set_aside(struct partitions *partitions, struct log *log)
{
    struct dirs *dirs = partitions->options.dirs;
    struct log *other = dirs_count(dirs) > 1 ? dirs_find(dirs, log_name(log)) : log;
    if (other == log)
        return log;
    struct log *stays = is_used(log, other) ? log : other;
    struct log *goes = stays == log ? other : log;
    DIAG_WARN(&partitions->options.env->diag, "partition is in two directories log=%s used=%s", log_name(log),
              log_set_path(log_owner_set(stays)));
    if (has_all(stays, goes))
        partitions_drop_log(partitions, goes);
    else
        partitions_keep_aside(partitions, goes);
    return stays == log ? log : NULL;
}

static const struct log *log_in(const struct dirs *dirs, struct uuid directory_id, const char *name)
{
    for (int i = 0; i < dirs_count(dirs); i++) {
        struct log_set *set = dirs_set(dirs, i);
        if (set != NULL && uuid_equal(log_set_directory_id(set), directory_id))
            return log_set_find(set, name);
    }
    return NULL;
}

void twins_settle(struct partitions *partitions)
{
    const struct dirs *dirs = partitions->options.dirs;
    for (struct log *log = dirs_next(dirs, NULL); log != NULL; log = dirs_next(dirs, log)) {
        struct uuid from = log_moved_from(log);
        if (!uuid_is_zero(from) && !dirs_missing(dirs) && log_in(dirs, from, log_name(log)) == NULL)
            log_settle(log);
    }
}

void twins_removed(struct partitions *partitions, const struct log *log)
{
    struct log *stays = dirs_find(partitions->options.dirs, log_name(log));
    if (stays != NULL && log_replaces(stays, log))
        log_settle(stays);
}
