// SPDX-License-Identifier: Apache-2.0
// What the files of the share partition have in common. Theirs only.
#ifndef STORAGE_SHARE_STATE_H
#define STORAGE_SHARE_STATE_H

#include "share_partition.h"

// After runs have changed: the start moves over what is over, neighbours that are alike are joined. Pointers
// to runs are invalid afterwards.
void share_partition_settled(struct share_partition *partition);

// Start offset and count of a write whose batches are complete.
void share_write_finish(const struct share_partition *partition, struct share_write *write);

// The run's lock counts (again), and no write is awaited for it.
void share_lock_goes_on(struct share_partition *partition, struct share_run *run);

// The run becomes that once the write is made, which gets a number (for a death: dead_number) if it has none.
void share_run_await(struct share_partition *partition, struct share_run *run, struct share_fate outcome,
                     enum share_death death, struct share_write *write);

// What a record becomes that was delivered so often and comes back: available, or archived at the limit.
struct share_fate share_fate_undelivered(const struct share_partition *partition, int16_t deliveries);

#endif
