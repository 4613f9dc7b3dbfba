// SPDX-License-Identifier: Apache-2.0
// Bytes from outside into structures; see codec.h. First reader of everything a client sends: conn and the
// services' API tables call it with the request's arena. Every length is checked against what remains before
// it is believed, and an array is only allocated when the remaining bytes could hold its elements.
#include "kafka/codec.h"

#include "base/bytes.h"
#include "base/varint.h"
#include "kafka/value.h"

struct reader {
    struct slice in;
    size_t at;
    struct arena *arena;
    int16_t version;
    bool flexible;
};

static size_t left(const struct reader *r)
{
    return r->in.len - r->at;
}

static enum status take(struct reader *r, size_t len, const uint8_t **bytes)
{
    if (len > left(r))
        return ST_TRUNCATED;
    *bytes = r->in.data + r->at;
    r->at += len;
    return ST_OK;
}

static enum status get_uvarint(struct reader *r, uint32_t *value)
{
    if (left(r) == 0)
        return ST_TRUNCATED;
    int used = uvarint32_get(r->in.data + r->at, left(r), value);
    if (used <= 0)
        return used == 0 ? ST_TRUNCATED : ST_MALFORMED;
    r->at += (size_t)used;
    return ST_OK;
}

// A length or count in the form of the version: compact (plus one, 0 is null), or 2 or 4 bytes signed.
// Negative means null.
static enum status get_length(struct reader *r, bool compact, size_t width, int32_t *length)
{
    if (compact) {
        uint32_t raw = 0;
        enum status status = get_uvarint(r, &raw);
        if (status != ST_OK)
            return status;
        if (raw > INT32_MAX)
            return ST_MALFORMED;
        *length = (int32_t)raw - 1;
        return ST_OK;
    }
    const uint8_t *bytes;
    enum status status = take(r, width, &bytes);
    if (status != ST_OK)
        return status;
    *length = width == 2 ? (int16_t)load_be16(bytes) : (int32_t)load_be32(bytes);
    return ST_OK;
}

// Elements of an array are never null.
static enum status get_slice(struct reader *r, const struct kafka_field *field, struct slice *out)
{
    bool string = field->type == KAFKA_STRING;
    int32_t length;
    enum status status = get_length(r, r->flexible && !field->never_flexible, string ? 2 : 4, &length);
    if (status != ST_OK)
        return status;
    *out = (struct slice){0};
    if (length < 0)
        return !field->array && kafka_in(field->nullable, r->version) ? ST_OK : ST_MALFORMED;
    if (string && length > KAFKA_STRING_MAX)
        return ST_MALFORMED;
    status = take(r, (size_t)length, &out->data);
    out->len = status == ST_OK ? (size_t)length : 0;
    return status;
}

static enum status get_number(struct reader *r, enum kafka_type type, void *out)
{
    static const uint8_t widths[] = {
        [KAFKA_BOOL] = 1,  [KAFKA_INT8] = 1,  [KAFKA_INT16] = 2,   [KAFKA_UINT16] = 2,
        [KAFKA_INT32] = 4, [KAFKA_INT64] = 8, [KAFKA_FLOAT64] = 8, [KAFKA_UUID] = 16,
    };
    const uint8_t *bytes;
    enum status status = take(r, widths[type], &bytes);
    if (status != ST_OK)
        return status;
    if (type == KAFKA_BOOL)
        *(bool *)out = bytes[0] != 0;
    else if (type == KAFKA_INT8)
        *(int8_t *)out = (int8_t)bytes[0];
    else if (type == KAFKA_INT16 || type == KAFKA_UINT16)
        *(uint16_t *)out = load_be16(bytes);
    else if (type == KAFKA_INT32)
        *(uint32_t *)out = load_be32(bytes);
    else if (type == KAFKA_INT64)
        *(uint64_t *)out = load_be64(bytes);
    else if (type == KAFKA_UUID)
        memcpy(out, bytes, sizeof(struct uuid));
    else {
        uint64_t bits = load_be64(bytes);
        memcpy(out, &bits, sizeof bits);
    }
    return ST_OK;
}

static enum status get_structure(struct reader *r, const struct kafka_structure *structure, void *out);

// One value that is not an array: an element, or the field itself.
static enum status get_value(struct reader *r, const struct kafka_field *field, void *out)
{
    switch ((enum kafka_type)field->type) {
    case KAFKA_STRING:
    case KAFKA_BYTES:
        return get_slice(r, field, out);
    case KAFKA_RECORDS:
        *(struct kafka_records *)out = (struct kafka_records){0};
        return get_slice(r, field, &((struct kafka_records *)out)->bytes);
    case KAFKA_STRUCT:
        return get_structure(r, field->structure, out);
    default:
        return get_number(r, (enum kafka_type)field->type, out);
    }
}

static size_t structure_min(const struct reader *r, const struct kafka_structure *structure);

// The fewest bytes a value can take in this version.
static size_t value_min(const struct reader *r, const struct kafka_field *field)
{
    static const uint8_t mins[] = {
        [KAFKA_BOOL] = 1,   [KAFKA_INT8] = 1,  [KAFKA_INT16] = 2,   [KAFKA_UINT16] = 2,
        [KAFKA_INT32] = 4,  [KAFKA_INT64] = 8, [KAFKA_UUID] = 16,   [KAFKA_FLOAT64] = 8,
        [KAFKA_STRING] = 2, [KAFKA_BYTES] = 4, [KAFKA_RECORDS] = 4,
    };
    bool compact = r->flexible && !field->never_flexible;
    switch ((enum kafka_type)field->type) {
    case KAFKA_STRING:
    case KAFKA_BYTES:
    case KAFKA_RECORDS:
        return compact ? 1 : mins[field->type];
    case KAFKA_STRUCT:
        return structure_min(r, field->structure);
    default:
        return mins[field->type];
    }
}

static size_t structure_min(const struct reader *r, const struct kafka_structure *structure)
{
    size_t total = r->flexible ? 1 : 0;
    for (int i = 0; i < structure->field_count; i++) {
        const struct kafka_field *field = &structure->fields[i];
        if (field->tag >= 0 || !kafka_in(field->versions, r->version))
            continue;
        if (field->array)
            total += r->flexible ? 1 : 4;
        else
            total += field->pointer ? 1 : value_min(r, field);
    }
    return total;
}

static enum status get_elements(struct reader *r, const struct kafka_field *field, void *items, int32_t count)
{
    size_t size = kafka_value_size(field);
    uint8_t *item = items;
    for (int32_t i = 0; i < count; i++, item += size) {
        enum status status = get_value(r, field, item);
        if (status != ST_OK)
            return status;
    }
    return ST_OK;
}

static enum status get_array(struct reader *r, const struct kafka_field *field, void *structure)
{
    int32_t count;
    enum status status = get_length(r, r->flexible, 4, &count);
    if (status != ST_OK)
        return status;
    if (count < 0 && !kafka_in(field->nullable, r->version))
        return ST_MALFORMED;
    void *items = NULL;
    if (count > 0) {
        // A structure without fields in this version would take no bytes; one is the least we believe.
        size_t min = value_min(r, field);
        if ((size_t)count > left(r) / (min ? min : 1))
            return ST_TRUNCATED;
        items = arena_calloc(r->arena, (size_t)count, kafka_value_size(field));
        if (items == NULL)
            return ST_NO_MEMORY;
        status = get_elements(r, field, items, count);
        if (status != ST_OK)
            return status;
    }
    count = count < 0 ? -1 : count;
    memcpy((uint8_t *)structure + field->offset, &items, sizeof items);
    memcpy((uint8_t *)structure + field->count_offset, &count, sizeof count);
    return ST_OK;
}

// A nullable structure has a mark in front: a byte of which negative is null, or below a tag a varint of
// which 0 is null. Anything else is followed by the structure.
static enum status get_mark(struct reader *r, const struct kafka_field *field, bool *null)
{
    if (field->tag >= 0) {
        uint32_t mark = 0;
        enum status status = get_uvarint(r, &mark);
        *null = mark == 0;
        return status;
    }
    const uint8_t *mark;
    enum status status = take(r, 1, &mark);
    *null = status == ST_OK && (int8_t)*mark < 0;
    return status;
}

static enum status get_pointer(struct reader *r, const struct kafka_field *field, void **out)
{
    *out = NULL;
    if (kafka_in(field->nullable, r->version)) {
        bool null;
        enum status status = get_mark(r, field, &null);
        if (status != ST_OK || null)
            return status;
    }
    *out = arena_alloc(r->arena, field->structure->size);
    return *out == NULL ? ST_NO_MEMORY : get_structure(r, field->structure, *out);
}

static enum status get_field(struct reader *r, const struct kafka_field *field, void *structure)
{
    void *at = (uint8_t *)structure + field->offset;
    if (field->array)
        return get_array(r, field, structure);
    if (field->pointer)
        return get_pointer(r, field, at);
    return get_value(r, field, at);
}

static const struct kafka_field *find_tag(const struct reader *r, const struct kafka_structure *structure,
                                          uint32_t tag)
{
    if (structure->tagged_count == 0)
        return NULL;
    for (int i = 0; i < structure->field_count; i++) {
        const struct kafka_field *field = &structure->fields[i];
        if (field->tag >= 0 && (uint32_t)field->tag == tag && kafka_in(field->versions, r->version))
            return field;
    }
    return NULL;
}

// A known tag is decoded in place and must fill its announced size exactly.
static enum status get_known_tag(struct reader *r, const struct kafka_field *field, size_t size,
                                 void *structure)
{
    size_t end = r->at + size;
    size_t whole = r->in.len;
    r->in.len = end;
    enum status status = get_field(r, field, structure);
    r->in.len = whole;
    if (status == ST_TRUNCATED || (status == ST_OK && r->at != end))
        return ST_MALFORMED;
    return status;
}

static enum status get_tag(struct reader *r, const struct kafka_structure *structure, void *out,
                           struct kafka_tag *unknown, struct kafka_tags *tags)
{
    uint32_t tag;
    uint32_t size;
    enum status status = get_uvarint(r, &tag);
    if (status == ST_OK)
        status = get_uvarint(r, &size);
    if (status != ST_OK)
        return status;
    if (size > left(r))
        return ST_TRUNCATED;
    const struct kafka_field *field = find_tag(r, structure, tag);
    if (field != NULL)
        return get_known_tag(r, field, size, out);
    unknown[tags->count] = (struct kafka_tag){.tag = tag, .bytes = slice_of(r->in.data + r->at, size)};
    tags->count++;
    r->at += size;
    return ST_OK;
}

static enum status get_tags(struct reader *r, const struct kafka_structure *structure, void *out)
{
    struct kafka_tags *tags = (void *)((uint8_t *)out + structure->tags_offset);
    *tags = (struct kafka_tags){0};
    uint32_t count;
    enum status status = get_uvarint(r, &count);
    if (status != ST_OK || count == 0)
        return status;
    if (count > left(r) / 2) // a tag and a size take a byte each
        return ST_TRUNCATED;
    tags->items = arena_calloc(r->arena, count, sizeof *tags->items);
    if (tags->items == NULL)
        return ST_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        status = get_tag(r, structure, out, tags->items, tags);
        if (status != ST_OK)
            return status;
    }
    return ST_OK;
}

static enum status get_structure(struct reader *r, const struct kafka_structure *structure, void *out)
{
    for (int i = 0; i < structure->field_count; i++) {
        const struct kafka_field *field = &structure->fields[i];
        if (field->tag >= 0 || !kafka_in(field->versions, r->version)) {
            kafka_field_defaults(field, out);
            continue;
        }
        enum status status = get_field(r, field, out);
        if (status != ST_OK)
            return status;
    }
    if (structure->has_tags)
        *(struct kafka_tags *)((uint8_t *)out + structure->tags_offset) = (struct kafka_tags){0};
    return r->flexible ? get_tags(r, structure, out) : ST_OK;
}

enum status kafka_decode_prefix(const struct kafka_message *message, int16_t version, struct slice in,
                                struct arena *arena, void *out, size_t *used)
{
    if (!kafka_in(message->valid, version))
        return ST_UNSUPPORTED;
    struct reader r = {
        .in = in, .arena = arena, .version = version, .flexible = kafka_in(message->flexible, version)};
    enum status status = get_structure(&r, message->structure, out);
    *used = r.at;
    return status;
}

enum status kafka_decode(const struct kafka_message *message, int16_t version, struct slice in,
                         struct arena *arena, void *out)
{
    size_t used = 0;
    enum status status = kafka_decode_prefix(message, version, in, arena, out, &used);
    if (status == ST_OK && used != in.len)
        return ST_MALFORMED;
    return status;
}

enum status kafka_decode_request(const struct kafka_message *message, int16_t version, struct slice in,
                                 struct arena *arena, void *out)
{
    size_t used = 0;
    return kafka_decode_prefix(message, version, in, arena, out, &used);
}
