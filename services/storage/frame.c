// SPDX-License-Identifier: Apache-2.0
// Encoding and decoding of relayed requests made here. See frame.h.
#include "frame.h"

#include "kafka/frame.h"
#include "relay.h"

struct block *frame_encode(const struct kafka_api *api, int16_t version, const struct conn_request *on,
                           const void *body)
{
    struct kafka_request_header header = {.request_api_key = api->key,
                                          .request_api_version = version,
                                          .correlation_id = on != NULL ? on->correlation : 0};
    if (on != NULL)
        header.client_id = on->client_id;
    return kafka_frame_request(&header, body, RELAY_BYTES_MAX);
}

enum status frame_decode(const struct kafka_api *api, int16_t version, const struct block *response,
                         struct arena *arena, void *out)
{
    return kafka_frame_answer(api, version, block_slice(response), arena, out);
}
