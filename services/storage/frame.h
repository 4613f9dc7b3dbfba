// SPDX-License-Identifier: Apache-2.0
// Requests this node makes itself and relays to an owner: parts of a client's request, or one on its behalf.
#ifndef STORAGE_FRAME_H
#define STORAGE_FRAME_H

#include "base/arena.h"
#include "base/block.h"
#include "conn/listener.h"
#include "kafka/api.h"

// Header and body of a request; correlation and client id are those of the client's request on (NULL: none).
// NULL when it is larger than a relay may be, or memory is short.
struct block *frame_encode(const struct kafka_api *api, int16_t version, const struct conn_request *on,
                           const void *body);

// Decodes the raw answer to such a request; what it holds borrows from response.
enum status frame_decode(const struct kafka_api *api, int16_t version, const struct block *response,
                         struct arena *arena, void *out);

#endif
