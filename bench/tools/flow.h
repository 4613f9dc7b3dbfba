// SPDX-License-Identifier: Apache-2.0
// What the modes of the load generator share: clients with options, and the clock all stamps are of.
#pragma once
#include <librdkafka/rdkafka.h>
#include <stdint.h>

// Microseconds of CLOCK_MONOTONIC, the clock of Python's time.monotonic().
int64_t flow_now_us(void);

// Prints the line that says that the warm-up is over.
void flow_told_begin(void);

// An empty configuration with what every client here has; ends the program when librdkafka refuses it.
rd_kafka_conf_t *flow_conf(const char *bootstrap);

// Sets one option; ends the program with librdkafka's reason when it refuses.
void flow_set(rd_kafka_conf_t *conf, const char *name, const char *value);

// Takes conf over. Ends the program when there can be no client.
rd_kafka_t *flow_client(rd_kafka_type_t type, rd_kafka_conf_t *conf);

// A consumer of partitions 0 to count - 1 from their beginnings, without a group.
rd_kafka_t *flow_consumer(const char *bootstrap, const char *topic, int count);

// Fills bytes with what does not compress, the same in every run.
void flow_fill(char *bytes, size_t len);

// The mode `latency`; see flow.c. Returns the exit code.
int latency_run(const char *bootstrap, const char *topic, char **numbers);
