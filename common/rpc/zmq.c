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

// ---- options ----

static void options_set(void *socket, int64_t frame_max)
{
    int rc = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max);
    ASSERT(rc == 0);
    zsock_option(socket, ZMQ_HANDSHAKE_IVL, ZMQ_HANDSHAKE_MS);
    zsock_option(socket, ZMQ_HEARTBEAT_IVL, ZMQ_BEAT_MS);
    zsock_option(socket, ZMQ_HEARTBEAT_TIMEOUT, ZMQ_BEAT_TIMEOUT_MS);
    zsock_option(socket, ZMQ_HEARTBEAT_TTL, ZMQ_BEAT_TIMEOUT_MS);
    zsock_option(socket, ZMQ_SNDHWM, ZMQ_QUEUE_MAX);
    zsock_option(socket, ZMQ_RCVHWM, ZMQ_QUEUE_MAX);
    zsock_option(socket, ZMQ_IPV6, 1);
}

static void keys_set(struct zmq_transport *zt, void *socket, const char *server_key)
{
    const struct curve_pair *own = curve_own(zt->keys);
    int rc = zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, own->secret_text, CURVE_TEXT_SIZE);
    rc |= zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, own->public_text, CURVE_TEXT_SIZE);
    if (server_key != NULL) {
        rc |= zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_key, CURVE_TEXT_SIZE);
    } else {
        zsock_option(socket, ZMQ_CURVE_SERVER, 1);
        rc |= zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, "millrace", 8);
    }
    ASSERT(rc == 0);
}

static bool loopback(const char *endpoint)
{
    static const char *const hosts[] = {"tcp://127.", "tcp://localhost:", "tcp://[::1]:"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (strncmp(endpoint, hosts[i], strlen(hosts[i])) == 0)
            return true;
    return false;
}

static bool keys_missing(struct zmq_transport *zt, const char *endpoint)
{
    if (zt->keys != NULL || loopback(endpoint))
        return false;
    DIAG_ERROR(&zt->env->diag, "rpc over an address that is not loopback needs keys endpoint=%s", endpoint);
    return true;
}

// ---- monitors ----

// A monitor's message: a 16-bit event and a 32-bit value, unaligned; then the address.
static uint16_t event_of(zmq_msg_t *messages, int *number)
{
    uint16_t event = 0;
    int32_t value = -1;
    if (zmq_msg_size(&messages[0]) == sizeof event + sizeof value) {
        memcpy(&event, zmq_msg_data(&messages[0]), sizeof event);
        memcpy(&value, (uint8_t *)zmq_msg_data(&messages[0]) + sizeof event, sizeof value);
    }
    if (number != NULL)
        *number = value;
    return event;
}

// A socket that hears of another one's events; it has the same owner.
static struct zsock *monitor_new(struct zsock *watched, int events, zsock_fn *on_event)
{
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "inproc://monitor-%llu", (unsigned long long)watched->zt->monitors++);
    int rc = zmq_socket_monitor(watched->socket, endpoint, events);
    ASSERT(rc == 0);
    struct zsock *monitor = zsock_new(watched->zt, ZMQ_PAIR, on_event, watched->owner);
    rc = zmq_connect(monitor->socket, endpoint);
    ASSERT(rc == 0);
    return monitor;
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
    hoard_delivered(zt, &messages[1]);
    uint64_t route = load_be32(id + 1);
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
    int fd;
    if (event_of(messages, &fd) == ZMQ_EVENT_ACCEPTED)
        hoard_accepted(monitor->zt, fd);
}

static enum status zt_bind(struct transport *transport, const char *endpoint, int *port)
{
    struct zmq_transport *zt = zmq_of(transport);
    ASSERT(zt->router == NULL);
    if (keys_missing(zt, endpoint))
        return ST_DENIED;
    struct zsock *router = zsock_new(zt, ZMQ_ROUTER, router_on_message, zt);
    options_set(router->socket, TRANSPORT_BULK_FRAME_MAX);
    zsock_option(router->socket, ZMQ_ROUTER_MANDATORY, 1);
    zsock_option(router->socket, ZMQ_BACKLOG, 1024);
    if (zt->keys != NULL)
        keys_set(zt, router->socket, NULL);
    struct zsock *monitor = monitor_new(router, ZMQ_EVENT_ACCEPTED, router_on_event);
    if (zmq_bind(router->socket, endpoint) != 0) {
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

// ---- lanes ----

static void lane_on_message(struct zsock *zsock, zmq_msg_t *messages, int count)
{
    struct zmq_lane *lane = zsock->owner;
    struct zmq_transport *zt = zsock->zt;
    struct block *blocks[TRANSPORT_FRAMES_MAX];
    if (count > TRANSPORT_FRAMES_MAX || zt->transport.events == NULL)
        return;
    for (int i = 0; i < count; i++)
        blocks[i] = zmsg_block(&messages[i]);
    loop_handler(zt->env, "rpc.reply");
    zt->transport.events->on_reply(zt->transport.context, &lane->lane, blocks, count);
    blocks_unref(blocks, count);
}

static void lane_state(struct zmq_lane *lane, enum transport_state state)
{
    struct zmq_transport *zt = lane->zt;
    if (lane->state == state)
        return;
    lane->state = state;
    zsock_mark(lane->data);
    if (zt->transport.events != NULL) {
        loop_handler(zt->env, "rpc.lane");
        zt->transport.events->on_state(zt->transport.context, &lane->lane, state);
    }
}

static void lane_on_event(struct zsock *monitor, zmq_msg_t *messages, int count)
{
    struct zmq_lane *lane = monitor->owner;
    if (event_of(messages, NULL) == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
        lane_state(lane, TRANSPORT_UP);
    else if (lane->state == TRANSPORT_UP)
        lane_state(lane, TRANSPORT_LOST);
    else
        lane_state(lane, TRANSPORT_REFUSED);
}

static void dealer_options(struct zmq_transport *zt, struct zsock *data, enum rpc_lane kind,
                           const char *server_key)
{
    options_set(data->socket, kind == RPC_CONTROL ? TRANSPORT_CONTROL_FRAME_MAX : TRANSPORT_BULK_FRAME_MAX);
    zsock_option(data->socket, ZMQ_IMMEDIATE, 1); // nothing is queued for a peer that is not there
    zsock_option(data->socket, ZMQ_RECONNECT_IVL, ZMQ_RECONNECT_MS);
    zsock_option(data->socket, ZMQ_RECONNECT_IVL_MAX, ZMQ_RECONNECT_MS_MAX);
    zsock_option(data->socket, ZMQ_CONNECT_TIMEOUT, ZMQ_HANDSHAKE_MS);
    if (zt->keys != NULL)
        keys_set(zt, data->socket, server_key);
}

static enum status zt_connect(struct transport *transport, const char *endpoint, struct rpc_node expected,
                              enum rpc_lane kind, struct transport_lane **out)
{
    struct zmq_transport *zt = zmq_of(transport);
    char server_key[CURVE_TEXT_SIZE];
    if (keys_missing(zt, endpoint) || (zt->keys != NULL && !curve_find_node(zt->keys, expected, server_key)))
        return ST_DENIED;
    struct zmq_lane *lane = mem_calloc(1, sizeof *lane);
    lane->zt = zt;
    lane->data = zsock_new(zt, ZMQ_DEALER, lane_on_message, lane);
    dealer_options(zt, lane->data, kind, server_key);
    // DISCONNECTED ends an established connection or a handshake, CLOSED an attempt that was refused.
    lane->monitor = monitor_new(lane->data,
                                ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED |
                                    ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                                    ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH,
                                lane_on_event);
    zt->lanes++;
    *out = &lane->lane;
    if (zmq_connect(lane->data->socket, endpoint) != 0) {
        transport->ops->disconnect(transport, out);
        return ST_INVALID;
    }
    zsock_start(lane->data);
    zsock_start(lane->monitor);
    return ST_OK;
}

static enum status zt_send(struct transport *transport, struct transport_lane *out,
                           struct block *const *frames, int count)
{
    struct zmq_lane *lane = (struct zmq_lane *)out;
    if (lane->state != TRANSPORT_UP)
        return ST_AGAIN;
    return zmsg_send(lane->data, NULL, frames, count);
}

static void zt_disconnect(struct transport *transport, struct transport_lane **out)
{
    struct zmq_lane *lane = (struct zmq_lane *)*out;
    *out = NULL;
    if (lane == NULL)
        return;
    zmq_socket_monitor(lane->data->socket, NULL, 0);
    zsock_close(&lane->monitor);
    zsock_close(&lane->data);
    lane->zt->lanes--;
    mem_free(lane);
}

// ---- life ----

static const struct transport_ops zmq_ops = {.bind = zt_bind,
                                             .connect = zt_connect,
                                             .send = zt_send,
                                             .answer = zt_answer,
                                             .probe = probe_start,
                                             .disconnect = zt_disconnect};

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
