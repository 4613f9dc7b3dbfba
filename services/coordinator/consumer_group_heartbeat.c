// SPDX-License-Identifier: Apache-2.0
// ConsumerGroupHeartbeat (KIP-848): a member joins, says what has changed and hears what it is to have, or
// leaves. What may be in a request is Kafka's (GroupCoordinatorService), in its words; the rest is decided by
// consumer_group.h. From version 1 on members make their own ids.
#include "apis.h"
#include "base/config.h"
#include "cluster/features.h"
#include "kafka/messages/consumer_group_heartbeat.h"

typedef struct kafka_consumer_group_heartbeat_request request_t;
typedef struct kafka_consumer_group_heartbeat_response response_t;
typedef struct kafka_consumer_group_heartbeat_response_topic_partitions topic_t;

enum { VERSION_OWN_ID = 1 };

// ---- what may be in a request ----

static bool empty(struct slice text)
{
    return text.data != NULL && text.len == 0;
}

static const char *wrong_join(const request_t *in)
{
    if (in->rebalance_timeout_ms == -1)
        return "RebalanceTimeoutMs must be provided in first request.";
    if (in->topic_partitions_count != 0) // -1: null
        return "TopicPartitions must be empty when (re-)joining.";
    if (in->subscribed_topic_names_count < 0 && in->subscribed_topic_regex.data == NULL)
        return "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.";
    return NULL;
}

// What is wrong with the request, NULL: nothing.
static const char *wrong(const request_t *in, int16_t version)
{
    bool knows_id = version >= VERSION_OWN_ID || in->member_epoch > 0 || in->member_epoch == CONSUMER_LEAVE;
    if (knows_id && in->member_id.len == 0)
        return "MemberId can't be empty.";
    if (in->group_id.len == 0)
        return "GroupId can't be empty.";
    if (empty(in->instance_id))
        return "InstanceId can't be empty.";
    if (empty(in->rack_id))
        return "RackId can't be empty.";
    if (in->member_epoch == 0)
        return wrong_join(in);
    if (in->member_epoch == CONSUMER_LEAVE_STATIC && in->instance_id.data == NULL)
        return "InstanceId can't be null.";
    return in->member_epoch < CONSUMER_LEAVE_STATIC ? "MemberEpoch is invalid." : NULL;
}

static bool offered(const struct coordinator_request *request, struct slice assignor)
{
    const struct config *config = request_config(request);
    for (size_t i = 0; i < config_list_count(config, "group.consumer.assignors"); i++) {
        if (slice_is(assignor, config_list_at(config, "group.consumer.assignors", i)))
            return true;
    }
    return assignor.data == NULL;
}

static bool topics_allowed(const struct coordinator_request *request, const request_t *in)
{
    for (int32_t i = 0; i < in->subscribed_topic_names_count; i++) {
        if (!authorise(&request->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_TOPIC,
                       in->subscribed_topic_names[i]))
            return false;
    }
    return true;
}

// Kafka's error for a request that need not be looked at further; text may stay NULL.
static int16_t refuse(const struct coordinator_request *request, const request_t *in, const char **text)
{
    if (!request_allowed(request, in->group_id))
        return KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
    if (!topics_allowed(request, in))
        return KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
    if (image_feature(request_image(request), FEATURES_GROUP) == 0)
        return KAFKA_ERR_UNSUPPORTED_VERSION;
    *text = wrong(in, request->version);
    if (*text != NULL)
        return KAFKA_ERR_INVALID_REQUEST;
    if (!offered(request, in->server_assignor)) {
        *text = "The server assignor is not supported.";
        return KAFKA_ERR_UNSUPPORTED_ASSIGNOR;
    }
    // Said here too, so that a group is not made, or moved to this protocol, for nothing.
    if (!consumer_regex_valid(in->subscribed_topic_regex)) {
        *text = "SubscribedTopicRegex is not a valid regular expression.";
        return KAFKA_ERR_INVALID_REGULAR_EXPRESSION;
    }
    return KAFKA_ERR_NONE;
}

// ---- into the group ----

static struct parts owned_of(const request_t *in)
{
    struct parts owned = {0};
    for (int32_t t = 0; t < in->topic_partitions_count; t++) {
        for (int32_t i = 0; i < in->topic_partitions[t].partitions_count; i++) {
            struct parts_item part = {.topic = in->topic_partitions[t].topic_id,
                                      .index = in->topic_partitions[t].partitions[i]};
            parts_push(&owned, &part);
        }
    }
    parts_sort(&owned);
    return owned;
}

// "" when the arena is full.
static struct slice member_id(struct coordinator_request *request, const request_t *in)
{
    if (in->member_id.len > 0)
        return in->member_id;
    char text[UUID_TEXT_SIZE];
    uuid_format(env_random_uuid(request_env(request)), text);
    return slice_str(arena_printf(&request->arena, "%s", text));
}

static struct consumer_beat beat_of(struct coordinator_request *request, const request_t *in,
                                    const struct parts *owned)
{
    return (struct consumer_beat){
        .member_id = member_id(request, in),
        .epoch = in->member_epoch,
        .profile =
            {
                .instance_id = in->instance_id,
                .rack = in->rack_id,
                .assignor = in->server_assignor,
                .regex = in->subscribed_topic_regex,
                .client_id = request->client_id,
                .client_host = slice_str(arena_printf(&request->arena, "/%s", request->principal.host)),
                .topics = in->subscribed_topic_names,
                .topic_count =
                    consumer_sort_topics(in->subscribed_topic_names, in->subscribed_topic_names_count),
                .rebalance_ms = in->rebalance_timeout_ms,
            },
        .owned = in->topic_partitions_count < 0 ? NULL : owned,
    };
}

static bool put_assignment(struct coordinator_request *request, const struct parts *parts,
                           response_t *response)
{
    topic_t *topics = arena_calloc(&request->arena, parts_topics(parts) + 1, sizeof *topics);
    response->assignment = arena_calloc(&request->arena, 1, sizeof *response->assignment);
    if (topics == NULL || response->assignment == NULL)
        return false;
    int32_t count = 0;
    for (size_t at = 0; at < parts->count; count++) {
        size_t end = parts_topic_end(parts, at);
        topics[count].topic_id = parts->items[at].topic;
        topics[count].partitions = parts_indexes(parts, at, end, &request->arena);
        topics[count].partitions_count = (int32_t)(end - at);
        if (topics[count].partitions == NULL)
            return false;
        at = end;
    }
    response->assignment->topic_partitions = topics;
    response->assignment->topic_partitions_count = count;
    return true;
}

static int16_t beat_in(struct coordinator_request *request, struct shard_group *cell,
                       const struct consumer_beat *beat, response_t *response)
{
    const struct consumer_settings *settings = &shard_settings(cell->shard)->consumer;
    struct slice id = ((const request_t *)request->body)->group_id;
    struct consumer_beaten answer;
    if (ledger_full(shard_ledger(cell->shard)))
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    consumer_group_set_session(
        cell->consumer,
        request_group_setting(request, id, "consumer.session.timeout.ms", settings->session_ms));
    int16_t error = consumer_heartbeat(cell->consumer, shard_now(cell->shard), beat, &answer);
    if (error != KAFKA_ERR_NONE)
        return error;
    response->member_id = beat->member_id;
    response->member_epoch = answer.epoch;
    if (beat->epoch >= 0)
        response->heartbeat_interval_ms =
            request_group_setting(request, id, "consumer.heartbeat.interval.ms", settings->heartbeat_ms);
    if (answer.assignment != NULL && !put_assignment(request, answer.assignment, response))
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    return KAFKA_ERR_NONE;
}

static int16_t heartbeat(struct coordinator_request *request, const request_t *in, response_t *response)
{
    bool joins = in->member_epoch == 0;
    struct shard_group *cell = shard_find(request->shard, in->group_id, joins);
    if (cell == NULL)
        return joins ? KAFKA_ERR_COORDINATOR_NOT_AVAILABLE : KAFKA_ERR_GROUP_ID_NOT_FOUND;
    int16_t error = KAFKA_ERR_NONE;
    if (cell->consumer == NULL)
        error = joins ? shard_to_consumer(cell) : KAFKA_ERR_GROUP_ID_NOT_FOUND;
    struct parts owned = owned_of(in);
    struct consumer_beat beat = beat_of(request, in, &owned);
    if (error == KAFKA_ERR_NONE && (beat.member_id.len == 0 || beat.profile.client_host.data == NULL))
        error = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    if (error == KAFKA_ERR_NONE)
        error = beat_in(request, cell, &beat, response);
    parts_fini(&owned);
    shard_changed(cell);
    return error;
}

// Whether the image lacks a topic that a joining member names: it may have been made a moment ago.
static bool names_unknown(const struct coordinator_request *request, const request_t *in)
{
    for (int32_t i = 0; in->member_epoch == 0 && i < in->subscribed_topic_names_count; i++) {
        if (image_topic_slice(request_image(request), in->subscribed_topic_names[i]) == NULL)
            return true;
    }
    return false;
}

void coordinator_consumer_group_heartbeat(struct coordinator_request *request)
{
    const request_t *in = request->body;
    const char *text = NULL;
    response_t response;
    int16_t error = refuse(request, in, &text);
    if (error == KAFKA_ERR_NONE && names_unknown(request, in) && request_wait_image(request))
        return;
    kafka_defaults(&kafka_consumer_group_heartbeat_response_message, &response);
    if (error == KAFKA_ERR_NONE)
        error = heartbeat(request, in, &response);
    if (error != KAFKA_ERR_NONE) {
        kafka_defaults(&kafka_consumer_group_heartbeat_response_message, &response);
        response.error_code = error;
        response.error_message = slice_str(text != NULL ? text : kafka_error_text(error));
    }
    request_answer(request, &response);
}
