// SPDX-License-Identifier: Apache-2.0
// A transactional producer: transaction after transaction with one numbered record each to a partition of its
// own and its number as an offset of a group of its own, two of three committed, in the old flow or in
// KIP-890's. Every request is sent again until its outcome is known; a transaction that timed out is aborted.
// What became of each is remembered for check_txn.c; the group's offset is always the last committed number.
#ifndef SIM_TRANSACTOR_H
#define SIM_TRANSACTOR_H

#include "txn_requests.h"

enum { TRANSACTORS = 2, TRANSACTOR_NUMBERS_MAX = 20000 };

enum transactor_state {
    TRANSACTOR_INIT,
    TRANSACTOR_LEADER,
    TRANSACTOR_ADD, // old flow
    TRANSACTOR_SEND,
    TRANSACTOR_ADD_GROUP, // old flow
    TRANSACTOR_OFFSETS,
    TRANSACTOR_READ_OPEN, // now and then: what waits does not count
    TRANSACTOR_END,
    TRANSACTOR_READ // now and then
};

struct transactor {
    struct actor actor; // first
    int index;          // also of its partition
    bool new_flow;
    enum transactor_state state;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t sequence;
    int64_t next; // number of the transaction under way
    bool added;   // old flow: the coordinator knows the partition
    bool aborts;  // this one is to be aborted
    int leader_port;
    struct txn_request sent[TXN_KINDS];     // last
    int64_t last_committed;                 // -1: none
    int reads;                              // answers about the group's offset
    bool finishing;                         // stop after the transaction under way
    bool committed[TRANSACTOR_NUMBERS_MAX]; // by number, of those that have ended
};

void transactor_init(struct transactor *transactor, struct env *env, struct history *history, int index);

#endif
