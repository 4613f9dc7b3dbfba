// SPDX-License-Identifier: Apache-2.0
// A transactional producer: transaction after transaction with one numbered record each to a partition of its
// own, two of three committed, in the old flow or in KIP-890's. Every request is sent again until its outcome
// is known; a transaction that timed out is aborted. What became of each is remembered for check_txn.c.
#ifndef SIM_TRANSACTOR_H
#define SIM_TRANSACTOR_H

#include "actor.h"

#define TRANSACTOR_TOPIC "x"

enum { TRANSACTORS = 2, TRANSACTOR_NUMBERS_MAX = 20000 };

enum transactor_state { TRANSACTOR_INIT, TRANSACTOR_LEADER, TRANSACTOR_ADD, TRANSACTOR_SEND, TRANSACTOR_END };

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
    bool finishing;                         // stop after the transaction under way
    bool committed[TRANSACTOR_NUMBERS_MAX]; // by number, of those that have ended
    struct buf batch;
};

void transactor_init(struct transactor *transactor, struct env *env, struct history *history, int index);

#endif
