// SPDX-License-Identifier: Apache-2.0
// SyncGroup: the leader brings the assignment, everybody gets its part through sync_group_answered.
#include "apis.h"
#include "kafka/messages/sync_group.h"

typedef struct kafka_sync_group_request request_t;
typedef struct kafka_sync_group_response response_t;

enum {
    VERSION_PROTOCOL = 5, // KIP-559: from here a member says what it takes part in
    ASSIGNMENT_MAX = 8 << 20
};

static void answer_error(struct coordinator_request *request, int16_t error)
{
    response_t response;
    kafka_defaults(&kafka_sync_group_response_message, &response);
    response.error_code = error;
    request_answer(request, &response);
}

void sync_group_answered(void *context, void *waiter, const struct group_synced *answer)
{
    response_t response;
    kafka_defaults(&kafka_sync_group_response_message, &response);
    response.error_code = answer->error;
    response.protocol_type = answer->protocol_type;
    response.protocol_name = answer->protocol;
    response.assignment = answer->assignment;
    request_answer(waiter, &response);
}

// A classic member of a group that uses the consumer protocol.
static void sync_consumer(struct coordinator_request *request, const struct group_sync *sync,
                          struct shard_group *cell)
{
    const struct consumer_member *member;
    struct group_synced answer = {.assignment = slice_str("")};
    struct buf bytes;
    buf_init(&bytes, ASSIGNMENT_MAX);
    answer.error = consumer_classic_sync(cell->consumer, shard_now(cell->shard), sync, &member);
    if (member != NULL && consumer_classic_assignment(cell->consumer, member, &bytes) != ST_OK)
        answer.error = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    if (answer.error == KAFKA_ERR_NONE) {
        answer.protocol_type = slice_str("consumer");
        answer.protocol = consumer_classic_protocol(member);
        answer.assignment = buf_slice(&bytes);
    }
    sync_group_answered(NULL, request, &answer);
    buf_fini(&bytes);
    shard_changed(cell);
}

static void sync_with(struct coordinator_request *request, const request_t *in, struct shard_group *cell)
{
    size_t count = (size_t)in->assignments_count;
    struct group_assignment *given = arena_calloc(&request->arena, count + 1, sizeof *given);
    if (given == NULL) {
        answer_error(request, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    for (size_t i = 0; i < count; i++)
        given[i] = (struct group_assignment){in->assignments[i].member_id, in->assignments[i].assignment};
    struct group_sync sync = {
        .generation = in->generation_id,
        .member_id = in->member_id,
        .instance_id = in->group_instance_id,
        .protocol_type = in->protocol_type,
        .protocol = in->protocol_name,
        .assignments = given,
        .assignment_count = in->assignments_count,
        .waiter = request,
    };
    if (cell->consumer != NULL) {
        sync_consumer(request, &sync, cell);
        return;
    }
    request_park(request);
    group_sync(cell->group, shard_now(cell->shard), &sync);
    shard_changed(cell);
}

void coordinator_sync_group(struct coordinator_request *request)
{
    const request_t *in = request->body;
    if (!request_allowed(request, in->group_id)) {
        answer_error(request, KAFKA_ERR_GROUP_AUTHORIZATION_FAILED);
        return;
    }
    if (in->group_id.len == 0) {
        answer_error(request, KAFKA_ERR_INVALID_GROUP_ID);
        return;
    }
    if (request->version >= VERSION_PROTOCOL &&
        (in->protocol_type.data == NULL || in->protocol_name.data == NULL)) {
        answer_error(request, KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL);
        return;
    }
    struct shard_group *cell = shard_find(request->shard, in->group_id, false);
    if (cell == NULL)
        answer_error(request, KAFKA_ERR_UNKNOWN_MEMBER_ID);
    else
        sync_with(request, in, cell);
}
