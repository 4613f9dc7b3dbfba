// SPDX-License-Identifier: Apache-2.0
// DeleteGroups: removes empty groups with their offsets.
#include "apis.h"
#include "kafka/messages/delete_groups.h"

typedef struct kafka_delete_groups_request request_t;
typedef struct kafka_delete_groups_response response_t;

static int16_t delete_one(struct coordinator_request *request, struct slice id)
{
    if (!request_allowed(request, id))
        return KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
    if (!request_owns(request, id))
        return KAFKA_ERR_NOT_COORDINATOR;
    struct shard_group *cell = shard_find(request->shard, id, false);
    if (cell == NULL)
        return KAFKA_ERR_GROUP_ID_NOT_FOUND;
    int16_t error = cell->consumer != NULL  ? consumer_may_delete(cell->consumer)
                    : cell->streams != NULL ? streams_may_delete(cell->streams)
                                            : group_may_delete(cell->group);
    if (error == KAFKA_ERR_NONE && ledger_full(shard_ledger(request->shard)))
        error = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    if (error == KAFKA_ERR_NONE)
        shard_delete(cell);
    return error;
}

void coordinator_delete_groups(struct coordinator_request *request)
{
    const request_t *in = request->body;
    response_t response;
    kafka_defaults(&kafka_delete_groups_response_message, &response);
    response.results =
        arena_calloc(&request->arena, (size_t)in->groups_names_count + 1, sizeof *response.results);
    for (int32_t i = 0; response.results != NULL && i < in->groups_names_count; i++) {
        response.results[i].group_id = in->groups_names[i];
        response.results[i].error_code = delete_one(request, in->groups_names[i]);
        response.results_count++;
    }
    request_answer(request, &response);
}
