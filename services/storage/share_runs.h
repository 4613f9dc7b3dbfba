// SPDX-License-Identifier: Apache-2.0
// The records of a share partition that are on their way (KIP-932), as runs: neighbours that have the same
// state, number of deliveries, member and lock are one entry, however many they are. Runs lie end to end
// without gaps. What is over is joined with its neighbours whatever its end was, so that at most two entries
// are kept per record that is still on its way. No I/O and no clock. For share_partition.h only.
#ifndef STORAGE_SHARE_RUNS_H
#define STORAGE_SHARE_RUNS_H

#include "base/map.h"

#include <stdbool.h>
#include <stdint.h>

// As Kafka's RecordState numbers them, also in the records of __share_group_state, where ACQUIRED never is.
enum share_state { SHARE_AVAILABLE = 0, SHARE_ACQUIRED = 1, SHARE_ACKNOWLEDGED = 2, SHARE_ARCHIVED = 4 };

struct share_fate {
    enum share_state state;
    int16_t deliveries; // so far
};

// A member while it holds records.
struct share_member {
    struct slice id; // owned
    int64_t runs;    // it holds
};

struct share_run {
    struct share_run *previous, *next;
    int64_t first, last; // offsets, both belong to it
    struct share_fate fate;
    struct share_member *member; // ACQUIRED only, else NULL
    int64_t deadline_ms;         // ACQUIRED only: when its lock ends
    int64_t write;               // the write that will end it, 0: none
    struct share_fate outcome;   // with a write: what it becomes then
    bool dies;                   // with a write: it waits for a dead letter first, maybe for long
};

struct share_runs {
    struct share_run *head, *tail;
    struct map members;                // by id
    int64_t available, acquired, over; // records
};

void share_runs_init(struct share_runs *runs, uint64_t seed); // seed: for the hash table
void share_runs_fini(struct share_runs *runs);

bool share_state_over(enum share_state state); // ACKNOWLEDGED or ARCHIVED

// A run behind the last one; first <= last. state: not ACQUIRED.
struct share_run *share_runs_append(struct share_runs *runs, int64_t first, int64_t last,
                                    struct share_fate fate);

// Splits the run so that one of exactly those of its offsets remains that lie in [first, last]; at least one
// does. Returns it.
struct share_run *share_runs_cut(struct share_runs *runs, struct share_run *run, int64_t first, int64_t last);

// Gives the run to a member (id is copied) until deadline_ms.
void share_runs_lock(struct share_runs *runs, struct share_run *run, struct slice member, int16_t deliveries,
                     int64_t deadline_ms);

// Ends a lock, or what was available. fate.state: not ACQUIRED. A write that was awaited is so no more.
void share_runs_settle(struct share_runs *runs, struct share_run *run, struct share_fate fate);

void share_runs_remove(struct share_runs *runs, struct share_run *run);

// Joins neighbours that are alike, everywhere. Pointers to runs are invalid afterwards.
void share_runs_join(struct share_runs *runs);

// NULL when the member holds nothing.
struct share_member *share_runs_member(const struct share_runs *runs, struct slice id);

#endif
