// SPDX-License-Identifier: Apache-2.0
// One seed from start to verdict.
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "history.h"

struct run_options {
    int fault_seconds; // virtual time under faults
    bool verbose;      // every diagnostic line to standard error
};

struct run_result {
    uint64_t seed;
    uint64_t trace;      // equal seeds give equal hashes
    char violation[400]; // "" when clean
    int64_t counters[COUNT_MAX];
};

void run_seed(uint64_t seed, const struct run_options *options, struct run_result *result);

#endif
