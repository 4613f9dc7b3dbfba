// SPDX-License-Identifier: Apache-2.0
// Records of consumer groups back into groups. Compaction leaves the last record of each key in the order in
// which these were written, so a member's current assignment may come before the member: what is known is
// gathered, and consumer_resume drops what never became whole. See consumer_record.h.
#include "base/arena.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "base/varint.h"
#include "consumer_record.h"
#include "consumer_state.h"
#include "kafka/codec.h"
#include "kafka/messages/consumer_offsets_records.h"

typedef struct kafka_consumer_group_member_metadata_value member_value;
typedef struct kafka_consumer_group_current_member_assignment_value current_value;
typedef struct kafka_consumer_group_current_member_assignment_value_topic_partitions current_topic;

enum { ARENA_MAX = 64 << 20 };

// The member a record is about, made when it is new; NULL: a tombstone of one that is not known, or no
// memory.
static struct consumer_member *member_of(struct consumer_group *group, struct slice id, bool tombstone)
{
    struct consumer_member *member = consumer_find(group, id);
    return member != NULL || tombstone ? member : consumer_member_new(group, id);
}

static enum status load_epoch(struct consumer_group *group, const void *in)
{
    const struct kafka_consumer_group_metadata_value *value = in;
    group->epoch = value->epoch;
    group->hash = (uint64_t)value->metadata_hash;
    return ST_OK;
}

static enum status load_target_epoch(struct consumer_group *group, const void *in)
{
    group->target_epoch =
        ((const struct kafka_consumer_group_target_assignment_metadata_value *)in)->assignment_epoch;
    return ST_OK;
}

static void classic_from(const member_value *value, struct arena *arena, struct consumer_profile *profile)
{
    int32_t count = value->classic_member_metadata->supported_protocols_count;
    struct group_protocol *protocols = arena_calloc(arena, (size_t)count + 1, sizeof *protocols);
    for (int32_t i = 0; protocols != NULL && i < count; i++)
        protocols[i] =
            (struct group_protocol){value->classic_member_metadata->supported_protocols[i].name,
                                    value->classic_member_metadata->supported_protocols[i].metadata};
    profile->classic = protocols != NULL && count > 0; // without one it could not be answered
    profile->session_ms = value->classic_member_metadata->session_timeout_ms;
    profile->protocols = protocols;
    profile->protocol_count = protocols == NULL ? 0 : count;
}

static enum status load_profile(struct consumer_group *group, struct consumer_member *member,
                                const member_value *value, struct arena *arena)
{
    struct consumer_profile profile = {
        .instance_id = value->instance_id,
        .rack = value->rack_id,
        .assignor = value->server_assignor,
        .regex = value->subscribed_topic_regex.data == NULL ? slice_str("") : value->subscribed_topic_regex,
        .client_id = value->client_id,
        .client_host = value->client_host,
        .topics = value->subscribed_topic_names,
        .topic_count =
            consumer_sort_topics(value->subscribed_topic_names, value->subscribed_topic_names_count),
        .rebalance_ms = value->rebalance_timeout_ms,
    };
    if (value->classic_member_metadata != NULL)
        classic_from(value, arena, &profile);
    struct consumer_profile *copy = consumer_profile_copy(&profile);
    if (copy == NULL)
        return ST_NO_MEMORY;
    consumer_set_profile(group, member, copy);
    member->dirty_profile = false;
    return ST_OK;
}

static void load_target(struct consumer_member *member,
                        const struct kafka_consumer_group_target_assignment_member_value *value)
{
    struct parts target = {0};
    for (int32_t t = 0; t < value->topic_partitions_count; t++) {
        for (int32_t i = 0; i < value->topic_partitions[t].partitions_count; i++) {
            struct parts_item part = {.topic = value->topic_partitions[t].topic_id,
                                      .index = value->topic_partitions[t].partitions[i]};
            parts_push(&target, &part);
        }
    }
    parts_sort(&target);
    parts_move(&member->target, &target);
}

// Where the epochs of a topic begin in its tag; NULL: none, or not as many as partitions.
static const uint8_t *epochs_in(const current_topic *topic)
{
    for (int32_t i = 0; i < topic->tags.count; i++) {
        struct slice bytes = topic->tags.items[i].bytes;
        uint32_t count;
        int used = topic->tags.items[i].tag == 0 ? uvarint32_get(bytes.data, bytes.len, &count) : 0;
        if (used > 0 && count == (uint32_t)topic->partitions_count + 1 &&
            bytes.len == (size_t)used + (size_t)topic->partitions_count * sizeof(uint32_t))
            return bytes.data + used;
    }
    return NULL;
}

// A partition without an assignment epoch was written by Kafka 4.2: it counts from the member's epoch on.
static struct parts current_from(const current_topic *topics, int32_t count, int32_t epoch)
{
    struct parts parts = {0};
    for (int32_t t = 0; t < count; t++) {
        const uint8_t *epochs = epochs_in(&topics[t]);
        for (int32_t i = 0; i < topics[t].partitions_count; i++) {
            struct parts_item part = {topics[t].topic_id, topics[t].partitions[i], epoch};
            if (epochs != NULL)
                part.epoch = (int32_t)load_be32(epochs + (size_t)i * sizeof(uint32_t));
            parts_push(&parts, &part);
        }
    }
    parts_sort(&parts);
    return parts;
}

// Ownership is settled when all is loaded.
static void load_current(struct consumer_member *member, const current_value *value)
{
    struct parts assigned =
        current_from(value->assigned_partitions, value->assigned_partitions_count, value->member_epoch);
    struct parts revoking = current_from(value->partitions_pending_revocation,
                                         value->partitions_pending_revocation_count, value->member_epoch);
    member->epoch = value->member_epoch;
    member->previous_epoch = value->previous_member_epoch;
    bool known = value->state >= MEMBER_STABLE && value->state <= MEMBER_UNRELEASED;
    member->progress = known ? (enum member_progress)value->state : MEMBER_UNKNOWN;
    parts_move(&member->assigned, &assigned);
    parts_move(&member->revoking, &revoking);
}

static enum status load_regex(struct consumer_group *group, struct slice pattern,
                              const struct kafka_consumer_group_regular_expression_value *value)
{
    struct consumer_regex *regex = consumer_regex_load(group, pattern);
    consumer_regex_take(group, regex, value->topics, value->topics_count);
    regex->version = value->version;
    regex->resolved_ms = value->timestamp;
    return ST_OK;
}

static void forget_member_part(struct consumer_group *group, struct consumer_member *member, int16_t type)
{
    if (member == NULL)
        return;
    if (type == CONSUMER_KEY_TARGET_MEMBER) {
        parts_fini(&member->target);
    } else if (type == CONSUMER_KEY_CURRENT) {
        parts_fini(&member->assigned);
        parts_fini(&member->revoking);
        member->epoch = member->previous_epoch = 0;
        member->progress = MEMBER_STABLE;
    } else {
        consumer_drop_profile(group, member);
    }
    bool anything = member->profile != NULL || member->epoch != 0 || member->target.count > 0;
    if (anything)
        return;
    consumer_unlist(group, member); // its last tombstone: nothing is left to bury
    consumer_member_free(member);
}

static enum status bury(struct consumer_group *group, const struct group_key *key)
{
    if (key->type == CONSUMER_KEY_REGEX)
        consumer_regex_unload(group, key->name);
    else if (key->type == CONSUMER_KEY_PARTITIONS)
        group->had_metadata = false;
    else if (key->type == CONSUMER_KEY_TARGET)
        group->target_epoch = 0;
    else
        forget_member_part(group, consumer_find(group, key->name), key->type);
    return ST_OK;
}

static enum status load_member_part(struct consumer_group *group, const struct group_key *key, const void *in,
                                    struct arena *arena)
{
    struct consumer_member *member = member_of(group, key->name, false);
    if (member == NULL)
        return ST_NO_MEMORY;
    if (key->type == CONSUMER_KEY_MEMBER)
        return load_profile(group, member, in, arena);
    if (key->type == CONSUMER_KEY_TARGET_MEMBER)
        load_target(member, in);
    else
        load_current(member, in);
    return ST_OK;
}

static const struct kafka_message *value_message(int16_t type)
{
    switch (type) {
    case CONSUMER_KEY_GROUP:
        return &kafka_consumer_group_metadata_value_message;
    case CONSUMER_KEY_MEMBER:
        return &kafka_consumer_group_member_metadata_value_message;
    case CONSUMER_KEY_TARGET:
        return &kafka_consumer_group_target_assignment_metadata_value_message;
    case CONSUMER_KEY_TARGET_MEMBER:
        return &kafka_consumer_group_target_assignment_member_value_message;
    case CONSUMER_KEY_CURRENT:
        return &kafka_consumer_group_current_member_assignment_value_message;
    default:
        return &kafka_consumer_group_regular_expression_value_message;
    }
}

static enum status load_decoded(struct consumer_group *group, const struct group_key *key, const void *in,
                                struct arena *arena)
{
    if (key->type == CONSUMER_KEY_GROUP)
        return load_epoch(group, in);
    if (key->type == CONSUMER_KEY_TARGET)
        return load_target_epoch(group, in);
    if (key->type == CONSUMER_KEY_REGEX)
        return load_regex(group, key->name, in);
    return load_member_part(group, key, in, arena);
}

enum status consumer_record_load(struct consumer_group *group, const struct group_key *key,
                                 struct slice value)
{
    group->written = true;
    if (value.data == NULL)
        return bury(group, key);
    if (key->type == CONSUMER_KEY_PARTITIONS) {
        group->had_metadata = true;
        return ST_OK;
    }
    if (value.len < 2)
        return ST_TRUNCATED;
    const struct kafka_message *message = value_message(key->type);
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    void *in = arena_alloc(&arena, message->structure->size);
    enum status status = kafka_decode(message, (int16_t)load_be16(value.data),
                                      slice_of(value.data + 2, value.len - 2), &arena, in);
    if (status == ST_OK)
        status = load_decoded(group, key, in, &arena);
    arena_fini(&arena);
    return status;
}
