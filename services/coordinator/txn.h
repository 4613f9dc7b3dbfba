// SPDX-License-Identifier: Apache-2.0
// One transactional id as a pure state machine: what it is goes in with a request or the clock, a step comes
// out that says what to write and what to tell. Nothing changes here: the step is written to
// __transaction_state, and applying the record is what changes the state (txn_record.h).
//
// The rules are Kafka's TransactionCoordinator's, in both flows: the old one, where a producer names every
// partition before it writes and keeps its epoch, and that of KIP-890 (transaction.version 2), where the
// storage nodes add partitions and every end raises the epoch, so that nothing delayed can meet a later
// transaction.
#ifndef TXN_H
#define TXN_H

#include "base/slice.h"
#include "kafka/errors.h"

enum txn_state { // as in Kafka's records (TransactionState)
    TXN_EMPTY = 0,
    TXN_ONGOING = 1,
    TXN_PREPARE_COMMIT = 2,
    TXN_PREPARE_ABORT = 3,
    TXN_COMPLETE_COMMIT = 4,
    TXN_COMPLETE_ABORT = 5
};

enum txn_flow { TXN_FLOW_OLD = 0, TXN_FLOW_NEW = 2 }; // ClientTransactionVersion

// Epochs from here on are not given to producers any more: the last one is kept to fence with.
enum { TXN_EPOCH_SPENT = INT16_MAX - 1 };

// Everything durable but the partitions.
struct txn_head {
    int64_t producer_id;
    int64_t previous_id; // the producer's id before the present one, -1
    int64_t next_id;     // ... and the one it goes on with when the transaction has ended, -1: the same
    int16_t epoch;
    int16_t last_epoch; // which the producer had before a bump it may not have heard of (KIP-360), -1
    enum txn_state state;
    enum txn_flow flow; // of the present or last transaction
    int32_t timeout_ms;
    int64_t updated_ms; // wall clock
    int64_t started_ms; // ... -1: none since the producer began; ascends from transaction to transaction
};

// Who asks.
struct txn_producer {
    int64_t id;
    int16_t epoch;
};

enum txn_set { TXN_SET_KEEP, TXN_SET_ADD, TXN_SET_CLEAR };

struct txn_step {
    int16_t error;    // for the client
    bool wants_id;    // nothing is decided: ask again with a fresh producer id
    bool write;       // `next` is to be written
    enum txn_set set; // what becomes of the partitions
    struct txn_head next;
    struct txn_producer told; // what the client goes on with
};

struct txn_init {
    int32_t timeout_ms;
    struct txn_producer expected; // what the producer had (KIP-360); id -1: it begins
};

// InitProducerId. head NULL: nothing is known of the transactional id. fresh_id: a producer id never used, or
// -1 (see wants_id). An open transaction is fenced: its abort is written and the client told
// CONCURRENT_TRANSACTIONS, as often as it asks until that is over. The timeout was checked by the caller.
struct txn_step txn_init(const struct txn_head *head, const struct txn_init *init, int64_t fresh_id,
                         int64_t now_ms);

// AddPartitionsToTxn, AddOffsetsToTxn, and what storage nodes add in the new flow. all_known: the transaction
// has the partitions already.
struct txn_step txn_add(const struct txn_head *head, struct txn_producer who, enum txn_flow flow,
                        bool all_known, int64_t now_ms);

// Whether the producer's transaction is open, for a storage node that has got a first batch of it (KIP-890
// part 1). in_it: it has the partition. TRANSACTION_ABORTABLE when it has not.
int16_t txn_verify(const struct txn_head *head, struct txn_producer who, bool in_it);

// EndTxn. In the new flow the producer is told what it goes on with, also for a repeated request.
struct txn_step txn_end(const struct txn_head *head, struct txn_producer who, bool commit, enum txn_flow flow,
                        int64_t fresh_id, int64_t now_ms);

// The open transaction is aborted although its producer did not ask (timeout, a successor): nothing that it
// still sends counts.
struct txn_step txn_fence(const struct txn_head *head, int64_t now_ms);

// All markers of a PREPARE state are written.
struct txn_step txn_complete(const struct txn_head *head, int64_t now_ms);

// Whether nothing has happened for so long that the id may be forgotten (transactional.id.expiration.ms).
bool txn_idle(const struct txn_head *head, int64_t expiration_ms, int64_t now_ms);

bool txn_ending(const struct txn_head *head);     // PREPARE_COMMIT or PREPARE_ABORT
const char *txn_state_text(enum txn_state state); // "PrepareCommit"
bool txn_state_known(int number);                 // whether a record may have it

#endif
