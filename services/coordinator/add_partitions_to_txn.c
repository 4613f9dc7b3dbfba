// SPDX-License-Identifier: Apache-2.0
// AddPartitionsToTxn. Producers of the old flow name one transaction and what it will write to (to version
// 3); the nodes of a Kafka cluster add or verify partitions of several transactions (from version 4 on).
#include "apis.h"
#include "kafka/messages/add_partitions_to_txn.h"

typedef struct kafka_add_partitions_to_txn_request request_t;
typedef struct kafka_add_partitions_to_txn_request_add_partitions_to_txn_transaction transaction_in;
typedef struct kafka_add_partitions_to_txn_request_add_partitions_to_txn_topic topic_in;
typedef struct kafka_add_partitions_to_txn_response response_t;
typedef struct kafka_add_partitions_to_txn_response_add_partitions_to_txn_result result_out;
typedef struct kafka_add_partitions_to_txn_response_add_partitions_to_txn_topic_result topic_out;
typedef struct kafka_add_partitions_to_txn_response_add_partitions_to_txn_partition_result partition_out;

enum { VERSION_FENCED = 2, VERSION_BATCHED = 4 };

// One transaction of either form, and where its answers go.
struct adding {
    struct slice id;
    struct txn_producer who;
    bool verify;
    const topic_in *topics;
    int32_t topic_count;
    topic_out *out;
};

static struct adding adding_single(const request_t *in)
{
    return (struct adding){.id = in->v3_and_below_transactional_id,
                           .who = {in->v3_and_below_producer_id, in->v3_and_below_producer_epoch},
                           .topics = in->v3_and_below_topics,
                           .topic_count = in->v3_and_below_topics_count};
}

static struct adding adding_of(const transaction_in *in)
{
    return (struct adding){.id = in->transactional_id,
                           .who = {in->producer_id, in->producer_epoch},
                           .verify = in->verify_only,
                           .topics = in->topics,
                           .topic_count = in->topics_count};
}

// ---- what cannot be added ----

static int16_t partition_refused(const struct coordinator_request *request, struct slice name,
                                 int32_t partition)
{
    const struct image_topic *topic = image_topic_slice(request_image(request), name);
    if (!authorise(&request->principal, OPERATION_WRITE, RESOURCE_TYPE_TOPIC, name) ||
        (topic != NULL && topic->internal))
        return KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
    return topic != NULL && image_topic_partition(topic, partition) != NULL
               ? KAFKA_ERR_NONE
               : KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

// Whether the image names every partition; what it lacks may have been made a moment ago.
static bool all_known(const struct coordinator_request *request, const struct adding *adding)
{
    for (int32_t t = 0; t < adding->topic_count; t++)
        for (int32_t p = 0; p < adding->topics[t].partitions_count; p++)
            if (partition_refused(request, adding->topics[t].name, adding->topics[t].partitions[p]) ==
                KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION)
                return false;
    return true;
}

static bool waits_for_image(struct coordinator_request *request)
{
    const request_t *in = request->body;
    struct adding adding = adding_single(in);
    return request->version < VERSION_BATCHED && !all_known(request, &adding) && request_wait_image(request);
}

// ---- answers ----

static bool make_answers(struct coordinator_request *request, struct adding *adding)
{
    adding->out = arena_calloc(&request->arena, (size_t)adding->topic_count + 1, sizeof(topic_out));
    for (int32_t t = 0; adding->out != NULL && t < adding->topic_count; t++) {
        topic_out *out = &adding->out[t];
        out->name = adding->topics[t].name;
        out->results_by_partition_count = adding->topics[t].partitions_count;
        out->results_by_partition =
            arena_calloc(&request->arena, (size_t)out->results_by_partition_count + 1, sizeof(partition_out));
        if (out->results_by_partition == NULL)
            return false;
        for (int32_t p = 0; p < out->results_by_partition_count; p++)
            out->results_by_partition[p].partition_index = adding->topics[t].partitions[p];
    }
    return adding->out != NULL;
}

static void answer_all(const struct coordinator_request *request, const struct adding *adding, int16_t error)
{
    if (error == KAFKA_ERR_PRODUCER_FENCED && request->version < VERSION_FENCED)
        error = KAFKA_ERR_INVALID_PRODUCER_EPOCH;
    for (int32_t t = 0; t < adding->topic_count; t++)
        for (int32_t p = 0; p < adding->topics[t].partitions_count; p++)
            adding->out[t].results_by_partition[p].partition_error_code = error;
}

// Says of each partition why it cannot be added. With one of them nothing is done, and the others are told
// so.
static bool answer_refused(const struct coordinator_request *request, const struct adding *adding)
{
    bool any = false;
    answer_all(request, adding, KAFKA_ERR_OPERATION_NOT_ATTEMPTED);
    for (int32_t t = 0; t < adding->topic_count; t++) {
        for (int32_t p = 0; p < adding->topics[t].partitions_count; p++) {
            int16_t error =
                partition_refused(request, adding->topics[t].name, adding->topics[t].partitions[p]);
            if (error == KAFKA_ERR_NONE)
                continue;
            adding->out[t].results_by_partition[p].partition_error_code = error;
            any = true;
        }
    }
    return any;
}

// ---- adding ----

static void take_all(const struct adding *adding, struct txn_partitions *set)
{
    txn_partitions_init(set);
    for (int32_t t = 0; t < adding->topic_count; t++)
        for (int32_t p = 0; p < adding->topics[t].partitions_count; p++)
            txn_partitions_add(set, adding->topics[t].name, adding->topics[t].partitions[p]);
}

static bool has_all(const struct txn_cell *cell, const struct adding *adding)
{
    for (int32_t t = 0; cell != NULL && t < adding->topic_count; t++)
        for (int32_t p = 0; p < adding->topics[t].partitions_count; p++)
            if (!txn_partitions_has(&cell->partitions, adding->topics[t].name,
                                    adding->topics[t].partitions[p]))
                return false;
    return cell != NULL;
}

static int16_t add(struct coordinator_request *request, const struct adding *adding)
{
    const struct txn_cell *cell = txn_shard_find(request->txn_shard, adding->id);
    enum txn_flow flow = request->version >= VERSION_BATCHED ? TXN_FLOW_NEW : TXN_FLOW_OLD;
    struct txn_step step = txn_add(cell == NULL ? NULL : &cell->head, adding->who, flow,
                                   has_all(cell, adding), txn_shard_wall_ms(request->txn_shard));
    if (!step.write)
        return step.error;
    struct txn_partitions added;
    take_all(adding, &added);
    enum status status = txn_shard_write(request->txn_shard, adding->id, &step, &added);
    txn_partitions_fini(&added);
    if (status == ST_LIMIT)
        return KAFKA_ERR_INVALID_REQUEST;
    return status == ST_OK ? KAFKA_ERR_NONE : KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
}

static void verify(const struct coordinator_request *request, const struct adding *adding)
{
    const struct txn_cell *cell = txn_shard_find(request->txn_shard, adding->id);
    for (int32_t t = 0; t < adding->topic_count; t++) {
        for (int32_t p = 0; p < adding->topics[t].partitions_count; p++) {
            bool in_it = cell != NULL && txn_partitions_has(&cell->partitions, adding->topics[t].name,
                                                            adding->topics[t].partitions[p]);
            adding->out[t].results_by_partition[p].partition_error_code =
                txn_verify(cell == NULL ? NULL : &cell->head, adding->who, in_it);
        }
    }
}

static void run(struct coordinator_request *request, const struct adding *adding)
{
    if (adding->id.len == 0)
        answer_all(request, adding, KAFKA_ERR_INVALID_REQUEST);
    else if (!request_allowed_txn(request, adding->id))
        answer_all(request, adding, KAFKA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    else if (!request_owns_txn(request, adding->id))
        answer_all(request, adding, KAFKA_ERR_NOT_COORDINATOR);
    else if (adding->verify)
        verify(request, adding);
    else if (!answer_refused(request, adding))
        answer_all(request, adding, add(request, adding));
}

static bool run_batched(struct coordinator_request *request, response_t *response)
{
    const request_t *in = request->body;
    response->results_by_transaction =
        arena_calloc(&request->arena, (size_t)in->transactions_count + 1, sizeof(result_out));
    for (int32_t i = 0; response->results_by_transaction != NULL && i < in->transactions_count; i++) {
        struct adding adding = adding_of(&in->transactions[i]);
        if (!make_answers(request, &adding))
            return false;
        run(request, &adding);
        response->results_by_transaction[response->results_by_transaction_count++] =
            (result_out){.transactional_id = adding.id,
                         .topic_results = adding.out,
                         .topic_results_count = adding.topic_count};
    }
    return response->results_by_transaction != NULL;
}

static bool run_single(struct coordinator_request *request, response_t *response)
{
    struct adding adding = adding_single(request->body);
    if (!make_answers(request, &adding))
        return false;
    run(request, &adding);
    response->results_by_topic_v3_and_below = adding.out;
    response->results_by_topic_v3_and_below_count = adding.topic_count;
    return true;
}

void coordinator_add_partitions_to_txn(struct coordinator_request *request)
{
    if (waits_for_image(request))
        return;
    response_t response;
    kafka_defaults(&kafka_add_partitions_to_txn_response_message, &response);
    bool done = request->version >= VERSION_BATCHED ? run_batched(request, &response)
                                                    : run_single(request, &response);
    if (!done)
        response.error_code = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    request_answer(request, &response);
}
