// SPDX-License-Identifier: Apache-2.0
// IncrementalAlterConfigs (API 44) and AlterConfigs (API 33), which replaces all keys of a resource. A
// resource is changed whole or not at all. Topics, nodes ("" = all nodes), groups and client metrics
// subscriptions have configurations here; the levels of a node's diagnostics are that node's own
// (services/storage/logger_levels.c).
#include "group_configs.h"
#include "relay.h"

#include "base/mem.h"
#include "cluster/answers.h"
#include "cluster/client_match.h"
#include "cluster/configs.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/alter_configs.h"
#include "kafka/messages/incremental_alter_configs.h"
#include "twice.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAME_MAX_BYTES = 4096, GROUPS_MAX = 10000, SUBSCRIPTIONS_MAX = 500 };

enum operation_kind { OP_SET = 0, OP_DELETE = 1, OP_APPEND = 2, OP_SUBTRACT = 3 };

// One change, whichever request it comes from.
struct change {
    struct slice name, value;
    int operation;
};

struct resource {
    Millrace__ResourceType type;
    const char *name; // in the relay's arena
};

// ---- lists: APPEND and SUBTRACT ----

static bool list_has(const char *list, struct slice item)
{
    while (*list != 0) {
        size_t len = strcspn(list, ",");
        if (len == item.len && memcmp(list, item.data, len) == 0)
            return true;
        list += len + (list[len] == ',');
    }
    return false;
}

static void put_item(struct buf *out, const void *item, size_t len)
{
    if (len == 0)
        return;
    if (out->len > 0)
        buf_put_u8(out, ',');
    buf_append(out, item, len);
}

// The present list without (subtract) or with (append) the items of value; in the arena, NULL when too long.
static const char *list_change(struct arena *arena, const char *now, struct slice value, bool append)
{
    struct buf out;
    const char *items = arena_strndup(arena, value.data, value.len);
    buf_init(&out, CONFIGS_VALUE_MAX);
    for (const char *at = now; items != NULL && *at != 0;) {
        size_t len = strcspn(at, ",");
        if (append || !list_has(items, slice_of(at, len)))
            put_item(&out, at, len);
        at += len + (at[len] == ',');
    }
    for (const char *at = items; append && at != NULL && *at != 0;) {
        size_t len = strcspn(at, ",");
        if (!list_has(now, slice_of(at, len)))
            put_item(&out, at, len);
        at += len + (at[len] == ',');
    }
    const char *text = items != NULL && buf_status(&out) == ST_OK
                           ? arena_strndup(arena, out.data != NULL ? (char *)out.data : "", out.len)
                           : NULL;
    buf_fini(&out);
    return text;
}

// ---- one resource ----

static bool allowed(struct relay *relay, int8_t type, struct slice name, struct topics_error *error)
{
    const struct principal *who = &relay->principal;
    const enum operation what = OPERATION_ALTER_CONFIGS;
    if (type == MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC)
        return authorise(who, what, RESOURCE_TYPE_TOPIC, name) ||
               topics_refuse(error, KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED, "Authorization failed.");
    if (type == MILLRACE__RESOURCE_TYPE__RESOURCE_GROUP)
        return authorise(who, what, RESOURCE_TYPE_GROUP, name) ||
               topics_refuse(error, KAFKA_ERR_GROUP_AUTHORIZATION_FAILED, "Authorization failed.");
    return authorise(who, what, RESOURCE_TYPE_CLUSTER, slice_str(RESOURCE_CLUSTER_NAME)) ||
           topics_refuse(error, KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED, "Authorization failed.");
}

static bool topic_check(const char *name, struct topics_error *error)
{
    const char *why;
    if (name[0] == 0)
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "Default topic resources are not allowed.");
    if (!answers_topic_name_ok(slice_str(name), &why))
        return topics_refuse(error, KAFKA_ERR_INVALID_TOPIC_EXCEPTION, "Topic name is invalid: %s", why);
    return true;
}

// Comes after the keys, as in Kafka's ConfigurationControlManager.
static bool topic_exists(const struct image *image, const struct resource *resource,
                         struct topics_error *error)
{
    return resource->type != MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC ||
           image_topic_named(image, resource->name) != NULL ||
           topics_refuse(error, KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION, "The topic '%.200s' does not exist.",
                         resource->name);
}

static bool node_check(const char *name, struct topics_error *error)
{
    char *end;
    long id = strtol(name, &end, 10);
    if (name[0] == 0 || (*end == 0 && id >= 0 && id <= INT32_MAX))
        return true;
    return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "Node id must be an integer, but it is: %.100s",
                         name);
}

// Groups and subscriptions need not exist, so their number is bounded here.
static bool named_check(const struct image *image, const struct resource *resource, const char *empty,
                        struct topics_error *error)
{
    bool group = resource->type == MILLRACE__RESOURCE_TYPE__RESOURCE_GROUP;
    size_t set, max = group ? GROUPS_MAX : SUBSCRIPTIONS_MAX;
    image_configs(image, resource->type, resource->name, &set);
    if (resource->name[0] == 0)
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "%s", empty);
    if (strlen(resource->name) > NAME_MAX_BYTES)
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "The name is longer than %d bytes.",
                             NAME_MAX_BYTES);
    if (set == 0 && image_resource_count(image, resource->type) >= max)
        return topics_refuse(error, KAFKA_ERR_POLICY_VIOLATION,
                             "%zu resources of this type have configurations already.", max);
    return true;
}

static bool resource_check(struct relay *relay, int8_t type, struct slice name, struct resource *resource,
                           struct topics_error *error)
{
    const struct image *image = metadata_image(relay->controller->metadata);
    resource->type = (Millrace__ResourceType)type;
    resource->name = arena_strndup(&relay->arena, name.data, name.len);
    if (resource->name == NULL || strlen(resource->name) != name.len)
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "Invalid resource name.");
    if (!allowed(relay, type, name, error))
        return false;
    switch (type) {
    case MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC:
        return topic_check(resource->name, error);
    case MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER:
        return node_check(resource->name, error);
    case MILLRACE__RESOURCE_TYPE__RESOURCE_GROUP:
        return named_check(image, resource, "Default group resources are not allowed.", error);
    case MILLRACE__RESOURCE_TYPE__RESOURCE_CLIENT_METRICS:
        return named_check(image, resource, "Subscription name can't be empty", error);
    case MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER_LOGGER:
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST,
                             "Levels of loggers are altered by a request of their own, at their node.");
    default:
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "Unknown resource type %d", type);
    }
}

static const struct configs_key *find_key(const struct resource *resource, struct slice name)
{
    switch (resource->type) {
    case MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC:
        return configs_topic_key(name);
    case MILLRACE__RESOURCE_TYPE__RESOURCE_GROUP:
        return configs_group_key(name);
    case MILLRACE__RESOURCE_TYPE__RESOURCE_CLIENT_METRICS:
        return configs_metrics_key(name);
    default:
        return configs_node_key(name);
    }
}

static const struct configs_key *key_of(const struct resource *resource, struct slice name,
                                        struct topics_error *error)
{
    const struct configs_key *key = find_key(resource, name);
    int len = name.len < 100 ? (int)name.len : 100;
    const char *text = (const char *)name.data;
    if (key != NULL && key->hot)
        return key;
    if (resource->type == MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC)
        topics_refuse(error, KAFKA_ERR_INVALID_CONFIG, "Unknown topic config name: %.*s", len, text);
    else if (resource->type == MILLRACE__RESOURCE_TYPE__RESOURCE_GROUP)
        topics_refuse(error, KAFKA_ERR_INVALID_CONFIG, "Unknown group config name: %.*s", len, text);
    else if (resource->type == MILLRACE__RESOURCE_TYPE__RESOURCE_CLIENT_METRICS)
        topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "Unknown client metrics configuration: %.*s", len,
                      text);
    else
        topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "Cannot update these configs dynamically: Set(%.*s)",
                      len, text);
    return NULL;
}

static bool match_check(const struct configs_key *key, const char *value, struct topics_error *error)
{
    char why[CLIENT_MATCH_WHY_SIZE];
    struct client_match *match;
    if (strcmp(key->name, "match") != 0)
        return true;
    if (client_match_new(slice_str(value), &match, why) != ST_OK)
        return topics_refuse(error, KAFKA_ERR_INVALID_CONFIG, "%s", why);
    client_match_destroy(&match);
    return true;
}

static bool value_check(const struct resource *resource, const struct configs_key *key, const char *value,
                        struct topics_error *error)
{
    char why[CONFIGS_WHY_SIZE];
    bool node = resource->type == MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER;
    bool metrics = resource->type == MILLRACE__RESOURCE_TYPE__RESOURCE_CLIENT_METRICS;
    if (configs_check(key, slice_str(value), why) == ST_OK)
        return !metrics || match_check(key, value, error);
    return topics_refuse(error, node || metrics ? KAFKA_ERR_INVALID_REQUEST : KAFKA_ERR_INVALID_CONFIG, "%s",
                         why);
}

// The value the change leads to, in the arena; NULL with error->code 0: the key is removed.
static const char *new_value(struct relay *relay, const struct resource *resource,
                             const struct configs_key *key, const struct change *change,
                             struct topics_error *error)
{
    if (change->operation == OP_DELETE)
        return NULL;
    if (change->value.data == NULL) {
        topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "Null value not supported for : %s", key->name);
        return NULL;
    }
    if (change->operation == OP_SET)
        return arena_strndup(&relay->arena, change->value.data, change->value.len);
    if (key->type != CONFIGS_LIST) {
        topics_refuse(error, KAFKA_ERR_INVALID_CONFIG, "Can't %s to key %s because its type is not LIST.",
                      change->operation == OP_APPEND ? "APPEND" : "SUBTRACT", key->name);
        return NULL;
    }
    const char *now =
        image_config(metadata_image(relay->controller->metadata), resource->type, resource->name, key->name);
    if (now == NULL)
        now = key->fallback != NULL ? key->fallback : "";
    const char *value = list_change(&relay->arena, now, change->value, change->operation == OP_APPEND);
    if (value == NULL)
        topics_refuse(error, KAFKA_ERR_INVALID_CONFIG, "The list of %s becomes too long.", key->name);
    return value;
}

static bool add_change(struct relay *relay, const struct resource *resource, const struct change *change,
                       struct decision *decision, struct topics_error *error)
{
    if (change->operation < OP_SET || change->operation > OP_SUBTRACT)
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "Unknown operations type %d",
                             change->operation);
    if (change->operation == OP_DELETE && find_key(resource, change->name) == NULL)
        return true; // scripts clear away keys of older releases
    const struct configs_key *key = key_of(resource, change->name, error);
    if (key == NULL)
        return false;
    const char *value = new_value(relay, resource, key, change, error);
    if (error->code != 0 || (value != NULL && !value_check(resource, key, value, error)))
        return false;
    if (value != NULL && (value = configs_kept(key, slice_str(value), &relay->arena)) == NULL)
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "The request needs too much memory.");
    const char *now =
        image_config(metadata_image(relay->controller->metadata), resource->type, resource->name, key->name);
    bool same = value == NULL ? now == NULL : now != NULL && strcmp(now, value) == 0;
    if (!same)
        decision_config(decision, resource->type, resource->name, key->name, value);
    return true;
}

static bool add_changes(struct relay *relay, const struct resource *resource, const struct change *changes,
                        int32_t count, struct decision *decision, struct topics_error *error)
{
    const bool *twice =
        twice_named(&relay->arena, changes, count,
                    (struct twice_place){sizeof *changes, offsetof(struct change, name), -1});
    if (twice == NULL)
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "Too many configuration keys.");
    for (int32_t i = 0; i < count; i++) {
        if (twice[i])
            return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "Error due to duplicate config keys");
        if (!add_change(relay, resource, &changes[i], decision, error))
            return false;
    }
    return true;
}

// AlterConfigs: what is set now and not named is removed.
static void add_removals(struct relay *relay, const struct resource *resource, const struct change *changes,
                         int32_t count, struct decision *decision)
{
    size_t set;
    const struct image_config *configs =
        image_configs(metadata_image(relay->controller->metadata), resource->type, resource->name, &set);
    for (size_t i = 0; i < set; i++) {
        bool named = false;
        for (int32_t k = 0; k < count; k++)
            named |= slice_is(changes[k].name, configs[i].key);
        if (!named)
            decision_config(decision, resource->type, resource->name, configs[i].key, NULL);
    }
}

static bool together_check(const struct image *image, const struct resource *resource,
                           const struct decision *decision, struct topics_error *error)
{
    if (resource->type == MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC)
        return topics_configs_check(image, resource->name, decision, error);
    return resource->type != MILLRACE__RESOURCE_TYPE__RESOURCE_GROUP ||
           group_configs_check(image, resource->name, decision, error);
}

static void alter(struct relay *relay, int8_t type, struct slice name, const struct change *changes,
                  int32_t count, bool replace, struct topics_error *error)
{
    const struct image *image = metadata_image(relay->controller->metadata);
    struct resource resource;
    struct decision decision;
    decision_init(&decision);
    if (resource_check(relay, type, name, &resource, error) &&
        add_changes(relay, &resource, changes, count, &decision, error) &&
        topic_exists(image, &resource, error)) {
        if (replace)
            add_removals(relay, &resource, changes, count, &decision);
        if (together_check(image, &resource, &decision, error))
            relay_append(relay, &decision, error);
    }
    decision_fini(&decision);
}

void incremental_alter_configs(struct relay *relay)
{
    typedef struct kafka_incremental_alter_configs_request_alter_configs_resource asked_t;
    typedef struct kafka_incremental_alter_configs_response_alter_configs_resource_response result;
    const struct kafka_incremental_alter_configs_request *request = relay->request;
    struct kafka_incremental_alter_configs_response *response = relay->response;
    result *results =
        kafka_structure_array(&kafka_incremental_alter_configs_response_alter_configs_resource_response_type,
                              &relay->arena, request->resources_count);
    const bool *twice = twice_named(&relay->arena, request->resources, request->resources_count,
                                    (struct twice_place){sizeof *request->resources,
                                                         offsetof(asked_t, resource_name),
                                                         offsetof(asked_t, resource_type)});
    relay->failed = results == NULL || twice == NULL ? ST_LIMIT : ST_OK;
    relay->validate_only = request->validate_only;
    response->responses = results;
    response->responses_count = request->resources_count;
    for (int32_t i = 0; i < request->resources_count && relay->failed == ST_OK; i++) {
        struct topics_error error = {0};
        struct change *changes =
            arena_calloc(&relay->arena, (size_t)request->resources[i].configs_count + 1, sizeof *changes);
        for (int32_t k = 0; changes != NULL && k < request->resources[i].configs_count; k++)
            changes[k] = (struct change){.name = request->resources[i].configs[k].name,
                                         .value = request->resources[i].configs[k].value,
                                         .operation = request->resources[i].configs[k].config_operation};
        if (changes == NULL)
            topics_refuse(&error, KAFKA_ERR_INVALID_REQUEST, "Too many configuration keys.");
        else if (twice[i])
            topics_refuse(&error, KAFKA_ERR_INVALID_REQUEST, "Each resource must appear at most once.");
        else
            alter(relay, request->resources[i].resource_type, request->resources[i].resource_name, changes,
                  request->resources[i].configs_count, false, &error);
        results[i].error_code = error.code;
        results[i].error_message = relay_text(relay, &error);
        results[i].resource_type = request->resources[i].resource_type;
        results[i].resource_name = request->resources[i].resource_name;
    }
}

void alter_configs(struct relay *relay)
{
    typedef struct kafka_alter_configs_request_alter_configs_resource asked_t;
    typedef struct kafka_alter_configs_response_alter_configs_resource_response result;
    const struct kafka_alter_configs_request *request = relay->request;
    struct kafka_alter_configs_response *response = relay->response;
    result *results =
        kafka_structure_array(&kafka_alter_configs_response_alter_configs_resource_response_type,
                              &relay->arena, request->resources_count);
    const bool *twice = twice_named(&relay->arena, request->resources, request->resources_count,
                                    (struct twice_place){sizeof *request->resources,
                                                         offsetof(asked_t, resource_name),
                                                         offsetof(asked_t, resource_type)});
    relay->failed = results == NULL || twice == NULL ? ST_LIMIT : ST_OK;
    relay->validate_only = request->validate_only;
    response->responses = results;
    response->responses_count = request->resources_count;
    for (int32_t i = 0; i < request->resources_count && relay->failed == ST_OK; i++) {
        struct topics_error error = {0};
        struct change *changes =
            arena_calloc(&relay->arena, (size_t)request->resources[i].configs_count + 1, sizeof *changes);
        for (int32_t k = 0; changes != NULL && k < request->resources[i].configs_count; k++)
            changes[k] = (struct change){.name = request->resources[i].configs[k].name,
                                         .value = request->resources[i].configs[k].value};
        if (changes == NULL)
            topics_refuse(&error, KAFKA_ERR_INVALID_REQUEST, "Too many configuration keys.");
        else if (twice[i])
            topics_refuse(&error, KAFKA_ERR_INVALID_REQUEST, "Each resource must appear at most once.");
        else
            alter(relay, request->resources[i].resource_type, request->resources[i].resource_name, changes,
                  request->resources[i].configs_count, true, &error);
        results[i].error_code = error.code;
        results[i].error_message = relay_text(relay, &error);
        results[i].resource_type = request->resources[i].resource_type;
        results[i].resource_name = request->resources[i].resource_name;
    }
}
