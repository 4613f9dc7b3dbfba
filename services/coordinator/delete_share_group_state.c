// SPDX-License-Identifier: Apache-2.0
// DeleteShareGroupState (KIP-932): a group does not read a partition any more. Sent by the owner of the
// group's shard; what is not there is deleted already.
#include "apis.h"
#include "kafka/messages/delete_share_group_state.h"

typedef struct kafka_delete_share_group_state_request request_t;
typedef struct kafka_delete_share_group_state_response response_t;
typedef struct kafka_delete_share_group_state_request_delete_state_data asked_topic;
typedef struct kafka_delete_share_group_state_response_delete_state_result topic_t;
typedef struct kafka_delete_share_group_state_response_partition_result result_t;

static int16_t bury(struct coordinator_request *request, const struct share_key *key)
{
    if (share_shard_find(request->share_shard, key) == NULL)
        return KAFKA_ERR_NONE;
    enum status status = share_shard_bury(request->share_shard, key);
    return status == ST_OK ? KAFKA_ERR_NONE : KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
}

// false when the arena is full.
static bool put_topic(struct coordinator_request *request, const asked_topic *asked, topic_t *out)
{
    const request_t *in = request->body;
    out->topic_id = asked->topic_id;
    out->partitions = kafka_structure_array(&kafka_delete_share_group_state_response_partition_result_type,
                                            &request->arena, asked->partitions_count);
    for (int32_t i = 0; out->partitions != NULL && i < asked->partitions_count; i++) {
        struct share_key key = {in->group_id, asked->topic_id, asked->partitions[i].partition};
        result_t *result = &out->partitions[out->partitions_count++];
        result->partition = key.partition;
        result->error_code = request_may_share(request, &key);
        if (result->error_code == KAFKA_ERR_NONE)
            result->error_code = bury(request, &key);
    }
    return out->partitions != NULL;
}

void coordinator_delete_share_group_state(struct coordinator_request *request)
{
    const request_t *in = request->body;
    response_t response;
    kafka_defaults(&kafka_delete_share_group_state_response_message, &response);
    response.results = kafka_structure_array(
        &kafka_delete_share_group_state_response_delete_state_result_type, &request->arena, in->topics_count);
    for (int32_t i = 0; response.results != NULL && i < in->topics_count; i++)
        if (put_topic(request, &in->topics[i], &response.results[response.results_count]))
            response.results_count++;
    request_answer(request, &response);
}
