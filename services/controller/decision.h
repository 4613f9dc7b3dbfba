// SPDX-License-Identifier: Apache-2.0
// What a handler decides: records in the order in which they will be applied, or an error and no records.
// Text and arrays given to the functions are borrowed until the decision is appended.
#ifndef CONTROLLER_DECISION_H
#define CONTROLLER_DECISION_H

#include "base/arena.h"
#include "cluster/image.h"

struct decision {
    struct arena arena; // of the records; handlers may use it for what records point to
    Millrace__MetadataRecord **records;
    size_t count, cap;
};

void decision_init(struct decision *decision);
void decision_fini(struct decision *decision);

// A record that repeats a registration, as read from the image or from a request.
void decision_node(struct decision *decision, const struct image_node *node);
void decision_fenced(struct decision *decision, int32_t node, uint64_t incarnation, bool fenced);
void decision_node_removed(struct decision *decision, int32_t node);
void decision_topic(struct decision *decision, struct uuid id, const char *name, bool internal);
void decision_topic_removed(struct decision *decision, struct uuid id);
void decision_partition(struct decision *decision, struct uuid topic,
                        const struct image_partition *partition);
// value NULL: the key is removed.
void decision_config(struct decision *decision, Millrace__ResourceType type, const char *name,
                     const char *key, const char *value);
// The value of a key once the decision, which changes this resource only, is applied; NULL: it has none of its own.
// Borrowed from the decision or the image.
const char *decision_config_after(const struct decision *decision, const struct image *image,
                                  Millrace__ResourceType type, const char *name, const char *key);
void decision_shard(struct decision *decision, const char *topic, int32_t shard, int32_t owner,
                    int32_t owner_epoch);
// epoch: of all features it changes, one above the image's.
void decision_feature(struct decision *decision, const char *name, int16_t level, int64_t epoch);
void decision_producer_ids(struct decision *decision, int64_t next);
// Of a decision that needs several entries; metadata.c's.
void decision_mark(struct decision *decision, Millrace__DecisionRecord__Mark mark);
void decision_cluster(struct decision *decision, struct uuid id);

#endif
