// SPDX-License-Identifier: Apache-2.0
// A compacted log that several producers write transactions to, and what a read_committed consumer must see
// in it: random transactions, interleaved, committed, aborted, empty or left open, with tombstones and plain
// batches between them; reading as a Kafka client does, with the list of aborted transactions.
#ifndef TESTS_TXN_HELP_H
#define TESTS_TXN_HELP_H

#include "compact_help.h"

enum { TXN_ROWS_MAX = 8192, TXN_PRODUCERS = 4, TXN_KEYS = 10 };

enum txn_fate { TXN_OPEN, TXN_COMMITTED, TXN_ABORTED };

struct txn_row {
    int64_t offset;
    int key, version; // of the value; -1: tombstone
    int producer;     // -1: none
    enum txn_fate fate;
};

struct txn_producer {
    int64_t first; // of its open transaction, -1
    int32_t sequence;
    int16_t epoch;
};

struct txns {
    struct compact compact; // the set, its cleaning and the random numbers; its rows stay empty
    struct txn_row rows[TXN_ROWS_MAX];
    int count, versions;
    struct txn_producer producers[TXN_PRODUCERS];
    bool tombstones_gone; // of the cleaned part may be missing
};

// What a consumer saw, and what is in the log.
struct txn_view {
    int newest[TXN_KEYS]; // version read last, -1 tombstone, INT32_MIN none
    int aborted;          // records of aborted transactions that are still in the log
    int markers, empty;   // transaction markers, batches without records
    int entries;          // aborted transactions told by the index
};

void txns_init(struct txns *txns, uint64_t seed);
void txns_fini(struct txns *txns);

// Appends one batch of records; producer -1: outside of transactions. key -1: random ones.
void txns_write(struct txns *txns, int producer, int key);
void txns_end(struct txns *txns, int producer, bool commit);
// Random batches and markers; the log is flushed.
void txns_random(struct txns *txns, int batches);

// What the log's last stable offset must be with the watermark at its end.
int64_t txns_stable(const struct txns *txns);

// Reads everything below the stable end as a client does. Nothing aborted, open or unknown is seen; of each
// key the newest committed record is; below `clean` there are no records of aborted transactions.
struct txn_view txns_check(struct txns *txns, int64_t clean);

#endif
