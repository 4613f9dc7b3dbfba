// SPDX-License-Identifier: Apache-2.0
// A producer with nothing between it and the nodes (conn/client): it measures how long a cluster does not
// acknowledge. One record per partition is under way; what fails in any way is sent again at the next tick,
// and metadata is asked for every tick as long as something is not as it should be. Not idempotent: it
// measures, the checking of records is load.c's work.
//   raw BOOTSTRAP TOPIC PARTITIONS [TICK_MS [CALL_MS]]
// A tick every 10 ms and 30 s for an answer unless told otherwise.
// Output lines, times in microseconds of CLOCK_BOOTTIME: "ack partition record us", "error partition
// code us", "broken us" (a connection ended). Ends with its parent or by a signal.
#include "base/assert.h"
#include "base/buf.h"
#include "base/config.h"
#include "conn/client.h"
#include "io/env_posix.h"
#include "kafka/api.h"
#include "kafka/batch.h"
#include "kafka/codec.h"
#include "kafka/messages/metadata.h"
#include "kafka/messages/produce.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

enum {
    TICK_MS = 10,
    TICK_MS_MAX = 10000,
    NODES_MAX = 16,
    PARTITIONS_MAX = 256,
    CALL_MS = 30000,
    CONNECT_MS = 1000,
    METADATA_MS = 1000,
    VERSION_MAX = 9 // topics by name
};

struct node {
    struct raw *raw;
    int32_t id; // -1: not known yet
    char host[256];
    int port;
    struct conn_client *client;
    bool connected;
    bool broken; // to be closed at the next tick: not from inside its own callback
};

struct partition {
    struct raw *raw;
    int32_t index, leader;
    long long record;
    bool under_way;
};

struct raw {
    struct env *env;
    struct slice topic;
    struct node nodes[NODES_MAX];
    int node_count, ask_next;
    struct partition partitions[PARTITIONS_MAX];
    int partition_count;
    bool metadata_wanted, metadata_under_way;
    struct timer tick;
    int64_t tick_ms, call_ms;
    struct buf batch;
};

// ---- nodes ----

static void node_on_ready(enum status status, void *context)
{
    struct node *node = context;
    node->connected = status == ST_OK;
    node->broken = !node->connected;
}

static void node_keep(struct node *node)
{
    bool ended = node->connected && !conn_client_ready(node->client); // told to nobody when nothing was open
    if (node->client != NULL && !node->broken && !ended)
        return;
    if (node->client != NULL)
        conn_client_destroy(&node->client);
    node->broken = node->connected = false;
    struct conn_client_config config = conn_client_config_default();
    config.client_id = "raw";
    config.connect_timeout_ms = CONNECT_MS;
    node->client = conn_client_new(node->raw->env, &config, node->host, node->port, node_on_ready, node);
}

static struct node *node_by_id(struct raw *raw, int32_t id)
{
    for (int i = 0; i < raw->node_count; i++)
        if (raw->nodes[i].id == id)
            return &raw->nodes[i];
    return NULL;
}

static bool node_usable(const struct node *node)
{
    return node != NULL && node->client != NULL && !node->broken && conn_client_ready(node->client);
}

static void node_broke(struct node *node)
{
    if (!node->broken)
        printf("broken %lld\n", (long long)env_now_us(node->raw->env));
    node->broken = true;
    node->raw->metadata_wanted = true;
}

// Nodes are known by address from the start; metadata says which id is where.
static void broker_learn(struct raw *raw,
                         const struct kafka_metadata_response_metadata_response_broker *broker)
{
    for (int i = 0; i < raw->node_count; i++) {
        struct node *node = &raw->nodes[i];
        if (node->port == broker->port && strlen(node->host) == broker->host.len &&
            memcmp(node->host, broker->host.data, broker->host.len) == 0)
            node->id = broker->node_id;
    }
}

// ---- metadata ----

static void metadata_take(struct raw *raw, const struct kafka_metadata_response *response)
{
    bool whole = response->topics_count == 1 && response->topics[0].partitions_count == raw->partition_count;
    for (int i = 0; i < response->brokers_count; i++)
        broker_learn(raw, &response->brokers[i]);
    for (int i = 0; whole && i < response->topics[0].partitions_count; i++) {
        int32_t index = response->topics[0].partitions[i].partition_index;
        if (index >= 0 && index < raw->partition_count)
            raw->partitions[index].leader = response->topics[0].partitions[i].leader_id;
        whole = node_usable(node_by_id(raw, response->topics[0].partitions[i].leader_id));
    }
    raw->metadata_wanted = !whole;
}

static void metadata_on_answer(enum status status, const struct conn_answer *answer, void *context)
{
    struct node *node = context;
    node->raw->metadata_under_way = false;
    if (status == ST_OK)
        metadata_take(node->raw, answer->body);
    else
        node_broke(node);
}

static void metadata_ask(struct raw *raw)
{
    struct kafka_metadata_request request;
    struct kafka_metadata_request_metadata_request_topic topic;
    kafka_defaults(&kafka_metadata_request_message, &request);
    kafka_structure_defaults(&kafka_metadata_request_metadata_request_topic_type, &topic);
    topic.name = raw->topic;
    request.topics = &topic;
    request.topics_count = 1;
    for (int i = 0; i < raw->node_count && !raw->metadata_under_way; i++) {
        struct node *node = &raw->nodes[raw->ask_next++ % raw->node_count];
        if (node_usable(node))
            raw->metadata_under_way =
                conn_client_call(node->client, KAFKA_API_METADATA,
                                 conn_client_version(node->client, KAFKA_API_METADATA, VERSION_MAX), &request,
                                 METADATA_MS, metadata_on_answer, node) == ST_OK;
    }
}

// ---- produce ----

static void produce_on_answer(enum status status, const struct conn_answer *answer, void *context)
{
    struct partition *partition = context;
    struct raw *raw = partition->raw;
    const struct kafka_produce_response *response = status == ST_OK ? answer->body : NULL;
    long long now_us = env_now_us(raw->env);
    partition->under_way = false;
    if (response == NULL || response->responses_count != 1 ||
        response->responses[0].partition_responses_count != 1) {
        struct node *node = node_by_id(raw, partition->leader);
        if (node != NULL)
            node_broke(node);
        raw->metadata_wanted = true;
        return;
    }
    int16_t error = response->responses[0].partition_responses[0].error_code;
    if (error == 0) {
        printf("ack %d %lld %lld\n", partition->index, partition->record++, now_us);
    } else {
        printf("error %d %d %lld\n", partition->index, error, now_us);
        raw->metadata_wanted = true;
    }
}

static void produce(struct partition *partition, struct node *node)
{
    struct raw *raw = partition->raw;
    char value[32];
    int value_len = snprintf(value, sizeof value, "%lld", partition->record);
    struct batch_spec spec = batch_spec_plain();
    struct batch_record record = {.timestamp = env_wall_ms(raw->env),
                                  .value = slice_of(value, (size_t)value_len)};
    buf_clear(&raw->batch);
    ASSERT(batch_build(&spec, &record, 1, &raw->batch) == ST_OK);
    struct kafka_produce_request request;
    struct kafka_produce_request_topic_produce_data topic;
    struct kafka_produce_request_partition_produce_data data;
    kafka_defaults(&kafka_produce_request_message, &request);
    kafka_structure_defaults(&kafka_produce_request_topic_produce_data_type, &topic);
    kafka_structure_defaults(&kafka_produce_request_partition_produce_data_type, &data);
    data.index = partition->index;
    data.records.bytes = buf_slice(&raw->batch);
    topic.name = raw->topic;
    topic.partition_data = &data;
    topic.partition_data_count = request.topic_data_count = 1;
    request.topic_data = &topic;
    request.acks = -1;
    request.timeout_ms = (int32_t)raw->call_ms;
    partition->under_way = conn_client_call(node->client, KAFKA_API_PRODUCE,
                                            conn_client_version(node->client, KAFKA_API_PRODUCE, VERSION_MAX),
                                            &request, raw->call_ms, produce_on_answer, partition) == ST_OK;
}

static void tick_on_time(struct timer *timer)
{
    struct raw *raw = timer->context;
    for (int i = 0; i < raw->node_count; i++)
        node_keep(&raw->nodes[i]);
    for (int i = 0; i < raw->partition_count; i++) {
        struct partition *partition = &raw->partitions[i];
        struct node *leader = node_by_id(raw, partition->leader);
        if (!partition->under_way && node_usable(leader))
            produce(partition, leader);
        else if (!partition->under_way)
            raw->metadata_wanted = true;
    }
    if (raw->metadata_wanted)
        metadata_ask(raw);
    fflush(stdout);
    timer_start_ms(raw->env, &raw->tick, raw->tick_ms);
}

// ---- start ----

static void nodes_parse(struct raw *raw, char *list)
{
    char *rest = NULL;
    for (char *item = strtok_r(list, ",", &rest); item != NULL && raw->node_count < NODES_MAX;
         item = strtok_r(NULL, ",", &rest)) {
        struct node *node = &raw->nodes[raw->node_count++];
        *node = (struct node){.raw = raw, .id = -1};
        if (config_address(item, NULL, node->host, &node->port) != ST_OK)
            exit(2);
    }
}

int main(int argc, char **argv)
{
    static struct raw raw;
    raw.partition_count = argc >= 4 && argc <= 6 ? (int)strtol(argv[3], NULL, 10) : 0;
    raw.tick_ms = argc >= 5 ? strtol(argv[4], NULL, 10) : TICK_MS;
    raw.call_ms = argc == 6 ? strtol(argv[5], NULL, 10) : CALL_MS;
    if (raw.partition_count < 1 || raw.partition_count > PARTITIONS_MAX || raw.tick_ms < 1 ||
        raw.tick_ms > TICK_MS_MAX || raw.call_ms < 1 || raw.call_ms > CALL_MS) {
        fprintf(stderr, "usage: raw BOOTSTRAP TOPIC PARTITIONS [TICK_MS [CALL_MS]]\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    if (env_posix_new("raw", 1, &raw.env) != ST_OK)
        return 1;
    raw.env->diag.level = DIAG_ERROR;
    raw.topic = slice_str(argv[2]);
    raw.metadata_wanted = true;
    buf_init(&raw.batch, 4096);
    nodes_parse(&raw, argv[1]);
    for (int i = 0; i < raw.partition_count; i++)
        raw.partitions[i] = (struct partition){.raw = &raw, .index = i, .leader = -1};
    timer_init(&raw.tick, tick_on_time, &raw);
    timer_start_ms(raw.env, &raw.tick, 0);
    env_posix_run(raw.env);
    return 0;
}
