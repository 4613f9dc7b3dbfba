// SPDX-License-Identifier: Apache-2.0
// The replicas of this node that time matters to: leaders with a follower that is behind, silent or outside
// the ISR, or with a proposal that is open; and those whose log could not be opened yet. Only these are
// looked at by the clock, so that idle ones cost nothing however many there are.
#ifndef STORAGE_WATCH_H
#define STORAGE_WATCH_H

#include "replica.h"

// The list of the partitions and its metric. Empty again before watch_fini.
void watch_init(struct partitions *partitions);
void watch_fini(struct partitions *partitions);

// Something happened to the replica, or is about to: its log grows, a subscription begins or ends, the image
// says something new. Nothing for one without followers, and for one that is watched. To be called before the
// state machine hears of it: what is known of idle followers is told first, later they would seem to have
// been behind since then.
void watch_add(struct replica *replica);

// The replica goes away.
void watch_drop(struct replica *replica);

// The ISR clock: lets time pass for those watched and forgets the ones that need it no more.
// lag_max_us: replica.lag.time.max.ms.
void watch_tick(struct partitions *partitions, int64_t now_us, int64_t lag_max_us);

#endif
