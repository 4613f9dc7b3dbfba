// SPDX-License-Identifier: Apache-2.0
// From what a request names to the replica this node leads, or the Kafka error a client can act on.
#ifndef STORAGE_LOOKUP_H
#define STORAGE_LOOKUP_H

#include "cluster/image.h"
#include "replica.h"
#include "request.h"

// A topic as a request names it: by name, or by id from the version on that uses ids.
struct lookup_topic {
    bool by_id;
    struct slice name;
    struct uuid id;
};

// The topic's name and KAFKA_ERR_NONE; UNKNOWN_TOPIC_OR_PARTITION or UNKNOWN_TOPIC_ID;
// TOPIC_AUTHORIZATION_FAILED when the principal may not do the operation on it (also for unknown ones, so
// that nothing is told).
int16_t lookup_topic(const struct storage_request *request, const struct lookup_topic *named,
                     enum operation operation, const struct image_topic **topic);

// The replica this node leads. leader_epoch: what the client believes, -1: no check (KIP-320:
// FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH). Else NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR,
// UNKNOWN_TOPIC_OR_PARTITION.
int16_t lookup_leader(const struct storage_request *request, const struct image_topic *topic,
                      int32_t partition, int32_t leader_epoch, struct replica **replica);

// The same for a replica this node leads or follows, for consumers' reads (KIP-392).
int16_t lookup_readable(const struct storage_request *request, const struct image_topic *topic,
                        int32_t partition, int32_t leader_epoch, struct replica **replica);

// Who leads by the image, for the CurrentLeader field of an answer with NOT_LEADER_OR_FOLLOWER or
// FENCED_LEADER_EPOCH.
const struct image_partition *lookup_current(const struct image_topic *topic, int32_t partition);

// Where a node is reached by the listener the request came in on, for the NodeEndpoints of an answer
// (KIP-951); copied into the request's arena. False when it is not there.
struct lookup_node {
    int32_t id, port;
    struct slice host, rack;
};
bool lookup_node(struct storage_request *request, int32_t id, struct lookup_node *found);

// The error for a status of the log or of a wait.
int16_t lookup_error(enum status status);

#endif
