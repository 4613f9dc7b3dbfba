// SPDX-License-Identifier: Apache-2.0
// Connections of the HTTP server and the time they take for a request. The library closes one that is silent
// for idle_s, but to it a byte now and then is no silence: some hundred such clients would hold all
// connections for good. So who takes too long for a head, or for the body behind it, is cut off here.
#include "http/server.h"

#include "base/mem.h"

#include <sys/socket.h>

enum { PART_IDLES = 2 }; // a head may begin after nearly idle_s of silence

struct http_peer {
    struct http_peer *next, *previous;
    int fd;
    int64_t waits_us; // since when a head, or a body, is waited for; 0: none is
};

void peer_waits(struct MHD_Connection *connection, int64_t since_us)
{
    struct http_peer *peer =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    peer->waits_us = since_us;
}

static void sweep_later(struct http_server *server)
{
    if (server->peers != NULL && !timer_running(&server->sweep))
        timer_start_ms(server->env, &server->sweep, server->config.idle_s * INT64_C(500));
}

static void peer_add(struct http_server *server, struct MHD_Connection *connection, void **memory)
{
    struct http_peer *peer = mem_calloc(1, sizeof *peer);
    peer->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    peer->waits_us = env_now_us(server->env);
    peer->next = server->peers;
    if (server->peers != NULL)
        server->peers->previous = peer;
    server->peers = peer;
    *memory = peer;
    sweep_later(server);
}

static void peer_remove(struct http_server *server, struct http_peer *peer)
{
    *(peer->previous != NULL ? &peer->previous->next : &server->peers) = peer->next;
    if (peer->next != NULL)
        peer->next->previous = peer->previous;
    mem_free(peer);
}

void peers_on_change(void *context, struct MHD_Connection *connection, void **memory,
                     enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        peer_add(context, connection, memory);
    else
        peer_remove(context, *memory);
}

// The library finds the end of the stream and closes.
static void peers_sweep(struct timer *timer)
{
    struct http_server *server = timer->context;
    int64_t now_us = env_now_us(server->env);
    int64_t most_us = PART_IDLES * server->config.idle_s * INT64_C(1000000);
    for (struct http_peer *peer = server->peers; peer != NULL; peer = peer->next) {
        if (peer->waits_us == 0 || now_us - peer->waits_us <= most_us)
            continue;
        metric_inc(&server->slow_total, 1);
        peer->waits_us = 0;
        shutdown(peer->fd, SHUT_RDWR);
    }
    sweep_later(server);
}

void peers_init(struct http_server *server)
{
    timer_init(&server->sweep, peers_sweep, server);
}
