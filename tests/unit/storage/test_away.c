// SPDX-License-Identifier: Apache-2.0
// Nodes that were live a moment ago, on a clock of the test's.
#include "away.h"

#include <criterion/criterion.h>

static int64_t now_ms;

static int64_t now_us(struct env *env)
{
    return now_ms * 1000;
}

static struct env_ops ops = {.now_us = now_us};
static struct env env = {.ops = &ops};
static struct away it;

static void setup(void)
{
    now_ms = 1000000;
    away_init(&it, &env);
}

static void teardown(void)
{
    away_fini(&it);
}

TestSuite(away, .init = setup, .fini = teardown);

static const struct image_node live = {.id = 7, .role = MILLRACE__ROLE__ROLE_STORAGE},
                               fenced = {.id = 7, .role = MILLRACE__ROLE__ROLE_STORAGE, .fenced = true};

Test(away, a_node_counts_for_nine_seconds_from_its_fencing)
{
    away_note(&it, &live, &fenced);
    now_ms += AWAY_LISTED_MS;
    cr_expect(away_recent(&it, 7));
    cr_expect_not(away_recent(&it, 8));
    cr_expect_not(away_recent(&it, -1));
    now_ms++;
    cr_expect_not(away_recent(&it, 7));
}

Test(away, a_new_registration_that_is_fenced_at_first_prolongs_nothing)
{
    away_note(&it, &live, &fenced);
    now_ms += AWAY_LISTED_MS;
    away_note(&it, &fenced, &fenced);
    cr_expect(away_recent(&it, 7));
    now_ms++;
    cr_expect_not(away_recent(&it, 7));
}

Test(away, one_that_is_fenced_when_this_process_starts_may_come_back)
{
    away_note(&it, NULL, &fenced);
    now_ms += AWAY_LISTED_MS;
    cr_expect(away_recent(&it, 7));
    now_ms++;
    cr_expect_not(away_recent(&it, 7));
}

Test(away, one_that_is_live_again_gone_or_was_never_live_does_not_count)
{
    now_ms += AWAY_LISTED_MS + 1;
    away_note(&it, NULL, &fenced);
    cr_expect_not(away_recent(&it, 7));
    away_note(&it, &live, &fenced);
    away_note(&it, &fenced, &live);
    cr_expect_not(away_recent(&it, 7));
    away_note(&it, &live, &fenced);
    away_note(&it, &fenced, NULL);
    cr_expect_not(away_recent(&it, 7));
}
