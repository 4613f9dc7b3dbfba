// SPDX-License-Identifier: Apache-2.0
// What a client is told of a batch that is not taken: Kafka's error codes, and which records are at fault.
#ifndef STORAGE_REFUSAL_H
#define STORAGE_REFUSAL_H

#include "base/arena.h"
#include "check.h"
#include "kafka/messages/produce.h"

// The error for a status of a check.
int16_t refusal_error(enum status status);

// KIP-467: the client fails the records named here for their own reasons and the others as their neighbours.
// partition: its name, for the texts. What does not fit the arena is left out.
void refusal_records(struct kafka_produce_response_partition_produce_response *answer, struct arena *arena,
                     const char *partition, const struct batch_rules *rules,
                     const struct batch_verdict *verdict);

// The same for records that are refused for their schemas (guard_judge.h); the answer's message is that of
// the first one. topic: the name.
void refusal_schemas(struct kafka_produce_response_partition_produce_response *answer, struct arena *arena,
                     const char *topic, const struct guard_report *report);

#endif
