// SPDX-License-Identifier: Apache-2.0
// ReadShareGroupStateSummary (KIP-932): where a group is in a partition, for those who describe it. Who has
// never read the partition is nowhere (UNSET).
#include "apis.h"
#include "kafka/messages/read_share_group_state_summary.h"

typedef struct kafka_read_share_group_state_summary_request request_t;
typedef struct kafka_read_share_group_state_summary_response response_t;
typedef struct kafka_read_share_group_state_summary_request_read_state_summary_data asked_topic;
typedef struct kafka_read_share_group_state_summary_response_read_state_summary_result topic_t;
typedef struct kafka_read_share_group_state_summary_response_partition_result result_t;

static int16_t summarise(struct coordinator_request *request, const struct share_key *key, result_t *out)
{
    const struct share_state *state = share_shard_find(request->share_shard, key);
    out->start_offset = out->delivery_complete_count = SHARE_STATE_UNSET;
    if (state == NULL)
        return KAFKA_ERR_NONE;
    out->state_epoch = state->state_epoch;
    out->leader_epoch = state->leader_epoch;
    out->start_offset = state->start_offset;
    out->delivery_complete_count = state->delivery_complete;
    return KAFKA_ERR_NONE;
}

// false when the arena is full.
static bool put_topic(struct coordinator_request *request, const asked_topic *asked, topic_t *out)
{
    const request_t *in = request->body;
    out->topic_id = asked->topic_id;
    out->partitions =
        kafka_structure_array(&kafka_read_share_group_state_summary_response_partition_result_type,
                              &request->arena, asked->partitions_count);
    for (int32_t i = 0; out->partitions != NULL && i < asked->partitions_count; i++) {
        struct share_key key = {in->group_id, asked->topic_id, asked->partitions[i].partition};
        result_t *result = &out->partitions[out->partitions_count++];
        result->partition = key.partition;
        result->error_code = request_may_share(request, &key);
        if (result->error_code == KAFKA_ERR_NONE)
            result->error_code = summarise(request, &key, result);
    }
    return out->partitions != NULL;
}

void coordinator_read_share_group_state_summary(struct coordinator_request *request)
{
    const request_t *in = request->body;
    response_t response;
    kafka_defaults(&kafka_read_share_group_state_summary_response_message, &response);
    response.results =
        kafka_structure_array(&kafka_read_share_group_state_summary_response_read_state_summary_result_type,
                              &request->arena, in->topics_count);
    for (int32_t i = 0; response.results != NULL && i < in->topics_count; i++)
        if (put_topic(request, &in->topics[i], &response.results[response.results_count]))
            response.results_count++;
    request_answer(request, &response);
}
