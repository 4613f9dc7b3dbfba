// SPDX-License-Identifier: Apache-2.0
// Is a process still behind an RPC port? A plain TCP connection tells the three cases apart: accepted (the
// kernel answers also for a process that hangs), refused (nobody listens: the process is gone), silence.
// Only ECONNREFUSED counts as refused: an unreachable network says nothing about the process.
#include "rpc/zmq_internal.h"

#include "base/mem.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROBE_MS = 1000 };

struct probe {
    struct zmq_transport *zt;
    struct probe *prev, *next;
    int fd; // -1: it ended before it began
    struct timer timer;
    enum status result; // told by the timer
    transport_probe_fn *on_probe;
    void *context;
};

static void probe_unlink(struct probe *probe)
{
    *(probe->prev ? &probe->prev->next : &probe->zt->probes) = probe->next;
    if (probe->next != NULL)
        probe->next->prev = probe->prev;
    timer_stop(probe->zt->env, &probe->timer);
    if (probe->fd >= 0) {
        loop_fd_remove(probe->zt->env, probe->fd);
        close(probe->fd);
    }
}

static void probe_end(struct probe *probe, enum status status)
{
    probe_unlink(probe);
    probe->on_probe(probe->context, status);
    mem_free(probe);
}

static void probe_timer(struct timer *timer)
{
    struct probe *probe = timer->context;
    probe_end(probe, probe->result);
}

static enum status connect_result(int error)
{
    return error == 0 ? ST_OK : error == ECONNREFUSED ? ST_UNREACHABLE : ST_IO;
}

static void probe_on_event(int fd, int events, void *context)
{
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    probe_end(context, connect_result(error));
}

// "tcp://host:port" or "tcp://[host]:port".
static struct addrinfo *endpoint_resolve(const char *endpoint)
{
    char host[256];
    const char *from = strncmp(endpoint, "tcp://", 6) == 0 ? endpoint + 6 : endpoint;
    const char *colon = strrchr(from, ':');
    if (colon == NULL || colon == from || (size_t)(colon - from) >= sizeof host)
        return NULL;
    bool bracketed = from[0] == '[' && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(colon - from) - 2 * bracketed, from + bracketed);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    return getaddrinfo(host, colon + 1, &hints, &found) == 0 ? found : NULL;
}

// Begins to connect; leaves the descriptor in probe->fd, or the result for the timer.
static void probe_connect(struct probe *probe, const struct addrinfo *address)
{
    probe->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe->fd < 0)
        return;
    int rc = connect(probe->fd, address->ai_addr, address->ai_addrlen);
    if (rc == 0 || errno == EINPROGRESS) {
        if (loop_fd_add(probe->zt->env, probe->fd, STREAM_WRITABLE, probe_on_event, probe) == ST_OK)
            return;
    } else {
        probe->result = connect_result(errno);
    }
    close(probe->fd);
    probe->fd = -1;
}

void probe_start(struct transport *transport, const char *endpoint, transport_probe_fn *on_probe,
                 void *context)
{
    struct zmq_transport *zt = (struct zmq_transport *)transport;
    struct probe *probe = mem_calloc(1, sizeof *probe);
    *probe = (struct probe){
        .zt = zt, .next = zt->probes, .fd = -1, .result = ST_IO, .on_probe = on_probe, .context = context};
    if (zt->probes != NULL)
        zt->probes->prev = probe;
    zt->probes = probe;
    timer_init(&probe->timer, probe_timer, probe);
    struct addrinfo *address = endpoint_resolve(endpoint);
    if (address != NULL) {
        probe_connect(probe, address);
        freeaddrinfo(address);
    }
    if (probe->fd >= 0)
        probe->result = ST_TIMEOUT;
    timer_start_ms(zt->env, &probe->timer, probe->fd >= 0 ? PROBE_MS : 0);
}

void probes_fini(struct zmq_transport *zt)
{
    while (zt->probes != NULL) {
        struct probe *probe = zt->probes;
        probe_unlink(probe);
        mem_free(probe);
    }
}
