// SPDX-License-Identifier: Apache-2.0
// ShareGroupHeartbeat (KIP-932): a member of a share group joins, says what has changed and hears what it
// has, or leaves. What may be in a request is Kafka's (GroupCoordinatorService), in its words; the rest is
// decided by share_group.h. While share coordinators are still being told of partitions the member is asked
// to come back soon, so that its first records do not wait for a whole heartbeat interval.
#include "apis.h"
#include "base/config.h"
#include "cluster/features.h"
#include "kafka/messages/share_group_heartbeat.h"

#include <stdlib.h>

typedef struct kafka_share_group_heartbeat_request request_t;
typedef struct kafka_share_group_heartbeat_response response_t;
typedef struct kafka_share_group_heartbeat_response_topic_partitions topic_t;

enum { SOON_MS = 100 };

// What is wrong with the request, NULL: nothing.
static const char *wrong(const request_t *in)
{
    if (in->member_id.len == 0)
        return "MemberId can't be empty.";
    if (in->group_id.len == 0)
        return "GroupId can't be empty.";
    if (in->rack_id.data != NULL && in->rack_id.len == 0)
        return "RackId can't be empty.";
    if (in->member_epoch == 0 && in->subscribed_topic_names_count <= 0)
        return "SubscribedTopicNames must be set in first request.";
    return in->member_epoch < SHARE_LEAVE ? "MemberEpoch is invalid." : NULL;
}

static bool topics_allowed(const struct coordinator_request *request, const request_t *in)
{
    for (int32_t i = 0; i < in->subscribed_topic_names_count; i++)
        if (!authorise(&request->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_TOPIC,
                       in->subscribed_topic_names[i]))
            return false;
    return true;
}

static int16_t refuse(const struct coordinator_request *request, const request_t *in, const char **text)
{
    if (!request_allowed(request, in->group_id))
        return KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
    if (!topics_allowed(request, in))
        return KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
    if (image_feature(request_image(request), FEATURES_SHARE) == 0)
        return KAFKA_ERR_UNSUPPORTED_VERSION;
    *text = wrong(in);
    return *text != NULL ? KAFKA_ERR_INVALID_REQUEST : KAFKA_ERR_NONE;
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

// A setting of the group (NULL: there was no memory for its name); else the coordinator's own.
static int32_t setting(const struct coordinator_request *request, const char *group, const char *key,
                       int32_t fallback)
{
    const char *value = NULL;
    if (group != NULL)
        value = image_config(request_image(request), MILLRACE__RESOURCE_TYPE__RESOURCE_GROUP, group, key);
    return value != NULL ? (int32_t)strtol(value, NULL, 10) : fallback; // the controller has checked it
}

static struct share_beat beat_of(const struct coordinator_request *request, const request_t *in,
                                 struct slice host)
{
    return (struct share_beat){.member_id = in->member_id,
                               .epoch = in->member_epoch,
                               .profile = {.rack = in->rack_id,
                                           .client_id = request->client_id,
                                           .client_host = host,
                                           .topics = in->subscribed_topic_names,
                                           .topic_count = consumer_sort_topics(
                                               in->subscribed_topic_names, in->subscribed_topic_names_count),
                                           .rebalance_ms = -1}};
}

static int32_t interval_ms(const struct coordinator_request *request, const struct shard_group *cell,
                           const char *group)
{
    const struct share_settings *settings = &shard_settings(cell->shard)->share;
    int32_t usual = setting(request, group, "share.heartbeat.interval.ms", settings->heartbeat_ms);
    bool moves = share_group_pending(cell->share)->count > 0;
    return moves && usual > SOON_MS ? SOON_MS : usual;
}

static int16_t beat_in(struct coordinator_request *request, struct shard_group *cell, const request_t *in,
                       response_t *response)
{
    const struct share_settings *settings = &shard_settings(cell->shard)->share;
    struct slice host = slice_str(arena_printf(&request->arena, "/%s", request->principal.host));
    if (ledger_full(shard_ledger(cell->shard)) || host.data == NULL)
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    const char *group = arena_strndup(&request->arena, in->group_id.data, in->group_id.len);
    share_group_set_session(cell->share,
                            setting(request, group, "share.session.timeout.ms", settings->session_ms));
    struct share_beat beat = beat_of(request, in, host);
    struct share_beaten answer;
    int16_t error = share_group_heartbeat(cell->share, shard_now(cell->shard), &beat, &answer);
    if (error != KAFKA_ERR_NONE)
        return error;
    response->member_id = in->member_id;
    response->member_epoch = answer.epoch;
    if (beat.epoch >= 0)
        response->heartbeat_interval_ms = interval_ms(request, cell, group);
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
    if (cell->share == NULL)
        error = joins ? shard_to_share(cell) : KAFKA_ERR_GROUP_ID_NOT_FOUND;
    if (error == KAFKA_ERR_NONE)
        error = beat_in(request, cell, in, response);
    shard_changed(cell);
    return error;
}

// Whether the image lacks a topic that a joining member names: it may have been made a moment ago.
static bool names_unknown(const struct coordinator_request *request, const request_t *in)
{
    for (int32_t i = 0; in->member_epoch == 0 && i < in->subscribed_topic_names_count; i++)
        if (image_topic_slice(request_image(request), in->subscribed_topic_names[i]) == NULL)
            return true;
    return false;
}

void coordinator_share_group_heartbeat(struct coordinator_request *request)
{
    const request_t *in = request->body;
    const char *text = NULL;
    response_t response;
    int16_t error = refuse(request, in, &text);
    if (error == KAFKA_ERR_NONE && names_unknown(request, in) && request_wait_image(request))
        return;
    kafka_defaults(&kafka_share_group_heartbeat_response_message, &response);
    if (error == KAFKA_ERR_NONE)
        error = heartbeat(request, in, &response);
    if (error != KAFKA_ERR_NONE) {
        kafka_defaults(&kafka_share_group_heartbeat_response_message, &response);
        response.error_code = error;
        response.error_message = slice_str(text != NULL ? text : kafka_error_text(error));
    }
    request_answer(request, &response);
}
