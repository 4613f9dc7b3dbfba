// SPDX-License-Identifier: Apache-2.0
// Aims at truncations. A leader is cut off its followers while clients still reach it, until it is killed or
// has lost its lease: what it has appended meanwhile only it has, so that it must cut its log when it is
// back. Whoever says that it truncates loses its power a moment later, or in the middle of one of the jobs
// that follow: what the journal or a segment still holds of the cut part then meets recovery.
#include "nemesis.h"

#include "partitions.h"

enum {
    PAUSE_MS_MAX = 500,
    APART_MS_MAX = 200,
    RESTART_MS_MAX = 60,
    STRIKE_MS_MAX = 300,
    LEASE_MS = 1000,
    AT_CUT_MAX = 3,
    CHANGES_MAX = 50 // a truncation with all that comes before it is about as many changes of files
};

static struct daemon_sim *storage_on(struct nemesis *nemesis, const struct machine *machine)
{
    for (int i = 0; i < CLUSTER_STORAGE; i++)
        if (nemesis->cluster->storage[i].machine == machine)
            return &nemesis->cluster->storage[i];
    return NULL;
}

void nemesis_truncating(struct nemesis *nemesis, struct machine *machine)
{
    if (nemesis->plan.aim != AIM_TRUNCATIONS || nemesis->healing ||
        !nemesis_percent(nemesis, nemesis->plan.strike_percent))
        return;
    const struct daemon_sim *daemon = storage_on(nemesis, machine);
    world_count(machine->world, COUNT_truncation_struck);
    if (nemesis_percent(nemesis, nemesis->plan.at_once_percent))
        *(nemesis_percent(nemesis, 50) ? &machine->changes_at_cut : &machine->changes_left) =
            (int)nemesis_between(nemesis, 1, nemesis_percent(nemesis, 50) ? AT_CUT_MAX : CHANGES_MAX);
    else
        nemesis->strike_us[daemon->index] =
            machine->world->now_us + 1000 * nemesis_between(nemesis, 0, STRIKE_MS_MAX);
}

void nemesis_cut_turn(struct nemesis *nemesis)
{
    for (int i = 0; i < CLUSTER_STORAGE; i++) {
        struct daemon_sim *daemon = &nemesis->cluster->storage[i];
        bool due = nemesis->strike_us[i] != 0 && nemesis->cluster->world->now_us >= nemesis->strike_us[i];
        if (!due && !daemon->machine->dark)
            continue;
        nemesis->strike_us[i] = 0;
        if (daemon->machine->dark)
            world_count(nemesis->cluster->world, COUNT_power_cut_in_job);
        nemesis_stop(nemesis, daemon, true, nemesis_between(nemesis, 1, RESTART_MS_MAX));
    }
}

static bool leads(const struct daemon_sim *daemon)
{
    struct partitions *partitions = cluster_partitions(daemon);
    return partitions != NULL && partitions_led(partitions) > 0;
}

static void part(struct nemesis *nemesis, int leader, bool from_controllers)
{
    struct cluster *cluster = nemesis->cluster;
    nemesis_isolate(nemesis, DAEMON_STORAGE, leader);
    for (int c = 0; c < cluster->controller_count; c++)
        for (int i = 0; i < CLUSTER_STORAGE; i++)
            world_cut(cluster->world, cluster->controllers[c].machine->id, cluster->storage[i].machine->id,
                      from_controllers && i == leader);
}

// Who was cut off only shortly is killed, or it would stay the leader; then all reach each other again.
static void rejoin(void *context)
{
    struct nemesis *nemesis = context;
    if (nemesis->healing)
        return;
    if (nemesis->apart_killed)
        nemesis_stop(nemesis, &nemesis->cluster->storage[nemesis->apart], false,
                     nemesis_between(nemesis, 1, RESTART_MS_MAX));
    part(nemesis, CLUSTER_STORAGE, false);
}

static void step(struct timer *timer)
{
    struct nemesis *nemesis = timer->context;
    if (nemesis->healing)
        return;
    int leader = (int)nemesis_between(nemesis, 0, CLUSTER_STORAGE - 1);
    int64_t apart_ms = nemesis_between(nemesis, 1, APART_MS_MAX);
    if (leads(&nemesis->cluster->storage[leader])) {
        nemesis->apart = leader;
        nemesis->apart_killed = nemesis_percent(nemesis, 60);
        apart_ms += nemesis->apart_killed ? 0 : LEASE_MS;
        part(nemesis, leader, !nemesis->apart_killed);
        world_count(nemesis->cluster->world, COUNT_partition_made);
        world_at(nemesis->cluster->world, 1000 * apart_ms, NULL, rejoin, nemesis);
    }
    timer_start_ms(nemesis->env, timer, apart_ms + nemesis_between(nemesis, 1, PAUSE_MS_MAX));
}

void nemesis_cut_begin(struct nemesis *nemesis)
{
    timer_init(&nemesis->aimed, step, nemesis);
    timer_start_ms(nemesis->env, &nemesis->aimed, PAUSE_MS_MAX);
}
