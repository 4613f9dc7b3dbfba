// SPDX-License-Identifier: Apache-2.0
// OffsetDelete: removes committed offsets of topics the group does not read now.
#include "apis.h"
#include "kafka/messages/offset_delete.h"

typedef struct kafka_offset_delete_request request_t;
typedef struct kafka_offset_delete_request_offset_delete_request_topic topic_in;
typedef struct kafka_offset_delete_response response_t;
typedef struct kafka_offset_delete_response_offset_delete_response_topic topic_out;

// Topics the group's members read now; unknown: their subscriptions cannot be read.
struct subscribed {
    const struct shard_group *cell; // knows them itself, unless it is a classic group
    struct map topics;
    bool unknown;
};

static int16_t group_error(struct coordinator_request *request, struct shard_group **cell)
{
    const request_t *in = request->body;
    *cell = NULL;
    if (!request_allowed(request, in->group_id))
        return KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
    if (in->group_id.len == 0)
        return KAFKA_ERR_INVALID_GROUP_ID;
    *cell = shard_find(request->shard, in->group_id, false);
    if (*cell == NULL)
        return KAFKA_ERR_GROUP_ID_NOT_FOUND;
    if ((*cell)->consumer != NULL || (*cell)->streams != NULL)
        return KAFKA_ERR_NONE;
    const struct group *group = (*cell)->group;
    bool consumers = slice_is(group_protocol_type(group), "consumer");
    return group_state(group) == GROUP_EMPTY || consumers ? KAFKA_ERR_NONE : KAFKA_ERR_NON_EMPTY_GROUP;
}

static int16_t topic_error(const struct coordinator_request *request, const struct subscribed *subscribed,
                           struct slice name)
{
    if (!authorise(&request->principal, OPERATION_READ, RESOURCE_TYPE_TOPIC, name))
        return KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
    if (image_topic_slice(request_image(request), name) == NULL)
        return KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (subscribed->unknown || map_get(&subscribed->topics, name) != NULL ||
        shard_group_subscribed(subscribed->cell, name))
        return KAFKA_ERR_GROUP_SUBSCRIBED_TO_TOPIC;
    return KAFKA_ERR_NONE;
}

static int16_t delete_one(const struct coordinator_request *request, struct shard_group *cell,
                          struct slice topic, int32_t partition)
{
    struct offset_commit commit;
    if (image_topic_partition(image_topic_slice(request_image(request), topic), partition) == NULL)
        return KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (!offsets_get(&cell->offsets, topic, partition, &commit) && !shard_unstable(cell, topic, partition))
        return KAFKA_ERR_NONE;
    return shard_forget(cell, topic, partition) == ST_OK ? KAFKA_ERR_NONE
                                                         : KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
}

static bool delete_topic(struct coordinator_request *request, struct shard_group *cell,
                         const struct subscribed *subscribed, const topic_in *in, topic_out *out)
{
    int16_t error = topic_error(request, subscribed, in->name);
    out->name = in->name;
    out->partitions_count = in->partitions_count;
    out->partitions =
        arena_calloc(&request->arena, (size_t)in->partitions_count + 1, sizeof *out->partitions);
    for (int32_t p = 0; out->partitions != NULL && p < in->partitions_count; p++) {
        int32_t index = in->partitions[p].partition_index;
        out->partitions[p].partition_index = index;
        out->partitions[p].error_code =
            error != KAFKA_ERR_NONE ? error : delete_one(request, cell, in->name, index);
    }
    return out->partitions != NULL;
}

static bool delete_topics(struct coordinator_request *request, struct shard_group *cell, response_t *response)
{
    const request_t *in = request->body;
    struct subscribed subscribed = {.cell = cell};
    map_init(&subscribed.topics, 0);
    if (cell->consumer == NULL && cell->streams == NULL)
        subscribed.unknown = !group_subscribed(cell->group, &subscribed.topics);
    response->topics = arena_calloc(&request->arena, (size_t)in->topics_count + 1, sizeof(topic_out));
    bool done = response->topics != NULL;
    for (int32_t t = 0; done && t < in->topics_count; t++)
        done = delete_topic(request, cell, &subscribed, &in->topics[t],
                            &response->topics[response->topics_count++]);
    map_fini(&subscribed.topics);
    return done;
}

void coordinator_offset_delete(struct coordinator_request *request)
{
    struct shard_group *cell;
    response_t response;
    kafka_defaults(&kafka_offset_delete_response_message, &response);
    response.error_code = group_error(request, &cell);
    if (response.error_code == KAFKA_ERR_NONE && !delete_topics(request, cell, &response)) {
        kafka_defaults(&kafka_offset_delete_response_message, &response);
        response.error_code = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    }
    if (cell != NULL)
        shard_changed(cell);
    request_answer(request, &response);
}
