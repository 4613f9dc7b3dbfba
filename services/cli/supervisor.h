// SPDX-License-Identifier: Apache-2.0
// Keeps the daemons of a local cluster running until it is told to stop. See supervisor.c.
#ifndef CLI_SUPERVISOR_H
#define CLI_SUPERVISOR_H

#include "cluster.h"

struct supervisor_config {
    struct cluster *cluster;
    const struct cli_many *settings; // key=value for every daemon
    // Called once, when a first record can be produced.
    void (*on_ready)(struct cluster *cluster, int64_t after_ms, void *context);
    void *context;
};

// Starts the daemons, runs until SIGTERM, SIGINT or SIGHUP, then stops them in order. FAILED (after a
// message) when a daemon cannot start; its last log lines are shown.
enum cli_exit supervisor_run(const struct supervisor_config *config);

#endif
