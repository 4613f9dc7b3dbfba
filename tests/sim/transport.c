// SPDX-License-Identifier: Apache-2.0
// The simulator's rpc transport: messages are delayed, lost, duplicated and reordered as the seed says. A
// lane between processes that do not reach each other is lost, as ZeroMQ's monitor would tell; a message may
// also vanish while the lane looks healthy. See rpc/transport.h for the contract.
#include "rpc/transport.h"
#include "world.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { LATENCY_US = 40, WATCH_US = 20000, DELAY_US_MAX = 300000 };

struct sim_transport {
    struct transport transport; // first
    struct process *process;
    char endpoint[64]; // bound end, "" before
    struct map lanes;  // route -> struct sim_lane of peers, as seen by a bound end
};

struct sim_lane {
    struct transport_lane lane; // first
    struct sim_transport *owner;
    char endpoint[64];
    enum rpc_lane kind;
    enum transport_state state;
    uint64_t route;             // how the bound end calls it; changes with each connection
    struct sim_transport *peer; // when up
    uint64_t peer_generation;
    bool dropped;
    int64_t last_us; // delivery time of the last message, so that a healthy lane keeps its order
};

struct message {
    const struct machine *from;
    struct sim_transport *to;
    struct sim_lane *lane; // a reply goes to it; a request came from it
    uint64_t route;
    bool reply;
    int count;
    struct block *frames[TRANSPORT_FRAMES_MAX];
};

static void lane_watch(void *context);

static struct world *world_of(const struct sim_transport *transport)
{
    return transport->process->world;
}

static void lane_state(struct sim_lane *lane, enum transport_state state)
{
    struct sim_transport *owner = lane->owner;
    if (lane->state == state && state != TRANSPORT_REFUSED)
        return;
    lane->state = state;
    if (state == TRANSPORT_LOST)
        world_count(world_of(owner), COUNT_lane_lost);
    owner->transport.events->on_state(owner->transport.context, &lane->lane, state);
}

// A lane looks after itself: connects when its peer is there, is lost when it is gone.
static void lane_watch(void *context)
{
    struct sim_lane *lane = context;
    struct sim_transport *owner = lane->owner;
    if (lane->dropped)
        return;
    world_at(world_of(owner), WATCH_US, owner->process, lane_watch, lane);
    struct sim_transport *peer = map_get(&world_of(owner)->transports, slice_str(lane->endpoint));
    bool there = peer != NULL && world_reachable(owner->process, peer->process);
    if (lane->state == TRANSPORT_UP && (!there || peer != lane->peer)) {
        lane->peer = NULL;
        lane_state(lane, TRANSPORT_LOST);
    } else if (lane->state != TRANSPORT_UP && there) {
        lane->peer = peer;
        lane->route = prng_next(&world_of(owner)->prng) | 1;
        map_put_u64(&peer->lanes, lane->route, lane);
        lane_state(lane, TRANSPORT_UP);
    } else if (lane->state != TRANSPORT_UP) {
        lane_state(lane, TRANSPORT_REFUSED);
    }
}

static void message_free(struct message *message)
{
    for (int i = 0; i < message->count; i++)
        block_unref(&message->frames[i]);
    mem_free(message);
}

// What a process sent before its death still arrives; a connection that was given up brings nothing more.
static bool message_lives(const struct message *message)
{
    const struct sim_lane *lane = message->lane;
    bool dead = !message->reply && !lane->owner->process->alive;
    return !message->from->isolated[message->to->process->machine->id] &&
           (dead || (!lane->dropped && lane->route == message->route));
}

static void message_arrive(void *context)
{
    struct message *message = context;
    struct sim_transport *to = message->to;
    struct sim_lane *lane = message->lane;
    bool lives = message_lives(message);
    world_trace(world_of(to), message->count > 1 ? message->frames[1]->len : 0);
    if (lives && message->reply)
        to->transport.events->on_reply(to->transport.context, &lane->lane, message->frames, message->count);
    else if (lives)
        to->transport.events->on_request(to->transport.context, message->route, (struct rpc_node){.node = -1},
                                         message->frames, message->count);
    message_free(message);
}

static struct message *message_new(const struct message *like, struct block *const *frames)
{
    struct message *message = mem_calloc(1, sizeof *message);
    *message = *like;
    int count = like->count;
    for (int i = 0; i < count; i++) // a copy: what arrives must not depend on the sender's memory
        message->frames[i] = block_copy(block_slice(frames[i]));
    return message;
}

static void message_send(struct message *message)
{
    struct world *world = world_of(message->to);
    struct sim_lane *lane = message->lane;
    int64_t delay_us = LATENCY_US + world_between(world, 0, LATENCY_US);
    if (world_chance(world, world->faults.lose_per_10000)) {
        world_count(world, COUNT_message_lost);
        message_free(message);
        return;
    }
    bool held = world_chance(world, world->faults.delay_per_10000);
    if (held) {
        world_count(world, COUNT_message_delayed);
        delay_us = world_between(world, 1000, DELAY_US_MAX);
        if (world_chance(world, 5000)) {
            world_count(world, COUNT_message_reordered); // what is sent behind it overtakes it
        } else {
            lane->last_us = world->now_us + delay_us;
        }
    } else {
        if (world->now_us + delay_us < lane->last_us)
            delay_us = lane->last_us - world->now_us;
        lane->last_us = world->now_us + delay_us;
    }
    if (lane->kind == RPC_CONTROL && world_chance(world, world->faults.duplicate_per_10000)) {
        world_count(world, COUNT_message_duplicated);
        struct message *twin = message_new(message, message->frames);
        world_at(world, delay_us + world_between(world, 0, DELAY_US_MAX), message->to->process,
                 message_arrive, twin);
    }
    world_at(world, delay_us, message->to->process, message_arrive, message);
}

// ---- the six functions ----

static enum status sim_bind(struct transport *transport, const char *endpoint, int *port)
{
    struct sim_transport *self = (struct sim_transport *)transport;
    const char *colon = strrchr(endpoint, ':');
    ASSERT(colon != NULL);
    *port = atoi(colon + 1);
    if (*port == 0)
        *port = world_of(self)->next_port++;
    snprintf(self->endpoint, sizeof self->endpoint, "%.*s:%d", (int)(colon - endpoint), endpoint, *port);
    struct sim_transport *old = map_get(&world_of(self)->transports, slice_str(self->endpoint));
    if (old != NULL && old->process->alive)
        return ST_EXISTS;
    map_put(&world_of(self)->transports, slice_str(self->endpoint), self);
    return ST_OK;
}

static enum status sim_lane_connect(struct transport *transport, const char *endpoint,
                                    struct rpc_node expected, enum rpc_lane kind, struct transport_lane **out)
{
    struct sim_transport *self = (struct sim_transport *)transport;
    struct sim_lane *lane = mem_calloc(1, sizeof *lane);
    lane->owner = self;
    lane->kind = kind;
    lane->state = TRANSPORT_CONNECTING;
    snprintf(lane->endpoint, sizeof lane->endpoint, "%s", endpoint);
    world_at(world_of(self), LATENCY_US, self->process, lane_watch, lane);
    *out = &lane->lane;
    return ST_OK;
}

static enum status sim_send(struct transport *transport, struct transport_lane *to,
                            struct block *const *frames, int count)
{
    struct sim_lane *lane = (struct sim_lane *)to;
    if (lane->state != TRANSPORT_UP)
        return ST_AGAIN;
    struct message message = {.from = lane->owner->process->machine,
                              .to = lane->peer,
                              .lane = lane,
                              .route = lane->route,
                              .count = count};
    message_send(message_new(&message, frames));
    return ST_OK;
}

static enum status sim_answer(struct transport *transport, uint64_t route, struct block *const *frames,
                              int count)
{
    struct sim_transport *self = (struct sim_transport *)transport;
    struct sim_lane *lane = map_get_u64(&self->lanes, route);
    if (lane == NULL || lane->dropped || lane->route != route || !lane->owner->process->alive)
        return ST_UNREACHABLE;
    struct message message = {.from = self->process->machine,
                              .to = lane->owner,
                              .lane = lane,
                              .route = route,
                              .reply = true,
                              .count = count};
    message_send(message_new(&message, frames));
    return ST_OK;
}

struct probe {
    struct sim_transport *self;
    char endpoint[64];
    transport_probe_fn *on_probe;
    void *context;
};

static void probe_now(void *context)
{
    struct probe *probe = context;
    struct sim_transport *self = probe->self;
    struct sim_transport *peer = map_get(&world_of(self)->transports, slice_str(probe->endpoint));
    enum status status = ST_UNREACHABLE;
    if (peer != NULL && peer->process->alive)
        status = world_reachable(self->process, peer->process) ? ST_OK : ST_TIMEOUT;
    probe->on_probe(probe->context, status);
    mem_free(probe);
}

static void sim_probe(struct transport *transport, const char *endpoint, transport_probe_fn *on_probe,
                      void *context)
{
    struct sim_transport *self = (struct sim_transport *)transport;
    struct probe *probe = mem_calloc(1, sizeof *probe);
    *probe = (struct probe){.self = self, .on_probe = on_probe, .context = context};
    snprintf(probe->endpoint, sizeof probe->endpoint, "%s", endpoint);
    world_at(world_of(self), LATENCY_US * 2, self->process, probe_now, probe);
}

static void sim_disconnect(struct transport *transport, struct transport_lane **pointer)
{
    ((struct sim_lane *)*pointer)->dropped =
        true; // the struct stays: messages and watches for it may still be queued
    *pointer = NULL;
}

static const struct transport_ops sim_ops = {.bind = sim_bind,
                                             .connect = sim_lane_connect,
                                             .send = sim_send,
                                             .answer = sim_answer,
                                             .probe = sim_probe,
                                             .disconnect = sim_disconnect};

struct transport *sim_transport_new(struct process *process)
{
    struct sim_transport *self = mem_calloc(1, sizeof *self);
    self->transport.ops = &sim_ops;
    self->process = process;
    map_init(&self->lanes, 5);
    return &self->transport;
}
