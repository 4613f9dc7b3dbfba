// SPDX-License-Identifier: Apache-2.0
// See transactor.h.
#include "transactor.h"

#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/add_offsets_to_txn.h"
#include "kafka/messages/add_partitions_to_txn.h"
#include "kafka/messages/end_txn.h"
#include "kafka/messages/init_producer_id.h"
#include "kafka/messages/metadata.h"
#include "kafka/messages/offset_fetch.h"
#include "kafka/messages/produce.h"
#include "kafka/messages/txn_offset_commit.h"

enum {
    TIMEOUT_MS = 3000, // of a transaction
    PAUSE_MS_MAX = 30,
    ONE_READ_IN = 4, // states that read are passed through so often
    INIT_VERSION = 4,
    ADD_VERSION = 3,
    FETCH_VERSION = 8
};

static struct transactor *of(struct actor *actor)
{
    return (struct transactor *)actor;
}

static void go(struct transactor *transactor, enum transactor_state state)
{
    transactor->state = state;
    actor_again(&transactor->actor, 0);
}

static void retry(struct transactor *transactor, enum transactor_state state)
{
    transactor->state = state;
    actor_again(&transactor->actor, 10 + (int64_t)prng_below(&transactor->actor.prng, 60));
}

static struct slice id_of(const struct transactor *transactor)
{
    return txn_request_id(transactor->new_flow);
}

// The transaction under way has ended.
static void ended(struct transactor *transactor, bool committed)
{
    struct history *history = transactor->actor.history;
    if (transactor->next == TRANSACTOR_NUMBERS_MAX - 1)
        transactor->finishing = true;
    if (committed)
        transactor->last_committed = transactor->next;
    transactor->committed[transactor->next++] = committed;
    world_count(history->world, committed ? COUNT_transaction_committed : COUNT_transaction_aborted);
    transactor->added = false;
    transactor->aborts = transactor->next % 3 == 1;
    transactor->actor.stopped = transactor->finishing;
}

// What passes by itself, or the client repeats.
static bool passes(int16_t error)
{
    return error == KAFKA_ERR_CONCURRENT_TRANSACTIONS || error == KAFKA_ERR_COORDINATOR_LOAD_IN_PROGRESS ||
           error == KAFKA_ERR_COORDINATOR_NOT_AVAILABLE || error == KAFKA_ERR_NOT_COORDINATOR;
}

// Its transaction timed out, and was aborted.
static bool fenced(int16_t error)
{
    return error == KAFKA_ERR_PRODUCER_FENCED || error == KAFKA_ERR_INVALID_PRODUCER_EPOCH;
}

// ... as the logs and groups say it.
static bool over(int16_t error)
{
    return fenced(error) || error == KAFKA_ERR_INVALID_TXN_STATE || error == KAFKA_ERR_TRANSACTION_ABORTABLE;
}

static void unexpected(const struct transactor *transactor, const char *what, int16_t error)
{
    history_violation(transactor->actor.history, "transactor", "%s of \"%s\" in transaction %lld: %s", what,
                      transactor->new_flow ? "new" : "old", (long long)transactor->next,
                      kafka_error_name(error));
}

// ---- InitProducerId ----

static void on_id(struct actor *actor, const struct conn_answer *answer)
{
    const struct kafka_init_producer_id_response *reply = answer ? answer->body : NULL;
    struct transactor *transactor = of(actor);
    if (reply == NULL || reply->error_code != KAFKA_ERR_NONE) {
        if (reply != NULL && !passes(reply->error_code))
            unexpected(transactor, "InitProducerId", reply->error_code);
        retry(transactor, TRANSACTOR_INIT);
        return;
    }
    transactor->producer_id = reply->producer_id;
    transactor->producer_epoch = reply->producer_epoch;
    transactor->sequence = 0;
    go(transactor, TRANSACTOR_LEADER);
}

static void send_init(struct transactor *transactor)
{
    struct kafka_init_producer_id_request request;
    kafka_defaults(&kafka_init_producer_id_request_message, &request);
    request.transactional_id = id_of(transactor);
    request.transaction_timeout_ms = TIMEOUT_MS;
    actor_call(&transactor->actor, KAFKA_API_INIT_PRODUCER_ID, INIT_VERSION, &request, on_id);
}

// ---- the leader ----

static void on_metadata(struct actor *actor, const struct conn_answer *answer)
{
    const struct kafka_metadata_response *reply = answer ? answer->body : NULL;
    struct transactor *transactor = of(actor);
    int port = 0;
    for (int i = 0; reply != NULL && reply->topics_count == 1 && i < reply->topics[0].partitions_count; i++)
        for (int k = 0; k < reply->brokers_count; k++)
            if (reply->topics[0].partitions[i].partition_index == transactor->index &&
                reply->brokers[k].node_id == reply->topics[0].partitions[i].leader_id)
                port = reply->brokers[k].port;
    transactor->leader_port = port;
    if (port == 0)
        retry(transactor, TRANSACTOR_LEADER);
    else
        go(transactor, transactor->new_flow || transactor->added ? TRANSACTOR_SEND : TRANSACTOR_ADD);
}

static void ask_metadata(struct transactor *transactor)
{
    struct kafka_metadata_request_metadata_request_topic topic;
    struct kafka_metadata_request request;
    kafka_structure_defaults(&kafka_metadata_request_metadata_request_topic_type, &topic);
    kafka_defaults(&kafka_metadata_request_message, &request);
    topic.name = slice_str(TRANSACTOR_TOPIC);
    request.topics = &topic;
    request.topics_count = 1;
    request.allow_auto_topic_creation = false;
    actor_call(&transactor->actor, KAFKA_API_METADATA, -1, &request, on_metadata);
}

// ---- AddPartitionsToTxn ----

static void on_added(struct actor *actor, const struct conn_answer *answer)
{
    const struct kafka_add_partitions_to_txn_response *reply = answer ? answer->body : NULL;
    struct transactor *transactor = of(actor);
    if (reply == NULL || reply->results_by_topic_v3_and_below_count != 1) {
        retry(transactor, TRANSACTOR_ADD);
        return;
    }
    int16_t error = reply->results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code;
    transactor->added = error == KAFKA_ERR_NONE;
    if (transactor->added) {
        go(transactor, TRANSACTOR_SEND);
    } else if (fenced(error)) { // it was added before, and the answer lost
        ended(transactor, false);
        retry(transactor, TRANSACTOR_INIT);
    } else {
        if (!passes(error) && error != KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION)
            unexpected(transactor, "AddPartitionsToTxn", error);
        retry(transactor, TRANSACTOR_ADD);
    }
}

static void send_add(struct transactor *transactor)
{
    int32_t partition = transactor->index;
    struct kafka_add_partitions_to_txn_request_add_partitions_to_txn_topic topic = {
        .name = slice_str(TRANSACTOR_TOPIC), .partitions = &partition, .partitions_count = 1};
    struct kafka_add_partitions_to_txn_request request;
    kafka_defaults(&kafka_add_partitions_to_txn_request_message, &request);
    request.v3_and_below_transactional_id = id_of(transactor);
    request.v3_and_below_producer_id = transactor->producer_id;
    request.v3_and_below_producer_epoch = transactor->producer_epoch;
    request.v3_and_below_topics = &topic;
    request.v3_and_below_topics_count = 1;
    actor_call(&transactor->actor, KAFKA_API_ADD_PARTITIONS_TO_TXN, ADD_VERSION, &request, on_added);
}

// ---- Produce ----

static void on_produced(struct actor *actor, const struct conn_answer *answer)
{
    struct transactor *transactor = of(actor);
    const struct kafka_produce_response *reply = answer ? answer->body : NULL;
    if (reply == NULL || reply->responses_count != 1) {
        retry(transactor, TRANSACTOR_LEADER);
        return;
    }
    int16_t error = reply->responses[0].partition_responses[0].error_code;
    if (error == KAFKA_ERR_NONE) {
        transactor->sequence++;
        transactor->state = transactor->new_flow ? TRANSACTOR_OFFSETS : TRANSACTOR_ADD_GROUP;
        actor_again(actor, (int64_t)prng_below(&actor->prng, PAUSE_MS_MAX));
    } else if (over(error)) {
        transactor->aborts = true; // the coordinator says for certain what became of it
        go(transactor, TRANSACTOR_END);
    } else {
        if (error == KAFKA_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER || error == KAFKA_ERR_UNKNOWN_SERVER_ERROR ||
            error == KAFKA_ERR_INVALID_PRODUCER_ID_MAPPING)
            unexpected(transactor, "Produce", error);
        retry(transactor, TRANSACTOR_LEADER);
    }
}

// ---- offsets ----

static void on_group_added(struct actor *actor, const struct conn_answer *answer)
{
    const struct kafka_add_offsets_to_txn_response *reply = answer ? answer->body : NULL;
    struct transactor *transactor = of(actor);
    if (reply == NULL || passes(reply->error_code)) {
        retry(transactor, TRANSACTOR_ADD_GROUP);
    } else if (reply->error_code == KAFKA_ERR_NONE) {
        go(transactor, TRANSACTOR_OFFSETS);
    } else if (fenced(reply->error_code)) {
        ended(transactor, false);
        retry(transactor, TRANSACTOR_INIT);
    } else {
        unexpected(transactor, "AddOffsetsToTxn", reply->error_code);
    }
}

static void add_group(struct transactor *transactor)
{
    struct kafka_add_offsets_to_txn_request request = {.transactional_id = id_of(transactor),
                                                       .producer_id = transactor->producer_id,
                                                       .producer_epoch = transactor->producer_epoch,
                                                       .group_id = id_of(transactor)};
    actor_call(&transactor->actor, KAFKA_API_ADD_OFFSETS_TO_TXN, ADD_VERSION, &request, on_group_added);
}

static void on_offsets(struct actor *actor, const struct conn_answer *answer)
{
    const struct kafka_txn_offset_commit_response *reply = answer ? answer->body : NULL;
    struct transactor *transactor = of(actor);
    if (reply == NULL || reply->topics_count != 1) {
        retry(transactor, TRANSACTOR_OFFSETS);
        return;
    }
    int16_t error = reply->topics[0].partitions[0].error_code;
    if (error == KAFKA_ERR_NONE) {
        bool read = prng_below(&actor->prng, ONE_READ_IN) == 0;
        world_count(actor->history->world, COUNT_transaction_offset);
        go(transactor, read ? TRANSACTOR_READ_OPEN : TRANSACTOR_END);
    } else if (over(error)) {
        transactor->aborts = true;
        go(transactor, TRANSACTOR_END);
    } else {
        if (!passes(error) && error != KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION)
            unexpected(transactor, "TxnOffsetCommit", error);
        retry(transactor, TRANSACTOR_OFFSETS);
    }
}

// What the group's offset is: the last committed transaction's number, for certain.
static void on_read(struct actor *actor, const struct conn_answer *answer)
{
    const struct kafka_offset_fetch_response *reply = answer ? answer->body : NULL;
    struct transactor *transactor = of(actor);
    if (reply == NULL || reply->groups_count != 1 || reply->groups[0].error_code != KAFKA_ERR_NONE ||
        reply->groups[0].topics_count != 1 ||
        reply->groups[0].topics[0].partitions[0].error_code != KAFKA_ERR_NONE) {
        retry(transactor, transactor->state);
        return;
    }
    int64_t offset = reply->groups[0].topics[0].partitions[0].committed_offset;
    if (offset != transactor->last_committed)
        history_violation(actor->history, "transaction-offsets",
                          "group of \"%s\": %lld read, transaction %lld was the last one committed",
                          transactor->new_flow ? "new" : "old", (long long)offset,
                          (long long)transactor->last_committed);
    transactor->reads++;
    go(transactor, transactor->state == TRANSACTOR_READ ? TRANSACTOR_LEADER : TRANSACTOR_END);
}

static void read_offset(struct transactor *transactor)
{
    int32_t partition = transactor->index;
    struct kafka_offset_fetch_request_offset_fetch_request_topics topic;
    struct kafka_offset_fetch_request_offset_fetch_request_group group;
    struct kafka_offset_fetch_request request;
    kafka_structure_defaults(&kafka_offset_fetch_request_offset_fetch_request_topics_type, &topic);
    kafka_structure_defaults(&kafka_offset_fetch_request_offset_fetch_request_group_type, &group);
    kafka_defaults(&kafka_offset_fetch_request_message, &request);
    topic.name = slice_str(TRANSACTOR_TOPIC);
    topic.partition_indexes = &partition;
    topic.partition_indexes_count = 1;
    group.group_id = id_of(transactor);
    group.topics = &topic;
    group.topics_count = 1;
    request.groups = &group;
    request.groups_count = 1;
    request.require_stable = transactor->state == TRANSACTOR_READ; // until the marker has come (KIP-447)
    actor_call(&transactor->actor, KAFKA_API_OFFSET_FETCH, FETCH_VERSION, &request, on_read);
}

// ---- EndTxn ----

static void end_told(struct transactor *transactor, const struct kafka_end_txn_response *reply)
{
    if (transactor->new_flow) {
        transactor->producer_id = reply->producer_id;
        transactor->producer_epoch = reply->producer_epoch;
        transactor->sequence = 0;
    }
    bool read = prng_below(&transactor->actor.prng, ONE_READ_IN) == 0;
    ended(transactor, !transactor->aborts);
    go(transactor, read ? TRANSACTOR_READ : TRANSACTOR_LEADER);
}

static void on_ended(struct actor *actor, const struct conn_answer *answer)
{
    const struct kafka_end_txn_response *reply = answer ? answer->body : NULL;
    struct transactor *transactor = of(actor);
    if (reply == NULL || passes(reply->error_code)) {
        retry(transactor, TRANSACTOR_END);
    } else if (reply->error_code == KAFKA_ERR_NONE) {
        end_told(transactor, reply);
    } else if (reply->error_code == KAFKA_ERR_TRANSACTION_ABORTABLE && !transactor->aborts) {
        transactor->aborts = true;
        retry(transactor, TRANSACTOR_END);
    } else if (fenced(reply->error_code)) {
        ended(transactor, false);
        retry(transactor, TRANSACTOR_INIT);
    } else {
        unexpected(transactor, "EndTxn", reply->error_code);
    }
}

// ---- the steps ----

static void send(struct transactor *transactor, enum txn_kind kind, actor_answer_fn *answer)
{
    transactor->sent[kind] = (struct txn_request){.sent = true,
                                                  .new_flow = transactor->new_flow,
                                                  .partition = transactor->index,
                                                  .producer_id = transactor->producer_id,
                                                  .producer_epoch = transactor->producer_epoch,
                                                  .sequence = transactor->sequence,
                                                  .number = transactor->next,
                                                  .commit = !transactor->aborts};
    txn_request_send(&transactor->actor, kind, &transactor->sent[kind], answer);
}

static void transactor_step(struct actor *actor)
{
    struct transactor *transactor = of(actor);
    bool to_leader = transactor->state == TRANSACTOR_SEND;
    int any = actor->port != 0 ? actor->port : actor_any_port(actor);
    if (actor->busy || !actor_link(actor, to_leader ? transactor->leader_port : any))
        return;
    switch (transactor->state) {
    case TRANSACTOR_INIT:
        send_init(transactor);
        return;
    case TRANSACTOR_LEADER:
        ask_metadata(transactor);
        return;
    case TRANSACTOR_ADD:
        send_add(transactor);
        return;
    case TRANSACTOR_SEND:
        send(transactor, TXN_PRODUCE, on_produced);
        return;
    case TRANSACTOR_ADD_GROUP:
        add_group(transactor);
        return;
    case TRANSACTOR_OFFSETS:
        send(transactor, TXN_OFFSETS, on_offsets);
        return;
    case TRANSACTOR_READ_OPEN:
    case TRANSACTOR_READ:
        read_offset(transactor);
        return;
    case TRANSACTOR_END:
        send(transactor, TXN_END, on_ended);
        return;
    }
}

void transactor_init(struct transactor *transactor, struct env *env, struct history *history, int index)
{
    *transactor = (struct transactor){.index = index, .new_flow = index % 2 == 1, .last_committed = -1};
    actor_init(&transactor->actor, env, history, transactor_step);
}
