// SPDX-License-Identifier: Apache-2.0
// Lag, age and time to drain from samples, as pure numbers.
#include "lag_figures.h"

#include <criterion/criterion.h>

static struct lag_figures taken;

static void setup(void)
{
    taken = lag_figures_none();
}

TestSuite(lag_figures, .init = setup);

static void take(int64_t at_s, int64_t committed, int64_t end)
{
    struct lag_sample sample = {.at_us = at_s * 1000000, .committed = committed, .end = end, .stable = end};
    lag_figures_take(&taken, &sample);
}

Test(lag_figures, nothing_is_known_before_the_first_sample)
{
    cr_assert_eq(lag_records(&taken), LAG_UNKNOWN);
    cr_assert_eq(lag_drain_ms(&taken), LAG_UNKNOWN);
    cr_assert_eq(lag_age_ms(&taken, true, 5, 10), LAG_UNKNOWN);
}

Test(lag_figures, one_sample_gives_lag_and_age_but_no_rate)
{
    take(1, 40, 100);
    cr_assert_eq(lag_records(&taken), 60);
    cr_assert_eq(lag_drain_ms(&taken), LAG_UNKNOWN);
    cr_assert_eq(lag_age_ms(&taken, true, 1000, 4500), 3500);
    cr_assert_eq(lag_age_ms(&taken, false, 1000, 4500), LAG_UNKNOWN);
    cr_assert_eq(lag_age_ms(&taken, true, 5000, 4500), 0, "written by a clock that is ahead");
}

Test(lag_figures, who_has_read_all_has_no_age_and_nothing_to_drain)
{
    take(1, 100, 100);
    cr_assert_eq(lag_records(&taken), 0);
    cr_assert_eq(lag_drain_ms(&taken), 0);
    cr_assert_eq(lag_age_ms(&taken, false, 0, 4500), 0);
    take(2, 120, 100); // committed behind the end: the log was cut
    cr_assert_eq(lag_records(&taken), 0);
}

Test(lag_figures, time_to_drain_counts_what_is_written_meanwhile)
{
    take(0, 0, 1000);
    take(10, 500, 1100); // 50 read and 10 written per second
    cr_assert_eq(lag_records(&taken), 600);
    cr_assert_eq(lag_drain_ms(&taken), 15000);
}

Test(lag_figures, lag_that_grows_never_drains)
{
    take(0, 0, 1000);
    take(10, 100, 2000);
    cr_assert_eq(lag_drain_ms(&taken), LAG_NEVER);
    setup();
    take(0, 0, 1000);
    take(10, 0, 1000); // nobody reads, nobody writes
    cr_assert_eq(lag_drain_ms(&taken), LAG_NEVER);
}

Test(lag_figures, samples_close_to_one_another_change_no_rate)
{
    take(0, 0, 1000);
    take(10, 500, 1100);
    double before = taken.commit_rate;
    struct lag_sample soon = {.at_us = 10000001, .committed = 600, .end = 1100};
    lag_figures_take(&taken, &soon);
    cr_assert_eq(taken.commit_rate, before);
    cr_assert_eq(lag_records(&taken), 500);
    take(11, 600, 1100); // ... but counts with the next
    cr_assert_gt(taken.commit_rate, before);
}

Test(lag_figures, a_rate_follows_a_change_within_a_minute_or_two)
{
    take(0, 0, 100000);
    take(5, 5000, 100000);
    for (int i = 2; i <= 30; i++)
        take(5 * i, 5000 + (i - 1) * 50, 100000); // from 1000 per second down to 10
    cr_assert_lt(taken.commit_rate, 40);
    cr_assert_gt(taken.commit_rate, 10);
}

Test(lag_figures, a_reset_begins_the_rates_anew)
{
    take(0, 0, 1000);
    take(10, 500, 1100);
    take(20, 100, 1200);
    cr_assert_lt(taken.commit_rate, 0);
    cr_assert_eq(lag_records(&taken), 1100);
    take(30, 200, 1200);
    cr_assert_float_eq(taken.commit_rate, 10, 0.01);
}
