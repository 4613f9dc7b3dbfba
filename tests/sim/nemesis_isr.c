// SPDX-License-Identifier: Apache-2.0
// Aims at followers that come back into sync: they are cut off until they leave the set, and when a leader
// has proposed one again it loses its power and is back at once, while the proposal, made for its earlier
// life, may still be on its way: the leader's link to the active controller is cut now and then.
// (KAFKA-15221, KIP-903)
#include "nemesis.h"

#include "controller.h"

#include "partitions.h"

enum { LOOK_MS = 1, RESTART_MS_MAX = 30 };

static bool comes_back(const struct partition *state, int32_t *node)
{
    for (int i = 0; state->role == PARTITION_LEADER && state->proposal_open && i < state->replica_count; i++)
        if (state->replicas[i].proposed && !state->replicas[i].in_isr) {
            *node = state->replicas[i].node;
            return true;
        }
    return false;
}

static void strike(struct nemesis *nemesis, struct daemon_sim *leader, int32_t node)
{
    struct cluster *cluster = nemesis->cluster;
    for (int i = 0; i < CLUSTER_STORAGE; i++) {
        struct daemon_sim *follower = &cluster->storage[i];
        if (follower->node_id != node || follower->process == NULL)
            continue;
        world_count(cluster->world, COUNT_rejoin_struck);
        nemesis_stop(nemesis, follower, true, nemesis_between(nemesis, 1, RESTART_MS_MAX));
        if (nemesis_percent(nemesis, 50))
            world_cut(cluster->world, leader->machine->id, follower->machine->id, true);
    }
}

// One node away from its peers, one leader away from the active controller, or none.
static void regroup(struct nemesis *nemesis)
{
    struct cluster *cluster = nemesis->cluster;
    nemesis_isolate(nemesis, DAEMON_STORAGE, (int)nemesis_between(nemesis, 0, 3));
    int64_t apart = nemesis_between(nemesis, 0, CLUSTER_STORAGE);
    for (int c = 0; c < cluster->controller_count; c++) {
        const struct daemon_sim *controller = &cluster->controllers[c];
        bool active = controller->controller != NULL && controller_active(controller->controller);
        for (int i = 0; i < CLUSTER_STORAGE; i++)
            world_cut(cluster->world, controller->machine->id, cluster->storage[i].machine->id,
                      active && i == apart);
    }
    world_count(cluster->world, COUNT_partition_made);
}

static void look(struct timer *timer)
{
    struct nemesis *nemesis = timer->context;
    if (nemesis->healing)
        return;
    if (env_now_us(nemesis->env) >= nemesis->regroup_us) {
        regroup(nemesis);
        nemesis->regroup_us = env_now_us(nemesis->env) + 1000 * nemesis_between(nemesis, 50, 700);
    }
    for (int i = 0; i < CLUSTER_STORAGE; i++) {
        struct daemon_sim *daemon = &nemesis->cluster->storage[i];
        struct partitions *partitions = cluster_partitions(daemon);
        for (int p = 0; partitions != NULL && p < HISTORY_PARTITIONS; p++) {
            const struct replica *replica = partitions_find_named(partitions, slice_str("t"), p);
            int32_t node;
            if (replica != NULL && comes_back(&replica->state, &node) &&
                nemesis_percent(nemesis, nemesis->plan.strike_percent))
                strike(nemesis, daemon, node);
        }
    }
    timer_start_ms(nemesis->env, timer, LOOK_MS);
}

void nemesis_isr_begin(struct nemesis *nemesis)
{
    timer_init(&nemesis->aimed, look, nemesis);
    timer_start_ms(nemesis->env, &nemesis->aimed, LOOK_MS);
}
