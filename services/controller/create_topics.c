// SPDX-License-Identifier: Apache-2.0
// CreateTopics (API 19). Each topic is one decision: it comes into being whole or not at all.
#include "relay.h"

#include "base/assert.h"
#include "cluster/configs.h"
#include "internal_topics.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/create_topics.h"
#include "twice.h"

typedef struct kafka_create_topics_request_creatable_topic topic_request;
typedef struct kafka_create_topics_response_creatable_topic_result topic_result;

#define TYPE_TOPIC MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC

// What one topic is to be.
struct plan {
    const char *name;
    int32_t partitions;
    int factor;
    int32_t *replicas; // given by the client, else NULL
};

typedef struct kafka_create_topics_request_creatable_replica_assignment assignment;

// The assignments in order of their partitions; NULL when they are not those from 0 on, each once.
static const assignment **sort_assignments(struct relay *relay, const topic_request *topic)
{
    const assignment **sorted =
        arena_calloc(&relay->arena, (size_t)topic->assignments_count, sizeof(assignment *));
    for (int32_t i = 0; sorted != NULL && i < topic->assignments_count; i++) {
        int32_t partition = topic->assignments[i].partition_index;
        if (partition < 0 || partition >= topic->assignments_count || sorted[partition] != NULL)
            return NULL;
        sorted[partition] = &topic->assignments[i];
    }
    return sorted;
}

static bool assignment_check(const struct image *image, const int32_t *ids, int32_t count, int factor,
                             struct topics_error *error)
{
    if (count == 0 || count > IMAGE_REPLICAS_MAX)
        return topics_refuse(error, KAFKA_ERR_INVALID_REPLICA_ASSIGNMENT,
                             "The manual partition assignment includes an empty replica list.");
    if (count != factor)
        return topics_refuse(error, KAFKA_ERR_INVALID_REPLICA_ASSIGNMENT,
                             "The manual partition assignment includes partitions with different numbers of "
                             "replicas.");
    return topics_replicas_check(image, ids, count, error);
}

static bool plan_assigned(struct relay *relay, const topic_request *topic, struct plan *plan,
                          struct topics_error *error)
{
    const struct image *image = metadata_image(relay->controller->metadata);
    if (topic->num_partitions != -1 || topic->replication_factor != -1)
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST,
                             "A manual partition assignment was specified, but %s was not set to -1.",
                             topic->num_partitions != -1 ? "numPartitions" : "replication factor");
    plan->partitions = topic->assignments_count;
    plan->factor = topic->assignments[0].broker_ids_count;
    if (plan->factor <= 0 || plan->factor > IMAGE_REPLICAS_MAX || plan->partitions > IMAGE_PARTITIONS_MAX)
        return topics_refuse(error, KAFKA_ERR_INVALID_REPLICA_ASSIGNMENT,
                             "The manual partition assignment includes an empty replica list.");
    plan->replicas =
        arena_calloc(&relay->arena, (size_t)plan->partitions * (size_t)plan->factor, sizeof *plan->replicas);
    if (plan->replicas == NULL)
        return topics_refuse(error, KAFKA_ERR_INVALID_PARTITIONS, "Too many partitions.");
    const assignment **sorted = sort_assignments(relay, topic);
    if (sorted == NULL)
        return topics_refuse(error, KAFKA_ERR_INVALID_REPLICA_ASSIGNMENT,
                             "partitions should be a consecutive 0-based integer sequence");
    for (int32_t p = 0; p < plan->partitions; p++) {
        if (!assignment_check(image, sorted[p]->broker_ids, sorted[p]->broker_ids_count, plan->factor, error))
            return false;
        memcpy(plan->replicas + (size_t)p * (size_t)plan->factor, sorted[p]->broker_ids,
               (size_t)plan->factor * sizeof *plan->replicas);
    }
    return true;
}

static bool plan_counted(const struct relay *relay, const topic_request *topic, struct plan *plan,
                         struct topics_error *error)
{
    plan->partitions = topic->num_partitions;
    plan->factor = topic->replication_factor;
    if (plan->partitions == -1)
        plan->partitions = topics_default(relay->controller, "num.partitions");
    if (plan->factor == -1)
        plan->factor = topics_default(relay->controller, "default.replication.factor");
    if (plan->partitions <= 0)
        return topics_refuse(error, KAFKA_ERR_INVALID_PARTITIONS,
                             "Number of partitions was set to an invalid non-positive value.");
    if (plan->factor <= 0 || plan->factor > IMAGE_REPLICAS_MAX)
        return topics_refuse(error, KAFKA_ERR_INVALID_REPLICATION_FACTOR,
                             "Replication factor must be larger than 0, or -1 to use the default value.");
    return true;
}

static bool add_configs(struct relay *relay, const topic_request *topic, const struct plan *plan,
                        struct decision *decision, struct topics_error *error)
{
    for (int32_t i = 0; i < topic->configs_count; i++) {
        struct slice name = topic->configs[i].name, value = topic->configs[i].value;
        const struct configs_key *key = configs_topic_key(name);
        char why[CONFIGS_WHY_SIZE];
        if (key == NULL)
            return topics_refuse(error, KAFKA_ERR_INVALID_CONFIG, "Unknown topic config name: %.*s",
                                 name.len < 100 ? (int)name.len : 100, (const char *)name.data);
        if (value.data == NULL)
            return topics_refuse(error, KAFKA_ERR_INVALID_CONFIG,
                                 "Null value not supported for topic configs: %s", key->name);
        if (configs_check(key, value, why) != ST_OK)
            return topics_refuse(error, KAFKA_ERR_INVALID_CONFIG, "%s", why);
        const char *copy = configs_kept(key, value, &relay->arena);
        decision_config(decision, TYPE_TOPIC, plan->name, key->name, copy != NULL ? copy : "");
    }
    return topics_configs_check(metadata_image(relay->controller->metadata), plan->name, decision, error);
}

static bool decide(struct relay *relay, const topic_request *topic, struct plan *plan,
                   struct decision *decision, struct uuid id, struct topics_error *error)
{
    if (!topics_name_check(relay->controller, topic->name, error))
        return false;
    if (internal_topics_is(topic->name))
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST,
                             "The controller creates this topic when the first coordinator joins.");
    plan->name = arena_strndup(&relay->arena, topic->name.data, topic->name.len);
    bool planned = topic->assignments_count > 0 ? plan_assigned(relay, topic, plan, error)
                                                : plan_counted(relay, topic, plan, error);
    if (!planned)
        return false;
    decision_topic(decision, id, plan->name, false);
    return add_configs(relay, topic, plan, decision, error) &&
           topics_add_partitions(relay->controller, decision, id, 0, plan->partitions, plan->factor,
                                 plan->replicas, error);
}

// Every topic key with its value, as Kafka answers since version 5.
static void describe(struct relay *relay, const topic_request *topic, topic_result *result)
{
    typedef struct kafka_create_topics_response_creatable_topic_configs config;
    config *configs = kafka_structure_array(&kafka_create_topics_response_creatable_topic_configs_type,
                                            &relay->arena, configs_topic_count);
    if (configs == NULL)
        return;
    const struct image *image = metadata_image(relay->controller->metadata);
    for (int i = 0; i < configs_topic_count; i++) {
        const struct configs_key *key = &configs_topic_keys[i];
        const char *node =
            key->node_key != NULL
                ? image_config(image, MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER, "", key->node_key)
                : NULL;
        configs[i].name = slice_str(key->name);
        configs[i].value = slice_str(node != NULL ? node : key->fallback);
        configs[i].config_source = node != NULL ? 3 : 5; // default of all nodes; default
        for (int32_t k = 0; k < topic->configs_count; k++)
            if (slice_is(topic->configs[k].name, key->name)) {
                configs[i].value = slice_str(configs_kept(key, topic->configs[k].value, &relay->arena));
                configs[i].config_source = 1; // the topic's own
            }
    }
    result->configs = configs;
    result->configs_count = configs_topic_count;
}

static bool allowed(const struct relay *relay, struct slice name)
{
    return authorise(&relay->principal, OPERATION_CREATE, RESOURCE_TYPE_CLUSTER,
                     slice_str(RESOURCE_CLUSTER_NAME)) ||
           authorise(&relay->principal, OPERATION_CREATE, RESOURCE_TYPE_TOPIC, name);
}

static void create_one(struct relay *relay, const topic_request *topic, topic_result *result)
{
    struct topics_error error = {0};
    struct plan plan = {0};
    struct decision decision;
    struct uuid id = env_random_uuid(relay->controller->env);
    decision_init(&decision);
    bool created =
        decide(relay, topic, &plan, &decision, id, &error) && relay_append(relay, &decision, &error);
    decision_fini(&decision);
    result->error_code = error.code;
    result->error_message = relay_text(relay, &error);
    result->num_partitions = -1;
    result->replication_factor = -1;
    if (!created)
        return;
    result->topic_id = id;
    result->num_partitions = plan.partitions;
    result->replication_factor = (int16_t)plan.factor;
    describe(relay, topic, result);
    if (!relay->validate_only)
        DIAG_INFO(&relay->controller->env->diag, "topic created topic=%s partitions=%d replicas=%d",
                  plan.name, plan.partitions, plan.factor);
}

void create_topics(struct relay *relay)
{
    const struct kafka_create_topics_request *request = relay->request;
    struct kafka_create_topics_response *response = relay->response;
    topic_result *results = kafka_structure_array(&kafka_create_topics_response_creatable_topic_result_type,
                                                  &relay->arena, request->topics_count);
    const bool *twice =
        twice_named(&relay->arena, request->topics, request->topics_count,
                    (struct twice_place){sizeof *request->topics, offsetof(topic_request, name), -1});
    if (results == NULL || twice == NULL) {
        relay->failed = ST_LIMIT;
        return;
    }
    relay->validate_only = request->validate_only;
    response->topics = results;
    response->topics_count = request->topics_count;
    for (int32_t i = 0; i < request->topics_count && relay->failed == ST_OK; i++) {
        struct topics_error error = {0};
        results[i].name = request->topics[i].name;
        if (twice[i])
            topics_refuse(&error, KAFKA_ERR_INVALID_REQUEST, "Duplicate topic name.");
        else if (!allowed(relay, results[i].name))
            topics_refuse(&error, KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED, "Authorization failed.");
        results[i].error_code = error.code;
        results[i].error_message = relay_text(relay, &error);
        if (error.code == 0)
            create_one(relay, &request->topics[i], &results[i]);
    }
}
