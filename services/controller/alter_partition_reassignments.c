// SPDX-License-Identifier: Apache-2.0
// AlterPartitionReassignments (API 45, KIP-455; version 1: KIP-860). The partitions of one topic are one
// decision; the answer says that the reassignment has begun, not that it has ended.
#include "relay.h"

#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/alter_partition_reassignments.h"
#include "nodes.h"
#include "reassign.h"

typedef struct kafka_alter_partition_reassignments_request request_body;
typedef struct kafka_alter_partition_reassignments_request_reassignable_topic topic_request;
typedef struct kafka_alter_partition_reassignments_request_reassignable_partition partition_request;
typedef struct kafka_alter_partition_reassignments_response_reassignable_topic_response topic_result;
typedef struct kafka_alter_partition_reassignments_response_reassignable_partition_response partition_result;

static bool refuse_incomplete(struct topics_error *error)
{
    return topics_refuse(error, KAFKA_ERR_INVALID_REPLICA_ASSIGNMENT,
                         "No live replica that has all records would be left.");
}

static bool cancel(struct relay *relay, const struct image_partition *now, struct decision *decision,
                   struct image_partition *next, struct topics_error *error)
{
    struct elect_view view = nodes_view(relay->controller);
    enum status status = reassign_cancel(now, &view, &decision->arena, next);
    if (status == ST_NOT_FOUND)
        return topics_refuse(error, KAFKA_ERR_NO_REASSIGNMENT_IN_PROGRESS,
                             "No partition reassignment found.");
    return status == ST_OK || refuse_incomplete(error);
}

static bool factor_check(const struct relay *relay, const struct image_partition *now, int32_t count,
                         struct topics_error *error)
{
    const request_body *request = relay->request;
    int32_t have = (int32_t)(now->replicas.count - now->adding.count);
    if (request->allow_replication_factor_change || count == have)
        return true;
    return topics_refuse(error, KAFKA_ERR_INVALID_REPLICATION_FACTOR,
                         "The replication factor is changed from %d to %d", have, count);
}

static bool begin(struct relay *relay, const struct image_partition *now, const partition_request *wanted,
                  struct decision *decision, struct image_partition *next, struct topics_error *error)
{
    const struct image *image = metadata_image(relay->controller->metadata);
    int32_t count = wanted->replicas_count;
    struct elect_view view = nodes_view(relay->controller);
    if (count == 0)
        return topics_refuse(error, KAFKA_ERR_INVALID_REPLICA_ASSIGNMENT,
                             "The manual partition assignment includes an empty replica list.");
    if (count > IMAGE_REPLICAS_MAX)
        return topics_refuse(error, KAFKA_ERR_INVALID_REPLICA_ASSIGNMENT,
                             "A partition can have at most %d replicas.", IMAGE_REPLICAS_MAX);
    if (!topics_replicas_check(image, wanted->replicas, count, error) ||
        !factor_check(relay, now, count, error))
        return false;
    struct image_ids target = {.ids = wanted->replicas, .count = (size_t)count};
    enum status status = reassign_begin(now, target, &view, &decision->arena, next);
    if (status == ST_LIMIT)
        return topics_refuse(error, KAFKA_ERR_INVALID_REPLICA_ASSIGNMENT,
                             "Old and new replicas together can be at most %d.", IMAGE_REPLICAS_MAX);
    if (status == ST_EXISTS) {
        *next = *now; // nothing to do, unless it was the balancer's wish and is now an operator's
        next->partition_epoch += now->balancing;
        next->balancing = false;
        return true;
    }
    return status == ST_OK || refuse_incomplete(error);
}

static void alter_one(struct relay *relay, const struct image_topic *topic, const partition_request *wanted,
                      bool twice, struct decision *decision, partition_result *result)
{
    struct topics_error error = {0};
    struct image_partition next;
    const struct image_partition *now =
        topic != NULL ? image_topic_partition(topic, wanted->partition_index) : NULL;
    bool ok = false;
    if (now == NULL)
        topics_refuse(&error, KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION,
                      "This server does not host this topic-partition.");
    else if (twice)
        topics_refuse(&error, KAFKA_ERR_INVALID_REQUEST, "The partition is named twice.");
    else if (wanted->replicas_count < 0)
        ok = cancel(relay, now, decision, &next, &error);
    else
        ok = begin(relay, now, wanted, decision, &next, &error);
    if (ok && next.partition_epoch != now->partition_epoch)
        decision_partition(decision, topic->id, &next);
    result->partition_index = wanted->partition_index;
    result->error_code = error.code;
    result->error_message = relay_text(relay, &error);
}

static bool alter_topic(struct relay *relay, const topic_request *wanted, topic_result *result)
{
    const struct image_topic *topic =
        image_topic_slice(metadata_image(relay->controller->metadata), wanted->name);
    uint8_t *seen = topics_seen(topic, &relay->arena);
    result->name = wanted->name;
    result->partitions_count = wanted->partitions_count;
    result->partitions = kafka_structure_array(
        &kafka_alter_partition_reassignments_response_reassignable_partition_response_type, &relay->arena,
        wanted->partitions_count);
    if (result->partitions == NULL || seen == NULL)
        return false;
    struct decision decision;
    struct topics_error error = {0};
    decision_init(&decision);
    for (int32_t i = 0; i < wanted->partitions_count; i++) {
        bool twice = topics_named_before(topic, seen, wanted->partitions[i].partition_index);
        alter_one(relay, topic, &wanted->partitions[i], twice, &decision, &result->partitions[i]);
    }
    bool kept = relay_append(relay, &decision, &error);
    for (int32_t i = 0; !kept && i < wanted->partitions_count; i++) {
        if (result->partitions[i].error_code != KAFKA_ERR_NONE)
            continue;
        result->partitions[i].error_code = error.code;
        result->partitions[i].error_message = relay_text(relay, &error);
    }
    decision_fini(&decision);
    return true;
}

void alter_partition_reassignments(struct relay *relay)
{
    const request_body *request = relay->request;
    struct kafka_alter_partition_reassignments_response *response = relay->response;
    response->allow_replication_factor_change = request->allow_replication_factor_change;
    if (!authorise(&relay->principal, OPERATION_ALTER, RESOURCE_TYPE_CLUSTER,
                   slice_str(RESOURCE_CLUSTER_NAME))) {
        response->error_code = KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
        response->error_message = slice_str("Authorization failed.");
        return;
    }
    response->responses =
        kafka_structure_array(&kafka_alter_partition_reassignments_response_reassignable_topic_response_type,
                              &relay->arena, request->topics_count);
    if (response->responses == NULL) {
        relay->failed = ST_LIMIT;
        return;
    }
    response->responses_count = request->topics_count;
    for (int32_t i = 0; i < request->topics_count && relay->failed == ST_OK; i++)
        if (!alter_topic(relay, &request->topics[i], &response->responses[i]))
            relay->failed = relay->appended ? ST_CANCELLED : ST_LIMIT;
}
