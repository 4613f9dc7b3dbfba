// SPDX-License-Identifier: Apache-2.0
// Consumer groups of KIP-848 through the APIs of a coordinator over its ledgers: take-overs, the way from one
// protocol to the other, offsets, deletion.
#include "asks.h"

#include "kafka/messages/consumer_group_describe.h"
#include "kafka/messages/consumer_group_heartbeat.h"
#include "kafka/messages/delete_groups.h"
#include "kafka/messages/describe_groups.h"
#include "kafka/messages/join_group.h"
#include "kafka/messages/list_groups.h"
#include "kafka/messages/offset_delete.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(consumer_apis, .init = asks_setup, .fini = asks_teardown, .timeout = 60);

struct heard {
    int16_t error;
    int32_t epoch;
    int partitions; // of its assignment, -1: not told
};

// A member that reads t; epoch 0 says everything a first heartbeat has.
static struct heard member_beats(const char *group, const char *member, int32_t epoch, bool owns_nothing)
{
    struct slice topics[] = {text("t")};
    struct kafka_consumer_group_heartbeat_request_topic_partitions nothing[1];
    struct kafka_consumer_group_heartbeat_request request;
    kafka_defaults(&kafka_consumer_group_heartbeat_request_message, &request);
    request.group_id = text(group);
    request.member_id = text(member);
    request.member_epoch = epoch;
    request.subscribed_topic_names_count = -1;
    request.topic_partitions_count = -1;
    if (epoch == 0) {
        request.rebalance_timeout_ms = 10000;
        request.subscribed_topic_names = topics;
        request.subscribed_topic_names_count = 1;
    }
    if (epoch == 0 || owns_nothing) {
        request.topic_partitions = nothing;
        request.topic_partitions_count = 0;
    }
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_CONSUMER_GROUP_HEARTBEAT, 1, &request);
    const struct kafka_consumer_group_heartbeat_response *answer = desk_await(&call);
    struct heard heard = {answer->error_code, answer->member_epoch, -1};
    if (answer->assignment != NULL)
        heard.partitions = answer->assignment->topic_partitions_count == 0
                               ? 0
                               : answer->assignment->topic_partitions[0].partitions_count;
    desk_done(&call);
    return heard;
}

// "Stable consumer" of ListGroups, "" when it is not listed.
static const char *listed(const char *group)
{
    static char out[64];
    struct kafka_list_groups_request request = {0};
    struct desk_call call;
    out[0] = '\0';
    desk_send(&d, &call, KAFKA_API_LIST_GROUPS, 5, &request);
    const struct kafka_list_groups_response *answer = desk_await(&call);
    for (int i = 0; i < answer->groups_count; i++) {
        if (slice_is(answer->groups[i].group_id, group))
            snprintf(out, sizeof out, "%.*s %.*s", (int)answer->groups[i].group_state.len,
                     answer->groups[i].group_state.data, (int)answer->groups[i].group_type.len,
                     answer->groups[i].group_type.data);
    }
    desk_done(&call);
    return out;
}

static int16_t describe_classic(const char *group)
{
    struct slice names[] = {text(group)};
    struct kafka_describe_groups_request request = {.groups = names, .groups_count = 1};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_DESCRIBE_GROUPS, 6, &request);
    int16_t error = ((const struct kafka_describe_groups_response *)desk_await(&call))->groups[0].error_code;
    desk_done(&call);
    return error;
}

static int16_t describe_consumer(const char *group, int32_t *members)
{
    struct slice names[] = {text(group)};
    struct kafka_consumer_group_describe_request request = {.group_ids = names, .group_ids_count = 1};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_CONSUMER_GROUP_DESCRIBE, 1, &request);
    const struct kafka_consumer_group_describe_response *answer = desk_await(&call);
    int16_t error = answer->groups[0].error_code;
    *members = answer->groups[0].members_count;
    desk_done(&call);
    return error;
}

Test(consumer_apis, a_group_goes_on_at_the_next_owner)
{
    cr_assert_eq(member_beats("g", "m1", 0, false).partitions, 2);
    cr_assert_eq(
        commit(9, (struct commit){.group = "g", .member = "m1", .generation = 1, .topic = "t", .offset = 5}),
        KAFKA_ERR_NONE);
    desk_take_over(&d);
    struct heard heard = member_beats("g", "m1", 1, false);
    cr_assert_eq(heard.error, KAFKA_ERR_NONE);
    cr_assert_eq(heard.epoch, 1);
    cr_assert_eq(heard.partitions, -1);
    cr_assert_eq(committed("g"), 5);
    cr_assert_str_eq(listed("g"), "Stable consumer");
}

Test(consumer_apis, each_protocol_is_described_by_its_own_api)
{
    char id[128];
    int32_t members;
    member_beats("new", "m1", 0, false);
    stable("old", id);
    cr_assert_eq(describe_consumer("new", &members), KAFKA_ERR_NONE);
    cr_assert_eq(members, 1);
    cr_assert_eq(describe_classic("new"), KAFKA_ERR_GROUP_ID_NOT_FOUND);
    cr_assert_eq(describe_consumer("old", &members), KAFKA_ERR_GROUP_ID_NOT_FOUND);
    cr_assert_eq(describe_classic("old"), KAFKA_ERR_NONE);
}

// A member of a classic group whose assignor is Kafka's own, so that it can be moved.
static void classic_member(const char *group, char id[128])
{
    struct desk_call call;
    send_join(&call, 5, group, "");
    const struct kafka_join_group_response *joined = desk_await(&call);
    snprintf(id, 128, "%.*s", (int)joined->member_id.len, (const char *)joined->member_id.data);
    desk_done(&call);
    send_join(&call, 5, group, id);
    cr_assert_eq(((const struct kafka_join_group_response *)desk_await(&call))->error_code, KAFKA_ERR_NONE);
    desk_done(&call);
}

Test(consumer_apis, a_classic_group_becomes_a_consumer_group_and_goes_back)
{
    char id[128];
    classic_member("g", id); // of generation 1, without an assignment
    cr_assert_eq(simple_commit("other", 1), KAFKA_ERR_NONE);
    cr_assert_eq(
        commit(2, (struct commit){.group = "g", .member = id, .generation = 1, .topic = "t", .offset = 3}),
        KAFKA_ERR_REBALANCE_IN_PROGRESS);
    struct heard heard = member_beats("g", "new", 0, false);
    cr_assert_eq(heard.error, KAFKA_ERR_NONE);
    cr_assert_eq(heard.epoch, 2);
    int32_t members;
    cr_assert_eq(describe_consumer("g", &members), KAFKA_ERR_NONE);
    cr_assert_eq(members, 2);
    cr_assert_eq(beat(4, "g", id, 1), KAFKA_ERR_REBALANCE_IN_PROGRESS);
    desk_take_over(&d); // also of what was buried
    cr_assert_eq(describe_consumer("g", &members), KAFKA_ERR_NONE);
    cr_assert_eq(members, 2);
    cr_assert_eq(beat(4, "g", id, 1), KAFKA_ERR_REBALANCE_IN_PROGRESS);
    cr_assert_eq(member_beats("g", "new", -1, false).error, KAFKA_ERR_NONE);
    cr_assert_eq(describe_consumer("g", &members), KAFKA_ERR_GROUP_ID_NOT_FOUND);
    cr_assert_str_eq(listed("g"), "PreparingRebalance classic");
    desk_take_over(&d);
    cr_assert_str_eq(listed("g"), "PreparingRebalance classic");
    struct desk_call call;
    send_join(&call, 5, "g", id);
    const struct kafka_join_group_response *joined = desk_await(&call);
    cr_assert_eq(joined->error_code, KAFKA_ERR_NONE);
    cr_assert_eq(joined->generation_id, 4); // the group epoch had come to 3
    desk_done(&call);
}

Test(consumer_apis, an_assignment_nobody_can_read_keeps_a_group_classic)
{
    char id[128];
    stable("g", id); // "yours" is no assignment of the consumer protocol
    cr_assert_eq(member_beats("g", "new", 0, false).error, KAFKA_ERR_GROUP_ID_NOT_FOUND);
    cr_assert_str_eq(listed("g"), "Stable classic");
    cr_assert_eq(beat(4, "g", id, 1), KAFKA_ERR_NONE);
}

Test(consumer_apis, offsets_stay_when_a_group_changes_its_protocol)
{
    cr_assert_eq(simple_commit("g", 9), KAFKA_ERR_NONE);
    cr_assert_eq(member_beats("g", "m1", 0, false).error, KAFKA_ERR_NONE);
    cr_assert_eq(committed("g"), 9);
    cr_assert_eq(member_beats("g", "m1", -1, false).error, KAFKA_ERR_NONE);
    cr_assert_str_eq(listed("g"), "Empty consumer");
    char id[128];
    classic_member("g", id); // an empty group changes at once
    cr_assert_str_eq(listed("g"), "CompletingRebalance classic");
    desk_take_over(&d);
    cr_assert_str_eq(listed("g"), "CompletingRebalance classic");
    cr_assert_eq(committed("g"), 9);
}

Test(consumer_apis, a_deleted_group_is_gone_for_good)
{
    struct slice names[] = {text("g")};
    struct kafka_delete_groups_request request = {.groups_names = names, .groups_names_count = 1};
    struct desk_call call;
    member_beats("g", "m1", 0, false);
    commit(9, (struct commit){.group = "g", .member = "m1", .generation = 1, .topic = "t", .offset = 5});
    for (int turn = 0; turn < 2; turn++) {
        desk_send(&d, &call, KAFKA_API_DELETE_GROUPS, 2, &request);
        const struct kafka_delete_groups_response *answer = desk_await(&call);
        cr_assert_eq(answer->results[0].error_code, turn == 0 ? KAFKA_ERR_NON_EMPTY_GROUP : KAFKA_ERR_NONE);
        desk_done(&call);
        if (turn == 0)
            member_beats("g", "m1", -1, false);
    }
    cr_assert_str_eq(listed("g"), "");
    cr_assert_eq(member_beats("g", "m1", 1, false).error, KAFKA_ERR_GROUP_ID_NOT_FOUND);
    desk_take_over(&d);
    cr_assert_str_eq(listed("g"), "");
    cr_assert_eq(committed("g"), -1);
}

Test(consumer_apis, offsets_of_topics_that_are_read_are_not_deleted)
{
    struct kafka_offset_delete_request_offset_delete_request_partition partition = {.partition_index = 0};
    struct kafka_offset_delete_request_offset_delete_request_topic topic = {
        .name = text("t"), .partitions = &partition, .partitions_count = 1};
    struct kafka_offset_delete_request request = {.group_id = text("g"), .topics = &topic, .topics_count = 1};
    member_beats("g", "m1", 0, false);
    struct commit other = {
        .group = "g", .member = "m1", .generation = 1, .topic = "t", .partition = 1, .offset = 5};
    cr_assert_eq(commit(9, other), KAFKA_ERR_NONE); // an empty group without offsets would soon be forgotten
    for (int turn = 0; turn < 2; turn++) {
        struct desk_call call;
        desk_send(&d, &call, KAFKA_API_OFFSET_DELETE, 0, &request);
        const struct kafka_offset_delete_response *answer = desk_await(&call);
        cr_assert_eq(answer->error_code, KAFKA_ERR_NONE);
        cr_assert_eq(answer->topics[0].partitions[0].error_code,
                     turn == 0 ? KAFKA_ERR_GROUP_SUBSCRIBED_TO_TOPIC : KAFKA_ERR_NONE);
        desk_done(&call);
        member_beats("g", "m1", -1, false);
    }
}

Test(consumer_apis, new_topics_reach_members_with_their_heartbeat)
{
    cr_assert_eq(member_beats("g", "m1", 0, false).partitions, 2);
    desk_topic_gone(&d, 1);
    desk_turns(&d, 50);
    cr_assert_eq(member_beats("g", "m1", 1, false).partitions, 0);
    cr_assert_eq(member_beats("g", "m1", 1, true).epoch, 2);
    desk_topic(&d, 2, "t");
    desk_turns(&d, 50);
    struct heard heard = member_beats("g", "m1", 2, false);
    cr_assert_eq(heard.epoch, 3);
    cr_assert_eq(heard.partitions, 2);
}
