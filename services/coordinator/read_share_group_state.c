// SPDX-License-Identifier: Apache-2.0
// ReadShareGroupState (KIP-932): the leader of a partition begins to serve a group. Its epoch is written
// before it hears the state, so that no earlier leader changes anything any more.
#include "apis.h"
#include "kafka/messages/read_share_group_state.h"

typedef struct kafka_read_share_group_state_request request_t;
typedef struct kafka_read_share_group_state_response response_t;
typedef struct kafka_read_share_group_state_request_read_state_data asked_topic;
typedef struct kafka_read_share_group_state_request_partition_data asked_t;
typedef struct kafka_read_share_group_state_response_read_state_result topic_t;
typedef struct kafka_read_share_group_state_response_partition_result result_t;

static int16_t put_state(struct coordinator_request *request, const struct share_state *state, result_t *out)
{
    size_t count = state->batches.count;
    out->state_batches = arena_calloc(&request->arena, count + 1, sizeof *out->state_batches);
    if (out->state_batches == NULL)
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    for (size_t i = 0; i < count; i++) {
        const struct share_batch *batch = &state->batches.items[i];
        out->state_batches[i].first_offset = batch->first;
        out->state_batches[i].last_offset = batch->last;
        out->state_batches[i].delivery_state = batch->state;
        out->state_batches[i].delivery_count = batch->deliveries;
    }
    out->state_batches_count = (int32_t)count;
    out->state_epoch = state->state_epoch;
    out->start_offset = state->start_offset;
    return KAFKA_ERR_NONE;
}

static int16_t read_state(struct coordinator_request *request, const struct share_key *key,
                          const asked_t *asked, result_t *out)
{
    struct share_shard *shard = request->share_shard;
    struct share_desk desk = share_shard_desk(shard, key);
    struct share_state next;
    bool moves;
    int16_t error = share_state_read(&desk, asked->leader_epoch, &moves, &next);
    if (error != KAFKA_ERR_NONE)
        return error;
    if (moves) {
        enum status status = share_shard_write(shard, key, &next);
        share_state_fini(&next);
        if (status != ST_OK)
            return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    }
    return put_state(request, share_shard_find(shard, key), out);
}

// false when the arena is full.
static bool put_topic(struct coordinator_request *request, const asked_topic *asked, topic_t *out)
{
    const request_t *in = request->body;
    out->topic_id = asked->topic_id;
    out->partitions = kafka_structure_array(&kafka_read_share_group_state_response_partition_result_type,
                                            &request->arena, asked->partitions_count);
    for (int32_t i = 0; out->partitions != NULL && i < asked->partitions_count; i++) {
        struct share_key key = {in->group_id, asked->topic_id, asked->partitions[i].partition};
        result_t *result = &out->partitions[out->partitions_count++];
        result->partition = key.partition;
        result->error_code = request_may_share(request, &key);
        if (result->error_code == KAFKA_ERR_NONE)
            result->error_code = read_state(request, &key, &asked->partitions[i], result);
    }
    return out->partitions != NULL;
}

void coordinator_read_share_group_state(struct coordinator_request *request)
{
    const request_t *in = request->body;
    response_t response;
    kafka_defaults(&kafka_read_share_group_state_response_message, &response);
    response.results = kafka_structure_array(&kafka_read_share_group_state_response_read_state_result_type,
                                             &request->arena, in->topics_count);
    for (int32_t i = 0; response.results != NULL && i < in->topics_count; i++)
        if (put_topic(request, &in->topics[i], &response.results[response.results_count]))
            response.results_count++;
    request_answer(request, &response);
}
