// SPDX-License-Identifier: Apache-2.0
// A controller alone, with its loop held at will: its disk does not keep up, or another one leads before it
// knows.
#include <criterion/criterion.h>

#include "base/mem.h"
#include "controller.h"
#include "io/env_posix.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/create_topics.h"
#include "kafka/messages/elect_leaders.h"
#include "leases.h"
#include "nodes.h"
#include "raft_wire.h"
#include "relay.h"
#include "rpc/zmq.h"
#include "store_files.h"

#include <stdio.h>
#include <stdlib.h>

enum { TOPICS = 2000 };

struct alone {
    struct env *env;
    struct config *config;
    struct transport *transport;
    struct rpc *rpc;
    struct controller *controller;
    char directory[64];
};

static void on_fail(void *context, const char *why)
{
    cr_assert_fail("%s", why);
}

static void begin(struct alone *alone)
{
    char endpoint[64], error[CONFIG_ERROR_SIZE];
    int port = 0;
    snprintf(alone->directory, sizeof alone->directory, "/tmp/unit_controller.XXXXXX");
    cr_assert_not_null(mkdtemp(alone->directory));
    cr_assert_eq(env_posix_new("test", 1, &alone->env), ST_OK);
    alone->env->diag.level = DIAG_ERROR + 1;
    alone->config = config_new();
    config_declare(alone->config, config_common_rows, config_common_count);
    config_declare(alone->config, controller_config_rows, controller_config_count);
    cr_assert_eq(config_set(alone->config, "metadata.log.dir", alone->directory, error), ST_OK);
    alone->transport = zmq_transport_new(alone->env, NULL);
    struct rpc_config rpc = {.env = alone->env,
                             .transport = alone->transport,
                             .self = {.role = RPC_CONTROLLER, .node = 0},
                             .incarnation = 1};
    alone->rpc = rpc_new(&rpc);
    cr_assert_eq(rpc_listen(alone->rpc, "tcp://127.0.0.1:0", &port), ST_OK);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
    struct controller_options options = {.env = alone->env,
                                         .config = alone->config,
                                         .rpc = alone->rpc,
                                         .rpc_endpoint = endpoint,
                                         .on_fail = on_fail};
    cr_assert_eq(controller_new(&options, &alone->controller), ST_OK);
    controller_start(alone->controller);
    int64_t until_ms = env_now_ms(alone->env) + 20000;
    while (!controller_active(alone->controller) && env_now_ms(alone->env) < until_ms)
        env_posix_turn(alone->env, 10);
    cr_assert(controller_active(alone->controller));
}

static void end(struct alone *alone)
{
    char command[100];
    controller_destroy(&alone->controller);
    rpc_destroy(&alone->rpc);
    zmq_transport_destroy(&alone->transport);
    config_destroy(&alone->config);
    env_posix_destroy(&alone->env);
    snprintf(command, sizeof command, "rm -rf %s", alone->directory);
    cr_assert_eq(system(command), 0);
}

static void put_node(struct decision *decision, int32_t id)
{
    struct image_node node = {.id = id,
                              .role = MILLRACE__ROLE__ROLE_STORAGE,
                              .incarnation = 1,
                              .rpc_endpoint = "tcp://a:1",
                              .rack = "",
                              .host = ""};
    decision_node(decision, &node);
}

// Topics whose first replica does not lead, although it could.
static void put_topics(struct alone *alone)
{
    static const int32_t replicas[] = {1, 2};
    struct decision decision;
    decision_init(&decision);
    put_node(&decision, 1);
    put_node(&decision, 2);
    for (int i = 0; i < TOPICS; i++) {
        struct uuid id = env_random_uuid(alone->env);
        struct image_partition partition = {.replicas = {replicas, 2}, .isr = {replicas, 2}, .leader = 2};
        decision_topic(&decision, id, arena_printf(&decision.arena, "t%d", i), false);
        decision_partition(&decision, id, &partition);
    }
    cr_assert_eq(metadata_append(alone->controller->metadata, &decision), ST_OK);
    decision_fini(&decision);
}

// The loop does not turn meanwhile, so nothing is acknowledged.
static void fill_log(struct alone *alone)
{
    enum status status = ST_OK;
    for (int i = 0; status == ST_OK; i++) {
        char value[16];
        struct decision decision;
        decision_init(&decision);
        snprintf(value, sizeof value, "%d", i);
        decision_config(&decision, MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER, "", "num.partitions", value);
        status = metadata_append(alone->controller->metadata, &decision);
        decision_fini(&decision);
    }
    cr_assert_eq(status, ST_LIMIT);
}

Test(full_log, elections_of_many_topics_are_refused_one_by_one)
{
    struct alone alone = {0};
    begin(&alone);
    put_topics(&alone);
    fill_log(&alone);
    struct kafka_elect_leaders_request request;
    struct kafka_elect_leaders_response response;
    kafka_defaults(&kafka_elect_leaders_request_message, &request);
    kafka_defaults(&kafka_elect_leaders_response_message, &response);
    request.topic_partitions_count = -1; // all
    struct relay relay = {.controller = alone.controller,
                          .principal = {.name = PRINCIPAL_ANONYMOUS, .listener = "", .host = ""},
                          .version = 2,
                          .request = &request,
                          .response = &response};
    arena_init(&relay.arena, 16 << 20);
    int64_t began_ms = env_now_ms(alone.env);
    elect_leaders(&relay);
    cr_assert_lt(env_now_ms(alone.env) - began_ms, 10000, "half a minute when the image is built for each anew");
    cr_assert_eq(relay.failed, ST_OK);
    cr_assert_eq(response.replica_election_results_count, TOPICS);
    for (int i = 0; i < TOPICS; i++) {
        cr_assert_eq(response.replica_election_results[i].partition_result_count, 1);
        cr_assert_eq(response.replica_election_results[i].partition_result[0].error_code,
                     KAFKA_ERR_REQUEST_TIMED_OUT);
    }
    arena_fini(&relay.arena);
    end(&alone);
}

static int led_by(const struct alone *alone, int32_t node)
{
    const struct image *image = metadata_image(alone->controller->metadata);
    int count = 0;
    for (size_t i = 0; i < image_topic_count(image); i++)
        for (size_t p = 0; p < image_topic_at(image, i)->partition_count; p++)
            count += image_topic_at(image, i)->partitions[p]->leader == node;
    return count;
}

static void put_leases(struct alone *alone)
{
    for (int32_t id = 1; id <= 2; id++)
        leases_put(alone->controller->nodes, id, 1)->until_ms = env_now_ms(alone->env) + 600000;
}

// What is said with heartbeats until the log takes it.
static void tell_until_settled(struct alone *alone, bool draining, int64_t flush_age_ms, int32_t leader)
{
    int64_t until_ms = env_now_ms(alone->env) + 20000;
    while (led_by(alone, leader) < TOPICS && env_now_ms(alone->env) < until_ms) {
        env_posix_turn(alone->env, 10);
        nodes_told(alone->controller, 2, draining, flush_age_ms);
    }
    cr_assert_eq(led_by(alone, leader), TOPICS);
}

Test(full_log, a_stalled_disk_or_a_drain_that_is_refused_is_settled_with_a_later_heartbeat)
{
    static const struct {
        bool draining;
        int64_t flush_age_ms;
    } cases[] = {{true, 0}, {false, 600000}};
    for (int i = 0; i < 2; i++) {
        struct alone alone = {0};
        begin(&alone);
        put_topics(&alone);
        put_leases(&alone);
        fill_log(&alone);
        nodes_told(alone.controller, 2, cases[i].draining, cases[i].flush_age_ms);
        cr_assert_eq(led_by(&alone, 2), TOPICS, "the log has no room");
        tell_until_settled(&alone, cases[i].draining, cases[i].flush_age_ms, 1);
        end(&alone);
    }
}

// ---- deposed by a snapshot ----

struct told {
    int count;
    enum status status;
};

static void on_told(void *context, enum status status)
{
    struct told *told = context;
    told->count++;
    told->status = status;
}

// A snapshot, small enough for one message, of the leader of a later term.
static void receive_snapshot(struct alone *alone)
{
    struct controller *controller = alone->controller;
    struct raft_voter leader = {.id = 9, .directory = env_random_uuid(alone->env)};
    const struct raft *raft = quorum_raft(controller->quorum);
    struct raft_message message = {.kind = RAFT_CHUNK,
                                   .from = leader,
                                   .to = raft_self(raft),
                                   .term = raft_term(raft) + 1,
                                   .index = raft_last_index(raft) + 1000,
                                   .log_term = raft_term(raft) + 1,
                                   .config = {.count = 1, .voters = {leader}},
                                   .done = true};
    struct files files = {.env = alone->env, .cluster = store_cluster(controller->store)};
    struct raft_snapshot snapshot = {
        .index = message.index, .term = message.log_term, .config = message.config};
    struct buf bytes;
    struct arena arena;
    struct block *none;
    buf_init(&bytes, 10000);
    arena_init(&arena, 10000);
    store_snapshot_put_header(&files, &bytes, &snapshot, message.index, slice_of("", 0));
    struct block *chunk = block_copy(buf_slice(&bytes));
    quorum_receive(controller->quorum, raft_wire_pack(&arena, &message, "", &none), chunk);
    block_unref(&chunk);
    arena_fini(&arena);
    buf_fini(&bytes);
}

Test(deposed, by_a_snapshot_nobody_waits_on_for_what_is_gone)
{
    struct alone alone = {0};
    struct told told = {0};
    begin(&alone);
    put_topics(&alone);
    metadata_when_committed(alone.controller->metadata, on_told, &told);
    cr_assert_eq(told.count, 0);
    receive_snapshot(&alone);
    cr_assert_not(controller_active(alone.controller), "it would decide on a log that is not its own");
    cr_assert_eq(told.count, 1);
    cr_assert_eq(told.status, ST_NOT_LEADER);
    int64_t until_ms = env_now_ms(alone.env) + 20000;
    while (quorum_installing(alone.controller->quorum) && env_now_ms(alone.env) < until_ms)
        env_posix_turn(alone.env, 10);
    cr_assert_eq(image_topic_count(controller_image(alone.controller)), 0);
    cr_assert_eq(told.count, 1);
    end(&alone);
}

// ---- large decisions ----

// A value so long that the decisions are as large as those about a node with thousands of partitions.
static void put_large(struct alone *alone, int count)
{
    static char value[2000];
    memset(value, 'x', sizeof value - 1);
    for (int i = 0; i < count; i++) {
        struct decision decision;
        decision_init(&decision);
        value[0] = (char)('a' + i % 2);
        for (int k = 0; k < 100; k++)
            decision_config(&decision, MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER, "", "log.dir", value);
        cr_assert_eq(metadata_append(alone->controller->metadata, &decision), ST_OK);
        decision_fini(&decision);
        env_posix_turn(alone->env, 0);
    }
}

Test(large_decisions, do_not_let_the_log_grow_beyond_what_can_be_read)
{
    struct alone alone = {0};
    begin(&alone);
    put_large(&alone, 150); // 30 MB in few entries
    const struct raft *raft = quorum_raft(alone.controller->quorum);
    int64_t until_ms = env_now_ms(alone.env) + 5000;
    while (raft_snapshot(raft)->index == 0 && env_now_ms(alone.env) < until_ms)
        env_posix_turn(alone.env, 10);
    cr_assert_gt(raft_snapshot(raft)->index, 0, "no snapshot behind 30 MB");
    cr_assert_lt(store_log_bytes(alone.controller->store), 30000000);
    end(&alone);
}

// ---- a large cluster ----

enum { MANY_TOPICS = 100, MANY_PARTITIONS = 1000, CREATED = 1000 };

static void put_many(struct alone *alone)
{
    static const int32_t replicas[] = {1, 2};
    for (int i = 0; i < MANY_TOPICS; i++) {
        struct decision decision;
        struct uuid id = env_random_uuid(alone->env);
        decision_init(&decision);
        if (i == 0) {
            put_node(&decision, 1);
            put_node(&decision, 2);
        }
        decision_topic(&decision, id, arena_printf(&decision.arena, "many%d", i), false);
        for (int p = 0; p < MANY_PARTITIONS; p++) {
            struct image_partition partition = {
                .index = p, .replicas = {replicas, 2}, .isr = {replicas, 2}, .leader = 1};
            decision_partition(&decision, id, &partition);
        }
        cr_assert_eq(metadata_append(alone->controller->metadata, &decision), ST_OK);
        decision_fini(&decision);
    }
}

// A request to create so many topics, which the caller fills in.
static void begin_creation(const struct alone *alone, struct relay *relay,
                           struct kafka_create_topics_request *request,
                           struct kafka_create_topics_response *response, int32_t topics)
{
    kafka_defaults(&kafka_create_topics_request_message, request);
    kafka_defaults(&kafka_create_topics_response_message, response);
    *relay = (struct relay){.controller = alone->controller,
                            .principal = {.name = PRINCIPAL_ANONYMOUS, .listener = "", .host = ""},
                            .version = 7,
                            .request = request,
                            .response = response};
    arena_init(&relay->arena, 64 << 20);
    request->topics =
        kafka_structure_array(&kafka_create_topics_request_creatable_topic_type, &relay->arena, topics);
    request->topics_count = topics;
}

Test(large_cluster, many_topics_are_created_in_a_moment)
{
    struct alone alone = {0};
    begin(&alone);
    put_many(&alone);
    struct kafka_create_topics_request request;
    struct kafka_create_topics_response response;
    struct relay relay;
    begin_creation(&alone, &relay, &request, &response, CREATED);
    for (int i = 0; i < CREATED; i++) {
        request.topics[i].name = slice_str(arena_printf(&relay.arena, "created%d", i));
        request.topics[i].num_partitions = 1;
        request.topics[i].replication_factor = 2;
    }
    int64_t began_ms = env_now_ms(alone.env);
    create_topics(&relay);
    int64_t took_ms = env_now_ms(alone.env) - began_ms;
    for (int i = 0; i < CREATED; i++)
        cr_assert_eq(response.topics[i].error_code, KAFKA_ERR_NONE);
    cr_assert_lt(took_ms, 5000, "half a minute when all partitions are looked at for each");
    arena_fini(&relay.arena);
    end(&alone);
}

Test(large_cluster, a_long_assignment_is_planned_in_a_moment)
{
    static int32_t replicas[] = {1, 2};
    enum { ASSIGNED = IMAGE_PARTITIONS_MAX };
    struct alone alone = {0};
    begin(&alone);
    put_many(&alone);
    struct kafka_create_topics_request request;
    struct kafka_create_topics_response response;
    struct relay relay;
    begin_creation(&alone, &relay, &request, &response, 1);
    request.validate_only = true;
    request.topics[0].name = slice_str("assigned");
    request.topics[0].num_partitions = request.topics[0].replication_factor = -1;
    request.topics[0].assignments = kafka_structure_array(
        &kafka_create_topics_request_creatable_replica_assignment_type, &relay.arena, ASSIGNED);
    request.topics[0].assignments_count = ASSIGNED;
    for (int i = 0; i < ASSIGNED; i++) {
        request.topics[0].assignments[i].partition_index = ASSIGNED - 1 - i;
        request.topics[0].assignments[i].broker_ids = replicas;
        request.topics[0].assignments[i].broker_ids_count = 2;
    }
    int64_t began_ms = env_now_ms(alone.env);
    create_topics(&relay);
    int64_t took_ms = env_now_ms(alone.env) - began_ms;
    cr_assert_eq(response.topics[0].error_code, KAFKA_ERR_NONE);
    cr_assert_lt(took_ms, 2000, "each is looked for among all others");
    arena_fini(&relay.arena);
    end(&alone);
}
