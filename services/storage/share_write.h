// SPDX-License-Identifier: Apache-2.0
// What a change of a share partition has to write into __share_group_state before it counts (KIP-932):
// StateBatches of Kafka's ShareUpdateValue and of the requests between nodes that carry them. The epochs of
// state and leader are added by whoever sends it; he sends the writes of a partition in order.
#ifndef STORAGE_SHARE_WRITE_H
#define STORAGE_SHARE_WRITE_H

#include "share_runs.h"

#include <stddef.h>

// Why records are given up, for the dead-letter topic; not part of what is written.
enum share_death { SHARE_NO_DEATH, SHARE_REJECTED, SHARE_WORN_OUT };

struct share_batch {
    int64_t first, last; // offsets, both belong to it
    struct share_fate fate;
    enum share_death death;
};

struct share_write {
    int64_t number;      // for share_partition_written; 0: nobody waits for it, it need not succeed
    int64_t dead_number; // the same of the records that are given up
    int64_t start_offset;
    int32_t delivery_complete;   // records at or behind the start that are over, this write's included
    struct share_batch *batches; // ascending; owned
    size_t count, room;
};

// Empty: no batches, number 0. To be ended with share_write_fini however it was filled.
void share_write_init(struct share_write *write);
void share_write_fini(struct share_write *write);

// Moves the batches that are given up into dead, which is empty, with their number.
void share_write_split(struct share_write *write, struct share_write *dead);

// Adds a batch behind the others; one that goes on where the last one ended with the same fate and death
// becomes part of it. No more batches than the partition has runs can come together.
void share_write_add(struct share_write *write, const struct share_batch *batch);

#endif
