// SPDX-License-Identifier: Apache-2.0
// The D and R lines of the oracle: defaults of every field, and which values Kafka refuses to write in a
// version that lacks the field (the opposite of ignorable).
#ifndef GOLDEN_RULES_H
#define GOLDEN_RULES_H

#include "base/arena.h"
#include "base/buf.h"
#include "kafka/codec.h"

struct rules {
    uint64_t defaults; // lines that hold
    uint64_t refusals;
    uint64_t missing; // our fields and absences that Kafka said nothing about
    bool seen;
    bool *skip;              // per message: not expected to be complete
    uint32_t *seen_defaults; // per message
    uint32_t *seen_refusals;
    struct arena arena;
    struct kafka_out out;
    struct buf text;
};

void rules_init(struct rules *rules);
void rules_fini(struct rules *rules);

// NULL when the line holds or is about a field or version we do not have; otherwise what we have instead.
const char *rules_check(struct rules *rules, int message, char **words, int count);

// Counts in `missing` and names what we declare without Kafka having confirmed it.
void rules_coverage(struct rules *rules);

#endif
