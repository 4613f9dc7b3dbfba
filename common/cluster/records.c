// SPDX-License-Identifier: Apache-2.0
// See records.h. protobuf-c allocates from the caller's arena, whose cap bounds what hostile bytes can cost.
#include "cluster/records.h"

#include "base/varint.h"

enum status records_put(struct buf *out, const Millrace__MetadataRecord *record)
{
    size_t len = record != NULL ? millrace__metadata_record__get_packed_size(record) : 0;
    if (len > RECORDS_RECORD_MAX)
        return ST_LIMIT;
    uint8_t prefix[VARINT64_MAX];
    int prefix_len = uvarint64_put(prefix, len);
    enum status status = buf_reserve(out, (size_t)prefix_len + len);
    if (status != ST_OK)
        return status;
    memcpy(out->data + out->len, prefix, (size_t)prefix_len);
    out->len += (size_t)prefix_len;
    if (len > 0)
        out->len += millrace__metadata_record__pack(record, out->data + out->len);
    return ST_OK;
}

enum status records_put_packed(struct buf *out, struct slice record)
{
    if (record.len > RECORDS_RECORD_MAX)
        return ST_LIMIT;
    uint8_t prefix[VARINT64_MAX];
    size_t prefix_len = (size_t)uvarint64_put(prefix, record.len);
    enum status status = buf_reserve(out, prefix_len + record.len);
    if (status == ST_OK) {
        buf_append(out, prefix, prefix_len);
        buf_append(out, record.data, record.len);
    }
    return status;
}

enum status records_next(struct slice *rest, struct slice *record)
{
    if (rest->len == 0)
        return ST_NOT_FOUND;
    uint32_t len = 0;
    int used = uvarint32_get(rest->data, rest->len, &len);
    if (used < 0 || (used > 0 && len > RECORDS_RECORD_MAX))
        return ST_MALFORMED;
    if (used == 0 || rest->len - (size_t)used < len)
        return ST_TRUNCATED;
    *record = slice_of(rest->data + used, len);
    *rest = slice_of(rest->data + used + len, rest->len - (size_t)used - len);
    return ST_OK;
}

static void *record_alloc(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void record_free(void *arena, void *memory)
{
}

enum status records_unpack(struct arena *arena, struct slice bytes, Millrace__MetadataRecord **record)
{
    ProtobufCAllocator allocator = {.alloc = record_alloc, .free = record_free, .allocator_data = arena};
    *record = millrace__metadata_record__unpack(&allocator, bytes.len, bytes.data);
    return *record != NULL ? ST_OK : ST_MALFORMED;
}
