// SPDX-License-Identifier: Apache-2.0
// RegisterNode: a node says who it is, and begins fenced. The same directory under a new incarnation is a
// restart: its old leaderships move at once. Another directory under a known id has none of the data: that
// node leaves every ISR. Two living processes under one id are refused.
#include "nodes.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/features.h"
#include "leases.h"
#include "settle.h"
#include "shards.h"

#include <stdio.h>

enum {
    GIVEN_ID_FIRST = 1001,
    GIVEN_ID_REST_MS = 600000, // before another coordinator gets the id
    LOST_MAX = 100000,
    TEXT_MAX = 255,
    ENDPOINTS_MAX = IMAGE_ENDPOINTS_MAX
};

struct registration {
    struct controller *controller;
    Millrace__RegisterReply reply;
    struct uuid cluster;
    Millrace__RegisterReply_Closure closure;
    struct rpc_call *call;
};

static void answer(void *context, enum status status)
{
    struct registration *registration = context;
    if (status == ST_OK) {
        registration->reply.cluster_id =
            (ProtobufCBinaryData){.len = 16, .data = registration->cluster.bytes};
        registration->closure(&registration->reply, registration->call);
    } else {
        controller_redirect(registration->controller, registration->call);
    }
    mem_free(registration);
}

static void reply_later(struct controller *controller, int32_t id, Millrace__RegisterReply_Closure closure,
                        struct rpc_call *call)
{
    const struct image *image = metadata_image(controller->metadata);
    struct registration *registration = mem_calloc(1, sizeof *registration);
    *registration = (struct registration){
        .controller = controller, .cluster = image_cluster_id(image), .closure = closure, .call = call};
    millrace__register_reply__init(&registration->reply);
    registration->reply.node_id = id;
    registration->reply.metadata_offset = image_node(image, id)->offset;
    registration->reply.lease_ms = (int32_t)nodes_lease_ms(controller);
    metadata_when_committed(controller->metadata, answer, registration);
}

static bool text_ok(const char *text)
{
    return text == NULL || strlen(text) <= TEXT_MAX;
}

static bool ranges_ok(const Millrace__RegisterRequest *request)
{
    for (size_t i = 0; i < request->n_features && i < IMAGE_FEATURES_MAX; i++) {
        const Millrace__FeatureRange *range = request->features[i];
        if (!text_ok(range->name) || range->min < 0 || range->max < range->min || range->max > INT16_MAX)
            return false;
    }
    return request->n_features <= IMAGE_FEATURES_MAX;
}

// Static text why the request makes no sense, NULL when it does.
static const char *request_wrong(const Millrace__RegisterRequest *request)
{
    if (request->role != MILLRACE__ROLE__ROLE_STORAGE && !shards_owned_by(request->role))
        return "only storage nodes, coordinators and registries register";
    if (request->directory_id.len != 16 && request->directory_id.len != 0)
        return "directory id is not 16 bytes";
    if (request->role == MILLRACE__ROLE__ROLE_STORAGE && request->directory_id.len != 16)
        return "a storage node needs a directory id";
    if (request->n_endpoints > ENDPOINTS_MAX || request->n_lost > LOST_MAX ||
        !text_ok(request->rpc_endpoint) || !text_ok(request->rack) || !text_ok(request->host))
        return "too long a text or list";
    for (size_t i = 0; i < request->n_endpoints; i++)
        if (!text_ok(request->endpoints[i]->host) || !text_ok(request->endpoints[i]->listener))
            return "too long an endpoint";
    if (!ranges_ok(request))
        return "levels of features out of range";
    for (size_t i = 0; i < request->n_lost; i++)
        if (request->lost[i]->topic_id.len != 16)
            return "topic id is not 16 bytes";
    return NULL;
}

// An id that the same process was given already (it did not hear the answer), or that of an owner of shards
// gone long ago, and with it all it knew: it keeps no directory. One that only paused wants its id back.
static bool reusable(const struct controller *controller, const struct image_node *node,
                     const Millrace__RegisterRequest *request)
{
    if (node->role != request->role)
        return false;
    if (node->incarnation == request->incarnation)
        return true;
    const struct lease *lease = leases_get(controller->nodes, node->id);
    return shards_owned_by(node->role) && node->fenced && uuid_is_zero(node->directory_id) && lease != NULL &&
           env_now_ms(controller->env) - lease->heard_ms >= GIVEN_ID_REST_MS;
}

static bool is_controller(const struct controller *controller, int32_t id)
{
    return voters_find(&controller->voters, id) != NULL ||
           raft_config_find_id(raft_config(quorum_raft(controller->quorum)), id) >= 0;
}

// Given ids begin behind those people choose, as Kafka's do behind reserved.broker.max.id: otherwise a daemon
// without an id that is quicker would take the id another one is configured with.
static int32_t free_id(const struct controller *controller, const Millrace__RegisterRequest *request)
{
    const struct image *image = metadata_image(controller->metadata);
    int32_t id = GIVEN_ID_FIRST;
    for (;; id++) {
        const struct image_node *node = image_node(image, id);
        if ((node == NULL || reusable(controller, node, request)) && !is_controller(controller, id))
            return id;
    }
}

static struct uuid directory_of(const Millrace__RegisterRequest *request)
{
    struct uuid id = {0};
    if (request->directory_id.len == 16)
        memcpy(id.bytes, request->directory_id.data, 16);
    return id;
}

// Whether another process lives under the id. A restart is known by its directory (which only one process can
// lock), or, without one, by its address.
static bool taken(const struct controller *controller, const struct image_node *old,
                  const Millrace__RegisterRequest *request)
{
    if (old == NULL || old->fenced || old->incarnation == request->incarnation)
        return false;
    const struct lease *lease = leases_get(controller->nodes, old->id);
    if (lease == NULL || env_now_ms(controller->env) >= lease->until_ms)
        return false;
    struct uuid directory = directory_of(request);
    if (!uuid_is_zero(directory) && uuid_equal(directory, old->directory_id))
        return false;
    return !uuid_is_zero(directory) || strcmp(old->rpc_endpoint, request->rpc_endpoint) != 0;
}

static struct image_range *ranges_of(struct decision *decision, const Millrace__RegisterRequest *request)
{
    struct image_range *ranges = arena_calloc(&decision->arena, request->n_features + 1, sizeof *ranges);
    ASSERT(ranges != NULL);
    for (size_t i = 0; i < request->n_features; i++)
        ranges[i] = (struct image_range){.name = request->features[i]->name,
                                         .min = (int16_t)request->features[i]->min,
                                         .max = (int16_t)request->features[i]->max};
    return ranges;
}

// Whether it understands the levels that hold; else why, in the words of Kafka's ClusterControlManager. A
// node of before ranges were told is let in: what holds is then at most what its time implied.
static bool features_fit(const struct image *image, const Millrace__RegisterRequest *request, char text[200])
{
    for (int i = 0; i < features_count && request->n_features > 0; i++) {
        int16_t level = image_feature(image, features_rows[i].name), min = 0, max = 0;
        for (size_t k = 0; k < request->n_features; k++)
            if (strcmp(request->features[k]->name, features_rows[i].name) == 0) {
                min = (int16_t)request->features[k]->min;
                max = (int16_t)request->features[k]->max;
            }
        if (level == 0 || (level >= min && level <= max))
            continue;
        snprintf(text, 200,
                 "Unable to register because the broker does not support finalized version %d of %s. The "
                 "broker wants a version between %d and %d, inclusive.",
                 level, features_rows[i].name, min, max);
        return false;
    }
    return true;
}

static void add_node(struct decision *decision, const Millrace__RegisterRequest *request, int32_t id)
{
    struct image_endpoint *endpoints =
        arena_calloc(&decision->arena, request->n_endpoints + 1, sizeof *endpoints);
    ASSERT(endpoints != NULL);
    for (size_t i = 0; i < request->n_endpoints; i++)
        endpoints[i] = (struct image_endpoint){.listener = request->endpoints[i]->listener,
                                               .host = request->endpoints[i]->host,
                                               .port = request->endpoints[i]->port};
    struct image_range *ranges = ranges_of(decision, request);
    struct image_node node = {.id = id,
                              .role = request->role,
                              .incarnation = request->incarnation,
                              .directory_id = directory_of(request),
                              .fenced = true,
                              .rpc_endpoint = request->rpc_endpoint,
                              .rack = request->rack != NULL ? request->rack : "",
                              .host = request->host != NULL ? request->host : "",
                              .endpoints = endpoints,
                              .endpoint_count = request->n_endpoints,
                              .ranges = ranges,
                              .range_count = request->n_features};
    decision_node(decision, &node);
}

static void decide(struct controller *controller, struct decision *decision,
                   const Millrace__RegisterRequest *request, const struct image_node *old, int32_t id)
{
    add_node(decision, request, id);
    if (shards_owned_by(request->role)) {
        shards_settle(controller, decision, SHARDS_DEAD, id);
        return;
    }
    bool wiped = old != NULL && old->role == MILLRACE__ROLE__ROLE_STORAGE &&
                 !uuid_equal(old->directory_id, directory_of(request));
    if (wiped)
        DIAG_WARN(&controller->env->diag,
                  "node comes back with another directory, its replicas are empty "
                  "node=%d",
                  id);
    if (old != NULL)
        settle_node(controller, decision, id, ELECT_GONE, wiped ? SETTLE_LOST : SETTLE_RESTARTED);
}

// Partitions whose files are gone; each in a decision of its own, since the first one may have changed the
// ISR.
static void drop_lost(struct controller *controller, const Millrace__RegisterRequest *request, int32_t id)
{
    for (size_t i = 0; i < request->n_lost && metadata_active(controller->metadata); i++) {
        struct uuid topic;
        struct decision decision;
        memcpy(topic.bytes, request->lost[i]->topic_id.data, 16);
        decision_init(&decision);
        settle_lost(controller, &decision, topic, request->lost[i]->partition, id);
        controller_decide(controller, &decision, "lost replica");
        decision_fini(&decision);
    }
}

static enum status check(struct controller *controller, const Millrace__RegisterRequest *request,
                         const struct image_node *old, char text[200])
{
    const char *wrong = request_wrong(request);
    struct uuid cluster = image_cluster_id(metadata_image(controller->metadata));
    if (wrong != NULL) {
        snprintf(text, 200, "%s", wrong);
        return ST_INVALID;
    }
    if (request->has_cluster_id &&
        (request->cluster_id.len != 16 || memcmp(request->cluster_id.data, cluster.bytes, 16) != 0)) {
        char ours[UUID_TEXT_SIZE];
        uuid_format(cluster, ours);
        snprintf(text, 200, "the data directory belongs to another cluster, this one is %s", ours);
        return ST_MISMATCH;
    }
    if (is_controller(controller, request->node_id)) {
        snprintf(text, 200, "node id %d is a controller's", request->node_id);
        return ST_EXISTS;
    }
    if (old != NULL && old->role != request->role) {
        snprintf(text, 200, "node id %d belongs to a daemon of another kind", request->node_id);
        return ST_EXISTS;
    }
    if (!features_fit(metadata_image(controller->metadata), request, text))
        return ST_UNSUPPORTED;
    if (taken(controller, old, request)) {
        snprintf(text, 200, "another process lives under node id %d", request->node_id);
        return ST_AGAIN;
    }
    return ST_OK;
}

void nodes_register(struct controller *controller, const Millrace__RegisterRequest *request,
                    Millrace__RegisterReply_Closure closure, struct rpc_call *call)
{
    char text[200];
    int32_t id = request->node_id >= 0 ? request->node_id : free_id(controller, request);
    const struct image_node *old = image_node(metadata_image(controller->metadata), id);
    enum status status = check(controller, request, old, text);
    if (status != ST_OK) {
        DIAG_WARN(&controller->env->diag, "registration refused: %s", text);
        rpc_fail(call, status, text);
        return;
    }
    if (old == NULL || old->incarnation != request->incarnation) {
        struct decision decision;
        decision_init(&decision);
        decide(controller, &decision, request, old, id);
        status = metadata_append(controller->metadata, &decision);
        decision_fini(&decision);
        if (status != ST_OK) {
            rpc_fail(call, status == ST_LIMIT ? ST_AGAIN : status, "registration cannot be written");
            return;
        }
        struct lease *lease = leases_put(controller->nodes, id, request->incarnation);
        lease->heard_ms = env_now_ms(controller->env);
        lease->until_ms = lease->heard_ms + nodes_lease_ms(controller);
        lease->must_have = metadata_offset(controller->metadata);
        lease->draining = request->draining;
        drop_lost(controller, request, id);
        DIAG_INFO(&controller->env->diag, "node registered node=%d role=%d rpc=%s", id, (int)request->role,
                  request->rpc_endpoint);
    }
    if (metadata_active(controller->metadata))
        reply_later(controller, id, closure, call);
    else
        controller_redirect(controller, call);
}
