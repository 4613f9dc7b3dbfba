// SPDX-License-Identifier: Apache-2.0
// Calls that come in. A request is checked from the outside inwards (envelope, version, cluster, sender,
// method, role, limits, content) and refused at the first thing that is wrong, before anything larger is
// allocated for it. A handler may keep its rpc_call as long as it likes; what it holds is counted per
// connection and in total, so a caller that piles up requests meets ST_LIMIT.
#include "rpc/internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

// ---- offering ----

static struct method *method_new(struct rpc *rpc, ProtobufCService *service, unsigned index)
{
    const ProtobufCMethodDescriptor *type = &service->descriptor->methods[index];
    struct method *method = mem_calloc(1, sizeof *method);
    *method = (struct method){.service = service,
                              .index = index,
                              .type = type,
                              .rule = rpc_rule_find(rpc->rules, service->descriptor->name, type->name)};
    ASSERT(method->rule != NULL);
    ASSERT(message_depth(type->input, RPC_NESTING_MAX + 1) <= RPC_NESTING_MAX);
    return method;
}

void rpc_serve(struct rpc *rpc, ProtobufCService *service)
{
    for (unsigned i = 0; i < service->descriptor->n_methods; i++) {
        struct method *method = method_new(rpc, service, i);
        char *key = mem_printf("%s/%s", service->descriptor->name, method->type->name);
        void *replaced = map_put(&rpc->methods, slice_str(key), method);
        ASSERT(replaced == NULL);
        mem_free(key);
    }
}

static const struct method *method_find(struct rpc *rpc, const Millrace__Envelope *envelope)
{
    char key[256];
    if (envelope->service == NULL || envelope->method == NULL)
        return NULL;
    int len = snprintf(key, sizeof key, "%s/%s", envelope->service, envelope->method);
    return (size_t)len < sizeof key ? map_get(&rpc->methods, slice_of(key, (size_t)len)) : NULL;
}

// ---- answers ----

static void answer(struct rpc *rpc, uint64_t route, struct frames *frames)
{
    enum status status = rpc->transport->ops->answer(rpc->transport, route, frames->at, frames->count);
    if (status != ST_OK) // the caller's deadline, or its lost lane, ends the call
        metric_inc(&rpc->metrics.lost_replies, 1);
    frames_unref(frames);
}

static void answer_failure(struct rpc *rpc, uint64_t route, uint64_t correlation, enum status status,
                           const char *text)
{
    char cut[RPC_TEXT_MAX + 1];
    Millrace__Envelope envelope;
    struct frames frames;
    snprintf(cut, sizeof cut, "%s", text ? text : "");
    envelope_fill(rpc, &envelope, MILLRACE__ENVELOPE__KIND__FAILURE, correlation);
    envelope.status = (char *)(uintptr_t)status_name(status);
    envelope.text = cut;
    if (frames_pack(rpc, &envelope, NULL, NULL, 0, &frames) == ST_OK)
        answer(rpc, route, &frames);
}

static struct in_conn *conn_of(struct rpc *rpc, uint64_t route)
{
    struct in_conn *conn = map_get_u64(&rpc->conns, route);
    if (conn == NULL) {
        conn = mem_calloc(1, sizeof *conn);
        conn->route = route;
        map_put_u64(&rpc->conns, route, conn);
    }
    return conn;
}

static void call_free(struct rpc_call *call)
{
    struct rpc *rpc = call->rpc;
    *(call->prev ? &call->prev->next : &rpc->served) = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
    metric_set(&rpc->metrics.served_now, --rpc->served_count);
    rpc->held_bytes -= call->bytes;
    metric_set(&rpc->metrics.held_bytes, (int64_t)rpc->held_bytes);
    if (--call->conn->calls == 0) {
        map_remove_u64(&rpc->conns, call->conn->route);
        mem_free(call->conn);
    }
    frames_unref(&call->payload);
    frames_unref(&call->reply_payload);
    arena_fini(&call->arena);
    mem_free(call);
}

// Whether somebody still waits for the answer.
static bool call_awaited(struct rpc_call *call)
{
    if (call->oneway || call->rpc->closed)
        return false;
    if (env_now_us(call->rpc->env) <= call->deadline_us)
        return true;
    metric_inc(&call->rpc->metrics.late_replies, 1);
    return false;
}

static void call_reply(const ProtobufCMessage *message, void *closure_data)
{
    struct rpc_call *call = closure_data;
    Millrace__Envelope envelope;
    struct frames frames;
    ASSERT(message != NULL && message->descriptor == call->method->type->output);
    if (!call_awaited(call)) {
        call_free(call);
        return;
    }
    envelope_fill(call->rpc, &envelope, MILLRACE__ENVELOPE__KIND__REPLY, call->correlation);
    enum status status = frames_pack(call->rpc, &envelope, message, call->reply_payload.at,
                                     call->reply_payload.count, &frames);
    if (status == ST_OK)
        answer(call->rpc, call->conn->route, &frames);
    else
        answer_failure(call->rpc, call->conn->route, call->correlation, status, "the answer is too large");
    call_free(call);
}

void rpc_fail(struct rpc_call *call, enum status status, const char *text)
{
    ASSERT(status != ST_OK);
    if (call_awaited(call))
        answer_failure(call->rpc, call->conn->route, call->correlation, status, text);
    call_free(call);
}

void rpc_reply_payload(struct rpc_call *call, struct block *const *blocks, int count)
{
    ASSERT(call->reply_payload.count + count <= RPC_PAYLOADS_MAX);
    frames_ref(&call->reply_payload, blocks, count);
}

// ---- what a handler sees ----

uint64_t rpc_call_connection(const struct rpc_call *call)
{
    return call->conn->route;
}

const struct rpc_sender *rpc_call_sender(const struct rpc_call *call)
{
    return &call->sender;
}

struct block *rpc_call_payload(const struct rpc_call *call)
{
    return call->payload.count > 0 ? call->payload.at[0] : NULL;
}

int rpc_call_payloads(const struct rpc_call *call, struct block *const **blocks)
{
    *blocks = call->payload.at;
    return call->payload.count;
}

int64_t rpc_call_deadline_us(const struct rpc_call *call)
{
    return call->deadline_us;
}

// ---- requests ----

// A request on its way inwards.
struct request {
    uint64_t route;
    const Millrace__Envelope *envelope;
    struct rpc_sender sender;
    struct block *const *frames;
    int count;
};

static void refuse(struct rpc *rpc, const struct request *request, enum status status, const char *text)
{
    metric_inc(&rpc->metrics.refused, 1);
    if (request->envelope->kind == MILLRACE__ENVELOPE__KIND__REQUEST)
        answer_failure(rpc, request->route, request->envelope->correlation, status, text);
}

// A connection's key says who its owner is; the envelope must agree. An envelope without an id takes the
// key's.
static bool sender_proven(struct rpc_sender *sender, struct rpc_node proven)
{
    if (proven.role == 0)
        return true;
    if (sender->node.node < 0)
        sender->node.node = proven.node;
    return sender->node.role == proven.role && (proven.node < 0 || sender->node.node == proven.node);
}

static bool frames_fit(const struct request *request, enum rpc_lane lane)
{
    size_t max = lane == RPC_CONTROL ? TRANSPORT_CONTROL_FRAME_MAX : TRANSPORT_BULK_FRAME_MAX;
    for (int i = 0; i < request->count; i++)
        if (request->frames[i]->len > max)
            return false;
    return request->count - 2 <= RPC_PAYLOADS_MAX;
}

static size_t request_bytes(const struct request *request)
{
    size_t bytes = 0;
    for (int i = 0; i < request->count; i++)
        bytes += request->frames[i]->len;
    return bytes;
}

// Whether no more requests may be held, of that connection or of all. Bytes are those of the bulk lane: what
// the control lane brings is small, and lets held ones end.
static bool too_many(const struct rpc *rpc, const struct in_conn *conn, const struct request *request,
                     const struct method *method)
{
    bool bulk = method->rule->lane == RPC_BULK;
    return (conn != NULL && conn->calls >= rpc->calls_per_peer) ||
           rpc->served_count >= rpc->calls_per_peer * RPC_CALLS_PEERS ||
           (bulk && rpc->held_bytes + request_bytes(request) > rpc->held_bytes_max);
}

static void request_dispatch(struct rpc *rpc, const struct request *request, const struct method *method)
{
    struct rpc_call *call = mem_calloc(1, sizeof *call);
    ProtobufCMessage *message = NULL;
    enum status status = message_unpack(method->type->input, request->frames[1], &call->arena, &message);
    if (status != ST_OK) {
        arena_fini(&call->arena);
        mem_free(call);
        refuse(rpc, request, status, "the request cannot be read");
        return;
    }
    call->rpc = rpc;
    call->conn = conn_of(rpc, request->route);
    call->conn->calls++;
    call->method = method;
    call->correlation = request->envelope->correlation;
    call->oneway = request->envelope->kind == MILLRACE__ENVELOPE__KIND__ONEWAY;
    call->sender = request->sender;
    int64_t left_ms = request->envelope->has_deadline_ms ? (int64_t)request->envelope->deadline_ms
                                                         : RPC_DEADLINE_MS_DEFAULT;
    call->deadline_us =
        env_now_us(rpc->env) + (left_ms < RPC_DEADLINE_MS_MAX ? left_ms : RPC_DEADLINE_MS_MAX) * 1000;
    call->bytes = request_bytes(request);
    rpc->held_bytes += call->bytes;
    metric_set(&rpc->metrics.held_bytes, (int64_t)rpc->held_bytes);
    frames_ref(&call->payload, request->frames + 2, request->count - 2);
    call->next = rpc->served;
    if (call->next != NULL)
        call->next->prev = call;
    rpc->served = call;
    metric_set(&rpc->metrics.served_now, ++rpc->served_count);
    metric_inc(&rpc->metrics.served, 1);
    method->service->invoke(method->service, method->index, message, call_reply, call);
}

static void request_admit(struct rpc *rpc, const struct request *request)
{
    const struct method *method = method_find(rpc, request->envelope);
    const struct in_conn *conn = map_get_u64(&rpc->conns, request->route);
    if (method == NULL) {
        metric_inc(&rpc->metrics.unknown, 1);
        refuse(rpc, request, ST_UNSUPPORTED, "no such method here");
    } else if ((method->rule->callers & request->sender.node.role) == 0) {
        refuse(rpc, request, ST_DENIED, "the caller's role may not call this method");
    } else if (request->count < 2) {
        refuse(rpc, request, ST_MALFORMED, "the message is missing");
    } else if (!frames_fit(request, method->rule->lane)) {
        refuse(rpc, request, ST_LIMIT, "a frame is too large for the method's lane");
    } else if (too_many(rpc, conn, request, method)) {
        refuse(rpc, request, ST_LIMIT, "too many calls are in progress");
    } else {
        request_dispatch(rpc, request, method);
    }
}

static bool one_role(unsigned role)
{
    return role != 0 && (role & (role - 1)) == 0 && role <= RPC_ROLE_LAST;
}

void server_on_request(struct rpc *rpc, uint64_t route, struct rpc_node proven, struct block *const *frames,
                       int count)
{
    struct request request = {.route = route, .frames = frames, .count = count};
    request.envelope = envelope_read(rpc, frames, count);
    if (request.envelope == NULL) {
        metric_inc(&rpc->metrics.malformed, 1);
        return;
    }
    request.sender = envelope_sender(request.envelope);
    if (request.envelope->version != RPC_VERSION) {
        char text[RPC_TEXT_MAX];
        snprintf(text, sizeof text, "envelope version %" PRIu32 " is not spoken here, only %d",
                 request.envelope->version, RPC_VERSION);
        refuse(rpc, &request, ST_UNSUPPORTED, text);
    } else if (request.envelope->kind != MILLRACE__ENVELOPE__KIND__REQUEST &&
               request.envelope->kind != MILLRACE__ENVELOPE__KIND__ONEWAY) {
        metric_inc(&rpc->metrics.unknown, 1);
    } else if (!envelope_same_cluster(rpc, request.envelope)) {
        refuse(rpc, &request, ST_MISMATCH, "this daemon belongs to another cluster");
    } else if (!one_role(request.sender.node.role) || !sender_proven(&request.sender, proven)) {
        refuse(rpc, &request, ST_DENIED, "the sender is not who its key says");
    } else {
        request_admit(rpc, &request);
    }
}

void server_fini(struct rpc *rpc)
{
    void *value;
    while (rpc->served != NULL)
        call_free(rpc->served);
    for (struct map_entry *at = NULL; map_next(&rpc->methods, &at, NULL, &value);)
        mem_free(value);
    map_fini(&rpc->methods);
    map_fini(&rpc->conns);
}
