// SPDX-License-Identifier: Apache-2.0
// How a cluster comes into being, and how a controller with an empty directory joins one (design section 5,
// "Voters"). Alone when it is the only configured voter; else only when every configured voter answers and
// all are empty the lowest id writes the cluster id and the voter set, and the others adopt it. In every
// other case an empty directory joins without a vote, and the leader exchanges its old directory id for the
// new one.
#ifndef CONTROLLER_FORMATION_H
#define CONTROLLER_FORMATION_H

#include "state.h"

struct formation *formation_new(struct controller *controller);
void formation_destroy(struct formation **formation);
void formation_start(struct formation *formation);

void formation_probe(struct controller *controller, const Millrace__ProbeRequest *request,
                     Millrace__ProbeReply_Closure closure, struct rpc_call *call);
// An empty directory becomes part of the cluster (16 bytes of its id) as an observer.
void formation_adopt(struct controller *controller, const uint8_t cluster[16]);

// Leader: goes on with an exchange of voters that a joining controller has asked for.
void formation_tick(struct controller *controller);

#endif
