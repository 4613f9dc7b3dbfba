// SPDX-License-Identifier: Apache-2.0
// One record out of a batch, inside this folder: batch.c reads with it, batch_validate.c checks with it.
// Every record that is produced passes here, so it is inline, and numbers of one or two bytes, which nearly
// all are, take no loop.
#ifndef KAFKA_RECORD_H
#define KAFKA_RECORD_H

#include "base/varint.h"
#include "kafka/batch.h"

struct record_cursor {
    const uint8_t *at, *end;
};

static inline bool record_take32(struct record_cursor *from, int32_t *value)
{
    uint32_t raw = 0;
    size_t left = (size_t)(from->end - from->at);
    int used = 1;
    if (left >= 1 && from->at[0] < 0x80) {
        raw = from->at[0];
    } else if (left >= 2 && from->at[1] < 0x80) {
        raw = (from->at[0] & 0x7fu) | (uint32_t)from->at[1] << 7;
        used = 2;
    } else {
        used = uvarint32_get(from->at, left, &raw);
        if (used <= 0)
            return false;
    }
    from->at += used;
    *value = (int32_t)(raw >> 1 ^ (0u - (raw & 1)));
    return true;
}

static inline bool record_take64(struct record_cursor *from, int64_t *value)
{
    uint64_t raw = 0;
    size_t left = (size_t)(from->end - from->at);
    int used = 1;
    if (left >= 1 && from->at[0] < 0x80) {
        raw = from->at[0];
    } else if (left >= 2 && from->at[1] < 0x80) {
        raw = (from->at[0] & 0x7fu) | (uint64_t)from->at[1] << 7;
        used = 2;
    } else {
        used = uvarint64_get(from->at, left, &raw);
        if (used <= 0)
            return false;
    }
    from->at += used;
    *value = unzigzag64(raw);
    return true;
}

// A length and as many bytes; -1 is null where allowed.
static inline bool record_take_bytes(struct record_cursor *from, bool nullable, struct slice *value)
{
    int32_t len;
    if (!record_take32(from, &len) || len < (nullable ? -1 : 0))
        return false;
    *value = (struct slice){0};
    if (len < 0)
        return true;
    if (len > from->end - from->at)
        return false;
    *value = slice_of(from->at, (size_t)len);
    from->at += len;
    return true;
}

// Whether the rest of a record is exactly its headers.
static inline bool record_headers_exact(struct record_cursor from, int32_t count)
{
    struct slice ignored;
    for (int32_t i = 0; i < count; i++) {
        if (!record_take_bytes(&from, false, &ignored) || !record_take_bytes(&from, true, &ignored))
            return false;
    }
    return from.at == from.end;
}

// The record of a body, the bytes behind its length. *delta is its offset delta. False when the body is none.
static inline bool record_parse(struct slice body, const struct batch_header *header, int32_t *delta,
                                struct record *record)
{
    int64_t timestamp_delta;
    if (body.len == 0)
        return false;
    // The attributes byte is unused; Kafka does not look at it either.
    struct record_cursor from = {body.data + 1, body.data + body.len};
    if (!record_take64(&from, &timestamp_delta) || !record_take32(&from, delta))
        return false;
    if (!record_take_bytes(&from, true, &record->key) || !record_take_bytes(&from, true, &record->value))
        return false;
    if (!record_take32(&from, &record->header_count) || record->header_count < 0)
        return false;
    if (*delta < 0 || *delta > header->last_offset_delta)
        return false;
    record->offset = header->base_offset + *delta;
    if (header->attributes & BATCH_LOG_APPEND_TIME)
        record->timestamp = header->max_timestamp;
    else // wraps as Java's addition does
        record->timestamp = (int64_t)((uint64_t)header->base_timestamp + (uint64_t)timestamp_delta);
    record->headers = slice_of(from.at, (size_t)(from.end - from.at));
    return record_headers_exact(from, record->header_count);
}

// Takes the body of the next record off rest; false when there is no whole one.
static inline bool record_take_body(struct slice *rest, struct slice *body)
{
    if (rest->len == 0)
        return false; // and perhaps no data to point at
    struct record_cursor from = {rest->data, rest->data + rest->len};
    if (!record_take_bytes(&from, false, body))
        return false;
    *rest = slice_of(from.at, (size_t)(from.end - from.at));
    return true;
}

#endif
