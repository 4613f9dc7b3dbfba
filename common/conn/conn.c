// SPDX-License-Identifier: Apache-2.0
// One connection's turn: read, begin requests, collect answers, send. One request is in progress at a time;
// only consecutive Produce requests overlap. A client that hangs up while its request is held gets that
// request cancelled; what it sent completely before it hung up is still begun when that is Produce (acks=0
// producers send and leave).
#include "conn/conn.h"

#include "base/assert.h"
#include "base/mem.h"
#include "kafka/api.h"

#include <stdio.h>

static void conn_on_event(struct stream *stream, int events, void *context)
{
    struct conn *conn = context;
    if (events & STREAM_HANGUP)
        conn->hungup = true;
    if (events & STREAM_WRITABLE)
        conn->blocked = false;
    if ((events & STREAM_READABLE) || conn->hungup)
        conn_read(conn);
    conn_advance(conn);
}

struct conn *conn_new(struct conn_listener *listener, struct stream *stream_take, const char *host)
{
    struct conn *conn = mem_calloc(1, sizeof *conn);
    conn->listener = listener;
    conn->opened_us = conn->progress_us = env_now_us(listener->env);
    conn->peer.session = env_random(listener->env) | 1;
    conn->peer.listener = listener->config.name;
    snprintf(conn->peer.host, sizeof conn->peer.host, "%s", host);
    snprintf(conn->peer.principal, sizeof conn->peer.principal, "User:ANONYMOUS");
    conn_bytes_plain(&conn->bytes, listener->env, stream_take);
    stream_handle(listener->env, stream_take, conn_on_event, conn);
    conn->bytes.ops->want(&conn->bytes, STREAM_READABLE);
    return conn;
}

void conn_free(struct conn *conn)
{
    ASSERT(conn->closed && conn->first == NULL && !conn->ready);
    if (conn->listener->handler.on_closed != NULL)
        conn->listener->handler.on_closed(&conn->peer, conn->listener->context);
    conn_listener_gone(conn);
    mem_free(conn);
}

// The next request in progress whose handler has not heard of the end yet.
static struct conn_pending *next_to_cancel(struct conn *conn)
{
    struct conn_pending *pending = conn->first;
    while (pending != NULL && pending->announced)
        pending = pending->next;
    return pending;
}

static void cancel_requests(struct conn *conn)
{
    for (struct conn_pending *p = conn->first; p != NULL; p = p->next)
        p->request.cancelled = true;
    struct conn_pending *pending;
    while ((pending = next_to_cancel(conn)) != NULL) {
        pending->announced = true;
        conn->listener->handler.on_cancelled(&pending->request, conn->listener->context);
    }
}

void conn_close(struct conn *conn, const char *why)
{
    if (conn->closed)
        return;
    if (why != NULL)
        conn_listener_warn(conn->listener, conn->peer.host, why);
    conn->closed = true;
    conn->bytes.ops->close(&conn->bytes);
    conn_frame_fini(conn);
    conn_output_fini(&conn->output);
    conn_listener_release(conn);
    conn_drop_answered(conn);
    cancel_requests(conn);
    conn_listener_ready(conn);
}

bool conn_holds_other_than_produce(const struct conn *conn)
{
    return conn->pending > conn->produces;
}

// Whether the request that waits may begin now.
static bool may_begin(const struct conn *conn)
{
    int16_t api;
    if (conn->listener->draining || conn->output.bytes > conn->listener->config.output_max)
        return false;
    if (!conn_peek(conn, &api))
        return false;
    if (conn->pending == 0)
        return true;
    const struct conn_config *config = &conn->listener->config;
    return api == KAFKA_API_PRODUCE && !conn_holds_other_than_produce(conn) &&
           conn->produces < config->produce_in_flight_max && conn->produce_bytes < config->produce_bytes_max;
}

static void begin_requests(struct conn *conn)
{
    for (int i = 0; i < CONN_REQUESTS_PER_TURN && conn->why == NULL && may_begin(conn); i++) {
        struct block *block = NULL;
        struct slice frame;
        if (conn_cut(conn, &block, &frame) != CONN_CUT_FRAME)
            break;
        conn->handshaken = true;
        if (!conn_begin(conn, block, frame))
            conn->why = "not a Kafka request header";
        conn_collect(conn);
    }
    if (conn->why == NULL && may_begin(conn))
        conn_listener_ready(conn);
}

static void send_output(struct conn *conn)
{
    if (conn->hungup) { // sending would make the kernel drop what it still holds for us to read
        conn_output_fini(&conn->output);
        conn->blocked = false;
    }
    if (conn->blocked || conn->output.count == 0)
        return;
    int64_t sent = 0;
    enum status status = conn_output_flush(&conn->output, &conn->bytes, CONN_SEND_PER_TURN, &sent);
    metric_inc(&conn->listener->metrics.out_bytes, sent);
    if (sent > 0)
        conn->progress_us = env_now_us(conn->listener->env);
    if (status == ST_AGAIN)
        conn->blocked = true;
    else if (status == ST_CORRUPT)
        conn->why = "a file is shorter than the answer made from it";
    else if (status != ST_OK)
        conn->hungup = true;
}

// Whether the client's going away, or the draining of the listener, ends the connection now.
static bool finished(const struct conn *conn)
{
    int16_t api;
    bool idle = conn->pending == 0 && conn->output.count == 0;
    if (conn->listener->draining && idle)
        return true;
    if (conn->hungup && conn_holds_other_than_produce(conn))
        return true;
    if (!conn->eof)
        return false;
    bool more = conn_peek(conn, &api);
    return !more || api != KAFKA_API_PRODUCE || conn_holds_other_than_produce(conn);
}

static void update_wants(struct conn *conn)
{
    bool read = !conn->eof && !conn->listener->draining && conn_may_read(conn);
    int events = (read ? STREAM_READABLE : 0) | (conn->blocked ? STREAM_WRITABLE : 0);
    conn->bytes.ops->want(&conn->bytes, events);
}

void conn_advance(struct conn *conn)
{
    ASSERT(!conn->advancing);
    if (conn->closed) {
        if (conn->first == NULL)
            conn_free(conn);
        return;
    }
    conn->advancing = true;
    conn_collect(conn);
    send_output(conn);
    begin_requests(conn);
    send_output(conn);
    int16_t api;
    if (conn->why == NULL && !conn_hungry(conn) && !conn_peek(conn, &api))
        conn->why = "frame length outside the limits";
    conn_keep(conn);
    conn->advancing = false;
    if (conn->why != NULL || finished(conn))
        conn_close(conn, conn->why);
    else
        update_wants(conn);
}
