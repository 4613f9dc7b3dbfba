// SPDX-License-Identifier: Apache-2.0
// Owner epochs of internal ledgers: every shard (partition of an internal topic) has one owner among the live
// coordinators; each assignment has an owner epoch one higher than the last.
#ifndef CONTROLLER_SHARDS_H
#define CONTROLLER_SHARDS_H

#include "state.h"

// Pure: owners[i] (-1: none) -> out[i], over the live nodes (ascending). A shard stays with its owner while
// that is alive and has no more than its share; the rest goes to whoever has least.
void shards_assign(const int32_t *owners, int32_t count, const int32_t *live, int live_count, int32_t *out);

// Adds the assignments that follow from the live coordinators, one of them counting as gone (-1: none), one
// as live (-1: none).
void shards_settle(struct controller *controller, struct decision *decision, int32_t gone, int32_t came);

#endif
