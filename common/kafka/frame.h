// SPDX-License-Identifier: Apache-2.0
// Raw frames, as they travel without the length in front: what a node asks for on a client's behalf, and what
// it is answered.
#ifndef KAFKA_FRAME_H
#define KAFKA_FRAME_H

#include "base/arena.h"
#include "base/block.h"
#include "kafka/api.h"

// A request: header (API and version are those of its first two fields) and body. NULL when it is longer than
// bytes_max, or memory is short.
struct block *kafka_frame_request(const struct kafka_request_header *header, const void *body,
                                  size_t bytes_max);

// Decodes the answer to such a request; what it holds borrows from response. Statuses of kafka_decode.
enum status kafka_frame_answer(const struct kafka_api *api, int16_t version, struct slice response,
                               struct arena *arena, void *out);

#endif
