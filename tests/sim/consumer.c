// SPDX-License-Identifier: Apache-2.0
// See consumer.h.
#include "consumer.h"

#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/consumer_group_heartbeat.h"

#include <stdio.h>

enum { BEAT_MS = 300, AGAIN_MS = 30, LEAVES_ONE_IN = 80, LEAVE = -1 };

static struct consumer_sim *of(struct actor *actor)
{
    return (struct consumer_sim *)actor;
}

uint64_t consumer_sim_has(const struct consumer_sim *consumer)
{
    int64_t ends_us = consumer->heard_us + CONSUMER_SESSION_MS * 1000ll;
    return env_now_us(consumer->actor.env) < ends_us ? consumer->has : 0;
}

static void start_over(struct consumer_sim *consumer)
{
    consumer->epoch = 0;
    consumer->has = 0;
    consumer->must_say = consumer->unsure = false;
}

static void other_id(struct consumer_sim *consumer)
{
    snprintf(consumer->id, sizeof consumer->id, "consumer-%d-%d", consumer->number, consumer->lives++);
    start_over(consumer);
    consumer->leaving = false;
}

static void take(struct consumer_sim *consumer,
                 const struct kafka_consumer_group_heartbeat_response_assignment *told)
{
    consumer->has = 0;
    for (int t = 0; t < told->topic_partitions_count; t++) {
        consumer->topic = told->topic_partitions[t].topic_id;
        for (int i = 0; i < told->topic_partitions[t].partitions_count; i++)
            consumer->has |= 1ull << told->topic_partitions[t].partitions[i];
    }
    consumer->must_say = true;
    world_count(consumer->actor.history->world, COUNT_consumer_told);
    for (int i = 0; i < consumer->other_count; i++) {
        const struct consumer_sim *other = &consumer->others[i];
        if (other != consumer && (consumer_sim_has(other) & consumer->has) != 0)
            history_violation(consumer->actor.history, "consumer-assignment",
                              "%s (epoch %d) and %s (epoch %d) have the same partition", consumer->id,
                              consumer->epoch, other->id, other->epoch);
    }
}

static void on_beat(struct actor *actor, const struct conn_answer *answer)
{
    struct consumer_sim *consumer = of(actor);
    const struct kafka_consumer_group_heartbeat_response *reply = answer ? answer->body : NULL;
    int16_t error = reply ? reply->error_code : KAFKA_ERR_NOT_COORDINATOR;
    if (consumer->leaving) {
        other_id(consumer);
    } else if (error == KAFKA_ERR_UNKNOWN_MEMBER_ID || error == KAFKA_ERR_FENCED_MEMBER_EPOCH ||
               error == KAFKA_ERR_GROUP_ID_NOT_FOUND) {
        start_over(consumer);
    } else if (error != KAFKA_ERR_NONE) {
        consumer->unsure = true;
    } else {
        consumer->epoch = reply->member_epoch;
        consumer->heard_us = consumer->sent_us;
        consumer->must_say = consumer->unsure = false;
        if (reply->assignment != NULL)
            take(consumer, reply->assignment);
    }
    actor_again(actor, error == KAFKA_ERR_NONE ? BEAT_MS : AGAIN_MS);
}

static void beat(struct consumer_sim *consumer)
{
    struct slice topic = slice_str("t");
    int32_t indexes[HISTORY_PARTITIONS];
    struct kafka_consumer_group_heartbeat_request_topic_partitions owned = {.topic_id = consumer->topic,
                                                                            .partitions = indexes};
    struct kafka_consumer_group_heartbeat_request request;
    kafka_defaults(&kafka_consumer_group_heartbeat_request_message, &request);
    bool all = consumer->epoch == 0 || consumer->unsure;
    for (int32_t i = 0; i < HISTORY_PARTITIONS; i++) {
        if ((consumer->has >> i & 1) != 0)
            indexes[owned.partitions_count++] = i;
    }
    request.group_id = slice_str(consumer->group);
    request.member_id = slice_str(consumer->id);
    request.member_epoch = consumer->leaving ? LEAVE : consumer->epoch;
    request.rebalance_timeout_ms = all ? CONSUMER_REBALANCE_MS : -1;
    request.subscribed_topic_names = &topic;
    request.subscribed_topic_names_count = all ? 1 : -1;
    request.topic_partitions = &owned;
    request.topic_partitions_count = !all && !consumer->must_say ? -1 : owned.partitions_count > 0 ? 1 : 0;
    consumer->sent_us = env_now_us(consumer->actor.env);
    actor_call(&consumer->actor, KAFKA_API_CONSUMER_GROUP_HEARTBEAT, -1, &request, on_beat);
}

static void consumer_step(struct actor *actor)
{
    struct consumer_sim *consumer = of(actor);
    if (actor->busy || !actor_link(actor, actor->port ? actor->port : actor_any_port(actor)))
        return;
    if (consumer->epoch > 0 && consumer_sim_has(consumer) != consumer->has)
        start_over(consumer);
    if (!consumer->steady && consumer->epoch > 0 && prng_below(&actor->prng, LEAVES_ONE_IN) == 0) {
        consumer->leaving = true;
        consumer->has = 0;
    }
    beat(consumer);
}

void consumer_sim_init(struct consumer_sim *consumer, struct env *env, struct history *history, int number)
{
    *consumer = (struct consumer_sim){.group = "consumers", .number = number};
    other_id(consumer);
    actor_init(&consumer->actor, env, history, consumer_step);
}
