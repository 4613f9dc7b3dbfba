// SPDX-License-Identifier: Apache-2.0
// Calls that go out: client_invoke is what the generated stubs end in. A call is registered under its
// correlation id before anything is sent, and ends exactly once through call_end: by its reply, its timer, or
// its lane. What fails inside the call that makes it is told at the next turn, so that callers need not
// expect their own closure before rpc_on's user has returned.
#include "rpc/internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

ProtobufCService *rpc_on(struct rpc_peer *peer, const ProtobufCServiceDescriptor *service,
                         const struct rpc_options *options)
{
    struct stub *stub = &peer->rpc->stub;
    stub->service.descriptor = service;
    stub->peer = peer;
    stub->options = options ? *options : (struct rpc_options){0};
    return &stub->service;
}

const struct rpc_result *rpc_result(const struct rpc *rpc)
{
    return &rpc->result;
}

// ---- life of a call ----

static void call_unlink(struct out_call *call)
{
    struct peer_lane *lane = call->lane;
    if (lane == NULL)
        return;
    if (call->waiting)
        lane->waiting_bytes -= frames_bytes(&call->unsent);
    call->waiting = false;
    if (lane->waits_first == call)
        lane->waits_first = call->next;
    *(call->prev ? &call->prev->next : &lane->first) = call->next;
    *(call->next ? &call->next->prev : &lane->last) = call->prev;
    lane->peer->calls--;
    call->lane = NULL;
}

static void call_link(struct out_call *call, struct peer_lane *lane)
{
    call->lane = lane;
    call->prev = lane->last;
    *(lane->last ? &lane->last->next : &lane->first) = call;
    lane->last = call;
    lane->peer->calls++;
}

// ---- the calls of an owner ----
// A relay or a ledger that goes away has its calls cancelled; there may be thousands of other calls.

static void owner_link(struct out_call *call, void *closure_data)
{
    call->closure_data = closure_data;
    call->owner_next = map_put_u64(&call->rpc->owners, (uintptr_t)closure_data, call);
    if (call->owner_next != NULL)
        call->owner_next->owner_prev = call;
}

static void owner_unlink(struct out_call *call)
{
    struct map *owners = &call->rpc->owners;
    uint64_t key = (uintptr_t)call->closure_data;
    if (call->owner_next != NULL)
        call->owner_next->owner_prev = call->owner_prev;
    if (call->owner_prev != NULL)
        call->owner_prev->owner_next = call->owner_next;
    else if (call->owner_next != NULL)
        map_put_u64(owners, key, call->owner_next);
    else
        map_remove_u64(owners, key);
}

void call_end(struct out_call *call, const struct rpc_result *result, const ProtobufCMessage *message)
{
    struct rpc *rpc = call->rpc;
    ProtobufCClosure closure = call->closure;
    void *closure_data = call->closure_data;
    map_remove_u64(&rpc->calls, call->correlation);
    metric_set(&rpc->metrics.calls_now, (int64_t)rpc->calls.count);
    call_unlink(call);
    owner_unlink(call);
    timer_stop(rpc->env, &call->timer);
    frames_unref(&call->unsent);
    mem_free(call);
    if (result->status != ST_OK)
        metric_inc(&rpc->metrics.failures, 1);
    if (closure == NULL)
        return;
    struct rpc_result before = rpc->result; // rpc_close inside a closure ends other calls
    rpc->result = *result;
    closure(message, closure_data);
    rpc->result = before;
}

static void call_timer(struct timer *timer)
{
    struct out_call *call = timer->context;
    struct rpc_result result = {.status = call->ended, .text = call->ended_text};
    call_end(call, &result, NULL);
}

void call_end_soon(struct out_call *call, enum status status, const char *text)
{
    call_unlink(call);
    frames_unref(&call->unsent);
    call->ended = status;
    call->ended_text = text;
    timer_start_us(call->rpc->env, &call->timer, 0);
}

static struct out_call *call_new(struct rpc *rpc, struct peer_lane *lane)
{
    struct out_call *call = mem_calloc(1, sizeof *call);
    call->rpc = rpc;
    call->correlation = ++rpc->last_correlation;
    call->ended = ST_TIMEOUT;
    call->ended_text = "no answer before the deadline";
    timer_init(&call->timer, call_timer, call);
    map_put_u64(&rpc->calls, call->correlation, call);
    metric_set(&rpc->metrics.calls_now, (int64_t)rpc->calls.count);
    metric_inc(&rpc->metrics.calls, 1);
    if (lane != NULL)
        call_link(call, lane);
    return call;
}

void rpc_cancel(struct rpc *rpc, void *closure_data)
{
    struct out_call *call;
    while ((call = map_get_u64(&rpc->owners, (uintptr_t)closure_data)) != NULL) {
        call->closure = NULL;
        call_end(call, &(struct rpc_result){.text = ""}, NULL);
    }
}

// ---- making a call ----

// The rule of a method, found once by name and then by the descriptor's address.
static const struct rpc_rule *rule_of(struct rpc *rpc, const ProtobufCServiceDescriptor *service,
                                      const ProtobufCMethodDescriptor *type)
{
    const struct rpc_rule *rule = map_get_u64(&rpc->types, (uintptr_t)type);
    if (rule != NULL)
        return rule;
    rule = rpc_rule_find(rpc->rules, service->name, type->name);
    ASSERT(rule != NULL);
    ASSERT(message_depth(type->output, RPC_NESTING_MAX + 1) <= RPC_NESTING_MAX);
    map_put_u64(&rpc->types, (uintptr_t)type, (void *)(uintptr_t)rule);
    return rule;
}

static int64_t deadline_of(const struct rpc_options *options)
{
    int64_t ms = options->deadline_ms > 0 ? options->deadline_ms : RPC_DEADLINE_MS_DEFAULT;
    return ms < RPC_DEADLINE_MS_MAX ? ms : RPC_DEADLINE_MS_MAX;
}

static enum status call_pack(struct out_call *call, const ProtobufCMethodDescriptor *type,
                             const struct rpc_rule *rule, const ProtobufCMessage *input)
{
    struct rpc *rpc = call->rpc;
    const struct rpc_options *options = &rpc->stub.options;
    Millrace__Envelope envelope;
    envelope_fill(rpc, &envelope,
                  call->closure ? MILLRACE__ENVELOPE__KIND__REQUEST : MILLRACE__ENVELOPE__KIND__ONEWAY,
                  call->correlation);
    envelope.service = (char *)(uintptr_t)rule->service;
    envelope.method = (char *)(uintptr_t)type->name;
    envelope.has_deadline_ms = true;
    envelope.deadline_ms = (uint32_t)deadline_of(options);
    return frames_pack(rpc, &envelope, input, options->payload, options->payload_count, &call->unsent);
}

static void call_wait(struct out_call *call)
{
    size_t bytes = frames_bytes(&call->unsent);
    if (call->lane->waiting_bytes + bytes > RPC_WAITING_BYTES_MAX) {
        call_end_soon(call, ST_LIMIT, "too much waits for the connection");
        return;
    }
    call->lane->waiting_bytes += bytes;
    call->waiting = true;
    if (call->lane->waits_first == NULL)
        call->lane->waits_first = call;
}

static void call_linger(struct out_call *call, int64_t linger_us)
{
    struct timer *linger = &call->lane->linger;
    if (!timer_running(linger))
        timer_start_us(call->rpc->env, linger, linger_us);
    call_wait(call);
}

void call_send(struct out_call *call)
{
    struct peer_lane *lane = call->lane;
    struct transport *transport = call->rpc->transport;
    enum status status = transport->ops->send(transport, lane->link, call->unsent.at, call->unsent.count);
    if (call->waiting)
        lane->waiting_bytes -= frames_bytes(&call->unsent);
    call->waiting = false;
    frames_unref(&call->unsent);
    if (status != ST_OK)
        call_end_soon(call, ST_UNREACHABLE, "the connection takes no more messages");
    else if (call->closure == NULL)
        call_end(call, &(struct rpc_result){.text = ""}, NULL);
}

void client_invoke(ProtobufCService *service, unsigned index, const ProtobufCMessage *input,
                   ProtobufCClosure closure, void *closure_data)
{
    struct rpc *rpc = ((struct stub *)service)->rpc;
    struct rpc_peer *peer = rpc->stub.peer;
    const ProtobufCMethodDescriptor *type = &service->descriptor->methods[index];
    const struct rpc_rule *rule = rule_of(rpc, service->descriptor, type);
    ASSERT(peer != NULL && peer->refs > 0);
    ASSERT(rpc->stub.options.payload_count <= RPC_PAYLOADS_MAX);
    rpc->stub.peer = NULL; // the stub holds for one call
    bool full = peer->calls >= rpc->calls_per_peer ||
                rpc->calls.count >= (size_t)rpc->calls_per_peer * RPC_CALLS_PEERS;
    struct out_call *call = call_new(rpc, &peer->lanes[rule->lane]);
    call->closure = closure;
    owner_link(call, closure_data);
    call->reply_type = type->output;
    timer_start_ms(rpc->env, &call->timer, deadline_of(&rpc->stub.options));
    enum status status;
    if (rpc->closed)
        call_end_soon(call, ST_CLOSED, "closed");
    else if (full)
        call_end_soon(call, ST_LIMIT, "too many calls are in progress");
    else if ((status = lane_connect(call->lane)) != ST_OK)
        call_end_soon(call, status, "no connection to the peer can be made");
    else if ((status = call_pack(call, type, rule, input)) != ST_OK)
        call_end_soon(call, status, "the request is too large");
    else if (call->lane->state == TRANSPORT_REFUSED)
        call_end_soon(call, ST_UNREACHABLE, "the peer does not accept connections");
    else if (call->lane->state == TRANSPORT_UP && rpc->stub.options.linger_us > 0)
        call_linger(call, rpc->stub.options.linger_us);
    else if (call->lane->state == TRANSPORT_UP)
        call_send(call);
    else
        call_wait(call);
}

// ---- replies ----

static enum status status_of_name(const char *name)
{
    for (int i = ST_OK + 1; i < ST_COUNT; i++)
        if (strcmp(status_name((enum status)i), name) == 0)
            return (enum status)i;
    return ST_IO; // a newer daemon's status; not retriable is the safe reading
}

static bool expected_sender(struct rpc_node expected, struct rpc_node node)
{
    if (expected.role != node.role && expected.role != RPC_ANY_ROLE)
        return false;
    return expected.node < 0 || node.node < 0 || expected.node == node.node;
}

static void call_refuse(struct out_call *call, enum status status, const char *text)
{
    metric_inc(&call->rpc->metrics.refused, 1);
    call_end(call, &(struct rpc_result){.status = status, .text = text}, NULL);
}

static void call_answered(struct out_call *call, struct rpc_sender sender, struct block *const *frames,
                          int count)
{
    struct arena arena = {0};
    ProtobufCMessage *message = NULL;
    struct rpc_result result = {
        .text = "", .payload = frames + 2, .payload_count = count - 2, .sender = sender};
    result.status = count >= 2 ? message_unpack(call->reply_type, frames[1], &arena, &message) : ST_MALFORMED;
    if (result.status != ST_OK) {
        result.text = "the answer cannot be read";
        result.payload_count = 0;
    }
    call_end(call, &result, message);
    arena_fini(&arena);
}

static void call_failed(struct out_call *call, const Millrace__Envelope *envelope)
{
    char text[RPC_TEXT_MAX + 1];
    snprintf(text, sizeof text, "%s", envelope->text ? envelope->text : "");
    struct rpc_result result = {.status = status_of_name(envelope->status ? envelope->status : ""),
                                .text = text,
                                .sender = envelope_sender(envelope)};
    call_end(call, &result, NULL);
}

void client_on_reply(struct rpc *rpc, struct transport_lane *link, struct block *const *frames, int count)
{
    const Millrace__Envelope *envelope = envelope_read(rpc, frames, count);
    if (envelope == NULL) {
        metric_inc(&rpc->metrics.malformed, 1);
        return;
    }
    struct out_call *call = map_get_u64(&rpc->calls, envelope->correlation);
    if (call == NULL || call->lane == NULL || call->lane != link->user) {
        metric_inc(&rpc->metrics.late_replies, 1);
        return;
    }
    struct rpc_sender sender = envelope_sender(envelope);
    if (envelope->version != RPC_VERSION) {
        char text[RPC_TEXT_MAX];
        snprintf(text, sizeof text, "the peer speaks envelope version %" PRIu32 ", this daemon %d",
                 envelope->version, RPC_VERSION);
        call_refuse(call, ST_UNSUPPORTED, text);
    } else if (!envelope_same_cluster(rpc, envelope)) {
        call_refuse(call, ST_MISMATCH, "the peer belongs to another cluster");
    } else if (!expected_sender(call->lane->peer->expected, sender.node)) {
        call_refuse(call, ST_MISMATCH, "another node answers at that address");
    } else if (envelope->kind == MILLRACE__ENVELOPE__KIND__REPLY) {
        call_answered(call, sender, frames, count);
    } else if (envelope->kind == MILLRACE__ENVELOPE__KIND__FAILURE) {
        call_failed(call, envelope);
    } else {
        metric_inc(&rpc->metrics.unknown, 1);
    }
}
