// SPDX-License-Identifier: Apache-2.0
// See asks.h.
#include "asks.h"

#include "kafka/messages/heartbeat.h"
#include "kafka/messages/join_group.h"
#include "kafka/messages/leave_group.h"
#include "kafka/messages/offset_commit.h"
#include "kafka/messages/offset_fetch.h"
#include "kafka/messages/sync_group.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct desk d;
int32_t asks_session_ms = 6000;

void asks_setup(void)
{
    desk_start(&d);
}

void asks_teardown(void)
{
    desk_stop(&d);
}

struct slice text(const char *s)
{
    return slice_str(s);
}

void send_join(struct desk_call *call, int16_t version, const char *group, const char *member)
{
    struct kafka_join_group_request_join_group_request_protocol protocol = {
        .name = text("range"), .metadata = slice_of("\0\0\0\0\0\1\0\1t\0\0\0\0", 13)}; // reads topic t
    struct kafka_join_group_request join;
    kafka_defaults(&kafka_join_group_request_message, &join);
    join.group_id = text(group);
    join.member_id = text(member);
    join.session_timeout_ms = asks_session_ms;
    join.rebalance_timeout_ms = version >= 1 ? 6000 : -1;
    join.protocol_type = text("consumer");
    join.protocols = &protocol;
    join.protocols_count = 1;
    desk_send(&d, call, KAFKA_API_JOIN_GROUP, version, &join);
}

void send_sync(struct desk_call *call, int16_t version, const char *group, const char *member,
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

int16_t beat(int16_t version, const char *group, const char *member, int32_t generation)
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

void send_commit(struct desk_call *call, int16_t version, struct commit what)
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
    desk_send(&d, call, KAFKA_API_OFFSET_COMMIT, version, &request);
}

int16_t commit(int16_t version, struct commit what)
{
    struct desk_call call;
    send_commit(&call, version, what);
    const struct kafka_offset_commit_response *answer = desk_await(&call);
    cr_assert_eq(answer->topics_count, 1);
    int16_t error = answer->topics[0].partitions[0].error_code;
    desk_done(&call);
    return error;
}

int16_t simple_commit(const char *group, int64_t offset)
{
    return commit(9, (struct commit){.group = group, .topic = "t", .generation = -1, .offset = offset});
}

int64_t fetch(int16_t version, const char *group, const char *topic, int32_t partition, int16_t *error)
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

int64_t committed(const char *group)
{
    int16_t error;
    int64_t offset = fetch(9, group, "t", 0, &error);
    cr_assert_eq(error, KAFKA_ERR_NONE);
    return offset;
}

void stable(const char *group, char id[128])
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

int16_t leave(int16_t version, const char *group, const char *member, int16_t *member_error)
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
