// SPDX-License-Identifier: Apache-2.0
// Who leads a partition and who is in its ISR, given which nodes are alive. Pure: (partition, view) in, the
// next state out. Every change bumps the partition epoch, every change of the leader the leader epoch.
#ifndef CONTROLLER_ELECT_H
#define CONTROLLER_ELECT_H

#include "base/arena.h"
#include "cluster/image.h"

enum elect_state {
    ELECT_GONE,  // not registered, or fenced
    ELECT_AVOID, // alive, but should lead nothing: draining, or its disk stalls
    ELECT_LIVE
};

struct elect_view {
    void *context;
    enum elect_state (*state)(void *context, int32_t node);
    // Whether the active controller has heard of the node since it became active (NULL: of all). On the word
    // of a node that may be dead as well nobody leaves the ISR; used for nodes that only restart.
    bool (*heard)(void *context, int32_t node);
    int32_t stalled; // node that leaves the ISR although it is alive (never the last member); -1: none
    int32_t lost;    // node that has lost the partition's data: leaves the ISR even as its last member; -1
    bool preferred;  // move leadership to the first replica when it can lead
    bool unclean;    // unclean.leader.election.enable
    bool anybody;    // ... also a replica that is still being added, when there is no other
    bool sole_stays; // a sole replica keeps its leadership while its node is away
};

// Who leads, given this ISR: the present leader as long as it can, else the first replica in order; -1:
// nobody.
int32_t elect_leader(const struct image_partition *now, const struct image_ids *isr,
                     const struct elect_view *view);

// Fills *next (arrays in the arena or those of now); false: nothing changes. *unclean_used: a leader outside
// of the ISR was taken, records may be lost.
bool elect_settle(const struct image_partition *now, const struct elect_view *view, struct arena *arena,
                  struct image_partition *next, bool *unclean_used);

#endif
