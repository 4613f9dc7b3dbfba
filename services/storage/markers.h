// SPDX-License-Identifier: Apache-2.0
// Transaction markers: the end of a producer's transaction is written into the log of a partition led here,
// as told by the transaction's coordinator or by an operator. Written twice it does no harm; what a former
// owner of the transaction says, or says of a transaction that is over, is not written.
#ifndef STORAGE_MARKERS_H
#define STORAGE_MARKERS_H

#include "partitions.h"
#include "protos/storage.pb-c.h"
#include "replica.h"

struct marker {
    int64_t producer_id;
    int16_t producer_epoch;
    bool commit;
    int32_t shard;       // partition of __transaction_state; -1: an operator says so
    int32_t owner_epoch; // becomes the marker's coordinator epoch
    int64_t started_ms;  // of the transaction, -1: not known
    bool raised;         // the epoch is above that of every batch of the transaction (KIP-890)
};

// ST_OK: committed, or there was nothing to do; ST_NOT_LEADER, ST_LOADING; ST_STALE: of a former owner;
// ST_INVALID: an operator names an older epoch of the producer; ST_AGAIN: not enough in-sync replicas, or no
// room; else the log's.
typedef void marker_fn(void *context, enum status status);

struct marker_wait { // embedded, zero at first
    struct wait wait;
    marker_fn *done;
    void *context;
};

// done is called once, perhaps from inside. Starts no flush: partitions_flush does.
void marker_write(struct replica *replica, const struct marker *marker, struct marker_wait *wait,
                  marker_fn *done, void *context);

struct markers; // calls under way, of a node

struct markers *markers_new(struct partitions *partitions);
void markers_destroy(struct markers **markers);

// WriteMarkers of the Storage service. Answered after 200 ms at the latest: ST_AGAIN also for what is not
// committed by then. Told again while it is under way it is not written again, but waited for.
void markers_serve(struct markers *markers, const Millrace__WriteMarkersRequest *request,
                   Millrace__WriteMarkersReply_Closure closure, struct rpc_call *call);

#endif
