// SPDX-License-Identifier: Apache-2.0
// Snapshot of a group to and from Kafka's record. See group_record.h for the two forms.
#include "group_record.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "group_state.h"
#include "kafka/codec.h"
#include "kafka/messages/consumer_offsets_records.h"
#include "record.h"

typedef struct kafka_group_metadata_value value_t;
typedef struct kafka_group_metadata_value_member_metadata member_t;

enum {
    VERSION_PLAIN = 3,
    VERSION_TAGGED = 4,
    TAG_VERSION = 1,
    LOAD_ARENA_MAX = 64 << 20,
    RECORD_MAX = 32 << 20
};

// ---- writing ----

enum status group_record_key(struct slice group_id, struct buf *out)
{
    struct kafka_group_metadata_key key = {.group = group_id};
    const struct kafka_message *message = &kafka_group_metadata_key_message;
    return record_put(message, 0, message->key, &key, RECORD_MAX, out);
}

static value_t value_head(const struct group *group)
{
    return (value_t){
        .protocol_type = group_protocol_type(group),
        .generation = group->generation,
        .protocol = block_text(group->protocol),
        .leader = group_leader(group),
        .current_state_timestamp = group->state_since_ms,
    };
}

static member_t member_out(const struct group *group, const struct group_member *member,
                           struct kafka_tag *unseen)
{
    bool stable = group->state == GROUP_STABLE;
    member_t out = {
        .member_id = member->id,
        .group_instance_id = member->instance_id,
        .client_id = member->client_id,
        .client_host = member->client_host,
        .rebalance_timeout = member->rebalance_ms,
        .session_timeout = member->session_ms,
        .subscription = group_member_metadata(member, block_text(group->protocol)),
        .assignment = stable ? block_text(member->assignment) : slice_str(""),
    };
    if (!stable && member->unseen)
        out.tags = (struct kafka_tags){.items = unseen, .count = 1};
    return out;
}

// The members as the record has them; a rebalance marks those whose clients may not know that they are
// members.
static enum status members_out(const struct group *group, struct arena *arena, value_t *out)
{
    static struct kafka_tag unseen = {.tag = GROUP_TAG_UNSEEN, .bytes = {(const uint8_t *)"", 0}};
    out->members = arena_calloc(arena, group->members.count + 1, sizeof *out->members);
    if (out->members == NULL)
        return ST_NO_MEMORY;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        out->members[out->members_count++] = member_out(group, value, &unseen);
    }
    return ST_OK;
}

// Whether every member knows the protocol of the last generation; else a rebalance is written without one.
static bool protocol_known(const struct group *group)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        const struct group_member *member = value;
        bool found = false;
        for (int32_t i = 0; !found && i < member->protocol_count; i++)
            found = slice_equal(member->protocols[i].name, block_text(group->protocol));
        if (!found)
            return false;
    }
    return true;
}

static enum status rebalance_value(const struct group *group, const value_t *inner, struct buf *out)
{
    struct buf bytes;
    buf_init(&bytes, RECORD_MAX);
    buf_put_u8(&bytes, TAG_VERSION);
    buf_put_u8(&bytes, (uint8_t)group->state);
    enum status status =
        record_put(&kafka_group_metadata_value_message, VERSION_TAGGED, -1, inner, RECORD_MAX, &bytes);
    if (status == ST_OK) {
        struct kafka_tag tag = {.tag = GROUP_TAG_REBALANCE, .bytes = buf_slice(&bytes)};
        value_t outer = value_head(group);
        outer.protocol = (struct slice){0};
        outer.leader = (struct slice){0};
        outer.tags = (struct kafka_tags){.items = &tag, .count = 1};
        status = record_put(&kafka_group_metadata_value_message, VERSION_TAGGED, VERSION_TAGGED, &outer,
                            RECORD_MAX, out);
    }
    buf_fini(&bytes);
    return status;
}

enum status group_record_value(const struct group *group, struct buf *out)
{
    struct arena arena;
    arena_init(&arena, LOAD_ARENA_MAX);
    value_t value = value_head(group);
    enum status status = members_out(group, &arena, &value);
    bool rebalancing = group->state == GROUP_PREPARING || group->state == GROUP_COMPLETING;
    if (rebalancing && !protocol_known(group))
        value.protocol = (struct slice){0};
    if (status == ST_OK && rebalancing)
        status = rebalance_value(group, &value, out);
    else if (status == ST_OK)
        status = record_put(&kafka_group_metadata_value_message, VERSION_PLAIN, VERSION_PLAIN, &value,
                            RECORD_MAX, out);
    arena_fini(&arena);
    return status;
}

// ---- reading ----

static bool has_tag(const struct kafka_tags *tags, uint32_t tag)
{
    for (int32_t i = 0; i < tags->count; i++) {
        if (tags->items[i].tag == tag)
            return true;
    }
    return false;
}

static struct slice not_null(struct slice text)
{
    return text.data == NULL ? slice_str("") : text;
}

static enum status load_member(struct group *group, const value_t *value, const member_t *in)
{
    struct group_protocol protocol = {value->protocol, not_null(in->subscription)};
    int32_t session_ms = in->session_timeout > 0 ? in->session_timeout : group->settings->session_min_ms;
    struct group_join join = {
        .instance_id = in->group_instance_id,
        .client_id = in->client_id,
        .client_host = in->client_host,
        .protocols = &protocol,
        .protocol_count = value->protocol.data == NULL ? 0 : 1,
        .session_ms = session_ms,
        .rebalance_ms = in->rebalance_timeout,
    };
    if (group_member_find(group, in->member_id) != NULL)
        return ST_MALFORMED;
    struct group_member *member = group_member_new(&join, in->member_id);
    if (member == NULL)
        return ST_NO_MEMORY;
    member->condensed = true;
    member->synced = group->state == GROUP_STABLE;
    member->unseen = has_tag(&in->tags, GROUP_TAG_UNSEEN);
    group_member_add(group, member);
    if (slice_equal(in->member_id, value->leader))
        group->leader = member;
    return group_member_set_assignment(group, member, in->assignment) ? ST_OK : ST_NO_MEMORY;
}

static enum status load_value(struct group *group, const value_t *value, enum group_state state)
{
    group->state = state;
    group->generation = value->generation;
    group->state_since_ms = value->current_state_timestamp;
    if (value->protocol_type.len > 0 && (group->protocol_type = block_copy(value->protocol_type)) == NULL)
        return ST_NO_MEMORY;
    if (value->protocol.data != NULL && (group->protocol = block_copy(value->protocol)) == NULL)
        return ST_NO_MEMORY;
    for (int32_t i = 0; i < value->members_count; i++) {
        enum status status = load_member(group, value, &value->members[i]);
        if (status != ST_OK)
            return status;
    }
    if (group->leader == NULL) {
        void *first = NULL;
        struct map_entry *at = NULL;
        map_next(&group->members, &at, NULL, &first);
        group->leader = first;
    }
    group->dirty = false;
    group->written = true;
    return ST_OK;
}

static enum status load_rebalance(struct group *group, struct slice bytes, struct arena *arena)
{
    if (bytes.len < 2)
        return ST_MALFORMED;
    if (bytes.data[0] != TAG_VERSION)
        return ST_UNSUPPORTED;
    enum group_state state = (enum group_state)bytes.data[1];
    if (state != GROUP_PREPARING && state != GROUP_COMPLETING)
        return ST_MALFORMED;
    value_t inner;
    enum status status = kafka_decode(&kafka_group_metadata_value_message, VERSION_TAGGED,
                                      slice_of(bytes.data + 2, bytes.len - 2), arena, &inner);
    return status == ST_OK ? load_value(group, &inner, state) : status;
}

enum status group_record_load(struct group *group, struct slice value)
{
    if (value.len < 2)
        return ST_TRUNCATED;
    struct arena arena;
    arena_init(&arena, LOAD_ARENA_MAX);
    value_t in;
    enum status status = kafka_decode(&kafka_group_metadata_value_message, (int16_t)load_be16(value.data),
                                      slice_of(value.data + 2, value.len - 2), &arena, &in);
    const struct kafka_tag *rebalance = NULL;
    for (int32_t i = 0; status == ST_OK && i < in.tags.count; i++) {
        if (in.tags.items[i].tag == GROUP_TAG_REBALANCE)
            rebalance = &in.tags.items[i];
    }
    if (rebalance != NULL)
        status = load_rebalance(group, rebalance->bytes, &arena);
    else if (status == ST_OK)
        status = load_value(group, &in, in.members_count > 0 ? GROUP_STABLE : GROUP_EMPTY);
    arena_fini(&arena);
    return status;
}
