// SPDX-License-Identifier: Apache-2.0
// A registry's requests under way (work.c) without a cluster around them: a clock and jobs that go on when
// the test says so, no topic yet, no owner.
#ifndef WORK_WORLD_H
#define WORK_WORLD_H

#include "registry_own.h"

enum { WORK_WORLD_CALLS = 1200 };

// A request, and what became of it.
struct work_ask {
    struct call call;
    char *body;
    bool done;
    int code;
    bool there_only; // as it was in the call when it was done
    char answer[200];
};

struct work_world {
    struct env env; // first
    struct metric_registry metrics;
    struct transport transport; // nobody calls
    int64_t now_us;
    struct timer *timers[2 * WORK_WORLD_CALLS];
    int timer_count;
    struct job *first, **end;
    struct config *config;
    struct registry registry;
    struct ledger *ledger; // its own, never open; NULL: it owns nothing
    struct work_ask asks[WORK_WORLD_CALLS];
    int ask_count;
};

void work_world_open(struct work_world *world);
void work_world_close(struct work_world *world);

// The registry owns the schemas from now on. Nothing it writes leaves until work_world_land.
void work_world_own(struct work_world *world);
// So much waits to be committed that the ledger is full.
void work_world_fill(struct work_world *world);
// What was written is committed, and there is room.
void work_world_land(struct work_world *world);

// Asks for an operation on a subject. The body is the caller's no more.
struct work_ask *work_world_ask_take(struct work_world *world, const char *operation, const char *subject,
                                     char *body);
// Runs the job that was first submitted; false: there is none.
bool work_world_job(struct work_world *world);
// Moves the clock and fires what is due.
void work_world_wait(struct work_world *world, int64_t ms);
int work_world_jobs(const struct work_world *world); // that are there to be run

// A registration's body of about so many bytes; numbers make different schemas.
char *work_world_body(int number, size_t bytes);

#endif
