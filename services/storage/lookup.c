// SPDX-License-Identifier: Apache-2.0
// See lookup.h.
#include "lookup.h"

#include "partitions.h"

int16_t lookup_topic(const struct storage_request *request, const struct lookup_topic *named,
                     enum operation operation, const struct image_topic **topic)
{
    const struct image *image = storage_image(request->storage);
    *topic = named->by_id ? image_topic(image, named->id) : image_topic_slice(image, named->name);
    if (named->by_id && *topic == NULL)
        return KAFKA_ERR_UNKNOWN_TOPIC_ID;
    struct slice name = *topic ? slice_str((*topic)->name) : named->name;
    if (!authorise(&request->principal, operation, RESOURCE_TYPE_TOPIC, name))
        return KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
    return *topic ? KAFKA_ERR_NONE : KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

int16_t lookup_error(enum status status)
{
    switch (status) {
    case ST_OK:
        return KAFKA_ERR_NONE;
    case ST_NOT_LEADER:
    case ST_STALE:
    case ST_LOADING:
    case ST_AGAIN:
    case ST_CLOSED:
    case ST_CANCELLED:
        return KAFKA_ERR_NOT_LEADER_OR_FOLLOWER;
    case ST_TIMEOUT:
        return KAFKA_ERR_REQUEST_TIMED_OUT;
    case ST_OUT_OF_RANGE:
        return KAFKA_ERR_OFFSET_OUT_OF_RANGE;
    default:
        return KAFKA_ERR_KAFKA_STORAGE_ERROR;
    }
}

// The replica on this node, whatever its role.
static int16_t lookup_replica(const struct storage_request *request, const struct image_topic *topic,
                              int32_t partition, struct replica **replica)
{
    struct partitions *partitions = storage_partitions(request->storage);
    if (image_topic_partition(topic, partition) == NULL)
        return KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
    *replica = partitions ? partitions_find(partitions, topic->id, partition) : NULL;
    return *replica != NULL ? KAFKA_ERR_NONE : KAFKA_ERR_NOT_LEADER_OR_FOLLOWER;
}

// Keeps the replica only when it may be served.
static int16_t served(enum status status, bool fenced, struct replica **replica)
{
    if (status != ST_OK)
        *replica = NULL;
    if (status == ST_STALE)
        return fenced ? KAFKA_ERR_FENCED_LEADER_EPOCH : KAFKA_ERR_UNKNOWN_LEADER_EPOCH;
    return lookup_error(status);
}

int16_t lookup_leader(const struct storage_request *request, const struct image_topic *topic,
                      int32_t partition, int32_t leader_epoch, struct replica **replica)
{
    bool fenced;
    *replica = NULL;
    int16_t error = lookup_replica(request, topic, partition, replica);
    if (error != KAFKA_ERR_NONE)
        return error;
    enum status status = replica_lead(*replica, leader_epoch, &fenced);
    return served(status, fenced, replica);
}

int16_t lookup_readable(const struct storage_request *request, const struct image_topic *topic,
                        int32_t partition, int32_t leader_epoch, struct replica **replica)
{
    bool fenced;
    *replica = NULL;
    int16_t error = lookup_replica(request, topic, partition, replica);
    if (error != KAFKA_ERR_NONE)
        return error;
    enum status status = replica_serve(*replica, leader_epoch, &fenced);
    return served(status, fenced, replica);
}

const struct image_partition *lookup_current(const struct image_topic *topic, int32_t partition)
{
    const struct image_partition *current = topic ? image_topic_partition(topic, partition) : NULL;
    return current != NULL && current->leader >= 0 ? current : NULL;
}

bool lookup_node(struct storage_request *request, int32_t id, struct lookup_node *found)
{
    const struct image_node *node = image_node(storage_image(request->storage), id);
    const struct image_endpoint *endpoint = image_node_live(node, MILLRACE__ROLE__ROLE_STORAGE)
                                                ? image_endpoint(node, request->principal.listener)
                                                : NULL;
    if (endpoint == NULL)
        return false;
    const char *host = arena_strndup(&request->arena, endpoint->host, strlen(endpoint->host));
    const char *rack =
        node->rack[0] != 0 ? arena_strndup(&request->arena, node->rack, strlen(node->rack)) : NULL;
    *found = (struct lookup_node){
        .id = id, .port = endpoint->port, .host = slice_str(host), .rack = slice_str(rack)};
    return host != NULL;
}
