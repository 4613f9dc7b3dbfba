// SPDX-License-Identifier: Apache-2.0
// The controller: a Raft quorum that holds the cluster's metadata (design section 5). One object per process;
// main.c hands it to the daemon skeleton, the simulator makes several. It serves protos/controller.proto on
// the rpc it is given.
#ifndef CONTROLLER_CONTROLLER_H
#define CONTROLLER_CONTROLLER_H

#include "base/config.h"
#include "io/env.h"
#include "rpc/rpc.h"

struct controller;

extern const struct config_row controller_config_rows[];
extern const size_t controller_config_count;

struct controller_options {
    struct env *env;
    const struct config *config; // config_common_rows and controller_config_rows declared
    struct rpc *rpc;             // listening
    const char *rpc_endpoint;    // "tcp://host:port" others reach it at; copied
    void *context;
    // Going on would be wrong (a failed disk, a damaged log): the process must end. why: for people.
    void (*on_fail)(void *context, const char *why);
};

// Opens the data directory (metadata.log.dir) and reads it; blocking. The reason of a failure is a diag line.
enum status controller_new(const struct controller_options *options, struct controller **controller);
// Serves, votes, forms the cluster when it is new.
void controller_start(struct controller *controller);
// Hands leadership to another voter when there is one; done is called once, later or at once.
void controller_drain(struct controller *controller, void (*done)(void *context), void *context);
void controller_destroy(struct controller **controller);

// Whether metadata can be read here: the cluster is formed and a leader is known; else the reason.
bool controller_ready(const struct controller *controller, struct buf *reason);
// Lines "key=value" about this controller.
void controller_dump(const struct controller *controller, struct buf *out);

// Whether this one is the active controller; for tests and the simulator.
bool controller_active(const struct controller *controller);
int64_t controller_term(const struct controller *controller); // Raft's; 0 before the cluster is formed
struct image;
// What is committed here.
const struct image *controller_image(const struct controller *controller);

#endif
