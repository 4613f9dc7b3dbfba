// SPDX-License-Identifier: Apache-2.0
// Where the other controllers are, and the connections to them. Configured ones (controller.quorum.voters)
// stay where the configuration says; of the others it is known from the voter set in the log, from what an
// observer says of itself, or from the sender of a message. A lost lane is probed; when the port refuses, the
// process behind it is gone.
#ifndef CONTROLLER_REACH_H
#define CONTROLLER_REACH_H

#include "rpc/rpc.h"
#include "voters.h"

enum { REACH_MAX = 24 }; // more than voters and learners together; beyond it the longest unused one goes

struct reach;

// on_gone: the process of that node is gone. Called from the loop, never from inside.
typedef void reach_fn(void *context, int32_t id);

// voters: the configured ones, self among them, is copied.
struct reach *reach_new(struct env *env, struct rpc *rpc, const struct voters *voters, int32_t self,
                        reach_fn *on_gone, void *context);
void reach_destroy(struct reach **reach);

// A node that is not configured is at this address ("tcp://host:port", shorter than RAFT_ENDPOINT_SIZE); of a
// configured one, of this node, and of "" nothing is noted.
void reach_note(struct reach *reach, int32_t id, const char *endpoint);

// The connection, NULL when its address is not known. Borrowed until the loop's next turn.
struct rpc_peer *reach_peer(struct reach *reach, int32_t id);

// The address, "" when it is not known. Borrowed likewise.
const char *reach_endpoint(const struct reach *reach, int32_t id);

#endif
