// SPDX-License-Identifier: Apache-2.0
// What the answers share among themselves: how a partition looks to a client of one listener.
#ifndef CLUSTER_ANSWERS_STATE_H
#define CLUSTER_ANSWERS_STATE_H

#include "cluster/answers.h"

struct answers_partition {
    int16_t error;
    int32_t leader;   // -1 when clients of this listener cannot reach it
    int32_t *offline; // in the arena
    int32_t offline_count;
};

// ST_LIMIT when the arena is full.
enum status answers_partition_view(const struct answers_scope *scope, const struct image_partition *partition,
                                   struct answers_partition *view);

// Endpoint of a live storage node for the client's listener, or NULL.
const struct image_endpoint *answers_endpoint(const struct answers_scope *scope, int32_t node_id);
int32_t answers_topic_operations(const struct answers_scope *scope, struct slice name);
struct slice answers_cluster_id(const struct answers_scope *scope); // data NULL: the arena is full

#endif
