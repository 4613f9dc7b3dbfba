// SPDX-License-Identifier: Apache-2.0
// Reading, checking and validating record batches. See batch.h for the contract and batch_build.c for the
// other direction. Layout (big-endian): base offset 8, length 4, leader epoch 4, magic 1, crc 4, attributes
// 2, last offset delta 4, base timestamp 8, max timestamp 8, producer id 8, producer epoch 2, base sequence
// 4, count 4, then records of (varint length, attributes 1, varlong timestamp delta, varint offset delta,
// key, value, headers), lengths as zig-zag varints.
#include "kafka/batch.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/varint.h"

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

static bool take_varint64(struct slice *from, int64_t *value)
{
    int used = varint64_get(from->data, from->len, value);
    if (used <= 0)
        return false;
    *from = slice_of(from->data + used, from->len - (size_t)used);
    return true;
}

static bool take_varint32(struct slice *from, int32_t *value)
{
    uint32_t raw;
    int used = uvarint32_get(from->data, from->len, &raw);
    if (used <= 0)
        return false;
    *value = (int32_t)(raw >> 1 ^ (0u - (raw & 1)));
    *from = slice_of(from->data + used, from->len - (size_t)used);
    return true;
}

// A length and as many bytes; -1 is null where allowed.
static bool take_bytes(struct slice *from, bool nullable, struct slice *value)
{
    int32_t len;
    if (!take_varint32(from, &len) || len < (nullable ? -1 : 0))
        return false;
    *value = (struct slice){0};
    if (len < 0)
        return true;
    if ((size_t)len > from->len)
        return false;
    *value = slice_of(from->data, (size_t)len);
    *from = slice_of(from->data + len, from->len - (size_t)len);
    return true;
}

// Whether the rest of a record is exactly its headers.
static bool headers_exact(struct slice headers, int32_t count)
{
    struct slice ignored;
    for (int32_t i = 0; i < count; i++) {
        if (!take_bytes(&headers, false, &ignored) || !take_bytes(&headers, true, &ignored))
            return false;
    }
    return headers.len == 0;
}

static bool record_parse(struct slice body, const struct batch_header *header, struct record *record)
{
    int64_t timestamp_delta;
    int32_t offset_delta;
    if (body.len == 0)
        return false;
    body = slice_of(body.data + 1, body.len - 1); // attributes: unused, not checked by Kafka either
    if (!take_varint64(&body, &timestamp_delta) || !take_varint32(&body, &offset_delta))
        return false;
    if (!take_bytes(&body, true, &record->key) || !take_bytes(&body, true, &record->value))
        return false;
    if (!take_varint32(&body, &record->header_count) || record->header_count < 0)
        return false;
    if (offset_delta < 0 || offset_delta > header->last_offset_delta)
        return false;
    record->offset = header->base_offset + offset_delta;
    if (header->attributes & BATCH_LOG_APPEND_TIME)
        record->timestamp = header->max_timestamp;
    else // wraps as Java's addition does
        record->timestamp = (int64_t)((uint64_t)header->base_timestamp + (uint64_t)timestamp_delta);
    record->headers = body;
    return headers_exact(body, record->header_count);
}

enum status batch_next(struct batch_reader *reader, struct record *record)
{
    if (reader->index == reader->header->count)
        return reader->rest.len == 0 ? ST_NOT_FOUND : ST_MALFORMED;
    struct slice body;
    if (!take_bytes(&reader->rest, false, &body) || !record_parse(body, reader->header, record))
        return ST_MALFORMED;
    reader->index++;
    return ST_OK;
}

bool record_next_header(struct record *record, struct record_header *header)
{
    if (record->header_count == 0)
        return false;
    bool ok = take_bytes(&record->headers, false, &header->key) &&
              take_bytes(&record->headers, true, &header->value);
    ASSERT(ok); // checked by record_parse
    record->header_count--;
    return true;
}

// ---- validation (Kafka: LogValidator, UnifiedLog.analyzeAndValidateRecords) ----

static enum status refuse(struct batch_verdict *verdict, enum status status, const char *why)
{
    verdict->why = why;
    return status;
}

static enum status check_client_header(const struct batch_header *header, struct batch_verdict *verdict)
{
    if (header->attributes & BATCH_CONTROL)
        return refuse(verdict, ST_MALFORMED, "clients are not allowed to write control records");
    if (header->attributes & BATCH_LOG_APPEND_TIME)
        return refuse(verdict, ST_OUT_OF_RANGE,
                      "producers may not set the timestamp type to log append time");
    if (header->producer_id >= 0 && (header->base_sequence < 0 || header->producer_epoch < 0))
        return refuse(verdict, ST_MALFORMED, "a batch with a producer id needs an epoch and a sequence");
    if (header->producer_id < 0 && header->attributes & BATCH_TRANSACTIONAL)
        return refuse(verdict, ST_MALFORMED, "a transactional batch needs a producer id");
    return ST_OK;
}

static enum status check_header(struct slice bytes, const struct batch_rules *rules,
                                struct batch_header *header, struct batch_verdict *verdict)
{
    enum status status = batch_parse(bytes, header);
    if (status == ST_UNSUPPORTED)
        return refuse(verdict, status, "only record format version 2 is supported");
    if (status == ST_TRUNCATED || (status == ST_OK && batch_size(header) != bytes.len))
        return refuse(verdict, ST_MALFORMED, "there is not exactly one batch");
    if (status != ST_OK && header->length < BATCH_HEADER_SIZE - BATCH_PREFIX_SIZE)
        return refuse(verdict, ST_CORRUPT, "the batch is shorter than its header");
    if (status != ST_OK)
        return refuse(verdict, ST_MALFORMED, "the batch's offsets or its count are impossible");
    if (!batch_crc_ok(bytes, header))
        return refuse(verdict, ST_CORRUPT, "the batch's checksum is wrong");
    if (header->count < 1 || header->count - 1 != header->last_offset_delta)
        return refuse(verdict, ST_MALFORMED, "the record count does not match the offset range");
    if (batch_compression(header) >= COMPRESSION_COUNT)
        return refuse(verdict, ST_UNSUPPORTED, "unknown compression type");
    return rules->from_client ? check_client_header(header, verdict) : ST_OK;
}

// message.timestamp.before/after.max.ms; a record without timestamp (-1) passes. Times before 1970 are times.
static bool timestamp_fits(const struct batch_rules *rules, int64_t timestamp)
{
    if (timestamp == -1)
        return true;
    int64_t oldest, newest;
    if (__builtin_sub_overflow(rules->now_ms, rules->before_ms, &oldest))
        oldest = INT64_MIN;
    if (__builtin_add_overflow(rules->now_ms, rules->after_ms, &newest))
        newest = INT64_MAX;
    return timestamp >= oldest && timestamp <= newest;
}

// What the topic demands of a record: the rest of the batch is looked at all the same (KIP-467).
static enum status check_demands(const struct batch_rules *rules, const struct record *record,
                                 const char **why)
{
    if (rules->key_required && record->key.data == NULL) {
        *why = "a compacted topic takes no record without key";
        return ST_MALFORMED;
    }
    if (rules->from_client && !rules->log_append_time && !timestamp_fits(rules, record->timestamp)) {
        *why = "the record's timestamp is out of the allowed range";
        return ST_OUT_OF_RANGE;
    }
    return ST_OK;
}

// A wrong time outweighs the other faults of a batch, as in Kafka.
static void note_fault(struct batch_verdict *verdict, int32_t record, enum status fault, const char *why,
                       enum status *worst)
{
    if (verdict->bad_record < 0)
        verdict->bad_record = record;
    if (*worst == ST_OK || fault == ST_OUT_OF_RANGE) {
        verdict->why = why;
        *worst = fault;
    }
    if (verdict->fault_count < BATCH_FAULTS_MAX)
        verdict->faults[verdict->fault_count++] = (struct batch_fault){.record = record, .why = why};
}

// The batch as a whole is wrong because of one record.
static enum status refuse_at(struct batch_verdict *verdict, int32_t record, const char *why)
{
    verdict->bad_record = record;
    verdict->fault_count = 0;
    return refuse(verdict, ST_MALFORMED, why);
}

static enum status check_records(const struct batch_rules *rules, struct batch_reader *reader,
                                 struct batch_verdict *verdict)
{
    struct record record;
    enum status worst = ST_OK;
    for (;;) {
        int32_t index = reader->index;
        const char *why;
        enum status status = batch_next(reader, &record);
        if (status == ST_NOT_FOUND)
            return worst;
        if (status != ST_OK)
            return refuse_at(verdict, index, "a record's lengths do not fit its bytes");
        if (record.offset != reader->header->base_offset + index)
            return refuse_at(verdict, index, "the records' offsets are not dense");
        status = check_demands(rules, &record, &why);
        if (status != ST_OK)
            note_fault(verdict, index, status, why, &worst);
        if (record.timestamp > verdict->max_timestamp)
            verdict->max_timestamp = record.timestamp;
    }
}

enum status batch_validate(struct slice bytes, const struct batch_rules *rules, struct buf *scratch,
                           struct batch_header *header, struct batch_verdict *verdict)
{
    verdict->max_timestamp = verdict->bad_record = -1;
    verdict->why = "";
    verdict->fault_count = 0;
    enum status status = check_header(bytes, rules, header, verdict);
    if (status != ST_OK)
        return status;
    struct batch_reader reader;
    status = batch_reader_init(&reader, bytes, header, &rules->limits, scratch);
    if (status == ST_LIMIT)
        return refuse(verdict, status, "the batch is too large when decompressed");
    if (status != ST_OK)
        return refuse(verdict, status == ST_MALFORMED ? ST_CORRUPT : status,
                      "the records cannot be decompressed");
    return check_records(rules, &reader, verdict);
}
