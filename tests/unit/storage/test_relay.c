// SPDX-License-Identifier: Apache-2.0
// Relays: who gets what, what is sent again and what is not, held and cancelled requests, split and lists.
#include "node.h"

#include "applied.h"
#include "cluster/shard.h"
#include "frame.h"
#include "kafka/messages/create_topics.h"
#include "kafka/messages/delete_groups.h"
#include "kafka/messages/describe_groups.h"
#include "kafka/messages/find_coordinator.h"
#include "kafka/messages/heartbeat.h"
#include "kafka/messages/join_group.h"
#include "kafka/messages/list_groups.h"
#include "kafka/messages/offset_fetch.h"
#include "relay.h"

#include <criterion/criterion.h>

static struct node node;

static void setup(void)
{
    node_start(&node);
}

static void teardown(void)
{
    node_stop(&node);
}

TestSuite(storage_relay, .init = setup, .fini = teardown, .timeout = 60);

static struct owner *owner_of(const char *group)
{
    return &node.coordinators[shard_of(slice_str(group), SHARDS) % COORDINATORS];
}

// A group name whose shard belongs to that coordinator.
static const char *group_at(int coordinator, int nth)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (owner_of(names[i]) == &node.coordinators[coordinator] && nth-- == 0)
            return names[i];
    }
    cr_assert_fail("no such group");
    return NULL;
}

static int heartbeat(const char *group)
{
    struct kafka_heartbeat_request request = {.group_id = slice_str(group), .member_id = slice_str("m")};
    const struct kafka_heartbeat_response *answer = ask(&node, KAFKA_API_HEARTBEAT, 4, &request);
    cr_assert_not_null(answer);
    return answer->error_code;
}

static const struct kafka_join_group_response *join(const char *group, const char *member)
{
    struct kafka_join_group_request request;
    kafka_defaults(&kafka_join_group_request_message, &request);
    request.group_id = slice_str(group);
    request.member_id = slice_str(member);
    request.rebalance_timeout_ms = 1000;
    request.protocol_type = slice_str("consumer");
    const struct kafka_join_group_response *answer = ask(&node, KAFKA_API_JOIN_GROUP, 5, &request);
    cr_assert_not_null(answer);
    return answer;
}

Test(storage_relay, request_goes_to_the_owner_of_its_groups_shard)
{
    cr_expect_eq(heartbeat(group_at(0, 0)), 0);
    cr_expect_eq(node.coordinators[0].relays, 1);
    cr_expect_eq(heartbeat(group_at(1, 0)), 0);
    cr_expect_eq(node.coordinators[1].relays, 1);
    cr_expect(slice_is(join(group_at(1, 0), "")->member_id, "joined"));
}

Test(storage_relay, request_that_was_certainly_not_executed_is_sent_again)
{
    static const enum status statuses[] = {ST_NOT_LEADER, ST_LOADING};
    for (size_t i = 0; i < 2; i++) {
        struct owner *owner = owner_of("g");
        owner->relays = 0;
        owner->mood = FAILS;
        owner->failure = statuses[i];
        owner->failures = 3;
        cr_expect(slice_is(join("g", "")->member_id, "joined"));
        cr_expect_eq(owner->relays, 4);
    }
}

Test(storage_relay, an_owner_with_too_many_calls_is_asked_again_after_a_while)
{
    struct owner *owner = owner_of("g");
    owner->mood = FAILS;
    owner->failure = ST_LIMIT;
    owner->failures = 1;
    int64_t began = env_now_us(node.env);
    cr_expect_eq(heartbeat("g"), 0);
    cr_expect_geq(env_now_us(node.env) - began, 500000);
    cr_expect_eq(owner->relays, 2);
}

Test(storage_relay, repeatable_request_survives_its_owner_dying)
{
    struct owner *owner = owner_of("g");
    struct owner *other = owner == &node.coordinators[0] ? &node.coordinators[1] : &node.coordinators[0];
    heartbeat("g");
    coordinator_kill(owner);
    struct kafka_heartbeat_request request = {.group_id = slice_str("g"), .member_id = slice_str("m")};
    enum status status = ST_AGAIN;
    cr_assert_eq(conn_client_call(node.client, KAFKA_API_HEARTBEAT, 4, &request, 0, note_status, &status),
                 ST_OK);
    node_turn(&node, 300);
    cr_expect_eq(status, ST_AGAIN, "it is tried again and again");
    node_assign(&node, (int)(other - node.coordinators));
    node_turn(&node, 300);
    cr_expect_eq(status, ST_OK);
    cr_expect_eq(other->relays, 1);
    coordinator_reopen(owner, node.env);
}

static void note_relayed(void *context, enum status status, struct block *response)
{
    *(enum status *)context = status;
}

Test(storage_relay, an_owner_that_says_nothing_is_looked_for_again)
{
    static const struct principal self = {
        .name = PRINCIPAL_ANONYMOUS, .listener = "PLAINTEXT", .host = "127.0.0.1"};
    struct owner *owner = owner_of("g");
    struct owner *other = owner == &node.coordinators[0] ? &node.coordinators[1] : &node.coordinators[0];
    struct kafka_heartbeat_request request = {.group_id = slice_str("g"), .member_id = slice_str("m")};
    struct block *frame = frame_encode(kafka_api(KAFKA_API_HEARTBEAT), 4, NULL, &request);
    enum status status = ST_AGAIN;
    struct relay_call call = {.frame = frame,
                              .principal = &self,
                              .target = RELAY_GROUP,
                              .key = slice_str("g"),
                              .repeatable = true,
                              .timeout_ms = 15000,
                              .try_ms = 500,
                              .done = note_relayed,
                              .context = &status};
    owner->mood = HOLDS;
    relay_start(storage_relays(node_storage()), &call);
    node_turn(&node, 100);
    cr_assert_not_null(owner->held);
    node_assign(&node, (int)(other - node.coordinators));
    node_turn(&node, 1000);
    cr_expect_eq(status, ST_OK);
    cr_expect_eq(other->relays, 1);
    block_unref(&frame);
}

Test(storage_relay, request_whose_second_run_could_differ_fails_when_its_outcome_is_unknown)
{
    struct owner *owner = owner_of("g");
    owner->mood = FAILS;
    owner->failure = ST_UNREACHABLE;
    cr_expect_eq(join("g", "")->error_code, KAFKA_ERR_NOT_COORDINATOR);
    cr_expect_eq(owner->relays, 1);
    owner->failures = 2;
    cr_expect(slice_is(join("g", "m")->member_id, "joined"), "with a member id it may run twice");
    cr_expect_eq(owner->relays, 4);
}

Test(storage_relay, without_an_owner_it_waits_two_seconds)
{
    node_unassign(&node);
    int64_t began = env_now_us(node.env);
    cr_expect_eq(heartbeat("g"), KAFKA_ERR_COORDINATOR_NOT_AVAILABLE);
    int64_t took_ms = (env_now_us(node.env) - began) / 1000;
    cr_expect(took_ms >= RELAY_PARK_MS - 100 && took_ms < RELAY_PARK_MS + 500, "%d", (int)took_ms);
}

Test(storage_relay, parked_request_goes_out_as_soon_as_there_is_an_owner)
{
    node_unassign(&node);
    struct kafka_heartbeat_request request = {.group_id = slice_str("g"), .member_id = slice_str("m")};
    enum status status = ST_AGAIN;
    cr_assert_eq(conn_client_call(node.client, KAFKA_API_HEARTBEAT, 4, &request, 0, note_status, &status),
                 ST_OK);
    node_turn(&node, 100);
    node_assign(&node, -1);
    node_turn(&node, 200);
    cr_expect_eq(status, ST_OK);
}

Test(storage_relay, client_that_hangs_up_cancels_what_its_owner_holds)
{
    struct owner *owner = owner_of("g");
    owner->mood = HOLDS;
    struct kafka_heartbeat_request request = {.group_id = slice_str("g"), .member_id = slice_str("m")};
    enum status status = ST_AGAIN;
    cr_assert_eq(conn_client_call(node.client, KAFKA_API_HEARTBEAT, 4, &request, 0, note_status, &status),
                 ST_OK);
    node_turn(&node, 100);
    cr_assert_not_null(owner->held);
    cr_expect_eq(relays_count(storage_relays(node_storage())), 1);
    conn_client_destroy(&node.client);
    node_turn(&node, 100);
    cr_expect_eq(owner->cancels, 1);
    cr_expect_eq(relays_count(storage_relays(node_storage())), 0);
}

Test(storage_relay, answer_waits_for_the_metadata_it_depends_on)
{
    struct kafka_create_topics_request_creatable_topic topic;
    kafka_structure_defaults(&kafka_create_topics_request_creatable_topic_type, &topic);
    topic.name = slice_str("n");
    struct kafka_create_topics_request request = {.topics = &topic, .topics_count = 1, .timeout_ms = 5000};
    node.controller.metadata_offset = node.offset + 1;
    enum status status = ST_AGAIN;
    cr_assert_eq(conn_client_call(node.client, KAFKA_API_CREATE_TOPICS, 5, &request, 0, note_status, &status),
                 ST_OK);
    node_turn(&node, 200);
    cr_expect_eq(node.controller.relays, 1);
    cr_expect_eq(status, ST_AGAIN);
    node_turn(&node, RELAY_OFFSET_MS);
    cr_expect_eq(status, ST_OK, "late is better than never");
}

Test(storage_relay, topic_is_answered_once_the_nodes_that_lead_it_know_it)
{
    node_add_peer(&node, 2);
    struct kafka_create_topics_request_creatable_topic topic;
    kafka_structure_defaults(&kafka_create_topics_request_creatable_topic_type, &topic);
    topic.name = slice_str("u");
    struct kafka_create_topics_request request = {.topics = &topic, .topics_count = 1, .timeout_ms = 5000};
    enum status status = ST_AGAIN;
    cr_assert_eq(conn_client_call(node.client, KAFKA_API_CREATE_TOPICS, 5, &request, 0, note_status, &status),
                 ST_OK);
    node_turn(&node, 200);
    cr_expect_eq(node.peer.relays, 1);
    cr_expect_eq(status, ST_AGAIN);
    peer_answer_applied(&node);
    node_turn(&node, 100);
    cr_expect_eq(status, ST_OK);
    cr_assert_eq(conn_client_call(node.client, KAFKA_API_CREATE_TOPICS, 5, &request, 0, note_status, &status),
                 ST_OK);
    status = ST_AGAIN;
    node_turn(&node, APPLIED_MS_MAX + 300);
    cr_expect_eq(status, ST_OK, "a leader that is behind is not waited for longer");
}

Test(storage_relay, describe_groups_is_split_and_merged_in_the_order_of_the_request)
{
    struct slice groups[] = {slice_str(group_at(0, 0)), slice_str(group_at(1, 0)), slice_str(group_at(0, 1)),
                             slice_str(group_at(1, 1))};
    struct kafka_describe_groups_request request = {.groups = groups, .groups_count = 4};
    const struct kafka_describe_groups_response *answer = ask(&node, KAFKA_API_DESCRIBE_GROUPS, 5, &request);
    cr_assert_not_null(answer);
    cr_assert_eq(answer->groups_count, 4);
    for (int i = 0; i < 4; i++) {
        cr_expect(slice_equal(answer->groups[i].group_id, groups[i]));
        cr_expect(slice_is(answer->groups[i].group_state, i % 2 == 0 ? "first" : "second"));
    }
}

Test(storage_relay, shard_that_does_not_answer_yields_its_error_per_group)
{
    node.coordinators[1].mood = FAILS;
    node.coordinators[1].failure = ST_DENIED;
    struct slice groups[] = {slice_str(group_at(0, 0)), slice_str(group_at(1, 0))};
    struct kafka_delete_groups_request request = {.groups_names = groups, .groups_names_count = 2};
    const struct kafka_delete_groups_response *answer = ask(&node, KAFKA_API_DELETE_GROUPS, 2, &request);
    cr_assert_not_null(answer);
    cr_assert_eq(answer->results_count, 2);
    cr_expect_eq(answer->results[0].error_code, 0);
    cr_expect_eq(answer->results[1].error_code, KAFKA_ERR_NOT_COORDINATOR);
    cr_expect(slice_equal(answer->results[1].group_id, groups[1]));
}

Test(storage_relay, offset_fetch_of_several_groups_is_split)
{
    struct kafka_offset_fetch_request_offset_fetch_request_group groups[2];
    for (int i = 0; i < 2; i++) {
        kafka_structure_defaults(&kafka_offset_fetch_request_offset_fetch_request_group_type, &groups[i]);
        groups[i].group_id = slice_str(group_at(1 - i, 0));
        groups[i].topics_count = -1;
    }
    struct kafka_offset_fetch_request request;
    kafka_defaults(&kafka_offset_fetch_request_message, &request);
    request.groups = groups;
    request.groups_count = 2;
    const struct kafka_offset_fetch_response *answer = ask(&node, KAFKA_API_OFFSET_FETCH, 8, &request);
    cr_assert_not_null(answer);
    cr_assert_eq(answer->groups_count, 2);
    cr_expect(slice_equal(answer->groups[0].group_id, groups[0].group_id));
    cr_expect_eq(node.coordinators[0].relays, 1);
    cr_expect_eq(node.coordinators[1].relays, 1);
}

Test(storage_relay, list_groups_asks_every_coordinator)
{
    node.coordinators[0].groups[0] = "x";
    node.coordinators[1].groups[0] = "y";
    node.coordinators[1].groups[1] = "z";
    struct kafka_list_groups_request request;
    kafka_defaults(&kafka_list_groups_request_message, &request);
    const struct kafka_list_groups_response *answer = ask(&node, KAFKA_API_LIST_GROUPS, 4, &request);
    cr_assert_not_null(answer);
    cr_expect_eq(answer->error_code, 0);
    cr_expect_eq(answer->groups_count, 3);
    node.coordinators[1].mood = FAILS;
    node.coordinators[1].failure = ST_DENIED;
    answer = ask(&node, KAFKA_API_LIST_GROUPS, 4, &request);
    cr_expect_eq(answer->error_code, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE, "an incomplete list says so");
    cr_expect_eq(answer->groups_count, 1);
}

Test(storage_relay, each_storage_node_lists_the_groups_it_stands_in_front_of)
{
    static const char *const groups[] = {"x", "y", "z", "w"};
    for (int i = 0; i < 4; i++)
        node.coordinators[0].groups[i] = groups[i];
    node_add_peer(&node, 2);
    struct kafka_list_groups_request request;
    kafka_defaults(&kafka_list_groups_request_message, &request);
    const struct kafka_list_groups_response *answer = ask(&node, KAFKA_API_LIST_GROUPS, 4, &request);
    cr_assert_not_null(answer);
    int listed = 0;
    for (int i = 0; i < 4; i++) {
        struct slice keys[] = {slice_str(groups[i])};
        struct kafka_find_coordinator_request find;
        kafka_defaults(&kafka_find_coordinator_request_message, &find);
        find.coordinator_keys = keys;
        find.coordinator_keys_count = 1;
        const struct kafka_find_coordinator_response *found =
            ask(&node, KAFKA_API_FIND_COORDINATOR, 4, &find);
        bool here = false;
        for (int32_t g = 0; g < answer->groups_count; g++)
            here |= slice_equal(answer->groups[g].group_id, keys[0]);
        cr_expect_eq(here, found->coordinators[0].node_id == SELF, "%s", groups[i]);
        listed += here;
    }
    cr_expect(listed > 0 && listed < 4, "the names are chosen so that both nodes have some");
    cr_expect_eq(answer->groups_count, listed);
}

Test(storage_relay, requests_under_way_are_closed_when_the_node_stops)
{
    struct owner *owner = owner_of("g");
    owner->mood = HOLDS;
    struct kafka_heartbeat_request request = {.group_id = slice_str("g"), .member_id = slice_str("m")};
    enum status status = ST_AGAIN;
    cr_assert_eq(conn_client_call(node.client, KAFKA_API_HEARTBEAT, 4, &request, 0, note_status, &status),
                 ST_OK);
    node_turn(&node, 100);
    relays_cancel(storage_relays(node_storage()));
    node_turn(&node, 50);
    cr_expect_eq(status, ST_CLOSED);
}
