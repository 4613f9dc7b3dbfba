// SPDX-License-Identifier: Apache-2.0
// Error answers for requests whose owner did not answer: every group, topic, partition or resource of the
// request comes back with the error, since clients look for what they asked for. Where they look at the top
// alone, a row of the table is all there is.
#include "relay_apis.h"

#include "base/assert.h"
#include "kafka/messages/add_offsets_to_txn.h"
#include "kafka/messages/add_partitions_to_txn.h"
#include "kafka/messages/add_raft_voter.h"
#include "kafka/messages/alter_configs.h"
#include "kafka/messages/alter_partition_reassignments.h"
#include "kafka/messages/alter_share_group_offsets.h"
#include "kafka/messages/consumer_group_heartbeat.h"
#include "kafka/messages/create_partitions.h"
#include "kafka/messages/create_topics.h"
#include "kafka/messages/delete_share_group_offsets.h"
#include "kafka/messages/delete_topics.h"
#include "kafka/messages/describe_quorum.h"
#include "kafka/messages/elect_leaders.h"
#include "kafka/messages/end_txn.h"
#include "kafka/messages/heartbeat.h"
#include "kafka/messages/incremental_alter_configs.h"
#include "kafka/messages/init_producer_id.h"
#include "kafka/messages/join_group.h"
#include "kafka/messages/leave_group.h"
#include "kafka/messages/list_partition_reassignments.h"
#include "kafka/messages/offset_commit.h"
#include "kafka/messages/offset_delete.h"
#include "kafka/messages/offset_fetch.h"
#include "kafka/messages/remove_raft_voter.h"
#include "kafka/messages/streams_group_heartbeat.h"
#include "kafka/messages/share_group_heartbeat.h"
#include "kafka/messages/sync_group.h"
#include "kafka/messages/txn_offset_commit.h"
#include "kafka/messages/unregister_broker.h"
#include "kafka/messages/update_features.h"

#include <stddef.h>
#include <string.h>

#define ARRAY(type, arena, count) kafka_structure_array(&type##_type, arena, count)

static void no_memory(struct storage_request *request)
{
    storage_answer_close(request, "out of memory for an answer");
}

static void join_group_error(struct storage_request *request, int16_t error)
{
    const struct kafka_join_group_request *asked = request->body;
    struct kafka_join_group_response response;
    kafka_defaults(&kafka_join_group_response_message, &response);
    response.error_code = error;
    response.member_id = asked->member_id;
    storage_answer(request, &response);
}

static void offset_commit_error(struct storage_request *request, int16_t error)
{
    typedef struct kafka_offset_commit_request_offset_commit_request_topic asked_topic;
    typedef struct kafka_offset_commit_response_offset_commit_response_topic topic;
    const struct kafka_offset_commit_request *asked = request->body;
    struct kafka_offset_commit_response response;
    kafka_defaults(&kafka_offset_commit_response_message, &response);
    response.topics = ARRAY(kafka_offset_commit_response_offset_commit_response_topic, &request->arena,
                            asked->topics_count);
    response.topics_count = asked->topics_count;
    for (int32_t i = 0; response.topics != NULL && i < asked->topics_count; i++) {
        const asked_topic *from = &asked->topics[i];
        topic *to = &response.topics[i];
        to->name = from->name;
        to->topic_id = from->topic_id;
        to->partitions_count = from->partitions_count;
        to->partitions = ARRAY(kafka_offset_commit_response_offset_commit_response_partition, &request->arena,
                               from->partitions_count);
        for (int32_t p = 0; to->partitions != NULL && p < from->partitions_count; p++) {
            to->partitions[p].partition_index = from->partitions[p].partition_index;
            to->partitions[p].error_code = error;
        }
        if (to->partitions == NULL)
            response.topics = NULL;
    }
    if (response.topics == NULL)
        no_memory(request);
    else
        storage_answer(request, &response);
}

// Versions below 8 name one group; the error stands at the top from version 2 on, and in every partition.
static void offset_fetch_error(struct storage_request *request, int16_t error)
{
    typedef struct kafka_offset_fetch_request_offset_fetch_request_topic asked_topic;
    typedef struct kafka_offset_fetch_response_offset_fetch_response_topic topic;
    const struct kafka_offset_fetch_request *asked = request->body;
    struct kafka_offset_fetch_response response;
    kafka_defaults(&kafka_offset_fetch_response_message, &response);
    response.error_code = error;
    int32_t count = request->version < 2 && asked->topics_count > 0 ? asked->topics_count : 0;
    response.topics = ARRAY(kafka_offset_fetch_response_offset_fetch_response_topic, &request->arena, count);
    response.topics_count = count;
    for (int32_t i = 0; response.topics != NULL && i < count; i++) {
        const asked_topic *from = &asked->topics[i];
        topic *to = &response.topics[i];
        to->name = from->name;
        to->partitions_count = from->partition_indexes_count;
        to->partitions = ARRAY(kafka_offset_fetch_response_offset_fetch_response_partition, &request->arena,
                               from->partition_indexes_count);
        for (int32_t p = 0; to->partitions != NULL && p < to->partitions_count; p++) {
            to->partitions[p].partition_index = from->partition_indexes[p];
            to->partitions[p].committed_offset = -1;
            to->partitions[p].error_code = error;
        }
        if (to->partitions == NULL)
            response.topics = NULL;
    }
    if (response.topics == NULL)
        no_memory(request);
    else
        storage_answer(request, &response);
}

static void create_topics_error(struct storage_request *request, int16_t error)
{
    const struct kafka_create_topics_request *asked = request->body;
    struct kafka_create_topics_response response;
    kafka_defaults(&kafka_create_topics_response_message, &response);
    response.topics =
        ARRAY(kafka_create_topics_response_creatable_topic_result, &request->arena, asked->topics_count);
    response.topics_count = asked->topics_count;
    for (int32_t i = 0; response.topics != NULL && i < asked->topics_count; i++) {
        response.topics[i].name = asked->topics[i].name;
        response.topics[i].error_code = error;
    }
    if (response.topics == NULL)
        no_memory(request);
    else
        storage_answer(request, &response);
}

static void delete_topics_error(struct storage_request *request, int16_t error)
{
    const struct kafka_delete_topics_request *asked = request->body;
    struct kafka_delete_topics_response response;
    kafka_defaults(&kafka_delete_topics_response_message, &response);
    bool names = request->version < 6;
    response.responses_count = names ? asked->topic_names_count : asked->topics_count;
    response.responses =
        ARRAY(kafka_delete_topics_response_deletable_topic_result, &request->arena, response.responses_count);
    for (int32_t i = 0; response.responses != NULL && i < response.responses_count; i++) {
        response.responses[i].name = names ? asked->topic_names[i] : asked->topics[i].name;
        if (!names)
            response.responses[i].topic_id = asked->topics[i].topic_id;
        response.responses[i].error_code = error;
    }
    if (response.responses == NULL)
        no_memory(request);
    else
        storage_answer(request, &response);
}

static void create_partitions_error(struct storage_request *request, int16_t error)
{
    const struct kafka_create_partitions_request *asked = request->body;
    struct kafka_create_partitions_response response;
    kafka_defaults(&kafka_create_partitions_response_message, &response);
    response.results = ARRAY(kafka_create_partitions_response_create_partitions_topic_result, &request->arena,
                             asked->topics_count);
    response.results_count = asked->topics_count;
    for (int32_t i = 0; response.results != NULL && i < asked->topics_count; i++) {
        response.results[i].name = asked->topics[i].name;
        response.results[i].error_code = error;
    }
    if (response.results == NULL)
        no_memory(request);
    else
        storage_answer(request, &response);
}

static void alter_configs_error(struct storage_request *request, int16_t error)
{
    const struct kafka_alter_configs_request *asked = request->body;
    struct kafka_alter_configs_response response;
    kafka_defaults(&kafka_alter_configs_response_message, &response);
    response.responses = ARRAY(kafka_alter_configs_response_alter_configs_resource_response, &request->arena,
                               asked->resources_count);
    response.responses_count = asked->resources_count;
    for (int32_t i = 0; response.responses != NULL && i < asked->resources_count; i++) {
        response.responses[i].resource_type = asked->resources[i].resource_type;
        response.responses[i].resource_name = asked->resources[i].resource_name;
        response.responses[i].error_code = error;
    }
    if (response.responses == NULL)
        no_memory(request);
    else
        storage_answer(request, &response);
}

static void incremental_alter_configs_error(struct storage_request *request, int16_t error)
{
    const struct kafka_incremental_alter_configs_request *asked = request->body;
    struct kafka_incremental_alter_configs_response response;
    kafka_defaults(&kafka_incremental_alter_configs_response_message, &response);
    response.responses = ARRAY(kafka_incremental_alter_configs_response_alter_configs_resource_response,
                               &request->arena, asked->resources_count);
    response.responses_count = asked->resources_count;
    for (int32_t i = 0; response.responses != NULL && i < asked->resources_count; i++) {
        response.responses[i].resource_type = asked->resources[i].resource_type;
        response.responses[i].resource_name = asked->resources[i].resource_name;
        response.responses[i].error_code = error;
    }
    if (response.responses == NULL)
        no_memory(request);
    else
        storage_answer(request, &response);
}

static void elect_leaders_error(struct storage_request *request, int16_t error)
{
    typedef struct kafka_elect_leaders_request_topic_partitions asked_topic;
    typedef struct kafka_elect_leaders_response_replica_election_result topic;
    const struct kafka_elect_leaders_request *asked = request->body;
    struct kafka_elect_leaders_response response;
    kafka_defaults(&kafka_elect_leaders_response_message, &response);
    response.error_code = request->version > 0 ? error : KAFKA_ERR_NONE; // version 0 has no place for it
    int32_t count = asked->topic_partitions_count > 0 ? asked->topic_partitions_count : 0;
    response.replica_election_results =
        ARRAY(kafka_elect_leaders_response_replica_election_result, &request->arena, count);
    response.replica_election_results_count = count;
    bool ok = response.replica_election_results != NULL;
    for (int32_t i = 0; ok && i < count; i++) {
        const asked_topic *from = &asked->topic_partitions[i];
        topic *to = &response.replica_election_results[i];
        to->topic = from->topic;
        to->partition_result_count = from->partitions_count;
        to->partition_result =
            ARRAY(kafka_elect_leaders_response_partition_result, &request->arena, from->partitions_count);
        ok = to->partition_result != NULL;
        for (int32_t p = 0; ok && p < from->partitions_count; p++) {
            to->partition_result[p].partition_id = from->partitions[p];
            to->partition_result[p].error_code = error;
        }
    }
    if (ok)
        storage_answer(request, &response);
    else
        no_memory(request);
}

static void init_producer_id_error(struct storage_request *request, int16_t error)
{
    struct kafka_init_producer_id_response response;
    kafka_defaults(&kafka_init_producer_id_response_message, &response);
    response.error_code = error;
    response.producer_epoch = -1;
    storage_answer(request, &response);
}

// From version 4 on the error stands at the top.
static void add_partitions_to_txn_error(struct storage_request *request, int16_t error)
{
    typedef struct kafka_add_partitions_to_txn_response_add_partitions_to_txn_topic_result topic;
    const struct kafka_add_partitions_to_txn_request *asked = request->body;
    struct kafka_add_partitions_to_txn_response response;
    kafka_defaults(&kafka_add_partitions_to_txn_response_message, &response);
    response.error_code = error;
    int32_t count = request->version < 4 ? asked->v3_and_below_topics_count : 0;
    response.results_by_topic_v3_and_below = ARRAY(
        kafka_add_partitions_to_txn_response_add_partitions_to_txn_topic_result, &request->arena, count);
    response.results_by_topic_v3_and_below_count = count;
    bool ok = response.results_by_topic_v3_and_below != NULL;
    for (int32_t i = 0; ok && i < count; i++) {
        topic *to = &response.results_by_topic_v3_and_below[i];
        to->name = asked->v3_and_below_topics[i].name;
        to->results_by_partition_count = asked->v3_and_below_topics[i].partitions_count;
        to->results_by_partition =
            ARRAY(kafka_add_partitions_to_txn_response_add_partitions_to_txn_partition_result,
                  &request->arena, to->results_by_partition_count);
        ok = to->results_by_partition != NULL;
        for (int32_t p = 0; ok && p < to->results_by_partition_count; p++) {
            to->results_by_partition[p].partition_index = asked->v3_and_below_topics[i].partitions[p];
            to->results_by_partition[p].partition_error_code = error;
        }
    }
    if (ok)
        storage_answer(request, &response);
    else
        no_memory(request);
}

static void txn_offset_commit_error(struct storage_request *request, int16_t error)
{
    typedef struct kafka_txn_offset_commit_response_txn_offset_commit_response_topic topic;
    const struct kafka_txn_offset_commit_request *asked = request->body;
    struct kafka_txn_offset_commit_response response;
    kafka_defaults(&kafka_txn_offset_commit_response_message, &response);
    response.topics = ARRAY(kafka_txn_offset_commit_response_txn_offset_commit_response_topic,
                            &request->arena, asked->topics_count);
    response.topics_count = asked->topics_count;
    bool ok = response.topics != NULL;
    for (int32_t i = 0; ok && i < asked->topics_count; i++) {
        topic *to = &response.topics[i];
        to->name = asked->topics[i].name;
        to->partitions_count = asked->topics[i].partitions_count;
        to->partitions = ARRAY(kafka_txn_offset_commit_response_txn_offset_commit_response_partition,
                               &request->arena, to->partitions_count);
        ok = to->partitions != NULL;
        for (int32_t p = 0; ok && p < to->partitions_count; p++) {
            to->partitions[p].partition_index = asked->topics[i].partitions[p].partition_index;
            to->partitions[p].error_code = error;
        }
    }
    if (ok)
        storage_answer(request, &response);
    else
        no_memory(request);
}

// clang-format off
#define AT_THE_TOP(message) .error_code = offsetof(struct kafka_##message##_response, error_code)

static const struct {
    int16_t api;
    void (*answer)(struct storage_request *request, int16_t error); // NULL: nothing but error_code is set
    uint16_t error_code;                                            // where it is in the response
} errors[] = {
    {KAFKA_API_OFFSET_COMMIT, .answer = offset_commit_error},
    {KAFKA_API_OFFSET_FETCH, .answer = offset_fetch_error},
    {KAFKA_API_JOIN_GROUP, .answer = join_group_error},
    {KAFKA_API_HEARTBEAT, AT_THE_TOP(heartbeat)},
    {KAFKA_API_LEAVE_GROUP, AT_THE_TOP(leave_group)},
    {KAFKA_API_SYNC_GROUP, AT_THE_TOP(sync_group)},
    {KAFKA_API_CONSUMER_GROUP_HEARTBEAT, AT_THE_TOP(consumer_group_heartbeat)},
    {KAFKA_API_STREAMS_GROUP_HEARTBEAT, AT_THE_TOP(streams_group_heartbeat)},
    {KAFKA_API_SHARE_GROUP_HEARTBEAT, AT_THE_TOP(share_group_heartbeat)},
    {KAFKA_API_ALTER_SHARE_GROUP_OFFSETS, AT_THE_TOP(alter_share_group_offsets)},
    {KAFKA_API_DELETE_SHARE_GROUP_OFFSETS, AT_THE_TOP(delete_share_group_offsets)},
    {KAFKA_API_INIT_PRODUCER_ID, .answer = init_producer_id_error},
    {KAFKA_API_ADD_PARTITIONS_TO_TXN, .answer = add_partitions_to_txn_error},
    {KAFKA_API_ADD_OFFSETS_TO_TXN, AT_THE_TOP(add_offsets_to_txn)},
    {KAFKA_API_END_TXN, AT_THE_TOP(end_txn)},
    {KAFKA_API_TXN_OFFSET_COMMIT, .answer = txn_offset_commit_error},
    {KAFKA_API_CREATE_TOPICS, .answer = create_topics_error},
    {KAFKA_API_DELETE_TOPICS, .answer = delete_topics_error},
    {KAFKA_API_ALTER_CONFIGS, .answer = alter_configs_error},
    {KAFKA_API_CREATE_PARTITIONS, .answer = create_partitions_error},
    {KAFKA_API_INCREMENTAL_ALTER_CONFIGS, .answer = incremental_alter_configs_error},
    {KAFKA_API_OFFSET_DELETE, AT_THE_TOP(offset_delete)},
    {KAFKA_API_ELECT_LEADERS, .answer = elect_leaders_error},
    {KAFKA_API_ALTER_PARTITION_REASSIGNMENTS, AT_THE_TOP(alter_partition_reassignments)},
    {KAFKA_API_LIST_PARTITION_REASSIGNMENTS, AT_THE_TOP(list_partition_reassignments)},
    {KAFKA_API_DESCRIBE_QUORUM, AT_THE_TOP(describe_quorum)},
    {KAFKA_API_UPDATE_FEATURES, AT_THE_TOP(update_features)},
    {KAFKA_API_UNREGISTER_BROKER, AT_THE_TOP(unregister_broker)},
    {KAFKA_API_ADD_RAFT_VOTER, AT_THE_TOP(add_raft_voter)},
    {KAFKA_API_REMOVE_RAFT_VOTER, AT_THE_TOP(remove_raft_voter)},
};
// clang-format on

static void answer_at_the_top(struct storage_request *request, uint16_t error_code, int16_t error)
{
    char *response = arena_alloc(&request->arena, request->api->response->structure->size);
    if (response == NULL) {
        no_memory(request);
        return;
    }
    kafka_defaults(request->api->response, response);
    memcpy(response + error_code, &error, sizeof error);
    storage_answer(request, response);
}

void relay_answer_error(struct storage_request *request, int16_t error)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (errors[i].api != request->api->key)
            continue;
        if (errors[i].answer != NULL)
            errors[i].answer(request, error);
        else
            answer_at_the_top(request, errors[i].error_code, error);
        return;
    }
    UNREACHABLE("a relayed API without its error answer");
}
