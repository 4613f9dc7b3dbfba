// SPDX-License-Identifier: Apache-2.0
// Markers on their way to other nodes, of all transactions of a coordinator: what becomes due for a node
// within one turn of the loop goes there in one call, since many transactions end together when one append of
// a shard is committed (Kafka's TransactionMarkerChannelManager drains a queue per broker). Nothing waits for
// company: the call leaves at the next turn. See txn_markers.c, its only user.
#ifndef TXN_OUTBOX_H
#define TXN_OUTBOX_H

#include "cluster/contacts.h"
#include "txn_partitions.h"

struct txn_outbox;
struct txn_outbox_call;
struct txn_letter;

// How a transaction ended; the fields are those of Marker in protos/types.proto.
struct txn_marker {
    int64_t producer_id;
    int16_t producer_epoch;
    bool commit, raised;
    int32_t shard, owner_epoch;
    int64_t started_ms;
};

// status: one per partition of the letter, in txn_partitions_next's order, borrowed; NULL: nothing is known.
// The letter is the sender's again and may be freed.
typedef void txn_letter_fn(struct txn_letter *letter, const int32_t *status);

// What a transaction has to tell a node. Embedded in what the sender keeps; zero at first.
struct txn_letter {
    int32_t node;
    bool to_coordinator; // who takes it there: the owner of group shards, or leaders of partitions
    struct txn_marker marker;
    struct txn_partitions partitions; // not changed while it is on its way
    size_t bytes;                     // of their names and numbers in a message, at most TXN_LETTER_BYTES_MAX
    txn_letter_fn *done;
    struct txn_outbox_call *call; // the outbox's own: NULL, or what it goes in
    size_t place;
};

enum { TXN_LETTER_BYTES_MAX = 256 << 10 };

struct txn_outbox_options {
    struct env *env;
    struct rpc *rpc;
    const struct image *image;
    struct contacts *storages, *coordinators; // borrowed
};

struct txn_outbox *txn_outbox_new(const struct txn_outbox_options *options);
// No letter is on its way any more.
void txn_outbox_destroy(struct txn_outbox **outbox);

// done is called once, never from inside. alone: in a call of its own, for what has failed before: a call is
// answered when its last marker is, and a partition that does not get on is to hold up nobody else.
void txn_outbox_put(struct txn_outbox *outbox, struct txn_letter *letter, bool alone);

// done will not be called. Nothing is done for a letter that is not on its way.
void txn_outbox_cancel(struct txn_letter *letter);

#endif
