// SPDX-License-Identifier: Apache-2.0
// InitProducerId. An idempotent producer gets an id of the node's block and epoch 0 (KIP-360: one that comes
// with an id of its own gets a fresh one, too). A transactional producer's request goes to the owner of its
// transactional id.
#include "answer_handlers.h"

#include "cluster/producer_ids.h"
#include "kafka/messages/init_producer_id.h"
#include "relay_apis.h"
#include "storage.h"

struct waiting {
    struct storage_request *request;
    struct producer_ids_wait wait;
};

static void answer(struct storage_request *request, int16_t error, int64_t id)
{
    struct kafka_init_producer_id_response response;
    kafka_defaults(&kafka_init_producer_id_response_message, &response);
    response.error_code = error;
    response.producer_id = id;
    response.producer_epoch = error == KAFKA_ERR_NONE ? 0 : -1;
    storage_answer(request, &response);
}

static void waiting_on_id(void *context, enum status status, int64_t id)
{
    struct waiting *waiting = context;
    answer(waiting->request, status == ST_OK ? KAFKA_ERR_NONE : KAFKA_ERR_COORDINATOR_NOT_AVAILABLE, id);
}

static void waiting_on_cancelled(struct storage_request *request)
{
    struct waiting *waiting = request->held;
    producer_ids_cancel(&waiting->wait);
    storage_answer_none(request);
}

static void take_id(struct storage_request *request)
{
    struct waiting *waiting = arena_calloc(&request->arena, 1, sizeof *waiting);
    if (waiting == NULL) {
        storage_answer_close(request, "out of memory for an answer");
        return;
    }
    waiting->request = request;
    request->held = waiting;
    request->on_cancelled = waiting_on_cancelled;
    producer_ids_take(storage_producer_ids(request->storage), storage_node_id(request->storage),
                      &waiting->wait, waiting_on_id, waiting);
}

// An id without its epoch, or the other way round (KIP-360, KafkaApis.handleInitProducerIdRequest).
static bool half_named(const struct kafka_init_producer_id_request *asked)
{
    return (asked->producer_id == -1) != (asked->producer_epoch == -1);
}

void handle_init_producer_id(struct storage_request *request)
{
    const struct kafka_init_producer_id_request *asked = request->body;
    if ((asked->transactional_id.data != NULL && asked->transactional_id.len == 0) || half_named(asked))
        answer(request, KAFKA_ERR_INVALID_REQUEST, -1);
    else if (asked->transactional_id.data != NULL)
        relay_transaction(request);
    else if (!authorise(&request->principal, OPERATION_IDEMPOTENT_WRITE, RESOURCE_TYPE_CLUSTER,
                        slice_str(RESOURCE_CLUSTER_NAME)))
        answer(request, KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED, -1);
    else
        take_id(request);
}
