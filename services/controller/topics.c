// SPDX-License-Identifier: Apache-2.0
// See topics.h. Texts of refusals are worded as Kafka's, which tools show to people.
#include "topics.h"

#include "balancer.h"
#include "base/assert.h"
#include "cluster/answers.h"
#include "cluster/configs.h"
#include "kafka/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool topics_refuse(struct topics_error *error, int16_t code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error->why, sizeof error->why, format, args);
    va_end(args);
    error->code = code;
    return false;
}

struct place_node *topics_nodes(const struct controller *controller, enum topics_which which,
                                struct arena *arena, int *count)
{
    const struct image *image = metadata_image(controller->metadata);
    struct place_node *nodes = arena_calloc(arena, image_node_count(image) + 1, sizeof *nodes);
    ASSERT(nodes != NULL);
    *count = 0;
    for (size_t i = 0; i < image_node_count(image); i++) {
        const struct image_node *node = image_node_at(image, i);
        bool leaves = balancer_drains(image, node->id);
        if (node->role != MILLRACE__ROLE__ROLE_STORAGE || (node->fenced && which != TOPICS_REGISTERED) ||
            (leaves && which == TOPICS_STAYING))
            continue;
        struct image_load load = image_node_load(image, node->id);
        nodes[(*count)++] = (struct place_node){.id = node->id,
                                                .rack = node->rack,
                                                .host = node->host,
                                                .leaders = load.leaders,
                                                .replicas = load.replicas,
                                                .down = node->fenced || leaves};
    }
    return nodes;
}

uint8_t *topics_seen(const struct image_topic *topic, struct arena *arena)
{
    return arena_calloc(arena, topic != NULL ? topic->partition_count / 8 + 1 : 1, 1);
}

bool topics_named_before(const struct image_topic *topic, uint8_t *seen, int32_t index)
{
    if (topic == NULL || image_topic_partition(topic, index) == NULL)
        return false;
    uint8_t bit = (uint8_t)(1u << (index % 8));
    bool before = (seen[index / 8] & bit) != 0;
    seen[index / 8] |= bit;
    return before;
}

bool topics_replicas_check(const struct image *image, const int32_t *ids, int32_t count,
                           struct topics_error *error)
{
    bool live = false;
    for (int32_t i = 0; i < count; i++) {
        const struct image_node *node = image_node(image, ids[i]);
        if (node == NULL || node->role != MILLRACE__ROLE__ROLE_STORAGE)
            return topics_refuse(error, KAFKA_ERR_INVALID_REPLICA_ASSIGNMENT,
                                 "The manual partition assignment includes broker %d, but no such broker is "
                                 "registered.",
                                 ids[i]);
        live |= !node->fenced;
        for (int32_t k = 0; k < i; k++)
            if (ids[k] == ids[i])
                return topics_refuse(error, KAFKA_ERR_INVALID_REPLICA_ASSIGNMENT,
                                     "The manual partition assignment includes the broker %d more than once.",
                                     ids[i]);
    }
    if (!live)
        return topics_refuse(error, KAFKA_ERR_INVALID_REPLICA_ASSIGNMENT,
                             "All brokers specified in the manual partition assignment are fenced.");
    return true;
}

// The live ones of the replicas are the first ISR, the first of those leads.
static void add_partition(struct controller *controller, struct decision *decision, struct uuid topic,
                          int32_t index, struct image_ids replicas)
{
    const struct image *image = metadata_image(controller->metadata);
    int32_t *isr = arena_calloc(&decision->arena, replicas.count, sizeof *isr);
    ASSERT(isr != NULL);
    size_t live = 0;
    for (size_t i = 0; i < replicas.count; i++)
        if (image_node_live(image_node(image, replicas.ids[i]), MILLRACE__ROLE__ROLE_STORAGE))
            isr[live++] = replicas.ids[i];
    struct image_partition partition = {.index = index,
                                        .replicas = replicas,
                                        .isr = {.ids = isr, .count = live},
                                        .leader = live > 0 ? isr[0] : -1};
    decision_partition(decision, topic, &partition);
}

bool topics_add_partitions(struct controller *controller, struct decision *decision, struct uuid topic,
                           int32_t first, int32_t count, int factor, const int32_t *replicas,
                           struct topics_error *error)
{
    const struct image *image = metadata_image(controller->metadata);
    if ((int64_t)first + count > IMAGE_PARTITIONS_MAX ||
        image_partition_total(image) + (size_t)count > CLUSTER_PARTITIONS_MAX)
        return topics_refuse(error, KAFKA_ERR_INVALID_PARTITIONS,
                             "A topic can have at most %d partitions, the cluster %d.", IMAGE_PARTITIONS_MAX,
                             CLUSTER_PARTITIONS_MAX);
    if (replicas == NULL) {
        int node_count, live;
        topics_nodes(controller, TOPICS_LIVE, &decision->arena, &live);
        if (live == 0)
            return topics_refuse(error, KAFKA_ERR_INVALID_REPLICATION_FACTOR,
                                 "Unable to replicate the partition %d time(s): All brokers are currently "
                                 "fenced.",
                                 factor);
        struct place_node *nodes = topics_nodes(controller, TOPICS_REGISTERED, &decision->arena, &node_count);
        int32_t *placed = arena_calloc(&decision->arena, (size_t)count * (size_t)factor, sizeof *placed);
        ASSERT(placed != NULL);
        if (place_replicas(nodes, node_count, count, factor, placed) != ST_OK)
            return topics_refuse(
                error, KAFKA_ERR_INVALID_REPLICATION_FACTOR,
                "Unable to replicate the partition %d time(s): The target replication factor "
                "of %d cannot be reached because only %d broker(s) are registered.",
                factor, factor, node_count);
        replicas = placed;
    }
    for (int32_t i = 0; i < count; i++)
        add_partition(
            controller, decision, topic, first + i,
            (struct image_ids){.ids = replicas + (size_t)i * (size_t)factor, .count = (size_t)factor});
    return true;
}

// Metric names replace '.' by '_', so two topics that differ only there would be one (Topic.hasCollision).
static bool collides(const char *a, struct slice b)
{
    if (strlen(a) != b.len)
        return false;
    for (size_t i = 0; i < b.len; i++) {
        char x = a[i] == '.' ? '_' : a[i], y = b.data[i] == '.' ? '_' : (char)b.data[i];
        if (x != y)
            return false;
    }
    return true;
}

bool topics_name_check(const struct controller *controller, struct slice name, struct topics_error *error)
{
    const struct image *image = metadata_image(controller->metadata);
    const char *why;
    int len = name.len < 200 ? (int)name.len : 200;
    if (!answers_topic_name_ok(name, &why))
        return topics_refuse(error, KAFKA_ERR_INVALID_TOPIC_EXCEPTION, "Topic name is invalid: %s", why);
    if (image_topic_slice(image, name) != NULL)
        return topics_refuse(error, KAFKA_ERR_TOPIC_ALREADY_EXISTS, "Topic '%.*s' already exists.", len,
                             (const char *)name.data);
    if (memchr(name.data, '.', name.len) == NULL && memchr(name.data, '_', name.len) == NULL)
        return true;
    for (size_t i = 0; i < image_topic_count(image); i++)
        if (collides(image_topic_at(image, i)->name, name))
            return topics_refuse(error, KAFKA_ERR_INVALID_TOPIC_EXCEPTION,
                                 "Topic '%.*s' collides with existing topic: %.100s", len < 100 ? len : 100,
                                 (const char *)name.data, image_topic_at(image, i)->name);
    return true;
}

// Of a key with a node key; values were checked to be numbers.
static long long value_after(const struct image *image, const char *name, const struct decision *decision,
                             const char *key_name)
{
    const struct configs_key *key = configs_topic_key(slice_str(key_name));
    const char *value =
        decision_config_after(decision, image, MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC, name, key_name);
    if (value == NULL)
        value = image_config(image, MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER, "", key->node_key);
    return strtoll(value != NULL ? value : key->fallback, NULL, 10);
}

bool topics_configs_check(const struct image *image, const char *name, const struct decision *decision,
                          struct topics_error *error)
{
    static const char least[] = "min.compaction.lag.ms", most[] = "max.compaction.lag.ms";
    long long min = value_after(image, name, decision, least), max = value_after(image, name, decision, most);
    return min <= max ||
           topics_refuse(error, KAFKA_ERR_INVALID_CONFIG,
                         "conflict topic config setting %s (%lld) > %s (%lld)", least, min, most, max);
}

int32_t topics_default(const struct controller *controller, const char *key)
{
    const char *value =
        image_config(metadata_image(controller->metadata), MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER, "", key);
    return value != NULL ? (int32_t)strtol(value, NULL, 10) : (int32_t)config_int(controller->config, key);
}
