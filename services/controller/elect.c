// SPDX-License-Identifier: Apache-2.0
// See elect.h. Members whose node is gone leave the ISR as long as another member lives; the last ones stay,
// since only they are known to have everything that was acknowledged. A leader comes from the live ISR in the
// order of the replicas; one that should lead nothing is taken when there is no other.
#include "elect.h"

#include "base/assert.h"

// A replica whose log its node cannot use is as good as gone, whatever else the node does.
static enum elect_state state_of(const struct image_partition *now, const struct elect_view *view,
                                 int32_t node)
{
    return image_ids_have(&now->failed, node) ? ELECT_GONE : view->state(view->context, node);
}

static bool alive(const struct image_partition *now, const struct elect_view *view, int32_t node)
{
    return state_of(now, view, node) != ELECT_GONE;
}

// A live member that stays when the stalled one leaves.
static bool another_lives(const struct image_partition *now, const struct elect_view *view)
{
    for (size_t i = 0; i < now->isr.count; i++) {
        int32_t id = now->isr.ids[i];
        bool heard = view->heard == NULL || view->heard(view->context, id);
        if (id != view->stalled && id != view->lost && alive(now, view, id) && heard)
            return true;
    }
    return false;
}

static struct image_ids next_isr(const struct image_partition *now, const struct elect_view *view,
                                 struct arena *arena)
{
    bool others = another_lives(now, view);
    int32_t *ids = arena_calloc(arena, now->isr.count + 1, sizeof *ids);
    size_t count = 0;
    ASSERT(ids != NULL);
    for (size_t i = 0; i < now->isr.count; i++) {
        int32_t id = now->isr.ids[i];
        bool leaves = id == view->lost || (others && (id == view->stalled || !alive(now, view, id)));
        if (!leaves)
            ids[count++] = id;
    }
    return (struct image_ids){.ids = ids, .count = count};
}

// The first replica in order that is in the list (NULL: any) and in one of the states from worst on.
static int32_t first_of(const struct image_partition *now, const struct image_ids *list,
                        const struct elect_view *view, enum elect_state worst)
{
    for (size_t i = 0; i < now->replicas.count; i++) {
        int32_t id = now->replicas.ids[i];
        if ((list == NULL || image_ids_have(list, id)) && id != view->lost &&
            state_of(now, view, id) >= worst)
            return id;
    }
    return -1;
}

// Nobody else could lead, and what was readable there is as durable as what will be: no epoch needs to tell
// the one time from the other. Clients see no leader meanwhile, since its node is not live.
static bool sole_stays(const struct image_partition *now, const struct elect_view *view)
{
    return view->sole_stays && now->replicas.count == 1 && now->leader == now->replicas.ids[0] &&
           now->isr.count == 1 && now->leader != view->lost && now->failed.count == 0;
}

int32_t elect_leader(const struct image_partition *now, const struct image_ids *isr,
                     const struct elect_view *view)
{
    int32_t leader = now->leader;
    bool stays = leader >= 0 && image_ids_have(isr, leader) && alive(now, view, leader);
    bool fine = stays && state_of(now, view, leader) == ELECT_LIVE;
    int32_t best = first_of(now, isr, view, ELECT_LIVE);
    if (fine && !(view->preferred && best == now->replicas.ids[0]))
        return leader;
    if (best >= 0)
        return best;
    return stays ? leader : first_of(now, isr, view, ELECT_AVOID);
}

// A replica that is only being added may have next to nothing; it is the last to be asked, by an operator.
static int32_t unclean_leader(const struct image_partition *now, const struct elect_view *view)
{
    for (size_t i = 0; i < now->replicas.count; i++) {
        int32_t id = now->replicas.ids[i];
        if (!image_ids_have(&now->adding, id) && id != view->lost && alive(now, view, id))
            return id;
    }
    return view->anybody ? first_of(now, NULL, view, ELECT_AVOID) : -1;
}

bool elect_settle(const struct image_partition *now, const struct elect_view *view, struct arena *arena,
                  struct image_partition *next, bool *unclean_used)
{
    *next = *now;
    *unclean_used = false;
    if (sole_stays(now, view))
        return false;
    next->isr = next_isr(now, view, arena);
    if (next->isr.count == 0 && now->isr.count > 0)
        next->last_known = now->isr;
    next->leader = elect_leader(now, &next->isr, view);
    bool unclean = view->unclean;
#ifdef PLANTED_ELECTED_BEHIND
    unclean = true;
#endif
    if (next->leader < 0 && unclean) {
        int32_t leader = unclean_leader(now, view);
        if (leader >= 0) {
            int32_t *ids = arena_calloc(arena, 1, sizeof *ids);
            ASSERT(ids != NULL);
            ids[0] = next->leader = leader;
            next->isr = (struct image_ids){.ids = ids, .count = 1};
            next->last_known = (struct image_ids){0};
            *unclean_used = true;
        }
    }
    bool new_leader = next->leader != now->leader;
    if (!new_leader && image_ids_equal(&next->isr, &now->isr))
        return false;
    next->leader_epoch += new_leader;
    next->partition_epoch++;
    return true;
}
