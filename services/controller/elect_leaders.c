// SPDX-License-Identifier: Apache-2.0
// ElectLeaders (API 43, KIP-183 and KIP-460): leadership back to the preferred replicas, or, for partitions
// without a leader, to whoever lives although records may be lost. Asked for all partitions (null), it tells
// only of those that needed an election.
#include "relay.h"

#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/elect_leaders.h"
#include "nodes.h"
#include "reassign.h"

typedef struct kafka_elect_leaders_request_topic_partitions topic_request;
typedef struct kafka_elect_leaders_response_replica_election_result topic_result;
typedef struct kafka_elect_leaders_response_partition_result partition_result;

enum election { PREFERRED = 0, UNCLEAN = 1 }; // ElectionType

// One election under way: of the partitions of one topic, which are one decision.
struct electing {
    struct relay *relay;
    enum election type;
    const struct image_topic *topic;
    struct decision *decision;
};

static bool not_needed(const struct electing *electing, const struct image_partition *now)
{
    return electing->type == PREFERRED ? now->leader == now->replicas.ids[0] : now->leader >= 0;
}

static bool unavailable(const struct electing *electing, struct topics_error *error)
{
    if (electing->type == PREFERRED)
        return topics_refuse(error, KAFKA_ERR_PREFERRED_LEADER_NOT_AVAILABLE,
                             "The preferred leader is not alive or not in sync.");
    return topics_refuse(error, KAFKA_ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE, "No replica is alive.");
}

static bool elect(struct electing *electing, int32_t index, struct topics_error *error)
{
    struct controller *controller = electing->relay->controller;
    const struct image_partition *now =
        electing->topic != NULL ? image_topic_partition(electing->topic, index) : NULL;
    if (now == NULL)
        return topics_refuse(error, KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION,
                             "This server does not host this topic-partition.");
    if (not_needed(electing, now))
        return topics_refuse(error, KAFKA_ERR_ELECTION_NOT_NEEDED,
                             "Leader election not needed for topic partition.");
    struct elect_view view = nodes_view(controller);
    struct image_partition next;
    bool unclean;
    view.preferred = electing->type == PREFERRED;
    view.unclean = view.anybody = electing->type == UNCLEAN;
    if (!elect_settle(now, &view, &electing->decision->arena, &next, &unclean) ||
        !not_needed(electing, &next))
        return unavailable(electing, error);
    if (unclean)
        DIAG_WARN(&controller->env->diag,
                  "unclean leader election asked for, records may be lost topic=%s partition=%d leader=%d",
                  electing->topic->name, index, next.leader);
    reassign_finish(now, &view, &electing->decision->arena, &next);
    decision_partition(electing->decision, electing->topic->id, &next);
    return true;
}

static void elect_one(struct electing *electing, int32_t index, bool all, topic_result *out)
{
    struct topics_error error = {0};
    elect(electing, index, &error);
    if (all && error.code == KAFKA_ERR_ELECTION_NOT_NEEDED)
        return;
    partition_result *result = &out->partition_result[out->partition_result_count++];
    result->partition_id = index;
    result->error_code = error.code;
    result->error_message = relay_text(electing->relay, &error);
}

static void append(struct electing *electing, topic_result *out)
{
    struct topics_error error = {0};
    if (relay_append(electing->relay, electing->decision, &error))
        return;
    for (int32_t i = 0; i < out->partition_result_count; i++) {
        if (out->partition_result[i].error_code != KAFKA_ERR_NONE)
            continue;
        out->partition_result[i].error_code = error.code;
        out->partition_result[i].error_message = relay_text(electing->relay, &error);
    }
}

// indexes NULL: all count partitions of the topic.
static bool elect_topic(struct electing *electing, const int32_t *indexes, int32_t count, topic_result *out)
{
    out->partition_result = kafka_structure_array(&kafka_elect_leaders_response_partition_result_type,
                                                  &electing->relay->arena, count);
    out->partition_result_count = 0;
    uint8_t *seen = topics_seen(electing->topic, &electing->relay->arena);
    if (out->partition_result == NULL || seen == NULL)
        return false;
    struct decision decision;
    decision_init(&decision);
    electing->decision = &decision;
    for (int32_t i = 0; i < count; i++)
        if (indexes == NULL || !topics_named_before(electing->topic, seen, indexes[i]))
            elect_one(electing, indexes != NULL ? indexes[i] : i, indexes == NULL, out);
    append(electing, out);
    decision_fini(&decision);
    return true;
}

static bool elect_topics(struct relay *relay, struct kafka_elect_leaders_response *response)
{
    const struct kafka_elect_leaders_request *request = relay->request;
    bool all = request->topic_partitions_count < 0;
    size_t count = all ? image_topic_count(metadata_image(relay->controller->metadata))
                       : (size_t)request->topic_partitions_count;
    response->replica_election_results = kafka_structure_array(
        &kafka_elect_leaders_response_replica_election_result_type, &relay->arena, (int32_t)count);
    response->replica_election_results_count = 0;
    for (size_t i = 0; response->replica_election_results != NULL && i < count && relay->failed == ST_OK;
         i++) {
        topic_result *out = &response->replica_election_results[response->replica_election_results_count];
        const topic_request *asked = all ? NULL : &request->topic_partitions[i];
        const struct image *image = metadata_image(relay->controller->metadata); // a refusal may replace it
        struct electing electing = {.relay = relay, .type = (enum election)request->election_type};
        electing.topic = all ? image_topic_at(image, i) : image_topic_slice(image, asked->topic);
        const char *name =
            all ? arena_strndup(&relay->arena, electing.topic->name, strlen(electing.topic->name)) : NULL;
        out->topic = all ? slice_str(name) : asked->topic;
        if (!elect_topic(&electing, all ? NULL : asked->partitions,
                         all ? (int32_t)electing.topic->partition_count : asked->partitions_count, out))
            return false;
        response->replica_election_results_count += !all || out->partition_result_count > 0;
    }
    return response->replica_election_results != NULL;
}

void elect_leaders(struct relay *relay)
{
    const struct kafka_elect_leaders_request *request = relay->request;
    struct kafka_elect_leaders_response *response = relay->response;
    if (!authorise(&relay->principal, OPERATION_ALTER, RESOURCE_TYPE_CLUSTER,
                   slice_str(RESOURCE_CLUSTER_NAME)))
        response->error_code = KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
    else if (request->election_type != PREFERRED && request->election_type != UNCLEAN)
        response->error_code = KAFKA_ERR_INVALID_REQUEST;
    else if (!elect_topics(relay, response) && relay->failed == ST_OK)
        relay->failed = relay->appended ? ST_CANCELLED : ST_LIMIT;
    if (relay->version == 0) // has no place for it
        response->error_code = KAFKA_ERR_NONE;
}
