// SPDX-License-Identifier: Apache-2.0
// Life and reading of a streams group, and who may commit offsets to it. See streams_group.h.
#include "streams_group.h"

#include "base/assert.h"
#include "base/mem.h"
#include "streams_state.h"

struct streams_group *streams_group_new(struct slice id, const struct streams_settings *settings,
                                        const struct consumer_topics *topics)
{
    struct block *copy = block_copy(id);
    if (copy == NULL)
        return NULL;
    struct streams_group *group = mem_calloc(1, sizeof *group);
    group->settings = settings;
    group->options = settings->options;
    group->topics = topics;
    group->id = copy;
    group->validated_epoch = group->standbys = -1;
    group->wake_us = group->delay_us = GROUP_NEVER_US;
    map_init(&group->members, 0);
    map_init(&group->processes, 0);
    map_init(&group->owners, 0);
    map_init(&group->gone, 0);
    return group;
}

void streams_group_set_options(struct streams_group *group, const struct streams_options *options)
{
    group->options = *options;
}

static void destroy_members(struct streams_group *group)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);)
        streams_member_free(value);
    for (struct map_entry *at = NULL; map_next(&group->processes, &at, NULL, &value);) {
        map_fini(&((struct streams_process *)value)->held);
        mem_free(value);
    }
}

void streams_group_destroy(struct streams_group **pointer)
{
    struct streams_group *group = *pointer;
    *pointer = NULL;
    if (group == NULL)
        return;
    destroy_members(group);
    map_fini(&group->members);
    map_fini(&group->processes);
    map_fini(&group->owners);
    map_fini(&group->gone);
    if (group->plan != NULL)
        streams_plan_fini(group->plan);
    mem_free(group->plan);
    streams_topology_destroy(&group->topology);
    block_unref(&group->shutdown_by);
    block_unref(&group->id);
    mem_free(group);
}

// ---- reading ----

int64_t streams_wake_us(const struct streams_group *group)
{
    return group->wake_us;
}

bool streams_dirty(const struct streams_group *group)
{
    return group->dirty;
}

bool streams_unused(const struct streams_group *group)
{
    return !group->written && group->members.count == 0;
}

enum streams_state streams_state(const struct streams_group *group)
{
    if (group->members.count == 0)
        return STREAMS_EMPTY;
    if (group->topology == NULL ||
        group->validated_epoch != streams_topology_value_of(group->topology)->epoch)
        return STREAMS_NOT_READY;
    if (group->epoch > group->target_epoch)
        return STREAMS_ASSIGNING;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        if (!streams_reconciled(group, value))
            return STREAMS_RECONCILING;
    }
    return STREAMS_STABLE;
}

const char *streams_state_text(enum streams_state state)
{
    static const char *const texts[] = {"Empty", "NotReady", "Assigning", "Reconciling", "Stable"};
    ASSERT(state <= STREAMS_STABLE);
    return texts[state];
}

int32_t streams_epoch(const struct streams_group *group)
{
    return group->epoch;
}

int32_t streams_target_epoch(const struct streams_group *group)
{
    return group->target_epoch;
}

size_t streams_size(const struct streams_group *group)
{
    return group->members.count;
}

const struct streams_topology *streams_topology_of(const struct streams_group *group)
{
    return group->topology;
}

const struct streams_plan *streams_plan_of(const struct streams_group *group)
{
    return group->plan;
}

struct slice streams_shutdown_by(const struct streams_group *group)
{
    return group->shutdown_by == NULL ? (struct slice){0} : block_slice(group->shutdown_by);
}

bool streams_next_member(const struct streams_group *group, struct map_entry **cursor,
                         struct streams_member_view *view)
{
    void *value;
    if (!map_next(&group->members, cursor, NULL, &value))
        return false;
    const struct streams_member *member = value;
    *view = (struct streams_member_view){.id = block_slice(member->id),
                                         .epoch = member->epoch,
                                         .profile = member->profile,
                                         .assigned = &member->assigned,
                                         .target = &member->target};
    return true;
}

// ---- offsets ----
// Kafka's StreamsGroup.validateOffsetCommit and validateOffsetFetch.

enum { COMMIT_VERSION_EPOCH = 9 }; // from here OffsetCommit means a member epoch

int16_t streams_may_commit(const struct streams_group *group, const struct consumer_commit *commit,
                           const struct streams_member **member)
{
    const struct group_identity *who = &commit->who;
    *member = NULL;
    if (who->generation < 0 && group->members.count == 0)
        return KAFKA_ERR_NONE; // a tool
    if (who->transactional && who->generation < 0 && who->member_id.len == 0 && who->instance_id.data == NULL)
        return KAFKA_ERR_NONE; // a producer of old, which does not say for whom
    const struct streams_member *found = streams_find(group, who->member_id);
    if (found == NULL)
#ifndef PLANTED_STREAMS_GONE_MEMBER_COMMITS
        return KAFKA_ERR_UNKNOWN_MEMBER_ID;
#else
        return KAFKA_ERR_NONE;
#endif
    if (!who->transactional && commit->version < COMMIT_VERSION_EPOCH)
        return KAFKA_ERR_UNSUPPORTED_VERSION;
    if (who->generation == found->epoch)
        return KAFKA_ERR_NONE;
    if (who->generation < 0 || who->generation > found->epoch)
        return KAFKA_ERR_STALE_MEMBER_EPOCH;
    *member = found;
    return KAFKA_ERR_NONE;
}

bool streams_may_commit_part(const struct streams_group *group, const struct streams_member *member,
                             int32_t epoch, struct slice topic, int32_t partition)
{
    int32_t sub = group->topology == NULL ? -1 : streams_topology_reader(group->topology, topic);
    if (sub < 0)
        return false;
    const streams_topology_value *value = streams_topology_value_of(group->topology);
    struct parts_item task = {.topic = streams_key(value->subtopologies[sub].subtopology_id),
                              .index = partition};
    const struct parts_item *has = parts_find(&member->assigned.roles[STREAMS_ACTIVE], &task);
    if (has == NULL)
        has = parts_find(&member->revoking.roles[STREAMS_ACTIVE], &task);
    return has != NULL && epoch >= has->epoch;
}

int16_t streams_may_fetch(const struct streams_group *group, struct slice member_id, int32_t epoch)
{
    if (member_id.data == NULL && epoch < 0)
        return KAFKA_ERR_NONE;
    const struct streams_member *found = streams_find(group, member_id);
    if (found == NULL)
        return KAFKA_ERR_UNKNOWN_MEMBER_ID;
    return epoch == found->epoch ? KAFKA_ERR_NONE : KAFKA_ERR_STALE_MEMBER_EPOCH;
}

int16_t streams_may_delete(const struct streams_group *group)
{
    return group->members.count == 0 ? KAFKA_ERR_NONE : KAFKA_ERR_NON_EMPTY_GROUP;
}

bool streams_subscribed(const struct streams_group *group, struct slice topic)
{
    return group->members.count > 0 && group->topology != NULL &&
           streams_topology_reader(group->topology, topic) >= 0;
}
