// SPDX-License-Identifier: Apache-2.0
// End-to-end latency at a fixed rate, open loop: every record has a moment at which it is due, and carries
// it. A sender that is late, a queue that fills, a broker that pauses: all of it counts, as it would for
// somebody who waits. A record's latency is the consumer's clock at receipt less that moment; the
// acknowledgement is measured alike. The sender, the reader of acknowledgements and the consumer are threads
// of one process, so there is one clock.
//   flow latency BOOTSTRAP TOPIC SIZE RATE WARM_S SECONDS     into partition 0 of an empty topic
// Prints {"begin_us"} when the warm-up is over, then the histograms of what was due after it.
#include "flow.h"
#include "base/hist.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

enum { SIZE_MIN = 16, SIZE_MAX_BYTES = 1 << 20, RECORDS_MAX = 10000000, POLL_MS = 50, GRACE_S = 30 };

struct stamp {
    int64_t number, due_us;
};

struct latency {
    rd_kafka_t *producer, *consumer;
    int64_t size, rate, warm, count;
    int64_t began_us;
    int64_t *acked_us, *read_us; // by number; 0: not yet
    atomic_int_fast64_t acked, read, failed;
    atomic_bool stop;
};

static int64_t due_us(const struct latency *latency, int64_t number)
{
    return latency->began_us + number * 1000000 / latency->rate;
}

static void latency_on_message(rd_kafka_t *client, const rd_kafka_message_t *message, void *context)
{
    struct latency *latency = context;
    int64_t number = (int64_t)(intptr_t)message->_private;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fprintf(stderr, "flow: %s\n", rd_kafka_err2str(message->err));
        atomic_fetch_add(&latency->failed, 1);
        return;
    }
    latency->acked_us[number] = flow_now_us() - due_us(latency, number);
    atomic_fetch_add(&latency->acked, 1);
}

static void *acks_read(void *context)
{
    struct latency *latency = context;
    while (!atomic_load(&latency->stop))
        rd_kafka_poll(latency->producer, POLL_MS);
    return NULL;
}

static void *records_read(void *context)
{
    struct latency *latency = context;
    while (!atomic_load(&latency->stop)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(latency->consumer, POLL_MS);
        int64_t now_us = flow_now_us();
        struct stamp stamp;
        if (message == NULL)
            continue;
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR || message->len < sizeof stamp) {
            fprintf(stderr, "flow: %s\n", rd_kafka_message_errstr(message));
        } else {
            memcpy(&stamp, message->payload, sizeof stamp);
            if (stamp.number >= 0 && stamp.number < latency->count && latency->read_us[stamp.number] == 0) {
                latency->read_us[stamp.number] = now_us - stamp.due_us;
                atomic_fetch_add(&latency->read, 1);
            }
        }
        rd_kafka_message_destroy(message);
    }
    return NULL;
}

static void sleep_until(int64_t us)
{
    struct timespec moment = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, NULL) != 0)
        continue;
}

static void records_send(struct latency *latency, rd_kafka_topic_t *topic, char *payload)
{
    for (int64_t number = 0; number < latency->count && atomic_load(&latency->failed) == 0; number++) {
        struct stamp stamp = {.number = number, .due_us = due_us(latency, number)};
        sleep_until(stamp.due_us);
        if (number == latency->warm)
            flow_told_begin();
        memcpy(payload, &stamp, sizeof stamp);
        if (rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, payload, (size_t)latency->size, NULL, 0,
                             (void *)(intptr_t)number) != 0)
            atomic_fetch_add(&latency->failed, 1);
    }
}

// What was measured after the warm-up. What never came (0) makes the run fail, so it cannot hide here.
static void print_times(const char *name, const struct latency *latency, const int64_t *all_us)
{
    static struct hist hist;
    memset(&hist, 0, sizeof hist);
    for (int64_t i = latency->warm; i < latency->count; i++)
        hist_add(&hist, all_us[i]);
    printf("\"%s_us\": ", name);
    hist_print(&hist, stdout);
    printf(", ");
}

static void clients_new(struct latency *latency, const char *bootstrap, const char *topic)
{
    rd_kafka_conf_t *conf = flow_conf(bootstrap);
    flow_set(conf, "acks", "all");
    flow_set(conf, "linger.ms", "0");
    rd_kafka_conf_set_opaque(conf, latency);
    rd_kafka_conf_set_dr_msg_cb(conf, latency_on_message);
    latency->producer = flow_client(RD_KAFKA_PRODUCER, conf);
    latency->consumer = flow_consumer(bootstrap, topic, 1);
}

static bool all_came(struct latency *latency)
{
    return atomic_load(&latency->acked) == latency->count && atomic_load(&latency->read) == latency->count;
}

static void measure(struct latency *latency, const char *topic_name)
{
    pthread_t acks, records;
    char *payload = malloc((size_t)latency->size);
    flow_fill(payload, (size_t)latency->size);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(latency->producer, topic_name, NULL);
    if (pthread_create(&acks, NULL, acks_read, latency) != 0 ||
        pthread_create(&records, NULL, records_read, latency) != 0)
        exit(2);
    latency->began_us = flow_now_us();
    records_send(latency, topic, payload);
    int64_t until_us = flow_now_us() + (int64_t)GRACE_S * 1000000;
    while (!all_came(latency) && atomic_load(&latency->failed) == 0 && flow_now_us() < until_us)
        sleep_until(flow_now_us() + 1000);
    int64_t ended_us = flow_now_us();
    atomic_store(&latency->stop, true);
    pthread_join(acks, NULL);
    pthread_join(records, NULL);
    printf("{\"ended_us\": %" PRId64 ", ", ended_us);
    rd_kafka_topic_destroy(topic);
    free(payload);
}

int latency_run(const char *bootstrap, const char *topic, char **numbers)
{
    static struct latency latency; // threads of librdkafka may call back until the very end
    latency.size = atoll(numbers[0]);
    latency.rate = atoll(numbers[1]);
    latency.warm = latency.rate * atoll(numbers[2]);
    latency.count = latency.warm + latency.rate * atoll(numbers[3]);
    if (latency.size < SIZE_MIN || latency.size > SIZE_MAX_BYTES || latency.rate < 1 ||
        latency.count <= latency.warm || latency.count > RECORDS_MAX)
        return 2;
    prctl(PR_SET_TIMERSLACK, 1UL);
    latency.acked_us = calloc((size_t)latency.count, sizeof latency.acked_us[0]);
    latency.read_us = calloc((size_t)latency.count, sizeof latency.read_us[0]);
    clients_new(&latency, bootstrap, topic);
    measure(&latency, topic);
    bool whole = all_came(&latency);
    print_times("read", &latency, latency.read_us);
    print_times("ack", &latency, latency.acked_us);
    printf("\"records\": %" PRId64 ", \"missing\": %" PRId64 "}\n", latency.count - latency.warm,
           2 * latency.count - atomic_load(&latency.acked) - atomic_load(&latency.read));
    rd_kafka_consumer_close(latency.consumer);
    rd_kafka_destroy(latency.consumer);
    rd_kafka_destroy(latency.producer);
    return whole ? 0 : 1;
}
