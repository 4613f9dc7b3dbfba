// SPDX-License-Identifier: Apache-2.0
// Sends requests of the transactors once more, up to a second and a half later (KIP-890): what has come
// before, or is of a transaction that is over, changes nothing. In the old flow, where nothing but the epoch
// tells transactions apart, only what is of an epoch that has been fenced since.
#ifndef SIM_LATE_H
#define SIM_LATE_H

#include "transactor.h"

struct late {
    struct actor actor;                   // first
    const struct transactor *transactors; // TRANSACTORS of them
    int whose;                            // of the request
    enum txn_kind kind;
    struct txn_request request;
    int port;
};

void late_init(struct late *late, struct env *env, struct history *history,
               const struct transactor *transactors);

#endif
