// SPDX-License-Identifier: Apache-2.0
// The requests of a transaction that may come late or twice, built from what they say; used by the transactor
// that means them and by who sends them once more (late.c).
#ifndef SIM_TXN_REQUESTS_H
#define SIM_TXN_REQUESTS_H

#include "actor.h"

#define TRANSACTOR_TOPIC "x"

enum txn_kind { TXN_PRODUCE, TXN_OFFSETS, TXN_END, TXN_KINDS };

struct txn_request {
    bool sent; // false: there is none
    bool new_flow;
    int32_t partition; // of TRANSACTOR_TOPIC
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t sequence; // TXN_PRODUCE
    int64_t number;   // the record, and the offset
    bool commit;      // TXN_END
};

// Transactional id and group of a flow's producer.
struct slice txn_request_id(bool new_flow);

void txn_request_send(struct actor *actor, enum txn_kind kind, const struct txn_request *request,
                      actor_answer_fn *answer);

#endif
