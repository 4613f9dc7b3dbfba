// SPDX-License-Identifier: Apache-2.0
// Puts a storage node together: data directory, image, membership, replicas, relays, listeners; and takes it
// apart again. What happens when is decided here and nowhere else; the parts know nothing of one another's
// life.
#include "storage.h"

#include "adopt.h"
#include "apis.h"
#include "auto_create.h"
#include "base/assert.h"
#include "base/mem.h"
#include "check.h"
#include "closest.h"
#include "cluster/member.h"
#include "fetch_sessions.h"
#include "guard.h"
#include "lost.h"
#include "node_listeners.h"
#include "node_settings.h"
#include "partitions.h"
#include "cluster/producer_ids.h"
#include "refused.h"
#include "relay.h"
#include "share_groups.h"
#include "storage_rpc.h"
#include "telemetry.h"

#include <inttypes.h>
#include <stdio.h>

enum { LEAVE_MS = 500, HANDOVER_MS_MAX = 6000, ANSWERS_MS_MAX = 1500, DUMP_REPLICAS = 200 };

enum {
    FETCH_SESSION_EVICT_MS = 120000,         // Kafka's min.incremental.fetch.session.eviction.ms
    FETCH_SESSION_PARTITIONS_MAX = 256 << 10 // of all sessions; about 150 bytes each
};

// Steps of a drain, in order; each ends by an event or by its time.
enum drain_step {
    DRAIN_NONE,
    DRAIN_HANDOVER, // leaderships move away
    DRAIN_ANSWERS,  // listeners finish what is in progress
    DRAIN_CLOSING,  // what is parked is failed, the logs are closed
    DRAIN_DONE
};

struct storage {
    struct env *env;
    const struct config *config;
    struct rpc *rpc;
    struct storage_options options;
    char *rpc_endpoint;
    struct log_budget budget;
    struct dirs *dirs;
    struct image *image;
    struct controllers *controllers;
    struct follow *follow;
    struct follow_wait image_wait; // before registration, see storage_start
    struct member *member;
    struct partitions *partitions; // NULL before the node id is known
    struct ledgers *ledgers;
    struct markers *markers;
    struct positions *positions;
    struct deliveries *deliveries;
    struct storage_rpc service;
    struct relays *relays;
    struct producer_ids *producer_ids;
    struct auto_create *auto_create;
    struct checks checks;
    struct guard *guard;
    struct fetch_sessions *fetch_sessions;
    struct share_groups *share_groups;
    struct telemetry *telemetry;
    bool reads_closest;
    struct adopt *adopt;
    struct node_listeners *listeners;
    struct node_settings settings;
    int32_t node_id;
    bool serving; // the image had the registration, replicas are started
    enum drain_step drain;
    bool listeners_drained;
    bool partitions_closed;
    struct timer drain_timer;
    void (*drained)(void *context);
    void *drained_context;
};

static void fail(struct storage *storage, const char *why)
{
    DIAG_ERROR(&storage->env->diag, "%s", why);
    storage->options.on_failed(storage->options.context, why);
}

// ---- requests ----

static void storage_on_request(struct conn_request *request, void *context)
{
    apis_request(context, request);
}

static void storage_on_cancelled(struct conn_request *request, void *context)
{
    apis_cancelled(request);
}

static void storage_on_closed(struct conn_peer *peer, void *context)
{
    struct storage *storage = context;
    refused_forget(peer, context);
    share_groups_disconnected(storage->share_groups, peer->session);
}

static const struct conn_handler conn_handler = {
    .on_request = storage_on_request, .on_cancelled = storage_on_cancelled, .on_closed = storage_on_closed};

// ---- membership ----

static bool storage_lease_held(void *context)
{
    struct storage *storage = context;
    return member_lease_held(storage->member);
}

static bool storage_keeps(void *context, struct uuid topic)
{
    struct storage *storage = context;
    return adopt_keeps(storage->adopt, topic);
}

static void storage_on_dirs_failed(void *context)
{
    fail(context, "no data directory can be trusted any more");
}

static void make_partitions(struct storage *storage)
{
    struct partitions_options options = {.env = storage->env,
                                         .rpc = storage->rpc,
                                         .image = storage->image,
                                         .follow = storage->follow,
                                         .controllers = storage->controllers,
                                         .config = storage->config,
                                         .dirs = storage->dirs,
                                         .node_id = storage->node_id,
                                         .incarnation = storage->options.incarnation,
                                         .rpc_endpoint = storage->rpc_endpoint,
                                         .lag_ms_max = config_int(storage->config, "replica.lag.time.max.ms"),
                                         .lease_held = storage_lease_held,
                                         .keeps = storage_keeps,
                                         .on_failed = storage_on_dirs_failed,
                                         .context = storage};
    storage->partitions = partitions_new(&options);
    storage->ledgers = ledgers_new(storage->env, storage->partitions, storage->image, storage->follow);
    storage->markers = markers_new(storage->partitions);
    storage->positions = positions_new(storage->partitions, storage);
    storage->deliveries = deliveries_new(storage->partitions);
    storage->service = (struct storage_rpc){.partitions = storage->partitions,
                                            .ledgers = storage->ledgers,
                                            .markers = storage->markers,
                                            .positions = storage->positions,
                                            .deliveries = storage->deliveries};
    storage_rpc_serve(&storage->service, storage->rpc);
}

static enum status storage_on_registered(void *context, int32_t node_id, struct uuid cluster_id)
{
    struct storage *storage = context;
    char cluster[UUID_TEXT_SIZE];
    uuid_format(cluster_id, cluster);
    enum status status = dirs_adopt(storage->dirs, cluster, node_id);
    if (status != ST_OK)
        return status;
    if (storage->partitions != NULL)
        return node_id == storage->node_id ? ST_OK : ST_MISMATCH;
    storage->node_id = node_id;
    rpc_set_node(storage->rpc, node_id);
    rpc_set_cluster(storage->rpc, cluster_id);
    make_partitions(storage);
    node_settings_named(&storage->settings, node_id);
    return ST_OK;
}

// The image has this node's registration for the first time.
static void begin_serving(struct storage *storage)
{
    char text[400];
    storage->serving = true;
    partitions_start(storage->partitions);
    if (node_listeners_open(storage->listeners, text, sizeof text) != ST_OK) {
        fail(storage, text);
        return;
    }
    adopt_start(storage->adopt);
    DIAG_INFO(&storage->env->diag, "serving Kafka clients node=%" PRId32 " kafka=%s", storage->node_id,
              node_listeners_address(storage->listeners));
}

static void storage_on_state(void *context, enum member_state state, const char *text)
{
    struct storage *storage = context;
    if (state == MEMBER_REFUSED)
        fail(storage, text);
    else if ((state == MEMBER_ACTIVE || state == MEMBER_FENCED) && !storage->serving &&
             storage->drain == DRAIN_NONE && storage->partitions != NULL)
        begin_serving(storage);
}

static int64_t storage_flush_age(void *context)
{
    struct storage *storage = context;
    return storage->partitions != NULL ? partitions_flush_age_ms(storage->partitions) : 0;
}

static void drain_answers(struct storage *storage);

// Whether some other in-sync replica is there for this partition.
static bool has_heir(const struct storage *storage, const struct image_partition *partition)
{
    for (size_t i = 0; i < partition->isr.count; i++) {
        int32_t id = partition->isr.ids[i];
        if (id != storage->node_id &&
            image_node_live(image_node(storage->image, id), MILLRACE__ROLE__ROLE_STORAGE))
            return true;
    }
    return false;
}

// Whether this node leads anything that another one could lead.
static bool can_hand_over(const struct storage *storage)
{
    for (size_t t = 0; t < image_topic_count(storage->image); t++) {
        const struct image_topic *topic = image_topic_at(storage->image, t);
        for (size_t p = 0; p < topic->partition_count; p++) {
            if (topic->partitions[p]->leader == storage->node_id && has_heir(storage, topic->partitions[p]))
                return true;
        }
    }
    return false;
}

static void storage_on_leaderships(void *context, int32_t leaderships)
{
    struct storage *storage = context;
    if (storage->drain == DRAIN_HANDOVER && (leaderships == 0 || !can_hand_over(storage)))
        drain_answers(storage);
}

// ---- life ----

// A journal too small for a header and a group in each of its blocks is as large as it must be.
static int64_t journal_block_bytes(int64_t bytes)
{
    int64_t block = bytes / LOG_JOURNAL_BLOCKS / LOG_JOURNAL_UNIT * LOG_JOURNAL_UNIT;
    return bytes > 0 && block < 2 * LOG_JOURNAL_UNIT ? 2 * LOG_JOURNAL_UNIT : block;
}

static enum status open_directories(struct storage *storage)
{
    struct log_set_config config = log_set_config_default();
    storage->budget.max = config_int(storage->config, "log.tail.bytes.max");
    config.budget = &storage->budget;
    config.log.deletes = false; // until the image says how long a topic keeps its records
    config.node_id = (int32_t)config_int(storage->config, "node.id");
    config.journal_block_bytes = journal_block_bytes(config_int(storage->config, "log.journal.bytes"));
    config.verified_ms = config_int(storage->config, "log.read.verified.ms");
    config.producer_expiry_ms = config_int(storage->config, "producer.id.expiration.ms");
    return dirs_open(storage->env, storage->config, &config, &storage->dirs);
}

static void endpoints_text(const struct storage *storage, char *text, size_t size)
{
    text[0] = '\0';
    size_t count = config_list_count(storage->config, "controller.quorum.bootstrap.servers"), at = 0;
    for (size_t i = 0; i < count && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s", i > 0 ? "," : "",
                               config_list_at(storage->config, "controller.quorum.bootstrap.servers", i));
}

static enum status join_cluster(struct storage *storage)
{
    char endpoints[4096];
    endpoints_text(storage, endpoints, sizeof endpoints);
    enum status status = controllers_new(storage->env, storage->rpc, endpoints, &storage->controllers);
    if (status != ST_OK)
        return status;
    struct follow_options options = {.env = storage->env,
                                     .rpc = storage->rpc,
                                     .controllers = storage->controllers,
                                     .image = storage->image,
                                     .context = storage};
    const char *cluster = dirs_cluster_id(storage->dirs);
    if (cluster != NULL && !uuid_parse(cluster, &options.cluster_id))
        return ST_CORRUPT;
    rpc_set_cluster(storage->rpc, options.cluster_id);
    return follow_new(&options, &storage->follow);
}

static void prepare_fetches(struct storage *storage)
{
    const char *selector = config_string(storage->config, "replica.selector.class");
    struct fetch_sessions_config config = {
        .slots = (int32_t)config_int(storage->config, "max.incremental.fetch.session.cache.slots"),
        .evict_ms = FETCH_SESSION_EVICT_MS,
        .partitions_max = FETCH_SESSION_PARTITIONS_MAX,
        .seed = env_random(storage->env),
        .registry = storage->env->metrics};
    storage->fetch_sessions = fetch_sessions_new(&config);
    storage->reads_closest = selector != NULL && strcmp(selector, CLOSEST_SELECTOR) == 0;
}

static enum status make_parts(struct storage *storage)
{
    enum status status = open_directories(storage);
    if (status == ST_OK)
        status = join_cluster(storage);
    if (status != ST_OK)
        return status;
    storage->relays =
        relays_new(storage->env, storage->rpc, storage->controllers, storage->follow, storage->image);
    storage->producer_ids = producer_ids_new(storage->controllers, storage->options.incarnation);
    storage->auto_create = auto_create_new(storage);
    storage->telemetry = telemetry_new(storage->env, storage->image);
    prepare_fetches(storage);
    storage->share_groups = share_groups_new(storage);
    status = adopt_new(storage, storage->dirs, &storage->adopt);
    if (status != ST_OK)
        return status;
    status = node_listeners_new(storage->env, storage->config, &conn_handler, storage, &storage->listeners);
    if (status != ST_OK)
        return status;
    storage->settings = (struct node_settings){.image = storage->image,
                                               .config = storage->config,
                                               .dirs = storage->dirs,
                                               .listeners = storage->listeners};
    node_settings_start(&storage->settings);
    return ST_OK;
}

static void drain_on_timer(struct timer *timer);

enum status storage_new(const struct storage_options *options, struct storage **out)
{
    struct storage *storage = mem_calloc(1, sizeof *storage);
    storage->options = *options;
    storage->env = options->env;
    storage->config = options->config;
    storage->rpc = options->rpc;
    storage->rpc_endpoint = mem_strdup(options->rpc_endpoint);
    storage->node_id = -1;
    storage->image = image_new();
    checks_init(&storage->checks, storage->env);
    storage->guard = guard_new(&(struct guard_options){
        .env = storage->env,
        .rpc = storage->rpc,
        .image = storage->image,
        .entries_max = (size_t)config_int(storage->config, "millrace.schema.cache.entries"),
        .bytes_max = (size_t)config_int(storage->config, "millrace.schema.cache.bytes")});
    timer_init(&storage->drain_timer, drain_on_timer, storage);
    enum status status = make_parts(storage);
    if (status != ST_OK)
        storage_destroy(&storage);
    *out = storage;
    return status;
}

static enum status join_as_member(struct storage *storage)
{
    struct member_endpoint endpoints[NODE_LISTENERS_MAX];
    int32_t own = dirs_node_id(storage->dirs);
    struct member_options options = {
        .env = storage->env,
        .controllers = storage->controllers,
        .follow = storage->follow,
        .role = MILLRACE__ROLE__ROLE_STORAGE,
        .node_id = own >= 0 ? own : (int32_t)config_int(storage->config, "node.id"),
        .incarnation = storage->options.incarnation,
        .directory_id = dirs_directory_id(storage->dirs),
        .rpc_endpoint = storage->rpc_endpoint,
        .rack = config_string(storage->config, "broker.rack"),
        .host = config_string(storage->config, "host.name"),
        .endpoints = endpoints,
        .endpoint_count = node_listeners_endpoints(storage->listeners, endpoints, NODE_LISTENERS_MAX),
        .context = storage,
        .on_registered = storage_on_registered,
        .on_state = storage_on_state,
        .flush_age_ms = storage_flush_age,
        .on_leaderships = storage_on_leaderships,
    };
    struct member_lost *lost;
    const char *cluster = dirs_cluster_id(storage->dirs);
    if (cluster != NULL && !uuid_parse(cluster, &options.cluster_id))
        return ST_CORRUPT;
    lost_identify_all(storage->env, storage->dirs, storage->image);
    options.lost_count = lost_list(storage->dirs, storage->image, &lost);
    options.lost = lost;
    enum status status = member_new(&options, &storage->member);
    mem_free(lost);
    return status;
}

static void on_image_known(void *context, enum status status)
{
    struct storage *storage = context;
    if (status == ST_OK && follow_offset(storage->follow) < follow_commit(storage->follow))
        follow_when(storage->follow, &storage->image_wait, follow_commit(storage->follow), INT64_MAX / 2,
                    on_image_known, storage);
    else if (status == ST_OK && join_as_member(storage) != ST_OK)
        fail(storage, "cannot register");
}

enum status storage_start(struct storage *storage)
{
    if (!lost_unnamed(storage->dirs))
        return join_as_member(storage);
    // Whole directories of partitions are gone: only the image can say which topics they were.
    follow_when(storage->follow, &storage->image_wait, 0, INT64_MAX / 2, on_image_known, storage);
    return ST_OK;
}

void storage_destroy(struct storage **pointer)
{
    struct storage *storage = *pointer;
    *pointer = NULL;
    if (storage == NULL)
        return;
    timer_stop(storage->env, &storage->drain_timer);
    node_settings_stop(&storage->settings);
    node_listeners_destroy(&storage->listeners);
    adopt_destroy(&storage->adopt);
    auto_create_destroy(&storage->auto_create);
    fetch_sessions_destroy(&storage->fetch_sessions);
    share_groups_destroy(&storage->share_groups);
    telemetry_destroy(&storage->telemetry);
    producer_ids_destroy(&storage->producer_ids);
    relays_destroy(&storage->relays);
    if (storage->ledgers != NULL)
        ledgers_destroy(&storage->ledgers);
    if (storage->markers != NULL)
        markers_destroy(&storage->markers);
    if (storage->positions != NULL)
        positions_destroy(&storage->positions);
    if (storage->deliveries != NULL)
        deliveries_destroy(&storage->deliveries);
    if (storage->partitions != NULL)
        partitions_destroy(&storage->partitions);
    guard_destroy(&storage->guard);
    dirs_destroy(&storage->dirs);
    if (storage->member != NULL)
        member_destroy(&storage->member);
    if (storage->follow != NULL)
        follow_destroy(&storage->follow);
    if (storage->controllers != NULL)
        controllers_destroy(&storage->controllers);
    image_destroy(&storage->image);
    checks_fini(&storage->checks);
    mem_free(storage->rpc_endpoint);
    mem_free(storage);
}

// ---- drain ----

static void drain_check(struct storage *storage)
{
    if (storage->drain != DRAIN_CLOSING || !storage->partitions_closed || !storage->listeners_drained)
        return;
    storage->drain = DRAIN_DONE;
    timer_stop(storage->env, &storage->drain_timer);
    storage->drained(storage->drained_context);
}

static void drain_on_closed(void *context, enum status status)
{
    struct storage *storage = context;
    if (status != ST_OK)
        DIAG_WARN(&storage->env->diag, "data directory was not closed clean status=%s", status_name(status));
    storage->partitions_closed = true;
    drain_check(storage);
}

static void drain_on_dirs_closed(enum status status, void *context)
{
    drain_on_closed(context, status);
}

static void drain_close(struct storage *storage)
{
    storage->drain = DRAIN_CLOSING;
    timer_stop(storage->env, &storage->drain_timer);
    node_settings_stop(&storage->settings);
    relays_cancel(storage->relays); // requests held by coordinators: their clients ask another node
    member_leave(storage->member, LEAVE_MS);
    if (storage->partitions != NULL)
        partitions_close(storage->partitions, drain_on_closed, storage);
    else
        dirs_close(storage->dirs, drain_on_dirs_closed, storage);
}

static void drain_on_listeners(void *context)
{
    struct storage *storage = context;
    storage->listeners_drained = true;
    if (storage->drain == DRAIN_ANSWERS)
        drain_close(storage);
    drain_check(storage);
}

static void drain_answers(struct storage *storage)
{
    storage->drain = DRAIN_ANSWERS;
    timer_start_ms(storage->env, &storage->drain_timer, ANSWERS_MS_MAX);
    node_listeners_drain(storage->listeners, drain_on_listeners, storage);
}

static void drain_on_timer(struct timer *timer)
{
    struct storage *storage = timer->context;
    if (storage->drain == DRAIN_HANDOVER)
        drain_answers(storage);
    else if (storage->drain == DRAIN_ANSWERS)
        drain_close(storage);
}

void storage_drain(struct storage *storage, void (*done)(void *context), void *context)
{
    ASSERT(storage->drain == DRAIN_NONE && storage->member != NULL);
    storage->drained = done;
    storage->drained_context = context;
    if (!can_hand_over(storage)) {
        drain_answers(storage);
        return;
    }
    storage->drain = DRAIN_HANDOVER;
    member_drain(storage->member);
    timer_start_ms(storage->env, &storage->drain_timer, HANDOVER_MS_MAX);
}

// ---- state ----

bool storage_ready(struct storage *storage, struct buf *reason)
{
    enum member_state state = storage->member != NULL ? member_state(storage->member) : MEMBER_JOINING;
    if (storage->drain != DRAIN_NONE)
        buf_printf(reason, "draining");
    else if (state != MEMBER_ACTIVE)
        buf_printf(reason, "%s", member_state_text(state));
    else if (!node_listeners_opened(storage->listeners))
        buf_printf(reason, "the Kafka listeners are not open");
    else
        return true;
    return false;
}

void storage_dump(struct storage *storage, struct buf *out)
{
    enum member_state state = storage->member != NULL ? member_state(storage->member) : MEMBER_JOINING;
    buf_printf(out, "node=%" PRId32 "\nstate=%s\nkafka=%s\n", storage->node_id, member_state_text(state),
               node_listeners_address(storage->listeners));
    buf_printf(out, "metadata_offset=%" PRId64 "\nmetadata_commit=%" PRId64 "\n",
               image_offset(storage->image), follow_commit(storage->follow));
    buf_printf(out, "connections=%d\nrequests=%d\nrelays=%d\n",
               node_listeners_connections(storage->listeners), node_listeners_requests(storage->listeners),
               relays_count(storage->relays));
    if (storage->partitions == NULL)
        return;
    buf_printf(out, "replicas=%d\nled=%d\nflush_age_ms=%" PRId64 "\n", partitions_count(storage->partitions),
               partitions_led(storage->partitions), partitions_flush_age_ms(storage->partitions));
    partitions_dump(storage->partitions, out, DUMP_REPLICAS);
}

const char *storage_kafka_address(struct storage *storage)
{
    return node_listeners_address(storage->listeners);
}

struct env *storage_env(const struct storage *storage)
{
    return storage->env;
}

const struct config *storage_config(const struct storage *storage)
{
    return storage->config;
}

struct image *storage_image(const struct storage *storage)
{
    return storage->image;
}

struct rpc *storage_rpc_end(const struct storage *storage)
{
    return storage->rpc;
}

struct follow *storage_follow(const struct storage *storage)
{
    return storage->follow;
}

struct controllers *storage_controllers(const struct storage *storage)
{
    return storage->controllers;
}

struct partitions *storage_partitions(const struct storage *storage)
{
    return storage->partitions;
}

struct relays *storage_relays(const struct storage *storage)
{
    return storage->relays;
}

struct producer_ids *storage_producer_ids(const struct storage *storage)
{
    return storage->producer_ids;
}

struct auto_create *storage_auto_create(const struct storage *storage)
{
    return storage->auto_create;
}

struct checks *storage_checks(struct storage *storage)
{
    return &storage->checks;
}

struct guard *storage_guard(const struct storage *storage)
{
    return storage->guard;
}

struct share_groups *storage_share_groups(const struct storage *storage)
{
    return storage->share_groups;
}

struct telemetry *storage_telemetry(const struct storage *storage)
{
    return storage->telemetry;
}

struct fetch_sessions *storage_fetch_sessions(const struct storage *storage)
{
    return storage->fetch_sessions;
}

bool storage_reads_closest(const struct storage *storage)
{
    return storage->reads_closest;
}

int32_t storage_node_id(const struct storage *storage)
{
    return storage->node_id;
}

uint64_t storage_incarnation(const struct storage *storage)
{
    return storage->options.incarnation;
}
