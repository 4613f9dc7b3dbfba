// SPDX-License-Identifier: Apache-2.0
// Follower's side of replication: one stream per leader node. Opens it, subscribes the replicas that follow
// this node, truncates to where the logs agree (KIP-101, 279, 320), appends what arrives and acknowledges it
// once it is flushed. A gap, an unknown stream or a base offset that is not the log's end appends nothing and
// subscribes again.
#ifndef STORAGE_STREAM_IN_H
#define STORAGE_STREAM_IN_H

#include "protos/storage.pb-c.h"
#include "replica.h"
#include "rpc/rpc.h"

struct streams_in;

struct streams_in *streams_in_new(struct partitions *partitions);

// Calls under way must have ended (rpc_close) and every replica must have been unfollowed.
void streams_in_destroy(struct streams_in **streams);

// The replica became a follower of state.leader, or its log became usable.
void streams_in_follow(struct streams_in *streams, struct replica *replica);
void streams_in_unfollow(struct replica *replica);

// The node was registered anew or its address changed: the stream to it starts over.
void streams_in_node_changed(struct streams_in *streams, int32_t node);

// Whether the connection to that leader was lost less than a lease ago and is not back. Later the controller
// has decided, or knows better.
bool streams_in_lost(const struct streams_in *streams, int32_t leader);

// done of a truncation of a replica's log: what is true now goes into its state machine, then it subscribes
// again.
void stream_in_truncated(struct log *log, enum status status, void *context);

// The rpc method a leader calls.
void streams_in_append(struct streams_in *streams, const Millrace__AppendRequest *request,
                       Millrace__AppendReply_Closure closure, struct rpc_call *call);

#endif
