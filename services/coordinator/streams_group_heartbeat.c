// SPDX-License-Identifier: Apache-2.0
// StreamsGroupHeartbeat (KIP-1071): a member joins with its topology, says what has changed and hears which
// tasks it is to have, or leaves. What may be in a request is Kafka 4.2's (KafkaApis,
// GroupCoordinatorService), in its words; the rest is decided by streams_group.h. Topics the application
// needs for itself are made on the member's behalf (streams_topics.h).
#include "apis.h"
#include "cluster/answers.h"
#include "cluster/features.h"
#include "cluster/shard.h"
#include "coordinator_state.h"
#include "streams_message.h"
#include "streams_topics.h"

#include <inttypes.h>

typedef struct kafka_streams_group_heartbeat_request request_t;
typedef struct kafka_streams_group_heartbeat_response response_t;
typedef struct kafka_streams_group_heartbeat_response_status status_t;
typedef struct kafka_streams_group_heartbeat_response_endpoint_to_partitions endpoint_t;
typedef struct kafka_streams_group_heartbeat_response_topic_partition topic_t;

enum { STATUSES_MAX = 4, LEAVE_STATIC = -2 };

// ---- what may be in a request ----

static bool empty(struct slice text)
{
    return text.data != NULL && text.len == 0;
}

static const char *not_supported(const request_t *in)
{
    if (in->instance_id.data != NULL)
        return "Static membership is not yet supported.";
    if (in->task_offsets_count >= 0)
        return "TaskOffsets are not supported yet.";
    if (in->task_end_offsets_count >= 0)
        return "TaskEndOffsets are not supported yet.";
    return in->warmup_tasks_count > 0 ? "WarmupTasks are not supported yet." : NULL;
}

static const char *wrong_join(const request_t *in)
{
    if (in->rebalance_timeout_ms == -1)
        return "RebalanceTimeoutMs must be provided in first request.";
    if (in->active_tasks_count > 0)
        return "ActiveTasks must be empty when (re-)joining.";
    if (in->standby_tasks_count > 0)
        return "StandbyTasks must be empty when (re-)joining.";
    return in->topology == NULL ? "Topology must be non-null when (re-)joining." : NULL;
}

static const char *wrong_tasks(const request_t *in)
{
    int stated =
        (in->active_tasks_count >= 0) + (in->standby_tasks_count >= 0) + (in->warmup_tasks_count >= 0);
    if (stated != 0 && stated != 3)
        return "If one task-type is non-null, all must be non-null.";
    return in->member_epoch != 0 && in->topology != NULL ? "Topology can only be provided when (re-)joining."
                                                         : NULL;
}

// What is wrong with the request, NULL: nothing.
static const char *wrong(const request_t *in)
{
    const char *text = not_supported(in);
    if (text != NULL)
        return text;
    if (in->member_id.len == 0)
        return "MemberId can't be empty.";
    if (in->group_id.len == 0)
        return "GroupId can't be empty.";
    if (empty(in->rack_id))
        return "RackId can't be empty.";
    if (in->member_epoch == LEAVE_STATIC)
        return "InstanceId can't be null.";
    if (in->member_epoch < LEAVE_STATIC)
        return "MemberEpoch must be greater than or equal to -2.";
    text = in->member_epoch == 0 ? wrong_join(in) : NULL;
    return text != NULL ? text : wrong_tasks(in);
}

static bool reserved(struct slice topic)
{
    return slice_is(topic, SHARD_TOPIC_GROUPS) || slice_is(topic, SHARD_TOPIC_TRANSACTIONS) ||
           slice_is(topic, "__share_group_state");
}

// The topics of a topology: they may be named, and told of.
static int16_t check_topics(const struct coordinator_request *request, const streams_topology_value *value,
                            const char **text)
{
    bool allowed = true;
    for (int32_t s = 0; s < value->subtopologies_count; s++) {
        struct slice name;
        for (int32_t i = 0; streams_topic_needed(&value->subtopologies[s], i, &name); i++) {
            if (reserved(name))
                *text = "Use of Kafka internal topics in a Kafka Streams topology is prohibited.";
            else if (!answers_topic_name_ok(name, NULL))
                *text = "The topology has topics with names that are not valid.";
            if (*text != NULL)
                return KAFKA_ERR_STREAMS_INVALID_TOPOLOGY;
            allowed =
                allowed && authorise(&request->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_TOPIC, name);
        }
    }
    return allowed ? KAFKA_ERR_NONE : KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
}

// The topology a joining member brings; NULL when it brings none.
static int16_t topology_of(struct coordinator_request *request, const request_t *in, const char **text,
                           struct streams_topology **topology)
{
    *topology = NULL;
    if (in->topology == NULL)
        return KAFKA_ERR_NONE;
    streams_topology_value *value = streams_message_topology(in->topology, &request->arena);
    if (value == NULL)
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    int16_t error = streams_topology_check(value, text);
    if (error == KAFKA_ERR_NONE)
        error = check_topics(request, value, text);
    if (error != KAFKA_ERR_NONE)
        return error;
    size_t bytes_max = shard_settings(request->shard)->streams.bytes_max;
    enum status status = streams_topology_new(value, bytes_max, topology);
    if (status == ST_LIMIT)
        *text = "The topology is too large.";
    return status == ST_OK      ? KAFKA_ERR_NONE
           : status == ST_LIMIT ? KAFKA_ERR_STREAMS_INVALID_TOPOLOGY
                                : KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
}

// Kafka's error for a request that need not be looked at further; text may stay NULL.
static int16_t refuse(const struct coordinator_request *request, const request_t *in, const char **text)
{
    if (image_feature(request_image(request), FEATURES_STREAMS) == 0)
        return KAFKA_ERR_UNSUPPORTED_VERSION;
    if (!request_allowed(request, in->group_id))
        return KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
    *text = wrong(in);
    return *text != NULL ? KAFKA_ERR_INVALID_REQUEST : KAFKA_ERR_NONE;
}

// ---- statuses ----

static void put_status(response_t *response, enum streams_status code, const char *text)
{
    if (text == NULL) // the arena is full: the code says it all
        text = "";
    response->status[response->status_count++] =
        (status_t){.status_code = (int8_t)code, .status_detail = slice_str(text)};
}

// Asks for what is missing, and says what went wrong the last time.
static const char *make_topics(struct coordinator_request *request, const struct streams_plan *plan)
{
    const char *text = plan->detail;
    struct coordinator *coordinator = request->coordinator;
    streams_topics_make(coordinator->topics_made, coordinator->controllers, &request->principal, plan);
    for (int32_t i = 0; text != NULL && i < plan->missing_count; i++) {
        struct slice name = plan->missing[i].info->name;
        const char *error = streams_topics_error(coordinator->topics_made, name);
        if (error != NULL)
            return arena_printf(&request->arena, "%s; Creation failed: %.*s (%s).", text, (int)name.len,
                                (const char *)name.data, error);
    }
    return text;
}

static void put_stale(struct coordinator_request *request, const struct streams_group *group,
                      response_t *response)
{
    const char *text = arena_printf(
        &request->arena, "The member's topology epoch is behind the group's topology epoch %" PRId32 ".",
        streams_topology_value_of(streams_topology_of(group))->epoch);
    put_status(response, STREAMS_STALE_TOPOLOGY, text);
}

static bool put_statuses(struct coordinator_request *request, const struct streams_group *group,
                         const struct streams_beaten *answer, response_t *response)
{
    response->status = arena_calloc(&request->arena, STATUSES_MAX, sizeof *response->status);
    if (response->status == NULL)
        return false;
    if (answer->stale)
        put_stale(request, group, response);
    if (answer->delayed)
        put_status(response, STREAMS_ASSIGNMENT_DELAYED,
                   "Assignment delayed due to the configured initial rebalance delay.");
    const struct streams_plan *plan = streams_plan_of(group);
    if (plan->status == STREAMS_MISSING_INTERNAL_TOPICS)
        put_status(response, plan->status, make_topics(request, plan));
    else if (plan->status != STREAMS_READY)
        put_status(response, plan->status, plan->detail);
    struct slice by = streams_shutdown_by(group);
    if (by.data != NULL)
        put_status(response, STREAMS_SHUTDOWN_APPLICATION,
                   arena_printf(&request->arena,
                                "Streams group member %.*s encountered a fatal error and requested a "
                                "shutdown for the entire application.",
                                (int)by.len, (const char *)by.data));
    return true;
}

// ---- endpoints ----

// The partitions of a topic that belong to tasks [at, end): a smaller topic has none for the last tasks.
static bool put_topic(struct coordinator_request *request, struct slice name, const struct parts *tasks,
                      size_t at, size_t end, topic_t *out)
{
    const struct image_topic *topic = image_topic_slice(request_image(request), name);
    int32_t partitions = topic == NULL ? 0 : (int32_t)topic->partition_count;
    *out = (topic_t){.topic = name, .partitions = parts_indexes(tasks, at, end, &request->arena)};
    while (out->partitions != NULL && out->partitions_count < (int32_t)(end - at) &&
           out->partitions[out->partitions_count] < partitions)
        out->partitions_count++;
    return out->partitions != NULL;
}

static int32_t topics_read(const streams_subtopology *sub)
{
    return sub->source_topics_count + sub->repartition_source_topics_count;
}

static topic_t *partitions_of(struct coordinator_request *request, const struct streams_topology *topology,
                              const struct parts *tasks, int32_t *count)
{
    const streams_subtopology *subs = streams_topology_value_of(topology)->subtopologies;
    size_t room = 0;
    for (size_t at = 0; at < tasks->count; at = parts_topic_end(tasks, at))
        room += (size_t)topics_read(&subs[streams_topology_find(topology, tasks->items[at].topic)]);
    topic_t *out = arena_calloc(&request->arena, room + 1, sizeof *out);
    *count = 0;
    for (size_t at = 0, end; out != NULL && at < tasks->count; at = end) {
        end = parts_topic_end(tasks, at);
        const streams_subtopology *sub = &subs[streams_topology_find(topology, tasks->items[at].topic)];
        struct slice name;
        for (int32_t i = 0; streams_topic_read(sub, i, &name); i++) {
            if (!put_topic(request, name, tasks, at, end, &out[(*count)++]))
                return NULL;
        }
    }
    return out;
}

static bool put_endpoints(struct coordinator_request *request, const struct streams_group *group,
                          response_t *response)
{
    const struct streams_topology *topology = streams_topology_of(group);
    endpoint_t *out = arena_calloc(&request->arena, streams_size(group) + 1, sizeof *out);
    struct streams_member_view view;
    int32_t count = 0;
    for (struct map_entry *at = NULL; out != NULL && streams_next_member(group, &at, &view);) {
        if (view.profile->endpoint_host.data == NULL)
            continue;
        endpoint_t *to = &out[count++];
        to->user_endpoint.host = view.profile->endpoint_host;
        to->user_endpoint.port = (uint16_t)view.profile->endpoint_port;
        to->active_partitions = partitions_of(request, topology, &view.assigned->roles[STREAMS_ACTIVE],
                                              &to->active_partitions_count);
        to->standby_partitions = partitions_of(request, topology, &view.assigned->roles[STREAMS_STANDBY],
                                               &to->standby_partitions_count);
        if (to->active_partitions == NULL || to->standby_partitions == NULL)
            return false;
    }
    response->partitions_by_user_endpoint = out;
    response->partitions_by_user_endpoint_count = count;
    return out != NULL;
}

// ---- into the group ----

static struct streams_tag *tags_of(struct coordinator_request *request, const request_t *in)
{
    size_t count = in->client_tags_count < 0 ? 0 : (size_t)in->client_tags_count;
    struct streams_tag *tags = arena_calloc(&request->arena, count + 1, sizeof *tags);
    for (size_t i = 0; tags != NULL && i < count; i++)
        tags[i] = (struct streams_tag){in->client_tags[i].key, in->client_tags[i].value};
    return tags;
}

static bool profile_of(struct coordinator_request *request, const request_t *in,
                       struct streams_profile *profile)
{
    *profile = (struct streams_profile){
        .rack = in->rack_id,
        .process_id = in->process_id,
        .client_id = request->client_id,
        .client_host = slice_str(arena_printf(&request->arena, "/%s", request->principal.host)),
        .tags = tags_of(request, in),
        .tag_count = in->client_tags_count,
        .rebalance_ms = in->rebalance_timeout_ms,
        .topology_epoch = in->topology == NULL ? -1 : in->topology->epoch,
    };
    if (in->user_endpoint != NULL) {
        profile->endpoint_host = in->user_endpoint->host;
        profile->endpoint_port = in->user_endpoint->port;
    }
    return profile->client_host.data != NULL && profile->tags != NULL;
}

static void set_options(struct coordinator_request *request, struct streams_group *group, struct slice id)
{
    const struct streams_options *own = &shard_settings(request->shard)->streams.options;
    struct streams_options options = {
        .session_ms = request_group_setting(request, id, "streams.session.timeout.ms", own->session_ms),
        .delay_ms = request_group_setting(request, id, "streams.initial.rebalance.delay.ms", own->delay_ms),
        .standbys = request_group_setting(request, id, "streams.num.standby.replicas", own->standbys),
    };
    streams_group_set_options(group, &options);
}

static int16_t answer_beat(struct coordinator_request *request, const struct streams_group *group,
                           const struct streams_beaten *answer, response_t *response)
{
    const request_t *in = request->body;
    response->member_id = in->member_id;
    response->member_epoch = answer->epoch;
    if (in->member_epoch < 0)
        return KAFKA_ERR_NONE;
    response->heartbeat_interval_ms =
        request_group_setting(request, in->group_id, "streams.heartbeat.interval.ms",
                              shard_settings(request->shard)->streams.heartbeat_ms);
    response->endpoint_information_epoch = answer->endpoint_epoch;
    bool done = put_statuses(request, group, answer, response);
    if (done && answer->tasks != NULL)
        done = streams_message_tasks(streams_topology_of(group), answer->tasks, &request->arena, response);
    if (done && answer->endpoints)
        done = put_endpoints(request, group, response);
    return done ? KAFKA_ERR_NONE : KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
}

static int16_t beat_in(struct coordinator_request *request, struct shard_group *cell,
                       struct streams_topology **topology, const char **text, response_t *response)
{
    const request_t *in = request->body;
    struct streams_beat beat = {.member_id = in->member_id,
                                .epoch = in->member_epoch,
                                .topology = *topology == NULL ? NULL : topology,
                                .endpoint_epoch = in->endpoint_information_epoch,
                                .shutdown = in->shutdown_application};
    if (!profile_of(request, in, &beat.profile) || ledger_full(shard_ledger(cell->shard)))
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    struct streams_tasks owned = streams_message_owned(in);
    if (in->active_tasks_count >= 0)
        beat.owned = &owned;
    struct streams_beaten answer;
    set_options(request, cell->streams, in->group_id);
    int16_t error = streams_heartbeat(cell->streams, shard_now(cell->shard), &beat, &answer);
    streams_tasks_fini(&owned);
    if (error == KAFKA_ERR_NONE)
        error = answer_beat(request, cell->streams, &answer, response);
    else if (answer.text != NULL)
        *text = answer.text;
    return error;
}

static int16_t heartbeat(struct coordinator_request *request, const request_t *in, const char **text,
                         response_t *response)
{
    struct streams_topology *topology;
    int16_t error = topology_of(request, in, text, &topology);
    if (error != KAFKA_ERR_NONE)
        return error;
    bool joins = in->member_epoch == 0;
    struct shard_group *cell = shard_find(request->shard, in->group_id, joins);
    if (cell == NULL)
        error = joins ? KAFKA_ERR_COORDINATOR_NOT_AVAILABLE : KAFKA_ERR_GROUP_ID_NOT_FOUND;
    else if (cell->streams == NULL)
        error = joins ? shard_to_streams(cell) : KAFKA_ERR_GROUP_ID_NOT_FOUND;
    if (error == KAFKA_ERR_NONE)
        error = beat_in(request, cell, &topology, text, response);
    if (cell != NULL)
        shard_changed(cell);
    streams_topology_destroy(&topology);
    return error;
}

// Whether the image lacks a topic that a joining member reads: it may have been made a moment ago.
static bool names_unknown(const struct coordinator_request *request, const request_t *in)
{
    for (int32_t s = 0; in->topology != NULL && s < in->topology->subtopologies_count; s++) {
        for (int32_t i = 0; i < in->topology->subtopologies[s].source_topics_count; i++) {
            if (image_topic_slice(request_image(request), in->topology->subtopologies[s].source_topics[i]) ==
                NULL)
                return true;
        }
    }
    return false;
}

void coordinator_streams_group_heartbeat(struct coordinator_request *request)
{
    const request_t *in = request->body;
    const char *text = NULL;
    response_t response;
    int16_t error = refuse(request, in, &text);
    if (error == KAFKA_ERR_NONE && names_unknown(request, in) && request_wait_image(request))
        return;
    kafka_defaults(&kafka_streams_group_heartbeat_response_message, &response);
    if (error == KAFKA_ERR_NONE)
        error = heartbeat(request, in, &text, &response);
    if (error != KAFKA_ERR_NONE) {
        kafka_defaults(&kafka_streams_group_heartbeat_response_message, &response);
        response.error_code = error;
        response.error_message = slice_str(text != NULL ? text : kafka_error_text(error));
    }
    request_answer(request, &response);
}
