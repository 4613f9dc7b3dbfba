// SPDX-License-Identifier: Apache-2.0
// What a partition keeps of the answers of transactions' coordinators: no longer than somebody needs it, and
// as long as a late marker must be told from one of the transaction that is open.
#include "admission.h"
#include "cluster/shard.h"
#include "markers.h"
#include "node.h"
#include "partitions_state.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { PRODUCER = 7, EARLIER_MS = 1000, LATER_MS = 2000, ASKERS = 20 };

static struct node node;
static struct dirs *dirs;
static struct partitions *partitions;
static struct replica replica;
static int asked;
static int16_t says; // the coordinator
static enum status told;

static bool lease_held(void *context)
{
    return true;
}

static void on_asked(Millrace__Coordinator_Service *service, const Millrace__AddToTransactionRequest *request,
                     Millrace__AddToTransactionReply_Closure closure, void *call)
{
    Millrace__AddToTransactionReply reply = MILLRACE__ADD_TO_TRANSACTION_REPLY__INIT;
    asked++;
    reply.error = says;
    reply.started_ms = LATER_MS;
    closure(&reply, call);
}

static void put(Millrace__MetadataRecord *record)
{
    record->version = 1;
    cr_assert_eq(image_apply(storage_image(node_storage()), record, ++node.offset), ST_OK);
}

static void put_transactions(void)
{
    uint8_t id[16] = {9};
    int32_t self[] = {SELF};
    Millrace__TopicRecord topic = MILLRACE__TOPIC_RECORD__INIT;
    topic.topic_id = (ProtobufCBinaryData){.len = sizeof id, .data = id};
    topic.name = SHARD_TOPIC_TRANSACTIONS;
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_TOPIC;
    record.topic = &topic;
    put(&record);
    Millrace__PartitionRecord partition = MILLRACE__PARTITION_RECORD__INIT;
    partition.topic_id = topic.topic_id;
    partition.replicas = partition.isr = self;
    partition.n_replicas = partition.n_isr = 1;
    partition.leader = SELF;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_PARTITION;
    record.partition = &partition;
    put(&record);
    Millrace__ShardRecord shard = MILLRACE__SHARD_RECORD__INIT;
    shard.topic = SHARD_TOPIC_TRANSACTIONS;
    shard.owner = FIRST_COORDINATOR;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_SHARD;
    record.shard = &shard;
    put(&record);
}

static void replica_make(void)
{
    struct log_config config = log_config_default();
    replica = (struct replica){.partitions = partitions, .topic = "t", .topic_id = {{1}}};
    cr_assert_eq(dirs_create(dirs, "t-0", replica.topic_id, &config, &replica.log), ST_OK);
    log_attach(replica.log, &replica);
    struct partition_view view = {.leader = SELF,
                                  .leader_epoch = 1,
                                  .min_isr = 1,
                                  .replica_count = 1,
                                  .replicas = {{.node = SELF, .incarnation = 5, .in_isr = true}}};
    partition_init(&replica.state, SELF, 0, 0, 0);
    partition_view(&replica.state, &view, 0);
    map_init(&replica.grants, 0);
}

static void setup(void)
{
    char directory[] = "/tmp/millrace-admission-XXXXXX";
    cr_assert_not_null(mkdtemp(directory));
    node_start(&node);
    node.coordinators[0].service.coordinator.add_to_transaction = on_asked;
    put_transactions();
    struct log_set_config config = log_set_config_default();
    config.free_bytes_min = 0;
    struct log_set *set;
    cr_assert_eq(log_set_open(node.env, directory, &config, &set), ST_OK);
    dirs = dirs_of(node.env, set);
    struct partitions_options options = {.env = node.env,
                                         .rpc = node.rpc,
                                         .dirs = dirs,
                                         .image = storage_image(node_storage()),
                                         .node_id = SELF,
                                         .rpc_endpoint = "",
                                         .lease_held = lease_held};
    partitions = partitions_new(&options);
    replica_make();
}

static void teardown(void)
{
    admission_forget(&replica);
    map_fini(&replica.grants);
    log_attach(replica.log, NULL);
    partition_fini(&replica.state);
    partitions_destroy(&partitions);
    dirs_destroy(&dirs);
    node_stop(&node);
}

static enum admission check(int64_t producer_id, int16_t *error)
{
    struct batch_header header = {.producer_id = producer_id, .attributes = BATCH_TRANSACTIONAL};
    struct admission_ask ask = {.header = &header, .transactional_id = slice_str("x")};
    return admission_check(&replica, &ask, error);
}

static void await_asked(int wanted)
{
    for (int64_t until = env_now_us(node.env) + 5000000; asked < wanted && env_now_us(node.env) < until;)
        env_posix_turn(node.env, 1000);
    cr_assert_eq(asked, wanted);
}

static void on_marked(void *context, enum status status)
{
    told = status;
}

static void tell(int64_t started_ms)
{
    struct marker marker = {.producer_id = PRODUCER, .commit = true, .started_ms = started_ms};
    struct marker_wait wait = {.done = NULL};
    told = ST_AGAIN;
    marker_write(&replica, &marker, &wait, on_marked, NULL);
    wait_cancel(&wait.wait);
}

TestSuite(admission, .init = setup, .fini = teardown, .timeout = 60);

Test(admission, a_marker_that_comes_late_changes_nothing_however_often_it_comes)
{
    int16_t error;
    struct batch_header header = {.producer_id = PRODUCER};
    cr_assert_eq(check(PRODUCER, &error), ADMISSION_WAITS);
    await_asked(1);
    while (check(PRODUCER, &error) == ADMISSION_WAITS)
        env_posix_turn(node.env, 1000);
    for (int i = 0; i < 3; i++) {
        tell(EARLIER_MS);
        cr_expect_eq(told, ST_OK);
        cr_expect_eq(replica.state.log_end, 0, "it has been here before the later transaction began");
        cr_expect(admission_open(&replica, &header), "of the later one");
    }
    tell(LATER_MS);
    cr_expect_eq(replica.state.log_end, 1);
    cr_expect_not(admission_open(&replica, &header));
}

Test(admission, what_is_refused_is_not_kept_for_who_has_gone)
{
    int16_t error;
    says = KAFKA_ERR_TRANSACTION_ABORTABLE;
    for (int i = 0; i < ASKERS; i++)
        cr_assert_eq(check(PRODUCER + i, &error), ADMISSION_WAITS);
    await_asked(ASKERS);
    for (int64_t until = env_now_us(node.env) + 5000000;
         replica.grants.count > 0 && env_now_us(node.env) < until;)
        env_posix_turn(node.env, 1000);
    cr_expect_eq(replica.grants.count, 0);
}
