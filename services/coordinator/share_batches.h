// SPDX-License-Identifier: Apache-2.0
// What became of single records of a share partition (KIP-932), as __share_group_state keeps it: ranges of
// offsets with a state and a number of deliveries, ascending and apart from each other. No I/O.
#ifndef COORDINATOR_SHARE_BATCHES_H
#define COORDINATOR_SHARE_BATCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHARE_BATCHES_MAX = 65536 }; // of one share partition: more are refused

// As Kafka's RecordState numbers them; ACQUIRED (1) is never kept.
enum { SHARE_BATCH_AVAILABLE = 0, SHARE_BATCH_ACKNOWLEDGED = 2, SHARE_BATCH_ARCHIVED = 4 };

struct share_batch {
    int64_t first, last; // offsets, both belong to it
    int8_t state;
    int16_t deliveries;
};

struct share_batches {
    struct share_batch *items; // owned
    size_t count;
};

void share_batches_fini(struct share_batches *batches); // leaves it empty

// Whether they are ascending, apart, with states and numbers that are kept.
bool share_batches_valid(const struct share_batch *items, size_t count);

// Both together, from offset start on (-1: all). Where they overlap the larger number of deliveries counts,
// then the larger state (Kafka's PersisterStateBatchCombiner): so the order in which two writes arrive does
// not matter. Neighbours that are alike become one. out: overwritten, owned by the caller; both are valid.
void share_batches_merge(const struct share_batches *one, const struct share_batches *other, int64_t start,
                         struct share_batches *out);

#endif
