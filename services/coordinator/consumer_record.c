// SPDX-License-Identifier: Apache-2.0
// See consumer_record.h.
#include "consumer_record.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "base/varint.h"
#include "consumer_state.h"
#include "kafka/codec.h"
#include "kafka/messages/consumer_offsets_records.h"

typedef struct kafka_consumer_group_member_metadata_value member_value;
typedef struct kafka_consumer_group_member_metadata_value_classic_member_metadata classic_t;
typedef struct kafka_consumer_group_member_metadata_value_classic_protocol protocol_t;
typedef struct kafka_consumer_group_target_assignment_member_value target_value;
typedef struct kafka_consumer_group_current_member_assignment_value current_value;
typedef struct kafka_consumer_group_current_member_assignment_value_topic_partitions current_topic;

enum {
    TAG_EPOCHS = 0 // of current_topic: assignment epochs
};

// ---- keys ----

bool consumer_key_is(int16_t type)
{
    return (type >= CONSUMER_KEY_GROUP && type <= CONSUMER_KEY_CURRENT) || type == CONSUMER_KEY_REGEX;
}

enum status consumer_key_parse(int16_t type, struct slice bytes, struct group_key *key)
{
    bool of_group =
        type == CONSUMER_KEY_GROUP || type == CONSUMER_KEY_PARTITIONS || type == CONSUMER_KEY_TARGET;
    return group_key_parse(type, !of_group, bytes, key);
}

// ---- writing ----

struct writer {
    struct group_writer out;
    struct consumer_group *group;
};

static void writer_init(struct writer *writer, struct consumer_group *group, group_emit_fn *emit,
                        void *context)
{
    writer->group = group;
    group_writer_init(&writer->out, block_slice(group->id), emit, context);
}

static void put(struct writer *writer, int16_t type, struct slice name, const struct kafka_message *message,
                const void *value)
{
    group_writer_put(&writer->out, type, name, message, value);
}

static void bury(struct writer *writer, int16_t type, struct slice name)
{
    put(writer, type, name, NULL, NULL);
}

static void bury_member(struct writer *writer, struct slice id)
{
    bury(writer, CONSUMER_KEY_CURRENT, id);
    bury(writer, CONSUMER_KEY_TARGET_MEMBER, id);
    bury(writer, CONSUMER_KEY_MEMBER, id);
}

static void no_memory(struct writer *writer)
{
    group_writer_no_memory(&writer->out);
}

static void put_epoch(struct writer *writer)
{
    struct kafka_consumer_group_metadata_value value = {.epoch = writer->group->epoch,
                                                        .metadata_hash = (int64_t)writer->group->hash};
    put(writer, CONSUMER_KEY_GROUP, (struct slice){0}, &kafka_consumer_group_metadata_value_message, &value);
}

static void put_target_epoch(struct writer *writer)
{
    struct kafka_consumer_group_target_assignment_metadata_value value = {writer->group->target_epoch, {0}};
    put(writer, CONSUMER_KEY_TARGET, (struct slice){0},
        &kafka_consumer_group_target_assignment_metadata_value_message, &value);
}

static classic_t *classic_of(struct writer *writer, const struct consumer_profile *profile)
{
    classic_t *classic = arena_calloc(&writer->out.arena, 1, sizeof *classic);
    protocol_t *protocols =
        arena_calloc(&writer->out.arena, (size_t)profile->protocol_count + 1, sizeof *protocols);
    if (classic == NULL || protocols == NULL)
        return NULL;
    for (int32_t i = 0; i < profile->protocol_count; i++) {
        protocols[i].name = profile->protocols[i].name;
        protocols[i].metadata = profile->protocols[i].metadata;
    }
    classic->session_timeout_ms = profile->session_ms;
    classic->supported_protocols = protocols;
    classic->supported_protocols_count = profile->protocol_count;
    return classic;
}

static void put_profile(struct writer *writer, const struct consumer_member *member)
{
    const struct consumer_profile *profile = member->profile;
    member_value value = {
        .instance_id = profile->instance_id,
        .rack_id = profile->rack,
        .client_id = profile->client_id,
        .client_host = profile->client_host,
        .subscribed_topic_names = (struct slice *)profile->topics,
        .subscribed_topic_names_count = profile->topic_count,
        .subscribed_topic_regex = profile->regex.data == NULL ? slice_str("") : profile->regex,
        .rebalance_timeout_ms = profile->rebalance_ms,
        .server_assignor = profile->assignor,
    };
    if (profile->classic && (value.classic_member_metadata = classic_of(writer, profile)) == NULL)
        no_memory(writer);
    put(writer, CONSUMER_KEY_MEMBER, block_slice(member->id),
        &kafka_consumer_group_member_metadata_value_message, &value);
}

static void put_target(struct writer *writer, const struct consumer_member *member)
{
    target_value value = {0};
    const struct parts *parts = &member->target;
    value.topic_partitions =
        arena_calloc(&writer->out.arena, parts_topics(parts) + 1, sizeof *value.topic_partitions);
    for (size_t at = 0; value.topic_partitions != NULL && at < parts->count;) {
        size_t end = parts_topic_end(parts, at);
        struct kafka_consumer_group_target_assignment_member_value_topic_partition *out =
            &value.topic_partitions[value.topic_partitions_count++];
        out->topic_id = parts->items[at].topic;
        out->partitions = parts_indexes(parts, at, end, &writer->out.arena);
        out->partitions_count = (int32_t)(end - at);
        if (out->partitions == NULL)
            no_memory(writer);
        at = end;
    }
    if (value.topic_partitions == NULL)
        no_memory(writer);
    put(writer, CONSUMER_KEY_TARGET_MEMBER, block_slice(member->id),
        &kafka_consumer_group_target_assignment_member_value_message, &value);
}

// A compact array of int32, as the tag holds it; data NULL at the arena's cap.
static struct slice epochs_of(const struct parts *parts, size_t from, size_t end, struct arena *arena)
{
    uint8_t *bytes = arena_alloc(arena, VARINT32_MAX + (end - from) * sizeof(uint32_t));
    if (bytes == NULL)
        return (struct slice){0};
    size_t len = (size_t)uvarint64_put(bytes, end - from + 1);
    for (size_t i = from; i < end; i++, len += sizeof(uint32_t))
        store_be32(bytes + len, (uint32_t)parts->items[i].epoch);
    return slice_of(bytes, len);
}

// NULL at the arena's cap.
static current_topic *current_topics(struct writer *writer, const struct parts *parts, int32_t *count)
{
    size_t topics = parts_topics(parts);
    current_topic *out = arena_calloc(&writer->out.arena, topics + 1, sizeof *out);
    struct kafka_tag *tags = arena_calloc(&writer->out.arena, topics + 1, sizeof *tags);
    if (out == NULL || tags == NULL)
        return NULL;
    *count = 0;
    for (size_t at = 0; at < parts->count; (*count)++) {
        size_t end = parts_topic_end(parts, at);
        tags[*count] = (struct kafka_tag){TAG_EPOCHS, epochs_of(parts, at, end, &writer->out.arena)};
        out[*count] = (current_topic){.topic_id = parts->items[at].topic,
                                      .partitions = parts_indexes(parts, at, end, &writer->out.arena),
                                      .partitions_count = (int32_t)(end - at),
                                      .tags = {&tags[*count], 1}};
        if (out[*count].partitions == NULL || tags[*count].bytes.data == NULL)
            return NULL;
        at = end;
    }
    return out;
}

static void put_current(struct writer *writer, const struct consumer_member *member)
{
    current_value value = {.member_epoch = member->epoch,
                           .previous_member_epoch = member->previous_epoch,
                           .state = (int8_t)member->progress};
    value.assigned_partitions = current_topics(writer, &member->assigned, &value.assigned_partitions_count);
    value.partitions_pending_revocation =
        current_topics(writer, &member->revoking, &value.partitions_pending_revocation_count);
    if (value.assigned_partitions == NULL || value.partitions_pending_revocation == NULL)
        no_memory(writer);
    put(writer, CONSUMER_KEY_CURRENT, block_slice(member->id),
        &kafka_consumer_group_current_member_assignment_value_message, &value);
}

static void put_regex(struct writer *writer, struct slice pattern, const struct consumer_regex *regex)
{
    struct kafka_consumer_group_regular_expression_value value = {.version = regex->version,
                                                                  .timestamp = regex->resolved_ms};
    value.topics = arena_calloc(&writer->out.arena, regex->topics.count + 1, sizeof *value.topics);
    struct slice name;
    for (struct map_entry *at = NULL; value.topics != NULL && map_next(&regex->topics, &at, &name, NULL);)
        value.topics[value.topics_count++] = name;
    if (value.topics == NULL)
        no_memory(writer);
    put(writer, CONSUMER_KEY_REGEX, pattern, &kafka_consumer_group_regular_expression_value_message, &value);
}

static void put_gone(struct writer *writer)
{
    struct consumer_group *group = writer->group;
    struct slice name;
    for (struct map_entry *at = NULL; map_next(&group->gone, &at, &name, NULL);)
        bury_member(writer, name);
    for (struct map_entry *at = NULL; map_next(&group->gone_regexes, &at, &name, NULL);)
        bury(writer, CONSUMER_KEY_REGEX, name);
    if (group->had_metadata)
        bury(writer, CONSUMER_KEY_PARTITIONS, (struct slice){0});
}

// The group's epoch comes before what it changes, and the target's after all of the target: cut in between, the
// target is computed anew.
static void put_changed(struct writer *writer)
{
    struct consumer_group *group = writer->group;
    struct slice name;
    void *value;
    if (group->dirty_epoch)
        put_epoch(writer);
    put_gone(writer);
    for (struct map_entry *at = NULL; map_next(&group->regexes, &at, &name, &value);) {
        const struct consumer_regex *regex = value;
        if (regex->dirty && regex->resolved)
            put_regex(writer, name, regex);
    }
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        const struct consumer_member *member = value;
        if (member->dirty_profile)
            put_profile(writer, member);
        if (member->dirty_target)
            put_target(writer, member);
    }
    if (group->dirty_target_epoch)
        put_target_epoch(writer);
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        const struct consumer_member *member = value;
        if (member->dirty_current)
            put_current(writer, member);
    }
}

static void clean(struct consumer_group *group)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->regexes, &at, NULL, &value);) {
        struct consumer_regex *regex = value;
        regex->dirty = regex->dirty && !regex->resolved;
    }
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct consumer_member *member = value;
        member->dirty_profile = member->dirty_target = member->dirty_current = false;
    }
    map_fini(&group->gone);
    map_fini(&group->gone_regexes);
    map_init(&group->gone, 0);
    map_init(&group->gone_regexes, 0);
    group->dirty = group->dirty_epoch = group->dirty_target_epoch = group->had_metadata = false;
    group->written = true;
}

enum status consumer_record_write(struct consumer_group *group, group_emit_fn *emit, void *context)
{
    struct writer writer;
    writer_init(&writer, group, emit, context);
    put_changed(&writer);
    if (writer.out.status == ST_OK)
        clean(group);
    return group_writer_fini(&writer.out);
}

enum status consumer_record_bury(struct consumer_group *group, group_emit_fn *emit, void *context)
{
    struct writer writer;
    writer_init(&writer, group, emit, context);
    put_gone(&writer);
    struct slice name;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, &name, NULL);)
        bury_member(&writer, name);
    for (struct map_entry *at = NULL; map_next(&group->regexes, &at, &name, NULL);)
        bury(&writer, CONSUMER_KEY_REGEX, name);
    bury(&writer, CONSUMER_KEY_TARGET, (struct slice){0});
    bury(&writer, CONSUMER_KEY_GROUP, (struct slice){0});
    return group_writer_fini(&writer.out);
}
