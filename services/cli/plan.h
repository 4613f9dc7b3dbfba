// SPDX-License-Identifier: Apache-2.0
// Which daemons a local cluster is made of, with their ids and ports. See plan.c.
#ifndef CLI_PLAN_H
#define CLI_PLAN_H

#include "cluster.h"

enum { PLAN_KAFKA_PORT = 9092, PLAN_REST_PORT = 8081, PLAN_ROLE_MAX = 32 };

struct plan_wish {
    int64_t controllers, storages, coordinators; // 0: as before, else 1
    int64_t registries;                          // -1: as before, else 1 if its program is there
    int64_t kafka_port;                          // of storage node 1; 0: as before, else 9092
    int64_t rest_port;                           // of registry 1; 0: as before, else 8081
    bool free_ports;                             // Kafka and REST ports are free ones too
};

// Fills cluster->daemons; what it holds already (a former run) keeps ids and ports. A message is printed when
// it cannot be done: ports taken, or another number of controllers than the cluster was formed with.
enum cli_exit plan_make(const struct plan_wish *wish, struct cluster *cluster);

// Arguments of the daemon's program, NULL-terminated; freed by plan_args_free. settings: user's key=value.
char **plan_args(const struct cluster *cluster, const struct cluster_daemon *daemon, const char *program,
                 const struct cli_many *settings);
void plan_args_free(char **args);

#endif
