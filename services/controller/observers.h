// SPDX-License-Identifier: Apache-2.0
// Controllers without a vote, on the leader: who has said of itself that it follows is sent the log (a
// learner of Raft, an observer of KIP-595 and KIP-853), until it has not said so for a while. A follower that
// is to get a vote must have been one.
#ifndef CONTROLLER_OBSERVERS_H
#define CONTROLLER_OBSERVERS_H

#include "protos/controller.pb-c.h"
#include "raft/raft.h"
#include "rpc/rpc.h"

struct controller;

enum { OBSERVERS_SILENT_MS = 10000 }; // not heard for so long: served no more

struct observers_item {
    struct raft_voter voter;
    int64_t heard_ms;
};

struct observers {
    struct observers_item items[RAFT_LEARNERS_MAX];
    int count;
    int64_t term; // of the leadership in which the core was told of them; 0: not told
};

// Observe: a controller says that it is there, and where. A voter whose address in the log is another one
// gets the new one there; whoever is no voter is noted. Only the active controller is asked.
void observers_observe(struct controller *controller, const Millrace__ObserveRequest *request,
                       Millrace__ObserveReply_Closure closure, struct rpc_call *call);

// Leader: the controller is there, without a vote. Another directory under the same id takes the place of the
// former one; above RAFT_LEARNERS_MAX a newcomer is not served.
void observers_note(struct controller *controller, struct raft_voter voter);

// Tells the core who is to be served, forgets who is silent.
void observers_tick(struct controller *controller);

#endif
