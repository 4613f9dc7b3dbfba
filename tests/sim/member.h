// SPDX-License-Identifier: Apache-2.0
// A member of a classic group: joins, synchronises, heartbeats, joins again when told to. Two members of one
// generation never get the same assignment.
#ifndef SIM_MEMBER_H
#define SIM_MEMBER_H

#include "actor.h"

enum member_state_sim { MEMBER_JOIN, MEMBER_SYNC, MEMBER_BEAT };

struct member_sim {
    struct actor actor; // first
    const char *group;
    enum member_state_sim state;
    char id[128];
    int32_t generation;
    bool leads;
    char members[8][128]; // of the generation, when leading
    int member_count;
    int assignment;           // number given by the leader, -1: none
    int generations;          // joined so far
    struct member_sim *other; // of the same group, for the checker
};

void member_sim_init(struct member_sim *member, struct env *env, struct history *history, const char *group);

#endif
