// SPDX-License-Identifier: Apache-2.0
// See reach.h.
#include "reach.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>

struct place {
    struct reach *reach;
    int32_t id; // -1: free
    bool configured;
    char endpoint[RAFT_ENDPOINT_SIZE];
    struct rpc_peer *rpc;
    bool probing;
    uint64_t used; // later is higher
};

struct probe {           // outlives its place
    struct place *place; // NULL: nobody waits for it
    struct probe *next;
};

struct reach {
    struct env *env;
    struct rpc *rpc;
    int32_t self;
    bool bound; // to the configuration
    reach_fn *on_gone;
    void *context;
    struct place places[REACH_MAX];
    uint64_t uses;
    struct probe *probes;
};

static struct place *place_of(struct reach *reach, int32_t id)
{
    for (int i = 0; i < REACH_MAX; i++)
        if (reach->places[i].id == id)
            return &reach->places[i];
    return NULL;
}

// ---- probes ----

static void on_probe(void *context, enum status status)
{
    struct probe *probe = context;
    struct place *place = probe->place;
    if (place != NULL) {
        struct reach *reach = place->reach;
        struct probe **at = &reach->probes;
        while (*at != probe)
            at = &(*at)->next;
        *at = probe->next;
        place->probing = false;
        if (status == ST_UNREACHABLE)
            reach->on_gone(reach->context, place->id);
    }
    mem_free(probe);
}

static void probe_forget(struct reach *reach, const struct place *place)
{
    for (struct probe **at = &reach->probes; *at != NULL;) {
        struct probe *probe = *at;
        if (probe->place != place) {
            at = &probe->next;
            continue;
        }
        *at = probe->next;
        probe->place = NULL;
    }
}

static void on_lane(struct rpc_peer *rpc, enum rpc_lane lane, enum transport_state state, void *context)
{
    struct place *place = context;
    struct reach *reach = place->reach;
    if (lane != RPC_CONTROL || state != TRANSPORT_LOST || place->probing)
        return;
    struct probe *probe = mem_calloc(1, sizeof *probe);
    *probe = (struct probe){.place = place, .next = reach->probes};
    reach->probes = probe;
    place->probing = true;
    rpc_probe(reach->rpc, place->endpoint, on_probe, probe);
}

// ---- places ----

static void place_open(struct place *place, int32_t id, const char *endpoint)
{
    struct reach *reach = place->reach;
    place->id = id;
    place->used = ++reach->uses;
    snprintf(place->endpoint, sizeof place->endpoint, "%s", endpoint);
    place->rpc = rpc_peer(reach->rpc, place->endpoint, (struct rpc_node){RPC_CONTROLLER, id});
    rpc_peer_watch(place->rpc, on_lane, place);
}

static void place_close(struct place *place)
{
    probe_forget(place->reach, place);
    rpc_peer_watch(place->rpc, NULL, NULL);
    rpc_peer_release(&place->rpc);
    *place = (struct place){.reach = place->reach, .id = -1, .configured = place->configured};
}

// A free one, else the longest unused that is not configured.
static struct place *place_take(struct reach *reach)
{
    struct place *oldest = place_of(reach, -1);
    if (oldest != NULL)
        return oldest;
    for (int i = 0; i < REACH_MAX; i++)
        if (!reach->places[i].configured && (oldest == NULL || reach->places[i].used < oldest->used))
            oldest = &reach->places[i];
    ASSERT(oldest != NULL); // fewer can be configured
    place_close(oldest);
    return oldest;
}

void reach_note(struct reach *reach, int32_t id, const char *endpoint)
{
    ASSERT(id >= 0 && strlen(endpoint) < RAFT_ENDPOINT_SIZE);
    struct place *place = place_of(reach, id);
    if (id == reach->self || endpoint[0] == 0 || (place != NULL && place->configured && reach->bound) ||
        (place != NULL && strcmp(place->endpoint, endpoint) == 0))
        return;
    if (place != NULL)
        place_close(place);
    place_open(place != NULL ? place : place_take(reach), id, endpoint);
}

void reach_bind(struct reach *reach, bool bound)
{
    reach->bound = bound;
}

struct rpc_peer *reach_peer(struct reach *reach, int32_t id)
{
    struct place *place = id >= 0 ? place_of(reach, id) : NULL;
    if (place == NULL)
        return NULL;
    place->used = ++reach->uses;
    return place->rpc;
}

const char *reach_endpoint(const struct reach *reach, int32_t id)
{
    for (int i = 0; i < REACH_MAX && id >= 0; i++)
        if (reach->places[i].id == id)
            return reach->places[i].endpoint;
    return "";
}

// ---- life ----

struct reach *reach_new(struct env *env, struct rpc *rpc, const struct voters *voters, int32_t self,
                        reach_fn *on_gone, void *context)
{
    struct reach *reach = mem_calloc(1, sizeof *reach);
    *reach = (struct reach){
        .env = env, .rpc = rpc, .self = self, .bound = true, .on_gone = on_gone, .context = context};
    for (int i = 0; i < REACH_MAX; i++)
        reach->places[i] = (struct place){.reach = reach, .id = -1};
    for (int i = 0; i < voters->count; i++) {
        const struct voters_item *item = &voters->items[i];
        if (item->id == self)
            continue;
        place_open(&reach->places[i], item->id, item->endpoint);
        reach->places[i].configured = true;
    }
    return reach;
}

void reach_destroy(struct reach **out)
{
    struct reach *reach = *out;
    if (reach == NULL)
        return;
    for (int i = 0; i < REACH_MAX; i++)
        if (reach->places[i].id >= 0)
            place_close(&reach->places[i]);
    ASSERT(reach->probes == NULL);
    mem_free(reach);
    *out = NULL;
}
