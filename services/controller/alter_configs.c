// SPDX-License-Identifier: Apache-2.0
// IncrementalAlterConfigs (API 44) and AlterConfigs (API 33), which replaces all keys of a resource. A
// resource is changed whole or not at all. Topics and nodes ("" = all nodes) have configurations here.
#include "relay.h"

#include "base/mem.h"
#include "cluster/answers.h"
#include "cluster/configs.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/alter_configs.h"
#include "kafka/messages/incremental_alter_configs.h"

#include <stdio.h>
#include <stdlib.h>

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

static bool resource_check(struct relay *relay, int8_t type, struct slice name, struct resource *resource,
                           struct topics_error *error)
{
    const struct image *image = metadata_image(relay->controller->metadata);
    resource->type = (Millrace__ResourceType)type;
    resource->name = arena_strndup(&relay->arena, name.data, name.len);
    if (resource->name == NULL || strlen(resource->name) != name.len)
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "Invalid resource name.");
    bool topic = type == MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC;
    struct slice guarded = topic ? name : slice_str(RESOURCE_CLUSTER_NAME);
    if (!authorise(&relay->principal, OPERATION_ALTER_CONFIGS,
                   topic ? RESOURCE_TYPE_TOPIC : RESOURCE_TYPE_CLUSTER, guarded))
        return topics_refuse(
            error, topic ? KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED : KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED,
            "Authorization failed.");
    const char *why;
    if (topic && name.len == 0)
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "Default topic resources are not allowed.");
    if (topic && !answers_topic_name_ok(name, &why))
        return topics_refuse(error, KAFKA_ERR_INVALID_TOPIC_EXCEPTION, "Topic name is invalid: %s", why);
    if (topic && image_topic_slice(image, name) == NULL)
        return topics_refuse(error, KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION,
                             "The topic '%.200s' does not exist.", resource->name);
    if (topic)
        return true;
    if (type != MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER)
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "Unexpected resource type %d.", type);
    char *end;
    long id = strtol(resource->name, &end, 10);
    if (resource->name[0] != 0 && (*end != 0 || id < 0 || id > INT32_MAX))
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST,
                             "Node id must be an integer, but it is: %.100s", resource->name);
    return true;
}

static const struct configs_key *key_of(const struct resource *resource, struct slice name,
                                        struct topics_error *error)
{
    bool topic = resource->type == MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC;
    const struct configs_key *key = topic ? configs_topic_key(name) : configs_node_key(name);
    int len = name.len < 100 ? (int)name.len : 100;
    if (key == NULL && topic)
        topics_refuse(error, KAFKA_ERR_INVALID_CONFIG, "Unknown topic config name: %.*s", len,
                      (const char *)name.data);
    else if (key == NULL || !key->hot)
        topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "Cannot update these configs dynamically: Set(%.*s)",
                      len, (const char *)name.data);
    return error->code == 0 ? key : NULL;
}

// The value the change leads to, in the arena; NULL with error->code 0: the key is removed.
static const char *new_value(struct relay *relay, const struct resource *resource,
                             const struct configs_key *key, const struct change *change,
                             struct topics_error *error)
{
    if (change->operation == OP_DELETE)
        return NULL;
    if (change->value.data == NULL) {
        topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "Null value not supported for %s", key->name);
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
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "Unknown operation %d.", change->operation);
    bool topic = resource->type == MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC;
    if (topic && change->operation == OP_DELETE && configs_topic_key(change->name) == NULL)
        return true; // scripts clear away keys of older releases
    const struct configs_key *key = key_of(resource, change->name, error);
    if (key == NULL)
        return false;
    const char *value = new_value(relay, resource, key, change, error);
    char why[CONFIGS_WHY_SIZE];
    if (error->code != 0)
        return false;
    if (value != NULL && configs_check(key, slice_str(value), why) != ST_OK)
        return topics_refuse(error, topic ? KAFKA_ERR_INVALID_CONFIG : KAFKA_ERR_INVALID_REQUEST, "%s", why);
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
    for (int32_t i = 0; i < count; i++) {
        for (int32_t k = 0; k < i; k++)
            if (slice_equal(changes[k].name, changes[i].name))
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

static void alter(struct relay *relay, int8_t type, struct slice name, const struct change *changes,
                  int32_t count, bool replace, struct topics_error *error)
{
    struct resource resource;
    struct decision decision;
    decision_init(&decision);
    if (resource_check(relay, type, name, &resource, error) &&
        add_changes(relay, &resource, changes, count, &decision, error)) {
        if (replace)
            add_removals(relay, &resource, changes, count, &decision);
        relay_append(relay, &decision, error);
    }
    decision_fini(&decision);
}

static bool named_twice_incrementally(const struct kafka_incremental_alter_configs_request *request,
                                      int32_t at)
{
    for (int32_t i = 0; i < request->resources_count; i++)
        if (i != at && request->resources[i].resource_type == request->resources[at].resource_type &&
            slice_equal(request->resources[i].resource_name, request->resources[at].resource_name))
            return true;
    return false;
}

void incremental_alter_configs(struct relay *relay)
{
    typedef struct kafka_incremental_alter_configs_response_alter_configs_resource_response result;
    const struct kafka_incremental_alter_configs_request *request = relay->request;
    struct kafka_incremental_alter_configs_response *response = relay->response;
    result *results =
        kafka_structure_array(&kafka_incremental_alter_configs_response_alter_configs_resource_response_type,
                              &relay->arena, request->resources_count);
    relay->failed = results == NULL ? ST_LIMIT : ST_OK;
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
        else if (named_twice_incrementally(request, i))
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

static bool named_twice_whole(const struct kafka_alter_configs_request *request, int32_t at)
{
    for (int32_t i = 0; i < request->resources_count; i++)
        if (i != at && request->resources[i].resource_type == request->resources[at].resource_type &&
            slice_equal(request->resources[i].resource_name, request->resources[at].resource_name))
            return true;
    return false;
}

void alter_configs(struct relay *relay)
{
    typedef struct kafka_alter_configs_response_alter_configs_resource_response result;
    const struct kafka_alter_configs_request *request = relay->request;
    struct kafka_alter_configs_response *response = relay->response;
    result *results =
        kafka_structure_array(&kafka_alter_configs_response_alter_configs_resource_response_type,
                              &relay->arena, request->resources_count);
    relay->failed = results == NULL ? ST_LIMIT : ST_OK;
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
        else if (named_twice_whole(request, i))
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
