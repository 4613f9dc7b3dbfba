// SPDX-License-Identifier: Apache-2.0
// See report_replicas.h.
#include "report_replicas.h"

#include "base/mem.h"
#include "settle.h"

enum { REPORTS_MAX = 10000 };

struct answer {
    struct controller *controller;
    Millrace__Empty_Closure closure;
    struct rpc_call *call;
};

static void answer_send(void *context, enum status status)
{
    struct answer *answer = context;
    Millrace__Empty reply = MILLRACE__EMPTY__INIT;
    if (status == ST_OK)
        answer->closure(&reply, answer->call);
    else
        controller_redirect(answer->controller, answer->call);
    mem_free(answer);
}

static void report_take(struct controller *controller, struct decision *decision, int32_t node,
                        const Millrace__ReplicaReport *report)
{
    struct uuid id;
    if (report->topic_id.len != sizeof id.bytes)
        return;
    memcpy(id.bytes, report->topic_id.data, sizeof id.bytes);
    const struct image_topic *topic = image_topic(metadata_image(controller->metadata), id);
    const struct image_partition *now =
        topic != NULL ? image_topic_partition(topic, report->partition) : NULL;
    if (now != NULL && now->partition_epoch == report->partition_epoch &&
        image_ids_have(&now->replicas, node))
        settle_report(controller, decision, topic, now, node, report->condition);
}

// A partition named twice would be decided twice on the same state: senders name each once.
static bool names_twice(const Millrace__ReportReplicasRequest *request)
{
    for (size_t i = 1; i < request->n_replicas; i++) {
        const Millrace__ReplicaReport *a = request->replicas[i - 1], *b = request->replicas[i];
        if (a->partition == b->partition && a->topic_id.len == b->topic_id.len &&
            memcmp(a->topic_id.data, b->topic_id.data, a->topic_id.len) == 0)
            return true;
    }
    return false;
}

void report_replicas(struct controller *controller, const Millrace__ReportReplicasRequest *request,
                     Millrace__Empty_Closure closure, struct rpc_call *call)
{
    const struct image_node *node = image_node(metadata_image(controller->metadata), request->node_id);
    if (node == NULL || node->incarnation != request->incarnation) {
        rpc_fail(call, ST_STALE, "not the registered incarnation of that node");
        return;
    }
    if (request->n_replicas > REPORTS_MAX || names_twice(request)) {
        rpc_fail(call, ST_INVALID, "too many replicas, or one named twice");
        return;
    }
    struct decision decision;
    decision_init(&decision);
    for (size_t i = 0; i < request->n_replicas; i++)
        report_take(controller, &decision, request->node_id, request->replicas[i]);
    enum status status = metadata_append(controller->metadata, &decision);
    decision_fini(&decision);
    if (status != ST_OK) {
        rpc_fail(call, status == ST_LIMIT ? ST_AGAIN : status, "the change cannot be written");
        return;
    }
    struct answer *answer = mem_calloc(1, sizeof *answer);
    *answer = (struct answer){.controller = controller, .closure = closure, .call = call};
    metadata_when_committed(controller->metadata, answer_send, answer);
}
