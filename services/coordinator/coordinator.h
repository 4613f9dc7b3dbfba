// SPDX-License-Identifier: Apache-2.0
// A coordinator: owner of shards of __consumer_offsets and __transaction_state as the controller assigns
// them. It follows the image, opens and closes shards, and serves the Coordinator rpc service (relayed Kafka
// requests). The daemon (main.c) and the simulator create one each.
//
// Life: coordinator_new, coordinator_start registers with the controller; shards open as the image says;
// coordinator_drain hands them over and leaves; coordinator_destroy frees.
#ifndef COORDINATOR_H
#define COORDINATOR_H

#include "base/buf.h"
#include "base/config.h"
#include "io/env.h"
#include "rpc/rpc.h"

struct coordinator;

extern const struct config_row coordinator_config_rows[];
extern const size_t coordinator_config_count;

struct coordinator_options {
    struct env *env;
    const struct config *config; // coordinator_config_rows and config_common_rows declared
    struct rpc *rpc;             // listening
    const char *rpc_endpoint;    // "tcp://host:port" others reach rpc at; copied
    uint64_t incarnation;
    // Going on would be wrong (refused by the controller): the process should end.
    void (*on_failed)(void *context, const char *why);
    void *context;
};

// INVALID: no controller is configured. A diagnostic line says more.
enum status coordinator_new(const struct coordinator_options *options, struct coordinator **coordinator);
enum status coordinator_start(struct coordinator *coordinator);
void coordinator_drain(struct coordinator *coordinator, void (*done)(void *context), void *context);
void coordinator_destroy(struct coordinator **coordinator);

// Whether it takes part in the cluster and every shard assigned to it is loaded; else why not.
bool coordinator_ready(struct coordinator *coordinator, struct buf *reason);
void coordinator_dump(struct coordinator *coordinator, struct buf *out);

#endif
