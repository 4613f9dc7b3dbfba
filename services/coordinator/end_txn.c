// SPDX-License-Identifier: Apache-2.0
// EndTxn: commits or aborts. Answered when that is decided for good; the logs are told afterwards. From
// version 5 on in the flow of KIP-890: the answer says which producer id and epoch come next.
#include "apis.h"
#include "fresh_id.h"
#include "kafka/messages/end_txn.h"

typedef struct kafka_end_txn_request request_t;
typedef struct kafka_end_txn_response response_t;

enum { VERSION_FENCED = 2, VERSION_NEW_FLOW = 5 };

static void answer(struct coordinator_request *request, int16_t error, struct txn_producer told)
{
    response_t response;
    kafka_defaults(&kafka_end_txn_response_message, &response);
    if (error == KAFKA_ERR_PRODUCER_FENCED && request->version < VERSION_FENCED)
        error = KAFKA_ERR_INVALID_PRODUCER_EPOCH;
    response.error_code = error;
    if (error == KAFKA_ERR_NONE) {
        response.producer_id = told.id;
        response.producer_epoch = told.epoch;
    }
    request_answer(request, &response);
}

static void decide(struct coordinator_request *request, int64_t fresh_id)
{
    const request_t *in = request->body;
    const struct txn_cell *cell = txn_shard_find(request->txn_shard, in->transactional_id);
    struct txn_producer who = {in->producer_id, in->producer_epoch};
    enum txn_flow flow = request->version >= VERSION_NEW_FLOW ? TXN_FLOW_NEW : TXN_FLOW_OLD;
    struct txn_step step = txn_end(cell == NULL ? NULL : &cell->head, who, in->committed, flow, fresh_id,
                                   txn_shard_wall_ms(request->txn_shard));
    int16_t error;
    if (fresh_id_carry_out(request, in->transactional_id, &step, &error))
        answer(request, error, step.told);
}

static int16_t refused(const struct coordinator_request *request)
{
    const request_t *in = request->body;
    if (in->transactional_id.len == 0)
        return KAFKA_ERR_INVALID_REQUEST;
    return request_allowed_txn(request, in->transactional_id)
               ? KAFKA_ERR_NONE
               : KAFKA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
}

void coordinator_end_txn(struct coordinator_request *request)
{
    int64_t fresh_id;
    enum status status = fresh_id_take(request, &fresh_id);
    int16_t error = status == ST_OK ? refused(request) : KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    if (error != KAFKA_ERR_NONE)
        answer(request, error, (struct txn_producer){-1, -1});
    else
        decide(request, fresh_id);
}
