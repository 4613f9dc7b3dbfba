// SPDX-License-Identifier: Apache-2.0
// ConsumerGroupHeartbeat inside a group: a member comes, says what has changed, says goodbye; the group epoch
// is bumped when that changes who reads what, the target computed, the member brought one step nearer to it.
// Nothing changes before everything that can be refused has been looked at. The rules are those of Kafka's
// GroupMetadataManager.consumerGroupHeartbeat and consumerGroupLeave.
#include "base/mem.h"
#include "consumer_state.h"

// Who a heartbeat is from.
struct sender {
    struct consumer_member *member;   // NULL: a new one
    struct consumer_member *replaces; // the static member whose place a new one takes, or NULL
    struct consumer_profile profile;  // what it says, with what it has said before; borrowed
};

// What it was before this heartbeat; NULL: nothing.
static const struct consumer_member *former_of(const struct sender *sender)
{
    return sender->member != NULL ? sender->member : sender->replaces;
}

// A member may say its last epoch again: the answer that told it the new one may be lost (KAFKA-19222). What
// it has must be a part of what we think it has. One that does not say what it has says that nothing has
// changed since it last did, so it has given up everything we had asked for before its epoch moved.
static bool epoch_ok(const struct consumer_member *member, const struct consumer_beat *beat)
{
    if (beat->epoch == 0 || beat->epoch == member->epoch) // 0: fenced, it starts over (KAFKA-19233)
        return true;
    return beat->epoch < member->epoch && beat->epoch == member->previous_epoch &&
           (beat->owned == NULL || parts_within(beat->owned, &member->assigned));
}

// Written by a newer Kafka in a state we do not know: it must come back with nothing.
static bool lost(const struct consumer_member *member, const struct consumer_beat *beat)
{
    return member->progress == MEMBER_UNKNOWN && (beat->owned == NULL || beat->owned->count > 0);
}

static int16_t find_static(const struct consumer_group *group, const struct consumer_beat *beat,
                           struct sender *sender)
{
    struct consumer_member *found = consumer_find_static(group, beat->profile.instance_id);
    struct consumer_member *named = consumer_find(group, beat->member_id);
    if (found == NULL && beat->epoch != 0)
        return KAFKA_ERR_UNKNOWN_MEMBER_ID;
    if (found == NULL) { // a new one, or one that had no instance id, or another one
        sender->member = named;
        return KAFKA_ERR_NONE;
    }
    bool same = slice_equal(block_slice(found->id), beat->member_id);
    if (same && (found->epoch != CONSUMER_LEAVE_STATIC || beat->epoch == 0)) {
        sender->member = found;
        if (found->epoch != CONSUMER_LEAVE_STATIC)
            return epoch_ok(found, beat) && !lost(found, beat) ? KAFKA_ERR_NONE
                                                               : KAFKA_ERR_FENCED_MEMBER_EPOCH;
        return KAFKA_ERR_NONE;
    }
    if (beat->epoch != 0)
        return same ? KAFKA_ERR_FENCED_MEMBER_EPOCH : KAFKA_ERR_FENCED_INSTANCE_ID;
    if (!found->profile->classic && found->epoch != CONSUMER_LEAVE_STATIC)
        return KAFKA_ERR_UNRELEASED_INSTANCE_ID; // its former self must have left, or be taken for dead
    if (named != NULL)
        return KAFKA_ERR_INVALID_REQUEST; // it cannot be two members
    sender->replaces = found;
    return KAFKA_ERR_NONE;
}

static int16_t find_sender(const struct consumer_group *group, const struct consumer_beat *beat,
                           struct sender *sender)
{
    *sender = (struct sender){0};
    if (beat->profile.instance_id.data != NULL)
        return find_static(group, beat, sender);
    sender->member = consumer_find(group, beat->member_id);
    if (sender->member == NULL)
        return beat->epoch == 0 ? KAFKA_ERR_NONE : KAFKA_ERR_UNKNOWN_MEMBER_ID;
    return epoch_ok(sender->member, beat) && !lost(sender->member, beat) ? KAFKA_ERR_NONE
                                                                         : KAFKA_ERR_FENCED_MEMBER_EPOCH;
}

static bool full(const struct consumer_group *group, struct slice member_id)
{
    return group->members.count >= (size_t)group->settings->size_max &&
           consumer_find(group, member_id) == NULL;
}

static int16_t check(const struct consumer_group *group, const struct consumer_beat *beat,
                     struct sender *sender)
{
    if (full(group, beat->member_id))
        return KAFKA_ERR_GROUP_MAX_SIZE_REACHED;
    int16_t error = find_sender(group, beat, sender);
    if (error != KAFKA_ERR_NONE)
        return error;
    const struct consumer_member *former = former_of(sender);
    sender->profile = consumer_profile_merge(former == NULL ? NULL : former->profile, &beat->profile);
    error = consumer_regex_check(group, sender->profile.regex);
    if (error == KAFKA_ERR_NONE && !consumer_room(group, beat->member_id, &sender->profile, former))
        error = KAFKA_ERR_GROUP_MAX_SIZE_REACHED;
    return error;
}

// ---- change ----

// What a heartbeat has changed of a subscription.
struct change {
    bool names, regex;
};

static struct change change_of(const struct sender *sender)
{
    static const struct consumer_profile nothing;
    const struct consumer_member *former = former_of(sender);
    const struct consumer_profile *before = former == NULL ? &nothing : former->profile;
    return (struct change){.names = !consumer_same_topics(before, &sender->profile),
                           .regex = !slice_equal(before->regex, sender->profile.regex)};
}

// Makes the member what it says it is; NULL when memory is short, then nothing has changed.
static struct consumer_member *take_profile(struct consumer_group *group, const struct consumer_beat *beat,
                                            const struct sender *sender)
{
    struct consumer_member *member = sender->member;
    if (member != NULL && consumer_profile_equal(member->profile, &sender->profile))
        return member;
    struct consumer_profile *copy = consumer_profile_copy(&sender->profile);
    if (copy == NULL)
        return NULL;
    if (member == NULL)
        member = sender->replaces != NULL ? consumer_replace(group, sender->replaces, beat->member_id)
                                          : consumer_member_new(group, beat->member_id);
    if (member == NULL)
        mem_free(copy);
    else
        consumer_set_profile(group, member, copy);
    return member;
}

// A regular expression nobody has looked at all topics for yet bumps nothing: its topics will.
static void subscribe(struct consumer_group *group, struct group_now now,
                      const struct consumer_member *member, const struct change *change)
{
    bool resolved = consumer_regex_scan(group, now);
    if (consumer_regex_unfinished(group))
        consumer_schedule(group, now.us);
    const struct consumer_profile *profile = member->profile;
    bool known = profile->regex.len == 0 || consumer_regex_resolved(group, profile->regex);
    consumer_refresh(group, group->epoch == 0 || change->names || resolved || (change->regex && known));
}

static bool full_request(const struct consumer_beat *beat)
{
    return beat->profile.rebalance_ms >= 0 && beat->owned != NULL &&
           (beat->profile.topic_count >= 0 || beat->profile.regex.data != NULL);
}

static int16_t beat_member(struct consumer_group *group, struct group_now now,
                           const struct consumer_beat *beat, struct consumer_beaten *answer)
{
    struct sender sender;
    int16_t error = check(group, beat, &sender);
    if (error != KAFKA_ERR_NONE)
        return error;
    bool tell = beat->epoch == 0 || beat->epoch != sender.member->epoch || full_request(beat);
    struct parts before = sender.member == NULL ? (struct parts){0} : parts_copy(&sender.member->assigned);
    struct change change = change_of(&sender);
    struct consumer_member *member = take_profile(group, beat, &sender);
    if (member == NULL) {
        parts_fini(&before);
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    }
    if (member->epoch == CONSUMER_LEAVE_STATIC)
        member->epoch = member->previous_epoch = 0; // back under its own id
    subscribe(group, now, member, &change);
    consumer_retarget(group);
    consumer_reconcile(group, member, now, &(struct reconcile){beat->owned, change.names || change.regex});
    consumer_watch(group, member, now);
    member->join_us = member->sync_us = GROUP_NEVER_US;
    tell = tell || !parts_equal(&before, &member->assigned);
    parts_fini(&before);
    *answer = (struct consumer_beaten){member->epoch, tell ? &member->assigned : NULL};
    return KAFKA_ERR_NONE;
}

// ---- leaving ----

static int16_t leave(struct consumer_group *group, const struct consumer_beat *beat,
                     struct consumer_beaten *answer)
{
    struct consumer_member *member;
    int16_t error = consumer_validate(group, beat->member_id, beat->profile.instance_id, &member);
    if (error != KAFKA_ERR_NONE)
        return error;
    *answer = (struct consumer_beaten){.epoch = beat->epoch};
    if (beat->epoch == CONSUMER_LEAVE_STATIC && beat->profile.instance_id.data != NULL) {
        // It keeps what it has until its session ends; what it was to give up it has given up by leaving.
        struct parts assigned = parts_copy(&member->assigned), none = {0};
        member->epoch = CONSUMER_LEAVE_STATIC;
        member->rebalance_us = GROUP_NEVER_US;
        consumer_set_current(group, member, &assigned, &none);
        return KAFKA_ERR_NONE;
    }
    consumer_remove(group, member);
    consumer_shrunk(group);
    return KAFKA_ERR_NONE;
}

int16_t consumer_heartbeat(struct consumer_group *group, struct group_now now,
                           const struct consumer_beat *beat, struct consumer_beaten *answer)
{
    if (beat->epoch < 0)
        return leave(group, beat, answer);
    return beat_member(group, now, beat, answer);
}
