// SPDX-License-Identifier: Apache-2.0
// Byte streams between simulated processes (clients and the Kafka listeners): reliable and ordered while both
// ends live and reach each other, broken otherwise. See world.h.
#include "world.h"

#include "base/assert.h"
#include "base/mem.h"

enum { STREAM_BUFFER = 256 << 10, LATENCY_US = 50, CONNECT_TIMEOUT_US = 1000000 };

struct listener {
    struct process *process;
    int port;
    accept_fn *on_accept;
    void *context;
    bool paused;
};

struct stream {
    struct process *process;
    struct stream *peer; // NULL once broken or closed
    struct buf in;       // arrived, not yet received
    size_t under_way;    // sent to us, not yet arrived
    int accept_port; // until accepted: the listener it was made for
    stream_fn *on_event;
    void *context;
    int want;
    bool connected, hung_up, told_hangup, scheduled, closed;
};

static void stream_tell(void *context);

static void schedule(struct stream *stream)
{
    if (stream->scheduled || stream->closed)
        return;
    stream->scheduled = true;
    world_at(stream->process->world, 1, stream->process, stream_tell, stream);
}

static struct stream *stream_new(struct process *process)
{
    struct stream *stream = mem_calloc(1, sizeof *stream);
    stream->process = process;
    buf_init(&stream->in, STREAM_BUFFER * 2);
    return stream;
}

// Tells what is wanted and true; level-triggered, so it is asked again after every event.
static void stream_tell(void *context)
{
    struct stream *stream = context;
    stream->scheduled = false;
    if (stream->closed || stream->on_event == NULL)
        return;
    if (stream->peer != NULL && !world_reachable(stream->process, stream->peer->process)) {
        world_count(stream->process->world, COUNT_stream_broken);
        stream->peer->peer = NULL;
        stream->peer->hung_up = true;
        if (stream->peer->process->alive)
            schedule(stream->peer);
        stream->peer = NULL;
        stream->hung_up = true;
    }
    int events = 0;
    if (stream->in.len > 0 || stream->hung_up)
        events |= STREAM_READABLE;
    if (stream->connected && stream->peer != NULL &&
        stream->peer->in.len + stream->peer->under_way < STREAM_BUFFER)
        events |= STREAM_WRITABLE;
    events &= stream->want;
    if (stream->hung_up && !stream->told_hangup) {
        events |= STREAM_HANGUP;
        stream->told_hangup = true;
    }
    if (events == 0)
        return;
    schedule(stream);
    stream->on_event(stream, events, stream->context);
}

// ---- listening and connecting ----

static struct slice port_key(int port, uint8_t bytes[8])
{
    memset(bytes, 0, 8);
    memcpy(bytes, &port, sizeof port);
    return slice_of(bytes, 8);
}

enum status sim_listen(struct env *env, const char *host, int port, accept_fn *on_accept, void *context,
                       struct listener **out)
{
    struct process *process = (struct process *)env;
    uint8_t key[8];
    if (port == 0)
        port = process->world->next_port++;
    struct listener *old = map_get(&process->world->listeners, port_key(port, key));
    if (old != NULL && old->process->alive)
        return ST_EXISTS;
    struct listener *listener = mem_calloc(1, sizeof *listener);
    *listener =
        (struct listener){.process = process, .port = port, .on_accept = on_accept, .context = context};
    map_put(&process->world->listeners, port_key(port, key), listener);
    *out = listener;
    return ST_OK;
}

int sim_listener_port(struct env *env, struct listener *listener)
{
    return listener->port;
}

void sim_listener_pause(struct env *env, struct listener *listener, bool paused)
{
    listener->paused = paused;
}

void sim_listener_close(struct env *env, struct listener **pointer)
{
    struct listener *listener = *pointer;
    uint8_t key[8];
    *pointer = NULL;
    if (map_get(&listener->process->world->listeners, port_key(listener->port, key)) == listener)
        map_remove(&listener->process->world->listeners, port_key(listener->port, key));
    mem_free(listener);
}

struct dial {
    struct stream *stream;
    int port;
};

static void accept_now(void *context)
{
    struct stream *server = context;
    struct listener *listener = server->context;
    uint8_t key[8];
    server->context = NULL;
    // The listener may have closed in between.
    struct stream *client = server->peer;
    if (client == NULL)
        return;
    bool open =
        map_get(&server->process->world->listeners, port_key(server->accept_port, key)) == listener;
    if (!open) {
        client->peer = NULL;
        client->hung_up = true;
        schedule(client);
        return;
    }
    server->connected = true;
    listener->on_accept(listener, server, "127.0.0.1", listener->context);
}

static void dial_now(void *context)
{
    struct dial *dial = context;
    struct stream *stream = dial->stream;
    uint8_t key[8];
    struct listener *listener = map_get(&stream->process->world->listeners, port_key(dial->port, key));
    if (stream->closed) {
        mem_free(dial);
        return;
    }
    if (listener == NULL || !world_reachable(stream->process, listener->process)) {
        stream->hung_up = true;
    } else {
        struct stream *server = stream_new(listener->process);
        server->peer = stream;
        server->context = listener;
        server->accept_port = dial->port;
        stream->peer = server;
        stream->connected = true;
        world_at(stream->process->world, LATENCY_US, listener->process, accept_now, server);
    }
    schedule(stream);
    mem_free(dial);
}

enum status sim_connect(struct env *env, const char *host, int port, struct stream **out)
{
    struct process *process = (struct process *)env;
    struct dial *dial = mem_calloc(1, sizeof *dial);
    *out = stream_new(process);
    *dial = (struct dial){.stream = *out, .port = port};
    world_at(process->world, LATENCY_US, process, dial_now, dial);
    return ST_OK;
}

// ---- using a stream ----

void sim_stream_handle(struct env *env, struct stream *stream, stream_fn *on_event, void *context)
{
    stream->on_event = on_event;
    stream->context = context;
    schedule(stream);
}

void sim_stream_want(struct env *env, struct stream *stream, int events)
{
    stream->want = events;
    schedule(stream);
}

enum status sim_stream_recv(struct env *env, struct stream *stream, void *data, size_t len, size_t *got)
{
    *got = stream->in.len < len ? stream->in.len : len;
    if (*got == 0)
        return stream->hung_up ? ST_CLOSED : ST_AGAIN;
    memcpy(data, stream->in.data, *got);
    buf_consume(&stream->in, *got);
    if (stream->peer != NULL)
        schedule(stream->peer);
    return ST_OK;
}

struct delivery {
    struct stream *to;
    size_t len;
    uint8_t data[];
};

static void deliver_now(void *context)
{
    struct delivery *delivery = context;
    struct stream *to = delivery->to;
    to->under_way -= delivery->len;
    if (!to->closed) {
        enum status status = buf_append(&to->in, delivery->data, delivery->len);
        ASSERT(status == ST_OK);
        schedule(to);
    }
    mem_free(delivery);
}

static size_t room_at(const struct stream *to)
{
    size_t used = to->in.len + to->under_way;
    return used < STREAM_BUFFER ? STREAM_BUFFER - used : 0;
}

static void deliver(struct stream *from, struct delivery *delivery)
{
    struct stream *to = from->peer;
    delivery->to = to;
    to->under_way += delivery->len;
    // In order: the latency is the same for every piece of every stream.
    world_at(from->process->world, LATENCY_US, to->process, deliver_now, delivery);
}

enum status sim_stream_send(struct env *env, struct stream *stream, const struct iovec *iov, int count,
                            size_t *sent)
{
    *sent = 0;
    if (stream->peer == NULL)
        return stream->hung_up ? ST_CLOSED : ST_AGAIN;
    size_t room = room_at(stream->peer);
    for (int i = 0; i < count && room > 0; i++) {
        size_t len = iov[i].iov_len < room ? iov[i].iov_len : room;
        if (len == 0)
            continue;
        struct delivery *delivery = mem_calloc(1, sizeof *delivery + len);
        delivery->len = len;
        memcpy(delivery->data, iov[i].iov_base, len);
        deliver(stream, delivery);
        room -= len;
        *sent += len;
    }
    return *sent > 0 ? ST_OK : ST_AGAIN;
}

enum status sim_stream_send_file(struct env *env, struct stream *stream, struct file *file, int64_t at,
                                 size_t len, size_t *sent)
{
    uint8_t *data = mem_calloc(1, len);
    size_t got;
    sim_file_pread(env, file, data, len, at, &got);
    struct iovec iov = {.iov_base = data, .iov_len = got};
    enum status status = got < len ? ST_CORRUPT : sim_stream_send(env, stream, &iov, 1, sent);
    mem_free(data);
    return status;
}

void sim_stream_close(struct env *env, struct stream **pointer)
{
    struct stream *stream = *pointer;
    *pointer = NULL;
    stream->closed = true;
    stream->on_event = NULL;
    if (stream->peer != NULL) {
        stream->peer->peer = NULL;
        stream->peer->hung_up = true;
        if (stream->peer->process->alive)
            schedule(stream->peer);
    }
    stream->peer = NULL;
    buf_fini(&stream->in); // the struct stays: an event for it may still be queued
}
