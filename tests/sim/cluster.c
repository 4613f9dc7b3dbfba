// SPDX-License-Identifier: Apache-2.0
// See cluster.h.
#include "cluster.h"

#include "base/assert.h"
#include "base/mem.h"
#include "partitions.h"
#include "controller.h"
#include "coordinator.h"
#include "storage.h"

#include <stdio.h>

enum {
    CONTROLLER_PORT = 7000,
    STORAGE_PORT = 7100,
    COORDINATOR_PORT = 7200,
    REGISTRY_PORT = 7300,
    KAFKA_PORT = 9092
};

void cluster_daemon_failed(void *context, const char *why)
{
    struct daemon_sim *daemon = context;
    if (daemon->process == NULL)
        return; // dead already: the callback that it died in says so once more
    // A daemon that refuses to go on is a dead process; the nemesis starts it again like any other.
    if (daemon->process->world->verbose)
        fprintf(stderr, "%10.6f FAILED %s: %s\n", (double)daemon->process->world->now_us / 1e6,
                daemon->process->name, why);
    cluster_stop(daemon, false);
}

static void daemon_place(struct cluster *cluster, struct daemon_sim *daemon, enum daemon_kind kind, int index)
{
    static const int32_t first_id[] = {101, 1, 201, 301};
    static const int first_port[] = {CONTROLLER_PORT, STORAGE_PORT, COORDINATOR_PORT, REGISTRY_PORT};
    *daemon = (struct daemon_sim){.cluster = cluster,
                                  .kind = kind,
                                  .index = index,
                                  .node_id = first_id[kind] + index,
                                  .rpc_port = first_port[kind] + index,
                                  .kafka_port = kind == DAEMON_STORAGE ? KAFKA_PORT + index : 0,
                                  .machine = world_machine(cluster->world)};
    disk_root(daemon->machine, "/data"); // the skeleton of main() makes the data directory
    disk_root(daemon->machine, "/data/meta");
    disk_root(daemon->machine, "/data/log");
}

void cluster_init(struct cluster *cluster, struct world *world, struct history *history)
{
    *cluster = (struct cluster){.world = world, .history = history};
    cluster->controller_count = cluster_changes_voters(world->seed) ? CLUSTER_CONTROLLERS_MAX : 3;
    cluster->registry_count = cluster_has_registries(world->seed) ? CLUSTER_REGISTRIES : 0;
    cluster->daemon_count =
        cluster->controller_count + CLUSTER_STORAGE + CLUSTER_COORDINATORS + cluster->registry_count;
    for (int i = 0; i < cluster->controller_count; i++)
        daemon_place(cluster, &cluster->controllers[i], DAEMON_CONTROLLER, i);
    for (int i = 0; i < CLUSTER_STORAGE; i++) {
        daemon_place(cluster, &cluster->storage[i], DAEMON_STORAGE, i);
        cluster->ports[i] = cluster->storage[i].kafka_port;
    }
    for (int i = 0; i < CLUSTER_COORDINATORS; i++)
        daemon_place(cluster, &cluster->coordinators[i], DAEMON_COORDINATOR, i);
    for (int i = 0; i < cluster->registry_count; i++)
        daemon_place(cluster, &cluster->registries[i], DAEMON_REGISTRY, i);
}

struct daemon_sim *cluster_daemon(struct cluster *cluster, int i)
{
    if (i < cluster->controller_count)
        return &cluster->controllers[i];
    i -= cluster->controller_count;
    if (i < CLUSTER_STORAGE)
        return &cluster->storage[i];
    i -= CLUSTER_STORAGE;
    return i < CLUSTER_COORDINATORS ? &cluster->coordinators[i]
                                    : &cluster->registries[i - CLUSTER_COORDINATORS];
}

static void config_put(struct config *config, const char *key, const char *value)
{
    char error[CONFIG_ERROR_SIZE];
    enum status status = config_set(config, key, value, error);
    if (status != ST_OK)
        fprintf(stderr, "sim: %s\n", error);
    ASSERT(status == ST_OK);
}

// All controllers, but for the one that begins a cluster whose voters are not configured.
static const char *bootstrap(const struct daemon_sim *daemon)
{
    if (daemon->cluster->controller_count == 3)
        return "127.0.0.1:7000,127.0.0.1:7001,127.0.0.1:7002";
    if (daemon == &daemon->cluster->controllers[0] && !daemon->begun)
        return "";
    return "127.0.0.1:7000,127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003,127.0.0.1:7004";
}

static struct config *daemon_config(const struct daemon_sim *daemon)
{
    char text[64];
    struct config *config = config_new();
    config_declare(config, config_common_rows, config_common_count);
    if (daemon->kind == DAEMON_CONTROLLER)
        config_declare(config, controller_config_rows, controller_config_count);
    else if (daemon->kind == DAEMON_STORAGE)
        config_declare(config, storage_config_rows, storage_config_count);
    else if (daemon->kind == DAEMON_COORDINATOR)
        config_declare(config, coordinator_config_rows, coordinator_config_count);
    else
        cluster_registry_config(config);
    snprintf(text, sizeof text, "%d", daemon->node_id);
    config_put(config, "node.id", text);
    config_put(config, "controller.quorum.bootstrap.servers", bootstrap(daemon));
    config_put(config, "host.name", "simulated");
    if (daemon->kind == DAEMON_CONTROLLER) {
        if (daemon->cluster->controller_count == 3)
            config_put(config, "controller.quorum.voters",
                       "101@127.0.0.1:7000,102@127.0.0.1:7001,103@127.0.0.1:7002");
        config_put(config, "metadata.log.dir", "/data/meta");
        snprintf(text, sizeof text, "%d", CLUSTER_LEDGERS);
        config_put(config, "offsets.topic.num.partitions", text);
        config_put(config, "transaction.state.log.num.partitions", "2");
        config_put(config, "share.coordinator.state.topic.num.partitions", "2");
    } else if (daemon->kind == DAEMON_STORAGE) {
        config_put(config, "log.dirs", "/data/log");
        snprintf(text, sizeof text, "PLAINTEXT://127.0.0.1:%d", daemon->kafka_port);
        config_put(config, "listeners", text);
        config_put(config, "replica.lag.time.max.ms", "400");
        config_put(config, "log.journal.bytes", "131072"); // so small that its blocks go round
        config_put(config, "group.share.record.lock.duration.ms", "2000"); // SHARE_LOCK_MS
    } else if (daemon->kind == DAEMON_COORDINATOR) {
        config_put(config, "group.initial.rebalance.delay.ms", "100");
        config_put(config, "group.consumer.session.timeout.ms", "10000"); // CONSUMER_SESSION_MS
        config_put(config, "group.share.session.timeout.ms", "5000");
        config_put(config, "group.streams.session.timeout.ms", "10000"); // STREAMER_SESSION_MS
        config_put(config, "group.streams.initial.rebalance.delay.ms", "100");
    }
    return config;
}

static struct rpc *daemon_rpc(struct daemon_sim *daemon, uint64_t incarnation, char endpoint[64])
{
    static const enum rpc_role roles[] = {RPC_CONTROLLER, RPC_STORAGE, RPC_COORDINATOR, RPC_REGISTRY};
    struct rpc_config config = {.env = &daemon->process->env,
                                .transport = sim_transport_new(daemon->process),
                                .self = {.role = roles[daemon->kind], .node = daemon->node_id},
                                .incarnation = incarnation};
    struct rpc *rpc = rpc_new(&config);
    int port;
    snprintf(endpoint, 64, "tcp://127.0.0.1:%d", daemon->rpc_port);
    enum status status = rpc_listen(rpc, endpoint, &port);
    ASSERT(status == ST_OK);
    return rpc;
}

static enum status service_start(struct daemon_sim *daemon, uint64_t incarnation, const char *endpoint)
{
    struct env *env = &daemon->process->env;
    enum status status;
    if (daemon->kind == DAEMON_CONTROLLER) {
        struct controller_options options = {.env = env,
                                             .config = daemon->config,
                                             .rpc = daemon->rpc,
                                             .rpc_endpoint = endpoint,
                                             .context = daemon,
                                             .on_fail = cluster_daemon_failed};
        status = controller_new(&options, &daemon->controller);
        if (status == ST_OK)
            controller_start(daemon->controller);
        return status;
    }
    if (daemon->kind == DAEMON_STORAGE) {
        struct storage_options options = {.env = env,
                                          .config = daemon->config,
                                          .rpc = daemon->rpc,
                                          .rpc_endpoint = endpoint,
                                          .incarnation = incarnation,
                                          .on_failed = cluster_daemon_failed,
                                          .context = daemon};
        status = storage_new(&options, &daemon->storage);
        return status == ST_OK ? storage_start(daemon->storage) : status;
    }
    if (daemon->kind == DAEMON_REGISTRY)
        return cluster_registry_start(daemon, incarnation, endpoint);
    struct coordinator_options options = {.env = env,
                                          .config = daemon->config,
                                          .rpc = daemon->rpc,
                                          .rpc_endpoint = endpoint,
                                          .incarnation = incarnation,
                                          .on_failed = cluster_daemon_failed,
                                          .context = daemon};
    status = coordinator_new(&options, &daemon->coordinator);
    return status == ST_OK ? coordinator_start(daemon->coordinator) : status;
}

void cluster_start(struct daemon_sim *daemon)
{
    static const char *const kinds[] = {"controller", "storage", "coordinator", "registry"};
    char name[32];
    char endpoint[64];
    ASSERT(daemon->process == NULL);
    snprintf(name, sizeof name, "%s-%d", kinds[daemon->kind], daemon->node_id);
    daemon->process = process_start(daemon->machine, name);
    daemon->controller = NULL;
    daemon->storage = NULL;
    daemon->coordinator = NULL;
    daemon->registry = NULL;
    uint64_t incarnation = env_random(&daemon->process->env) | 1;
    daemon->config = daemon_config(daemon);
    daemon->begun = true;
    daemon->rpc = daemon_rpc(daemon, incarnation, endpoint);
    enum status status = service_start(daemon, incarnation, endpoint);
    const struct disk_ills *ills = &daemon->machine->ills;
    if (status != ST_OK && (ills->full || ills->failing != 0))
        cluster_stop(daemon, false);
    else if (status != ST_OK)
        history_violation(daemon->cluster->history, "starts-on-its-own-data", "%s does not start: %s", name,
                          status_text(status));
}

struct partitions *cluster_partitions(const struct daemon_sim *daemon)
{
    struct partitions *partitions =
        daemon->process != NULL && daemon->storage != NULL ? storage_partitions(daemon->storage) : NULL;
    return partitions != NULL && partitions_dirs(partitions) != NULL ? partitions : NULL;
}

void cluster_drain(struct daemon_sim *daemon, void (*done)(void *daemon))
{
    struct buf reason;
    buf_init(&reason, 256);
    if (storage_ready(daemon->storage, &reason))
        storage_drain(daemon->storage, done, daemon);
    buf_fini(&reason);
}

void cluster_stop(struct daemon_sim *daemon, bool power_cut)
{
    if (power_cut)
        process_power_cut(daemon->process);
    else
        process_kill(daemon->process);
    daemon->process = NULL;
    daemon->storage = NULL;
    daemon->controller = NULL;
    daemon->coordinator = NULL;
    daemon->registry = NULL;
}
