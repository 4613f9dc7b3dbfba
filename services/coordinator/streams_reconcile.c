// SPDX-License-Identifier: Apache-2.0
// How a member of a streams group gets from what it has to what it is to have (KIP-1071, Kafka's streams
// CurrentAssignmentBuilder). As in consumer groups (consumer_reconcile.c) it first gives up, says so, and
// only then gets more; the difference is when a task is free: an active one when no member has it, and any
// one when no member of the same process has it in another role, since a process keeps one state per task.
#include "streams_state.h"

bool streams_reconciled(const struct streams_group *group, const struct streams_member *member)
{
    return member->progress == STREAMS_DONE && member->epoch == group->target_epoch;
}

// Whether it may still have any of them; who does not say what it has may have everything.
static bool still_has(const struct streams_tasks *revoked, const struct streams_tasks *owned)
{
#ifdef PLANTED_STREAMS_UNASKED
    return false;
#endif
    return owned == NULL || streams_tasks_meet(revoked, owned);
}

// What a member is to become.
struct step {
    enum streams_progress progress;
    int32_t epoch;
    struct streams_tasks assigned, revoking;
};

// Those of the target that are free; the member itself holds nothing meanwhile. *all: every one is.
static struct parts free_of(const struct streams_group *group, const struct streams_member *member, int role,
                            const struct parts *wanted, bool *all)
{
    struct parts free = {0};
    for (size_t i = 0; i < wanted->count; i++) {
        struct parts_item item = wanted->items[i];
        bool taken = streams_process_has(member->process, &item) ||
                     (role == STREAMS_ACTIVE && streams_owner(group, &item) != NULL);
        *all = *all && !taken;
        if (!taken)
            parts_append(&free, &item);
    }
    return free;
}

// It has given up what it had to: it gets what is free and reaches the goal's epoch.
static void forward(struct streams_group *group, struct streams_member *member,
                    const struct streams_goal *goal, struct step *step)
{
    bool all = true;
    streams_release(group, member);
    for (int role = 0; role < STREAMS_ROLES; role++) {
        struct parts *kept = &step->assigned.roles[role];
        struct parts wanted = parts_without(&goal->tasks->roles[role], kept);
        struct parts more = free_of(group, member, role, &wanted, &all);
        for (size_t i = 0; i < more.count; i++)
            more.items[i].epoch = goal->epoch;
        struct parts sum = parts_sum(kept, &more);
        parts_move(kept, &sum);
        parts_fini(&more);
        parts_fini(&wanted);
    }
    streams_hold(group, member);
#ifdef PLANTED_STREAMS_WAITS_NO_MORE
    all = true;
#endif
    step->progress = all ? STREAMS_DONE : STREAMS_UNRELEASED;
    step->epoch = goal->epoch;
}

static bool changes(const struct streams_member *member, const struct step *step)
{
    return member->progress != step->progress || member->epoch != step->epoch ||
           member->previous_epoch != member->epoch ||
           !streams_tasks_equal(&member->assigned, &step->assigned) ||
           !streams_tasks_equal(&member->revoking, &step->revoking);
}

static void take(struct streams_group *group, struct streams_member *member, struct step *step)
{
    streams_release(group, member);
    member->progress = step->progress;
    member->previous_epoch = member->epoch;
    member->epoch = step->epoch;
    streams_tasks_move(&member->assigned, &step->assigned);
    streams_tasks_move(&member->revoking, &step->revoking);
    streams_hold(group, member);
    member->dirty_current = group->dirty = true;
}

// Whether anything has changed.
static bool advance(struct streams_group *group, struct streams_member *member,
                    const struct streams_goal *goal, const struct streams_tasks *owned)
{
    struct step step = {.progress = STREAMS_UNREVOKED, .epoch = member->epoch};
    for (int role = 0; role < STREAMS_ROLES; role++) {
        const struct parts *has = &member->assigned.roles[role], *wanted = &goal->tasks->roles[role];
        step.assigned.roles[role] = parts_both(has, wanted);
        step.revoking.roles[role] = parts_without(has, wanted);
    }
    if (streams_tasks_count(&step.revoking) == 0 || !still_has(&step.revoking, owned)) {
        streams_tasks_fini(&step.revoking);
        forward(group, member, goal, &step);
    }
    bool changed = changes(member, &step);
    if (changed)
        take(group, member, &step);
    streams_tasks_fini(&step.assigned);
    streams_tasks_fini(&step.revoking);
    return changed;
}

void streams_reconcile(struct streams_group *group, struct streams_member *member, struct group_now now,
                       const struct streams_goal *goal, const struct streams_tasks *owned)
{
    if (member->progress == STREAMS_DONE && member->epoch == goal->epoch)
        return;
    if (member->progress == STREAMS_UNREVOKED && still_has(&member->revoking, owned))
        return;
    if (!advance(group, member, goal, owned))
        return;
    member->rebalance_us = GROUP_NEVER_US;
    if (member->progress == STREAMS_UNREVOKED) {
        member->rebalance_us = now.us + (int64_t)member->profile->rebalance_ms * 1000;
        streams_schedule(group, member->rebalance_us);
    }
}
