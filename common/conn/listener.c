// SPDX-License-Identifier: Apache-2.0
// The listener: accepts connections within their limits, keeps them on one list, gives each its turn, watches
// for idle and silent ones, and holds the budget of bytes received and not yet answered. See listener.h.
//
// Above that budget nobody reads; so that half-received frames cannot block one another for good, one
// connection at a time (the permit) may still finish its frame, and is closed when it does not in time.
#include "conn/conn.h"

#include "base/assert.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

enum { SWEEP_MS_MAX = 1000, WARN_EVERY_US = 1000000 };

struct conn_config conn_config_default(void)
{
    return (struct conn_config){
        .name = "PLAINTEXT",
        .host = "127.0.0.1",
        .port = 9092,
        .request_max = 100 << 20,
        .handshake_max = 256 << 10,
        .connections_max = 10000,
        .connections_per_ip_max = 10000,
        .idle_ms = 600000,
        .handshake_ms = 10000,
        .queued_max = 128 << 20,
        .produce_in_flight_max = 256,
        .produce_bytes_max = 16 << 20,
        .output_max = 1 << 20,
    };
}

static void add_metric(struct conn_listener *listener, struct metric *metric, enum metric_kind kind,
                       const char *name, const char *help)
{
    *metric = (struct metric){.name = name, .help = help, .kind = kind, .labels = listener->metrics.labels};
    metric_add(listener->env->metrics, metric);
}

static void add_metrics(struct conn_listener *listener)
{
    struct conn_metrics *m = &listener->metrics;
    m->labels = mem_printf("listener=\"%s\"", listener->config.name);
    add_metric(listener, &m->connections, METRIC_GAUGE, "millrace_conn_connections",
               "Open Kafka connections.");
    add_metric(listener, &m->accepted, METRIC_COUNTER, "millrace_conn_accepted_total",
               "Connections accepted.");
    add_metric(listener, &m->refused, METRIC_COUNTER, "millrace_conn_refused_total",
               "Connections refused by a limit or the authenticator.");
    add_metric(listener, &m->closed_bad, METRIC_COUNTER, "millrace_conn_closed_bad_total",
               "Connections closed for what they sent.");
    add_metric(listener, &m->closed_idle, METRIC_COUNTER, "millrace_conn_closed_idle_total",
               "Connections closed for sending nothing for too long.");
    add_metric(listener, &m->requests, METRIC_COUNTER, "millrace_conn_requests_total",
               "Kafka requests received.");
    add_metric(listener, &m->in_bytes, METRIC_COUNTER, "millrace_conn_received_bytes_total",
               "Bytes received.");
    add_metric(listener, &m->out_bytes, METRIC_COUNTER, "millrace_conn_sent_bytes_total", "Bytes sent.");
    add_metric(listener, &m->queued, METRIC_GAUGE, "millrace_conn_queued_bytes",
               "Bytes of requests received and not yet answered.");
}

static void remove_metrics(struct conn_listener *listener)
{
    struct conn_metrics *m = &listener->metrics;
    struct metric *all[] = {&m->connections, &m->accepted, &m->refused,   &m->closed_bad, &m->closed_idle,
                            &m->requests,    &m->in_bytes, &m->out_bytes, &m->queued};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        metric_remove(listener->env->metrics, all[i]);
    mem_free(m->labels);
}

void conn_listener_warn(struct conn_listener *listener, const char *host, const char *why)
{
    metric_inc(&listener->metrics.closed_bad, 1);
    int64_t now = env_now_us(listener->env);
    if (listener->warned_us != 0 && now - listener->warned_us < WARN_EVERY_US) {
        listener->unlogged++;
        return;
    }
    DIAG_WARN(&listener->env->diag,
              "closed a connection listener=%s client=%s reason=\"%s\" unlogged=%" PRId64,
              listener->config.name, host, why, listener->unlogged);
    listener->warned_us = now;
    listener->unlogged = 0;
}

// ---- turns ----

void conn_listener_ready(struct conn *conn)
{
    struct conn_listener *listener = conn->listener;
    if (conn->ready)
        return;
    conn->ready = true;
    conn->ready_next = NULL;
    if (listener->ready_last != NULL)
        listener->ready_last->ready_next = conn;
    else
        listener->ready_first = conn;
    listener->ready_last = conn;
    if (!timer_running(&listener->ready_timer))
        timer_start_us(listener->env, &listener->ready_timer, 0);
}

static void check_drained(struct conn_listener *listener)
{
    if (!listener->draining || listener->connections > 0 || listener->on_drained == NULL)
        return;
    conn_drained_fn *on_drained = listener->on_drained;
    listener->on_drained = NULL;
    on_drained(listener->drained_context);
}

// Gives every connection that was ready when the turn began its turn; what becomes ready meanwhile waits.
static void run_ready(struct conn_listener *listener)
{
    struct conn *at = listener->ready_first;
    listener->ready_first = listener->ready_last = NULL;
    while (at != NULL) {
        struct conn *next = at->ready_next;
        at->ready = false;
        conn_advance(at);
        at = next;
    }
}

static void listener_on_ready(struct timer *timer)
{
    struct conn_listener *listener = timer->context;
    run_ready(listener);
    check_drained(listener);
}

// ---- budget of received bytes ----

static void wake_starved(struct conn_listener *listener)
{
    listener->starving = false;
    for (struct conn *conn = listener->first; conn != NULL; conn = conn->next) {
        if (conn->starved && !conn->closed)
            conn_listener_ready(conn);
        conn->starved = false;
    }
}

void conn_listener_queue(struct conn_listener *listener, int64_t bytes)
{
    listener->queued += bytes;
    ASSERT(listener->queued >= 0);
    metric_set(&listener->metrics.queued, listener->queued);
    if (bytes < 0 && listener->starving && listener->queued < listener->config.queued_max)
        wake_starved(listener);
}

bool conn_listener_admits(struct conn *conn)
{
    struct conn_listener *listener = conn->listener;
    if (listener->queued < listener->config.queued_max || listener->permit == conn)
        return true;
    if (listener->permit == NULL && conn->frame.need > 0) {
        listener->permit = conn;
        listener->permit_us = env_now_us(listener->env);
        return true;
    }
    conn->starved = listener->starving = true;
    return false;
}

void conn_listener_release(struct conn *conn)
{
    if (conn->listener->permit != conn)
        return;
    conn->listener->permit = NULL;
    if (conn->listener->starving)
        wake_starved(conn->listener);
}

// ---- idle and silent connections ----

static bool idle_too_long(const struct conn *conn, int64_t now)
{
    const struct conn_config *config = &conn->listener->config;
    if (!conn->handshaken)
        return now - conn->opened_us > config->handshake_ms * 1000;
    bool held = conn->first != NULL && conn->output.count == 0;
    return !held && now - conn->progress_us > config->idle_ms * 1000;
}

// It keeps everybody else from being read.
static bool permit_too_long(const struct conn *conn, int64_t now)
{
    const struct conn_listener *listener = conn->listener;
    return listener->permit == conn && listener->starving &&
           now - listener->permit_us > listener->config.handshake_ms * 1000;
}

static void listener_on_sweep(struct timer *timer)
{
    struct conn_listener *listener = timer->context;
    int64_t now = env_now_us(listener->env);
    for (struct conn *conn = listener->first, *next; conn != NULL; conn = next) {
        next = conn->next;
        if (conn->closed)
            continue;
        if (permit_too_long(conn, now)) {
            conn_close(conn, "its request does not end and others wait for the room it takes");
        } else if (idle_too_long(conn, now)) {
            metric_inc(&listener->metrics.closed_idle, 1);
            conn_close(conn, NULL);
        }
    }
    int64_t shortest = listener->config.handshake_ms < listener->config.idle_ms
                           ? listener->config.handshake_ms
                           : listener->config.idle_ms;
    int64_t every = shortest / 4 < SWEEP_MS_MAX ? shortest / 4 + 1 : SWEEP_MS_MAX;
    timer_start_ms(listener->env, &listener->sweep_timer, every);
}

// ---- accepting ----

static void update_accepting(struct conn_listener *listener)
{
    listener->full = listener->connections >= listener->config.connections_max;
    if (listener->port != NULL)
        listener_pause(listener->env, listener->port, listener->paused || listener->full);
}

void conn_listener_limit(struct conn_listener *listener, int32_t connections_max, int32_t per_ip_max)
{
    ASSERT(connections_max > 0 && per_ip_max > 0);
    listener->config.connections_max = connections_max;
    listener->config.connections_per_ip_max = per_ip_max;
    update_accepting(listener);
}

static int32_t *per_ip(struct conn_listener *listener, const char *host)
{
    int32_t *count = map_get(&listener->per_ip, slice_str(host));
    if (count == NULL) {
        count = mem_calloc(1, sizeof *count);
        map_put(&listener->per_ip, slice_str(host), count);
    }
    return count;
}

static bool welcome(struct conn_listener *listener, struct conn *conn)
{
    const struct conn_authenticator *auth = listener->config.authenticator;
    if (*per_ip(listener, conn->peer.host) >= listener->config.connections_per_ip_max)
        return false;
    return auth == NULL || auth->on_connect(auth->context, conn->peer.listener, conn->peer.host,
                                            conn->peer.principal, sizeof conn->peer.principal);
}

static void listener_on_accept(struct listener *port, struct stream *stream, const char *host, void *context)
{
    struct conn_listener *listener = context;
    struct conn *conn = conn_new(listener, stream, host);
    bool welcomed = listener->connections < listener->config.connections_max && welcome(listener, conn);
    ++*per_ip(listener, conn->peer.host);
    conn->previous = listener->last;
    *(listener->last != NULL ? &listener->last->next : &listener->first) = conn;
    listener->last = conn;
    listener->connections++;
    metric_inc(welcomed ? &listener->metrics.accepted : &listener->metrics.refused, 1);
    metric_set(&listener->metrics.connections, listener->connections);
    update_accepting(listener);
    if (!welcomed)
        conn_close(conn, "too many connections, or not welcome");
}

void conn_listener_gone(struct conn *conn)
{
    struct conn_listener *listener = conn->listener;
    *(conn->previous != NULL ? &conn->previous->next : &listener->first) = conn->next;
    *(conn->next != NULL ? &conn->next->previous : &listener->last) = conn->previous;
    int32_t *count = per_ip(listener, conn->peer.host);
    if (--*count == 0) {
        map_remove(&listener->per_ip, slice_str(conn->peer.host));
        mem_free(count);
    }
    listener->connections--;
    metric_set(&listener->metrics.connections, listener->connections);
    if (listener->full)
        update_accepting(listener);
}

// ---- life ----

struct conn_listener *conn_listener_new(struct env *env, const struct conn_config *config,
                                        const struct conn_handler *handler, void *context)
{
    ASSERT(handler->on_request != NULL && handler->on_cancelled != NULL);
    ASSERT(config->request_max > 0 && config->connections_max > 0 && config->produce_in_flight_max > 0 &&
           config->produce_bytes_max > 0);
    struct conn_listener *listener = mem_calloc(1, sizeof *listener);
    listener->env = env;
    listener->config = *config;
    listener->config.name = mem_strdup(config->name);
    listener->config.host = mem_strdup(config->host);
    listener->handler = *handler;
    listener->context = context;
    listener->scratch = mem_calloc(1, CONN_SCRATCH);
    map_init(&listener->per_ip, env_random(env));
    timer_init(&listener->ready_timer, listener_on_ready, listener);
    timer_init(&listener->sweep_timer, listener_on_sweep, listener);
    add_metrics(listener);
    return listener;
}

enum status conn_listener_open(struct conn_listener *listener)
{
    ASSERT(listener->port == NULL && !listener->draining);
    enum status status = env_listen(listener->env, listener->config.host, listener->config.port,
                                    listener_on_accept, listener, &listener->port);
    if (status != ST_OK)
        return status;
    listener->port_number = listener_port(listener->env, listener->port);
    update_accepting(listener);
    listener_on_sweep(&listener->sweep_timer);
    return ST_OK;
}

int conn_listener_port(const struct conn_listener *listener)
{
    return listener->port != NULL ? listener->port_number : 0;
}

void conn_listener_pause(struct conn_listener *listener, bool paused)
{
    listener->paused = paused;
    update_accepting(listener);
}

void conn_listener_drain(struct conn_listener *listener, conn_drained_fn *on_drained, void *context)
{
    if (listener->port != NULL)
        listener_close(listener->env, &listener->port);
    listener->draining = true;
    listener->on_drained = on_drained;
    listener->drained_context = context;
    for (struct conn *conn = listener->first; conn != NULL; conn = conn->next)
        conn_listener_ready(conn);
    if (!timer_running(&listener->ready_timer))
        timer_start_us(listener->env, &listener->ready_timer, 0);
}

void conn_listener_destroy(struct conn_listener **pointer)
{
    struct conn_listener *listener = *pointer;
    *pointer = NULL;
    if (listener == NULL)
        return;
    if (listener->port != NULL)
        listener_close(listener->env, &listener->port);
    listener->draining = true;
    listener->on_drained = NULL;
    for (struct conn *conn = listener->first; conn != NULL; conn = conn->next)
        conn_close(conn, NULL);
    run_ready(listener);
    ASSERT(listener->first == NULL && listener->requests == 0);
    timer_stop(listener->env, &listener->ready_timer);
    timer_stop(listener->env, &listener->sweep_timer);
    remove_metrics(listener);
    map_fini(&listener->per_ip);
    mem_free(listener->scratch);
    mem_free((void *)(uintptr_t)listener->config.name);
    mem_free((void *)(uintptr_t)listener->config.host);
    mem_free(listener);
}

int conn_listener_connections(const struct conn_listener *listener)
{
    return listener->connections;
}

int conn_listener_requests(const struct conn_listener *listener)
{
    return listener->requests;
}
