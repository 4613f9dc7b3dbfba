// SPDX-License-Identifier: Apache-2.0
// A shard's groups of the consumer protocol: how a group changes its protocol, how their records get into
// and out of the ledger. See shard.h.
#include "base/assert.h"
#include "base/mem.h"
#include "consumer_record.h"
#include "group_record.h"
#include "migrate.h"
#include "shard_state.h"

static enum status append(void *context, struct slice key, struct slice value)
{
    return ledger_append(context, key, value);
}

static enum status snapshot(void *context, struct slice key, struct slice value)
{
    return ledger_snapshot(context, key, value);
}

static struct consumer_group *consumer_new(const struct shard_group *cell)
{
    const struct shard_options *options = &cell->shard->options;
    return consumer_group_new(group_id(cell->group), &options->settings->consumer, options->topics);
}

// ---- from protocol to protocol ----

void shard_bury_consumer(struct shard_group *cell)
{
    enum status status = consumer_record_bury(cell->consumer, append, cell->shard->ledger);
    ASSERT(status == ST_OK); // tombstones are small; applying the last of them drops the cell
}

bool shard_empty_classic(struct shard_group *cell)
{
    const struct shard_options *options = &cell->shard->options;
    struct group *fresh = group_new(group_id(cell->group), &options->settings->group, options->sink);
    if (fresh == NULL)
        return false;
    cell->converting = true; // the tombstone removes the record, not the group
    if (group_is_written(cell->group))
        shard_bury_classic(cell);
    cell->converting = false;
    group_destroy(&cell->group);
    cell->group = fresh;
    return true;
}

int16_t shard_to_consumer(struct shard_group *cell)
{
    if (cell->consumer != NULL)
        return KAFKA_ERR_NONE;
    if (cell->streams != NULL || cell->share != NULL)
        return KAFKA_ERR_GROUP_ID_NOT_FOUND;
    if (ledger_full(cell->shard->ledger))
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    struct consumer_group *consumer = consumer_new(cell);
    if (consumer == NULL)
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    int16_t error = KAFKA_ERR_NONE;
    if (group_state(cell->group) != GROUP_EMPTY)
        error = migrate_up(cell->group, shard_now(cell->shard), consumer);
    if (error == KAFKA_ERR_NONE && !shard_empty_classic(cell))
        error = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    if (error != KAFKA_ERR_NONE) {
        consumer_group_destroy(&consumer);
        return error;
    }
    cell->consumer = consumer;
    return KAFKA_ERR_NONE;
}

// The group becomes classic; group_take NULL: an empty one.
static void become_classic(struct shard_group *cell, struct group *group_take)
{
    cell->converting = true;
    shard_bury_consumer(cell);
    cell->converting = false;
    consumer_group_destroy(&cell->consumer);
    if (group_take == NULL)
        return;
    group_destroy(&cell->group);
    cell->group = group_take;
}

static void streams_become_classic(struct shard_group *cell)
{
    cell->converting = true;
    shard_bury_streams(cell);
    cell->converting = false;
    streams_group_destroy(&cell->streams);
}

int16_t shard_to_classic(struct shard_group *cell)
{
    if (cell->share != NULL)
        return KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL;
    if (cell->consumer == NULL && cell->streams == NULL)
        return KAFKA_ERR_NONE;
    if (cell->streams != NULL && streams_size(cell->streams) > 0)
        return KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL;
    if ((cell->consumer != NULL && consumer_size(cell->consumer) > 0) || ledger_full(cell->shard->ledger))
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    if (cell->streams != NULL)
        streams_become_classic(cell);
    else
        become_classic(cell, NULL);
    return KAFKA_ERR_NONE;
}

void shard_maybe_downgrade(struct shard_group *cell)
{
    if (cell->consumer == NULL || !consumer_wants_downgrade(cell->consumer) ||
        ledger_full(cell->shard->ledger))
        return;
    const struct shard_options *options = &cell->shard->options;
    struct group *group =
        migrate_down(cell->consumer, shard_now(cell->shard), &options->settings->group, options->sink);
    if (group != NULL)
        become_classic(cell, group);
    else
        consumer_stay(cell->consumer);
}

size_t shard_consumers(const struct shard *shard, size_t *members)
{
    struct shard_group *cell;
    size_t count = 0;
    for (struct map_entry *at = NULL; shard_next(shard, &at, &cell);) {
        if (cell->consumer == NULL)
            continue;
        count++;
        *members += consumer_size(cell->consumer);
    }
    return count;
}

// ---- topics ----

void shard_topic_added(struct shard *shard, struct slice topic)
{
    struct shard_group *cell;
    for (struct map_entry *at = NULL; shard_next(shard, &at, &cell);) {
        if (cell->consumer == NULL)
            continue;
        consumer_topic_added(cell->consumer, topic);
        shard_changed(cell);
    }
}

// ---- records ----

enum status shard_seal_consumer(struct shard_group *cell)
{
    return consumer_record_write(cell->consumer, snapshot, cell->shard->ledger);
}

// Loading: the group is made by its first record, in place of a classic one without records of its own.
enum status shard_apply_consumer(struct shard *shard, int16_t type, struct slice key_bytes,
                                 struct slice value)
{
    struct group_key key;
    enum status status = consumer_key_parse(type, key_bytes, &key);
    if (status != ST_OK)
        return status;
    struct shard_group *cell = map_get(&shard->groups, key.group);
    bool of_group = key.type == CONSUMER_KEY_GROUP && value.data == NULL;
    if (ledger_ready(shard->ledger)) {
        if (of_group && cell != NULL && !cell->converting)
            shard_drop(cell);
        return ST_OK;
    }
    if (cell == NULL && value.data == NULL)
        return ST_OK;
    if (cell == NULL)
        cell = shard_cell(shard, key.group);
    if (cell == NULL)
        return ST_NO_MEMORY;
    if (of_group) {
        consumer_group_destroy(&cell->consumer);
        return ST_OK;
    }
    if (cell->consumer == NULL && value.data != NULL && (cell->consumer = consumer_new(cell)) == NULL)
        return ST_NO_MEMORY;
    return cell->consumer == NULL ? ST_OK : consumer_record_load(cell->consumer, &key, value);
}
