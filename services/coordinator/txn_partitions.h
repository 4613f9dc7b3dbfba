// SPDX-License-Identifier: Apache-2.0
// The partitions of one transaction, by topic. Pure.
#ifndef TXN_PARTITIONS_H
#define TXN_PARTITIONS_H

#include "base/map.h"

struct txn_topic {
    int32_t *partitions; // ascending, owned
    int32_t count, cap;
};

struct txn_partitions {
    struct map topics; // by name, struct txn_topic
    size_t count;      // of partitions
};

void txn_partitions_init(struct txn_partitions *set);
void txn_partitions_fini(struct txn_partitions *set);
void txn_partitions_clear(struct txn_partitions *set);

bool txn_partitions_has(const struct txn_partitions *set, struct slice topic, int32_t partition);
// Idempotent.
void txn_partitions_add(struct txn_partitions *set, struct slice topic, int32_t partition);
void txn_partitions_remove(struct txn_partitions *set, struct slice topic, int32_t partition);
void txn_partitions_copy(struct txn_partitions *to, const struct txn_partitions *from); // adds all

// Topics in the order they were added: start with *cursor = NULL; false at the end.
bool txn_partitions_next(const struct txn_partitions *set, struct map_entry **cursor, struct slice *topic,
                         const struct txn_topic **partitions);

#endif
