// SPDX-License-Identifier: Apache-2.0
// Where replicas go. Pure: nodes and what they carry in, replicas per partition out; the same input gives the
// same answer. The first replica is the preferred leader; leaders are spread evenly, then replicas; within a
// partition over racks first, over machines (host) second.
#ifndef CONTROLLER_PLACE_H
#define CONTROLLER_PLACE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct place_node {
    int32_t id;
    const char *rack, *host; // "" when unknown: then the node counts as its own
    int64_t leaders;         // partitions that have it as their first replica
    int64_t replicas;
    bool down; // not alive now: taken only when there are too few others
};

// Places count partitions with factor replicas each into out[count * factor]; adds them to the nodes'
// numbers. nodes ascending by id. LIMIT when factor is above node_count.
enum status place_replicas(struct place_node *nodes, int node_count, int32_t count, int factor, int32_t *out);

// Moves the replica with the fewest leaders to the front (the preferred leader) when that evens the numbers.
void place_prefer(struct place_node *nodes, int node_count, int32_t *replicas, int count);

// One more replica for a partition that has these; its id, or -1 when every node has one.
int32_t place_one_more(struct place_node *nodes, int node_count, const int32_t *have, int have_count);

#endif
