// SPDX-License-Identifier: Apache-2.0
// millrace-storage: the table of the storage daemon.
#include "daemon/daemon.h"
#include "rest.h"
#include "storage.h"

static void failed(void *context, const char *why)
{
    daemon_fail(context, why);
}

static enum status create(struct daemon *daemon, void **service)
{
    struct storage_options options = {.env = daemon_env(daemon),
                                      .config = daemon_config(daemon),
                                      .rpc = daemon_rpc(daemon),
                                      .rpc_endpoint = daemon_rpc_endpoint(daemon),
                                      .incarnation = daemon_incarnation(daemon),
                                      .on_failed = failed,
                                      .context = daemon};
    return storage_new(&options, (struct storage **)service);
}

static enum status start(void *service)
{
    return storage_start(service);
}

static void drain(void *service, void (*done)(void *context), void *context)
{
    storage_drain(service, done, context);
}

static void destroy(void **service)
{
    storage_destroy((struct storage **)service);
}

static bool ready(void *service, struct buf *reason)
{
    return storage_ready(service, reason);
}

static void dump(void *service, struct buf *out)
{
    storage_dump(service, out);
}

static const char *kafka_address(void *service)
{
    return storage_kafka_address(service);
}

int main(int argc, char **argv)
{
    const struct daemon_spec spec = {.name = "storage",
                                     .role = RPC_STORAGE,
                                     .summary = "partition logs and the Kafka listener",
                                     .rows = storage_config_rows,
                                     .row_count = storage_config_count,
                                     .data_key = "log.dirs",
                                     .create = create,
                                     .start = start,
                                     .drain = drain,
                                     .destroy = destroy,
                                     .ready = ready,
                                     .dump = dump,
                                     .kafka_address = kafka_address,
                                     .routes = storage_routes,
                                     .route_count = storage_route_count};
    return daemon_main(argc, argv, &spec);
}
