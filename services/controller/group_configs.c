// SPDX-License-Identifier: Apache-2.0
// See group_configs.h. The limits (group.consumer.min.session.timeout.ms and its like) belong to
// coordinators; a controller knows their defaults. A coordinator with others holds what it reads to its own.
#include "group_configs.h"

#include "cluster/configs.h"
#include "kafka/errors.h"

#include <stdlib.h>
#include <string.h>

#define DEAD_LETTERS "errors.deadletterqueue.topic.name"

// In Kafka's order.
static const struct rule {
    const char *key, *least, *most; // node keys; NULL: none
    const char *above;              // must be larger than this key of the group
} rules[] = {
    {"consumer.assignment.interval.ms", "group.consumer.min.assignment.interval.ms",
     "group.consumer.max.assignment.interval.ms", NULL},
    {"consumer.heartbeat.interval.ms", "group.consumer.min.heartbeat.interval.ms",
     "group.consumer.max.heartbeat.interval.ms", NULL},
    {"consumer.session.timeout.ms", "group.consumer.min.session.timeout.ms",
     "group.consumer.max.session.timeout.ms", "consumer.heartbeat.interval.ms"},
    {"share.assignment.interval.ms", "group.share.min.assignment.interval.ms",
     "group.share.max.assignment.interval.ms", NULL},
    {"share.heartbeat.interval.ms", "group.share.min.heartbeat.interval.ms",
     "group.share.max.heartbeat.interval.ms", NULL},
    {"share.session.timeout.ms", "group.share.min.session.timeout.ms", "group.share.max.session.timeout.ms",
     "share.heartbeat.interval.ms"},
    {"share.record.lock.duration.ms", "group.share.min.record.lock.duration.ms",
     "group.share.max.record.lock.duration.ms", NULL},
    {"share.delivery.count.limit", "group.share.min.delivery.count.limit",
     "group.share.max.delivery.count.limit", NULL},
    {"share.partition.max.record.locks", "group.share.min.partition.max.record.locks",
     "group.share.max.partition.max.record.locks", NULL},
    {"streams.assignment.interval.ms", "group.streams.min.assignment.interval.ms",
     "group.streams.max.assignment.interval.ms", NULL},
    {"streams.heartbeat.interval.ms", "group.streams.min.heartbeat.interval.ms",
     "group.streams.max.heartbeat.interval.ms", NULL},
    {"streams.session.timeout.ms", "group.streams.min.session.timeout.ms",
     "group.streams.max.session.timeout.ms", "streams.heartbeat.interval.ms"},
    {"streams.num.standby.replicas", NULL, "group.streams.max.standby.replicas", NULL},
};

// The value after the decision; values were checked to be numbers.
static long long value_after(const struct image *image, const char *group, const struct decision *decision,
                             const char *key)
{
    const char *value =
        decision_config_after(decision, image, MILLRACE__RESOURCE_TYPE__RESOURCE_GROUP, group, key);
    return strtoll(value != NULL ? value : configs_group_key(slice_str(key))->fallback, NULL, 10);
}

static long long limit(const char *node_key)
{
    return strtoll(configs_node_key(slice_str(node_key))->fallback, NULL, 10);
}

// Internal topics take no dead letters (KIP-1191).
static bool dead_letters_ok(const struct decision *decision, struct topics_error *error)
{
    for (size_t i = 0; i < decision->count; i++) {
        const Millrace__ConfigRecord *config = decision->records[i]->config;
        if (strcmp(config->key, DEAD_LETTERS) == 0 && config->value != NULL &&
            strncmp(config->value, "__", 2) == 0)
            return topics_refuse(error, KAFKA_ERR_INVALID_CONFIG,
                                 "%s: DLQ topic name must not start with '__'", config->key);
    }
    return true;
}

bool group_configs_check(const struct image *image, const char *group, const struct decision *decision,
                         struct topics_error *error)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct rule *rule = &rules[i];
        long long value = value_after(image, group, decision, rule->key);
        if (rule->least != NULL && value < limit(rule->least))
            return topics_refuse(error, KAFKA_ERR_INVALID_CONFIG, "%s must be greater than or equal to %s",
                                 rule->key, rule->least);
        if (value > limit(rule->most))
            return topics_refuse(error, KAFKA_ERR_INVALID_CONFIG, "%s must be less than or equal to %s",
                                 rule->key, rule->most);
        if (rule->above != NULL && value <= value_after(image, group, decision, rule->above))
            return topics_refuse(error, KAFKA_ERR_INVALID_CONFIG, "%s must be greater than %s", rule->key,
                                 rule->above);
    }
    return dead_letters_ok(decision, error);
}
