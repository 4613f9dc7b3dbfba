// SPDX-License-Identifier: Apache-2.0
// The APIs of a coordinator over its ledgers, at every version where it matters: one test per behaviour
// (kafka-wire rows commit fencing, OffsetFetch, offset expiry, and the admin APIs).
#include "desk.h"

#include "apis.h"
#include "kafka/messages/delete_groups.h"
#include "kafka/messages/describe_groups.h"
#include "kafka/messages/heartbeat.h"
#include "kafka/messages/join_group.h"
#include "kafka/messages/leave_group.h"
#include "kafka/messages/list_groups.h"
#include "kafka/messages/offset_commit.h"
#include "kafka/messages/offset_delete.h"
#include "kafka/messages/offset_fetch.h"
#include "kafka/messages/sync_group.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct desk d;

static void setup(void)
{
    desk_start(&d);
}

static void teardown(void)
{
    desk_stop(&d);
}

TestSuite(coordinator, .init = setup, .fini = teardown, .timeout = 60);

static struct slice text(const char *s)
{
    return slice_str(s);
}

// ---- short forms ----

static void send_join(struct desk_call *call, int16_t version, const char *group, const char *member)
{
    struct kafka_join_group_request_join_group_request_protocol protocol = {
        .name = text("range"), .metadata = slice_of("\0\0\0\0\0\1\0\1t\0\0\0\0", 13)}; // reads topic t
    struct kafka_join_group_request join;
    kafka_defaults(&kafka_join_group_request_message, &join);
    join.group_id = text(group);
    join.member_id = text(member);
    join.session_timeout_ms = 6000;
    join.rebalance_timeout_ms = version >= 1 ? 6000 : -1;
    join.protocol_type = text("consumer");
    join.protocols = &protocol;
    join.protocols_count = 1;
    desk_send(&d, call, KAFKA_API_JOIN_GROUP, version, &join);
}

static void send_sync(struct desk_call *call, int16_t version, const char *group, const char *member,
                      int32_t generation)
{
    struct kafka_sync_group_request_sync_group_request_assignment given = {.member_id = text(member),
                                                                           .assignment = text("yours")};
    struct kafka_sync_group_request sync;
    kafka_defaults(&kafka_sync_group_request_message, &sync);
    sync.group_id = text(group);
    sync.member_id = text(member);
    sync.generation_id = generation;
    sync.assignments = &given;
    sync.assignments_count = 1;
    if (version >= 5) {
        sync.protocol_type = text("consumer");
        sync.protocol_name = text("range");
    }
    desk_send(&d, call, KAFKA_API_SYNC_GROUP, version, &sync);
}

static int16_t beat(int16_t version, const char *group, const char *member, int32_t generation)
{
    struct desk_call call;
    struct kafka_heartbeat_request heartbeat;
    kafka_defaults(&kafka_heartbeat_request_message, &heartbeat);
    heartbeat.group_id = text(group);
    heartbeat.member_id = text(member);
    heartbeat.generation_id = generation;
    desk_send(&d, &call, KAFKA_API_HEARTBEAT, version, &heartbeat);
    const struct kafka_heartbeat_response *answer = desk_await(&call);
    int16_t error = answer->error_code;
    desk_done(&call);
    return error;
}

struct commit {
    const char *group, *member, *topic, *metadata;
    int32_t generation, partition;
    int64_t offset, retention_ms;
    uint8_t topic_id;
};

static int16_t commit(int16_t version, struct commit what)
{
    struct kafka_offset_commit_request_offset_commit_request_partition partition = {
        .partition_index = what.partition,
        .committed_offset = what.offset,
        .committed_leader_epoch = version >= 6 ? 3 : -1,
        .committed_metadata = text(what.metadata ? what.metadata : "")};
    struct kafka_offset_commit_request_offset_commit_request_topic topic = {
        .name = text(version < 10 ? what.topic : ""), .partitions = &partition, .partitions_count = 1};
    topic.topic_id.bytes[0] = version >= 10 ? what.topic_id : 0;
    struct kafka_offset_commit_request request;
    kafka_defaults(&kafka_offset_commit_request_message, &request);
    request.group_id = text(what.group);
    request.member_id = text(what.member ? what.member : "");
    request.generation_id_or_member_epoch = what.generation;
    if (what.retention_ms != 0)
        request.retention_time_ms = what.retention_ms;
    request.topics = &topic;
    request.topics_count = 1;
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_OFFSET_COMMIT, version, &request);
    const struct kafka_offset_commit_response *answer = desk_await(&call);
    cr_assert_eq(answer->topics_count, 1);
    int16_t error = answer->topics[0].partitions[0].error_code;
    desk_done(&call);
    return error;
}

static int16_t simple_commit(const char *group, int64_t offset)
{
    return commit(9, (struct commit){.group = group, .topic = "t", .generation = -1, .offset = offset});
}

// The committed offset by the request's own form of each version; error gets the partition's.
static int64_t fetch(int16_t version, const char *group, const char *topic, int32_t partition, int16_t *error)
{
    struct kafka_offset_fetch_request_offset_fetch_request_topic old = {
        .name = text(topic), .partition_indexes = &partition, .partition_indexes_count = 1};
    struct kafka_offset_fetch_request_offset_fetch_request_topics topics = {
        .name = text(version < 10 ? topic : ""),
        .partition_indexes = &partition,
        .partition_indexes_count = 1};
    topics.topic_id.bytes[0] = version >= 10 ? 1 : 0;
    struct kafka_offset_fetch_request_offset_fetch_request_group one;
    kafka_structure_defaults(&kafka_offset_fetch_request_offset_fetch_request_group_type, &one);
    one.group_id = text(group);
    one.topics = &topics;
    one.topics_count = 1;
    struct kafka_offset_fetch_request request;
    kafka_defaults(&kafka_offset_fetch_request_message, &request);
    if (version >= 8) {
        request.groups = &one;
        request.groups_count = 1;
    } else {
        request.group_id = text(group);
        request.topics = &old;
        request.topics_count = 1;
    }
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_OFFSET_FETCH, version, &request);
    const struct kafka_offset_fetch_response *answer = desk_await(&call);
    int64_t offset;
    if (version >= 8) {
        offset = answer->groups[0].topics[0].partitions[0].committed_offset;
        *error = answer->groups[0].topics[0].partitions[0].error_code;
    } else {
        offset = answer->topics[0].partitions[0].committed_offset;
        *error = answer->topics[0].partitions[0].error_code;
    }
    desk_done(&call);
    return offset;
}

static int64_t committed(const char *group)
{
    int16_t error;
    int64_t offset = fetch(9, group, "t", 0, &error);
    cr_assert_eq(error, KAFKA_ERR_NONE);
    return offset;
}

// A member with generation 1 of a stable group; id gets its id.
static void stable(const char *group, char id[128])
{
    struct desk_call call;
    send_join(&call, 9, group, "");
    const struct kafka_join_group_response *joined = desk_await(&call);
    cr_assert_eq(joined->error_code, KAFKA_ERR_MEMBER_ID_REQUIRED);
    snprintf(id, 128, "%.*s", (int)joined->member_id.len, (const char *)joined->member_id.data);
    desk_done(&call);
    send_join(&call, 9, group, id);
    joined = desk_await(&call);
    cr_assert_eq(joined->error_code, KAFKA_ERR_NONE);
    int32_t generation = joined->generation_id;
    desk_done(&call);
    send_sync(&call, 5, group, id, generation);
    const struct kafka_sync_group_response *synced = desk_await(&call);
    cr_assert_eq(synced->error_code, KAFKA_ERR_NONE);
    cr_assert(slice_is(synced->assignment, "yours"));
    desk_done(&call);
}

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

Test(coordinator, an_empty_group_id_is_invalid)
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
    cr_assert_eq(simple_commit("", 5), KAFKA_ERR_INVALID_GROUP_ID);
}

static int16_t leave(int16_t version, const char *group, const char *member, int16_t *member_error)
{
    struct kafka_leave_group_request_member_identity one;
    kafka_structure_defaults(&kafka_leave_group_request_member_identity_type, &one);
    one.member_id = text(member);
    struct kafka_leave_group_request request;
    kafka_defaults(&kafka_leave_group_request_message, &request);
    request.group_id = text(group);
    if (version < 3) {
        request.member_id = text(member);
    } else {
        request.members = &one;
        request.members_count = 1;
    }
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_LEAVE_GROUP, version, &request);
    const struct kafka_leave_group_response *answer = desk_await(&call);
    int16_t error = answer->error_code;
    *member_error = version >= 3 ? answer->members[0].error_code : error;
    desk_done(&call);
    return error;
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

Test(coordinator, a_parked_join_is_failed_as_not_executed_when_the_shard_goes)
{
    char id[128];
    stable("g", id);
    struct desk_call fresh, parked;
    send_join(&fresh, 3, "g", ""); // waits for the member
    desk_turns(&d, 50);
    cr_assert_eq(fresh.status, ST_AGAIN);
    d.owner_epoch++;
    Millrace__ShardRecord shard = MILLRACE__SHARD_RECORD__INIT;
    for (int i = 0; i < DESK_SHARDS; i++) { // given to somebody else
        shard.topic = "__consumer_offsets";
        shard.shard = i;
        shard.owner = 99;
        shard.owner_epoch = d.owner_epoch;
        Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
        record.body_case = MILLRACE__METADATA_RECORD__BODY_SHARD;
        record.shard = &shard;
        desk_put(&d, &record);
    }
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
    struct desk_call *calls[] = {&write, &read, &parked};
    for (int i = 0; i < 3; i++) {
        rpc_cancel(d.rpcs[2], calls[i]);
        desk_done(calls[i]);
    }
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
}

// ---- offsets ----

Test(coordinator, an_offset_is_committed_and_fetched_at_every_version)
{
    int16_t error;
    for (int16_t version = 2; version <= 10; version++) {
        cr_assert_eq(commit(version, (struct commit){.group = "g",
                                                     .topic = "t",
                                                     .topic_id = 1,
                                                     .generation = -1,
                                                     .partition = 1,
                                                     .metadata = "note",
                                                     .offset = version + 100}),
                     KAFKA_ERR_NONE, "v%d", version);
        for (int16_t fetched = 1; fetched <= 10; fetched++) {
            cr_assert_eq(fetch(fetched, "g", "t", 1, &error), version + 100, "v%d", fetched);
            cr_assert_eq(error, KAFKA_ERR_NONE);
        }
    }
}

Test(coordinator, what_was_never_committed_is_minus_one_without_an_error)
{
    int16_t error;
    for (int16_t version = 1; version <= 10; version++) {
        cr_assert_eq(fetch(version, "nobody", "t", 0, &error), -1);
        cr_assert_eq(error, KAFKA_ERR_NONE);
    }
    simple_commit("g", 5);
    cr_assert_eq(fetch(7, "g", "t", 1, &error), -1);
    cr_assert_eq(fetch(7, "g", "unheard-of", 0, &error), -1);
    cr_assert_eq(error, KAFKA_ERR_NONE);
}

Test(coordinator, without_topics_all_offsets_are_fetched)
{
    simple_commit("g", 5);
    commit(9, (struct commit){.group = "g", .topic = "t", .generation = -1, .partition = 1, .offset = 6});
    for (int16_t version = 2; version <= 10; version++) {
        struct kafka_offset_fetch_request_offset_fetch_request_group one;
        kafka_structure_defaults(&kafka_offset_fetch_request_offset_fetch_request_group_type, &one);
        one.group_id = text("g");
        one.topics_count = -1;
        struct kafka_offset_fetch_request request;
        kafka_defaults(&kafka_offset_fetch_request_message, &request);
        if (version >= 8) {
            request.groups = &one;
            request.groups_count = 1;
        } else {
            request.group_id = text("g");
            request.topics_count = -1;
        }
        struct desk_call call;
        desk_send(&d, &call, KAFKA_API_OFFSET_FETCH, version, &request);
        const struct kafka_offset_fetch_response *answer = desk_await(&call);
        int32_t topics = version >= 8 ? answer->groups[0].topics_count : answer->topics_count;
        int32_t partitions =
            version >= 8 ? answer->groups[0].topics[0].partitions_count : answer->topics[0].partitions_count;
        cr_assert_eq(topics, 1);
        cr_assert_eq(partitions, 2);
        desk_done(&call);
    }
}

Test(coordinator, metadata_comes_back_and_has_a_limit)
{
    struct commit what = {
        .group = "g", .topic = "t", .generation = -1, .offset = 1, .metadata = "0123456789abcdef"};
    cr_assert_eq(commit(9, what), KAFKA_ERR_NONE);
    what.metadata = "0123456789abcdef!";
    what.offset = 2;
    cr_assert_eq(commit(9, what), KAFKA_ERR_OFFSET_METADATA_TOO_LARGE);
    cr_assert_eq(committed("g"), 1);
}

Test(coordinator, commits_to_unknown_topics_and_partitions_are_refused)
{
    struct commit what = {.group = "g", .topic = "unheard-of", .generation = -1, .offset = 1, .topic_id = 77};
    cr_assert_eq(commit(9, what), KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION);
    cr_assert_eq(commit(10, what), KAFKA_ERR_UNKNOWN_TOPIC_ID);
    what.topic = "t";
    what.partition = 2;
    cr_assert_eq(commit(9, what), KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION);
}

Test(coordinator, a_commit_to_a_topic_made_a_moment_ago_waits_for_the_image)
{
    struct kafka_offset_commit_request_offset_commit_request_partition partition = {.committed_offset = 4};
    struct kafka_offset_commit_request_offset_commit_request_topic topic = {
        .name = text("new"), .partitions = &partition, .partitions_count = 1};
    struct kafka_offset_commit_request request;
    kafka_defaults(&kafka_offset_commit_request_message, &request);
    request.group_id = text("g");
    request.topics = &topic;
    request.topics_count = 1;
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_OFFSET_COMMIT, 8, &request);
    desk_turns(&d, 30);
    desk_topic(&d, 2, "new");
    const struct kafka_offset_commit_response *answer = desk_await(&call);
    cr_assert_eq(answer->topics[0].partitions[0].error_code, KAFKA_ERR_NONE);
    desk_done(&call);
}

Test(coordinator, an_unknown_group_with_a_generation_is_told_by_version)
{
    struct commit what = {.group = "g", .member = "m", .topic = "t", .generation = 1};
    cr_assert_eq(commit(8, what), KAFKA_ERR_ILLEGAL_GENERATION);
    cr_assert_eq(commit(9, what), KAFKA_ERR_GROUP_ID_NOT_FOUND);
}

Test(coordinator, offsets_of_a_topic_that_is_gone_are_gone)
{
    int16_t error;
    desk_topic(&d, 2, "short");
    desk_turns(&d, 50);
    commit(9, (struct commit){.group = "g", .topic = "short", .generation = -1, .offset = 9});
    simple_commit("g", 5);
    cr_assert_eq(fetch(7, "g", "short", 0, &error), 9);
    desk_topic_gone(&d, 2);
    desk_topic(&d, 3, "short");
    desk_turns(&d, 100);
    cr_assert_eq(fetch(7, "g", "short", 0, &error), -1);
    cr_assert_eq(committed("g"), 5);
}

Test(coordinator, also_when_no_coordinator_saw_it_go)
{
    int16_t error;
    desk_topic(&d, 2, "short");
    desk_turns(&d, 50);
    commit(9, (struct commit){.group = "g", .topic = "short", .generation = -1, .offset = 9});
    d.silent = true; // the image of this coordinator hears no more
    desk_topic_gone(&d, 2);
    desk_topic(&d, 3, "short");
    d.silent = false;
    desk_take_over(&d);
    cr_assert_eq(fetch(7, "g", "short", 0, &error), -1);
}

static int16_t delete_offset(const char *group, const char *topic, int16_t *error)
{
    struct kafka_offset_delete_request_offset_delete_request_partition partition = {0};
    struct kafka_offset_delete_request_offset_delete_request_topic one = {
        .name = text(topic), .partitions = &partition, .partitions_count = 1};
    struct kafka_offset_delete_request request = {.group_id = text(group), .topics = &one, .topics_count = 1};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_OFFSET_DELETE, 0, &request);
    const struct kafka_offset_delete_response *answer = desk_await(&call);
    int16_t top = answer->error_code;
    *error = answer->topics_count > 0 ? answer->topics[0].partitions[0].error_code : KAFKA_ERR_NONE;
    desk_done(&call);
    return top;
}

Test(coordinator, offsets_can_be_deleted_unless_the_group_reads_the_topic)
{
    char id[128];
    int16_t error;
    cr_assert_eq(delete_offset("none", "t", &error), KAFKA_ERR_GROUP_ID_NOT_FOUND);
    simple_commit("g", 5);
    cr_assert_eq(delete_offset("g", "unheard-of", &error), KAFKA_ERR_NONE);
    cr_assert_eq(error, KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION);
    cr_assert_eq(delete_offset("g", "t", &error), KAFKA_ERR_NONE);
    cr_assert_eq(error, KAFKA_ERR_NONE);
    cr_assert_eq(committed("g"), -1);
    stable("h", id);
    commit(9, (struct commit){.group = "h", .member = id, .generation = 1, .topic = "t", .offset = 7});
    cr_assert_eq(delete_offset("h", "t", &error), KAFKA_ERR_NONE);
    cr_assert_eq(error, KAFKA_ERR_GROUP_SUBSCRIBED_TO_TOPIC);
    cr_assert_eq(committed("h"), 7);
}

// ---- retention: commits are made a week and more ago; the next coordinator looks at them now ----

enum { DAY_MS = 24 * 3600 * 1000 };

static void days_later(int days)
{
    desk_turns(&d, 50);
    desk_set_clock((int64_t)days * DAY_MS);
    desk_take_over(&d);
    desk_turns(&d, 100);
}

Test(coordinator, offsets_of_a_group_without_members_expire_a_week_after_the_commit)
{
    simple_commit("g", 5);
    days_later(6);
    cr_assert_eq(committed("g"), 5);
    days_later(8);
    cr_assert_eq(committed("g"), -1);
}

Test(coordinator, offsets_of_an_empty_group_expire_a_week_after_it_became_empty)
{
    char id[128];
    int16_t member_error;
    stable("g", id);
    commit(9, (struct commit){.group = "g", .member = id, .generation = 1, .topic = "t", .offset = 7});
    desk_set_clock(5ll * DAY_MS);
    leave(5, "g", id, &member_error);
    days_later(11);
    cr_assert_eq(committed("g"), 7);
    days_later(13);
    cr_assert_eq(committed("g"), -1);
}

static int32_t groups_listed(void)
{
    struct kafka_list_groups_request request = {0};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_LIST_GROUPS, 3, &request);
    int32_t count = ((const struct kafka_list_groups_response *)desk_await(&call))->groups_count;
    desk_done(&call);
    return count;
}

Test(coordinator, a_group_without_members_and_offsets_is_forgotten)
{
    char id[128];
    int16_t member_error;
    stable("g", id);
    leave(5, "g", id, &member_error);
    desk_turns(&d, 100);
    cr_assert_eq(groups_listed(), 0);
    desk_take_over(&d);
    cr_assert_eq(groups_listed(), 0);
}

Test(coordinator, offsets_a_member_reads_never_expire)
{
    char id[128];
    desk_topic(&d, 2, "left");
    desk_turns(&d, 50);
    stable("g", id); // subscribed to t
    struct commit what = {.group = "g", .member = id, .generation = 1, .topic = "t", .offset = 7};
    commit(9, what);
    what.topic = "left";
    commit(9, what);
    desk_turns(&d, 50);
    desk_set_clock(8ll * DAY_MS);
    desk_take_over(&d);
    desk_turns(&d, 100);
    int16_t error;
    cr_assert_eq(committed("g"), 7);
    cr_assert_eq(fetch(7, "g", "left", 0, &error), -1);
}

Test(coordinator, a_commit_may_set_its_own_retention_before_version_5)
{
    struct commit what = {.group = "g", .topic = "t", .generation = -1, .offset = 3, .retention_ms = 100};
    cr_assert_eq(commit(4, what), KAFKA_ERR_NONE);
    cr_assert_eq(committed("g"), 3);
    desk_turns(&d, 300);
    cr_assert_eq(committed("g"), -1);
}

Test(coordinator, a_clock_that_leaps_ahead_deletes_nothing)
{
    simple_commit("g", 5);
    desk_turns(&d, 50);
    desk_set_clock(365ll * DAY_MS);
    desk_turns(&d, 100);
    cr_assert_eq(committed("g"), 5);
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
