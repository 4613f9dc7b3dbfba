// SPDX-License-Identifier: Apache-2.0
// Connections that hoard. libzmq 4.3.4 keeps the frames of an unfinished message without any limit: a peer
// that sends frame after frame, each marked "more follows", fills the memory (600 MiB in a second, tried).
// No option bounds that and nothing reaches us before the last frame; so every accepted connection is
// watched from outside: what the kernel received on it since it last delivered a whole message may not
// exceed what the largest message takes. A hoarder is shut down, which makes ZeroMQ drop its frames.
//
// An edge-triggered set of its own says on which connections bytes came, so that silence costs nothing; while
// they come all the time the set is left alone for ZMQ_HOARD_CHECK_MS after it told.
#include "rpc/zmq_internal.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"

#include <linux/tcp.h>
#include <netinet/in.h>

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct hoard_conn {
    struct sockaddr_storage peer; // says whether the descriptor is still the same connection
    bool stirred;                 // bytes came since it was looked at
    uint64_t received;            // by the kernel, when a message was last seen
    bool delivered;               // a message since the last check
    bool known;                   // its route, from its first message on
    uint64_t route;
};

static bool peer_of(int fd, struct sockaddr_storage *peer)
{
    socklen_t len = sizeof *peer;
    memset(peer, 0, sizeof *peer);
    return getpeername(fd, (struct sockaddr *)peer, &len) == 0;
}

static uint64_t bytes_received(int fd)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
    return info.tcpi_bytes_received;
}

void hoard_accepted(struct zmq_transport *zt, int fd)
{
    struct sockaddr_storage peer;
    if (fd < 0 || !peer_of(fd, &peer))
        return;
    struct hoard_conn *conn = mem_calloc(1, sizeof *conn);
    conn->peer = peer;
    mem_free(map_put_u64(&zt->conns, (uint64_t)fd, conn));
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = fd};
    epoll_ctl(zt->hoard_fd, EPOLL_CTL_ADD, fd, &event); // a closed descriptor leaves the set by itself
}

void hoard_delivered(struct zmq_transport *zt, zmq_msg_t *message, uint64_t route)
{
    struct hoard_conn *conn = map_get_u64(&zt->conns, (uint64_t)zmq_msg_get(message, ZMQ_SRCFD));
    if (conn == NULL)
        return;
    conn->delivered = conn->known = true;
    conn->route = route;
}

bool hoard_gone(struct zmq_transport *zt, int fd, uint64_t *route)
{
    struct hoard_conn *conn = fd >= 0 ? map_remove_u64(&zt->conns, (uint64_t)fd) : NULL;
    bool known = conn != NULL && conn->known;
    if (known)
        *route = conn->route;
    mem_free(conn);
    return known;
}

// False when the connection is gone or is to go.
static bool conn_check(struct zmq_transport *zt, int fd, struct hoard_conn *conn)
{
    struct sockaddr_storage peer;
    if (!peer_of(fd, &peer) || memcmp(&peer, &conn->peer, sizeof peer) != 0)
        return false;
    uint64_t received = bytes_received(fd);
    if (conn->delivered)
        conn->received = received;
    conn->delivered = false;
    if (received - conn->received <= ZMQ_HOARD_MAX)
        return true;
    DIAG_WARN(&zt->env->diag, "rpc connection dropped, its message has no end bytes=%llu",
              (unsigned long long)(received - conn->received));
    metric_inc(&zt->hoarders, 1);
    struct linger reset = {.l_onoff = 1}; // else a sender with a closed window hears of it seconds later
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    shutdown(fd, SHUT_RDWR);
    return false;
}

void hoard_turn(struct zmq_transport *zt)
{
    struct slice key;
    void *value;
    if (!zt->hoard_due)
        return;
    zt->hoard_due = false;
    for (struct map_entry *at = NULL; map_next(&zt->conns, &at, &key, &value);) {
        struct hoard_conn *conn = value;
        uint64_t fd = load_be64(key.data);
        if (!conn->stirred)
            continue;
        conn->stirred = false;
        if (!conn_check(zt, (int)fd, conn)) {
            map_remove_u64(&zt->conns, fd);
            mem_free(conn);
        }
    }
}

// Only marks: the check must come after the hook has taken what was delivered.
static void set_told(int fd, int events, void *context)
{
    enum { SHARE = 64 };
    struct zmq_transport *zt = context;
    struct epoll_event told[SHARE];
    int count = epoll_wait(fd, told, SHARE, 0);
    for (int i = 0; i < count; i++) {
        struct hoard_conn *conn = map_get_u64(&zt->conns, (uint64_t)told[i].data.fd);
        if (conn != NULL)
            conn->stirred = true;
    }
    zt->hoard_due = true;
    int64_t now_us = env_now_us(zt->env);
    if (count < SHARE && now_us - zt->hoard_told_us < ZMQ_HOARD_CHECK_MS * 1000) {
        loop_fd_remove(zt->env, fd);
        timer_start_ms(zt->env, &zt->hoard_timer, ZMQ_HOARD_CHECK_MS);
    }
    zt->hoard_told_us = now_us;
}

static void watch(struct zmq_transport *zt)
{
    enum status status = loop_fd_add(zt->env, zt->hoard_fd, STREAM_READABLE, set_told, zt);
    ASSERT(status == ST_OK);
}

static void hoard_timer_fired(struct timer *timer)
{
    watch(timer->context);
}

void hoard_init(struct zmq_transport *zt)
{
    map_init(&zt->conns, 0);
    timer_init(&zt->hoard_timer, hoard_timer_fired, zt);
    zt->hoard_fd = epoll_create1(EPOLL_CLOEXEC);
    ASSERT(zt->hoard_fd >= 0);
    watch(zt);
}

void hoard_fini(struct zmq_transport *zt)
{
    void *value;
    if (!timer_running(&zt->hoard_timer)) // the set is in the loop
        loop_fd_remove(zt->env, zt->hoard_fd);
    timer_stop(zt->env, &zt->hoard_timer);
    close(zt->hoard_fd);
    for (struct map_entry *at = NULL; map_next(&zt->conns, &at, NULL, &value);)
        mem_free(value);
    map_fini(&zt->conns);
}
