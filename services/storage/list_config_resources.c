// SPDX-License-Identifier: Apache-2.0
// ListConfigResources (API 74, KIP-1142; version 0 is KIP-1000's list of client metrics subscriptions): what
// configurations can be set for, by type. Groups and subscriptions are those that have some.
#include "answer_handlers.h"

#include "kafka/messages/list_config_resources.h"
#include "storage.h"

typedef struct kafka_list_config_resources_response_config_resource row;
typedef struct kafka_list_config_resources_response listed;

static const int8_t types[] = {
    MILLRACE__RESOURCE_TYPE__RESOURCE_GROUP, MILLRACE__RESOURCE_TYPE__RESOURCE_CLIENT_METRICS,
    MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER_LOGGER, MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER,
    MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC};
enum { TYPES = sizeof types / sizeof *types, VERSION_TYPES = 1 };

static bool known(int8_t type)
{
    for (int i = 0; i < TYPES; i++)
        if (types[i] == type)
            return true;
    return false;
}

// In version 0 subscriptions are meant, an empty list means all types.
static bool wanted(const struct kafka_list_config_resources_request *asked, int16_t version, int8_t type)
{
    if (version < VERSION_TYPES)
        return type == MILLRACE__RESOURCE_TYPE__RESOURCE_CLIENT_METRICS;
    for (int32_t i = 0; i < asked->resource_types_count; i++)
        if (asked->resource_types[i] == type)
            return true;
    return asked->resource_types_count == 0;
}

static void add(listed *response, struct slice name, int8_t type)
{
    row *to = &response->config_resources[response->config_resources_count++];
    to->resource_name = name;
    to->resource_type = type;
}

static bool live(const struct image *image, size_t i)
{
    return image_node_live(image_node_at(image, i), MILLRACE__ROLE__ROLE_STORAGE);
}

static void add_nodes(struct storage_request *request, listed *response, int8_t type)
{
    const struct image *image = storage_image(request->storage);
    for (size_t i = 0; i < image_node_count(image); i++)
        if (live(image, i))
            add(response, slice_str(arena_printf(&request->arena, "%d", image_node_at(image, i)->id)), type);
}

static void add_type(struct storage_request *request, listed *response, int8_t type)
{
    const struct image *image = storage_image(request->storage);
    if (type == MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC)
        for (size_t i = 0; i < image_topic_count(image); i++)
            add(response, slice_str(image_topic_at(image, i)->name), type);
    else if (type == MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER ||
             type == MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER_LOGGER)
        add_nodes(request, response, type);
    else
        for (size_t i = 0; i < image_resource_count(image, (Millrace__ResourceType)type); i++)
            add(response, slice_str(image_resource_name(image, (Millrace__ResourceType)type, i)), type);
}

// More than there can be.
static size_t room(const struct image *image)
{
    return image_topic_count(image) + 2 * image_node_count(image) +
           image_resource_count(image, MILLRACE__RESOURCE_TYPE__RESOURCE_GROUP) +
           image_resource_count(image, MILLRACE__RESOURCE_TYPE__RESOURCE_CLIENT_METRICS);
}

void handle_list_config_resources(struct storage_request *request)
{
    const struct kafka_list_config_resources_request *asked = request->body;
    listed response;
    kafka_defaults(&kafka_list_config_resources_response_message, &response);
    for (int32_t i = 0; request->version >= VERSION_TYPES && i < asked->resource_types_count; i++)
        if (!known(asked->resource_types[i]))
            response.error_code = KAFKA_ERR_UNSUPPORTED_VERSION;
    if (!authorise(&request->principal, OPERATION_DESCRIBE_CONFIGS, RESOURCE_TYPE_CLUSTER,
                   slice_str(RESOURCE_CLUSTER_NAME)))
        response.error_code = KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
    response.config_resources =
        kafka_structure_array(&kafka_list_config_resources_response_config_resource_type, &request->arena,
                              (int32_t)room(storage_image(request->storage)));
    if (response.config_resources == NULL) {
        storage_answer_close(request, "out of memory for an answer");
        return;
    }
    for (int i = 0; response.error_code == 0 && i < TYPES; i++)
        if (wanted(asked, request->version, types[i]))
            add_type(request, &response, types[i]);
    storage_answer(request, &response);
}
