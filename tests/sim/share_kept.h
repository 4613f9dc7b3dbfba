// SPDX-License-Identifier: Apache-2.0
// What coordinators keep of the share group's partitions: an owner that has written a leader epoch never goes
// back to an older one, else a deposed leader has overwritten what its successor had read.
#ifndef SIM_SHARE_KEPT_H
#define SIM_SHARE_KEPT_H

#include "base/uuid.h"
#include "cluster.h"

// As it was seen last.
struct share_kept {
    uint64_t generation; // of the owner's process
    int32_t owner_epoch;
    int32_t leader_epoch, state_epoch;
};

// Looks at one partition of a topic at all coordinators.
void share_kept_look(struct cluster *cluster, struct slice group, struct uuid topic, int partition,
                     struct share_kept *kept);

#endif
