// SPDX-License-Identifier: Apache-2.0
// The inside of a shard, shared by shard.c, shard_txn.c and expiry.c.
#ifndef SHARD_STATE_H
#define SHARD_STATE_H

#include "leap.h"
#include "shard.h"

struct shard {
    struct shard_options options;
    struct ledger *ledger;
    struct map groups;         // by id, struct shard_group
    struct shard_group *dirty; // to be written with the next batch, in the order of their change
    uint64_t order;            // of the last offset's record
    struct map txns;           // by producer id, struct shard_txn
    struct shard_check *checks;
    struct timer expiry;
    struct leap leap; // of retention
    bool deaf;        // see shard_deaf
};

// ---- shard.c ----
// Makes the group known when it is not; NULL when memory is short.
struct shard_group *shard_cell(struct shard *shard, struct slice group_id);

// Forgets the group.
void shard_drop(struct shard_group *cell);
// The record of a classic group; cell is gone unless it is converting.
void shard_bury_classic(struct shard_group *cell);

// ---- shard_consumer.c ----
// Puts an empty classic group in the place of the former one, whose record is buried. false: no memory.
bool shard_empty_classic(struct shard_group *cell);
// A group without members of the consumer protocol goes back to the classic one
// (group.consumer.migration.policy).
void shard_maybe_downgrade(struct shard_group *cell);
enum status shard_seal_consumer(struct shard_group *cell); // from inside the ledger's seal
void shard_bury_consumer(struct shard_group *cell);        // cell is gone unless it is converting
// A record of a consumer group; key: behind its type.
enum status shard_apply_consumer(struct shard *shard, int16_t type, struct slice key, struct slice value);

// ---- shard_streams.c ----
enum status shard_seal_streams(struct shard_group *cell); // from inside the ledger's seal
void shard_bury_streams(struct shard_group *cell);        // cell is gone
// A record of a streams group; key: behind its type.
enum status shard_apply_streams(struct shard *shard, int16_t type, struct slice key, struct slice value);

// ---- shard_share.c ----
// Share coordinators, of what is pending; and asks them about the rest when that is not certain.
void shard_share_tell(struct shard_group *cell);
void shard_share_drop(struct shard_group *cell); // what there is of a share group in the cell
enum status shard_seal_share(struct shard_group *cell);
void shard_bury_share(struct shard_group *cell); // cell is gone
enum status shard_apply_share(struct shard *shard, int16_t type, struct slice key, struct slice value);

// ---- shard_txn.c ----
void shard_apply_pending(void *context, const struct ledger_producer *producer, int64_t timestamp_ms,
                         struct slice key, struct slice value);
void shard_apply_marker(void *context, const struct ledger_producer *producer, bool commit);
void shard_forget_pending(struct shard_group *cell); // frees what waits in a group
// A removed offset takes along what waits for its partition.
void shard_drop_pending(struct shard_group *cell, struct slice topic, int32_t partition);
// The first of a group's offsets that wait, whatever it is; false when there is none.
bool shard_first_pending(const struct shard_group *cell, struct slice *topic, int32_t *partition);
void shard_forget_txns(struct shard *shard);

#endif
