// SPDX-License-Identifier: Apache-2.0
// ListPartitionReassignments (API 46, KIP-455): what is being moved, the balancer's moves included. Read from
// what is committed; the relay asks the quorum whether that is current. What does not move, or does not
// exist, is left out.
#include "relay.h"

#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/list_partition_reassignments.h"

typedef struct kafka_list_partition_reassignments_request_list_partition_reassignments_topics topic_request;
typedef struct kafka_list_partition_reassignments_response_ongoing_topic_reassignment topic_result;
typedef struct kafka_list_partition_reassignments_response_ongoing_partition_reassignment partition_result;

static bool copy_ids(struct arena *arena, struct image_ids from, int32_t **ids, int32_t *count)
{
    *ids = arena_calloc(arena, from.count + 1, sizeof **ids);
    *count = (int32_t)from.count;
    for (size_t i = 0; *ids != NULL && i < from.count; i++)
        (*ids)[i] = from.ids[i];
    return *ids != NULL;
}

static bool add_partition(struct arena *arena, const struct image_partition *partition, topic_result *out)
{
    if (partition == NULL || !image_partition_moving(partition))
        return true;
    partition_result *to = &out->partitions[out->partitions_count++];
    to->partition_index = partition->index;
    return copy_ids(arena, partition->replicas, &to->replicas, &to->replicas_count) &&
           copy_ids(arena, partition->adding, &to->adding_replicas, &to->adding_replicas_count) &&
           copy_ids(arena, partition->removing, &to->removing_replicas, &to->removing_replicas_count);
}

static size_t moving(const struct image_topic *topic)
{
    size_t count = 0;
    for (size_t i = 0; i < topic->partition_count; i++)
        count += image_partition_moving(topic->partitions[i]);
    return count;
}

// asked NULL: all partitions of the topic. The topic is listed only when one of them moves.
static bool add_topic(struct relay *relay, const struct image_topic *topic, const topic_request *asked,
                      struct kafka_list_partition_reassignments_response *response)
{
    size_t room = topic != NULL ? moving(topic) : 0;
    if (room == 0)
        return true;
    room = asked != NULL ? (size_t)asked->partition_indexes_count : room;
    topic_result *out = &response->topics[response->topics_count];
    const char *name = arena_strndup(&relay->arena, topic->name, strlen(topic->name));
    out->partitions = kafka_structure_array(
        &kafka_list_partition_reassignments_response_ongoing_partition_reassignment_type, &relay->arena,
        (int32_t)room);
    if (name == NULL || out->partitions == NULL)
        return false;
    out->name = slice_str(name);
    bool ok = true;
    for (size_t i = 0; ok && i < (asked != NULL ? room : topic->partition_count); i++) {
        int32_t index = asked != NULL ? asked->partition_indexes[i] : (int32_t)i;
        ok = add_partition(&relay->arena, image_topic_partition(topic, index), out);
    }
    response->topics_count += out->partitions_count > 0;
    return ok;
}

static bool list(struct relay *relay, const struct image *image)
{
    const struct kafka_list_partition_reassignments_request *request = relay->request;
    struct kafka_list_partition_reassignments_response *response = relay->response;
    bool all = request->topics_count < 0, ok = true;
    size_t count = all ? image_topic_count(image) : (size_t)request->topics_count;
    response->topics =
        kafka_structure_array(&kafka_list_partition_reassignments_response_ongoing_topic_reassignment_type,
                              &relay->arena, (int32_t)count);
    response->topics_count = 0;
    for (size_t i = 0; response->topics != NULL && ok && i < count; i++) {
        const topic_request *asked = all ? NULL : &request->topics[i];
        ok = add_topic(relay, all ? image_topic_at(image, i) : image_topic_slice(image, asked->name), asked,
                       response);
    }
    return ok && response->topics != NULL;
}

void list_partition_reassignments(struct relay *relay)
{
    struct kafka_list_partition_reassignments_response *response = relay->response;
    if (!authorise(&relay->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_CLUSTER,
                   slice_str(RESOURCE_CLUSTER_NAME))) {
        response->error_code = KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
        response->error_message = slice_str("Authorization failed.");
        return;
    }
    if (!list(relay, metadata_committed(relay->controller->metadata)))
        relay->failed = ST_LIMIT;
}
