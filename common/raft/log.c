// SPDX-License-Identifier: Apache-2.0
// The entries in memory: everything behind the last compacted index, and the configuration in force, which
// goes back when the entry that brought it is truncated (dissertation §4.1).
#include "raft/internal.h"

#include "base/assert.h"
#include "base/mem.h"

int64_t raft_log_last(const struct raft_log *log)
{
    return log->base + (int64_t)log->count;
}

struct raft_entry *raft_log_entry(const struct raft_log *log, int64_t index)
{
    ASSERT(index > log->base && index <= raft_log_last(log));
    return &log->entries[log->begin + (size_t)(index - log->base - 1)];
}

int64_t raft_log_term(const struct raft_log *log, int64_t index)
{
    if (index == log->base)
        return log->base_term;
    if (index < log->base || index > raft_log_last(log))
        return -1;
    return raft_log_entry(log, index)->term;
}

static void make_room(struct raft_log *log)
{
    if (log->begin + log->count < log->cap)
        return;
    if (log->begin > log->count) {
        memmove(log->entries, log->entries + log->begin, log->count * sizeof *log->entries);
        log->begin = 0;
        return;
    }
    log->cap = log->cap < 64 ? 64 : log->cap * 2;
    log->entries = mem_realloc(log->entries, log->cap * sizeof *log->entries);
}

void raft_log_append(struct raft_log *log, struct raft_entry entry)
{
    ASSERT(entry.index == raft_log_last(log) + 1);
    ASSERT(entry.term >= raft_log_term(log, raft_log_last(log)));
    make_room(log);
    if (entry.data != NULL)
        block_ref(entry.data);
    log->entries[log->begin + log->count++] = entry;
    if (entry.kind == RAFT_ENTRY_CONFIG) {
        enum status status = raft_config_decode(block_slice(entry.data), &log->config);
        ASSERT(status == ST_OK);
        log->config_index = entry.index;
    }
}

struct raft_config raft_log_config_at(const struct raft_log *log, int64_t index)
{
    struct raft_config config = log->base_config;
    for (int64_t i = index; i > log->base; i--) {
        const struct raft_entry *entry = raft_log_entry(log, i);
        if (entry->kind != RAFT_ENTRY_CONFIG)
            continue;
        enum status status = raft_config_decode(block_slice(entry->data), &config);
        ASSERT(status == ST_OK);
        break;
    }
    return config;
}

// Index of the newest configuration entry, base when there is none.
static int64_t config_index_find(const struct raft_log *log)
{
    int64_t index = raft_log_last(log);
    while (index > log->base && raft_log_entry(log, index)->kind != RAFT_ENTRY_CONFIG)
        index--;
    return index;
}

void raft_log_truncate(struct raft_log *log, int64_t from)
{
    ASSERT(from > log->base);
    for (int64_t i = from; i <= raft_log_last(log); i++)
        block_unref(&raft_log_entry(log, i)->data);
    log->count = (size_t)(from - log->base - 1);
    if (log->config_index >= from) {
        log->config = raft_log_config_at(log, raft_log_last(log));
        log->config_index = config_index_find(log);
    }
}

void raft_log_trim(struct raft_log *log, int64_t upto)
{
    if (upto <= log->base)
        return;
    int64_t term = raft_log_term(log, upto);
    ASSERT(term >= 0);
    log->base_config = raft_log_config_at(log, upto);
    for (int64_t i = log->base + 1; i <= upto; i++)
        block_unref(&raft_log_entry(log, i)->data);
    size_t dropped = (size_t)(upto - log->base);
    log->begin += dropped;
    log->count -= dropped;
    log->base = upto;
    log->base_term = term;
    if (log->config_index < upto)
        log->config_index = upto;
}

void raft_log_reset(struct raft_log *log, const struct raft_snapshot *snapshot)
{
    raft_log_fini(log);
    *log = (struct raft_log){.base = snapshot->index,
                             .base_term = snapshot->term,
                             .base_config = snapshot->config,
                             .config = snapshot->config,
                             .config_index = snapshot->index};
}

void raft_log_fini(struct raft_log *log)
{
    for (size_t i = 0; i < log->count; i++)
        block_unref(&log->entries[log->begin + i].data);
    mem_free(log->entries);
    log->entries = NULL;
    log->count = log->begin = log->cap = 0;
}

void raft_log_load(struct raft *raft, const struct raft_start *start)
{
    raft_log_reset(&raft->log, &start->snapshot);
    for (int64_t i = 0; i < start->entry_count; i++) {
        struct raft_entry entry = start->entries[i];
        if (entry.index <= start->snapshot.index)
            continue;
        entry.sequence = 0;
        raft_log_append(&raft->log, entry);
    }
}
