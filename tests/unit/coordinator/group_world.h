// SPDX-License-Identifier: Apache-2.0
// A group under test with a clock and clients whose answers are kept. Used by the test_group_*.c files.
#ifndef GROUP_WORLD_H
#define GROUP_WORLD_H

#include "group.h"
#include "group_record.h"

#include <stdio.h>

enum { WORLD_MS = 1000 };

// One request and what was answered to it.
struct ask {
    bool answered;
    int16_t error;
    int32_t generation;
    int members; // number of members told, -1: none
    bool skip_assignment;
    char member_id[128], leader[128], protocol[64], type[64], assignment[64];
};

struct world {
    struct group *group;
    struct group_settings settings;
    struct group_sink sink;
    struct group_now now;
    struct buf record; // as last written
    int ids;           // given out
};

void world_init(struct world *world);
void world_fini(struct world *world);

// Lets the time pass, ticking whenever the group wants it.
void world_pass(struct world *world, int64_t ms);

// Writes the record when the group wants it, as a shard does at the end of a turn.
void world_write(struct world *world);

// The owner fails: what a new one reads from the record goes on. Parked answers are lost.
void world_take_over(struct world *world);

// A client's options for joining; zero fields get defaults.
struct client {
    const char *id, *instance, *type, *protocols; // protocols: "range=meta,other=meta"
    int version, session_ms, rebalance_ms;
};
void world_join(struct world *world, struct client client, struct ask *ask);
// KIP-394 both ways: asks for an id, joins with it. id gets the member id.
void world_join_new(struct world *world, struct client client, char id[128], struct ask *ask);

// assignments: "member=bytes,member=bytes" or NULL
void world_sync(struct world *world, const char *id, int32_t generation, const char *assignments,
                struct ask *ask);
int16_t world_heartbeat(struct world *world, const char *id, int32_t generation);
int16_t world_leave(struct world *world, const char *id, const char *instance);
int16_t world_commit(struct world *world, const char *id, int32_t generation);

// A stable group of generation 1 with n members (at most 4) "m1".. whose assignments are "a1"..; m1 leads.
void world_stable(struct world *world, int n, char ids[][128]);

#endif
