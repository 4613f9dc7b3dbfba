// SPDX-License-Identifier: Apache-2.0
// See deliver.h.
#include "deliver.h"

#include "base/mem.h"
#include "kafka/batch.h"
#include "partitions_state.h"

enum { CALLS_MAX = 1000 }; // under way; more are refused and come again

struct delivery {
    struct deliveries *deliveries;
    struct wait wait;
    Millrace__Empty_Closure closure;
    struct rpc_call *call;
    struct delivery *next, *previous;
};

struct deliveries {
    struct partitions *partitions;
    struct delivery *first;
    int count;
};

static void delivery_free(struct delivery *delivery)
{
    struct deliveries *deliveries = delivery->deliveries;
    *(delivery->previous != NULL ? &delivery->previous->next : &deliveries->first) = delivery->next;
    if (delivery->next != NULL)
        delivery->next->previous = delivery->previous;
    deliveries->count--;
    mem_free(delivery);
}

static void on_committed(struct wait *wait, enum status status)
{
    struct delivery *delivery = wait->context;
    Millrace__Empty empty = MILLRACE__EMPTY__INIT;
    if (status == ST_OK)
        delivery->closure(&empty, delivery->call);
    else
        rpc_fail(delivery->call, status, "the append's outcome is not known");
    delivery_free(delivery);
}

static void hold(struct deliveries *deliveries, struct replica *replica, Millrace__Empty_Closure closure,
                 struct rpc_call *call)
{
    struct delivery *delivery = mem_calloc(1, sizeof *delivery);
    *delivery = (struct delivery){
        .deliveries = deliveries, .closure = closure, .call = call, .next = deliveries->first};
    if (deliveries->first != NULL)
        deliveries->first->previous = delivery;
    deliveries->first = delivery;
    deliveries->count++;
    wait_add(&replica->commit_waits, &delivery->wait, replica->state.log_end, on_committed, delivery);
    partitions_flush(deliveries->partitions);
}

// The replica when it may be appended to; *status says why not.
static struct replica *find(struct deliveries *deliveries, const Millrace__DeliverRequest *request,
                            enum status *status)
{
    struct uuid topic;
    struct replica *replica = NULL;
    bool fenced;
    *status = ST_MALFORMED;
    if (request->topic_id.len != sizeof topic.bytes)
        return NULL;
    memcpy(topic.bytes, request->topic_id.data, sizeof topic.bytes);
    replica = partitions_find(deliveries->partitions, topic, request->partition);
    *status = replica == NULL || replica->internal ? ST_NOT_LEADER : replica_lead(replica, -1, &fenced);
    if (*status == ST_OK && (replica->append_waits.first != NULL || deliveries->count >= CALLS_MAX ||
                             partition_isr_size(&replica->state) < partition_isr_needed(&replica->state)))
        *status = ST_AGAIN;
    return *status == ST_OK ? replica : NULL;
}

void deliveries_serve(struct deliveries *deliveries, const Millrace__DeliverRequest *request,
                      Millrace__Empty_Closure closure, struct rpc_call *call)
{
    enum status status;
    struct batch_header header;
    struct block *payload = rpc_call_payload(call);
    struct replica *replica = find(deliveries, request, &status);
    if (replica == NULL) {
        rpc_fail(call, status, "the partition takes nothing here now");
        return;
    }
    if (payload == NULL || batch_parse(block_slice(payload), &header) != ST_OK ||
        batch_size(&header) != payload->len || !batch_crc_ok(block_slice(payload), &header)) {
        rpc_fail(call, ST_MALFORMED, "the payload is not one whole record batch");
        return;
    }
    struct block *block = block_copy(block_slice(payload)); // offsets are written into it
    status = block != NULL ? replica_append(replica, block, 0, block->len, &header) : ST_NO_MEMORY;
    block_unref(&block);
    if (status == ST_OK)
        hold(deliveries, replica, closure, call);
    else
        rpc_fail(call, status, "cannot append");
}

struct deliveries *deliveries_new(struct partitions *partitions)
{
    struct deliveries *deliveries = mem_calloc(1, sizeof *deliveries);
    deliveries->partitions = partitions;
    return deliveries;
}

void deliveries_destroy(struct deliveries **pointer)
{
    struct deliveries *deliveries = *pointer;
    *pointer = NULL;
    while (deliveries->first != NULL) {
        wait_cancel(&deliveries->first->wait);
        rpc_fail(deliveries->first->call, ST_CLOSED, "the storage node stops");
        delivery_free(deliveries->first);
    }
    mem_free(deliveries);
}
