// SPDX-License-Identifier: Apache-2.0
// See txn_requests.h.
#include "txn_requests.h"

#include "kafka/api.h"
#include "kafka/batch.h"
#include "kafka/codec.h"
#include "kafka/messages/end_txn.h"
#include "kafka/messages/produce.h"
#include "kafka/messages/txn_offset_commit.h"

#include <stdio.h>

enum {
    OLD_PRODUCE = 9,
    NEW_PRODUCE = 12,
    OLD_OFFSETS = 3,
    NEW_OFFSETS = 5,
    OLD_END = 3,
    NEW_END = 5,
    BATCH_BYTES_MAX = 4096
};

struct slice txn_request_id(bool new_flow)
{
    return slice_str(new_flow ? "new" : "old");
}

static void build(struct actor *actor, const struct txn_request *what, struct buf *out)
{
    char text[64];
    struct batch_record record = {.timestamp = env_wall_ms(actor->env)};
    struct batch_spec spec = batch_spec_plain();
    snprintf(text, sizeof text, "%lld", (long long)what->number);
    record.value = slice_str(text);
    spec.attributes = BATCH_TRANSACTIONAL;
    spec.producer_id = what->producer_id;
    spec.producer_epoch = what->producer_epoch;
    spec.base_sequence = what->sequence;
    batch_build(&spec, &record, 1, out);
}

static void send_produce(struct actor *actor, const struct txn_request *what, actor_answer_fn *answer)
{
    struct buf batch;
    struct kafka_produce_request_partition_produce_data partition;
    struct kafka_produce_request_topic_produce_data topic;
    struct kafka_produce_request request;
    buf_init(&batch, BATCH_BYTES_MAX);
    build(actor, what, &batch);
    kafka_structure_defaults(&kafka_produce_request_partition_produce_data_type, &partition);
    kafka_structure_defaults(&kafka_produce_request_topic_produce_data_type, &topic);
    kafka_defaults(&kafka_produce_request_message, &request);
    partition.index = what->partition;
    partition.records.bytes = buf_slice(&batch);
    topic.name = slice_str(TRANSACTOR_TOPIC);
    topic.partition_data = &partition;
    topic.partition_data_count = 1;
    request.transactional_id = txn_request_id(what->new_flow);
    request.acks = -1;
    request.timeout_ms = 2000;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    actor_call(actor, KAFKA_API_PRODUCE, what->new_flow ? NEW_PRODUCE : OLD_PRODUCE, &request, answer);
    buf_fini(&batch);
}

static void send_offsets(struct actor *actor, const struct txn_request *what, actor_answer_fn *answer)
{
    struct kafka_txn_offset_commit_request_txn_offset_commit_request_partition partition;
    struct kafka_txn_offset_commit_request_txn_offset_commit_request_topic topic;
    struct kafka_txn_offset_commit_request request;
    kafka_structure_defaults(&kafka_txn_offset_commit_request_txn_offset_commit_request_partition_type,
                             &partition);
    kafka_structure_defaults(&kafka_txn_offset_commit_request_txn_offset_commit_request_topic_type, &topic);
    kafka_defaults(&kafka_txn_offset_commit_request_message, &request);
    partition.partition_index = what->partition;
    partition.committed_offset = what->number;
    partition.committed_metadata = slice_str("");
    topic.name = slice_str(TRANSACTOR_TOPIC);
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.transactional_id = request.group_id = txn_request_id(what->new_flow);
    request.producer_id = what->producer_id;
    request.producer_epoch = what->producer_epoch;
    request.topics = &topic;
    request.topics_count = 1;
    actor_call(actor, KAFKA_API_TXN_OFFSET_COMMIT, what->new_flow ? NEW_OFFSETS : OLD_OFFSETS, &request,
               answer);
}

static void send_end(struct actor *actor, const struct txn_request *what, actor_answer_fn *answer)
{
    struct kafka_end_txn_request request = {.transactional_id = txn_request_id(what->new_flow),
                                            .producer_id = what->producer_id,
                                            .producer_epoch = what->producer_epoch,
                                            .committed = what->commit};
    actor_call(actor, KAFKA_API_END_TXN, what->new_flow ? NEW_END : OLD_END, &request, answer);
}

void txn_request_send(struct actor *actor, enum txn_kind kind, const struct txn_request *what,
                      actor_answer_fn *answer)
{
    switch (kind) {
    case TXN_PRODUCE:
        send_produce(actor, what, answer);
        return;
    case TXN_OFFSETS:
        send_offsets(actor, what, answer);
        return;
    case TXN_END:
        send_end(actor, what, answer);
        return;
    case TXN_KINDS:
        return;
    }
}
