// SPDX-License-Identifier: Apache-2.0
// Names in RPC endpoints. ZeroMQ would resolve them on its one I/O thread, before every attempt to connect:
// a slow name server (a container that was stopped is such a name) would silence every connection of the
// daemon. So names are resolved here and ZeroMQ only ever sees numbers; by threads of their own, since two
// names without an answer would hold the two threads of the pool, and with them the reads of files.
#include "rpc/zmq_internal.h"

#include "base/mem.h"

#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>

enum { NAME_THREADS = 2 };

struct resolve {
    struct job job; // first
    char *endpoint;
    resolve_fn *on_resolved; // NULL: cancelled
    void *context;
    atomic_bool cancelled; // read by the helper thread: not worth asking for any more
    enum status status;
    struct resolved result;
};

static enum status endpoint_split(const char *endpoint, char host[256], char port[8])
{
    const char *from = strncmp(endpoint, "tcp://", 6) == 0 ? endpoint + 6 : endpoint;
    const char *colon = strrchr(from, ':');
    if (colon == NULL || colon == from || colon - from >= 256 || strlen(colon + 1) >= 8)
        return ST_INVALID;
    bool bracketed = from[0] == '[' && colon[-1] == ']';
    snprintf(host, 256, "%.*s", (int)(colon - from) - 2 * bracketed, from + bracketed);
    if (strcmp(host, "*") == 0)
        snprintf(host, 256, "0.0.0.0");
    snprintf(port, 8, "%s", colon + 1);
    return ST_OK;
}

static enum status resolve_flags(const char *endpoint, int flags, struct resolved *resolved)
{
    char host[256], port[8], numeric[NI_MAXHOST];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *found;
    if (endpoint_split(endpoint, host, port) != ST_OK)
        return ST_INVALID;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return ST_NOT_FOUND;
    const struct addrinfo *best = found; // IPv4 where there is both: "localhost" is bound as 127.0.0.1
    while (best->ai_family != AF_INET && best->ai_next != NULL)
        best = best->ai_next;
    memcpy(&resolved->address, best->ai_addr, best->ai_addrlen);
    resolved->len = best->ai_addrlen;
    bool six = best->ai_family == AF_INET6;
    int rc = getnameinfo(best->ai_addr, best->ai_addrlen, numeric, sizeof numeric, NULL, 0, NI_NUMERICHOST);
    freeaddrinfo(found);
    if (rc != 0)
        return ST_INVALID;
    snprintf(resolved->endpoint, sizeof resolved->endpoint, six ? "tcp://[%.60s]:%s" : "tcp://%.60s:%s",
             numeric, port);
    return ST_OK;
}

bool resolve_numeric(const char *endpoint, struct resolved *resolved)
{
    return resolve_flags(endpoint, AI_NUMERICHOST, resolved) == ST_OK;
}

enum status resolve_now(const char *endpoint, struct resolved *resolved)
{
    return resolve_flags(endpoint, 0, resolved);
}

static void resolve_run(struct job *job) // on a helper thread
{
    struct resolve *resolve = (struct resolve *)job;
    if (!atomic_load(&resolve->cancelled))
        resolve->status = resolve_now(resolve->endpoint, &resolve->result);
}

static void resolve_done(struct job *job)
{
    struct resolve *resolve = (struct resolve *)job;
    if (resolve->on_resolved != NULL)
        resolve->on_resolved(resolve->context, resolve->status, &resolve->result);
    mem_free(resolve->endpoint);
    mem_free(resolve);
}

struct resolve *resolve_start(struct zmq_transport *zt, const char *endpoint, resolve_fn *on_resolved,
                              void *context)
{
    if (zt->names == NULL)
        zt->names = env_queue_new(zt->env, "names", NAME_THREADS);
    struct resolve *resolve = mem_calloc(1, sizeof *resolve);
    resolve->job = (struct job){.run = resolve_run, .done = resolve_done};
    resolve->endpoint = mem_strdup(endpoint);
    resolve->on_resolved = on_resolved;
    resolve->context = context;
    env_submit(zt->env, zt->names, &resolve->job);
    return resolve;
}

void resolve_cancel(struct resolve **resolve)
{
    if (*resolve != NULL) {
        (*resolve)->on_resolved = NULL;
        atomic_store(&(*resolve)->cancelled, true);
    }
    *resolve = NULL;
}

void resolve_fini(struct zmq_transport *zt)
{
    if (zt->names != NULL)
        env_queue_destroy(zt->env, &zt->names);
}
