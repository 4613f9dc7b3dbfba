// SPDX-License-Identifier: Apache-2.0
// The API table and what is answered from the image.
#include "node.h"

#include "apis.h"
#include "auto_create.h"
#include "kafka/messages/api_versions.h"
#include "kafka/messages/describe_configs.h"
#include "kafka/messages/find_coordinator.h"
#include "kafka/messages/init_producer_id.h"
#include "kafka/messages/metadata.h"

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

TestSuite(storage_apis, .init = setup, .fini = teardown, .timeout = 60);

// As in Kafka: what a client asks before all else, and what it says of itself.
static bool open_to_all(int16_t api)
{
    return api == KAFKA_API_API_VERSIONS || api == KAFKA_API_GET_TELEMETRY_SUBSCRIPTIONS ||
           api == KAFKA_API_PUSH_TELEMETRY;
}

Test(storage_api_table, every_served_api_has_its_operation_and_resource_and_a_way)
{
    for (int i = 0; i < api_row_count; i++) {
        cr_expect(i == 0 || api_rows[i - 1].key < api_rows[i].key, "ascending at %d", api_rows[i].key);
        const struct authorise_rule *rule = authorise_rule(api_rows[i].key);
        cr_assert_not_null(rule, "API %d", api_rows[i].key);
        if (!open_to_all(api_rows[i].key)) {
            cr_expect_neq(rule->operation, OPERATION_NONE, "API %d", api_rows[i].key);
            cr_expect_neq(rule->resource, RESOURCE_TYPE_NONE, "API %d", api_rows[i].key);
        }
        cr_expect_eq(api_rows[i].route == API_OWN, api_rows[i].handle != NULL, "API %d", api_rows[i].key);
        cr_expect_leq(api_version_low(&api_rows[i]), api_version_high(&api_rows[i]));
    }
}

Test(storage_apis, api_versions_lists_the_table_with_produce_from_zero)
{
    struct kafka_api_versions_request request = {.client_software_name = slice_str("a"),
                                                 .client_software_version = slice_str("1.0-x")};
    const struct kafka_api_versions_response *answer = ask(&node, KAFKA_API_API_VERSIONS, 3, &request);
    cr_assert_not_null(answer);
    cr_assert_eq(answer->error_code, 0);
    cr_assert_eq(answer->api_keys_count, api_row_count);
    cr_expect_eq(answer->api_keys[0].api_key, KAFKA_API_PRODUCE);
    cr_expect_eq(answer->api_keys[0].min_version, 0);
    cr_expect_eq(answer->api_keys[0].max_version, 13);
}

Test(storage_apis, api_versions_refuses_a_software_name_outside_the_pattern)
{
    static const char *const bad[] = {"", "-a", "a-", "a b", "a_b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct kafka_api_versions_request request = {.client_software_name = slice_str(bad[i]),
                                                     .client_software_version = slice_str("1")};
        const struct kafka_api_versions_response *answer = ask(&node, KAFKA_API_API_VERSIONS, 3, &request);
        cr_assert_not_null(answer);
        cr_expect_eq(answer->error_code, KAFKA_ERR_INVALID_REQUEST, "%s", bad[i]);
    }
}

Test(storage_apis, api_versions_of_the_future_is_answered_in_version_zero)
{
    static const uint8_t request[] = {0, 0, 0, 12, 0, 18, 0, 99, 0, 0, 0, 5, 0, 1, 't', 0};
    static const uint8_t answer[] = {0, 0, 0, 16, 0, 0, 0, 5, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4};
    uint8_t got[64];
    cr_assert_eq(raw_exchange(&node, slice_of(request, sizeof request), got, sizeof got), (int)sizeof answer);
    cr_expect_arr_eq(got, answer, sizeof answer);
}

Test(storage_apis, unsupported_version_closes_the_connection)
{
    static const uint8_t produce_zero[] = {0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 5, 0, 1, 't'};
    cr_assert_eq(conn_client_send_raw(node.client, slice_of(produce_zero, sizeof produce_zero)), ST_OK);
    node_turn(&node, 50);
    cr_expect_not(conn_client_ready(node.client));
}

static const struct kafka_metadata_response *metadata(const char *name, bool create)
{
    struct kafka_metadata_request_metadata_request_topic topic;
    kafka_structure_defaults(&kafka_metadata_request_metadata_request_topic_type, &topic);
    topic.name = slice_str(name);
    struct kafka_metadata_request request;
    kafka_defaults(&kafka_metadata_request_message, &request);
    request.topics = &topic;
    request.topics_count = 1;
    request.allow_auto_topic_creation = create;
    const struct kafka_metadata_response *answer = ask(&node, KAFKA_API_METADATA, 9, &request);
    cr_assert_not_null(answer);
    cr_assert_eq(answer->topics_count, 1);
    return answer;
}

Test(storage_apis, metadata_names_nodes_and_leaders)
{
    const struct kafka_metadata_response *answer = metadata("t", false);
    cr_assert_eq(answer->brokers_count, 1);
    cr_expect_eq(answer->brokers[0].port, conn_listener_port(node.listener));
    cr_expect_eq(answer->controller_id, SELF);
    cr_assert_eq(answer->topics[0].partitions_count, 2);
    cr_expect_eq(answer->topics[0].partitions[1].leader_id, SELF);
}

Test(storage_apis, unknown_topic_is_answered_at_once_and_created_on_the_side)
{
    cr_expect_eq(metadata("new", false)->topics[0].error_code, KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION);
    node_turn(&node, 50);
    cr_expect_eq(node.controller.topics_created, 0);
    node.controller.mood = HOLDS;
    cr_expect_eq(metadata("new", true)->topics[0].error_code, KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION);
    cr_expect_eq(metadata("new", true)->topics[0].error_code, KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION);
    node_turn(&node, 50);
    cr_assert_eq(node.controller.relays, 1, "one creation under way per name");
    owner_answer_held(&node.controller);
    node_turn(&node, 50);
    cr_expect_eq(node.controller.topics_created, 1);
    cr_expect_eq(metadata("bad name", true)->topics[0].error_code, KAFKA_ERR_INVALID_TOPIC_EXCEPTION);
    cr_expect_eq(metadata("__transaction_state", true)->topics[0].error_code,
                 KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION);
    node_turn(&node, 50);
    cr_expect_eq(node.controller.topics_created, 1, "neither a bad name nor an internal topic is created");
}

// A share group asks until its dead-letter topic is there; returns how often the controller was asked.
static int dead_letters_wanted_for(const char *name, int ms)
{
    int before = node.controller.relays;
    for (int64_t end_us = env_now_us(node.env) + ms * 1000; env_now_us(node.env) < end_us;) {
        auto_create_dead_letters(storage_auto_create(node_storage()), slice_str(name), "some.key");
        node_turn(&node, 5);
    }
    return node.controller.relays - before;
}

Test(storage_apis, a_dead_letter_topic_that_is_refused_is_asked_for_again_after_a_pause)
{
    node.controller.create_error = KAFKA_ERR_INVALID_REPLICATION_FACTOR;
    cr_expect_eq(dead_letters_wanted_for("dead", 500), 1);
    cr_expect_eq(dead_letters_wanted_for("other", 500), 1, "names do not wait for each other");
    node.controller.create_error = KAFKA_ERR_NONE;
    metadata("dead", true); // a client's request is not held back
    node_turn(&node, 50);
    cr_expect_eq(node.controller.topics_created, 1);
    for (int64_t end_us = env_now_us(node.env) + 20000000; node.controller.topics_created < 2;) {
        cr_assert_lt(env_now_us(node.env), end_us, "it is not asked for again");
        dead_letters_wanted_for("other", 20);
    }
}

Test(storage_apis, auto_creation_can_be_turned_off)
{
    char error[CONFIG_ERROR_SIZE];
    cr_assert_eq(config_set(node.config, "auto.create.topics.enable", "false", error), ST_OK);
    metadata("new", true);
    node_turn(&node, 50);
    cr_expect_eq(node.controller.relays, 0);
}

Test(storage_apis, producer_ids_are_unique_and_fetched_in_blocks)
{
    struct kafka_init_producer_id_request request;
    kafka_defaults(&kafka_init_producer_id_request_message, &request);
    request.transactional_id = (struct slice){0};
    for (int i = 0; i < 7; i++) {
        const struct kafka_init_producer_id_response *answer =
            ask(&node, KAFKA_API_INIT_PRODUCER_ID, 4, &request);
        cr_assert_not_null(answer);
        cr_expect_eq(answer->error_code, 0);
        cr_expect_eq(answer->producer_id, 1000 + i);
        cr_expect_eq(answer->producer_epoch, 0);
    }
    cr_expect_eq(node.controller.blocks, 3);
    request.transactional_id = slice_str("");
    const struct kafka_init_producer_id_response *answer =
        ask(&node, KAFKA_API_INIT_PRODUCER_ID, 4, &request);
    cr_expect_eq(answer->error_code, KAFKA_ERR_INVALID_REQUEST);
    cr_expect_eq(answer->producer_id, -1);
}

Test(storage_apis, describe_configs_gives_defaults_with_source_and_refuses_another_node)
{
    struct slice keys[] = {slice_str("retention.ms"), slice_str("segment.bytes"), slice_str("no.such.key")};
    struct kafka_describe_configs_request_describe_configs_resource resources[3];
    for (int i = 0; i < 3; i++)
        kafka_structure_defaults(&kafka_describe_configs_request_describe_configs_resource_type,
                                 &resources[i]);
    resources[0].resource_type = 2;
    resources[0].resource_name = slice_str("t");
    resources[0].configuration_keys = keys;
    resources[0].configuration_keys_count = 3;
    resources[1].resource_type = 4;
    resources[1].resource_name = slice_str("99");
    resources[2].resource_type = 2;
    resources[2].resource_name = slice_str("missing");
    struct kafka_describe_configs_request request = {
        .resources = resources, .resources_count = 3, .include_synonyms = true};
    const struct kafka_describe_configs_response *answer =
        ask(&node, KAFKA_API_DESCRIBE_CONFIGS, 4, &request);
    cr_assert_not_null(answer);
    cr_assert_eq(answer->results_count, 3);
    cr_assert_eq(answer->results[0].configs_count, 2);
    cr_expect(slice_is(answer->results[0].configs[0].value, "604800000"));
    cr_expect_eq(answer->results[0].configs[0].config_source, 5);
    cr_expect_eq(answer->results[0].configs[0].synonyms_count, 0); // log.retention.ms has no default
    cr_assert_eq(answer->results[0].configs[1].synonyms_count, 1);
    cr_expect(slice_is(answer->results[0].configs[1].synonyms[0].name, "log.segment.bytes"));
    cr_expect_eq(answer->results[1].error_code, KAFKA_ERR_INVALID_REQUEST);
    cr_expect_eq(answer->results[2].error_code, KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION);
}
