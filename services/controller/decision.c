// SPDX-License-Identifier: Apache-2.0
// See decision.h. The arena's cap bounds what one command may change; it is far above what any does (100,000
// partitions of one topic are 20 MB), so running into it is a bug.
#include "decision.h"

#include "base/assert.h"
#include "base/mem.h"

enum { ARENA_MAX = 256 << 20 };

void decision_init(struct decision *decision)
{
    *decision = (struct decision){0};
    arena_init(&decision->arena, ARENA_MAX);
}

void decision_fini(struct decision *decision)
{
    arena_fini(&decision->arena);
    mem_free(decision->records);
    *decision = (struct decision){0};
}

static void *take(struct decision *decision, size_t size)
{
    void *memory = arena_alloc(&decision->arena, size);
    ASSERT(memory != NULL);
    return memory;
}

static Millrace__MetadataRecord *add(struct decision *decision, Millrace__MetadataRecord__BodyCase body)
{
    if (decision->count == decision->cap) {
        decision->cap = decision->cap ? decision->cap * 2 : 16;
        decision->records =
            mem_realloc(decision->records, decision->cap * sizeof(Millrace__MetadataRecord *));
    }
    Millrace__MetadataRecord *record = take(decision, sizeof *record);
    millrace__metadata_record__init(record);
    record->version = IMAGE_RECORD_VERSION;
    record->body_case = body;
    decision->records[decision->count++] = record;
    return record;
}

static ProtobufCBinaryData put_uuid(struct decision *decision, struct uuid id)
{
    uint8_t *bytes = take(decision, 16);
    memcpy(bytes, id.bytes, 16);
    return (ProtobufCBinaryData){.len = 16, .data = bytes};
}

static char *text(const char *borrowed)
{
    return (char *)(uintptr_t)borrowed;
}

static Millrace__Endpoint **put_endpoints(struct decision *decision, const struct image_node *node)
{
    Millrace__Endpoint **list = take(decision, (node->endpoint_count + 1) * sizeof(Millrace__Endpoint *));
    for (size_t i = 0; i < node->endpoint_count; i++) {
        list[i] = take(decision, sizeof *list[i]);
        millrace__endpoint__init(list[i]);
        list[i]->listener = text(node->endpoints[i].listener);
        list[i]->host = text(node->endpoints[i].host);
        list[i]->port = node->endpoints[i].port;
    }
    return list;
}

static Millrace__FeatureRange **put_ranges(struct decision *decision, const struct image_node *node)
{
    Millrace__FeatureRange **list =
        take(decision, (node->range_count + 1) * sizeof(Millrace__FeatureRange *));
    for (size_t i = 0; i < node->range_count; i++) {
        list[i] = take(decision, sizeof *list[i]);
        millrace__feature_range__init(list[i]);
        list[i]->name = text(node->ranges[i].name);
        list[i]->min = node->ranges[i].min;
        list[i]->max = node->ranges[i].max;
    }
    return list;
}

void decision_node(struct decision *decision, const struct image_node *node)
{
    Millrace__NodeRecord *body = take(decision, sizeof *body);
    millrace__node_record__init(body);
    body->node_id = node->id;
    body->role = node->role;
    body->incarnation = node->incarnation;
    body->directory_id = put_uuid(decision, node->directory_id);
    body->rpc_endpoint = text(node->rpc_endpoint);
    body->endpoints = put_endpoints(decision, node);
    body->n_endpoints = node->endpoint_count;
    body->features = put_ranges(decision, node);
    body->n_features = node->range_count;
    body->rack = text(node->rack);
    body->host = text(node->host);
    body->has_fenced = true;
    body->fenced = node->fenced;
    add(decision, MILLRACE__METADATA_RECORD__BODY_NODE)->node = body;
}

void decision_fenced(struct decision *decision, int32_t node, uint64_t incarnation, bool fenced)
{
    Millrace__NodeFencedRecord *body = take(decision, sizeof *body);
    millrace__node_fenced_record__init(body);
    body->node_id = node;
    body->incarnation = incarnation;
    body->fenced = fenced;
    add(decision, MILLRACE__METADATA_RECORD__BODY_NODE_FENCED)->node_fenced = body;
}

void decision_node_removed(struct decision *decision, int32_t node)
{
    Millrace__NodeRemovedRecord *body = take(decision, sizeof *body);
    millrace__node_removed_record__init(body);
    body->node_id = node;
    add(decision, MILLRACE__METADATA_RECORD__BODY_NODE_REMOVED)->node_removed = body;
}

void decision_topic(struct decision *decision, struct uuid id, const char *name, bool internal)
{
    Millrace__TopicRecord *body = take(decision, sizeof *body);
    millrace__topic_record__init(body);
    body->topic_id = put_uuid(decision, id);
    body->name = text(name);
    body->has_internal = body->internal = internal;
    add(decision, MILLRACE__METADATA_RECORD__BODY_TOPIC)->topic = body;
}

void decision_topic_removed(struct decision *decision, struct uuid id)
{
    Millrace__TopicRemovedRecord *body = take(decision, sizeof *body);
    millrace__topic_removed_record__init(body);
    body->topic_id = put_uuid(decision, id);
    add(decision, MILLRACE__METADATA_RECORD__BODY_TOPIC_REMOVED)->topic_removed = body;
}

static int32_t *put_ids(struct decision *decision, struct image_ids ids)
{
    int32_t *copy = take(decision, (ids.count + 1) * sizeof *copy);
    if (ids.count > 0)
        memcpy(copy, ids.ids, ids.count * sizeof *copy);
    return copy;
}

void decision_partition(struct decision *decision, struct uuid topic, const struct image_partition *partition)
{
    Millrace__PartitionRecord *body = take(decision, sizeof *body);
    millrace__partition_record__init(body);
    body->topic_id = put_uuid(decision, topic);
    body->partition = partition->index;
    body->replicas = put_ids(decision, partition->replicas);
    body->n_replicas = partition->replicas.count;
    body->isr = put_ids(decision, partition->isr);
    body->n_isr = partition->isr.count;
    body->eligible = put_ids(decision, partition->eligible);
    body->n_eligible = partition->eligible.count;
    body->last_known = put_ids(decision, partition->last_known);
    body->n_last_known = partition->last_known.count;
    body->adding = put_ids(decision, partition->adding);
    body->n_adding = partition->adding.count;
    body->removing = put_ids(decision, partition->removing);
    body->n_removing = partition->removing.count;
    body->has_balancing = body->balancing = partition->balancing;
    body->failed = put_ids(decision, partition->failed);
    body->n_failed = partition->failed.count;
    body->leader = partition->leader;
    body->leader_epoch = partition->leader_epoch;
    body->partition_epoch = partition->partition_epoch;
    add(decision, MILLRACE__METADATA_RECORD__BODY_PARTITION)->partition = body;
}

void decision_config(struct decision *decision, Millrace__ResourceType type, const char *name,
                     const char *key, const char *value)
{
    Millrace__ConfigRecord *body = take(decision, sizeof *body);
    millrace__config_record__init(body);
    body->resource_type = type;
    body->resource_name = text(name);
    body->key = text(key);
    body->value = text(value);
    add(decision, MILLRACE__METADATA_RECORD__BODY_CONFIG)->config = body;
}

const char *decision_config_after(const struct decision *decision, const struct image *image,
                                  Millrace__ResourceType type, const char *name, const char *key)
{
    const char *value = image_config(image, type, name, key);
    for (size_t i = 0; i < decision->count; i++) {
        const Millrace__MetadataRecord *record = decision->records[i];
        if (record->body_case == MILLRACE__METADATA_RECORD__BODY_CONFIG && strcmp(record->config->key, key) == 0)
            value = record->config->value;
    }
    return value;
}

void decision_shard(struct decision *decision, const char *topic, int32_t shard, int32_t owner,
                    int32_t owner_epoch)
{
    Millrace__ShardRecord *body = take(decision, sizeof *body);
    millrace__shard_record__init(body);
    body->topic = text(topic);
    body->shard = shard;
    body->owner = owner;
    body->owner_epoch = owner_epoch;
    add(decision, MILLRACE__METADATA_RECORD__BODY_SHARD)->shard = body;
}

void decision_producer_ids(struct decision *decision, int64_t next)
{
    Millrace__ProducerIdsRecord *body = take(decision, sizeof *body);
    millrace__producer_ids_record__init(body);
    body->next_producer_id = next;
    add(decision, MILLRACE__METADATA_RECORD__BODY_PRODUCER_IDS)->producer_ids = body;
}

void decision_feature(struct decision *decision, const char *name, int16_t level, int64_t epoch)
{
    Millrace__FeatureRecord *body = take(decision, sizeof *body);
    millrace__feature_record__init(body);
    body->name = text(name);
    body->level = (uint32_t)level;
    body->epoch = epoch;
    add(decision, MILLRACE__METADATA_RECORD__BODY_FEATURE)->feature = body;
}

void decision_mark(struct decision *decision, Millrace__DecisionRecord__Mark mark)
{
    Millrace__DecisionRecord *body = take(decision, sizeof *body);
    millrace__decision_record__init(body);
    body->mark = mark;
    add(decision, MILLRACE__METADATA_RECORD__BODY_DECISION)->decision = body;
}

void decision_cluster(struct decision *decision, struct uuid id)
{
    Millrace__ClusterRecord *body = take(decision, sizeof *body);
    millrace__cluster_record__init(body);
    body->cluster_id = put_uuid(decision, id);
    add(decision, MILLRACE__METADATA_RECORD__BODY_CLUSTER)->cluster = body;
}
