// SPDX-License-Identifier: Apache-2.0
// millrace-coordinator: a table and one call. The service is coordinator.h.
#include "coordinator.h"

#include "daemon/daemon.h"
#include "rest.h"

static void on_failed(void *context, const char *why)
{
    daemon_fail(context, why);
}

static enum status create(struct daemon *daemon, void **service)
{
    struct coordinator_options options = {
        .env = daemon_env(daemon),
        .config = daemon_config(daemon),
        .rpc = daemon_rpc(daemon),
        .rpc_endpoint = daemon_rpc_endpoint(daemon),
        .incarnation = daemon_incarnation(daemon),
        .on_failed = on_failed,
        .context = daemon,
    };
    struct coordinator *coordinator;
    enum status status = coordinator_new(&options, &coordinator);
    *service = coordinator;
    return status;
}

static enum status start(void *service)
{
    return coordinator_start(service);
}

static void drain(void *service, void (*done)(void *context), void *context)
{
    coordinator_drain(service, done, context);
}

static void destroy(void **service)
{
    struct coordinator *coordinator = *service;
    coordinator_destroy(&coordinator);
    *service = NULL;
}

static bool ready(void *service, struct buf *reason)
{
    return coordinator_ready(service, reason);
}

static void dump(void *service, struct buf *out)
{
    coordinator_dump(service, out);
}

int main(int argc, char **argv)
{
    struct daemon_spec spec = {
        .name = "coordinator",
        .role = RPC_COORDINATOR,
        .summary = "consumer groups, committed offsets and transactions",
        .rows = coordinator_config_rows,
        .row_count = coordinator_config_count,
        .create = create,
        .start = start,
        .drain = drain,
        .destroy = destroy,
        .ready = ready,
        .dump = dump,
        .routes = coordinator_routes,
        .route_count = coordinator_route_count,
    };
    return daemon_main(argc, argv, &spec);
}
