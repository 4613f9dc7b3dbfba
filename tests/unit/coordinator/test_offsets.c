// SPDX-License-Identifier: Apache-2.0
// Committed offsets over the ledgers, at every version where it matters: one test per behaviour (kafka-wire
// rows commit fencing, OffsetFetch, offset expiry).
#include "asks.h"

#include "kafka/messages/list_groups.h"
#include "kafka/messages/offset_commit.h"
#include "kafka/messages/offset_delete.h"
#include "kafka/messages/offset_fetch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <time.h>

TestSuite(offsets, .init = asks_setup, .fini = asks_teardown, .timeout = 60);

static int32_t groups_listed(void)
{
    struct kafka_list_groups_request request = {0};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_LIST_GROUPS, 3, &request);
    int32_t count = ((const struct kafka_list_groups_response *)desk_await(&call))->groups_count;
    desk_done(&call);
    return count;
}

Test(offsets, an_answer_may_be_much_larger_than_its_request)
{
    enum { AT_ONCE = 250, ROUNDS = 16 };
    static struct desk_call calls[AT_ONCE];
    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < AT_ONCE; k++) {
            char group[16];
            snprintf(group, sizeof group, "%d", i * AT_ONCE + k);
            send_commit(&calls[k], 9, (struct commit){.group = group, .topic = "t", .generation = -1});
        }
        for (int k = 0; k < AT_ONCE; k++) {
            desk_await(&calls[k]);
            desk_done(&calls[k]);
        }
    }
    cr_assert_eq(groups_listed(), ROUNDS * AT_ONCE);
}

Test(offsets, an_offset_is_committed_and_fetched_at_every_version)
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

Test(offsets, what_was_never_committed_is_minus_one_without_an_error)
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

Test(offsets, without_topics_all_offsets_are_fetched)
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

Test(offsets, metadata_comes_back_and_has_a_limit)
{
    struct commit what = {
        .group = "g", .topic = "t", .generation = -1, .offset = 1, .metadata = "0123456789abcdef"};
    cr_assert_eq(commit(9, what), KAFKA_ERR_NONE);
    what.metadata = "0123456789abcdef!";
    what.offset = 2;
    cr_assert_eq(commit(9, what), KAFKA_ERR_OFFSET_METADATA_TOO_LARGE);
    cr_assert_eq(committed("g"), 1);
}

Test(offsets, commits_to_unknown_topics_and_partitions_are_refused)
{
    struct commit what = {.group = "g", .topic = "unheard-of", .generation = -1, .offset = 1, .topic_id = 77};
    cr_assert_eq(commit(9, what), KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION);
    cr_assert_eq(commit(10, what), KAFKA_ERR_UNKNOWN_TOPIC_ID);
    what.topic = "t";
    what.partition = 2;
    cr_assert_eq(commit(9, what), KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION);
}

Test(offsets, a_commit_to_a_topic_made_a_moment_ago_waits_for_the_image)
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

Test(offsets, an_unknown_group_with_a_generation_is_told_by_version)
{
    struct commit what = {.group = "g", .member = "m", .topic = "t", .generation = 1};
    cr_assert_eq(commit(8, what), KAFKA_ERR_ILLEGAL_GENERATION);
    cr_assert_eq(commit(9, what), KAFKA_ERR_GROUP_ID_NOT_FOUND);
}

Test(offsets, offsets_of_a_topic_that_is_gone_are_gone)
{
    int16_t error;
    char why[CONFIG_ERROR_SIZE];
    config_set(d.config, "offsets.retention.check.interval.ms", "600000",
               why); // at once, not at the next check
    desk_take_over(&d);
    desk_topic(&d, 2, "short");
    desk_turns(&d, 50);
    commit(9, (struct commit){.group = "h", .topic = "short", .generation = -1, .offset = 9});
    simple_commit("g", 5);
    cr_assert_eq(fetch(7, "h", "short", 0, &error), 9);
    desk_topic_gone(&d, 2);
    desk_turns(&d, 100);
    cr_assert_eq(groups_listed(), 1); // nothing is left of h
    desk_topic(&d, 3, "short");
    desk_turns(&d, 50);
    cr_assert_eq(fetch(7, "h", "short", 0, &error), -1);
    cr_assert_eq(committed("g"), 5);
}

Test(offsets, also_when_no_coordinator_saw_it_go)
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

static int16_t delete_offset_of(const char *group, const char *topic, int32_t index, int16_t *error)
{
    struct kafka_offset_delete_request_offset_delete_request_partition partition = {.partition_index = index};
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

static int16_t delete_offset(const char *group, const char *topic, int16_t *error)
{
    return delete_offset_of(group, topic, 0, error);
}

Test(offsets, offsets_can_be_deleted_unless_the_group_reads_the_topic)
{
    char id[128];
    int16_t error;
    cr_assert_eq(delete_offset("none", "t", &error), KAFKA_ERR_GROUP_ID_NOT_FOUND);
    simple_commit("g", 5);
    cr_assert_eq(delete_offset("g", "unheard-of", &error), KAFKA_ERR_NONE);
    cr_assert_eq(error, KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION);
    cr_assert_eq(delete_offset_of("g", "t", 7, &error), KAFKA_ERR_NONE);
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

Test(offsets, offsets_of_a_group_without_members_expire_a_week_after_the_commit)
{
    simple_commit("g", 5);
    days_later(6);
    cr_assert_eq(committed("g"), 5);
    days_later(8);
    cr_assert_eq(committed("g"), -1);
}

Test(offsets, offsets_of_an_empty_group_expire_a_week_after_it_became_empty)
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

Test(offsets, a_group_without_members_and_offsets_is_forgotten)
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

Test(offsets, offsets_a_member_reads_never_expire)
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

Test(offsets, a_commit_may_set_its_own_retention_before_version_5)
{
    struct commit what = {.group = "g", .topic = "t", .generation = -1, .offset = 3, .retention_ms = 100};
    cr_assert_eq(commit(4, what), KAFKA_ERR_NONE);
    cr_assert_eq(committed("g"), 3);
    desk_turns(&d, 300);
    cr_assert_eq(committed("g"), -1);
}

Test(offsets, a_commit_may_be_kept_for_ever)
{
    struct commit what = {
        .group = "g", .topic = "t", .generation = -1, .offset = 3, .retention_ms = INT64_MAX};
    cr_assert_eq(commit(4, what), KAFKA_ERR_NONE);
    days_later(8);
    cr_assert_eq(committed("g"), 3);
}

enum { MANY = 20000 };

// To MANY partitions of the topic from `first` on, in one request.
static void commit_many(const char *topic, int32_t first, int64_t retention_ms)
{
    static struct kafka_offset_commit_request_offset_commit_request_partition partitions[MANY];
    for (int32_t i = 0; i < MANY; i++)
        partitions[i] = (struct kafka_offset_commit_request_offset_commit_request_partition){
            .partition_index = first + i, .committed_offset = 5, .committed_metadata = text("")};
    struct kafka_offset_commit_request_offset_commit_request_topic one = {
        .name = text(topic), .partitions = partitions, .partitions_count = MANY};
    struct kafka_offset_commit_request request;
    kafka_defaults(&kafka_offset_commit_request_message, &request);
    request.group_id = text("g");
    request.generation_id_or_member_epoch = -1;
    request.retention_time_ms = retention_ms;
    request.topics = &one;
    request.topics_count = 1;
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_OFFSET_COMMIT, 4, &request);
    const struct kafka_offset_commit_response *answer = desk_await(&call);
    cr_assert_eq(answer->topics[0].partitions[MANY - 1].error_code, KAFKA_ERR_NONE);
    desk_done(&call);
}

Test(offsets, what_expires_is_not_looked_for_among_what_stays_again_and_again)
{
    enum { KEPT_MS = 60000, SECONDS_MAX = 4 }; // a look from the front for each takes much longer
    int16_t error;
    desk_topic_of(&d, 2, "wide", 2 * MANY);
    desk_turns(&d, 50);
    commit_many("wide", 0, INT64_MAX);
    commit_many("wide", MANY, KEPT_MS);
    cr_assert_eq(fetch(7, "g", "wide", 2 * MANY - 1, &error), 5);
    desk_set_clock(2 * KEPT_MS);
    clock_t before = clock();
    for (int i = 0; i < 100 && fetch(7, "g", "wide", 2 * MANY - 1, &error) == 5; i++)
        desk_turns(&d, 20);
    cr_assert_lt((clock() - before) / CLOCKS_PER_SEC, SECONDS_MAX);
    cr_assert_eq(fetch(7, "g", "wide", MANY, &error), -1);
    cr_assert_eq(fetch(7, "g", "wide", MANY - 1, &error), 5);
    cr_assert_eq(fetch(7, "g", "wide", 0, &error), 5);
}

Test(offsets, a_clock_that_leaps_ahead_deletes_nothing)
{
    simple_commit("g", 5);
    desk_turns(&d, 50);
    desk_set_clock(365ll * DAY_MS);
    desk_turns(&d, 100);
    cr_assert_eq(committed("g"), 5);
}
