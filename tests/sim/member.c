// SPDX-License-Identifier: Apache-2.0
// See member.h. The assignment is one byte: the member's place in the leader's list.
#include "member.h"

#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/heartbeat.h"
#include "kafka/messages/join_group.h"
#include "kafka/messages/sync_group.h"

#include <stdio.h>

enum { SESSION_MS = 10000, REBALANCE_MS = 6000, BEAT_MS = 300 };

static struct member_sim *of(struct actor *actor)
{
    return (struct member_sim *)actor;
}

static void text_copy(char *to, size_t size, struct slice from)
{
    snprintf(to, size, "%.*s", (int)from.len, from.data ? (const char *)from.data : "");
}

static void rejoin(struct actor *actor, int16_t error)
{
    if (error == KAFKA_ERR_UNKNOWN_MEMBER_ID)
        of(actor)->id[0] = '\0';
    of(actor)->state = MEMBER_JOIN;
    of(actor)->assignment = -1;
    actor_again(actor, 10 + (int64_t)prng_below(&actor->prng, 50));
}

static void on_joined(struct actor *actor, const struct conn_answer *answer)
{
    struct member_sim *member = of(actor);
    const struct kafka_join_group_response *reply = answer ? answer->body : NULL;
    if (reply != NULL && reply->error_code == KAFKA_ERR_MEMBER_ID_REQUIRED)
        text_copy(member->id, sizeof member->id, reply->member_id);
    if (reply == NULL || reply->error_code != KAFKA_ERR_NONE) {
        rejoin(actor, reply ? reply->error_code : KAFKA_ERR_NONE);
        return;
    }
    text_copy(member->id, sizeof member->id, reply->member_id);
    member->generation = reply->generation_id;
    member->leads = slice_equal(reply->leader, reply->member_id);
    member->member_count = 0;
    for (int i = 0; member->leads && i < reply->members_count && i < 8; i++)
        text_copy(member->members[member->member_count++], sizeof member->members[0],
                  reply->members[i].member_id);
    member->state = MEMBER_SYNC;
    world_count(actor->history->world, COUNT_rebalance);
    actor_again(actor, 0);
}

static void on_synced(struct actor *actor, const struct conn_answer *answer)
{
    struct member_sim *member = of(actor);
    const struct kafka_sync_group_response *reply = answer ? answer->body : NULL;
    if (reply == NULL) {
        actor_again(actor, 20);
        return;
    }
    if (reply->error_code != KAFKA_ERR_NONE) {
        rejoin(actor, reply->error_code);
        return;
    }
    member->assignment = reply->assignment.len == 1 ? reply->assignment.data[0] : -1;
    member->generations++;
    member->state = MEMBER_BEAT;
    if (member->assignment >= 0 && member->other->state == MEMBER_BEAT &&
        member->other->generation == member->generation && member->other->assignment == member->assignment)
        history_violation(actor->history, "group-assignment", "generation %d gave assignment %d twice",
                          member->generation, member->assignment);
    actor_again(actor, BEAT_MS);
}

static void on_beat(struct actor *actor, const struct conn_answer *answer)
{
    const struct kafka_heartbeat_response *reply = answer ? answer->body : NULL;
    int16_t error = reply ? reply->error_code : KAFKA_ERR_NOT_COORDINATOR;
    if (error == KAFKA_ERR_REBALANCE_IN_PROGRESS || error == KAFKA_ERR_UNKNOWN_MEMBER_ID ||
        error == KAFKA_ERR_ILLEGAL_GENERATION)
        rejoin(actor, error);
    else
        actor_again(actor, error == KAFKA_ERR_NONE ? BEAT_MS : 50);
}

static void join(struct member_sim *member)
{
    struct kafka_join_group_request_join_group_request_protocol protocol;
    struct kafka_join_group_request request;
    kafka_structure_defaults(&kafka_join_group_request_join_group_request_protocol_type, &protocol);
    kafka_defaults(&kafka_join_group_request_message, &request);
    protocol.name = slice_str("place");
    protocol.metadata = slice_of("", 0);
    request.group_id = slice_str(member->group);
    request.session_timeout_ms = SESSION_MS;
    request.rebalance_timeout_ms = REBALANCE_MS;
    request.member_id = slice_str(member->id);
    request.protocol_type = slice_str("consumer");
    request.protocols = &protocol;
    request.protocols_count = 1;
    actor_call(&member->actor, KAFKA_API_JOIN_GROUP, -1, &request, on_joined);
}

static void sync(struct member_sim *member)
{
    struct kafka_sync_group_request_sync_group_request_assignment assignments[8];
    uint8_t places[8];
    struct kafka_sync_group_request request;
    kafka_defaults(&kafka_sync_group_request_message, &request);
    for (int i = 0; member->leads && i < member->member_count; i++) {
        kafka_structure_defaults(&kafka_sync_group_request_sync_group_request_assignment_type,
                                 &assignments[i]);
        places[i] = (uint8_t)i;
        assignments[i].member_id = slice_str(member->members[i]);
        assignments[i].assignment = slice_of(&places[i], 1);
    }
    request.group_id = slice_str(member->group);
    request.generation_id = member->generation;
    request.member_id = slice_str(member->id);
    request.protocol_type = slice_str("consumer");
    request.protocol_name = slice_str("place");
    request.assignments = assignments;
    request.assignments_count = member->leads ? member->member_count : 0;
    actor_call(&member->actor, KAFKA_API_SYNC_GROUP, -1, &request, on_synced);
}

static void beat(struct member_sim *member)
{
    struct kafka_heartbeat_request request;
    kafka_defaults(&kafka_heartbeat_request_message, &request);
    request.group_id = slice_str(member->group);
    request.generation_id = member->generation;
    request.member_id = slice_str(member->id);
    actor_call(&member->actor, KAFKA_API_HEARTBEAT, -1, &request, on_beat);
}

static void member_step(struct actor *actor)
{
    struct member_sim *member = of(actor);
    if (actor->busy || !actor_link(actor, actor->port ? actor->port : actor_any_port(actor)))
        return;
    if (member->state == MEMBER_JOIN)
        join(member);
    else if (member->state == MEMBER_SYNC)
        sync(member);
    else
        beat(member);
}

void member_sim_init(struct member_sim *member, struct env *env, struct history *history, const char *group)
{
    *member = (struct member_sim){.group = group, .assignment = -1};
    actor_init(&member->actor, env, history, member_step);
}
