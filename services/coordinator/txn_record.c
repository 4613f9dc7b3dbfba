// SPDX-License-Identifier: Apache-2.0
// See txn_record.h.
#include "txn_record.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "kafka/codec.h"
#include "kafka/messages/transaction_state_records.h"
#include "ledger/ledger.h"
#include "record.h"

typedef struct kafka_transaction_log_value value_t;
typedef struct kafka_transaction_log_value_partitions_schema topic_t;

enum {
    VERSION = 1,
    ARENA_MAX = 16 << 20,
    KEY_MAX = 64 << 10,
    VALUE_MAX = LEDGER_RECORD_MAX - KEY_MAX,
    END_ROOM = 64 // what a record may grow by when the transaction ends: ids, an epoch, times
};

// ---- writing ----

enum status txn_record_key(struct slice transactional_id, struct buf *out)
{
    struct kafka_transaction_log_key key = {.transactional_id = transactional_id};
    const struct kafka_message *message = &kafka_transaction_log_key_message;
    return record_put(message, 0, message->key, &key, KEY_MAX, out);
}

// An Empty transaction has no list, as in Kafka (TransactionLog.valueToBytes).
static enum status put_partitions(const struct txn_partitions *partitions, struct arena *arena, value_t *out)
{
    out->transaction_partitions = arena_calloc(arena, partitions->topics.count + 1, sizeof(topic_t));
    if (out->transaction_partitions == NULL)
        return ST_NO_MEMORY;
    out->transaction_partitions_count = 0;
    struct slice name;
    const struct txn_topic *topic;
    for (struct map_entry *at = NULL; txn_partitions_next(partitions, &at, &name, &topic);)
        out->transaction_partitions[out->transaction_partitions_count++] =
            (topic_t){.topic = name, .partition_ids = topic->partitions, .partition_ids_count = topic->count};
    return ST_OK;
}

static value_t value_of(const struct txn_head *head)
{
    value_t value;
    kafka_defaults(&kafka_transaction_log_value_message, &value);
    value.producer_id = head->producer_id;
    value.previous_producer_id = head->previous_id;
    value.next_producer_id = head->next_id;
    value.producer_epoch = head->epoch;
    value.transaction_timeout_ms = head->timeout_ms;
    value.transaction_status = (int8_t)head->state;
    value.transaction_partitions_count = -1;
    value.transaction_last_update_timestamp_ms = head->updated_ms;
    value.transaction_start_timestamp_ms = head->started_ms;
    value.client_transaction_version = (int16_t)head->flow;
    return value;
}

enum status txn_record_value(const struct txn_head *head, const struct txn_partitions *partitions,
                             struct buf *out)
{
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    value_t value = value_of(head);
    uint8_t epoch[2];
    store_be16(epoch, (uint16_t)head->last_epoch);
    struct kafka_tag tag = {.tag = TXN_TAG_LAST_EPOCH, .bytes = slice_of(epoch, sizeof epoch)};
    if (head->last_epoch >= 0)
        value.tags = (struct kafka_tags){.items = &tag, .count = 1};
    enum status status = head->state == TXN_EMPTY ? ST_OK : put_partitions(partitions, &arena, &value);
    size_t most = head->state == TXN_ONGOING ? VALUE_MAX - END_ROOM : VALUE_MAX;
    if (status == ST_OK)
        status = record_put(&kafka_transaction_log_value_message, VERSION, VERSION, &value, most, out);
    arena_fini(&arena);
    return status;
}

// ---- reading ----

enum status txn_record_key_parse(struct slice bytes, struct slice *transactional_id)
{
    if (bytes.len < 2)
        return ST_TRUNCATED;
    if ((int16_t)load_be16(bytes.data) != kafka_transaction_log_key_message.key)
        return ST_UNSUPPORTED;
    struct arena arena; // keys have no arrays: nothing is taken from it
    arena_init(&arena, ARENA_MAX);
    struct kafka_transaction_log_key key;
    enum status status = kafka_decode(&kafka_transaction_log_key_message, 0,
                                      slice_of(bytes.data + 2, bytes.len - 2), &arena, &key);
    *transactional_id = key.transactional_id;
    arena_fini(&arena);
    return status;
}

static int16_t last_epoch(const struct kafka_tags *tags)
{
    for (int32_t i = 0; i < tags->count; i++)
        if (tags->items[i].tag == TXN_TAG_LAST_EPOCH && tags->items[i].bytes.len == 2)
            return (int16_t)load_be16(tags->items[i].bytes.data);
    return -1;
}

static void take(const value_t *value, struct txn_head *head, struct txn_partitions *partitions)
{
    *head = (struct txn_head){
        .producer_id = value->producer_id,
        .previous_id = value->previous_producer_id,
        .next_id = value->next_producer_id,
        .epoch = value->producer_epoch,
        .last_epoch = last_epoch(&value->tags),
        .state = (enum txn_state)value->transaction_status,
        .flow = value->client_transaction_version >= TXN_FLOW_NEW ? TXN_FLOW_NEW : TXN_FLOW_OLD,
        .timeout_ms = value->transaction_timeout_ms,
        .updated_ms = value->transaction_last_update_timestamp_ms,
        .started_ms = value->transaction_start_timestamp_ms,
    };
    for (int32_t t = 0; t < value->transaction_partitions_count; t++) {
        const topic_t *topic = &value->transaction_partitions[t];
        for (int32_t p = 0; p < topic->partition_ids_count; p++)
            txn_partitions_add(partitions, topic->topic, topic->partition_ids[p]);
    }
}

enum status txn_record_parse(struct slice bytes, struct txn_head *head, struct txn_partitions *partitions)
{
    txn_partitions_clear(partitions);
    if (bytes.len < 2)
        return ST_TRUNCATED;
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    value_t value;
    enum status status = kafka_decode(&kafka_transaction_log_value_message, (int16_t)load_be16(bytes.data),
                                      slice_of(bytes.data + 2, bytes.len - 2), &arena, &value);
    if (status == ST_OK && !txn_state_known(value.transaction_status))
        status = ST_UNSUPPORTED;
    if (status == ST_OK)
        take(&value, head, partitions);
    arena_fini(&arena);
    return status;
}
