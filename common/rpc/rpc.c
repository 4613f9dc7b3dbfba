// SPDX-License-Identifier: Apache-2.0
// Life of the rpc end of a daemon, and where the transport's events go. See rpc.h.
#include "rpc/internal.h"

#include "base/assert.h"
#include "base/mem.h"

static void on_request(void *context, uint64_t route, struct rpc_node proven, struct block *const *frames,
                       int count)
{
    struct rpc *rpc = context;
    if (!rpc->closed)
        server_on_request(rpc, route, proven, frames, count);
}

static void on_reply(void *context, struct transport_lane *link, struct block *const *frames, int count)
{
    client_on_reply(context, link, frames, count);
}

static void on_state(void *context, struct transport_lane *link, enum transport_state state)
{
    lane_on_state(link->user, state);
}

static void on_gone(void *context, uint64_t route)
{
    struct rpc *rpc = context;
    if (rpc->on_gone != NULL && !rpc->closed)
        rpc->on_gone(rpc->gone_context, route);
}

static const struct transport_events events = {
    .on_request = on_request, .on_gone = on_gone, .on_reply = on_reply, .on_state = on_state};

// ---- metrics ----

static void metric_start(struct rpc *rpc, struct metric *metric, const char *name, const char *help)
{
    *metric = (struct metric){.name = name, .help = help, .kind = METRIC_COUNTER};
    if (rpc->env->metrics != NULL)
        metric_add(rpc->env->metrics, metric);
}

static void metrics_start(struct rpc *rpc)
{
    struct rpc_metrics *m = &rpc->metrics;
    metric_start(rpc, &m->calls, "millrace_rpc_calls_total", "Calls made to other daemons.");
    metric_start(rpc, &m->failures, "millrace_rpc_failures_total",
                 "Calls made that ended without an answer.");
    metric_start(rpc, &m->served, "millrace_rpc_served_total", "Calls of other daemons handed to a service.");
    metric_start(rpc, &m->refused, "millrace_rpc_refused_total",
                 "Messages refused: version, cluster, sender, role, limit or content.");
    metric_start(rpc, &m->late_replies, "millrace_rpc_late_replies_total",
                 "Answers dropped because nobody waits for them any more.");
    metric_start(rpc, &m->lost_replies, "millrace_rpc_lost_replies_total",
                 "Answers dropped because the caller's connection is gone or full.");
    metric_start(rpc, &m->malformed, "millrace_rpc_malformed_total", "Messages dropped as not ours.");
    metric_start(rpc, &m->unknown, "millrace_rpc_unknown_total",
                 "Messages of a kind, service or method not offered here.");
    metric_start(rpc, &m->calls_now, "millrace_rpc_calls_in_progress", "Calls made and not ended.");
    metric_start(rpc, &m->served_now, "millrace_rpc_served_in_progress", "Calls held by services.");
    metric_start(rpc, &m->held_bytes, "millrace_rpc_served_bytes", "Bytes of the calls held by services.");
    m->calls_now.kind = m->served_now.kind = m->held_bytes.kind = METRIC_GAUGE;
}

static void metrics_end(struct rpc *rpc)
{
    struct rpc_metrics *m = &rpc->metrics;
    struct metric *all[] = {&m->calls,        &m->failures,     &m->served,    &m->refused,
                            &m->late_replies, &m->lost_replies, &m->malformed, &m->unknown,
                            &m->calls_now,    &m->served_now,   &m->held_bytes};
    for (size_t i = 0; i < sizeof all / sizeof *all && rpc->env->metrics != NULL; i++)
        metric_remove(rpc->env->metrics, all[i]);
}

// ---- life ----

struct rpc *rpc_new(const struct rpc_config *config)
{
    struct rpc *rpc = mem_calloc(1, sizeof *rpc);
    *rpc = (struct rpc){
        .env = config->env,
        .transport = config->transport,
        .self = config->self,
        .incarnation = config->incarnation,
        .cluster = config->cluster,
        .calls_per_peer = config->calls_per_peer > 0 ? config->calls_per_peer : RPC_CALLS_PER_PEER,
        .held_bytes_max = config->held_bytes_max > 0 ? config->held_bytes_max : RPC_HELD_BYTES_MAX,
        .rules = config->rules ? config->rules : rpc_rules,
        .stub = {.service = {.invoke = client_invoke}, .rpc = rpc},
        .result = {.text = ""}};
    struct map *maps[] = {&rpc->methods, &rpc->types, &rpc->peers, &rpc->calls, &rpc->conns, &rpc->owners};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        map_init(maps[i], 0);
    arena_init(&rpc->scratch, RPC_UNPACK_BASE + RPC_UNPACK_FACTOR * RPC_ENVELOPE_MAX);
    metrics_start(rpc);
    ASSERT(rpc->transport->events == NULL);
    rpc->transport->context = rpc;
    rpc->transport->events = &events;
    return rpc;
}

void rpc_close(struct rpc *rpc)
{
    struct rpc_result closed = {.status = ST_CLOSED, .text = "closed"};
    uint64_t last = rpc->last_correlation; // closures may try again; that must not go on for ever
    void *value;
    rpc->closed = true;
    peers_close(rpc);
    for (struct map_entry *at = NULL; map_next(&rpc->calls, &at, NULL, &value); at = NULL) {
        if (((struct out_call *)value)->correlation > last)
            break;
        call_end(value, &closed, NULL);
    }
}

static void calls_forget(struct rpc *rpc)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&rpc->calls, &at, NULL, &value);) {
        struct out_call *call = value;
        call->closure = NULL;
        call_end(call, &(struct rpc_result){.text = ""}, NULL);
    }
}

void rpc_destroy(struct rpc **pointer)
{
    struct rpc *rpc = *pointer;
    if (rpc == NULL)
        return;
    rpc_close(rpc);
    *pointer = NULL; // closures of the calls just closed may still have used it
    calls_forget(rpc);
    rpc->transport->events = NULL;
    server_fini(rpc);
    peers_fini(rpc);
    map_fini(&rpc->types);
    map_fini(&rpc->calls);
    map_fini(&rpc->owners);
    arena_fini(&rpc->scratch);
    metrics_end(rpc);
    mem_free(rpc);
}

void rpc_set_cluster(struct rpc *rpc, struct uuid cluster)
{
    rpc->cluster = cluster;
}

void rpc_set_node(struct rpc *rpc, int32_t node)
{
    rpc->self.node = node;
}

enum status rpc_listen(struct rpc *rpc, const char *endpoint, int *port)
{
    return rpc->transport->ops->bind(rpc->transport, endpoint, port);
}

void rpc_probe(struct rpc *rpc, const char *endpoint, transport_probe_fn *on_probe, void *context)
{
    rpc->transport->ops->probe(rpc->transport, endpoint, on_probe, context);
}

void rpc_watch_gone(struct rpc *rpc, rpc_gone_fn *told, void *context)
{
    rpc->on_gone = told;
    rpc->gone_context = context;
}
