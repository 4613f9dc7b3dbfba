// SPDX-License-Identifier: Apache-2.0
// One shard of __share_group_state this process owns: a partition of it as a ledger, and what is kept of the
// share partitions whose keys fall into it. What is decided is pure (share_state.h); here it meets the
// ledger. Every record is a snapshot of one share partition, so that the topic is compacted like the other
// ledgers; updates that an Apache Kafka has written are read.
#ifndef SHARE_SHARD_H
#define SHARE_SHARD_H

#include "ledger/ledger.h"
#include "share_record.h"

struct share_shard;

struct share_shard_options {
    struct env *env;
    struct rpc *rpc;
    struct image *image;
    struct ledger_loads *loads; // borrowed
    int32_t partitions_max;     // share.partitions.per.shard.max
    int32_t index;              // partition of __share_group_state
    int32_t owner, owner_epoch;
    int64_t metadata_offset;
    void (*on_reset)(void *context, struct ledger *ledger); // as of shard.h
    void *context;
};

struct share_shard *share_shard_new(const struct share_shard_options *options);
void share_shard_destroy(struct share_shard **shard); // waits of the ledger end with ST_NOT_LEADER

const struct share_shard_options *share_shard_options(const struct share_shard *shard);
struct ledger *share_shard_ledger(struct share_shard *shard);
bool share_shard_ready(const struct share_shard *shard);
size_t share_shard_count(const struct share_shard *shard);
bool share_shard_has_room(const struct share_shard *shard); // for another share partition

// NULL when nothing is kept of it. Borrowed until something is written.
const struct share_state *share_shard_find(const struct share_shard *shard, const struct share_key *key);

// How a decision about the share partition begins.
struct share_desk share_shard_desk(const struct share_shard *shard, const struct share_key *key);

// Writes the whole state and applies it. ST_AGAIN: the ledger is full; ST_LIMIT: it is too large. next stays
// the caller's.
enum status share_shard_write(struct share_shard *shard, const struct share_key *key,
                              const struct share_state *next);
// Writes that nothing is known any more. ST_AGAIN as above.
enum status share_shard_bury(struct share_shard *shard, const struct share_key *key);

// The topic is gone from the cluster, and so is what is kept of its share partitions.
void share_shard_forget_topic(struct share_shard *shard, struct uuid topic);

#endif
