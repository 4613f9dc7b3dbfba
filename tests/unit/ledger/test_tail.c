// SPDX-License-Identifier: Apache-2.0
// Reading along a ledger of another process (ledger/tail.h), and becoming its owner.
#include <criterion/criterion.h>

#include "leaders.h"

static struct leaders all;

static void start(void)
{
    leaders_start(&all);
}

static void stop(void)
{
    leaders_stop(&all);
}

TestSuite(tail, .init = start, .fini = stop, .timeout = 60);

Test(tail, what_is_there_is_applied_before_it_is_ready)
{
    leaders_write(&all, "a", "1");
    leaders_write(&all, "b", "2");
    leaders_write(&all, "a", "3");
    leaders_follow(&all);
    cr_assert_not(ledger_tail_ready(all.tail));
    leaders_await(&all, &all.readies, 1);
    cr_assert_str_eq(leaders_value(&all, "a"), "3");
    cr_assert_str_eq(leaders_value(&all, "b"), "2");
    cr_assert_eq(ledger_tail_position(all.tail), 3);
    cr_assert_eq(all.nodes[0].opens + all.nodes[1].opens, 0, "it takes nothing from the owner");
}

Test(tail, what_is_written_later_arrives)
{
    leaders_follow(&all);
    leaders_await(&all, &all.waiting_reads, 1);
    leaders_write(&all, "a", "1");
    leaders_await(&all, &all.progress, 1);
    cr_assert_str_eq(leaders_value(&all, "a"), "1");
    cr_assert(ledger_tail_ready(all.tail));
    cr_assert_gt(all.waiting_reads, 0, "the leader is asked to hold the read");
}

Test(tail, what_is_not_committed_is_not_seen)
{
    leaders_write(&all, "a", "1");
    leaders_write(&all, "a", "2");
    all.high_watermark_lag = 1;
    leaders_follow(&all);
    leaders_await(&all, &all.readies, 1);
    leaders_turns(&all, 100);
    cr_assert_str_eq(leaders_value(&all, "a"), "1");
    all.high_watermark_lag = 0;
    leaders_await(&all, &all.applied, 2);
    cr_assert_str_eq(leaders_value(&all, "a"), "2");
}

Test(tail, a_leader_that_moves_is_followed)
{
    leaders_follow(&all);
    leaders_await(&all, &all.readies, 1);
    leaders_move(&all);
    leaders_write(&all, "a", "1");
    leaders_await(&all, &all.progress, 1);
    cr_assert_str_eq(leaders_value(&all, "a"), "1");
    cr_assert_gt(all.nodes[1].reads, 0);
}

Test(tail, a_log_that_ends_before_what_was_read_is_read_anew)
{
    leaders_write(&all, "a", "1");
    leaders_write(&all, "b", "2");
    leaders_follow(&all);
    leaders_await(&all, &all.readies, 1);
    leaders_lose_log(&all);
    leaders_write(&all, "c", "3");
    leaders_await(&all, &all.readies, 2);
    cr_assert_eq(all.resets, 1);
    cr_assert_str_eq(leaders_value(&all, "a"), "");
    cr_assert_str_eq(leaders_value(&all, "c"), "3");
}

Test(tail, the_next_owner_goes_on_from_its_position)
{
    leaders_write(&all, "a", "1");
    leaders_write(&all, "b", "2");
    leaders_follow(&all);
    leaders_await(&all, &all.readies, 1);
    int64_t position = ledger_tail_position(all.tail);
    ledger_tail_destroy(&all.tail);
    leaders_write(&all, "c", "3");
    int applied = all.applied;
    leaders_own_from(&all, position);
    leaders_await(&all, &all.readies, 2);
    cr_assert_eq(all.applied, applied + 1, "only what came meanwhile is read");
    cr_assert_str_eq(leaders_value(&all, "a"), "1");
    cr_assert_str_eq(leaders_value(&all, "c"), "3");
    cr_assert_eq(leaders_put(&all, "d", "4"), ST_OK);
    leaders_turns(&all, 100);
    cr_assert_eq(all.log_end, 4);
}

Test(tail, it_goes_on_from_where_somebody_has_read_to)
{
    leaders_write(&all, "a", "1");
    leaders_write(&all, "b", "2");
    leaders_write(&all, "c", "3");
    leaders_follow_from(&all, 2);
    leaders_await(&all, &all.readies, 1);
    cr_assert_eq(all.applied, 1);
    cr_assert_str_eq(leaders_value(&all, "c"), "3");
    cr_assert_eq(ledger_tail_position(all.tail), 3);
}

Test(tail, an_owner_whose_log_ends_before_its_position_begins_anew)
{
    leaders_write(&all, "a", "1");
    leaders_own_from(&all, 7);
    leaders_await(&all, &all.readies, 1);
    cr_assert_eq(all.resets, 1);
    cr_assert_str_eq(leaders_value(&all, "a"), "1");
}
