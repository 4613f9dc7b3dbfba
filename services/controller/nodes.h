// SPDX-License-Identifier: Apache-2.0
// Nodes: registration, leases by heartbeat, fencing. The lease lives in the active controller's memory only;
// a new one grants every known node a full lease first. Being hasty costs a leader change, never data.
#ifndef CONTROLLER_NODES_H
#define CONTROLLER_NODES_H

#include "elect.h"
#include "state.h"

struct nodes *nodes_new(void);
void nodes_destroy(struct nodes **nodes);

void nodes_activate(struct controller *controller);
void nodes_deactivate(struct controller *controller);
// A connection to this controller has ended: the node that used it is asked for.
void nodes_connection_gone(struct controller *controller, uint64_t connection);
// Ends leases, probes silent nodes.
void nodes_tick(struct controller *controller);

void nodes_register(struct controller *controller, const Millrace__RegisterRequest *request,
                    Millrace__RegisterReply_Closure closure, struct rpc_call *call);
void nodes_heartbeat(struct controller *controller, const Millrace__HeartbeatRequest *request,
                     Millrace__HeartbeatReply_Closure closure, struct rpc_call *call);

// What a storage node's heartbeat says of it: that it drains, and for how long a flush has been under way. Then
// leadership, and with a stalled disk its place in ISRs, goes to others until it says otherwise. If that is
// refused now, it is decided with the next heartbeat.
void nodes_told(struct controller *controller, int32_t id, bool draining, int64_t flush_age_ms);

// For elections; context is the controller.
enum elect_state nodes_state(void *context, int32_t node);
struct elect_view nodes_view(struct controller *controller); // all as it is, nothing asked for
// Whether this controller has heard of the node since it became active.
bool nodes_heard(const struct controller *controller, int32_t node);
int nodes_live(const struct controller *controller, Millrace__Role role);
int64_t nodes_lease_ms(const struct controller *controller);

#endif
