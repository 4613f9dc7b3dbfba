// SPDX-License-Identifier: Apache-2.0
// Which shard a key belongs to, who owns the shard, and which storage node stands in front of it for clients.
#ifndef CLUSTER_SHARD_H
#define CLUSTER_SHARD_H

#include "base/buf.h"
#include "cluster/image.h"

#define SHARD_TOPIC_GROUPS       "__consumer_offsets"
#define SHARD_TOPIC_TRANSACTIONS "__transaction_state"
#define SHARD_TOPIC_SHARE        "__share_group_state"
#define SHARD_TOPIC_SCHEMAS      "_schemas" // one partition; as Confluent's registry, no internal topic to clients
#define SHARD_TOPIC_KEYS         "_dek_registry_keys" // likewise

// Kafka's rule: the absolute value of String.hashCode (of the lowest number: 0) mod partitions. partitions >
// 0.
int32_t shard_of(struct slice key, int32_t partitions);

// Appends what share partitions are known by there, as Kafka's SharePartitionKey.asCoordinatorKey:
// "group:topic id:partition". ST_LIMIT, ST_NO_MEMORY: as for buf.
enum status shard_share_key(struct slice group, struct uuid topic, int32_t partition, struct buf *out);

// The shard of a key of an internal topic, or NULL while the topic or the assignment does not exist.
const struct image_shard *shard_of_key(const struct image *image, const char *topic, struct slice key);

// The live node that owns the shard of this key; NULL when there is none now.
const struct image_node *shard_owner(const struct image *image, const char *topic, struct slice key);

// Rendezvous hash over live storage nodes that offer the listener (NULL: any): the node with the highest
// score, so a node that leaves moves only its own keys. The same on every node. NULL when none is live.
const struct image_node *shard_front(const struct image *image, const char *listener, struct slice key);

#endif
