// SPDX-License-Identifier: Apache-2.0
// One relay is a small state machine: it waits (for an owner, before trying again), has called an owner or
// the controller, or holds an answer until the image has its metadata offset. See relay.h.
#include "relay.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/contacts.h"
#include "cluster/shard.h"
#include "protos/controller.pb-c.h"
#include "protos/coordinator.pb-c.h"

enum { RETRY_MS = 20, CROWDED_RETRY_MS = 500, CONTROLLER_LEAST_MS = 100, NEED_TOPIC_MS = 2000 };

enum relay_state {
    RELAY_WAITING, // timer: look for the owner (again)
    RELAY_CALLED,  // an owner has it
    RELAY_ASKED,   // the controller has it
    RELAY_HOLDING, // the answer waits for the image
    RELAY_ENDING   // timer: tell the result
};

struct relay {
    struct relays *relays;
    struct relay *next, *previous;
    enum relay_state state;
    struct relay_call call;
    uint64_t id; // names it to the owner
    int64_t deadline_us;
    int64_t parked_us; // since when there is no owner; 0: there is one
    struct timer timer;
    struct rpc_peer *peer; // RELAY_CALLED
    struct controllers_pending *asked;
    struct follow_wait hold;
    enum status result;
    struct block *response;
};

struct relays {
    struct env *env;
    struct rpc *rpc;
    struct controllers *controllers;
    struct follow *follow;
    const struct image *image;
    struct relay *first, *last;
    int count;
    uint64_t next_id;
    struct contacts owners;             // coordinators
    struct controllers_pending *needed; // an internal topic is asked for
    struct metric relayed, repeated, failed;
};

static void relay_try(struct relay *relay);

// ---- life ----

static void relay_free(struct relay *relay)
{
    struct relays *relays = relay->relays;
    timer_stop(relays->env, &relay->timer);
    follow_wait_cancel(&relay->hold);
    rpc_peer_release(&relay->peer);
    block_unref(&relay->response);
    block_unref(&relay->call.frame);
    *(relay->previous != NULL ? &relay->previous->next : &relays->first) = relay->next;
    *(relay->next != NULL ? &relay->next->previous : &relays->last) = relay->previous;
    relays->count--;
    mem_free(relay);
}

static void relay_end(struct relay *relay)
{
    relay_fn *done = relay->call.done;
    void *context = relay->call.context;
    enum status result = relay->result;
    struct block *response = relay->response;
    relay->response = NULL;
    if (result != ST_OK)
        metric_inc(&relay->relays->failed, 1);
    relay_free(relay);
    done(context, result, response);
    block_unref(&response);
}

static void relay_fail(struct relay *relay, enum status status)
{
    relay->result = status;
    relay_end(relay);
}

// ---- the answer ----

static void relay_on_offset(void *context, enum status status)
{
    struct relay *relay = context;
    (void)status; // late is better than never: the answer is true, only this node is behind
    relay_end(relay);
}

static void relay_answered(struct relay *relay, struct block *response_take, int64_t metadata_offset)
{
    struct relays *relays = relay->relays;
    rpc_peer_release(&relay->peer);
    relay->response = response_take;
    relay->result = ST_OK;
    if (metadata_offset < 0 || follow_offset(relays->follow) >= metadata_offset) {
        relay_end(relay);
        return;
    }
    relay->state = RELAY_HOLDING;
    int64_t until = env_now_us(relays->env) + RELAY_OFFSET_MS * 1000;
    follow_when(relays->follow, &relay->hold, metadata_offset, until, relay_on_offset, relay);
}

// ---- trying ----

static void relay_again(struct relay *relay, enum status why)
{
    struct relays *relays = relay->relays;
    int64_t pause_ms = why == ST_LIMIT ? CROWDED_RETRY_MS : RETRY_MS;
    rpc_peer_release(&relay->peer);
    if (env_now_us(relays->env) + pause_ms * 1000 >= relay->deadline_us) {
        relay_fail(relay, why);
        return;
    }
    metric_inc(&relays->repeated, 1);
    relay->state = RELAY_WAITING;
    timer_start_ms(relays->env, &relay->timer, pause_ms);
}

static void relay_park(struct relay *relay)
{
    int64_t now = env_now_us(relay->relays->env);
    if (relay->parked_us == 0)
        relay->parked_us = now;
    if (now - relay->parked_us >= RELAY_PARK_MS * 1000)
        relay_fail(relay, ST_NOT_FOUND);
    else
        relay_again(relay, ST_NOT_FOUND);
}

// Whether the owner certainly did not execute the request.
static bool not_executed(enum status status)
{
    return status == ST_NOT_LEADER || status == ST_LOADING || status == ST_LIMIT || status == ST_AGAIN ||
           status == ST_STALE;
}

static void relay_on_reply(const Millrace__RelayReply *reply, void *closure_data)
{
    struct relay *relay = closure_data;
    const struct rpc_result *result = rpc_result(relay->relays->rpc);
    if (reply != NULL && result->payload_count > 0)
        relay_answered(relay, block_ref(result->payload[0]), reply->metadata_offset);
    else if (reply != NULL)
        relay_fail(relay, ST_MALFORMED);
    else if (result->status == ST_CLOSED)
        relay_fail(relay, ST_CANCELLED); // this process stops
    else if (not_executed(result->status) ||
             (relay->call.repeatable && (result->status == ST_UNREACHABLE || result->status == ST_TIMEOUT)))
        relay_again(relay, result->status);
    else
        relay_fail(relay, result->status);
}

// How long an owner has for its answer.
static int64_t patience_ms(const struct relay *relay)
{
    int64_t left_ms = (relay->deadline_us - env_now_us(relay->relays->env)) / 1000;
    if (relay->call.try_ms > 0 && relay->call.try_ms < left_ms)
        return relay->call.try_ms;
    return left_ms > 0 ? left_ms : 1;
}

static void call_owner(struct relay *relay, const struct image_node *node)
{
    struct relays *relays = relay->relays;
    const struct principal *principal = relay->call.principal;
    relay->parked_us = 0;
    relay->peer = rpc_peer_ref(contacts_to(&relays->owners, node, RPC_COORDINATOR));
    Millrace__RelayRequest request = MILLRACE__RELAY_REQUEST__INIT;
    request.relay_id = relay->id;
    request.principal = (char *)(uintptr_t)principal->name;
    request.listener = (char *)(uintptr_t)principal->listener;
    request.client_host = (char *)(uintptr_t)principal->host;
    request.session = principal->session;
    struct rpc_options options = {.deadline_ms = patience_ms(relay),
                                  .linger_us = relay->call.unhurried ? RELAY_LINGER_US : 0,
                                  .payload = &relay->call.frame,
                                  .payload_count = 1};
    relay->state = RELAY_CALLED;
    millrace__coordinator__relay(rpc_on(relay->peer, &millrace__coordinator__descriptor, &options), &request,
                                 relay_on_reply, relay);
}

static void relay_on_controller(void *context, enum status status, const ProtobufCMessage *message,
                                struct slice payload, const char *text)
{
    struct relay *relay = context;
    (void)text;
    relay->asked = NULL;
    struct block *response = status == ST_OK && payload.len > 0 ? block_copy(payload) : NULL;
    if (response != NULL)
        relay_answered(relay, response, ((const Millrace__RelayReply *)message)->metadata_offset);
    else
        relay_fail(relay, status == ST_OK ? ST_MALFORMED : status);
}

static void ask_controller(struct relay *relay)
{
    struct relays *relays = relay->relays;
    const struct principal *principal = relay->call.principal;
    Millrace__RelayRequest request = MILLRACE__RELAY_REQUEST__INIT;
    request.relay_id = relay->id;
    request.principal = (char *)(uintptr_t)principal->name;
    request.listener = (char *)(uintptr_t)principal->listener;
    request.client_host = (char *)(uintptr_t)principal->host;
    request.session = principal->session;
    int64_t left_ms = (relay->deadline_us - env_now_us(relays->env)) / 1000;
    struct controllers_call call = {.method = "Relay",
                                    .request = &request.base,
                                    .payload = relay->call.frame,
                                    .timeout_ms =
                                        left_ms > CONTROLLER_LEAST_MS ? left_ms : CONTROLLER_LEAST_MS,
                                    .idempotent = relay->call.repeatable,
                                    .done = relay_on_controller,
                                    .context = relay};
    relay->state = RELAY_ASKED;
    relay->asked = controllers_invoke(relays->controllers, &call);
}

// The internal topic whose shards the request is for.
static const char *topic_of(const struct relay *relay)
{
    if (relay->call.target == RELAY_SHARE)
        return SHARD_TOPIC_SHARE;
    return relay->call.target == RELAY_TRANSACTION ? SHARD_TOPIC_TRANSACTIONS : SHARD_TOPIC_GROUPS;
}

static const struct image_node *find_owner(const struct relay *relay)
{
    const struct image *image = relay->relays->image;
    if (relay->call.target != RELAY_NODE)
        return shard_owner(image, topic_of(relay), relay->call.key);
    const struct image_node *node = image_node(image, relay->call.node);
    return image_node_live(node, MILLRACE__ROLE__ROLE_COORDINATOR) ? node : NULL;
}

static void need_on_done(void *context, enum status status, const ProtobufCMessage *reply,
                         struct slice payload, const char *text)
{
    struct relays *relays = context;
    relays->needed = NULL;
}

// The first transactional producer of a cluster is what __transaction_state is made for.
static void need_topic(struct relay *relay)
{
    struct relays *relays = relay->relays;
    if (relay->call.target != RELAY_TRANSACTION || relays->needed != NULL ||
        image_topic_named(relays->image, topic_of(relay)) != NULL)
        return;
    Millrace__NeedTopicRequest request = MILLRACE__NEED_TOPIC_REQUEST__INIT;
    request.name = (char *)(uintptr_t)topic_of(relay);
    struct controllers_call call = {.method = "NeedTopic",
                                    .request = &request.base,
                                    .timeout_ms = NEED_TOPIC_MS,
                                    .idempotent = true,
                                    .done = need_on_done,
                                    .context = relays};
    relays->needed = controllers_invoke(relays->controllers, &call);
}

static void relay_try(struct relay *relay)
{
    if (relay->call.target == RELAY_CONTROLLER) {
        ask_controller(relay);
        return;
    }
    const struct image_node *node = find_owner(relay);
    if (node != NULL) {
        call_owner(relay, node);
    } else {
        need_topic(relay);
        relay_park(relay);
    }
}

static void relay_on_timer(struct timer *timer)
{
    struct relay *relay = timer->context;
    if (relay->state == RELAY_ENDING)
        relay_end(relay);
    else
        relay_try(relay);
}

struct relay *relay_start(struct relays *relays, const struct relay_call *call)
{
    struct relay *relay = mem_calloc(1, sizeof *relay);
    relay->relays = relays;
    relay->call = *call;
    block_ref(relay->call.frame);
    relay->id = relays->next_id++;
    relay->deadline_us = env_now_us(relays->env) + call->timeout_ms * 1000;
    timer_init(&relay->timer, relay_on_timer, relay);
    relay->previous = relays->last;
    *(relays->last != NULL ? &relays->last->next : &relays->first) = relay;
    relays->last = relay;
    relays->count++;
    metric_inc(&relays->relayed, 1);
    if (call->frame->len > RELAY_BYTES_MAX || relays->count > RELAYS_MAX) {
        relay->state = RELAY_ENDING;
        relay->result = ST_LIMIT;
        timer_start_us(relays->env, &relay->timer, 0);
    } else if (call->target == RELAY_CONTROLLER || find_owner(relay) != NULL) {
        relay_try(relay);
    } else {
        relay->state = RELAY_WAITING;
        timer_start_us(relays->env, &relay->timer, 0);
    }
    return relay;
}

static void tell_owner(struct relay *relay)
{
    Millrace__RelayCancel cancel = MILLRACE__RELAY_CANCEL__INIT;
    cancel.relay_id = relay->id;
    millrace__coordinator__cancel_relay(rpc_on(relay->peer, &millrace__coordinator__descriptor, NULL),
                                        &cancel, NULL, NULL);
}

// Ends what waits for others, so that nobody calls back.
static void relay_detach(struct relay *relay)
{
    if (relay->state == RELAY_CALLED)
        rpc_cancel(relay->relays->rpc, relay);
    if (relay->asked != NULL)
        controllers_cancel(relay->relays->controllers, &relay->asked);
}

void relay_cancel(struct relay **pointer)
{
    struct relay *relay = *pointer;
    *pointer = NULL;
    if (relay == NULL)
        return;
    relay_detach(relay);
    if (relay->state == RELAY_CALLED)
        tell_owner(relay);
    relay_free(relay);
}

// ---- of a node ----

static void add_metric(struct relays *relays, struct metric *metric, const char *name, const char *help)
{
    *metric = (struct metric){.name = name, .help = help, .kind = METRIC_COUNTER};
    metric_add(relays->env->metrics, metric);
}

struct relays *relays_new(struct env *env, struct rpc *rpc, struct controllers *controllers,
                          struct follow *follow, const struct image *image)
{
    struct relays *relays = mem_calloc(1, sizeof *relays);
    *relays =
        (struct relays){.env = env, .rpc = rpc, .controllers = controllers, .follow = follow, .image = image};
    relays->next_id = env_random(env);
    contacts_init(&relays->owners, rpc, env_random(env));
    add_metric(relays, &relays->relayed, "millrace_storage_relays_total",
               "Requests passed on to coordinators and the controller.");
    add_metric(relays, &relays->repeated, "millrace_storage_relay_retries_total",
               "Further attempts to find or reach the owner of a relayed request.");
    add_metric(relays, &relays->failed, "millrace_storage_relay_failures_total",
               "Relayed requests that ended without their owner's answer.");
    return relays;
}

void relays_cancel(struct relays *relays)
{
    while (relays->first != NULL) {
        relay_detach(relays->first);
        relay_fail(relays->first, ST_CANCELLED);
    }
}

void relays_destroy(struct relays **pointer)
{
    struct relays *relays = *pointer;
    *pointer = NULL;
    if (relays == NULL)
        return;
    relays_cancel(relays);
    if (relays->needed != NULL)
        controllers_cancel(relays->controllers, &relays->needed);
    contacts_fini(&relays->owners);
    metric_remove(relays->env->metrics, &relays->relayed);
    metric_remove(relays->env->metrics, &relays->repeated);
    metric_remove(relays->env->metrics, &relays->failed);
    mem_free(relays);
}

int relays_count(const struct relays *relays)
{
    return relays->count;
}
