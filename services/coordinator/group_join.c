// SPDX-License-Identifier: Apache-2.0
// The join phase of a group: who gets in (JoinGroup, KIP-394, KIP-345), when a rebalance starts, and when it
// is complete. Each JoinGroup waits here until every member has asked again or the rebalance timeout is over;
// then all are answered with the next generation and go on with SyncGroup (group_session.c).
#include "group_state.h"

#include "base/assert.h"
#include "base/mem.h"

enum {
    VERSION_KNOWN_ID = 4,       // KIP-394: from here a member must know its id before it joins
    VERSION_SKIP_ASSIGNMENT = 9 // KIP-814
};

// ---- answers ----

void group_answer_join(struct group *group, struct group_member *member, const struct group_joined *answer)
{
    void *waiter = member->join_waiter;
    if (member->joined)
        group->joined_count--;
    member->joined = false;
    member->join_waiter = NULL;
    if (waiter != NULL)
        group->sink->joined(group->sink->context, waiter, answer);
}

static struct group_joined refusal(int16_t error, struct slice member_id)
{
    return (struct group_joined){
        .error = error, .generation = -1, .leader = slice_str(""), .member_id = member_id};
}

void group_refuse_join(struct group *group, struct group_member *member, int16_t error, struct slice id)
{
    struct group_joined answer = refusal(error, id);
    group_answer_join(group, member, &answer);
}

static void refuse(struct group *group, const struct group_join *join, int16_t error, struct slice member_id)
{
    struct group_joined answer = refusal(error, member_id);
    group->sink->joined(group->sink->context, join->waiter, &answer);
}

static struct group_joined present_generation(const struct group *group, const struct group_member *member)
{
    return (struct group_joined){
        .error = KAFKA_ERR_NONE,
        .generation = group->generation,
        .protocol_type = group_protocol_type(group),
        .protocol = block_text(group->protocol),
        .leader = group->leader == NULL ? slice_str("") : group->leader->id,
        .member_id = member->id,
        .members_of = group->leader == member ? group : NULL,
    };
}

// ---- completion ----

static bool all_joined(const struct group *group)
{
    return group->members.count == group->joined_count && group->pending.count == 0;
}

// Who has not come back is out; a static member stays while its session lasts (KIP-345), unless a failed
// owner left us without its protocols.
static void drop_absent(struct group *group)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct group_member *member = value;
        if (!member->joined && (member->instance_id.data == NULL || member->protocol_count == 0))
            group_member_remove(group, member);
    }
}

// The leader must be among those who joined now; false when nobody did.
static bool elect_leader(struct group *group)
{
    if (group->leader != NULL && group->leader->joined)
        return true;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct group_member *member = value;
        if (member->joined) {
            group->leader = member;
            return true;
        }
    }
    return false;
}

static void begin_sync_phase(struct group *group, struct group_now now)
{
    struct block *protocol = block_copy(group_select_protocol(group));
    block_unref(&group->protocol);
    group->protocol = protocol; // NULL when memory is short: members will ask for another rebalance
    group_set_state(group, now, GROUP_COMPLETING);
    group->sync_deadline_us = now.us + group_rebalance_us(group);
    group_schedule(group, group->sync_deadline_us);
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct group_member *member = value;
        struct group_joined answer = present_generation(group, member);
        group_answer_join(group, member, &answer);
        member->fresh = false;
        group_member_set_synced(group, member, false);
        group_watch_session(group, member, now);
    }
}

static void complete_join(struct group *group, struct group_now now)
{
    group->join_deadline_us = GROUP_NEVER_US;
    drop_absent(group);
    if (group->members.count > 0 && !elect_leader(group)) {
        // Only static members, none of which came back: sessions will remove them.
        group->join_deadline_us = now.us + group_rebalance_us(group);
        group_schedule(group, group->join_deadline_us);
        return;
    }
    group->initial = false;
    group->generation = group->generation == INT32_MAX ? 0 : group->generation + 1;
    if (group->members.count > 0) {
        begin_sync_phase(group, now);
        return;
    }
    block_unref(&group->protocol);
    group_set_state(group, now, GROUP_EMPTY);
}

void group_maybe_complete(struct group *group, struct group_now now)
{
    if (group->state == GROUP_PREPARING && !group->initial && all_joined(group))
        complete_join(group, now);
}

void group_join_due(struct group *group, struct group_now now)
{
    if (!group->initial || !group->new_member_added || group->initial_left_ms == 0) {
        complete_join(group, now);
        return;
    }
    // Somebody came during the initial delay: more may follow (KIP-134).
    int32_t delay_ms = group->settings->initial_delay_ms;
    if (delay_ms > group->initial_left_ms)
        delay_ms = group->initial_left_ms;
    group->new_member_added = false;
    group->initial_left_ms -= delay_ms;
    group->join_deadline_us = now.us + (int64_t)delay_ms * 1000;
    group_schedule(group, group->join_deadline_us);
}

// ---- start of a rebalance ----

void group_prepare(struct group *group, struct group_now now)
{
    ASSERT(group->state != GROUP_PREPARING);
    if (group->state == GROUP_COMPLETING)
        group_answer_syncs(group, now, KAFKA_ERR_REBALANCE_IN_PROGRESS);
    group->sync_deadline_us = GROUP_NEVER_US;
    group->initial = group->state == GROUP_EMPTY;
    group_set_state(group, now, GROUP_PREPARING);
    if (!group->initial && all_joined(group)) {
        complete_join(group, now);
        return;
    }
    int64_t wait_us = group_rebalance_us(group);
    if (group->initial) {
        int64_t delay_us = (int64_t)group->settings->initial_delay_ms * 1000;
        group->new_member_added = false;
        group->initial_left_ms = wait_us > delay_us ? (int32_t)((wait_us - delay_us) / 1000) : 0;
        wait_us = delay_us;
    }
    group->join_deadline_us = now.us + wait_us;
    group_schedule(group, group->join_deadline_us);
}

void group_rebalance(struct group *group, struct group_now now)
{
    if (group->state == GROUP_PREPARING)
        group_maybe_complete(group, now);
    else
        group_prepare(group, now);
}

// ---- members come ----

static bool room_for(const struct group *group, const struct group_join *join)
{
    size_t more = GROUP_MEMBER_FRAME + join->client_id.len + join->client_host.len + join->instance_id.len;
    for (int32_t i = 0; i < join->protocol_count; i++)
        more += join->protocols[i].name.len + join->protocols[i].metadata.len;
    const struct group_member *member = group_member_find(group, join->member_id);
    if (member == NULL)
        member = group_member_static(group, join->instance_id);
    size_t others = group->bytes - (member == NULL ? 0 : group_member_bytes(member));
    if (more > group->settings->bytes_max || others > group->settings->bytes_max - more)
        return false;
    size_t size_max = (size_t)group->settings->size_max;
    if (group->state == GROUP_EMPTY)
        return true;
    if (group->state == GROUP_PREPARING) // counting who is back: a lowered limit puts the last ones out
        return (member != NULL && member->joined) || group->joined_count < size_max;
    return member != NULL || group->members.count < size_max;
}

static void add_member(struct group *group, struct group_now now, const struct group_join *join,
                       struct slice id)
{
    struct block *type = group->members.count == 0 ? block_copy(join->protocol_type) : NULL;
    struct group_member *member = group_member_new(join, id);
    if (member == NULL || (group->members.count == 0 && type == NULL)) {
        if (member != NULL)
            group_member_destroy(member);
        block_unref(&type);
        refuse(group, join, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE, join->member_id);
        return;
    }
    if (type != NULL) {
        block_unref(&group->protocol_type);
        group->protocol_type = type;
    }
    if (group->state == GROUP_PREPARING && group->initial)
        group->new_member_added = true;
    group_member_add(group, member);
    if (group->leader == NULL)
        group->leader = member;
    member->fresh = true;
    group_member_set_synced(group, member, true);
    member->unseen = join->member_id.len == 0 && join->instance_id.data == NULL;
    group_member_park_join(group, member, join->waiter);
    member->expires_us = now.us + (int64_t)group->settings->new_member_wait_ms * 1000;
    group_schedule(group, member->expires_us);
    group_rebalance(group, now);
}

// The member asks again with what may be new protocols and timeouts, and takes part in a rebalance.
static void rejoin(struct group *group, struct group_now now, struct group_member *member,
                   const struct group_join *join)
{
    if (!group_member_update(group, member, join)) {
        refuse(group, join, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE, member->id);
        return;
    }
    group_member_park_join(group, member, join->waiter);
    group_rebalance(group, now);
}

// A static member without its id (a restarted client) takes its former self's place.
static struct group_member *replace_static(struct group *group, struct group_now now,
                                           struct group_member *old, const struct group_join *join)
{
    struct group_member *member = group_member_new(join, join->new_id);
    if (member == NULL || !group_member_set_assignment(group, member, block_text(old->assignment))) {
        if (member != NULL)
            group_member_destroy(member);
        return NULL;
    }
    group->bytes -= block_text(member->assignment).len; // group_member_add counts it
    group_refuse_join(group, old, KAFKA_ERR_FENCED_INSTANCE_ID, old->id);
    group_answer_sync(group, old, KAFKA_ERR_FENCED_INSTANCE_ID);
    bool led = group->leader == old;
    member->synced = old->synced;
    group_member_remove(group, old);
    group_member_add(group, member);
    if (led || group->leader == NULL)
        group->leader = member;
    group_watch_session(group, member, now);
    return member;
}

static void answer_replaced(struct group *group, struct group_member *member, struct slice former_leader,
                            int16_t version)
{
    struct group_joined answer = present_generation(group, member);
    answer.skip_assignment = version >= VERSION_SKIP_ASSIGNMENT && answer.members_of != NULL;
    if (version < VERSION_SKIP_ASSIGNMENT) { // an old id as leader keeps it from assigning again
        answer.members_of = NULL;
        answer.leader = former_leader;
    }
    group_answer_join(group, member, &answer);
}

static void join_as_replacement(struct group *group, struct group_now now, struct group_member *old,
                                const struct group_join *join)
{
    struct block *former_leader = block_copy(group_leader(group));
    struct group_member *member = former_leader == NULL ? NULL : replace_static(group, now, old, join);
    if (member == NULL) {
        refuse(group, join, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE, slice_str(""));
        block_unref(&former_leader);
        return;
    }
    group_member_park_join(group, member, join->waiter);
    bool same = slice_equal(group_select_protocol(group), block_text(group->protocol));
    if (group->state == GROUP_STABLE && same)
        answer_replaced(group, member, block_slice(former_leader), join->version);
    else // in Completing the old id may already be in the leader's assignment
        group_rebalance(group, now);
    block_unref(&former_leader);
}

static void join_new(struct group *group, struct group_now now, const struct group_join *join)
{
    if (join->instance_id.data != NULL) {
        struct group_member *old = group_member_static(group, join->instance_id);
        if (old != NULL)
            join_as_replacement(group, now, old, join);
        else
            add_member(group, now, join, join->new_id);
        return;
    }
    if (join->version < VERSION_KNOWN_ID) {
        add_member(group, now, join, join->new_id);
        return;
    }
    if (group->pending.count >= (size_t)group->settings->pending_max) {
        refuse(group, join, KAFKA_ERR_GROUP_MAX_SIZE_REACHED, slice_str(""));
        return;
    }
    struct group_pending *pending = mem_calloc(1, sizeof *pending);
    pending->expires_us = now.us + (int64_t)join->session_ms * 1000;
    mem_free(map_put(&group->pending, join->new_id, pending));
    group_schedule(group, pending->expires_us);
    refuse(group, join, KAFKA_ERR_MEMBER_ID_REQUIRED, join->new_id);
}

// Whether the join says what the member said before. Of a condensed one only the chosen protocol is known.
static bool same_protocols(const struct group *group, const struct group_member *member,
                           const struct group_join *join)
{
    if (member->condensed) {
        for (int32_t i = 0; i < join->protocol_count; i++) {
            if (slice_equal(join->protocols[i].name, block_text(group->protocol)))
                return slice_equal(join->protocols[i].metadata,
                                   group_member_metadata(member, block_text(group->protocol)));
        }
        return false;
    }
    if (member->protocol_count != join->protocol_count)
        return false;
    for (int32_t i = 0; i < join->protocol_count; i++) {
        if (!slice_equal(join->protocols[i].name, member->protocols[i].name) ||
            !slice_equal(join->protocols[i].metadata, member->protocols[i].metadata))
            return false;
    }
    return true;
}

static void join_existing(struct group *group, struct group_now now, const struct group_join *join)
{
    if (map_get(&group->pending, join->member_id) != NULL) {
        add_member(group, now, join, join->member_id);
        return;
    }
    int16_t error = group_member_validate(group, join->member_id, join->instance_id);
    struct group_member *member = group_member_find(group, join->member_id);
    if (error != KAFKA_ERR_NONE || group->state == GROUP_EMPTY) {
        refuse(group, join, error != KAFKA_ERR_NONE ? error : KAFKA_ERR_UNKNOWN_MEMBER_ID, join->member_id);
        return;
    }
    group_member_seen(group, member);
    bool leads_stable = group->state == GROUP_STABLE && group->leader == member;
    if (group->state == GROUP_PREPARING || leads_stable || !same_protocols(group, member, join)) {
        rejoin(group, now, member, join);
        return;
    }
    if (member->condensed && !group_member_update(group, member, join)) {
        refuse(group, join, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE, member->id);
        return;
    }
    // Nothing new: the answer to its former JoinGroup was lost, or it merely asks.
    struct group_joined answer = present_generation(group, member);
    group->sink->joined(group->sink->context, join->waiter, &answer);
}

void group_join(struct group *group, struct group_now now, const struct group_join *join)
{
    const struct group_settings *settings = group->settings;
    if (join->session_ms < settings->session_min_ms || join->session_ms > settings->session_max_ms) {
        refuse(group, join, KAFKA_ERR_INVALID_SESSION_TIMEOUT, join->member_id);
    } else if (!room_for(group, join)) {
        struct group_member *member = group_member_find(group, join->member_id);
        bool out = member != NULL && !member->joined && !member->parked;
        if (out)
            group_member_remove(group, member);
        pending_remove(group, join->member_id);
        refuse(group, join, KAFKA_ERR_GROUP_MAX_SIZE_REACHED, slice_str(""));
        if (out) // the others share what it had
            group_rebalance(group, now);
        else
            group_maybe_complete(group, now);
    } else if (join->protocol_count > GROUP_PROTOCOLS_MAX || !group_supports(group, join)) {
        refuse(group, join, KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL, join->member_id);
    } else if (join->member_id.len == 0) {
        join_new(group, now, join);
    } else {
        join_existing(group, now, join);
    }
}
