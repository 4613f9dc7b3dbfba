// SPDX-License-Identifier: Apache-2.0
// Aims at elections: whenever a controller's term or role changes, at that very event or a moment later, the
// three are grouped anew, a disk hangs and loses its power with what it had not begun to write, or a
// controller ends and is back before the election is over. So votes are forgotten if they can be, leaders are
// cut off before their first entry has left, two candidates run in one term, and entries of old terms meet
// later leaders (figure 8 of the Raft paper).
#include "nemesis.h"

#include "state.h"

enum {
    RESTART_MS_MAX = 30,
    MOMENT_US = 2000,
    WHILE_US = 100000,
    STALL_US_MAX = 150000,
    BLOW_US_MAX = 50000,
    QUIET_US = 450000
};

static struct daemon_sim *any_controller(struct nemesis *nemesis)
{
    return &nemesis->cluster
                ->controllers[nemesis_between(nemesis, 0, nemesis->cluster->controller_count - 1)];
}

static void regroup(struct nemesis *nemesis, int alone)
{
    nemesis_isolate(nemesis, DAEMON_CONTROLLER, alone);
    world_count(nemesis->cluster->world, COUNT_controllers_regrouped);
}

static void restart(struct nemesis *nemesis, struct daemon_sim *daemon, bool power_cut)
{
    nemesis_stop(nemesis, daemon, power_cut, nemesis_between(nemesis, 1, RESTART_MS_MAX));
}

// The disk that hangs loses its power; when it is back, one of the two others is not to be reached.
static void blow(void *context)
{
    struct nemesis *nemesis = context;
    if (nemesis->healing)
        return;
    restart(nemesis, &nemesis->cluster->controllers[nemesis->stalled], true);
    int other = nemesis->stalled + (int)nemesis_between(nemesis, 1, nemesis->cluster->controller_count - 1);
    if (nemesis_percent(nemesis, 90))
        regroup(nemesis, other % nemesis->cluster->controller_count);
    if (nemesis_percent(nemesis, 60)) // let come what comes of it
        nemesis->quiet_us = nemesis->cluster->world->now_us + QUIET_US;
}

static void stall(struct nemesis *nemesis, int index)
{
    struct world *world = nemesis->cluster->world;
    nemesis->cluster->controllers[index].machine->stalled_us =
        world->now_us + nemesis_between(nemesis, MOMENT_US, STALL_US_MAX);
    nemesis->stalled = index;
    if (nemesis_percent(nemesis, 80))
        world_at(world, nemesis_between(nemesis, MOMENT_US, BLOW_US_MAX), NULL, blow, nemesis);
}

static void strike(void *context)
{
    struct nemesis *nemesis = context;
    if (nemesis->healing || nemesis->cluster->world->now_us < nemesis->quiet_us)
        return;
    world_count(nemesis->cluster->world, COUNT_election_struck);
    bool leads = nemesis->voters[nemesis->changed].role == RAFT_LEADER;
    switch (nemesis_between(nemesis, 0, leads ? 9 : 6)) {
    case 0:
        restart(nemesis, any_controller(nemesis), nemesis_percent(nemesis, 80));
        break;
    case 1:
        regroup(nemesis, (int)nemesis_between(nemesis, 0, nemesis->cluster->controller_count));
        break;
    case 2:
    case 3:
        stall(nemesis, nemesis->changed);
        break;
    default:
        regroup(nemesis, nemesis->changed);
    }
}

static void on_change(struct nemesis *nemesis, int index)
{
    nemesis->changed = index;
    if (nemesis->cluster->world->now_us < nemesis->quiet_us ||
        !nemesis_percent(nemesis, nemesis->plan.strike_percent))
        return;
    if (nemesis_percent(nemesis, nemesis->plan.at_once_percent))
        strike(nemesis);
    else
        world_at(nemesis->cluster->world,
                 nemesis_between(nemesis, 0, nemesis_percent(nemesis, 50) ? MOMENT_US : WHILE_US), NULL,
                 strike, nemesis);
}

void nemesis_quorum_turn(struct nemesis *nemesis)
{
    for (int i = 0; i < nemesis->cluster->controller_count; i++) {
        const struct daemon_sim *daemon = &nemesis->cluster->controllers[i];
        struct nemesis_voter *seen = &nemesis->voters[i];
        if (daemon->process == NULL || daemon->controller == NULL || daemon->controller->quorum == NULL)
            continue;
        const struct raft *raft = quorum_raft(daemon->controller->quorum);
        struct nemesis_voter now = {daemon->process->generation, raft_term(raft), (int)raft_role(raft)};
        bool changed =
            seen->generation == now.generation && (seen->term != now.term || seen->role != now.role);
        *seen = now;
        if (changed)
            on_change(nemesis, i);
    }
}

// When nothing changes by itself, the leader is cut off or something else is done to it.
static void step(struct timer *timer)
{
    struct nemesis *nemesis = timer->context;
    if (nemesis->healing)
        return;
    for (int i = 0; i < nemesis->cluster->controller_count; i++)
        if (nemesis->voters[i].role == RAFT_LEADER)
            nemesis->changed = i;
    strike(nemesis);
    timer_start_ms(nemesis->env, timer, nemesis_between(nemesis, 50, 400));
}

void nemesis_quorum_begin(struct nemesis *nemesis)
{
    timer_init(&nemesis->aimed, step, nemesis);
    timer_start_ms(nemesis->env, &nemesis->aimed, 100);
}
