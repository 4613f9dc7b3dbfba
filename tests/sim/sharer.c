// SPDX-License-Identifier: Apache-2.0
// See sharer.h.
#include "sharer.h"

#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/incremental_alter_configs.h"
#include "kafka/messages/share_acknowledge.h"
#include "kafka/messages/share_fetch.h"
#include "kafka/messages/share_group_heartbeat.h"
#include "share_partition.h"

#include <stdio.h>

enum {
    BEAT_MS = 500,
    AGAIN_MS = 20,
    VISITS = 12, // requests to one node, then the next one
    WAIT_MS = 200,
    DIES_ONE_IN = 60,
    DROPS_ONE_IN = 60,
    LATE_ONE_IN = 40,
    REPEATS_ONE_IN = 15,
    PATIENCE_MS = 400, // of every other member: the others wait for a node that is cut off
    BAD_ONE_IN = 97, // of the records
    GROUP_RESOURCE = 32
};

static struct sharer *of(struct actor *actor)
{
    return (struct sharer *)actor;
}

static int node_of(const struct sharer *sharer)
{
    return sharer->actor.port - sharer->actor.ports[0];
}

static bool lucky(struct sharer *sharer, uint64_t one_in)
{
    return !sharer->steady && prng_below(&sharer->actor.prng, one_in) == 0;
}

static void forget_session(struct sharer *sharer)
{
    sharer->session = 0;
    sharer->visits = 0;
    sharer->held_count = sharer->said_count = 0;
    share_book_gone(sharer->book, sharer->number);
}

static void other_id(struct sharer *sharer)
{
    snprintf(sharer->id, sizeof sharer->id, "sharer-%d-%d", sharer->number, sharer->lives++);
    sharer->epoch = 0;
    sharer->assigned = false;
    forget_session(sharer);
}

// The connection goes; the next one is to any node.
static void drop(struct sharer *sharer)
{
    sharer->actor.broken = true;
    forget_session(sharer);
    actor_again(&sharer->actor, AGAIN_MS);
}

// ---- the group ----

static void on_configured(struct actor *actor, const struct conn_answer *answer)
{
    const struct kafka_incremental_alter_configs_response *reply = answer ? answer->body : NULL;
    of(actor)->book->configured =
        reply != NULL && reply->responses_count == 1 && reply->responses[0].error_code == KAFKA_ERR_NONE;
    actor_again(actor, AGAIN_MS);
}

static void configure(struct sharer *sharer)
{
    struct kafka_incremental_alter_configs_request_alterable_config config;
    struct kafka_incremental_alter_configs_request_alter_configs_resource resource;
    struct kafka_incremental_alter_configs_request request;
    kafka_structure_defaults(&kafka_incremental_alter_configs_request_alterable_config_type, &config);
    kafka_structure_defaults(&kafka_incremental_alter_configs_request_alter_configs_resource_type, &resource);
    kafka_defaults(&kafka_incremental_alter_configs_request_message, &request);
    config.name = slice_str("share.auto.offset.reset");
    config.value = slice_str("earliest");
    resource.resource_type = GROUP_RESOURCE;
    resource.resource_name = slice_str(SHARE_GROUP);
    resource.configs = &config;
    resource.configs_count = 1;
    request.resources = &resource;
    request.resources_count = 1;
    actor_call(&sharer->actor, KAFKA_API_INCREMENTAL_ALTER_CONFIGS, -1, &request, on_configured);
}

static void on_beat(struct actor *actor, const struct conn_answer *answer)
{
    struct sharer *sharer = of(actor);
    const struct kafka_share_group_heartbeat_response *reply = answer ? answer->body : NULL;
    int16_t error = reply ? reply->error_code : KAFKA_ERR_NOT_COORDINATOR;
    if (reply == NULL)
        forget_session(sharer);
    if (error == KAFKA_ERR_UNKNOWN_MEMBER_ID || error == KAFKA_ERR_FENCED_MEMBER_EPOCH)
        sharer->epoch = 0;
    if (error == KAFKA_ERR_NONE) {
        sharer->epoch = reply->member_epoch;
        sharer->beat_us = env_now_us(actor->env);
    }
    if (error == KAFKA_ERR_NONE && reply->assignment != NULL) {
        sharer->assigned = reply->assignment->topic_partitions_count > 0;
        if (sharer->assigned)
            sharer->topic = reply->assignment->topic_partitions[0].topic_id;
    }
    actor_again(actor, sharer->assigned ? 0 : AGAIN_MS);
}

static void beat(struct sharer *sharer)
{
    struct slice topic = slice_str("t");
    struct kafka_share_group_heartbeat_request request;
    kafka_defaults(&kafka_share_group_heartbeat_request_message, &request);
    request.group_id = slice_str(SHARE_GROUP);
    request.member_id = slice_str(sharer->id);
    request.member_epoch = sharer->epoch;
    request.subscribed_topic_names = &topic;
    request.subscribed_topic_names_count = sharer->epoch == 0 ? 1 : -1;
    actor_call(&sharer->actor, KAFKA_API_SHARE_GROUP_HEARTBEAT, -1, &request, on_beat);
}

// ---- what is said of records ----

// Of what is held, those like the first one are said, the others stay for the next request.
static void say(struct sharer *sharer)
{
    bool bad = sharer->held_count > 0 && sharer->held[0].bad;
    int left = 0;
    sharer->said_count = 0;
    for (int i = 0; i < sharer->held_count; i++) {
        const struct sharer_span span = sharer->held[i];
        if (span.bad != bad) {
            sharer->held[left++] = span;
            continue;
        }
        sharer->said[sharer->said_count++] = span;
        share_book_let_go(sharer->book, span.partition, span.first, span.last);
    }
    sharer->held_count = left;
    if (bad && !sharer->steady)
        sharer->said_type = SHARE_RELEASE;
}

// Chooses what the next request says of held records, all of one type.
static void decide(struct sharer *sharer)
{
    static const int8_t types[] = {SHARE_ACCEPT, SHARE_ACCEPT, SHARE_ACCEPT, SHARE_RELEASE, SHARE_REJECT};
    sharer->repeats = sharer->held_count == 0 && sharer->said_count > 0 &&
                      sharer->said_type != SHARE_RELEASE && lucky(sharer, REPEATS_ONE_IN);
    if (sharer->repeats)
        return;
    sharer->said_type = sharer->steady ? SHARE_ACCEPT : types[prng_below(&sharer->actor.prng, 5)];
    say(sharer);
}

static void given_back(struct sharer *sharer, const struct sharer_span *span)
{
    share_book_given_back(sharer->book, &(struct share_return){.node = node_of(sharer),
                                                               .partition = span->partition,
                                                               .first = span->first,
                                                               .last = span->last,
                                                               .deliveries = span->deliveries});
}

// What one partition's answer means for what was said of it. A leader that loses its place while it writes
// what was said does not know whether it is written; only a record that the member did not hold is certain.
static void settle(struct sharer *sharer, int partition, int16_t error)
{
    bool back = sharer->said_type == SHARE_RELEASE;
    for (int i = 0; i < sharer->said_count && !sharer->repeats; i++) {
        const struct sharer_span *span = &sharer->said[i];
        if (span->partition != partition)
            continue;
        if (!back && error != KAFKA_ERR_INVALID_RECORD_STATE)
            share_book_over(sharer->book, node_of(sharer), partition, span->first, span->last,
                            error == KAFKA_ERR_NONE);
        if (back && error == KAFKA_ERR_NONE)
            given_back(sharer, span);
    }
}

// The answer was lost, or is about all: what was said may have counted.
static void lose(struct sharer *sharer)
{
    for (int p = 0; p < HISTORY_PARTITIONS; p++)
        settle(sharer, p, KAFKA_ERR_UNKNOWN_SERVER_ERROR);
    drop(sharer);
}

// True when the session goes on.
static bool goes_on(struct sharer *sharer, int16_t error)
{
    if (error != KAFKA_ERR_NONE) {
        lose(sharer);
        return false;
    }
    share_book_alive(sharer->book, sharer->number);
    sharer->session++;
    sharer->visits++;
    return true;
}

static void on_acknowledged(struct actor *actor, const struct conn_answer *answer)
{
    struct sharer *sharer = of(actor);
    const struct kafka_share_acknowledge_response *reply = answer ? answer->body : NULL;
    if (!goes_on(sharer, reply ? reply->error_code : KAFKA_ERR_NOT_COORDINATOR))
        return;
    for (int32_t t = 0; t < reply->responses_count; t++)
        for (int32_t i = 0; i < reply->responses[t].partitions_count; i++)
            settle(sharer, reply->responses[t].partitions[i].partition_index,
                   reply->responses[t].partitions[i].error_code);
    actor_again(actor, 0);
}

static void acknowledge(struct sharer *sharer)
{
    struct kafka_share_acknowledge_request_acknowledgement_batch batches[SHARER_SPANS];
    struct kafka_share_acknowledge_request_acknowledge_partition parts[HISTORY_PARTITIONS];
    struct kafka_share_acknowledge_request_acknowledge_topic topic = {.topic_id = sharer->topic,
                                                                      .partitions = parts};
    struct kafka_share_acknowledge_request request;
    kafka_defaults(&kafka_share_acknowledge_request_message, &request);
    for (int i = 0; i < sharer->said_count; i++) {
        batches[i] = (struct kafka_share_acknowledge_request_acknowledgement_batch){
            .first_offset = sharer->said[i].first,
            .last_offset = sharer->said[i].last,
            .acknowledge_types = &sharer->said_type,
            .acknowledge_types_count = 1};
        if (i == 0 || sharer->said[i].partition != sharer->said[i - 1].partition)
            parts[topic.partitions_count++] = (struct kafka_share_acknowledge_request_acknowledge_partition){
                .partition_index = sharer->said[i].partition, .acknowledgement_batches = &batches[i]};
        parts[topic.partitions_count - 1].acknowledgement_batches_count++;
    }
    request.group_id = slice_str(SHARE_GROUP);
    request.member_id = slice_str(sharer->id);
    request.share_session_epoch = sharer->session;
    request.topics = &topic;
    request.topics_count = 1;
    actor_call(&sharer->actor, KAFKA_API_SHARE_ACKNOWLEDGE, -1, &request, on_acknowledged);
}

// ---- fetching ----

static bool is_bad(int64_t offset)
{
    return offset % BAD_ONE_IN == BAD_ONE_IN / 2;
}

// Bad records are spans of their own. What finds no room is left until its lock ends.
static void hold(struct sharer *sharer, int partition,
                 const struct kafka_share_fetch_response_acquired_records *got)
{
    int64_t first = got->first_offset;
    while (first <= got->last_offset && sharer->held_count < SHARER_SPANS) {
        struct sharer_span span = {partition, first, first, got->delivery_count, is_bad(first)};
        while (!span.bad && span.last < got->last_offset && !is_bad(span.last + 1))
            span.last++;
        sharer->held[sharer->held_count++] = span;
        first = span.last + 1;
    }
}

static void take(struct sharer *sharer, const struct kafka_share_fetch_response_partition_data *part)
{
    for (int32_t i = 0; i < part->acquired_records_count; i++) {
        const struct kafka_share_fetch_response_acquired_records *got = &part->acquired_records[i];
        share_book_given(sharer->book, &(struct share_gift){.member = sharer->number,
                                                            .node = node_of(sharer),
                                                            .partition = part->partition_index,
                                                            .first = got->first_offset,
                                                            .last = got->last_offset,
                                                            .sent_us = sharer->sent_us,
                                                            .deliveries = got->delivery_count});
        hold(sharer, part->partition_index, got);
    }
}

static void on_fetched(struct actor *actor, const struct conn_answer *answer)
{
    struct sharer *sharer = of(actor);
    const struct kafka_share_fetch_response *reply = answer ? answer->body : NULL;
    if (reply == NULL)
        share_book_unanswered(sharer->book, sharer->sent_us);
    if (!goes_on(sharer, reply ? reply->error_code : KAFKA_ERR_NOT_COORDINATOR))
        return;
    for (int32_t t = 0; t < reply->responses_count; t++)
        for (int32_t i = 0; i < reply->responses[t].partitions_count; i++) {
            const struct kafka_share_fetch_response_partition_data *part = &reply->responses[t].partitions[i];
            settle(sharer, part->partition_index, part->acknowledge_error_code);
            take(sharer, part);
        }
    actor_again(actor, lucky(sharer, LATE_ONE_IN) ? SHARE_LOCK_MS + 300 : 0);
}

// What was said goes along, but with the first fetch of a session, which names the partitions.
static void fetch(struct sharer *sharer)
{
    struct kafka_share_fetch_request_acknowledgement_batch batches[SHARER_SPANS];
    struct kafka_share_fetch_request_fetch_partition parts[HISTORY_PARTITIONS];
    struct kafka_share_fetch_request_fetch_topic topic = {.topic_id = sharer->topic, .partitions = parts};
    struct kafka_share_fetch_request request;
    kafka_defaults(&kafka_share_fetch_request_message, &request);
    for (int i = 0; i < sharer->said_count; i++) {
        batches[i] =
            (struct kafka_share_fetch_request_acknowledgement_batch){.first_offset = sharer->said[i].first,
                                                                     .last_offset = sharer->said[i].last,
                                                                     .acknowledge_types = &sharer->said_type,
                                                                     .acknowledge_types_count = 1};
        if (i == 0 || sharer->said[i].partition != sharer->said[i - 1].partition)
            parts[topic.partitions_count++] = (struct kafka_share_fetch_request_fetch_partition){
                .partition_index = sharer->said[i].partition, .acknowledgement_batches = &batches[i]};
        parts[topic.partitions_count - 1].acknowledgement_batches_count++;
    }
    for (int32_t p = 0; sharer->session == 0 && p < HISTORY_PARTITIONS; p++)
        parts[topic.partitions_count++] =
            (struct kafka_share_fetch_request_fetch_partition){.partition_index = p};
    request.group_id = slice_str(SHARE_GROUP);
    request.member_id = slice_str(sharer->id);
    request.share_session_epoch = sharer->session;
    request.max_wait_ms = WAIT_MS;
    request.min_bytes = 1;
    request.max_bytes = 1 << 20;
    request.max_records = 1 + (int32_t)prng_below(&sharer->actor.prng, 200);
    request.batch_size = 100;
    request.topics = &topic;
    request.topics_count = topic.partitions_count > 0;
    share_book_asks(sharer->book, sharer->number, node_of(sharer));
    actor_call(&sharer->actor, KAFKA_API_SHARE_FETCH, -1, &request, on_fetched);
}

// ---- steps ----

static void sharer_step(struct actor *actor)
{
    struct sharer *sharer = of(actor);
    if (actor->busy)
        return;
    if (!actor_link(actor, actor->port ? actor->port : actor_any_port(actor))) {
        forget_session(sharer);
        return;
    }
    int64_t now_us = env_now_us(actor->env);
    sharer->sent_us = now_us;
    if (sharer->assigned && lucky(sharer, DIES_ONE_IN)) // a member that died keeps its place for a while
        other_id(sharer);
    if (!sharer->book->configured) {
        configure(sharer);
    } else if (sharer->epoch == 0 || !sharer->assigned || now_us - sharer->beat_us > BEAT_MS * 1000) {
        beat(sharer);
    } else if (lucky(sharer, DROPS_ONE_IN) || (sharer->visits >= VISITS && sharer->held_count == 0)) {
        drop(sharer);
    } else {
        decide(sharer);
        bool more = sharer->held_count > 0; // a fetch would bring others in between
        if (sharer->said_count > 0 && (sharer->repeats || more || prng_below(&actor->prng, 2) == 0))
            acknowledge(sharer);
        else
            fetch(sharer);
    }
}

void sharer_init(struct sharer *sharer, struct env *env, struct share_book *book, int number)
{
    *sharer = (struct sharer){.book = book, .number = number};
    other_id(sharer);
    actor_init(&sharer->actor, env, book->history, sharer_step);
    if (number % 2 == 0)
        sharer->actor.patience_ms = PATIENCE_MS;
}
