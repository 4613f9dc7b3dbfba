// SPDX-License-Identifier: Apache-2.0
// See isr.h. One request is under way at a time; what is proposed meanwhile goes with the next.
#include "isr.h"

#include "base/assert.h"
#include "base/mem.h"
#include "partitions_state.h"

enum { ISR_BATCH_MAX = 1000, ISR_TIMEOUT_MS = 2000, ISR_RETRY_MS = 50 };

struct isr {
    struct partitions *partitions;
    struct replica *first, *last; // queued
    struct timer timer;
    struct controllers_pending *pending;
    struct isr_sent { // what the request under way proposes, in its order
        struct uuid topic_id;
        int32_t index;
        int32_t leader_epoch;
        int32_t partition_epoch;
    } * sent;
    int sent_count;
};

static void isr_send(struct timer *timer);

struct isr *isr_new(struct partitions *partitions)
{
    struct isr *isr = mem_calloc(1, sizeof *isr);
    isr->partitions = partitions;
    timer_init(&isr->timer, isr_send, isr);
    return isr;
}

void isr_destroy(struct isr **pointer)
{
    struct isr *isr = *pointer;
    *pointer = NULL;
    timer_stop(isr->partitions->options.env, &isr->timer);
    if (isr->pending != NULL)
        controllers_cancel(isr->partitions->options.controllers, &isr->pending);
    mem_free(isr->sent);
    mem_free(isr);
}

static void isr_kick(struct isr *isr, int64_t delay_ms)
{
    if (isr->pending == NULL && isr->first != NULL && !timer_running(&isr->timer))
        timer_start_ms(isr->partitions->options.env, &isr->timer, delay_ms);
}

void isr_propose(struct isr *isr, struct replica *replica)
{
    if (replica->isr_queued)
        return;
    replica->isr_queued = true;
    replica->isr_next = NULL;
    *(isr->last ? &isr->last->isr_next : &isr->first) = replica;
    isr->last = replica;
    isr_kick(isr, 0);
}

void isr_forget(struct isr *isr, struct replica *replica)
{
    if (!replica->isr_queued)
        return;
    struct replica *previous = NULL;
    for (struct replica *at = isr->first; at != NULL; previous = at, at = at->isr_next) {
        if (at != replica)
            continue;
        *(previous ? &previous->isr_next : &isr->first) = replica->isr_next;
        if (isr->last == replica)
            isr->last = previous;
        break;
    }
    replica->isr_queued = false;
    replica->isr_next = NULL;
}

static void entry_fill(Millrace__AlterIsrPartition *entry, const struct replica *replica)
{
    const struct partition *state = &replica->state;
    entry->topic_id = (ProtobufCBinaryData){.len = 16, .data = (uint8_t *)(uintptr_t)replica->topic_id.bytes};
    entry->partition = replica->index;
    entry->leader_epoch = state->leader_epoch;
    entry->partition_epoch = state->partition_epoch;
    entry->isr = mem_calloc((size_t)state->replica_count, sizeof *entry->isr);
    for (int i = 0; i < state->replica_count; i++) {
        if (!state->replicas[i].proposed)
            continue;
        Millrace__IsrMember *member = mem_calloc(1, sizeof *member);
        millrace__isr_member__init(member);
        member->node_id = state->replicas[i].node;
        member->incarnation = state->replicas[i].incarnation;
        entry->isr[entry->n_isr++] = member;
    }
}

static void request_free(Millrace__AlterIsrRequest *request)
{
    for (size_t i = 0; i < request->n_partitions; i++) {
        for (size_t k = 0; k < request->partitions[i]->n_isr; k++)
            mem_free(request->partitions[i]->isr[k]);
        mem_free(request->partitions[i]->isr);
        mem_free(request->partitions[i]);
    }
    mem_free(request->partitions);
}

static void refused(struct replica *replica, int32_t partition_epoch)
{
    int change = partition_refused(&replica->state, partition_epoch);
    if (!replica->state.proposal_open)
        replica->isr_retry_us = env_now_us(replica->partitions->options.env) + ISR_RETRY_MS * 4000;
    replica_act(replica, change);
}

// result NULL: the call failed. What it asked for may have been carried out at an earlier attempt, whatever
// the last one was told: the proposal stays open and is sent again.
static void result_take(struct isr *isr, const struct isr_sent *sent, const Millrace__AlterIsrResult *result)
{
    struct replica *replica = partitions_find(isr->partitions, sent->topic_id, sent->index);
    if (replica == NULL || !replica->state.proposal_open ||
        replica->state.leader_epoch != sent->leader_epoch ||
        replica->state.partition_epoch != sent->partition_epoch)
        return;
    if (result == NULL)
        isr_propose(isr, replica);
    else if (result->status != ST_OK) // else the image will bring the new set
        refused(replica, result->has_partition_epoch ? result->partition_epoch : -1);
}

static void isr_on_reply(void *context, enum status status, const ProtobufCMessage *message,
                         struct slice payload, const char *text)
{
    struct isr *isr = context;
    const Millrace__AlterIsrReply *reply = (const Millrace__AlterIsrReply *)message;
    struct isr_sent *sent = isr->sent;
    int count = isr->sent_count;
    isr->pending = NULL;
    isr->sent = NULL;
    isr->sent_count = 0;
    for (int i = 0; i < count; i++) {
        bool answered = status == ST_OK && (size_t)i < reply->n_partitions;
        result_take(isr, &sent[i], answered ? reply->partitions[i] : NULL);
    }
    mem_free(sent);
    isr_kick(isr, status == ST_OK ? 0 : ISR_RETRY_MS);
}

static void isr_send(struct timer *timer)
{
    struct isr *isr = timer->context;
    const struct partitions_options *options = &isr->partitions->options;
    if (isr->pending != NULL || isr->first == NULL)
        return;
    Millrace__AlterIsrRequest request = MILLRACE__ALTER_ISR_REQUEST__INIT;
    request.node_id = options->node_id;
    request.incarnation = options->incarnation;
    request.partitions = mem_calloc(ISR_BATCH_MAX, sizeof *request.partitions);
    isr->sent = mem_calloc(ISR_BATCH_MAX, sizeof *isr->sent);
    while (isr->first != NULL && isr->sent_count < ISR_BATCH_MAX) {
        struct replica *replica = isr->first;
        isr_forget(isr, replica);
        if (!replica->state.proposal_open || replica->state.role != PARTITION_LEADER)
            continue;
        Millrace__AlterIsrPartition *entry = mem_calloc(1, sizeof *entry);
        millrace__alter_isr_partition__init(entry);
        entry_fill(entry, replica);
        request.partitions[request.n_partitions++] = entry;
        isr->sent[isr->sent_count++] = (struct isr_sent){.topic_id = replica->topic_id,
                                                         .index = replica->index,
                                                         .leader_epoch = entry->leader_epoch,
                                                         .partition_epoch = entry->partition_epoch};
    }
    if (isr->sent_count > 0) {
        struct controllers_call call = {.method = "AlterIsr",
                                        .request = &request.base,
                                        .timeout_ms = ISR_TIMEOUT_MS,
                                        .idempotent = true,
                                        .done = isr_on_reply,
                                        .context = isr};
        isr->pending = controllers_invoke(options->controllers, &call);
    } else {
        mem_free(isr->sent);
        isr->sent = NULL;
    }
    request_free(&request);
}
