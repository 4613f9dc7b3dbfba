// SPDX-License-Identifier: Apache-2.0
// Deposes a leader that does not hear of it: others lead what it led, while it goes on with what it has
// begun. What it tells the coordinators may come late, but before it hears of its successor, who has read what
// they kept meanwhile.
#include "nemesis.h"

#include "partitions.h"

enum { UNLED_MS_MIN = 1200, UNLED_MS_MAX = 4000 }; // longer than a lease

static void cut_controllers(struct daemon_sim *daemon, bool cut)
{
    struct cluster *cluster = daemon->cluster;
    for (int i = 0; i < cluster->controller_count; i++)
        world_cut(cluster->world, daemon->machine->id, cluster->controllers[i].machine->id, cut);
}

static void cut_coordinators(struct daemon_sim *daemon, bool cut)
{
    struct cluster *cluster = daemon->cluster;
    for (int i = 0; i < CLUSTER_COORDINATORS; i++)
        world_cut(cluster->world, daemon->machine->id, cluster->coordinators[i].machine->id, cut);
}

static void join_controllers(void *context)
{
    cut_controllers(context, false);
}

static void join_coordinators(void *context)
{
    cut_coordinators(context, false);
}

// A node that leads partitions, if there is any.
static struct daemon_sim *any_leader(struct nemesis *nemesis)
{
    struct daemon_sim *daemon = NULL;
    int first = (int)nemesis_between(nemesis, 0, CLUSTER_STORAGE - 1);
    for (int i = 0; i < CLUSTER_STORAGE; i++) {
        daemon = &nemesis->cluster->storage[(first + i) % CLUSTER_STORAGE];
        const struct partitions *partitions = cluster_partitions(daemon);
        if (partitions != NULL && partitions_led(partitions) > 0)
            break;
    }
    return daemon;
}

void nemesis_unlead(struct nemesis *nemesis)
{
    struct world *world = nemesis->cluster->world;
    if (world->now_us < nemesis->unled_us)
        return; // one at a time: the others must be able to lead
    struct daemon_sim *daemon = any_leader(nemesis);
    int64_t us = 1000 * nemesis_between(nemesis, UNLED_MS_MIN, UNLED_MS_MAX);
    nemesis->unled_us = world->now_us + us;
    cut_controllers(daemon, true);
    world_at(world, us, NULL, join_controllers, daemon);
    if (nemesis_percent(nemesis, 70)) {
        cut_coordinators(daemon, true);
        world_at(world, nemesis_between(nemesis, us / 2, us), NULL, join_coordinators, daemon);
    }
    world_count(world, COUNT_unled);
}
