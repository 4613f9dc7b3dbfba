// SPDX-License-Identifier: Apache-2.0
// See desk.h.
#include "desk.h"

#include "base/mem.h"
#include "cluster/authorise.h"
#include "cluster/records.h"
#include "kafka/batch.h"
#include "protos/coordinator.pb-c.h"
#include "rpc/zmq.h"

#include <criterion/criterion.h>
#include <stdio.h>

static int64_t clock_ahead_ms;
static int64_t (*real_wall_ms)(struct env *env);

static int64_t wall_ms(struct env *env)
{
    return real_wall_ms(env) + clock_ahead_ms;
}

void desk_set_clock(int64_t ahead_ms)
{
    clock_ahead_ms = ahead_ms;
}

static const enum rpc_role roles[] = {RPC_COORDINATOR, RPC_CONTROLLER, RPC_STORAGE};

static struct desk *desk_of_controller(Millrace__Controller_Service *service)
{
    return (struct desk *)((char *)service - offsetof(struct desk, controller));
}

static struct desk *desk_of_storage(Millrace__Storage_Service *service)
{
    return (struct desk *)((char *)service - offsetof(struct desk, storage));
}

// ---- controller ----

static uint8_t cluster_id[16] = {9};

static void serve_register(Millrace__Controller_Service *service, const Millrace__RegisterRequest *request,
                           Millrace__RegisterReply_Closure closure, void *call)
{
    struct desk *desk = desk_of_controller(service);
    Millrace__RegisterReply reply = MILLRACE__REGISTER_REPLY__INIT;
    reply.node_id = request->node_id;
    reply.cluster_id = (ProtobufCBinaryData){16, cluster_id};
    reply.metadata_offset = desk->metadata_count - 1;
    reply.lease_ms = desk->lease_ms;
    closure(&reply, call);
}

static void serve_heartbeat(Millrace__Controller_Service *service, const Millrace__HeartbeatRequest *request,
                            Millrace__HeartbeatReply_Closure closure, void *call)
{
    const struct desk *desk = desk_of_controller(service);
    if (desk->heartbeats_refused) {
        rpc_fail(call, ST_AGAIN, "no leader");
        return;
    }
    Millrace__HeartbeatReply reply = MILLRACE__HEARTBEAT_REPLY__INIT;
    reply.commit_offset = desk->metadata_count - 1;
    reply.lease_ms = desk->lease_ms;
    closure(&reply, call);
}

static void serve_producer_ids(Millrace__Controller_Service *service,
                               const Millrace__ProducerIdsRequest *request,
                               Millrace__ProducerIdsReply_Closure closure, void *call)
{
    struct desk *desk = desk_of_controller(service);
    Millrace__ProducerIdsReply reply = MILLRACE__PRODUCER_IDS_REPLY__INIT;
    reply.first = desk->next_producer_id;
    reply.count = 10;
    desk->next_producer_id += 10;
    closure(&reply, call);
}

static void answer_follow(struct desk *desk)
{
    struct slice rest = buf_slice(&desk->metadata), record;
    for (int64_t at = 0; at < desk->follow_offset; at++)
        cr_assert_eq(records_next(&rest, &record), ST_OK);
    Millrace__FollowReply reply = MILLRACE__FOLLOW_REPLY__INIT;
    reply.commit_offset = desk->metadata_count - 1;
    reply.cluster_id = (ProtobufCBinaryData){16, cluster_id};
    reply.has_base_offset = true;
    reply.base_offset = desk->follow_offset;
    struct block *block = block_copy(rest);
    struct rpc_call *call = desk->follow;
    desk->follow = NULL;
    rpc_reply_payload(call, &block, 1);
    block_unref(&block);
    desk->follow_closure(&reply, call);
}

// Nobody may do anything here.
static void serve_controller_relay(Millrace__Controller_Service *service,
                                   const Millrace__RelayRequest *request,
                                   Millrace__RelayReply_Closure closure, void *call)
{
    rpc_fail(call, ST_UNSUPPORTED, "not here");
}

static void serve_follow(Millrace__Controller_Service *service, const Millrace__FollowRequest *request,
                         Millrace__FollowReply_Closure closure, void *call)
{
    struct desk *desk = desk_of_controller(service);
    desk->follow = call;
    desk->follow_closure = closure;
    desk->follow_offset = request->offset;
    if (request->offset < desk->metadata_count)
        answer_follow(desk);
}

void desk_put(struct desk *desk, Millrace__MetadataRecord *record)
{
    record->version = 1;
    cr_assert_eq(records_put(&desk->metadata, record), ST_OK);
    desk->metadata_count++;
    if (desk->follow != NULL && !desk->silent)
        answer_follow(desk);
}

static void put_node(struct desk *desk, int32_t id, Millrace__Role role, char *endpoint)
{
    static uint8_t directory[16];
    Millrace__NodeRecord node = MILLRACE__NODE_RECORD__INIT;
    node.node_id = id;
    node.role = role;
    node.incarnation = (uint64_t)desk->coordinators + 1;
    node.directory_id = (ProtobufCBinaryData){16, directory};
    node.rpc_endpoint = endpoint;
    node.has_fenced = true;
    node.fenced = false;
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_NODE;
    record.node = &node;
    desk_put(desk, &record);
}

void desk_topic_of(struct desk *desk, uint8_t id, const char *name, int partitions)
{
    uint8_t topic_id[16] = {id};
    Millrace__TopicRecord topic = MILLRACE__TOPIC_RECORD__INIT;
    topic.topic_id = (ProtobufCBinaryData){16, topic_id};
    topic.name = (char *)(uintptr_t)name;
    topic.has_internal = true;
    topic.internal = strncmp(name, "__", 2) == 0;
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_TOPIC;
    record.topic = &topic;
    desk_put(desk, &record);
    for (int i = 0; i < partitions; i++) {
        int32_t replicas[] = {1};
        Millrace__PartitionRecord partition = MILLRACE__PARTITION_RECORD__INIT;
        partition.topic_id = (ProtobufCBinaryData){16, topic_id};
        partition.partition = i;
        partition.n_replicas = partition.n_isr = 1;
        partition.replicas = partition.isr = replicas;
        partition.leader = 1;
        record.body_case = MILLRACE__METADATA_RECORD__BODY_PARTITION;
        record.partition = &partition;
        desk_put(desk, &record);
    }
}

void desk_topic(struct desk *desk, uint8_t id, const char *name)
{
    desk_topic_of(desk, id, name, 2);
}

void desk_topic_gone(struct desk *desk, uint8_t id)
{
    uint8_t topic_id[16] = {id};
    Millrace__TopicRemovedRecord gone = MILLRACE__TOPIC_REMOVED_RECORD__INIT;
    gone.topic_id = (ProtobufCBinaryData){16, topic_id};
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_TOPIC_REMOVED;
    record.topic_removed = &gone;
    desk_put(desk, &record);
}

void desk_feature(struct desk *desk, const char *name, int level)
{
    Millrace__FeatureRecord feature = MILLRACE__FEATURE_RECORD__INIT;
    feature.name = (char *)(uintptr_t)name;
    feature.level = (uint32_t)level;
    feature.epoch = 1;
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_FEATURE;
    record.feature = &feature;
    desk_put(desk, &record);
}

void desk_assign(struct desk *desk, int32_t owner)
{
    desk->owner_epoch++;
    static char *const topics[] = {"__consumer_offsets", "__transaction_state", "__share_group_state"};
    for (int i = 0; i < 3 * DESK_SHARDS; i++) {
        Millrace__ShardRecord shard = MILLRACE__SHARD_RECORD__INIT;
        shard.topic = topics[i / DESK_SHARDS];
        shard.shard = i % DESK_SHARDS;
        shard.owner = owner;
        shard.owner_epoch = desk->owner_epoch;
        Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
        record.body_case = MILLRACE__METADATA_RECORD__BODY_SHARD;
        record.shard = &shard;
        desk_put(desk, &record);
    }
}

// ---- storage ----

static struct desk_log *log_of(struct desk *desk, const char *topic, int32_t partition)
{
    if (strcmp(topic, "__share_group_state") == 0)
        return &desk->share_logs[partition];
    return strcmp(topic, "__consumer_offsets") == 0 ? &desk->logs[partition] : &desk->txn_logs[partition];
}

// Answers one marker.
static void take_marker(struct desk *desk, const Millrace__Marker *marker, Millrace__WriteMarkersReply *reply)
{
    size_t before = reply->n_status;
    bool refused = desk->markers_refused || desk->refused_producer == marker->producer_id;
    for (size_t i = 0; i < marker->n_topics; i++)
        for (size_t p = 0; p < marker->topics[i]->n_partitions; p++) {
            cr_assert_lt(reply->n_status, DESK_MARKER_PARTS);
            bool late = desk->late_partition == marker->topics[i]->partitions[p];
            reply->status[reply->n_status++] = refused ? ST_NOT_LEADER : late ? ST_AGAIN : ST_OK;
        }
    desk->marker = (struct desk_marker){.producer_id = marker->producer_id,
                                        .epoch = marker->producer_epoch,
                                        .owner_epoch = marker->owner_epoch,
                                        .partitions = (int32_t)(reply->n_status - before),
                                        .commit = marker->commit};
}

static void serve_write_markers(Millrace__Storage_Service *service,
                                const Millrace__WriteMarkersRequest *request,
                                Millrace__WriteMarkersReply_Closure closure, void *call)
{
    struct desk *desk = desk_of_storage(service);
    int32_t statuses[DESK_MARKER_PARTS];
    Millrace__WriteMarkersReply reply = MILLRACE__WRITE_MARKERS_REPLY__INIT;
    reply.status = statuses;
    for (size_t i = 0; i < request->n_markers; i++)
        take_marker(desk, request->markers[i], &reply);
    desk->markers++;
    if ((int)request->n_markers > desk->markers_most)
        desk->markers_most = (int)request->n_markers;
    closure(&reply, call);
}

void desk_positions(struct desk *desk)
{
    Millrace__PositionsReply reply = MILLRACE__POSITIONS_REPLY__INIT;
    Millrace__Position row = MILLRACE__POSITION__INIT, *rows[256];
    row.status = desk->position_status;
    row.has_log_start = row.has_high_watermark = row.has_stable_end = row.has_timestamp = true;
    row.log_start = desk->position_start;
    row.high_watermark = row.stable_end = desk->position_end;
    row.timestamp = desk->position_time;
    row.has_share_start = row.has_share_complete = row.has_share_acquired = desk->share_start > 0;
    row.share_start = desk->share_start;
    row.share_complete = 1;
    row.share_acquired = 4;
    for (size_t i = 0; i < desk->positions_count; i++)
        rows[i] = &row;
    reply.positions = rows;
    reply.n_positions = desk->positions_count;
    struct rpc_call *call = desk->positions_call;
    desk->positions_call = NULL;
    desk->positions_closure(&reply, call);
}

static void serve_positions(Millrace__Storage_Service *service, const Millrace__PositionsRequest *request,
                            Millrace__PositionsReply_Closure closure, void *call)
{
    struct desk *desk = desk_of_storage(service);
    cr_assert_leq(request->n_partitions, 256);
    cr_assert_null(desk->positions_call, "one call at a time");
    desk->position_calls++;
    for (size_t i = 0; i < request->n_partitions; i++)
        desk->position_times += request->partitions[i]->time_of >= 0;
    desk->positions_call = call;
    desk->positions_closure = closure;
    desk->positions_count = request->n_partitions;
    if (!desk->positions_held)
        desk_positions(desk);
}

static void serve_open(Millrace__Storage_Service *service, const Millrace__LedgerOpenRequest *request,
                       Millrace__LedgerOpenReply_Closure closure, void *call)
{
    struct desk *desk = desk_of_storage(service);
    if (desk->opens_held)
        return; // until its deadline, or for ever
    Millrace__LedgerOpenReply reply = MILLRACE__LEDGER_OPEN_REPLY__INIT;
    reply.log_end = log_of(desk, request->topic, request->partition)->log_end;
    closure(&reply, call);
}

static void serve_append(Millrace__Storage_Service *service, const Millrace__LedgerAppendRequest *request,
                         Millrace__LedgerAppendReply_Closure closure, void *call)
{
    struct desk *desk = desk_of_storage(service);
    struct desk_log *log = log_of(desk, request->topic, request->partition);
    struct block *bytes = rpc_call_payload(call);
    struct batch_header header;
    if (desk->appends_held || (desk->held_shard >= 0 && log == &desk->logs[desk->held_shard]))
        return; // until its deadline, or for ever
    cr_assert_eq(batch_parse(block_slice(bytes), &header), ST_OK);
    cr_assert_lt(log->count, DESK_BATCHES);
    if (request->expected_base != log->log_end || request->owner_epoch < desk->owner_epoch) {
        rpc_fail(call, ST_OUT_OF_RANGE, "");
        return;
    }
    log->base[log->count] = log->log_end;
    log->batches[log->count++] = block_copy(block_slice(bytes));
    log->log_end += header.last_offset_delta + 1;
    Millrace__LedgerAppendReply reply = MILLRACE__LEDGER_APPEND_REPLY__INIT;
    reply.base_offset = request->expected_base;
    reply.high_watermark = log->log_end;
    closure(&reply, call);
}

static void serve_read(Millrace__Storage_Service *service, const Millrace__LedgerReadRequest *request,
                       Millrace__LedgerReadReply_Closure closure, void *call)
{
    struct desk_log *log = log_of(desk_of_storage(service), request->topic, request->partition);
    Millrace__LedgerReadReply reply = MILLRACE__LEDGER_READ_REPLY__INIT;
    reply.high_watermark = reply.log_end = log->log_end;
    for (int i = 0; i < log->count; i++) {
        if (log->base[i] < request->offset)
            continue;
        rpc_reply_payload(call, &log->batches[i], 1);
        break;
    }
    closure(&reply, call);
}

// ---- life ----

static void make_rpc(struct desk *desk, int i, uint64_t incarnation)
{
    static const int32_t nodes[] = {-1, 101, 1};
    desk->transports[i] = zmq_transport_new(desk->env, NULL);
    struct rpc_config config = {.env = desk->env,
                                .transport = desk->transports[i],
                                .self = {roles[i], nodes[i]},
                                .incarnation = incarnation};
    desk->rpcs[i] = rpc_new(&config);
    int port;
    cr_assert_eq(rpc_listen(desk->rpcs[i], "tcp://127.0.0.1:0", &port), ST_OK);
    snprintf(desk->endpoints[i], 64, "tcp://127.0.0.1:%d", port);
}

static void drop_rpc(struct desk *desk, int i)
{
    rpc_close(desk->rpcs[i]);
    rpc_destroy(&desk->rpcs[i]);
    zmq_transport_destroy(&desk->transports[i]);
}

static void on_failed(void *context, const char *why)
{
    cr_assert_fail("the coordinator failed: %s", why);
}

static bool is_ready(struct desk *desk)
{
    struct buf reason;
    buf_init(&reason, 1000);
    bool ready = coordinator_ready(desk->coordinator, &reason);
    buf_fini(&reason);
    return ready;
}

static void begin_life(struct desk *desk)
{
    desk->coordinators++;
    make_rpc(desk, 0, (uint64_t)desk->coordinators + 1);
    put_node(desk, DESK_NODE, MILLRACE__ROLE__ROLE_COORDINATOR, desk->endpoints[0]);
    desk_assign(desk, DESK_NODE);
    struct coordinator_options options = {.env = desk->env,
                                          .config = desk->config,
                                          .rpc = desk->rpcs[0],
                                          .rpc_endpoint = desk->endpoints[0],
                                          .incarnation = (uint64_t)desk->coordinators + 1,
                                          .on_failed = on_failed};
    cr_assert_eq(coordinator_new(&options, &desk->coordinator), ST_OK);
    cr_assert_eq(coordinator_start(desk->coordinator), ST_OK);
    desk->peer = rpc_peer(desk->rpcs[2], desk->endpoints[0], (struct rpc_node){RPC_COORDINATOR, -1});
    for (int64_t end_us = env_now_us(desk->env) + 10000000; !is_ready(desk);) {
        cr_assert_lt(env_now_us(desk->env), end_us, "the coordinator is not ready");
        env_posix_turn(desk->env, 500);
    }
}

static void end_life(struct desk *desk)
{
    rpc_close(desk->rpcs[0]);
    coordinator_destroy(&desk->coordinator);
    rpc_peer_release(&desk->peer);
    drop_rpc(desk, 0);
    if (desk->follow != NULL)
        desk->follow = NULL; // its caller is gone
}

static void configure(struct desk *desk)
{
    char error[CONFIG_ERROR_SIZE], servers[80];
    desk->config = config_new();
    config_declare(desk->config, config_common_rows, config_common_count);
    config_declare(desk->config, coordinator_config_rows, coordinator_config_count);
    snprintf(servers, sizeof servers, "%s", desk->endpoints[1] + strlen("tcp://"));
    cr_assert_eq(config_set(desk->config, "controller.quorum.bootstrap.servers", servers, error), ST_OK);
    cr_assert_eq(config_set(desk->config, "node.id", "11", error), ST_OK);
    cr_assert_eq(config_set(desk->config, "group.initial.rebalance.delay.ms", "30", error), ST_OK);
    cr_assert_eq(config_set(desk->config, "group.streams.initial.rebalance.delay.ms", "0", error), ST_OK);
    cr_assert_eq(config_set(desk->config, "group.min.session.timeout.ms", "100", error), ST_OK);
    cr_assert_eq(config_set(desk->config, "offset.metadata.max.bytes", "16", error), ST_OK);
    cr_assert_eq(config_set(desk->config, "offsets.retention.check.interval.ms", "20", error), ST_OK);
    cr_assert_eq(config_set(desk->config, "millrace.lag.interval.ms", "100", error), ST_OK);
}

void desk_start(struct desk *desk)
{
    memset(desk, 0, sizeof *desk);
    desk->refused_producer = -1;
    desk->late_partition = -1;
    desk->held_shard = -1;
    desk->lease_ms = 5000;
    cr_assert_eq(env_posix_new("desk", 1, &desk->env), ST_OK);
    desk->env->diag.level = DIAG_ERROR;
    desk->ops = *desk->env->ops;
    real_wall_ms = desk->ops.wall_ms;
    desk->ops.wall_ms = wall_ms;
    desk->env->ops = &desk->ops;
    buf_init(&desk->metadata, 8 << 20);
    make_rpc(desk, 1, 50);
    make_rpc(desk, 2, 60);
    protobuf_c_service_generated_init(&desk->controller.base, &millrace__controller__descriptor, NULL);
    desk->controller.register_node = serve_register;
    desk->controller.heartbeat = serve_heartbeat;
    desk->controller.follow = serve_follow;
    desk->controller.allocate_producer_ids = serve_producer_ids;
    desk->controller.relay = serve_controller_relay;
    rpc_serve(desk->rpcs[1], &desk->controller.base);
    protobuf_c_service_generated_init(&desk->storage.base, &millrace__storage__descriptor, NULL);
    desk->storage.ledger_open = serve_open;
    desk->storage.ledger_append = serve_append;
    desk->storage.ledger_read = serve_read;
    desk->storage.write_markers = serve_write_markers;
    desk->storage.positions = serve_positions;
    rpc_serve(desk->rpcs[2], &desk->storage.base);
    configure(desk);
    put_node(desk, 1, MILLRACE__ROLE__ROLE_STORAGE, desk->endpoints[2]);
    desk_topic_of(desk, 200, "__consumer_offsets", DESK_SHARDS);
    desk_topic_of(desk, 201, "__transaction_state", DESK_SHARDS);
    desk_topic_of(desk, 202, "__share_group_state", DESK_SHARDS);
    desk_topic(desk, 1, "t");
    begin_life(desk);
}

void desk_take_over(struct desk *desk)
{
    end_life(desk);
    begin_life(desk);
}

void desk_stop(struct desk *desk)
{
    end_life(desk);
    drop_rpc(desk, 1);
    drop_rpc(desk, 2);
    for (int i = 0; i < DESK_SHARDS; i++) {
        for (int b = 0; b < desk->logs[i].count; b++)
            block_unref(&desk->logs[i].batches[b]);
        for (int b = 0; b < desk->txn_logs[i].count; b++)
            block_unref(&desk->txn_logs[i].batches[b]);
        for (int b = 0; b < desk->share_logs[i].count; b++)
            block_unref(&desk->share_logs[i].batches[b]);
    }
    buf_fini(&desk->metadata);
    config_destroy(&desk->config);
    env_posix_destroy(&desk->env);
}

void desk_turns(struct desk *desk, int ms)
{
    for (int64_t end_us = env_now_us(desk->env) + ms * 1000; env_now_us(desk->env) < end_us;)
        env_posix_turn(desk->env, 500);
}

// ---- requests ----

static void on_reply(const Millrace__RelayReply *reply, void *context)
{
    struct desk_call *call = context;
    const struct rpc_result *result = rpc_result(call->desk->rpcs[2]);
    cr_assert_eq(call->status, ST_AGAIN, "answered twice");
    call->status = reply == NULL ? result->status : ST_OK;
    if (reply != NULL)
        call->bytes = block_ref(result->payload[0]);
}

static struct block *frame_of(const struct desk_call *call, const void *body)
{
    struct kafka_request_header header = {.request_api_key = call->api->key,
                                          .request_api_version = call->version,
                                          .correlation_id = call->correlation_id,
                                          .client_id = slice_str("tester")};
    struct kafka_out out;
    kafka_out_init(&out, 1 << 20);
    cr_assert_eq(kafka_encode(&kafka_request_header_message,
                              kafka_request_header_version(call->api, call->version), &header, &out),
                 ST_OK);
    cr_assert_eq(kafka_encode(call->api->request, call->version, body, &out), ST_OK, "%s v%d",
                 call->api->name, call->version);
    struct block *frame = block_copy(buf_slice(&out.bytes));
    kafka_out_fini(&out);
    return frame;
}

static void send_frame(struct desk_call *call, struct block *frame)
{
    struct rpc_options options = {.deadline_ms = 20000, .payload = &frame, .payload_count = 1};
    Millrace__RelayRequest relay = MILLRACE__RELAY_REQUEST__INIT;
    relay.relay_id = call->relay_id;
    relay.principal = PRINCIPAL_ANONYMOUS;
    relay.listener = "PLAINTEXT";
    relay.client_host = "10.1.2.3";
    millrace__coordinator__relay(rpc_on(call->desk->peer, &millrace__coordinator__descriptor, &options),
                                 &relay, on_reply, call);
    block_unref(&frame);
}

static struct block *begin_call(struct desk *desk, struct desk_call *call, int16_t key, int16_t version,
                                const void *body)
{
    *call = (struct desk_call){.desk = desk, .api = kafka_api(key), .version = version, .status = ST_AGAIN};
    call->relay_id = ++desk->relay_id;
    call->correlation_id = (int32_t)call->relay_id + 1000;
    arena_init(&call->arena, 1 << 20);
    return frame_of(call, body);
}

void desk_send(struct desk *desk, struct desk_call *call, int16_t key, int16_t version, const void *body)
{
    send_frame(call, begin_call(desk, call, key, version, body));
}

void desk_send_damaged(struct desk *desk, struct desk_call *call, int16_t key, int16_t version,
                       const void *body)
{
    struct block *frame = begin_call(desk, call, key, version, body);
    frame->len--;
    send_frame(call, frame);
}

enum status desk_outcome(struct desk_call *call)
{
    for (int64_t end_us = env_now_us(call->desk->env) + 5000000; call->status == ST_AGAIN;) {
        cr_assert_lt(env_now_us(call->desk->env), end_us, "%s is not answered", call->api->name);
        env_posix_turn(call->desk->env, 500);
    }
    return call->status;
}

void *desk_await(struct desk_call *call)
{
    cr_assert_eq(desk_outcome(call), ST_OK, "%s v%d: %s", call->api->name, call->version,
                 status_name(call->status));
    struct kafka_response_header header;
    size_t used;
    struct slice bytes = block_slice(call->bytes);
    cr_assert_eq(kafka_decode_prefix(&kafka_response_header_message,
                                     kafka_response_header_version(call->api, call->version), bytes,
                                     &call->arena, &header, &used),
                 ST_OK);
    cr_assert_eq(header.correlation_id, call->correlation_id);
    call->response = arena_alloc(&call->arena, call->api->response->structure->size);
    cr_assert_eq(kafka_decode(call->api->response, call->version,
                              slice_of(bytes.data + used, bytes.len - used), &call->arena, call->response),
                 ST_OK, "%s v%d", call->api->name, call->version);
    return call->response;
}

void desk_done(struct desk_call *call)
{
    block_unref(&call->bytes);
    arena_fini(&call->arena);
}

void desk_cancel(struct desk_call *call)
{
    Millrace__RelayCancel cancel = MILLRACE__RELAY_CANCEL__INIT;
    cancel.relay_id = call->relay_id;
    millrace__coordinator__cancel_relay(rpc_on(call->desk->peer, &millrace__coordinator__descriptor, NULL),
                                        &cancel, NULL, NULL);
}
