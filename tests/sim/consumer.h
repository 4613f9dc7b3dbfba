// SPDX-License-Identifier: Apache-2.0
// A member of a consumer group (KIP-848) that reads the topic t: heartbeats, gives up what it is told to,
// says so, leaves now and then and comes back as another. It takes itself for fenced when its session may
// have ended, as a consumer does that cannot commit any more. No partition is ever in the hands of two of
// them.
#ifndef SIM_CONSUMER_H
#define SIM_CONSUMER_H

#include "actor.h"
#include "base/uuid.h"

enum {
    CONSUMER_SESSION_MS = 10000,  // of the coordinators too
    CONSUMER_REBALANCE_MS = 20000 // counts from when it was first told to give up, which it may not have
                                  // heard: its session, by its own clock, ends before
};

struct consumer_sim {
    struct actor actor; // first
    const char *group;
    int number, lives; // its ids are made of these
    char id[32];
    int32_t epoch; // 0: joins with the next heartbeat
    uint64_t has;  // partitions, a bit each
    bool must_say; // it has done what it was told
    bool unsure;   // an answer was lost: it says everything anew
    bool leaving;  // says goodbye next
    bool steady;   // leaves no more
    struct uuid topic;
    int64_t sent_us;             // when the heartbeat under way was sent
    int64_t heard_us;            // when the last one that was answered was
    struct consumer_sim *others; // all of the group
    int other_count;
};

void consumer_sim_init(struct consumer_sim *consumer, struct env *env, struct history *history, int number);

// What it may still read, by its own clock.
uint64_t consumer_sim_has(const struct consumer_sim *consumer);

#endif
