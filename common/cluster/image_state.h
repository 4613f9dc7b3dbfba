// SPDX-License-Identifier: Apache-2.0
// Inside of the image, shared by image.c (reading), image_apply.c (records), image_config.c,
// image_decision.c and image_snapshot.c; nobody else includes it. Every thing is one allocation, replaced as
// a whole, never edited in place: so a listener sees the old and the new one side by side.
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

struct feature {
    int16_t level;
    char name[];
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
    struct sorted features;  // struct feature by name
    struct sorted loads;     // image_load.c's, by node
    struct map topics_by_id;
    struct image_listener *listeners;
    struct uuid cluster_id;
    int64_t offset;
    int64_t next_producer_id;
    int64_t features_epoch;
    size_t partition_total;
    struct buf decision;  // packed records of the open decision, see image_decision.c
    size_t decision_done; // bytes of them that are applied
    bool decision_open;
    char error[200];
};

// image_apply.c: applies one record's body; refuse leaves a text for image_error and returns status.
enum status image_apply_body(struct image *image, const Millrace__MetadataRecord *record, int64_t offset);
enum status image_refuse(struct image *image, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// image_decision.c: a mark, with what follows from it (max and AGAIN as for image_apply_some); a record
// inside an open decision is kept for its end; what is open as records, for a snapshot.
enum status image_decision_mark(struct image *image, const Millrace__DecisionRecord *record, int64_t offset,
                                size_t max);
enum status image_decision_keep(struct image *image, const Millrace__MetadataRecord *record,
                                struct slice bytes);
enum status image_decision_encode(const struct image *image, struct buf *out);
void image_decision_forget(struct image *image);

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

// image_load.c: a partition is another one, or (NULL) comes or goes.
void image_load_note(struct image *image, const struct image_partition *before,
                     const struct image_partition *after);
void image_load_forget(struct image *image);

// image_feature.c
enum status image_feature_set(struct image *image, const Millrace__FeatureRecord *record);
enum status image_features_encode(const struct image *image, struct buf *out);
void image_features_forget(struct image *image);

#endif
