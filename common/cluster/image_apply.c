// SPDX-License-Identifier: Apache-2.0
// What each metadata record means. A record is checked whole before anything changes; then the changed thing
// is built anew, swapped in, and the listeners are told of the old and the new one. Live, at replay and on
// every follower this is the same function, so equal logs give equal images (design: decide, append, apply).
#include "cluster/image_state.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

enum { NAME_MAX_BYTES = 249 }; // of a topic, as in Kafka

enum status image_refuse(struct image *image, enum status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(image->error, sizeof image->error, format, args);
    va_end(args);
    return status;
}

static bool uuid_of(ProtobufCBinaryData bytes, struct uuid *id)
{
    if (bytes.len != sizeof id->bytes)
        return false;
    memcpy(id->bytes, bytes.data, sizeof id->bytes);
    return true;
}

// ---- nodes ----

// Copies text to *at and moves *at behind its NUL; the copy.
static const char *put_text(char **at, const char *text)
{
    char *copy = *at;
    size_t size = strlen(text) + 1;
    memcpy(copy, text, size);
    *at += size;
    return copy;
}

static size_t node_text_size(const Millrace__NodeRecord *record)
{
    size_t size = strlen(record->rpc_endpoint) + strlen(record->rack ? record->rack : "") +
                  strlen(record->host ? record->host : "") + 3;
    for (size_t i = 0; i < record->n_endpoints; i++)
        size += strlen(record->endpoints[i]->listener) + strlen(record->endpoints[i]->host) + 2;
    for (size_t i = 0; i < record->n_features; i++)
        size += strlen(record->features[i]->name) + 1;
    return size;
}

static struct image_node *node_build(const Millrace__NodeRecord *record, struct uuid directory_id,
                                     int64_t offset)
{
    size_t endpoints_size = record->n_endpoints * sizeof(struct image_endpoint);
    size_t ranges_size = record->n_features * sizeof(struct image_range);
    struct image_node *node =
        mem_calloc(1, sizeof *node + endpoints_size + ranges_size + node_text_size(record));
    struct image_endpoint *endpoints = (struct image_endpoint *)(node + 1);
    struct image_range *ranges = (struct image_range *)(endpoints + record->n_endpoints);
    char *text = (char *)(ranges + record->n_features);
    *node = (struct image_node){.id = record->node_id,
                                .role = record->role,
                                .incarnation = record->incarnation,
                                .directory_id = directory_id,
                                .fenced = !record->has_fenced || record->fenced,
                                .rpc_endpoint = put_text(&text, record->rpc_endpoint),
                                .rack = put_text(&text, record->rack ? record->rack : ""),
                                .host = put_text(&text, record->host ? record->host : ""),
                                .endpoints = endpoints,
                                .endpoint_count = record->n_endpoints,
                                .ranges = ranges,
                                .range_count = record->n_features,
                                .offset = offset};
    for (size_t i = 0; i < record->n_features; i++)
        ranges[i] = (struct image_range){.name = put_text(&text, record->features[i]->name),
                                         .min = (int16_t)record->features[i]->min,
                                         .max = (int16_t)record->features[i]->max};
    for (size_t i = 0; i < record->n_endpoints; i++)
        endpoints[i] = (struct image_endpoint){.listener = put_text(&text, record->endpoints[i]->listener),
                                               .host = put_text(&text, record->endpoints[i]->host),
                                               .port = record->endpoints[i]->port};
    return node;
}

static bool ranges_valid(const Millrace__NodeRecord *record)
{
    for (size_t i = 0; i < record->n_features; i++) {
        const Millrace__FeatureRange *range = record->features[i];
        if (range->min < 0 || range->max < range->min || range->max > INT16_MAX)
            return false;
    }
    return record->n_features <= IMAGE_FEATURES_MAX;
}

static enum status apply_node(struct image *image, const Millrace__NodeRecord *record, int64_t offset)
{
    struct uuid directory_id = {0};
    if (record->node_id < 0 || record->n_endpoints > IMAGE_ENDPOINTS_MAX)
        return image_refuse(image, ST_INVALID, "node %d: id or number of endpoints out of range",
                            record->node_id);
    if (record->directory_id.len != 0 && !uuid_of(record->directory_id, &directory_id))
        return image_refuse(image, ST_INVALID, "node %d: directory id is not 16 bytes", record->node_id);
    if (!ranges_valid(record))
        return image_refuse(image, ST_INVALID, "node %d: levels of features out of range", record->node_id);
    struct image_node *node = node_build(record, directory_id, offset);
    bool found;
    size_t at = sorted_find(&image->nodes, &node->id, image_compare_node, &found);
    struct image_node *before = found ? image->nodes.items[at] : NULL;
    if (found)
        image->nodes.items[at] = node;
    else
        sorted_insert(&image->nodes, at, node);
    image_tell_node(image, before, node);
    mem_free(before);
    return ST_OK;
}

// A fencing that names another incarnation came too late: the node has registered again since.
static enum status apply_node_fenced(struct image *image, const Millrace__NodeFencedRecord *record)
{
    struct image_node *node = sorted_get(&image->nodes, &record->node_id, image_compare_node);
    if (node == NULL || node->incarnation != record->incarnation || node->fenced == record->fenced)
        return ST_OK;
    struct image_node before = *node;
    node->fenced = record->fenced;
    image_tell_node(image, &before, node);
    return ST_OK;
}

static enum status apply_node_removed(struct image *image, const Millrace__NodeRemovedRecord *record)
{
    bool found;
    size_t at = sorted_find(&image->nodes, &record->node_id, image_compare_node, &found);
    if (!found)
        return ST_OK;
    struct image_node *node = sorted_remove(&image->nodes, at);
    image_tell_node(image, node, NULL);
    mem_free(node);
    return ST_OK;
}

// ---- topics ----

static enum status apply_topic(struct image *image, const Millrace__TopicRecord *record)
{
    struct uuid id;
    struct slice name = slice_str(record->name);
    if (!uuid_of(record->topic_id, &id) || name.len == 0 || name.len > NAME_MAX_BYTES)
        return image_refuse(image, ST_INVALID, "topic record without a proper id or name");
    bool found;
    size_t at = sorted_find(&image->topics, &name, image_compare_topic, &found);
    if (found || image_topic(image, id) != NULL)
        return image_refuse(image, ST_INVALID, "topic %.60s exists already, by name or id", record->name);
    struct topic *topic = mem_calloc(1, sizeof *topic + name.len + 1);
    memcpy(topic->name, name.data, name.len);
    topic->view = (struct image_topic){
        .id = id, .name = topic->name, .internal = record->has_internal && record->internal};
    sorted_insert(&image->topics, at, topic);
    map_put(&image->topics_by_id, slice_of(&id, sizeof id), topic);
    image_tell_topic(image, &topic->view, false);
    return ST_OK;
}

static void drop_shards(struct image *image, const char *topic)
{
    struct shard_key first = {.topic = topic, .shard = INT32_MIN};
    size_t at = sorted_find(&image->shards, &first, image_compare_shard, NULL);
    while (at < image->shards.count) {
        struct image_shard *shard = image->shards.items[at];
        if (strcmp(shard->topic, topic) != 0)
            break;
        sorted_remove(&image->shards, at);
        image_tell_shard(image, shard, NULL);
        mem_free(shard);
    }
}

// Takes the topic's shards and configs with it, as Kafka's RemoveTopicRecord does with configs.
static enum status apply_topic_removed(struct image *image, const Millrace__TopicRemovedRecord *record)
{
    struct uuid id;
    if (!uuid_of(record->topic_id, &id))
        return image_refuse(image, ST_INVALID, "topic removal without a proper id");
    struct topic *topic = map_remove(&image->topics_by_id, slice_of(&id, sizeof id));
    if (topic == NULL)
        return ST_OK;
    struct slice name = slice_str(topic->name);
    sorted_remove(&image->topics, sorted_find(&image->topics, &name, image_compare_topic, NULL));
    image->partition_total -= topic->view.partition_count;
    drop_shards(image, topic->name);
    for (size_t i = 0; i < topic->view.partition_count; i++) {
        image_load_note(image, topic->partitions[i], NULL);
        image_tell_partition(image, &topic->view, topic->partitions[i], NULL);
    }
    image_config_drop(image, (struct resource_key){MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC, topic->name});
    image_tell_topic(image, &topic->view, true);
    image_topic_free(topic);
    return ST_OK;
}

// ---- partitions ----

static struct image_ids put_ids(int32_t **at, const int32_t *ids, size_t count)
{
    struct image_ids result = {.ids = *at, .count = count};
    if (count > 0)
        memcpy(*at, ids, count * sizeof *ids);
    *at += count;
    return result;
}

static struct image_partition *partition_build(const Millrace__PartitionRecord *record)
{
    size_t count = record->n_replicas + record->n_isr + record->n_eligible + record->n_last_known +
                   record->n_adding + record->n_removing + record->n_failed;
    struct image_partition *partition = mem_calloc(1, sizeof *partition + count * sizeof(int32_t));
    int32_t *ids = (int32_t *)(partition + 1);
    *partition = (struct image_partition){.index = record->partition,
                                          .leader = record->leader,
                                          .leader_epoch = record->leader_epoch,
                                          .partition_epoch = record->partition_epoch,
                                          .balancing = record->has_balancing && record->balancing};
    partition->replicas = put_ids(&ids, record->replicas, record->n_replicas);
    partition->isr = put_ids(&ids, record->isr, record->n_isr);
    partition->eligible = put_ids(&ids, record->eligible, record->n_eligible);
    partition->last_known = put_ids(&ids, record->last_known, record->n_last_known);
    partition->adding = put_ids(&ids, record->adding, record->n_adding);
    partition->removing = put_ids(&ids, record->removing, record->n_removing);
    partition->failed = put_ids(&ids, record->failed, record->n_failed);
    return partition;
}

static bool lists_ok(const Millrace__PartitionRecord *record)
{
    return record->n_replicas > 0 && record->n_replicas <= IMAGE_REPLICAS_MAX &&
           record->n_isr <= record->n_replicas && record->n_eligible <= IMAGE_REPLICAS_MAX &&
           record->n_last_known <= IMAGE_REPLICAS_MAX && record->n_failed <= IMAGE_REPLICAS_MAX &&
           record->n_adding + record->n_removing <= record->n_replicas;
}

// Adding and removing replicas are replicas, and none is both.
static bool moves_ok(const Millrace__PartitionRecord *record)
{
    struct image_ids replicas = {.ids = record->replicas, .count = record->n_replicas};
    struct image_ids removing = {.ids = record->removing, .count = record->n_removing};
    for (size_t i = 0; i < record->n_adding; i++)
        if (!image_ids_have(&replicas, record->adding[i]) || image_ids_have(&removing, record->adding[i]))
            return false;
    for (size_t i = 0; i < record->n_removing; i++)
        if (!image_ids_have(&replicas, record->removing[i]))
            return false;
    return true;
}

static bool members_ok(const Millrace__PartitionRecord *record)
{
    struct image_ids replicas = {.ids = record->replicas, .count = record->n_replicas};
    for (size_t i = 0; i < record->n_isr; i++)
        if (!image_ids_have(&replicas, record->isr[i]))
            return false;
    return record->leader == -1 || image_ids_have(&replicas, record->leader);
}

static enum status partition_check(struct image *image, const struct topic *topic,
                                   const Millrace__PartitionRecord *record)
{
    int32_t index = record->partition;
    if (index < 0 || index >= IMAGE_PARTITIONS_MAX || (size_t)index > topic->view.partition_count)
        return image_refuse(image, ST_INVALID, "partition %.60s-%d is out of order", topic->name, index);
    if (!lists_ok(record) || !members_ok(record))
        return image_refuse(image, ST_INVALID, "partition %.60s-%d: ISR or leader outside the replicas",
                            topic->name, index);
    if (!moves_ok(record))
        return image_refuse(image, ST_INVALID, "partition %.60s-%d: a reassignment outside the replicas",
                            topic->name, index);
    if ((size_t)index == topic->view.partition_count)
        return ST_OK;
    const struct image_partition *before = topic->partitions[index];
    if (record->partition_epoch <= before->partition_epoch || record->leader_epoch < before->leader_epoch)
        return image_refuse(image, ST_INVALID,
                            "partition %.60s-%d: epochs go back (leader %d to %d, partition %d to %d)",
                            topic->name, index, before->leader_epoch, record->leader_epoch,
                            before->partition_epoch, record->partition_epoch);
    return ST_OK;
}

static void partition_append(struct topic *topic, struct image_partition *partition)
{
    if (topic->view.partition_count == topic->cap) {
        topic->cap = topic->cap > 0 ? topic->cap * 2 : 4;
        topic->partitions = mem_realloc(topic->partitions, topic->cap * sizeof *topic->partitions);
        topic->view.partitions = (const struct image_partition *const *)topic->partitions;
    }
    topic->partitions[topic->view.partition_count++] = partition;
}

static enum status apply_partition(struct image *image, const Millrace__PartitionRecord *record)
{
    struct uuid id;
    struct topic *topic = NULL;
    if (uuid_of(record->topic_id, &id))
        topic = map_get(&image->topics_by_id, slice_of(&id, sizeof id));
    if (topic == NULL)
        return image_refuse(image, ST_INVALID, "partition %d of an unknown topic", record->partition);
    enum status status = partition_check(image, topic, record);
    if (status != ST_OK)
        return status;
    struct image_partition *partition = partition_build(record), *before = NULL;
    if ((size_t)record->partition == topic->view.partition_count) {
        partition_append(topic, partition);
        image->partition_total++;
    } else {
        before = topic->partitions[record->partition];
        topic->partitions[record->partition] = partition;
    }
    image_load_note(image, before, partition);
    image_tell_partition(image, &topic->view, before, partition);
    mem_free(before);
    return ST_OK;
}

// ---- the rest ----

static struct image_shard *shard_build(const Millrace__ShardRecord *record, int64_t offset)
{
    size_t size = strlen(record->topic) + 1;
    struct image_shard *shard = mem_calloc(1, sizeof *shard + size);
    char *text = (char *)(shard + 1);
    *shard = (struct image_shard){.topic = memcpy(text, record->topic, size),
                                  .shard = record->shard,
                                  .owner = record->owner,
                                  .owner_epoch = record->owner_epoch,
                                  .offset = offset};
    return shard;
}

static enum status apply_shard(struct image *image, const Millrace__ShardRecord *record, int64_t offset)
{
    struct shard_key key = {.topic = record->topic, .shard = record->shard};
    bool found;
    size_t at = sorted_find(&image->shards, &key, image_compare_shard, &found);
    struct image_shard *before = found ? image->shards.items[at] : NULL;
    if (record->shard < 0 || record->shard >= IMAGE_PARTITIONS_MAX)
        return image_refuse(image, ST_INVALID, "shard %d of %.60s is out of range", record->shard,
                            record->topic);
    if (before != NULL && record->owner_epoch <= before->owner_epoch)
        return image_refuse(image, ST_INVALID, "shard %d of %.60s: owner epoch goes from %d to %d",
                            record->shard, record->topic, before->owner_epoch, record->owner_epoch);
    struct image_shard *shard = shard_build(record, offset);
    if (found)
        image->shards.items[at] = shard;
    else
        sorted_insert(&image->shards, at, shard);
    image_tell_shard(image, before, shard);
    mem_free(before);
    return ST_OK;
}

static enum status apply_producer_ids(struct image *image, const Millrace__ProducerIdsRecord *record)
{
    if (record->next_producer_id < image->next_producer_id)
        return image_refuse(image, ST_INVALID, "producer ids go back from %lld to %lld",
                            (long long)image->next_producer_id, (long long)record->next_producer_id);
    image->next_producer_id = record->next_producer_id;
    return ST_OK;
}

static enum status apply_cluster(struct image *image, const Millrace__ClusterRecord *record)
{
    struct uuid id;
    if (!uuid_of(record->cluster_id, &id) || uuid_is_zero(id))
        return image_refuse(image, ST_INVALID, "cluster id is not 16 bytes");
    if (!uuid_is_zero(image->cluster_id) && !uuid_equal(image->cluster_id, id))
        return image_refuse(image, ST_INVALID, "the cluster has an id already");
    image->cluster_id = id;
    return ST_OK;
}

enum status image_apply_body(struct image *image, const Millrace__MetadataRecord *record, int64_t offset)
{
    switch (record->body_case) {
    case MILLRACE__METADATA_RECORD__BODY_NODE:
        return apply_node(image, record->node, offset);
    case MILLRACE__METADATA_RECORD__BODY_NODE_FENCED:
        return apply_node_fenced(image, record->node_fenced);
    case MILLRACE__METADATA_RECORD__BODY_NODE_REMOVED:
        return apply_node_removed(image, record->node_removed);
    case MILLRACE__METADATA_RECORD__BODY_TOPIC:
        return apply_topic(image, record->topic);
    case MILLRACE__METADATA_RECORD__BODY_TOPIC_REMOVED:
        return apply_topic_removed(image, record->topic_removed);
    case MILLRACE__METADATA_RECORD__BODY_PARTITION:
        return apply_partition(image, record->partition);
    case MILLRACE__METADATA_RECORD__BODY_CONFIG:
        image_config_set(image,
                         (struct resource_key){record->config->resource_type, record->config->resource_name},
                         record->config->key, record->config->value);
        return ST_OK;
    case MILLRACE__METADATA_RECORD__BODY_SHARD:
        return apply_shard(image, record->shard, offset);
    case MILLRACE__METADATA_RECORD__BODY_PRODUCER_IDS:
        return apply_producer_ids(image, record->producer_ids);
    case MILLRACE__METADATA_RECORD__BODY_CLUSTER:
        return apply_cluster(image, record->cluster);
    case MILLRACE__METADATA_RECORD__BODY_FEATURE:
        return image_feature_set(image, record->feature);
    default:
        return image_refuse(image, ST_UNSUPPORTED, "metadata record of an unknown kind (version %u)",
                            record->version);
    }
}

enum status image_apply(struct image *image, const Millrace__MetadataRecord *record, int64_t offset)
{
    return image_apply_some(image, record, (struct slice){0}, offset, SIZE_MAX);
}

enum status image_apply_some(struct image *image, const Millrace__MetadataRecord *record, struct slice bytes,
                             int64_t offset, size_t max)
{
    ASSERT(offset > image->offset);
    if (record->version != IMAGE_RECORD_VERSION)
        return image_refuse(image, ST_UNSUPPORTED, "metadata record version %u, this build understands %d",
                            record->version, IMAGE_RECORD_VERSION);
    // Listeners see the offset of the record they are told of, so it moves first and back if the record is
    // refused.
    int64_t before = image->offset;
    enum status status;
    image->offset = offset;
    if (record->body_case == MILLRACE__METADATA_RECORD__BODY_DECISION)
        status = image_decision_mark(image, record->decision, offset, max);
    else if (image->decision_open)
        status = image_decision_keep(image, record, bytes);
    else
        status = image_apply_body(image, record, offset);
    if (status != ST_OK)
        image->offset = before;
    return status;
}
