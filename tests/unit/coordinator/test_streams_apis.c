// SPDX-License-Identifier: Apache-2.0
// Streams groups of KIP-1071 through the APIs of a coordinator over its ledgers: take-overs, groups of other
// protocols, offsets, deletion, what a controller that cannot be asked does to internal topics.
#include "asks.h"

#include "kafka/messages/consumer_group_heartbeat.h"
#include "kafka/messages/delete_groups.h"
#include "kafka/messages/describe_groups.h"
#include "kafka/messages/join_group.h"
#include "kafka/messages/list_groups.h"
#include "kafka/messages/offset_delete.h"
#include "kafka/messages/streams_group_describe.h"
#include "kafka/messages/streams_group_heartbeat.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(streams_apis, .init = asks_setup, .fini = asks_teardown, .timeout = 60);

typedef struct kafka_streams_group_heartbeat_request request_t;
typedef struct kafka_streams_group_heartbeat_response response_t;

struct heard {
    int16_t error;
    int32_t epoch;
    int tasks; // active ones of the first subtopology, -1: not told
    int status;
    char detail[256];
};

static struct heard ask(const request_t *request)
{
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_STREAMS_GROUP_HEARTBEAT, 0, request);
    const response_t *answer = desk_await(&call);
    struct heard heard = {answer->error_code, answer->member_epoch, -1, -1, ""};
    if (answer->active_tasks_count >= 0)
        heard.tasks = answer->active_tasks_count == 0 ? 0 : answer->active_tasks[0].partitions_count;
    if (answer->status_count > 0) {
        heard.status = answer->status[answer->status_count - 1].status_code;
        snprintf(heard.detail, sizeof heard.detail, "%.*s",
                 (int)answer->status[answer->status_count - 1].status_detail.len,
                 (const char *)answer->status[answer->status_count - 1].status_detail.data);
    }
    desk_done(&call);
    return heard;
}

// A member of an application that reads t and, with a changelog, keeps state; epoch 0 says all of that.
static struct heard member_beats(const char *group, const char *member, int32_t epoch, const char *changelog)
{
    struct slice sources[] = {text("t")};
    struct kafka_streams_group_heartbeat_request_topic_info log = {.name = text(changelog)};
    struct kafka_streams_group_heartbeat_request_subtopology sub = {
        .subtopology_id = text("0"), .source_topics = sources, .source_topics_count = 1};
    struct kafka_streams_group_heartbeat_request_topology topology = {.subtopologies = &sub,
                                                                      .subtopologies_count = 1};
    if (changelog != NULL) {
        sub.state_changelog_topics = &log;
        sub.state_changelog_topics_count = 1;
    }
    request_t request;
    kafka_defaults(&kafka_streams_group_heartbeat_request_message, &request);
    request.group_id = text(group);
    request.member_id = text(member);
    request.member_epoch = epoch;
    if (epoch == 0) {
        request.rebalance_timeout_ms = 10000;
        request.topology = &topology;
        request.active_tasks_count = request.standby_tasks_count = request.warmup_tasks_count = 0;
        request.process_id = text(member);
    }
    return ask(&request);
}

static int16_t consumer_joins(const char *group)
{
    struct slice topics[] = {text("t")};
    struct kafka_consumer_group_heartbeat_request request;
    kafka_defaults(&kafka_consumer_group_heartbeat_request_message, &request);
    request.group_id = text(group);
    request.member_id = text("c");
    request.rebalance_timeout_ms = 10000;
    request.subscribed_topic_names = topics;
    request.subscribed_topic_names_count = 1;
    request.topic_partitions_count = 0;
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_CONSUMER_GROUP_HEARTBEAT, 1, &request);
    int16_t error = ((const struct kafka_consumer_group_heartbeat_response *)desk_await(&call))->error_code;
    desk_done(&call);
    return error;
}

static int16_t classic_joins(const char *group)
{
    struct desk_call call;
    send_join(&call, 3, group, "");
    int16_t error = ((const struct kafka_join_group_response *)desk_await(&call))->error_code;
    desk_done(&call);
    return error;
}

// "Stable streams" of ListGroups, "" when it is not listed.
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

static int16_t describe(const char *group, int32_t *members)
{
    struct slice names[] = {text(group)};
    struct kafka_streams_group_describe_request request = {.group_ids = names, .group_ids_count = 1};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_STREAMS_GROUP_DESCRIBE, 0, &request);
    const struct kafka_streams_group_describe_response *answer = desk_await(&call);
    int16_t error = answer->groups[0].error_code;
    *members = answer->groups[0].members_count;
    desk_done(&call);
    return error;
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

static int16_t delete_group(const char *group)
{
    struct slice names[] = {text(group)};
    struct kafka_delete_groups_request request = {.groups_names = names, .groups_names_count = 1};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_DELETE_GROUPS, 2, &request);
    int16_t error = ((const struct kafka_delete_groups_response *)desk_await(&call))->results[0].error_code;
    desk_done(&call);
    return error;
}

Test(streams_apis, a_group_goes_on_at_the_next_owner)
{
    struct heard heard = member_beats("g", "m1", 0, NULL);
    cr_assert_eq(heard.error, KAFKA_ERR_NONE);
    cr_assert_eq(heard.epoch, 2);
    cr_assert_eq(heard.tasks, 2);
    cr_assert_eq(
        commit(9, (struct commit){.group = "g", .member = "m1", .generation = 2, .topic = "t", .offset = 5}),
        KAFKA_ERR_NONE);
    cr_assert_eq(
        commit(9, (struct commit){.group = "g", .member = "m1", .generation = 3, .topic = "t", .offset = 6}),
        KAFKA_ERR_STALE_MEMBER_EPOCH);
    desk_take_over(&d);
    heard = member_beats("g", "m1", 2, NULL);
    cr_assert_eq(heard.error, KAFKA_ERR_NONE);
    cr_assert_eq(heard.epoch, 2);
    cr_assert_eq(heard.tasks, -1);
    cr_assert_eq(committed("g"), 5);
    cr_assert_str_eq(listed("g"), "Stable streams");
}

Test(streams_apis, each_protocol_keeps_to_its_own_groups)
{
    char id[128];
    int32_t members;
    member_beats("new", "m1", 0, NULL);
    stable("old", id);
    cr_assert_eq(describe("new", &members), KAFKA_ERR_NONE);
    cr_assert_eq(members, 1);
    cr_assert_eq(describe_classic("new"), KAFKA_ERR_GROUP_ID_NOT_FOUND);
    cr_assert_eq(describe("old", &members), KAFKA_ERR_GROUP_ID_NOT_FOUND);
    cr_assert_eq(member_beats("old", "m1", 0, NULL).error, KAFKA_ERR_GROUP_ID_NOT_FOUND);
    cr_assert_str_eq(listed("old"), "Stable classic");
    cr_assert_eq(consumer_joins("new"), KAFKA_ERR_GROUP_ID_NOT_FOUND);
    cr_assert_eq(classic_joins("new"), KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL);
    cr_assert_eq(beat(4, "new", "m1", 2), KAFKA_ERR_UNKNOWN_MEMBER_ID);
    cr_assert_str_eq(listed("new"), "Stable streams");
}

Test(streams_apis, an_empty_group_changes_its_protocol_and_keeps_its_offsets)
{
    cr_assert_eq(simple_commit("g", 9), KAFKA_ERR_NONE);
    cr_assert_eq(member_beats("g", "m1", 0, NULL).error, KAFKA_ERR_NONE);
    cr_assert_eq(committed("g"), 9);
    cr_assert_eq(member_beats("g", "m1", -1, NULL).error, KAFKA_ERR_NONE);
    cr_assert_str_eq(listed("g"), "Empty streams");
    desk_take_over(&d);
    cr_assert_str_eq(listed("g"), "Empty streams");
    cr_assert_eq(classic_joins("g"), KAFKA_ERR_NONE);
    cr_assert_str_eq(listed("g"), "CompletingRebalance classic");
    desk_take_over(&d); // also of what was buried; the member may not know its id yet
    cr_assert_str_eq(listed("g"), "Empty classic");
    cr_assert_eq(committed("g"), 9);
}

Test(streams_apis, a_deleted_group_is_gone_for_good)
{
    member_beats("g", "m1", 0, NULL);
    commit(9, (struct commit){.group = "g", .member = "m1", .generation = 2, .topic = "t", .offset = 5});
    cr_assert_eq(delete_group("g"), KAFKA_ERR_NON_EMPTY_GROUP);
    member_beats("g", "m1", -1, NULL);
    cr_assert_eq(delete_group("g"), KAFKA_ERR_NONE);
    cr_assert_str_eq(listed("g"), "");
    cr_assert_eq(member_beats("g", "m1", 2, NULL).error, KAFKA_ERR_GROUP_ID_NOT_FOUND);
    desk_take_over(&d);
    cr_assert_str_eq(listed("g"), "");
    cr_assert_eq(committed("g"), -1);
}

Test(streams_apis, offsets_of_topics_that_are_read_are_not_deleted)
{
    struct kafka_offset_delete_request_offset_delete_request_partition partition = {.partition_index = 0};
    struct kafka_offset_delete_request_offset_delete_request_topic topic = {
        .name = text("t"), .partitions = &partition, .partitions_count = 1};
    struct kafka_offset_delete_request request = {.group_id = text("g"), .topics = &topic, .topics_count = 1};
    member_beats("g", "m1", 0, NULL);
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_OFFSET_DELETE, 0, &request);
    const struct kafka_offset_delete_response *answer = desk_await(&call);
    cr_assert_eq(answer->topics[0].partitions[0].error_code, KAFKA_ERR_GROUP_SUBSCRIBED_TO_TOPIC);
    desk_done(&call);
}

Test(streams_apis, what_keeps_internal_topics_from_being_made_is_told)
{
    struct heard heard = member_beats("g", "m1", 0, "log");
    cr_assert_eq(heard.error, KAFKA_ERR_NONE);
    cr_assert_eq(heard.tasks, 0);
    cr_assert_eq(heard.status, 3); // MISSING_INTERNAL_TOPICS
    cr_assert_str_eq(heard.detail, "Internal topics are missing: log");
    cr_assert_str_eq(listed("g"), "NotReady streams");
    for (int i = 0; i < 200 && strstr(heard.detail, "Creation failed: log") == NULL; i++) {
        desk_turns(&d, 20);
        heard = member_beats("g", "m1", heard.epoch, NULL);
    }
    cr_assert(strstr(heard.detail, "Creation failed: log") != NULL, "%s", heard.detail);
}

Test(streams_apis, a_request_says_what_it_may)
{
    request_t request;
    kafka_defaults(&kafka_streams_group_heartbeat_request_message, &request);
    request.group_id = text("g");
    cr_assert_eq(ask(&request).error, KAFKA_ERR_INVALID_REQUEST, "no member id");
    request.member_id = text("m");
    cr_assert_eq(ask(&request).error, KAFKA_ERR_INVALID_REQUEST, "no topology");
    request.member_epoch = -2;
    cr_assert_eq(ask(&request).error, KAFKA_ERR_INVALID_REQUEST, "nobody is static");
    request.member_epoch = -3;
    cr_assert_eq(ask(&request).error, KAFKA_ERR_INVALID_REQUEST);
    request.member_epoch = 1;
    request.active_tasks_count = 0;
    cr_assert_eq(ask(&request).error, KAFKA_ERR_INVALID_REQUEST, "one kind of tasks only");
    request.standby_tasks_count = request.warmup_tasks_count = 0;
    cr_assert_eq(ask(&request).error, KAFKA_ERR_GROUP_ID_NOT_FOUND);
    struct kafka_streams_group_heartbeat_request_topology topology = {0};
    request.topology = &topology;
    cr_assert_eq(ask(&request).error, KAFKA_ERR_INVALID_REQUEST, "a topology comes with the first one only");
    cr_assert_str_eq(listed("g"), "");
}
