// SPDX-License-Identifier: Apache-2.0
// A member of a streams group (KIP-1071) whose topology is one subtopology that reads the topic t:
// heartbeats, gives up tasks when it is told to, says so, commits for what it has, leaves now and then and
// comes back as another, after which it still commits as it was before. It takes itself for fenced when its
// session may have ended; now and then it does not hear an answer. No active task is ever in the hands of two
// of them, who is behind the others is told what to do, and nobody commits who has left.
#ifndef SIM_STREAMER_H
#define SIM_STREAMER_H

#include "actor.h"

enum {
    STREAMERS = 3,
    STREAMER_SESSION_MS = 10000,  // of the coordinators too
    STREAMER_REBALANCE_MS = 20000 // longer, as in consumer.h
};

struct streamer {
    struct actor actor;      // first
    int number, lives;       // its ids are made of these
    char id[32], former[32]; // former: the id it has left with, "" when nobody was told
    int32_t epoch;           // 0: joins with the next heartbeat
    int32_t former_epoch;
    uint64_t has;              // active tasks, a bit each
    bool must_say;             // it has done what it was told
    bool unsure;               // an answer was lost: it says everything anew
    bool leaving;              // says goodbye next
    bool steady;               // leaves no more
    int64_t next;              // offset to commit
    int64_t sent_us, heard_us; // the heartbeat under way, the last one that was answered
    int untold;                // answers, one after the other, that told it nothing while others were further on
    struct streamer *others;   // all of the group
};

void streamer_init(struct streamer *streamer, struct env *env, struct history *history, int number);

// The tasks it may still work on, by its own clock.
uint64_t streamer_has(const struct streamer *streamer);

#endif
