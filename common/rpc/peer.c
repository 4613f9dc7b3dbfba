// SPDX-License-Identifier: Apache-2.0
// Peers and their lanes. A lane connects with the first call. While it connects (at first, or after a loss)
// calls wait in it; once an attempt was refused they fail at once until it is up. When an established lane
// is lost, whatever it carried may be gone silently, so all its calls end there and then.
#include "rpc/internal.h"

#include "base/assert.h"
#include "base/mem.h"

static void lane_linger_ends(struct timer *timer)
{
    struct peer_lane *lane = timer->context;
    if (lane->state == TRANSPORT_UP)
        lane_send_waiting(lane);
}

struct rpc_peer *rpc_peer(struct rpc *rpc, const char *endpoint, struct rpc_node expected)
{
    char *key = mem_printf("%s %d/%d", endpoint, (int)expected.role, expected.node);
    struct rpc_peer *peer = map_get(&rpc->peers, slice_str(key));
    if (peer != NULL) {
        mem_free(key);
        return rpc_peer_ref(peer);
    }
    peer = mem_calloc(1, sizeof *peer);
    *peer = (struct rpc_peer){
        .rpc = rpc, .refs = 1, .endpoint = mem_strdup(endpoint), .key = key, .expected = expected};
    for (int i = 0; i < RPC_LANES; i++) {
        peer->lanes[i] = (struct peer_lane){.peer = peer, .kind = (enum rpc_lane)i};
        timer_init(&peer->lanes[i].linger, lane_linger_ends, &peer->lanes[i]);
    }
    map_put(&rpc->peers, slice_str(key), peer);
    return peer;
}

struct rpc_peer *rpc_peer_ref(struct rpc_peer *peer)
{
    ASSERT(peer->refs > 0);
    peer->refs++;
    return peer;
}

static void peer_lane_close(struct peer_lane *lane, const char *text)
{
    struct transport *transport = lane->peer->rpc->transport;
    while (lane->first != NULL)
        call_end_soon(lane->first, ST_CLOSED, text);
    timer_stop(lane->peer->rpc->env, &lane->linger);
    if (lane->link != NULL)
        transport->ops->disconnect(transport, &lane->link);
}

static void peer_free(struct rpc_peer *peer)
{
    mem_free(peer->endpoint);
    mem_free(peer->key);
    mem_free(peer);
}

void rpc_peer_release(struct rpc_peer **pointer)
{
    struct rpc_peer *peer = *pointer;
    *pointer = NULL;
    if (peer == NULL || --peer->refs > 0)
        return;
    for (int i = 0; i < RPC_LANES; i++)
        peer_lane_close(&peer->lanes[i], "the peer was dropped");
    map_remove(&peer->rpc->peers, slice_str(peer->key));
    peer_free(peer);
}

const char *rpc_peer_endpoint(const struct rpc_peer *peer)
{
    return peer->endpoint;
}

void rpc_peer_watch(struct rpc_peer *peer, rpc_watch_fn *on_state, void *context)
{
    peer->on_state = on_state;
    peer->watch_context = context;
}

enum status lane_connect(struct peer_lane *lane)
{
    struct rpc_peer *peer = lane->peer;
    struct transport *transport = peer->rpc->transport;
    if (lane->link != NULL)
        return ST_OK;
    enum status status =
        transport->ops->connect(transport, peer->endpoint, peer->expected, lane->kind, &lane->link);
    if (status != ST_OK)
        return status;
    lane->link->user = lane;
    lane->state = TRANSPORT_CONNECTING;
    return ST_OK;
}

// Ends every call the lane has now; closures may make new ones on it, or drop the peer.
static void lane_fail(struct peer_lane *lane, const char *text)
{
    struct rpc_peer *peer = rpc_peer_ref(lane->peer);
    uint64_t last = peer->rpc->last_correlation;
    struct rpc_result result = {.status = ST_UNREACHABLE, .text = text};
    while (lane->first != NULL && lane->first->correlation <= last)
        call_end(lane->first, &result, NULL);
    rpc_peer_release(&peer);
}

void lane_send_waiting(struct peer_lane *lane)
{
    struct out_call *next;
    for (struct out_call *call = lane->waits_first; call != NULL; call = next) {
        next = call->next;
        if (call->waiting)
            call_send(call);
    }
    lane->waits_first = NULL;
}

void lane_on_state(struct peer_lane *lane, enum transport_state state)
{
    struct rpc_peer *peer = rpc_peer_ref(lane->peer);
    lane->state = state;
    if (state == TRANSPORT_UP)
        lane_send_waiting(lane);
    else if (state == TRANSPORT_LOST)
        lane_fail(lane, "the connection broke");
    else if (state == TRANSPORT_REFUSED)
        lane_fail(lane, "the peer does not accept connections");
    if (peer->on_state != NULL)
        peer->on_state(peer, lane->kind, state, peer->watch_context);
    rpc_peer_release(&peer);
}

void peers_close(struct rpc *rpc)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&rpc->peers, &at, NULL, &value);) {
        struct rpc_peer *peer = value;
        for (int i = 0; i < RPC_LANES; i++)
            peer_lane_close(&peer->lanes[i], "closed");
    }
}

void peers_fini(struct rpc *rpc)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&rpc->peers, &at, NULL, &value);) {
        struct rpc_peer *peer = value;
        peer_free(peer);
    }
    map_fini(&rpc->peers);
}
