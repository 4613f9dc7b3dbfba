// SPDX-License-Identifier: Apache-2.0
// One shard of __transaction_state this process owns: a partition of it as a ledger, and the transactional
// ids that fall into it. The decisions are pure (txn.h); here they meet the ledger and the clock, and what
// ended is told to the logs (txn_markers.h).
#ifndef TXN_SHARD_H
#define TXN_SHARD_H

#include "base/block.h"
#include "ledger/ledger.h"
#include "txn.h"
#include "txn_outbox.h"
#include "txn_partitions.h"

struct txn_shard;
struct txn_marker_call;

struct txn_settings {
    int32_t timeout_ms_max;      // transaction.max.timeout.ms
    int64_t expiration_ms;       // transactional.id.expiration.ms
    int64_t expiration_check_ms; // transaction.remove.expired.transaction.cleanup.interval.ms
    int32_t ids_max;             // transactional.ids.per.shard.max
};

// Embedded in what waits for the end of a transaction. again: it has ended; false: the shard is lost.
struct txn_hold {
    void (*done)(struct txn_hold *hold, bool again);
    struct txn_hold *next;
};

// How far a PREPARE state has come; txn_markers.c's own.
struct txn_marking {
    struct ledger_wait wait;       // until PREPARE is committed
    struct txn_partitions open;    // partitions without their marker
    struct txn_marker_call *calls; // of this round, without an answer
    int retry_ms;
};

// A transactional id.
struct txn_cell {
    struct txn_shard *shard;
    struct block *id;
    struct txn_head head;
    struct txn_partitions partitions;
    struct timer timer; // ONGOING: its time-out; PREPARE: the next attempt at markers
    struct txn_marking marking;
    struct txn_hold *holds;
    int hold_count;
};

struct txn_shard_options {
    struct env *env;
    struct rpc *rpc;
    struct image *image;
    struct ledger_loads *loads;          // borrowed
    const struct txn_settings *settings; // borrowed
    struct txn_outbox *outbox;           // borrowed: for markers
    int32_t index;                       // partition of __transaction_state
    int32_t owner, owner_epoch;
    int64_t metadata_offset;
    // The state is dropped: requests parked on its account must be failed, ledger waits have ended.
    void (*on_reset)(void *context, struct ledger *ledger);
    void *context;
};

struct txn_shard *txn_shard_new(const struct txn_shard_options *options);
// Waits of the ledger end with ST_NOT_LEADER; holds end.
void txn_shard_destroy(struct txn_shard **shard);

const struct txn_shard_options *txn_shard_options(const struct txn_shard *shard);
struct ledger *txn_shard_ledger(struct txn_shard *shard);
bool txn_shard_ready(const struct txn_shard *shard);
size_t txn_shard_count(const struct txn_shard *shard);
bool txn_shard_has_room(const struct txn_shard *shard); // for another transactional id

// NULL when nothing is known of the id.
struct txn_cell *txn_shard_find(const struct txn_shard *shard, struct slice id);
// Ids in the order they became known: start with *cursor = NULL; nothing may be changed meanwhile.
bool txn_shard_next(const struct txn_shard *shard, struct map_entry **cursor, struct txn_cell **cell);

// Writes step->next of the id and applies it; added: with TXN_SET_ADD. ST_AGAIN: the ledger is full;
// ST_LIMIT: too many partitions in one transaction. Nothing is done then.
enum status txn_shard_write(struct txn_shard *shard, struct slice id, const struct txn_step *step,
                            const struct txn_partitions *added);

// Holds until the cell's transaction has ended. false: too many wait already.
bool txn_cell_hold(struct txn_cell *cell, struct txn_hold *hold);

// All markers are written: COMPLETE follows (txn_markers.c).
void txn_cell_marked(struct txn_cell *cell);

int64_t txn_shard_wall_ms(const struct txn_shard *shard);

#endif
