// SPDX-License-Identifier: Apache-2.0
// See reassign.h.
#include "reassign.h"

#include "base/assert.h"

static struct image_ids without(struct image_ids from, struct image_ids left_out, struct arena *arena)
{
    int32_t *ids = arena_calloc(arena, from.count + 1, sizeof *ids);
    size_t count = 0;
    ASSERT(ids != NULL);
    for (size_t i = 0; i < from.count; i++)
        if (!image_ids_have(&left_out, from.ids[i]))
            ids[count++] = from.ids[i];
    return (struct image_ids){.ids = ids, .count = count};
}

static struct image_ids both(struct image_ids first, struct image_ids second, struct arena *arena)
{
    int32_t *ids = arena_calloc(arena, first.count + second.count + 1, sizeof *ids);
    ASSERT(ids != NULL);
    for (size_t i = 0; i < first.count; i++)
        ids[i] = first.ids[i];
    for (size_t i = 0; i < second.count; i++)
        ids[first.count + i] = second.ids[i];
    return (struct image_ids){.ids = ids, .count = first.count + second.count};
}

// Epochs of next, which follows on now.
static void number(const struct image_partition *now, struct image_partition *next, struct arena *arena)
{
    bool one_left = without(now->replicas, next->replicas, arena).count > 0;
#ifdef PLANTED_EPOCH_KEPT_WHEN_A_REPLICA_LEAVES
    one_left = false;
#endif
    next->leader_epoch = now->leader_epoch + (next->leader != now->leader || one_left);
    next->partition_epoch = now->partition_epoch + 1;
}

// next without the replicas that are no longer in its list: out of the ISR, and out of the lead. false: that
// cannot be, since nobody in sync or nobody alive would be left.
static bool shed(struct image_partition *next, const struct elect_view *view, struct arena *arena)
{
    struct image_ids gone = without(next->isr, next->replicas, arena);
    next->failed = without(next->failed, without(next->failed, next->replicas, arena), arena);
    if (gone.count == 0)
        return true;
    next->isr = without(next->isr, gone, arena);
    if (next->isr.count == 0)
        return false;
    if (next->leader < 0 || image_ids_have(&next->isr, next->leader))
        return true;
    next->leader = elect_leader(next, &next->isr, view);
    return next->leader >= 0;
}

static bool all_in(struct image_ids wanted, const struct image_ids *isr)
{
    for (size_t i = 0; i < wanted.count; i++)
        if (!image_ids_have(isr, wanted.ids[i]))
            return false;
    return true;
}

bool reassign_finish(const struct image_partition *now, const struct elect_view *view, struct arena *arena,
                     struct image_partition *next)
{
    if (!image_partition_moving(next) || next->leader < 0)
        return false;
#ifdef PLANTED_REASSIGNED_BEFORE_IN_SYNC
    if (next->removing.count > 0)
        next->isr = both(without(next->isr, next->adding, arena), next->adding, arena);
#endif
    if (!all_in(next->adding, &next->isr))
        return false;
    struct image_partition done = *next;
    done.replicas = without(next->replicas, next->removing, arena);
    done.adding = done.removing = (struct image_ids){0};
    done.balancing = false;
    if (!shed(&done, view, arena))
        return false;
    number(now, &done, arena);
    *next = done;
    return true;
}

struct image_ids reassign_target(const struct image_partition *partition, struct arena *arena)
{
    return without(partition->replicas, partition->removing, arena);
}

enum status reassign_begin(const struct image_partition *now, struct image_ids target,
                           const struct elect_view *view, struct arena *arena, struct image_partition *next)
{
    ASSERT(target.count > 0);
    struct image_ids present = reassign_target(now, arena);
    if (image_ids_equal(&present, &target))
        return ST_EXISTS;
    struct image_ids before = without(now->replicas, now->adding, arena);
    *next = *now;
    next->adding = without(target, before, arena);
    next->removing = without(before, target, arena);
    next->replicas = both(target, next->removing, arena);
    next->balancing = false;
    if (next->replicas.count > IMAGE_REPLICAS_MAX)
        return ST_LIMIT;
    if (!shed(next, view, arena))
        return ST_INVALID;
    if (next->leader >= 0 && view->state(view->context, next->leader) == ELECT_GONE)
        next->leader = elect_leader(next, &next->isr, view); // a sole replica's, kept while it is away
    number(now, next, arena);
    reassign_finish(now, view, arena, next);
    return ST_OK;
}

enum status reassign_cancel(const struct image_partition *now, const struct elect_view *view,
                            struct arena *arena, struct image_partition *next)
{
    if (!image_partition_moving(now))
        return ST_NOT_FOUND;
    *next = *now;
    next->replicas = without(now->replicas, now->adding, arena);
    next->adding = next->removing = (struct image_ids){0};
    next->balancing = false;
    if (!shed(next, view, arena))
        return ST_INVALID;
    number(now, next, arena);
    return ST_OK;
}
