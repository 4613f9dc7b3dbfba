// SPDX-License-Identifier: Apache-2.0
// One replica on this node: the state machine (partition.h), its log, and everything parked on it. Handlers
// append and read through here; the streams bring and take record bytes. All on the loop.
#ifndef STORAGE_REPLICA_H
#define STORAGE_REPLICA_H

#include "base/map.h"
#include "guard_cache.h"
#include "log/set.h"
#include "partition.h"
#include "wait.h"

struct partitions;

// How far the subscription of a follower at its leader is (stream_in.c).
enum replica_link {
    REPLICA_UNLINKED,   // not a follower, or nobody leads
    REPLICA_WANTED,     // to be subscribed
    REPLICA_ASKED,      // Subscribe is under way
    REPLICA_TRUNCATING, // cutting what the leader does not have
    REPLICA_LINKED      // batches arrive
};

// Effective topic settings the data path needs, refreshed when a config record changes them.
struct replica_settings {
    int32_t min_isr;           // min.insync.replicas
    int32_t message_bytes_max; // max.message.bytes, of a whole batch
    int64_t before_ms_max;     // message.timestamp.before.max.ms
    int64_t after_ms_max;      // message.timestamp.after.max.ms
    bool log_append_time;      // message.timestamp.type
    bool compacted;            // cleanup.policy contains compact
    bool deletes;              // cleanup.policy contains delete
    bool header_only;          // millrace.validate.records=header
    int32_t segment_bytes;     // segment.bytes: no batch may be larger
    bool repack;               // compression.type is not "producer" ...
    enum compression codec;    // ... but this
    int codec_level;           // compression.*.level of that codec
    struct guard_rules guard;  // confluent.* and millrace.*.schema.validation
};

// One for each partition, of which a node has many: what is small stands together.
struct replica {
    struct partitions *partitions;
    struct uuid topic_id;
    int32_t index;
    uint32_t subscription; // the last one asked for; entries of an older one are passed over
    bool internal;         // __consumer_offsets and its like: written by ledgers only
    bool closing;          // being removed: the log's deletion is under way
    bool missing;          // its log may be in a directory that is missing: it has none
    bool cutting;    // a truncation of the log is under way; nothing is served or subscribed until it is done
    bool balancing;  // it is being reassigned by the balancer (pace.c)
    bool watched;    // in the partitions' list, see watch.h
    bool isr_queued; // in isr.c's list
    char *topic;     // name, owned
    int64_t
        damaged_at; // offset from which records could not be read back, -1: none known; see replica_damaged
    struct partition state;
    int64_t role_us; // when it took its role or the leader epoch
    struct replica_settings settings;
    struct log *log;   // NULL while an older log of this name is being deleted; may be log_id_unread
    struct move *move; // to another directory, see moves.h; NULL: none

    struct wait_list commit_waits; // woken when the watermark reaches their offset
    struct wait_list flush_waits;  // ... when the own log is durable up to it
    struct wait_list check_waits;  // batches being validated and those behind them (produce.c)
    struct wait_list append_waits; // batches that found no room in memory, see replica_wait_room
    struct wait_list start_waits;  // ... when the own log durably starts at their offset
    struct wait_list low_waits;    // leader: ... when all live replicas' logs start there
    struct wait_list read_waits;   // long polls: woken at any move of the watermark

    struct wait room; // in the partitions' list while append_waits has some

    struct map grants; // leader: transactions that may write here, by producer id (admission.c)

    int32_t owner_epoch; // newest ledger owner epoch seen, -1: none

    enum replica_link link;
    struct replica *link_next, *link_previous; // list of the leader's stream
    struct stream_in *stream;

    struct subscription *subscriptions; // leader: who follows, stream_out.c's list

    struct refusal_past *refused; // leader: records refused for their schema; NULL: none yet

    struct replica *watch_next, *watch_previous; // see watched

    struct replica *isr_next; // see isr_queued
    int64_t isr_retry_us;     // not before, after a refusal
};

// Acts on what an event of the state machine changed (bits of enum partition_change): wakes waits, tells
// streams and the ISR queue.
void replica_act(struct replica *replica, int change);

// Whether this node may serve the replica as leader now: role, lease, log. ST_OK; ST_NOT_LEADER; ST_LOADING:
// an older log of that name is still being removed; else the log's status. claimed: leader epoch the client
// believes in, -1: no check; *fenced says which side is behind when ST_STALE is returned: true when the
// client's is lower.
enum status replica_lead(const struct replica *replica, int32_t claimed, bool *fenced);

// Whether this node may serve consumers' reads of the replica: as its leader, or as a follower up to its own
// watermark (KIP-392). Statuses as replica_lead; ST_NOT_LEADER: it is neither, or the lease is gone, so that
// consumers go back to the leader.
enum status replica_serve(const struct replica *replica, int32_t claimed, bool *fenced);

// Where the requested epoch ends, as the leader tells it (KIP-279): the largest epoch at or below it and its
// end. Unlike log_epoch_end it knows that the leader's own epoch has begun, also with no record in it, so
// that an epoch before it in which nothing was written is no unknown one. *epoch and *end are -1 for one to
// come.
void replica_epoch_end(const struct replica *replica, int32_t requested, int32_t *epoch, int64_t *end);

// Appends one batch as the leader: base offset and leader epoch are written into the block's bytes (the block
// must not be shared yet) and header. The caller has validated the batch. Starts no flush: partitions_flush
// does. Statuses as log_append.
enum status replica_append(struct replica *replica, struct block *block, size_t from, size_t len,
                           struct batch_header *header);

// The log's start has moved and that is durable: followers and whoever waits for it are told.
void replica_started(struct replica *replica);

// A follower, or who is alive, has changed: whoever waits for the low watermark may go on.
void replica_low_moved(struct replica *replica);

// Moves the log's start up to one the leader has; nothing happens at or below the present one.
void replica_raise_start(struct replica *replica, int64_t start);

// Moves the start of a replica that is led here (DeleteRecords). ST_OUT_OF_RANGE above the watermark. The end
// of the move is told by replica_started; a start at or below the present one is fine and does nothing.
enum status replica_delete_records(struct replica *replica, int64_t before);

// Parks what found the tail full (ST_LIMIT): woken, in the order of arrival, when any log has made room. The
// cap that was met may be the one of all logs together, and this one may have nothing under way.
void replica_wait_room(struct replica *replica, struct wait *wait, wait_fn *wake, void *context);

// The log was flushed, or failed (log_set's on_durable).
void replica_durable(struct replica *replica, enum status status);

// The log was offline and has been read anew: it ends where the disk says. The controller is told.
void replica_healed(struct replica *replica);

// Records at or behind offset could not be read back from the disk (ST_CORRUPT, ST_IO). The controller is
// told: where another member lives, this replica leaves the ISR and leadership, drops its log from that
// segment on and fills it again from the leader. With no other copy it goes on serving what is good.
// Idempotent.
void replica_damaged(struct replica *replica, int64_t offset, enum status why);

// Name for diagnostics: "topic-3"; valid until the next call on any replica of this process part.
const char *replica_name(const struct replica *replica);

#endif
