// SPDX-License-Identifier: Apache-2.0
// A client that commits growing offsets for a group without members and reads them back: what was
// acknowledged never goes back.
#ifndef SIM_COMMITTER_H
#define SIM_COMMITTER_H

#include "actor.h"

struct committer {
    struct actor actor; // first
    const char *group;
    int64_t next;         // offset to commit next
    int64_t acknowledged; // highest acknowledged, -1
    bool read_back;       // the next step reads instead of writing
    int reads;            // answers to OffsetFetch so far
};

void committer_init(struct committer *committer, struct env *env, struct history *history, const char *group);

#endif
