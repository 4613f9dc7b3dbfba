// SPDX-License-Identifier: Apache-2.0
// Heartbeat: a member keeps its session and hears of a rebalance.
#include "apis.h"
#include "kafka/messages/heartbeat.h"

static int16_t beat(struct coordinator_request *request, const struct kafka_heartbeat_request *in)
{
    if (!request_allowed(request, in->group_id))
        return KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
    if (in->group_id.len == 0)
        return KAFKA_ERR_INVALID_GROUP_ID;
    struct shard_group *cell = shard_find(request->shard, in->group_id, false);
    if (cell == NULL)
        return KAFKA_ERR_UNKNOWN_MEMBER_ID;
    struct group_identity who = {
        .member_id = in->member_id, .instance_id = in->group_instance_id, .generation = in->generation_id};
    struct group_now now = shard_now(cell->shard);
    int16_t error = cell->consumer != NULL ? consumer_classic_heartbeat(cell->consumer, now, &who)
                                           : group_heartbeat(cell->group, now, &who);
    shard_changed(cell);
    return error;
}

void coordinator_heartbeat(struct coordinator_request *request)
{
    struct kafka_heartbeat_response response;
    kafka_defaults(&kafka_heartbeat_response_message, &response);
    response.error_code = beat(request, request->body);
    request_answer(request, &response);
}
