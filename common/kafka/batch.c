// SPDX-License-Identifier: Apache-2.0
// Reading record batches. See batch.h for the contract, batch_validate.c for what is taken from clients and
// batch_build.c for the other direction. Layout (big-endian): base offset 8, length 4, leader epoch 4, magic
// 1, crc 4, attributes 2, last offset delta 4, base timestamp 8, max timestamp 8, producer id 8, producer
// epoch 2, base sequence 4, count 4, then records of (varint length, attributes 1, varlong timestamp delta,
// varint offset delta, key, value, headers), lengths as zig-zag varints.
#include "kafka/batch.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "kafka/record.h"

enum {
    AT_LENGTH = 8,
    AT_EPOCH = 12,
    AT_MAGIC = 16,
    AT_CRC = 17,
    AT_ATTRIBUTES = 21,
    AT_LAST_DELTA = 23,
    AT_BASE_TIMESTAMP = 27,
    AT_MAX_TIMESTAMP = 35,
    AT_PRODUCER_ID = 43,
    AT_PRODUCER_EPOCH = 51,
    AT_SEQUENCE = 53,
    AT_COUNT = 57,
    MAGIC = 2
};

enum status batch_parse(struct slice bytes, struct batch_header *header)
{
    if (bytes.len < BATCH_HEADER_SIZE)
        return ST_TRUNCATED;
    const uint8_t *p = bytes.data;
    *header = (struct batch_header){
        .base_offset = (int64_t)load_be64(p),
        .length = (int32_t)load_be32(p + AT_LENGTH),
        .leader_epoch = (int32_t)load_be32(p + AT_EPOCH),
        .magic = (int8_t)p[AT_MAGIC],
        .crc = load_be32(p + AT_CRC),
        .attributes = (int16_t)load_be16(p + AT_ATTRIBUTES),
        .last_offset_delta = (int32_t)load_be32(p + AT_LAST_DELTA),
        .base_timestamp = (int64_t)load_be64(p + AT_BASE_TIMESTAMP),
        .max_timestamp = (int64_t)load_be64(p + AT_MAX_TIMESTAMP),
        .producer_id = (int64_t)load_be64(p + AT_PRODUCER_ID),
        .producer_epoch = (int16_t)load_be16(p + AT_PRODUCER_EPOCH),
        .base_sequence = (int32_t)load_be32(p + AT_SEQUENCE),
        .count = (int32_t)load_be32(p + AT_COUNT),
    };
    if (header->magic != MAGIC)
        return ST_UNSUPPORTED;
    bool possible = header->length >= BATCH_HEADER_SIZE - BATCH_PREFIX_SIZE &&
                    header->length <= INT32_MAX - BATCH_PREFIX_SIZE && header->base_offset >= 0 &&
                    header->last_offset_delta >= 0 && header->count >= 0 &&
                    header->base_offset <= INT64_MAX - header->last_offset_delta - 1;
    return possible ? ST_OK : ST_MALFORMED;
}

bool batch_crc_ok(struct slice batch, const struct batch_header *header)
{
    ASSERT(batch.len >= BATCH_HEADER_SIZE);
    return crc32c(0, batch.data + BATCH_CRC_FROM, batch.len - BATCH_CRC_FROM) == header->crc;
}

void batch_set_base_offset(uint8_t *batch, int64_t base_offset)
{
    store_be64(batch, (uint64_t)base_offset);
}

void batch_set_leader_epoch(uint8_t *batch, int32_t leader_epoch)
{
    store_be32(batch + AT_EPOCH, (uint32_t)leader_epoch);
}

void batch_set_max_timestamp(uint8_t *batch, size_t len, bool log_append_time, int64_t max_timestamp)
{
    ASSERT(len >= BATCH_HEADER_SIZE);
    uint16_t attributes = load_be16(batch + AT_ATTRIBUTES) & (uint16_t)~BATCH_LOG_APPEND_TIME;
    store_be16(batch + AT_ATTRIBUTES, log_append_time ? attributes | BATCH_LOG_APPEND_TIME : attributes);
    store_be64(batch + AT_MAX_TIMESTAMP, (uint64_t)max_timestamp);
    store_be32(batch + AT_CRC, crc32c(0, batch + BATCH_CRC_FROM, len - BATCH_CRC_FROM));
}

// ---- records ----

enum status batch_reader_init(struct batch_reader *reader, struct slice batch,
                              const struct batch_header *header, const struct compress_limits *limits,
                              struct buf *scratch)
{
    ASSERT(batch.len >= BATCH_HEADER_SIZE);
    struct slice body = slice_of(batch.data + BATCH_HEADER_SIZE, batch.len - BATCH_HEADER_SIZE);
    *reader = (struct batch_reader){.header = header, .rest = body};
    enum compression compression = batch_compression(header);
    if (compression == COMPRESSION_NONE)
        return ST_OK;
    ASSERT(scratch != NULL);
    buf_clear(scratch);
    enum status status = compress_unpack(compression, body, limits, scratch);
    reader->rest = buf_slice(scratch);
    return status;
}

enum status batch_next(struct batch_reader *reader, struct record *record)
{
    if (reader->index == reader->header->count)
        return reader->rest.len == 0 ? ST_NOT_FOUND : ST_MALFORMED;
    struct slice body;
    int32_t delta;
    if (!record_take_body(&reader->rest, &body) || !record_parse(body, reader->header, &delta, record))
        return ST_MALFORMED;
    reader->index++;
    return ST_OK;
}

bool record_next_header(struct record *record, struct record_header *header)
{
    if (record->header_count == 0)
        return false;
    struct record_cursor from = {record->headers.data, record->headers.data + record->headers.len};
    bool ok = record_take_bytes(&from, false, &header->key) && record_take_bytes(&from, true, &header->value);
    ASSERT(ok);
    record->headers = slice_of(from.at, (size_t)(from.end - from.at));
    record->header_count--;
    return true;
}

// ---- transaction markers ----

enum { MARKER_KEY_SIZE = 4, MARKER_VALUE_SIZE = 6, MARKER_ABORT = 0, MARKER_COMMIT = 1 };

// Later versions of key and value may have more behind what is known (EndTransactionMarker).
enum status batch_marker_parse(struct slice batch, const struct batch_header *header,
                               struct batch_marker *marker)
{
    struct batch_reader reader;
    struct record record;
    if (batch_compression(header) != COMPRESSION_NONE)
        return ST_UNSUPPORTED;
    enum status status = batch_reader_init(&reader, batch, header, NULL, NULL);
    if (status == ST_OK)
        status = batch_next(&reader, &record);
    if (status != ST_OK)
        return status;
    if (record.key.len < MARKER_KEY_SIZE)
        return ST_MALFORMED;
    uint16_t type = load_be16(record.key.data + 2);
    if (type != MARKER_ABORT && type != MARKER_COMMIT)
        return ST_UNSUPPORTED;
    if (record.value.data == NULL || record.value.len < MARKER_VALUE_SIZE)
        return ST_MALFORMED;
    marker->abort = type == MARKER_ABORT;
    marker->coordinator_epoch = (int32_t)load_be32(record.value.data + 2);
    return ST_OK;
}
