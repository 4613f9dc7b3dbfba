// SPDX-License-Identifier: Apache-2.0
// Topics: what a creation, or more partitions, means in records. Shared by the handlers of CreateTopics and
// CreatePartitions and by internal topics.
#ifndef CONTROLLER_TOPICS_H
#define CONTROLLER_TOPICS_H

#include "place.h"
#include "state.h"

enum { TOPICS_WHY_SIZE = 256, CLUSTER_PARTITIONS_MAX = 1000000 };

// What a handler refuses with.
struct topics_error {
    int16_t code; // enum kafka_error; 0: none
    char why[TOPICS_WHY_SIZE];
};

// Sets code and text; returns false for "return topics_refuse(...)".
bool topics_refuse(struct topics_error *error, int16_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

enum topics_which {
    TOPICS_LIVE,
    TOPICS_STAYING,   // alive and not being drained
    TOPICS_REGISTERED // those being drained count as not alive
};

// Storage nodes with what they carry, in the arena, ascending by id.
struct place_node *topics_nodes(const struct controller *controller, enum topics_which which,
                                struct arena *arena, int *count);

// For requests that name partitions one by one: a bit for each partition of the topic (NULL: an unknown topic
// has none) in the arena, NULL at its cap; and whether the partition was named before, which is noted.
uint8_t *topics_seen(const struct image_topic *topic, struct arena *arena);
bool topics_named_before(const struct image_topic *topic, uint8_t *seen, int32_t index);

// Whether a client may choose these replicas for a partition: registered nodes, none twice, one of them
// alive.
bool topics_replicas_check(const struct image *image, const int32_t *ids, int32_t count,
                           struct topics_error *error);

// Adds count partitions from index first on. replicas: count * factor ids, or NULL: place them here, on live
// nodes as far as there are enough, the rest on nodes that will come back: a topic can be created during a
// rolling restart.
bool topics_add_partitions(struct controller *controller, struct decision *decision, struct uuid topic,
                           int32_t first, int32_t count, int factor, const int32_t *replicas,
                           struct topics_error *error);

// Kafka's rules for a new name: form, no collision of '.' and '_', not taken.
bool topics_name_check(const struct controller *controller, struct slice name, struct topics_error *error);

// Looks at the values that the topic (of this name, which need not exist yet) has once the decision's records are
// applied. false: INVALID_CONFIG with Kafka's words (LogConfig.validateValues).
bool topics_configs_check(const struct image *image, const char *name, const struct decision *decision,
                          struct topics_error *error);

// num.partitions and default.replication.factor: dynamic default of all nodes, else the controller's own.
int32_t topics_default(const struct controller *controller, const char *key);

#endif
