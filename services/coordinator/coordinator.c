// SPDX-License-Identifier: Apache-2.0
// Puts a coordinator together: image, membership, shards, the rpc service; and takes it apart again. What
// happens when is decided here; the parts know nothing of one another's life.
#include "coordinator.h"

#include "add_to_transaction.h"
#include "apis.h"
#include "assignor.h"
#include "base/assert.h"
#include "base/mem.h"
#include "cluster/shard.h"
#include "coordinator_state.h"
#include "group_markers.h"
#include "streams_topics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    LEAVE_MS = 500,
    HANDOVER_MS_MAX = 3000,
    COMMITS_MS_MAX = 1000,
    COMMITS_POLL_MS = 5,
    PENDING_IDS_MAX = 10000,
    SHARE_NAME_MAX = 40000, // a group id, a topic id, a number
    NEW_MEMBER_MS = 300000  // Kafka's; not a parameter there either
};

// ---- shards ----

static void on_ledger_reset(void *context, struct ledger *ledger)
{
    request_fail_parked(context, ledger);
}

static void on_shard_clock(void *context, struct shard *shard)
{
    request_settle(context);
}

static bool hears(void *context)
{
    return coordinator_serving(context);
}

struct shard *coordinator_shard_at(const struct coordinator *coordinator, int32_t index)
{
    return map_get_u64(&coordinator->shards, (uint64_t)index);
}

struct shard *coordinator_shard_of(const struct coordinator *coordinator, struct slice group_id)
{
    const struct image_shard *shard = shard_of_key(coordinator->image, SHARD_TOPIC_GROUPS, group_id);
    return shard == NULL ? NULL : coordinator_shard_at(coordinator, shard->shard);
}

struct txn_shard *coordinator_txn_shard_of(const struct coordinator *coordinator, struct slice id)
{
    const struct image_shard *shard = shard_of_key(coordinator->image, SHARD_TOPIC_TRANSACTIONS, id);
    return shard == NULL ? NULL : map_get_u64(&coordinator->txn_shards, (uint64_t)shard->shard);
}

struct share_shard *coordinator_share_shard_of(const struct coordinator *coordinator,
                                               const struct share_key *key)
{
    struct buf name;
    const struct image_shard *shard = NULL;
    buf_init(&name, SHARE_NAME_MAX);
    if (shard_share_key(key->group, key->topic, key->partition, &name) == ST_OK)
        shard = shard_of_key(coordinator->image, SHARD_TOPIC_SHARE, buf_slice(&name));
    buf_fini(&name);
    return shard == NULL ? NULL : map_get_u64(&coordinator->share_shards, (uint64_t)shard->shard);
}

static void open_shard(struct coordinator *coordinator, const struct image_shard *assigned)
{
    struct shard_options options = {
        .env = coordinator->env,
        .rpc = coordinator->rpc,
        .image = coordinator->image,
        .loads = coordinator->loads,
        .settings = &coordinator->settings,
        .sink = &coordinator_group_sink,
        .lag = coordinator->lag,
        .topics = &coordinator->topics,
        .peers = &coordinator->share_peers,
        .index = assigned->shard,
        .owner = coordinator->node_id,
        .owner_epoch = assigned->owner_epoch,
        .metadata_offset = assigned->offset,
        .on_reset = on_ledger_reset,
        .on_clock = on_shard_clock,
        .hears = hears,
        .context = coordinator,
    };
    map_put_u64(&coordinator->shards, (uint64_t)assigned->shard, shard_new(&options));
}

static void close_shard(struct coordinator *coordinator, struct shard *shard)
{
    request_fail_parked(coordinator, shard_ledger(shard));
    map_remove_u64(&coordinator->shards, (uint64_t)shard_index(shard));
    shard_destroy(&shard);
}

static void open_txn_shard(struct coordinator *coordinator, const struct image_shard *assigned)
{
    struct txn_shard_options options = {
        .env = coordinator->env,
        .rpc = coordinator->rpc,
        .image = coordinator->image,
        .loads = coordinator->loads,
        .settings = &coordinator->txn_settings,
        .outbox = coordinator->outbox,
        .index = assigned->shard,
        .owner = coordinator->node_id,
        .owner_epoch = assigned->owner_epoch,
        .metadata_offset = assigned->offset,
        .on_reset = on_ledger_reset,
        .context = coordinator,
    };
    map_put_u64(&coordinator->txn_shards, (uint64_t)assigned->shard, txn_shard_new(&options));
}

static void close_txn_shard(struct coordinator *coordinator, struct txn_shard *shard)
{
    request_fail_parked(coordinator, txn_shard_ledger(shard));
    map_remove_u64(&coordinator->txn_shards, (uint64_t)txn_shard_options(shard)->index);
    txn_shard_destroy(&shard);
}

static void open_share_shard(struct coordinator *coordinator, const struct image_shard *assigned)
{
    struct share_shard_options options = {
        .env = coordinator->env,
        .rpc = coordinator->rpc,
        .image = coordinator->image,
        .loads = coordinator->loads,
        .partitions_max = (int32_t)config_int(coordinator->config, "share.partitions.per.shard.max"),
        .index = assigned->shard,
        .owner = coordinator->node_id,
        .owner_epoch = assigned->owner_epoch,
        .metadata_offset = assigned->offset,
        .on_reset = on_ledger_reset,
        .context = coordinator,
    };
    map_put_u64(&coordinator->share_shards, (uint64_t)assigned->shard, share_shard_new(&options));
}

static void close_share_shard(struct coordinator *coordinator, struct share_shard *shard)
{
    request_fail_parked(coordinator, share_shard_ledger(shard));
    map_remove_u64(&coordinator->share_shards, (uint64_t)share_shard_options(shard)->index);
    share_shard_destroy(&shard);
}

static void drain_on_change(struct coordinator *coordinator);

// after: the assignment when this process is the owner, else NULL.
static void group_shard_assigned(struct coordinator *coordinator, int32_t index,
                                 const struct image_shard *after)
{
    struct shard *shard = coordinator_shard_at(coordinator, index);
    if (shard != NULL && (after == NULL || shard_owner_epoch(shard) != after->owner_epoch)) {
        close_shard(coordinator, shard);
        shard = NULL;
    }
    if (after != NULL && shard == NULL)
        open_shard(coordinator, after);
}

static void txn_shard_assigned(struct coordinator *coordinator, int32_t index,
                               const struct image_shard *after)
{
    struct txn_shard *shard = map_get_u64(&coordinator->txn_shards, (uint64_t)index);
    if (shard != NULL && (after == NULL || txn_shard_options(shard)->owner_epoch != after->owner_epoch)) {
        close_txn_shard(coordinator, shard);
        shard = NULL;
    }
    if (after != NULL && shard == NULL)
        open_txn_shard(coordinator, after);
}

static void share_shard_assigned(struct coordinator *coordinator, int32_t index,
                                 const struct image_shard *after)
{
    struct share_shard *shard = map_get_u64(&coordinator->share_shards, (uint64_t)index);
    if (shard != NULL && (after == NULL || share_shard_options(shard)->owner_epoch != after->owner_epoch)) {
        close_share_shard(coordinator, shard);
        shard = NULL;
    }
    if (after != NULL && shard == NULL)
        open_share_shard(coordinator, after);
}

static void on_shard(void *context, const struct image_shard *before, const struct image_shard *after)
{
    struct coordinator *coordinator = context;
    const struct image_shard *any = after != NULL ? after : before;
    if (!coordinator->joined)
        return;
    const struct image_shard *ours = after != NULL && after->owner == coordinator->node_id ? after : NULL;
    if (strcmp(any->topic, SHARD_TOPIC_GROUPS) == 0)
        group_shard_assigned(coordinator, any->shard, ours);
    else if (strcmp(any->topic, SHARD_TOPIC_TRANSACTIONS) == 0)
        txn_shard_assigned(coordinator, any->shard, ours);
    else if (strcmp(any->topic, SHARD_TOPIC_SHARE) == 0)
        share_shard_assigned(coordinator, any->shard, ours);
    drain_on_change(coordinator);
}

static void on_topic(void *context, const struct image_topic *topic)
{
    struct coordinator *coordinator = context;
    coordinator->topics.version++;
    void *value;
    for (struct map_entry *at = NULL; map_next(&coordinator->shards, &at, NULL, &value);) {
        if (shard_ready(value))
            shard_topic_added(value, slice_str(topic->name));
    }
}

static void on_partition(void *context, const struct image_topic *topic, const struct image_partition *before,
                         const struct image_partition *after)
{
    if (before == NULL || after == NULL)
        ((struct coordinator *)context)->topics.version++;
}

static void on_topic_removed(void *context, const struct image_topic *topic)
{
    struct coordinator *coordinator = context;
    coordinator->topics.version++;
    void *value;
    for (struct map_entry *at = NULL; map_next(&coordinator->shards, &at, NULL, &value);) {
        if (shard_ready(value))
            shard_forget_topic(value, topic);
    }
    for (struct map_entry *at = NULL; map_next(&coordinator->share_shards, &at, NULL, &value);)
        share_shard_forget_topic(value, topic->id);
}

// ---- membership ----

static void join(struct coordinator *coordinator)
{
    coordinator->joined = true;
    for (size_t i = 0; i < image_shard_count(coordinator->image); i++)
        on_shard(coordinator, NULL, image_shard_at(coordinator->image, i));
    DIAG_INFO(&coordinator->env->diag,
              "coordinating groups and transactions node=%" PRId32
              " shards=%zu txn_shards=%zu share_shards=%zu",
              coordinator->node_id, coordinator->shards.count, coordinator->txn_shards.count,
              coordinator->share_shards.count);
}

// The lease is back. Nobody else was given these shards meanwhile, but nobody was heard either.
static void reload_deaf(struct coordinator *coordinator)
{
    for (size_t i = 0; i < image_shard_count(coordinator->image); i++) {
        const struct image_shard *assigned = image_shard_at(coordinator->image, i);
        bool ours = strcmp(assigned->topic, SHARD_TOPIC_GROUPS) == 0;
        struct shard *shard = ours ? coordinator_shard_at(coordinator, assigned->shard) : NULL;
        if (shard == NULL || !shard_deaf(shard))
            continue;
        close_shard(coordinator, shard);
        open_shard(coordinator, assigned);
    }
}

static enum status on_registered(void *context, int32_t node_id, struct uuid cluster_id)
{
    struct coordinator *coordinator = context;
    if (coordinator->node_id >= 0)
        return node_id == coordinator->node_id ? ST_OK : ST_MISMATCH;
    coordinator->node_id = node_id;
    rpc_set_node(coordinator->rpc, node_id);
    rpc_set_cluster(coordinator->rpc, cluster_id);
    return ST_OK;
}

static void on_state(void *context, enum member_state state, const char *text)
{
    struct coordinator *coordinator = context;
    if (state == MEMBER_REFUSED) {
        DIAG_ERROR(&coordinator->env->diag, "%s", text);
        coordinator->options.on_failed(coordinator->options.context, text);
    } else if ((state == MEMBER_ACTIVE || state == MEMBER_FENCED) && !coordinator->joined) {
        join(coordinator);
    } else if (state == MEMBER_ACTIVE) {
        reload_deaf(coordinator);
    } else if (state == MEMBER_LEFT && coordinator->drain == DRAIN_LEAVING) {
        coordinator->drain = DRAIN_DONE;
        coordinator->drained(coordinator->drained_context);
    }
}

bool coordinator_serving(const struct coordinator *coordinator)
{
    return coordinator->joined && coordinator->drain < DRAIN_COMMITS &&
           member_lease_held(coordinator->member);
}

// ---- the service ----

static struct coordinator *coordinator_of(Millrace__Coordinator_Service *service)
{
    return (struct coordinator *)((char *)service - offsetof(struct coordinator, service));
}

static void serve_relay(Millrace__Coordinator_Service *service, const Millrace__RelayRequest *relay,
                        Millrace__RelayReply_Closure closure, void *call)
{
    request_begin(coordinator_of(service), relay, closure, call);
}

static void serve_cancel_relay(Millrace__Coordinator_Service *service, const Millrace__RelayCancel *cancel,
                               Millrace__Empty_Closure closure, void *call)
{
    Millrace__Empty empty = MILLRACE__EMPTY__INIT;
    request_cancel(coordinator_of(service), rpc_call_sender(call), cancel->relay_id);
    closure(&empty, call);
}

static void serve_add_to_transaction(Millrace__Coordinator_Service *service,
                                     const Millrace__AddToTransactionRequest *request,
                                     Millrace__AddToTransactionReply_Closure closure, void *call)
{
    add_to_transaction(coordinator_of(service), request, closure, call);
}

static void serve_write_markers(Millrace__Coordinator_Service *service,
                                const Millrace__WriteMarkersRequest *request,
                                Millrace__WriteMarkersReply_Closure closure, void *call)
{
    group_markers(coordinator_of(service), request, closure, call);
}

// ---- life ----

static struct consumer_settings consumer_settings(const struct config *config)
{
    const char *policy = config_string(config, "group.consumer.migration.policy");
    bool both = strcasecmp(policy, "bidirectional") == 0;
    return (struct consumer_settings){
        .heartbeat_ms = (int32_t)config_int(config, "group.consumer.heartbeat.interval.ms"),
        .session_ms = (int32_t)config_int(config, "group.consumer.session.timeout.ms"),
        .size_max = (int32_t)config_int(config, "group.consumer.max.size"),
        .bytes_max = (size_t)config_int(config, "group.max.bytes"),
        .assignor = slice_str(config_list_at(config, "group.consumer.assignors", 0)),
        .may_upgrade = both || strcasecmp(policy, "upgrade") == 0,
        .may_downgrade = both || strcasecmp(policy, "downgrade") == 0,
        .downgrade_size_max = (int32_t)config_int(config, "group.max.size"),
    };
}

static struct streams_settings streams_settings(const struct config *config)
{
    return (struct streams_settings){
        .options = {.session_ms = (int32_t)config_int(config, "group.streams.session.timeout.ms"),
                    .delay_ms = (int32_t)config_int(config, "group.streams.initial.rebalance.delay.ms"),
                    .standbys = (int32_t)config_int(config, "group.streams.num.standby.replicas")},
        .heartbeat_ms = (int32_t)config_int(config, "group.streams.heartbeat.interval.ms"),
        .size_max = (int32_t)config_int(config, "group.streams.max.size"),
        .bytes_max = (size_t)config_int(config, "group.max.bytes"),
    };
}

static void read_settings(struct coordinator *coordinator)
{
    const struct config *config = coordinator->config;
    coordinator->settings = (struct shard_settings){
        .group = {.initial_delay_ms = (int32_t)config_int(config, "group.initial.rebalance.delay.ms"),
                  .session_min_ms = (int32_t)config_int(config, "group.min.session.timeout.ms"),
                  .session_max_ms = (int32_t)config_int(config, "group.max.session.timeout.ms"),
                  .size_max = (int32_t)config_int(config, "group.max.size"),
                  .bytes_max = (size_t)config_int(config, "group.max.bytes"),
                  .pending_max = PENDING_IDS_MAX,
                  .new_member_wait_ms = NEW_MEMBER_MS},
        .consumer = consumer_settings(config),
        .streams = streams_settings(config),
        .share = {.heartbeat_ms = (int32_t)config_int(config, "group.share.heartbeat.interval.ms"),
                  .session_ms = (int32_t)config_int(config, "group.share.session.timeout.ms"),
                  .size_max = (int32_t)config_int(config, "group.share.max.size"),
                  .bytes_max = (size_t)config_int(config, "group.max.bytes")},
        .retention_ms = config_int(config, "offsets.retention.minutes") * 60000,
        .retention_check_ms = config_int(config, "offsets.retention.check.interval.ms"),
        .metadata_max = (int32_t)config_int(config, "offset.metadata.max.bytes"),
        .groups_max = (int32_t)config_int(config, "groups.per.shard.max"),
    };
    coordinator->txn_settings = (struct txn_settings){
        .timeout_ms_max = (int32_t)config_int(config, "transaction.max.timeout.ms"),
        .expiration_ms = config_int(config, "transactional.id.expiration.ms"),
        .expiration_check_ms =
            config_int(config, "transaction.remove.expired.transaction.cleanup.interval.ms"),
        .ids_max = (int32_t)config_int(config, "transactional.ids.per.shard.max"),
    };
}

static struct lag *make_lag(struct coordinator *coordinator)
{
    const struct config *config = coordinator->config;
    struct lag_options options = {
        .env = coordinator->env,
        .rpc = coordinator->rpc,
        .image = coordinator->image,
        .storages = &coordinator->storages,
        .peers = &coordinator->share_peers,
        .settings = {.interval_ms = config_int(config, "millrace.lag.interval.ms"),
                     .idle_ms = config_int(config, "millrace.lag.idle.ms"),
                     .partitions_max = config_int(config, "millrace.lag.partitions.max"),
                     .metrics_max = config_int(config, "millrace.lag.metrics.partitions.max")}};
    return lag_new(&options);
}

static struct txn_outbox *make_outbox(struct coordinator *coordinator)
{
    struct txn_outbox_options options = {.env = coordinator->env,
                                         .rpc = coordinator->rpc,
                                         .image = coordinator->image,
                                         .storages = &coordinator->storages,
                                         .coordinators = &coordinator->coordinators};
    return txn_outbox_new(&options);
}

// What the table of parameters cannot say.
static enum status check_settings(const struct coordinator *coordinator)
{
    const char *key = "group.consumer.assignors";
    size_t count = config_list_count(coordinator->config, key);
    for (size_t i = 0; i < count; i++) {
        const char *name = config_list_at(coordinator->config, key, i);
        if (assignor_named(slice_str(name)) == NULL) {
            DIAG_ERROR(&coordinator->env->diag, "%s: there is no assignor %s", key, name);
            return ST_INVALID;
        }
    }
    if (count == 0)
        DIAG_ERROR(&coordinator->env->diag, "%s names no assignor", key);
    return count == 0 ? ST_INVALID : ST_OK;
}

static enum status follow_cluster(struct coordinator *coordinator)
{
    char endpoints[4096] = "";
    const char *key = "controller.quorum.bootstrap.servers";
    size_t count = config_list_count(coordinator->config, key), at = 0;
    for (size_t i = 0; i < count && at < sizeof endpoints; i++)
        at += (size_t)snprintf(endpoints + at, sizeof endpoints - at, "%s%s", i > 0 ? "," : "",
                               config_list_at(coordinator->config, key, i));
    enum status status =
        controllers_new(coordinator->env, coordinator->rpc, endpoints, &coordinator->controllers);
    if (status != ST_OK)
        return status;
    struct follow_options options = {.env = coordinator->env,
                                     .rpc = coordinator->rpc,
                                     .controllers = coordinator->controllers,
                                     .image = coordinator->image,
                                     .context = coordinator};
    return follow_new(&options, &coordinator->follow);
}

static void drain_on_timer(struct timer *timer);

enum status coordinator_new(const struct coordinator_options *options, struct coordinator **out)
{
    struct coordinator *coordinator = mem_calloc(1, sizeof *coordinator);
    coordinator->options = *options;
    coordinator->env = options->env;
    coordinator->config = options->config;
    coordinator->rpc = options->rpc;
    coordinator->rpc_endpoint = mem_strdup(options->rpc_endpoint);
    coordinator->node_id = -1;
    coordinator->image = image_new();
    coordinator->topics = (struct consumer_topics){coordinator->image, 1};
    map_init(&coordinator->shards, 0);
    map_init(&coordinator->txn_shards, 0);
    map_init(&coordinator->share_shards, 0);
    contacts_init(&coordinator->storages, options->rpc, env_random(options->env));
    contacts_init(&coordinator->coordinators, options->rpc, env_random(options->env));
    map_init(&coordinator->requests.by_relay, env_random(options->env));
    timer_init(&coordinator->drain_timer, drain_on_timer, coordinator);
    enum status status = check_settings(coordinator);
    if (status == ST_OK)
        read_settings(coordinator);
    coordinator->listener = (struct image_listener){.context = coordinator,
                                                    .on_shard = on_shard,
                                                    .on_topic = on_topic,
                                                    .on_topic_removed = on_topic_removed,
                                                    .on_partition = on_partition};
    image_listen(coordinator->image, &coordinator->listener);
    coordinator->topics_made = streams_topics_new(coordinator->env);
    coordinator->lag = make_lag(coordinator);
    coordinator->loads = ledger_loads_new(options->env);
    coordinator->outbox = make_outbox(coordinator);
    report_start(coordinator);
    if (status == ST_OK)
        status = follow_cluster(coordinator);
    if (status != ST_OK) {
        coordinator_destroy(&coordinator);
    } else {
        coordinator->share_peers = (struct share_peers){.env = coordinator->env,
                                                        .rpc = coordinator->rpc,
                                                        .image = coordinator->image,
                                                        .coordinators = &coordinator->coordinators,
                                                        .controllers = coordinator->controllers};
        coordinator->producer_ids = producer_ids_new(coordinator->controllers, options->incarnation);
        coordinator->service = (Millrace__Coordinator_Service)MILLRACE__COORDINATOR__INIT(serve_);
        rpc_serve(coordinator->rpc, &coordinator->service.base);
    }
    *out = coordinator;
    return status;
}

enum status coordinator_start(struct coordinator *coordinator)
{
    struct member_options options = {
        .env = coordinator->env,
        .controllers = coordinator->controllers,
        .follow = coordinator->follow,
        .role = MILLRACE__ROLE__ROLE_COORDINATOR,
        .node_id = (int32_t)config_int(coordinator->config, "node.id"),
        .incarnation = coordinator->options.incarnation,
        .rpc_endpoint = coordinator->rpc_endpoint,
        .rack = config_string(coordinator->config, "broker.rack"),
        .host = config_string(coordinator->config, "host.name"),
        .context = coordinator,
        .on_registered = on_registered,
        .on_state = on_state,
    };
    return member_new(&options, &coordinator->member);
}

void coordinator_destroy(struct coordinator **pointer)
{
    struct coordinator *coordinator = *pointer;
    *pointer = NULL;
    if (coordinator == NULL)
        return;
    timer_stop(coordinator->env, &coordinator->drain_timer);
    image_unlisten(coordinator->image, &coordinator->listener);
    void *value;
    for (struct map_entry *at = NULL; map_next(&coordinator->shards, &at, NULL, &value);)
        close_shard(coordinator, value);
    for (struct map_entry *at = NULL; map_next(&coordinator->txn_shards, &at, NULL, &value);)
        close_txn_shard(coordinator, value);
    for (struct map_entry *at = NULL; map_next(&coordinator->share_shards, &at, NULL, &value);)
        close_share_shard(coordinator, value);
    txn_outbox_destroy(&coordinator->outbox);
    ledger_loads_destroy(&coordinator->loads);
    share_peers_fini(&coordinator->share_peers);
    producer_ids_destroy(&coordinator->producer_ids);
    lag_destroy(&coordinator->lag);
    streams_topics_destroy(&coordinator->topics_made);
    contacts_fini(&coordinator->storages);
    contacts_fini(&coordinator->coordinators);
    if (coordinator->member != NULL)
        member_destroy(&coordinator->member);
    if (coordinator->follow != NULL)
        follow_destroy(&coordinator->follow); // ends the requests that wait for the image
    if (coordinator->controllers != NULL)
        controllers_destroy(&coordinator->controllers);
    ASSERT(coordinator->requests.count == 0);
    report_stop(coordinator);
    map_fini(&coordinator->shards);
    map_fini(&coordinator->txn_shards);
    map_fini(&coordinator->share_shards);
    map_fini(&coordinator->requests.by_relay);
    image_destroy(&coordinator->image);
    mem_free(coordinator->rpc_endpoint);
    mem_free(coordinator);
}

// ---- drain ----
// Shards move while we still serve them; then what is decided is committed; then we say goodbye. Whatever is
// left moves when we are gone.

static void drain_leave(struct coordinator *coordinator)
{
    coordinator->drain = DRAIN_LEAVING;
    timer_stop(coordinator->env, &coordinator->drain_timer);
    request_fail_parked(coordinator, NULL);
    member_leave(coordinator->member, LEAVE_MS);
}

static void drain_commits(struct coordinator *coordinator)
{
    coordinator->drain = DRAIN_COMMITS;
    request_fail_parked(coordinator, NULL);
    coordinator->drain_deadline_us = env_now_us(coordinator->env) + COMMITS_MS_MAX * 1000;
    timer_start_ms(coordinator->env, &coordinator->drain_timer, 0);
}

static size_t owned(const struct coordinator *coordinator)
{
    return coordinator->shards.count + coordinator->txn_shards.count + coordinator->share_shards.count;
}

static void drain_on_change(struct coordinator *coordinator)
{
    if (coordinator->drain == DRAIN_HANDOVER && owned(coordinator) == 0)
        drain_commits(coordinator);
}

static void drain_on_timer(struct timer *timer)
{
    struct coordinator *coordinator = timer->context;
    bool late = env_now_us(coordinator->env) >= coordinator->drain_deadline_us;
    if (coordinator->drain == DRAIN_HANDOVER)
        drain_commits(coordinator);
    else if (coordinator->drain == DRAIN_COMMITS && (late || coordinator->requests.count == 0))
        drain_leave(coordinator);
    else if (coordinator->drain == DRAIN_COMMITS)
        timer_start_ms(coordinator->env, &coordinator->drain_timer, COMMITS_POLL_MS);
}

static bool has_peers(const struct coordinator *coordinator)
{
    for (size_t i = 0; i < image_node_count(coordinator->image); i++) {
        const struct image_node *node = image_node_at(coordinator->image, i);
        if (node->id != coordinator->node_id && image_node_live(node, MILLRACE__ROLE__ROLE_COORDINATOR))
            return true;
    }
    return false;
}

void coordinator_drain(struct coordinator *coordinator, void (*done)(void *context), void *context)
{
    ASSERT(coordinator->drain == DRAIN_NONE && coordinator->member != NULL);
    coordinator->drained = done;
    coordinator->drained_context = context;
    if (owned(coordinator) == 0 || !has_peers(coordinator)) {
        drain_commits(coordinator);
        return;
    }
    coordinator->drain = DRAIN_HANDOVER;
    member_drain(coordinator->member);
    timer_start_ms(coordinator->env, &coordinator->drain_timer, HANDOVER_MS_MAX);
}
