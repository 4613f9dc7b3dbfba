// SPDX-License-Identifier: Apache-2.0
// Who is watched and who is asked, over a coordinator whose storage node is scripted (desk.h).
#include "asks.h"

#include "coordinator_state.h"
#include "kafka/messages/delete_groups.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(lag, .init = asks_setup, .fini = asks_teardown, .timeout = 60);

static struct shard_group *cell_of(const char *group)
{
    struct shard *shard = coordinator_shard_of(d.coordinator, text(group));
    return shard == NULL ? NULL : shard_find(shard, text(group), false);
}

static void note(void *context)
{
    ++*(int *)context;
}

// Looks and turns until the answer is there; false when the group has no lag then.
static bool look(const char *group, struct lag_view *view)
{
    struct lag_wait wait = {0};
    int told = 0;
    if (lag_look(d.coordinator->lag, cell_of(group), &wait, note, &told) == ST_AGAIN)
        for (int64_t end_us = env_now_us(d.env) + 5000000; told == 0;) {
            cr_assert_lt(env_now_us(d.env), end_us, "nobody was told");
            env_posix_turn(d.env, 500);
        }
    struct map_entry *at = NULL;
    return cell_of(group) != NULL && cell_of(group)->lag != NULL && lag_next(cell_of(group)->lag, &at, view);
}

static int64_t metric_of(const char *name)
{
    for (const struct metric *at = d.env->metrics->first; at != NULL; at = at->next)
        if (strcmp(at->name, name) == 0)
            return at->value;
    return -1;
}

static void delete_group(const char *group)
{
    struct desk_call call;
    struct slice names[] = {text(group)};
    struct kafka_delete_groups_request gone = {.groups_names = names, .groups_names_count = 1};
    desk_send(&d, &call, KAFKA_API_DELETE_GROUPS, 2, &gone);
    cr_assert_eq(((const struct kafka_delete_groups_response *)desk_await(&call))->results[0].error_code, 0);
    desk_done(&call);
}

Test(lag, what_is_committed_is_compared_with_the_log)
{
    struct lag_view view;
    d.position_end = 50;
    d.position_time = env_wall_ms(d.env) - 9000;
    cr_assert_eq(simple_commit("g", 20), KAFKA_ERR_NONE);
    cr_assert(look("g", &view));
    cr_assert_eq(view.status, ST_OK);
    cr_assert_eq(view.committed, 20);
    cr_assert_eq(view.records, 30);
    cr_assert(view.age_ms >= 9000 && view.age_ms < 60000, "%lld", (long long)view.age_ms);
    cr_assert(slice_is(view.topic, "t"));
}

Test(lag, a_look_counts_what_was_committed_a_moment_ago)
{
    struct lag_view view;
    d.position_end = 50;
    for (int64_t offset = 1; offset <= 40; offset++) {
        cr_assert_eq(simple_commit("g", offset), KAFKA_ERR_NONE);
        cr_assert(look("g", &view));
        cr_assert_eq(view.committed, offset);
    }
}

Test(lag, the_time_of_a_record_is_asked_for_once)
{
    struct lag_view view;
    d.position_end = 50;
    cr_assert_eq(simple_commit("g", 20), KAFKA_ERR_NONE);
    cr_assert(look("g", &view));
    desk_turns(&d, 350); // more rounds
    cr_assert_geq(d.position_calls, 3);
    cr_assert_eq(d.position_times, 1);
    cr_assert_eq(simple_commit("g", 21), KAFKA_ERR_NONE);
    cr_assert(look("g", &view));
    cr_assert_eq(d.position_times, 2);
}

Test(lag, a_group_that_goes_while_the_node_is_asked_ends_its_waits)
{
    struct lag_view view;
    struct lag_wait wait = {0}, cancelled = {0};
    int told = 0, wrong = 0;
    cr_assert_eq(simple_commit("g", 1), KAFKA_ERR_NONE);
    cr_assert(look("g", &view));
    d.positions_held = true;
    cr_assert_eq(simple_commit("g", 2), KAFKA_ERR_NONE);
    cr_assert_eq(lag_look(d.coordinator->lag, cell_of("g"), &wait, note, &told), ST_AGAIN);
    cr_assert_eq(lag_look(d.coordinator->lag, cell_of("g"), &cancelled, note, &wrong), ST_AGAIN);
    lag_wait_cancel(&cancelled);
    lag_wait_cancel(&cancelled);
    for (int i = 0; i < 2000 && d.positions_call == NULL; i++)
        env_posix_turn(d.env, 500);
    cr_assert_not_null(d.positions_call);
    delete_group("g");
    cr_assert_eq(told, 1);
    cr_assert_eq(wrong, 0);
    d.positions_held = false;
    desk_positions(&d); // of a group that is not there any more
    desk_turns(&d, 150);
    cr_assert_eq(metric_of("millrace_group_lag_watched_partitions"), 0);
}

Test(lag, a_coordinator_that_ends_while_the_node_is_asked_forgets_the_question)
{
    cr_assert_eq(simple_commit("g", 1), KAFKA_ERR_NONE);
    d.positions_held = true;
    for (int i = 0; i < 2000 && d.positions_call == NULL; i++)
        env_posix_turn(d.env, 500);
    cr_assert_not_null(d.positions_call);
    desk_take_over(&d);
    desk_positions(&d); // to nobody
    d.positions_held = false;
    cr_assert_eq(committed("g"), 1);
    struct lag_view view;
    cr_assert(look("g", &view));
}

Test(lag, a_group_is_watched_by_the_next_owner_without_a_look)
{
    d.position_end = 10;
    cr_assert_eq(simple_commit("g", 1), KAFKA_ERR_NONE);
    desk_take_over(&d);
    int calls = d.position_calls;
    cr_assert_eq(committed("g"), 1);
    for (int i = 0; i < 4000 && d.position_calls == calls; i++)
        env_posix_turn(d.env, 500);
    cr_assert_gt(d.position_calls, calls);
}

Test(lag, many_partitions_are_asked_about_in_bounded_calls_one_at_a_time)
{
    struct lag_view view;
    char name[32];
    for (int i = 0; i < 300; i++) { // the desk looks that calls are bounded and come one by one
        snprintf(name, sizeof name, "g%d", i);
        cr_assert_eq(simple_commit(name, 1), KAFKA_ERR_NONE);
    }
    for (int i = 0; i < 4000 && metric_of("millrace_group_lag_watched_partitions") < 300; i++)
        env_posix_turn(d.env, 500);
    cr_assert_eq(metric_of("millrace_group_lag_watched_partitions"), 300);
    cr_assert(look("g299", &view));
    cr_assert_eq(view.status, ST_OK);
}

Test(lag, a_node_that_fails_leaves_the_last_figures_and_says_so)
{
    struct lag_view view;
    d.position_end = 10;
    cr_assert_eq(simple_commit("g", 4), KAFKA_ERR_NONE);
    cr_assert(look("g", &view));
    cr_assert_eq(view.records, 6);
    d.position_status = ST_NOT_LEADER;
    desk_turns(&d, 150);
    cr_assert(look("g", &view));
    cr_assert_eq(view.status, ST_NOT_LEADER);
    cr_assert_eq(view.records, 6);
}
