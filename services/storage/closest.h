// SPDX-License-Identifier: Apache-2.0
// Which replica a consumer should read from (KIP-392): the choice of Kafka's RackAwareReplicaSelector. Pure.
#ifndef STORAGE_CLOSEST_H
#define STORAGE_CLOSEST_H

#include "cluster/image.h"
#include "partition.h"

// Value of replica.selector.class that switches the choice on; without it consumers read from leaders.
#define CLOSEST_SELECTOR "org.apache.kafka.common.replica.RackAwareReplicaSelector"

struct closest_reader {
    struct slice rack;    // the consumer's client.rack; empty: unknown
    const char *listener; // name of the listener it came in by: the replica must be reachable by it
    int64_t offset;       // next offset it wants; not below the log's start
};

// For the leader of the partition: the node in the reader's rack that has the offset, is in sync and alive,
// and has most; of equals the one that was caught up last, then the higher id. -1: here, since this node is
// in that rack, or no other is.
int32_t closest_replica(const struct image *image, const struct partition *state,
                        const struct closest_reader *reader);

#endif
