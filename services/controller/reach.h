// SPDX-License-Identifier: Apache-2.0
// Where the other controllers are, and the connections to them. Configured ones (controller.quorum.voters)
// stay where the configuration says while the log does not say it; of the others it is known from the voter
// set in the log, from what an observer says of itself, or from the sender of a message. A lost lane is
// probed; when the port refuses, the process behind it is gone.
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

// A node is at this address ("tcp://host:port", shorter than RAFT_ENDPOINT_SIZE). Nothing is noted of this
// node, of "", and of a configured one while reach_bind says so.
void reach_note(struct reach *reach, int32_t id, const char *endpoint);

// Whether configured ones are where the configuration says and nowhere else; so it is at first. When the log
// has the addresses (kraft.version 1) the configured ones are only where the search begins, as in Kafka's
// KafkaRaftClient, which looks at controller.quorum.voters only while the log has no voters.
void reach_bind(struct reach *reach, bool bound);

// The connection, NULL when its address is not known. Borrowed until the loop's next turn.
struct rpc_peer *reach_peer(struct reach *reach, int32_t id);

// The address, "" when it is not known. Borrowed likewise.
const char *reach_endpoint(const struct reach *reach, int32_t id);

#endif
