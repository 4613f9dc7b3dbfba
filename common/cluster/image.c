// SPDX-License-Identifier: Apache-2.0
// The image's life, its readers and its listeners; see image.h. Records are applied in image_apply.c.
#include "cluster/image.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/image_state.h"

int image_compare_node(const void *key, const void *item)
{
    int32_t id = *(const int32_t *)key, other = ((const struct image_node *)item)->id;
    return (id > other) - (id < other);
}

int image_compare_topic(const void *key, const void *item)
{
    const struct slice *name = key;
    const char *other = ((const struct topic *)item)->view.name;
    size_t len = strlen(other);
    int order = memcmp(name->data, other, name->len < len ? name->len : len);
    return order != 0 ? order : (name->len > len) - (name->len < len);
}

int image_compare_shard(const void *key, const void *item)
{
    const struct shard_key *wanted = key;
    const struct image_shard *shard = item;
    int order = strcmp(wanted->topic, shard->topic);
    return order != 0 ? order : (wanted->shard > shard->shard) - (wanted->shard < shard->shard);
}

int image_compare_resource(const void *key, const void *item)
{
    const struct resource_key *wanted = key;
    const struct resource *resource = item;
    int order = (wanted->type > resource->type) - (wanted->type < resource->type);
    return order != 0 ? order : strcmp(wanted->name, resource->name);
}

struct image *image_new(void)
{
    struct image *image = mem_calloc(1, sizeof *image);
    image->offset = -1;
    map_init(&image->topics_by_id, 0);
    return image;
}

void image_topic_free(struct topic *topic)
{
    for (size_t i = 0; i < topic->view.partition_count; i++)
        mem_free(topic->partitions[i]);
    mem_free(topic->partitions);
    mem_free(topic);
}

void image_reset(struct image *image)
{
    for (size_t i = 0; i < image->nodes.count; i++)
        mem_free(image->nodes.items[i]);
    for (size_t i = 0; i < image->topics.count; i++)
        image_topic_free(image->topics.items[i]);
    for (size_t i = 0; i < image->shards.count; i++)
        mem_free(image->shards.items[i]);
    for (size_t i = 0; i < image->resources.count; i++)
        image_resource_free(image->resources.items[i]);
    image_features_forget(image);
    image_load_forget(image);
    sorted_fini(&image->nodes);
    sorted_fini(&image->topics);
    sorted_fini(&image->shards);
    sorted_fini(&image->resources);
    map_fini(&image->topics_by_id);
    image_decision_forget(image);
    struct image_listener *listeners = image->listeners;
    *image = (struct image){.offset = -1, .listeners = listeners};
    map_init(&image->topics_by_id, 0);
}

void image_destroy(struct image **image)
{
    if (*image == NULL)
        return;
    image_reset(*image);
    map_fini(&(*image)->topics_by_id);
    mem_free(*image);
    *image = NULL;
}

void image_skip(struct image *image, int64_t offset)
{
    ASSERT(offset > image->offset);
    image->offset = offset;
}

const char *image_error(const struct image *image)
{
    return image->error;
}

int64_t image_offset(const struct image *image)
{
    return image->offset;
}

struct uuid image_cluster_id(const struct image *image)
{
    return image->cluster_id;
}

int64_t image_next_producer_id(const struct image *image)
{
    return image->next_producer_id;
}

// ---- nodes ----

const struct image_node *image_node(const struct image *image, int32_t id)
{
    return sorted_get(&image->nodes, &id, image_compare_node);
}

size_t image_node_count(const struct image *image)
{
    return image->nodes.count;
}

const struct image_node *image_node_at(const struct image *image, size_t i)
{
    ASSERT(i < image->nodes.count);
    return image->nodes.items[i];
}

const struct image_endpoint *image_endpoint(const struct image_node *node, const char *listener)
{
    for (size_t i = 0; i < node->endpoint_count; i++)
        if (strcmp(node->endpoints[i].listener, listener) == 0)
            return &node->endpoints[i];
    return NULL;
}

bool image_node_live(const struct image_node *node, Millrace__Role role)
{
    return node != NULL && !node->fenced && node->role == role;
}

// ---- topics and partitions ----

const struct image_topic *image_topic(const struct image *image, struct uuid id)
{
    const struct topic *topic = map_get(&image->topics_by_id, slice_of(&id, sizeof id));
    return topic != NULL ? &topic->view : NULL;
}

const struct image_topic *image_topic_slice(const struct image *image, struct slice name)
{
    if (name.len == 0)
        return NULL;
    const struct topic *topic = sorted_get(&image->topics, &name, image_compare_topic);
    return topic != NULL ? &topic->view : NULL;
}

const struct image_topic *image_topic_named(const struct image *image, const char *name)
{
    return image_topic_slice(image, slice_str(name));
}

size_t image_topic_count(const struct image *image)
{
    return image->topics.count;
}

const struct image_topic *image_topic_at(const struct image *image, size_t i)
{
    ASSERT(i < image->topics.count);
    const struct topic *topic = image->topics.items[i];
    return &topic->view;
}

size_t image_topic_lower_bound(const struct image *image, struct slice name)
{
    return name.len == 0 ? 0 : sorted_find(&image->topics, &name, image_compare_topic, NULL);
}

const struct image_partition *image_topic_partition(const struct image_topic *topic, int32_t index)
{
    return index >= 0 && (size_t)index < topic->partition_count ? topic->partitions[index] : NULL;
}

const struct image_partition *image_partition(const struct image *image, struct uuid id, int32_t index)
{
    const struct image_topic *topic = image_topic(image, id);
    return topic != NULL ? image_topic_partition(topic, index) : NULL;
}

size_t image_partition_total(const struct image *image)
{
    return image->partition_total;
}

bool image_ids_have(const struct image_ids *ids, int32_t id)
{
    for (size_t i = 0; i < ids->count; i++)
        if (ids->ids[i] == id)
            return true;
    return false;
}

bool image_ids_equal(const struct image_ids *a, const struct image_ids *b)
{
    return a->count == b->count && (a->count == 0 || memcmp(a->ids, b->ids, a->count * sizeof *a->ids) == 0);
}

bool image_partition_moving(const struct image_partition *partition)
{
    return partition->adding.count + partition->removing.count > 0;
}

// ---- shards ----

const struct image_shard *image_shard(const struct image *image, const char *topic, int32_t shard)
{
    struct shard_key key = {.topic = topic, .shard = shard};
    return sorted_get(&image->shards, &key, image_compare_shard);
}

size_t image_shard_count(const struct image *image)
{
    return image->shards.count;
}

const struct image_shard *image_shard_at(const struct image *image, size_t i)
{
    ASSERT(i < image->shards.count);
    return image->shards.items[i];
}

// ---- listeners ----

void image_listen(struct image *image, struct image_listener *listener)
{
    struct image_listener **at = &image->listeners;
    while (*at != NULL)
        at = &(*at)->next;
    listener->next = NULL;
    *at = listener;
}

void image_unlisten(struct image *image, struct image_listener *listener)
{
    for (struct image_listener **at = &image->listeners; *at != NULL; at = &(*at)->next) {
        if (*at == listener) {
            *at = listener->next;
            listener->next = NULL;
            return;
        }
    }
}

void image_tell_node(struct image *image, const struct image_node *before, const struct image_node *after)
{
    for (struct image_listener *to = image->listeners; to != NULL; to = to->next)
        if (to->on_node != NULL)
            to->on_node(to->context, before, after);
}

void image_tell_topic(struct image *image, const struct image_topic *topic, bool removed)
{
    for (struct image_listener *to = image->listeners; to != NULL; to = to->next) {
        if (removed && to->on_topic_removed != NULL)
            to->on_topic_removed(to->context, topic);
        if (!removed && to->on_topic != NULL)
            to->on_topic(to->context, topic);
    }
}

void image_tell_partition(struct image *image, const struct image_topic *topic,
                          const struct image_partition *before, const struct image_partition *after)
{
    for (struct image_listener *to = image->listeners; to != NULL; to = to->next)
        if (to->on_partition != NULL)
            to->on_partition(to->context, topic, before, after);
}

void image_tell_shard(struct image *image, const struct image_shard *before, const struct image_shard *after)
{
    for (struct image_listener *to = image->listeners; to != NULL; to = to->next)
        if (to->on_shard != NULL)
            to->on_shard(to->context, before, after);
}

void image_tell_config(struct image *image, const struct resource *resource, const char *key,
                       const char *value)
{
    for (struct image_listener *to = image->listeners; to != NULL; to = to->next)
        if (to->on_config != NULL)
            to->on_config(to->context, resource->type, resource->name, key, value);
}
