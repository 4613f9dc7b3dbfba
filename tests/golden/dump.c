// SPDX-License-Identifier: Apache-2.0
// Walks a structure by its descriptors, independently of the codec's reader and writer. See dump.h.
#include "dump.h"

#include "kafka/value.h"

#include <ctype.h>
#include <inttypes.h>

static void put_hex(struct buf *out, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    if (buf_reserve(out, 2 * len) != ST_OK)
        return;
    for (size_t i = 0; i < len; i++) {
        out->data[out->len++] = (uint8_t)digits[bytes[i] >> 4];
        out->data[out->len++] = (uint8_t)digits[bytes[i] & 15];
    }
}

static void put_slice(struct buf *out, struct slice bytes)
{
    buf_put_u8(out, bytes.data ? 'x' : '~');
    put_hex(out, bytes.data, bytes.len);
}

static void put_real(struct buf *out, const void *at)
{
    uint64_t bits;
    memcpy(&bits, at, sizeof bits);
    buf_printf(out, "d%016" PRIx64, bits);
}

static void put_number(struct buf *out, enum kafka_type type, const void *at)
{
    if (type == KAFKA_BOOL)
        buf_put_u8(out, *(const bool *)at ? 't' : 'f');
    else if (type == KAFKA_INT8)
        buf_printf(out, "%d", *(const int8_t *)at);
    else if (type == KAFKA_INT16)
        buf_printf(out, "%d", *(const int16_t *)at);
    else if (type == KAFKA_UINT16)
        buf_printf(out, "%d", *(const uint16_t *)at);
    else if (type == KAFKA_INT32)
        buf_printf(out, "%" PRId32, *(const int32_t *)at);
    else if (type == KAFKA_INT64)
        buf_printf(out, "%" PRId64, *(const int64_t *)at);
    else if (type == KAFKA_FLOAT64)
        put_real(out, at);
    else
        put_hex(out, at, sizeof(struct uuid));
}

static void put_structure(struct buf *out, int16_t version, const struct kafka_structure *structure,
                          const void *in);

static void put_value(struct buf *out, int16_t version, const struct kafka_field *field, const void *at)
{
    if (field->type == KAFKA_STRUCT)
        put_structure(out, version, field->structure, at);
    else if (field->type == KAFKA_STRING || field->type == KAFKA_BYTES)
        put_slice(out, *(const struct slice *)at);
    else if (field->type == KAFKA_RECORDS)
        put_slice(out, ((const struct kafka_records *)at)->bytes);
    else
        put_number(out, (enum kafka_type)field->type, at);
}

static void put_array(struct buf *out, int16_t version, const struct kafka_field *field,
                      const void *structure)
{
    int32_t count = kafka_array_count(field, structure);
    if (count < 0) {
        buf_put_u8(out, '~');
        return;
    }
    const uint8_t *item = kafka_pointer(field, structure);
    buf_put_u8(out, '[');
    for (int32_t i = 0; i < count; i++, item += kafka_value_size(field)) {
        put_value(out, version, field, item);
        buf_put_u8(out, ',');
    }
    buf_put_u8(out, ']');
}

static void put_field(struct buf *out, int16_t version, const struct kafka_field *field,
                      const void *structure)
{
    if (field->array) {
        put_array(out, version, field, structure);
    } else if (field->pointer) {
        const void *value = kafka_pointer(field, structure);
        if (value == NULL)
            buf_put_u8(out, '~');
        else
            put_structure(out, version, field->structure, value);
    } else {
        put_value(out, version, field, (const uint8_t *)structure + field->offset);
    }
}

static void put_named(struct buf *out, int16_t version, const struct kafka_field *field,
                      const void *structure)
{
    for (const char *c = field->name; *c != '\0'; c++)
        buf_put_u8(out, (uint8_t)tolower((unsigned char)*c));
    buf_put_u8(out, ':');
    put_field(out, version, field, structure);
    buf_put_u8(out, ',');
}

static void put_structure(struct buf *out, int16_t version, const struct kafka_structure *structure,
                          const void *in)
{
    buf_put_u8(out, '{');
    int top_tag = -1;
    for (int i = 0; i < structure->field_count; i++) {
        const struct kafka_field *field = &structure->fields[i];
        if (field->tag > top_tag)
            top_tag = field->tag;
        if (field->tag < 0 && kafka_in(field->versions, version))
            put_named(out, version, field, in);
    }
    for (int tag = 0; tag <= top_tag; tag++) {
        for (int i = 0; i < structure->field_count; i++) {
            const struct kafka_field *field = &structure->fields[i];
            if (field->tag == tag && kafka_in(field->versions, version))
                put_named(out, version, field, in);
        }
    }
    const struct kafka_tags *tags = (const void *)((const uint8_t *)in + structure->tags_offset);
    for (int32_t i = 0; structure->has_tags && i < tags->count; i++) {
        buf_printf(out, "#%" PRIu32 ":", tags->items[i].tag);
        put_hex(out, tags->items[i].bytes.data, tags->items[i].bytes.len);
        buf_put_u8(out, ',');
    }
    buf_put_u8(out, '}');
}

void dump_message(const struct kafka_message *message, int16_t version, const void *in, struct buf *out)
{
    put_structure(out, version, message->structure, in);
}

void dump_scalar(const struct kafka_field *field, const void *structure, struct buf *out)
{
    put_field(out, INT16_MAX, field, structure);
}

bool dump_name_is(const struct kafka_field *field, const char *text, size_t len)
{
    if (strlen(field->name) != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (tolower((unsigned char)field->name[i]) != text[i])
            return false;
    }
    return true;
}
