// SPDX-License-Identifier: Apache-2.0
// librdkafka for produce and consume: configuration from the command's options and -X, interruption by
// signal.
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "cli.h"

#include <librdkafka/rdkafka.h>

struct client_options {
    const char *bootstrap;
    struct cli_many settings; // -X key=value of librdkafka
    bool json;
};

#define CLIENT_ARGS(options)                                                                                 \
    {"--bootstrap|-b",                                                                                       \
     CLI_TEXT,                                                                                               \
     &(options).bootstrap,                                                                                   \
     0,                                                                                                      \
     0,                                                                                                      \
     "HOST:PORT,...",                                                                                        \
     "a cluster's brokers ($MILLRACE_BOOTSTRAP, else 127.0.0.1:9092)"},                                      \
        {"-X", CLI_MANY, &(options).settings, 0, 0, "KEY=VALUE", "a setting of librdkafka (repeatable)"},    \
    {                                                                                                        \
        "--json", CLI_FLAG, &(options).json, 0, 0, NULL, "print results as JSON"                             \
    }

// A configuration with bootstrap, client id and -X set. A message is printed for a setting it refuses.
enum cli_exit client_conf(const struct client_options *options, rd_kafka_conf_t **conf);

// Makes the client; takes conf over in every case.
enum cli_exit client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf_take, rd_kafka_t **client);

// Ctrl-C and SIGTERM arrive by signalfd from now on; client_interrupted tells without waiting.
int client_signals(void);
bool client_interrupted(int fd);

#endif
