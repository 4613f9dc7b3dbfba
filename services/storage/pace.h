// SPDX-License-Identifier: Apache-2.0
// How fast replicas that are not in sync may catch up (Kafka's replication quotas, KIP-73): topics name the
// replicas that are throttled (leader. and follower.replication.throttled.replicas), nodes the rates (leader.
// and follower.replication.throttled.rate); and what the balancer moves has a rate of its own. The leader
// paces what it sends. For the follower's rate, which is one over all its leaders, it obeys what the
// follower's answers say.
#ifndef STORAGE_PACE_H
#define STORAGE_PACE_H

#include "replica.h"
#include "throttle.h"

enum pace_why { PACE_LEADER = 1, PACE_FOLLOWER = 2, PACE_BALANCER = 4 }; // bits

struct pace {
    struct throttle leader, balancer; // of what this node sends
    struct throttle follower;         // of what it takes
    struct throttle moves;            // of what it copies between its directories, see moves.h
};

// Takes the node's rates from the image.
struct image;
void pace_refresh(struct pace *pace, const struct image *image, int32_t node_id, int64_t now_us);

// Whether a list of throttled replicas ("partition:node,...", or "*" for all; NULL: none) has this one.
bool pace_listed(const char *list, int32_t partition, int32_t node);

// What paces a follower of this replica, which leads; 0: nothing, as for every member of the ISR.
int pace_of(struct replica *replica, int32_t follower);

// How long the leader must wait before it sends more that is paced so; and that it has sent.
int64_t pace_wait_us(const struct pace *pace, int why, int64_t now_us);
void pace_sent(struct pace *pace, int why, int64_t bytes, int64_t now_us);

// A follower has taken bytes: the time for which it wants no more that is paced by its rate, in ms, 0: none.
int32_t pace_taken_ms(struct replica *replica, int64_t bytes, int64_t now_us);

#endif
