// SPDX-License-Identifier: Apache-2.0
// Lookup in the generated API table and the header rules. See api.h.
#include "kafka/api.h"

#include "base/bytes.h"
#include "kafka/codec.h"

const struct kafka_api *kafka_api(int16_t key)
{
    // Keys are almost dense: the entry is at its key or a little before.
    if (key < 0 || key >= KAFKA_API_KEY_LIMIT)
        return NULL;
    int32_t i = key < kafka_api_count ? key : kafka_api_count - 1;
    while (i > 0 && kafka_apis[i].key > key)
        i--;
    return kafka_apis[i].key == key ? &kafka_apis[i] : NULL;
}

int16_t kafka_request_header_version(const struct kafka_api *api, int16_t version)
{
    return version >= api->first_flexible ? 2 : 1;
}

int16_t kafka_response_header_version(const struct kafka_api *api, int16_t version)
{
    return api->key != KAFKA_API_API_VERSIONS && version >= api->first_flexible ? 1 : 0;
}

enum status kafka_request_decode_header(struct slice frame, struct arena *arena,
                                        struct kafka_request_header *header, size_t *used)
{
    *used = 0;
    if (frame.len < 4)
        return ST_TRUNCATED;
    const struct kafka_api *api = kafka_api((int16_t)load_be16(frame.data));
    if (api == NULL)
        return ST_UNSUPPORTED;
    int16_t version = kafka_request_header_version(api, (int16_t)load_be16(frame.data + 2));
    return kafka_decode_prefix(&kafka_request_header_message, version, frame, arena, header, used);
}
