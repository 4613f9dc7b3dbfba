// SPDX-License-Identifier: Apache-2.0
// See nodes.h. A node is replaced when its lease ends, or at once when its connection has ended or it is
// silent, and its RPC port refuses connections (its process is gone).
#include "nodes.h"

#include "balancer.h"
#include "base/assert.h"
#include "base/mem.h"
#include "internal_topics.h"
#include "leases.h"
#include "settle.h"
#include "shards.h"

enum {
    BEHIND_MS_MAX = 10000, // a node that stays behind the metadata for so long is fenced
    FORGET_MS = 600000,    // a coordinator gone for so long is forgotten: it keeps nothing, and may come back
                           // under another id each time
    SILENT_LEASE_SHARE = 40 // per cent of the lease without a heartbeat, then its port is tried
};

struct nodes *nodes_new(void)
{
    return mem_calloc(1, sizeof(struct nodes));
}

void nodes_destroy(struct nodes **out)
{
    struct nodes *nodes = *out;
    if (nodes == NULL)
        return;
    leases_clear(nodes);
    mem_free(nodes);
    *out = NULL;
}

int64_t nodes_lease_ms(const struct controller *controller)
{
    return config_int(controller->config, "broker.session.timeout.ms");
}

void nodes_activate(struct controller *controller)
{
    const struct image *image = metadata_image(controller->metadata);
    leases_clear(controller->nodes);
    for (size_t i = 0; i < image_node_count(image); i++) {
        const struct image_node *node = image_node_at(image, i);
        struct lease *lease = leases_put(controller->nodes, node->id, node->incarnation);
        lease->heard_ms = env_now_ms(controller->env);
        lease->until_ms = lease->heard_ms + nodes_lease_ms(controller);
        lease->must_have = metadata_offset(controller->metadata);
        lease->assumed = true;
    }
}

void nodes_deactivate(struct controller *controller)
{
    leases_clear(controller->nodes);
}

enum elect_state nodes_state(void *context, int32_t id)
{
    const struct controller *controller = context;
    const struct image_node *node = image_node(metadata_image(controller->metadata), id);
    if (!image_node_live(node, MILLRACE__ROLE__ROLE_STORAGE))
        return ELECT_GONE;
    const struct lease *lease = leases_get(controller->nodes, id);
    bool avoid = lease != NULL && (lease->draining || lease->stalled);
    return avoid || balancer_drains(metadata_image(controller->metadata), id) ? ELECT_AVOID : ELECT_LIVE;
}

struct elect_view nodes_view(struct controller *controller)
{
    return (struct elect_view){.context = controller, .state = nodes_state, .stalled = -1, .lost = -1};
}

bool nodes_heard(const struct controller *controller, int32_t id)
{
    const struct lease *lease = leases_get(controller->nodes, id);
    return lease != NULL && !lease->assumed;
}

int nodes_live(const struct controller *controller, Millrace__Role role)
{
    const struct image *image = metadata_image(controller->metadata);
    int count = 0;
    for (size_t i = 0; i < image_node_count(image); i++)
        count += image_node_live(image_node_at(image, i), role);
    return count;
}

// ---- fencing ----

// over: it serves no more, whatever it believes.
static void node_fence(struct controller *controller, const struct image_node *node, const char *why,
                       bool over)
{
    struct lease *lease = leases_get(controller->nodes, node->id);
    struct decision decision;
    int32_t id = node->id;
    DIAG_INFO(&controller->env->diag, "node fenced node=%d why=\"%s\"", id, why);
    decision_init(&decision);
    decision_fenced(&decision, id, node->incarnation, true);
    if (node->role == MILLRACE__ROLE__ROLE_STORAGE)
        settle_node(controller, &decision, id, ELECT_GONE, SETTLE_STATE);
    else
        shards_settle(controller, &decision, over ? SHARDS_DEAD : SHARDS_CUT, id);
    controller_decide(controller, &decision, "fencing");
    if (lease != NULL && metadata_active(controller->metadata)) {
        lease->must_have = metadata_offset(controller->metadata);
        lease->until_ms = over ? 0 : lease->until_ms;
    }
    decision_fini(&decision);
}

static void node_unfence(struct controller *controller, const struct image_node *node)
{
    struct decision decision;
    int32_t id = node->id;
    DIAG_INFO(&controller->env->diag, "node unfenced node=%d", id);
    decision_init(&decision);
    decision_fenced(&decision, id, node->incarnation, false);
    if (node->role == MILLRACE__ROLE__ROLE_STORAGE)
        settle_node(controller, &decision, id, ELECT_LIVE, SETTLE_STATE);
    else
        shards_settle(controller, &decision, SHARDS_CAME, id);
    controller_decide(controller, &decision, "unfencing");
    decision_fini(&decision);
    internal_topics_ensure(controller);
}

static void node_forget(struct controller *controller, int32_t id)
{
    struct decision decision;
    DIAG_INFO(&controller->env->diag, "node forgotten node=%d", id);
    decision_init(&decision);
    decision_node_removed(&decision, id);
    controller_decide(controller, &decision, "forgetting a node");
    decision_fini(&decision);
}

static void on_probe(void *context, enum status status)
{
    struct lease_probe *probe = context;
    struct controller *controller = probe->controller;
    struct lease *lease = controller != NULL ? leases_get(controller->nodes, probe->node) : NULL;
    if (lease != NULL && lease->probe == probe) {
        lease->probe = NULL;
        const struct image_node *node = metadata_active(controller->metadata)
                                            ? image_node(metadata_image(controller->metadata), probe->node)
                                            : NULL;
        bool same = node != NULL && node->incarnation == probe->incarnation && !node->fenced;
        if (same && status == ST_UNREACHABLE && lease->heard_ms <= probe->began_ms)
            node_fence(controller, node, "its port refuses connections", true);
    }
    mem_free(probe);
}

static void node_probe(struct controller *controller, struct lease *lease, const struct image_node *node)
{
    struct lease_probe *probe = mem_calloc(1, sizeof *probe);
    *probe = (struct lease_probe){.controller = controller,
                                  .node = node->id,
                                  .incarnation = node->incarnation,
                                  .began_ms = env_now_ms(controller->env)};
    lease->probe = probe;
    rpc_probe(controller->rpc, node->rpc_endpoint, on_probe, probe);
}

void nodes_connection_gone(struct controller *controller, uint64_t connection)
{
    for (size_t i = 0; i < controller->nodes->count && metadata_active(controller->metadata); i++) {
        struct lease *lease = &controller->nodes->items[i];
        const struct image_node *node = image_node(metadata_image(controller->metadata), lease->id);
        if (lease->assumed || lease->connection != connection || node == NULL || node->fenced)
            continue;
        lease->gone = true; // a dying process may close its port a moment later: the tick asks again
        if (lease->probe == NULL)
            node_probe(controller, lease, node);
    }
}

static bool lease_doubtful(const struct controller *controller, const struct lease *lease)
{
    int64_t silent_ms = env_now_ms(controller->env) - lease->heard_ms;
    return lease->gone || silent_ms > nodes_lease_ms(controller) * SILENT_LEASE_SHARE / 100;
}

void nodes_tick(struct controller *controller)
{
    int64_t now = env_now_ms(controller->env);
    for (size_t i = 0; i < controller->nodes->count && metadata_active(controller->metadata); i++) {
        struct lease *lease = &controller->nodes->items[i];
        const struct image_node *node = image_node(metadata_image(controller->metadata), lease->id);
        if (node == NULL)
            continue;
        if (node->fenced) {
            if (shards_owned_by(node->role) && now - lease->heard_ms > FORGET_MS)
                node_forget(controller, node->id);
            continue;
        }
        if (now >= lease->until_ms)
            node_fence(controller, node, "lease ended", true);
        else if (lease->behind_since_ms != 0 && now - lease->behind_since_ms > BEHIND_MS_MAX)
            node_fence(controller, node, "too far behind the metadata", false);
        else if (lease->probe == NULL && lease_doubtful(controller, lease))
            node_probe(controller, lease, node);
    }
}

// ---- heartbeats ----

struct heartbeat {
    struct controller *controller;
    Millrace__HeartbeatReply reply;
    Millrace__HeartbeatReply_Closure closure;
    struct rpc_call *call;
};

// Where voters are that are not configured: once they have moved, a node would know only where they were.
static size_t voter_endpoints(const struct controller *controller, char *voters[RAFT_VOTERS_MAX])
{
    const struct raft_config *config = raft_config(quorum_raft(controller->quorum));
    size_t count = 0;
    for (int i = 0; i < config->count; i++)
        if (config->endpoints[i][0] != 0)
            voters[count++] = (char *)(uintptr_t)config->endpoints[i];
    return count;
}

static void heartbeat_answer(void *context, enum status status)
{
    struct heartbeat *heartbeat = context;
    char *voters[RAFT_VOTERS_MAX];
    if (status == ST_OK) {
        heartbeat->reply.commit_offset = metadata_commit_offset(heartbeat->controller->metadata);
        heartbeat->reply.controllers = voters;
        heartbeat->reply.n_controllers = voter_endpoints(heartbeat->controller, voters);
        heartbeat->closure(&heartbeat->reply, heartbeat->call);
    } else {
        controller_redirect(heartbeat->controller, heartbeat->call);
    }
    mem_free(heartbeat);
}

void nodes_told(struct controller *controller, int32_t id, bool draining, int64_t flush_age_ms)
{
    struct lease *lease = leases_get(controller->nodes, id);
    bool stalled = flush_age_ms > config_int(controller->config, "flush.stall.max.ms");
    if (lease == NULL || (lease->draining == draining && lease->stalled == stalled))
        return;
    struct decision decision;
    decision_init(&decision);
    settle_node(controller, &decision, id, draining || stalled ? ELECT_AVOID : ELECT_LIVE,
                stalled ? SETTLE_STALLED : SETTLE_STATE);
    bool written = controller_decide(controller, &decision, "a node drains, or its disk stalls");
    decision_fini(&decision);
    lease = leases_get(controller->nodes, id); // a decision may end the activity, and with it all leases
    if (lease == NULL || !written)
        return;
    if (lease->stalled != stalled)
        DIAG_WARN(&controller->env->diag, "disk of a node %s node=%d flush_age_ms=%lld",
                  stalled ? "stalls" : "works again", id, (long long)flush_age_ms);
    lease->draining = draining;
    lease->stalled = stalled;
}

static void lease_renew(struct controller *controller, struct lease *lease,
                        const Millrace__HeartbeatRequest *request, const struct rpc_call *call)
{
    lease->connection = rpc_call_connection(call);
    lease->gone = false;
    lease->heard_ms = env_now_ms(controller->env);
    lease->until_ms = lease->heard_ms + nodes_lease_ms(controller);
    lease->reported = request->metadata_offset;
    lease->assumed = false;
    bool behind = request->metadata_offset < lease->commit_then;
    if (!behind)
        lease->behind_since_ms = 0;
    else if (lease->behind_since_ms == 0)
        lease->behind_since_ms = lease->heard_ms;
    lease->commit_then = metadata_commit_offset(controller->metadata);
}

// Whether all that the answer says of the node is committed. It then waits for no decision about others: a
// log whose disk hangs for a second would end every lease at once.
static bool heartbeat_settled(const struct controller *controller, const Millrace__HeartbeatRequest *request)
{
    const struct image_node *decided = image_node(metadata_image(controller->metadata), request->node_id);
    const struct image_node *committed =
        image_node(metadata_committed(controller->metadata), request->node_id);
    return !request->leaving && !request->draining && committed != NULL &&
           committed->incarnation == decided->incarnation && committed->fenced == decided->fenced;
}

void nodes_heartbeat(struct controller *controller, const Millrace__HeartbeatRequest *request,
                     Millrace__HeartbeatReply_Closure closure, struct rpc_call *call)
{
    const struct image_node *node = image_node(metadata_image(controller->metadata), request->node_id);
    struct lease *lease = leases_get(controller->nodes, request->node_id);
    if (node == NULL || lease == NULL || node->incarnation != request->incarnation) {
        rpc_fail(call, node == NULL ? ST_NOT_FOUND : ST_STALE, "register first");
        return;
    }
    lease_renew(controller, lease, request, call);
    bool storage = node->role == MILLRACE__ROLE__ROLE_STORAGE;
    if (request->leaving && !node->fenced)
        node_fence(controller, node, "it leaves", true);
    else if (!request->leaving && node->fenced && request->metadata_offset >= lease->must_have &&
             lease->behind_since_ms == 0)
        node_unfence(controller, node);
    if (storage && !request->leaving && metadata_active(controller->metadata))
        nodes_told(controller, request->node_id, request->draining,
                   request->has_flush_age_ms ? request->flush_age_ms : 0);
    if (!metadata_active(controller->metadata)) {
        controller_redirect(controller, call);
        return;
    }
    struct heartbeat *heartbeat = mem_calloc(1, sizeof *heartbeat);
    *heartbeat = (struct heartbeat){.controller = controller, .closure = closure, .call = call};
    millrace__heartbeat_reply__init(&heartbeat->reply);
    node = image_node(metadata_image(controller->metadata), request->node_id);
    heartbeat->reply.lease_ms = (int32_t)nodes_lease_ms(controller);
    heartbeat->reply.fenced = node->fenced;
    heartbeat->reply.has_leaderships = request->draining;
    heartbeat->reply.leaderships = request->draining ? settle_leaderships(controller, request->node_id) : 0;
    if (heartbeat_settled(controller, request))
        heartbeat_answer(heartbeat, ST_OK);
    else
        metadata_when_committed(controller->metadata, heartbeat_answer, heartbeat);
}
