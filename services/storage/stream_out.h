// SPDX-License-Identifier: Apache-2.0
// Leader's side of replication (step 6 of a record's way): one stream per follower node, which the follower
// opens and subscribes its partitions to. Appended batches are sent from the buffers they arrived in; what is
// no longer in memory is read on the pool and travels in a credit window of its own, so that catching up
// delays no acknowledgement. A moved watermark goes with the next data, at the latest 5 ms later; a heartbeat
// per stream keeps idle followers in sync.
#ifndef STORAGE_STREAM_OUT_H
#define STORAGE_STREAM_OUT_H

#include "protos/storage.pb-c.h"
#include "replica.h"
#include "rpc/rpc.h"

struct streams_out;

struct streams_out *streams_out_new(struct partitions *partitions);

// Calls under way must have ended (rpc_close).
void streams_out_destroy(struct streams_out **streams);

// The rpc methods a follower calls.
void streams_out_open(struct streams_out *streams, const Millrace__OpenStreamRequest *request,
                      Millrace__OpenStreamReply_Closure closure, struct rpc_call *call);
void streams_out_subscribe(struct streams_out *streams, const Millrace__SubscribeRequest *request,
                           Millrace__SubscribeReply_Closure closure, struct rpc_call *call);

// The leader's log has grown; streams_out_pump sends it.
void streams_out_changed(struct replica *replica);
void streams_out_pump(struct streams_out *streams);

// The watermark moved.
// Its log durably starts further on: followers are told within 5 ms and asked for theirs.
void streams_out_started(struct replica *replica);

void streams_out_watermark(struct replica *replica);

// Ends every subscription of the replica: it no longer leads in the epoch they were made in.
// A follower whose log its node cannot use: it subscribes anew when it can.
void streams_out_forget(struct replica *replica, int32_t follower);

void streams_out_drop(struct replica *replica);

// Tells the state machine which followers were heard of lately, before its clock ticks.
void streams_out_heard(struct replica *replica);

// Whether every follower in the ISR is subscribed on a stream that answers: then streams_out_heard can say at
// any time that an idle one has everything.
bool streams_out_carry(const struct replica *replica);

// Notices streams that have fallen silent: what they carry is watched from then on (watch.h).
void streams_out_silence(struct streams_out *streams, int64_t now_us, int64_t lag_max_us);

#endif
