// SPDX-License-Identifier: Apache-2.0
// The group APIs of a coordinator over its ledgers, at every version where it matters: one test per
// behaviour.
#include "asks.h"

#include "apis.h"
#include "kafka/messages/delete_groups.h"
#include "kafka/messages/describe_groups.h"
#include "kafka/messages/heartbeat.h"
#include "kafka/messages/join_group.h"
#include "kafka/messages/leave_group.h"
#include "kafka/messages/list_groups.h"
#include "kafka/messages/offset_commit.h"
#include "kafka/messages/offset_fetch.h"
#include "kafka/messages/sync_group.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(coordinator, .init = asks_setup, .fini = asks_teardown, .timeout = 60);

// ---- groups over the ledger ----

Test(coordinator, a_member_joins_syncs_and_beats_at_every_version)
{
    for (int16_t version = 0; version <= 9; version++) {
        struct desk_call call;
        char group[16], id[128];
        snprintf(group, sizeof group, "g%d", version);
        send_join(&call, version, group, "");
        const struct kafka_join_group_response *joined = desk_await(&call);
        snprintf(id, sizeof id, "%.*s", (int)joined->member_id.len, (const char *)joined->member_id.data);
        cr_assert_eq(strncmp(id, "tester-", 7), 0, "%s", id);
        cr_assert_eq(strlen(id), strlen("tester-") + 36);
        if (version >= 4) {
            cr_assert_eq(joined->error_code, KAFKA_ERR_MEMBER_ID_REQUIRED);
            desk_done(&call);
            send_join(&call, version, group, id);
            joined = desk_await(&call);
        }
        cr_assert_eq(joined->error_code, KAFKA_ERR_NONE, "v%d", version);
        cr_assert_eq(joined->generation_id, 1);
        cr_assert_eq(joined->members_count, 1);
        cr_assert(slice_is(joined->leader, id));
        desk_done(&call);
        int16_t sync_version = version > 5 ? 5 : version;
        send_sync(&call, sync_version, group, id, 1);
        const struct kafka_sync_group_response *synced = desk_await(&call);
        cr_assert_eq(synced->error_code, KAFKA_ERR_NONE);
        cr_assert(slice_is(synced->assignment, "yours"));
        desk_done(&call);
        cr_assert_eq(beat(version > 4 ? 4 : version, group, id, 1), KAFKA_ERR_NONE);
    }
}

Test(coordinator, a_refused_join_can_be_encoded_at_every_version)
{
    for (int16_t version = 0; version <= 9; version++) {
        struct desk_call call;
        send_join(&call, version, "g", "stranger");
        const struct kafka_join_group_response *joined = desk_await(&call);
        cr_assert_eq(joined->error_code, KAFKA_ERR_UNKNOWN_MEMBER_ID);
        cr_assert_eq(joined->generation_id, -1);
        desk_done(&call);
    }
}

Test(coordinator, a_group_without_a_name_has_no_members_but_offsets)
{
    struct desk_call call;
    send_join(&call, 9, "", "");
    cr_assert_eq(((const struct kafka_join_group_response *)desk_await(&call))->error_code,
                 KAFKA_ERR_INVALID_GROUP_ID);
    desk_done(&call);
    send_sync(&call, 5, "", "m", 1);
    cr_assert_eq(((const struct kafka_sync_group_response *)desk_await(&call))->error_code,
                 KAFKA_ERR_INVALID_GROUP_ID);
    desk_done(&call);
    cr_assert_eq(beat(4, "", "m", 1), KAFKA_ERR_INVALID_GROUP_ID);
    cr_assert_eq(simple_commit("", 5), KAFKA_ERR_NONE);
    cr_assert_eq(committed(""), 5);
    desk_take_over(&d);
    cr_assert_eq(committed(""), 5);
    struct slice names[] = {text("")};
    struct kafka_delete_groups_request gone = {.groups_names = names, .groups_names_count = 1};
    desk_send(&d, &call, KAFKA_API_DELETE_GROUPS, 2, &gone);
    cr_assert_eq(((const struct kafka_delete_groups_response *)desk_await(&call))->results[0].error_code, 0);
    desk_done(&call);
    cr_assert_eq(committed(""), -1);
}

Test(coordinator, a_sync_that_does_not_say_its_protocol_is_refused_from_version_5_on)
{
    char id[128];
    stable("g", id);
    for (int16_t version = 4; version <= 5; version++) {
        struct desk_call call;
        struct kafka_sync_group_request request;
        kafka_defaults(&kafka_sync_group_request_message, &request);
        request.group_id = text("g");
        request.member_id = text(id);
        request.generation_id = 1;
        desk_send(&d, &call, KAFKA_API_SYNC_GROUP, version, &request);
        cr_assert_eq(((const struct kafka_sync_group_response *)desk_await(&call))->error_code,
                     version < 5 ? KAFKA_ERR_NONE : KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL);
        desk_done(&call);
    }
}

Test(coordinator, leaving_tells_its_error_on_top_before_version_3_and_per_member_after)
{
    char id[128];
    int16_t member_error;
    for (int16_t version = 0; version <= 5; version++) {
        cr_assert_eq(leave(version, "none", "stranger", &member_error),
                     version < 3 ? KAFKA_ERR_UNKNOWN_MEMBER_ID : KAFKA_ERR_NONE);
        cr_assert_eq(member_error, KAFKA_ERR_UNKNOWN_MEMBER_ID);
        stable("g", id);
        cr_assert_eq(leave(version, "g", id, &member_error), KAFKA_ERR_NONE);
        cr_assert_eq(member_error, KAFKA_ERR_NONE);
        cr_assert_eq(beat(4, "g", id, 2), KAFKA_ERR_UNKNOWN_MEMBER_ID);
        struct desk_call call; // the next round begins with a new group
        struct slice names[] = {text("g")};
        struct kafka_delete_groups_request gone = {.groups_names = names, .groups_names_count = 1};
        desk_send(&d, &call, KAFKA_API_DELETE_GROUPS, 2, &gone);
        desk_await(&call);
        desk_done(&call);
    }
}

Test(coordinator, a_stable_group_survives_its_coordinator)
{
    char id[128];
    stable("g", id);
    cr_assert_eq(
        commit(9, (struct commit){.group = "g", .member = id, .generation = 1, .topic = "t", .offset = 7}),
        KAFKA_ERR_NONE);
    desk_take_over(&d);
    cr_assert_eq(beat(4, "g", id, 1), KAFKA_ERR_NONE);
    cr_assert_eq(committed("g"), 7);
    struct desk_call call;
    send_sync(&call, 5, "g", id, 1);
    cr_assert(slice_is(((const struct kafka_sync_group_response *)desk_await(&call))->assignment, "yours"));
    desk_done(&call);
}

// What a heartbeat gets from a coordinator that may work again.
static int16_t beat_when_served(const char *group, const char *member)
{
    struct kafka_heartbeat_request heartbeat;
    kafka_defaults(&kafka_heartbeat_request_message, &heartbeat);
    heartbeat.group_id = text(group);
    heartbeat.member_id = text(member);
    heartbeat.generation_id = 1;
    for (int i = 0; i < 200; i++) {
        struct desk_call call;
        desk_send(&d, &call, KAFKA_API_HEARTBEAT, 4, &heartbeat);
        bool served = desk_outcome(&call) == ST_OK;
        int16_t error =
            served ? ((const struct kafka_heartbeat_response *)desk_await(&call))->error_code : 0;
        desk_done(&call);
        if (served)
            return error;
        desk_turns(&d, 20);
    }
    cr_assert(false, "it does not work again");
    return 0;
}

Test(coordinator, nobody_is_put_out_for_silence_while_the_coordinator_may_not_answer)
{
    char id[128];
    d.lease_ms = 200;
    desk_turns(&d, 1500); // until it holds a lease that short
    asks_session_ms = 1000;
    stable("g", id);
    d.heartbeats_refused = true;
    desk_turns(&d, 4000);
    d.heartbeats_refused = false;
    cr_expect_eq(beat_when_served("g", id), KAFKA_ERR_NONE);
    desk_turns(&d, 1500);
    cr_expect_eq(beat_when_served("g", id), KAFKA_ERR_UNKNOWN_MEMBER_ID, "it was silent itself");
}

Test(coordinator, a_parked_join_is_failed_as_not_executed_when_the_shard_goes)
{
    char id[128];
    stable("g", id);
    struct desk_call fresh, parked;
    send_join(&fresh, 3, "g", ""); // waits for the member
    desk_turns(&d, 50);
    cr_assert_eq(fresh.status, ST_AGAIN);
    desk_assign(&d, 99);
    cr_assert_eq(desk_outcome(&fresh), ST_NOT_LEADER);
    send_join(&parked, 9, "g", id);
    cr_assert_eq(desk_outcome(&parked), ST_NOT_LEADER);
    desk_done(&fresh);
    desk_done(&parked);
}

Test(coordinator, a_rebalance_goes_on_at_the_next_coordinator)
{
    char ids[2][128];
    stable("g", ids[0]);
    struct desk_call call, joins[2];
    send_join(&call, 9, "g", "");
    const struct kafka_join_group_response *joined = desk_await(&call);
    snprintf(ids[1], 128, "%.*s", (int)joined->member_id.len, (const char *)joined->member_id.data);
    desk_done(&call);
    send_join(&joins[1], 9, "g", ids[1]);
    desk_turns(&d, 100); // parked, and the rebalance is written
    rpc_cancel(d.rpcs[2], &joins[1]);
    desk_take_over(&d);
    cr_assert_eq(beat(4, "g", ids[0], 1), KAFKA_ERR_REBALANCE_IN_PROGRESS);
    desk_done(&joins[1]);
    send_join(&joins[1], 9, "g", ids[1]);
    send_join(&joins[0], 9, "g", ids[0]);
    for (int i = 0; i < 2; i++) {
        joined = desk_await(&joins[i]);
        cr_assert_eq(joined->error_code, KAFKA_ERR_NONE);
        cr_assert_eq(joined->generation_id, 2);
        cr_assert_eq(joined->members_count, i == 0 ? 2 : 0);
        desk_done(&joins[i]);
    }
}

Test(coordinator, nothing_is_answered_before_it_is_committed)
{
    char id[128];
    stable("g", id);
    d.appends_held = true;
    struct kafka_offset_fetch_request request;
    int32_t partition = 0;
    struct kafka_offset_fetch_request_offset_fetch_request_topic topic = {
        .name = text("t"), .partition_indexes = &partition, .partition_indexes_count = 1};
    struct desk_call write, read, parked;
    struct kafka_leave_group_request leaving;
    struct kafka_leave_group_request_member_identity one;
    kafka_structure_defaults(&kafka_leave_group_request_member_identity_type, &one);
    one.member_id = text(id);
    kafka_defaults(&kafka_leave_group_request_message, &leaving);
    leaving.group_id = text("g");
    leaving.members = &one;
    leaving.members_count = 1;
    desk_send(&d, &write, KAFKA_API_LEAVE_GROUP, 5, &leaving);
    desk_turns(&d, 50);
    kafka_defaults(&kafka_offset_fetch_request_message, &request);
    request.group_id = text("g");
    request.topics = &topic;
    request.topics_count = 1;
    desk_send(&d, &read, KAFKA_API_OFFSET_FETCH, 7, &request); // could have seen the leave
    send_join(&parked, 9, "g", id);
    desk_turns(&d, 100);
    cr_assert_eq(write.status, ST_AGAIN);
    cr_assert_eq(read.status, ST_AGAIN);
    cr_assert_eq(parked.status, ST_AGAIN);
    desk_assign(&d, 99); // now nobody knows what became of it
    struct desk_call *calls[] = {&write, &read, &parked};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(desk_outcome(calls[i]), ST_UNREACHABLE);
        desk_done(calls[i]);
    }
}

Test(coordinator, a_shard_that_is_being_loaded_says_so)
{
    struct desk_call call;
    d.opens_held = true;
    desk_assign(&d, DESK_NODE);
    desk_turns(&d, 50);
    send_join(&call, 9, "g", "");
    cr_assert_eq(desk_outcome(&call), ST_LOADING);
    desk_done(&call);
    struct kafka_list_groups_request all = {0};
    desk_send(&d, &call, KAFKA_API_LIST_GROUPS, 3, &all);
    cr_assert_eq(desk_outcome(&call), ST_LOADING);
    desk_done(&call);
}

Test(coordinator, a_client_that_is_gone_frees_the_held_answer_and_stays_a_member)
{
    char id[128];
    stable("g", id);
    struct desk_call parked;
    send_join(&parked, 3, "g", "");
    desk_turns(&d, 50);
    desk_cancel(&parked);
    cr_assert_eq(desk_outcome(&parked), ST_CANCELLED);
    cr_assert_eq(beat(4, "g", id, 1), KAFKA_ERR_REBALANCE_IN_PROGRESS);
    desk_done(&parked);
    struct desk_call again, others[20];
    for (int i = 0; i < 20; i++) // take the memory the held request had
        send_join(&others[i], 9, "other", "stranger");
    send_join(&again, 9, "g", id); // completes the rebalance, which answers all who are still there
    cr_assert_eq(((const struct kafka_join_group_response *)desk_await(&again))->members_count, 2);
    for (int i = 0; i < 20; i++) {
        desk_await(&others[i]);
        desk_done(&others[i]);
    }
    desk_done(&again);
}

// ---- groups as an administrator sees them ----

static const struct kafka_describe_groups_response_described_group *
describe(struct desk_call *call, int16_t version, const char *group)
{
    struct slice names[] = {text(group)};
    struct kafka_describe_groups_request request = {
        .groups = names, .groups_count = 1, .include_authorized_operations = version >= 3};
    desk_send(&d, call, KAFKA_API_DESCRIBE_GROUPS, version, &request);
    const struct kafka_describe_groups_response *answer = desk_await(call);
    cr_assert_eq(answer->groups_count, 1);
    return &answer->groups[0];
}

Test(coordinator, a_group_is_described_at_every_version)
{
    char id[128];
    stable("g", id);
    for (int16_t version = 0; version <= 6; version++) {
        struct desk_call call;
        const struct kafka_describe_groups_response_described_group *group = describe(&call, version, "g");
        cr_assert_eq(group->error_code, KAFKA_ERR_NONE);
        cr_assert(slice_is(group->group_state, "Stable"));
        cr_assert(slice_is(group->protocol_type, "consumer"));
        cr_assert(slice_is(group->protocol_data, "range"));
        cr_assert_eq(group->members_count, 1);
        cr_assert(slice_is(group->members[0].client_host, "/10.1.2.3"));
        cr_assert(slice_is(group->members[0].client_id, "tester"));
        cr_assert(slice_is(group->members[0].member_assignment, "yours"));
        cr_assert_eq(group->members[0].member_metadata.len, 13);
        desk_done(&call);
    }
}

Test(coordinator, a_group_nobody_knows_is_dead_and_from_version_6_an_error)
{
    for (int16_t version = 0; version <= 6; version++) {
        struct desk_call call;
        const struct kafka_describe_groups_response_described_group *group = describe(&call, version, "none");
        cr_assert(slice_is(group->group_state, "Dead"));
        cr_assert_eq(group->error_code, version >= 6 ? KAFKA_ERR_GROUP_ID_NOT_FOUND : KAFKA_ERR_NONE);
        desk_done(&call);
    }
}

static int32_t list(int16_t version, const char *state, const char *type)
{
    struct slice states[] = {text(state)}, types[] = {text(type)};
    struct kafka_list_groups_request request = {.states_filter = states,
                                                .states_filter_count = state == NULL ? 0 : 1,
                                                .types_filter = types,
                                                .types_filter_count = type == NULL ? 0 : 1};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_LIST_GROUPS, version, &request);
    const struct kafka_list_groups_response *answer = desk_await(&call);
    cr_assert_eq(answer->error_code, KAFKA_ERR_NONE);
    int32_t count = answer->groups_count;
    desk_done(&call);
    return count;
}

Test(coordinator, all_groups_are_listed_and_filtered_by_state_and_type)
{
    char id[128];
    stable("g", id);
    simple_commit("h", 1);
    for (int16_t version = 0; version <= 5; version++)
        cr_assert_eq(list(version, NULL, NULL), 2);
    cr_assert_eq(list(4, "stable", NULL), 1);
    cr_assert_eq(list(4, "Empty", NULL), 1);
    cr_assert_eq(list(4, "Dead", NULL), 0);
    cr_assert_eq(list(5, NULL, "Classic"), 2);
    cr_assert_eq(list(5, NULL, "consumer"), 0);
}

static int16_t delete_group(int16_t version, const char *group)
{
    struct slice names[] = {text(group)};
    struct kafka_delete_groups_request request = {.groups_names = names, .groups_names_count = 1};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_DELETE_GROUPS, version, &request);
    const struct kafka_delete_groups_response *answer = desk_await(&call);
    int16_t error = answer->results[0].error_code;
    desk_done(&call);
    return error;
}

// Each offset's record, and its tombstone, names the group anew.
static void commit_to_all(const char *group, int32_t from, int32_t count)
{
    struct kafka_offset_commit_request_offset_commit_request_partition rows[100] = {0};
    struct kafka_offset_commit_request_offset_commit_request_topic topic = {
        .name = text("wide"), .partitions = rows, .partitions_count = count};
    struct kafka_offset_commit_request request;
    kafka_defaults(&kafka_offset_commit_request_message, &request);
    for (int32_t i = 0; i < count; i++)
        rows[i] = (struct kafka_offset_commit_request_offset_commit_request_partition){
            .partition_index = from + i, .committed_offset = 1, .committed_leader_epoch = -1,
            .committed_metadata = text("")};
    request.group_id = text(group);
    request.member_id = text("");
    request.generation_id_or_member_epoch = -1;
    request.topics = &topic;
    request.topics_count = 1;
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_OFFSET_COMMIT, 9, &request);
    const struct kafka_offset_commit_response *answer = desk_await(&call);
    for (int32_t i = 0; i < count; i++)
        cr_assert_eq(answer->topics[0].partitions[i].error_code, KAFKA_ERR_NONE);
    desk_done(&call);
}

Test(coordinator, a_group_of_many_offsets_is_deleted_as_the_ledger_takes_it)
{
    enum { NAME = 32000, OFFSETS = 1200 };
    static char group[NAME + 1];
    memset(group, 'g', NAME);
    desk_topic_of(&d, 9, "wide", OFFSETS);
    for (int32_t from = 0; from < OFFSETS; from += 100)
        commit_to_all(group, from, 100);
    cr_assert_eq(delete_group(2, group), KAFKA_ERR_COORDINATOR_NOT_AVAILABLE);
    int16_t error = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    for (int i = 0; i < 10 && error == KAFKA_ERR_COORDINATOR_NOT_AVAILABLE; i++)
        error = delete_group(2, group);
    cr_assert_eq(error, KAFKA_ERR_NONE);
    cr_assert_eq(delete_group(2, group), KAFKA_ERR_GROUP_ID_NOT_FOUND);
}

Test(coordinator, only_empty_groups_are_deleted_and_their_offsets_with_them)
{
    char id[128];
    int16_t member_error;
    for (int16_t version = 0; version <= 2; version++)
        cr_assert_eq(delete_group(version, "none"), KAFKA_ERR_GROUP_ID_NOT_FOUND);
    stable("g", id);
    commit(9, (struct commit){.group = "g", .member = id, .generation = 1, .topic = "t", .offset = 7});
    cr_assert_eq(delete_group(2, "g"), KAFKA_ERR_NON_EMPTY_GROUP);
    leave(5, "g", id, &member_error);
    cr_assert_eq(delete_group(2, "g"), KAFKA_ERR_NONE);
    cr_assert_eq(committed("g"), -1);
    cr_assert_eq(list(5, NULL, NULL), 0);
    desk_take_over(&d);
    cr_assert_eq(list(5, NULL, NULL), 0);
    cr_assert_eq(committed("g"), -1);
}

Test(coordinator, every_api_of_the_table_is_authorised)
{
    for (int i = 0; i < coordinator_api_count; i++) {
        const struct authorise_rule *rule = authorise_rule(coordinator_apis[i].key);
        cr_assert_not_null(rule);
        cr_assert_neq(rule->operation, OPERATION_NONE);
    }
}

Test(coordinator, what_cannot_be_decoded_fails_the_relay_only)
{
    char id[128];
    struct desk_call call;
    struct kafka_heartbeat_request heartbeat;
    kafka_defaults(&kafka_heartbeat_request_message, &heartbeat);
    heartbeat.group_id = text("g");
    desk_send_damaged(&d, &call, KAFKA_API_HEARTBEAT, 4, &heartbeat);
    cr_assert_neq(desk_outcome(&call), ST_OK);
    desk_done(&call);
    stable("g", id);
}
