// SPDX-License-Identifier: Apache-2.0
// What the generators that speak the protocol themselves (pump, drain) share: which node leads which
// partition, connections to it, options of the form name=number, and the clock. A failure is told on stderr
// and ends the program with exit code 1, wrong usage with 2: a generator that goes on would measure something
// else.
#pragma once
#include <stdint.h>

enum { TARGET_NODES_MAX = 16 };

struct target {
    const char *topic; // borrowed
    struct target_node {
        char host[256];
        int port;
        int32_t id;
    } nodes[TARGET_NODES_MAX];
    int node_count;
    int32_t partitions;
    uint8_t *leader; // by partition: its index in nodes
};

// Asks bootstrap ("host:port") until the topic has at least that many partitions (0: as many as it has) and
// every one of them a leader; at most limit_s seconds.
void target_find(struct target *target, const char *bootstrap, const char *topic, int32_t partitions,
                 int limit_s);

// A connection to nodes[node]: non-blocking, TCP_NODELAY.
int target_connect(const struct target *target, int node);

// The number of the argument "name=number" among argv, or fallback; the text with target_text.
int64_t target_number(char **argv, const char *name, int64_t fallback);
const char *target_text(char **argv, const char *name, const char *fallback);

// Prints why and ends the program.
void target_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

// Microseconds of CLOCK_MONOTONIC.
int64_t target_now_us(void);
