// SPDX-License-Identifier: Apache-2.0
// See producer_ids.h.
#include "cluster/producer_ids.h"

#include "base/assert.h"
#include "base/mem.h"
#include "protos/controller.pb-c.h"

enum { TIMEOUT_MS = 10000, WAITING_MAX = 10000 };

struct producer_ids {
    struct controllers *controllers;
    uint64_t incarnation;
    int32_t node_id;
    int64_t next, end; // ids of the block not given yet
    struct controllers_pending *asked;
    struct producer_ids_wait *first, *last;
    int32_t waiting;
};

static void wait_unlink(struct producer_ids_wait *wait)
{
    struct producer_ids *ids = wait->ids;
    *(wait->previous != NULL ? &wait->previous->next : &ids->first) = wait->next;
    *(wait->next != NULL ? &wait->next->previous : &ids->last) = wait->previous;
    ids->waiting--;
    *wait = (struct producer_ids_wait){.done = wait->done, .context = wait->context};
}

static void ask(struct producer_ids *ids);

// Who waited may wait again at once, or cancel others: the list is looked at afresh each time.
static void serve(struct producer_ids *ids, enum status status)
{
    int32_t most = ids->waiting;
    for (; ids->first != NULL && most > 0 && (status != ST_OK || ids->next < ids->end); most--) {
        struct producer_ids_wait *wait = ids->first;
        wait_unlink(wait);
        wait->done(wait->context, status, status == ST_OK ? ids->next++ : -1);
    }
    if (ids->first != NULL)
        ask(ids);
}

static void on_block(void *context, enum status status, const ProtobufCMessage *reply, struct slice payload,
                     const char *text)
{
    struct producer_ids *ids = context;
    const Millrace__ProducerIdsReply *block = (const void *)reply;
    ids->asked = NULL;
    if (status == ST_OK && (block->count <= 0 || block->first < 0))
        status = ST_MALFORMED;
    if (status == ST_OK) {
        ids->next = block->first;
        ids->end = block->first + block->count;
    }
    serve(ids, status);
}

static void ask(struct producer_ids *ids)
{
    if (ids->asked != NULL)
        return;
    Millrace__ProducerIdsRequest request = MILLRACE__PRODUCER_IDS_REQUEST__INIT;
    request.node_id = ids->node_id;
    request.incarnation = ids->incarnation;
    struct controllers_call call = {.method = "AllocateProducerIds",
                                    .request = &request.base,
                                    .timeout_ms = TIMEOUT_MS,
                                    .idempotent = true, // a second block only leaves a gap
                                    .done = on_block,
                                    .context = ids};
    ids->asked = controllers_invoke(ids->controllers, &call);
}

struct producer_ids *producer_ids_new(struct controllers *controllers, uint64_t incarnation)
{
    struct producer_ids *ids = mem_calloc(1, sizeof *ids);
    *ids = (struct producer_ids){.controllers = controllers, .incarnation = incarnation, .node_id = -1};
    return ids;
}

void producer_ids_destroy(struct producer_ids **pointer)
{
    struct producer_ids *ids = *pointer;
    *pointer = NULL;
    if (ids == NULL)
        return;
    while (ids->first != NULL)
        wait_unlink(ids->first);
    if (ids->asked != NULL)
        controllers_cancel(ids->controllers, &ids->asked);
    mem_free(ids);
}

void producer_ids_take(struct producer_ids *ids, int32_t node_id, struct producer_ids_wait *wait,
                       producer_ids_fn *done, void *context)
{
    ASSERT(wait->ids == NULL);
    ids->node_id = node_id;
    if (ids->first == NULL && ids->next < ids->end) {
        done(context, ST_OK, ids->next++);
        return;
    }
    if (ids->waiting >= WAITING_MAX) {
        done(context, ST_LIMIT, -1);
        return;
    }
    *wait = (struct producer_ids_wait){.ids = ids, .done = done, .context = context, .previous = ids->last};
    *(ids->last != NULL ? &ids->last->next : &ids->first) = wait;
    ids->last = wait;
    ids->waiting++;
    ask(ids);
}

void producer_ids_cancel(struct producer_ids_wait *wait)
{
    if (wait->ids != NULL)
        wait_unlink(wait);
}
