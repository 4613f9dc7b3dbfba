// SPDX-License-Identifier: Apache-2.0
// Encoding and decoding of relayed requests made here. See frame.h.
#include "frame.h"

#include "kafka/codec.h"
#include "relay.h"

struct block *frame_encode(const struct kafka_api *api, int16_t version, const struct conn_request *on,
                           const void *body)
{
    struct kafka_request_header header = {.request_api_key = api->key,
                                          .request_api_version = version,
                                          .correlation_id = on != NULL ? on->correlation : 0};
    if (on != NULL)
        header.client_id = on->client_id;
    struct kafka_out out;
    struct block *block = NULL;
    kafka_out_init(&out, RELAY_BYTES_MAX);
    if (kafka_encode(&kafka_request_header_message, kafka_request_header_version(api, version), &header,
                     &out) == ST_OK &&
        kafka_encode(api->request, version, body, &out) == ST_OK)
        block = block_copy(buf_slice(&out.bytes));
    kafka_out_fini(&out);
    return block;
}

enum status frame_decode(const struct kafka_api *api, int16_t version, const struct block *response,
                         struct arena *arena, void *out)
{
    struct kafka_response_header header;
    size_t used;
    struct slice frame = block_slice(response);
    enum status status =
        kafka_decode_prefix(&kafka_response_header_message, kafka_response_header_version(api, version),
                            frame, arena, &header, &used);
    if (status != ST_OK)
        return status;
    return kafka_decode(api->response, version, slice_of(frame.data + used, frame.len - used), arena, out);
}
