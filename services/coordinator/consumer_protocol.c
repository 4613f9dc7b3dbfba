// SPDX-License-Identifier: Apache-2.0
// See consumer_protocol.h.
#include "consumer_protocol.h"

#include "base/bytes.h"
#include "consumer_group.h"
#include "kafka/codec.h"
#include "kafka/messages/consumer_protocol.h"
#include "record.h"

enum { PROTOCOL_ARENA_MAX = 16 << 20, ASSIGNMENT_MAX = 8 << 20 };

typedef struct kafka_consumer_protocol_assignment_topic_partition assigned_t;

// Newer versions only add at the end.
static int16_t known_version(const struct kafka_message *message, struct slice bytes)
{
    int16_t version = (int16_t)load_be16(bytes.data);
    return version > message->valid.last ? message->valid.last : version;
}

static enum status decode(const struct kafka_message *message, struct slice bytes, struct arena *arena,
                          void *out)
{
    if (bytes.len < 2)
        return ST_TRUNCATED;
    int16_t version = known_version(message, bytes);
    size_t used;
    if (version < 0)
        return ST_MALFORMED;
    return kafka_decode_prefix(message, version, slice_of(bytes.data + 2, bytes.len - 2), arena, out, &used);
}

static void push_topic(const struct image *image, struct slice name, const int32_t *indexes, int32_t count,
                       struct parts *out)
{
    const struct image_topic *topic = image_topic_slice(image, name);
    for (int32_t i = 0; topic != NULL && i < count; i++) {
        struct parts_item part = {.topic = topic->id, .index = indexes[i]};
        parts_push(out, &part);
    }
}

void subscription_init(struct subscription *subscription)
{
    *subscription = (struct subscription){0};
    arena_init(&subscription->arena, PROTOCOL_ARENA_MAX);
}

void subscription_fini(struct subscription *subscription)
{
    parts_fini(&subscription->owned);
    arena_fini(&subscription->arena);
}

enum status subscription_read(struct subscription *subscription, struct slice bytes,
                              const struct image *image)
{
    struct kafka_consumer_protocol_subscription in;
    enum status status =
        decode(&kafka_consumer_protocol_subscription_message, bytes, &subscription->arena, &in);
    if (status != ST_OK)
        return status;
    subscription->topics = in.topics;
    subscription->topic_count = consumer_sort_topics(in.topics, in.topics_count);
    subscription->rack = in.rack_id;
    for (int32_t t = 0; t < in.owned_partitions_count; t++)
        push_topic(image, in.owned_partitions[t].topic, in.owned_partitions[t].partitions,
                   in.owned_partitions[t].partitions_count, &subscription->owned);
    parts_sort(&subscription->owned);
    return ST_OK;
}

enum status assignment_read(struct slice bytes, const struct image *image, struct parts *out)
{
    if (bytes.len == 0)
        return ST_OK;
    struct arena arena;
    arena_init(&arena, PROTOCOL_ARENA_MAX);
    struct kafka_consumer_protocol_assignment in;
    enum status status = decode(&kafka_consumer_protocol_assignment_message, bytes, &arena, &in);
    if (status == ST_OK && in.user_data.len > 0)
        status = ST_UNSUPPORTED;
    for (int32_t t = 0; status == ST_OK && t < in.assigned_partitions_count; t++)
        push_topic(image, in.assigned_partitions[t].topic, in.assigned_partitions[t].partitions,
                   in.assigned_partitions[t].partitions_count, out);
    parts_sort(out);
    arena_fini(&arena);
    return status;
}

// One entry per topic that exists; NULL at the arena's cap.
static assigned_t *by_topic(const struct parts *parts, const struct image *image, struct arena *arena,
                            int32_t *count)
{
    assigned_t *topics = arena_calloc(arena, parts->count + 1, sizeof *topics);
    *count = 0;
    for (size_t i = 0; topics != NULL && i < parts->count;) {
        const struct image_topic *topic = image_topic(image, parts->items[i].topic);
        size_t first = i;
        while (i < parts->count && uuid_equal(parts->items[i].topic, parts->items[first].topic))
            i++;
        if (topic == NULL)
            continue;
        assigned_t *out = &topics[(*count)++];
        out->topic = slice_str(topic->name);
        out->partitions = arena_calloc(arena, i - first, sizeof *out->partitions);
        for (; out->partitions != NULL && first < i; first++)
            out->partitions[out->partitions_count++] = parts->items[first].index;
        if (out->partitions == NULL)
            return NULL;
    }
    return topics;
}

enum status assignment_write(const struct parts *parts, const struct image *image, struct slice subscription,
                             struct buf *out)
{
    const struct kafka_message *message = &kafka_consumer_protocol_assignment_message;
    int16_t version = subscription.len < 2 ? 0 : known_version(message, subscription);
    struct arena arena;
    arena_init(&arena, PROTOCOL_ARENA_MAX);
    struct kafka_consumer_protocol_assignment assignment = {0};
    assignment.assigned_partitions = by_topic(parts, image, &arena, &assignment.assigned_partitions_count);
    enum status status = assignment.assigned_partitions == NULL
                             ? ST_NO_MEMORY
                             : record_put(message, version, version, &assignment, ASSIGNMENT_MAX, out);
    arena_fini(&arena);
    return status;
}
