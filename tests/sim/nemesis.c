// SPDX-License-Identifier: Apache-2.0
// See nemesis.h. One step every few hundred milliseconds; what is down comes back by itself after a while.
#include "nemesis.h"

enum { STEP_MS = 400, DOWN_MS_MAX = 1500 };

static void revive(void *context)
{
    struct daemon_sim *daemon = context;
    if (daemon->process != NULL)
        return;
    world_count(daemon->cluster->world, COUNT_restart);
    cluster_start(daemon);
}

static void stop(struct nemesis *nemesis, struct daemon_sim *daemon, bool power_cut)
{
    if (daemon->process == NULL)
        return;
    cluster_stop(daemon, power_cut);
    world_at(nemesis->cluster->world, 1000 * (int64_t)(20 + prng_below(&nemesis->prng, DOWN_MS_MAX)), NULL,
             revive, daemon);
}

static struct daemon_sim *any_daemon(struct nemesis *nemesis)
{
    return cluster_daemon(nemesis->cluster, (int)prng_below(&nemesis->prng, CLUSTER_DAEMONS));
}

static void links_heal(struct world *world)
{
    for (int a = 0; a < world->machine_count; a++)
        for (int b = 0; b < world->machine_count; b++)
            world->machines[a].isolated[b] = false;
    world_count(world, COUNT_partition_healed);
}

static void links_cut(struct nemesis *nemesis)
{
    struct world *world = nemesis->cluster->world;
    int a = (int)prng_below(&nemesis->prng, CLUSTER_DAEMONS);
    bool alone = prng_below(&nemesis->prng, 2) == 0;
    for (int b = 0; b < CLUSTER_DAEMONS; b++)
        if (b != a && (alone || prng_below(&nemesis->prng, 2) == 0))
            world_cut(world, a, b, true);
    world_count(world, COUNT_partition_made);
}

static void weather(struct nemesis *nemesis)
{
    struct world *world = nemesis->cluster->world;
    world->faults = (struct world_faults){0};
    if (prng_below(&nemesis->prng, 3) == 0)
        return;
    world->faults = (struct world_faults){.lose_per_10000 = (int)prng_below(&nemesis->prng, 200),
                                          .duplicate_per_10000 = (int)prng_below(&nemesis->prng, 200),
                                          .delay_per_10000 = (int)prng_below(&nemesis->prng, 500),
                                          .slow_disk_per_10000 = (int)prng_below(&nemesis->prng, 300)};
}

static void power_cut_all(struct nemesis *nemesis, enum daemon_kind kind)
{
    for (int i = 0; i < CLUSTER_DAEMONS; i++)
        if (cluster_daemon(nemesis->cluster, i)->kind == kind)
            stop(nemesis, cluster_daemon(nemesis->cluster, i), true);
}

static void clock_jump(struct nemesis *nemesis)
{
    struct daemon_sim *daemon = any_daemon(nemesis);
    if (daemon->process == NULL)
        return;
    // Within message.timestamp.after.max.ms (1 h): a leader further behind refuses honest records, as Kafka's does.
    daemon->process->clock_skew_ms = (int64_t)prng_below(&nemesis->prng, 6600000) - 3300000;
    world_count(nemesis->cluster->world, COUNT_clock_jump);
}

static void nemesis_step(struct timer *timer)
{
    struct nemesis *nemesis = timer->context;
    if (nemesis->healing)
        return;
    switch (prng_below(&nemesis->prng, 14)) {
    case 0:
    case 1:
    case 2:
        stop(nemesis, any_daemon(nemesis), false);
        break;
    case 3:
    case 4:
    case 5:
        stop(nemesis, any_daemon(nemesis), true);
        break;
    case 6:
        power_cut_all(nemesis, (enum daemon_kind)prng_below(&nemesis->prng, 3));
        break;
    case 7:
    case 8:
        links_cut(nemesis);
        break;
    case 9:
    case 10:
        links_heal(nemesis->cluster->world);
        break;
    case 11:
        clock_jump(nemesis);
        break;
    default:
        weather(nemesis);
    }
    timer_start_ms(nemesis->env, timer, (int64_t)prng_below(&nemesis->prng, STEP_MS * 2));
}

void nemesis_begin(struct nemesis *nemesis, struct cluster *cluster, struct env *env)
{
    *nemesis = (struct nemesis){.cluster = cluster, .env = env, .prng = {env_random(env)}};
    timer_init(&nemesis->timer, nemesis_step, nemesis);
    timer_start_ms(env, &nemesis->timer, STEP_MS);
}

void nemesis_heal(struct nemesis *nemesis)
{
    nemesis->healing = true;
    nemesis->cluster->world->faults = (struct world_faults){0};
    links_heal(nemesis->cluster->world);
    for (int i = 0; i < CLUSTER_DAEMONS; i++)
        revive(cluster_daemon(nemesis->cluster, i));
}
