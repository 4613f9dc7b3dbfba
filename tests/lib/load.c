// SPDX-License-Identifier: Apache-2.0
// A producer for durability tests (librdkafka): sends numbered records without end and prints what became of
// each, so that a test knows exactly what was acknowledged when something was killed.
//   load BOOTSTRAP TOPIC [KEYS [PER_SECOND [librdkafka.option=value ...]]]
// Record n has key "kK" with K = n mod KEYS and value "n". Output lines: "ack n partition offset", "fail n
// error". Ends at end of input or SIGTERM, after waiting up to 60 s for what is under way; then "end SENT".
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DRAIN_MS = 60000, QUEUED_MAX = 5000 };

static volatile sig_atomic_t stopped;

static void on_stop(int number)
{
    stopped = 1;
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *context)
{
    long long number = (long long)(intptr_t)message->_private;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        printf("ack %lld %d %lld\n", number, message->partition, (long long)message->offset);
    else
        printf("fail %lld %s\n", number, rd_kafka_err2name(message->err));
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[512];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "load: %s\n", why);
        exit(2);
    }
}

static rd_kafka_t *client_new(const char *bootstrap, char **options, int count)
{
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "linger.ms", "2");
    set(conf, "retry.backoff.ms", "50");
    set(conf, "reconnect.backoff.max.ms", "200");
    set(conf, "message.timeout.ms", "120000");
    set(conf, "acks", "all");
    for (int i = 0; i < count; i++) {
        char *equals = strchr(options[i], '=');
        if (equals == NULL)
            exit(2);
        *equals = '\0';
        set(conf, options[i], equals + 1);
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (client == NULL) {
        fprintf(stderr, "load: %s\n", why);
        exit(2);
    }
    return client;
}

static bool input_ended(void)
{
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char byte;
    return poll(&input, 1, 0) > 0 && fread(&byte, 1, 1, stdin) == 0;
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void send_one(rd_kafka_t *client, const char *topic, long long number, int keys)
{
    char key[32], value[32];
    int key_len = snprintf(key, sizeof key, "k%lld", number % keys);
    int value_len = snprintf(value, sizeof value, "%lld", number);
    rd_kafka_resp_err_t error = rd_kafka_producev(
        client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(key, (size_t)key_len),
        RD_KAFKA_V_VALUE(value, (size_t)value_len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_OPAQUE((void *)(intptr_t)number), RD_KAFKA_V_END);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        printf("fail %lld %s\n", number, rd_kafka_err2name(error));
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: load BOOTSTRAP TOPIC [KEYS [PER_SECOND [option=value ...]]]\n");
        return 2;
    }
    int keys = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 10;
    int64_t rate = argc > 4 ? strtol(argv[4], NULL, 10) : 1000;
    rd_kafka_t *client = client_new(argv[1], argv + 5, argc > 5 ? argc - 5 : 0);
    signal(SIGTERM, on_stop);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int64_t began = now_us();
    long long number = 0;
    while (!stopped && !input_ended()) {
        while (number < (now_us() - began) * rate / 1000000 && rd_kafka_outq_len(client) < QUEUED_MAX)
            send_one(client, argv[2], number++, keys);
        rd_kafka_poll(client, 2);
    }
    rd_kafka_flush(client, DRAIN_MS);
    printf("end %lld\n", number);
    fflush(stdout);
    return 0;
}
