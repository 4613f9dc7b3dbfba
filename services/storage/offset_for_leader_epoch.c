// SPDX-License-Identifier: Apache-2.0
// OffsetForLeaderEpoch (KIP-279, KIP-320): where an epoch of the log ends, so that a client notices
// truncation.
#include "handlers.h"
#include "kafka/messages/offset_for_leader_epoch.h"
#include "lookup.h"

typedef struct kafka_offset_for_leader_epoch_request_offset_for_leader_topic asked_t;
typedef struct kafka_offset_for_leader_epoch_response_offset_for_leader_topic_result result_t;
typedef struct kafka_offset_for_leader_epoch_response_epoch_end_offset end_t;

static void
partition_answer(struct storage_request *request, const struct image_topic *topic, int16_t topic_error,
                 const struct kafka_offset_for_leader_epoch_request_offset_for_leader_partition *asked,
                 end_t *end)
{
    struct replica *replica = NULL;
    end->partition = asked->partition;
    end->leader_epoch = -1;
    end->end_offset = -1;
    end->error_code = topic_error;
    if (topic_error == KAFKA_ERR_NONE)
        end->error_code =
            lookup_leader(request, topic, asked->partition, asked->current_leader_epoch, &replica);
    if (end->error_code != KAFKA_ERR_NONE)
        return;
    replica_epoch_end(replica, asked->leader_epoch, &end->leader_epoch, &end->end_offset);
}

void storage_offset_for_leader_epoch(struct storage_request *request)
{
    const struct kafka_offset_for_leader_epoch_request *body = request->body;
    struct kafka_offset_for_leader_epoch_response response;
    kafka_defaults(&kafka_offset_for_leader_epoch_response_message, &response);
    response.topics =
        kafka_structure_array(&kafka_offset_for_leader_epoch_response_offset_for_leader_topic_result_type,
                              &request->arena, body->topics_count);
    response.topics_count = body->topics_count;
    for (int i = 0; response.topics != NULL && i < body->topics_count; i++) {
        const asked_t *asked = &body->topics[i];
        result_t *result = &response.topics[i];
        struct lookup_topic named = {.name = asked->topic};
        const struct image_topic *topic;
        int16_t error = lookup_topic(request, &named, OPERATION_DESCRIBE, &topic);
        result->topic = asked->topic;
        result->partitions_count = asked->partitions_count;
        result->partitions =
            kafka_structure_array(&kafka_offset_for_leader_epoch_response_epoch_end_offset_type,
                                  &request->arena, asked->partitions_count);
        for (int k = 0; result->partitions != NULL && k < asked->partitions_count; k++)
            partition_answer(request, topic, error, &asked->partitions[k], &result->partitions[k]);
        if (result->partitions == NULL)
            response.topics = NULL;
    }
    if (response.topics == NULL)
        storage_answer_close(request, "the request needs too much memory");
    else
        storage_answer(request, &response);
}
