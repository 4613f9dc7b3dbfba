// SPDX-License-Identifier: Apache-2.0
// The transport over ZeroMQ 4.3. It hides the library's habits: messages lost silently when a connection
// breaks (the socket monitor tells, rpc.c fails the calls), unbounded frames by default, a stopped peer that
// looks alive (heartbeats), messages without an end (hoard.c), an edge-triggered descriptor (zsock.c), and
// CURVE that lets anyone in unless a ZAP handler says otherwise (zap.c).
#include "rpc/zmq_internal.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUTE_SIZE = 5 }; // ROUTER's own routing ids: 0 and a 32-bit number; others are not ours

static struct zmq_transport *zmq_of(struct transport *transport)
{
    return (struct zmq_transport *)transport;
}

static bool loopback(const char *endpoint)
{
    struct resolved at;
    if (!resolve_numeric(endpoint, &at))
        return strncmp(endpoint, "tcp://localhost:", 16) == 0;
    return strncmp(at.endpoint, "tcp://127.", 10) == 0 || strncmp(at.endpoint, "tcp://[::1]:", 12) == 0;
}

bool zmq_address_allowed(struct zmq_transport *zt, const char *endpoint)
{
    if (zt->keys != NULL || loopback(endpoint))
        return true;
    DIAG_ERROR(&zt->env->diag, "rpc over an address that is not loopback needs keys endpoint=%s", endpoint);
    return false;
}

// ---- the bound end ----

static void blocks_unref(struct block **blocks, int count)
{
    for (int i = 0; i < count; i++)
        block_unref(&blocks[i]);
}

static void router_on_message(struct zsock *zsock, zmq_msg_t *messages, int count)
{
    struct zmq_transport *zt = zsock->zt;
    struct block *blocks[TRANSPORT_FRAMES_MAX];
    const uint8_t *id = zmq_msg_data(&messages[0]);
    if (count < 2 || zmq_msg_size(&messages[0]) != ROUTE_SIZE || id[0] != 0 || zt->transport.events == NULL) {
        metric_inc(&zt->foreign, 1);
        return;
    }
    uint64_t route = load_be32(id + 1);
    hoard_delivered(zt, &messages[1], route);
    struct rpc_node proven = zap_node(&messages[1]);
    if (zt->keys != NULL && proven.role == 0) // the handler did not see it
        return;
    for (int i = 1; i < count; i++)
        blocks[i - 1] = zmsg_block(&messages[i]);
    loop_handler(zt->env, "rpc.request");
    zt->transport.events->on_request(zt->transport.context, route, proven, blocks, count - 1);
    blocks_unref(blocks, count - 1);
}

static int bound_port(void *socket)
{
    char endpoint[256];
    size_t size = sizeof endpoint;
    int rc = zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size);
    ASSERT(rc == 0);
    const char *colon = strrchr(endpoint, ':');
    return colon ? atoi(colon + 1) : 0;
}

static void router_on_event(struct zsock *monitor, zmq_msg_t *messages, int count)
{
    struct zmq_transport *zt = monitor->zt;
    int fd;
    uint64_t route;
    uint16_t event = zsock_event(messages, &fd);
    if (event == ZMQ_EVENT_ACCEPTED)
        hoard_accepted(zt, fd);
    else if (event == ZMQ_EVENT_DISCONNECTED && hoard_gone(zt, fd, &route) && zt->transport.events != NULL)
        zt->transport.events->on_gone(zt->transport.context, route);
}

static enum status zt_bind(struct transport *transport, const char *endpoint, int *port)
{
    struct zmq_transport *zt = zmq_of(transport);
    ASSERT(zt->router == NULL);
    struct resolved at;
    if (!zmq_address_allowed(zt, endpoint))
        return ST_DENIED;
    if (resolve_now(endpoint, &at) != ST_OK) // at start-up it may take its time
        return ST_NOT_FOUND;
    struct zsock *router = zsock_new(zt, ZMQ_ROUTER, router_on_message, zt);
    zsock_options(router->socket, TRANSPORT_BULK_FRAME_MAX);
    zsock_beats(router->socket, ZMQ_ACCEPTED_BEAT_MS, ZMQ_ACCEPTED_BEAT_MS);
    zsock_option(router->socket, ZMQ_ROUTER_MANDATORY, 1);
    zsock_option(router->socket, ZMQ_BACKLOG, 1024);
    zsock_domain(router->socket);
    if (zt->keys != NULL)
        zsock_keys(router, NULL);
    struct zsock *monitor =
        zsock_monitor(router, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED, router_on_event);
    if (zmq_bind(router->socket, at.endpoint) != 0) {
        enum status status = errno == EADDRINUSE ? ST_EXISTS : status_from_errno(errno);
        DIAG_ERROR(&zt->env->diag, "cannot listen for rpc endpoint=%s reason=\"%s\"", endpoint,
                   zmq_strerror(errno));
        zsock_close(&monitor);
        zsock_close(&router);
        return status;
    }
    *port = bound_port(router->socket);
    zt->router = router;
    zt->router_monitor = monitor;
    zsock_start(router);
    zsock_start(monitor);
    return ST_OK;
}

static enum status zt_answer(struct transport *transport, uint64_t route, struct block *const *frames,
                             int count)
{
    struct zmq_transport *zt = zmq_of(transport);
    uint8_t id[ROUTE_SIZE] = {0};
    store_be32(id + 1, (uint32_t)route);
    struct slice routing = slice_of(id, sizeof id);
    return zt->router ? zmsg_send(zt->router, &routing, frames, count) : ST_UNREACHABLE;
}

// ---- life ----

static const struct transport_ops zmq_ops = {.bind = zt_bind,
                                             .connect = lane_open,
                                             .send = lane_send,
                                             .answer = zt_answer,
                                             .probe = probe_start,
                                             .disconnect = lane_close};

struct transport *zmq_transport_new(struct env *env, struct curve_keys *keys)
{
    struct zmq_transport *zt = mem_calloc(1, sizeof *zt);
    zt->transport.ops = &zmq_ops;
    zt->env = env;
    zt->keys = keys;
    zt->context = zmq_ctx_new();
    ASSERT(zt->context != NULL);
    zmq_ctx_set(zt->context, ZMQ_MAX_SOCKETS, 16384);
    zt->bytes_waiting = (struct metric){.name = "millrace_rpc_bytes_waiting",
                                        .help = "Bytes of large frames handed to ZeroMQ and not yet written.",
                                        .kind = METRIC_GAUGE};
    zt->foreign = (struct metric){.name = "millrace_rpc_foreign_total",
                                  .help = "Messages dropped for their shape: frames, routing id."};
    zt->hoarders = (struct metric){.name = "millrace_rpc_hoarders_total",
                                   .help = "Connections dropped because their message had no end."};
    metric_add(env->metrics, &zt->hoarders);
    metric_add(env->metrics, &zt->bytes_waiting);
    metric_add(env->metrics, &zt->foreign);
    hoard_init(zt);
    if (keys != NULL)
        zt->zap = zap_new(zt->context, keys);
    loop_hook_add(env, zsock_hook, zt);
    return &zt->transport;
}

void zmq_transport_destroy(struct transport **pointer)
{
    struct zmq_transport *zt = (struct zmq_transport *)*pointer;
    *pointer = NULL;
    if (zt == NULL)
        return;
    ASSERT(zt->lanes == 0); // rpc_destroy drops them
    probes_fini(zt);
    resolve_fini(zt);
    hoard_fini(zt);
    zsock_close(&zt->router_monitor);
    zsock_close(&zt->router);
    zt->transport.events = NULL;
    zsock_hook(zt); // frees what is closed
    loop_hook_remove(zt->env, zsock_hook, zt);
    zmq_ctx_shutdown(zt->context);
    zap_join(&zt->zap);
    zmq_ctx_term(zt->context);
    metric_remove(zt->env->metrics, &zt->hoarders);
    metric_remove(zt->env->metrics, &zt->bytes_waiting);
    metric_remove(zt->env->metrics, &zt->foreign);
    curve_keys_destroy(&zt->keys);
    mem_free(zt);
}
