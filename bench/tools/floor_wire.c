// SPDX-License-Identifier: Apache-2.0
// What the floor says: ApiVersions and Metadata by the codec, since they are rare; Produce by hand, since it
// is what is measured. See floor.h.
#include "floor.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "kafka/api.h"
#include "kafka/batch.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/api_versions.h"
#include "kafka/messages/metadata.h"

#include <stdlib.h>
#include <string.h>

enum {
    PRODUCE_VERSION = 7,
    FETCH_VERSION = 4, // never answered; without it librdkafka writes message sets
    METADATA_VERSION = 1,
    VERSIONS_VERSION = 3,
    ARENA_MAX = 64 << 20,
    ANSWER_MAX = 64 << 20
};

int wire_api(struct slice frame)
{
    return frame.len < 8 ? -1 : load_be16(frame.data);
}

static bool versions_answer(int16_t *version, struct kafka_out *out)
{
    struct kafka_api_versions_response_api_version keys[] = {
        {.api_key = KAFKA_API_PRODUCE, .max_version = PRODUCE_VERSION},
        {.api_key = KAFKA_API_FETCH, .max_version = FETCH_VERSION},
        {.api_key = KAFKA_API_METADATA, .max_version = METADATA_VERSION},
        {.api_key = KAFKA_API_API_VERSIONS, .max_version = VERSIONS_VERSION}};
    struct kafka_api_versions_response response;
    kafka_defaults(&kafka_api_versions_response_message, &response);
    response.api_keys = keys;
    response.api_keys_count = sizeof keys / sizeof keys[0];
    if (*version > VERSIONS_VERSION) {
        response.error_code = KAFKA_ERR_UNSUPPORTED_VERSION;
        *version = 0;
    }
    return kafka_encode(&kafka_api_versions_response_message, *version, &response, out) == ST_OK;
}

struct here {
    int port;
    int32_t partitions;
};

static bool metadata_answer(int16_t version, struct slice body, const struct here *here,
                            struct kafka_out *out)
{
    struct arena arena;
    struct kafka_metadata_request request;
    struct kafka_metadata_response response;
    struct kafka_metadata_response_metadata_response_broker broker;
    int32_t self = 1;
    arena_init(&arena, ARENA_MAX);
    bool read =
        kafka_decode_request(&kafka_metadata_request_message, version, body, &arena, &request) == ST_OK;
    kafka_defaults(&kafka_metadata_response_message, &response);
    kafka_structure_defaults(&kafka_metadata_response_metadata_response_broker_type, &broker);
    broker.node_id = response.controller_id = self;
    broker.host = slice_str("127.0.0.1");
    broker.port = here->port;
    response.brokers = &broker;
    response.brokers_count = 1;
    response.topics_count = read && request.topics_count > 0 ? request.topics_count : 0;
    response.topics = kafka_structure_array(&kafka_metadata_response_metadata_response_topic_type, &arena,
                                            response.topics_count);
    for (int32_t t = 0; t < response.topics_count; t++) {
        struct kafka_metadata_response_metadata_response_topic *topic = &response.topics[t];
        topic->name = request.topics[t].name;
        topic->partitions_count = here->partitions;
        topic->partitions = kafka_structure_array(&kafka_metadata_response_metadata_response_partition_type,
                                                  &arena, here->partitions);
        for (int32_t p = 0; p < here->partitions; p++) {
            topic->partitions[p].partition_index = p;
            topic->partitions[p].leader_id = self;
            topic->partitions[p].replica_nodes = topic->partitions[p].isr_nodes = &self;
            topic->partitions[p].replica_nodes_count = topic->partitions[p].isr_nodes_count = 1;
        }
    }
    read = read && kafka_encode(&kafka_metadata_response_message, version, &response, out) == ST_OK;
    arena_fini(&arena);
    return read;
}

bool wire_answer(struct link *link, struct slice frame, int port, int32_t partitions)
{
    struct arena arena;
    struct kafka_request_header header;
    struct kafka_out out;
    uint8_t prefix[8];
    size_t used;
    arena_init(&arena, 65536);
    kafka_out_init(&out, ANSWER_MAX);
    bool answered = kafka_request_decode_header(frame, &arena, &header, &used) == ST_OK;
    if (answered && header.request_api_key == KAFKA_API_API_VERSIONS)
        answered = versions_answer(&header.request_api_version, &out);
    else if (answered && header.request_api_key == KAFKA_API_METADATA)
        answered = metadata_answer(header.request_api_version, slice_of(frame.data + used, frame.len - used),
                                   &(struct here){port, partitions}, &out);
    else
        answered = false;
    if (answered) {
        store_be32(prefix, (uint32_t)(4 + out.bytes.len));
        store_be32(prefix + 4, (uint32_t)header.correlation_id);
        link_put(link, prefix, sizeof prefix);
        link_put(link, out.bytes.data, out.bytes.len);
    }
    kafka_out_fini(&out);
    arena_fini(&arena);
    return answered;
}

// ---- Produce ----

struct cursor {
    const uint8_t *at;
    size_t left;
    bool bad;
};

static const uint8_t *take(struct cursor *cursor, size_t len)
{
    const uint8_t *at = cursor->at;
    if (cursor->bad || len > cursor->left) {
        cursor->bad = true;
        return NULL;
    }
    cursor->at += len;
    cursor->left -= len;
    return at;
}

static uint32_t take_u32(struct cursor *cursor)
{
    const uint8_t *at = take(cursor, 4);
    return at == NULL ? 0 : load_be32(at);
}

// A string behind its length of 2 bytes, the length included; a negative length is null.
static struct slice take_string(struct cursor *cursor)
{
    const uint8_t *at = take(cursor, 2);
    int16_t len = at == NULL ? -1 : (int16_t)load_be16(at);
    if (len > 0)
        take(cursor, (size_t)len);
    return slice_of(at, len > 0 ? 2 + (size_t)len : 2);
}

bool wire_produce(struct slice frame, struct produce *produce)
{
    struct cursor cursor = {.at = frame.data, .left = frame.len};
    const uint8_t *key = take(&cursor, 4), *acks;
    produce->correlation = take_u32(&cursor);
    take_string(&cursor); // client
    take_string(&cursor); // transaction
    acks = take(&cursor, 2);
    take_u32(&cursor); // timeout
    if (cursor.bad || load_be16(key + 2) != PRODUCE_VERSION)
        return false;
    produce->acks = (int16_t)load_be16(acks);
    produce->topics = slice_of(cursor.at, cursor.left);
    return true;
}

bool wire_checked(struct slice records)
{
    while (records.len >= BATCH_HEADER_SIZE) {
        size_t size = (size_t)load_be32(records.data + 8) + BATCH_PREFIX_SIZE;
        if (size < BATCH_HEADER_SIZE || size > records.len ||
            crc32c(0, records.data + BATCH_CRC_FROM, size - BATCH_CRC_FROM) !=
                load_be32(records.data + BATCH_CRC_FROM - 4))
            return false;
        records = slice_of(records.data + size, records.len - size);
    }
    return records.len == 0;
}

static void partitions_answer(struct cursor *cursor, uint64_t base_offset, struct buf *answer,
                              wire_records_fn *each, void *context)
{
    uint32_t count = take_u32(cursor);
    buf_put_be32(answer, count);
    for (uint32_t p = 0; p < count && !cursor->bad; p++) {
        uint32_t index = take_u32(cursor), size = take_u32(cursor);
        struct slice records = slice_of(take(cursor, size), size);
        cursor->bad = cursor->bad || !wire_checked(records);
        if (cursor->bad)
            return;
        each(records, context);
        buf_put_be32(answer, index);
        buf_put_be16(answer, 0);
        buf_put_be64(answer, base_offset);
        buf_put_be64(answer, UINT64_MAX); // append time: the records' own
        buf_put_be64(answer, 0);          // where the log starts
    }
}

bool wire_produced(const struct produce *produce, uint64_t base_offset, struct buf *answer,
                   wire_records_fn *each, void *context)
{
    struct cursor cursor = {.at = produce->topics.data, .left = produce->topics.len};
    uint32_t topics = take_u32(&cursor);
    buf_clear(answer);
    buf_put_be32(answer, 0);
    buf_put_be32(answer, produce->correlation);
    buf_put_be32(answer, topics);
    for (uint32_t t = 0; t < topics && !cursor.bad; t++) {
        struct slice name = take_string(&cursor);
        if (!cursor.bad)
            buf_append(answer, name.data, name.len);
        partitions_answer(&cursor, base_offset, answer, each, context);
    }
    buf_put_be32(answer, 0); // throttle
    if (cursor.bad || buf_status(answer) != ST_OK)
        return false;
    store_be32(answer->data, (uint32_t)(answer->len - 4));
    return true;
}
