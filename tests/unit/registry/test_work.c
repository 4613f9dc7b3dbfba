// SPDX-License-Identifier: Apache-2.0
// Requests that have to wait for what is done off the loop.
#include <criterion/criterion.h>

#include "work_world.h"

static struct work_world world;

static void open_world(void)
{
    work_world_open(&world);
}

static void close_world(void)
{
    work_world_close(&world);
}

TestSuite(work, .init = open_world, .fini = close_world);

Test(work, a_registration_whose_time_is_over_is_left_alone)
{
    world.registry.thinking_bytes = 256 << 20; // others have it all
    const struct work_ask *ask = work_world_ask_take(&world, "register", "s", work_world_body(1, 40000));
    work_world_wait(&world, REGISTRY_RUN_MS / 2);
    cr_assert_not(ask->done);
    work_world_wait(&world, REGISTRY_RUN_MS);
    cr_assert(ask->done);
    cr_assert_eq(ask->code, 500, "%d %s", ask->code, ask->answer);
    cr_assert_not(ask->there_only, "nothing may be written to the call when it is done");
    world.registry.thinking_bytes = 0;
}
