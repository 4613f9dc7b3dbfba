// SPDX-License-Identifier: Apache-2.0
// Beside whatever else the seed does, registries are killed, and cut off from some of the others for a while:
// an owner that is cut off from the controllers is another's former one before it knows. It may learn that
// from them while the leader of the topic is still out of reach, which has not taken what it wrote.
#include "nemesis.h"

enum { REGISTRY_STEP_MS = 900, CUT_MS_MAX = 2500, LATER_MS_MAX = 300, DOWN_MS = 1500 };

static void heal(void *context)
{
    struct daemon_sim *daemon = context;
    for (int b = 0; b < daemon->cluster->daemon_count; b++)
        world_cut(daemon->cluster->world, daemon->machine->id, b, false);
}

static void heal_controllers(void *context)
{
    struct daemon_sim *daemon = context;
    for (int c = 0; c < daemon->cluster->controller_count; c++)
        world_cut(daemon->cluster->world, daemon->machine->id, daemon->cluster->controllers[c].machine->id,
                  false);
}

// From each of the others with a chance of its own, so that it may reach the leader of the topic and no
// controller, or the other way.
static void cut_off(struct nemesis *nemesis, struct daemon_sim *daemon)
{
    for (int b = 0; b < nemesis->cluster->daemon_count; b++)
        if (b != daemon->machine->id && nemesis_percent(nemesis, 60))
            world_cut(nemesis->cluster->world, daemon->machine->id, b, true);
    int64_t ms = nemesis_between(nemesis, 100, CUT_MS_MAX);
    world_at(nemesis->cluster->world, 1000 * ms, NULL, heal_controllers, daemon);
    ms += nemesis_between(nemesis, 0, LATER_MS_MAX);
    world_at(nemesis->cluster->world, 1000 * ms, NULL, heal, daemon);
}

static void registries_step(struct timer *timer)
{
    struct nemesis *nemesis = timer->context;
    if (nemesis->healing)
        return;
    struct daemon_sim *daemon =
        &nemesis->cluster->registries[nemesis_between(nemesis, 0, CLUSTER_REGISTRIES - 1)];
    if (nemesis_percent(nemesis, 40))
        nemesis_stop(nemesis, daemon, false, nemesis_between(nemesis, 20, DOWN_MS));
    else
        cut_off(nemesis, daemon);
    timer_start_ms(nemesis->env, timer, nemesis_between(nemesis, 0, 2 * REGISTRY_STEP_MS));
}

void nemesis_registries_begin(struct nemesis *nemesis)
{
    timer_init(&nemesis->registries, registries_step, nemesis);
    timer_start_ms(nemesis->env, &nemesis->registries, REGISTRY_STEP_MS);
}
