// SPDX-License-Identifier: Apache-2.0
// A shard's share groups (KIP-932): how their records get into and out of the ledger, and how share
// coordinators are told of the partitions they begin to read. See shard.h.
#include "base/assert.h"
#include "base/mem.h"
#include "group_record.h"
#include "shard_state.h"
#include "share_group_record.h"

enum { ASK_MS = 15000 };

static enum status append(void *context, struct slice key, struct slice value)
{
    return ledger_append(context, key, value);
}

static enum status snapshot(void *context, struct slice key, struct slice value)
{
    return ledger_snapshot(context, key, value);
}

static struct share_group *share_new(const struct shard_group *cell)
{
    const struct shard_options *options = &cell->shard->options;
    return share_group_new(group_id(cell->group), &options->settings->share, options->topics);
}

// Nothing is known of it but its name.
static bool blank(const struct shard_group *cell)
{
    return group_unused(cell->group) && cell->consumer == NULL && cell->streams == NULL &&
           cell->offsets.count == 0 && cell->pending.count == 0;
}

int16_t shard_to_share(struct shard_group *cell)
{
    if (cell->share != NULL)
        return KAFKA_ERR_NONE;
    if (!blank(cell))
        return KAFKA_ERR_GROUP_ID_NOT_FOUND;
    if (ledger_full(cell->shard->ledger))
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    cell->share = share_new(cell);
    return cell->share == NULL ? KAFKA_ERR_COORDINATOR_NOT_AVAILABLE : KAFKA_ERR_NONE;
}

// ---- share coordinators ----

static struct share_round *ask(struct shard_group *cell, enum share_question question,
                               const struct parts *parts, share_round_fn *done)
{
    struct share_round_item *items = mem_calloc(parts->count, sizeof *items);
    for (size_t i = 0; i < parts->count; i++)
        items[i] = (struct share_round_item){.part = parts->items[i], .start = -1};
    struct share_round_options options = {.peers = cell->shard->options.peers,
                                          .question = question,
                                          .group = group_id(cell->group),
                                          .state_epoch = share_group_state_epoch(cell->share, false),
                                          .timeout_ms = ASK_MS,
                                          .partly = question == SHARE_ASK_INITIALIZE,
                                          .done = done,
                                          .context = cell};
    struct share_round *round = share_round_begin(&options, items, parts->count);
    mem_free(items);
    return round;
}

void shard_share_hush(struct shard_group *cell)
{
    share_round_cancel(&cell->telling);
    cell->unsure = cell->unsure || cell->looking != NULL;
    share_round_cancel(&cell->looking);
}

// A deletion may break off between what share coordinators have forgotten and what the group knows of that: its
// client is gone, or was this process. Nobody could ever read such a partition, so a group that gets members asks.
// What begins by configuration has lost nothing when it is initialised once more.
static void on_looked(void *context, struct share_round_item *items, size_t count)
{
    struct shard_group *cell = context;
    struct shard *shard = cell->shard;
    struct parts gone = {0};
    cell->looking = NULL;
    for (size_t i = 0; i < count; i++) {
        cell->unsure = cell->unsure || share_round_open(&items[i]);
        if (items[i].error == KAFKA_ERR_NONE && items[i].state_epoch == 0 && items[i].start < 0 &&
            parts_have(share_group_initialized(cell->share), &items[i].part))
            parts_append(&gone, &items[i].part);
    }
    if (gone.count > 0)
        share_group_forgotten(cell->share, &gone);
    parts_fini(&gone);
    shard_changed(cell);
    shard->options.on_clock(shard->options.context, shard);
}

static void look(struct shard_group *cell)
{
    const struct parts *all = share_group_initialized(cell->share);
    if (share_group_size(cell->share) == 0)
        cell->unsure = true;
    else if (cell->unsure && cell->looking == NULL && cell->shard->options.peers != NULL) {
        cell->unsure = false;
        if (all->count > 0)
            cell->looking = ask(cell, SHARE_ASK_SUMMARY, all, on_looked);
    }
}

static void on_told(void *context, struct share_round_item *items, size_t count)
{
    struct shard_group *cell = context;
    struct shard *shard = cell->shard;
    struct parts parts = {0};
    cell->telling = NULL;
    for (size_t i = 0; i < count; i++)
        if (share_round_told(&items[i]) && parts_have(share_group_pending(cell->share), &items[i].part))
            parts_append(&parts, &items[i].part);
    if (parts.count > 0) {
        share_group_told(cell->share, &parts);
        shard_share_hush(cell); // it may have been asked before
    }
    parts_fini(&parts);
    shard_changed(cell);
    shard->options.on_clock(shard->options.context, shard);
}

void shard_share_tell(struct shard_group *cell)
{
    const struct parts *pending = share_group_pending(cell->share);
    look(cell);
    if (cell->telling != NULL && share_round_count(cell->telling) < pending->count)
        share_round_cancel(&cell->telling); // what came meanwhile waits for no shard without an owner
    if (pending->count > 0 && cell->telling == NULL && cell->shard->options.peers != NULL)
        cell->telling = ask(cell, SHARE_ASK_INITIALIZE, pending, on_told);
}

void shard_share_drop(struct shard_group *cell)
{
    shard_share_hush(cell);
    share_group_destroy(&cell->share);
}

// ---- records ----

enum status shard_seal_share(struct shard_group *cell)
{
    return share_group_record_write(cell->share, snapshot, cell->shard->ledger);
}

void shard_bury_share(struct shard_group *cell)
{
    enum status status = share_group_record_bury(cell->share, append, cell->shard->ledger);
    ASSERT(status == ST_OK); // tombstones are small; applying the last of them drops the cell
}

enum status shard_apply_share(struct shard *shard, int16_t type, struct slice key_bytes, struct slice value)
{
    struct group_key key;
    enum status status = share_group_key_parse(type, key_bytes, &key);
    if (status != ST_OK)
        return status;
    struct shard_group *cell = map_get(&shard->groups, key.group);
    bool of_group = key.type == SHARE_KEY_GROUP && value.data == NULL;
    if (ledger_ready(shard->ledger)) {
        if (of_group && cell != NULL)
            shard_drop(cell);
        return ST_OK;
    }
    if (cell == NULL && value.data != NULL)
        cell = shard_cell(shard, key.group);
    if (cell == NULL)
        return value.data == NULL ? ST_OK : ST_NO_MEMORY;
    if (of_group) {
        shard_share_drop(cell);
        return ST_OK;
    }
    if (cell->share == NULL && value.data != NULL && (cell->share = share_new(cell)) == NULL)
        return ST_NO_MEMORY;
    return cell->share == NULL ? ST_OK : share_group_record_load(cell->share, &key, value);
}

size_t shard_shares(const struct shard *shard, size_t *members)
{
    struct shard_group *cell;
    size_t count = 0;
    for (struct map_entry *at = NULL; shard_next(shard, &at, &cell);) {
        if (cell->share == NULL)
            continue;
        count++;
        *members += share_group_size(cell->share);
    }
    return count;
}
