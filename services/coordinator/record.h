// SPDX-License-Identifier: Apache-2.0
// Keys and values of the records in __consumer_offsets and __transaction_state, as Kafka's coordinators write
// them: an int16 that says which message or version follows, then the message.
#ifndef COORDINATOR_RECORD_H
#define COORDINATOR_RECORD_H

#include "kafka/codec.h"

// Appends prefix (none when it is negative) and message. bytes_max: of both together. On failure out is as
// before; ST_LIMIT, or as kafka_encode.
enum status record_put(const struct kafka_message *message, int16_t version, int16_t prefix, const void *in,
                       size_t bytes_max, struct buf *out);

#endif
