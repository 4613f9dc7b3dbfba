// SPDX-License-Identifier: Apache-2.0
// SyncGroup, Heartbeat, LeaveGroup, commit fencing and the clocks of a group, one test per behaviour.
#include "group_world.h"

#include <criterion/criterion.h>

static struct world w;
static char ids[4][128];

static void setup(void)
{
    world_init(&w);
}

static void teardown(void)
{
    world_fini(&w);
}

TestSuite(group_session, .init = setup, .fini = teardown);

// Two members that have been answered generation 1 and have not synced.
static void two_joined(void)
{
    static struct ask asks[2];
    world_join_new(&w, (struct client){0}, ids[0], &asks[0]);
    world_join_new(&w, (struct client){0}, ids[1], &asks[1]);
    world_pass(&w, 6000);
    cr_assert_eq(group_state(w.group), GROUP_COMPLETING);
}

Test(group_session, followers_wait_for_the_leaders_assignment)
{
    two_joined();
    struct ask follower, leader;
    char given[300];
    world_sync(&w, ids[1], 1, NULL, &follower);
    cr_assert(!follower.answered);
    snprintf(given, sizeof given, "%s=one,%s=two,stranger=three", ids[0], ids[1]);
    world_sync(&w, ids[0], 1, given, &leader);
    cr_assert_str_eq(leader.assignment, "one");
    cr_assert_str_eq(follower.assignment, "two");
    cr_assert_str_eq(follower.protocol, "range");
    cr_assert_eq(group_state(w.group), GROUP_STABLE);
}

Test(group_session, a_member_the_leader_does_not_name_gets_an_empty_assignment)
{
    two_joined();
    struct ask follower, leader;
    world_sync(&w, ids[0], 1, NULL, &leader);
    world_sync(&w, ids[1], 1, NULL, &follower);
    cr_assert_eq(follower.error, KAFKA_ERR_NONE);
    cr_assert_str_eq(follower.assignment, "");
}

Test(group_session, sync_of_a_stable_group_returns_the_assignment)
{
    world_stable(&w, 2, ids);
    struct ask ask;
    world_sync(&w, ids[1], 1, NULL, &ask);
    cr_assert_str_eq(ask.assignment, "a2");
}

Test(group_session, sync_checks_member_generation_and_protocol)
{
    world_stable(&w, 1, ids);
    struct ask ask;
    world_sync(&w, "stranger", 1, NULL, &ask);
    cr_assert_eq(ask.error, KAFKA_ERR_UNKNOWN_MEMBER_ID);
    world_sync(&w, ids[0], 2, NULL, &ask);
    cr_assert_eq(ask.error, KAFKA_ERR_ILLEGAL_GENERATION);
    ask = (struct ask){0};
    struct group_sync sync = {.generation = 1,
                              .member_id = slice_str(ids[0]),
                              .protocol_type = slice_str("consumer"),
                              .protocol = slice_str("sticky"),
                              .waiter = &ask};
    group_sync(w.group, w.now, &sync);
    cr_assert_eq(ask.error, KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL);
}

Test(group_session, sync_during_the_join_phase_says_rebalance)
{
    world_stable(&w, 2, ids);
    struct ask join, sync;
    world_join(&w, (struct client){.id = ids[0]}, &join);
    world_sync(&w, ids[1], 1, NULL, &sync);
    cr_assert_eq(sync.error, KAFKA_ERR_REBALANCE_IN_PROGRESS);
}

Test(group_session, a_rebalance_sends_parked_syncs_back_to_join)
{
    two_joined();
    struct ask parked, fresh;
    char id[128];
    world_sync(&w, ids[1], 1, NULL, &parked);
    world_join_new(&w, (struct client){0}, id, &fresh);
    cr_assert_eq(parked.error, KAFKA_ERR_REBALANCE_IN_PROGRESS);
    cr_assert_eq(group_state(w.group), GROUP_PREPARING);
}

Test(group_session, who_joined_but_never_syncs_is_out_at_the_rebalance_timeout)
{
    two_joined();
    struct ask leader;
    world_sync(&w, ids[0], 1, NULL, &leader);
    for (int i = 0; i < 8; i++) {
        world_heartbeat(&w, ids[0], 1);
        world_heartbeat(&w, ids[1], 1);
        world_pass(&w, 8000);
    }
    cr_assert_eq(group_size(w.group), 1);
    cr_assert_eq(group_state(w.group), GROUP_PREPARING);
    cr_assert_eq(world_heartbeat(&w, ids[1], 1), KAFKA_ERR_UNKNOWN_MEMBER_ID);
}

Test(group_session, an_assignment_beyond_the_groups_bytes_starts_over)
{
    two_joined();
    w.settings.bytes_max = 200;
    struct ask follower, leader;
    char given[500];
    snprintf(given, sizeof given, "%s=%0200d", ids[0], 1);
    world_sync(&w, ids[1], 1, NULL, &follower);
    world_sync(&w, ids[0], 1, given, &leader);
    cr_assert_eq(leader.error, KAFKA_ERR_UNKNOWN_SERVER_ERROR);
    cr_assert_eq(follower.error, KAFKA_ERR_UNKNOWN_SERVER_ERROR);
    cr_assert_eq(group_state(w.group), GROUP_PREPARING);
}

Test(group_session, heartbeats_keep_a_session_and_their_absence_ends_it)
{
    world_stable(&w, 2, ids);
    for (int i = 0; i < 5; i++) {
        world_pass(&w, 9000);
        cr_assert_eq(world_heartbeat(&w, ids[0], 1),
                     i == 0 ? KAFKA_ERR_NONE : KAFKA_ERR_REBALANCE_IN_PROGRESS);
    }
    cr_assert_eq(group_size(w.group), 1);
    cr_assert_eq(world_heartbeat(&w, ids[1], 1), KAFKA_ERR_UNKNOWN_MEMBER_ID);
}

Test(group_session, heartbeat_while_assignments_are_awaited_is_fine)
{
    two_joined();
    cr_assert_eq(world_heartbeat(&w, ids[1], 1), KAFKA_ERR_NONE);
}

Test(group_session, heartbeat_of_another_generation_is_refused)
{
    world_stable(&w, 1, ids);
    cr_assert_eq(world_heartbeat(&w, ids[0], 2), KAFKA_ERR_ILLEGAL_GENERATION);
    cr_assert_eq(world_heartbeat(&w, "", 1), KAFKA_ERR_UNKNOWN_MEMBER_ID);
}

Test(group_session, a_parked_member_needs_no_heartbeat)
{
    world_stable(&w, 2, ids);
    struct ask parked;
    world_join(&w, (struct client){.id = ids[0], .session_ms = 6000}, &parked);
    for (int i = 0; i < 3; i++) {
        world_pass(&w, 5000);
        cr_assert_eq(world_heartbeat(&w, ids[1], 1), KAFKA_ERR_REBALANCE_IN_PROGRESS);
    }
    cr_assert(!parked.answered);
    cr_assert_eq(group_size(w.group), 2);
}

Test(group_session, a_session_starts_again_when_a_parked_sync_is_answered)
{
    two_joined();
    struct ask parked, leader;
    world_sync(&w, ids[1], 1, NULL, &parked);
    for (int i = 0; i < 3; i++) {
        world_pass(&w, 9000);
        world_heartbeat(&w, ids[0], 1);
    }
    world_sync(&w, ids[0], 1, NULL, &leader);
    cr_assert(parked.answered);
    cr_assert_eq(group_size(w.group), 2);
    world_pass(&w, 10001); // both silent now
    cr_assert_eq(group_size(w.group), 0);
}

Test(group_session, the_last_member_leaving_empties_the_group)
{
    world_stable(&w, 1, ids);
    cr_assert_eq(world_leave(&w, ids[0], NULL), KAFKA_ERR_NONE);
    cr_assert_eq(group_state(w.group), GROUP_EMPTY);
    cr_assert_eq(group_generation(w.group), 2);
    cr_assert_null(group_protocol(w.group).data);
    cr_assert(slice_is(group_protocol_type(w.group), "consumer"));
    cr_assert(group_dirty(w.group));
}

Test(group_session, leaving_twice_is_refused)
{
    world_stable(&w, 2, ids);
    cr_assert_eq(world_leave(&w, ids[1], NULL), KAFKA_ERR_NONE);
    cr_assert_eq(world_leave(&w, ids[1], NULL), KAFKA_ERR_UNKNOWN_MEMBER_ID);
}

Test(group_session, a_pending_id_can_leave)
{
    struct ask ask;
    world_join(&w, (struct client){0}, &ask);
    cr_assert_eq(world_leave(&w, ask.member_id, NULL), KAFKA_ERR_NONE);
    cr_assert(group_unused(w.group));
}

Test(group_session, leaving_during_a_rebalance_completes_it)
{
    world_stable(&w, 2, ids);
    struct ask parked;
    world_join(&w, (struct client){.id = ids[0]}, &parked);
    world_leave(&w, ids[1], NULL);
    cr_assert_eq(parked.generation, 2);
}

Test(group_session, a_member_parked_in_join_is_answered_when_it_leaves)
{
    world_stable(&w, 2, ids);
    struct ask parked;
    world_join(&w, (struct client){.id = ids[0]}, &parked);
    cr_assert_eq(world_leave(&w, ids[0], NULL), KAFKA_ERR_NONE);
    cr_assert_eq(parked.error, KAFKA_ERR_UNKNOWN_MEMBER_ID);
}

Test(group_session, members_commit_in_their_generation_only)
{
    world_stable(&w, 2, ids);
    cr_assert_eq(world_commit(&w, ids[0], 1), KAFKA_ERR_NONE);
    cr_assert_eq(world_commit(&w, ids[0], 0), KAFKA_ERR_ILLEGAL_GENERATION);
    cr_assert_eq(world_commit(&w, "stranger", 1), KAFKA_ERR_UNKNOWN_MEMBER_ID);
    cr_assert_eq(world_commit(&w, "", -1), KAFKA_ERR_UNKNOWN_MEMBER_ID);
    cr_assert_eq(world_commit(&w, ids[0], -1), KAFKA_ERR_ILLEGAL_GENERATION);
}

Test(group_session, anybody_may_commit_to_an_empty_group)
{
    cr_assert_eq(world_commit(&w, "", -1), KAFKA_ERR_NONE);
    cr_assert_eq(world_commit(&w, "", 3), KAFKA_ERR_UNKNOWN_MEMBER_ID);
}

Test(group_session, commits_pass_while_members_join_and_not_while_they_await_assignments)
{
    two_joined();
    cr_assert_eq(world_commit(&w, ids[0], 1), KAFKA_ERR_REBALANCE_IN_PROGRESS);
    struct ask ask;
    char id[128];
    world_join_new(&w, (struct client){0}, id, &ask);
    cr_assert_eq(group_state(w.group), GROUP_PREPARING);
    cr_assert_eq(world_commit(&w, ids[0], 1), KAFKA_ERR_NONE);
}

Test(group_session, a_commit_keeps_the_session)
{
    world_stable(&w, 1, ids);
    for (int i = 0; i < 4; i++) {
        world_pass(&w, 9000);
        cr_assert_eq(world_commit(&w, ids[0], 1), KAFKA_ERR_NONE);
    }
}

Test(group_session, only_an_empty_group_may_be_deleted)
{
    cr_assert_eq(group_may_delete(w.group), KAFKA_ERR_NONE);
    world_stable(&w, 1, ids);
    cr_assert_eq(group_may_delete(w.group), KAFKA_ERR_NON_EMPTY_GROUP);
}
