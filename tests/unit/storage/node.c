// SPDX-License-Identifier: Apache-2.0
// See node.h.
#include "node.h"

#include "apis.h"
#include "auto_create.h"
#include "base/mem.h"
#include "cluster/shard.h"
#include "frame.h"
#include "kafka/messages/create_topics.h"
#include "kafka/messages/delete_groups.h"
#include "kafka/messages/describe_groups.h"
#include "kafka/messages/heartbeat.h"
#include "kafka/messages/join_group.h"
#include "kafka/messages/list_groups.h"
#include "kafka/messages/offset_fetch.h"
#include "cluster/producer_ids.h"
#include "refused.h"
#include "relay.h"
#include "rpc/zmq.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

// ---- the node in place of storage.c ----

struct storage {
    struct node *node;
    struct image *image;
    struct controllers *controllers;
    struct follow *follow;
    struct relays *relays;
    struct producer_ids *producer_ids;
    struct auto_create *auto_create;
};

static struct storage storage;

struct storage *node_storage(void)
{
    return &storage;
}
struct env *storage_env(const struct storage *s)
{
    return s->node->env;
}
const struct config *storage_config(const struct storage *s)
{
    return s->node->config;
}
struct image *storage_image(const struct storage *s)
{
    return s->image;
}
struct rpc *storage_rpc_end(const struct storage *s)
{
    return s->node->rpc;
}
struct follow *storage_follow(const struct storage *s)
{
    return s->follow;
}
struct controllers *storage_controllers(const struct storage *s)
{
    return s->controllers;
}
struct partitions *storage_partitions(const struct storage *s)
{
    return NULL;
}
struct relays *storage_relays(const struct storage *s)
{
    return s->relays;
}
struct producer_ids *storage_producer_ids(const struct storage *s)
{
    return s->producer_ids;
}
struct auto_create *storage_auto_create(const struct storage *s)
{
    return s->auto_create;
}
struct checks *storage_checks(struct storage *s)
{
    return NULL;
}
struct guard *storage_guard(const struct storage *s)
{
    return NULL; // no topic of this node has schemas
}
struct fetch_sessions *storage_fetch_sessions(const struct storage *s)
{
    return NULL; // no test of this node fetches
}
struct share_groups *storage_share_groups(const struct storage *s)
{
    return NULL; // nor shares
}
struct telemetry *storage_telemetry(const struct storage *s)
{
    return NULL; // nor pushes metrics
}
bool storage_reads_closest(const struct storage *s)
{
    return false;
}
int32_t storage_node_id(const struct storage *s)
{
    return SELF;
}
uint64_t storage_incarnation(const struct storage *s)
{
    return 5;
}

// ---- scripted owners ----

static void answer_describe(const struct owner *owner, const struct kafka_describe_groups_request *asked,
                            struct kafka_describe_groups_response *response, struct arena *arena)
{
    response->groups = kafka_structure_array(&kafka_describe_groups_response_described_group_type, arena,
                                             asked->groups_count);
    response->groups_count = asked->groups_count;
    for (int32_t i = 0; i < asked->groups_count; i++) {
        response->groups[i].group_id = asked->groups[i];
        response->groups[i].group_state = slice_str(owner->node == FIRST_COORDINATOR ? "first" : "second");
    }
}

static void answer_list(const struct owner *owner, struct kafka_list_groups_response *response,
                        struct arena *arena)
{
    response->groups = kafka_structure_array(&kafka_list_groups_response_listed_group_type, arena, 4);
    response->groups_count = 0;
    for (int i = 0; i < 4 && owner->groups[i] != NULL; i++)
        response->groups[response->groups_count++].group_id = slice_str(owner->groups[i]);
}

static void answer_fetch(const struct kafka_offset_fetch_request *asked,
                         struct kafka_offset_fetch_response *response, struct arena *arena)
{
    response->groups = kafka_structure_array(&kafka_offset_fetch_response_offset_fetch_response_group_type,
                                             arena, asked->groups_count);
    response->groups_count = asked->groups_count;
    for (int32_t i = 0; i < asked->groups_count; i++)
        response->groups[i].group_id = asked->groups[i].group_id;
}

static void answer_delete(const struct kafka_delete_groups_request *asked,
                          struct kafka_delete_groups_response *response, struct arena *arena)
{
    response->results = kafka_structure_array(&kafka_delete_groups_response_deletable_group_result_type,
                                              arena, asked->groups_names_count);
    response->results_count = asked->groups_names_count;
    for (int32_t i = 0; i < asked->groups_names_count; i++)
        response->results[i].group_id = asked->groups_names[i];
}

static void answer_create(struct owner *owner, const struct kafka_create_topics_request *asked,
                          struct kafka_create_topics_response *response, struct arena *arena)
{
    response->topics = kafka_structure_array(&kafka_create_topics_response_creatable_topic_result_type, arena,
                                             asked->topics_count);
    response->topics_count = asked->topics_count;
    for (int32_t i = 0; i < asked->topics_count; i++) {
        response->topics[i].name = asked->topics[i].name;
        response->topics[i].error_code = owner->create_error;
    }
    owner->topics_created += owner->create_error == KAFKA_ERR_NONE ? asked->topics_count : 0;
}

static void fill(struct owner *owner, const struct kafka_api *api, const void *body, void *response,
                 struct arena *arena)
{
    kafka_defaults(api->response, response);
    switch (api->key) {
    case KAFKA_API_JOIN_GROUP:
        ((struct kafka_join_group_response *)response)->member_id = slice_str("joined");
        break;
    case KAFKA_API_DESCRIBE_GROUPS:
        answer_describe(owner, body, response, arena);
        break;
    case KAFKA_API_LIST_GROUPS:
        answer_list(owner, response, arena);
        break;
    case KAFKA_API_OFFSET_FETCH:
        answer_fetch(body, response, arena);
        break;
    case KAFKA_API_DELETE_GROUPS:
        answer_delete(body, response, arena);
        break;
    case KAFKA_API_CREATE_TOPICS:
        answer_create(owner, body, response, arena);
        break;
    default:
        break;
    }
}

// Decodes the raw request, makes the answer its API has here, sends it raw.
static void owner_answer(struct owner *owner, struct block *frame, Millrace__RelayReply_Closure closure,
                         void *call)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct kafka_request_header header;
    size_t used;
    cr_assert_eq(kafka_request_decode_header(block_slice(frame), &arena, &header, &used), ST_OK);
    const struct kafka_api *api = kafka_api(header.request_api_key);
    int16_t version = header.request_api_version;
    void *body = arena_alloc(&arena, api->request->structure->size);
    void *response = arena_alloc(&arena, api->response->structure->size);
    cr_assert_eq(
        kafka_decode(api->request, version, slice_of(frame->data + used, frame->len - used), &arena, body),
        ST_OK);
    owner->api = api->key;
    fill(owner, api, body, response, &arena);
    struct kafka_response_header answered = {.correlation_id = header.correlation_id};
    struct kafka_out out;
    kafka_out_init(&out, 1 << 20);
    cr_assert_eq(kafka_encode(&kafka_response_header_message, kafka_response_header_version(api, version),
                              &answered, &out),
                 ST_OK);
    cr_assert_eq(kafka_encode(api->response, version, response, &out), ST_OK);
    struct block *block = block_copy(buf_slice(&out.bytes));
    rpc_reply_payload(call, &block, 1);
    Millrace__RelayReply reply = MILLRACE__RELAY_REPLY__INIT;
    reply.metadata_offset = owner->metadata_offset;
    reply.has_metadata_offset = true;
    closure(&reply, call);
    block_unref(&block);
    kafka_out_fini(&out);
    arena_fini(&arena);
}

void owner_answer_held(struct owner *owner)
{
    cr_assert_not_null(owner->held);
    owner_answer(owner, owner->held_frame, owner->held_closure, owner->held);
    owner->held = NULL;
    block_unref(&owner->held_frame);
}

static void owner_relay(struct owner *owner, Millrace__RelayReply_Closure closure, void *call)
{
    owner->relays++;
    struct block *frame = rpc_call_payload(call);
    cr_assert_not_null(frame);
    if (owner->mood == FAILS) {
        rpc_fail(call, owner->failure, "as the test says");
        if (owner->failures > 0 && --owner->failures == 0)
            owner->mood = ANSWERS;
    } else if (owner->mood == HOLDS) {
        cr_assert_null(owner->held);
        owner->held = call;
        owner->held_closure = closure;
        owner->held_frame = block_ref(frame);
    } else {
        owner_answer(owner, frame, closure, call);
    }
}

static void coordinator_relay(Millrace__Coordinator_Service *service, const Millrace__RelayRequest *request,
                              Millrace__RelayReply_Closure closure, void *call)
{
    struct owner *owner = (struct owner *)((char *)service - offsetof(struct owner, service));
    cr_expect_str_eq(request->principal, "User:ANONYMOUS");
    cr_expect_str_eq(request->listener, "PLAINTEXT");
    owner_relay(owner, closure, call);
}

static void coordinator_cancel_relay(Millrace__Coordinator_Service *service,
                                     const Millrace__RelayCancel *request, Millrace__Empty_Closure closure,
                                     void *call)
{
    struct owner *owner = (struct owner *)((char *)service - offsetof(struct owner, service));
    owner->cancels++;
    if (owner->held != NULL) {
        rpc_fail(owner->held, ST_CANCELLED, "");
        owner->held = NULL;
        block_unref(&owner->held_frame);
    }
    Millrace__Empty reply = MILLRACE__EMPTY__INIT;
    if (closure != NULL)
        closure(&reply, call);
}

static void controller_relay(Millrace__Controller_Service *service, const Millrace__RelayRequest *request,
                             Millrace__RelayReply_Closure closure, void *call)
{
    owner_relay((struct owner *)((char *)service - offsetof(struct owner, service)), closure, call);
}

static void controller_allocate_producer_ids(Millrace__Controller_Service *service,
                                             const Millrace__ProducerIdsRequest *request,
                                             Millrace__ProducerIdsReply_Closure closure, void *call)
{
    struct owner *owner = (struct owner *)((char *)service - offsetof(struct owner, service));
    Millrace__ProducerIdsReply reply = MILLRACE__PRODUCER_IDS_REPLY__INIT;
    reply.first = 1000 + 3 * owner->blocks++;
    reply.count = 3;
    closure(&reply, call);
}

// The image is what the test put: a long poll without an answer.
static void controller_follow(Millrace__Controller_Service *service, const Millrace__FollowRequest *request,
                              Millrace__FollowReply_Closure closure, void *call)
{
}

static void owner_open(struct owner *owner, struct env *env, enum rpc_role role, int32_t id,
                       ProtobufCService *service)
{
    owner->node = id;
    owner->metadata_offset = -1;
    owner->transport = zmq_transport_new(env, NULL);
    struct rpc_config config = {.env = env,
                                .transport = owner->transport,
                                .self = {.role = role, .node = id},
                                .incarnation = (uint64_t)id + 100};
    owner->rpc = rpc_new(&config);
    rpc_serve(owner->rpc, service);
    int port = 0;
    cr_assert_eq(rpc_listen(owner->rpc, "tcp://127.0.0.1:0", &port), ST_OK);
    snprintf(owner->endpoint, sizeof owner->endpoint, "tcp://127.0.0.1:%d", port);
}

static void owner_close(struct owner *owner)
{
    if (owner->held != NULL) {
        rpc_fail(owner->held, ST_CANCELLED, "");
        block_unref(&owner->held_frame);
    }
    rpc_close(owner->rpc);
    rpc_destroy(&owner->rpc);
    zmq_transport_destroy(&owner->transport);
}

// ---- image ----

static void put(struct node *node, Millrace__MetadataRecord *record)
{
    record->version = 1;
    cr_assert_eq(image_apply(storage.image, record, ++node->offset), ST_OK, "%s", image_error(storage.image));
}

static void put_node(struct node *node, int32_t id, Millrace__Role role, const char *rpc_endpoint,
                     int kafka_port)
{
    uint8_t directory[16] = {(uint8_t)id};
    Millrace__Endpoint endpoint = MILLRACE__ENDPOINT__INIT, *endpoints[] = {&endpoint};
    endpoint.listener = "PLAINTEXT";
    endpoint.host = "127.0.0.1";
    endpoint.port = kafka_port;
    Millrace__NodeRecord body = MILLRACE__NODE_RECORD__INIT;
    body.node_id = id;
    body.role = role;
    body.incarnation = 1;
    body.directory_id = (ProtobufCBinaryData){.len = sizeof directory, .data = directory};
    body.rpc_endpoint = (char *)(uintptr_t)rpc_endpoint;
    body.has_fenced = true;
    body.fenced = false;
    if (role == MILLRACE__ROLE__ROLE_STORAGE) {
        body.endpoints = endpoints;
        body.n_endpoints = 1;
    }
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_NODE;
    record.node = &body;
    put(node, &record);
}

static void put_topic(struct node *node, uint8_t id, const char *name, int partitions, int32_t leader)
{
    uint8_t bytes[16] = {id};
    Millrace__TopicRecord body = MILLRACE__TOPIC_RECORD__INIT;
    body.topic_id = (ProtobufCBinaryData){.len = sizeof bytes, .data = bytes};
    body.name = (char *)(uintptr_t)name;
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_TOPIC;
    record.topic = &body;
    put(node, &record);
    for (int i = 0; i < partitions; i++) {
        int32_t self[] = {leader};
        Millrace__PartitionRecord partition = MILLRACE__PARTITION_RECORD__INIT;
        partition.topic_id = body.topic_id;
        partition.partition = i;
        partition.replicas = partition.isr = self;
        partition.n_replicas = partition.n_isr = 1;
        partition.leader = leader;
        Millrace__MetadataRecord wrapped = MILLRACE__METADATA_RECORD__INIT;
        wrapped.body_case = MILLRACE__METADATA_RECORD__BODY_PARTITION;
        wrapped.partition = &partition;
        put(node, &wrapped);
    }
}

static void put_shard(struct node *node, const char *topic, int32_t shard, int32_t owner)
{
    static int32_t epoch;
    Millrace__ShardRecord body = MILLRACE__SHARD_RECORD__INIT;
    body.topic = (char *)(uintptr_t)topic;
    body.shard = shard;
    body.owner = owner;
    body.owner_epoch = ++epoch;
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_SHARD;
    record.shard = &body;
    put(node, &record);
}

static void assign(struct node *node, const char *topic, int only)
{
    for (int i = 0; i < SHARDS; i++)
        put_shard(node, topic, i, FIRST_COORDINATOR + (only >= 0 ? only : i % COORDINATORS));
}

void node_assign(struct node *node, int only)
{
    assign(node, SHARD_TOPIC_GROUPS, only);
}

void node_add_transactions(struct node *node)
{
    put_topic(node, 4, SHARD_TOPIC_TRANSACTIONS, SHARDS, SELF);
    assign(node, SHARD_TOPIC_TRANSACTIONS, -1);
}

static void peer_applied(Millrace__Storage_Service *service, const Millrace__AppliedRequest *request,
                         Millrace__Empty_Closure closure, void *call)
{
    struct owner *owner = (struct owner *)((char *)service - offsetof(struct owner, service));
    struct node *node = (struct node *)((char *)owner - offsetof(struct node, peer));
    cr_expect_eq(request->metadata_offset, node->offset);
    owner->relays++;
    owner->held = call;
    node->peer_closure = closure;
}

void node_add_peer(struct node *node, int32_t id)
{
    millrace__storage__init(&node->peer.service.storage, NULL);
    node->peer.service.storage.applied = peer_applied;
    owner_open(&node->peer, node->env, RPC_STORAGE, id, &node->peer.service.storage.base);
    put_node(node, id, MILLRACE__ROLE__ROLE_STORAGE, node->peer.endpoint, 1);
    put_topic(node, 3, "u", 1, id);
}

void peer_answer_applied(struct node *node)
{
    Millrace__Empty reply = MILLRACE__EMPTY__INIT;
    cr_assert_not_null(node->peer.held);
    node->peer_closure(&reply, node->peer.held);
    node->peer.held = NULL;
}

void node_unassign(struct node *node)
{
    for (int i = 0; i < SHARDS; i++)
        put_shard(node, SHARD_TOPIC_GROUPS, i, -1);
}

// ---- life ----

static void on_request(struct conn_request *request, void *context)
{
    apis_request(context, request);
}

static void on_cancelled(struct conn_request *request, void *context)
{
    apis_cancelled(request);
}

void coordinator_kill(struct owner *owner)
{
    owner_close(owner);
}

void coordinator_reopen(struct owner *owner, struct env *env)
{
    owner_open(owner, env, RPC_COORDINATOR, owner->node, &owner->service.coordinator.base);
}

static void open_owners(struct node *node)
{
    for (int i = 0; i < COORDINATORS; i++) {
        struct owner *owner = &node->coordinators[i];
        owner->service.coordinator =
            (Millrace__Coordinator_Service){.base = MILLRACE__COORDINATOR__BASE_INIT,
                                            .relay = coordinator_relay,
                                            .cancel_relay = coordinator_cancel_relay};
        owner->node = FIRST_COORDINATOR + i;
        coordinator_reopen(owner, node->env);
    }
    node->controller.service.controller =
        (Millrace__Controller_Service){.base = MILLRACE__CONTROLLER__BASE_INIT,
                                       .follow = controller_follow,
                                       .relay = controller_relay,
                                       .allocate_producer_ids = controller_allocate_producer_ids};
    owner_open(&node->controller, node->env, RPC_CONTROLLER, 101, &node->controller.service.controller.base);
}

static void open_node(struct node *node)
{
    node->transport = zmq_transport_new(node->env, NULL);
    struct rpc_config rpc = {.env = node->env,
                             .transport = node->transport,
                             .self = {.role = RPC_STORAGE, .node = SELF},
                             .incarnation = 5};
    node->rpc = rpc_new(&rpc);
    storage = (struct storage){.node = node, .image = image_new()};
    cr_assert_eq(controllers_new(node->env, node->rpc, node->controller.endpoint, &storage.controllers),
                 ST_OK);
    struct follow_options follow = {
        .env = node->env, .rpc = node->rpc, .controllers = storage.controllers, .image = storage.image};
    cr_assert_eq(follow_new(&follow, &storage.follow), ST_OK);
    storage.relays = relays_new(node->env, node->rpc, storage.controllers, storage.follow, storage.image);
    storage.producer_ids = producer_ids_new(storage.controllers, 5);
    storage.auto_create = auto_create_new(&storage);
}

static void open_listener(struct node *node)
{
    static const struct conn_handler handler = {
        .on_request = on_request, .on_cancelled = on_cancelled, .on_closed = refused_forget};
    struct conn_config config = conn_config_default();
    config.port = 0;
    node->listener = conn_listener_new(node->env, &config, &handler, &storage);
    cr_assert_eq(conn_listener_open(node->listener), ST_OK);
}

void node_start(struct node *node)
{
    memset(node, 0, sizeof *node);
    node->offset = -1;
    cr_assert_eq(env_posix_new("node", 1, &node->env), ST_OK);
    node->env->diag.level = DIAG_ERROR;
    node->config = config_new();
    config_declare(node->config, storage_config_rows, storage_config_count);
    arena_init(&node->arena, 16 << 20);
    open_owners(node);
    open_node(node);
    open_listener(node);
    put_node(node, SELF, MILLRACE__ROLE__ROLE_STORAGE, "tcp://127.0.0.1:1",
             conn_listener_port(node->listener));
    for (int i = 0; i < COORDINATORS; i++)
        put_node(node, FIRST_COORDINATOR + i, MILLRACE__ROLE__ROLE_COORDINATOR,
                 node->coordinators[i].endpoint, 0);
    put_topic(node, 1, "t", 2, SELF);
    put_topic(node, 2, SHARD_TOPIC_GROUPS, SHARDS, SELF);
    node_assign(node, -1);
    struct conn_client_config client = conn_client_config_default();
    cr_assert_eq(conn_client_connect_wait(node->env, &client, "127.0.0.1", conn_listener_port(node->listener),
                                          &node->client),
                 ST_OK);
}

void node_stop(struct node *node)
{
    conn_client_destroy(&node->client);
    conn_listener_destroy(&node->listener);
    auto_create_destroy(&storage.auto_create);
    producer_ids_destroy(&storage.producer_ids);
    relays_destroy(&storage.relays);
    follow_destroy(&storage.follow);
    controllers_destroy(&storage.controllers);
    rpc_close(node->rpc);
    rpc_destroy(&node->rpc);
    zmq_transport_destroy(&node->transport);
    for (int i = 0; i < COORDINATORS; i++)
        owner_close(&node->coordinators[i]);
    owner_close(&node->controller);
    if (node->peer.rpc != NULL)
        owner_close(&node->peer);
    image_destroy(&storage.image);
    config_destroy(&node->config);
    arena_fini(&node->arena);
    env_posix_destroy(&node->env);
}

const void *ask(struct node *node, int16_t api, int16_t version, const void *body)
{
    const void *answer = NULL;
    enum status status =
        conn_client_call_wait(node->client, api, version, body, 20000, &node->arena, &answer);
    return status == ST_OK ? answer : NULL;
}

void note_status(enum status status, const struct conn_answer *answer, void *context)
{
    *(enum status *)context = status;
}

void node_turn(struct node *node, int ms)
{
    for (int64_t until = env_now_us(node->env) + ms * 1000; env_now_us(node->env) < until;)
        env_posix_turn(node->env, 1000);
}

int raw_exchange(struct node *node, struct slice bytes, uint8_t *data, size_t room)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)conn_listener_port(node->listener))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    cr_assert_eq(send(fd, bytes.data, bytes.len, MSG_NOSIGNAL), (ssize_t)bytes.len);
    node_turn(node, 100);
    ssize_t got = recv(fd, data, room, MSG_DONTWAIT);
    close(fd);
    return (int)got;
}
