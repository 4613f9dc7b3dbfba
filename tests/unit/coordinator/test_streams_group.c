// SPDX-License-Identifier: Apache-2.0
// Streams groups as members see them: joining, tasks that move, fencing, time-outs, topics that come and go,
// endpoints, shutdown, offsets, and take-over at any record.
#include "streams_world.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void begin(struct streams_world *world, int partitions)
{
    streams_world_init(world);
    streams_world_topic(world, "in", partitions);
    streams_world_topic(world, "rep", partitions);
    streams_world_topic(world, "log", partitions);
}

static struct streams_heard beat(struct streams_world *world, const char *member, const char *owned)
{
    return streams_world_beat(
        world, member, (struct streams_said){.epoch = streams_world_epoch(world, member), .owned = owned});
}

Test(streams_group, the_first_member_gets_everything)
{
    struct streams_world world;
    begin(&world, 2);
    struct streams_heard heard = streams_world_join(&world, "a", "p");
    cr_expect_eq(heard.error, KAFKA_ERR_NONE);
    cr_expect_eq(heard.epoch, 2);
    cr_expect_str_eq(heard.tasks, "0_0 0_1 1_0 1_1");
    cr_expect_str_eq(streams_world_state(&world), "Stable");
    heard = beat(&world, "a", NULL);
    cr_expect(!heard.told && heard.epoch == 2);
    streams_world_fini(&world);
}

Test(streams_group, tasks_move_when_they_are_given_up)
{
    struct streams_world world;
    begin(&world, 2);
    streams_world_join(&world, "a", "p");
    struct streams_heard heard = streams_world_join(&world, "b", "q");
    cr_expect_eq(heard.epoch, 3);
    cr_expect_str_eq(heard.tasks, "");
    cr_expect_str_eq(streams_world_state(&world), "Reconciling");
    heard = beat(&world, "a", "0_0 0_1 1_0 1_1");
    cr_expect_eq(heard.epoch, 2, "it stays where it is until it has given up");
    cr_expect_str_eq(heard.tasks, "0_0 1_0");
    cr_expect(!beat(&world, "b", NULL).told, "they still belong to a");
    cr_expect(!beat(&world, "a", NULL).told);
    heard = beat(&world, "a", "0_0 1_0");
    cr_expect_eq(heard.epoch, 3);
    heard = beat(&world, "b", NULL);
    cr_expect_str_eq(heard.tasks, "0_1 1_1");
    cr_expect_str_eq(streams_world_state(&world), "Stable");
    streams_world_fini(&world);
}

Test(streams_group, who_waits_for_more_members_has_epoch_one)
{
    struct streams_world world;
    begin(&world, 2);
    world.options.delay_ms = 3000;
    struct streams_heard heard = streams_world_join(&world, "a", "p");
    cr_expect(heard.delayed && heard.epoch == 1);
    cr_expect_str_eq(heard.tasks, "");
    cr_expect_str_eq(streams_world_state(&world), "Assigning");
    streams_world_pass(&world, 1000);
    cr_expect(streams_world_join(&world, "b", "q").delayed);
    streams_world_pass(&world, 2000);
    heard = beat(&world, "a", NULL);
    cr_expect(!heard.delayed && heard.epoch == 3);
    cr_expect_str_eq(heard.tasks, "0_0 1_0");
    cr_expect_str_eq(beat(&world, "b", NULL).tasks, "0_1 1_1");
    streams_world_fini(&world);
}

Test(streams_group, a_standby_becomes_active_in_one_step)
{
    struct streams_world world;
    begin(&world, 1);
    world.options.standbys = 1;
    streams_world_join(&world, "a", "p");
    streams_world_join(&world, "b", "q");
    beat(&world, "a", "0_0 1_0");
    beat(&world, "a", streams_world_has(&world, "a"));
    beat(&world, "b", NULL);
    cr_expect_str_eq(streams_world_state(&world), "Stable");
    bool active = strstr(streams_world_has(&world, "b"), "s1_0") == NULL;
    const char *stays = active ? "a" : "b", *goes = active ? "b" : "a";
    cr_expect(strstr(streams_world_has(&world, stays), "s1_0") != NULL);
    streams_world_beat(&world, goes, (struct streams_said){.epoch = STREAMS_LEAVE});
    struct streams_heard heard = beat(&world, stays, "0_0 s1_0");
    cr_expect(strstr(heard.tasks, "1_0") == NULL, "first it closes the standby: %s", heard.tasks);
    heard = beat(&world, stays, "0_0");
    cr_expect_str_eq(heard.tasks, "0_0 1_0");
    streams_world_fini(&world);
}

Test(streams_group, a_process_never_has_a_task_twice)
{
    struct streams_world world;
    begin(&world, 1);
    world.options.standbys = 1;
    streams_world_join(&world, "a", "p");
    streams_world_join(&world, "b", "q");
    for (int i = 0; i < 3; i++) {
        beat(&world, "a", streams_world_has(&world, "a"));
        beat(&world, "b", streams_world_has(&world, "b"));
    }
    bool a = strstr(streams_world_has(&world, "a"), "s1_0") != NULL;
    const char *holder = a ? "a" : "b";
    streams_world_join(&world, "c",
                       a ? "p" : "q"); // a second thread, that is to have the standby from now on
    cr_assert(strstr(streams_world_target(&world, "c"), "s1_0") != NULL, "%s",
              streams_world_target(&world, "c"));
    cr_expect_str_eq(streams_world_has(&world, "c"), "", "the other thread has its state still");
    beat(&world, holder, "0_0 s1_0");
    beat(&world, "c", NULL);
    cr_expect_str_eq(streams_world_has(&world, "c"), "");
    beat(&world, holder, "0_0");
    cr_expect_str_eq(beat(&world, "c", NULL).tasks, "s1_0");
    streams_world_fini(&world);
}

Test(streams_group, who_is_not_up_to_date_is_fenced)
{
    struct streams_world world;
    begin(&world, 2);
    cr_expect_eq(streams_world_beat(&world, "a", (struct streams_said){.epoch = 1}).error,
                 KAFKA_ERR_UNKNOWN_MEMBER_ID);
    streams_world_join(&world, "a", "p");
    cr_expect_eq(streams_world_beat(&world, "a", (struct streams_said){.epoch = 3}).error,
                 KAFKA_ERR_FENCED_MEMBER_EPOCH);
    cr_expect_eq(streams_world_beat(&world, "a", (struct streams_said){.epoch = 1}).error,
                 KAFKA_ERR_FENCED_MEMBER_EPOCH);
    struct streams_heard heard =
        streams_world_beat(&world, "a", (struct streams_said){.epoch = 2, .owned = "5_0"});
    cr_expect_eq(heard.error, KAFKA_ERR_INVALID_REQUEST);
    cr_expect_not_null(heard.text);
    cr_expect_eq(streams_world_beat(&world, "a", (struct streams_said){.epoch = 2, .owned = "0_2"}).error,
                 KAFKA_ERR_INVALID_REQUEST);
    streams_world_fini(&world);
}

Test(streams_group, a_lost_answer_is_said_again)
{
    struct streams_world world;
    begin(&world, 2);
    streams_world_join(&world, "a", "p");
    streams_world_join(&world, "b", "q");
    beat(&world, "a", "0_0 0_1 1_0 1_1");
    beat(&world, "a", "0_0 1_0"); // the answer says 3 and is lost
    struct streams_heard heard =
        streams_world_beat(&world, "a", (struct streams_said){.epoch = 2, .owned = "0_0 1_0"});
    cr_expect(heard.error == KAFKA_ERR_NONE && heard.epoch == 3 && heard.told);
    cr_expect_eq(streams_world_beat(&world, "a", (struct streams_said){.epoch = 2, .owned = "0_1"}).error,
                 KAFKA_ERR_FENCED_MEMBER_EPOCH);
    streams_world_fini(&world);
}

// In one epoch, too: it would go on with a task until its time to give it up is over, and another one has it.
Test(streams_group, a_lost_answer_that_takes_or_gives_is_said_again)
{
    struct streams_world world;
    begin(&world, 2);
    streams_world_join(&world, "a", "p");
    streams_world_join(&world, "b", "q");
    beat(&world, "a", "0_0 0_1 1_0 1_1"); // the answer takes tasks away and is lost
    struct streams_heard heard = beat(&world, "a", "0_0 0_1 1_0 1_1");
    cr_expect(heard.epoch == 2 && heard.told, "the epoch stays until it has given up");
    cr_expect_str_eq(heard.tasks, "0_0 1_0");
    beat(&world, "a", "0_0 1_0");
    beat(&world, "b", ""); // the answer gives and is lost
    heard = beat(&world, "b", "");
    cr_expect(heard.epoch == 3 && heard.told);
    cr_expect_str_eq(heard.tasks, "0_1 1_1");
    cr_expect(!beat(&world, "b", "0_1 1_1").told, "that is what it has");
    streams_world_fini(&world);
}

Test(streams_group, who_is_silent_or_slow_is_out)
{
    struct streams_world world;
    begin(&world, 2);
    streams_world_join(&world, "a", "p");
    streams_world_pass(&world, 44000);
    streams_world_join(&world, "b", "q");
    streams_world_pass(&world, 2000);
    cr_expect_eq(streams_world_epoch(&world, "a"), INT32_MIN, "its session is over");
    cr_expect_str_eq(beat(&world, "b", "").tasks, "0_0 0_1 1_0 1_1");
    streams_world_join(&world, "c", "r");
    beat(&world, "b", "0_0 0_1 1_0 1_1"); // told to give up
    for (int i = 0; i < 11; i++) {
        streams_world_pass(&world, 1000);
        if (streams_world_epoch(&world, "b") != INT32_MIN)
            beat(&world, "b", NULL);
    }
    cr_expect_eq(streams_world_epoch(&world, "b"), INT32_MIN, "it did not give up in time");
    cr_expect_str_eq(beat(&world, "c", "").tasks, "0_0 0_1 1_0 1_1");
    streams_world_fini(&world);
}

Test(streams_group, topologies_are_the_first_ones)
{
    struct streams_world world;
    begin(&world, 1);
    world.topology_epoch = 1;
    streams_world_join(&world, "a", "p");
    world.topology = "0 <in";
    struct streams_heard heard = streams_world_join(&world, "b", "q");
    cr_expect_eq(heard.error, KAFKA_ERR_INVALID_REQUEST);
    cr_expect_str_eq(heard.text, "Topology updates are not supported yet.");
    world.topology_epoch = 0;
    heard = streams_world_join(&world, "b", "q");
    cr_expect(heard.error == KAFKA_ERR_NONE && heard.stale);
    cr_expect(beat(&world, "b", NULL).stale && !beat(&world, "a", NULL).stale);
    struct streams_world other;
    streams_world_init(&other);
    other.topology = "0 <<x >y; 1 <<y >x";
    cr_expect_eq(streams_world_join(&other, "a", "p").error, KAFKA_ERR_STREAMS_INVALID_TOPOLOGY);
    cr_expect(streams_unused(other.group));
    streams_world_fini(&other);
    streams_world_fini(&world);
}

Test(streams_group, nobody_has_anything_until_the_topics_are_there)
{
    struct streams_world world;
    streams_world_init(&world);
    struct streams_heard heard = streams_world_join(&world, "a", "p");
    cr_expect_str_eq(heard.tasks, "");
    cr_expect_str_eq(streams_world_state(&world), "NotReady");
    cr_expect_eq(streams_plan_of(world.group)->status, STREAMS_MISSING_SOURCE_TOPICS);
    streams_world_topic(&world, "in", 2);
    beat(&world, "a", NULL);
    cr_expect_eq(streams_plan_of(world.group)->status, STREAMS_MISSING_INTERNAL_TOPICS);
    cr_expect_eq(streams_plan_of(world.group)->missing_count, 2);
    streams_world_topic(&world, "rep", 2);
    streams_world_topic(&world, "log", 2);
    heard = beat(&world, "a", NULL);
    cr_expect_str_eq(heard.tasks, "0_0 0_1 1_0 1_1");
    consumer_world_topic_gone(&world.base, "log");
    heard = beat(&world, "a", streams_world_has(&world, "a"));
    cr_expect_str_eq(heard.tasks, "");
    cr_expect_str_eq(streams_world_state(&world), "NotReady");
    streams_world_fini(&world);
}

Test(streams_group, a_setting_of_the_group_is_followed)
{
    struct streams_world world;
    begin(&world, 1);
    streams_world_join(&world, "a", "p");
    streams_world_join(&world, "b", "q");
    beat(&world, "a", "0_0 1_0");
    beat(&world, "a", streams_world_has(&world, "a"));
    beat(&world, "b", NULL);
    int32_t epoch = streams_epoch(world.group);
    world.options.standbys = 1;
    beat(&world, "a", NULL);
    cr_expect_eq(streams_epoch(world.group), epoch + 1);
    beat(&world, "b", NULL);
    cr_expect(strchr(streams_world_has(&world, "a"), 's') != NULL ||
              strchr(streams_world_has(&world, "b"), 's') != NULL);
    streams_world_take_over(&world, 0);
    beat(&world, "a", NULL);
    cr_expect_eq(streams_epoch(world.group), epoch + 1, "nothing has changed for the new owner");
    streams_world_fini(&world);
}

Test(streams_group, limits_hold)
{
    struct streams_world world;
    begin(&world, 1);
    world.settings.size_max = 1;
    streams_world_join(&world, "a", "p");
    cr_expect_eq(streams_world_join(&world, "b", "q").error, KAFKA_ERR_GROUP_MAX_SIZE_REACHED);
    cr_expect_eq(streams_world_join(&world, "a", "p").error, KAFKA_ERR_NONE, "who is in may join again");
    world.settings.size_max = 10;
    world.settings.bytes_max = 200;
    cr_expect_eq(streams_world_join(&world, "b", "q").error, KAFKA_ERR_GROUP_MAX_SIZE_REACHED);
    streams_world_fini(&world);
}

Test(streams_group, long_member_ids_count_too)
{
    static char id[4001];
    struct streams_world world;
    memset(id, 'm', sizeof id - 1);
    begin(&world, 1);
    world.settings.bytes_max = 4000;
    cr_expect_eq(streams_world_join(&world, id, "p").error, KAFKA_ERR_GROUP_MAX_SIZE_REACHED);
    cr_expect_eq(streams_world_join(&world, "a", "p").error, KAFKA_ERR_NONE);
    streams_world_fini(&world);
}

Test(streams_group, a_long_group_id_counts_with_each_member)
{
    static char id[1001];
    struct streams_world world;
    memset(id, 'g', sizeof id - 1);
    begin(&world, 1);
    streams_group_destroy(&world.group);
    world.group = streams_group_new(slice_str(id), &world.settings, &world.base.topics);
    world.settings.bytes_max = 3000;
    cr_expect_eq(streams_world_join(&world, "a", "p").error, KAFKA_ERR_NONE);
    cr_expect_eq(streams_world_join(&world, "b", "q").error, KAFKA_ERR_NONE);
    cr_expect_eq(streams_world_join(&world, "c", "r").error, KAFKA_ERR_GROUP_MAX_SIZE_REACHED);
    streams_world_fini(&world);
}

Test(streams_group, endpoints_are_told_when_they_change)
{
    struct streams_world world;
    begin(&world, 1);
    struct streams_said said = {.process = "p", .endpoint = "host", .owned = "", .joins = true};
    struct streams_heard heard = streams_world_beat(&world, "a", said);
    cr_expect(heard.endpoints && heard.endpoint_epoch == 1);
    heard = streams_world_beat(&world, "a", (struct streams_said){.epoch = 2, .endpoint_epoch = 1});
    cr_expect(!heard.endpoints);
    streams_world_take_over(&world, 0);
    struct streams_member_view view;
    struct map_entry *at = NULL;
    cr_assert(streams_next_member(world.group, &at, &view));
    cr_expect(slice_is(view.profile->endpoint_host, "host") && view.profile->endpoint_port == 7000);
    heard = streams_world_beat(&world, "a", (struct streams_said){.epoch = 2, .endpoint_epoch = 1});
    cr_expect(heard.endpoints && heard.endpoint_epoch == 0, "a new owner tells them anew");
    streams_world_join(&world, "b", "q"); // without an endpoint: nothing to tell
    heard = streams_world_beat(&world, "b", (struct streams_said){.epoch = 3});
    cr_expect(!heard.endpoints);
    streams_world_fini(&world);
}

Test(streams_group, the_end_is_told_to_all_until_everybody_is_gone)
{
    struct streams_world world;
    begin(&world, 1);
    streams_world_join(&world, "a", "p");
    streams_world_join(&world, "b", "q");
    cr_expect_null(streams_shutdown_by(world.group).data);
    streams_world_beat(&world, "a", (struct streams_said){.epoch = STREAMS_LEAVE, .shutdown = true});
    cr_expect(slice_is(streams_shutdown_by(world.group), "a"));
    streams_world_beat(&world, "b", (struct streams_said){.epoch = STREAMS_LEAVE});
    cr_expect_null(streams_shutdown_by(world.group).data);
    cr_expect_str_eq(streams_world_state(&world), "Empty");
    cr_expect_eq(streams_may_delete(world.group), KAFKA_ERR_NONE);
    streams_world_fini(&world);
}

// ---- offsets ----

static int16_t commit(const struct streams_world *world, const char *member, int32_t epoch, bool *behind)
{
    const struct streams_member *found;
    struct consumer_commit commit = {.who = {.member_id = slice_str(member), .generation = epoch},
                                     .version = 9};
    int16_t error = streams_may_commit(world->group, &commit, &found);
    *behind = found != NULL;
    return error;
}

Test(streams_group, offsets_are_fenced_by_epoch)
{
    struct streams_world world;
    begin(&world, 2);
    bool behind;
    streams_world_join(&world, "a", "p");
    cr_expect_eq(commit(&world, "a", 2, &behind), KAFKA_ERR_NONE);
    cr_expect(!behind);
    cr_expect_eq(commit(&world, "a", 3, &behind), KAFKA_ERR_STALE_MEMBER_EPOCH);
    cr_expect_eq(commit(&world, "b", 2, &behind), KAFKA_ERR_UNKNOWN_MEMBER_ID);
    cr_expect_eq(commit(&world, "", -1, &behind), KAFKA_ERR_UNKNOWN_MEMBER_ID,
                 "not into a group with members");
    streams_world_join(&world, "b", "q");
    beat(&world, "a", "0_0 0_1 1_0 1_1");
    beat(&world, "a", "0_0 1_0");
    beat(&world, "b", NULL);
    cr_expect_eq(commit(&world, "a", 2, &behind), KAFKA_ERR_NONE);
    cr_expect(behind);
    const struct streams_member *member;
    struct consumer_commit late = {.who = {.member_id = slice_str("a"), .generation = 2}, .version = 9};
    streams_may_commit(world.group, &late, &member);
    cr_expect(streams_may_commit_part(world.group, member, 2, slice_str("in"), 0), "it had that at 2");
    cr_expect(streams_may_commit_part(world.group, member, 2, slice_str("rep"), 0));
    cr_expect(!streams_may_commit_part(world.group, member, 2, slice_str("in"), 1), "that is b's");
    cr_expect(!streams_may_commit_part(world.group, member, 2, slice_str("other"), 0));
    streams_world_join(&world, "c", "r");
    beat(&world, "b", "0_1 1_1");
    beat(&world, "b", streams_world_has(&world, "b"));
    struct consumer_commit older = {.who = {.member_id = slice_str("b"), .generation = 3}, .version = 9};
    cr_assert_eq(streams_may_commit(world.group, &older, &member), KAFKA_ERR_NONE);
    cr_assert_not_null(member, "b is at 4");
    // What b still has: a task of one of the subtopologies, partition 1.
    const char *its = strchr(streams_world_has(&world, "b"), '0') != NULL ? "in" : "rep";
    cr_expect(streams_may_commit_part(world.group, member, 3, slice_str(its), 1));
    cr_expect(!streams_may_commit_part(world.group, member, 2, slice_str(its), 1), "at 2 it was another's");
    streams_may_commit(world.group, &late, &member);
    late.version = 8;
    cr_expect_eq(streams_may_commit(world.group, &late, &member), KAFKA_ERR_UNSUPPORTED_VERSION);
    cr_expect_eq(streams_may_fetch(world.group, slice_str("a"), 3), KAFKA_ERR_NONE);
    cr_expect_eq(streams_may_fetch(world.group, slice_str("a"), 2), KAFKA_ERR_STALE_MEMBER_EPOCH);
    cr_expect(streams_subscribed(world.group, slice_str("rep")) &&
              !streams_subscribed(world.group, slice_str("log")));
    cr_expect_eq(streams_may_delete(world.group), KAFKA_ERR_NON_EMPTY_GROUP);
    streams_world_fini(&world);
}

// ---- take-over ----

Test(streams_group, a_new_owner_goes_on)
{
    struct streams_world world;
    begin(&world, 2);
    world.options.standbys = 1;
    streams_world_join(&world, "a", "p");
    streams_world_join(&world, "b", "q");
    beat(&world, "a", "0_0 0_1 1_0 1_1");
    char before[512];
    snprintf(before, sizeof before, "%s", streams_world_has(&world, "a"));
    streams_world_take_over(&world, 0);
    streams_world_pass(&world, 5000);
    cr_expect_str_eq(streams_world_has(&world, "a"), before, "its session begins anew");
    cr_expect_str_eq(streams_world_state(&world), "Reconciling");
    cr_expect_eq(beat(&world, "a", "0_0 0_1 1_0 1_1").epoch, 2, "it still has what it is to give up");
    beat(&world, "a", before);
    beat(&world, "b", NULL);
    beat(&world, "a", NULL);
    cr_expect_str_eq(streams_world_state(&world), "Stable");
    cr_expect_eq(streams_world_write(&world), 0);
    streams_world_fini(&world);
}

// A record that a cut has left out: what is there says that two members have the same.
Test(streams_group, who_has_come_further_has_it)
{
    struct streams_world world;
    begin(&world, 2);
    streams_world_join(&world, "a", "p");
    streams_world_join(&world, "b", "q");
    size_t told = world.base.logged;
    beat(&world, "a", "0_0 0_1 1_0 1_1");
    beat(&world, "a", "0_0 1_0");
    size_t gave_up = world.base.logged;
    beat(&world, "b", NULL);
    cr_assert_str_eq(streams_world_has(&world, "b"), "0_1 1_1");
    for (size_t i = told; i < gave_up; i++) { // nothing of what a was told reached the log
        block_unref(&world.base.log[i].key);
        block_unref(&world.base.log[i].value);
    }
    memmove(&world.base.log[told], &world.base.log[gave_up],
            (world.base.logged - gave_up) * sizeof *world.base.log);
    world.base.logged -= gave_up - told;
    streams_world_take_over(&world, 0);
    cr_expect_str_eq(streams_world_has(&world, "b"), "0_1 1_1");
    cr_expect_str_eq(streams_world_has(&world, "a"), "0_0 1_0");
    cr_expect_eq(beat(&world, "a", "0_0 1_0").error, KAFKA_ERR_NONE);
    cr_expect_str_eq(streams_world_state(&world), "Stable");
    streams_world_fini(&world);
}

// Members, whatever they have been told, say it all and go on until the group is at rest.
static void settle(struct streams_world *world, const char *const *members, const char *const *processes)
{
    for (int i = 0; i < 2; i++) {
        if (streams_world_epoch(world, members[i]) == INT32_MIN)
            streams_world_join(world, members[i], processes[i]);
    }
    for (int round = 0; round < 8; round++) {
        for (int i = 0; i < 2; i++) {
            char owned[512];
            snprintf(owned, sizeof owned, "%s", streams_world_has(world, members[i]));
            if (beat(world, members[i], owned).error != KAFKA_ERR_NONE)
                streams_world_join(world, members[i], processes[i]);
        }
    }
}

Test(streams_group, a_cut_after_any_record_is_made_good)
{
    static const char *const members[] = {"a", "b"}, *const processes[] = {"p", "q"};
    for (size_t cut = 1;; cut++) {
        struct streams_world world;
        begin(&world, 2);
        world.options.standbys = 1;
        settle(&world, members, processes);
        streams_world_beat(&world, "b", (struct streams_said){.epoch = STREAMS_LEAVE});
        settle(&world, members, processes);
        bool done = cut >= world.base.logged;
        streams_world_take_over(&world, cut);
        settle(&world, members, processes);
        cr_expect_str_eq(streams_world_state(&world), "Stable", "cut at %zu: %s", cut,
                         streams_world_state(&world));
        struct streams_tasks a = streams_world_tasks(streams_world_has(&world, "a"));
        struct streams_tasks b = streams_world_tasks(streams_world_has(&world, "b"));
        cr_expect_eq(a.roles[STREAMS_ACTIVE].count + b.roles[STREAMS_ACTIVE].count, 4, "cut at %zu", cut);
        cr_expect(!parts_meet(&a.roles[STREAMS_ACTIVE], &b.roles[STREAMS_ACTIVE]));
        streams_tasks_fini(&a);
        streams_tasks_fini(&b);
        streams_world_fini(&world);
        if (done)
            break;
    }
}

// One of two members leaves, the cut comes anywhere in what that writes, and the other one goes on alone.
Test(streams_group, tasks_of_who_left_are_not_lost_by_a_cut)
{
    static const char *const members[] = {"a", "b"}, *const processes[] = {"p", "q"};
    for (size_t more = 0;; more++) {
        struct streams_world world;
        begin(&world, 2);
        settle(&world, members, processes);
        size_t before = world.base.logged;
        streams_world_beat(&world, "b", (struct streams_said){.epoch = STREAMS_LEAVE});
        bool done = before + more >= world.base.logged;
        streams_world_take_over(&world, before + more);
        for (int i = 0; i < 60; i++) {
            char owned[512];
            snprintf(owned, sizeof owned, "%s", streams_world_has(&world, "a"));
            cr_assert_eq(beat(&world, "a", owned).error, KAFKA_ERR_NONE);
            streams_world_pass(&world, 1000);
        }
        cr_expect_str_eq(streams_world_has(&world, "a"), "0_0 0_1 1_0 1_1", "cut %zu behind", more);
        streams_world_fini(&world);
        if (done)
            break;
    }
}

Test(streams_group, a_buried_group_leaves_nothing)
{
    struct streams_world world;
    begin(&world, 2);
    streams_world_join(&world, "a", "p");
    streams_world_beat(&world, "a", (struct streams_said){.epoch = STREAMS_LEAVE});
    streams_world_join(&world, "b", "q");
    cr_expect_eq(streams_world_bury(&world), ST_OK);
    cr_expect(consumer_world_buried(&world.base));
    streams_world_fini(&world);
}
