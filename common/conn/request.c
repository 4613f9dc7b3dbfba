// SPDX-License-Identifier: Apache-2.0
// A request from its frame to its end: header, handler, and the four ways to finish it (listener.h). Answers
// wait in their request until all earlier ones of the connection have gone to the output.
#include "conn/conn.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "kafka/api.h"
#include "kafka/codec.h"

enum { HEADER_ARENA = 4096 }; // unknown tags of a header, bytes
// ST_UNSUPPORTED for an API key that is no Kafka API.
static enum status parse_header(struct slice frame, struct conn_request *request)
{
    struct arena arena;
    arena_init(&arena, HEADER_ARENA);
    struct kafka_request_header header;
    size_t used;
    enum status status = kafka_request_decode_header(frame, &arena, &header, &used);
    if (status == ST_OK) {
        request->api = header.request_api_key;
        request->version = header.request_api_version;
        request->correlation = header.correlation_id;
        request->client_id = header.client_id;
        request->body = slice_of(frame.data + used, frame.len - used);
    }
    arena_fini(&arena);
    return status;
}

// sign: 1 when it begins, -1 when it ends.
static void count_produce(struct conn *conn, const struct conn_request *request, int sign)
{
    if (request->api != KAFKA_API_PRODUCE)
        return;
    conn->produces += sign;
    conn->produce_bytes += sign * (int64_t)request->frame.len;
}

static void append(struct conn *conn, struct conn_pending *pending)
{
    if (conn->last != NULL)
        conn->last->next = pending;
    else
        conn->first = pending;
    conn->last = pending;
    conn->pending++;
    count_produce(conn, &pending->request, 1);
    conn->listener->requests++;
}

bool conn_begin(struct conn *conn, struct block *block_take, struct slice frame)
{
    struct conn_listener *listener = conn->listener;
    struct conn_pending *pending = mem_calloc(1, sizeof *pending);
    pending->conn = conn;
    pending->request = (struct conn_request){
        .peer = &conn->peer, .block = block_take, .frame = frame, .received_us = env_now_us(listener->env)};
    if (parse_header(frame, &pending->request) != ST_OK) {
        conn_listener_queue(listener, -(int64_t)frame.len);
        block_unref(&pending->request.block);
        mem_free(pending);
        return false;
    }
    append(conn, pending);
    metric_inc(&listener->metrics.requests, 1);
    listener->handler.on_request(&pending->request, listener->context);
    return true;
}

// Takes a request off the list; its answer goes to the output, or nowhere when the client is gone.
static void take_off(struct conn *conn, struct conn_pending *pending, struct conn_pending *previous)
{
    *(previous != NULL ? &previous->next : &conn->first) = pending->next;
    if (conn->last == pending)
        conn->last = previous;
    conn->pending--;
    count_produce(conn, &pending->request, -1);
    if (!conn->closed)
        conn_output_move(&conn->output, &pending->reply);
    conn_output_fini(&pending->reply);
    mem_free(pending);
}

void conn_collect(struct conn *conn)
{
    while (conn->first != NULL && conn->first->answered)
        take_off(conn, conn->first, NULL);
}

void conn_drop_answered(struct conn *conn)
{
    struct conn_pending *previous = NULL, *next;
    for (struct conn_pending *pending = conn->first; pending != NULL; pending = next) {
        next = pending->next;
        if (pending->answered)
            take_off(conn, pending, previous);
        else
            previous = pending;
    }
}

static void end(struct conn_request *request)
{
    struct conn_pending *pending = (struct conn_pending *)request;
    struct conn *conn = pending->conn;
    ASSERT(!pending->answered);
    pending->answered = true;
    conn->listener->requests--;
    conn_listener_queue(conn->listener, -(int64_t)request->frame.len);
    block_unref(&request->block);
    if (conn->closed)
        conn_drop_answered(conn);
    conn_listener_ready(conn);
}

// The frame's length prefix and the response header, in front of the body.
static void put_prefix(struct conn_pending *pending, size_t body_len)
{
    uint8_t prefix[9] = {0};
    const struct kafka_api *api = kafka_api(pending->request.api);
    size_t header = kafka_response_header_version(api, pending->request.version) == 0 ? 4 : 5;
    store_be32(prefix, (uint32_t)(header + body_len));
    store_be32(prefix + 4, (uint32_t)pending->request.correlation);
    conn_output_add_copy(&pending->reply, slice_of(prefix, 4 + header));
}

void conn_reply(struct conn_request *request, struct kafka_out *out_take)
{
    struct conn_pending *pending = (struct conn_pending *)request;
    if (!pending->conn->closed) {
        put_prefix(pending, kafka_out_len(out_take));
        conn_output_add_out(&pending->reply, out_take);
    }
    kafka_out_fini(out_take);
    end(request);
}

void conn_reply_raw(struct conn_request *request, struct block *response_take)
{
    struct conn_pending *pending = (struct conn_pending *)request;
    if (!pending->conn->closed) {
        uint8_t prefix[4];
        store_be32(prefix, (uint32_t)response_take->len);
        conn_output_add_copy(&pending->reply, slice_of(prefix, sizeof prefix));
        conn_output_add(&pending->reply, piece_of_block(response_take, 0, response_take->len));
    }
    block_unref(&response_take);
    end(request);
}

void conn_no_reply(struct conn_request *request)
{
    end(request);
}

void conn_close_request(struct conn_request *request, const char *why)
{
    struct conn *conn = ((struct conn_pending *)request)->conn;
    if (conn->why == NULL)
        conn->why = why;
    end(request);
}
