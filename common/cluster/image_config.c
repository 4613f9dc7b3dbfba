// SPDX-License-Identifier: Apache-2.0
// Configuration values kept in the metadata log, and Kafka's order of overrides (KafkaConfig,
// ConfigurationControl): topic, then node, then the default of all nodes, then the static value of the
// process.
#include "cluster/image_state.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>

enum { NODE_NAME_SIZE = 12 }; // "-2147483648" and NUL

void image_resource_free(struct resource *resource)
{
    for (size_t i = 0; i < resource->count; i++) {
        mem_free((void *)(uintptr_t)resource->configs[i].key);
        mem_free((void *)(uintptr_t)resource->configs[i].value);
    }
    mem_free(resource->configs);
    mem_free(resource);
}

static struct resource *resource_get(struct image *image, struct resource_key where)
{
    bool found;
    size_t at = sorted_find(&image->resources, &where, image_compare_resource, &found);
    if (found)
        return image->resources.items[at];
    size_t len = strlen(where.name);
    struct resource *resource = mem_calloc(1, sizeof *resource + len + 1);
    resource->type = where.type;
    memcpy(resource->name, where.name, len);
    sorted_insert(&image->resources, at, resource);
    return resource;
}

// Position of key, or where it belongs.
static size_t config_find(const struct resource *resource, const char *key, bool *found)
{
    size_t i = 0;
    while (i < resource->count && strcmp(resource->configs[i].key, key) < 0)
        i++;
    *found = i < resource->count && strcmp(resource->configs[i].key, key) == 0;
    return i;
}

static void config_insert(struct resource *resource, size_t at, const char *key, const char *value)
{
    struct image_config *configs = mem_realloc(resource->configs, (resource->count + 1) * sizeof *configs);
    memmove(configs + at + 1, configs + at, (resource->count - at) * sizeof *configs);
    configs[at] = (struct image_config){.key = mem_strdup(key), .value = mem_strdup(value)};
    resource->configs = configs;
    resource->count++;
}

static void config_remove(struct resource *resource, size_t at)
{
    struct image_config gone = resource->configs[at];
    resource->count--;
    memmove(resource->configs + at, resource->configs + at + 1, (resource->count - at) * sizeof gone);
    mem_free((void *)(uintptr_t)gone.key);
    mem_free((void *)(uintptr_t)gone.value);
}

void image_config_set(struct image *image, struct resource_key where, const char *key, const char *value)
{
    struct resource *resource = resource_get(image, where);
    bool found;
    size_t at = config_find(resource, key, &found);
    if (found && value != NULL) {
        char *old = (char *)(uintptr_t)resource->configs[at].value;
        resource->configs[at].value = mem_strdup(value);
        mem_free(old);
    } else if (found) {
        config_remove(resource, at);
    } else if (value != NULL) {
        config_insert(resource, at, key, value);
    }
    image_tell_config(image, resource, key, value);
    if (resource->count == 0) {
        sorted_remove(&image->resources,
                      sorted_find(&image->resources, &where, image_compare_resource, NULL));
        image_resource_free(resource);
    }
}

void image_config_drop(struct image *image, struct resource_key where)
{
    bool found;
    size_t at = sorted_find(&image->resources, &where, image_compare_resource, &found);
    if (!found)
        return;
    struct resource *resource = sorted_remove(&image->resources, at);
    for (size_t i = 0; i < resource->count; i++)
        image_tell_config(image, resource, resource->configs[i].key, NULL);
    image_resource_free(resource);
}

const struct image_config *image_configs(const struct image *image, Millrace__ResourceType type,
                                         const char *name, size_t *count)
{
    struct resource_key where = {.type = type, .name = name};
    const struct resource *resource = sorted_get(&image->resources, &where, image_compare_resource);
    *count = resource != NULL ? resource->count : 0;
    return resource != NULL ? resource->configs : NULL;
}

// Position of the first resource of the type, or where it would be.
static size_t resource_first(const struct image *image, int type)
{
    struct resource_key where = {.type = (Millrace__ResourceType)type, .name = ""};
    return sorted_find(&image->resources, &where, image_compare_resource, NULL);
}

size_t image_resource_count(const struct image *image, Millrace__ResourceType type)
{
    return resource_first(image, (int)type + 1) - resource_first(image, type);
}

const char *image_resource_name(const struct image *image, Millrace__ResourceType type, size_t i)
{
    size_t at = resource_first(image, type) + i;
    ASSERT(at < image->resources.count);
    return ((const struct resource *)image->resources.items[at])->name;
}

const char *image_config(const struct image *image, Millrace__ResourceType type, const char *name,
                         const char *key)
{
    struct resource_key where = {.type = type, .name = name};
    const struct resource *resource = sorted_get(&image->resources, &where, image_compare_resource);
    if (resource == NULL)
        return NULL;
    bool found;
    size_t at = config_find(resource, key, &found);
    return found ? resource->configs[at].value : NULL;
}

const char *image_node_config(const struct image *image, int32_t node_id, const char *key,
                              const char *fallback, enum image_config_source *source)
{
    char name[NODE_NAME_SIZE];
    snprintf(name, sizeof name, "%d", node_id);
    enum image_config_source from = IMAGE_CONFIG_NODE;
    const char *value = image_config(image, MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER, name, key);
    if (value == NULL) {
        from = IMAGE_CONFIG_DEFAULT_NODE;
        value = image_config(image, MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER, "", key);
    }
    if (value == NULL) {
        from = IMAGE_CONFIG_STATIC;
        value = fallback;
    }
    if (source != NULL)
        *source = from;
    return value;
}

const char *image_topic_config(const struct image *image, const char *topic, const char *key,
                               const char *node_key, int32_t node_id, const char *fallback)
{
    const char *value = image_config(image, MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC, topic, key);
    if (value != NULL || node_key == NULL)
        return value != NULL ? value : fallback;
    return image_node_config(image, node_id, node_key, fallback, NULL);
}
