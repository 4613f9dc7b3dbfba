// SPDX-License-Identifier: Apache-2.0
// StreamsGroupHeartbeat inside a group: a member comes, with its topology, says what has changed, says
// goodbye; the group epoch is bumped when that changes who is to do what, the target computed, the member
// brought one step nearer to it. Nothing changes before everything that can be refused has been looked at.
// The rules are those of Kafka 4.2's GroupMetadataManager.streamsGroupHeartbeat and streamsGroupLeave.
#include "base/mem.h"
#include "streams_state.h"

// Who a heartbeat is from, and what it comes to.
struct sender {
    struct streams_member *member;  // NULL: a new one
    struct streams_profile profile; // what it says, with what it has said before; borrowed
    struct streams_plan *plan;      // of the topology it brings, when the group takes it; else NULL
};

// A member may say its last epoch again: the answer that told it the new one may be lost. One that does not
// say what it has says that nothing has changed since it last did.
static bool epoch_ok(const struct streams_member *member, const struct streams_beat *beat)
{
    if (beat->epoch == 0 || beat->epoch == member->epoch) // 0: fenced, it starts over
        return true;
    return beat->epoch < member->epoch && beat->epoch == member->previous_epoch &&
           (beat->owned == NULL || streams_tasks_within(beat->owned, &member->assigned));
}

// Written by a newer Kafka in a state we do not know: it must come back with nothing.
static bool lost(const struct streams_member *member, const struct streams_beat *beat)
{
    return member->progress == STREAMS_UNKNOWN &&
           (beat->owned == NULL || streams_tasks_count(beat->owned) > 0);
}

static int16_t check_sender(const struct streams_group *group, const struct streams_beat *beat,
                            struct sender *sender)
{
    struct streams_member *member = streams_find(group, beat->member_id);
    if (member == NULL && beat->epoch != 0)
        return KAFKA_ERR_UNKNOWN_MEMBER_ID;
    if (member == NULL && group->members.count >= (size_t)group->settings->size_max)
        return KAFKA_ERR_GROUP_MAX_SIZE_REACHED;
    if (member != NULL && (!epoch_ok(member, beat) || lost(member, beat)))
        return KAFKA_ERR_FENCED_MEMBER_EPOCH;
    if (beat->epoch != 0 && group->topology == NULL)
        return KAFKA_ERR_FENCED_MEMBER_EPOCH; // its record is lost: somebody must bring it again
    sender->member = member;
    sender->profile = streams_profile_merge(member == NULL ? NULL : member->profile, &beat->profile);
    return streams_room(group, beat->member_id, &sender->profile, member) ? KAFKA_ERR_NONE
                                                                          : KAFKA_ERR_GROUP_MAX_SIZE_REACHED;
}

static int16_t check_topology(const struct streams_group *group, const struct streams_beat *beat,
                              struct sender *sender, const char **text)
{
    if (beat->topology == NULL)
        return KAFKA_ERR_NONE;
    const struct streams_topology *theirs = *beat->topology, *ours = group->topology;
    if (ours == NULL) {
        sender->plan = streams_plan_new(group, theirs);
        *text = sender->plan->invalid;
        return *text == NULL ? KAFKA_ERR_NONE : KAFKA_ERR_STREAMS_INVALID_TOPOLOGY;
    }
    if (streams_topology_value_of(ours)->epoch > streams_topology_value_of(theirs)->epoch ||
        streams_topology_equal(ours, theirs))
        return KAFKA_ERR_NONE;
    *text = "Topology updates are not supported yet.";
    return KAFKA_ERR_INVALID_REQUEST;
}

static bool known_tasks(const struct streams_group *group, const struct parts *tasks)
{
    for (size_t i = 0; i < tasks->count; i++) {
        int32_t sub = streams_topology_find(group->topology, tasks->items[i].topic);
        if (sub < 0 || tasks->items[i].index < 0 || tasks->items[i].index >= group->plan->tasks[sub])
            return false;
    }
    return true;
}

static int16_t check_owned(const struct streams_group *group, const struct streams_beat *beat,
                           const char **text)
{
    bool ready = group->plan != NULL && group->plan->status == STREAMS_READY;
    for (int role = 0; ready && beat->owned != NULL && role < STREAMS_ROLES; role++) {
        if (known_tasks(group, &beat->owned->roles[role]))
            continue;
        *text = "The member has tasks that the topology does not have.";
        return KAFKA_ERR_INVALID_REQUEST;
    }
    return KAFKA_ERR_NONE;
}

static void drop_plan(struct streams_plan **plan)
{
    if (*plan != NULL)
        streams_plan_fini(*plan);
    mem_free(*plan);
    *plan = NULL;
}

static int16_t check(const struct streams_group *group, const struct streams_beat *beat,
                     struct sender *sender, const char **text)
{
    *sender = (struct sender){0};
    int16_t error = check_sender(group, beat, sender);
    if (error == KAFKA_ERR_NONE)
        error = check_owned(group, beat, text);
    if (error == KAFKA_ERR_NONE)
        error = check_topology(group, beat, sender, text);
    if (error != KAFKA_ERR_NONE)
        drop_plan(&sender->plan);
    return error;
}

// ---- change ----

// Makes the member what it says it is; NULL when memory is short, then nothing has changed. *changed: it is
// new, or says something else than before.
static struct streams_member *take_profile(struct streams_group *group, const struct streams_beat *beat,
                                           const struct sender *sender, bool *changed)
{
    struct streams_member *member = sender->member;
    *changed = member == NULL || !streams_profile_equal(member->profile, &sender->profile);
    if (!*changed)
        return member;
    struct streams_profile *copy = streams_profile_copy(&sender->profile);
    if (copy != NULL && member == NULL)
        member = streams_member_new(group, beat->member_id);
    if (copy == NULL || member == NULL) {
        mem_free(copy);
        return NULL;
    }
    streams_set_profile(group, member, copy);
    return member;
}

static void take_topology(struct streams_group *group, const struct streams_beat *beat, struct sender *sender)
{
    if (sender->plan == NULL)
        return;
    group->topology = *beat->topology;
    *beat->topology = NULL;
    group->plan = sender->plan;
    sender->plan = NULL;
    group->dirty_topology = group->dirty = true;
}

// The target counts again: for whom, on which topics, with how many replicas.
static void refresh(struct streams_group *group, bool bump)
{
    bump = streams_look(group) || bump;
    int32_t validated =
        group->plan->status == STREAMS_READY ? streams_topology_value_of(group->topology)->epoch : -1;
    bump = bump || validated != group->validated_epoch || group->options.standbys != group->standbys;
    if (!bump)
        return;
    group->validated_epoch = validated;
    group->standbys = group->options.standbys;
    streams_bump(group);
}

static void reconcile(struct streams_group *group, struct group_now now, struct streams_member *member,
                      const struct streams_beat *beat, struct streams_beaten *answer)
{
    static const struct streams_tasks nothing;
    struct streams_goal goal;
    answer->delayed = group->epoch > group->target_epoch && group->delay_us != GROUP_NEVER_US;
    if (!answer->delayed)
        streams_retarget(group);
    goal = (struct streams_goal){group->target_epoch, &member->target};
    if (answer->delayed)
        goal = (struct streams_goal){group->target_epoch > 0 ? group->target_epoch : 1, &nothing};
    streams_reconcile(group, member, now, &goal, beat->owned);
    streams_watch(group, member, now);
}

// Whether the member has something else than it is to have, as far as it says: the answer that told it may be
// lost. Unaware, it would go on with a task until it is put out, and somebody else has that.
static bool unaware(const struct streams_member *member, const struct streams_beat *beat)
{
#ifdef PLANTED_STREAMS_UNAWARE
    return false;
#endif
    return beat->owned != NULL && !streams_tasks_equal(beat->owned, &member->assigned);
}

static void tell(struct streams_group *group, const struct streams_member *member,
                 const struct streams_beat *beat, struct streams_beaten *answer, bool all)
{
    answer->epoch = member->epoch;
    answer->tasks = all ? &member->assigned : NULL;
    if (all && member->profile->endpoint_host.data != NULL)
        group->endpoint_epoch++;
    answer->endpoint_epoch = group->endpoint_epoch;
    answer->endpoints = group->endpoint_epoch != beat->endpoint_epoch;
    answer->stale = member->profile->topology_epoch < streams_topology_value_of(group->topology)->epoch;
}

static void want_shutdown(struct streams_group *group, const struct streams_beat *beat)
{
    if (beat->shutdown && group->shutdown_by == NULL)
        group->shutdown_by = block_copy(beat->member_id);
}

static int16_t beat_member(struct streams_group *group, struct group_now now, const struct streams_beat *beat,
                           struct streams_beaten *answer)
{
    struct sender sender;
    bool first = group->members.count == 0, changed;
    int16_t error = check(group, beat, &sender, &answer->text);
    if (error != KAFKA_ERR_NONE)
        return error;
    bool again = beat->epoch == 0 || beat->epoch != sender.member->epoch;
    struct streams_tasks before = {{{0}}};
    if (sender.member != NULL)
        before = streams_tasks_copy(&sender.member->assigned);
    struct streams_member *member = take_profile(group, beat, &sender, &changed);
    if (member == NULL) {
        drop_plan(&sender.plan);
        streams_tasks_fini(&before);
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    }
    take_topology(group, beat, &sender);
    refresh(group, changed);
    if (first && group->options.delay_ms > 0 && group->delay_us == GROUP_NEVER_US) {
        group->delay_us = now.us + (int64_t)group->options.delay_ms * 1000;
        streams_schedule(group, group->delay_us);
    }
    reconcile(group, now, member, beat, answer);
    want_shutdown(group, beat);
    again = again || unaware(member, beat) || !streams_tasks_equal(&before, &member->assigned);
    tell(group, member, beat, answer, again);
    streams_tasks_fini(&before);
    return KAFKA_ERR_NONE;
}

static int16_t leave(struct streams_group *group, const struct streams_beat *beat,
                     struct streams_beaten *answer)
{
    struct streams_member *member = streams_find(group, beat->member_id);
    if (member == NULL)
        return KAFKA_ERR_UNKNOWN_MEMBER_ID;
    want_shutdown(group, beat);
    answer->epoch = beat->epoch;
    streams_remove(group, member);
    streams_bump(group);
    return KAFKA_ERR_NONE;
}

int16_t streams_heartbeat(struct streams_group *group, struct group_now now, const struct streams_beat *beat,
                          struct streams_beaten *answer)
{
    *answer = (struct streams_beaten){0};
    return beat->epoch < 0 ? leave(group, beat, answer) : beat_member(group, now, beat, answer);
}
