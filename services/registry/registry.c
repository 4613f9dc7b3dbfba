// SPDX-License-Identifier: Apache-2.0
// Life of a registry, and whose its topics are: the controller's assignment in the image decides. The owner
// has a ledger, every other process a tail; the state goes on from one to the other where it can.
#include "registry_own.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/shard.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    LEAVE_MS = 500,
    HANDOVER_MS_MAX = 3000,
    WORK_MS_MAX = 1000,
    WORK_POLL_MS = 5,
    NEED_MS = 2000 // of one attempt to have the topic made
};

// ---- the state ----

static void passed_over(struct registry_store *store, struct slice key, enum status status)
{
    struct registry *registry = store->registry;
    store->refused = true;
    metric_inc(&registry->passed_over, 1);
    DIAG_WARN(&registry->env->diag, "record passed over topic=%s key=%.*s error=\"%s\"", store->topic,
              key.len < 200 ? (int)key.len : 200, (const char *)key.data, status_text(status));
}

static void on_schema(void *context, int64_t timestamp_ms, struct slice key, struct slice value)
{
    struct registry_store *store = context;
    enum status status = state_apply(store->registry->state, timestamp_ms, key, value);
    if (status != ST_OK)
        passed_over(store, key, status);
}

static void on_key(void *context, int64_t timestamp_ms, struct slice key, struct slice value)
{
    struct registry_store *store = context;
    enum status status = keys_apply(store->registry->keys, timestamp_ms, key, value);
    if (status != ST_OK)
        passed_over(store, key, status);
}

static void on_reset_schemas(void *context)
{
    state_clear(((struct registry_store *)context)->registry->state);
}

static void on_reset_keys(void *context)
{
    keys_clear(((struct registry_store *)context)->registry->keys);
}

static void on_ready(void *context)
{
    struct registry_store *store = context;
    struct registry *registry = store->registry;
    DIAG_INFO(&registry->env->diag,
              "loaded topic=%s owner=%s owner_epoch=%" PRId32 " subjects=%zu schemas=%zu keys=%zu",
              store->topic, store->ledger != NULL ? "yes" : "no", store->owner_epoch,
              state_subject_count(registry->state), state_schema_count(registry->state),
              keys_count(registry->keys));
    work_wake(registry);
}

static void on_progress(void *context)
{
    work_wake(((struct registry_store *)context)->registry);
}

static const struct ledger_ops ops[STORES] = {
    [STORE_SCHEMAS] = {.apply = on_schema, .reset = on_reset_schemas, .ready = on_ready},
    [STORE_KEYS] = {.apply = on_key, .reset = on_reset_keys, .ready = on_ready},
};
static const char *const topics[STORES] = {SHARD_TOPIC_SCHEMAS, SHARD_TOPIC_KEYS};

bool registry_has_topic(const struct registry_store *store)
{
    return image_topic_named(store->registry->image, store->topic) != NULL;
}

bool registry_has_state(const struct registry_store *store)
{
    if (store->registry->joined && !registry_has_topic(store))
        return true; // nothing was ever written
    if (store->ledger != NULL)
        return ledger_ready(store->ledger);
#ifdef PLANTED_SCHEMA_READS_WHILE_LOADING
    return store->tail != NULL;
#endif
    return store->tail != NULL && ledger_tail_ready(store->tail);
}

int64_t registry_position(const struct registry_store *store)
{
    return store->ledger != NULL ? ledger_view(store->ledger).position : ledger_tail_position(store->tail);
}

// From a position up to which the state has everything, and nothing that is not committed.
static void follow_along(struct registry_store *store, int64_t position)
{
    struct registry *registry = store->registry;
    struct ledger_tail_config config = {.env = registry->env,
                                        .rpc = registry->rpc,
                                        .image = registry->image,
                                        .topic = store->topic,
                                        .partition = 0,
                                        .position = position,
                                        .ops = store->ops,
                                        .on_progress = on_progress,
                                        .context = store};
    store->tail = ledger_tail_new(&config);
}

// What was read along is committed, so the owner goes on from it.
static void own(struct registry_store *store, const struct image_shard *shard)
{
    struct registry *registry = store->registry;
    struct ledger_config config = {.env = registry->env,
                                   .rpc = registry->rpc,
                                   .image = registry->image,
                                   .loads = registry->loads,
                                   .topic = store->topic,
                                   .partition = 0,
                                   .owner = registry->node_id,
                                   .owner_epoch = shard->owner_epoch,
                                   .metadata_offset = shard->offset,
                                   .read_bytes = LEDGER_READ_BYTES_MAX,
                                   .position = ledger_tail_position(store->tail),
                                   .ops = store->ops,
                                   .context = store};
    ledger_tail_destroy(&store->tail);
    store->owner_epoch = shard->owner_epoch;
    store->ledger = ledger_new(&config);
}

// What the owner has written may never be committed, so the state is read anew; but as long as it was loading
// it has read only what is. Otherwise a process too busy to keep its lease would begin from the start again
// and again.
static void disown(struct registry_store *store)
{
    int64_t position = ledger_ready(store->ledger) ? 0 : ledger_view(store->ledger).position;
    ledger_destroy(&store->ledger);
    store->owner_epoch = -1;
#ifndef PLANTED_SCHEMA_UNCOMMITTED_KEPT
    if (position <= 0)
        store->ops->reset(store);
#endif
    follow_along(store, position > 0 ? position : 0);
}

static void drain_on_change(struct registry *registry);

static void assigned(struct registry_store *store, const struct image_shard *shard)
{
    struct registry *registry = store->registry;
    bool ours = shard != NULL && shard->owner == registry->node_id;
    if (store->ledger != NULL && (!ours || shard->owner_epoch != store->owner_epoch))
        disown(store);
    if (ours && store->ledger == NULL)
        own(store, shard);
    drain_on_change(registry);
    work_wake(registry);
}

static void on_shard(void *context, const struct image_shard *before, const struct image_shard *after)
{
    struct registry *registry = context;
    const struct image_shard *any = after != NULL ? after : before;
    for (int i = 0; i < STORES && registry->joined && any->shard == 0; i++)
        if (strcmp(any->topic, registry->stores[i].topic) == 0)
            assigned(&registry->stores[i], after);
}

const struct image_node *registry_owner(const struct registry_store *store)
{
    const struct registry *registry = store->registry;
    const struct image_shard *shard = image_shard(registry->image, store->topic, 0);
    if (shard == NULL || shard->owner < 0 || shard->owner == registry->node_id)
        return NULL;
    const struct image_node *node = image_node(registry->image, shard->owner);
    return image_node_live(node, MILLRACE__ROLE__ROLE_REGISTRY) ? node : NULL;
}

// ---- the topic ----

static void on_needed(void *context, enum status status, const ProtobufCMessage *reply, struct slice payload,
                      const char *text)
{
    struct registry_store *store = context;
    store->needing = NULL;
    if (status != ST_OK)
        DIAG_INFO(&store->registry->env->diag, "cannot make topic=%s error=\"%s\"", store->topic,
                  status_text(status));
}

void registry_need_topic(struct registry_store *store)
{
    Millrace__NeedTopicRequest request = MILLRACE__NEED_TOPIC_REQUEST__INIT;
    if (registry_has_topic(store) || store->needing != NULL)
        return;
    request.name = (char *)store->topic;
    struct controllers_call call = {.method = "NeedTopic",
                                    .request = &request.base,
                                    .timeout_ms = NEED_MS,
                                    .idempotent = true,
                                    .done = on_needed,
                                    .context = store};
    store->needing = controllers_invoke(store->registry->controllers, &call);
}

// ---- membership ----

static void join(struct registry *registry)
{
    registry->joined = true;
    DIAG_INFO(&registry->env->diag, "serving schemas node=%" PRId32, registry->node_id);
    for (int i = 0; i < STORES; i++)
        assigned(&registry->stores[i], image_shard(registry->image, topics[i], 0));
}

static enum status on_registered(void *context, int32_t node_id, struct uuid cluster_id)
{
    struct registry *registry = context;
    if (registry->node_id >= 0)
        return node_id == registry->node_id ? ST_OK : ST_MISMATCH;
    registry->node_id = node_id;
    uuid_format(cluster_id, registry->cluster);
    rpc_set_node(registry->rpc, node_id);
    rpc_set_cluster(registry->rpc, cluster_id);
    return ST_OK;
}

static void on_state(void *context, enum member_state state, const char *text)
{
    struct registry *registry = context;
    if (state == MEMBER_REFUSED) {
        DIAG_ERROR(&registry->env->diag, "%s", text);
        registry->options.on_failed(registry->options.context, text);
    } else if ((state == MEMBER_ACTIVE || state == MEMBER_FENCED) && !registry->joined) {
        join(registry);
    } else if (state == MEMBER_LEFT && registry->drain == DRAIN_LEAVING) {
        registry->drain = DRAIN_DONE;
        registry->drained(registry->drained_context);
    }
}

// ---- life ----

static enum status follow_cluster(struct registry *registry)
{
    char endpoints[4096] = "";
    const char *key = "controller.quorum.bootstrap.servers";
    size_t count = config_list_count(registry->config, key), at = 0;
    for (size_t i = 0; i < count && at < sizeof endpoints; i++)
        at += (size_t)snprintf(endpoints + at, sizeof endpoints - at, "%s%s", i > 0 ? "," : "",
                               config_list_at(registry->config, key, i));
    enum status status = controllers_new(registry->env, registry->rpc, endpoints, &registry->controllers);
    if (status != ST_OK)
        return status;
    struct follow_options options = {.env = registry->env,
                                     .rpc = registry->rpc,
                                     .controllers = registry->controllers,
                                     .image = registry->image,
                                     .context = registry};
    return follow_new(&options, &registry->follow);
}

static void drain_on_timer(struct timer *timer);

enum status registry_new(const struct registry_options *options, struct registry **out)
{
    struct registry *registry = mem_calloc(1, sizeof *registry);
    registry->options = *options;
    registry->env = options->env;
    registry->config = options->config;
    registry->rpc = options->rpc;
    registry->rpc_endpoint = mem_strdup(options->rpc_endpoint);
    registry->settings = settings_of(options->config);
    registry->node_id = -1;
    registry->image = image_new();
    registry->state = state_new();
    registry->keys = keys_new();
    for (int i = 0; i < STORES; i++)
        registry->stores[i] = (struct registry_store){
            .registry = registry, .topic = topics[i], .ops = &ops[i], .owner_epoch = -1};
    registry->loads = ledger_loads_new(options->env);
    registry->thinkers = env_queue_new(options->env, "schemas", 1);
    contacts_init(&registry->peers, options->rpc, env_random(options->env));
    timer_init(&registry->drain_timer, drain_on_timer, registry);
    registry->listener = (struct image_listener){.context = registry, .on_shard = on_shard};
    image_listen(registry->image, &registry->listener);
    registry_report_start(registry);
    enum status status = follow_cluster(registry);
    if (status == ST_OK) {
        for (int i = 0; i < STORES; i++)
            follow_along(&registry->stores[i], 0);
        work_serve(registry);
    } else {
        registry_destroy(&registry);
    }
    *out = registry;
    return status;
}

enum status registry_start(struct registry *registry)
{
    struct member_options options = {
        .env = registry->env,
        .controllers = registry->controllers,
        .follow = registry->follow,
        .role = MILLRACE__ROLE__ROLE_REGISTRY,
        .node_id = (int32_t)config_int(registry->config, "node.id"),
        .incarnation = registry->options.incarnation,
        .rpc_endpoint = registry->rpc_endpoint,
        .rack = config_string(registry->config, "broker.rack"),
        .host = config_string(registry->config, "host.name"),
        .context = registry,
        .on_registered = on_registered,
        .on_state = on_state,
    };
    return member_new(&options, &registry->member);
}

static void store_close(struct registry_store *store)
{
    if (store->needing != NULL)
        controllers_cancel(store->registry->controllers, &store->needing);
    if (store->ledger != NULL)
        ledger_destroy(&store->ledger);
    ledger_tail_destroy(&store->tail);
}

void registry_destroy(struct registry **pointer)
{
    struct registry *registry = *pointer;
    *pointer = NULL;
    if (registry == NULL)
        return;
    timer_stop(registry->env, &registry->drain_timer);
    image_unlisten(registry->image, &registry->listener);
    work_stop(registry);
    env_queue_destroy(registry->env, &registry->thinkers);
    for (int i = 0; i < STORES; i++)
        store_close(&registry->stores[i]);
    ledger_loads_destroy(&registry->loads);
    contacts_fini(&registry->peers);
    if (registry->member != NULL)
        member_destroy(&registry->member);
    if (registry->follow != NULL)
        follow_destroy(&registry->follow);
    if (registry->controllers != NULL)
        controllers_destroy(&registry->controllers);
    registry_report_stop(registry);
    state_destroy(&registry->state);
    keys_destroy(&registry->keys);
    image_destroy(&registry->image);
    mem_free(registry->rpc_endpoint);
    mem_free(registry);
}

const struct settings *registry_settings(const struct registry *registry)
{
    return &registry->settings;
}

// ---- drain ----
// The topics move while we still serve; then what is under way ends; then we say goodbye.

static void drain_leave(struct registry *registry)
{
    registry->drain = DRAIN_LEAVING;
    timer_stop(registry->env, &registry->drain_timer);
    member_leave(registry->member, LEAVE_MS);
}

static void drain_work(struct registry *registry)
{
    registry->drain = DRAIN_WORK;
    registry->drain_deadline_us = env_now_us(registry->env) + WORK_MS_MAX * 1000;
    timer_start_ms(registry->env, &registry->drain_timer, 0);
}

static bool owns_any(const struct registry *registry)
{
    bool any = false;
    for (int i = 0; i < STORES; i++)
        any = any || registry->stores[i].ledger != NULL;
    return any;
}

static void drain_on_change(struct registry *registry)
{
    if (registry->drain == DRAIN_HANDOVER && !owns_any(registry))
        drain_work(registry);
}

static void drain_on_timer(struct timer *timer)
{
    struct registry *registry = timer->context;
    bool late = env_now_us(registry->env) >= registry->drain_deadline_us;
    if (registry->drain == DRAIN_HANDOVER)
        drain_work(registry);
    else if (registry->drain == DRAIN_WORK && (late || registry->work_count == 0))
        drain_leave(registry);
    else if (registry->drain == DRAIN_WORK)
        timer_start_ms(registry->env, &registry->drain_timer, WORK_POLL_MS);
}

static bool has_peers(const struct registry *registry)
{
    for (size_t i = 0; i < image_node_count(registry->image); i++) {
        const struct image_node *node = image_node_at(registry->image, i);
        if (node->id != registry->node_id && image_node_live(node, MILLRACE__ROLE__ROLE_REGISTRY))
            return true;
    }
    return false;
}

void registry_drain(struct registry *registry, void (*done)(void *context), void *context)
{
    ASSERT(registry->drain == DRAIN_NONE && registry->member != NULL);
    registry->drained = done;
    registry->drained_context = context;
    if (!owns_any(registry) || !has_peers(registry)) {
        drain_work(registry);
        return;
    }
    registry->drain = DRAIN_HANDOVER;
    member_drain(registry->member);
    timer_start_ms(registry->env, &registry->drain_timer, HANDOVER_MS_MAX);
}
