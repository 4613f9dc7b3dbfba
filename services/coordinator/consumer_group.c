// SPDX-License-Identifier: Apache-2.0
// Life and reading of a consumer group. See consumer_group.h.
#include "consumer_group.h"

#include "base/assert.h"
#include "base/mem.h"
#include "consumer_state.h"

struct consumer_group *consumer_group_new(struct slice id, const struct consumer_settings *settings,
                                          const struct consumer_topics *topics)
{
    struct block *copy = block_copy(id);
    if (copy == NULL)
        return NULL;
    struct consumer_group *group = mem_calloc(1, sizeof *group);
    group->settings = settings;
    group->session_ms = settings->session_ms;
    group->topics = topics;
    group->id = copy;
    group->wake_us = GROUP_NEVER_US;
    map_init(&group->members, 0);
    map_init(&group->statics, 0);
    map_init(&group->owners, 0);
    map_init(&group->names, 0);
    map_init(&group->regexes, 0);
    map_init(&group->gone, 0);
    map_init(&group->gone_regexes, 0);
    return group;
}

void consumer_group_set_session(struct consumer_group *group, int32_t session_ms)
{
    group->session_ms = session_ms;
}

void consumer_group_destroy(struct consumer_group **pointer)
{
    struct consumer_group *group = *pointer;
    *pointer = NULL;
    if (group == NULL)
        return;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);)
        consumer_member_free(value);
    for (struct map_entry *at = NULL; map_next(&group->names, &at, NULL, &value);)
        mem_free(value);
    for (struct map_entry *at = NULL; map_next(&group->regexes, &at, NULL, &value);)
        consumer_regex_destroy(value);
    map_fini(&group->members);
    sorted_fini(&group->order);
    map_fini(&group->statics);
    map_fini(&group->owners);
    map_fini(&group->names);
    map_fini(&group->regexes);
    map_fini(&group->gone);
    map_fini(&group->gone_regexes);
    block_unref(&group->id);
    mem_free(group);
}

// ---- reading ----

int64_t consumer_wake_us(const struct consumer_group *group)
{
    return group->wake_us;
}

bool consumer_dirty(const struct consumer_group *group)
{
    return group->dirty;
}

bool consumer_wants_downgrade(const struct consumer_group *group)
{
    size_t size = group->members.count;
    if (size == 0 || !group->settings->may_downgrade || size > (size_t)group->settings->downgrade_size_max ||
        group->epoch == group->stays_epoch)
        return false;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        const struct consumer_profile *profile = ((const struct consumer_member *)value)->profile;
        if (!profile->classic || profile->protocol_count > GROUP_PROTOCOLS_MAX) // Kafka takes as many as come
            return false;
    }
    return true;
}

void consumer_stay(struct consumer_group *group)
{
    group->stays_epoch = group->epoch;
}

bool consumer_unused(const struct consumer_group *group)
{
    return !group->written && group->members.count == 0;
}

enum consumer_state consumer_state(const struct consumer_group *group)
{
    if (group->members.count == 0)
        return CONSUMER_EMPTY;
    if (group->epoch > group->target_epoch)
        return CONSUMER_ASSIGNING;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        if (!consumer_reconciled(group, value))
            return CONSUMER_RECONCILING;
    }
    return CONSUMER_STABLE;
}

const char *consumer_state_text(enum consumer_state state)
{
    static const char *const texts[] = {"Empty", "Assigning", "Reconciling", "Stable"};
    ASSERT(state <= CONSUMER_STABLE);
    return texts[state];
}

int32_t consumer_epoch(const struct consumer_group *group)
{
    return group->epoch;
}

int32_t consumer_target_epoch(const struct consumer_group *group)
{
    return group->target_epoch;
}

size_t consumer_size(const struct consumer_group *group)
{
    return group->members.count;
}

bool consumer_next_member(const struct consumer_group *group, struct map_entry **cursor,
                          struct consumer_member_view *view)
{
    void *value;
    if (!map_next(&group->members, cursor, NULL, &value))
        return false;
    const struct consumer_member *member = value;
    *view = (struct consumer_member_view){.id = block_slice(member->id),
                                          .epoch = member->epoch,
                                          .profile = member->profile,
                                          .assigned = &member->assigned,
                                          .target = &member->target};
    return true;
}

// ---- offsets ----
// Kafka's ConsumerGroup.validateOffsetCommit and validateOffsetFetch.

enum { COMMIT_VERSION_EPOCH = 9 }; // from here OffsetCommit means a member epoch

static int16_t epoch_error(const struct consumer_member *member)
{
    return member->profile->classic ? KAFKA_ERR_ILLEGAL_GENERATION : KAFKA_ERR_STALE_MEMBER_EPOCH;
}

int16_t consumer_may_commit(const struct consumer_group *group, const struct consumer_commit *commit,
                            const struct consumer_member **member)
{
    const struct group_identity *who = &commit->who;
    *member = NULL;
    if (who->generation < 0 && group->members.count == 0)
        return KAFKA_ERR_NONE; // a tool, or a consumer that manages its partitions itself
    if (who->transactional && who->generation < 0 && who->member_id.len == 0 && who->instance_id.data == NULL)
        return KAFKA_ERR_NONE; // a producer of old, which does not say for whom
    const struct consumer_member *found = consumer_find(group, who->member_id);
    if (found == NULL)
        return KAFKA_ERR_UNKNOWN_MEMBER_ID;
    if (!who->transactional && !found->profile->classic && commit->version < COMMIT_VERSION_EPOCH)
        return KAFKA_ERR_UNSUPPORTED_VERSION;
    if (who->generation == found->epoch)
        return KAFKA_ERR_NONE;
    if (found->profile->classic || who->generation < 0 || who->generation > found->epoch)
        return epoch_error(found);
    *member = found;
    return KAFKA_ERR_NONE;
}

bool consumer_may_commit_part(const struct consumer_member *member, int32_t epoch,
                              const struct parts_item *part)
{
    const struct parts_item *has = parts_find(&member->assigned, part);
    if (has == NULL)
        has = parts_find(&member->revoking, part);
    return has != NULL && epoch >= has->epoch;
}

int16_t consumer_may_fetch(const struct consumer_group *group, struct slice member_id, int32_t epoch)
{
    if (member_id.data == NULL && epoch < 0)
        return KAFKA_ERR_NONE;
    const struct consumer_member *found = consumer_find(group, member_id);
    if (found == NULL)
        return KAFKA_ERR_UNKNOWN_MEMBER_ID;
    return epoch == found->epoch ? KAFKA_ERR_NONE : epoch_error(found);
}

int16_t consumer_may_delete(const struct consumer_group *group)
{
    return group->members.count == 0 ? KAFKA_ERR_NONE : KAFKA_ERR_NON_EMPTY_GROUP;
}
