// SPDX-License-Identifier: Apache-2.0
// Three controllers, or five whose voters change, three storage nodes, two coordinators and, in every other
// seed, three registries in the simulated world, each on a machine of its own: the daemons' own libraries,
// put together as their main.c does.
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include "base/config.h"
#include "history.h"
#include "rpc/rpc.h"

// The services' headers have types of the same names; each file includes those it uses.
struct controller;
struct storage;
struct coordinator;
struct registry;
struct partitions;

enum {
    CLUSTER_CONTROLLERS_MAX = 5,
    CLUSTER_STORAGE = 3,
    CLUSTER_COORDINATORS = 2,
    CLUSTER_REGISTRIES = 3, // in seeds that have any
    CLUSTER_LEDGERS = 4     // partitions of __consumer_offsets
};

enum daemon_kind { DAEMON_CONTROLLER, DAEMON_STORAGE, DAEMON_COORDINATOR, DAEMON_REGISTRY };

struct cluster;

struct daemon_sim {
    struct cluster *cluster;
    enum daemon_kind kind;
    int index;       // among its kind
    int32_t node_id; // configured
    int rpc_port, kafka_port;
    struct machine *machine;
    bool begun;              // it has been started before
    struct process *process; // NULL while down
    struct rpc *rpc;
    struct config *config;
    struct controller *controller;
    struct storage *storage;
    struct coordinator *coordinator;
    struct registry *registry;
};

struct cluster {
    struct world *world;
    struct history *history;
    struct daemon_sim controllers[CLUSTER_CONTROLLERS_MAX];
    int controller_count;
    int daemon_count; // of all kinds
    struct daemon_sim storage[CLUSTER_STORAGE];
    struct daemon_sim coordinators[CLUSTER_COORDINATORS];
    struct daemon_sim registries[CLUSTER_REGISTRIES];
    int registry_count;         // 0 or CLUSTER_REGISTRIES
    int ports[CLUSTER_STORAGE]; // Kafka ports
    struct env *observer;       // of the process the clients and checkers run in
};

// Whether voters are not configured in this seed: the first controller is the only one, a voter_changer gives
// others their votes and takes them.
static inline bool cluster_changes_voters(uint64_t seed)
{
    return seed % 4 == 1;
}

// Whether the seed has registries, and clients of theirs.
static inline bool cluster_has_registries(uint64_t seed)
{
    return seed % 2 == 0;
}

void cluster_init(struct cluster *cluster, struct world *world, struct history *history);

// The i-th of all daemons.
struct daemon_sim *cluster_daemon(struct cluster *cluster, int i);

// Starts a daemon that is down.
void cluster_start(struct daemon_sim *daemon);

// The replicas of a storage node; NULL while it is down or its logs are being closed.
struct partitions *cluster_partitions(const struct daemon_sim *daemon);

// Begins to stop a storage node cleanly, if it works and is not stopping yet; done gets the daemon, from
// within its process, when it may exit.
void cluster_drain(struct daemon_sim *daemon, void (*done)(void *daemon));

// A daemon says that it must not go on.
void cluster_daemon_failed(void *daemon, const char *why);

// ---- cluster_registry.c: the registries' headers know types of the same names as the coordinators' ----
void cluster_registry_config(struct config *config);
enum status cluster_registry_start(struct daemon_sim *daemon, uint64_t incarnation, const char *endpoint);
// Whether it serves the schemas.
bool cluster_registry_ready(const struct daemon_sim *daemon);
void cluster_registry_dump(const struct daemon_sim *daemon, struct buf *out);

// Ends it as kill -9, or as a power cut of its machine.
void cluster_stop(struct daemon_sim *daemon, bool power_cut);

#endif
