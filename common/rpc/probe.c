// SPDX-License-Identifier: Apache-2.0
// Is a process still behind an RPC port? A plain TCP connection tells the three cases apart: accepted (the
// kernel answers also for a process that hangs), refused (nobody listens: the process is gone), silence.
// Only ECONNREFUSED counts as refused: an unreachable network says nothing about the process.
#include "rpc/zmq_internal.h"

#include "base/mem.h"

#include <errno.h>
#include <unistd.h>

enum { PROBE_MS = 1000 };

struct probe {
    struct zmq_transport *zt;
    struct probe *prev, *next;
    struct resolve *resolve; // while the name is resolved
    int fd;                  // -1: none
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
    resolve_cancel(&probe->resolve);
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

static void probe_end_soon(struct probe *probe, enum status status)
{
    probe->result = status;
    timer_start_us(probe->zt->env, &probe->timer, 0);
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

static void probe_connect(struct probe *probe, const struct resolved *to)
{
    int fd = socket(to->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        probe_end_soon(probe, ST_IO);
        return;
    }
    int rc = connect(fd, (const struct sockaddr *)&to->address, to->len);
    if (rc != 0 && errno != EINPROGRESS) {
        probe_end_soon(probe, connect_result(errno));
        close(fd);
        return;
    }
    if (loop_fd_add(probe->zt->env, fd, STREAM_WRITABLE, probe_on_event, probe) == ST_OK) {
        probe->fd = fd;
        return;
    }
    close(fd);
    probe_end_soon(probe, ST_IO);
}

static void probe_resolved(void *context, enum status status, const struct resolved *to)
{
    struct probe *probe = context;
    probe->resolve = NULL;
    if (status == ST_OK)
        probe_connect(probe, to);
    else
        probe_end_soon(probe, ST_IO);
}

void probe_start(struct transport *transport, const char *endpoint, transport_probe_fn *on_probe,
                 void *context)
{
    struct zmq_transport *zt = (struct zmq_transport *)transport;
    struct resolved to;
    struct probe *probe = mem_calloc(1, sizeof *probe);
    *probe = (struct probe){.zt = zt,
                            .next = zt->probes,
                            .fd = -1,
                            .result = ST_TIMEOUT,
                            .on_probe = on_probe,
                            .context = context};
    if (zt->probes != NULL)
        zt->probes->prev = probe;
    zt->probes = probe;
    timer_init(&probe->timer, probe_timer, probe);
    timer_start_ms(zt->env, &probe->timer, PROBE_MS);
    if (resolve_numeric(endpoint, &to))
        probe_connect(probe, &to);
    else
        probe->resolve = resolve_start(zt, endpoint, probe_resolved, probe);
}

void probes_fini(struct zmq_transport *zt)
{
    while (zt->probes != NULL) {
        struct probe *probe = zt->probes;
        probe_unlink(probe);
        mem_free(probe);
    }
}
