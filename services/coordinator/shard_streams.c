// SPDX-License-Identifier: Apache-2.0
// A shard's groups of the streams protocol: how a group becomes one, how their records get into and out of
// the ledger. See shard.h.
#include "base/assert.h"
#include "shard_state.h"
#include "streams_record.h"

static enum status append(void *context, struct slice key, struct slice value)
{
    return ledger_append(context, key, value);
}

static enum status snapshot(void *context, struct slice key, struct slice value)
{
    return ledger_snapshot(context, key, value);
}

static struct streams_group *streams_new(const struct shard_group *cell)
{
    const struct shard_options *options = &cell->shard->options;
    return streams_group_new(group_id(cell->group), &options->settings->streams, options->topics);
}

// Members of another protocol stay where they are (Kafka says that the group is not a streams group).
int16_t shard_to_streams(struct shard_group *cell)
{
    if (cell->streams != NULL)
        return KAFKA_ERR_NONE;
    if (cell->consumer != NULL || cell->share != NULL || group_state(cell->group) != GROUP_EMPTY)
        return KAFKA_ERR_GROUP_ID_NOT_FOUND;
    if (ledger_full(cell->shard->ledger))
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    struct streams_group *streams = streams_new(cell);
    if (streams == NULL || !shard_empty_classic(cell)) {
        streams_group_destroy(&streams);
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    }
    cell->streams = streams;
    return KAFKA_ERR_NONE;
}

size_t shard_streams(const struct shard *shard, size_t *members)
{
    struct shard_group *cell;
    size_t count = 0;
    for (struct map_entry *at = NULL; shard_next(shard, &at, &cell);) {
        if (cell->streams == NULL)
            continue;
        count++;
        *members += streams_size(cell->streams);
    }
    return count;
}

// ---- records ----

enum status shard_seal_streams(struct shard_group *cell)
{
    return streams_record_write(cell->streams, snapshot, cell->shard->ledger);
}

void shard_bury_streams(struct shard_group *cell)
{
    enum status status = streams_record_bury(cell->streams, append, cell->shard->ledger);
    ASSERT(status == ST_OK); // tombstones are small; applying the last of them drops the cell
}

// Loading: the group is made by its first record, in place of a classic one without records of its own.
enum status shard_apply_streams(struct shard *shard, int16_t type, struct slice key_bytes, struct slice value)
{
    struct group_key key;
    enum status status = streams_key_parse(type, key_bytes, &key);
    if (status != ST_OK)
        return status;
    struct shard_group *cell = map_get(&shard->groups, key.group);
    bool of_group = key.type == STREAMS_KEY_GROUP && value.data == NULL;
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
        streams_group_destroy(&cell->streams);
        return ST_OK;
    }
    if (cell->streams == NULL && value.data != NULL && (cell->streams = streams_new(cell)) == NULL)
        return ST_NO_MEMORY;
    return cell->streams == NULL ? ST_OK : streams_record_load(cell->streams, &key, value);
}
