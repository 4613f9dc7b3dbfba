// SPDX-License-Identifier: Apache-2.0
// See node_listeners.h.
#include "node_listeners.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

struct node_listener {
    char name[256];
    char host[256]; // bound
    int port;       // configured, 0: free one
    char advertised_host[256];
    int advertised_port; // 0: the bound one
    struct conn_listener *conn;
};

struct node_listeners {
    struct env *env;
    struct node_listener all[NODE_LISTENERS_MAX];
    int count;
    bool opened;
    int undrained;
    void (*drained)(void *context);
    void *drained_context;
    char address[300];
};

static struct node_listener *find(struct node_listeners *listeners, const char *name)
{
    for (int i = 0; i < listeners->count; i++) {
        if (strcmp(listeners->all[i].name, name) == 0)
            return &listeners->all[i];
    }
    return NULL;
}

static enum status parse_bound(struct node_listeners *listeners, const struct config *config)
{
    size_t count = config_list_count(config, "listeners");
    for (size_t i = 0; i < count; i++) {
        const char *text = config_list_at(config, "listeners", i);
        struct node_listener parsed = {0};
        bool ok = config_address(text, parsed.name, parsed.host, &parsed.port) == ST_OK &&
                  parsed.name[0] != '\0' && find(listeners, parsed.name) == NULL &&
                  listeners->count < NODE_LISTENERS_MAX;
        if (!ok) {
            DIAG_ERROR(&listeners->env->diag,
                       "listener is not of the form NAME://host:port, or too many listeners=%s", text);
            return ST_INVALID;
        }
        if (parsed.host[0] == '\0')
            snprintf(parsed.host, sizeof parsed.host, "127.0.0.1");
        listeners->all[listeners->count++] = parsed;
    }
    return count > 0 ? ST_OK : ST_INVALID;
}

static enum status parse_advertised(struct node_listeners *listeners, const struct config *config)
{
    for (size_t i = 0; i < config_list_count(config, "advertised.listeners"); i++) {
        const char *text = config_list_at(config, "advertised.listeners", i);
        char name[256], host[256];
        int port;
        enum status status = config_address(text, name, host, &port);
        struct node_listener *listener = status == ST_OK ? find(listeners, name) : NULL;
        if (listener == NULL) {
            DIAG_ERROR(&listeners->env->diag,
                       "advertised listener names none of listeners advertised.listeners=%s", text);
            return ST_INVALID;
        }
        snprintf(listener->advertised_host, sizeof listener->advertised_host, "%s", host);
        listener->advertised_port = port;
    }
    return ST_OK;
}

// Clients cannot connect to a wildcard address: without advertised.listeners they are told the machine's
// name.
static void default_advertised(struct node_listener *listener, const struct config *config)
{
    if (listener->advertised_host[0] != '\0')
        return;
    bool wildcard = strcmp(listener->host, "0.0.0.0") == 0 || strcmp(listener->host, "::") == 0;
    const char *machine = config_string(config, "host.name");
    const char *told = !wildcard ? listener->host : machine[0] != '\0' ? machine : "localhost";
    snprintf(listener->advertised_host, sizeof listener->advertised_host, "%s", told);
}

static struct conn_config conn_config_of(const struct node_listener *listener, const struct config *config)
{
    struct conn_config conn = conn_config_default();
    conn.name = listener->name;
    conn.host = listener->host;
    conn.port = listener->port;
    conn.request_max = (int32_t)config_int(config, "socket.request.max.bytes");
    conn.connections_max = (int32_t)config_int(config, "max.connections");
    conn.connections_per_ip_max = (int32_t)config_int(config, "max.connections.per.ip");
    conn.idle_ms = config_int(config, "connections.max.idle.ms");
    conn.handshake_ms = config_int(config, "connection.handshake.timeout.ms");
    conn.queued_max = config_int(config, "queued.max.request.bytes");
    return conn;
}

static enum status open_one(struct node_listener *listener, char *text, size_t size)
{
    if (conn_listener_port(listener->conn) != 0)
        return ST_OK;
    enum status status = conn_listener_open(listener->conn);
    if (status != ST_OK)
        snprintf(text, size, "cannot listen on %s:%d: %s", listener->host, listener->port,
                 status_text(status));
    return status;
}

static enum status bind_free_ports(struct node_listeners *listeners)
{
    for (int i = 0; i < listeners->count; i++) {
        char text[400];
        if (listeners->all[i].port != 0)
            continue;
        enum status status = open_one(&listeners->all[i], text, sizeof text);
        if (status != ST_OK) {
            DIAG_ERROR(&listeners->env->diag, "%s", text);
            return status;
        }
        conn_listener_pause(listeners->all[i].conn, true);
    }
    return ST_OK;
}

enum status node_listeners_new(struct env *env, const struct config *config,
                               const struct conn_handler *handler, void *context, struct node_listeners **out)
{
    struct node_listeners *listeners = mem_calloc(1, sizeof *listeners);
    listeners->env = env;
    enum status status = parse_bound(listeners, config);
    if (status == ST_OK)
        status = parse_advertised(listeners, config);
    for (int i = 0; status == ST_OK && i < listeners->count; i++) {
        default_advertised(&listeners->all[i], config);
        struct conn_config conn = conn_config_of(&listeners->all[i], config);
        listeners->all[i].conn = conn_listener_new(env, &conn, handler, context);
    }
    if (status == ST_OK)
        status = bind_free_ports(listeners);
    if (status != ST_OK)
        node_listeners_destroy(&listeners);
    *out = listeners;
    return status;
}

void node_listeners_destroy(struct node_listeners **pointer)
{
    struct node_listeners *listeners = *pointer;
    *pointer = NULL;
    if (listeners == NULL)
        return;
    for (int i = 0; i < listeners->count; i++)
        conn_listener_destroy(&listeners->all[i].conn);
    mem_free(listeners);
}

enum status node_listeners_open(struct node_listeners *listeners, char *text, size_t size)
{
    for (int i = 0; i < listeners->count; i++) {
        enum status status = open_one(&listeners->all[i], text, size);
        if (status != ST_OK)
            return status;
        conn_listener_pause(listeners->all[i].conn, false);
    }
    listeners->opened = true;
    return ST_OK;
}

bool node_listeners_opened(const struct node_listeners *listeners)
{
    return listeners->opened;
}

size_t node_listeners_endpoints(struct node_listeners *listeners, struct member_endpoint *endpoints,
                                size_t room)
{
    size_t count = 0;
    for (int i = 0; i < listeners->count && count < room; i++) {
        const struct node_listener *listener = &listeners->all[i];
        int bound = listener->port != 0 ? listener->port : conn_listener_port(listener->conn);
        int told = listener->advertised_port != 0 ? listener->advertised_port : bound;
        endpoints[count++] = (struct member_endpoint){
            .listener = listener->name, .host = listener->advertised_host, .port = told};
    }
    return count;
}

void node_listeners_limit(struct node_listeners *listeners, int32_t connections_max, int32_t per_ip_max)
{
    for (int i = 0; i < listeners->count; i++)
        conn_listener_limit(listeners->all[i].conn, connections_max, per_ip_max);
}

const char *node_listeners_address(struct node_listeners *listeners)
{
    listeners->address[0] = '\0';
    if (listeners->opened)
        snprintf(listeners->address, sizeof listeners->address, "%s:%d", listeners->all[0].host,
                 conn_listener_port(listeners->all[0].conn));
    return listeners->address;
}

static void one_drained(void *context)
{
    struct node_listeners *listeners = context;
    if (--listeners->undrained == 0)
        listeners->drained(listeners->drained_context);
}

void node_listeners_drain(struct node_listeners *listeners, void (*done)(void *context), void *context)
{
    ASSERT(listeners->drained == NULL);
    listeners->opened = false;
    listeners->drained = done;
    listeners->drained_context = context;
    listeners->undrained = listeners->count;
    for (int i = 0; i < listeners->count; i++)
        conn_listener_drain(listeners->all[i].conn, one_drained, listeners);
}

int node_listeners_connections(const struct node_listeners *listeners)
{
    int count = 0;
    for (int i = 0; i < listeners->count; i++)
        count += conn_listener_connections(listeners->all[i].conn);
    return count;
}

int node_listeners_requests(const struct node_listeners *listeners)
{
    int count = 0;
    for (int i = 0; i < listeners->count; i++)
        count += conn_listener_requests(listeners->all[i].conn);
    return count;
}
