// SPDX-License-Identifier: Apache-2.0
// DescribeConfigs: every key of a topic, of this node, of a group or of a client metrics subscription with
// its value, where the value comes from, and, when asked, what would stand in its place otherwise (synonyms,
// in order of precedence) and its documentation; and the level of this node's one logger. Clients read,
// change and write back what they get here, so no key is left out.
#include "answer_handlers.h"

#include "base/config.h"
#include "cluster/configs.h"
#include "kafka/messages/describe_configs.h"
#include "logger_levels.h"
#include "settings.h"
#include "storage.h"

#include <stdio.h>

typedef struct kafka_describe_configs_request_describe_configs_resource asked_resource;
typedef struct kafka_describe_configs_response_describe_configs_result result;
typedef struct kafka_describe_configs_response_describe_configs_resource_result entry;
typedef struct kafka_describe_configs_response_describe_configs_synonym synonym;

enum { SYNONYMS_MAX = 5 };

enum source { // Kafka's numbers (DescribeConfigsResponse.ConfigSource)
    SOURCE_TOPIC = 1,
    SOURCE_DYNAMIC_NODE = 2,
    SOURCE_DYNAMIC_DEFAULT = 3,
    SOURCE_STATIC_NODE = 4,
    SOURCE_DEFAULT = 5,
    SOURCE_LOGGER = 6,
    SOURCE_METRICS = 7,
    SOURCE_GROUP = 8
};

struct described {
    struct storage_request *request;
    const struct kafka_describe_configs_request *asked;
    const asked_resource *resource;
    const struct image *image;
    char node[16];      // this node's id in decimal
    const char *topic;  // NULL: something else is described
    const char *named;  // group or subscription; NULL: something else
    bool defaults_only; // the default of all nodes: dynamic values alone
};

static void add(synonym *list, int32_t *count, const char *name, const char *value, enum source source)
{
    if (value == NULL && source != SOURCE_DEFAULT)
        return;
    list[*count].name = slice_str(name);
    list[*count].value = slice_str(value);
    list[*count].source = (int8_t)source;
    ++*count;
}

// What the process was started with, when the key is one of its parameters and was given.
static const char *static_value(const struct described *d, const char *key)
{
    const struct config *config = storage_config(d->request->storage);
    if (strcmp(key, "broker.id") == 0) // its older name, by which tools know it
        key = "node.id";
    char text[SETTINGS_TEXT];
    const char *value = settings_static(config, key, text);
    return value == text ? arena_strndup(&d->request->arena, text, strlen(text)) : value;
}

// What is set for a group or a subscription, else its default, which a node's configuration may be.
static int32_t gather_named(const struct described *d, const struct configs_key *key,
                            synonym list[SYNONYMS_MAX])
{
    int32_t count = 0;
    const Millrace__ResourceType type = (Millrace__ResourceType)d->resource->resource_type;
    bool group = type == MILLRACE__RESOURCE_TYPE__RESOURCE_GROUP;
    add(list, &count, key->name, image_config(d->image, type, d->named, key->name),
        group ? SOURCE_GROUP : SOURCE_METRICS);
    if (count > 0)
        return count;
    const char *node = key->node_key != NULL ? static_value(d, key->node_key) : NULL;
    add(list, &count, key->name, node != NULL ? node : key->fallback, SOURCE_DEFAULT);
    return count;
}

// Every value the key has, the effective one first.
static int32_t gather(const struct described *d, const struct configs_key *key, synonym list[SYNONYMS_MAX])
{
    if (d->named != NULL)
        return gather_named(d, key, list);
    int32_t count = 0;
    const char *node_key = d->topic != NULL ? key->node_key : key->name;
    if (d->topic != NULL)
        add(list, &count, key->name,
            image_config(d->image, MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC, d->topic, key->name),
            SOURCE_TOPIC);
    if (node_key != NULL && !d->defaults_only)
        add(list, &count, node_key,
            image_config(d->image, MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER, d->node, node_key),
            SOURCE_DYNAMIC_NODE);
    if (node_key != NULL)
        add(list, &count, node_key,
            image_config(d->image, MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER, "", node_key),
            SOURCE_DYNAMIC_DEFAULT);
    if (d->defaults_only)
        return count;
    if (node_key != NULL)
        add(list, &count, node_key, static_value(d, node_key), SOURCE_STATIC_NODE);
    if (key->fallback != NULL || count == 0)
        add(list, &count, node_key != NULL ? node_key : key->name, key->fallback, SOURCE_DEFAULT);
    return count;
}

static bool wanted(const struct described *d, const char *name)
{
    int32_t count = d->resource->configuration_keys_count;
    for (int32_t i = 0; i < count; i++) {
        if (slice_is(d->resource->configuration_keys[i], name))
            return true;
    }
    return count <= 0; // null or empty: all
}

// Of a topic's key Kafka tells only a default that stands among the nodes' keys.
static bool default_told(const struct described *d, const struct configs_key *key, const synonym *last)
{
    if (d->topic == NULL || last->source != SOURCE_DEFAULT)
        return true;
    return key->node_key != NULL && configs_node_key(slice_str(key->node_key))->fallback != NULL;
}

static bool describe_key(const struct described *d, const struct configs_key *key, result *out)
{
    synonym list[SYNONYMS_MAX];
    kafka_structure_defaults(&kafka_describe_configs_response_describe_configs_synonym_type, &list[0]);
    for (int i = 1; i < SYNONYMS_MAX; i++)
        list[i] = list[0];
    int32_t count = gather(d, key, list);
    if (count == 0)
        return true;
    entry *to = &out->configs[out->configs_count++];
    to->name = slice_str(key->name);
    to->is_sensitive = key->type == CONFIGS_PASSWORD;
    to->value = to->is_sensitive ? (struct slice){0} : list[0].value;
    to->config_source = list[0].source;
    to->read_only = !key->hot;
    to->config_type = (int8_t)key->type;
    to->documentation = d->asked->include_documentation ? slice_str(key->help) : (struct slice){0};
    if (!d->asked->include_synonyms || to->is_sensitive || list[0].value.data == NULL)
        return true;
    to->synonyms = arena_calloc(&d->request->arena, (size_t)count, sizeof *list);
    if (to->synonyms == NULL)
        return false;
    memcpy(to->synonyms, list, sizeof *list * (size_t)count);
    to->synonyms_count = count - !default_told(d, key, &list[count - 1]);
    return true;
}

static bool describe_keys(const struct described *d, const struct configs_key *keys, int count, result *out)
{
    out->configs = kafka_structure_array(
        &kafka_describe_configs_response_describe_configs_resource_result_type, &d->request->arena, count);
    out->configs_count = 0;
    for (int i = 0; out->configs != NULL && i < count; i++) {
        if (wanted(d, keys[i].name) && !describe_key(d, &keys[i], out))
            return false;
    }
    return out->configs != NULL;
}

static void refuse(result *out, int16_t error, const char *why)
{
    out->error_code = error;
    out->error_message = slice_str(why);
}

static bool describe_topic(struct described *d, result *out)
{
    struct slice name = d->resource->resource_name;
    const char *why = NULL;
    const struct image_topic *topic = image_topic_slice(d->image, name);
    if (!authorise(&d->request->principal, OPERATION_DESCRIBE_CONFIGS, RESOURCE_TYPE_TOPIC, name)) {
        refuse(out, KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED, NULL);
    } else if (!answers_topic_name_ok(name, &why)) {
        refuse(out, KAFKA_ERR_INVALID_TOPIC_EXCEPTION, why);
    } else if (topic == NULL) {
        refuse(out, KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION, NULL);
    } else {
        d->topic = topic->name;
        return describe_keys(d, configs_topic_keys, configs_topic_count, out);
    }
    return true;
}

static bool may_describe(const struct described *d, enum resource_type type, struct slice name)
{
    return authorise(&d->request->principal, OPERATION_DESCRIBE_CONFIGS, type, name);
}

// Whether the resource's name is this node's id; refuses it otherwise. else_ok: "or what else it may be".
static bool names_node(struct described *d, const char *else_ok, result *out)
{
    struct slice name = d->resource->resource_name;
    struct arena *arena = &d->request->arena;
    int len = name.len < 100 ? (int)name.len : 100;
    bool number = name.len > 0;
    for (size_t i = 0; i < name.len; i++)
        number &= name.data[i] >= '0' && name.data[i] <= '9';
    if (!may_describe(d, RESOURCE_TYPE_CLUSTER, slice_str(RESOURCE_CLUSTER_NAME)))
        refuse(out, KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED, NULL);
    else if (!number)
        refuse(out, KAFKA_ERR_INVALID_REQUEST,
               arena_printf(arena, "Broker id must be an integer, but it is: %.*s", len,
                            (const char *)name.data));
    else if (!slice_is(name, d->node))
        refuse(out, KAFKA_ERR_INVALID_REQUEST,
               arena_printf(arena, "Unexpected broker id, expected %s%s, but received %.*s", d->node, else_ok,
                            len, (const char *)name.data));
    return out->error_code == 0;
}

static bool describe_node(struct described *d, result *out)
{
    d->defaults_only = d->resource->resource_name.len == 0;
    if (d->defaults_only && !may_describe(d, RESOURCE_TYPE_CLUSTER, slice_str(RESOURCE_CLUSTER_NAME)))
        refuse(out, KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED, NULL);
    else if (d->defaults_only || names_node(d, " or empty string", out))
        return describe_keys(d, configs_node_keys, configs_node_count, out);
    return true;
}

// One logger, the root of all: lines below its level are not written (logger_levels.c sets it).
static bool describe_logger(struct described *d, result *out)
{
    if (d->resource->resource_name.len == 0) {
        refuse(out, KAFKA_ERR_INVALID_REQUEST, "Broker id must not be empty");
        return true;
    }
    if (!names_node(d, "", out) || !wanted(d, LOGGER_ROOT))
        return true;
    out->configs = kafka_structure_array(
        &kafka_describe_configs_response_describe_configs_resource_result_type, &d->request->arena, 1);
    if (out->configs == NULL)
        return false;
    out->configs_count = 1;
    out->configs[0].name = slice_str(LOGGER_ROOT);
    out->configs[0].value = slice_str(logger_level_text(d->request->storage));
    out->configs[0].config_source = SOURCE_LOGGER;
    return true;
}

static bool describe_group(struct described *d, result *out)
{
    struct slice name = d->resource->resource_name;
    d->named = arena_strndup(&d->request->arena, name.data, name.len);
    if (d->named == NULL)
        return false;
    if (!may_describe(d, RESOURCE_TYPE_GROUP, name))
        refuse(out, KAFKA_ERR_GROUP_AUTHORIZATION_FAILED, NULL);
    else if (name.len == 0)
        refuse(out, KAFKA_ERR_INVALID_REQUEST, "Group name must not be empty");
    else
        return describe_keys(d, configs_group_keys, configs_group_count, out);
    return true;
}

static bool describe_metrics(struct described *d, result *out)
{
    struct slice name = d->resource->resource_name;
    d->named = arena_strndup(&d->request->arena, name.data, name.len);
    if (d->named == NULL)
        return false;
    if (!may_describe(d, RESOURCE_TYPE_CLUSTER, slice_str(RESOURCE_CLUSTER_NAME)))
        refuse(out, KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED, NULL);
    else if (name.len == 0)
        refuse(out, KAFKA_ERR_INVALID_REQUEST, "Client metrics subscription name must not be empty");
    else
        return describe_keys(d, configs_metrics_keys, configs_metrics_count, out);
    return true;
}

static bool describe_resource(struct described *d, result *out)
{
    out->resource_type = d->resource->resource_type;
    out->resource_name = d->resource->resource_name;
    switch (d->resource->resource_type) {
    case MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC:
        return describe_topic(d, out);
    case MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER:
        return describe_node(d, out);
    case MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER_LOGGER:
        return describe_logger(d, out);
    case MILLRACE__RESOURCE_TYPE__RESOURCE_CLIENT_METRICS:
        return describe_metrics(d, out);
    case MILLRACE__RESOURCE_TYPE__RESOURCE_GROUP:
        return describe_group(d, out);
    default:
        refuse(out, KAFKA_ERR_INVALID_REQUEST, "unknown resource type");
        return true;
    }
}

void handle_describe_configs(struct storage_request *request)
{
    const struct kafka_describe_configs_request *asked = request->body;
    struct kafka_describe_configs_response response;
    kafka_defaults(&kafka_describe_configs_response_message, &response);
    response.results = kafka_structure_array(&kafka_describe_configs_response_describe_configs_result_type,
                                             &request->arena, asked->resources_count);
    response.results_count = asked->resources_count;
    bool ok = response.results != NULL;
    for (int32_t i = 0; ok && i < asked->resources_count; i++) {
        struct described described = {.request = request,
                                      .asked = asked,
                                      .resource = &asked->resources[i],
                                      .image = storage_image(request->storage)};
        snprintf(described.node, sizeof described.node, "%d", storage_node_id(request->storage));
        ok = describe_resource(&described, &response.results[i]);
    }
    if (ok)
        storage_answer(request, &response);
    else
        storage_answer_close(request, "out of memory for an answer");
}
