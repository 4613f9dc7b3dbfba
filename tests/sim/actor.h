// SPDX-License-Identifier: Apache-2.0
// A client of the simulated cluster: one connection at a time over conn/client, a timer, a step function.
// Every callback only records what came and starts the timer; the step decides what is next.
#ifndef SIM_ACTOR_H
#define SIM_ACTOR_H

#include "conn/client.h"
#include "history.h"

struct actor;
typedef void actor_step_fn(struct actor *actor);
// answer is NULL when the call failed (the connection is gone then).
typedef void actor_answer_fn(struct actor *actor, const struct conn_answer *answer);

struct actor {
    struct env *env;
    struct history *history;
    struct prng prng;
    actor_step_fn *step;
    actor_answer_fn *answer;
    struct timer timer;
    int patience_ms; // a call without an answer fails then
    struct conn_client *client;
    int port;         // of client
    bool broken;      // the connection is to be dropped before the next call
    bool busy;        // a call or a connect is under way
    bool stopped;     // no more steps
    const int *ports; // of the storage nodes
    int port_count;
};

void actor_init(struct actor *actor, struct env *env, struct history *history, actor_step_fn *step);

// Runs step after delay_ms, unless it is stopped.
void actor_again(struct actor *actor, int64_t delay_ms);

// True when the connection to port is ready; else makes it and runs step again later.
bool actor_link(struct actor *actor, int port);

// One request over the ready connection; answer runs, then step must be asked for by it.
void actor_call(struct actor *actor, int16_t api, int16_t version, const void *body, actor_answer_fn *answer);

// Any storage node's port, by the actor's own luck.
int actor_any_port(struct actor *actor);

#endif
