// SPDX-License-Identifier: Apache-2.0
// A ZeroMQ socket in the loop. ZMQ_FD only says "commands may wait", once: sending can swallow the signal of
// a message that arrives meanwhile. So every socket that was sent on or signalled is marked, and before each
// sleep the hook receives from the marked ones until there is nothing, a share of messages at a time: only a
// receive that finds nothing has looked at the commands.
#include "rpc/zmq_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>

void zsock_option(void *socket, int option, int value)
{
    int rc = zmq_setsockopt(socket, option, &value, sizeof value);
    ASSERT(rc == 0);
}

struct zsock *zsock_new(struct zmq_transport *zt, int type, zsock_fn *on_message, void *owner)
{
    struct zsock *zsock = mem_calloc(1, sizeof *zsock);
    *zsock = (struct zsock){.zt = zt, .fd = -1, .on_message = on_message, .owner = owner};
    zsock->socket = zmq_socket(zt->context, type);
    ASSERT(zsock->socket != NULL);
    zsock_option(zsock->socket, ZMQ_LINGER, 0);
    return zsock;
}

void zsock_options(void *socket, int64_t frame_max)
{
    int rc = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max);
    ASSERT(rc == 0);
    zsock_option(socket, ZMQ_HANDSHAKE_IVL, ZMQ_HANDSHAKE_MS);
    zsock_option(socket, ZMQ_SNDHWM, ZMQ_QUEUE_MAX);
    zsock_option(socket, ZMQ_RCVHWM, ZMQ_QUEUE_MAX);
    zsock_option(socket, ZMQ_IPV6, 1);
}

void zsock_beats(void *socket, int every_ms, int timeout_ms)
{
    zsock_option(socket, ZMQ_HEARTBEAT_IVL, every_ms);
    zsock_option(socket, ZMQ_HEARTBEAT_TIMEOUT, timeout_ms);
    // The other side counts it from each of them, so it must outlast the pause to the next.
    zsock_option(socket, ZMQ_HEARTBEAT_TTL, every_ms + timeout_ms);
}

void zsock_domain(void *socket)
{
    int rc = zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, "millrace", 8);
    ASSERT(rc == 0);
}

void zsock_keys(struct zsock *zsock, const char *server_key)
{
    const struct curve_pair *own = curve_own(zsock->zt->keys);
    int rc = zmq_setsockopt(zsock->socket, ZMQ_CURVE_SECRETKEY, own->secret_text, CURVE_TEXT_SIZE);
    rc |= zmq_setsockopt(zsock->socket, ZMQ_CURVE_PUBLICKEY, own->public_text, CURVE_TEXT_SIZE);
    if (server_key != NULL) {
        rc |= zmq_setsockopt(zsock->socket, ZMQ_CURVE_SERVERKEY, server_key, CURVE_TEXT_SIZE);
    } else {
        zsock_option(zsock->socket, ZMQ_CURVE_SERVER, 1);
    }
    ASSERT(rc == 0);
}

struct zsock *zsock_monitor(struct zsock *watched, int events, zsock_fn *on_event)
{
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "inproc://monitor-%llu", (unsigned long long)watched->zt->monitors++);
    int rc = zmq_socket_monitor(watched->socket, endpoint, events);
    ASSERT(rc == 0);
    struct zsock *monitor = zsock_new(watched->zt, ZMQ_PAIR, on_event, watched->owner);
    rc = zmq_connect(monitor->socket, endpoint);
    ASSERT(rc == 0);
    return monitor;
}

uint16_t zsock_event(zmq_msg_t *messages, int *number)
{
    uint16_t event = 0;
    int32_t value = -1;
    if (zmq_msg_size(&messages[0]) == sizeof event + sizeof value) { // unaligned
        memcpy(&event, zmq_msg_data(&messages[0]), sizeof event);
        memcpy(&value, (uint8_t *)zmq_msg_data(&messages[0]) + sizeof event, sizeof value);
    }
    if (number != NULL)
        *number = value;
    return event;
}

void zsock_mark(struct zsock *zsock)
{
    struct zmq_transport *zt = zsock->zt;
    if (zsock->marked)
        return;
    zsock->marked = true;
    zsock->next = NULL;
    if (zt->marked_last != NULL)
        zt->marked_last->next = zsock;
    else
        zt->marked_first = zsock;
    zt->marked_last = zsock;
}

static void zsock_signalled(int fd, int events, void *context)
{
    zsock_mark(context);
}

void zsock_start(struct zsock *zsock)
{
    size_t size = sizeof zsock->fd;
    int rc = zmq_getsockopt(zsock->socket, ZMQ_FD, &zsock->fd, &size);
    ASSERT(rc == 0);
    enum status status = loop_fd_add(zsock->zt->env, zsock->fd, STREAM_READABLE, zsock_signalled, zsock);
    ASSERT(status == ST_OK);
    zsock_mark(zsock);
}

void zsock_close(struct zsock **pointer)
{
    struct zsock *zsock = *pointer;
    *pointer = NULL;
    if (zsock == NULL)
        return;
    if (zsock->fd >= 0)
        loop_fd_remove(zsock->zt->env, zsock->fd);
    zmq_close(zsock->socket);
    zsock->dead = true;
    zsock_mark(zsock); // the hook frees it
}

// Receives one whole message; count -1: it has too many frames and was dropped.
static bool receive(struct zsock *zsock, zmq_msg_t *messages, int *count)
{
    enum { MAX = TRANSPORT_FRAMES_MAX + 1 }; // a routing id comes first at the bound end
    bool more = true;
    *count = 0;
    for (int got = 0; more; got++) {
        zmq_msg_t *message = &messages[got < MAX ? got : MAX - 1];
        if (got >= MAX)
            zmq_msg_close(message);
        zmq_msg_init(message);
        if (zmq_msg_recv(message, zsock->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(message);
            return *count > 0;
        }
        more = zmq_msg_more(message);
        *count = got < MAX ? got + 1 : MAX + 1;
    }
    return true;
}

// Serves a share; true when more waits.
static bool zsock_serve(struct zsock *zsock)
{
    zmq_msg_t messages[TRANSPORT_FRAMES_MAX + 1];
    int count;
    int64_t end_us = env_now_us(zsock->zt->env) + ZMQ_SHARE_US;
    for (int i = 0; i < ZMQ_SHARE && !zsock->dead; i++) {
        if (i > 0 && env_now_us(zsock->zt->env) >= end_us)
            return true;
        if (!receive(zsock, messages, &count))
            return false;
        int held = count <= TRANSPORT_FRAMES_MAX + 1 ? count : TRANSPORT_FRAMES_MAX + 1;
        if (count == held)
            zsock->on_message(zsock, messages, count);
        else
            metric_inc(&zsock->zt->foreign, 1);
        for (int j = 0; j < held; j++)
            zmq_msg_close(&messages[j]);
    }
    return !zsock->dead;
}

int64_t zsock_hook(void *context)
{
    struct zmq_transport *zt = context;
    struct zsock *list = zt->marked_first;
    zt->marked_first = zt->marked_last = NULL;
    while (list != NULL) {
        struct zsock *zsock = list;
        list = zsock->next;
        bool more = !zsock->dead && zsock_serve(zsock); // still marked: its last receive follows what it sends
        zsock->marked = false;
        if (more)
            zsock_mark(zsock);
        else if (zsock->dead)
            mem_free(zsock);
    }
    if (zt->marked_first == NULL)
        hoard_turn(zt);
    return zt->marked_first != NULL ? 0 : -1;
}
