// SPDX-License-Identifier: Apache-2.0
// Static members (KIP-345, KIP-814), one test per behaviour.
#include "group_world.h"

#include <criterion/criterion.h>

static struct world w;
static char a[128], b[128];

// Two static members "i-a" (leader) and "i-b", stable.
static void setup(void)
{
    struct ask join_a, join_b, sync;
    world_init(&w);
    world_join(&w, (struct client){.instance = "i-a"}, &join_a);
    world_join(&w, (struct client){.instance = "i-b"}, &join_b);
    world_pass(&w, 10000);
    snprintf(a, sizeof a, "%s", join_a.member_id);
    snprintf(b, sizeof b, "%s", join_b.member_id);
    char given[300];
    snprintf(given, sizeof given, "%s=one,%s=two", a, b);
    world_sync(&w, a, 1, given, &sync);
    world_sync(&w, b, 1, NULL, &sync);
}

static void teardown(void)
{
    world_fini(&w);
}

TestSuite(group_static, .init = setup, .fini = teardown);

Test(group_static, a_restarted_member_takes_its_place_without_a_rebalance)
{
    struct ask again, sync;
    world_join(&w, (struct client){.instance = "i-b"}, &again);
    cr_assert_eq(again.error, KAFKA_ERR_NONE);
    cr_assert_eq(again.generation, 1);
    cr_assert_str_neq(again.member_id, b);
    cr_assert_eq(group_state(w.group), GROUP_STABLE);
    cr_assert(group_dirty(w.group));
    world_sync(&w, again.member_id, 1, NULL, &sync);
    cr_assert_str_eq(sync.assignment, "two");
}

Test(group_static, the_former_id_is_fenced)
{
    struct ask again;
    world_join(&w, (struct client){.instance = "i-b"}, &again);
    struct group_identity old = {.member_id = slice_str(b), .instance_id = slice_str("i-b"), .generation = 1};
    cr_assert_eq(group_heartbeat(w.group, w.now, &old), KAFKA_ERR_FENCED_INSTANCE_ID);
    cr_assert_eq(group_may_commit(w.group, w.now, &old), KAFKA_ERR_FENCED_INSTANCE_ID);
    struct ask join;
    world_join(&w, (struct client){.id = b, .instance = "i-b"}, &join);
    cr_assert_eq(join.error, KAFKA_ERR_FENCED_INSTANCE_ID);
    cr_assert_eq(world_leave(&w, b, "i-b"), KAFKA_ERR_FENCED_INSTANCE_ID);
}

Test(group_static, a_parked_request_of_the_former_id_is_fenced_at_once)
{
    struct ask parked, again;
    world_join(&w, (struct client){.id = b, .instance = "i-b", .protocols = "range=new"}, &parked);
    cr_assert(!parked.answered);
    world_join(&w, (struct client){.instance = "i-b"}, &again);
    cr_assert_eq(parked.error, KAFKA_ERR_FENCED_INSTANCE_ID);
    cr_assert(!again.answered); // the rebalance goes on
}

Test(group_static, a_restarted_leader_is_told_to_skip_the_assignment_from_version_9)
{
    struct ask again;
    world_join(&w, (struct client){.instance = "i-a", .version = 9}, &again);
    cr_assert(again.skip_assignment);
    cr_assert_str_eq(again.leader, again.member_id);
    cr_assert_eq(again.members, 2);
}

Test(group_static, before_version_9_a_restarted_leader_is_told_its_former_id_leads)
{
    struct ask again;
    world_join(&w, (struct client){.instance = "i-a", .version = 8}, &again);
    cr_assert(!again.skip_assignment);
    cr_assert_str_eq(again.leader, a);
    cr_assert_eq(again.members, -1);
}

Test(group_static, a_restart_that_changes_the_protocol_rebalances)
{
    struct ask leader, again;
    world_join(&w, (struct client){.id = a, .instance = "i-a", .protocols = "range=1,sticky=1"}, &leader);
    world_join(&w, (struct client){.id = b, .instance = "i-b", .protocols = "range=1,sticky=1"}, &again);
    cr_assert_eq(leader.generation, 2);
    struct ask sync;
    world_sync(&w, a, 2, NULL, &sync);
    world_join(&w, (struct client){.instance = "i-b", .protocols = "sticky=1"}, &again);
    cr_assert_eq(group_state(w.group), GROUP_PREPARING);
}

Test(group_static, a_restart_while_assignments_are_awaited_rebalances)
{
    struct ask leader, follower, again;
    world_join(&w, (struct client){.id = a, .instance = "i-a"}, &leader);
    world_join(&w, (struct client){.id = b, .instance = "i-b"}, &follower);
    cr_assert_eq(group_state(w.group), GROUP_COMPLETING);
    world_join(&w, (struct client){.instance = "i-b"}, &again);
    cr_assert(!again.answered);
    cr_assert_eq(group_state(w.group), GROUP_PREPARING);
}

Test(group_static, an_administrator_removes_by_instance_id)
{
    cr_assert_eq(world_leave(&w, "", "i-b"), KAFKA_ERR_NONE);
    cr_assert_eq(group_size(w.group), 1);
    cr_assert_eq(world_leave(&w, "", "i-none"), KAFKA_ERR_UNKNOWN_MEMBER_ID);
    cr_assert_eq(world_leave(&w, "", NULL), KAFKA_ERR_UNKNOWN_MEMBER_ID);
}

Test(group_static, an_instance_nobody_knows_with_an_id_is_refused)
{
    struct ask ask;
    world_join(&w, (struct client){.id = a, .instance = "i-none"}, &ask);
    cr_assert_eq(ask.error, KAFKA_ERR_UNKNOWN_MEMBER_ID);
}

Test(group_static, a_static_member_stays_through_a_rebalance_it_misses_until_its_session_ends)
{
    struct ask leader;
    world_join(&w, (struct client){.id = a, .instance = "i-a", .rebalance_ms = 7000, .session_ms = 300000},
               &leader);
    struct ask other;
    world_join(&w, (struct client){.id = b, .instance = "i-b", .rebalance_ms = 7000, .session_ms = 300000},
               &other);
    cr_assert_eq(leader.generation, 2);
    world_join(
        &w,
        (struct client){
            .id = a, .instance = "i-a", .rebalance_ms = 7000, .session_ms = 300000, .protocols = "range=new"},
        &leader);
    cr_assert_eq(group_state(w.group), GROUP_PREPARING);
    world_pass(&w, 7001);
    cr_assert_eq(leader.generation, 3);
    cr_assert_eq(group_size(w.group), 2);
}
