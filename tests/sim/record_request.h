// SPDX-License-Identifier: Apache-2.0
// A Produce request with one numbered record of an idempotent producer, acks=all.
#ifndef SIM_RECORD_REQUEST_H
#define SIM_RECORD_REQUEST_H

#include "base/buf.h"
#include "io/env.h"
#include "kafka/messages/produce.h"

enum { RECORD_REQUEST_VERSION = 12 }; // names topics

struct record_said {
    int producer; // with the number: the record's value, "p0-17"
    int64_t number;
    int partition; // of the topic t
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t sequence;
};

// What kafka_encode needs to stay in place; the request is the last one built. buf_init(&batch, ...) before.
struct record_request {
    struct buf batch;
    struct kafka_produce_request_partition_produce_data partition;
    struct kafka_produce_request_topic_produce_data topic;
    struct kafka_produce_request request;
};

void record_request_build(struct record_request *out, struct env *env, const struct record_said *said);

#endif
