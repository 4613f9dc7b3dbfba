// SPDX-License-Identifier: Apache-2.0
// Wires a controller together: store, quorum, metadata log, feed, and the duties of the active one. See
// controller.h; ARCHITECTURE.md has the picture.
#include "controller.h"

#include "balancer.h"
#include "base/mem.h"
#include "feature_levels.h"
#include "formation.h"
#include "internal_topics.h"
#include "joining.h"
#include "nodes.h"
#include "service.h"
#include "settle.h"
#include "shards.h"
#include "voter_set.h"

#include <stdio.h>

enum {
    TICK_MS = 50,
    PREFERRED_MAX = 100,
    DRAIN_MS = 1000,
    LOW_SPACE_MS = 5000,
    SNAPSHOT_BYTES_MOST = 256 << 20
};

static void fail(void *context, const char *why)
{
    struct controller *controller = context;
    if (controller->failed)
        return;
    controller->failed = true;
    DIAG_ERROR(&controller->env->diag, "the controller cannot go on: %s", why);
    controller->options.on_fail(controller->options.context, why);
}

void controller_redirect(struct controller *controller, struct rpc_call *call)
{
    const struct quorum *quorum = controller->quorum;
    int32_t leader = quorum != NULL ? raft_leader(quorum_raft(quorum)).id : -1;
    // Of this one none is told: it is not ready yet, ask again.
    rpc_fail(call, ST_NOT_LEADER, leader >= 0 ? reach_endpoint(quorum_reach(quorum), leader) : "");
}

bool controller_decide(struct controller *controller, const struct decision *decision, const char *what)
{
    enum status status = metadata_append(controller->metadata, decision);
    if (status != ST_OK)
        DIAG_WARN(&controller->env->diag, "cannot write a decision what=\"%s\": %s", what,
                  status_text(status));
    return status == ST_OK;
}

// ---- what the parts tell ----

static void drained(struct controller *controller)
{
    void (*done)(void *context) = controller->drained;
    controller->drained = NULL;
    if (done != NULL)
        done(controller->drained_context);
}

static void on_step(void *context)
{
    struct controller *controller = context;
    if (controller->failed || controller->metadata == NULL)
        return;
    metadata_advance(controller->metadata);
    if (controller->drained != NULL && raft_role(quorum_raft(controller->quorum)) != RAFT_LEADER)
        drained(controller);
}

static void on_read(void *context, uint64_t token)
{
    struct controller *controller = context;
    metadata_read(controller->metadata, token);
}

// What a new cluster's metadata begins with.
static void begin_metadata(struct controller *controller)
{
    const struct image *image = metadata_image(controller->metadata);
    bool fresh = uuid_is_zero(image_cluster_id(image));
    struct decision decision;
    decision_init(&decision);
    if (fresh)
        decision_cluster(&decision, store_cluster(controller->store));
    feature_levels_begin(image, &decision, fresh);
    controller_decide(controller, &decision, "cluster id and features");
    decision_fini(&decision);
}

static void on_active(void *context, bool active)
{
    struct controller *controller = context;
    metric_set(&controller->is_active, active);
    DIAG_INFO(&controller->env->diag, "%s term=%lld", active ? "active controller" : "no longer active",
              (long long)raft_term(quorum_raft(controller->quorum)));
    if (!active) {
        nodes_deactivate(controller);
        metric_set(&controller->moving, 0);
        return;
    }
    nodes_activate(controller);
    controller->balanced_ms = env_now_ms(controller->env); // first let everything come to rest
    controller->moved_ms = controller->balanced_ms;
    controller->even_offset = -1;
    controller->ensured_offset = -1;
    begin_metadata(controller);
}

static void on_durable(void *context, uint64_t step)
{
    struct controller *controller = context;
    if (controller->quorum != NULL && !controller->failed)
        quorum_durable(controller->quorum, step);
}

static void on_installed(void *context, struct store_boot *boot)
{
    struct controller *controller = context;
    quorum_installed(controller->quorum);
    if (metadata_install(controller->metadata, boot) != ST_OK)
        fail(controller, "the leader's snapshot cannot be applied");
    else
        metadata_advance(controller->metadata);
}

static void on_snapshot(void *context, enum status status, int64_t index)
{
    struct controller *controller = context;
    metadata_snapshot_done(controller->metadata, status, index);
}

static void update_metrics(struct controller *controller)
{
    metric_set(&controller->term, raft_term(quorum_raft(controller->quorum)));
    metric_set(&controller->offset, metadata_commit_offset(controller->metadata));
    metric_set(&controller->log_bytes, store_log_bytes(controller->store));
    if (metadata_active(controller->metadata))
        metric_set(&controller->nodes_live, nodes_live(controller, MILLRACE__ROLE__ROLE_STORAGE) +
                                                nodes_live(controller, MILLRACE__ROLE__ROLE_COORDINATOR));
}

static void balance(struct controller *controller)
{
    int64_t every_ms = config_int(controller->config, "leader.imbalance.check.interval.seconds") * 1000;
    if (!config_bool(controller->config, "auto.leader.rebalance.enable") ||
        env_now_ms(controller->env) - controller->balanced_ms < every_ms)
        return;
    controller->balanced_ms = env_now_ms(controller->env);
    struct decision decision;
    decision_init(&decision);
    settle_preferred(controller, &decision, PREFERRED_MAX);
    controller_decide(controller, &decision, "preferred leaders");
    decision_fini(&decision);
}

// Leadership to the voter that has most of the log; false when there is nobody to have it.
static bool hand_over(struct controller *controller)
{
    const struct raft *raft = controller->quorum != NULL ? quorum_raft(controller->quorum) : NULL;
    int32_t best = -1;
    int64_t best_match = -1, match, contact_ms;
    for (int i = 0; raft != NULL && i < raft_config(raft)->count; i++) {
        int32_t id = raft_config(raft)->voters[i].id;
        if (raft_progress(raft, id, &match, &contact_ms) && match > best_match) {
            best_match = match;
            best = id;
        }
    }
    return best >= 0 && quorum_transfer(controller->quorum, best) == ST_OK;
}

// A disk that is nearly full: nothing new is decided here, another voter may have room.
static void check_space(struct controller *controller)
{
    int64_t now = env_now_ms(controller->env);
    if (!store_low(controller->store) || now - controller->low_told_ms < LOW_SPACE_MS)
        return;
    controller->low_told_ms = now;
    DIAG_WARN(&controller->env->diag, "no space left for the metadata log directory=%s",
              config_string(controller->config, "metadata.log.dir"));
    if (metadata_active(controller->metadata))
        hand_over(controller);
}

// What internal topics lack depends on the metadata alone, so with the same metadata there is nothing to look
// for; except that a decision could not be written, or owners of shards are still to be named.
static void ensure_internal_topics(struct controller *controller)
{
    int64_t offset = metadata_offset(controller->metadata);
    if (offset == controller->ensured_offset)
        return;
    internal_topics_ensure(controller);
    bool settled = metadata_active(controller->metadata) && metadata_offset(controller->metadata) == offset &&
                   !store_low(controller->store) && shards_given(controller);
    controller->ensured_offset = settled ? offset : -1;
}

static void on_connection_gone(void *context, uint64_t connection)
{
    struct controller *controller = context;
    if (controller->metadata != NULL && !controller->failed)
        nodes_connection_gone(controller, connection);
}

static void on_tick(struct timer *timer)
{
    struct controller *controller = timer->context;
    timer_start_ms(controller->env, timer, TICK_MS);
    if (controller->metadata == NULL || controller->failed)
        return;
    formation_tick(controller);
    observers_tick(controller);
    voter_set_tick(controller);
    check_space(controller);
    if (metadata_active(controller->metadata))
        nodes_tick(controller);
    if (metadata_active(controller->metadata)) {
        ensure_internal_topics(controller);
        balance(controller);
    }
    if (metadata_active(controller->metadata))
        balancer_tick(controller);
    update_metrics(controller);
    if (controller->drained != NULL && env_now_ms(controller->env) >= controller->drain_until_ms)
        drained(controller);
}

// ---- life ----

// A log file must stay below what a start reads (store_log.c).
static int64_t snapshot_bytes(const struct controller *controller)
{
    int64_t bytes = config_int(controller->config, "metadata.log.max.record.bytes.between.snapshots");
    return bytes < SNAPSHOT_BYTES_MOST ? bytes : SNAPSHOT_BYTES_MOST;
}

static enum status form(struct controller *controller)
{
    struct store_boot boot;
    enum status status = store_load(controller->store, &boot);
    if (status != ST_OK) {
        store_boot_fini(&boot);
        return status;
    }
    rpc_set_cluster(controller->rpc, store_cluster(controller->store));
    struct quorum_options quorum = {
        .env = controller->env,
        .rpc = controller->rpc,
        .store = controller->store,
        .voters = &controller->voters,
        .endpoint = controller->endpoint,
        .node_id = controller->node_id,
        .election_ms = (int)config_int(controller->config, "controller.quorum.election.timeout.ms"),
        .context = controller,
        .on_step = on_step,
        .on_read = on_read};
    controller->quorum = quorum_new(&quorum, &boot);
    struct metadata_options metadata = {
        .env = controller->env,
        .quorum = controller->quorum,
        .store = controller->store,
        .feed = controller->feed,
        .snapshot_entries =
            config_int(controller->config, "metadata.log.max.record.entries.between.snapshots"),
        .snapshot_bytes = snapshot_bytes(controller),
        .context = controller,
        .on_active = on_active,
        .on_fail = fail};
    status = metadata_new(&metadata, &boot, &controller->metadata);
    store_boot_fini(&boot);
    if (status == ST_OK)
        quorum_start(controller->quorum);
    return status;
}

void controller_form(struct controller *controller)
{
    enum status status = form(controller);
    if (status != ST_OK)
        fail(controller, "the data directory cannot be used");
}

static void add_metric(struct controller *controller, struct metric *metric, const char *name,
                       const char *help)
{
    *metric = (struct metric){.name = name, .help = help, .kind = METRIC_GAUGE};
    metric_add(controller->env->metrics, metric);
}

static void metrics_init(struct controller *controller)
{
    add_metric(controller, &controller->is_active, "millrace_controller_active",
               "1 when this is the active controller");
    add_metric(controller, &controller->term, "millrace_controller_term", "Raft term");
    add_metric(controller, &controller->offset, "millrace_controller_commit_offset",
               "last committed offset of the metadata log");
    add_metric(controller, &controller->nodes_live, "millrace_controller_nodes_live",
               "registered nodes that are not fenced, as the active controller sees them");
    add_metric(controller, &controller->log_bytes, "millrace_controller_log_bytes",
               "size of the metadata log file");
    add_metric(controller, &controller->moving, "millrace_controller_partitions_moving",
               "partitions whose replicas are being reassigned");
}

// An address that stands for every interface is none for others, nor is one too long for the log.
static const char *usable(const char *endpoint)
{
    static const char *const every[] = {"tcp://:", "tcp://0.0.0.0:", "tcp://[::]:", "tcp://:::"};
    for (size_t i = 0; i < sizeof every / sizeof *every; i++)
        if (strncmp(endpoint, every[i], strlen(every[i])) == 0)
            return "";
    return raft_endpoint_valid(slice_str(endpoint)) ? endpoint : "";
}

// Of this one for other controllers. Who configures the voters has said where they are.
static const char *own_endpoint(const struct controller *controller)
{
    const struct voters_item *item = voters_find(&controller->voters, controller->node_id);
    return usable(item->endpoint[0] != 0 ? item->endpoint : controller->options.rpc_endpoint);
}

enum status controller_new(const struct controller_options *options, struct controller **out)
{
    struct controller *controller = mem_calloc(1, sizeof *controller);
    controller->options = *options;
    controller->env = options->env;
    controller->config = options->config;
    controller->rpc = options->rpc;
    int64_t node_id = config_int(options->config, "node.id");
    controller->node_id = node_id >= 0 ? (int32_t)node_id : 0;
    enum status status =
        voters_parse(options->config, controller->node_id, &options->env->diag, &controller->voters);
    struct store_options store = {.env = options->env,
                                  .directory = config_string(options->config, "metadata.log.dir"),
                                  .node_id = controller->node_id,
                                  .context = controller,
                                  .on_durable = on_durable,
                                  .on_installed = on_installed,
                                  .on_snapshot = on_snapshot,
                                  .on_failed = fail};
    if (status == ST_OK)
        status = store_open(&store, &controller->store);
    if (status != ST_OK) {
        mem_free(controller);
        return status;
    }
    const char *endpoint = own_endpoint(controller); // there is room: it is "" or raft_endpoint_valid
    memcpy(controller->endpoint, endpoint, strlen(endpoint) + 1);
    rpc_set_node(controller->rpc, controller->node_id);
    controller->feed = feed_new(controller->env);
    controller->nodes = nodes_new();
    rpc_watch_gone(controller->rpc, on_connection_gone, controller);
    controller->formation = formation_new(controller);
    controller->joining = joining_new(controller);
    timer_init(&controller->tick, on_tick, controller);
    metrics_init(controller);
    *out = controller;
    return ST_OK;
}

void controller_start(struct controller *controller)
{
    service_init(controller);
    timer_start_ms(controller->env, &controller->tick, TICK_MS);
    formation_start(controller->formation);
    joining_start(controller->joining);
}

void controller_drain(struct controller *controller, void (*done)(void *context), void *context)
{
    if (!hand_over(controller)) {
        done(context);
        return;
    }
    controller->drained = done;
    controller->drained_context = context;
    controller->drain_until_ms = env_now_ms(controller->env) + DRAIN_MS;
}

void controller_destroy(struct controller **out)
{
    struct controller *controller = *out;
    if (controller == NULL)
        return;
    controller->failed = true; // nothing is begun any more
    timer_stop(controller->env, &controller->tick);
    formation_destroy(&controller->formation);
    joining_destroy(&controller->joining);
    feed_destroy(&controller->feed);
    quorum_destroy(&controller->quorum);
    store_close(&controller->store);
    metadata_destroy(&controller->metadata);
    rpc_watch_gone(controller->rpc, NULL, NULL);
    nodes_destroy(&controller->nodes);
    struct metric *const metrics[] = {&controller->is_active,  &controller->term,      &controller->offset,
                                      &controller->nodes_live, &controller->log_bytes, &controller->moving};
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        metric_remove(controller->env->metrics, metrics[i]);
    mem_free(controller);
    *out = NULL;
}

// ---- questions ----

bool controller_active(const struct controller *controller)
{
    return controller->metadata != NULL && metadata_active(controller->metadata);
}

int64_t controller_term(const struct controller *controller)
{
    return controller->quorum != NULL ? raft_term(quorum_raft(controller->quorum)) : 0;
}

const struct image *controller_image(const struct controller *controller)
{
    return controller->metadata != NULL ? metadata_committed(controller->metadata) : NULL;
}

bool controller_ready(const struct controller *controller, struct buf *reason)
{
    if (controller->failed || controller->quorum == NULL) {
        buf_printf(reason, controller->failed ? "failed" : "the cluster is not formed yet");
        return false;
    }
    bool led = raft_leader(quorum_raft(controller->quorum)).id >= 0;
    if (!led || uuid_is_zero(image_cluster_id(metadata_committed(controller->metadata)))) {
        buf_printf(reason, led ? "metadata is not there yet" : "no active controller is known");
        return false;
    }
    if (voter_set_expects(controller)) { // whoever restarts one after the other counts on its vote
        buf_printf(reason, "the vote has not been given to this directory yet");
        return false;
    }
    return true;
}

void controller_dump(const struct controller *controller, struct buf *out)
{
    static const char *const roles[] = {"follower", "pre-candidate", "candidate", "leader"};
    buf_printf(out, "node=%d\nformed=%s\n", controller->node_id,
               controller->quorum != NULL ? "true" : "false");
    if (controller->quorum == NULL)
        return;
    const struct raft *raft = quorum_raft(controller->quorum);
    const struct image *image = metadata_committed(controller->metadata);
    buf_printf(out, "role=%s\nterm=%lld\nleader=%d\ncommit=%lld\nlast=%lld\npersisted=%lld\nsnapshot=%lld\n",
               roles[raft_role(raft)], (long long)raft_term(raft), raft_leader(raft).id,
               (long long)raft_commit(raft), (long long)raft_last_index(raft),
               (long long)raft_persisted(raft), (long long)raft_snapshot(raft)->index);
    buf_printf(out, "voters=%d\noffset=%lld\nnodes=%zu\ntopics=%zu\npartitions=%zu\nfollowers=%d\n",
               raft_config(raft)->count, (long long)image_offset(image), image_node_count(image),
               image_topic_count(image), image_partition_total(image), feed_waiting(controller->feed));
    for (size_t i = 0; i < image_node_count(image); i++) {
        const struct image_node *node = image_node_at(image, i);
        buf_printf(out, "node.%d=%s %s%s\n", node->id,
                   node->role == MILLRACE__ROLE__ROLE_STORAGE ? "storage" : "coordinator", node->rpc_endpoint,
                   node->fenced ? " fenced" : "");
    }
}
