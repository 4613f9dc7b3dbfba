// SPDX-License-Identifier: Apache-2.0
// JoinGroup: a member enters a rebalance. The group parks it and answers through join_group_answered.
#include "apis.h"
#include "kafka/messages/join_group.h"

#include <inttypes.h>

typedef struct kafka_join_group_request request_t;
typedef struct kafka_join_group_response response_t;
typedef struct kafka_join_group_response_join_group_response_member member_t;

enum { VERSION_NULL_PROTOCOL = 7 };

static struct slice not_null(struct slice text)
{
    return text.data == NULL ? slice_str("") : text;
}

static void answer_error(struct coordinator_request *request, int16_t error, struct slice member_id)
{
    response_t response;
    kafka_defaults(&kafka_join_group_response_message, &response);
    response.error_code = error;
    response.member_id = member_id;
    response.protocol_name = request->version < VERSION_NULL_PROTOCOL ? slice_str("") : (struct slice){0};
    request_answer(request, &response);
}

static bool put_members(struct coordinator_request *request, const struct group *group, response_t *response)
{
    response->members = arena_calloc(&request->arena, group_size(group) + 1, sizeof(member_t));
    if (response->members == NULL)
        return false;
    struct group_member_view view;
    for (struct map_entry *at = NULL; group_next_member(group, &at, &view);)
        response->members[response->members_count++] = (member_t){
            .member_id = view.id, .group_instance_id = view.instance_id, .metadata = view.metadata};
    return true;
}

void join_group_answered(void *context, void *waiter, const struct group_joined *answer)
{
    struct coordinator_request *request = waiter;
    response_t response;
    kafka_defaults(&kafka_join_group_response_message, &response);
    response.error_code = answer->error;
    response.generation_id = answer->generation;
    response.protocol_type = answer->protocol_type;
    response.protocol_name = answer->protocol;
    if (request->version < VERSION_NULL_PROTOCOL)
        response.protocol_name = not_null(answer->protocol);
    response.leader = answer->leader;
    response.skip_assignment = answer->skip_assignment;
    response.member_id = answer->member_id;
    if (answer->members_of != NULL && !put_members(request, answer->members_of, &response)) {
        answer_error(request, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE, answer->member_id);
        return;
    }
    request_answer(request, &response);
}

// Kafka's form: client or instance id, then a random UUID in hexadecimal. "" when the arena is full.
static struct slice new_member_id(struct coordinator_request *request, const request_t *in)
{
    struct slice name = in->group_instance_id.data != NULL ? in->group_instance_id : request->client_id;
    uint64_t high = env_random(request_env(request)), low = env_random(request_env(request));
    return slice_str(arena_printf(&request->arena, "%.*s-%08x-%04x-%04x-%04x-%012" PRIx64, (int)name.len,
                                  name.len == 0 ? "" : (const char *)name.data, (unsigned)(high >> 32),
                                  (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xffff),
                                  (unsigned)(low >> 48), low & 0xffffffffffff));
}

static bool protocols_of(struct coordinator_request *request, const request_t *in, struct group_join *join)
{
    struct group_protocol *protocols =
        arena_calloc(&request->arena, (size_t)in->protocols_count + 1, sizeof *protocols);
    if (protocols == NULL)
        return false;
    for (int32_t i = 0; i < in->protocols_count; i++)
        protocols[i] = (struct group_protocol){in->protocols[i].name, in->protocols[i].metadata};
    join->protocols = protocols;
    join->protocol_count = in->protocols_count;
    return true;
}

// A classic member of a group that uses the consumer protocol is answered at once.
static void join_consumer(struct coordinator_request *request, struct shard_group *cell,
                          const struct group_join *join)
{
    const struct group_settings *settings = &shard_settings(cell->shard)->group;
    struct group_joined answer;
    if (join->session_ms < settings->session_min_ms || join->session_ms > settings->session_max_ms) {
        answer_error(request, KAFKA_ERR_INVALID_SESSION_TIMEOUT, join->member_id);
        return;
    }
    if (ledger_full(shard_ledger(cell->shard))) {
        answer_error(request, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE, join->member_id);
        return;
    }
    consumer_classic_join(cell->consumer, shard_now(cell->shard), join, &answer);
    join_group_answered(NULL, request, &answer);
    shard_changed(cell);
}

static void join(struct coordinator_request *request, const request_t *in, struct shard_group *cell)
{
    struct group_join join = {
        .version = request->version,
        .member_id = in->member_id,
        .instance_id = in->group_instance_id,
        .client_id = request->client_id,
        .client_host = slice_str(arena_printf(&request->arena, "/%s", request->principal.host)),
        .protocol_type = in->protocol_type,
        .session_ms = in->session_timeout_ms,
        .rebalance_ms = in->rebalance_timeout_ms,
        .new_id = new_member_id(request, in),
        .waiter = request,
    };
    if (join.client_host.data == NULL || join.new_id.len == 0 || !protocols_of(request, in, &join)) {
        answer_error(request, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE, in->member_id);
        return;
    }
    if (cell->consumer != NULL && consumer_size(cell->consumer) > 0) {
        join_consumer(request, cell, &join);
        return;
    }
    int16_t error = shard_to_classic(cell);
    if (error != KAFKA_ERR_NONE) {
        answer_error(request, error, in->member_id);
        return;
    }
    request_park(request);
    group_join(cell->group, shard_now(cell->shard), &join);
    shard_changed(cell);
}

void coordinator_join_group(struct coordinator_request *request)
{
    const request_t *in = request->body;
    if (!request_allowed(request, in->group_id)) {
        answer_error(request, KAFKA_ERR_GROUP_AUTHORIZATION_FAILED, in->member_id);
        return;
    }
    if (in->group_id.len == 0) {
        answer_error(request, KAFKA_ERR_INVALID_GROUP_ID, in->member_id);
        return;
    }
    bool create = in->member_id.len == 0;
    struct shard_group *cell = shard_find(request->shard, in->group_id, create);
    if (cell == NULL)
        answer_error(request, create ? KAFKA_ERR_COORDINATOR_NOT_AVAILABLE : KAFKA_ERR_UNKNOWN_MEMBER_ID,
                     in->member_id);
    else
        join(request, in, cell);
}
