// SPDX-License-Identifier: Apache-2.0
// Committed offsets of a group. See offsets.h.
#include "offsets.h"

#include "consumer_record.h"
#include "streams_record.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "kafka/codec.h"
#include "kafka/messages/consumer_offsets_records.h"
#include "record.h"
#include "share_group_record.h"

enum { VERSION_EXPIRES = 1, VERSION_TOPIC_ID = 4, RECORD_ARENA_MAX = 64 << 10 };

struct offsets_topic {
    struct map partitions; // by number, struct entry
};

struct entry {
    int32_t partition;
    struct offset_commit commit; // metadata in the block
    struct block *metadata;      // NULL: empty, as nearly always
};

void offsets_init(struct offsets *offsets)
{
    *offsets = (struct offsets){0};
    map_init(&offsets->topics, 0);
}

static void entry_free(struct offsets *offsets, struct entry *entry)
{
    if (entry == NULL)
        return;
    offsets->count--;
    offsets->bytes -= entry->commit.metadata.len;
    block_unref(&entry->metadata);
    mem_free(entry);
}

void offsets_fini(struct offsets *offsets)
{
    void *value, *entry;
    for (struct map_entry *at = NULL; map_next(&offsets->topics, &at, NULL, &value);) {
        struct offsets_topic *topic = value;
        for (struct map_entry *in = NULL; map_next(&topic->partitions, &in, NULL, &entry);)
            entry_free(offsets, entry);
        map_fini(&topic->partitions);
        mem_free(topic);
    }
    map_fini(&offsets->topics);
}

static struct offsets_topic *topic_of(struct offsets *offsets, struct slice name)
{
    struct offsets_topic *topic = map_get(&offsets->topics, name);
    if (topic != NULL)
        return topic;
    topic = mem_calloc(1, sizeof *topic);
    map_init(&topic->partitions, 0);
    map_put(&offsets->topics, name, topic);
    offsets->bytes += name.len;
    return topic;
}

enum status offsets_put(struct offsets *offsets, struct slice topic, int32_t partition,
                        const struct offset_commit *commit)
{
    struct block *metadata = NULL;
    if (commit->metadata.len > 0 && (metadata = block_copy(commit->metadata)) == NULL)
        return ST_NO_MEMORY;
    struct entry *entry = mem_calloc(1, sizeof *entry);
    *entry = (struct entry){.partition = partition, .commit = *commit, .metadata = metadata};
    entry->commit.metadata = metadata == NULL ? slice_str("") : block_slice(metadata);
    offsets->count++;
    offsets->bytes += commit->metadata.len;
    entry_free(offsets, map_put_u64(&topic_of(offsets, topic)->partitions, (uint32_t)partition, entry));
    return ST_OK;
}

void offsets_remove(struct offsets *offsets, struct slice name, int32_t partition)
{
    struct offsets_topic *topic = map_get(&offsets->topics, name);
    if (topic == NULL)
        return;
    entry_free(offsets, map_remove_u64(&topic->partitions, (uint32_t)partition));
    if (topic->partitions.count > 0)
        return;
    offsets->bytes -= name.len;
    map_remove(&offsets->topics, name);
    map_fini(&topic->partitions);
    mem_free(topic);
}

bool offsets_get(const struct offsets *offsets, struct slice name, int32_t partition,
                 struct offset_commit *commit)
{
    const struct offsets_topic *topic = map_get(&offsets->topics, name);
    const struct entry *entry = topic == NULL ? NULL : map_get_u64(&topic->partitions, (uint32_t)partition);
    if (entry != NULL)
        *commit = entry->commit;
    return entry != NULL;
}

bool offsets_next_topic(const struct offsets *offsets, struct map_entry **cursor, struct slice *name,
                        const struct offsets_topic **topic)
{
    void *value;
    if (!map_next(&offsets->topics, cursor, name, &value))
        return false;
    *topic = value;
    return true;
}

bool offsets_next(const struct offsets_topic *topic, struct map_entry **cursor, int32_t *partition,
                  struct offset_commit *commit)
{
    void *value;
    if (!map_next(&topic->partitions, cursor, NULL, &value))
        return false;
    const struct entry *entry = value;
    *partition = entry->partition;
    *commit = entry->commit;
    return true;
}

bool offsets_first(const struct offsets *offsets, struct slice *name, int32_t *partition)
{
    const struct offsets_topic *topic;
    struct offset_commit commit;
    struct map_entry *at = NULL, *in = NULL;
    return offsets_next_topic(offsets, &at, name, &topic) && offsets_next(topic, &in, partition, &commit);
}

size_t offsets_partitions(const struct offsets_topic *topic)
{
    return topic->partitions.count;
}

// ---- records ----

static enum status parse_offset_key(int16_t type, struct slice body, struct arena *arena,
                                    struct record_key *key)
{
    // Types 0 and 1 have the same fields.
    const struct kafka_message *message =
        type == 0 ? &kafka_legacy_offset_commit_key_message : &kafka_offset_commit_key_message;
    struct kafka_offset_commit_key in;
    enum status status = kafka_decode(message, 0, body, arena, &in);
    *key = (struct record_key){
        .kind = RECORD_OFFSET, .group = in.group, .topic = in.topic, .partition = in.partition};
    return status;
}

static enum status parse_group_key(struct slice body, struct arena *arena, struct record_key *key)
{
    struct kafka_group_metadata_key in;
    enum status status = kafka_decode(&kafka_group_metadata_key_message, 0, body, arena, &in);
    *key = (struct record_key){.kind = RECORD_GROUP, .group = in.group};
    return status;
}

static enum coordinator_record kind_of(int16_t type)
{
    if (consumer_key_is(type))
        return RECORD_CONSUMER;
    if (streams_key_is(type))
        return RECORD_STREAMS;
    return share_group_key_is(type) ? RECORD_SHARE : RECORD_OTHER;
}

enum status record_key_parse(struct slice bytes, struct record_key *key)
{
    if (bytes.len < 2)
        return ST_TRUNCATED;
    int16_t type = (int16_t)load_be16(bytes.data);
    struct slice body = slice_of(bytes.data + 2, bytes.len - 2);
    struct arena arena; // keys have no arrays: nothing is taken from it
    arena_init(&arena, RECORD_ARENA_MAX);
    enum status status = ST_OK;
    if (type == 0 || type == 1)
        status = parse_offset_key(type, body, &arena, key);
    else if (type == 2)
        status = parse_group_key(body, &arena, key);
    else
        *key = (struct record_key){.kind = kind_of(type), .type = type, .bytes = body};
    arena_fini(&arena);
    return status;
}

enum status offset_record_key(struct slice group, struct slice topic, int32_t partition, struct buf *out)
{
    struct kafka_offset_commit_key key = {.group = group, .topic = topic, .partition = partition};
    const struct kafka_message *message = &kafka_offset_commit_key_message;
    return record_put(message, 0, message->key, &key, RECORD_ARENA_MAX * 2, out);
}

enum status offset_record_value(const struct offset_commit *commit, struct buf *out)
{
    int16_t version = commit->expire_ms >= 0 ? VERSION_EXPIRES : VERSION_TOPIC_ID;
    struct kafka_offset_commit_value value = {
        .offset = commit->offset,
        .leader_epoch = commit->leader_epoch,
        .metadata = commit->metadata,
        .commit_timestamp = commit->commit_ms,
        .expire_timestamp = commit->expire_ms,
        .topic_id = commit->topic_id,
    };
    return record_put(&kafka_offset_commit_value_message, version, version, &value, RECORD_ARENA_MAX * 2,
                      out);
}

enum status offset_record_parse(struct slice bytes, struct offset_commit *commit)
{
    if (bytes.len < 2)
        return ST_TRUNCATED;
    struct arena arena;
    arena_init(&arena, RECORD_ARENA_MAX);
    struct kafka_offset_commit_value value;
    enum status status = kafka_decode(&kafka_offset_commit_value_message, (int16_t)load_be16(bytes.data),
                                      slice_of(bytes.data + 2, bytes.len - 2), &arena, &value);
    if (status == ST_OK)
        *commit = (struct offset_commit){
            .offset = value.offset,
            .leader_epoch = value.leader_epoch,
            .commit_ms = value.commit_timestamp,
            .expire_ms = value.expire_timestamp,
            .topic_id = value.topic_id,
            .metadata = value.metadata,
        };
    arena_fini(&arena);
    return status;
}
