// SPDX-License-Identifier: Apache-2.0
// Structures into the bytes of one version; see codec.h. Last step of every answer before conn sends it, and
// of every request our own client makes. Own bytes go to out->bytes; record pieces become splices.
#include "kafka/codec.h"

#include "base/bytes.h"
#include "base/varint.h"
#include "kafka/value.h"

#include <stdlib.h>

struct writer {
    struct kafka_out *out;
    int16_t version;
    bool flexible;
};

static enum status put_uvarint(struct writer *w, uint32_t value)
{
    uint8_t bytes[VARINT64_MAX];
    return buf_append(&w->out->bytes, bytes, (size_t)uvarint64_put(bytes, value));
}

// The counterpart of get_length in decode.c; length -1 is null.
static enum status put_length(struct writer *w, bool compact, size_t width, int32_t length)
{
    if (compact)
        return put_uvarint(w, (uint32_t)length + 1);
    if (width == 2)
        return buf_put_be16(&w->out->bytes, (uint16_t)length);
    return buf_put_be32(&w->out->bytes, (uint32_t)length);
}

static size_t length_width(const struct kafka_field *field)
{
    return field->type == KAFKA_STRING ? 2 : 4;
}

// Null where the version (or an array's element) has no null: fine as empty when it never could be null.
static enum status put_null(struct writer *w, const struct kafka_field *field)
{
    bool compact = w->flexible && !field->never_flexible;
    if (!field->array && kafka_in(field->nullable, w->version))
        return put_length(w, compact, length_width(field), -1);
    if (field->array || kafka_never_null(field))
        return put_length(w, compact, length_width(field), 0);
    return ST_UNSUPPORTED;
}

static enum status put_slice(struct writer *w, const struct kafka_field *field, struct slice value)
{
    if (value.data == NULL)
        return put_null(w, field);
    size_t max = field->type == KAFKA_STRING ? KAFKA_STRING_MAX : INT32_MAX - 1;
    if (value.len > max)
        return ST_INVALID;
    bool compact = w->flexible && !field->never_flexible;
    enum status status = put_length(w, compact, length_width(field), (int32_t)value.len);
    if (status != ST_OK)
        return status;
    return buf_append(&w->out->bytes, value.data, value.len);
}

static enum status splice(struct kafka_out *out, const struct piece *piece)
{
    if (out->splice_count == out->splice_cap) {
        int32_t cap = out->splice_cap ? out->splice_cap * 2 : 8;
        struct kafka_splice *splices = realloc(out->splices, (size_t)cap * sizeof *splices);
        if (splices == NULL)
            return ST_NO_MEMORY;
        out->splices = splices;
        out->splice_cap = cap;
    }
    out->splices[out->splice_count++] = (struct kafka_splice){.at = out->bytes.len, .piece = *piece};
    out->spliced += piece->len;
    return ST_OK;
}

static enum status put_records(struct writer *w, const struct kafka_field *field,
                               const struct kafka_records *records)
{
    if (records->piece_count == 0)
        return put_slice(w, field, records->bytes);
    size_t total = 0;
    for (int32_t i = 0; i < records->piece_count; i++)
        total += records->pieces[i].len;
    if (total >= INT32_MAX)
        return ST_INVALID;
    enum status status = put_length(w, w->flexible, 4, (int32_t)total);
    for (int32_t i = 0; i < records->piece_count && status == ST_OK; i++)
        status = splice(w->out, &records->pieces[i]);
    return status;
}

static enum status put_number(struct writer *w, enum kafka_type type, const void *in)
{
    struct buf *bytes = &w->out->bytes;
    uint64_t bits;
    switch (type) {
    case KAFKA_BOOL:
        return buf_put_u8(bytes, *(const bool *)in ? 1 : 0);
    case KAFKA_INT8:
        return buf_put_u8(bytes, *(const uint8_t *)in);
    case KAFKA_INT16:
    case KAFKA_UINT16:
        return buf_put_be16(bytes, *(const uint16_t *)in);
    case KAFKA_INT32:
        return buf_put_be32(bytes, *(const uint32_t *)in);
    case KAFKA_UUID:
        return buf_append(bytes, in, sizeof(struct uuid));
    default:
        memcpy(&bits, in, sizeof bits);
        return buf_put_be64(bytes, bits);
    }
}

static enum status put_structure(struct writer *w, const struct kafka_structure *structure, const void *in);

static enum status put_value(struct writer *w, const struct kafka_field *field, const void *in)
{
    switch ((enum kafka_type)field->type) {
    case KAFKA_STRING:
    case KAFKA_BYTES:
        return put_slice(w, field, *(const struct slice *)in);
    case KAFKA_RECORDS:
        return put_records(w, field, in);
    case KAFKA_STRUCT:
        return put_structure(w, field->structure, in);
    default:
        return put_number(w, (enum kafka_type)field->type, in);
    }
}

static enum status put_array(struct writer *w, const struct kafka_field *field, const void *structure)
{
    int32_t count = kafka_array_count(field, structure);
    if (count < 0) {
        if (kafka_never_null(field))
            return ST_INVALID;
        return kafka_in(field->nullable, w->version) ? put_length(w, w->flexible, 4, -1) : ST_UNSUPPORTED;
    }
    enum status status = put_length(w, w->flexible, 4, count);
    const uint8_t *item = kafka_pointer(field, structure);
    size_t size = kafka_value_size(field);
    for (int32_t i = 0; i < count && status == ST_OK; i++, item += size)
        status = put_value(w, field, item);
    return status;
}

// The mark in front of a nullable structure is get_mark's of decode.c: -1 or 1, below a tag varint 0 or 1.
static enum status put_pointer(struct writer *w, const struct kafka_field *field, const void *structure)
{
    const void *value = kafka_pointer(field, structure);
    bool nullable = kafka_in(field->nullable, w->version);
    if (value == NULL)
        return nullable ? buf_put_u8(&w->out->bytes, field->tag >= 0 ? 0 : 0xff) : ST_UNSUPPORTED;
    if (nullable) {
        enum status status = buf_put_u8(&w->out->bytes, 1);
        if (status != ST_OK)
            return status;
    }
    return put_structure(w, field->structure, value);
}

static enum status put_field(struct writer *w, const struct kafka_field *field, const void *structure)
{
    if (field->array)
        return put_array(w, field, structure);
    if (field->pointer)
        return put_pointer(w, field, structure);
    return put_value(w, field, (const uint8_t *)structure + field->offset);
}

// The size of a tagged field stands in front of it and is a varint itself: the field is written first, then
// moved up by what its size takes. The generator admits no records below tags, so no splice moves.
static enum status put_tagged_field(struct writer *w, const struct kafka_field *field, const void *structure)
{
    struct buf *bytes = &w->out->bytes;
    enum status status = put_uvarint(w, (uint32_t)field->tag);
    size_t start = bytes->len;
    if (status == ST_OK)
        status = put_field(w, field, structure);
    if (status != ST_OK)
        return status;
    size_t size = bytes->len - start;
    uint8_t prefix[VARINT64_MAX];
    size_t width = (size_t)uvarint64_put(prefix, size);
    status = buf_append(bytes, prefix, width);
    if (status != ST_OK)
        return status;
    memmove(bytes->data + start + width, bytes->data + start, size);
    memcpy(bytes->data + start, prefix, width);
    return ST_OK;
}

// The tagged field with the smallest tag above `above` that has to be written, NULL when there is none.
static const struct kafka_field *next_tagged(const struct writer *w, const struct kafka_structure *structure,
                                             const void *in, int above)
{
    const struct kafka_field *best = NULL;
    for (int i = 0; i < structure->field_count; i++) {
        const struct kafka_field *field = &structure->fields[i];
        if (field->tag > above && kafka_in(field->versions, w->version) &&
            (best == NULL || field->tag < best->tag) && !kafka_field_is_default(field, in))
            best = field;
    }
    return best;
}

// Unknown tags must ascend and must not be those of fields this version knows.
static enum status check_unknown(const struct writer *w, const struct kafka_structure *structure,
                                 const struct kafka_tags *tags)
{
    for (int32_t t = 0; t < tags->count; t++) {
        if (t > 0 && tags->items[t].tag <= tags->items[t - 1].tag)
            return ST_INVALID;
        for (int i = 0; i < structure->field_count; i++) {
            const struct kafka_field *field = &structure->fields[i];
            if (field->tag >= 0 && (uint32_t)field->tag == tags->items[t].tag &&
                kafka_in(field->versions, w->version))
                return ST_INVALID;
        }
    }
    return ST_OK;
}

static enum status put_unknown(struct writer *w, const struct kafka_tag *tag)
{
    enum status status = put_uvarint(w, tag->tag);
    if (status == ST_OK)
        status = put_uvarint(w, (uint32_t)tag->bytes.len);
    return status == ST_OK ? buf_append(&w->out->bytes, tag->bytes.data, tag->bytes.len) : status;
}

static uint32_t count_tagged(const struct writer *w, const struct kafka_structure *structure, const void *in)
{
    uint32_t count = 0;
    if (structure->tagged_count == 0)
        return 0;
    const struct kafka_field *field = next_tagged(w, structure, in, -1);
    for (; field != NULL; field = next_tagged(w, structure, in, field->tag))
        count++;
    return count;
}

static enum status put_tags(struct writer *w, const struct kafka_structure *structure, const void *in)
{
    const struct kafka_tags *tags = (const void *)((const uint8_t *)in + structure->tags_offset);
    enum status status = check_unknown(w, structure, tags);
    uint32_t known = count_tagged(w, structure, in);
    if (status == ST_OK)
        status = put_uvarint(w, known + (uint32_t)tags->count);
    int32_t t = 0;
    for (int above = -1; known > 0 && status == ST_OK; known--) {
        const struct kafka_field *field = next_tagged(w, structure, in, above);
        for (; t < tags->count && tags->items[t].tag < (uint32_t)field->tag && status == ST_OK; t++)
            status = put_unknown(w, &tags->items[t]);
        if (status == ST_OK)
            status = put_tagged_field(w, field, in);
        above = field->tag;
    }
    for (; t < tags->count && status == ST_OK; t++)
        status = put_unknown(w, &tags->items[t]);
    return status;
}

static enum status put_structure(struct writer *w, const struct kafka_structure *structure, const void *in)
{
    for (int i = 0; i < structure->field_count; i++) {
        const struct kafka_field *field = &structure->fields[i];
        enum status status = ST_OK;
        if (!kafka_in(field->versions, w->version))
            status = field->ignorable || kafka_field_is_default(field, in) ? ST_OK : ST_UNSUPPORTED;
        else if (field->tag < 0)
            status = put_field(w, field, in);
        if (status != ST_OK)
            return status;
    }
    if (w->flexible)
        return put_tags(w, structure, in);
    // A version without tags has no place for unknown ones.
    const struct kafka_tags *tags = (const void *)((const uint8_t *)in + structure->tags_offset);
    return structure->has_tags && tags->count > 0 ? ST_UNSUPPORTED : ST_OK;
}

static void roll_back(struct kafka_out *out, size_t len, int32_t splice_count)
{
    while (out->splice_count > splice_count)
        out->spliced -= out->splices[--out->splice_count].piece.len;
    out->bytes.len = len;
    out->bytes.failed = ST_OK;
}

enum status kafka_encode(const struct kafka_message *message, int16_t version, const void *in,
                         struct kafka_out *out)
{
    if (!kafka_in(message->valid, version))
        return ST_UNSUPPORTED;
    struct writer w = {.out = out, .version = version, .flexible = kafka_in(message->flexible, version)};
    size_t len = out->bytes.len;
    int32_t splice_count = out->splice_count;
    enum status status = put_structure(&w, message->structure, in);
    if (status != ST_OK)
        roll_back(out, len, splice_count);
    return status;
}
