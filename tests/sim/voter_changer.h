// SPDX-License-Identifier: Apache-2.0
// An operator who changes the voters of the metadata quorum without rest (KIP-853): whoever follows is given
// a vote, whoever has one loses it, the active controller among them. One is always left.
#ifndef SIM_VOTER_CHANGER_H
#define SIM_VOTER_CHANGER_H

#include "actor.h"
#include "kafka/messages/describe_quorum.h"

enum { VOTER_CHANGER_MAX = 16 };

struct voter_changer_row {
    int32_t id;
    struct uuid directory;
};

struct voter_changer {
    struct actor actor;                                                            // first
    struct voter_changer_row voters[VOTER_CHANGER_MAX], others[VOTER_CHANGER_MAX]; // as described last
    int voter_count, other_count;
    bool described; // and not used yet
};

void voter_changer_init(struct voter_changer *changer, struct env *env, struct history *history);

#endif
