// SPDX-License-Identifier: Apache-2.0
// The load of the comparisons in bench/ as a client makes it: one librdkafka client that treats every broker
// alike and prints lines of JSON. Times are microseconds of CLOCK_MONOTONIC.
//   flow produce BOOTSTRAP TOPIC SIZE LINGER_MS WARM_S SECONDS   records of SIZE bytes, as fast as they go
//   flow latency BOOTSTRAP TOPIC SIZE RATE WARM_S SECONDS        see latency.c
// Producers ask for acks=all. Prints {"begin_us"} when the warm-up is over, then what was acknowledged since.
// Exit code 0, 1 when a record failed or stayed out, 2 on wrong usage.
#include "flow.h"

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

enum { SIZE_MAX_BYTES = 1 << 20, QUEUED_MAX = 400000, BATCH = 4096, FLUSH_MS = 60000 };

struct deliveries {
    int64_t acknowledged, failed, last_us;
};

int64_t flow_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void flow_told_begin(void)
{
    printf("{\"begin_us\": %" PRId64 "}\n", flow_now_us());
    fflush(stdout);
}

void flow_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[512];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "flow: %s\n", why);
        exit(2);
    }
}

rd_kafka_conf_t *flow_conf(const char *bootstrap)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    flow_set(conf, "bootstrap.servers", bootstrap);
    flow_set(conf, "socket.nagle.disable", "true");
    flow_set(conf, "log_level", "2");
    return conf;
}

rd_kafka_t *flow_client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char why[512];
    rd_kafka_t *client = rd_kafka_new(type, conf, why, sizeof why);
    if (client == NULL) {
        fprintf(stderr, "flow: %s\n", why);
        exit(2);
    }
    return client;
}

rd_kafka_t *flow_consumer(const char *bootstrap, const char *topic, int count)
{
    rd_kafka_conf_t *conf = flow_conf(bootstrap);
    flow_set(conf, "group.id", "flow"); // asked for by librdkafka; assign() joins nothing
    flow_set(conf, "enable.auto.commit", "false");
    rd_kafka_t *client = flow_client(RD_KAFKA_CONSUMER, conf);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return client;
}

void flow_fill(char *bytes, size_t len)
{
    uint64_t state = 88172645463325252u; // xorshift64
    for (size_t i = 0; i < len; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes[i] = (char)state;
    }
}

static void deliveries_on_message(rd_kafka_t *client, const rd_kafka_message_t *message, void *context)
{
    struct deliveries *deliveries = context;
    deliveries->last_us = flow_now_us();
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        deliveries->acknowledged++;
    else if (deliveries->failed++ == 0)
        fprintf(stderr, "flow: %s\n", rd_kafka_err2str(message->err));
}

static rd_kafka_t *producer_new(rd_kafka_conf_t *conf, struct deliveries *deliveries)
{
    flow_set(conf, "acks", "all");
    rd_kafka_conf_set_opaque(conf, deliveries);
    rd_kafka_conf_set_dr_msg_cb(conf, deliveries_on_message);
    return flow_client(RD_KAFKA_PRODUCER, conf);
}

// ---- produce ----

struct job {
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    const char *payload;
    size_t size;
};

// Sends until the moment or a failure, holding the client's queue below its limit.
static int64_t send_until(struct job *job, const struct deliveries *deliveries, int64_t until_us)
{
    int64_t sent = 0;
    while (flow_now_us() < until_us && deliveries->failed == 0) {
        bool room = rd_kafka_outq_len(job->client) < QUEUED_MAX;
        for (int n = 0; room && n < BATCH; n++) {
            room = rd_kafka_produce(job->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                                    (void *)job->payload, job->size, NULL, 0, NULL) == 0;
            sent += room;
        }
        rd_kafka_poll(job->client, room ? 0 : 1);
    }
    return sent;
}

static int produce_run(const char *bootstrap, const char *topic, char **numbers)
{
    struct deliveries deliveries = {0};
    struct job job = {.size = (size_t)atoll(numbers[0])};
    if (job.size < 1 || job.size > SIZE_MAX_BYTES)
        return 2;
    char *payload = malloc(job.size);
    flow_fill(payload, job.size);
    rd_kafka_conf_t *conf = flow_conf(bootstrap);
    flow_set(conf, "queue.buffering.max.messages", "500000");
    flow_set(conf, "linger.ms", numbers[1]);
    job.payload = payload;
    job.client = producer_new(conf, &deliveries);
    job.topic = rd_kafka_topic_new(job.client, topic, NULL);
    int64_t began_us = flow_now_us(), begin_us = began_us + atoll(numbers[2]) * 1000000;
    int64_t sent = send_until(&job, &deliveries, begin_us), before = deliveries.acknowledged;
    flow_told_begin();
    sent += send_until(&job, &deliveries, begin_us + atoll(numbers[3]) * 1000000);
    rd_kafka_flush(job.client, FLUSH_MS);
    int64_t records = deliveries.acknowledged - before;
    printf("{\"records\": %" PRId64 ", \"bytes\": %" PRId64 ", \"failed\": %" PRId64 ", \"seconds\": %.6f}\n",
           records, records * (int64_t)job.size, deliveries.failed,
           (double)(deliveries.last_us - begin_us) / 1e6);
    rd_kafka_topic_destroy(job.topic);
    rd_kafka_destroy(job.client);
    free(payload);
    return deliveries.acknowledged == sent && records > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc == 8 && strcmp(argv[1], "produce") == 0)
        return produce_run(argv[2], argv[3], argv + 4);
    if (argc == 8 && strcmp(argv[1], "latency") == 0)
        return latency_run(argv[2], argv[3], argv + 4);
    fprintf(stderr, "usage: flow produce|latency BOOTSTRAP TOPIC ... (see bench/tools/flow.c)\n");
    return 2;
}
