// SPDX-License-Identifier: Apache-2.0
// Members of the classic protocol in a consumer group: JoinGroup, SyncGroup, Heartbeat and LeaveGroup against
// the group's epochs, so that a group can be moved to the new protocol member by member (KIP-848). A
// generation is a member epoch. A member that heartbeats while there is something for it to do is told to
// join again: its JoinGroup is what a heartbeat with owned partitions is for others. Nobody waits here, and
// nobody is the leader.
#include "base/mem.h"
#include "consumer_protocol.h"
#include "consumer_state.h"

static const struct slice protocol_type = {(const uint8_t *)"consumer", 8};

enum { VERSION_KNOWN_ID = 4 }; // KIP-394: from here a member must know its id before it joins

// ---- joining ----

// Whether at least one of the protocols is known to every classic member.
static bool supported(const struct consumer_group *group, const struct group_protocol *protocol)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        const struct consumer_profile *profile = ((const struct consumer_member *)value)->profile;
        bool knows = !profile->classic;
        for (int32_t i = 0; !knows && i < profile->protocol_count; i++)
            knows = slice_equal(profile->protocols[i].name, protocol->name);
        if (!knows)
            return false;
    }
    return true;
}

static bool supports_any(const struct consumer_group *group, const struct group_join *join)
{
    if (!slice_equal(join->protocol_type, protocol_type))
        return false;
    for (int32_t i = 0; i < join->protocol_count; i++) {
        if (supported(group, &join->protocols[i]))
            return true;
    }
    return false;
}

// The member that joins, or whose place it takes. A static member with an id must be the one we know.
static int16_t find_joining(const struct consumer_group *group, const struct group_join *join,
                            struct consumer_member **member, struct consumer_member **replaces)
{
    *member = *replaces = NULL;
    if (join->instance_id.data == NULL) {
        *member = consumer_find(group, join->member_id);
        return KAFKA_ERR_NONE;
    }
    if (join->member_id.len > 0)
        return consumer_validate(group, join->member_id, join->instance_id, member);
    *replaces = consumer_find_static(group, join->instance_id);
    return KAFKA_ERR_NONE;
}

static int16_t check_join(const struct consumer_group *group, const struct group_join *join)
{
    bool known = join->member_id.len > 0 && consumer_find(group, join->member_id) != NULL;
    if (!known && group->members.count >= (size_t)group->settings->size_max)
        return KAFKA_ERR_GROUP_MAX_SIZE_REACHED;
    if (join->protocol_count > GROUP_PROTOCOLS_MAX || !supports_any(group, join))
        return KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL;
    bool needs_id = join->version >= VERSION_KNOWN_ID && join->instance_id.data == NULL;
    return needs_id && join->member_id.len == 0 ? KAFKA_ERR_MEMBER_ID_REQUIRED : KAFKA_ERR_NONE;
}

static struct consumer_profile profile_of(const struct group_join *join,
                                          const struct subscription *subscription)
{
    return (struct consumer_profile){
        .instance_id = join->instance_id,
        .rack = subscription->rack,
        .regex = slice_str(""),
        .client_id = join->client_id,
        .client_host = join->client_host,
        .topics = subscription->topics,
        .topic_count = subscription->topic_count,
        .rebalance_ms = join->rebalance_ms < 0 ? join->session_ms : join->rebalance_ms,
        .classic = true,
        .session_ms = join->session_ms,
        .protocols = join->protocols,
        .protocol_count = join->protocol_count,
    };
}

// One step of the group for a join that nothing speaks against; NULL when memory is short.
static struct consumer_member *admit(struct consumer_group *group, const struct group_join *join,
                                     struct consumer_member *member, struct consumer_member *replaces,
                                     const struct consumer_profile *profile)
{
    struct consumer_profile *copy = consumer_profile_copy(profile);
    if (copy == NULL)
        return NULL;
    struct slice id = join->member_id.len > 0 ? join->member_id : join->new_id;
    if (member == NULL)
        member = replaces != NULL ? consumer_replace(group, replaces, id) : consumer_member_new(group, id);
    if (member == NULL || (member->profile != NULL && consumer_profile_equal(member->profile, copy)))
        mem_free(copy);
    else
        consumer_set_profile(group, member, copy);
    return member;
}

static void step(struct consumer_group *group, struct group_now now, struct consumer_member *member,
                 const struct reconcile *with)
{
    consumer_refresh(group, group->epoch == 0 || with->changed);
    consumer_retarget(group);
    consumer_reconcile(group, member, now, with);
    consumer_watch(group, member, now);
    member->join_us = GROUP_NEVER_US;
    member->sync_us = now.us + (int64_t)member->profile->rebalance_ms * 1000;
    consumer_schedule(group, member->sync_us);
}

static int16_t join_with(struct consumer_group *group, struct group_now now, const struct group_join *join,
                         const struct subscription *subscription, struct consumer_member **member)
{
    struct consumer_member *replaces;
    int16_t error = find_joining(group, join, member, &replaces);
    if (error != KAFKA_ERR_NONE)
        return error;
    const struct consumer_member *former = *member != NULL ? *member : replaces;
    struct consumer_profile profile = profile_of(join, subscription);
    if (!consumer_room(group, join->member_id, &profile, former))
        return KAFKA_ERR_GROUP_MAX_SIZE_REACHED;
    bool changed =
        former == NULL || !consumer_same_topics(former->profile, &profile) || former->profile->regex.len > 0;
    *member = admit(group, join, *member, replaces, &profile);
    if (*member == NULL)
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    step(group, now, *member, &(struct reconcile){&subscription->owned, changed});
    return KAFKA_ERR_NONE;
}

void consumer_classic_join(struct consumer_group *group, struct group_now now, const struct group_join *join,
                           struct group_joined *answer)
{
    struct subscription subscription;
    struct consumer_member *member = NULL;
    subscription_init(&subscription);
    int16_t error = check_join(group, join);
    if (error == KAFKA_ERR_NONE &&
        subscription_read(&subscription, join->protocols[0].metadata, group->topics->image) != ST_OK)
        error = KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL;
    if (error == KAFKA_ERR_NONE)
        error = join_with(group, now, join, &subscription, &member);
    subscription_fini(&subscription);
    *answer = (struct group_joined){.error = error, .generation = -1, .leader = slice_str("")};
    answer->member_id = error == KAFKA_ERR_MEMBER_ID_REQUIRED ? join->new_id : join->member_id;
    if (error != KAFKA_ERR_NONE)
        return;
    answer->generation = member->epoch;
    answer->protocol_type = protocol_type;
    answer->protocol = member->profile->protocols[0].name;
    answer->member_id = block_slice(member->id);
}

// ---- after that ----

static int16_t find_classic(const struct consumer_group *group, struct slice id, struct slice instance_id,
                            int32_t generation, struct consumer_member **member)
{
    int16_t error = consumer_validate(group, id, instance_id, member);
    if (error == KAFKA_ERR_NONE && !(*member)->profile->classic)
        error = KAFKA_ERR_UNKNOWN_MEMBER_ID;
    if (error == KAFKA_ERR_NONE && (*member)->epoch != generation)
        error = KAFKA_ERR_ILLEGAL_GENERATION;
    return error;
}

// It has been told to join again, and has the rebalance timeout to do so.
static int16_t call_back(struct consumer_group *group, struct group_now now, struct consumer_member *member)
{
    if (member->join_us == GROUP_NEVER_US) {
        member->join_us = now.us + (int64_t)member->profile->rebalance_ms * 1000;
        consumer_schedule(group, member->join_us);
    }
    return KAFKA_ERR_REBALANCE_IN_PROGRESS;
}

static bool stated_otherwise(struct slice stated, struct slice ours)
{
    return stated.data != NULL && !slice_equal(stated, ours);
}

int16_t consumer_classic_sync(struct consumer_group *group, struct group_now now,
                              const struct group_sync *sync, const struct consumer_member **answer)
{
    struct consumer_member *member;
    *answer = NULL;
    int16_t error = find_classic(group, sync->member_id, sync->instance_id, sync->generation, &member);
    if (error != KAFKA_ERR_NONE)
        return error;
    if (stated_otherwise(sync->protocol_type, protocol_type) ||
        stated_otherwise(sync->protocol, member->profile->protocols[0].name))
        return KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL;
    // One that has to give something up has joined already: it must finish that first.
    if (group->epoch > member->epoch && member->progress != MEMBER_UNREVOKED)
        return call_back(group, now, member);
    member->sync_us = GROUP_NEVER_US;
    consumer_watch(group, member, now);
    *answer = member;
    return KAFKA_ERR_NONE;
}

int16_t consumer_classic_heartbeat(struct consumer_group *group, struct group_now now,
                                   const struct group_identity *who)
{
    struct consumer_member *member;
    int16_t error = find_classic(group, who->member_id, who->instance_id, who->generation, &member);
    if (error != KAFKA_ERR_NONE)
        return error;
    consumer_watch(group, member, now);
    bool again = member->epoch < group->epoch || member->progress == MEMBER_UNREVOKED ||
                 (member->progress == MEMBER_UNRELEASED && !consumer_waits(group, member));
    return again ? call_back(group, now, member) : KAFKA_ERR_NONE;
}

void consumer_classic_leave(struct consumer_group *group, struct group_now now,
                            const struct group_identity *who, int32_t count, int16_t *errors)
{
    bool left = false;
    for (int32_t i = 0; i < count; i++) {
        struct consumer_member *member;
        if (who[i].member_id.len == 0) { // an administrator names the instance
            member = consumer_find_static(group, who[i].instance_id);
            errors[i] = member == NULL ? KAFKA_ERR_UNKNOWN_MEMBER_ID : KAFKA_ERR_NONE;
        } else {
            errors[i] = consumer_validate(group, who[i].member_id, who[i].instance_id, &member);
        }
        if (errors[i] != KAFKA_ERR_NONE)
            continue;
        consumer_remove(group, member);
        left = true;
    }
    if (left)
        consumer_shrunk(group);
}

struct slice consumer_classic_protocol(const struct consumer_member *member)
{
    return member->profile->protocols[0].name;
}

enum status consumer_classic_assignment(const struct consumer_group *group,
                                        const struct consumer_member *member, struct buf *out)
{
    return assignment_write(&member->assigned, group->topics->image, member->profile->protocols[0].metadata,
                            out);
}
