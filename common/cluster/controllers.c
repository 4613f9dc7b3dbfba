// SPDX-License-Identifier: Apache-2.0
// See controllers.h. A pending call keeps its own copy of the request, so that it can be sent again. Which
// failures allow that: NOT_LEADER, AGAIN and LOADING told by a controller mean "not executed" (the controller
// fails calls whose outcome it does not know with CLOSED or CANCELLED); a lane that never came up during the
// call means "not sent"; all else only when the caller says that twice is harmless.
#include "cluster/controllers.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/controllers_state.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    BACKOFF_MS_MIN = 20,
    BACKOFF_MS_MAX = 500,
    ATTEMPT_MS_MIN = 300,
    HOPS_MAX = 3, // NOT_LEADER hints followed without a pause
    ENDPOINT_BYTES_MAX = 256
};

struct endpoint {
    char *address; // "tcp://host:port"
    int32_t id;    // -1: not told
    struct rpc_peer *peer;
    int ups[RPC_LANES]; // times the lane came up
    bool up[RPC_LANES];
};

struct controllers {
    struct env *env;
    struct rpc *rpc;
    struct endpoint endpoints[CONTROLLERS_MAX];
    size_t count;
    size_t next; // tried when no active controller is known
    int active;  // index, -1: not known
    struct controllers_pending *pending;
};

struct controllers_pending {
    struct controllers *owner;
    struct controllers_pending *next;
    unsigned method;
    enum rpc_lane lane;
    ProtobufCMessage *request; // own copy
    struct block *payload;
    int64_t deadline_us, attempt_ms;
    int backoff_ms, hops;
    bool idempotent, in_flight;
    size_t asked; // endpoint of the attempt
    int ups_before;
    bool up_before;
    struct timer retry;
    controllers_fn *done;
    void *context;
};

// ---- endpoints ----

static int endpoint_find(const struct controllers *controllers, const char *address)
{
    for (size_t i = 0; i < controllers->count; i++)
        if (strcmp(controllers->endpoints[i].address, address) == 0)
            return (int)i;
    return -1;
}

// The index, -1 when there is no room.
static int endpoint_add(struct controllers *controllers, const char *address)
{
    int at = endpoint_find(controllers, address);
    if (at >= 0 || controllers->count == CONTROLLERS_MAX)
        return at;
    controllers->endpoints[controllers->count] = (struct endpoint){.address = mem_strdup(address), .id = -1};
    return (int)controllers->count++;
}

static bool usable(const char *address)
{
    return strncmp(address, "tcp://", 6) == 0 && strlen(address) <= ENDPOINT_BYTES_MAX;
}

void controllers_learn(struct controllers *controllers, const char *address)
{
    if (usable(address))
        endpoint_add(controllers, address);
}

// One entry: "host:port", "tcp://host:port" or "id@host:port".
static enum status endpoint_parse(struct controllers *controllers, const char *text, size_t len)
{
    const char *at = memchr(text, '@', len);
    long id = -1;
    if (at != NULL) {
        char *end;
        id = strtol(text, &end, 10);
        if (end != at || end == text || id < 0 || id > INT32_MAX)
            return ST_INVALID;
        len -= (size_t)(at + 1 - text);
        text = at + 1;
    }
    if (len > 6 && strncmp(text, "tcp://", 6) == 0) {
        text += 6;
        len -= 6;
    }
    const char *colon = memrchr(text, ':', len);
    if (len > ENDPOINT_BYTES_MAX || colon == NULL || colon == text || colon + 1 == text + len)
        return ST_INVALID;
    for (const char *digit = colon + 1; digit < text + len; digit++)
        if (*digit < '0' || *digit > '9')
            return ST_INVALID;
    char *address = mem_printf("tcp://%.*s", (int)len, text);
    int index = endpoint_add(controllers, address);
    mem_free(address);
    if (index < 0)
        return ST_LIMIT;
    controllers->endpoints[index].id = (int32_t)id;
    return ST_OK;
}

static enum status endpoints_parse(struct controllers *controllers, const char *text)
{
    enum status status = ST_OK;
    while (*text != '\0' && status == ST_OK) {
        text += strspn(text, ", \t");
        size_t len = strcspn(text, ", \t");
        if (len > 0)
            status = endpoint_parse(controllers, text, len);
        text += len;
    }
    return status == ST_OK && controllers->count == 0 ? ST_INVALID : status;
}

static void on_lane(struct rpc_peer *peer, enum rpc_lane lane, enum transport_state state, void *context)
{
    struct endpoint *endpoint = context;
    endpoint->up[lane] = state == TRANSPORT_UP;
    endpoint->ups[lane] += endpoint->up[lane];
}

struct rpc_peer *controllers_peer(struct controllers *controllers, size_t i)
{
    ASSERT(i < controllers->count);
    struct endpoint *endpoint = &controllers->endpoints[i];
    if (endpoint->peer == NULL) {
        struct rpc_node expected = {.role = RPC_CONTROLLER, .node = endpoint->id};
        endpoint->peer = rpc_peer(controllers->rpc, endpoint->address, expected);
        rpc_peer_watch(endpoint->peer, on_lane, endpoint);
    }
    return endpoint->peer;
}

enum status controllers_new(struct env *env, struct rpc *rpc, const char *endpoints, struct controllers **out)
{
    struct controllers *controllers = mem_calloc(1, sizeof *controllers);
    controllers->env = env;
    controllers->rpc = rpc;
    controllers->active = -1;
    enum status status = endpoints_parse(controllers, endpoints);
    if (status != ST_OK) {
        DIAG_ERROR(&env->diag, "no usable controller endpoints value=%s", endpoints);
        controllers_destroy(&controllers);
    }
    *out = controllers;
    return status;
}

size_t controllers_count(const struct controllers *controllers)
{
    return controllers->count;
}

const char *controllers_endpoint(const struct controllers *controllers, size_t i)
{
    ASSERT(i < controllers->count);
    return controllers->endpoints[i].address;
}

const char *controllers_active(const struct controllers *controllers)
{
    return controllers->active >= 0 ? controllers->endpoints[controllers->active].address : NULL;
}

// ---- calls ----

static void pending_unlink(struct controllers_pending *pending)
{
    struct controllers_pending **at = &pending->owner->pending;
    while (*at != pending)
        at = &(*at)->next;
    *at = pending->next;
}

static void pending_free(struct controllers_pending *pending)
{
    timer_stop(pending->owner->env, &pending->retry);
    if (pending->in_flight)
        rpc_cancel(pending->owner->rpc, pending);
    pending_unlink(pending);
    protobuf_c_message_free_unpacked(pending->request, NULL);
    block_unref(&pending->payload);
    mem_free(pending);
}

// The result may be about to vanish with the pending call, so it is told first.
static void finish(struct controllers_pending *pending, enum status status, const ProtobufCMessage *reply,
                   struct slice payload, const char *text)
{
    controllers_fn *done = pending->done;
    void *context = pending->context;
    char copy[256];
    snprintf(copy, sizeof copy, "%s", text);
    pending_free(pending);
    done(context, status, reply, payload, copy);
}

static void on_answer(const ProtobufCMessage *reply, void *closure_data);

static void attempt(struct controllers_pending *pending)
{
    struct controllers *controllers = pending->owner;
    int64_t left_ms = (pending->deadline_us - env_now_us(controllers->env)) / 1000;
    if (left_ms <= 0) {
        finish(pending, ST_TIMEOUT, NULL, (struct slice){0}, "no controller has answered in time");
        return;
    }
    pending->asked =
        controllers->active >= 0 ? (size_t)controllers->active : controllers->next % controllers->count;
    struct rpc_peer *peer = controllers_peer(controllers, pending->asked);
    struct endpoint *endpoint = &controllers->endpoints[pending->asked];
    pending->up_before = endpoint->up[pending->lane];
    pending->ups_before = endpoint->ups[pending->lane];
    pending->in_flight = true;
    struct rpc_options options = {.deadline_ms =
                                      left_ms < pending->attempt_ms ? left_ms : pending->attempt_ms,
                                  .payload = &pending->payload,
                                  .payload_count = pending->payload != NULL};
    ProtobufCService *service = rpc_on(peer, &millrace__controller__descriptor, &options);
    service->invoke(service, pending->method, pending->request, on_answer, pending);
}

static void on_retry(struct timer *timer)
{
    attempt(timer->context);
}

static void retry_later(struct controllers_pending *pending)
{
    timer_start_ms(pending->owner->env, &pending->retry, pending->backoff_ms);
    pending->backoff_ms = pending->backoff_ms * 2 > BACKOFF_MS_MAX ? BACKOFF_MS_MAX : pending->backoff_ms * 2;
    pending->hops = 0;
}

// The one we asked is not the active controller: forget it as such and try the next of the list.
static void move_on(struct controllers_pending *pending)
{
    struct controllers *controllers = pending->owner;
    if (controllers->active == (int)pending->asked)
        controllers->active = -1;
    controllers->next = pending->asked + 1;
}

static void follow_hint(struct controllers_pending *pending, const char *hint)
{
    struct controllers *controllers = pending->owner;
    move_on(pending);
    int index = usable(hint) ? endpoint_add(controllers, hint) : -1;
    if (index < 0 || index == (int)pending->asked) {
        retry_later(pending);
        return;
    }
    controllers->active = index;
    if (++pending->hops <= HOPS_MAX)
        timer_start_us(controllers->env, &pending->retry, 0);
    else
        retry_later(pending);
}

static bool surely_not_sent(const struct controllers_pending *pending)
{
    const struct endpoint *endpoint = &pending->owner->endpoints[pending->asked];
    return !pending->up_before && endpoint->ups[pending->lane] == pending->ups_before;
}

// Nobody answered: UNREACHABLE, TIMEOUT or a limit of our own.
static void on_silence(struct controllers_pending *pending, enum status status, const char *text)
{
    if (status == ST_CLOSED || status == ST_MISMATCH || status == ST_INVALID) {
        finish(pending, status, NULL, (struct slice){0}, text);
        return;
    }
    move_on(pending);
    bool again = pending->idempotent || status == ST_LIMIT || status == ST_AGAIN || surely_not_sent(pending);
    if (again)
        retry_later(pending);
    else
        finish(pending, status == ST_TIMEOUT ? ST_TIMEOUT : ST_UNREACHABLE, NULL, (struct slice){0}, text);
}

static void on_failure(struct controllers_pending *pending, enum status status, const char *text)
{
    if (status == ST_NOT_LEADER)
        follow_hint(pending, text);
    else if (status == ST_AGAIN || status == ST_LOADING)
        retry_later(pending);
    else if ((status == ST_CLOSED || status == ST_CANCELLED) && pending->idempotent)
        retry_later(pending);
    else if (status == ST_CLOSED || status == ST_CANCELLED)
        finish(pending, ST_UNREACHABLE, NULL, (struct slice){0}, text);
    else
        finish(pending, status, NULL, (struct slice){0}, text);
}

static void on_answer(const ProtobufCMessage *reply, void *closure_data)
{
    struct controllers_pending *pending = closure_data;
    struct controllers *controllers = pending->owner;
    pending->in_flight = false;
    const struct rpc_result *result = rpc_result(controllers->rpc);
    if (reply != NULL) {
        controllers->active = (int)pending->asked;
        struct slice payload =
            result->payload_count > 0 ? block_slice(result->payload[0]) : (struct slice){0};
        finish(pending, ST_OK, reply, payload, "");
        return;
    }
    if (result->sender.node.role == 0)
        on_silence(pending, result->status, result->text);
    else
        on_failure(pending, result->status, result->text);
}

static ProtobufCMessage *message_copy(const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = mem_calloc(1, len + 1);
    protobuf_c_message_pack(message, bytes);
    ProtobufCMessage *copy = protobuf_c_message_unpack(message->descriptor, NULL, len, bytes);
    mem_free(bytes);
    ASSERT(copy != NULL);
    return copy;
}

struct controllers_pending *controllers_invoke(struct controllers *controllers,
                                               const struct controllers_call *call)
{
    const ProtobufCMethodDescriptor *method =
        protobuf_c_service_descriptor_get_method_by_name(&millrace__controller__descriptor, call->method);
    const struct rpc_rule *rule =
        rpc_rule_find(rpc_rules, millrace__controller__descriptor.name, call->method);
    ASSERT(method != NULL && method->input == call->request->descriptor && rule != NULL);
    struct controllers_pending *pending = mem_calloc(1, sizeof *pending);
    *pending =
        (struct controllers_pending){.owner = controllers,
                                     .next = controllers->pending,
                                     .method = (unsigned)(method - millrace__controller__descriptor.methods),
                                     .lane = rule->lane,
                                     .request = message_copy(call->request),
                                     .payload = call->payload != NULL ? block_ref(call->payload) : NULL,
                                     .deadline_us = env_now_us(controllers->env) + call->timeout_ms * 1000,
                                     .attempt_ms = call->idempotent ? call->timeout_ms / 3 : call->timeout_ms,
                                     .backoff_ms = BACKOFF_MS_MIN,
                                     .idempotent = call->idempotent,
                                     .done = call->done,
                                     .context = call->context};
    if (pending->attempt_ms < ATTEMPT_MS_MIN)
        pending->attempt_ms = ATTEMPT_MS_MIN;
    controllers->pending = pending;
    timer_init(&pending->retry, on_retry, pending);
    timer_start_us(controllers->env, &pending->retry, 0);
    return pending;
}

void controllers_cancel(struct controllers *controllers, struct controllers_pending **pending)
{
    if (*pending != NULL)
        pending_free(*pending);
    *pending = NULL;
}

void controllers_destroy(struct controllers **out)
{
    struct controllers *controllers = *out;
    if (controllers == NULL)
        return;
    while (controllers->pending != NULL)
        finish(controllers->pending, ST_CANCELLED, NULL, (struct slice){0}, "shutting down");
    for (size_t i = 0; i < controllers->count; i++) {
        if (controllers->endpoints[i].peer != NULL) {
            rpc_peer_watch(controllers->endpoints[i].peer, NULL, NULL);
            rpc_peer_release(&controllers->endpoints[i].peer);
        }
        mem_free(controllers->endpoints[i].address);
    }
    mem_free(controllers);
    *out = NULL;
}
