// SPDX-License-Identifier: Apache-2.0
// An operator without rest: partitions of the topic go from one random set of nodes to another, reassignments
// are cancelled or replaced while they run, leaders are elected. In the end every node has every partition
// again.
#ifndef SIM_REASSIGNER_H
#define SIM_REASSIGNER_H

#include "actor.h"

struct reassigner {
    struct actor actor;   // first
    const int32_t *nodes; // ids of the storage nodes
    int node_count;
    int32_t partition; // disturbed last
    bool finishing;    // back to all nodes, then it stops
};

// nodes: borrowed, at most REASSIGNER_NODES_MAX.
enum { REASSIGNER_NODES_MAX = 8 };
void reassigner_init(struct reassigner *reassigner, struct env *env, struct history *history,
                     const int32_t *nodes, int node_count);

#endif
