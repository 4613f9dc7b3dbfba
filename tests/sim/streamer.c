// SPDX-License-Identifier: Apache-2.0
// See streamer.h.
#include "streamer.h"

#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/offset_commit.h"
#include "kafka/messages/streams_group_heartbeat.h"

#include <stdio.h>

enum {
    BEAT_MS = 300,
    AGAIN_MS = 30,
    LEAVES_ONE_IN = 80,
    COMMITS_ONE_IN = 3,
    UNHEARD_ONE_IN = 12,
    UNTOLD_MAX = 14, // longer than a former owner of the group takes itself for the owner
    LEAVE = -1,
    COMMIT_VERSION = 9
};

static const char GROUP[] = "streamers";

static struct streamer *of(struct actor *actor)
{
    return (struct streamer *)actor;
}

uint64_t streamer_has(const struct streamer *streamer)
{
    int64_t ends_us = streamer->heard_us + STREAMER_SESSION_MS * 1000ll;
    return env_now_us(streamer->actor.env) < ends_us ? streamer->has : 0;
}

static void start_over(struct streamer *streamer)
{
    streamer->epoch = 0;
    streamer->has = 0;
    streamer->must_say = streamer->unsure = false;
}

static void other_id(struct streamer *streamer)
{
    snprintf(streamer->id, sizeof streamer->id, "streamer-%d-%d", streamer->number, streamer->lives++);
    start_over(streamer);
    streamer->leaving = false;
}

// ---- heartbeats ----

static void take(struct streamer *streamer, const struct kafka_streams_group_heartbeat_response *told)
{
    streamer->has = 0;
    for (int t = 0; t < told->active_tasks_count; t++)
        for (int i = 0; i < told->active_tasks[t].partitions_count; i++)
            streamer->has |= 1ull << told->active_tasks[t].partitions[i];
    streamer->must_say = true;
    world_count(streamer->actor.history->world, COUNT_tasks_told);
    for (int i = 0; i < STREAMERS; i++) {
        const struct streamer *other = &streamer->others[i];
        if (other != streamer && (streamer_has(other) & streamer->has) != 0)
            history_violation(streamer->actor.history, "streams-one-active",
                              "%s (epoch %d) and %s (epoch %d) have the same active task", streamer->id,
                              streamer->epoch, other->id, other->epoch);
    }
}

// It is another one from now on; the former one is gone for sure when its goodbye was answered.
static void left(struct streamer *streamer, int16_t error)
{
    if (error == KAFKA_ERR_NONE) {
        snprintf(streamer->former, sizeof streamer->former, "%s", streamer->id);
        streamer->former_epoch = streamer->epoch;
    }
    other_id(streamer);
}

// Who is behind is told what it has to give up, says so, and is then as far as the others.
static void look_behind(struct streamer *streamer, bool told)
{
    bool behind = false;
    for (int i = 0; i < STREAMERS; i++)
        behind = behind || streamer->others[i].epoch > streamer->epoch;
    streamer->untold = told || !behind ? 0 : streamer->untold + 1;
    if (streamer->untold > UNTOLD_MAX)
        history_violation(streamer->actor.history, "streams-told", "%s stays at epoch %d and is told nothing",
                          streamer->id, streamer->epoch);
}

static bool unheard(struct streamer *streamer)
{
    return !streamer->steady && !streamer->leaving &&
           prng_below(&streamer->actor.prng, UNHEARD_ONE_IN) == 0;
}

static void on_beat(struct actor *actor, const struct conn_answer *answer)
{
    struct streamer *streamer = of(actor);
    const struct kafka_streams_group_heartbeat_response *reply =
        answer == NULL || unheard(streamer) ? NULL : answer->body;
    int16_t error = reply ? reply->error_code : KAFKA_ERR_NOT_COORDINATOR;
    if (streamer->leaving) {
        left(streamer, error);
    } else if (error == KAFKA_ERR_UNKNOWN_MEMBER_ID || error == KAFKA_ERR_FENCED_MEMBER_EPOCH ||
               error == KAFKA_ERR_GROUP_ID_NOT_FOUND) {
        start_over(streamer);
    } else if (error != KAFKA_ERR_NONE) {
        streamer->unsure = true;
    } else {
        streamer->epoch = reply->member_epoch;
        streamer->heard_us = streamer->sent_us;
        streamer->must_say = streamer->unsure = false;
        if (reply->active_tasks_count >= 0)
            take(streamer, reply);
        look_behind(streamer, reply->active_tasks_count >= 0);
    }
    if (error != KAFKA_ERR_NONE && (answer == NULL || reply != NULL))
        streamer->untold = 0;
    actor_again(actor, error == KAFKA_ERR_NONE ? BEAT_MS : AGAIN_MS);
}

static void beat(struct streamer *streamer)
{
    struct slice topic = slice_str("t");
    int32_t indexes[HISTORY_PARTITIONS];
    char process[16];
    struct kafka_streams_group_heartbeat_request_subtopology sub;
    struct kafka_streams_group_heartbeat_request_topology topology = {.subtopologies = &sub,
                                                                      .subtopologies_count = 1};
    struct kafka_streams_group_heartbeat_request_task_ids owned = {.subtopology_id = slice_str("0"),
                                                                   .partitions = indexes};
    struct kafka_streams_group_heartbeat_request request;
    kafka_defaults(&kafka_streams_group_heartbeat_request_message, &request);
    kafka_structure_defaults(&kafka_streams_group_heartbeat_request_subtopology_type, &sub);
    bool joins = streamer->epoch == 0 && !streamer->leaving, all = joins || streamer->unsure;
    for (int32_t i = 0; i < HISTORY_PARTITIONS; i++) {
        if ((streamer->has >> i & 1) != 0)
            indexes[owned.partitions_count++] = i;
    }
    snprintf(process, sizeof process, "p%d", streamer->number);
    sub.subtopology_id = slice_str("0");
    sub.source_topics = &topic;
    sub.source_topics_count = 1;
    request.group_id = slice_str(GROUP);
    request.member_id = slice_str(streamer->id);
    request.member_epoch = streamer->leaving ? LEAVE : streamer->epoch;
    request.rebalance_timeout_ms = all ? STREAMER_REBALANCE_MS : -1;
    request.topology = joins ? &topology : NULL;
    request.process_id = all ? slice_str(process) : slice_of(NULL, 0);
    request.active_tasks = &owned;
    bool says = all || streamer->must_say;
    request.active_tasks_count = !says ? -1 : owned.partitions_count > 0 ? 1 : 0;
    request.standby_tasks_count = request.warmup_tasks_count = says ? 0 : -1;
    streamer->sent_us = env_now_us(streamer->actor.env);
    actor_call(&streamer->actor, KAFKA_API_STREAMS_GROUP_HEARTBEAT, -1, &request, on_beat);
}

// ---- commits ----

static int16_t commit_error(const struct conn_answer *answer)
{
    const struct kafka_offset_commit_response *reply = answer ? answer->body : NULL;
    if (reply == NULL || reply->topics_count != 1 || reply->topics[0].partitions_count != 1)
        return KAFKA_ERR_NOT_COORDINATOR;
    return reply->topics[0].partitions[0].error_code;
}

static void on_committed(struct actor *actor, const struct conn_answer *answer)
{
    if (commit_error(answer) == KAFKA_ERR_NONE)
        world_count(actor->history->world, COUNT_tasks_committed);
    actor_again(actor, AGAIN_MS);
}

static void on_former_committed(struct actor *actor, const struct conn_answer *answer)
{
    struct streamer *streamer = of(actor);
    if (commit_error(answer) == KAFKA_ERR_NONE)
        history_violation(actor->history, "streams-offsets-fenced", "%s has left and committed at epoch %d",
                          streamer->former, streamer->former_epoch);
    if (prng_below(&actor->prng, 4) == 0)
        streamer->former[0] = '\0';
    actor_again(actor, AGAIN_MS);
}

static void commit(struct streamer *streamer, bool former)
{
    struct kafka_offset_commit_request_offset_commit_request_partition partition;
    struct kafka_offset_commit_request_offset_commit_request_topic topic;
    struct kafka_offset_commit_request request;
    kafka_structure_defaults(&kafka_offset_commit_request_offset_commit_request_partition_type, &partition);
    kafka_structure_defaults(&kafka_offset_commit_request_offset_commit_request_topic_type, &topic);
    kafka_defaults(&kafka_offset_commit_request_message, &request);
    while (!former && (streamer->has >> partition.partition_index & 1) == 0)
        partition.partition_index++;
    partition.committed_offset = streamer->next++;
    partition.committed_metadata = slice_of("", 0);
    topic.name = slice_str("t");
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.group_id = slice_str(GROUP);
    request.member_id = slice_str(former ? streamer->former : streamer->id);
    request.generation_id_or_member_epoch = former ? streamer->former_epoch : streamer->epoch;
    request.topics = &topic;
    request.topics_count = 1;
    actor_call(&streamer->actor, KAFKA_API_OFFSET_COMMIT, COMMIT_VERSION, &request,
               former ? on_former_committed : on_committed);
}

// ---- steps ----

static void streamer_step(struct actor *actor)
{
    struct streamer *streamer = of(actor);
    if (actor->busy || !actor_link(actor, actor->port ? actor->port : actor_any_port(actor)))
        return;
    if (streamer->epoch > 0 && streamer_has(streamer) != streamer->has)
        start_over(streamer);
    if (!streamer->steady && streamer->epoch > 0 && prng_below(&actor->prng, LEAVES_ONE_IN) == 0) {
        streamer->leaving = true;
        streamer->has = 0;
    }
    uint64_t die = prng_below(&actor->prng, COMMITS_ONE_IN);
    if (die == 0 && streamer->former[0] != '\0')
        commit(streamer, true);
    else if (die == 1 && !streamer->leaving && streamer->has != 0)
        commit(streamer, false);
    else
        beat(streamer);
}

void streamer_init(struct streamer *streamer, struct env *env, struct history *history, int number)
{
    *streamer = (struct streamer){.number = number};
    other_id(streamer);
    actor_init(&streamer->actor, env, history, streamer_step);
}
