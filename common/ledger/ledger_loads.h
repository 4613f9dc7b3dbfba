// SPDX-License-Identifier: Apache-2.0
// The ledgers of a process that are being loaded, in the order in which their logs were opened. They share
// what a turn of the loop may take for applying records, so that a process that gets a hundred shards at once
// keeps its lease and answers for those it has; the first in the list goes first, so that they become whole
// one after the other and not all at the end.
#ifndef LEDGER_LOADS_H
#define LEDGER_LOADS_H

#include "io/env.h"

struct ledger_loads;

enum {
    LEDGER_SLICE_US = 4000,     // (tune) applying in one turn ends after so long, of the 10 ms a turn has,
    LEDGER_SLICE_RECORDS = 4096 // or after so many records, where the clock stands still within a turn
};

// env is borrowed; metrics go to its registry: loads and their times, slices, records, how many are under
// way. Never NULL.
struct ledger_loads *ledger_loads_new(struct env *env);
// All ledgers that were made with it must have been destroyed.
void ledger_loads_destroy(struct ledger_loads **loads);

#endif
