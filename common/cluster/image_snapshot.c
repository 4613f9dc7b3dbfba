// SPDX-License-Identifier: Apache-2.0
// An image as records, an image from records, and the differences between two images. A shard's and a node's
// record carry no offset of their own, so a snapshot loses which offset assigned them; the snapshot's own
// offset stands in, which is later and therefore safe to wait for.
#include "cluster/image_state.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/records.h"

enum { RECORD_ARENA_MAX = 4 << 20 };

static enum status put(struct buf *out, Millrace__MetadataRecord *record,
                       Millrace__MetadataRecord__BodyCase kind)
{
    record->version = IMAGE_RECORD_VERSION;
    record->body_case = kind;
    return records_put(out, record);
}

static ProtobufCBinaryData bytes_of(const struct uuid *id)
{
    return (ProtobufCBinaryData){.len = sizeof id->bytes, .data = (uint8_t *)(uintptr_t)id->bytes};
}

static enum status put_cluster(const struct image *image, struct buf *out)
{
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    Millrace__ClusterRecord cluster = MILLRACE__CLUSTER_RECORD__INIT;
    cluster.cluster_id = bytes_of(&image->cluster_id);
    record.cluster = &cluster;
    return uuid_is_zero(image->cluster_id) ? ST_OK
                                           : put(out, &record, MILLRACE__METADATA_RECORD__BODY_CLUSTER);
}

static enum status put_producer_ids(const struct image *image, struct buf *out)
{
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    Millrace__ProducerIdsRecord ids = MILLRACE__PRODUCER_IDS_RECORD__INIT;
    ids.next_producer_id = image->next_producer_id;
    record.producer_ids = &ids;
    return image->next_producer_id == 0 ? ST_OK
                                        : put(out, &record, MILLRACE__METADATA_RECORD__BODY_PRODUCER_IDS);
}

static enum status put_node(const struct image_node *node, struct buf *out)
{
    Millrace__Endpoint endpoints[IMAGE_ENDPOINTS_MAX], *pointers[IMAGE_ENDPOINTS_MAX];
    for (size_t i = 0; i < node->endpoint_count; i++) {
        endpoints[i] = (Millrace__Endpoint)MILLRACE__ENDPOINT__INIT;
        endpoints[i].listener = (char *)(uintptr_t)node->endpoints[i].listener;
        endpoints[i].host = (char *)(uintptr_t)node->endpoints[i].host;
        endpoints[i].port = node->endpoints[i].port;
        pointers[i] = &endpoints[i];
    }
    Millrace__FeatureRange ranges[IMAGE_FEATURES_MAX], *range_pointers[IMAGE_FEATURES_MAX];
    for (size_t i = 0; i < node->range_count; i++) {
        ranges[i] = (Millrace__FeatureRange)MILLRACE__FEATURE_RANGE__INIT;
        ranges[i].name = (char *)(uintptr_t)node->ranges[i].name;
        ranges[i].min = node->ranges[i].min;
        ranges[i].max = node->ranges[i].max;
        range_pointers[i] = &ranges[i];
    }
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    Millrace__NodeRecord body = MILLRACE__NODE_RECORD__INIT;
    body.node_id = node->id;
    body.role = node->role;
    body.incarnation = node->incarnation;
    body.directory_id = bytes_of(&node->directory_id);
    body.rpc_endpoint = (char *)(uintptr_t)node->rpc_endpoint;
    body.n_endpoints = node->endpoint_count;
    body.endpoints = pointers;
    body.n_features = node->range_count;
    body.features = range_pointers;
    body.rack = (char *)(uintptr_t)node->rack;
    body.host = (char *)(uintptr_t)node->host;
    body.has_fenced = true;
    body.fenced = node->fenced;
    record.node = &body;
    return put(out, &record, MILLRACE__METADATA_RECORD__BODY_NODE);
}

static enum status put_partition(const struct image_topic *topic, const struct image_partition *partition,
                                 struct buf *out)
{
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    Millrace__PartitionRecord body = MILLRACE__PARTITION_RECORD__INIT;
    body.topic_id = bytes_of(&topic->id);
    body.partition = partition->index;
    body.leader = partition->leader;
    body.leader_epoch = partition->leader_epoch;
    body.partition_epoch = partition->partition_epoch;
    body.n_replicas = partition->replicas.count;
    body.replicas = (int32_t *)(uintptr_t)partition->replicas.ids;
    body.n_isr = partition->isr.count;
    body.isr = (int32_t *)(uintptr_t)partition->isr.ids;
    body.n_eligible = partition->eligible.count;
    body.eligible = (int32_t *)(uintptr_t)partition->eligible.ids;
    body.n_last_known = partition->last_known.count;
    body.last_known = (int32_t *)(uintptr_t)partition->last_known.ids;
    body.n_adding = partition->adding.count;
    body.adding = (int32_t *)(uintptr_t)partition->adding.ids;
    body.n_removing = partition->removing.count;
    body.removing = (int32_t *)(uintptr_t)partition->removing.ids;
    body.has_balancing = body.balancing = partition->balancing;
    body.n_failed = partition->failed.count;
    body.failed = (int32_t *)(uintptr_t)partition->failed.ids;
    record.partition = &body;
    return put(out, &record, MILLRACE__METADATA_RECORD__BODY_PARTITION);
}

static enum status put_topic(const struct image_topic *topic, struct buf *out)
{
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    Millrace__TopicRecord body = MILLRACE__TOPIC_RECORD__INIT;
    body.topic_id = bytes_of(&topic->id);
    body.name = (char *)(uintptr_t)topic->name;
    body.has_internal = true;
    body.internal = topic->internal;
    record.topic = &body;
    enum status status = put(out, &record, MILLRACE__METADATA_RECORD__BODY_TOPIC);
    for (size_t i = 0; i < topic->partition_count && status == ST_OK; i++)
        status = put_partition(topic, topic->partitions[i], out);
    return status;
}

static enum status put_resource(const struct resource *resource, struct buf *out)
{
    enum status status = ST_OK;
    for (size_t i = 0; i < resource->count && status == ST_OK; i++) {
        Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
        Millrace__ConfigRecord body = MILLRACE__CONFIG_RECORD__INIT;
        body.resource_type = resource->type;
        body.resource_name = (char *)(uintptr_t)resource->name;
        body.key = (char *)(uintptr_t)resource->configs[i].key;
        body.value = (char *)(uintptr_t)resource->configs[i].value;
        record.config = &body;
        status = put(out, &record, MILLRACE__METADATA_RECORD__BODY_CONFIG);
    }
    return status;
}

static enum status put_shard(const struct image_shard *shard, struct buf *out)
{
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    Millrace__ShardRecord body = MILLRACE__SHARD_RECORD__INIT;
    body.topic = (char *)(uintptr_t)shard->topic;
    body.shard = shard->shard;
    body.owner = shard->owner;
    body.owner_epoch = shard->owner_epoch;
    record.shard = &body;
    return put(out, &record, MILLRACE__METADATA_RECORD__BODY_SHARD);
}

enum status image_encode_snapshot(const struct image *image, struct buf *out)
{
    enum status status = put_cluster(image, out);
    if (status == ST_OK)
        status = put_producer_ids(image, out);
    if (status == ST_OK)
        status = image_features_encode(image, out);
    for (size_t i = 0; i < image->nodes.count && status == ST_OK; i++)
        status = put_node(image->nodes.items[i], out);
    for (size_t i = 0; i < image->topics.count && status == ST_OK; i++)
        status = put_topic(image_topic_at(image, i), out);
    for (size_t i = 0; i < image->resources.count && status == ST_OK; i++)
        status = put_resource(image->resources.items[i], out);
    for (size_t i = 0; i < image->shards.count && status == ST_OK; i++)
        status = put_shard(image->shards.items[i], out);
    return status == ST_OK ? image_decision_encode(image, out) : status;
}

// All records of a snapshot stand for its last offset.
static enum status load_record(struct image *image, struct arena *arena, struct slice bytes, int64_t offset)
{
    Millrace__MetadataRecord *record;
    enum status status = records_unpack(arena, bytes, &record);
    if (status != ST_OK)
        return status;
    image->offset = offset - 1;
    return image_apply(image, record, offset);
}

enum status image_load_some(struct image *image, struct slice *rest, int64_t offset, size_t max)
{
    struct arena arena;
    arena_init(&arena, RECORD_ARENA_MAX);
    struct slice record;
    enum status status = ST_AGAIN;
    while (max-- > 0 && (status = records_next(rest, &record)) == ST_OK) {
        if (record.len > 0 && (status = load_record(image, &arena, record, offset - 1)) != ST_OK)
            break;
        arena_reset(&arena);
        status = ST_AGAIN;
    }
    arena_fini(&arena);
    image->offset = offset - 1;
    return status == ST_NOT_FOUND ? ST_OK : status;
}

enum status image_load_snapshot(struct image *image, struct slice records, int64_t offset)
{
    struct image_listener *listeners = image->listeners;
    image_reset(image);
    image->listeners = NULL;
    enum status status = image_load_some(image, &records, offset, SIZE_MAX);
    image->listeners = listeners;
    return status;
}

// ---- differences ----

static bool partition_equal(const struct image_partition *a, const struct image_partition *b)
{
    return a->leader == b->leader && a->leader_epoch == b->leader_epoch &&
           a->partition_epoch == b->partition_epoch && a->balancing == b->balancing &&
           image_ids_equal(&a->replicas, &b->replicas) && image_ids_equal(&a->isr, &b->isr) &&
           image_ids_equal(&a->eligible, &b->eligible) && image_ids_equal(&a->last_known, &b->last_known) &&
           image_ids_equal(&a->adding, &b->adding) && image_ids_equal(&a->removing, &b->removing) &&
           image_ids_equal(&a->failed, &b->failed);
}

static bool node_equal(const struct image_node *a, const struct image_node *b)
{
    if (a->role != b->role || a->incarnation != b->incarnation || a->fenced != b->fenced ||
        !uuid_equal(a->directory_id, b->directory_id) || a->endpoint_count != b->endpoint_count ||
        strcmp(a->rpc_endpoint, b->rpc_endpoint) != 0 || strcmp(a->rack, b->rack) != 0 ||
        strcmp(a->host, b->host) != 0)
        return false;
    for (size_t i = 0; i < a->endpoint_count; i++)
        if (strcmp(a->endpoints[i].listener, b->endpoints[i].listener) != 0 ||
            strcmp(a->endpoints[i].host, b->endpoints[i].host) != 0 ||
            a->endpoints[i].port != b->endpoints[i].port)
            return false;
    return true;
}

static void tell_nodes(struct image *now, const struct image *old)
{
    for (size_t i = 0; i < old->nodes.count; i++) {
        const struct image_node *before = old->nodes.items[i];
        if (image_node(now, before->id) == NULL)
            image_tell_node(now, before, NULL);
    }
    for (size_t i = 0; i < now->nodes.count; i++) {
        const struct image_node *after = now->nodes.items[i], *before = image_node(old, after->id);
        if (before == NULL || !node_equal(before, after))
            image_tell_node(now, before, after);
    }
}

static void tell_topics_removed(struct image *now, const struct image *old)
{
    for (size_t i = 0; i < old->topics.count; i++) {
        const struct image_topic *topic = image_topic_at(old, i);
        if (image_topic(now, topic->id) != NULL)
            continue;
        for (size_t p = 0; p < topic->partition_count; p++)
            image_tell_partition(now, topic, topic->partitions[p], NULL);
        image_tell_topic(now, topic, true);
    }
}

static void tell_partitions(struct image *now, const struct image *old)
{
    for (size_t i = 0; i < now->topics.count; i++) {
        const struct image_topic *topic = image_topic_at(now, i), *was = image_topic(old, topic->id);
        if (was == NULL)
            image_tell_topic(now, topic, false);
        for (size_t p = 0; p < topic->partition_count; p++) {
            const struct image_partition *before = was ? image_topic_partition(was, (int32_t)p) : NULL;
            if (before == NULL || !partition_equal(before, topic->partitions[p]))
                image_tell_partition(now, topic, before, topic->partitions[p]);
        }
    }
}

static void tell_configs(struct image *now, const struct image *old)
{
    for (size_t i = 0; i < old->resources.count; i++) {
        const struct resource *resource = old->resources.items[i];
        for (size_t c = 0; c < resource->count; c++)
            if (image_config(now, resource->type, resource->name, resource->configs[c].key) == NULL)
                image_tell_config(now, resource, resource->configs[c].key, NULL);
    }
    for (size_t i = 0; i < now->resources.count; i++) {
        const struct resource *resource = now->resources.items[i];
        for (size_t c = 0; c < resource->count; c++) {
            const struct image_config *config = &resource->configs[c];
            const char *before = image_config(old, resource->type, resource->name, config->key);
            if (before == NULL || strcmp(before, config->value) != 0)
                image_tell_config(now, resource, config->key, config->value);
        }
    }
}

static void tell_shards(struct image *now, const struct image *old)
{
    for (size_t i = 0; i < old->shards.count; i++) {
        const struct image_shard *before = old->shards.items[i];
        if (image_shard(now, before->topic, before->shard) == NULL)
            image_tell_shard(now, before, NULL);
    }
    for (size_t i = 0; i < now->shards.count; i++) {
        const struct image_shard *after = now->shards.items[i];
        const struct image_shard *before = image_shard(old, after->topic, after->shard);
        if (before == NULL || before->owner != after->owner || before->owner_epoch != after->owner_epoch)
            image_tell_shard(now, before, after);
    }
}

void image_replace(struct image *image, struct image **fresh_take)
{
    struct image *other = *fresh_take;
    ASSERT(other != image);
    struct image old = *image;
    *image = *other;
    *other = old;
    image->listeners = other->listeners;
    other->listeners = NULL;
    tell_nodes(image, other);
    tell_topics_removed(image, other);
    tell_partitions(image, other);
    tell_configs(image, other);
    tell_shards(image, other);
    image_destroy(fresh_take);
}
