// SPDX-License-Identifier: Apache-2.0
// A whole coordinator under test between a scripted controller and one storage node that keeps the ledgers'
// logs in memory and relays requests to it: real rpc over loopback, one loop. A second life of the
// coordinator on the same logs is a take-over.
#ifndef DESK_H
#define DESK_H

#include "coordinator.h"
#include "io/env_posix.h"
#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "protos/controller.pb-c.h"
#include "protos/records_metadata.pb-c.h"
#include "protos/storage.pb-c.h"

enum { DESK_SHARDS = 4, DESK_BATCHES = 400, DESK_NODE = 11, DESK_MARKER_PARTS = 64 };

struct desk_log {
    struct block *batches[DESK_BATCHES];
    int64_t base[DESK_BATCHES];
    int count;
    int64_t log_end;
};

struct desk {
    struct env *env;
    struct env_ops ops;              // the real ones, but for the wall clock
    struct transport *transports[3]; // coordinator, controller, storage
    struct rpc *rpcs[3];
    char endpoints[3][64];
    Millrace__Controller_Service controller;
    Millrace__Storage_Service storage;
    struct buf metadata; // records of the metadata log
    int64_t metadata_count;
    struct rpc_call *follow; // held long poll
    Millrace__FollowReply_Closure follow_closure;
    int64_t follow_offset;
    struct desk_log logs[DESK_SHARDS];       // of __consumer_offsets
    struct desk_log txn_logs[DESK_SHARDS];   // of __transaction_state
    struct desk_log share_logs[DESK_SHARDS]; // of __share_group_state
    bool silent;                             // the metadata log is not told
    bool heartbeats_refused;                 // the controller is away
    int32_t lease_ms;
    bool appends_held;                       // appends are not answered (and not written)
    int32_t held_shard;                      // the same for this one of __consumer_offsets; -1: none
    bool opens_held;                         // ledgers cannot be opened
    bool markers_refused;
    int64_t refused_producer; // its markers are; -1: nobody's
    int32_t late_partition;   // its markers are not committed in time; -1: none's
    // Of every partition asked about: begins, ends, and when each record was written.
    int64_t position_start, position_end, position_time;
    int position_calls, position_times; // seen; partitions whose record's time was wanted
    enum status position_status;
    int64_t share_start; // of the share group asked about, if the leader serves one; 0: it does not
    bool positions_held; // are not answered before desk_positions
    struct rpc_call *positions_call;
    Millrace__PositionsReply_Closure positions_closure;
    size_t positions_count;
    int markers;      // calls that brought some
    int markers_most; // transactions in the largest of them
    struct desk_marker {
        int64_t producer_id;
        int32_t epoch, owner_epoch, partitions;
        bool commit;
    } marker; // the last one
    int64_t next_producer_id;
    struct config *config;
    struct coordinator *coordinator;
    struct rpc_peer *peer; // of the storage node to the coordinator
    int owner_epoch;
    int coordinators; // lives so far
    uint64_t relay_id;
};

void desk_start(struct desk *desk);
void desk_stop(struct desk *desk);
// The coordinator dies without a word; a new one owns its shards with the next owner epoch.
void desk_take_over(struct desk *desk);
// All shards belong to that node from now on, with the next owner epoch.
void desk_assign(struct desk *desk, int32_t owner);
void desk_turns(struct desk *desk, int ms);
// The wall clock is that far ahead of (behind) the real one from now on.
void desk_set_clock(int64_t ahead_ms);

// Answers what positions_held held back.
void desk_positions(struct desk *desk);

// A topic of 2 partitions known to the cluster, or its removal.
void desk_topic(struct desk *desk, uint8_t id, const char *name);
void desk_topic_of(struct desk *desk, uint8_t id, const char *name, int partitions);
// A feature has that level from now on; those nobody has set are then at 0.
void desk_feature(struct desk *desk, const char *name, int level);
void desk_topic_gone(struct desk *desk, uint8_t id);
void desk_put(struct desk *desk, Millrace__MetadataRecord *record); // version is set here

// One relayed request. Begin with desk_send; answered once status is not ST_AGAIN.
struct desk_call {
    struct desk *desk;
    const struct kafka_api *api;
    int16_t version;
    int32_t correlation_id;
    uint64_t relay_id;
    enum status status;
    struct block *bytes;
    struct arena arena;
    void *response; // decoded, in the arena
};
void desk_send(struct desk *desk, struct desk_call *call, int16_t key, int16_t version, const void *body);
// The same with its last byte missing.
void desk_send_damaged(struct desk *desk, struct desk_call *call, int16_t key, int16_t version,
                       const void *body);
// Turns until it is answered (at most 5 s) and returns the decoded response; fails the test otherwise.
void *desk_await(struct desk_call *call);
enum status desk_outcome(struct desk_call *call); // the same for calls that may fail
void desk_done(struct desk_call *call);
void desk_cancel(struct desk_call *call);

#endif
