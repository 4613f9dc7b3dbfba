// SPDX-License-Identifier: Apache-2.0
// See record_request.h.
#include "record_request.h"

#include "kafka/batch.h"
#include "kafka/codec.h"

#include <stdio.h>

enum { TIMEOUT_MS = 2000 };

static void batch_of(struct record_request *out, struct env *env, const struct record_said *said)
{
    char text[64];
    struct batch_record record = {.timestamp = env_wall_ms(env)};
    struct batch_spec spec = batch_spec_plain();
    snprintf(text, sizeof text, "p%d-%lld", said->producer, (long long)said->number);
    record.value = slice_str(text);
    spec.producer_id = said->producer_id;
    spec.producer_epoch = said->producer_epoch;
    spec.base_sequence = said->sequence;
    buf_clear(&out->batch);
    batch_build(&spec, &record, 1, &out->batch);
}

void record_request_build(struct record_request *out, struct env *env, const struct record_said *said)
{
    batch_of(out, env, said);
    kafka_structure_defaults(&kafka_produce_request_partition_produce_data_type, &out->partition);
    kafka_structure_defaults(&kafka_produce_request_topic_produce_data_type, &out->topic);
    kafka_defaults(&kafka_produce_request_message, &out->request);
    out->partition.index = said->partition;
    out->partition.records.bytes = buf_slice(&out->batch);
    out->topic.name = slice_str("t");
    out->topic.partition_data = &out->partition;
    out->topic.partition_data_count = 1;
    out->request.acks = -1;
    out->request.timeout_ms = TIMEOUT_MS;
    out->request.topic_data = &out->topic;
    out->request.topic_data_count = 1;
}
