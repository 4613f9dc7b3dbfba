// SPDX-License-Identifier: Apache-2.0
// What a storage node's log has called durable is there when the node is back, with the same bytes, unless
// the node asked for a truncation since; and nothing else is: what a truncation has cut does not come back.
// Every batch is noted when it is appended; after each start, and when a log that was offline is back, the
// node's disk is compared with the notes.
// Replication would hide most of what one node loses. See check.h.
#include "check.h"

#include "storage.h"

#include "base/hash.h"
#include "base/mem.h"
#include "kafka/batch.h"
#include "partitions_state.h"

#include <stdio.h>
#include <string.h>

enum { READ_MAX = 16 << 20 };

// ---- the notes ----

static int64_t noted_end(const struct check_log *row)
{
    return row->count > 0 ? row->batches[row->count - 1].last + 1 : row->first;
}

static uint64_t batch_print(struct slice bytes)
{
    return hash_bytes(13, bytes.data, bytes.len);
}

static void note_batch(struct check_log *row, const struct batch_header *header, struct slice bytes)
{
    if (row->count == row->cap) {
        row->cap = row->cap ? row->cap * 2 : 256;
        row->batches = mem_realloc(row->batches, (size_t)row->cap * sizeof *row->batches);
    }
    row->batches[row->count++] = (struct check_batch){
        .base = header->base_offset, .last = batch_last_offset(header), .print = batch_print(bytes)};
}

static void forget_from(struct check_log *row, int64_t end)
{
    while (row->count > 0 && row->batches[row->count - 1].last >= end)
        row->count--;
    if (row->first > end)
        row->first = end;
    if (row->durable > end)
        row->durable = end;
}

static void start_anew(struct check_log *row, int64_t offset)
{
    row->count = 0;
    row->first = row->durable = offset;
}

static void note_bytes(struct check_log *row, struct slice bytes)
{
    struct batch_header header;
    while (bytes.len > 0 && batch_parse(bytes, &header) == ST_OK && batch_size(&header) <= bytes.len) {
        note_batch(row, &header, slice_of(bytes.data, batch_size(&header)));
        bytes = slice_of(bytes.data + batch_size(&header), bytes.len - batch_size(&header));
    }
}

// What was appended in this turn is still in memory.
static void note_appended(struct check_log *row, struct log *log)
{
    while (noted_end(row) < log_end(log)) {
        struct piece pieces[LOG_PIECES];
        struct log_found found;
        struct log_range range = {
            .from = noted_end(row), .up_to = log_end(log), .max_bytes = READ_MAX, .min_one = true};
        int count;
        enum status status = log_read(log, &range, pieces, LOG_PIECES, &count, &found);
        for (int i = 0; i < count; i++) {
            if (pieces[i].file == NULL)
                note_bytes(row, slice_of(pieces[i].data, pieces[i].len));
            piece_release(&pieces[i]);
        }
        if (status != ST_OK || noted_end(row) == range.from) {
            start_anew(row, log_end(log)); // offline, or first seen with batches that are not known
            return;
        }
    }
}

// ---- after a start ----

static const struct check_batch *next_batch(const struct check_log *row, int *at)
{
    return *at < row->count ? &row->batches[(*at)++] : NULL;
}

// Everything on the disk is what was noted at its place; returns where it ends.
static int64_t compare(struct check *check, const struct daemon_sim *daemon, struct check_log *row)
{
    struct buf bytes;
    struct batch_header header;
    int at = 0;
    int64_t end = 0;
    check_read_log(daemon->machine, row->name, &bytes);
    for (size_t from = 0; from < bytes.len; from += batch_size(&header)) {
        struct slice rest = slice_of(bytes.data + from, bytes.len - from);
        if (batch_parse(rest, &header) != ST_OK || batch_size(&header) > rest.len)
            break;
        end = batch_last_offset(&header) + 1;
        if (header.base_offset < row->first)
            continue;
        const struct check_batch *noted = next_batch(row, &at);
        if (noted == NULL || noted->base != header.base_offset ||
            noted->print != batch_print(slice_of(rest.data, batch_size(&header)))) {
            history_violation(check->history, "durable-stays",
                              "%s: node %d is back with a batch at %lld that was not there before", row->name,
                              daemon->node_id, (long long)header.base_offset);
            break;
        }
    }
    buf_fini(&bytes);
    return end;
}

// A truncation that was asked for and not answered may have happened; it cuts at a batch's start.
static int64_t least_end(const struct check_log *row)
{
    int64_t least = row->durable < row->cut ? row->durable : row->cut;
    for (int i = row->count - 1; i >= 0; i--)
        if (row->batches[i].base < least && row->batches[i].last >= least)
            return row->batches[i].base;
    return least;
}

// Whether the node itself trusts what it has of the log; what it does not trust proves nothing. Only damage
// takes what was durable: else a log that says it is lost is not, or was called durable too soon.
static bool trusted(struct check *check, const struct daemon_sim *daemon, struct check_log *row)
{
    const struct partitions *partitions = storage_partitions(daemon->storage);
    const struct log *log = dirs_find(partitions->options.dirs, row->name);
    bool lost = log != NULL && log_lost(log);
    if (lost && !check->nodes[daemon->index].flipped && least_end(row) > row->first)
        history_violation(check->history, "no-log-lost", "%s: node %d says it is lost, durable was %lld",
                          row->name, daemon->node_id, (long long)least_end(row));
    if (row->flipped || lost) {
        start_anew(row, noted_end(row));
        return false;
    }
    return log == NULL || log_status(log) == ST_OK || log_status(log) == ST_NO_SPACE;
}

static void look_back(struct check *check, const struct daemon_sim *daemon, struct check_log *row)
{
    row->offline = false;
    row->cut = row->removed ? INT64_MAX : row->cut;
    row->log = NULL;
    if (row->removed) {
        start_anew(row, 0);
        return;
    }
    if (!trusted(check, daemon, row))
        return; // it fails to be of use now; the next start tells
    int64_t end = compare(check, daemon, row), least = least_end(row);
    if (end < least)
        history_violation(check->history, "durable-stays",
                          "%s: node %d is back and ends at %lld, durable was %lld", row->name,
                          daemon->node_id, (long long)end, (long long)least);
    forget_from(row, end);
    row->durable = end;
    row->cut = INT64_MAX;
}

// ---- after each event ----

static struct check_log *row_named(struct check_node *node, const char *name)
{
    for (int i = 0; i < node->count; i++)
        if (strcmp(node->logs[i].name, name) == 0)
            return &node->logs[i];
    if (node->count == CHECK_LOGS)
        return NULL;
    struct check_log *row = &node->logs[node->count++];
    *row = (struct check_log){.cut = INT64_MAX};
    snprintf(row->name, sizeof row->name, "%s", name);
    return row;
}

static struct check_log *row_of(struct check_node *node, const struct log *log)
{
    for (int i = 0; i < node->count; i++)
        if (node->logs[i].log == log)
            return &node->logs[i];
    struct check_log *row = row_named(node, log_name(log));
    if (row != NULL)
        row->log = log;
    return row;
}

// Whether the log is of use, and what it has was looked at since it was not.
static bool is_of_use(struct check *check, const struct daemon_sim *daemon, const struct log *log,
                      struct check_log *row)
{
    enum status status = log_status(log);
    if (status == ST_OK && row->offline) {
        look_back(check, daemon, row);
        row->log = log;
    }
    row->offline = status != ST_NO_SPACE ? status != ST_OK : row->offline;
    return status == ST_OK && !log_lost(log);
}

static void look_at_log(struct check *check, int at, struct log *log)
{
    struct check_log *row = row_of(&check->nodes[at], log);
    const struct replica *replica = log_user(log);
    if (row == NULL || !is_of_use(check, &check->cluster->storage[at], log, row))
        return;
    if (replica == NULL || !replica->cutting)
        row->cut = INT64_MAX;
    else if (row->cut == INT64_MAX)
        row->cut = 0; // without a word it starts anew
    if (log_start(log) > noted_end(row))
        start_anew(row, log_start(log));
    if (log_end(log) < noted_end(row))
        forget_from(row, log_end(log));
    note_appended(row, log);
    if (log_flushed(log) > row->durable)
        row->durable = log_flushed(log);
    row->removed &= row->durable == 0;
}

void check_log(struct check *check)
{
    const struct process *turn = check->history->world->turn;
    for (int i = 0; i < CLUSTER_STORAGE; i++) {
        const struct daemon_sim *daemon = &check->cluster->storage[i];
        struct check_node *node = &check->nodes[i];
        if (daemon->process == NULL || daemon->storage == NULL || (turn != NULL && turn != daemon->process))
            continue;
        struct partitions *partitions = cluster_partitions(daemon);
        if (partitions == NULL)
            continue;
        bool back = node->generation != daemon->process->generation;
        node->generation = daemon->process->generation;
        for (int k = 0; back && k < node->count; k++)
            look_back(check, daemon, &node->logs[k]);
        struct log *log = NULL;
        while ((log = dirs_next(partitions->options.dirs, log)) != NULL)
            look_at_log(check, i, log);
    }
}

// The node of a machine; NULL when the machine is no storage node's.
static struct check_node *node_of(struct check *check, const struct machine *machine)
{
    for (int i = 0; i < CLUSTER_STORAGE && check->cluster != NULL; i++)
        if (check->cluster->storage[i].machine == machine)
            return &check->nodes[i];
    return NULL;
}

// The row of a log that a machine speaks of; NULL: none.
static struct check_log *row_spoken_of(struct check *check, const struct machine *machine, const char *name)
{
    struct check_node *node = node_of(check, machine);
    return node != NULL ? row_named(node, name) : NULL;
}

void check_log_flipped(struct check *check, const struct machine *machine, const char *name)
{
    struct check_node *node = node_of(check, machine);
    struct check_log *row = node != NULL && name != NULL ? row_named(node, name) : NULL;
    if (node != NULL)
        node->flipped = true;
    if (row != NULL)
        row->flipped = true;
}

void check_log_removed(struct check *check, const struct machine *machine, const char *line)
{
    char name[64];
    const char *text = strstr(line, "removing partition=");
    if (text == NULL || sscanf(text, "removing partition=%63s", name) != 1)
        return;
    struct check_log *row = row_spoken_of(check, machine, name);
    if (row == NULL)
        return;
    start_anew(row, 0);
    row->cut = INT64_MAX;
    row->log = NULL;
    row->removed = true;
}

void check_log_cut(struct check *check, const struct machine *machine, const char *line)
{
    char name[64];
    long long to;
    const char *text = strstr(line, "truncating partition=");
    if (text == NULL || sscanf(text, "truncating partition=%63s from=%*d to=%lld", name, &to) != 2)
        return;
    struct check_log *row = row_spoken_of(check, machine, name);
    if (row != NULL)
        row->cut = to;
}
