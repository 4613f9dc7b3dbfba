// SPDX-License-Identifier: Apache-2.0
// Building record batches: internal topics, transaction markers, compaction, the raw client and tests. The
// bytes equal those of Kafka's MemoryRecordsBuilder for the same records (golden fixtures in
// tests/golden/batch), but for what a compressor may choose.
#include "kafka/batch.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/varint.h"

struct batch_spec batch_spec_plain(void)
{
    return (struct batch_spec){.producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
}

static void put_varint(struct buf *out, int64_t value)
{
    uint8_t bytes[VARINT64_MAX];
    buf_append(out, bytes, (size_t)varint64_put(bytes, value));
}

static void put_bytes(struct buf *out, struct slice value)
{
    if (value.data == NULL) {
        put_varint(out, -1);
        return;
    }
    put_varint(out, (int64_t)value.len);
    buf_append(out, value.data, value.len);
}

static size_t varint_size(int64_t value)
{
    uint8_t bytes[VARINT64_MAX];
    return (size_t)varint64_put(bytes, value);
}

static size_t bytes_size(struct slice value)
{
    return value.data == NULL ? varint_size(-1) : varint_size((int64_t)value.len) + value.len;
}

static size_t record_size(const struct batch_record *record, int64_t timestamp_delta, int index)
{
    size_t size = 1 + varint_size(timestamp_delta) + varint_size(index) + bytes_size(record->key) +
                  bytes_size(record->value) + varint_size(record->header_count);
    for (int32_t i = 0; i < record->header_count; i++)
        size += bytes_size(record->headers[i].key) + bytes_size(record->headers[i].value);
    return size;
}

static void put_record(struct buf *out, const struct batch_record *record, int64_t timestamp_delta, int index)
{
    put_varint(out, (int64_t)record_size(record, timestamp_delta, index));
    buf_put_u8(out, 0);
    put_varint(out, timestamp_delta);
    put_varint(out, index);
    put_bytes(out, record->key);
    put_bytes(out, record->value);
    put_varint(out, record->header_count);
    for (int32_t i = 0; i < record->header_count; i++) {
        put_bytes(out, record->headers[i].key);
        put_bytes(out, record->headers[i].value);
    }
}

static void put_header(struct buf *out, const struct batch_spec *spec, const struct batch_record *records,
                       int count)
{
    int64_t max_timestamp = records[0].timestamp;
    for (int i = 1; i < count; i++)
        if (records[i].timestamp > max_timestamp)
            max_timestamp = records[i].timestamp;
    buf_put_be64(out, (uint64_t)spec->base_offset);
    buf_put_be32(out, 0); // length, filled at the end
    buf_put_be32(out, (uint32_t)spec->leader_epoch);
    buf_put_u8(out, 2);   // magic
    buf_put_be32(out, 0); // checksum, filled at the end
    buf_put_be16(out, (uint16_t)(spec->attributes | spec->compression));
    buf_put_be32(out, (uint32_t)(count - 1));
    buf_put_be64(out, (uint64_t)records[0].timestamp);
    buf_put_be64(out, (uint64_t)max_timestamp);
    buf_put_be64(out, (uint64_t)spec->producer_id);
    buf_put_be16(out, (uint16_t)spec->producer_epoch);
    buf_put_be32(out, (uint32_t)spec->base_sequence);
    buf_put_be32(out, (uint32_t)count);
}

static enum status put_records(struct buf *out, const struct batch_spec *spec,
                               const struct batch_record *records, int count)
{
    struct buf plain;
    buf_init(&plain, out->max);
    struct buf *to = spec->compression == COMPRESSION_NONE ? out : &plain;
    for (int i = 0; i < count; i++)
        put_record(to, &records[i], records[i].timestamp - records[0].timestamp, i);
    enum status status = buf_status(to);
    if (status == ST_OK && to == &plain)
        status = compress_pack(spec->compression, buf_slice(&plain), out);
    buf_fini(&plain);
    return status;
}

// Length and checksum of a batch that has all else.
static void seal(uint8_t *batch, size_t len)
{
    store_be32(batch + 8, (uint32_t)(len - BATCH_PREFIX_SIZE));
    store_be32(batch + 17, crc32c(0, batch + BATCH_CRC_FROM, len - BATCH_CRC_FROM));
}

// The batch from `from` on has all else, or it is taken back.
static enum status end_batch(struct buf *out, size_t from, enum status status)
{
    if (status == ST_OK)
        status = buf_status(out);
    size_t len = out->len - from;
    if (status == ST_OK && len > INT32_MAX)
        status = ST_LIMIT;
    if (status != ST_OK)
        out->len = from;
    else
        seal(out->data + from, len);
    return status;
}

enum status batch_build(const struct batch_spec *spec, const struct batch_record *records, int count,
                        struct buf *out)
{
    ASSERT(count > 0 && (spec->attributes & BATCH_COMPRESSION_MASK) == 0);
    size_t from = out->len;
    put_header(out, spec, records, count);
    return end_batch(out, from, put_records(out, spec, records, count));
}

enum status batch_repack(struct slice batch, struct slice records, enum compression codec, int level,
                         struct buf *out)
{
    ASSERT(batch.len >= BATCH_HEADER_SIZE);
    size_t from = out->len;
    enum status status = buf_append(out, batch.data, BATCH_HEADER_SIZE);
    if (status == ST_OK)
        status = compress_pack_at(codec, level, records, out);
    size_t len = out->len - from;
    if (status == ST_OK && len > INT32_MAX)
        status = ST_LIMIT;
    if (status != ST_OK) {
        out->len = from;
        return status;
    }
    uint8_t *attributes = out->data + from + BATCH_CRC_FROM;
    store_be16(attributes, (uint16_t)((load_be16(attributes) & ~BATCH_COMPRESSION_MASK) | (uint16_t)codec));
    seal(out->data + from, len);
    return ST_OK;
}

enum status batch_build_marker(const struct batch_spec *spec, bool commit, int32_t coordinator_epoch,
                               int64_t timestamp, struct buf *out)
{
    uint8_t key[4] = {0, 0, 0, commit ? 1 : 0}; // version, type: ControlRecordType of Kafka
    uint8_t value[6] = {0, 0};                  // version of EndTransactionMarker
    store_be32(value + 2, (uint32_t)coordinator_epoch);
    struct batch_spec marker = *spec;
    marker.attributes |= BATCH_TRANSACTIONAL | BATCH_CONTROL;
    struct batch_record record = {
        .timestamp = timestamp, .key = slice_of(key, sizeof key), .value = slice_of(value, sizeof value)};
    return batch_build(&marker, &record, 1, out);
}

// ---- rewriting ----

void batch_put_record(struct buf *out, const struct record *record, int64_t base_offset,
                      int64_t base_timestamp)
{
    // Java's long arithmetic wraps, and so does what reads it.
    int64_t time_delta = (int64_t)((uint64_t)record->timestamp - (uint64_t)base_timestamp);
    int64_t offset_delta = record->offset - base_offset;
    size_t size = 1 + varint_size(time_delta) + varint_size(offset_delta) + bytes_size(record->key) +
                  bytes_size(record->value) + varint_size(record->header_count) + record->headers.len;
    put_varint(out, (int64_t)size);
    buf_put_u8(out, 0);
    put_varint(out, time_delta);
    put_varint(out, offset_delta);
    put_bytes(out, record->key);
    put_bytes(out, record->value);
    put_varint(out, record->header_count);
    buf_append(out, record->headers.data, record->headers.len);
}

static void put_fields(struct buf *out, const struct batch_header *header)
{
    buf_put_be64(out, (uint64_t)header->base_offset);
    buf_put_be32(out, 0); // length, filled at the end
    buf_put_be32(out, (uint32_t)header->leader_epoch);
    buf_put_u8(out, 2);   // magic
    buf_put_be32(out, 0); // checksum, filled at the end
    buf_put_be16(out, (uint16_t)header->attributes);
    buf_put_be32(out, (uint32_t)header->last_offset_delta);
    buf_put_be64(out, (uint64_t)header->base_timestamp);
    buf_put_be64(out, (uint64_t)header->max_timestamp);
    buf_put_be64(out, (uint64_t)header->producer_id);
    buf_put_be16(out, (uint16_t)header->producer_epoch);
    buf_put_be32(out, (uint32_t)header->base_sequence);
    buf_put_be32(out, (uint32_t)header->count);
}

enum status batch_rebuild(const struct batch_header *header, struct slice records, struct buf *out)
{
    size_t from = out->len;
    struct batch_header fields = *header;
    if (header->count == 0)
        fields.attributes &= (int16_t)~BATCH_COMPRESSION_MASK;
    put_fields(out, &fields);
    enum status status = buf_status(out);
    if (status == ST_OK && batch_compression(&fields) == COMPRESSION_NONE)
        status = buf_append(out, records.data, records.len);
    else if (status == ST_OK)
        status = compress_pack(batch_compression(&fields), records, out);
    return end_batch(out, from, status);
}
