// SPDX-License-Identifier: Apache-2.0
// What a group does after the join phase and at its clocks: SyncGroup hands the leader's assignment to
// everybody, Heartbeat and OffsetCommit keep a member's session, LeaveGroup and a session that ended take it
// out, and a member that joined but never synced is put out at the rebalance timeout.
#include "group_state.h"

#include "base/assert.h"
#include "base/mem.h"

// ---- answers ----

static struct group_synced sync_answer(const struct group *group, const struct group_member *member,
                                       int16_t error)
{
    if (error != KAFKA_ERR_NONE)
        return (struct group_synced){.error = error, .assignment = slice_str("")};
    return (struct group_synced){
        .protocol_type = group_protocol_type(group),
        .protocol = block_text(group->protocol),
        .assignment = member->assignment == NULL ? slice_str("") : block_slice(member->assignment),
    };
}

void group_answer_sync(struct group *group, struct group_member *member, int16_t error)
{
    void *waiter = member->sync_waiter;
    member->parked = false;
    member->sync_waiter = NULL;
    struct group_synced answer = sync_answer(group, member, error);
    if (waiter != NULL)
        group->sink->synced(group->sink->context, waiter, &answer);
}

void group_answer_syncs(struct group *group, struct group_now now, int16_t error)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct group_member *member = value;
        if (!member->parked)
            continue;
        group_answer_sync(group, member, error);
        group_watch_session(group, member, now); // it could not heartbeat while it was parked
    }
}

// ---- sync ----

static bool differs(struct slice stated, struct slice ours)
{
    return stated.data != NULL && ours.data != NULL && !slice_equal(stated, ours);
}

static int16_t sync_error(const struct group *group, const struct group_sync *sync)
{
    int16_t error = group_member_validate(group, sync->member_id, sync->instance_id);
    if (error != KAFKA_ERR_NONE)
        return error;
    if (sync->generation != group->generation)
        return KAFKA_ERR_ILLEGAL_GENERATION;
    if (differs(sync->protocol_type, block_text(group->protocol_type)) ||
        differs(sync->protocol, block_text(group->protocol)))
        return KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL;
    if (group->state == GROUP_EMPTY)
        return KAFKA_ERR_UNKNOWN_MEMBER_ID;
    return group->state == GROUP_PREPARING ? KAFKA_ERR_REBALANCE_IN_PROGRESS : KAFKA_ERR_NONE;
}

// Gives every member what the leader says, nothing to those it does not name. false: too much.
static bool take_assignments(struct group *group, const struct group_sync *sync)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);)
        group_member_set_assignment(group, value, slice_str(""));
    for (int32_t i = 0; i < sync->assignment_count; i++) {
        const struct group_assignment *given = &sync->assignments[i];
        struct group_member *member = group_member_find(group, given->member_id);
        if (member == NULL)
            continue;
        if (!group_member_set_assignment(group, member, given->assignment) ||
            group->bytes > group->settings->bytes_max)
            return false;
    }
    return true;
}

static void leader_synced(struct group *group, struct group_now now, const struct group_sync *sync)
{
    if (!take_assignments(group, sync)) {
        group_answer_syncs(group, now, KAFKA_ERR_UNKNOWN_SERVER_ERROR);
        group_rebalance(group, now);
        return;
    }
    group_set_state(group, now, GROUP_STABLE);
    group_answer_syncs(group, now, KAFKA_ERR_NONE);
}

static void mark_synced(struct group *group, struct group_member *member)
{
    group_member_set_synced(group, member, true);
    group_member_seen(group, member);
    if (group->unsynced_count == 0)
        group->sync_deadline_us = GROUP_NEVER_US;
}

void group_sync(struct group *group, struct group_now now, const struct group_sync *sync)
{
    int16_t error = sync_error(group, sync);
    struct group_member *member = error == KAFKA_ERR_NONE ? group_member_find(group, sync->member_id) : NULL;
    if (member == NULL || group->state == GROUP_STABLE) {
        if (member != NULL) {
            mark_synced(group, member);
            group_watch_session(group, member, now);
        }
        struct group_synced answer = sync_answer(group, member, error);
        group->sink->synced(group->sink->context, sync->waiter, &answer);
        return;
    }
    ASSERT(group->state == GROUP_COMPLETING);
    if (member->sync_waiter != NULL) // the client asked again on another connection
        group_answer_sync(group, member, KAFKA_ERR_REBALANCE_IN_PROGRESS);
    member->parked = true;
    member->sync_waiter = sync->waiter;
    mark_synced(group, member);
    if (group->leader == member)
        leader_synced(group, now, sync);
}

// ---- heartbeat and commit ----

int16_t group_heartbeat(struct group *group, struct group_now now, const struct group_identity *who)
{
    int16_t error = group_member_validate(group, who->member_id, who->instance_id);
    if (error != KAFKA_ERR_NONE)
        return error;
    if (who->generation != group->generation)
        return KAFKA_ERR_ILLEGAL_GENERATION;
    if (group->state == GROUP_EMPTY)
        return KAFKA_ERR_UNKNOWN_MEMBER_ID;
    struct group_member *member = group_member_find(group, who->member_id);
    group_member_seen(group, member);
    group_watch_session(group, member, now);
    return group->state == GROUP_PREPARING ? KAFKA_ERR_REBALANCE_IN_PROGRESS : KAFKA_ERR_NONE;
}

int16_t group_may_commit(struct group *group, struct group_now now, const struct group_identity *who)
{
    if (who->generation < 0 && group->state == GROUP_EMPTY)
        return KAFKA_ERR_NONE; // a tool, or a consumer that manages its partitions itself
    if (who->generation < 0 && who->member_id.len == 0 && who->instance_id.data == NULL)
        return who->transactional ? KAFKA_ERR_NONE // a producer of old, which does not say for whom
                                  : KAFKA_ERR_UNKNOWN_MEMBER_ID;
    int16_t error = group_member_validate(group, who->member_id, who->instance_id);
    if (error != KAFKA_ERR_NONE)
        return error;
    if (who->generation != group->generation)
        return KAFKA_ERR_ILLEGAL_GENERATION;
    struct group_member *member = group_member_find(group, who->member_id);
    group_member_seen(group, member);
    if (group->state == GROUP_COMPLETING && !who->transactional)
        return KAFKA_ERR_REBALANCE_IN_PROGRESS;
    group_watch_session(group, member, now);
    return KAFKA_ERR_NONE;
}

// ---- leaving ----

static void take_out(struct group *group, struct group_member *member)
{
    group_refuse_join(group, member, KAFKA_ERR_UNKNOWN_MEMBER_ID, slice_str(""));
    if (member->parked)
        group_answer_sync(group, member, KAFKA_ERR_UNKNOWN_MEMBER_ID);
    group_member_remove(group, member);
}

static int16_t leave_one(struct group *group, const struct group_identity *who)
{
    struct group_member *member;
    if (who->member_id.len == 0) { // an administrator names the instance
        member = group_member_static(group, who->instance_id);
        if (member == NULL)
            return KAFKA_ERR_UNKNOWN_MEMBER_ID;
    } else if (map_get(&group->pending, who->member_id) != NULL) {
        pending_remove(group, who->member_id);
        return KAFKA_ERR_NONE;
    } else {
        int16_t error = group_member_validate(group, who->member_id, who->instance_id);
        if (error != KAFKA_ERR_NONE)
            return error;
        member = group_member_find(group, who->member_id);
    }
    take_out(group, member);
    return KAFKA_ERR_NONE;
}

void group_leave(struct group *group, struct group_now now, const struct group_identity *who, int32_t count,
                 int16_t *errors)
{
    bool left = false;
    for (int32_t i = 0; i < count; i++) {
        errors[i] = leave_one(group, &who[i]);
        left = left || errors[i] == KAFKA_ERR_NONE;
    }
    if (left && group->state != GROUP_EMPTY)
        group_rebalance(group, now);
}

void group_forget(struct group *group, const void *waiter)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct group_member *member = value;
        if (member->join_waiter == waiter)
            member->join_waiter = NULL;
        if (member->sync_waiter == waiter)
            member->sync_waiter = NULL;
    }
}

// ---- clocks ----

static bool due(int64_t at_us, struct group_now now)
{
    return at_us != GROUP_NEVER_US && at_us <= now.us;
}

// Takes out members and pending ids whose time is over. A member that waits for us cannot heartbeat: its
// session is watched again when it is answered, unless it was never answered at all.
static bool expire_sessions(struct group *group, struct group_now now)
{
    bool any = false;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct group_member *member = value;
        if (!due(member->expires_us, now))
            continue;
        if (!member->fresh && (member->joined || member->parked)) {
            member->expires_us = GROUP_NEVER_US;
            continue;
        }
        take_out(group, member);
        any = true;
    }
    struct slice id;
    for (struct map_entry *at = NULL; map_next(&group->pending, &at, &id, &value);) {
        const struct group_pending *pending = value;
        if (!due(pending->expires_us, now))
            continue;
        pending_remove(group, id);
        any = any || group->state == GROUP_PREPARING;
    }
    return any;
}

static void sync_due(struct group *group, struct group_now now)
{
    group->sync_deadline_us = GROUP_NEVER_US;
    bool any = false;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct group_member *member = value;
        if (member->synced)
            continue;
        take_out(group, member);
        any = true;
    }
    if (any)
        group_rebalance(group, now);
}

static void find_wake(struct group *group)
{
    group->wake_us = GROUP_NEVER_US;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        const struct group_member *member = value;
        if (member->expires_us != GROUP_NEVER_US)
            group_schedule(group, member->expires_us);
    }
    for (struct map_entry *at = NULL; map_next(&group->pending, &at, NULL, &value);)
        group_schedule(group, ((const struct group_pending *)value)->expires_us);
    if (group->join_deadline_us != GROUP_NEVER_US)
        group_schedule(group, group->join_deadline_us);
    if (group->sync_deadline_us != GROUP_NEVER_US)
        group_schedule(group, group->sync_deadline_us);
}

void group_tick(struct group *group, struct group_now now)
{
    if (!due(group->wake_us, now))
        return;
    if (expire_sessions(group, now) && group->state != GROUP_EMPTY)
        group_rebalance(group, now);
    if (due(group->join_deadline_us, now) && group->state == GROUP_PREPARING)
        group_join_due(group, now);
    if (due(group->sync_deadline_us, now))
        sync_due(group, now);
    find_wake(group);
}

// ---- take-over ----

// Members whose clients may not know that they are members would only hold everybody up.
static bool drop_unseen(struct group *group)
{
    bool any = false;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct group_member *member = value;
        if (!member->unseen)
            continue;
        group_member_remove(group, member);
        any = true;
    }
    return any;
}

void group_resume(struct group *group, struct group_now now)
{
    bool dropped = drop_unseen(group);
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);)
        group_watch_session(group, value, now);
    if (group->state == GROUP_COMPLETING && !dropped) {
        group->sync_deadline_us = now.us + group_rebalance_us(group);
        group_schedule(group, group->sync_deadline_us);
    } else if (group->state == GROUP_COMPLETING) {
        group_prepare(group, now);
    } else if (group->state == GROUP_PREPARING) {
        group->join_deadline_us = now.us + group_rebalance_us(group);
        group_schedule(group, group->join_deadline_us);
        group_maybe_complete(group, now);
    }
}
