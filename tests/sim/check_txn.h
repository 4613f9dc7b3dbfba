// SPDX-License-Identifier: Apache-2.0
// What became of the transactors' transactions, by the log at the end: every committed one is there once and
// in order, no aborted one counts, none is left open.
#ifndef SIM_CHECK_TXN_H
#define SIM_CHECK_TXN_H

#include "check.h"
#include "transactor.h"

void check_transactions(struct check *check, const struct transactor *transactor);

#endif
