// SPDX-License-Identifier: Apache-2.0
// See add_to_transaction.h.
#include "add_to_transaction.h"

#include "base/mem.h"
#include "cluster/shard.h"

struct adding {
    struct txn_hold hold; // first member
    struct ledger_wait wait;
    struct coordinator *coordinator;
    struct block *id;
    struct txn_producer who;
    char *topic;
    int32_t partition;
    bool add;
    int16_t error;
    int64_t started_ms;
    Millrace__AddToTransactionReply_Closure closure;
    struct rpc_call *call;
};

static void adding_free(struct adding *adding)
{
    block_unref(&adding->id);
    mem_free(adding->topic);
    mem_free(adding);
}

static void adding_fail(struct adding *adding, enum status status, const char *why)
{
    rpc_fail(adding->call, status, why);
    adding_free(adding);
}

// The answer is true once what it was decided on is committed.
static void on_committed(void *context, enum status status)
{
    struct adding *adding = context;
    if (status != ST_OK) {
        adding_fail(adding, ST_NOT_LEADER, "the shard was lost before the answer was committed");
        return;
    }
    Millrace__AddToTransactionReply reply = MILLRACE__ADD_TO_TRANSACTION_REPLY__INIT;
    reply.error = adding->error;
    reply.started_ms = adding->started_ms;
    adding->closure(&reply, adding->call);
    adding_free(adding);
}

static enum status write_step(struct adding *adding, struct txn_shard *shard, const struct txn_step *step)
{
    struct txn_partitions added;
    txn_partitions_init(&added);
    txn_partitions_add(&added, slice_str(adding->topic), adding->partition);
    enum status status = txn_shard_write(shard, block_slice(adding->id), step, &added);
    txn_partitions_fini(&added);
    return status;
}

// Only what the image names is added: so no owner takes it for deleted because its image does not have it
// yet. Group shards are never taken for deleted.
static bool in_image(const struct adding *adding)
{
    if (slice_is(slice_str(adding->topic), SHARD_TOPIC_GROUPS))
        return true;
    const struct image_topic *topic = image_topic_named(adding->coordinator->image, adding->topic);
    return topic != NULL && image_topic_partition(topic, adding->partition) != NULL;
}

// What the transaction says; an addition is written.
static enum status decide(struct adding *adding, struct txn_shard *shard)
{
    const struct txn_cell *cell = txn_shard_find(shard, block_slice(adding->id));
    const struct txn_head *head = cell == NULL ? NULL : &cell->head;
    bool has =
        cell != NULL && txn_partitions_has(&cell->partitions, slice_str(adding->topic), adding->partition);
    enum status status = ST_OK;
    if (adding->add && !has && !in_image(adding))
        return ST_AGAIN;
    if (adding->add) {
        struct txn_step step = txn_add(head, adding->who, TXN_FLOW_NEW, has, txn_shard_wall_ms(shard));
        adding->error = step.error;
        if (step.write)
            status = write_step(adding, shard, &step);
    } else {
        adding->error = txn_verify(head, adding->who, has);
    }
    if (adding->error == KAFKA_ERR_NONE && status == ST_OK)
        adding->started_ms = txn_shard_find(shard, block_slice(adding->id))->head.started_ms;
    return status;
}

static void adding_run(struct adding *adding)
{
    struct coordinator *coordinator = adding->coordinator;
    struct txn_shard *shard = coordinator_serving(coordinator)
                                  ? coordinator_txn_shard_of(coordinator, block_slice(adding->id))
                                  : NULL;
    if (shard == NULL || !txn_shard_ready(shard)) {
        adding_fail(adding, shard == NULL ? ST_NOT_LEADER : ST_LOADING, "the shard is not served here");
        return;
    }
    enum status status = decide(adding, shard);
    if (status != ST_OK) {
        adding_fail(adding, status, "the partition cannot be added");
        return;
    }
    struct txn_cell *cell = txn_shard_find(shard, block_slice(adding->id));
    if (adding->error == KAFKA_ERR_CONCURRENT_TRANSACTIONS && txn_cell_hold(cell, &adding->hold))
        return;
    ledger_wait(txn_shard_ledger(shard), &adding->wait, on_committed, adding);
}

static void on_hold_done(struct txn_hold *hold, bool again)
{
    struct adding *adding = (struct adding *)hold;
    if (again)
        adding_run(adding);
    else
        adding_fail(adding, ST_NOT_LEADER, "the shard has moved");
}

void add_to_transaction(struct coordinator *coordinator, const Millrace__AddToTransactionRequest *request,
                        Millrace__AddToTransactionReply_Closure closure, struct rpc_call *call)
{
    struct slice id = slice_of(request->transactional_id.data, request->transactional_id.len);
    struct adding *adding = mem_calloc(1, sizeof *adding);
    *adding = (struct adding){
        .hold = {.done = on_hold_done},
        .coordinator = coordinator,
        .id = block_copy(id),
        .who = {request->producer_id, (int16_t)request->producer_epoch},
        .topic = mem_strdup(request->topic),
        .partition = request->partition,
        .add = request->add,
        .started_ms = -1,
        .closure = closure,
        .call = call,
    };
    if (adding->id == NULL)
        adding_fail(adding, ST_NO_MEMORY, "no memory for a transactional id");
    else
        adding_run(adding);
}
