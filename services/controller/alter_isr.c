// SPDX-License-Identifier: Apache-2.0
// See alter_isr.h. A member that has restarted since it was seen in sync carries another incarnation and is
// refused (KAFKA-15221): what it had when it was counted may be gone.
#include "alter_isr.h"

#include "base/assert.h"
#include "base/mem.h"
#include "nodes.h"
#include "reassign.h"

enum { PARTITIONS_MAX = 10000 };

struct answer {
    struct controller *controller;
    size_t count;
    Millrace__AlterIsrResult *results;
    Millrace__AlterIsrReply_Closure closure;
    struct rpc_call *call;
};

static void answer_send(void *context, enum status status)
{
    struct answer *answer = context;
    if (status == ST_OK) {
        Millrace__AlterIsrReply reply = MILLRACE__ALTER_ISR_REPLY__INIT;
        reply.n_partitions = answer->count;
        reply.partitions = mem_calloc(answer->count + 1, sizeof *reply.partitions);
        for (size_t i = 0; i < answer->count; i++)
            reply.partitions[i] = &answer->results[i];
        answer->closure(&reply, answer->call);
        mem_free(reply.partitions);
    } else {
        controller_redirect(answer->controller, answer->call);
    }
    mem_free(answer->results);
    mem_free(answer);
}

static const struct image_partition *find(const struct image *image,
                                          const Millrace__AlterIsrPartition *wanted, struct uuid *topic)
{
    if (wanted->topic_id.len != 16)
        return NULL;
    memcpy(topic->bytes, wanted->topic_id.data, 16);
    return image_partition(image, *topic, wanted->partition);
}

static enum status check_members(const struct image *image, const struct image_partition *now,
                                 const Millrace__AlterIsrPartition *wanted, int32_t leader)
{
    bool has_leader = false;
    for (size_t i = 0; i < wanted->n_isr; i++) {
        const Millrace__IsrMember *member = wanted->isr[i];
        const struct image_node *node = image_node(image, member->node_id);
        if (!image_ids_have(&now->replicas, member->node_id))
            return ST_INVALID;
        for (size_t k = 0; k < i; k++)
            if (wanted->isr[k]->node_id == member->node_id)
                return ST_INVALID;
        has_leader |= member->node_id == leader;
        if (node == NULL)
            return ST_STALE;
#ifndef PLANTED_STALE_INCARNATION_JOINS_ISR
        if (node->incarnation != member->incarnation)
            return ST_STALE;
#endif
        // A fenced or failed one may stay in the set (what made it so took it out, or it is the last), not
        // come in.
        bool out = node->fenced || image_ids_have(&now->failed, member->node_id);
        if (out && !image_ids_have(&now->isr, member->node_id))
            return ST_STALE;
    }
    return has_leader ? ST_OK : ST_INVALID;
}

static enum status check(const struct image *image, const Millrace__AlterIsrRequest *request,
                         const Millrace__AlterIsrPartition *wanted, struct uuid *topic)
{
    const struct image_partition *now = find(image, wanted, topic);
    if (now == NULL)
        return ST_NOT_FOUND;
    if (now->leader != request->node_id)
        return ST_NOT_LEADER;
    if (wanted->leader_epoch != now->leader_epoch || wanted->partition_epoch != now->partition_epoch)
        return ST_STALE;
    return check_members(image, now, wanted, request->node_id);
}

// Members in the order of the replicas, so that the same set is always the same record.
static struct image_ids in_order(struct arena *arena, const struct image_partition *now,
                                 const Millrace__AlterIsrPartition *wanted)
{
    int32_t *ids = arena_calloc(arena, wanted->n_isr + 1, sizeof *ids);
    size_t count = 0;
    ASSERT(ids != NULL);
    for (size_t i = 0; i < now->replicas.count; i++)
        for (size_t k = 0; k < wanted->n_isr; k++)
            if (wanted->isr[k]->node_id == now->replicas.ids[i])
                ids[count++] = now->replicas.ids[i];
    return (struct image_ids){.ids = ids, .count = count};
}

static void decide(struct controller *controller, const Millrace__AlterIsrRequest *request,
                   const Millrace__AlterIsrPartition *wanted, struct decision *decision,
                   Millrace__AlterIsrResult *result)
{
    struct uuid topic;
    const struct image *image = metadata_image(controller->metadata);
    enum status status = check(image, request, wanted, &topic);
    const struct image_partition *now = find(image, wanted, &topic);
    result->status = (int32_t)status;
    result->has_partition_epoch = now != NULL;
    result->partition_epoch = now != NULL ? now->partition_epoch : -1;
    if (status != ST_OK)
        return;
    struct image_partition next = *now;
    next.isr = in_order(&decision->arena, now, wanted);
    next.partition_epoch++;
    struct elect_view view = nodes_view(controller);
    reassign_finish(now, &view, &decision->arena, &next);
    result->partition_epoch = next.partition_epoch;
    decision_partition(decision, topic, &next);
}

static bool names_twice(const Millrace__AlterIsrRequest *request)
{
    for (size_t i = 1; i < request->n_partitions; i++) // only neighbours: senders go through them in order
        if (request->partitions[i]->partition == request->partitions[i - 1]->partition &&
            request->partitions[i]->topic_id.len == request->partitions[i - 1]->topic_id.len &&
            memcmp(request->partitions[i]->topic_id.data, request->partitions[i - 1]->topic_id.data,
                   request->partitions[i]->topic_id.len) == 0)
            return true;
    return false;
}

void alter_isr(struct controller *controller, const Millrace__AlterIsrRequest *request,
               Millrace__AlterIsrReply_Closure closure, struct rpc_call *call)
{
    const struct image *image = metadata_image(controller->metadata);
    const struct image_node *node = image_node(image, request->node_id);
    if (node == NULL || node->incarnation != request->incarnation || node->fenced) {
        rpc_fail(call, ST_STALE, "not the registered, unfenced incarnation of that node");
        return;
    }
    if (request->n_partitions > PARTITIONS_MAX || names_twice(request)) {
        rpc_fail(call, ST_INVALID, "too many partitions, or one named twice");
        return;
    }
    struct answer *answer = mem_calloc(1, sizeof *answer);
    *answer = (struct answer){
        .controller = controller, .count = request->n_partitions, .closure = closure, .call = call};
    answer->results = mem_calloc(request->n_partitions + 1, sizeof *answer->results);
    struct decision decision;
    decision_init(&decision);
    for (size_t i = 0; i < request->n_partitions; i++) {
        millrace__alter_isr_result__init(&answer->results[i]);
        decide(controller, request, request->partitions[i], &decision, &answer->results[i]);
        if (answer->results[i].status != ST_OK)
            DIAG_DEBUG(&controller->env->diag, "ISR change refused node=%d partition=%d epoch=%d why=%s",
                       request->node_id, request->partitions[i]->partition,
                       request->partitions[i]->partition_epoch,
                       status_text((enum status)answer->results[i].status));
    }
    enum status status = metadata_append(controller->metadata, &decision);
    decision_fini(&decision);
    if (status == ST_OK) {
        metadata_when_committed(controller->metadata, answer_send, answer);
        return;
    }
    mem_free(answer->results);
    mem_free(answer);
    rpc_fail(call, status == ST_LIMIT ? ST_AGAIN : status, "the change cannot be written");
}
