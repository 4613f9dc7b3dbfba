// SPDX-License-Identifier: Apache-2.0
// Owner epochs of internal ledgers: every shard (partition of an internal topic) has one owner among the live
// nodes of the role that owns that topic (coordinators; registries for _schemas and _dek_registry_keys); each
// assignment has an owner epoch one higher than the last.
#ifndef CONTROLLER_SHARDS_H
#define CONTROLLER_SHARDS_H

#include "state.h"

// Pure: owners[i] (-1: none) -> out[i], over the live nodes (ascending). A shard stays with its owner while
// that is alive and has no more than its share; the rest goes to whoever has least.
void shards_assign(const int32_t *owners, int32_t count, const int32_t *live, int live_count, int32_t *out);

// Whether nodes of the role own shards. They keep no data of their own.
bool shards_owned_by(Millrace__Role role);

enum shards_event {
    SHARDS_NONE,
    SHARDS_CAME, // the node becomes live
    SHARDS_DEAD, // it serves no more: its process is gone, or its lease has ended
    SHARDS_CUT   // it is fenced but may serve until its lease ends
};

// Adds the assignments that follow from the live nodes and what happens to one of them. A shard moves
// from an owner that may still serve in two steps: it is taken away, and given on by shards_give.
void shards_settle(struct controller *controller, struct decision *decision, enum shards_event event,
                   int32_t node);

// Gives shards that were taken away to their new owners, once nobody can be serving them any more.
void shards_give(struct controller *controller);

// Whether every shard has an owner, or there is nobody to own one: then only a change of the metadata makes
// shards_give decide anything.
bool shards_given(const struct controller *controller);

#endif
