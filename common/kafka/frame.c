// SPDX-License-Identifier: Apache-2.0
// See frame.h.
#include "kafka/frame.h"

#include "kafka/codec.h"

struct block *kafka_frame_request(const struct kafka_request_header *header, const void *body,
                                  size_t bytes_max)
{
    const struct kafka_api *api = kafka_api(header->request_api_key);
    int16_t version = header->request_api_version;
    struct kafka_out out;
    struct block *block = NULL;
    kafka_out_init(&out, bytes_max);
    if (kafka_encode(&kafka_request_header_message, kafka_request_header_version(api, version), header,
                     &out) == ST_OK &&
        kafka_encode(api->request, version, body, &out) == ST_OK)
        block = block_copy(buf_slice(&out.bytes));
    kafka_out_fini(&out);
    return block;
}

enum status kafka_frame_answer(const struct kafka_api *api, int16_t version, struct slice response,
                               struct arena *arena, void *out)
{
    struct kafka_response_header header;
    size_t used;
    enum status status =
        kafka_decode_prefix(&kafka_response_header_message, kafka_response_header_version(api, version),
                            response, arena, &header, &used);
    if (status != ST_OK)
        return status;
    return kafka_decode(api->response, version, slice_of(response.data + used, response.len - used), arena,
                        out);
}
