// SPDX-License-Identifier: Apache-2.0
// Share groups (KIP-932) through the APIs of a coordinator over its ledgers: members and what they get, share
// coordinators that are told first, take-overs, and what other group APIs say of a share group.
#include "asks.h"

#include "cluster/features.h"
#include "base/mem.h"
#include "coordinator_state.h"
#include "kafka/messages/alter_share_group_offsets.h"
#include "kafka/messages/consumer_group_heartbeat.h"
#include "kafka/messages/delete_groups.h"
#include "kafka/messages/delete_share_group_offsets.h"
#include "kafka/messages/describe_share_group_offsets.h"
#include "kafka/messages/list_groups.h"
#include "kafka/messages/read_share_group_state.h"
#include "kafka/messages/read_share_group_state_summary.h"
#include "kafka/messages/share_group_describe.h"
#include "kafka/messages/share_group_heartbeat.h"
#include "kafka/messages/write_share_group_state.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void setup(void)
{
    asks_setup();
    desk_feature(&d, FEATURES_SHARE, 1);
    desk_feature(&d, FEATURES_GROUP, 1);
}

TestSuite(share_groups, .init = setup, .fini = asks_teardown, .timeout = 60);

struct heard {
    int16_t error;
    int32_t epoch;
    int partitions; // of its assignment, -1: not told
};

static const char *reads = "t"; // what members subscribe to
static int32_t interval_ms;     // at which the last one is to come back

static void send_beat(struct desk_call *call, const char *group, const char *member, int32_t epoch)
{
    struct slice topics[] = {text(reads)};
    struct kafka_share_group_heartbeat_request request;
    kafka_defaults(&kafka_share_group_heartbeat_request_message, &request);
    request.group_id = text(group);
    request.member_id = text(member);
    request.member_epoch = epoch;
    request.subscribed_topic_names = topics;
    request.subscribed_topic_names_count = epoch == 0 ? 1 : -1;
    desk_send(&d, call, KAFKA_API_SHARE_GROUP_HEARTBEAT, 1, &request);
}

static struct heard heard_of(struct desk_call *call)
{
    const struct kafka_share_group_heartbeat_response *answer = desk_await(call);
    struct heard heard = {answer->error_code, answer->member_epoch, -1};
    interval_ms = answer->heartbeat_interval_ms;
    if (answer->assignment != NULL)
        heard.partitions = answer->assignment->topic_partitions_count == 0
                               ? 0
                               : answer->assignment->topic_partitions[0].partitions_count;
    desk_done(call);
    return heard;
}

static struct heard beats(const char *group, const char *member, int32_t epoch)
{
    struct desk_call call;
    send_beat(&call, group, member, epoch);
    return heard_of(&call);
}

// Beats until the member has so many partitions; returns its epoch.
static int32_t settles(const char *group, const char *member, int32_t epoch, int partitions)
{
    int has = -1;
    for (int i = 0; i < 200; i++) {
        struct heard heard = beats(group, member, epoch);
        cr_assert_eq(heard.error, KAFKA_ERR_NONE);
        epoch = heard.epoch;
        has = heard.partitions >= 0 ? heard.partitions : has;
        if (has == partitions)
            return epoch;
        desk_turns(&d, 10);
    }
    cr_assert_fail("%s has %d partitions, not %d", member, has, partitions);
    return -1;
}

static struct uuid topic_t(void)
{
    return (struct uuid){.bytes = {1}};
}

static int32_t batches_told; // to the last leader that began

// What the share coordinator says to a leader that begins; -1 when it knows nothing.
static int64_t leader_reads(const char *group, int32_t partition, int32_t leader_epoch, int16_t *error)
{
    struct kafka_read_share_group_state_request_partition_data part = {.partition = partition,
                                                                       .leader_epoch = leader_epoch};
    struct kafka_read_share_group_state_request_read_state_data topic = {
        .topic_id = topic_t(), .partitions = &part, .partitions_count = 1};
    struct kafka_read_share_group_state_request request = {
        .group_id = text(group), .topics = &topic, .topics_count = 1};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_READ_SHARE_GROUP_STATE, 0, &request);
    const struct kafka_read_share_group_state_response *answer = desk_await(&call);
    *error = answer->results[0].partitions[0].error_code;
    int64_t start = answer->results[0].partitions[0].start_offset;
    batches_told = answer->results[0].partitions[0].state_batches_count;
    desk_done(&call);
    return start;
}

typedef struct kafka_write_share_group_state_request_partition_data written_part;
typedef struct kafka_write_share_group_state_request_state_batch written_batch;

static int16_t leader_says(const char *group, written_part *part)
{
    struct kafka_write_share_group_state_request_write_state_data topic = {
        .topic_id = topic_t(), .partitions = part, .partitions_count = 1};
    struct kafka_write_share_group_state_request request = {
        .group_id = text(group), .topics = &topic, .topics_count = 1};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_WRITE_SHARE_GROUP_STATE, 1, &request);
    const struct kafka_write_share_group_state_response *answer = desk_await(&call);
    int16_t error = answer->results[0].partitions[0].error_code;
    desk_done(&call);
    return error;
}

static int16_t leader_writes(const char *group, int32_t partition, int32_t leader_epoch, int64_t start)
{
    written_batch batch = {
        .first_offset = start + 1, .last_offset = start + 2, .delivery_state = 2, .delivery_count = 1};
    written_part part = {.partition = partition,
                         .state_epoch = -1,
                         .leader_epoch = leader_epoch,
                         .start_offset = start,
                         .delivery_complete_count = 2,
                         .state_batches = &batch,
                         .state_batches_count = 1};
    return leader_says(group, &part);
}

Test(share_groups, share_coordinators_are_told_before_members_get_partitions)
{
    int16_t error;
    struct heard first = beats("g", "m1", 0);
    cr_assert_eq(first.error, KAFKA_ERR_NONE);
    cr_expect_eq(first.partitions, 0);
    settles("g", "m1", first.epoch, 2);
    cr_expect_eq(leader_reads("g", 0, 3, &error), -1);
    cr_expect_eq(error, KAFKA_ERR_NONE);
    leader_reads("other", 0, 3, &error);
    cr_expect_eq(error, KAFKA_ERR_INVALID_REQUEST);
}

Test(share_groups, members_share_partitions_and_keep_them_at_the_next_owner)
{
    int32_t one = settles("g", "m1", 0, 2);
    int32_t two = settles("g", "m2", 0, 1);
    one = settles("g", "m1", one, 1);
    desk_take_over(&d);
    struct heard heard = beats("g", "m1", one);
    cr_expect_eq(heard.error, KAFKA_ERR_NONE);
    cr_expect_eq(heard.epoch, one);
    cr_expect_eq(beats("g", "m2", two).error, KAFKA_ERR_NONE);
    cr_expect_eq(beats("g", "m1", -1).error, KAFKA_ERR_NONE);
    settles("g", "m2", two, 2);
    cr_expect_eq(beats("g", "m1", one).error, KAFKA_ERR_UNKNOWN_MEMBER_ID);
}

Test(share_groups, more_members_than_partitions_have_one_each)
{
    settles("g", "m1", 0, 2);
    settles("g", "m2", 0, 1);
    settles("g", "m3", 0, 1);
}

Test(share_groups, what_a_leader_has_written_is_there_for_the_next_one)
{
    int16_t error;
    settles("g", "m1", 0, 2);
    leader_reads("g", 1, 3, &error);
    cr_expect_eq(leader_writes("g", 1, 3, 10), KAFKA_ERR_NONE);
    desk_take_over(&d);
    cr_expect_eq(leader_reads("g", 1, 4, &error), 10);
    cr_expect_eq(leader_writes("g", 1, 3, 11), KAFKA_ERR_FENCED_LEADER_EPOCH);
    cr_expect_eq(leader_reads("g", 1, 4, &error), 10);
}

// group.share.partition.max.record.locks at its largest: one of two records is held, or may be had again.
Test(share_groups, a_leader_hears_of_every_record_that_can_be_on_its_way)
{
    enum { COUNT = 20000 };
    int16_t error;
    written_batch *batches = mem_calloc(COUNT, sizeof *batches);
    written_part part = {.state_epoch = -1,
                         .leader_epoch = 3,
                         .state_batches = batches,
                         .state_batches_count = COUNT};
    for (int32_t i = 0; i < COUNT; i++)
        batches[i] = (written_batch){.first_offset = i,
                                     .last_offset = i,
                                     .delivery_state = i % 2 == 0 ? 0 : 2,
                                     .delivery_count = 1};
    settles("g", "m1", 0, 2);
    leader_reads("g", 0, 3, &error);
    cr_assert_eq(leader_says("g", &part), KAFKA_ERR_NONE);
    leader_reads("g", 0, 4, &error);
    cr_expect_eq(error, KAFKA_ERR_NONE);
    cr_expect_eq(batches_told, COUNT);
    mem_free(batches);
}

Test(share_groups, the_state_of_a_deleted_topic_is_gone)
{
    int16_t error;
    settles("g", "m1", 0, 2);
    leader_reads("g", 1, 3, &error);
    cr_assert_eq(error, KAFKA_ERR_NONE);
    desk_topic_gone(&d, 1);
    desk_turns(&d, 100);
    leader_reads("g", 1, 3, &error);
    cr_expect_eq(error, KAFKA_ERR_INVALID_REQUEST);
}

static size_t pending_of(const char *group)
{
    struct shard_group *cell =
        shard_find(coordinator_shard_of(d.coordinator, text(group)), text(group), false);
    return cell != NULL ? share_group_pending(cell->share)->count : 0;
}

// As a topic that is deleted while the owner of the group's shard is away.
Test(share_groups, the_next_owner_waits_for_no_deleted_topic)
{
    char error[CONFIG_ERROR_SIZE];
    cr_assert_eq(config_set(d.config, "share.partitions.per.shard.max", "1", error), ST_OK, "%s", error);
    desk_take_over(&d);
    reads = "many";
    desk_topic_of(&d, 2, reads, 20);
    struct heard heard = {0};
    for (int i = 0; pending_of("g") < 20 - DESK_SHARDS; i++) {
        cr_assert_lt(i, 200, "share coordinators are not full");
        heard = beats("g", "m1", 0);
        cr_assert_eq(heard.error, KAFKA_ERR_NONE);
        desk_turns(&d, 10);
    }
    desk_topic_gone(&d, 2);
    desk_take_over(&d);
    cr_expect_eq(pending_of("g"), 0);
    cr_expect_eq(beats("g", "m1", heard.epoch).error, KAFKA_ERR_NONE);
    cr_expect_gt(interval_ms, 100);
}

static int16_t consumer_joins(const char *group)
{
    struct slice topics[] = {text("t")};
    struct kafka_consumer_group_heartbeat_request_topic_partitions nothing[1];
    struct kafka_consumer_group_heartbeat_request request;
    kafka_defaults(&kafka_consumer_group_heartbeat_request_message, &request);
    request.group_id = text(group);
    request.member_id = text("c");
    request.rebalance_timeout_ms = 10000;
    request.subscribed_topic_names = topics;
    request.subscribed_topic_names_count = 1;
    request.topic_partitions = nothing;
    request.topic_partitions_count = 0;
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_CONSUMER_GROUP_HEARTBEAT, 1, &request);
    int16_t error = ((const struct kafka_consumer_group_heartbeat_response *)desk_await(&call))->error_code;
    desk_done(&call);
    return error;
}

Test(share_groups, a_group_is_of_one_kind)
{
    settles("g", "m1", 0, 2);
    cr_expect_eq(consumer_joins("g"), KAFKA_ERR_GROUP_ID_NOT_FOUND);
    cr_expect_eq(consumer_joins("h"), KAFKA_ERR_NONE);
    cr_expect_eq(beats("h", "m1", 0).error, KAFKA_ERR_GROUP_ID_NOT_FOUND);
    cr_expect_eq(commit(9, (struct commit){.group = "g", .generation = -1, .topic = "t", .offset = 5}),
                 KAFKA_ERR_GROUP_ID_NOT_FOUND);
}

Test(share_groups, a_member_that_is_silent_leaves)
{
    int32_t one = settles("g", "m1", 0, 2);
    cr_expect_eq(beats("g", "m1", one + 5).error, KAFKA_ERR_FENCED_MEMBER_EPOCH);
    cr_expect_eq(beats("g", "m2", 3).error, KAFKA_ERR_UNKNOWN_MEMBER_ID);
}

Test(share_groups, they_are_listed_and_described)
{
    settles("g", "m1", 0, 2);
    struct slice names[] = {text("g"), text("h")};
    struct kafka_share_group_describe_request request = {.group_ids = names, .group_ids_count = 1};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_SHARE_GROUP_DESCRIBE, 1, &request);
    const struct kafka_share_group_describe_response *answer = desk_await(&call);
    cr_assert_eq(answer->groups[0].error_code, KAFKA_ERR_NONE);
    cr_expect(slice_is(answer->groups[0].group_state, "Stable"));
    cr_expect(slice_is(answer->groups[0].assignor_name, "simple"));
    cr_assert_eq(answer->groups[0].members_count, 1);
    cr_expect(slice_is(answer->groups[0].members[0].member_id, "m1"));
    cr_expect_eq(answer->groups[0].members[0].assignment.topic_partitions[0].partitions_count, 2);
    desk_done(&call);
    struct kafka_list_groups_request list = {0};
    desk_send(&d, &call, KAFKA_API_LIST_GROUPS, 5, &list);
    const struct kafka_list_groups_response *listed = desk_await(&call);
    cr_assert_eq(listed->groups_count, 1);
    cr_expect(slice_is(listed->groups[0].group_type, "share"));
    cr_expect(slice_is(listed->groups[0].protocol_type, "share"));
    desk_done(&call);
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

Test(share_groups, a_deleted_group_leaves_no_state)
{
    int16_t error;
    int32_t one = settles("g", "m1", 0, 2);
    leader_reads("g", 0, 3, &error);
    cr_assert_eq(leader_writes("g", 0, 3, 10), KAFKA_ERR_NONE);
    cr_expect_eq(delete_group("g"), KAFKA_ERR_NON_EMPTY_GROUP);
    cr_expect_eq(beats("g", "m1", -1).error, KAFKA_ERR_NONE);
    cr_expect_eq(delete_group("g"), KAFKA_ERR_NONE);
    leader_reads("g", 0, 3, &error);
    cr_expect_eq(error, KAFKA_ERR_INVALID_REQUEST);
    cr_expect_eq(beats("g", "m1", one).error, KAFKA_ERR_GROUP_ID_NOT_FOUND);
    cr_expect_eq(delete_group("g"), KAFKA_ERR_GROUP_ID_NOT_FOUND);
    desk_take_over(&d);
    cr_expect_eq(delete_group("g"), KAFKA_ERR_GROUP_ID_NOT_FOUND);
    settles("g", "m1", 0, 2);
    cr_expect_eq(leader_reads("g", 0, 1, &error), -1);
    cr_expect_eq(error, KAFKA_ERR_NONE);
}

Test(share_groups, a_group_made_anew_is_not_written_by_its_old_leader)
{
    int16_t error;
    settles("g", "m1", 0, 2);
    leader_reads("g", 0, 3, &error);
    cr_assert_eq(leader_writes("g", 0, 3, 10), KAFKA_ERR_NONE);
    cr_assert_eq(beats("g", "m1", -1).error, KAFKA_ERR_NONE);
    cr_assert_eq(delete_group("g"), KAFKA_ERR_NONE);
    settles("g", "m1", 0, 2);
    cr_expect_eq(leader_writes("g", 0, 3, 20), KAFKA_ERR_FENCED_LEADER_EPOCH);
    cr_expect_eq(leader_reads("g", 0, 3, &error), -1);
    cr_expect_eq(leader_writes("g", 0, 3, 0), KAFKA_ERR_NONE);
}

// ---- offsets ----

enum { NAMED_MAX = 4 };

// The answers per topic, in the order of the names.
static void forgets(const char *group, const char *const *names, int32_t count, int16_t errors[NAMED_MAX])
{
    struct kafka_delete_share_group_offsets_request_delete_share_group_offsets_request_topic
        topics[NAMED_MAX] = {0};
    for (int32_t i = 0; i < count; i++)
        topics[i].topic_name = text(names[i]);
    struct kafka_delete_share_group_offsets_request request = {
        .group_id = text(group), .topics = topics, .topics_count = count};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_DELETE_SHARE_GROUP_OFFSETS, 0, &request);
    const struct kafka_delete_share_group_offsets_response *answer = desk_await(&call);
    cr_assert_eq(answer->error_code, KAFKA_ERR_NONE);
    cr_assert_eq(answer->responses_count, count);
    for (int32_t i = 0; i < count; i++) {
        cr_expect(slice_is(answer->responses[i].topic_name, names[i]));
        errors[i] = answer->responses[i].error_code;
    }
    desk_done(&call);
}

Test(share_groups, a_topic_that_is_named_often_is_forgotten_once)
{
    static const char *const names[] = {"t", "u", "nothing", "t"};
    int16_t errors[NAMED_MAX], error;
    desk_topic(&d, 2, "u");
    settles("g", "m1", 0, 2);
    leader_reads("g", 1, 3, &error);
    cr_assert_eq(leader_writes("g", 1, 3, 10), KAFKA_ERR_NONE);
    cr_assert_eq(beats("g", "m1", -1).error, KAFKA_ERR_NONE);
    forgets("g", names, NAMED_MAX, errors);
    cr_expect_eq(errors[0], KAFKA_ERR_NONE);
    cr_expect_eq(errors[1], KAFKA_ERR_NONE, "it was never read");
    cr_expect_eq(errors[2], KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION);
    cr_expect_eq(errors[3], KAFKA_ERR_NONE);
    leader_reads("g", 1, 3, &error);
    cr_expect_eq(error, KAFKA_ERR_INVALID_REQUEST);
}

// Both partitions of t begin there.
static void send_alter(struct desk_call *call, const char *group, int64_t start)
{
    struct kafka_alter_share_group_offsets_request_alter_share_group_offsets_request_partition parts[2] = {
        {.partition_index = 0, .start_offset = start}, {.partition_index = 1, .start_offset = start}};
    struct kafka_alter_share_group_offsets_request_alter_share_group_offsets_request_topic topic = {
        .topic_name = text("t"), .partitions = parts, .partitions_count = 2};
    struct kafka_alter_share_group_offsets_request request = {
        .group_id = text(group), .topics = &topic, .topics_count = 1};
    desk_send(&d, call, KAFKA_API_ALTER_SHARE_GROUP_OFFSETS, 0, &request);
}

// Its member has come and gone before share coordinators were told of what it reads.
Test(share_groups, a_group_that_was_not_told_of_yet_begins_where_it_is_set)
{
    int16_t error;
    struct desk_call join, bye, alter;
    send_beat(&join, "g", "m1", 0);
    send_beat(&bye, "g", "m1", -1);
    send_alter(&alter, "g", 100);
    cr_assert_eq(heard_of(&join).error, KAFKA_ERR_NONE);
    cr_assert_eq(heard_of(&bye).error, KAFKA_ERR_NONE);
    const struct kafka_alter_share_group_offsets_response *answer = desk_await(&alter);
    cr_assert_eq(answer->error_code, KAFKA_ERR_NONE);
    cr_assert_eq(answer->responses[0].partitions[0].error_code, KAFKA_ERR_NONE);
    desk_done(&alter);
    desk_turns(&d, 100);
    settles("g", "m1", 0, 2);
    cr_expect_eq(leader_reads("g", 0, 3, &error), 100);
    cr_expect_eq(error, KAFKA_ERR_NONE);
}

// Has the group's offsets of t deleted; group and names must live until it is answered.
static void send_forget(struct desk_call *call, const char *group)
{
    struct kafka_delete_share_group_offsets_request_delete_share_group_offsets_request_topic topic = {
        .topic_name = text("t")};
    struct kafka_delete_share_group_offsets_request request = {
        .group_id = text(group), .topics = &topic, .topics_count = 1};
    desk_send(&d, call, KAFKA_API_DELETE_SHARE_GROUP_OFFSETS, 0, &request);
}

static int appended(void)
{
    int count = 0;
    for (int i = 0; i < DESK_SHARDS; i++)
        count += d.share_logs[i].count;
    return count;
}

// How many shards keep t's two partitions.
static int share_shards(const char *group)
{
    struct share_key one = {text(group), topic_t(), 0}, other = {text(group), topic_t(), 1};
    bool same = coordinator_share_shard_of(d.coordinator, &one) ==
                coordinator_share_shard_of(d.coordinator, &other);
    return same ? 1 : 2;
}

// A group that was read, is empty, and has its state deleted by a call that ends in the middle.
static void begins_to_forget(struct desk_call *call)
{
    int16_t error;
    settles("g", "m1", 0, 2);
    leader_reads("g", 0, 3, &error);
    cr_assert_eq(leader_writes("g", 0, 3, 10), KAFKA_ERR_NONE);
    cr_assert_eq(beats("g", "m1", -1).error, KAFKA_ERR_NONE);
    send_forget(call, "g");
}

// A member joins, and leaders find the state of what it gets.
static void is_read_again(int32_t epoch)
{
    int16_t error = KAFKA_ERR_INVALID_REQUEST;
    int64_t start = 0;
    for (int i = 0; i < 200 && error != KAFKA_ERR_NONE; i++) {
        struct heard heard = beats("g", "m2", epoch);
        cr_assert_eq(heard.error, KAFKA_ERR_NONE);
        epoch = heard.epoch;
        desk_turns(&d, 10);
        start = leader_reads("g", 0, 4, &error);
    }
    cr_assert_eq(error, KAFKA_ERR_NONE, "nobody has initialised it again");
    cr_assert_eq(start, -1);
    settles("g", "m2", 0, 2);
}

Test(share_groups, a_member_that_joins_while_offsets_are_deleted_reads_on)
{
    struct desk_call call;
    begins_to_forget(&call);
    struct heard heard = beats("g", "m2", 0);
    const struct kafka_delete_share_group_offsets_response *answer = desk_await(&call);
    cr_assert_eq(answer->error_code, KAFKA_ERR_NON_EMPTY_GROUP);
    desk_done(&call);
    is_read_again(heard.epoch);
}

Test(share_groups, offsets_whose_deletion_the_next_owner_does_not_know_of_are_read_again)
{
    struct desk_call call;
    begins_to_forget(&call);
    int before = appended();
    for (int turns = 0; appended() < before + share_shards("g"); turns++) {
        cr_assert_lt(turns, 5000);
        env_posix_turn(d.env, 500);
    }
    desk_take_over(&d);
    desk_outcome(&call);
    desk_done(&call);
    is_read_again(0);
}

Test(share_groups, a_group_that_comes_back_goes_on_where_it_was)
{
    int16_t error;
    settles("g", "m1", 0, 2);
    leader_reads("g", 0, 3, &error);
    cr_assert_eq(leader_writes("g", 0, 3, 10), KAFKA_ERR_NONE);
    cr_assert_eq(beats("g", "m1", -1).error, KAFKA_ERR_NONE);
    settles("g", "m2", 0, 2);
    desk_turns(&d, 100);
    settles("g", "m2", 0, 2);
    cr_expect_eq(leader_reads("g", 0, 4, &error), 10);
}

Test(share_groups, a_group_of_many_partitions_is_described_and_deleted)
{
    enum { COUNT = 6000 };
    reads = "many";
    desk_topic_of(&d, 2, reads, COUNT);
    settles("g", "m1", 0, COUNT);
    cr_assert_eq(beats("g", "m1", -1).error, KAFKA_ERR_NONE);
    struct kafka_describe_share_group_offsets_request_describe_share_group_offsets_request_group group = {
        .group_id = text("g"), .topics_count = -1};
    struct kafka_describe_share_group_offsets_request request = {.groups = &group, .groups_count = 1};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_DESCRIBE_SHARE_GROUP_OFFSETS, 0, &request);
    const struct kafka_describe_share_group_offsets_response *answer = desk_await(&call);
    cr_assert_eq(answer->groups[0].topics_count, 1);
    cr_expect_eq(answer->groups[0].topics[0].partitions_count, COUNT);
    desk_done(&call);
    cr_expect_eq(delete_group("g"), KAFKA_ERR_NONE);
}

// ---- lag ----

static void note(void *context)
{
    *(bool *)context = true;
}

// Partition 0 of the group's lag, measured now.
static struct lag_view lag_of(const char *group)
{
    struct shard_group *cell =
        shard_find(coordinator_shard_of(d.coordinator, text(group)), text(group), false);
    struct lag_view view = {.partition = -1};
    struct lag_wait wait = {0};
    bool told = false;
    cr_assert_eq(lag_look(d.coordinator->lag, cell, &wait, note, &told), ST_AGAIN);
    for (int i = 0; i < 5000 && !told; i++)
        env_posix_turn(d.env, 500);
    cr_assert(told);
    for (struct map_entry *at = NULL; view.partition != 0 && lag_next(cell->lag, &at, &view);)
        ;
    cr_assert_eq(view.partition, 0);
    return view;
}

Test(share_groups, lag_is_what_the_share_coordinator_keeps_until_the_leader_knows_better)
{
    int16_t error;
    d.position_end = 50;
    settles("g", "m1", 0, 2);
    cr_assert_eq(lag_of("g").records, LAG_UNKNOWN, "it has not begun");
    leader_reads("g", 0, 3, &error);
    cr_assert_eq(leader_writes("g", 0, 3, 10), KAFKA_ERR_NONE);
    struct lag_view kept = lag_of("g");
    cr_assert_eq(kept.committed, 10);
    cr_assert_eq(kept.records, 50 - 10 - 2);
    cr_assert_eq(kept.acquired, LAG_UNKNOWN);
    cr_assert_eq(kept.commit_ms, LAG_UNKNOWN);
    d.share_start = 20;
    struct lag_view served = lag_of("g");
    cr_assert_eq(served.committed, 20);
    cr_assert_eq(served.records, 50 - 20 - 1);
    cr_assert_eq(served.acquired, 4);
    d.share_start = 0; // its last session has ended: the share coordinator is asked at once
    cr_assert_eq(lag_of("g").committed, 10);
}

Test(share_groups, a_topic_that_is_forgotten_does_not_keep_the_lag_from_being_measured)
{
    static const char *const names[] = {"t"};
    int16_t errors[NAMED_MAX], error;
    settles("g", "m1", 0, 2);
    leader_reads("g", 0, 3, &error);
    cr_assert_eq(leader_writes("g", 0, 3, 10), KAFKA_ERR_NONE);
    cr_assert_eq(lag_of("g").committed, 10);
    cr_assert_eq(beats("g", "m1", -1).error, KAFKA_ERR_NONE);
    forgets("g", names, 1, errors);
    cr_assert_eq(errors[0], KAFKA_ERR_NONE);
    struct shard_group *cell = shard_find(coordinator_shard_of(d.coordinator, text("g")), text("g"), false);
    struct lag_wait wait = {0};
    struct lag_view view;
    struct map_entry *at = NULL;
    desk_turns(&d, 350); // rounds
    bool told = false;
    told = lag_look(d.coordinator->lag, cell, &wait, note, &told) == ST_OK;
    for (int i = 0; i < 2000 && !told; i++)
        env_posix_turn(d.env, 500);
    cr_assert(told, "nobody answers for a partition that is not read any more");
    cr_assert_not(lag_next(cell->lag, &at, &view));
}
