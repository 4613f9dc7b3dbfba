// SPDX-License-Identifier: Apache-2.0
// InitializeShareGroupState (KIP-932): a group is about to read a partition, or reads it from another place.
// Sent by the owner of the group's shard.
#include "apis.h"
#include "kafka/messages/initialize_share_group_state.h"

typedef struct kafka_initialize_share_group_state_request request_t;
typedef struct kafka_initialize_share_group_state_response response_t;
typedef struct kafka_initialize_share_group_state_request_initialize_state_data asked_topic;
typedef struct kafka_initialize_share_group_state_request_partition_data asked_t;
typedef struct kafka_initialize_share_group_state_response_initialize_state_result topic_t;
typedef struct kafka_initialize_share_group_state_response_partition_result result_t;

// Only what the image names: so no later owner takes it for deleted because its image does not have it yet.
static bool in_image(const struct coordinator_request *request, const struct share_key *key)
{
    const struct image_topic *topic = image_topic(request_image(request), key->topic);
    return topic != NULL && image_topic_partition(topic, key->partition) != NULL;
}

static int16_t initialize(struct coordinator_request *request, const struct share_key *key,
                          const asked_t *asked)
{
    struct share_shard *shard = request->share_shard;
    struct share_desk desk = share_shard_desk(shard, key);
    struct share_state next;
    if (!in_image(request, key))
        return KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (desk.state == NULL && !share_shard_has_room(shard))
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    int16_t error = share_state_initialize(&desk, asked->state_epoch, asked->start_offset, &next);
    if (error != KAFKA_ERR_NONE)
        return error;
    enum status status = share_shard_write(shard, key, &next);
    share_state_fini(&next);
    return status == ST_OK ? KAFKA_ERR_NONE : KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
}

// false when the arena is full.
static bool put_topic(struct coordinator_request *request, const asked_topic *asked, topic_t *out)
{
    const request_t *in = request->body;
    out->topic_id = asked->topic_id;
    out->partitions =
        kafka_structure_array(&kafka_initialize_share_group_state_response_partition_result_type,
                              &request->arena, asked->partitions_count);
    for (int32_t i = 0; out->partitions != NULL && i < asked->partitions_count; i++) {
        struct share_key key = {in->group_id, asked->topic_id, asked->partitions[i].partition};
        result_t *result = &out->partitions[out->partitions_count++];
        result->partition = key.partition;
        result->error_code = request_may_share(request, &key);
        if (result->error_code == KAFKA_ERR_NONE)
            result->error_code = initialize(request, &key, &asked->partitions[i]);
    }
    return out->partitions != NULL;
}

void coordinator_initialize_share_group_state(struct coordinator_request *request)
{
    const request_t *in = request->body;
    response_t response;
    kafka_defaults(&kafka_initialize_share_group_state_response_message, &response);
    response.results =
        kafka_structure_array(&kafka_initialize_share_group_state_response_initialize_state_result_type,
                              &request->arena, in->topics_count);
    for (int32_t i = 0; response.results != NULL && i < in->topics_count; i++)
        if (put_topic(request, &in->topics[i], &response.results[response.results_count]))
            response.results_count++;
    request_answer(request, &response);
}
