// SPDX-License-Identifier: Apache-2.0
// Where logs led here begin and end, and when the record at an offset was written: what coordinators make the
// lag of groups of. Nothing is changed by it.
#ifndef STORAGE_POSITIONS_H
#define STORAGE_POSITIONS_H

#include "partitions.h"
#include "protos/storage.pb-c.h"

struct positions; // calls under way, of a node
struct storage;

// storage is asked for its share groups while it has some; both outlive it.
struct positions *positions_new(struct partitions *partitions, const struct storage *storage);
// Calls under way fail with CLOSED.
void positions_destroy(struct positions **positions);

// Positions of the Storage service. A time that is not in memory is read on the pool, one batch per partition
// asked; LIMIT above 256 partitions bounds that.
void positions_serve(struct positions *positions, const Millrace__PositionsRequest *request,
                     Millrace__PositionsReply_Closure closure, struct rpc_call *call);

#endif
