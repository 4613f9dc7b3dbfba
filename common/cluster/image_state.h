// SPDX-License-Identifier: Apache-2.0
// Inside of the image, shared by image.c (reading), image_apply.c (records), image_config.c and
// image_snapshot.c; nobody else includes it. Every thing is one allocation, replaced as a whole, never edited
// in place: so a listener sees the old and the new one side by side.
#ifndef CLUSTER_IMAGE_STATE_H
#define CLUSTER_IMAGE_STATE_H

#include "base/map.h"
#include "cluster/image.h"
#include "cluster/sorted.h"

struct topic {
    struct image_topic view; // view.partitions == partitions
    struct image_partition **partitions;
    size_t cap;
    char name[];
};

struct resource { // what configs are set for
    Millrace__ResourceType type;
    struct image_config *configs; // ascending key; strings owned
    size_t count;
    char name[];
};

struct resource_key {
    Millrace__ResourceType type;
    const char *name;
};

struct shard_key {
    const char *topic;
    int32_t shard;
};

struct image {
    struct sorted nodes;     // struct image_node by id
    struct sorted topics;    // struct topic by name
    struct sorted shards;    // struct image_shard by topic, shard
    struct sorted resources; // struct resource by type, name
    struct map topics_by_id;
    struct image_listener *listeners;
    struct uuid cluster_id;
    int64_t offset;
    int64_t next_producer_id;
    size_t partition_total;
    char error[200];
};

int image_compare_node(const void *key, const void *item);
int image_compare_topic(const void *key, const void *item);
int image_compare_shard(const void *key, const void *item);
int image_compare_resource(const void *key, const void *item);

// Tell the listeners.
void image_tell_node(struct image *image, const struct image_node *before, const struct image_node *after);
void image_tell_topic(struct image *image, const struct image_topic *topic, bool removed);
void image_tell_partition(struct image *image, const struct image_topic *topic,
                          const struct image_partition *before, const struct image_partition *after);
void image_tell_shard(struct image *image, const struct image_shard *before, const struct image_shard *after);
void image_tell_config(struct image *image, const struct resource *resource, const char *key,
                       const char *value);

// image_config.c: sets (value NULL: removes) one key and tells; drops all keys of a resource and tells.
void image_config_set(struct image *image, struct resource_key where, const char *key, const char *value);
void image_config_drop(struct image *image, struct resource_key where);
void image_resource_free(struct resource *resource);

void image_topic_free(struct topic *topic);

#endif
