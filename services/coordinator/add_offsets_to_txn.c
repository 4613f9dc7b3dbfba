// SPDX-License-Identifier: Apache-2.0
// AddOffsetsToTxn: the shard of the group's offsets becomes one of the transaction's partitions.
#include "apis.h"
#include "cluster/shard.h"
#include "kafka/messages/add_offsets_to_txn.h"

typedef struct kafka_add_offsets_to_txn_request request_t;
typedef struct kafka_add_offsets_to_txn_response response_t;

enum { VERSION_FENCED = 2 };

static int16_t refused(const struct coordinator_request *request)
{
    const request_t *in = request->body;
    if (!request_allowed_txn(request, in->transactional_id))
        return KAFKA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    if (!authorise(&request->principal, OPERATION_READ, RESOURCE_TYPE_GROUP, in->group_id))
        return KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
    if (in->transactional_id.len == 0)
        return KAFKA_ERR_INVALID_REQUEST;
    const struct image_topic *topic = image_topic_named(request_image(request), SHARD_TOPIC_GROUPS);
    return topic != NULL && topic->partition_count > 0 ? KAFKA_ERR_NONE : KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
}

static int16_t add(struct coordinator_request *request)
{
    const request_t *in = request->body;
    const struct image_topic *topic = image_topic_named(request_image(request), SHARD_TOPIC_GROUPS);
    int32_t partition = shard_of(in->group_id, (int32_t)topic->partition_count);
    const struct txn_cell *cell = txn_shard_find(request->txn_shard, in->transactional_id);
    bool known =
        cell != NULL && txn_partitions_has(&cell->partitions, slice_str(SHARD_TOPIC_GROUPS), partition);
    struct txn_producer who = {in->producer_id, in->producer_epoch};
    struct txn_step step = txn_add(cell == NULL ? NULL : &cell->head, who, TXN_FLOW_OLD, known,
                                   txn_shard_wall_ms(request->txn_shard));
    if (!step.write)
        return step.error;
    struct txn_partitions added;
    txn_partitions_init(&added);
    txn_partitions_add(&added, slice_str(SHARD_TOPIC_GROUPS), partition);
    enum status status = txn_shard_write(request->txn_shard, in->transactional_id, &step, &added);
    txn_partitions_fini(&added);
    return status == ST_OK ? KAFKA_ERR_NONE : KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
}

void coordinator_add_offsets_to_txn(struct coordinator_request *request)
{
    response_t response;
    kafka_defaults(&kafka_add_offsets_to_txn_response_message, &response);
    response.error_code = refused(request);
    if (response.error_code == KAFKA_ERR_NONE)
        response.error_code = add(request);
    if (response.error_code == KAFKA_ERR_PRODUCER_FENCED && request->version < VERSION_FENCED)
        response.error_code = KAFKA_ERR_INVALID_PRODUCER_EPOCH;
    request_answer(request, &response);
}
