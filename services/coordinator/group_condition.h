// SPDX-License-Identifier: Apache-2.0
// How the members of a classic group are doing: what people and `millrace why` ask when a group does not
// advance.
#ifndef GROUP_CONDITION_H
#define GROUP_CONDITION_H

#include "group.h"

struct group_condition {
    struct slice id, instance_id, client_id, client_host; // instance_id.data NULL: dynamic
    struct slice assignment;                              // empty while it has none
    // "stable"; "awaiting rejoin": a rebalance waits for its JoinGroup; "joined": it has come and waits for
    // the others; "awaiting sync": it has not asked for its assignment; "synced": it waits for the leader's
    // SyncGroup
    const char *state;
    int64_t heard_ms; // since it was last heard; -1: not watched (it waits for an answer of ours)
    int32_t session_ms, rebalance_ms;
};

// In the order they joined: start with *cursor = NULL; nothing may be changed meanwhile.
bool group_next_condition(const struct group *group, struct group_now now, struct map_entry **cursor,
                          struct group_condition *condition);

// Milliseconds until the phase of a rebalance under way ends without those that are missing; -1: none is
// under way, or it has no end of its own.
int64_t group_phase_left_ms(const struct group *group, struct group_now now);

#endif
