// SPDX-License-Identifier: Apache-2.0
// The replica state machine: what moves the watermark and what must not.
#include "partition.h"

#include <criterion/criterion.h>

enum { LAG = 10000 };

static struct partition_view view_of(int32_t leader, int32_t leader_epoch, int32_t partition_epoch,
                                     int isr_bits)
{
    struct partition_view view = {.leader = leader,
                                  .leader_epoch = leader_epoch,
                                  .partition_epoch = partition_epoch,
                                  .min_isr = 2,
                                  .replica_count = 3};
    for (int i = 0; i < 3; i++) {
        view.replicas[i].node = i + 1;
        view.replicas[i].incarnation = 100 + (uint64_t)i;
        view.replicas[i].in_isr = isr_bits >> i & 1;
    }
    return view;
}

static struct partition leader_of_three(int isr_bits)
{
    struct partition partition;
    struct partition_view view = view_of(1, 5, 7, isr_bits);
    partition_init(&partition, 1, 0, 0, 0);
    cr_assert_eq(partition_view(&partition, &view, 0), PARTITION_ROLE);
    partition_appended(&partition, 10);
    return partition;
}

Test(partition, watermark_waits_for_every_isr_member_and_the_own_flush)
{
    struct partition p = leader_of_three(7);
    cr_assert_eq(partition_flushed(&p, 10), 0);
    cr_assert_eq(partition_acknowledged(&p, 2, 101, 5, 10, 1), 0);
    cr_assert_eq(partition_acknowledged(&p, 3, 102, 5, 4, 1), PARTITION_WATERMARK);
    cr_assert_eq(p.high_watermark, 4);
    cr_assert_eq(partition_acknowledged(&p, 3, 102, 5, 10, 1), PARTITION_WATERMARK);
    cr_assert_eq(p.high_watermark, 10);
    partition_fini(&p);
}

Test(partition, acknowledgement_of_another_epoch_or_incarnation_counts_nothing)
{
    struct partition p = leader_of_three(3);
    partition_flushed(&p, 10);
    cr_assert_eq(partition_acknowledged(&p, 2, 101, 4, 10, 1), 0);
    cr_assert_eq(partition_acknowledged(&p, 2, 999, 5, 10, 1), 0);
    cr_assert_eq(partition_acknowledged(&p, 2, 101, 5, 11, 1), 0); // beyond our log
    cr_assert_eq(p.high_watermark, 0);
    cr_assert_eq(partition_acknowledged(&p, 2, 101, 5, 10, 1), PARTITION_WATERMARK);
    partition_fini(&p);
}

Test(partition, watermark_stands_still_below_the_minimum_isr)
{
    struct partition p = leader_of_three(1);
    cr_assert_eq(partition_flushed(&p, 10), 0);
    cr_assert_eq(p.high_watermark, 0);
    partition_fini(&p);
}

// A topic of one replica with a minimum of two that gets more: taking writes must not stop meanwhile.
Test(partition, a_replica_that_is_being_added_is_none_before_it_is_in_sync)
{
    struct partition p;
    struct partition_view view = view_of(1, 5, 7, 1);
    view.replicas[1].adding = view.replicas[2].adding = true;
    partition_init(&p, 1, 0, 0, 0);
    partition_view(&p, &view, 0);
    partition_appended(&p, 10);
    cr_assert_eq(partition_isr_needed(&p), 1);
    cr_assert_eq(partition_flushed(&p, 10), PARTITION_WATERMARK);
    view.replicas[1].in_isr = true;
    view.partition_epoch = 8;
    partition_view(&p, &view, 1);
    cr_assert_eq(partition_isr_needed(&p), 2);
    partition_fini(&p);
}

Test(partition, proposed_member_holds_the_watermark_before_it_is_committed)
{
    struct partition p = leader_of_three(3);
    partition_flushed(&p, 10);
    partition_acknowledged(&p, 2, 101, 5, 10, 1);
    cr_assert_eq(partition_acknowledged(&p, 3, 102, 5, 10, 1), PARTITION_PROPOSE);
    partition_appended(&p, 20);
    partition_flushed(&p, 20);
    cr_assert_eq(partition_acknowledged(&p, 2, 101, 5, 20, 1), 0);
    cr_assert_eq(p.high_watermark, 10);
    struct partition_view view = view_of(1, 5, 8, 7);
    cr_assert_eq(partition_view(&p, &view, 2), 0);
    cr_assert_eq(partition_acknowledged(&p, 3, 102, 5, 20, 3), PARTITION_WATERMARK);
    cr_assert_eq(p.high_watermark, 20);
    partition_fini(&p);
}

Test(partition, member_to_be_removed_counts_until_the_removal_is_committed)
{
    struct partition p = leader_of_three(7);
    partition_flushed(&p, 10);
    partition_acknowledged(&p, 2, 101, 5, 10, 1);
    cr_assert_eq(partition_acknowledged(&p, 2, 101, 5, 10, LAG * 2), 0);
    cr_assert_eq(partition_tick(&p, LAG * 2, LAG), PARTITION_PROPOSE);
    cr_assert(p.replicas[1].proposed);
    cr_assert_not(p.replicas[2].proposed);
    cr_assert_eq(p.high_watermark, 0);
    struct partition_view view = view_of(1, 5, 8, 3);
    cr_assert_eq(partition_view(&p, &view, LAG * 2), PARTITION_WATERMARK);
    cr_assert_eq(p.high_watermark, 10);
    partition_fini(&p);
}

Test(partition, follower_behind_the_watermark_or_epoch_start_is_not_proposed)
{
    struct partition p;
    struct partition_view view = view_of(1, 5, 7, 3);
    partition_init(&p, 1, 0, 50, 30);
    partition_view(&p, &view, 0);
    cr_assert_eq(p.epoch_start, 50);
    cr_assert_eq(partition_acknowledged(&p, 3, 102, 5, 40, 1), 0);
    cr_assert_eq(partition_acknowledged(&p, 3, 102, 5, 50, 1), PARTITION_PROPOSE);
    cr_assert_not(partition_end_known(&p)); // node 2 has not confirmed the old tail yet
    cr_assert_eq(partition_acknowledged(&p, 2, 101, 5, 50, 1), PARTITION_WATERMARK);
    cr_assert(partition_end_known(&p));
    partition_fini(&p);
}

Test(partition, new_epoch_forgets_what_followers_had_acknowledged)
{
    struct partition p = leader_of_three(7);
    partition_flushed(&p, 10);
    partition_acknowledged(&p, 2, 101, 5, 10, 1);
    partition_acknowledged(&p, 3, 102, 5, 4, 1);
    struct partition_view view = view_of(1, 6, 9, 7);
    partition_view(&p, &view, 2);
    cr_assert_eq(partition_acknowledged(&p, 3, 102, 6, 10, 3), 0);
    cr_assert_eq(p.high_watermark, 4);
    view = view_of(1, 5, 8, 1); // older than what we know
    cr_assert_eq(partition_view(&p, &view, 4), 0);
    cr_assert_eq(p.leader_epoch, 6);
    partition_fini(&p);
}

Test(partition, follower_takes_the_leaders_watermark_only_up_to_its_own_end)
{
    struct partition p;
    struct partition_view view = view_of(2, 5, 7, 7);
    partition_init(&p, 1, 0, 8, 0);
    partition_view(&p, &view, 0);
    cr_assert_eq(partition_leader_watermark(&p, 4, 8), 0);
    cr_assert_eq(partition_leader_watermark(&p, 5, 20), PARTITION_WATERMARK);
    cr_assert_eq(p.high_watermark, 8);
    partition_truncated(&p, 6);
    cr_assert_eq(p.high_watermark, 6);
    partition_fini(&p);
}

Test(partition, a_log_read_anew_says_where_it_starts_and_ends_and_raises_no_watermark)
{
    struct partition p;
    struct partition_view view = view_of(2, 5, 7, 7);
    partition_init(&p, 1, 0, 8, 0);
    partition_view(&p, &view, 0);
    partition_leader_watermark(&p, 5, 8);
    partition_reloaded(&p, 1, 6, 6);
    cr_assert_eq(p.log_start, 1);
    cr_assert_eq(p.log_end, 6);
    cr_assert_eq(p.flushed, 6);
    cr_assert_eq(p.high_watermark, 6);
    partition_reloaded(&p, 1, 9, 9);
    cr_assert_eq(p.log_end, 9);
    cr_assert_eq(p.high_watermark, 6);
    partition_fini(&p);
}

Test(partition, idle_follower_stays_in_sync_by_the_stream_heartbeat)
{
    struct partition p = leader_of_three(7);
    partition_flushed(&p, 10);
    partition_acknowledged(&p, 2, 101, 5, 10, 1);
    partition_acknowledged(&p, 3, 102, 5, 10, 1);
    partition_heard(&p, 2, LAG * 3);
    cr_assert_eq(partition_tick(&p, LAG * 3, LAG), PARTITION_PROPOSE);
    cr_assert(p.replicas[1].proposed);
    cr_assert_not(p.replicas[2].proposed);
    partition_fini(&p);
}

Test(partition, restarted_member_starts_from_nothing_in_its_new_incarnation)
{
    struct partition p = leader_of_three(7);
    partition_flushed(&p, 10);
    partition_acknowledged(&p, 2, 101, 5, 10, 1);
    struct partition_view view = view_of(1, 5, 7, 7);
    view.replicas[1].incarnation = 555; // same partition epoch: only the node's registration changed
    partition_view(&p, &view, 2);
    cr_assert_eq(partition_acknowledged(&p, 3, 102, 5, 10, 3), 0);
    cr_assert_eq(p.high_watermark, 0);
    cr_assert_eq(partition_acknowledged(&p, 2, 101, 5, 10, 3), 0);
    cr_assert_eq(partition_acknowledged(&p, 2, 555, 5, 10, 3), PARTITION_WATERMARK);
    partition_fini(&p);
}

Test(partition, follower_is_proposed_later_when_it_was_fenced_as_it_caught_up)
{
    struct partition p = leader_of_three(3);
    struct partition_view view = view_of(1, 5, 7, 3);
    partition_flushed(&p, 10);
    view.replicas[2].fenced = true;
    partition_view(&p, &view, 1);
    cr_assert_eq(partition_acknowledged(&p, 3, 102, 5, 10, 2), 0);
    cr_assert_eq(partition_tick(&p, 3, LAG), 0);
    view.replicas[2].fenced = false;
    cr_assert_eq(partition_view(&p, &view, 4), PARTITION_PROPOSE);
    partition_refused(&p, 7);
    cr_assert_eq(partition_tick(&p, 5, LAG), PARTITION_PROPOSE); // and nothing new was acknowledged
    partition_fini(&p);
}

Test(partition, refusal_by_a_newer_epoch_may_mean_that_the_proposal_was_carried_out)
{
    struct partition p = leader_of_three(3);
    partition_flushed(&p, 10);
    partition_acknowledged(&p, 2, 101, 5, 10, 1);
    cr_assert_eq(partition_acknowledged(&p, 3, 102, 5, 10, 1), PARTITION_PROPOSE);
    partition_appended(&p, 20);
    partition_flushed(&p, 20);
    partition_refused(&p, 8); // sent twice, the first answer was lost: node 3 may be in the ISR by now
    cr_assert_eq(partition_acknowledged(&p, 2, 101, 5, 20, 1), 0);
    cr_assert_eq(p.high_watermark, 10);
    cr_assert_eq(partition_tick(&p, 2, LAG), 0); // and no other proposal until the image has come
    struct partition_view view = view_of(1, 5, 8, 3);
    cr_assert_eq(partition_view(&p, &view, LAG * 3000), PARTITION_WATERMARK); // it was another decision
    cr_assert_eq(p.high_watermark, 20);
    partition_fini(&p);
}

Test(partition, watermark_waits_no_longer_for_one_whose_addition_is_refused)
{
    struct partition p = leader_of_three(3);
    partition_flushed(&p, 10);
    partition_acknowledged(&p, 2, 101, 5, 10, 1);
    cr_assert_eq(partition_acknowledged(&p, 3, 102, 5, 10, 1), PARTITION_PROPOSE);
    partition_appended(&p, 20);
    partition_flushed(&p, 20);
    struct partition_view view = view_of(1, 5, 7, 3);
    view.replicas[2].fenced = true; // it died; the image brings that before the answer comes
    cr_assert_eq(partition_view(&p, &view, 2), 0);
    cr_assert_eq(partition_acknowledged(&p, 2, 101, 5, 20, 3), 0); // the last that is heard of anybody
    cr_assert_eq(partition_refused(&p, 7), PARTITION_WATERMARK);
    cr_assert_eq(p.high_watermark, 20);
    partition_fini(&p);
}

Test(partition, low_watermark_is_the_lowest_start_of_the_live)
{
    struct partition p = leader_of_three(7);
    partition_started(&p, 8);
    cr_assert_eq(partition_low_watermark(&p), -1, "nothing heard of the others");
    partition_follower_started(&p, 2, 101, 5, 8);
    partition_follower_started(&p, 3, 102, 4, 8); // another epoch
    partition_follower_started(&p, 3, 999, 5, 8); // another life
    cr_assert_eq(partition_low_watermark(&p), -1);
    partition_follower_started(&p, 3, 102, 5, 6);
    cr_assert_eq(partition_low_watermark(&p), 6);
    partition_follower_started(&p, 3, 102, 5, 4); // late
    cr_assert_eq(partition_low_watermark(&p), 6);
    struct partition_view view = view_of(1, 5, 8, 7);
    view.replicas[2].fenced = true;
    partition_view(&p, &view, 1);
    cr_assert_eq(partition_low_watermark(&p), 8, "who is dead is not waited for");
    view = view_of(1, 6, 9, 7);
    partition_view(&p, &view, 2);
    cr_assert_eq(partition_low_watermark(&p), -1, "in a new epoch everything is said anew");
    partition_started(&p, 5);
    cr_assert_eq(p.log_start, 8);
    partition_fini(&p);
}

Test(partition, start_of_a_follower_takes_its_watermark_along)
{
    struct partition p;
    partition_init(&p, 2, 0, 20, 5);
    partition_started(&p, 10);
    cr_assert_eq(p.high_watermark, 10);
    partition_started(&p, 7);
    cr_assert_eq(p.log_start, 10);
    partition_fini(&p);
}

Test(partition, follower_that_was_idle_for_long_was_not_behind_all_the_time)
{
    struct partition p = leader_of_three(3);
    partition_flushed(&p, 10);
    partition_acknowledged(&p, 2, 101, 5, 10, 1);
    partition_heard(&p, 2, LAG * 5);
    partition_appended(&p, 11);
    partition_appended(&p, 12);
    partition_acknowledged(&p, 2, 101, 5, 11, LAG * 5 + 1);
    cr_assert_eq(partition_tick(&p, LAG * 5 + 2, LAG), 0);
    cr_assert_eq(partition_tick(&p, LAG * 6 + 2, LAG), PARTITION_PROPOSE);
    partition_fini(&p);
}

Test(partition, time_matters_while_a_member_is_behind_or_one_may_come_in)
{
    struct partition p = leader_of_three(3);
    partition_flushed(&p, 10);
    cr_assert_not(partition_quiet(&p, LAG * 2, LAG)); // node 2 has nothing yet
    partition_acknowledged(&p, 2, 101, 5, 10, 1);
    cr_assert_not(partition_quiet(&p, LAG, LAG)); // node 3 was heard of at 0
    cr_assert(partition_quiet(&p, LAG + 1, LAG));
    cr_assert_eq(partition_acknowledged(&p, 3, 102, 5, 10, LAG * 2), PARTITION_PROPOSE);
    cr_assert_not(partition_quiet(&p, LAG * 9, LAG)); // the proposal may have to be repeated
    struct partition_view view = view_of(1, 5, 8, 7);
    partition_view(&p, &view, LAG * 9);
    cr_assert(partition_quiet(&p, LAG * 9, LAG));
    partition_appended(&p, 11);
    cr_assert_not(partition_quiet(&p, LAG * 9, LAG));
    view = view_of(2, 6, 9, 7);
    partition_view(&p, &view, LAG * 9);
    cr_assert(partition_quiet(&p, LAG * 9, LAG)); // a follower's clock is the leader's
    partition_fini(&p);
}

Test(partition, failed_member_counts_for_nothing_until_it_says_anew_what_it_has)
{
    struct partition p = leader_of_three(1);
    partition_flushed(&p, 10);
    partition_acknowledged(&p, 2, 101, 5, 10, 1);
    struct partition_view view = view_of(1, 5, 8, 1);
    view.replicas[1].failed = true;
    partition_view(&p, &view, 2);
    cr_assert_eq(partition_acknowledged(&p, 2, 101, 5, 10, 3), 0, "it may be about to drop that");
    cr_assert_eq(partition_tick(&p, 4, LAG), 0);
    view = view_of(1, 5, 9, 1);
    cr_assert_eq(partition_view(&p, &view, 5), 0);
    cr_assert_eq(partition_acknowledged(&p, 2, 101, 5, 4, 6), PARTITION_PROPOSE, "with less than before");
    partition_fini(&p);
}
