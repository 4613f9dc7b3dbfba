// SPDX-License-Identifier: Apache-2.0
// The leader's side of a replication stream, with a follower that is scripted: what it is sent continues what
// it has said last that it has.
#include "node.h"

#include "base/mem.h"
#include "kafka/batch.h"
#include "partitions_state.h"
#include "replica.h"
#include "rpc/zmq.h"
#include "stream_out.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { FOLLOWER = 2, EPOCH = 1, STREAM = 77, RECORDS = 4, BLOCKERS = 8 };

static struct node node;
static char directory[64];
static struct dirs *dirs;
static struct partitions *partitions;
static struct replica *replica;
static struct transport *transport;
static struct rpc *leader;
static Millrace__Storage_Service service;
static struct rpc_peer *to_leader;
static bool opened;
static int subscribed;
static int64_t begins_at = -1, first_batch = -1; // of the first records sent

static void on_open(Millrace__Storage_Service *self, const Millrace__OpenStreamRequest *request,
                    Millrace__OpenStreamReply_Closure closure, void *call)
{
    streams_out_open(partitions->out, request, closure, call);
}

static void on_subscribe(Millrace__Storage_Service *self, const Millrace__SubscribeRequest *request,
                         Millrace__SubscribeReply_Closure closure, void *call)
{
    streams_out_subscribe(partitions->out, request, closure, call);
}

static void on_append(Millrace__Storage_Service *self, const Millrace__AppendRequest *request,
                      Millrace__AppendReply_Closure closure, void *call)
{
    Millrace__AppendReply reply = MILLRACE__APPEND_REPLY__INIT;
    struct batch_header header;
    reply.stream_id = request->stream_id;
    for (size_t i = 0; i < request->n_entries && begins_at < 0; i++) {
        if (request->entries[i]->length == 0)
            continue;
        cr_assert_eq(batch_parse(block_slice(rpc_call_payload(call)), &header), ST_OK);
        begins_at = request->entries[i]->base_offset;
        first_batch = header.base_offset;
    }
    closure(&reply, call);
}

static void on_opened(const Millrace__OpenStreamReply *reply, void *context)
{
    cr_expect_not_null(reply);
    opened = true;
}

static void on_subscribed(const Millrace__SubscribeReply *reply, void *context)
{
    cr_assert_not_null(reply);
    cr_assert_eq(reply->n_partitions, 1);
    cr_expect_eq(reply->partitions[0]->status, ST_OK);
    cr_expect_not(reply->partitions[0]->has_truncate_to || reply->partitions[0]->has_start_at);
    subscribed++;
}

static bool lease_held(void *context)
{
    return true;
}

static void append(void)
{
    struct batch_record record = {.value = slice_str("v")};
    struct batch_spec spec = batch_spec_plain();
    struct batch_header header;
    struct buf bytes;
    buf_init(&bytes, 1 << 10);
    cr_assert_eq(batch_build(&spec, &record, 1, &bytes), ST_OK);
    struct block *block = block_copy(buf_slice(&bytes));
    cr_assert_eq(batch_parse(block_slice(block), &header), ST_OK);
    cr_assert_eq(replica_append(replica, block, 0, block->len, &header), ST_OK);
    block_unref(&block);
    buf_fini(&bytes);
}

// What is appended is in the segment's file: who lacks it is sent what the pool has read.
static void replica_make(void)
{
    struct log_config config = log_config_default();
    struct uuid id = {{9}};
    uint8_t key[PARTITIONS_KEY_SIZE];
    replica = mem_calloc(1, sizeof *replica);
    *replica =
        (struct replica){.partitions = partitions, .topic = mem_strdup("r"), .topic_id = id, .damaged_at = -1};
    map_init(&replica->grants, 0);
    cr_assert_eq(dirs_create(dirs, "r-0", id, &config, &replica->log), ST_OK);
    log_attach(replica->log, replica);
    struct partition_view view = {.leader = SELF,
                                  .leader_epoch = EPOCH,
                                  .min_isr = 1,
                                  .replica_count = 2,
                                  .replicas = {{.node = SELF, .incarnation = 5, .in_isr = true},
                                               {.node = FOLLOWER, .incarnation = 1, .fenced = true}}};
    partition_init(&replica->state, SELF, 0, 0, 0);
    partition_view(&replica->state, &view, 0);
    map_put(&partitions->replicas, partitions_key(key, id, 0), replica);
    for (int i = 0; i < RECORDS; i++)
        append();
    partitions_flush(partitions);
    for (int i = 0; i < 500 && log_written(replica->log) < RECORDS; i++)
        node_turn(&node, 10);
    cr_assert_eq(log_written(replica->log), RECORDS);
}

static void setup(void)
{
    char endpoint[64];
    int port = 0;
    node_start(&node);
    node_add_peer(&node, FOLLOWER);
    node.peer.service.storage.append = on_append;
    snprintf(directory, sizeof directory, "/tmp/millrace-stream-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    struct log_set_config config = log_set_config_default();
    config.free_bytes_min = 0;
    struct log_set *set;
    cr_assert_eq(log_set_open(node.env, directory, &config, &set), ST_OK);
    dirs = dirs_of(node.env, set);
    transport = zmq_transport_new(node.env, NULL);
    struct rpc_config end = {.env = node.env,
                             .transport = transport,
                             .self = {.role = RPC_STORAGE, .node = SELF},
                             .incarnation = 5};
    leader = rpc_new(&end);
    millrace__storage__init(&service, NULL);
    service.open_stream = on_open;
    service.subscribe = on_subscribe;
    rpc_serve(leader, &service.base);
    cr_assert_eq(rpc_listen(leader, "tcp://127.0.0.1:0", &port), ST_OK);
    struct partitions_options options = {.env = node.env,
                                         .rpc = leader,
                                         .image = storage_image(node_storage()),
                                         .controllers = storage_controllers(node_storage()),
                                         .dirs = dirs,
                                         .node_id = SELF,
                                         .incarnation = 5,
                                         .rpc_endpoint = "",
                                         .lease_held = lease_held};
    partitions = partitions_new(&options);
    replica_make();
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
    to_leader = rpc_peer(node.peer.rpc, endpoint, (struct rpc_node){.role = RPC_STORAGE, .node = SELF});
    Millrace__OpenStreamRequest open = MILLRACE__OPEN_STREAM_REQUEST__INIT;
    struct rpc_options call = {.deadline_ms = 10000};
    open.stream_id = STREAM;
    open.follower = FOLLOWER;
    open.incarnation = 1;
    open.rpc_endpoint = node.peer.endpoint;
    millrace__storage__open_stream(rpc_on(to_leader, &millrace__storage__descriptor, &call), &open, on_opened,
                                   NULL);
    for (int i = 0; i < 500 && !opened; i++)
        node_turn(&node, 10);
    cr_assert(opened);
}

static void teardown(void)
{
    rpc_peer_release(&to_leader);
    rpc_close(leader);
    log_attach(replica->log, NULL);
    partitions_destroy(&partitions);
    dirs_destroy(&dirs);
    rpc_destroy(&leader);
    zmq_transport_destroy(&transport);
    node_stop(&node);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    cr_expect_eq(system(command), 0);
}

// The follower says that it has everything below end.
static void subscribe(uint32_t id, int64_t end)
{
    Millrace__Subscription item = MILLRACE__SUBSCRIPTION__INIT, *items[] = {&item};
    Millrace__SubscribeRequest request = MILLRACE__SUBSCRIBE_REQUEST__INIT;
    struct rpc_options call = {.deadline_ms = 10000};
    int before = subscribed;
    item.topic_id = (ProtobufCBinaryData){.len = sizeof replica->topic_id, .data = replica->topic_id.bytes};
    item.leader_epoch = item.last_epoch = EPOCH;
    item.log_end = item.flushed = end;
    item.has_flushed = true;
    item.subscription = id;
    request.stream_id = STREAM;
    request.n_partitions = 1;
    request.partitions = items;
    millrace__storage__subscribe(rpc_on(to_leader, &millrace__storage__descriptor, &call), &request,
                                 on_subscribed, NULL);
    for (int i = 0; i < 500 && subscribed == before; i++)
        node_turn(&node, 10);
    cr_assert_eq(subscribed, before + 1);
}

static pthread_mutex_t pool_stands = PTHREAD_MUTEX_INITIALIZER;

static void blocker_run(struct job *job)
{
    pthread_mutex_lock(&pool_stands);
    pthread_mutex_unlock(&pool_stands);
}

static void blocker_done(struct job *job)
{
}

TestSuite(stream_out, .init = setup, .fini = teardown, .timeout = 60);

Test(stream_out, read_for_a_former_subscription_is_not_sent_for_the_present_one)
{
    struct job blockers[BLOCKERS];
    pthread_mutex_lock(&pool_stands);
    for (int i = 0; i < BLOCKERS; i++) {
        blockers[i] = (struct job){.run = blocker_run, .done = blocker_done};
        env_submit(node.env, node.env->pool, &blockers[i]);
    }
    subscribe(1, 3);
    subscribe(2, 1); // it has lost some, and the read of what it lacked before is still under way
    pthread_mutex_unlock(&pool_stands);
    for (int i = 0; i < 500 && begins_at < 0; i++)
        node_turn(&node, 10);
    cr_expect_eq(begins_at, 1);
    cr_expect_eq(first_batch, 1);
}

static void on_emptied(struct log *log, enum status status, void *context)
{
    cr_expect_eq(status, ST_OK);
    *(bool *)context = true;
}

// Its leader had deleted all records when this one began; the other was down meanwhile and has them.
Test(stream_out, leader_without_records_takes_a_follower_that_has_some)
{
    bool emptied = false;
    log_truncate_fully(replica->log, RECORDS, on_emptied, &emptied);
    for (int i = 0; i < 500 && !emptied; i++)
        node_turn(&node, 10);
    cr_assert(emptied);
    cr_assert_lt(log_last_epoch(replica->log), 0);
    subscribe(1, RECORDS);
}
