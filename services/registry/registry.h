// SPDX-License-Identifier: Apache-2.0
// A schema registry process. Any number of them serve one cluster: the controller names one of them owner of
// `_schemas` (a ledger, as a coordinator's shards are); it decides and writes. The others read along
// (ledger/tail.h), answer what only reads from memory, and pass writes on to the owner. The daemon (main.c)
// and the simulator create one each.
//
// Life: registry_new, registry_start registers with the controller; registry_drain hands over and leaves;
// registry_destroy frees.
#ifndef REGISTRY_REGISTRY_H
#define REGISTRY_REGISTRY_H

#include "io/env.h"
#include "operations.h"
#include "rpc/rpc.h"

struct registry;

struct registry_options {
    struct env *env;
    const struct config *config; // registry_config_rows and config_common_rows declared
    struct rpc *rpc;             // listening
    const char *rpc_endpoint;    // "tcp://host:port" others reach rpc at; copied
    uint64_t incarnation;
    // Going on would be wrong (refused by the controller): the process should end.
    void (*on_failed)(void *context, const char *why);
    void *context;
};

// INVALID: no controller is configured. A diagnostic line says more.
enum status registry_new(const struct registry_options *options, struct registry **registry);
enum status registry_start(struct registry *registry);
void registry_drain(struct registry *registry, void (*done)(void *context), void *context);
void registry_destroy(struct registry **registry);

const struct settings *registry_settings(const struct registry *registry);

// Whether it takes part in the cluster and has read all of `_schemas`; else why not.
bool registry_ready(struct registry *registry, struct buf *reason);
void registry_dump(struct registry *registry, struct buf *out);

// ---- requests ----
struct registry_work;

// Called once, with the answer in call (code, reply, plain); also from inside registry_run.
typedef void registry_fn(struct call *call, void *context);

// Runs call->operation: here, or at the owner, whichever it takes, within REGISTRY_RUN_MS. The call (request
// part filled in) and what it points at are the caller's and stay valid until done. Never NULL while under
// way, NULL when done was called already.
enum { REGISTRY_RUN_MS = 10000 };
struct registry_work *registry_run(struct registry *registry, struct call *call, registry_fn *done,
                                   void *context);
// The same for a caller that waits until deadline_us, on env_now_us's clock.
struct registry_work *registry_run_until(struct registry *registry, struct call *call, int64_t deadline_us,
                                         registry_fn *done, void *context);

#endif
