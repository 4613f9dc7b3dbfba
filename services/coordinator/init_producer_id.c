// SPDX-License-Identifier: Apache-2.0
// InitProducerId of a transactional producer: it fences whoever had its id before. A fresh producer id may
// have to be fetched first; then the request is decided once more.
#include "apis.h"
#include "fresh_id.h"
#include "kafka/messages/init_producer_id.h"

typedef struct kafka_init_producer_id_request request_t;
typedef struct kafka_init_producer_id_response response_t;

enum { VERSION_FENCED = 4 }; // PRODUCER_FENCED instead of INVALID_PRODUCER_EPOCH (KIP-588)

static void answer(struct coordinator_request *request, int16_t error, struct txn_producer told)
{
    response_t response;
    kafka_defaults(&kafka_init_producer_id_response_message, &response);
    if (error == KAFKA_ERR_PRODUCER_FENCED && request->version < VERSION_FENCED)
        error = KAFKA_ERR_INVALID_PRODUCER_EPOCH;
    response.error_code = error;
    response.producer_id = error == KAFKA_ERR_NONE ? told.id : -1;
    response.producer_epoch = error == KAFKA_ERR_NONE ? told.epoch : -1;
    request_answer(request, &response);
}

static int16_t refused(const struct coordinator_request *request)
{
    const request_t *in = request->body;
    if (!request_allowed_txn(request, in->transactional_id))
        return KAFKA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    int32_t most = txn_shard_options(request->txn_shard)->settings->timeout_ms_max;
    if (in->transaction_timeout_ms <= 0 || in->transaction_timeout_ms > most)
        return KAFKA_ERR_INVALID_TRANSACTION_TIMEOUT;
    if ((in->producer_id < 0) != (in->producer_epoch < 0))
        return KAFKA_ERR_INVALID_REQUEST;
    bool known = txn_shard_find(request->txn_shard, in->transactional_id) != NULL;
    if (!known && !txn_shard_has_room(request->txn_shard))
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    return KAFKA_ERR_NONE;
}

static void decide(struct coordinator_request *request, int64_t fresh_id)
{
    const request_t *in = request->body;
    const struct txn_cell *cell = txn_shard_find(request->txn_shard, in->transactional_id);
    struct txn_init init = {.timeout_ms = in->transaction_timeout_ms,
                            .expected = {in->producer_id, in->producer_epoch}};
    struct txn_step step =
        txn_init(cell == NULL ? NULL : &cell->head, &init, fresh_id, txn_shard_wall_ms(request->txn_shard));
    int16_t error;
    if (fresh_id_carry_out(request, in->transactional_id, &step, &error))
        answer(request, error, step.told);
}

void coordinator_init_producer_id(struct coordinator_request *request)
{
    int64_t fresh_id;
    enum status status = fresh_id_take(request, &fresh_id);
    int16_t error = status == ST_OK ? refused(request) : KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    if (error != KAFKA_ERR_NONE)
        answer(request, error, (struct txn_producer){-1, -1});
    else
        decide(request, fresh_id);
}
