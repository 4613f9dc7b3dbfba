// SPDX-License-Identifier: Apache-2.0
// millrace-registry: a table and one call. The service is registry.h, its REST interface rest.h.
#include "registry.h"

#include "base/mem.h"
#include "daemon/daemon.h"
#include "rest.h"

struct service {
    struct daemon *daemon;
    struct registry *registry;
    struct rest *rest;
};

static void on_failed(void *context, const char *why)
{
    daemon_fail(context, why);
}

static void destroy(void **pointer)
{
    struct service *service = *pointer;
    *pointer = NULL;
    if (service == NULL)
        return;
    registry_destroy(&service->registry); // answers what is under way
    rest_destroy(&service->rest);
    mem_free(service);
}

static enum status create(struct daemon *daemon, void **out)
{
    struct service *service = mem_calloc(1, sizeof *service);
    struct registry_options options = {
        .env = daemon_env(daemon),
        .config = daemon_config(daemon),
        .rpc = daemon_rpc(daemon),
        .rpc_endpoint = daemon_rpc_endpoint(daemon),
        .incarnation = daemon_incarnation(daemon),
        .on_failed = on_failed,
        .context = daemon,
    };
    service->daemon = daemon;
    enum status status = registry_new(&options, &service->registry);
    if (status == ST_OK)
        status = rest_new(options.env, options.config, service->registry, &service->rest);
    *out = service;
    if (status != ST_OK)
        destroy(out);
    return status;
}

static enum status start(void *context)
{
    struct service *service = context;
    return registry_start(service->registry);
}

static void drain(void *context, void (*done)(void *context), void *done_context)
{
    struct service *service = context;
    rest_quiesce(service->rest);
    registry_drain(service->registry, done, done_context);
}

static bool ready(void *context, struct buf *reason)
{
    return registry_ready(((struct service *)context)->registry, reason);
}

static void dump(void *context, struct buf *out)
{
    const struct service *service = context;
    buf_printf(out, "rest=%s\n", rest_address(service->rest));
    registry_dump(service->registry, out);
}

static const char *rest(void *context)
{
    return rest_address(((struct service *)context)->rest);
}

int main(int argc, char **argv)
{
    struct daemon_spec spec = {
        .name = "registry",
        .role = RPC_REGISTRY,
        .summary = "schemas of Avro, JSON Schema and Protobuf over Confluent's REST interface",
        .rows = registry_config_rows,
        .row_count = registry_config_count,
        .create = create,
        .start = start,
        .drain = drain,
        .destroy = destroy,
        .ready = ready,
        .dump = dump,
        .rest_address = rest,
    };
    return daemon_main(argc, argv, &spec);
}
