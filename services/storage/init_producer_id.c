// SPDX-License-Identifier: Apache-2.0
// InitProducerId for idempotent producers: an id of the node's block and epoch 0 (KIP-360: a producer that
// comes with an id of its own gets a fresh one, too). Transactional producers are not served yet and are told
// so by an error their clients do not repeat.
#include "answer_handlers.h"

#include "base/mem.h"
#include "cluster/controllers.h"
#include "kafka/messages/init_producer_id.h"
#include "producer_ids.h"
#include "storage.h"

enum { TIMEOUT_MS = 10000, WAITING_MAX = 10000 };

struct producer_ids {
    struct storage *storage;
    int64_t next, end; // ids of the block not given yet
    struct controllers_pending *asked;
    struct storage_request *first, *last; // waiting, linked by held
    int32_t waiting;
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

static struct storage_request *take_waiting(struct producer_ids *ids)
{
    struct storage_request *request = ids->first;
    ids->first = request->held;
    if (ids->first == NULL)
        ids->last = NULL;
    ids->waiting--;
    return request;
}

static void ask(struct producer_ids *ids);

static void serve_waiting(struct producer_ids *ids, int16_t error)
{
    while (ids->first != NULL && (error != KAFKA_ERR_NONE || ids->next < ids->end)) {
        struct storage_request *request = take_waiting(ids);
        if (error == KAFKA_ERR_NONE)
            answer(request, error, ids->next++);
        else
            answer(request, error, -1);
    }
    if (ids->first != NULL)
        ask(ids);
}

static void ids_on_block(void *context, enum status status, const ProtobufCMessage *reply,
                         struct slice payload, const char *text)
{
    struct producer_ids *ids = context;
    const Millrace__ProducerIdsReply *block = (const void *)reply;
    ids->asked = NULL;
    if (status == ST_OK && block->count > 0 && block->first >= 0) {
        ids->next = block->first;
        ids->end = block->first + block->count;
        serve_waiting(ids, KAFKA_ERR_NONE);
    } else {
        serve_waiting(ids, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE);
    }
}

static void ask(struct producer_ids *ids)
{
    if (ids->asked != NULL)
        return;
    Millrace__ProducerIdsRequest request = MILLRACE__PRODUCER_IDS_REQUEST__INIT;
    request.node_id = storage_node_id(ids->storage);
    request.incarnation = storage_incarnation(ids->storage);
    struct controllers_call call = {.method = "AllocateProducerIds",
                                    .request = &request.base,
                                    .timeout_ms = TIMEOUT_MS,
                                    .idempotent = true, // a second block only leaves a gap
                                    .done = ids_on_block,
                                    .context = ids};
    ids->asked = controllers_invoke(storage_controllers(ids->storage), &call);
}

static void ids_on_cancelled(struct storage_request *request)
{
    struct producer_ids *ids = storage_producer_ids(request->storage);
    struct storage_request *previous = NULL;
    for (struct storage_request *at = ids->first; at != request; at = at->held)
        previous = at;
    if (previous != NULL)
        previous->held = request->held;
    else
        ids->first = request->held;
    if (ids->last == request)
        ids->last = previous;
    ids->waiting--;
    storage_answer_none(request);
}

struct producer_ids *producer_ids_new(struct storage *storage)
{
    struct producer_ids *ids = mem_calloc(1, sizeof *ids);
    ids->storage = storage;
    return ids;
}

void producer_ids_destroy(struct producer_ids **pointer)
{
    struct producer_ids *ids = *pointer;
    *pointer = NULL;
    if (ids == NULL)
        return;
    if (ids->asked != NULL)
        controllers_cancel(storage_controllers(ids->storage), &ids->asked);
    while (ids->first != NULL)
        storage_answer_close(take_waiting(ids), "the node stops");
    mem_free(ids);
}

void producer_ids_answer(struct producer_ids *ids, struct storage_request *request)
{
    if (ids->first == NULL && ids->next < ids->end) {
        answer(request, KAFKA_ERR_NONE, ids->next++);
        return;
    }
    if (ids->waiting >= WAITING_MAX) {
        answer(request, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE, -1);
        return;
    }
    request->held = NULL;
    request->on_cancelled = ids_on_cancelled;
    if (ids->last != NULL)
        ids->last->held = request;
    else
        ids->first = request;
    ids->last = request;
    ids->waiting++;
    ask(ids);
}

void handle_init_producer_id(struct storage_request *request)
{
    const struct kafka_init_producer_id_request *asked = request->body;
    if (asked->transactional_id.data != NULL)
        answer(request,
               asked->transactional_id.len == 0 ? KAFKA_ERR_INVALID_REQUEST : KAFKA_ERR_UNSUPPORTED_VERSION,
               -1);
    else if (!authorise(&request->principal, OPERATION_IDEMPOTENT_WRITE, RESOURCE_TYPE_CLUSTER,
                        slice_str(RESOURCE_CLUSTER_NAME)))
        answer(request, KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED, -1);
    else
        producer_ids_answer(storage_producer_ids(request->storage), request);
}
