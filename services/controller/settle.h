// SPDX-License-Identifier: Apache-2.0
// Partitions follow what happens to nodes: elect_settle over every partition a node has a replica of.
#ifndef CONTROLLER_SETTLE_H
#define CONTROLLER_SETTLE_H

#include "elect.h"
#include "state.h"

enum settle_cause {
    SETTLE_STATE,     // the node is now in state `as`
    SETTLE_RESTARTED, // it is back with its data and will soon be unfenced
    SETTLE_STALLED,   // its disk does not finish flushes
    SETTLE_LOST       // it has lost its data (another directory)
};

// Adds the partition records that follow to the decision; the node's own record need not be applied yet.
void settle_node(struct controller *controller, struct decision *decision, int32_t node, enum elect_state as,
                 enum settle_cause cause);

// One partition whose files are gone on that node.
void settle_lost(struct controller *controller, struct decision *decision, struct uuid topic,
                 int32_t partition, int32_t node);

// What a node says of its replica of one partition (protos/controller.proto). now: as the image has it.
void settle_report(struct controller *controller, struct decision *decision, const struct image_topic *topic,
                   const struct image_partition *now, int32_t node, Millrace__ReplicaCondition condition);

// Moves leadership to preferred replicas, at most max partitions.
void settle_preferred(struct controller *controller, struct decision *decision, int max);

// Partitions led by the node.
int32_t settle_leaderships(const struct controller *controller, int32_t node);

#endif
