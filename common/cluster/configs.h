// SPDX-License-Identifier: Apache-2.0
// The configuration keys of topics, nodes, groups and client metrics as Kafka 4.2 knows them: type, default,
// range, documentation, and who of us reads them. The controller checks what is altered against these tables,
// storage nodes describe from them, and CONFIG.md is made of them. Defaults that are wrong here would be seen
// by every client, so they are Kafka's, or those of our daemons; keys of our own say so.
#ifndef CLUSTER_CONFIGS_H
#define CLUSTER_CONFIGS_H

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

#include <stdint.h>

// Kafka's numbers (DescribeConfigs, config_type).
enum configs_type {
    CONFIGS_BOOLEAN = 1,
    CONFIGS_STRING = 2,
    CONFIGS_INT = 3,
    CONFIGS_SHORT = 4,
    CONFIGS_LONG = 5,
    CONFIGS_DOUBLE = 6,
    CONFIGS_LIST = 7,
    CONFIGS_CLASS = 8,
    CONFIGS_PASSWORD = 9
};

// Who reads a key; or why nobody does, in which case it is told of and may be set without effect.
enum configs_use {
    CONFIGS_BY_STORAGE,
    CONFIGS_BY_CONTROLLER,
    CONFIGS_BY_COORDINATOR,
    CONFIGS_OTHERWISE, // its help says how
    CONFIGS_NO_FLUSH,
    CONFIGS_NO_JAVA,
    CONFIGS_NO_METRICS,
    CONFIGS_NO_PEERS,
    CONFIGS_NO_PURGATORY,
    CONFIGS_NO_QUORUM,
    CONFIGS_NO_QUOTAS,
    CONFIGS_NO_SECURITY,
    CONFIGS_NO_SYSTEM,
    CONFIGS_NO_THREADS,
    CONFIGS_NO_TIERS,
    CONFIGS_USE_COUNT
};

// A sentence that says so.
const char *configs_use_text(enum configs_use use);

struct configs_key {
    const char *name;
    enum configs_type type;
    const char *fallback; // default as text; NULL: none (described as null)
    const char *node_key; // topic and group keys: the node key that gives the default; NULL: none
    double min, max;      // numbers; both 0: any
    const char *choices;  // STRING: the values; LIST: the values of its items (N:N: two numbers;
                          // by_duration: with a period of ISO 8601 behind); separated by '|'; BOOLEAN: the
                         // only one that can be served; NULL: any
    bool hot; // node keys: may be altered while the node runs
    const char *help;
    enum configs_use use;
};

// Ascending by name.
extern const struct configs_key configs_topic_keys[];
extern const int configs_topic_count;
extern const struct configs_key configs_node_keys[];
extern const int configs_node_count;

extern const struct configs_key configs_group_keys[]; // of GROUP resources (GroupConfig)
extern const int configs_group_count;
extern const struct configs_key configs_metrics_keys[]; // of CLIENT_METRICS resources (ClientMetricsConfigs)
extern const int configs_metrics_count;

// NULL when there is no such key.
const struct configs_key *configs_topic_key(struct slice name);
const struct configs_key *configs_node_key(struct slice name);
const struct configs_key *configs_group_key(struct slice name);
const struct configs_key *configs_metrics_key(struct slice name);

enum { CONFIGS_WHY_SIZE = 256, CONFIGS_VALUE_MAX = 32 << 10 };

// INVALID: the value does not fit the key; why says it for people.
enum status configs_check(const struct configs_key *key, struct slice value, char why[CONFIGS_WHY_SIZE]);

// The value, once checked, as it is kept and described: without the blanks around it and its items, booleans
// in lower case. Readers parse it strictly. NULL at the arena's cap.
const char *configs_kept(const struct configs_key *key, struct slice value, struct arena *arena);

#endif
