// SPDX-License-Identifier: Apache-2.0
// See share_group_record.h.
#include "share_group_record.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "kafka/codec.h"
#include "kafka/messages/consumer_offsets_records.h"
#include "share_group_state.h"

typedef struct kafka_share_group_member_metadata_value member_value;
typedef struct kafka_share_group_target_assignment_member_value target_value;
typedef struct kafka_share_group_current_member_assignment_value current_value;
typedef struct kafka_share_group_state_partition_metadata_value parts_value;
typedef struct kafka_share_group_state_partition_metadata_value_topic_partitions_info parts_topic;

enum { ARENA_MAX = 64 << 20 };

// ---- keys ----

bool share_group_key_is(int16_t type)
{
    return type >= SHARE_KEY_MEMBER && type <= SHARE_KEY_PARTS;
}

enum status share_group_key_parse(int16_t type, struct slice bytes, struct group_key *key)
{
    bool of_group = type == SHARE_KEY_GROUP || type == SHARE_KEY_TARGET || type == SHARE_KEY_PARTS;
    return group_key_parse(type, !of_group, bytes, key);
}

// ---- writing ----

static const struct slice own; // the group's own key has no name

struct writer {
    struct share_group *group;
    struct group_writer to;
};

static void writer_init(struct writer *writer, struct share_group *group, group_emit_fn *emit, void *context)
{
    writer->group = group;
    group_writer_init(&writer->to, block_slice(group->id), emit, context);
}

static enum status writer_fini(struct writer *writer)
{
    return group_writer_fini(&writer->to);
}

static void put(struct writer *writer, int16_t type, struct slice member, const struct kafka_message *message,
                const void *value)
{
    group_writer_put(&writer->to, type, member, message, value);
}

static void bury(struct writer *writer, int16_t type, struct slice member)
{
    put(writer, type, member, NULL, NULL);
}

static void bury_member(struct writer *writer, struct slice id)
{
    bury(writer, SHARE_KEY_CURRENT, id);
    bury(writer, SHARE_KEY_TARGET_MEMBER, id);
    bury(writer, SHARE_KEY_MEMBER, id);
}

static bool need(struct writer *writer, const void *memory)
{
    if (memory == NULL)
        group_writer_no_memory(&writer->to);
    return memory != NULL;
}

static void put_profile(struct writer *writer, const struct share_member *member)
{
    const struct consumer_profile *profile = member->profile;
    member_value value = {.rack_id = profile->rack,
                          .client_id = profile->client_id,
                          .client_host = profile->client_host,
                          .subscribed_topic_names = (struct slice *)profile->topics,
                          .subscribed_topic_names_count = profile->topic_count};
    put(writer, SHARE_KEY_MEMBER, block_slice(member->id), &kafka_share_group_member_metadata_value_message,
        &value);
}

static void put_target(struct writer *writer, const struct share_member *member)
{
    target_value value = {0};
    const struct parts *parts = &member->target;
    value.topic_partitions =
        arena_calloc(&writer->to.arena, parts_topics(parts) + 1, sizeof *value.topic_partitions);
    for (size_t at = 0; need(writer, value.topic_partitions) && at < parts->count;) {
        size_t end = parts_topic_end(parts, at);
        struct kafka_share_group_target_assignment_member_value_topic_partition *out =
            &value.topic_partitions[value.topic_partitions_count++];
        out->topic_id = parts->items[at].topic;
        out->partitions = parts_indexes(parts, at, end, &writer->to.arena);
        out->partitions_count = (int32_t)(end - at);
        need(writer, out->partitions);
        at = end;
    }
    put(writer, SHARE_KEY_TARGET_MEMBER, block_slice(member->id),
        &kafka_share_group_target_assignment_member_value_message, &value);
}

static void put_current(struct writer *writer, const struct share_member *member)
{
    current_value value = {.member_epoch = member->epoch,
                           .previous_member_epoch = member->previous_epoch,
                           .state = 1}; // Kafka's MemberState.STABLE
    const struct parts *parts = &member->assigned;
    value.assigned_partitions =
        arena_calloc(&writer->to.arena, parts_topics(parts) + 1, sizeof *value.assigned_partitions);
    for (size_t at = 0; need(writer, value.assigned_partitions) && at < parts->count;) {
        size_t end = parts_topic_end(parts, at);
        struct kafka_share_group_current_member_assignment_value_topic_partitions *out =
            &value.assigned_partitions[value.assigned_partitions_count++];
        out->topic_id = parts->items[at].topic;
        out->partitions = parts_indexes(parts, at, end, &writer->to.arena);
        out->partitions_count = (int32_t)(end - at);
        need(writer, out->partitions);
        at = end;
    }
    put(writer, SHARE_KEY_CURRENT, block_slice(member->id),
        &kafka_share_group_current_member_assignment_value_message, &value);
}

// A topic that is gone has no name; nobody reads it.
static parts_topic *parts_topics_of(struct writer *writer, const struct parts *parts, int32_t *count)
{
    parts_topic *out = arena_calloc(&writer->to.arena, parts_topics(parts) + 1, sizeof *out);
    *count = 0;
    for (size_t at = 0; need(writer, out) && at < parts->count; (*count)++) {
        size_t end = parts_topic_end(parts, at);
        const struct image_topic *topic = image_topic(writer->group->topics->image, parts->items[at].topic);
        out[*count].topic_id = parts->items[at].topic;
        out[*count].topic_name = slice_str(topic != NULL ? topic->name : "");
        out[*count].partitions = parts_indexes(parts, at, end, &writer->to.arena);
        out[*count].partitions_count = (int32_t)(end - at);
        need(writer, out[*count].partitions);
        at = end;
    }
    return out;
}

static void put_parts(struct writer *writer)
{
    parts_value value = {0};
    value.initializing_topics =
        parts_topics_of(writer, &writer->group->pending, &value.initializing_topics_count);
    value.initialized_topics =
        parts_topics_of(writer, &writer->group->initialized, &value.initialized_topics_count);
    put(writer, SHARE_KEY_PARTS, own, &kafka_share_group_state_partition_metadata_value_message, &value);
}

static void put_epoch(struct writer *writer)
{
    struct kafka_share_group_metadata_value value = {.epoch = writer->group->epoch,
                                                     .metadata_hash = (int64_t)writer->group->hash};
    put(writer, SHARE_KEY_GROUP, own, &kafka_share_group_metadata_value_message, &value);
}

static void put_target_epoch(struct writer *writer)
{
    struct kafka_share_group_target_assignment_metadata_value value = {writer->group->target_epoch, {0}};
    put(writer, SHARE_KEY_TARGET, own, &kafka_share_group_target_assignment_metadata_value_message, &value);
}

// The target's epoch comes after all of the target: cut before it, the target is computed anew.
static void put_changed(struct writer *writer)
{
    struct share_group *group = writer->group;
    void *value;
    if (group->dirty_epoch)
        put_epoch(writer);
    if (group->dirty_parts)
        put_parts(writer);
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        const struct share_member *member = value;
        if (member->dirty_profile)
            put_profile(writer, member);
        if (member->dirty_target)
            put_target(writer, member);
    }
    if (group->dirty_target_epoch)
        put_target_epoch(writer);
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);)
        if (((const struct share_member *)value)->dirty_current)
            put_current(writer, value);
}

static void put_gone(struct writer *writer)
{
    struct slice id;
    for (struct map_entry *at = NULL; map_next(&writer->group->gone, &at, &id, NULL);)
        bury_member(writer, id);
}

static void clean(struct share_group *group)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct share_member *member = value;
        member->dirty_profile = member->dirty_target = member->dirty_current = false;
    }
    map_fini(&group->gone);
    map_init(&group->gone, 0);
    group->dirty = group->dirty_epoch = group->dirty_target_epoch = group->dirty_parts = false;
    group->written = true;
}

enum status share_group_record_write(struct share_group *group, group_emit_fn *emit, void *context)
{
    struct writer writer;
    writer_init(&writer, group, emit, context);
    put_gone(&writer);
    put_changed(&writer);
    if (writer.to.status == ST_OK)
        clean(group);
    return writer_fini(&writer);
}

enum status share_group_record_bury(struct share_group *group, group_emit_fn *emit, void *context)
{
    struct writer writer;
    struct slice id;
    writer_init(&writer, group, emit, context);
    put_gone(&writer);
    for (struct map_entry *at = NULL; map_next(&group->members, &at, &id, NULL);)
        bury_member(&writer, id);
    bury(&writer, SHARE_KEY_TARGET, own);
    bury(&writer, SHARE_KEY_PARTS, own);
    bury(&writer, SHARE_KEY_GROUP, own);
    return writer_fini(&writer);
}

// ---- reading ----

static enum status load_profile(struct share_group *group, struct share_member *member,
                                const member_value *value)
{
    struct consumer_profile profile = {
        .rack = value->rack_id,
        .client_id = value->client_id,
        .client_host = value->client_host,
        .topics = value->subscribed_topic_names,
        .topic_count =
            consumer_sort_topics(value->subscribed_topic_names, value->subscribed_topic_names_count),
        .rebalance_ms = -1,
    };
    struct consumer_profile *copy = consumer_profile_copy(&profile);
    if (copy == NULL)
        return ST_NO_MEMORY;
    share_member_set(group, member, copy);
    member->dirty_profile = false;
    return ST_OK;
}

static void push(struct parts *parts, struct uuid topic, const int32_t *indexes, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        parts_push(parts, &(struct parts_item){.topic = topic, .index = indexes[i]});
}

static void load_target(struct share_member *member, const target_value *value)
{
    struct parts target = {0};
    for (int32_t i = 0; i < value->topic_partitions_count; i++)
        push(&target, value->topic_partitions[i].topic_id, value->topic_partitions[i].partitions,
             value->topic_partitions[i].partitions_count);
    parts_sort(&target);
    parts_move(&member->target, &target);
}

static void load_current(struct share_member *member, const current_value *value)
{
    struct parts assigned = {0};
    for (int32_t i = 0; i < value->assigned_partitions_count; i++)
        push(&assigned, value->assigned_partitions[i].topic_id, value->assigned_partitions[i].partitions,
             value->assigned_partitions[i].partitions_count);
    parts_sort(&assigned);
    parts_move(&member->assigned, &assigned);
    member->epoch = value->member_epoch;
    member->previous_epoch = value->previous_member_epoch;
}

static void load_topics(struct parts *parts, const parts_topic *topics, int32_t count)
{
    struct parts read = {0};
    for (int32_t i = 0; i < count; i++)
        push(&read, topics[i].topic_id, topics[i].partitions, topics[i].partitions_count);
    parts_sort(&read);
    parts_move(parts, &read);
}

static enum status bury_loaded(struct share_group *group, const struct group_key *key)
{
    struct share_member *member = share_member_find(group, key->name);
    if (key->type == SHARE_KEY_PARTS) {
        parts_fini(&group->pending);
        parts_fini(&group->initialized);
    } else if (key->type == SHARE_KEY_TARGET) {
        group->target_epoch = 0;
    } else if (key->type == SHARE_KEY_MEMBER && member != NULL) {
        group->bytes -= member->profile_bytes; // its other tombstones came before
        map_remove(&group->members, key->name);
        share_member_free(member);
    }
    return ST_OK;
}

static enum status load_member_part(struct share_group *group, const struct group_key *key, const void *in)
{
    struct share_member *member = share_member_find(group, key->name);
    if (member == NULL)
        member = share_member_new(group, key->name);
    if (member == NULL)
        return ST_NO_MEMORY;
    if (key->type == SHARE_KEY_MEMBER)
        return load_profile(group, member, in);
    if (key->type == SHARE_KEY_TARGET_MEMBER)
        load_target(member, in);
    else
        load_current(member, in);
    return ST_OK;
}

static enum status load_decoded(struct share_group *group, const struct group_key *key, const void *in)
{
    const struct kafka_share_group_metadata_value *epoch = in;
    const struct kafka_share_group_target_assignment_metadata_value *target = in;
    const parts_value *parts = in;
    switch (key->type) {
    case SHARE_KEY_GROUP:
        group->epoch = epoch->epoch;
        group->hash = (uint64_t)epoch->metadata_hash;
        return ST_OK;
    case SHARE_KEY_TARGET:
        group->target_epoch = target->assignment_epoch;
        return ST_OK;
    case SHARE_KEY_PARTS:
        load_topics(&group->pending, parts->initializing_topics, parts->initializing_topics_count);
        load_topics(&group->initialized, parts->initialized_topics, parts->initialized_topics_count);
        return ST_OK;
    default:
        return load_member_part(group, key, in);
    }
}

static const struct kafka_message *value_message(int16_t type)
{
    switch (type) {
    case SHARE_KEY_MEMBER:
        return &kafka_share_group_member_metadata_value_message;
    case SHARE_KEY_GROUP:
        return &kafka_share_group_metadata_value_message;
    case SHARE_KEY_TARGET:
        return &kafka_share_group_target_assignment_metadata_value_message;
    case SHARE_KEY_TARGET_MEMBER:
        return &kafka_share_group_target_assignment_member_value_message;
    case SHARE_KEY_CURRENT:
        return &kafka_share_group_current_member_assignment_value_message;
    default:
        return &kafka_share_group_state_partition_metadata_value_message;
    }
}

enum status share_group_record_load(struct share_group *group, const struct group_key *key,
                                    struct slice value)
{
    group->written = true;
    if (value.data == NULL)
        return bury_loaded(group, key);
    if (value.len < 2)
        return ST_TRUNCATED;
    const struct kafka_message *message = value_message(key->type);
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    void *in = arena_alloc(&arena, message->structure->size);
    enum status status = kafka_decode(message, (int16_t)load_be16(value.data),
                                      slice_of(value.data + 2, value.len - 2), &arena, in);
    if (status == ST_OK)
        status = load_decoded(group, key, in);
    arena_fini(&arena);
    return status;
}
