// SPDX-License-Identifier: Apache-2.0
// Offsets committed in transactions. They lie in __consumer_offsets in batches of their producer and wait,
// per group and producer, for the marker; a new owner finds them waiting when it has read the log. A plain
// commit that came later than an offset that waits stays when that one is committed (Kafka's
// OffsetMetadataManager.replayEndTransactionMarker).
#include "base/assert.h"
#include "base/mem.h"
#include "cluster/shard.h"
#include "shard_state.h"

// A transaction with offsets in this shard.
struct shard_txn {
    int16_t epoch;
    int64_t started_ms; // -1: not known to this owner
    struct map groups;  // ids of the groups; the values mean nothing
};

static struct shard_txn *find(const struct shard *shard, int64_t producer_id)
{
    return map_get_u64(&shard->txns, (uint64_t)producer_id);
}

static void txn_free(void *value)
{
    struct shard_txn *txn = value;
    map_fini(&txn->groups);
    mem_free(txn);
}

void shard_forget_txns(struct shard *shard)
{
    map_clear(&shard->txns, txn_free);
}

static void offsets_free(void *value)
{
    offsets_fini(value);
    mem_free(value);
}

void shard_forget_pending(struct shard_group *cell)
{
    map_clear(&cell->pending, offsets_free);
}

void shard_drop_pending(struct shard_group *cell, struct slice topic, int32_t partition)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&cell->pending, &at, NULL, &value);)
        offsets_remove(value, topic, partition);
}

bool shard_first_pending(const struct shard_group *cell, struct slice *topic, int32_t *partition)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&cell->pending, &at, NULL, &value);)
        if (offsets_first(value, topic, partition))
            return true;
    return false;
}

bool shard_txn_open(const struct shard *shard, const struct ledger_producer *producer)
{
#ifdef PLANTED_OFFSETS_NOT_VERIFIED
    return true;
#endif
    const struct shard_txn *txn = find(shard, producer->id);
    return txn != NULL && txn->epoch == producer->epoch;
}

bool shard_unstable(const struct shard_group *cell, struct slice topic, int32_t partition)
{
    void *value;
    struct offset_commit commit;
    for (struct map_entry *at = NULL; map_next(&cell->pending, &at, NULL, &value);)
        if (offsets_get(value, topic, partition, &commit))
            return true;
    return false;
}

// ---- applying ----

static struct shard_txn *txn_of(struct shard *shard, const struct ledger_producer *producer)
{
    struct shard_txn *txn = find(shard, producer->id);
    if (txn == NULL) {
        txn = mem_calloc(1, sizeof *txn);
        txn->started_ms = -1;
        map_init(&txn->groups, 0);
        map_put_u64(&shard->txns, (uint64_t)producer->id, txn);
    }
    txn->epoch = producer->epoch;
    return txn;
}

static struct offsets *pending_of(struct shard_group *cell, int64_t producer_id)
{
    struct offsets *pending = map_get_u64(&cell->pending, (uint64_t)producer_id);
    if (pending == NULL) {
        pending = mem_calloc(1, sizeof *pending);
        offsets_init(pending);
        map_put_u64(&cell->pending, (uint64_t)producer_id, pending);
    }
    return pending;
}

static enum status apply_offset(struct shard *shard, const struct ledger_producer *producer,
                                const struct record_key *key, struct slice value)
{
    struct offset_commit commit;
    enum status status = offset_record_parse(value, &commit);
    struct shard_group *cell = status == ST_OK ? shard_cell(shard, key->group) : NULL;
    if (cell == NULL)
        return status == ST_OK ? ST_NO_MEMORY : status;
    commit.order = ++shard->order;
    map_put(&txn_of(shard, producer)->groups, key->group, shard);
    return offsets_put(pending_of(cell, producer->id), key->topic, key->partition, &commit);
}

void shard_apply_pending(void *context, const struct ledger_producer *producer, int64_t timestamp_ms,
                         struct slice key_bytes, struct slice value)
{
    struct shard *shard = context;
    struct record_key key;
    enum status status = record_key_parse(key_bytes, &key);
    if (status == ST_OK && (key.kind != RECORD_OFFSET || value.data == NULL))
        status = ST_UNSUPPORTED; // only offsets are committed in transactions
#ifdef PLANTED_WAITING_OFFSETS_NOT_LOADED
    if (!shard_ready(shard))
        status = ST_UNSUPPORTED;
#endif
    if (status == ST_OK)
        status = apply_offset(shard, producer, &key, value);
    if (status != ST_OK)
        DIAG_WARN(&shard->options.env->diag,
                  "record of a transaction passed over topic=" SHARD_TOPIC_GROUPS " shard=%d error=\"%s\"",
                  shard->options.index, status_text(status));
}

static void merge_topic(struct shard_group *cell, struct slice name, const struct offsets_topic *topic)
{
    int32_t partition;
    struct offset_commit commit, present;
    for (struct map_entry *at = NULL; offsets_next(topic, &at, &partition, &commit);) {
        if (offsets_get(&cell->offsets, name, partition, &present) && present.order > commit.order)
            continue;
        enum status status = offsets_put(&cell->offsets, name, partition, &commit);
        ASSERT(status == ST_OK); // its text is small
        lag_committed(cell->shard->options.lag, cell, commit.commit_ms);
    }
}

static void end_in_group(struct shard_group *cell, int64_t producer_id, bool commit)
{
    struct offsets *pending = map_remove_u64(&cell->pending, (uint64_t)producer_id);
    if (pending == NULL)
        return; // the group was deleted meanwhile
    struct slice name;
    const struct offsets_topic *topic;
    for (struct map_entry *at = NULL; commit && offsets_next_topic(pending, &at, &name, &topic);)
        merge_topic(cell, name, topic);
    offsets_free(pending);
    if (shard_ready(cell->shard))
        shard_changed(cell);
}

void shard_apply_marker(void *context, const struct ledger_producer *producer, bool commit)
{
    struct shard *shard = context;
    struct shard_txn *txn = map_remove_u64(&shard->txns, (uint64_t)producer->id);
    struct slice group;
    for (struct map_entry *at = NULL; txn != NULL && map_next(&txn->groups, &at, &group, NULL);) {
        struct shard_group *cell = map_get(&shard->groups, group);
        if (cell != NULL)
            end_in_group(cell, producer->id, commit);
    }
    if (txn != NULL)
        txn_free(txn);
}

// ---- writing ----

enum status shard_commit_pending(struct shard_group *cell, const struct shard_pending *pending,
                                 struct slice topic, int32_t partition, const struct offset_commit *commit)
{
    struct shard *shard = cell->shard;
    struct buf key, value;
    buf_init(&key, LEDGER_RECORD_MAX);
    buf_init(&value, LEDGER_RECORD_MAX);
    enum status status = offset_record_key(group_id(cell->group), topic, partition, &key);
    if (status == ST_OK)
        status = offset_record_value(commit, &value);
    if (status == ST_OK)
        status = ledger_append_pending(shard->ledger, &pending->producer, buf_slice(&key), buf_slice(&value));
    if (status == ST_OK && pending->started_ms >= 0)
        txn_of(shard, &pending->producer)->started_ms = pending->started_ms;
    buf_fini(&key);
    buf_fini(&value);
    return status;
}

// ---- the end ----

void shard_check_begin(struct shard *shard, struct shard_check *check, int64_t producer_id)
{
    *check = (struct shard_check){.shard = shard, .producer_id = producer_id, .next = shard->checks};
    if (shard->checks != NULL)
        shard->checks->previous = check;
    shard->checks = check;
}

void shard_check_end(struct shard_check *check)
{
    if (check->shard == NULL)
        return;
    *(check->previous != NULL ? &check->previous->next : &check->shard->checks) = check->next;
    if (check->next != NULL)
        check->next->previous = check->previous;
    check->shard = NULL;
}

// KAFKA-14884: what was granted before the marker must not come behind it.
static void make_stale(struct shard *shard, int64_t producer_id)
{
    for (struct shard_check *check = shard->checks; check != NULL; check = check->next)
        if (check->producer_id == producer_id)
            check->stale = true;
}

// Whether the end is of a transaction before the one that waits. In the new flow the epoch tells; in the old
// one the time it began, which is not known of what a former owner let in.
static bool is_over(const struct shard_txn *txn, const struct shard_end *end)
{
    return txn->epoch > end->producer.epoch || (end->raised && txn->epoch == end->producer.epoch) ||
           (end->started_ms >= 0 && txn->started_ms > end->started_ms);
}

enum status shard_end_txn(struct shard *shard, const struct shard_end *end)
{
    const struct shard_txn *txn = find(shard, end->producer.id);
    if (ledger_full(shard->ledger))
        return ST_AGAIN;
    if (txn != NULL && is_over(txn, end))
        return ST_OK; // it has come before: what waits is of a later transaction
    make_stale(shard, end->producer.id);
    if (txn == NULL)
        return ST_OK;
    return ledger_append_marker(shard->ledger, &end->producer, end->commit, end->coordinator_epoch);
}
