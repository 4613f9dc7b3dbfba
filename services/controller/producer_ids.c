// SPDX-License-Identifier: Apache-2.0
// Blocks of producer ids: the record is committed before a block is told, so no id is given out twice.
#include "alter_isr.h"

#include "base/mem.h"

enum { BLOCK_IDS = 1000 };

struct answer {
    struct controller *controller;
    int64_t first;
    Millrace__ProducerIdsReply_Closure closure;
    struct rpc_call *call;
};

static void answer_send(void *context, enum status status)
{
    struct answer *answer = context;
    Millrace__ProducerIdsReply reply = MILLRACE__PRODUCER_IDS_REPLY__INIT;
    reply.first = answer->first;
    reply.count = BLOCK_IDS;
    if (status == ST_OK)
        answer->closure(&reply, answer->call);
    else
        controller_redirect(answer->controller, answer->call);
    mem_free(answer);
}

void producer_ids(struct controller *controller, const Millrace__ProducerIdsRequest *request,
                  Millrace__ProducerIdsReply_Closure closure, struct rpc_call *call)
{
    const struct image *image = metadata_image(controller->metadata);
    const struct image_node *node = image_node(image, request->node_id);
    if (node == NULL || node->incarnation != request->incarnation) {
        rpc_fail(call, ST_STALE, "not the registered incarnation of that node");
        return;
    }
    int64_t first = image_next_producer_id(image);
    struct decision decision;
    decision_init(&decision);
    decision_producer_ids(&decision, first + BLOCK_IDS);
    enum status status =
        first > INT64_MAX - BLOCK_IDS ? ST_OUT_OF_RANGE : metadata_append(controller->metadata, &decision);
    decision_fini(&decision);
    if (status != ST_OK) {
        rpc_fail(call, status == ST_LIMIT ? ST_AGAIN : status, "a block of producer ids cannot be written");
        return;
    }
    struct answer *answer = mem_calloc(1, sizeof *answer);
    *answer = (struct answer){.controller = controller, .first = first, .closure = closure, .call = call};
    metadata_when_committed(controller->metadata, answer_send, answer);
}
