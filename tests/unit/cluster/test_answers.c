// SPDX-License-Identifier: Apache-2.0
// Answers from the image: the rules per version that clients depend on (kafka-wire facts), and that every
// answer can be encoded in every version.
#include "cluster/answers.h"

#include "cluster/shard.h"
#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/describe_cluster.h"
#include "kafka/messages/describe_topic_partitions.h"
#include "kafka/messages/find_coordinator.h"
#include "kafka/messages/metadata.h"
#include "records.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define STORAGE MILLRACE__ROLE__ROLE_STORAGE

typedef struct kafka_metadata_request_metadata_request_topic wanted_topic;
typedef struct kafka_metadata_response_metadata_response_topic metadata_topic;

static const struct principal anybody = {
    .name = PRINCIPAL_ANONYMOUS, .listener = "PLAINTEXT", .host = "127.0.0.1"};
static const struct principal outside = {
    .name = PRINCIPAL_ANONYMOUS, .listener = "HOST", .host = "127.0.0.1"};

struct fixture {
    struct image *image;
    struct arena arena;
    struct answers_scope scope;
};

// Nodes 1 and 2 live, 3 fenced, 4 a coordinator; "orders" with 3 partitions, leaders 1, 2 and none.
static struct fixture *fixture_new(int16_t version)
{
    static struct fixture it;
    it.image = image_new();
    arena_init(&it.arena, 1 << 20);
    it.scope = (struct answers_scope){
        .image = it.image, .principal = &anybody, .self = 1, .version = version, .arena = &it.arena};
    put_cluster(it.image, 7);
    put_node(it.image, 1, STORAGE, false);
    put_node(it.image, 2, STORAGE, false);
    put_node(it.image, 3, STORAGE, true);
    put_node(it.image, 4, MILLRACE__ROLE__ROLE_COORDINATOR, false);
    put_topic(it.image, 21, "orders");
    put_partition(it.image, 21, 0, 1, 5, 3);
    put_partition(it.image, 21, 1, 2, 6, 2);
    put_partition(it.image, 21, 2, -1, 7, 1);
    put_topic(it.image, 22, "clicks");
    put_partition(it.image, 22, 0, 2, 0, 2);
    return &it;
}

static void fixture_destroy(struct fixture *it)
{
    arena_fini(&it->arena);
    image_destroy(&it->image);
}

static void encodes(const struct kafka_message *message, int16_t version, const void *response)
{
    struct kafka_out out;
    kafka_out_init(&out, 1 << 20);
    cr_assert_eq(kafka_encode(message, version, response, &out), ST_OK, "%s v%d", message->name, version);
    kafka_out_fini(&out);
}

static struct kafka_metadata_response metadata(struct fixture *it, wanted_topic *topics, int32_t count)
{
    struct kafka_metadata_request request;
    kafka_defaults(&kafka_metadata_request_message, &request);
    request.topics = topics;
    request.topics_count = count;
    struct kafka_metadata_response response;
    cr_assert_eq(answers_metadata(&it->scope, &request, &response), ST_OK);
    encodes(&kafka_metadata_response_message, it->scope.version, &response);
    return response;
}

Test(answers, metadata_lists_live_storage_nodes_only_with_the_listeners_endpoint)
{
    struct fixture *it = fixture_new(9);
    struct kafka_metadata_response response = metadata(it, NULL, 0);
    cr_assert_eq(response.brokers_count, 2);
    cr_assert_eq(response.brokers[0].port, 9092);
    cr_assert(slice_is(response.brokers[1].rack, "r2"));
    cr_assert(response.controller_id == 1 || response.controller_id == 2);
    cr_assert_eq(response.cluster_id.len, 22);
    it->scope.principal = &outside;
    response = metadata(it, NULL, 0);
    cr_assert_eq(response.brokers[0].port, 19092);
    cr_assert(slice_is(response.brokers[0].host, "example.org"));
    fixture_destroy(it);
}

Test(answers, metadata_empty_means_all_in_v0_and_none_from_v1_null_means_all)
{
    for (int16_t version = 0; version <= 13; version++) {
        struct fixture *it = fixture_new(version);
        cr_assert_eq(metadata(it, NULL, 0).topics_count, version == 0 ? 2 : 0, "v%d", version);
        if (version > 0)
            cr_assert_eq(metadata(it, NULL, -1).topics_count, 2, "v%d", version);
        fixture_destroy(it);
    }
}

Test(answers, metadata_tells_leaders_epochs_and_offline_replicas)
{
    struct fixture *it = fixture_new(9);
    wanted_topic wanted = {.name = slice_str("orders")};
    metadata_topic topic = metadata(it, &wanted, 1).topics[0];
    cr_assert_eq(topic.partitions_count, 3);
    cr_assert_eq(topic.partitions[0].leader_id, 1);
    cr_assert_eq(topic.partitions[0].leader_epoch, 5);
    cr_assert_eq(topic.partitions[0].replica_nodes_count, 3);
    cr_assert_eq(topic.partitions[0].isr_nodes_count, 3);
    cr_assert_eq(topic.partitions[0].offline_replicas_count, 1);
    cr_assert_eq(topic.partitions[0].offline_replicas[0], 3);
    cr_assert_eq(topic.partitions[2].error_code, KAFKA_ERR_LEADER_NOT_AVAILABLE);
    cr_assert_eq(topic.partitions[2].leader_id, -1);
    fixture_destroy(it);
}

Test(answers, metadata_v0_hides_unreachable_replicas_behind_an_error)
{
    struct fixture *it = fixture_new(0);
    wanted_topic wanted = {.name = slice_str("orders")};
    metadata_topic topic = metadata(it, &wanted, 1).topics[0];
    cr_assert_eq(topic.partitions[0].error_code, KAFKA_ERR_REPLICA_NOT_AVAILABLE);
    cr_assert_eq(topic.partitions[0].replica_nodes_count, 2);
    cr_assert_eq(topic.partitions[0].isr_nodes_count, 2);
    fixture_destroy(it);
}

Test(answers, metadata_by_id_from_v12_and_errors_by_kind)
{
    struct fixture *it = fixture_new(12);
    wanted_topic wanted[] = {{.topic_id = id_of(22)},
                             {.topic_id = id_of(99)},
                             {.name = slice_str("absent")},
                             {.name = slice_str("bad name")}};
    struct kafka_metadata_response response = metadata(it, wanted, 4);
    cr_assert(slice_is(response.topics[0].name, "clicks"));
    cr_assert_eq(response.topics[1].error_code, KAFKA_ERR_UNKNOWN_TOPIC_ID);
    cr_assert_eq(response.topics[2].error_code, KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION);
    cr_assert(slice_is(response.topics[2].name, "absent"));
    cr_assert_eq(response.topics[3].error_code, KAFKA_ERR_INVALID_TOPIC_EXCEPTION);
    it->scope.version = 10;
    cr_assert_eq(metadata(it, wanted, 1).topics[0].error_code, KAFKA_ERR_INVALID_REQUEST);
    fixture_destroy(it);
}

Test(answers, metadata_gives_authorized_operations_only_where_asked_and_known)
{
    for (int16_t version = 8; version <= 13; version++) {
        struct fixture *it = fixture_new(version);
        struct kafka_metadata_request request;
        kafka_defaults(&kafka_metadata_request_message, &request);
        request.topics_count = -1;
        request.include_topic_authorized_operations = true;
        request.include_cluster_authorized_operations = version <= 10;
        struct kafka_metadata_response response;
        cr_assert_eq(answers_metadata(&it->scope, &request, &response), ST_OK);
        encodes(&kafka_metadata_response_message, version, &response);
        cr_assert_eq(response.topics[0].topic_authorized_operations,
                     3576); // what Kafka answers to a super user
        cr_assert_eq(response.cluster_authorized_operations, version <= 10 ? 8096 : INT32_MIN, "v%d: %d",
                     version, response.cluster_authorized_operations);
        fixture_destroy(it);
    }
}

Test(answers, a_full_arena_is_a_limit_not_a_crash)
{
    for (size_t cap = 0; cap < 4000; cap += 64) {
        struct fixture *it = fixture_new(9);
        it->arena.cap = cap;
        struct kafka_metadata_request request;
        kafka_defaults(&kafka_metadata_request_message, &request);
        request.topics_count = -1;
        struct kafka_metadata_response response;
        enum status status = answers_metadata(&it->scope, &request, &response);
        cr_assert(status == ST_OK || status == ST_LIMIT);
        fixture_destroy(it);
    }
}

Test(answers, find_coordinator_names_a_live_storage_node_and_moves_only_the_keys_of_one_that_left)
{
    struct fixture *it = fixture_new(4);
    put_node(it->image, 3, STORAGE, false);
    int moved = 0, of_two = 0;
    int32_t before[300];
    char name[300][24];
    struct slice keys[300];
    for (int i = 0; i < 300; i++) {
        snprintf(name[i], sizeof name[i], "group-%d", i);
        keys[i] = slice_str(name[i]);
        before[i] = shard_front(it->image, "PLAINTEXT", keys[i])->id;
        of_two += before[i] == 2;
    }
    put_fenced(it->image, 2, 102, true);
    struct kafka_find_coordinator_request request = {.coordinator_keys = keys, .coordinator_keys_count = 300};
    struct kafka_find_coordinator_response response;
    cr_assert_eq(answers_find_coordinator(&it->scope, &request, &response), ST_OK);
    encodes(&kafka_find_coordinator_response_message, 4, &response);
    cr_assert_eq(response.coordinators_count, 300);
    for (int i = 0; i < 300; i++) {
        cr_assert(slice_equal(response.coordinators[i].key, keys[i]));
        moved += response.coordinators[i].node_id != before[i];
    }
    cr_assert_eq(moved, of_two);
    cr_assert(of_two > 60 && of_two < 140, "uneven: %d", of_two);
    fixture_destroy(it);
}

static bool away_2(const void *context, int32_t node)
{
    return node == 2;
}

// A restart is no reason to drop a broker: librdkafka waits in vain for what was on its way there. Nothing is
// led by it.
Test(answers, metadata_names_a_broker_that_was_live_a_moment_ago)
{
    struct fixture *it = fixture_new(9);
    struct kafka_metadata_request request = {.topics_count = -1};
    struct kafka_metadata_response response;
    put_fenced(it->image, 2, 102, true);
    cr_assert_eq(answers_metadata(&it->scope, &request, &response), ST_OK);
    cr_assert_eq(response.brokers_count, 1);
    it->scope.away = away_2;
    cr_assert_eq(answers_metadata(&it->scope, &request, &response), ST_OK);
    cr_assert_eq(response.brokers_count, 2);
    cr_expect_eq(response.brokers[1].node_id, 2);
    for (int p = 0; p < response.topics[0].partitions_count; p++)
        cr_expect_neq(response.topics[0].partitions[p].leader_id, 2);
    fixture_destroy(it);
}

Test(answers, find_coordinator_in_every_version_also_when_nobody_is_live)
{
    for (int16_t version = 0; version <= 6; version++) {
        struct fixture *it = fixture_new(version);
        struct slice key = slice_str("g");
        struct kafka_find_coordinator_request request = {
            .key = key, .coordinator_keys = &key, .coordinator_keys_count = 1};
        struct kafka_find_coordinator_response response;
        answers_find_coordinator(&it->scope, &request, &response);
        encodes(&kafka_find_coordinator_response_message, version, &response);
        put_fenced(it->image, 1, 101, true);
        put_fenced(it->image, 2, 102, true);
        answers_find_coordinator(&it->scope, &request, &response);
        encodes(&kafka_find_coordinator_response_message, version, &response);
        int16_t error = version < 4 ? response.error_code : response.coordinators[0].error_code;
        cr_assert_eq(error, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE);
        request.key_type = 9;
        answers_find_coordinator(&it->scope, &request, &response);
        error = version < 4 ? response.error_code : response.coordinators[0].error_code;
        cr_assert_eq(error, KAFKA_ERR_INVALID_REQUEST);
        fixture_destroy(it);
    }
}

Test(answers, describe_cluster_shows_fenced_nodes_only_when_asked)
{
    struct fixture *it = fixture_new(2);
    struct kafka_describe_cluster_request request = {.endpoint_type = 1, .include_fenced_brokers = true};
    struct kafka_describe_cluster_response response;
    cr_assert_eq(answers_describe_cluster(&it->scope, &request, &response), ST_OK);
    encodes(&kafka_describe_cluster_response_message, 2, &response);
    cr_assert_eq(response.brokers_count, 3);
    cr_assert(response.brokers[2].is_fenced);
    it->scope.version = 0;
    answers_describe_cluster(&it->scope, &request, &response);
    encodes(&kafka_describe_cluster_response_message, 0, &response);
    cr_assert_eq(response.brokers_count, 2);
    request.endpoint_type = 2;
    answers_describe_cluster(&it->scope, &request, &response);
    cr_assert_eq(response.error_code, KAFKA_ERR_MISMATCHED_ENDPOINT_TYPE);
    fixture_destroy(it);
}

// Follows the cursor to the end; the number of answers it took.
static int walk_topics(struct fixture *it, int32_t limit, char *seen, size_t size)
{
    struct kafka_describe_topic_partitions_request request = {.response_partition_limit = limit};
    struct kafka_describe_topic_partitions_request_cursor cursor;
    int rounds = 0;
    for (;;) {
        struct kafka_describe_topic_partitions_response response;
        cr_assert_eq(answers_describe_topic_partitions(&it->scope, &request, &response), ST_OK);
        encodes(&kafka_describe_topic_partitions_response_message, 0, &response);
        for (int32_t t = 0; t < response.topics_count; t++)
            for (int32_t p = 0; p < response.topics[t].partitions_count; p++) {
                size_t used = strlen(seen);
                snprintf(seen + used, size - used, "%.*s-%d ", (int)response.topics[t].name.len,
                         (const char *)response.topics[t].name.data,
                         response.topics[t].partitions[p].partition_index);
            }
        cr_assert(++rounds < 20);
        if (response.next_cursor == NULL)
            return rounds;
        cursor.topic_name = response.next_cursor->topic_name;
        cursor.partition_index = response.next_cursor->partition_index;
        request.cursor = &cursor;
    }
}

Test(answers, describe_topic_partitions_pages_without_gap_or_repetition)
{
    for (int32_t limit = 1; limit <= 5; limit++) {
        struct fixture *it = fixture_new(0);
        char seen[200] = "";
        int rounds = walk_topics(it, limit, seen, sizeof seen);
        cr_assert_str_eq(seen, "clicks-0 orders-0 orders-1 orders-2 ");
        cr_assert_eq(rounds, (4 + limit - 1) / limit);
        fixture_destroy(it);
    }
}

Test(authorise, every_api_has_its_operation_and_resource)
{
    // What Kafka answers to anybody: before authentication (17, 18, 36) and client telemetry (71, 72).
    static const int16_t open[] = {17, 18, 36, 71, 72};
    for (int32_t i = 0; i < kafka_api_count; i++) {
        const struct authorise_rule *rule = authorise_rule(kafka_apis[i].key);
        cr_assert_not_null(rule, "%s has no rule", kafka_apis[i].name);
        bool is_open = false;
        for (size_t k = 0; k < sizeof open / sizeof open[0]; k++)
            is_open = is_open || open[k] == kafka_apis[i].key;
        cr_assert_eq(rule->operation == OPERATION_NONE, is_open, "%s", kafka_apis[i].name);
        cr_assert_eq(rule->resource == RESOURCE_TYPE_NONE, is_open, "%s", kafka_apis[i].name);
        cr_assert_eq(rule->also == OPERATION_NONE, rule->also_on == RESOURCE_TYPE_NONE, "%s",
                     kafka_apis[i].name);
    }
}

Test(authorise, operations_match_kafkas_bit_sets)
{
    cr_assert_eq(authorise_operations(&anybody, RESOURCE_TYPE_TOPIC, slice_str("t")), 3576);
    cr_assert(authorise(&anybody, OPERATION_WRITE, RESOURCE_TYPE_TOPIC, slice_str("t")));
    cr_assert(!authorise(NULL, OPERATION_WRITE, RESOURCE_TYPE_TOPIC, slice_str("t")));
}

Test(shard, of_a_key_is_kafkas)
{
    // Values of Kafka's Utils.abs(groupId.hashCode) % 50, from the JVM's String.hashCode definition.
    cr_assert_eq(shard_of(slice_str(""), 50), 0);
    cr_assert_eq(shard_of(slice_str("a"), 50), 97 % 50);
    cr_assert_eq(shard_of(slice_str("polygenelubricants"), 50), 0); // hashCode is INT_MIN
    cr_assert_eq(shard_of(slice_str("test-group"), 50), 12);
    cr_assert_eq(shard_of(slice_str("my-app"), 50), 0);        // hashCode is -1061206400
    cr_assert_eq(shard_of(slice_str("internal-group"), 8), 1); // hashCode is -650637457; seen in Kafka 4.3.1
}

Test(shard, owner_is_the_live_coordinator_of_the_keys_shard)
{
    struct fixture *it = fixture_new(0);
    put_topic(it->image, 30, SHARD_TOPIC_GROUPS);
    cr_assert_null(shard_owner(it->image, SHARD_TOPIC_GROUPS, slice_str("g")));
    put_partition(it->image, 30, 0, 1, 0, 3);
    cr_assert_null(shard_owner(it->image, SHARD_TOPIC_GROUPS, slice_str("g")));
    put_shard(it->image, SHARD_TOPIC_GROUPS, 0, 4, 1);
    cr_assert_eq(shard_owner(it->image, SHARD_TOPIC_GROUPS, slice_str("g"))->id, 4);
    put_fenced(it->image, 4, 104, true);
    cr_assert_null(shard_owner(it->image, SHARD_TOPIC_GROUPS, slice_str("g")));
    fixture_destroy(it);
}
