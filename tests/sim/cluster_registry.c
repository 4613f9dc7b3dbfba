// SPDX-License-Identifier: Apache-2.0
// The registries of the simulated cluster. See cluster.h.
#include "cluster.h"
#include "registry.h"

void cluster_registry_config(struct config *config)
{
    config_declare(config, registry_config_rows, registry_config_count);
}

enum status cluster_registry_start(struct daemon_sim *daemon, uint64_t incarnation, const char *endpoint)
{
    struct registry_options options = {.env = &daemon->process->env,
                                       .config = daemon->config,
                                       .rpc = daemon->rpc,
                                       .rpc_endpoint = endpoint,
                                       .incarnation = incarnation,
                                       .on_failed = cluster_daemon_failed,
                                       .context = daemon};
    enum status status = registry_new(&options, &daemon->registry);
    return status == ST_OK ? registry_start(daemon->registry) : status;
}

bool cluster_registry_ready(const struct daemon_sim *daemon)
{
    struct buf reason;
    buf_init(&reason, 256);
    bool ready = daemon->registry != NULL && registry_ready(daemon->registry, &reason);
    buf_fini(&reason);
    return ready;
}

void cluster_registry_dump(const struct daemon_sim *daemon, struct buf *out)
{
    if (daemon->registry != NULL)
        registry_dump(daemon->registry, out);
}
