// SPDX-License-Identifier: Apache-2.0
// millrace-controller: the metadata quorum. Tables for the daemon skeleton, nothing else.
#include "controller.h"

#include "daemon/daemon.h"
#include "rest.h"

static void on_fail(void *context, const char *why)
{
    daemon_fail(context, why);
}

static enum status create(struct daemon *daemon, void **service)
{
    struct controller_options options = {.env = daemon_env(daemon),
                                         .config = daemon_config(daemon),
                                         .rpc = daemon_rpc(daemon),
                                         .rpc_endpoint = daemon_rpc_endpoint(daemon),
                                         .context = daemon,
                                         .on_fail = on_fail};
    return controller_new(&options, (struct controller **)service);
}

static enum status start(void *service)
{
    controller_start(service);
    return ST_OK;
}

static void drain(void *service, void (*done)(void *context), void *context)
{
    controller_drain(service, done, context);
}

static void destroy(void **service)
{
    controller_destroy((struct controller **)service);
}

static bool ready(void *service, struct buf *reason)
{
    return controller_ready(service, reason);
}

static void dump(void *service, struct buf *out)
{
    controller_dump(service, out);
}

int main(int argc, char **argv)
{
    const struct daemon_spec spec = {.name = "controller",
                                     .role = RPC_CONTROLLER,
                                     .summary =
                                         "the cluster's metadata: nodes, topics, leaders, configurations",
                                     .rows = controller_config_rows,
                                     .row_count = controller_config_count,
                                     .data_key = "metadata.log.dir",
                                     .create = create,
                                     .start = start,
                                     .drain = drain,
                                     .destroy = destroy,
                                     .ready = ready,
                                     .dump = dump,
                                     .routes = controller_routes,
                                     .route_count = controller_route_count};
    return daemon_main(argc, argv, &spec);
}
