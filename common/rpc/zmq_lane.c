// SPDX-License-Identifier: Apache-2.0
// A lane over ZeroMQ: a DEALER and its monitor. The monitor's events are the only sign of a lost connection;
// they become the states of transport.h. A peer that is given by name is resolved again while it is not
// there, since a container comes back with another address.
#include "rpc/zmq_internal.h"

#include "base/assert.h"
#include "base/mem.h"

struct zmq_lane {
    struct transport_lane lane; // first
    struct zmq_transport *zt;
    struct zsock *data;
    struct zsock *monitor;
    enum transport_state state;
    char *endpoint;          // as given
    char connected[80];      // as ZeroMQ knows it; "" before the name is resolved
    struct resolve *resolve; // while the name is resolved
    struct timer again;      // resolves once more
};

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
    for (int i = 0; i < count; i++)
        block_unref(&blocks[i]);
}

static bool by_name(const struct zmq_lane *lane)
{
    struct resolved ignored;
    return !resolve_numeric(lane->endpoint, &ignored);
}

static void lane_state(struct zmq_lane *lane, enum transport_state state)
{
    struct zmq_transport *zt = lane->zt;
    if (lane->state == state)
        return;
    lane->state = state;
    zsock_mark(lane->data); // ZeroMQ may act on what led to the event only when asked
    if (state == TRANSPORT_UP)
        timer_stop(zt->env, &lane->again);
    else if (!timer_running(&lane->again) && lane->resolve == NULL && by_name(lane))
        timer_start_ms(zt->env, &lane->again, ZMQ_RESOLVE_AGAIN_MS);
    if (zt->transport.events != NULL) {
        loop_handler(zt->env, "rpc.lane");
        zt->transport.events->on_state(zt->transport.context, &lane->lane, state);
    }
}

static void lane_on_event(struct zsock *monitor, zmq_msg_t *messages, int count)
{
    struct zmq_lane *lane = monitor->owner;
    if (zsock_event(messages, NULL) == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
        lane_state(lane, TRANSPORT_UP);
    else if (lane->state == TRANSPORT_UP)
        lane_state(lane, TRANSPORT_LOST);
    else
        lane_state(lane, TRANSPORT_REFUSED);
}

// ---- connecting ----

static enum status lane_dial(struct zmq_lane *lane, const struct resolved *to)
{
    if (strcmp(lane->connected, to->endpoint) == 0)
        return ST_OK;
    if (lane->connected[0] != '\0')
        zmq_disconnect(lane->data->socket, lane->connected);
    memcpy(lane->connected, to->endpoint, sizeof lane->connected);
    zsock_mark(lane->data);
    if (zmq_connect(lane->data->socket, to->endpoint) == 0)
        return ST_OK;
    lane->connected[0] = '\0';
    return ST_INVALID;
}

static void lane_resolved(void *context, enum status status, const struct resolved *to)
{
    struct zmq_lane *lane = context;
    lane->resolve = NULL;
    if (lane->state == TRANSPORT_UP)
        return;
    timer_start_ms(lane->zt->env, &lane->again, ZMQ_RESOLVE_AGAIN_MS);
    if (status != ST_OK || lane_dial(lane, to) != ST_OK)
        lane_state(lane, TRANSPORT_REFUSED); // may end the lane
}

static void lane_resolve_again(struct timer *timer)
{
    struct zmq_lane *lane = timer->context;
    if (lane->state != TRANSPORT_UP && lane->resolve == NULL)
        lane->resolve = resolve_start(lane->zt, lane->endpoint, lane_resolved, lane);
}

static void dealer_options(struct zmq_lane *lane, enum rpc_lane kind, const char *server_key)
{
    void *socket = lane->data->socket;
    zsock_options(socket, kind == RPC_CONTROL ? TRANSPORT_CONTROL_FRAME_MAX : TRANSPORT_BULK_FRAME_MAX);
    zsock_beats(socket, kind == RPC_CONTROL ? ZMQ_BEAT_MS : ZMQ_BULK_BEAT_MS, ZMQ_BEAT_TIMEOUT_MS);
    zsock_option(socket, ZMQ_IMMEDIATE, 1); // nothing is queued for a peer that is not there
    zsock_option(socket, ZMQ_RECONNECT_IVL, ZMQ_RECONNECT_MS);
    zsock_option(socket, ZMQ_RECONNECT_IVL_MAX, ZMQ_RECONNECT_MS_MAX);
    zsock_option(socket, ZMQ_CONNECT_TIMEOUT, ZMQ_HANDSHAKE_MS);
    if (lane->zt->keys != NULL)
        zsock_keys(lane->data, server_key);
}

static struct zmq_lane *lane_new(struct zmq_transport *zt, const char *endpoint, enum rpc_lane kind,
                                 const char *server_key)
{
    struct zmq_lane *lane = mem_calloc(1, sizeof *lane);
    lane->zt = zt;
    lane->endpoint = mem_strdup(endpoint);
    timer_init(&lane->again, lane_resolve_again, lane);
    lane->data = zsock_new(zt, ZMQ_DEALER, lane_on_message, lane);
    dealer_options(lane, kind, server_key);
    // DISCONNECTED ends an established connection or a handshake, CLOSED an attempt that was refused.
    lane->monitor = zsock_monitor(lane->data,
                                  ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED |
                                      ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                                      ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH,
                                  lane_on_event);
    zsock_start(lane->data);
    zsock_start(lane->monitor);
    zt->lanes++;
    return lane;
}

enum status lane_open(struct transport *transport, const char *endpoint, struct rpc_node expected,
                      enum rpc_lane kind, struct transport_lane **out)
{
    struct zmq_transport *zt = (struct zmq_transport *)transport;
    char server_key[CURVE_TEXT_SIZE];
    struct resolved to;
    if (!zmq_address_allowed(zt, endpoint))
        return ST_DENIED;
    if (zt->keys != NULL && !curve_find_node(zt->keys, expected, server_key))
        return ST_DENIED;
    struct zmq_lane *lane = lane_new(zt, endpoint, kind, server_key);
    enum status status = ST_OK;
    if (resolve_numeric(endpoint, &to))
        status = lane_dial(lane, &to);
    else
        lane->resolve = resolve_start(zt, endpoint, lane_resolved, lane);
    *out = &lane->lane;
    if (status != ST_OK)
        lane_close(transport, out);
    return status;
}

enum status lane_send(struct transport *transport, struct transport_lane *out, struct block *const *frames,
                      int count)
{
    struct zmq_lane *lane = (struct zmq_lane *)out;
    if (lane->state != TRANSPORT_UP)
        return ST_AGAIN;
    return zmsg_send(lane->data, NULL, frames, count);
}

void lane_close(struct transport *transport, struct transport_lane **out)
{
    struct zmq_lane *lane = (struct zmq_lane *)*out;
    *out = NULL;
    if (lane == NULL)
        return;
    timer_stop(lane->zt->env, &lane->again);
    resolve_cancel(&lane->resolve);
    zmq_socket_monitor(lane->data->socket, NULL, 0);
    zsock_close(&lane->monitor);
    zsock_close(&lane->data);
    lane->zt->lanes--;
    mem_free(lane->endpoint);
    mem_free(lane);
}
