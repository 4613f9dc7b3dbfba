// SPDX-License-Identifier: Apache-2.0
// Whether a producer's transaction may write to a partition (KIP-890). Before its first batch there goes in,
// the transaction's coordinator is asked: in the old flow whether the transaction is open and has the
// partition, in the new one to add it. So nothing that comes late opens a transaction that nobody ends. What
// was granted ends with the transaction's marker, and with leadership.
#ifndef STORAGE_ADMISSION_H
#define STORAGE_ADMISSION_H

#include "replica.h"

enum admission {
    ADMISSION_OPEN,  // the batch may go in now
    ADMISSION_WAITS, // the coordinator is being asked; storage_produce_advance is called when it has answered
    ADMISSION_REFUSED // *error says why
};

struct admission_ask {
    const struct batch_header *header; // of the batch
    struct slice transactional_id;
    bool add; // new flow
};

// What is known of the batch's transaction. Asks the coordinator when nothing is. *error: Kafka's, in the
// words of Produce: NOT_ENOUGH_REPLICAS when no answer came, which every client repeats;
// TRANSACTION_ABORTABLE: to be told to clients that know it, else INVALID_TXN_STATE.
enum admission admission_check(struct replica *replica, const struct admission_ask *ask, int16_t *error);

// The same without asking: whether the batch may go in right now.
bool admission_open(const struct replica *replica, const struct batch_header *header);

// Whether the coordinator is being asked for a batch of the producer: those that came behind it wait with it.
bool admission_asking(const struct replica *replica, int64_t producer_id);

// Whether the log's or the granted transaction of the producer began after the given time: a marker of a
// transaction that began then has been here already.
bool admission_newer(const struct replica *replica, int64_t producer_id, int64_t started_ms);

// The producer's transaction that began at the given time (-1: not known) has its marker: what was granted, or
// is being asked, is void. What a later one was granted stays: by that a further late marker is known.
void admission_end(struct replica *replica, int64_t producer_id, int64_t started_ms);

// All of it is void: the replica does not lead any more.
void admission_forget(struct replica *replica);

#endif
