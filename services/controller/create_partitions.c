// SPDX-License-Identifier: Apache-2.0
// CreatePartitions (API 37): a topic gets more partitions; there is no way back.
#include "relay.h"

#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/create_partitions.h"
#include "twice.h"

typedef struct kafka_create_partitions_request_create_partitions_topic topic_request;
typedef struct kafka_create_partitions_response_create_partitions_topic_result topic_result;

static bool copy_assignments(struct relay *relay, const topic_request *topic, int32_t more, int factor,
                             int32_t **replicas, struct topics_error *error)
{
    const struct image *image = metadata_image(relay->controller->metadata);
    if (topic->assignments_count != more)
        return topics_refuse(error, KAFKA_ERR_INVALID_REPLICA_ASSIGNMENT,
                             "Attempted to add %d additional partition(s), but only %d assignment(s) were "
                             "specified.",
                             more, topic->assignments_count);
    *replicas = arena_calloc(&relay->arena, (size_t)more * (size_t)factor, sizeof **replicas);
    if (*replicas == NULL)
        return topics_refuse(error, KAFKA_ERR_INVALID_PARTITIONS, "Too many partitions.");
    for (int32_t i = 0; i < more; i++) {
        const int32_t *ids = topic->assignments[i].broker_ids;
        if (topic->assignments[i].broker_ids_count != factor)
            return topics_refuse(
                error, KAFKA_ERR_INVALID_REPLICA_ASSIGNMENT,
                "The manual partition assignment includes a partition with %d replica(s), but "
                "this is not consistent with previous partitions, which have %d replica(s).",
                topic->assignments[i].broker_ids_count, factor);
        if (!topics_replicas_check(image, ids, factor, error))
            return false;
        memcpy(*replicas + (size_t)i * (size_t)factor, ids, (size_t)factor * sizeof *ids);
    }
    return true;
}

static bool decide(struct relay *relay, const topic_request *request, struct decision *decision,
                   struct topics_error *error)
{
    const struct image_topic *topic =
        image_topic_slice(metadata_image(relay->controller->metadata), request->name);
    if (!authorise(&relay->principal, OPERATION_ALTER, RESOURCE_TYPE_TOPIC, request->name))
        return topics_refuse(error, KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED, "Authorization failed.");
    if (topic == NULL || topic->partition_count == 0)
        return topics_refuse(error, KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION,
                             "This server does not host this topic-partition.");
    int32_t have = (int32_t)topic->partition_count;
    if (topic->internal) // keys are bound to shards by the number of partitions
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "An internal topic keeps its partitions.");
    if (request->count < have)
        return topics_refuse(error, KAFKA_ERR_INVALID_PARTITIONS,
                             "The topic %s currently has %d partition(s); %d would not be an increase.",
                             topic->name, have, request->count);
    if (request->count == have)
        return topics_refuse(error, KAFKA_ERR_INVALID_PARTITIONS, "Topic already has %d partition(s).", have);
    int32_t more = request->count - have, *replicas = NULL;
    int factor = (int)(topic->partitions[0]->replicas.count - topic->partitions[0]->removing.count);
    if (request->count > IMAGE_PARTITIONS_MAX)
        return topics_refuse(error, KAFKA_ERR_INVALID_PARTITIONS, "A topic can have at most %d partitions.",
                             IMAGE_PARTITIONS_MAX);
    if (request->assignments_count >= 0 && !copy_assignments(relay, request, more, factor, &replicas, error))
        return false;
    return topics_add_partitions(relay->controller, decision, topic->id, have, more, factor, replicas, error);
}

void create_partitions(struct relay *relay)
{
    const struct kafka_create_partitions_request *request = relay->request;
    struct kafka_create_partitions_response *response = relay->response;
    topic_result *results =
        kafka_structure_array(&kafka_create_partitions_response_create_partitions_topic_result_type,
                              &relay->arena, request->topics_count);
    const bool *twice =
        twice_named(&relay->arena, request->topics, request->topics_count,
                    (struct twice_place){sizeof *request->topics, offsetof(topic_request, name), -1});
    if (results == NULL || twice == NULL) {
        relay->failed = ST_LIMIT;
        return;
    }
    relay->validate_only = request->validate_only;
    response->results = results;
    response->results_count = request->topics_count;
    for (int32_t i = 0; i < request->topics_count && relay->failed == ST_OK; i++) {
        struct topics_error error = {0};
        struct decision decision;
        decision_init(&decision);
        if (twice[i])
            topics_refuse(&error, KAFKA_ERR_INVALID_REQUEST, "Duplicate topic name.");
        else if (decide(relay, &request->topics[i], &decision, &error))
            relay_append(relay, &decision, &error);
        decision_fini(&decision);
        results[i].name = request->topics[i].name;
        results[i].error_code = error.code;
        results[i].error_message = relay_text(relay, &error);
    }
}
