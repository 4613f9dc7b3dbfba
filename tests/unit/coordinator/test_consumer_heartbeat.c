// SPDX-License-Identifier: Apache-2.0
// Heartbeats of the consumer protocol: epochs, reconciliation, fencing, static members, clocks. One test per
// behaviour, in the words of KIP-848.
#include "consumer_world.h"

#include <criterion/criterion.h>

static struct consumer_world w;

static void setup(void)
{
    consumer_world_init(&w);
    consumer_world_topic(&w, "a", 4);
}

static void teardown(void)
{
    consumer_world_fini(&w);
}

TestSuite(consumer_heartbeat, .init = setup, .fini = teardown);

static struct heard beat(const char *member, int32_t epoch, const char *owned)
{
    return consumer_world_beat(&w, member, (struct said){.epoch = epoch, .owned = owned});
}

// m1 has all of a at epoch 1, then m2 joins: m1 is to give up a2 and a3.
static void two_members(void)
{
    cr_assert_str_eq(consumer_world_join(&w, "m1", "a").assignment, "a0 a1 a2 a3");
    struct heard joined = consumer_world_join(&w, "m2", "a");
    cr_assert_eq(joined.epoch, 2);
    cr_assert_str_eq(joined.assignment, "");
}

// ---- joining and reconciling ----

Test(consumer_heartbeat, the_first_member_gets_everything_at_once)
{
    struct heard heard = consumer_world_join(&w, "m1", "a");
    cr_assert_eq(heard.error, KAFKA_ERR_NONE);
    cr_assert_eq(heard.epoch, 1);
    cr_assert_str_eq(heard.assignment, "a0 a1 a2 a3");
    cr_assert_eq(consumer_state(w.group), CONSUMER_STABLE);
    cr_assert_eq(consumer_epoch(w.group), 1);
    cr_assert_eq(consumer_target_epoch(w.group), 1);
}

Test(consumer_heartbeat, an_unchanged_assignment_is_not_told_again)
{
    consumer_world_join(&w, "m1", "a");
    struct heard heard = beat("m1", 1, NULL);
    cr_assert_eq(heard.error, KAFKA_ERR_NONE);
    cr_assert_eq(heard.epoch, 1);
    cr_assert_not(heard.told);
    cr_assert_eq(consumer_world_write(&w), 0);
}

Test(consumer_heartbeat, a_full_request_is_told_its_assignment)
{
    consumer_world_join(&w, "m1", "a");
    struct said said = {.epoch = 1, .topics = "a", .owned = "a0", .rebalance_ms = 10000};
    cr_assert_str_eq(consumer_world_beat(&w, "m1", said).assignment, "a0 a1 a2 a3");
}

Test(consumer_heartbeat, a_partition_is_given_only_after_its_owner_said_that_it_has_given_it_up)
{
    two_members();
    struct heard told = beat("m1", 1, "a0 a1 a2 a3");
    cr_assert_eq(told.epoch, 1); // it stays at its epoch
    cr_assert_str_eq(told.assignment, "a0 a1");
    cr_assert_eq(consumer_state(w.group), CONSUMER_RECONCILING);
    cr_assert_str_eq(consumer_world_has(&w, "m2"), "");
    beat("m2", 2, NULL);
    cr_assert_str_eq(consumer_world_has(&w, "m2"), "");
    told = beat("m1", 1, NULL); // no word about what it has
    cr_assert_eq(told.epoch, 1);
    told = beat("m1", 1, "a0 a1 a3"); // not all of it
    cr_assert_eq(told.epoch, 1);
    beat("m2", 2, NULL);
    cr_assert_str_eq(consumer_world_has(&w, "m2"), "");
    told = beat("m1", 1, "a0 a1");
    cr_assert_eq(told.epoch, 2);
    struct heard given = beat("m2", 2, NULL);
    cr_assert_str_eq(given.assignment, "a2 a3");
    cr_assert_eq(consumer_state(w.group), CONSUMER_STABLE);
}

Test(consumer_heartbeat, a_member_that_says_at_once_that_it_has_less_gives_up_at_once)
{
    two_members();
    struct heard heard = beat("m1", 1, "a0");
    cr_assert_eq(heard.epoch, 2);
    cr_assert_str_eq(heard.assignment, "a0 a1");
    cr_assert_str_eq(beat("m2", 2, NULL).assignment, "a2 a3");
}

Test(consumer_heartbeat, waiting_for_others_writes_nothing)
{
    two_members();
    beat("m2", 2, NULL);
    beat("m2", 2, NULL);
    size_t before = w.logged;
    beat("m2", 2, NULL);
    cr_assert_eq(w.logged, before);
}

Test(consumer_heartbeat, what_a_member_left_is_shared_at_the_next_heartbeats)
{
    two_members();
    beat("m1", 1, "a0 a1 a2 a3");
    cr_assert_eq(beat("m1", CONSUMER_LEAVE, NULL).epoch, CONSUMER_LEAVE);
    cr_assert_eq(consumer_epoch(w.group), 3);
    cr_assert_eq(consumer_state(w.group), CONSUMER_ASSIGNING);
    struct heard heard = beat("m2", 2, NULL);
    cr_assert_eq(heard.epoch, 3);
    cr_assert_str_eq(heard.assignment, "a0 a1 a2 a3");
}

Test(consumer_heartbeat, a_changed_subscription_takes_and_gives)
{
    consumer_world_topic(&w, "b", 2);
    consumer_world_join(&w, "m1", "a");
    struct said said = {.epoch = 1, .topics = "b"};
    struct heard heard = consumer_world_beat(&w, "m1", said);
    cr_assert_eq(heard.epoch, 1);
    cr_assert_str_eq(heard.assignment, "");
    heard = beat("m1", 1, "");
    cr_assert_eq(heard.epoch, 2);
    cr_assert_str_eq(heard.assignment, "b0 b1");
}

Test(consumer_heartbeat, members_with_different_topics_get_their_own)
{
    consumer_world_topic(&w, "b", 2);
    consumer_world_join(&w, "m1", "a");
    cr_assert_str_eq(consumer_world_join(&w, "m2", "b").assignment, "b0 b1");
    beat("m1", 1, "a0 a1 a2 a3");
    cr_assert_str_eq(consumer_world_has(&w, "m1"), "a0 a1 a2 a3");
    cr_assert_eq(consumer_world_epoch(&w, "m1"), 2);
}

// ---- topics that come and go ----

Test(consumer_heartbeat, new_partitions_and_topics_bump_the_group_epoch)
{
    consumer_world_join(&w, "m1", "a b");
    consumer_world_topic(&w, "a", 5);
    cr_assert_str_eq(beat("m1", 1, NULL).assignment, "a0 a1 a2 a3 a4");
    consumer_world_topic(&w, "b", 1);
    struct heard heard = beat("m1", 2, NULL);
    cr_assert_eq(heard.epoch, 3);
    cr_assert_str_eq(heard.assignment, "a0 a1 a2 a3 a4 b0");
}

Test(consumer_heartbeat, other_topics_bump_nothing)
{
    consumer_world_join(&w, "m1", "a");
    consumer_world_topic(&w, "other", 3);
    cr_assert_eq(beat("m1", 1, NULL).epoch, 1);
}

Test(consumer_heartbeat, a_topic_that_is_gone_is_given_up)
{
    consumer_world_topic(&w, "b", 1);
    consumer_world_join(&w, "m1", "a b");
    consumer_world_topic_gone(&w, "b");
    cr_assert_str_eq(beat("m1", 1, NULL).assignment, "a0 a1 a2 a3");
    cr_assert_eq(beat("m1", 1, "a0 a1 a2 a3").epoch, 2);
}

// ---- assignors ----

Test(consumer_heartbeat, the_assignor_most_members_name_is_used)
{
    consumer_world_topic(&w, "b", 4);
    struct said said = {.topics = "a b", .assignor = "range", .owned = "", .rebalance_ms = 10000};
    consumer_world_beat(&w, "m1", said);
    cr_assert(slice_is(consumer_assignor(w.group), "range"));
    consumer_world_beat(&w, "m2", said);
    cr_assert_str_eq(consumer_world_target(&w, "m2"), "a2 a3 b2 b3");
}

// ---- fencing ----

Test(consumer_heartbeat, an_unknown_member_cannot_go_on)
{
    consumer_world_join(&w, "m1", "a");
    cr_assert_eq(beat("m9", 1, NULL).error, KAFKA_ERR_UNKNOWN_MEMBER_ID);
    cr_assert_eq(beat("m9", CONSUMER_LEAVE, NULL).error, KAFKA_ERR_UNKNOWN_MEMBER_ID);
}

Test(consumer_heartbeat, an_epoch_ahead_of_ours_is_fenced)
{
    consumer_world_join(&w, "m1", "a");
    cr_assert_eq(beat("m1", 2, NULL).error, KAFKA_ERR_FENCED_MEMBER_EPOCH);
}

Test(consumer_heartbeat, an_epoch_before_the_last_is_fenced)
{
    consumer_world_join(&w, "m1", "a");
    for (int i = 5; i <= 7; i++) {
        consumer_world_topic(&w, "a", i);
        beat("m1", i - 4, NULL);
    }
    cr_assert_eq(consumer_world_epoch(&w, "m1"), 4);
    cr_assert_eq(beat("m1", 2, "").error, KAFKA_ERR_FENCED_MEMBER_EPOCH);
}

// KAFKA-19222, KAFKA-19235: the answer was lost, the client says the same again.
Test(consumer_heartbeat, the_last_epoch_said_again_does_not_fence)
{
    consumer_world_join(&w, "m1", "a");
    consumer_world_topic(&w, "a", 5);
    cr_assert_eq(beat("m1", 1, NULL).epoch, 2);
    struct heard again = beat("m1", 1, NULL);
    cr_assert_eq(again.error, KAFKA_ERR_NONE);
    cr_assert_eq(again.epoch, 2);
    cr_assert_str_eq(again.assignment, "a0 a1 a2 a3 a4"); // it has not heard of it
    again = beat("m1", 1, "a0 a1 a2 a3");
    cr_assert_eq(again.epoch, 2);
}

Test(consumer_heartbeat, the_last_epoch_with_something_it_must_not_have_is_fenced)
{
    two_members();
    beat("m1", 1, "a0 a1 a2 a3");
    cr_assert_eq(beat("m1", 1, "a0 a1").epoch, 2);
    cr_assert_eq(beat("m1", 1, "a0 a1 a2").error, KAFKA_ERR_FENCED_MEMBER_EPOCH);
}

// KAFKA-19233: a member that was fenced comes back with epoch 0 although we know it with a later one.
Test(consumer_heartbeat, epoch_0_lets_a_known_member_start_over)
{
    consumer_world_join(&w, "m1", "a");
    for (int i = 5; i <= 7; i++) {
        consumer_world_topic(&w, "a", i);
        beat("m1", i - 4, NULL);
    }
    struct heard heard = consumer_world_join(&w, "m1", "a");
    cr_assert_eq(heard.error, KAFKA_ERR_NONE);
    cr_assert_eq(heard.epoch, 4);
    cr_assert_str_eq(heard.assignment, "a0 a1 a2 a3 a4 a5 a6");
}

Test(consumer_heartbeat, a_join_said_again_changes_nothing)
{
    struct heard first = consumer_world_join(&w, "m1", "a");
    size_t before = w.logged;
    struct heard again = consumer_world_join(&w, "m1", "a");
    cr_assert_eq(again.epoch, first.epoch);
    cr_assert_str_eq(again.assignment, first.assignment);
    cr_assert_eq(w.logged, before);
}

Test(consumer_heartbeat, a_full_group_takes_nobody_else)
{
    w.settings.size_max = 1;
    consumer_world_join(&w, "m1", "a");
    cr_assert_eq(consumer_world_join(&w, "m2", "a").error, KAFKA_ERR_GROUP_MAX_SIZE_REACHED);
    cr_assert_eq(consumer_size(w.group), 1);
    cr_assert_eq(beat("m1", 1, NULL).error, KAFKA_ERR_NONE);
}

Test(consumer_heartbeat, what_members_say_of_themselves_is_bounded)
{
    w.settings.bytes_max = 300;
    cr_assert_eq(consumer_world_join(&w, "m1", "a b c d e f g h i j k").error,
                 KAFKA_ERR_GROUP_MAX_SIZE_REACHED);
    cr_assert(consumer_unused(w.group));
}

Test(consumer_heartbeat, long_member_ids_count_too)
{
    static char id[4001];
    memset(id, 'm', sizeof id - 1);
    w.settings.bytes_max = 4000;
    cr_assert_eq(consumer_world_join(&w, id, "a").error, KAFKA_ERR_GROUP_MAX_SIZE_REACHED);
    cr_assert_eq(consumer_world_join(&w, "m1", "a").error, KAFKA_ERR_NONE);
}

Test(consumer_heartbeat, a_long_group_id_counts_with_each_member)
{
    static char id[1001];
    memset(id, 'g', sizeof id - 1);
    consumer_group_destroy(&w.group);
    w.group = consumer_group_new(slice_str(id), &w.settings, &w.topics);
    w.settings.bytes_max = 3000;
    cr_assert_eq(consumer_world_join(&w, "m1", "a").error, KAFKA_ERR_NONE);
    cr_assert_eq(consumer_world_join(&w, "m2", "a").error, KAFKA_ERR_NONE);
    cr_assert_eq(consumer_world_join(&w, "m3", "a").error, KAFKA_ERR_GROUP_MAX_SIZE_REACHED);
    cr_assert_eq(beat("m1", 1, NULL).error, KAFKA_ERR_NONE);
    cr_assert_eq(consumer_world_join(&w, "m1", "a").error, KAFKA_ERR_NONE, "who is in may join again");
}

// ---- static members ----

static struct heard join_static(const char *member, const char *instance)
{
    struct said said = {.topics = "a", .instance = instance, .owned = "", .rebalance_ms = 10000};
    return consumer_world_beat(&w, member, said);
}

static struct heard beat_static(const char *member, const char *instance, int32_t epoch)
{
    return consumer_world_beat(&w, member, (struct said){.instance = instance, .epoch = epoch});
}

Test(consumer_heartbeat, a_static_member_comes_back_to_what_it_had)
{
    join_static("m1", "i1");
    join_static("m2", "i2");
    consumer_world_beat(&w, "m1", (struct said){.instance = "i1", .epoch = 1, .owned = "a0 a1"});
    cr_assert_str_eq(beat_static("m2", "i2", 2).assignment, "a2 a3");
    int32_t epoch = consumer_epoch(w.group);
    cr_assert_eq(beat_static("m2", "i2", CONSUMER_LEAVE_STATIC).epoch, CONSUMER_LEAVE_STATIC);
    cr_assert_eq(consumer_epoch(w.group), epoch);
    struct heard heard = join_static("m3", "i2");
    cr_assert_eq(heard.error, KAFKA_ERR_NONE);
    cr_assert_eq(heard.epoch, epoch);
    cr_assert_str_eq(heard.assignment, "a2 a3");
    cr_assert_eq(consumer_epoch(w.group), epoch);
    cr_assert_eq(consumer_size(w.group), 2);
}

Test(consumer_heartbeat, an_instance_that_has_not_left_is_unreleased)
{
    join_static("m1", "i1");
    cr_assert_eq(join_static("m2", "i1").error, KAFKA_ERR_UNRELEASED_INSTANCE_ID);
    cr_assert_eq(consumer_size(w.group), 1);
}

Test(consumer_heartbeat, a_member_that_gets_an_instance_id_stays_one_member)
{
    consumer_world_join(&w, "m1", "a");
    const char *const instances[] = {"i1", "i2"};
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(join_static("m1", instances[i]).error, KAFKA_ERR_NONE);
        cr_assert_eq(consumer_size(w.group), 1);
        cr_assert_str_eq(consumer_world_has(&w, "m1"), "a0 a1 a2 a3");
    }
    cr_assert_eq(beat_static("m1", "i1", 1).error, KAFKA_ERR_UNKNOWN_MEMBER_ID);
    cr_assert_eq(beat_static("m1", "i2", CONSUMER_LEAVE).error, KAFKA_ERR_NONE);
    cr_assert_str_eq(consumer_world_join(&w, "m2", "a").assignment, "a0 a1 a2 a3");
}

Test(consumer_heartbeat, nobody_takes_an_instances_place_under_anothers_id)
{
    join_static("m1", "i1");
    consumer_world_join(&w, "m2", "a");
    beat_static("m1", "i1", CONSUMER_LEAVE_STATIC);
    cr_assert_eq(join_static("m2", "i1").error, KAFKA_ERR_INVALID_REQUEST);
    cr_assert_eq(consumer_size(w.group), 2);
    cr_assert_eq(join_static("m3", "i1").error, KAFKA_ERR_NONE);
    cr_assert_eq(consumer_size(w.group), 2);
}

Test(consumer_heartbeat, a_replaced_static_member_is_fenced)
{
    join_static("m1", "i1");
    beat_static("m1", "i1", CONSUMER_LEAVE_STATIC);
    join_static("m2", "i1");
    cr_assert_eq(beat_static("m1", "i1", 1).error, KAFKA_ERR_FENCED_INSTANCE_ID);
    cr_assert_eq(beat_static("m1", "i1", CONSUMER_LEAVE).error, KAFKA_ERR_FENCED_INSTANCE_ID);
    cr_assert_eq(beat_static("m9", "unknown", 1).error, KAFKA_ERR_UNKNOWN_MEMBER_ID);
}

Test(consumer_heartbeat, a_static_member_that_left_for_a_while_is_dead_when_its_session_ends)
{
    join_static("m1", "i1");
    beat_static("m1", "i1", CONSUMER_LEAVE_STATIC);
    consumer_world_pass(&w, 44000);
    cr_assert_eq(consumer_size(w.group), 1);
    consumer_world_pass(&w, 2000);
    cr_assert_eq(consumer_size(w.group), 0);
}

Test(consumer_heartbeat, a_static_member_that_left_comes_back_under_its_own_id)
{
    join_static("m1", "i1");
    beat_static("m1", "i1", CONSUMER_LEAVE_STATIC);
    cr_assert_eq(beat_static("m1", "i1", 1).error, KAFKA_ERR_FENCED_MEMBER_EPOCH);
    struct heard heard = join_static("m1", "i1");
    cr_assert_eq(heard.epoch, 1);
    cr_assert_str_eq(heard.assignment, "a0 a1 a2 a3");
}

// ---- clocks ----

Test(consumer_heartbeat, a_silent_member_is_dead_when_its_session_ends)
{
    consumer_world_join(&w, "m1", "a");
    consumer_world_pass(&w, 30000);
    beat("m1", 1, NULL);
    consumer_world_pass(&w, 44000);
    cr_assert_eq(consumer_size(w.group), 1);
    consumer_world_pass(&w, 1001);
    cr_assert_eq(consumer_size(w.group), 0);
    cr_assert_eq(consumer_state(w.group), CONSUMER_EMPTY);
    cr_assert_eq(beat("m1", 1, NULL).error, KAFKA_ERR_UNKNOWN_MEMBER_ID);
}

Test(consumer_heartbeat, a_member_that_does_not_give_up_in_time_is_put_out)
{
    two_members();
    beat("m1", 1, "a0 a1 a2 a3");
    consumer_world_pass(&w, 9000);
    beat("m1", 1, "a0 a1 a2 a3"); // alive, but it keeps them
    consumer_world_pass(&w, 1001);
    cr_assert_eq(beat("m1", 1, NULL).error, KAFKA_ERR_UNKNOWN_MEMBER_ID);
    cr_assert_str_eq(beat("m2", 2, NULL).assignment, "a0 a1 a2 a3");
}

Test(consumer_heartbeat, a_member_that_gives_up_in_time_stays)
{
    two_members();
    beat("m1", 1, "a0 a1 a2 a3");
    consumer_world_pass(&w, 9000);
    beat("m1", 1, "a0 a1");
    consumer_world_pass(&w, 30000);
    cr_assert_eq(beat("m1", 2, NULL).error, KAFKA_ERR_NONE);
}

// ---- offsets ----

static int16_t may_commit(const char *member, int32_t epoch, int16_t version, const char *part)
{
    const struct consumer_member *behind;
    struct consumer_commit commit = {.who = {.member_id = slice_str(member), .generation = epoch},
                                     .version = version};
    int16_t error = consumer_may_commit(w.group, &commit, &behind);
    if (error != KAFKA_ERR_NONE || behind == NULL)
        return error;
    struct parts parts = consumer_world_parts(&w, part);
    bool may = consumer_may_commit_part(behind, epoch, &parts.items[0]);
    parts_fini(&parts);
    return may ? KAFKA_ERR_NONE : KAFKA_ERR_STALE_MEMBER_EPOCH;
}

Test(consumer_heartbeat, commits_are_let_in_by_member_epoch)
{
    cr_assert_eq(may_commit("", -1, 9, "a0"), KAFKA_ERR_NONE); // the group is empty
    consumer_world_join(&w, "m1", "a");
    cr_assert_eq(may_commit("", -1, 9, "a0"), KAFKA_ERR_UNKNOWN_MEMBER_ID);
    cr_assert_eq(may_commit("m9", 1, 9, "a0"), KAFKA_ERR_UNKNOWN_MEMBER_ID);
    cr_assert_eq(may_commit("m1", 1, 9, "a0"), KAFKA_ERR_NONE);
    cr_assert_eq(may_commit("m1", 2, 9, "a0"), KAFKA_ERR_STALE_MEMBER_EPOCH);
    cr_assert_eq(may_commit("m1", 1, 8, "a0"), KAFKA_ERR_UNSUPPORTED_VERSION);
    cr_assert_eq(consumer_may_fetch(w.group, slice_str("m1"), 1), KAFKA_ERR_NONE);
    cr_assert_eq(consumer_may_fetch(w.group, slice_str("m1"), 0), KAFKA_ERR_STALE_MEMBER_EPOCH);
    cr_assert_eq(consumer_may_fetch(w.group, slice_str("m9"), 0), KAFKA_ERR_UNKNOWN_MEMBER_ID);
    cr_assert_eq(consumer_may_fetch(w.group, (struct slice){0}, -1), KAFKA_ERR_NONE);
}

// KIP-1251: the member has not heard of its new epoch yet; what it had before it may still commit.
Test(consumer_heartbeat, an_older_epoch_may_commit_what_it_had_then)
{
    consumer_world_join(&w, "m1", "a");
    consumer_world_topic(&w, "a", 5);
    cr_assert_eq(beat("m1", 1, NULL).epoch, 2);
    cr_assert_eq(may_commit("m1", 1, 9, "a0"), KAFKA_ERR_NONE);
    cr_assert_eq(may_commit("m1", 1, 9, "a4"), KAFKA_ERR_STALE_MEMBER_EPOCH);
    cr_assert_eq(may_commit("m1", 2, 9, "a4"), KAFKA_ERR_NONE);
    consumer_world_take_over(&w, 0); // assignment epochs are in the record
    cr_assert_eq(may_commit("m1", 1, 9, "a0"), KAFKA_ERR_NONE);
    cr_assert_eq(may_commit("m1", 1, 9, "a4"), KAFKA_ERR_STALE_MEMBER_EPOCH);
}

Test(consumer_heartbeat, what_is_being_given_up_may_still_be_committed)
{
    two_members();
    beat("m1", 1, "a0 a1 a2 a3");
    cr_assert_eq(may_commit("m1", 1, 9, "a3"), KAFKA_ERR_NONE);
    beat("m1", 1, "a0 a1");
    cr_assert_eq(may_commit("m1", 1, 9, "a3"), KAFKA_ERR_STALE_MEMBER_EPOCH);
    cr_assert_eq(may_commit("m1", 1, 9, "a0"), KAFKA_ERR_NONE);
}
