// SPDX-License-Identifier: Apache-2.0
// ListTransactions: the transactional ids of all shards of this process; the storage nodes share them out
// among themselves. By state, producer id, age and, from version 2 on, a regular expression (KIP-1152).
#include "apis.h"
#include "coordinator_state.h"
#include "kafka/messages/list_transactions.h"
#include "regex.h"

typedef struct kafka_list_transactions_request request_t;
typedef struct kafka_list_transactions_response response_t;
typedef struct kafka_list_transactions_response_transaction_state listed_t;

// Names of Kafka's states that none of ours ever is in: asking for them is no mistake.
static bool state_known(struct slice name)
{
    for (int state = TXN_EMPTY; txn_state_known(state); state++)
        if (slice_is(name, txn_state_text((enum txn_state)state)))
            return true;
    return slice_is(name, "Dead") || slice_is(name, "PrepareEpochFence");
}

static bool state_wanted(const request_t *in, enum txn_state state)
{
    for (int32_t i = 0; i < in->state_filters_count; i++)
        if (slice_is(in->state_filters[i], txn_state_text(state)))
            return true;
    return in->state_filters_count == 0;
}

static bool producer_wanted(const request_t *in, int64_t producer_id)
{
    for (int32_t i = 0; i < in->producer_id_filters_count; i++)
        if (in->producer_id_filters[i] == producer_id)
            return true;
    return in->producer_id_filters_count == 0;
}

static bool id_wanted(const struct regex *pattern, struct slice id)
{
    return pattern == NULL || regex_matches(pattern, (const char *)id.data, id.len);
}

static bool wanted(const struct coordinator_request *request, const struct regex *pattern,
                   const struct txn_cell *cell)
{
    const request_t *in = request->body;
    int64_t age_ms = txn_shard_wall_ms(cell->shard) - cell->head.started_ms;
    return state_wanted(in, cell->head.state) && producer_wanted(in, cell->head.producer_id) &&
           (in->duration_filter < 0 || age_ms > in->duration_filter) &&
           id_wanted(pattern, block_slice(cell->id)) && request_allowed_txn(request, block_slice(cell->id));
}

static void list_shard(const struct coordinator_request *request, const struct regex *pattern,
                       const struct txn_shard *shard, response_t *response)
{
    struct txn_cell *cell;
    for (struct map_entry *at = NULL; txn_shard_next(shard, &at, &cell);)
        if (wanted(request, pattern, cell))
            response->transaction_states[response->transaction_states_count++] =
                (listed_t){.transactional_id = block_slice(cell->id),
                           .producer_id = cell->head.producer_id,
                           .transaction_state = slice_str(txn_state_text(cell->head.state))};
}

static bool put_unknown(struct coordinator_request *request, response_t *response)
{
    const request_t *in = request->body;
    response->unknown_state_filters = arena_calloc(&request->arena, (size_t)in->state_filters_count + 1,
                                                   sizeof *response->unknown_state_filters);
    for (int32_t i = 0; response->unknown_state_filters != NULL && i < in->state_filters_count; i++)
        if (!state_known(in->state_filters[i]))
            response->unknown_state_filters[response->unknown_state_filters_count++] = in->state_filters[i];
    return response->unknown_state_filters != NULL;
}

// Kafka's order: an expression that is none is told before anything is listed. *pattern stays NULL without
// one, and for an empty one.
static int16_t take_pattern(const request_t *in, struct regex **pattern)
{
    struct slice text = in->transactional_id_pattern;
    *pattern = text.len == 0 ? NULL : regex_new((const char *)text.data, text.len);
    return text.len == 0 || *pattern != NULL ? KAFKA_ERR_NONE : KAFKA_ERR_INVALID_REGULAR_EXPRESSION;
}

static void list_all(struct coordinator_request *request, const struct regex *pattern, response_t *response)
{
    const struct map *shards = &request->coordinator->txn_shards;
    size_t count = 0;
    void *value;
    for (struct map_entry *at = NULL; map_next(shards, &at, NULL, &value);)
        count += txn_shard_count(value);
    response->transaction_states = arena_calloc(&request->arena, count + 1, sizeof(listed_t));
    bool done = response->transaction_states != NULL && put_unknown(request, response);
    if (!done)
        response->error_code = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    for (struct map_entry *at = NULL; done && map_next(shards, &at, NULL, &value);)
        list_shard(request, pattern, value, response);
}

void coordinator_list_transactions(struct coordinator_request *request)
{
    response_t response;
    struct regex *pattern;
    kafka_defaults(&kafka_list_transactions_response_message, &response);
    response.error_code = take_pattern(request->body, &pattern);
    if (response.error_code == KAFKA_ERR_NONE)
        list_all(request, pattern, &response);
    regex_destroy(&pattern);
    request_answer(request, &response);
}
