// SPDX-License-Identifier: Apache-2.0
// How a member gets from what it has to what it is to have (KIP-848, Kafka's CurrentAssignmentBuilder):
//
//   STABLE      it has what the target of its epoch says
//   UNREVOKED   it has been told to give partitions up and stays at its epoch until it says that it has
//   UNRELEASED  it is at the target's epoch, but somebody else still has part of what it is to have
//
// What it gives up belongs to it until it has said so, and only then to nobody.
#include "base/assert.h"
#include "consumer_state.h"

bool consumer_reconciled(const struct consumer_group *group, const struct consumer_member *member)
{
    return member->progress == MEMBER_STABLE && member->epoch == group->target_epoch;
}

// Whether it may still have any of them; who does not say what it has may have everything.
static bool still_has(const struct parts *revoked, const struct parts *owned)
{
    return owned == NULL || parts_meet(revoked, owned);
}

// Those of topics that exist and that the member subscribes to.
static struct parts only_read(const struct consumer_group *group, const struct consumer_member *member,
                              const struct parts *parts)
{
    struct parts out = {0};
    const struct image_topic *topic = NULL;
    bool reads = false;
    for (size_t i = 0; i < parts->count; i++) {
        if (i == 0 || !uuid_equal(parts->items[i].topic, parts->items[i - 1].topic)) {
            topic = image_topic(group->topics->image, parts->items[i].topic);
            reads = topic != NULL && consumer_member_reads(group, member, slice_str(topic->name));
        }
        if (reads)
            parts_append(&out, &parts->items[i]);
    }
    return out;
}

// What a member is to become. assigned and revoking are owned here until it has.
struct step {
    enum member_progress progress;
    int32_t epoch;
    struct parts assigned, revoking;
};

// Whether anything has changed. Takes over the sets.
static bool make_step(struct consumer_group *group, struct consumer_member *member, struct step *step)
{
    bool changed = member->progress != step->progress || member->epoch != step->epoch ||
                   member->previous_epoch != member->epoch ||
                   !parts_equal(&member->assigned, &step->assigned) ||
                   !parts_equal(&member->revoking, &step->revoking);
    if (changed) {
        member->progress = step->progress;
        member->previous_epoch = member->epoch;
        member->epoch = step->epoch;
        consumer_set_current(group, member, &step->assigned, &step->revoking);
    }
    parts_fini(&step->assigned);
    parts_fini(&step->revoking);
    return changed;
}

// Takes out of parts what others have; true when there was any.
static bool leave_out_owned(const struct consumer_group *group, const struct consumer_member *member,
                            struct parts *parts)
{
    struct parts free = {0};
    for (size_t i = 0; i < parts->count; i++) {
        const struct consumer_member *owner = consumer_owner(group, &parts->items[i]);
        if (owner == NULL || owner == member)
            parts_append(&free, &parts->items[i]);
    }
    bool any = free.count < parts->count;
    parts_move(parts, &free);
    return any;
}

// It has given up what it had to: it gets what is free and reaches the target's epoch.
static struct step forward(const struct consumer_group *group, const struct consumer_member *member,
                           const struct parts *kept, const struct parts *wanted)
{
    struct parts more = parts_without(wanted, kept);
    bool unreleased = leave_out_owned(group, member, &more);
    for (size_t i = 0; i < more.count; i++)
        more.items[i].epoch = group->target_epoch;
    struct step step = {.progress = unreleased ? MEMBER_UNRELEASED : MEMBER_STABLE,
                        .epoch = group->target_epoch,
                        .assigned = parts_sum(kept, &more)};
    parts_fini(&more);
    return step;
}

static bool toward_target(struct consumer_group *group, struct consumer_member *member,
                          const struct parts *owned)
{
    struct parts wanted = only_read(group, member, &member->target);
    struct parts kept = parts_both(&member->assigned, &wanted);
    struct parts given = parts_without(&member->assigned, &wanted);
    struct step step;
    if (given.count > 0 && still_has(&given, owned))
        step = (struct step){MEMBER_UNREVOKED, member->epoch, parts_copy(&kept), parts_copy(&given)};
    else
        step = forward(group, member, &kept, &wanted);
    parts_fini(&wanted);
    parts_fini(&kept);
    parts_fini(&given);
    return make_step(group, member, &step);
}

// Its subscription is smaller, the target not computed yet: what it does not read any more it gives up.
static bool toward_subscription(struct consumer_group *group, struct consumer_member *member,
                                const struct parts *owned)
{
    struct step step = {member->progress, member->epoch, only_read(group, member, &member->assigned), {0}};
    struct parts given = parts_without(&member->assigned, &step.assigned);
    step.revoking = parts_sum(&member->revoking, &given);
    if (given.count > 0 && still_has(&step.revoking, owned)) {
        step.progress = MEMBER_UNREVOKED;
    } else {
        parts_fini(&step.revoking);
        step.revoking = parts_copy(&member->revoking);
    }
    parts_fini(&given);
    return make_step(group, member, &step);
}

static bool advance(struct consumer_group *group, struct consumer_member *member,
                    const struct reconcile *with)
{
    bool waits = false;
    if (member->progress == MEMBER_STABLE)
        waits = member->epoch == group->target_epoch;
#ifndef PLANTED_CONSUMER_UNASKED
    else if (member->progress == MEMBER_UNREVOKED)
        waits = still_has(&member->revoking, with->owned);
#endif
    if (!waits)
        return toward_target(group, member, with->owned);
    return with->changed && toward_subscription(group, member, with->owned);
}

void consumer_reconcile(struct consumer_group *group, struct consumer_member *member, struct group_now now,
                        const struct reconcile *with)
{
    if (!with->changed && consumer_reconciled(group, member))
        return;
    if (!advance(group, member, with))
        return;
    member->rebalance_us = GROUP_NEVER_US;
    if (member->progress == MEMBER_UNREVOKED && !member->profile->classic) {
        member->rebalance_us = now.us + (int64_t)member->profile->rebalance_ms * 1000;
        consumer_schedule(group, member->rebalance_us);
    }
}

bool consumer_waits(const struct consumer_group *group, const struct consumer_member *member)
{
    for (size_t i = 0; i < member->target.count; i++) {
        const struct consumer_member *owner = consumer_owner(group, &member->target.items[i]);
        if (owner != NULL && owner != member)
            return true;
    }
    return false;
}
