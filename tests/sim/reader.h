// SPDX-License-Identifier: Apache-2.0
// A consumer that reads every partition from every node, leader or follower, from the first record to the
// last, again and again. Whatever was read once is at its offset for ever, and no damaged byte is ever read.
#ifndef SIM_READER_H
#define SIM_READER_H

#include "actor.h"

struct reader {
    struct actor actor; // first
    int node, partition;
    int64_t offset; // to be read next
    int failures;   // in a row, at this place
};

void reader_init(struct reader *reader, struct env *env, struct history *history);

#endif
