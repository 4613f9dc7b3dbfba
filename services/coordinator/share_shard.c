// SPDX-License-Identifier: Apache-2.0
// A shard of __share_group_state. See share_shard.h.
#include "share_shard.h"

#include "base/assert.h"
#include "base/block.h"
#include "base/map.h"
#include "base/mem.h"
#include "cluster/shard.h"

enum { RECORD_BYTES_MAX = 12 << 20 };

struct share_shard {
    struct share_shard_options options;
    struct ledger *ledger;
    struct map cells; // by the key of the snapshot's record, struct cell
};

struct cell {
    struct block *key; // of the snapshot's record
    struct uuid topic;
    struct share_state state;
    bool present; // an update without its snapshot makes no state
};

static void cell_free(void *value)
{
    struct cell *cell = value;
    if (cell->present)
        share_state_fini(&cell->state);
    block_unref(&cell->key);
    mem_free(cell);
}

// The name a share partition has in the map. ST_LIMIT: no group id is so long.
static enum status name_of(const struct share_key *key, struct buf *name)
{
    buf_init(name, RECORD_BYTES_MAX);
    return share_record_key(key, true, name);
}

static struct cell *find(const struct share_shard *shard, const struct share_key *key)
{
    struct buf name;
    struct cell *cell = NULL;
    if (name_of(key, &name) == ST_OK)
        cell = map_get(&shard->cells, buf_slice(&name));
    buf_fini(&name);
    return cell;
}

static void drop(struct share_shard *shard, struct cell *cell)
{
    map_remove(&shard->cells, block_slice(cell->key));
    cell_free(cell);
}

static struct cell *make(struct share_shard *shard, const struct share_key *key)
{
    struct buf name;
    struct cell *cell = NULL;
    if (name_of(key, &name) == ST_OK) {
        cell = mem_calloc(1, sizeof *cell);
        cell->topic = key->topic;
        cell->key = block_copy(buf_slice(&name));
        ASSERT(cell->key != NULL); // a key is at most 32 KiB
        map_put(&shard->cells, buf_slice(&name), cell);
    }
    buf_fini(&name);
    return cell;
}

// ---- writing ----

enum status share_shard_write(struct share_shard *shard, const struct share_key *key,
                              const struct share_state *next)
{
    struct buf name, value;
    if (ledger_full(shard->ledger))
        return ST_AGAIN;
    enum status status = name_of(key, &name);
    buf_init(&value, RECORD_BYTES_MAX);
    if (status == ST_OK)
        status = share_record_snapshot(next, &value);
    if (status == ST_OK)
        status = ledger_append(shard->ledger, buf_slice(&name), buf_slice(&value));
    buf_fini(&name);
    buf_fini(&value);
    return status;
}

static enum status bury(struct share_shard *shard, struct slice name)
{
    if (ledger_full(shard->ledger))
        return ST_AGAIN;
    return ledger_append(shard->ledger, name, (struct slice){0});
}

enum status share_shard_bury(struct share_shard *shard, const struct share_key *key)
{
    struct buf name;
    enum status status = name_of(key, &name);
    if (status == ST_OK)
        status = bury(shard, buf_slice(&name));
    buf_fini(&name);
    return status;
}

// Applying the tombstone frees the cell: its name is kept meanwhile.
static void bury_cell(struct share_shard *shard, struct cell *cell)
{
    struct block *name = block_ref(cell->key);
    enum status status = bury(shard, block_slice(name));
    if (status != ST_OK) // its next owner tries again
        DIAG_WARN(&shard->options.env->diag, "share state of a deleted topic stays shard=%d error=\"%s\"",
                  shard->options.index, status_text(status));
    block_unref(&name);
}

// ---- applying ----

static enum status apply(struct share_shard *shard, struct slice key_bytes, struct slice value)
{
    struct share_key key;
    bool snapshot;
    enum status status = share_record_key_parse(key_bytes, &key, &snapshot);
    if (status != ST_OK)
        return status;
    struct cell *cell = find(shard, &key);
    if (cell == NULL && value.data == NULL)
        return ST_OK;
    if (cell == NULL)
        cell = make(shard, &key);
    if (cell == NULL)
        return ST_NO_MEMORY;
    status = share_record_apply(snapshot, value, &cell->state, &cell->present);
    if (!cell->present)
        drop(shard, cell);
    return status;
}

static void on_apply(void *context, int64_t timestamp_ms, struct slice key, struct slice value)
{
    struct share_shard *shard = context;
    enum status status = apply(shard, key, value);
    if (status != ST_OK) // as Kafka: told and passed over, so that one bad record does not stop every other
        DIAG_WARN(&shard->options.env->diag,
                  "record passed over topic=" SHARD_TOPIC_SHARE " shard=%d error=\"%s\"",
                  shard->options.index, status_text(status));
}

// An owner's image is not behind those of the owners before, and each of them asked its image for the topic:
// one that this image does not have has been deleted.
static void on_ready(void *context)
{
    struct share_shard *shard = context;
    void *value;
    for (struct map_entry *at = NULL; map_next(&shard->cells, &at, NULL, &value);) {
        struct cell *cell = value;
        if (image_topic(shard->options.image, cell->topic) == NULL)
            bury_cell(shard, cell);
    }
    DIAG_INFO(&shard->options.env->diag,
              "shard loaded topic=" SHARD_TOPIC_SHARE " shard=%d owner_epoch=%d partitions=%zu",
              shard->options.index, shard->options.owner_epoch, shard->cells.count);
}

static void on_reset(void *context)
{
    struct share_shard *shard = context;
    shard->options.on_reset(shard->options.context, shard->ledger);
    map_clear(&shard->cells, cell_free);
}

void share_shard_forget_topic(struct share_shard *shard, struct uuid topic)
{
    void *value;
    if (!share_shard_ready(shard))
        return; // on_ready does it
    for (struct map_entry *at = NULL; map_next(&shard->cells, &at, NULL, &value);) {
        struct cell *cell = value;
        if (uuid_equal(cell->topic, topic))
            bury_cell(shard, cell);
    }
}

// ---- life ----

struct share_shard *share_shard_new(const struct share_shard_options *options)
{
    static const struct ledger_ops ops = {.apply = on_apply, .reset = on_reset, .ready = on_ready};
    struct share_shard *shard = mem_calloc(1, sizeof *shard);
    shard->options = *options;
    map_init(&shard->cells, env_random(options->env));
    struct ledger_config config = {
        .env = options->env,
        .rpc = options->rpc,
        .image = options->image,
        .loads = options->loads,
        .topic = SHARD_TOPIC_SHARE,
        .partition = options->index,
        .owner = options->owner,
        .owner_epoch = options->owner_epoch,
        .metadata_offset = options->metadata_offset,
        .ops = &ops,
        .context = shard,
    };
    shard->ledger = ledger_new(&config);
    return shard;
}

void share_shard_destroy(struct share_shard **pointer)
{
    struct share_shard *shard = *pointer;
    *pointer = NULL;
    ledger_destroy(&shard->ledger);
    map_clear(&shard->cells, cell_free);
    map_fini(&shard->cells);
    mem_free(shard);
}

const struct share_shard_options *share_shard_options(const struct share_shard *shard)
{
    return &shard->options;
}

struct ledger *share_shard_ledger(struct share_shard *shard)
{
    return shard->ledger;
}

bool share_shard_ready(const struct share_shard *shard)
{
    return ledger_ready(shard->ledger);
}

size_t share_shard_count(const struct share_shard *shard)
{
    return shard->cells.count;
}

bool share_shard_has_room(const struct share_shard *shard)
{
    return shard->cells.count < (size_t)shard->options.partitions_max;
}

const struct share_state *share_shard_find(const struct share_shard *shard, const struct share_key *key)
{
    const struct cell *cell = find(shard, key);
    return cell != NULL ? &cell->state : NULL;
}

struct share_desk share_shard_desk(const struct share_shard *shard, const struct share_key *key)
{
    return (struct share_desk){
        .state = share_shard_find(shard, key), .updates_max = 0, .now_ms = env_wall_ms(shard->options.env)};
}
