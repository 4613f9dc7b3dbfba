// SPDX-License-Identifier: Apache-2.0
// Life and reading of a group: the group itself, what it tells about itself, which protocols it supports.
// Members are kept by member.c; the state machine is in group_join.c and group_session.c.
#include "group_state.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "kafka/codec.h"
#include "kafka/messages/consumer_protocol.h"

enum { SUBSCRIPTION_ARENA_MAX = 8 << 20 };

struct group *group_new(struct slice id, const struct group_settings *settings, const struct group_sink *sink)
{
    struct block *copy = block_copy(id);
    if (copy == NULL)
        return NULL;
    struct group *group = mem_calloc(1, sizeof *group);
    group->settings = settings;
    group->sink = sink;
    group->id = copy;
    group->state = GROUP_EMPTY;
    group->state_since_ms = -1;
    group->join_deadline_us = GROUP_NEVER_US;
    group->sync_deadline_us = GROUP_NEVER_US;
    group->wake_us = GROUP_NEVER_US;
    map_init(&group->members, 0);
    map_init(&group->statics, 0);
    map_init(&group->pending, 0);
    map_init(&group->supported, 0);
    return group;
}

void group_destroy(struct group **group)
{
    struct group *g = *group;
    *group = NULL;
    if (g == NULL)
        return;
    void *value;
    for (struct map_entry *at = NULL; map_next(&g->members, &at, NULL, &value);)
        group_member_destroy(value);
    for (struct map_entry *at = NULL; map_next(&g->pending, &at, NULL, &value);)
        mem_free(value);
    map_fini(&g->members);
    map_fini(&g->statics);
    map_fini(&g->pending);
    map_fini(&g->supported);
    block_unref(&g->protocol_type);
    block_unref(&g->protocol);
    block_unref(&g->id);
    mem_free(g);
}

// ---- clocks ----

void group_set_state(struct group *group, struct group_now now, enum group_state state)
{
    group->state = state;
    group->state_since_ms = now.wall_ms;
    group->dirty = true;
}

void group_schedule(struct group *group, int64_t at_us)
{
    if (group->wake_us == GROUP_NEVER_US || at_us < group->wake_us)
        group->wake_us = at_us;
}

void group_watch_session(struct group *group, struct group_member *member, struct group_now now)
{
    member->expires_us = now.us + (int64_t)member->session_ms * 1000;
    group_schedule(group, member->expires_us);
}

int64_t group_rebalance_us(const struct group *group)
{
    int64_t longest_ms = 0;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        const struct group_member *member = value;
        if (member->rebalance_ms > longest_ms)
            longest_ms = member->rebalance_ms;
    }
    return longest_ms * 1000;
}

// ---- protocols ----

static bool all_support(const struct group *group, struct slice protocol)
{
    size_t count = (size_t)(intptr_t)map_get(&group->supported, protocol);
    return count + group->any_count == group->members.count;
}

bool group_supports(const struct group *group, const struct group_join *join)
{
    if (group->state == GROUP_EMPTY || group->members.count == 0)
        return join->protocol_type.len > 0 && join->protocol_count > 0;
    if (!slice_equal(block_text(group->protocol_type), join->protocol_type))
        return false;
    for (int32_t i = 0; i < join->protocol_count; i++) {
        if (all_support(group, join->protocols[i].name))
            return true;
    }
    return false;
}

// The protocols that every member knows, in the order of the first member's preference.
static int32_t candidates_of(const struct group *group, struct slice candidates[GROUP_PROTOCOLS_MAX])
{
    const struct group_member *first = NULL;
    void *value;
    for (struct map_entry *at = NULL; first == NULL && map_next(&group->members, &at, NULL, &value);) {
        if (!group_member_any(value))
            first = value;
    }
    int32_t count = 0;
    for (int32_t i = 0; first != NULL && i < first->protocol_count; i++) {
        ASSERT(i < GROUP_PROTOCOLS_MAX);
        if (all_support(group, first->protocols[i].name))
            candidates[count++] = first->protocols[i].name;
    }
    return count;
}

// The candidate a member votes for: its first protocol that is one; -1: it abstains.
static int32_t vote_of(const struct group_member *member, const struct slice *candidates, int32_t count)
{
    for (int32_t p = 0; p < member->protocol_count; p++) {
        for (int32_t i = 0; i < count; i++) {
            if (slice_equal(member->protocols[p].name, candidates[i]))
                return i;
        }
    }
    return -1;
}

struct slice group_select_protocol(const struct group *group)
{
    struct slice candidates[GROUP_PROTOCOLS_MAX];
    int32_t votes[GROUP_PROTOCOLS_MAX] = {0};
    int32_t count = candidates_of(group, candidates);
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        int32_t vote = vote_of(value, candidates, count);
        if (vote >= 0)
            votes[vote]++;
    }
    int32_t best = 0;
    for (int32_t i = 1; i < count; i++) {
        if (votes[i] > votes[best])
            best = i;
    }
    return count > 0 ? candidates[best] : (struct slice){0};
}

// ---- reading ----

int64_t group_wake_us(const struct group *group)
{
    return group->wake_us;
}

bool group_dirty(const struct group *group)
{
    return group->dirty;
}

bool group_is_written(const struct group *group)
{
    return group->written;
}

void group_clean(struct group *group)
{
    group->dirty = false;
    group->written = true;
}

enum group_state group_state(const struct group *group)
{
    return group->state;
}

const char *group_state_text(enum group_state state)
{
    static const char *const texts[] = {"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"};
    ASSERT(state <= GROUP_STABLE);
    return texts[state];
}

struct slice group_id(const struct group *group)
{
    return block_slice(group->id);
}

int32_t group_generation(const struct group *group)
{
    return group->generation;
}

struct slice group_protocol_type(const struct group *group)
{
    return group->protocol_type == NULL ? slice_str("") : block_slice(group->protocol_type);
}

struct slice group_protocol(const struct group *group)
{
    return block_text(group->protocol);
}

struct slice group_leader(const struct group *group)
{
    return group->leader == NULL ? (struct slice){0} : group->leader->id;
}

int64_t group_state_since_ms(const struct group *group)
{
    return group->state_since_ms;
}

size_t group_size(const struct group *group)
{
    return group->members.count;
}

size_t group_parked(const struct group *group)
{
    size_t parked = 0;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        const struct group_member *member = value;
        parked += (size_t)(member->join_waiter != NULL) + (size_t)(member->sync_waiter != NULL);
    }
    return parked;
}

bool group_unused(const struct group *group)
{
    return !group->written && !group->dirty && group_idle(group);
}

bool group_idle(const struct group *group)
{
    return group->state == GROUP_EMPTY && group->pending.count == 0;
}

int16_t group_may_delete(const struct group *group)
{
    return group->state == GROUP_EMPTY ? KAFKA_ERR_NONE : KAFKA_ERR_NON_EMPTY_GROUP;
}

bool group_next_member(const struct group *group, struct map_entry **cursor, struct group_member_view *view)
{
    void *value;
    if (!map_next(&group->members, cursor, NULL, &value))
        return false;
    const struct group_member *member = value;
    *view = (struct group_member_view){
        .id = member->id,
        .instance_id = member->instance_id,
        .client_id = member->client_id,
        .client_host = member->client_host,
        .metadata = group_member_metadata(member, block_text(group->protocol)),
        .assignment = block_text(member->assignment),
    };
    return true;
}

// Adds the topics of one subscription (int16 version, then ConsumerProtocolSubscription).
static bool add_topics(struct slice metadata, struct map *topics)
{
    const struct kafka_message *message = &kafka_consumer_protocol_subscription_message;
    if (metadata.len < 2)
        return false;
    int16_t version = (int16_t)load_be16(metadata.data);
    if (version < 0)
        return false;
    if (version > message->valid.last)
        version = message->valid.last; // newer ones only add at the end
    struct kafka_consumer_protocol_subscription subscription;
    struct arena arena;
    arena_init(&arena, SUBSCRIPTION_ARENA_MAX);
    size_t used;
    enum status status = kafka_decode_prefix(message, version, slice_of(metadata.data + 2, metadata.len - 2),
                                             &arena, &subscription, &used);
    for (int32_t i = 0; status == ST_OK && i < subscription.topics_count; i++)
        map_put(topics, subscription.topics[i], topics);
    arena_fini(&arena);
    return status == ST_OK;
}

bool group_subscribed(const struct group *group, struct map *topics)
{
    if (!slice_is(group_protocol_type(group), "consumer"))
        return true; // its members do not say which topics they read
    if (group->members.count > 0 && group->protocol == NULL)
        return false;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        if (!add_topics(group_member_metadata(value, block_text(group->protocol)), topics))
            return false;
    }
    return true;
}
