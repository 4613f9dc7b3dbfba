// SPDX-License-Identifier: Apache-2.0
// Follow: every node reads the committed records from here, by offset, with a long poll; one that is too far
// behind gets a snapshot of the committed image in pieces.
#ifndef CONTROLLER_FEED_H
#define CONTROLLER_FEED_H

#include "cluster/image.h"
#include "io/env.h"
#include "protos/controller.pb-c.h"
#include "rpc/rpc.h"

struct feed;

struct feed *feed_new(struct env *env);
void feed_destroy(struct feed **feed);

// The image the snapshots are made of; its offset is the commit offset.
void feed_attach(struct feed *feed, const struct image *committed);

// A committed entry: count records at base_offset on, as varint length + bytes each; a no-op is one record of
// length 0.
void feed_append(struct feed *feed, int64_t base_offset, int count, struct block *records);
// Forgets everything kept: the image was replaced by a snapshot.
void feed_reset(struct feed *feed);
// Answers who waits for what was appended.
void feed_wake(struct feed *feed);

void feed_follow(struct feed *feed, const Millrace__FollowRequest *request,
                 Millrace__FollowReply_Closure closure, struct rpc_call *call);
int feed_waiting(const struct feed *feed);

#endif
