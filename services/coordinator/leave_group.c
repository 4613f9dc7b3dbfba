// SPDX-License-Identifier: Apache-2.0
// LeaveGroup: one member leaves (before version 3), or several are removed, by member or instance id.
#include "apis.h"
#include "kafka/messages/leave_group.h"

typedef struct kafka_leave_group_request request_t;
typedef struct kafka_leave_group_response response_t;
typedef struct kafka_leave_group_response_member_response member_t;

enum { VERSION_BATCH = 3 };

static void leave(struct coordinator_request *request, const struct group_identity *who, int32_t count,
                  int16_t *errors)
{
    const request_t *in = request->body;
    struct shard_group *cell = shard_find(request->shard, in->group_id, false);
    for (int32_t i = 0; i < count; i++)
        errors[i] = KAFKA_ERR_UNKNOWN_MEMBER_ID;
    if (cell == NULL)
        return;
    if (cell->consumer != NULL)
        consumer_classic_leave(cell->consumer, shard_now(cell->shard), who, count, errors);
    else
        group_leave(cell->group, shard_now(cell->shard), who, count, errors);
    shard_changed(cell);
}

static int16_t leave_one(struct coordinator_request *request)
{
    const request_t *in = request->body;
    struct group_identity who = {.member_id = in->member_id};
    int16_t error;
    leave(request, &who, 1, &error);
    return error;
}

static int16_t leave_many(struct coordinator_request *request, response_t *response)
{
    const request_t *in = request->body;
    size_t count = (size_t)in->members_count;
    struct group_identity *who = arena_calloc(&request->arena, count + 1, sizeof *who);
    int16_t *errors = arena_calloc(&request->arena, count + 1, sizeof *errors);
    response->members = arena_calloc(&request->arena, count + 1, sizeof *response->members);
    if (who == NULL || errors == NULL || response->members == NULL)
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    for (size_t i = 0; i < count; i++)
        who[i] = (struct group_identity){.member_id = in->members[i].member_id,
                                         .instance_id = in->members[i].group_instance_id};
    leave(request, who, in->members_count, errors);
    for (size_t i = 0; i < count; i++)
        response->members[i] = (member_t){.member_id = in->members[i].member_id,
                                          .group_instance_id = in->members[i].group_instance_id,
                                          .error_code = errors[i]};
    response->members_count = in->members_count;
    return KAFKA_ERR_NONE;
}

void coordinator_leave_group(struct coordinator_request *request)
{
    const request_t *in = request->body;
    response_t response;
    kafka_defaults(&kafka_leave_group_response_message, &response);
    if (!request_allowed(request, in->group_id))
        response.error_code = KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
    else if (in->group_id.len == 0)
        response.error_code = KAFKA_ERR_INVALID_GROUP_ID;
    else if (request->version < VERSION_BATCH)
        response.error_code = leave_one(request);
    else
        response.error_code = leave_many(request, &response);
    request_answer(request, &response);
}
