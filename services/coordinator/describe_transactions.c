// SPDX-License-Identifier: Apache-2.0
// DescribeTransactions: state, producer and partitions of transactional ids.
#include "apis.h"
#include "kafka/messages/describe_transactions.h"

typedef struct kafka_describe_transactions_request request_t;
typedef struct kafka_describe_transactions_response response_t;
typedef struct kafka_describe_transactions_response_transaction_state state_out;
typedef struct kafka_describe_transactions_response_topic_data topic_out;

static bool put_topics(struct coordinator_request *request, const struct txn_cell *cell, state_out *out)
{
    out->topics = arena_calloc(&request->arena, cell->partitions.topics.count + 1, sizeof(topic_out));
    struct slice name;
    const struct txn_topic *topic;
    for (struct map_entry *at = NULL;
         out->topics != NULL && txn_partitions_next(&cell->partitions, &at, &name, &topic);)
        if (authorise(&request->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_TOPIC, name))
            out->topics[out->topics_count++] = (topic_out){
                .topic = name, .partitions = topic->partitions, .partitions_count = topic->count};
    return out->topics != NULL;
}

static int16_t put_transaction(struct coordinator_request *request, state_out *out)
{
    if (!request_allowed_txn(request, out->transactional_id))
        return KAFKA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    if (!request_owns_txn(request, out->transactional_id))
        return KAFKA_ERR_NOT_COORDINATOR;
    const struct txn_cell *cell = txn_shard_find(request->txn_shard, out->transactional_id);
    if (cell == NULL)
        return KAFKA_ERR_TRANSACTIONAL_ID_NOT_FOUND;
    out->transaction_state = slice_str(txn_state_text(cell->head.state));
    out->transaction_timeout_ms = cell->head.timeout_ms;
    out->transaction_start_time_ms = cell->head.started_ms;
    out->producer_id = cell->head.producer_id;
    out->producer_epoch = cell->head.epoch;
    return put_topics(request, cell, out) ? KAFKA_ERR_NONE : KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
}

void coordinator_describe_transactions(struct coordinator_request *request)
{
    const request_t *in = request->body;
    response_t response;
    kafka_defaults(&kafka_describe_transactions_response_message, &response);
    response.transaction_states =
        arena_calloc(&request->arena, (size_t)in->transactional_ids_count + 1, sizeof(state_out));
    for (int32_t i = 0; response.transaction_states != NULL && i < in->transactional_ids_count; i++) {
        state_out *out = &response.transaction_states[response.transaction_states_count++];
        kafka_structure_defaults(&kafka_describe_transactions_response_transaction_state_type, out);
        out->transactional_id = in->transactional_ids[i];
        out->error_code = put_transaction(request, out);
    }
    request_answer(request, &response);
}
