// SPDX-License-Identifier: Apache-2.0
// The inside of a shard, shared by shard.c and expiry.c.
#ifndef SHARD_STATE_H
#define SHARD_STATE_H

#include "shard.h"

struct shard {
    struct shard_options options;
    struct ledger *ledger;
    struct map groups;         // by id, struct shard_group
    struct shard_group *dirty; // to be written with the next batch, in the order of their change
    struct timer expiry;
    int64_t checked_wall_ms, checked_ms; // both clocks at the last look at retention
    int64_t paused_until_ms;             // retention rests until then (monotonic)
};

#endif
