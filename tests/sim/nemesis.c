// SPDX-License-Identifier: Apache-2.0
// See nemesis.h. One step every few hundred milliseconds; what is down comes back by itself after a while.
#include "nemesis.h"

#include <stdio.h>

enum { STEP_MS = 400, DOWN_MS_MAX = 1500, DEPOSED_STEP_MS = 1000 };

bool nemesis_percent(struct nemesis *nemesis, int percent)
{
    return (int)prng_below(&nemesis->prng, 100) < percent;
}

int64_t nemesis_between(struct nemesis *nemesis, int64_t low, int64_t high)
{
    return low + (int64_t)prng_below(&nemesis->prng, (uint64_t)(high - low + 1));
}

static void revive(void *context)
{
    struct daemon_sim *daemon = context;
    if (daemon->process != NULL)
        return;
    world_count(daemon->cluster->world, COUNT_restart);
    cluster_start(daemon);
}

void nemesis_revive(struct nemesis *nemesis, struct daemon_sim *daemon)
{
    revive(daemon);
}

void nemesis_stop(struct nemesis *nemesis, struct daemon_sim *daemon, bool power_cut, int64_t down_ms)
{
    if (daemon->process == NULL)
        return;
    cluster_stop(daemon, power_cut);
    world_at(nemesis->cluster->world, 1000 * down_ms, NULL, revive, daemon);
}

static void stop(struct nemesis *nemesis, struct daemon_sim *daemon, bool power_cut)
{
    nemesis_stop(nemesis, daemon, power_cut, nemesis_between(nemesis, 20, 20 + DOWN_MS_MAX));
}

static int weighted(struct nemesis *nemesis, const int *weights, int count)
{
    int sum = 0;
    for (int i = 0; i < count; i++)
        sum += weights[i];
    int at = (int)prng_below(&nemesis->prng, (uint64_t)sum);
    for (int i = 0; i < count; at -= weights[i++])
        if (at < weights[i])
            return i;
    return count - 1;
}

static enum daemon_kind any_kind(struct nemesis *nemesis)
{
    return (enum daemon_kind)weighted(nemesis, nemesis->plan.kinds, 4);
}

static struct daemon_sim *any_daemon(struct nemesis *nemesis)
{
    struct cluster *cluster = nemesis->cluster;
    enum daemon_kind kind = any_kind(nemesis);
    if (kind == DAEMON_CONTROLLER)
        return &cluster->controllers[nemesis_between(nemesis, 0, cluster->controller_count - 1)];
    if (kind == DAEMON_STORAGE)
        return &cluster->storage[nemesis_between(nemesis, 0, CLUSTER_STORAGE - 1)];
    if (kind == DAEMON_REGISTRY)
        return &cluster->registries[nemesis_between(nemesis, 0, CLUSTER_REGISTRIES - 1)];
    return &cluster->coordinators[nemesis_between(nemesis, 0, CLUSTER_COORDINATORS - 1)];
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
    int a = any_daemon(nemesis)->machine->id;
    bool alone = prng_below(&nemesis->prng, 2) == 0;
    for (int b = 0; b < nemesis->cluster->daemon_count; b++)
        if (b != a && (alone || prng_below(&nemesis->prng, 2) == 0))
            world_cut(world, a, b, true);
    world_count(world, COUNT_partition_made);
}

void nemesis_isolate(struct nemesis *nemesis, enum daemon_kind kind, int alone)
{
    struct cluster *cluster = nemesis->cluster;
    bool controllers = kind == DAEMON_CONTROLLER;
    struct daemon_sim *all = controllers ? cluster->controllers : cluster->storage;
    int count = controllers ? cluster->controller_count : CLUSTER_STORAGE;
    int with =
        count > 3 && nemesis_percent(nemesis, 50) ? (int)nemesis_between(nemesis, 0, count - 1) : alone;
    for (int a = 0; a < count; a++)
        for (int b = 0; b < a; b++)
            world_cut(cluster->world, all[a].machine->id, all[b].machine->id,
                      (a == alone || a == with) != (b == alone || b == with));
}

static void weather(struct nemesis *nemesis)
{
    struct world *world = nemesis->cluster->world;
    const struct world_faults *worst = &nemesis->plan.worst;
    world->faults = (struct world_faults){0};
    if (prng_below(&nemesis->prng, 3) == 0)
        return;
    world->faults = (struct world_faults){
        .lose_per_10000 = (int)nemesis_between(nemesis, 0, worst->lose_per_10000),
        .duplicate_per_10000 = (int)nemesis_between(nemesis, 0, worst->duplicate_per_10000),
        .delay_per_10000 = (int)nemesis_between(nemesis, 0, worst->delay_per_10000),
        .slow_disk_per_10000 = (int)nemesis_between(nemesis, 0, worst->slow_disk_per_10000)};
}

static void power_cut_kind(struct nemesis *nemesis, enum daemon_kind kind)
{
    for (int i = 0; i < nemesis->cluster->daemon_count; i++)
        if (cluster_daemon(nemesis->cluster, i)->kind == kind)
            stop(nemesis, cluster_daemon(nemesis->cluster, i), true);
}

static void kill_all(struct nemesis *nemesis)
{
    for (int i = 0; i < nemesis->cluster->daemon_count; i++)
        stop(nemesis, cluster_daemon(nemesis->cluster, i), false);
    world_count(nemesis->cluster->world, COUNT_all_killed);
}

static void clock_jump(struct nemesis *nemesis)
{
    struct daemon_sim *daemon = any_daemon(nemesis);
    if (daemon->process == NULL)
        return;
    // Within message.timestamp.after.max.ms (1 h): a leader further behind refuses honest records, as Kafka's
    // does.
    daemon->process->clock_skew_ms = (int64_t)prng_below(&nemesis->prng, 6600000) - 3300000;
    world_count(nemesis->cluster->world, COUNT_clock_jump);
}

static void nemesis_on_drained(void *context)
{
    struct daemon_sim *daemon = context;
    world_count(daemon->cluster->world, COUNT_clean_stop);
    cluster_stop(daemon, false);
    world_at(daemon->cluster->world, 1000, NULL, revive, daemon);
}

// As an operator restarts a node. Any other fault may meet it on the way.
static void clean_stop(struct nemesis *nemesis)
{
    struct daemon_sim *daemon = &nemesis->cluster->storage[nemesis_between(nemesis, 0, CLUSTER_STORAGE - 1)];
    if (daemon->process != NULL)
        cluster_drain(daemon, nemesis_on_drained);
}

static void nemesis_step(struct timer *timer)
{
    struct nemesis *nemesis = timer->context;
    if (nemesis->healing)
        return;
    switch ((enum nemesis_fault)weighted(nemesis, nemesis->plan.weights, NEMESIS_FAULTS)) {
    case FAULT_KILL:
        stop(nemesis, any_daemon(nemesis), false);
        break;
    case FAULT_POWER_CUT:
        stop(nemesis, any_daemon(nemesis), true);
        break;
    case FAULT_POWER_CUT_KIND:
        power_cut_kind(nemesis, any_kind(nemesis));
        break;
    case FAULT_LINKS_CUT:
        links_cut(nemesis);
        break;
    case FAULT_LINKS_HEAL:
        links_heal(nemesis->cluster->world);
        break;
    case FAULT_CLOCK_JUMP:
        clock_jump(nemesis);
        break;
    case FAULT_KILL_ALL:
        kill_all(nemesis);
        break;
    case FAULT_UNLED:
        nemesis_unlead(nemesis);
        break;
    case FAULT_CLEAN_STOP:
        clean_stop(nemesis);
        break;
    default:
        weather(nemesis);
    }
    timer_start_ms(nemesis->env, timer, nemesis_between(nemesis, 0, 2 * nemesis->plan.step_ms));
}

// ---- the seed's mix ----

static void plan_anywhere(struct nemesis *nemesis)
{
    struct nemesis_plan *plan = &nemesis->plan;
    static const int usual[NEMESIS_FAULTS] = {3, 3, 1, 2, 2, 1, 2, 2, 1, 1};
    for (int i = 0; i < NEMESIS_FAULTS; i++)
        plan->weights[i] = usual[i] * (int)nemesis_between(nemesis, 0, 2);
    plan->weights[FAULT_LINKS_HEAL] += plan->weights[FAULT_LINKS_CUT] / 2 + 1;
    plan->kinds[DAEMON_CONTROLLER] = nemesis->cluster->controller_count;
    plan->kinds[DAEMON_STORAGE] = CLUSTER_STORAGE;
    plan->kinds[DAEMON_COORDINATOR] = CLUSTER_COORDINATORS;
    plan->kinds[DAEMON_REGISTRY] = nemesis->cluster->registry_count;
    plan->step_ms = STEP_MS;
    plan->worst = (struct world_faults){.lose_per_10000 = 200,
                                        .duplicate_per_10000 = 200,
                                        .delay_per_10000 = 500,
                                        .slow_disk_per_10000 = 300};
}

// Little else happens, mostly weather, some of it bad.
static void plan_aimed(struct nemesis *nemesis, enum daemon_kind kind)
{
    struct nemesis_plan *plan = &nemesis->plan;
    static const int usual[NEMESIS_FAULTS] = {1, 1, 0, 0, 1, 0, 5, 1, 0, 0};
    for (int i = 0; i < NEMESIS_FAULTS; i++)
        plan->weights[i] = usual[i];
    plan->kinds[kind] = 1;
    plan->step_ms = STEP_MS;
    int64_t worst[] = {100, 500, 2000};
    plan->worst =
        (struct world_faults){.lose_per_10000 = (int)worst[nemesis_between(nemesis, 0, 2)],
                              .duplicate_per_10000 = (int)worst[nemesis_between(nemesis, 0, 2)],
                              .delay_per_10000 = (int)worst[nemesis_between(nemesis, 0, 2)],
                              .slow_disk_per_10000 = (int)(3 * worst[nemesis_between(nemesis, 0, 2)])};
    int64_t strikes[] = {30, 60, 90};
    plan->strike_percent = (int)strikes[nemesis_between(nemesis, 0, 2)];
    plan->at_once_percent = (int)strikes[nemesis_between(nemesis, 0, 2)];
}

// All goes so well that there is something to go on with.
static void plan_deposed(struct nemesis *nemesis)
{
    struct nemesis_plan *plan = &nemesis->plan;
    static const int usual[NEMESIS_FAULTS] = {1, 0, 0, 0, 0, 0, 2, 1, 0, 6};
    for (int i = 0; i < NEMESIS_FAULTS; i++)
        plan->weights[i] = usual[i];
    plan->kinds[DAEMON_STORAGE] = plan->kinds[DAEMON_COORDINATOR] = 1;
    plan->step_ms = DEPOSED_STEP_MS;
    plan->worst = (struct world_faults){.lose_per_10000 = 20,
                                        .duplicate_per_10000 = 200,
                                        .delay_per_10000 = 200,
                                        .slow_disk_per_10000 = 100};
}

// Of eight seeds three strike anywhere; where voters change, it is the controllers that matter.
static enum nemesis_aim aim_draw(struct nemesis *nemesis)
{
    static const enum nemesis_aim aims[] = {AIM_ELECTIONS, AIM_ELECTIONS, AIM_REJOINING, AIM_TRUNCATIONS,
                                            AIM_DEPOSED,   AIM_ANYWHERE,  AIM_ANYWHERE,  AIM_ANYWHERE};
    uint64_t seed = nemesis->cluster->world->seed;
    if (nemesis_spoils_disks(seed))
        return AIM_DISKS;
    if (cluster_changes_voters(seed))
        return nemesis_percent(nemesis, 70) ? AIM_ELECTIONS : AIM_ANYWHERE;
    return aims[prng_below(&nemesis->prng, sizeof aims / sizeof *aims)];
}

static void plan_draw(struct nemesis *nemesis)
{
    nemesis->plan.aim = aim_draw(nemesis);
    if (nemesis->plan.aim == AIM_ANYWHERE)
        plan_anywhere(nemesis);
    else if (nemesis->plan.aim == AIM_DEPOSED)
        plan_deposed(nemesis);
    else
        plan_aimed(nemesis, nemesis->plan.aim == AIM_ELECTIONS ? DAEMON_CONTROLLER : DAEMON_STORAGE);
}

static void plan_print(const struct nemesis *nemesis)
{
    static const char *const aims[] = {"anywhere",    "elections", "rejoining",
                                       "truncations", "deposed",   "disks"};
    const struct nemesis_plan *plan = &nemesis->plan;
    if (nemesis->cluster->world->verbose)
        fprintf(stderr,
                "nemesis aim=%s strikes=%d%% at-once=%d%% lose=%d duplicate=%d delay=%d slow=%d per 10,000\n",
                aims[plan->aim], plan->strike_percent, plan->at_once_percent, plan->worst.lose_per_10000,
                plan->worst.duplicate_per_10000, plan->worst.delay_per_10000,
                plan->worst.slow_disk_per_10000);
}

void nemesis_begin(struct nemesis *nemesis, struct cluster *cluster, struct check *check, struct env *env)
{
    *nemesis = (struct nemesis){
        .cluster = cluster, .check = check, .env = env, .prng = {env_random(env)}, .begun = true};
    plan_draw(nemesis);
    plan_print(nemesis);
    timer_init(&nemesis->timer, nemesis_step, nemesis);
    timer_start_ms(env, &nemesis->timer, STEP_MS);
    weather(nemesis);
    if (cluster_changes_voters(cluster->world->seed))
        nemesis_voters_begin(nemesis);
    if (cluster->registry_count > 0)
        nemesis_registries_begin(nemesis);
    if (nemesis->plan.aim == AIM_ELECTIONS)
        nemesis_quorum_begin(nemesis);
    else if (nemesis->plan.aim == AIM_REJOINING)
        nemesis_isr_begin(nemesis);
    else if (nemesis->plan.aim == AIM_TRUNCATIONS)
        nemesis_cut_begin(nemesis);
    else if (nemesis->plan.aim == AIM_DISKS)
        nemesis_disk_begin(nemesis);
}

void nemesis_turn(struct nemesis *nemesis)
{
    if (nemesis->begun && !nemesis->healing && nemesis->plan.aim == AIM_ELECTIONS)
        nemesis_quorum_turn(nemesis);
    if (nemesis->begun && !nemesis->healing && nemesis->plan.aim == AIM_TRUNCATIONS)
        nemesis_cut_turn(nemesis);
}

void nemesis_heal(struct nemesis *nemesis)
{
    nemesis->healing = true;
    nemesis->cluster->world->faults = (struct world_faults){0};
    links_heal(nemesis->cluster->world);
    for (int i = 0; i < nemesis->cluster->world->machine_count; i++) {
        nemesis->cluster->world->machines[i].stalled_us = 0;
        nemesis->cluster->world->machines[i].changes_left = 0;
        nemesis->cluster->world->machines[i].changes_at_cut = 0;
    }
    if (nemesis->plan.aim == AIM_DISKS)
        nemesis_disk_heal(nemesis);
    for (int i = 0; i < nemesis->cluster->daemon_count; i++)
        revive(cluster_daemon(nemesis->cluster, i));
}
