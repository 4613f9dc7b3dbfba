// SPDX-License-Identifier: Apache-2.0
// Avro's binary encoding (specification, "Binary Encoding"): walked to see whether a payload is one value of
// a schema, and printed as the specification's JSON encoding on the way if somebody wants that. Nothing of
// the payload is kept; every length is compared with what is left before it is used, and values that take no
// bytes are counted, for an array may have any number of them.
#include "schema/avro.h"

#include "base/bytes.h"
#include "base/utf8.h"
#include "base/varint.h"

#include <stdio.h>

// Where in a payload it went wrong, made from the inside out.
struct trail {
    char path[SCHEMA_ERROR_MAX / 2];
    const struct avro_type *type; // the innermost
    size_t at;                    // byte of the payload
};

struct decoder {
    const uint8_t *at, *end;
    size_t steps_left; // values
    int depth;
    struct buf *json;    // NULL: only checked
    struct trail *trail; // NULL: nobody asks
};

static enum status decode(struct decoder *d, const struct avro_type *type);

static void put(struct decoder *d, const char *text)
{
    if (d->json != NULL)
        buf_append(d->json, text, strlen(text));
}

static void put_string(struct decoder *d, struct slice text)
{
    if (d->json != NULL)
        tree_put_string(text, d->json);
}

// Puts a step in front of the path; what is too long for it is left out.
static void put_step(struct decoder *d, struct slice name)
{
    if (d->trail == NULL || strlen(d->trail->path) + name.len + 2 > sizeof d->trail->path)
        return;
    char *path = d->trail->path;
    memmove(path + 1 + name.len, path, strlen(path) + 1);
    path[0] = '/';
    memcpy(path + 1, name.data, name.len);
}

static void put_index(struct decoder *d, uint64_t index)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)index);
    put_step(d, slice_str(text));
}

static size_t left(const struct decoder *d)
{
    return (size_t)(d->end - d->at);
}

static enum status take_long(struct decoder *d, int64_t *value)
{
    int used = varint64_get(d->at, left(d), value);
    if (used <= 0)
        return used == 0 ? ST_TRUNCATED : ST_MALFORMED;
    d->at += used;
    return ST_OK;
}

static enum status take(struct decoder *d, int64_t len, struct slice *bytes)
{
    if (len < 0)
        return ST_MALFORMED;
    if ((uint64_t)len > left(d))
        return ST_TRUNCATED;
    *bytes = slice_of(d->at, (size_t)len);
    d->at += len;
    return ST_OK;
}

static enum status take_bytes(struct decoder *d, struct slice *bytes)
{
    int64_t len;
    enum status status = take_long(d, &len);
    return status == ST_OK ? take(d, len, bytes) : status;
}

static enum status take_int(struct decoder *d, int64_t *value)
{
    uint32_t raw;
    int used = uvarint32_get(d->at, left(d), &raw);
    if (used <= 0)
        return used == 0 ? ST_TRUNCATED : ST_MALFORMED;
    d->at += used;
    *value = unzigzag64(raw);
    return ST_OK;
}

static enum status decode_integer(struct decoder *d, enum avro_kind kind)
{
    int64_t value;
    enum status status = kind == AVRO_INT ? take_int(d, &value) : take_long(d, &value);
    if (status == ST_OK && d->json != NULL)
        buf_printf(d->json, "%lld", (long long)value);
    return status;
}

// Java widens a float before it prints it.
static enum status decode_real(struct decoder *d, enum avro_kind kind)
{
    struct slice bytes;
    float narrow;
    double value;
    enum status status = take(d, kind == AVRO_FLOAT ? 4 : 8, &bytes);
    if (status != ST_OK)
        return status;
    if (kind == AVRO_FLOAT) {
        uint32_t bits = load_le32(bytes.data);
        memcpy(&narrow, &bits, sizeof narrow);
        value = (double)narrow;
    } else {
        uint64_t bits = load_le64(bytes.data);
        memcpy(&value, &bits, sizeof value);
    }
    if (d->json != NULL)
        tree_put_double(value, d->json);
    return ST_OK;
}

static enum status decode_boolean(struct decoder *d)
{
    struct slice byte;
    enum status status = take(d, 1, &byte);
    if (status != ST_OK)
        return status;
    if (byte.data[0] > 1)
        return ST_MALFORMED;
    put(d, byte.data[0] ? "true" : "false");
    return ST_OK;
}

// Bytes are a string of the characters U+0000 to U+00FF.
static void put_bytes(struct decoder *d, struct slice bytes)
{
    if (d->json == NULL)
        return;
    put(d, "\"");
    for (size_t i = 0; i < bytes.len && buf_status(d->json) == ST_OK; i++) {
        uint8_t c = bytes.data[i], two[2] = {(uint8_t)(0xc0 | c >> 6), (uint8_t)(0x80 | (c & 0x3f))};
        if (c >= 0x80)
            buf_append(d->json, two, sizeof two);
        else
            tree_put_character(c, d->json);
    }
    put(d, "\"");
}

static enum status decode_bytes(struct decoder *d, const struct avro_type *type)
{
    struct slice bytes;
    enum status status = type->kind == AVRO_FIXED ? take(d, type->size, &bytes) : take_bytes(d, &bytes);
    if (status != ST_OK)
        return status;
    if (type->kind != AVRO_STRING) {
        put_bytes(d, bytes);
        return ST_OK;
    }
    if (!utf8_valid(bytes))
        return ST_MALFORMED;
    put_string(d, bytes);
    return ST_OK;
}

static enum status decode_enum(struct decoder *d, const struct avro_type *type)
{
    int64_t index;
    enum status status = take_long(d, &index);
    if (status != ST_OK)
        return status;
    if (index < 0 || index >= type->count)
        return ST_MALFORMED;
    put_string(d, type->index.names[index]);
    return ST_OK;
}

static enum status decode_union(struct decoder *d, const struct avro_type *type)
{
    int64_t index;
    enum status status = take_long(d, &index);
    if (status != ST_OK)
        return status;
    if (index < 0 || index >= type->count)
        return ST_MALFORMED;
    const struct avro_type *branch = type->branches[index];
    if (branch->kind == AVRO_NULL)
        return decode(d, branch);
    put(d, "{");
    put_string(d, avro_type_name(branch));
    put(d, ":");
    status = decode(d, branch);
    put(d, "}");
    return status;
}

static enum status decode_item(struct decoder *d, const struct avro_type *type)
{
    struct slice key;
    if (type->kind == AVRO_ARRAY)
        return decode(d, type->items);
    enum status status = take_bytes(d, &key);
    if (status != ST_OK)
        return status;
    if (!utf8_valid(key))
        return ST_MALFORMED;
    put_string(d, key);
    put(d, ":");
    status = decode(d, type->items);
    if (status != ST_OK)
        put_step(d, key);
    return status;
}

// The header of a block: its items; a negative number is followed by the block's bytes, so that a reader can
// skip it. size -1: not given.
static enum status take_block(struct decoder *d, uint64_t *count, int64_t *size)
{
    int64_t number;
    enum status status = take_long(d, &number);
    *size = -1;
    if (status != ST_OK)
        return status;
    if (number == INT64_MIN)
        return ST_MALFORMED; // has no opposite
    *count = (uint64_t)(number < 0 ? -number : number);
    if (number >= 0)
        return ST_OK;
    status = take_long(d, size);
    if (status == ST_OK && *size < 0)
        return ST_MALFORMED;
    return status;
}

// before: items of the blocks before it.
static enum status decode_block(struct decoder *d, const struct avro_type *type, uint64_t before,
                                uint64_t *count)
{
    int64_t size;
    enum status status = take_block(d, count, &size);
    const uint8_t *from = d->at;
    for (uint64_t i = 0; i < *count && status == ST_OK; i++) {
        put(d, before + i == 0 ? "" : ",");
        status = decode_item(d, type);
        if (status != ST_OK && type->kind == AVRO_ARRAY)
            put_index(d, before + i);
    }
    if (status == ST_OK && size >= 0 && d->at - from != size)
        return ST_MALFORMED;
    return status;
}

static enum status decode_items(struct decoder *d, const struct avro_type *type)
{
    uint64_t count = 1, before = 0;
    enum status status = ST_OK;
    put(d, type->kind == AVRO_ARRAY ? "[" : "{");
    while (count > 0 && status == ST_OK) {
        status = decode_block(d, type, before, &count);
        before += count;
    }
    put(d, type->kind == AVRO_ARRAY ? "]" : "}");
    return status;
}

static enum status decode_record(struct decoder *d, const struct avro_type *type)
{
    enum status status = ST_OK;
    put(d, "{");
    for (uint32_t i = 0; i < type->count && status == ST_OK; i++) {
        put(d, i > 0 ? "," : "");
        put_string(d, type->fields[i].name);
        put(d, ":");
        status = decode(d, type->fields[i].type);
        if (status != ST_OK)
            put_step(d, type->fields[i].name);
    }
    put(d, "}");
    return status;
}

static enum status decode_kind(struct decoder *d, const struct avro_type *type)
{
    switch (type->kind) {
    case AVRO_RECORD:
        return decode_record(d, type);
    case AVRO_ENUM:
        return decode_enum(d, type);
    case AVRO_ARRAY:
    case AVRO_MAP:
        return decode_items(d, type);
    case AVRO_UNION:
        return decode_union(d, type);
    case AVRO_INT:
    case AVRO_LONG:
        return decode_integer(d, type->kind);
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        return decode_real(d, type->kind);
    case AVRO_BOOLEAN:
        return decode_boolean(d);
    case AVRO_NULL:
        put(d, "null");
        return ST_OK;
    default:
        return decode_bytes(d, type);
    }
}

static enum status decode(struct decoder *d, const struct avro_type *type)
{
    if (d->depth == SCHEMA_PAYLOAD_DEPTH_MAX || d->steps_left == 0)
        return ST_LIMIT;
    if (d->json != NULL && buf_status(d->json) != ST_OK)
        return buf_status(d->json);
    d->depth++;
    d->steps_left--;
    enum status status = decode_kind(d, type);
    d->depth--;
    if (status != ST_OK && d->trail != NULL && d->trail->type == NULL)
        d->trail->type = type;
    return status;
}

static enum status decode_all(const struct schema *schema, struct slice payload, size_t *spare,
                              struct trail *trail, struct buf *json)
{
    if (payload.len == 0)
        payload = slice_str(""); // its data may be NULL, which has no end
    struct decoder decoder = {.at = payload.data,
                              .end = payload.data + payload.len,
                              .steps_left = payload.len + *spare,
                              .json = json,
                              .trail = trail};
    enum status status = decode(&decoder, avro_of(schema)->root);
    if (decoder.steps_left < *spare)
        *spare = decoder.steps_left;
    if (trail != NULL)
        trail->at = (size_t)(decoder.at - payload.data);
    if (status == ST_OK && decoder.at != decoder.end)
        return ST_MALFORMED;
    return status == ST_OK && json != NULL ? buf_status(json) : status;
}

enum status avro_payload_check_many(const struct schema *schema, struct slice payload, size_t *spare)
{
    return decode_all(schema, payload, spare, NULL, NULL);
}

enum status avro_payload_check(const struct schema *schema, struct slice payload)
{
    size_t spare = SCHEMA_PAYLOAD_ITEMS_MAX;
    return decode_all(schema, payload, &spare, NULL, NULL);
}

enum status avro_payload_to_json(const struct schema *schema, struct slice payload, struct buf *json)
{
    size_t spare = SCHEMA_PAYLOAD_ITEMS_MAX;
    return decode_all(schema, payload, &spare, NULL, json);
}

enum status avro_payload_explain(const struct schema *schema, struct slice payload,
                                 struct schema_error *error)
{
    size_t spare = SCHEMA_PAYLOAD_ITEMS_MAX;
    struct trail trail = {.type = NULL};
    enum status status = decode_all(schema, payload, &spare, &trail, NULL);
    if (status == ST_OK || status == ST_LIMIT)
        return status;
    if (trail.type == NULL)
        return schema_fail(error, status, "%zu bytes are left behind the value", payload.len - trail.at);
    struct slice name = avro_type_name(trail.type);
    return schema_fail(error, status, "%s: %s at byte %zu for the type %.*s", trail.path,
                       status == ST_TRUNCATED ? "too few bytes" : "no valid bytes", trail.at, (int)name.len,
                       (const char *)name.data);
}
