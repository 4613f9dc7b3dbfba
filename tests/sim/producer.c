// SPDX-License-Identifier: Apache-2.0
// See producer.h. One record in flight; sequence number = record number, so a lost dedupe window shows as a
// duplicate.
#include "producer.h"

#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/init_producer_id.h"
#include "kafka/messages/metadata.h"

enum { PAUSE_MS_MAX = 20 };

static struct producer *of(struct actor *actor)
{
    return (struct producer *)actor;
}

static void retry(struct actor *actor, enum producer_state state)
{
    of(actor)->state = state;
    actor_again(actor, 10 + (int64_t)prng_below(&actor->prng, 90));
}

static void on_id(struct actor *actor, const struct conn_answer *answer)
{
    const struct kafka_init_producer_id_response *reply = answer ? answer->body : NULL;
    if (reply == NULL || reply->error_code != KAFKA_ERR_NONE) {
        retry(actor, PRODUCER_ID);
        return;
    }
    of(actor)->producer_id = reply->producer_id;
    of(actor)->producer_epoch = reply->producer_epoch;
    of(actor)->state = PRODUCER_LEADER;
    actor_again(actor, 0);
}

static void on_metadata(struct actor *actor, const struct conn_answer *answer)
{
    const struct kafka_metadata_response *reply = answer ? answer->body : NULL;
    struct producer *producer = of(actor);
    if (reply != NULL && reply->topics_count == 1)
        for (int i = 0; i < reply->topics[0].partitions_count; i++)
            for (int k = 0; k < reply->brokers_count; k++)
                if (reply->topics[0].partitions[i].partition_index == producer->partition &&
                    reply->brokers[k].node_id == reply->topics[0].partitions[i].leader_id) {
                    producer->leader_port = reply->brokers[k].port;
                    producer->state = PRODUCER_SEND;
                }
    if (producer->state == PRODUCER_SEND)
        actor_again(actor, 0);
    else
        retry(actor, PRODUCER_LEADER);
}

static void on_produced(struct actor *actor, const struct conn_answer *answer)
{
    struct producer *producer = of(actor);
    const struct kafka_produce_response *reply = answer ? answer->body : NULL;
    if (reply == NULL || reply->responses_count != 1 || reply->responses[0].partition_responses_count != 1) {
        world_count(actor->history->world, COUNT_record_unknown);
        retry(actor, PRODUCER_LEADER);
        return;
    }
    int16_t error = reply->responses[0].partition_responses[0].error_code;
    if (error == KAFKA_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER || error == KAFKA_ERR_UNKNOWN_SERVER_ERROR ||
        error == KAFKA_ERR_INVALID_PRODUCER_EPOCH) {
        history_violation(actor->history, "producer-state", "producer %d record %lld: %s", producer->index,
                          (long long)producer->next, kafka_error_name(error));
        return;
    }
    if (error != KAFKA_ERR_NONE) {
        world_count(actor->history->world, COUNT_record_unknown);
        retry(actor, PRODUCER_LEADER);
        return;
    }
    history_acknowledged(
        actor->history,
        (struct history_ack){.producer = producer->index,
                             .number = producer->next,
                             .partition = producer->partition,
                             .offset = reply->responses[0].partition_responses[0].base_offset});
    producer->next++;
    actor->stopped = producer->finishing;
    actor_again(actor, (int64_t)prng_below(&actor->prng, PAUSE_MS_MAX));
}

static void metadata_ask(struct actor *actor)
{
    struct kafka_metadata_request_metadata_request_topic topic;
    struct kafka_metadata_request request;
    kafka_structure_defaults(&kafka_metadata_request_metadata_request_topic_type, &topic);
    kafka_defaults(&kafka_metadata_request_message, &request);
    topic.name = slice_str("t");
    request.topics = &topic;
    request.topics_count = 1;
    request.allow_auto_topic_creation = false;
    actor_call(actor, KAFKA_API_METADATA, -1, &request, on_metadata);
}

static void record_send(struct producer *producer)
{
    struct record_said said = {.producer = producer->index,
                               .number = producer->next,
                               .partition = producer->partition,
                               .producer_id = producer->producer_id,
                               .producer_epoch = producer->producer_epoch,
                               .sequence = (int32_t)producer->next};
    record_request_build(&producer->request, producer->actor.env, &said);
    producer->actor.history->sent[producer->index] = producer->next;
    actor_call(&producer->actor, KAFKA_API_PRODUCE, RECORD_REQUEST_VERSION, &producer->request.request,
               on_produced);
}

static void producer_step(struct actor *actor)
{
    struct producer *producer = of(actor);
    struct kafka_init_producer_id_request request;
    if (actor->busy)
        return;
    switch (producer->state) {
    case PRODUCER_ID:
        if (!actor_link(actor, actor->port ? actor->port : actor_any_port(actor)))
            return;
        kafka_defaults(&kafka_init_producer_id_request_message, &request);
        request.transactional_id = slice_str(NULL);
        actor_call(actor, KAFKA_API_INIT_PRODUCER_ID, -1, &request, on_id);
        return;
    case PRODUCER_LEADER:
        if (actor_link(actor, actor->port ? actor->port : actor_any_port(actor)))
            metadata_ask(actor);
        return;
    case PRODUCER_SEND:
        if (actor_link(actor, producer->leader_port))
            record_send(producer);
        return;
    }
}

void producer_init(struct producer *producer, struct env *env, struct history *history, int index)
{
    *producer = (struct producer){.index = index, .partition = index % HISTORY_PARTITIONS};
    actor_init(&producer->actor, env, history, producer_step);
    buf_init(&producer->request.batch, 4096);
}
