// SPDX-License-Identifier: Apache-2.0
// What a new owner makes of a group's record at every point of its life (issue: no rebalance for a stable
// group, a rebalance completes with the same members and no ghost), and that Kafka can read what we write.
#include "group_world.h"

#include "base/bytes.h"
#include "base/arena.h"
#include "kafka/codec.h"
#include "kafka/messages/consumer_offsets_records.h"

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

TestSuite(group_takeover, .init = setup, .fini = teardown);

Test(group_takeover, a_stable_group_keeps_generation_and_assignment)
{
    world_stable(&w, 3, ids);
    world_take_over(&w);
    cr_assert_eq(group_state(w.group), GROUP_STABLE);
    for (int i = 0; i < 3; i++) {
        struct ask sync;
        cr_assert_eq(world_heartbeat(&w, ids[i], 1), KAFKA_ERR_NONE);
        world_sync(&w, ids[i], 1, NULL, &sync);
        char want[16];
        snprintf(want, sizeof want, "a%d", i + 1);
        cr_assert_str_eq(sync.assignment, want);
    }
    cr_assert(!group_dirty(w.group));
}

Test(group_takeover, session_clocks_start_again)
{
    world_stable(&w, 2, ids);
    world_pass(&w, 9000);
    world_take_over(&w);
    world_pass(&w, 9000);
    cr_assert_eq(world_heartbeat(&w, ids[0], 1), KAFKA_ERR_NONE);
    world_pass(&w, 1001); // the other one stays silent
    cr_assert_eq(group_size(w.group), 1);
}

Test(group_takeover, an_unchanged_follower_that_asks_again_is_not_taken_for_a_change)
{
    world_stable(&w, 2, ids);
    world_take_over(&w);
    struct ask ask;
    world_join(&w, (struct client){.id = ids[1], .protocols = "sticky=x,range=meta"}, &ask);
    cr_assert_eq(ask.generation, 1);
    cr_assert_eq(group_state(w.group), GROUP_STABLE);
}

Test(group_takeover, a_rebalance_in_the_join_phase_completes_with_the_same_members)
{
    char id[128];
    world_stable(&w, 2, ids);
    struct ask fresh, parked;
    world_join_new(&w, (struct client){0}, id, &fresh);
    world_join(&w, (struct client){.id = ids[0]}, &parked);
    world_take_over(&w);
    cr_assert_eq(group_state(w.group), GROUP_PREPARING);
    struct ask again[3];
    world_join(&w, (struct client){.id = id}, &again[0]); // sent again by the storage node
    world_join(&w, (struct client){.id = ids[0]}, &again[1]);
    cr_assert_eq(world_heartbeat(&w, ids[1], 1), KAFKA_ERR_REBALANCE_IN_PROGRESS);
    world_join(&w, (struct client){.id = ids[1]}, &again[2]);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(again[i].generation, 2);
    cr_assert_eq(group_size(w.group), 3);
}

Test(group_takeover, a_rebalance_to_another_protocol_completes_too)
{
    struct ask leader, sync, fresh, again[2];
    char ids_of[2][128];
    world_join_new(&w, (struct client){.protocols = "range=1,sticky=2"}, ids_of[0], &leader);
    world_pass(&w, 3000);
    world_sync(&w, ids_of[0], 1, NULL, &sync);
    world_join_new(&w, (struct client){.protocols = "sticky=2"}, ids_of[1], &fresh);
    world_take_over(&w);
    world_join(&w, (struct client){.id = ids_of[1], .protocols = "sticky=2"}, &again[1]);
    world_join(&w, (struct client){.id = ids_of[0], .protocols = "range=1,sticky=2"}, &again[0]);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(again[i].error, KAFKA_ERR_NONE);
        cr_assert_str_eq(again[i].protocol, "sticky");
    }
}

Test(group_takeover, the_join_phase_of_a_first_generation_completes_too)
{
    char id[128];
    struct ask fresh, again;
    world_join_new(&w, (struct client){.protocols = "range=1,sticky=2"}, id, &fresh);
    world_take_over(&w);
    world_join(&w, (struct client){.id = id, .protocols = "range=1,sticky=2"}, &again);
    cr_assert_eq(again.generation, 1);
    cr_assert_eq(group_size(w.group), 1);
}

Test(group_takeover, a_member_that_does_not_know_its_id_yet_leaves_no_ghost_in_the_join_phase)
{
    world_stable(&w, 1, ids);
    struct ask unaware, again, leader;
    world_join(&w, (struct client){.version = 3}, &unaware);
    world_take_over(&w);
    cr_assert_eq(group_size(w.group), 1);
    world_join(&w, (struct client){.version = 3}, &again);
    world_join(&w, (struct client){.id = ids[0]}, &leader);
    cr_assert_eq(again.generation, 2);
    cr_assert_eq(group_size(w.group), 2);
}

Test(group_takeover, nor_when_its_first_answer_was_lost)
{
    world_stable(&w, 1, ids);
    struct ask unaware, leader;
    world_join(&w, (struct client){.version = 3}, &unaware);
    world_join(&w, (struct client){.id = ids[0]}, &leader);
    cr_assert_eq(group_state(w.group), GROUP_COMPLETING);
    world_take_over(&w);
    cr_assert_eq(group_size(w.group), 1);
    cr_assert_eq(group_state(w.group), GROUP_PREPARING);
    cr_assert_eq(world_heartbeat(&w, ids[0], 2), KAFKA_ERR_REBALANCE_IN_PROGRESS);
}

// A member before KIP-394 with its answer, in a generation whose assignments are awaited; all is written.
static void told_its_id(struct ask *told)
{
    struct ask leader;
    world_stable(&w, 1, ids);
    world_join(&w, (struct client){.version = 3}, told);
    world_join(&w, (struct client){.id = ids[0]}, &leader);
    cr_assert_eq(group_state(w.group), GROUP_COMPLETING);
    world_write(&w);
}

static void expect_kept(const struct ask *told)
{
    world_take_over(&w);
    cr_expect_eq(group_size(w.group), 2);
    cr_expect_eq(group_state(w.group), GROUP_COMPLETING);
    cr_expect_eq(world_heartbeat(&w, told->member_id, told->generation), KAFKA_ERR_NONE);
}

Test(group_takeover, but_one_that_has_sent_a_heartbeat_under_its_id_is_kept)
{
    struct ask told;
    told_its_id(&told);
    cr_assert_eq(world_heartbeat(&w, told.member_id, told.generation), KAFKA_ERR_NONE);
    expect_kept(&told);
}

Test(group_takeover, so_is_one_that_has_asked_for_its_assignment)
{
    struct ask told, sync;
    told_its_id(&told);
    world_sync(&w, told.member_id, told.generation, NULL, &sync);
    expect_kept(&told);
}

Test(group_takeover, so_is_one_that_has_tried_to_commit)
{
    struct ask told;
    told_its_id(&told);
    cr_assert_eq(world_commit(&w, told.member_id, told.generation), KAFKA_ERR_REBALANCE_IN_PROGRESS);
    expect_kept(&told);
}

Test(group_takeover, so_is_one_that_has_joined_again_under_its_id)
{
    char id[128];
    struct ask told, other, again;
    told_its_id(&told);
    world_join_new(&w, (struct client){0}, id, &other);
    cr_assert_eq(group_state(w.group), GROUP_PREPARING);
    world_write(&w);
    world_join(&w, (struct client){.id = told.member_id, .version = 3}, &again);
    world_take_over(&w);
    cr_expect_eq(group_size(w.group), 3);
    cr_expect_eq(world_heartbeat(&w, told.member_id, told.generation), KAFKA_ERR_REBALANCE_IN_PROGRESS);
}

Test(group_takeover, a_heartbeat_in_a_stable_group_writes_nothing)
{
    struct ask told, sync;
    told_its_id(&told);
    char given[300];
    snprintf(given, sizeof given, "%s=one,%s=two", ids[0], told.member_id);
    world_sync(&w, ids[0], told.generation, given, &sync);
    cr_assert_eq(group_state(w.group), GROUP_STABLE);
    world_write(&w);
    cr_assert_eq(world_heartbeat(&w, told.member_id, told.generation), KAFKA_ERR_NONE);
    cr_expect_not(group_dirty(w.group), "the record of a stable group has no such mark");
}

Test(group_takeover, awaited_assignments_are_taken_by_the_new_owner)
{
    char id[128];
    world_stable(&w, 1, ids);
    struct ask fresh, leader, sync[2];
    world_join_new(&w, (struct client){0}, id, &fresh);
    world_join(&w, (struct client){.id = ids[0]}, &leader);
    world_sync(&w, id, 2, NULL, &sync[1]);
    world_take_over(&w);
    cr_assert_eq(group_state(w.group), GROUP_COMPLETING);
    cr_assert_eq(world_heartbeat(&w, id, 2), KAFKA_ERR_NONE);
    world_sync(&w, id, 2, NULL, &sync[1]);
    char given[300];
    snprintf(given, sizeof given, "%s=one,%s=two", ids[0], id);
    world_sync(&w, ids[0], 2, given, &sync[0]);
    cr_assert_str_eq(sync[0].assignment, "one");
    cr_assert_str_eq(sync[1].assignment, "two");
}

Test(group_takeover, a_lost_join_answer_is_given_again_to_the_leader_with_all_members)
{
    char id[128];
    world_stable(&w, 1, ids);
    struct ask fresh, leader, again;
    world_join_new(&w, (struct client){0}, id, &fresh);
    world_join(&w, (struct client){.id = ids[0]}, &leader);
    world_take_over(&w);
    world_join(&w, (struct client){.id = ids[0]}, &again);
    cr_assert_eq(again.generation, 2);
    cr_assert_eq(again.members, 2);
    cr_assert_eq(group_state(w.group), GROUP_COMPLETING);
}

Test(group_takeover, a_member_that_never_comes_back_is_out_at_the_timeouts)
{
    char id[128];
    world_stable(&w, 2, ids);
    struct ask fresh, again;
    world_join_new(&w, (struct client){0}, id, &fresh);
    world_take_over(&w);
    world_join(&w, (struct client){.id = id}, &again);
    world_join(&w, (struct client){.id = ids[0]}, &fresh);
    world_pass(&w, 10001);
    cr_assert_eq(again.generation, 2);
    cr_assert_eq(group_size(w.group), 2);
}

Test(group_takeover, static_members_keep_their_instance)
{
    struct ask join, sync, again;
    world_join(&w, (struct client){.instance = "i-a"}, &join);
    world_pass(&w, 3000);
    world_sync(&w, join.member_id, 1, NULL, &sync);
    world_take_over(&w);
    world_join(&w, (struct client){.instance = "i-a"}, &again);
    cr_assert_eq(again.error, KAFKA_ERR_NONE);
    cr_assert_eq(again.generation, 1);
    cr_assert_eq(group_size(w.group), 1);
}

Test(group_takeover, a_static_member_missing_from_an_unfinished_rebalance_is_dropped_not_guessed)
{
    struct ask join, other;
    char id[128];
    world_join(&w, (struct client){.instance = "i-a", .rebalance_ms = 5000, .session_ms = 300000}, &join);
    world_take_over(&w);
    world_join_new(&w, (struct client){.rebalance_ms = 5000}, id, &other);
    world_pass(&w, 5001);
    cr_assert_eq(other.generation, 1);
    cr_assert_eq(other.members, 1);
}

Test(group_takeover, an_empty_group_keeps_its_generation_and_time)
{
    world_stable(&w, 1, ids);
    world_leave(&w, ids[0], NULL);
    int64_t since_ms = group_state_since_ms(w.group);
    world_pass(&w, 5000);
    world_take_over(&w);
    cr_assert_eq(group_state(w.group), GROUP_EMPTY);
    cr_assert_eq(group_generation(w.group), 2);
    cr_assert_eq(group_state_since_ms(w.group), since_ms);
    cr_assert(slice_is(group_protocol_type(w.group), "consumer"));
}

static int16_t kafka_sees(struct kafka_group_metadata_value *value, struct arena *arena)
{
    static struct buf bytes;
    buf_init(&bytes, 1 << 20);
    cr_assert_eq(group_record_value(w.group, &bytes), ST_OK);
    int16_t version = (int16_t)load_be16(bytes.data);
    cr_assert_eq(kafka_decode(&kafka_group_metadata_value_message, version,
                              slice_of(bytes.data + 2, bytes.len - 2), arena, value),
                 ST_OK);
    return version;
}

Test(group_takeover, kafka_sees_a_stable_group_as_its_own)
{
    struct kafka_group_metadata_value value;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    world_stable(&w, 2, ids);
    cr_assert_eq(kafka_sees(&value, &arena), 3);
    cr_assert_eq(value.generation, 1);
    cr_assert_eq(value.members_count, 2);
    cr_assert(slice_is(value.protocol, "range"));
    cr_assert(slice_is(value.leader, ids[0]));
    cr_assert(slice_is(value.members[1].assignment, "a2"));
    cr_assert(slice_is(value.members[1].subscription, "meta"));
    cr_assert_eq(value.members[1].session_timeout, 10000);
    cr_assert_eq(value.members[1].rebalance_timeout, 60000);
    arena_fini(&arena);
}

Test(group_takeover, kafka_sees_a_group_in_a_rebalance_as_empty)
{
    struct kafka_group_metadata_value value;
    struct arena arena;
    struct ask ask;
    arena_init(&arena, 1 << 20);
    world_stable(&w, 2, ids);
    world_join(&w, (struct client){.id = ids[0]}, &ask);
    cr_assert_eq(kafka_sees(&value, &arena), 4);
    cr_assert_eq(value.members_count, 0);
    cr_assert_null(value.leader.data);
    cr_assert_eq(value.tags.count, 1);
    arena_fini(&arena);
}

Test(group_takeover, damaged_records_are_refused)
{
    struct ask ask;
    world_stable(&w, 2, ids);
    world_join(&w, (struct client){.id = ids[0]}, &ask);
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    cr_assert_eq(group_record_value(w.group, &bytes), ST_OK);
    for (size_t len = 0; len < bytes.len; len++) {
        struct group *copy = group_new(slice_str("g"), &w.settings, &w.sink);
        cr_assert_neq(group_record_load(copy, slice_of(bytes.data, len)), ST_OK);
        group_destroy(&copy);
    }
    buf_fini(&bytes);
}
