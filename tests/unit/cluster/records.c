// SPDX-License-Identifier: Apache-2.0
// See records.h.
#include "records.h"

#include <stdio.h>

static Millrace__MetadataRecord record_of(Millrace__MetadataRecord__BodyCase kind)
{
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.version = 1;
    record.body_case = kind;
    return record;
}

static enum status apply(struct image *image, const Millrace__MetadataRecord *record)
{
    return image_apply(image, record, image_offset(image) + 1);
}

struct uuid id_of(uint8_t byte)
{
    struct uuid id;
    memset(id.bytes, byte, sizeof id.bytes);
    return id;
}

static ProtobufCBinaryData bytes_of(struct uuid *id)
{
    return (ProtobufCBinaryData){.len = sizeof id->bytes, .data = id->bytes};
}

enum status put_node(struct image *image, int32_t id, Millrace__Role role, bool fenced)
{
    char rpc[40], rack[16];
    snprintf(rpc, sizeof rpc, "tcp://127.0.0.1:%d", 7000 + id);
    snprintf(rack, sizeof rack, "r%d", id % 3);
    Millrace__Endpoint inside = MILLRACE__ENDPOINT__INIT, outside = MILLRACE__ENDPOINT__INIT;
    Millrace__Endpoint *endpoints[] = {&inside, &outside};
    inside.listener = "PLAINTEXT";
    inside.host = "127.0.0.1";
    inside.port = 9091 + id;
    outside.listener = "HOST";
    outside.host = "example.org";
    outside.port = 19091 + id;
    struct uuid directory = id_of((uint8_t)id);
    Millrace__NodeRecord node = MILLRACE__NODE_RECORD__INIT;
    node.node_id = id;
    node.role = role;
    node.incarnation = 100 + (uint64_t)id;
    node.directory_id = bytes_of(&directory);
    node.rpc_endpoint = rpc;
    node.rack = rack;
    node.n_endpoints = role == MILLRACE__ROLE__ROLE_STORAGE ? 2 : 0;
    node.endpoints = endpoints;
    node.has_fenced = true;
    node.fenced = fenced;
    Millrace__MetadataRecord record = record_of(MILLRACE__METADATA_RECORD__BODY_NODE);
    record.node = &node;
    return apply(image, &record);
}

enum status put_fenced(struct image *image, int32_t id, uint64_t incarnation, bool fenced)
{
    Millrace__NodeFencedRecord body = MILLRACE__NODE_FENCED_RECORD__INIT;
    body.node_id = id;
    body.incarnation = incarnation;
    body.fenced = fenced;
    Millrace__MetadataRecord record = record_of(MILLRACE__METADATA_RECORD__BODY_NODE_FENCED);
    record.node_fenced = &body;
    return apply(image, &record);
}

enum status put_topic(struct image *image, uint8_t id, const char *name)
{
    struct uuid topic_id = id_of(id);
    Millrace__TopicRecord body = MILLRACE__TOPIC_RECORD__INIT;
    body.topic_id = bytes_of(&topic_id);
    body.name = (char *)(uintptr_t)name;
    Millrace__MetadataRecord record = record_of(MILLRACE__METADATA_RECORD__BODY_TOPIC);
    record.topic = &body;
    return apply(image, &record);
}

enum status put_topic_removed(struct image *image, uint8_t id)
{
    struct uuid topic_id = id_of(id);
    Millrace__TopicRemovedRecord body = MILLRACE__TOPIC_REMOVED_RECORD__INIT;
    body.topic_id = bytes_of(&topic_id);
    Millrace__MetadataRecord record = record_of(MILLRACE__METADATA_RECORD__BODY_TOPIC_REMOVED);
    record.topic_removed = &body;
    return apply(image, &record);
}

enum status put_partition(struct image *image, uint8_t topic, int32_t index, int32_t leader, int32_t epoch,
                          int isr)
{
    struct uuid topic_id = id_of(topic);
    int32_t replicas[] = {1, 2, 3};
    Millrace__PartitionRecord body = MILLRACE__PARTITION_RECORD__INIT;
    body.topic_id = bytes_of(&topic_id);
    body.partition = index;
    body.n_replicas = 3;
    body.replicas = replicas;
    body.n_isr = (size_t)isr;
    body.isr = replicas;
    body.leader = leader;
    body.leader_epoch = epoch;
    body.partition_epoch = epoch;
    Millrace__MetadataRecord record = record_of(MILLRACE__METADATA_RECORD__BODY_PARTITION);
    record.partition = &body;
    return apply(image, &record);
}

enum status put_moving(struct image *image, uint8_t topic, int32_t index, int32_t adding, int32_t removing)
{
    const struct image_partition *now = image_partition(image, id_of(topic), index);
    int32_t replicas[] = {1, 2, 3}, isr[] = {1, 2};
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    Millrace__PartitionRecord body = MILLRACE__PARTITION_RECORD__INIT;
    struct uuid id = id_of(topic);
    body.topic_id = (ProtobufCBinaryData){.len = 16, .data = id.bytes};
    body.partition = index;
    body.replicas = replicas;
    body.n_replicas = 3;
    body.isr = isr;
    body.n_isr = 2;
    body.adding = &adding;
    body.removing = &removing;
    body.n_adding = body.n_removing = 1;
    body.has_balancing = body.balancing = true;
    body.leader = now->leader;
    body.leader_epoch = now->leader_epoch;
    body.partition_epoch = now->partition_epoch + 1;
    record.version = IMAGE_RECORD_VERSION;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_PARTITION;
    record.partition = &body;
    return image_apply(image, &record, image_offset(image) + 1);
}

enum status put_config(struct image *image, Millrace__ResourceType type, const char *name, const char *key,
                       const char *value)
{
    Millrace__ConfigRecord body = MILLRACE__CONFIG_RECORD__INIT;
    body.resource_type = type;
    body.resource_name = (char *)(uintptr_t)name;
    body.key = (char *)(uintptr_t)key;
    body.value = (char *)(uintptr_t)value;
    Millrace__MetadataRecord record = record_of(MILLRACE__METADATA_RECORD__BODY_CONFIG);
    record.config = &body;
    return apply(image, &record);
}

enum status put_shard(struct image *image, const char *topic, int32_t shard, int32_t owner, int32_t epoch)
{
    Millrace__ShardRecord body = MILLRACE__SHARD_RECORD__INIT;
    body.topic = (char *)(uintptr_t)topic;
    body.shard = shard;
    body.owner = owner;
    body.owner_epoch = epoch;
    Millrace__MetadataRecord record = record_of(MILLRACE__METADATA_RECORD__BODY_SHARD);
    record.shard = &body;
    return apply(image, &record);
}

enum status put_feature(struct image *image, const char *name, uint32_t level, int64_t epoch)
{
    Millrace__FeatureRecord body = MILLRACE__FEATURE_RECORD__INIT;
    body.name = (char *)(uintptr_t)name;
    body.level = level;
    body.epoch = epoch;
    Millrace__MetadataRecord record = record_of(MILLRACE__METADATA_RECORD__BODY_FEATURE);
    record.feature = &body;
    return apply(image, &record);
}

enum status put_cluster(struct image *image, uint8_t id)
{
    struct uuid cluster_id = id_of(id);
    Millrace__ClusterRecord body = MILLRACE__CLUSTER_RECORD__INIT;
    body.cluster_id = bytes_of(&cluster_id);
    Millrace__MetadataRecord record = record_of(MILLRACE__METADATA_RECORD__BODY_CLUSTER);
    record.cluster = &body;
    return apply(image, &record);
}

enum status put_mark(struct image *image, Millrace__DecisionRecord__Mark mark, size_t max)
{
    Millrace__DecisionRecord body = MILLRACE__DECISION_RECORD__INIT;
    body.mark = mark;
    Millrace__MetadataRecord record = record_of(MILLRACE__METADATA_RECORD__BODY_DECISION);
    record.decision = &body;
    return image_apply_some(image, &record, (struct slice){0}, image_offset(image) + 1, max);
}
