// SPDX-License-Identifier: Apache-2.0
// The join phase of a group, one test per behaviour (Kafka's, see kafka-wire rows JoinGroup, KIP-394,
// KIP-134).
#include "group_world.h"

#include <criterion/criterion.h>

static struct world w;

static void setup(void)
{
    world_init(&w);
}

static void teardown(void)
{
    world_fini(&w);
}

TestSuite(group_join, .init = setup, .fini = teardown);

Test(group_join, a_member_without_id_is_given_one_and_must_come_again)
{
    struct ask ask;
    world_join(&w, (struct client){0}, &ask);
    cr_assert_eq(ask.error, KAFKA_ERR_MEMBER_ID_REQUIRED);
    cr_assert_str_eq(ask.member_id, "new-1");
    cr_assert_eq(group_size(w.group), 0);
    cr_assert_eq(group_state(w.group), GROUP_EMPTY);
}

Test(group_join, before_version_4_a_member_without_id_is_admitted_at_once)
{
    struct ask ask;
    world_join(&w, (struct client){.version = 3}, &ask);
    cr_assert(!ask.answered);
    world_pass(&w, 3000);
    cr_assert_eq(ask.error, KAFKA_ERR_NONE);
    cr_assert_eq(ask.generation, 1);
    cr_assert_str_eq(ask.leader, ask.member_id);
}

Test(group_join, a_pending_id_expires_with_the_session_timeout)
{
    struct ask ask;
    world_join(&w, (struct client){.session_ms = 6000}, &ask);
    world_pass(&w, 6001);
    struct ask late;
    world_join(&w, (struct client){.id = "new-1"}, &late);
    cr_assert_eq(late.error, KAFKA_ERR_UNKNOWN_MEMBER_ID);
    cr_assert(group_unused(w.group));
}

Test(group_join, an_unknown_member_id_is_refused)
{
    struct ask ask;
    world_join(&w, (struct client){.id = "ghost"}, &ask);
    cr_assert_eq(ask.error, KAFKA_ERR_UNKNOWN_MEMBER_ID);
    cr_assert_str_eq(ask.member_id, "ghost");
}

Test(group_join, session_timeouts_outside_the_bounds_are_refused)
{
    struct ask low, high;
    world_join(&w, (struct client){.session_ms = 5999}, &low);
    world_join(&w, (struct client){.session_ms = 1800001}, &high);
    cr_assert_eq(low.error, KAFKA_ERR_INVALID_SESSION_TIMEOUT);
    cr_assert_eq(high.error, KAFKA_ERR_INVALID_SESSION_TIMEOUT);
}

Test(group_join, the_first_rebalance_waits_the_initial_delay_and_longer_when_members_come)
{
    struct ask first, second;
    char id[2][128];
    world_join_new(&w, (struct client){0}, id[0], &first);
    world_pass(&w, 2000);
    world_join_new(&w, (struct client){0}, id[1], &second);
    world_pass(&w, 2000);
    cr_assert(!first.answered); // extended once because of the second
    world_pass(&w, 2000);
    cr_assert(first.answered && second.answered);
    cr_assert_eq(first.generation, 1);
    cr_assert_eq(second.generation, 1);
}

Test(group_join, the_initial_delay_never_exceeds_the_rebalance_timeout)
{
    struct ask first, more[3];
    char id[128];
    struct client quick = {.rebalance_ms = 4000, .session_ms = 6000};
    world_join_new(&w, quick, id, &first);
    for (int i = 0; i < 3; i++) {
        world_pass(&w, 1300);
        world_join_new(&w, quick, id, &more[i]);
    }
    world_pass(&w, 200); // 4.1 s after the first
    cr_assert(first.answered);
}

Test(group_join, only_the_leader_is_told_the_members)
{
    struct ask asks[2];
    char id[2][128];
    world_join_new(&w, (struct client){0}, id[0], &asks[0]);
    world_join_new(&w, (struct client){0}, id[1], &asks[1]);
    world_pass(&w, 10000);
    cr_assert_eq(asks[0].members, 2);
    cr_assert_eq(asks[1].members, -1);
    cr_assert_str_eq(asks[1].leader, id[0]);
    cr_assert_str_eq(asks[0].type, "consumer");
}

Test(group_join, another_protocol_type_is_refused)
{
    char ids[1][128];
    world_stable(&w, 1, ids);
    struct ask ask;
    world_join(&w, (struct client){.type = "connect"}, &ask);
    cr_assert_eq(ask.error, KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL);
}

Test(group_join, protocols_that_nobody_else_knows_are_refused)
{
    char ids[1][128];
    world_stable(&w, 1, ids);
    struct ask ask;
    world_join(&w, (struct client){.protocols = "sticky=x"}, &ask);
    cr_assert_eq(ask.error, KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL);
}

// Protocols are counted, not asked of every member: the counts follow members that come, change and go.
Test(group_join, what_all_members_know_follows_them)
{
    char id[3][128];
    struct ask asks[3], ask;
    world_join_new(&w, (struct client){.protocols = "range=a,range=b,sticky=c"}, id[0], &asks[0]);
    world_join_new(&w, (struct client){.protocols = "range=a"}, id[1], &asks[1]);
    world_join(&w, (struct client){.protocols = "sticky=x", .version = 3}, &ask);
    cr_expect_eq(ask.error, KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL, "one named twice does not count twice");
    world_leave(&w, id[1], NULL);
    world_join_new(&w, (struct client){.protocols = "sticky=x"}, id[2], &asks[2]);
    cr_expect_not(asks[2].answered, "sticky is what is left");
    world_join(&w, (struct client){.id = id[0], .protocols = "sticky=c,mine=d"}, &ask);
    cr_expect_not(ask.answered);
    struct ask range;
    world_join(&w, (struct client){.protocols = "range=x", .version = 3}, &range);
    cr_expect_eq(range.error, KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL, "nobody knows it any more");
    world_pass(&w, 60000);
    cr_assert_eq(ask.error, KAFKA_ERR_NONE);
    cr_expect_str_eq(ask.protocol, "sticky");
    cr_expect_str_eq(asks[2].protocol, "sticky");
}

Test(group_join, an_empty_group_needs_a_type_and_a_protocol)
{
    struct ask ask;
    world_join(&w, (struct client){.type = "", .version = 3}, &ask);
    cr_assert_eq(ask.error, KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL);
}

Test(group_join, members_vote_for_the_protocol_most_prefer_among_those_all_know)
{
    struct ask a, b, c;
    char id[128];
    world_join_new(&w, (struct client){.protocols = "range=1,sticky=2,only=3"}, id, &a);
    world_join_new(&w, (struct client){.protocols = "sticky=1,range=2"}, id, &b);
    world_join_new(&w, (struct client){.protocols = "sticky=1,range=2"}, id, &c);
    world_pass(&w, 10000);
    cr_assert_str_eq(a.protocol, "sticky");
}

Test(group_join, members_with_too_many_protocols_are_refused)
{
    struct group_protocol many[65];
    char names[65][8];
    struct ask ask = {0};
    for (int i = 0; i < 65; i++) {
        snprintf(names[i], sizeof names[i], "p%d", i % 100);
        many[i] = (struct group_protocol){slice_str(names[i]), slice_str("")};
    }
    struct group_join join = {.version = 3,
                              .member_id = slice_str(""),
                              .client_id = slice_str("c"),
                              .client_host = slice_str("h"),
                              .protocol_type = slice_str("consumer"),
                              .protocols = many,
                              .protocol_count = 65,
                              .session_ms = 10000,
                              .rebalance_ms = 10000,
                              .new_id = slice_str("m"),
                              .waiter = &ask};
    group_join(w.group, w.now, &join);
    cr_assert_eq(ask.error, KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL);
    join.protocol_count = 64;
    ask = (struct ask){0};
    group_join(w.group, w.now, &join);
    world_pass(&w, 3000);
    cr_assert_eq(ask.error, KAFKA_ERR_NONE);
    cr_assert_str_eq(ask.protocol, "p0");
}

Test(group_join, a_new_member_starts_a_rebalance_which_waits_for_the_others)
{
    char ids[1][128], id[128];
    world_stable(&w, 1, ids);
    struct ask fresh, again;
    world_join_new(&w, (struct client){0}, id, &fresh);
    cr_assert_eq(group_state(w.group), GROUP_PREPARING);
    cr_assert_eq(world_heartbeat(&w, ids[0], 1), KAFKA_ERR_REBALANCE_IN_PROGRESS);
    cr_assert(!fresh.answered);
    world_join(&w, (struct client){.id = ids[0]}, &again);
    cr_assert(fresh.answered && again.answered);
    cr_assert_eq(again.generation, 2);
    cr_assert_eq(again.members, 2); // still the leader
}

Test(group_join, a_rebalance_waits_for_pending_ids_too)
{
    char ids[1][128];
    world_stable(&w, 1, ids);
    struct ask pending, leader;
    world_join(&w, (struct client){0}, &pending);
    world_join(&w, (struct client){.id = ids[0]}, &leader);
    cr_assert(!leader.answered);
    struct ask joined;
    world_join(&w, (struct client){.id = pending.member_id}, &joined);
    cr_assert(leader.answered && joined.answered);
}

Test(group_join, who_does_not_come_back_within_the_rebalance_timeout_is_out)
{
    char ids[2][128], id[128];
    world_stable(&w, 2, ids);
    struct ask fresh, again;
    struct client quick = {.rebalance_ms = 20000, .session_ms = 60000};
    world_join_new(&w, quick, id, &fresh);
    quick.id = ids[0];
    world_join(&w, quick, &again);
    for (int i = 0; i < 12; i++) { // keeps its session, never joins
        world_heartbeat(&w, ids[1], 1);
        world_pass(&w, 5001);
    }
    cr_assert(fresh.answered && again.answered);
    cr_assert_eq(group_size(w.group), 2);
    cr_assert_eq(world_heartbeat(&w, ids[1], 2), KAFKA_ERR_UNKNOWN_MEMBER_ID);
}

Test(group_join, a_follower_that_asks_again_unchanged_gets_the_present_generation)
{
    char ids[2][128];
    world_stable(&w, 2, ids);
    struct ask ask;
    world_join(&w, (struct client){.id = ids[1]}, &ask);
    cr_assert_eq(ask.error, KAFKA_ERR_NONE);
    cr_assert_eq(ask.generation, 1);
    cr_assert_eq(group_state(w.group), GROUP_STABLE);
}

Test(group_join, a_follower_with_new_metadata_starts_a_rebalance)
{
    char ids[2][128];
    world_stable(&w, 2, ids);
    struct ask ask;
    world_join(&w, (struct client){.id = ids[1], .protocols = "range=other"}, &ask);
    cr_assert(!ask.answered);
    cr_assert_eq(group_state(w.group), GROUP_PREPARING);
}

Test(group_join, the_leader_asking_again_starts_a_rebalance)
{
    char ids[2][128];
    world_stable(&w, 2, ids);
    struct ask ask;
    world_join(&w, (struct client){.id = ids[0]}, &ask);
    cr_assert(!ask.answered);
    cr_assert_eq(group_state(w.group), GROUP_PREPARING);
}

Test(group_join, a_lost_answer_is_given_again_while_assignments_are_awaited)
{
    struct ask first, again;
    char id[128];
    world_join_new(&w, (struct client){0}, id, &first);
    world_pass(&w, 3000);
    cr_assert_eq(group_state(w.group), GROUP_COMPLETING);
    world_join(&w, (struct client){.id = id}, &again);
    cr_assert_eq(again.generation, 1);
    cr_assert_eq(again.members, 1);
    cr_assert_eq(group_state(w.group), GROUP_COMPLETING);
}

Test(group_join, a_leader_that_does_not_come_back_is_replaced)
{
    char ids[2][128];
    world_stable(&w, 2, ids);
    struct ask ask;
    cr_assert_eq(world_leave(&w, ids[0], NULL), KAFKA_ERR_NONE);
    world_join(&w, (struct client){.id = ids[1]}, &ask);
    cr_assert_eq(ask.generation, 2);
    cr_assert_str_eq(ask.leader, ids[1]);
}

Test(group_join, the_group_refuses_members_beyond_its_size)
{
    char ids[2][128];
    world_stable(&w, 2, ids);
    w.settings.size_max = 2;
    struct ask ask;
    world_join(&w, (struct client){0}, &ask);
    cr_assert_eq(ask.error, KAFKA_ERR_GROUP_MAX_SIZE_REACHED);
    cr_assert_str_eq(ask.member_id, "");
    cr_assert_eq(group_state(w.group), GROUP_STABLE);
}

Test(group_join, a_lowered_size_puts_out_the_last_to_come_back)
{
    char ids[2][128];
    world_stable(&w, 2, ids);
    w.settings.size_max = 1;
    struct ask first, second;
    world_join(&w, (struct client){.id = ids[0]}, &first);
    world_join(&w, (struct client){.id = ids[1]}, &second);
    cr_assert_eq(second.error, KAFKA_ERR_GROUP_MAX_SIZE_REACHED);
    cr_assert_eq(first.error, KAFKA_ERR_NONE);
    cr_assert(first.answered);
}

Test(group_join, members_of_too_many_bytes_are_refused)
{
    w.settings.bytes_max = 40;
    struct ask ask;
    world_join(&w, (struct client){.version = 3, .protocols = "range=0123456789012345678901234567890"}, &ask);
    cr_assert_eq(ask.error, KAFKA_ERR_GROUP_MAX_SIZE_REACHED);
}

Test(group_join, the_record_of_a_full_group_is_no_larger_than_its_limit)
{
    enum { LIMIT = 4000, HEAD = 100, MOST = 400 }; // HEAD: the record but for members
    struct ask ask = {0};
    struct buf value;
    w.settings.bytes_max = LIMIT;
    w.settings.size_max = MOST;
    for (int i = 0; i < MOST && ask.error == KAFKA_ERR_NONE; i++)
        world_join(&w, (struct client){.version = 3, .protocols = "r="}, &ask);
    cr_assert_eq(ask.error, KAFKA_ERR_GROUP_MAX_SIZE_REACHED);
    cr_assert_lt(group_size(w.group), MOST);
    buf_init(&value, 1 << 20);
    cr_assert_eq(group_record_value(w.group, &value), ST_OK);
    cr_expect_leq(value.len, LIMIT + HEAD, "%zu bytes of %zu members", value.len, group_size(w.group));
    buf_fini(&value);
}

Test(group_join, who_has_become_too_large_is_out_and_the_others_share_what_it_had)
{
    char ids[2][128];
    struct ask ask;
    world_stable(&w, 2, ids);
    w.settings.bytes_max = 200;
    char protocols[320];
    snprintf(protocols, sizeof protocols, "range=%0300d", 1);
    world_join(&w, (struct client){.id = ids[1], .protocols = protocols}, &ask);
    cr_assert_eq(ask.error, KAFKA_ERR_GROUP_MAX_SIZE_REACHED);
    cr_assert_eq(group_size(w.group), 1);
    cr_assert_eq(world_heartbeat(&w, ids[0], 1), KAFKA_ERR_REBALANCE_IN_PROGRESS);
    world_join(&w, (struct client){.id = ids[0], .protocols = protocols}, &ask);
    cr_assert_eq(ask.error, KAFKA_ERR_GROUP_MAX_SIZE_REACHED);
    cr_assert_eq(group_state(w.group), GROUP_EMPTY);
}

Test(group_join, pending_ids_have_a_limit)
{
    w.settings.pending_max = 1;
    struct ask first, second;
    world_join(&w, (struct client){0}, &first);
    world_join(&w, (struct client){0}, &second);
    cr_assert_eq(first.error, KAFKA_ERR_MEMBER_ID_REQUIRED);
    cr_assert_eq(second.error, KAFKA_ERR_GROUP_MAX_SIZE_REACHED);
}

Test(group_join, asking_on_a_second_connection_answers_the_first_one_as_retriable)
{
    char ids[2][128];
    world_stable(&w, 2, ids);
    struct ask first, second;
    world_join(&w, (struct client){.id = ids[0]}, &first);
    world_join(&w, (struct client){.id = ids[0]}, &second);
    cr_assert_eq(first.error, KAFKA_ERR_REBALANCE_IN_PROGRESS);
    cr_assert(!second.answered);
}

Test(group_join, a_client_that_is_gone_stays_in_the_rebalance)
{
    char ids[2][128];
    world_stable(&w, 2, ids);
    struct ask gone, other;
    world_join(&w, (struct client){.id = ids[0]}, &gone);
    group_forget(w.group, &gone);
    world_join(&w, (struct client){.id = ids[1]}, &other);
    cr_assert(!gone.answered);
    cr_assert_eq(other.generation, 2);
    cr_assert_eq(group_size(w.group), 2);
}

Test(group_join, a_member_never_answered_is_dropped_after_five_minutes)
{
    char ids[1][128];
    world_stable(&w, 1, ids);
    struct ask fresh;
    world_join(&w, (struct client){.version = 3, .rebalance_ms = 1000000}, &fresh);
    for (int i = 0; i < 31; i++) {
        cr_assert_eq(world_heartbeat(&w, ids[0], 1), KAFKA_ERR_REBALANCE_IN_PROGRESS);
        cr_assert(i == 30 || !fresh.answered);
        world_pass(&w, 9999);
    }
    cr_assert_eq(fresh.error, KAFKA_ERR_UNKNOWN_MEMBER_ID);
    cr_assert_eq(group_size(w.group), 1);
}
