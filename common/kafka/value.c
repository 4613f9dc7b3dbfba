// SPDX-License-Identifier: Apache-2.0
// Defaults of generated structures: setting them before a decode, and asking for them in an encode, where
// they decide whether a tagged field is written and whether a version can carry a message.
#include "kafka/value.h"

#include "base/assert.h"
#include "kafka/codec.h"

size_t kafka_value_size(const struct kafka_field *field)
{
    static const uint8_t sizes[] = {
        [KAFKA_BOOL] = sizeof(bool),
        [KAFKA_INT8] = 1,
        [KAFKA_INT16] = 2,
        [KAFKA_UINT16] = 2,
        [KAFKA_INT32] = 4,
        [KAFKA_INT64] = 8,
        [KAFKA_FLOAT64] = sizeof(double),
        [KAFKA_UUID] = sizeof(struct uuid),
        [KAFKA_STRING] = sizeof(struct slice),
        [KAFKA_BYTES] = sizeof(struct slice),
        [KAFKA_RECORDS] = sizeof(struct kafka_records),
    };
    return field->type == KAFKA_STRUCT ? field->structure->size : sizes[field->type];
}

static struct slice default_slice(const struct kafka_field *field)
{
    return field->default_null ? (struct slice){0} : slice_of("", 0);
}

static void number_default(const struct kafka_field *field, void *at)
{
    int64_t value = field->default_number;
    switch ((enum kafka_type)field->type) {
    case KAFKA_BOOL:
        *(bool *)at = value != 0;
        return;
    case KAFKA_INT8:
        *(int8_t *)at = (int8_t)value;
        return;
    case KAFKA_INT16:
        *(int16_t *)at = (int16_t)value;
        return;
    case KAFKA_UINT16:
        *(uint16_t *)at = (uint16_t)value;
        return;
    case KAFKA_INT32:
        *(int32_t *)at = (int32_t)value;
        return;
    case KAFKA_INT64:
        *(int64_t *)at = value;
        return;
    case KAFKA_FLOAT64:
        *(double *)at = (double)value;
        return;
    default:
        UNREACHABLE("not a number");
    }
}

static void array_default(const struct kafka_field *field, void *structure)
{
    int32_t count = field->default_null ? -1 : 0;
    void *none = NULL;
    memcpy((uint8_t *)structure + field->offset, &none, sizeof none);
    memcpy((uint8_t *)structure + field->count_offset, &count, sizeof count);
}

// Records default to null, as in Kafka's classes, unless no version could carry that.
static struct kafka_records default_records(const struct kafka_field *field)
{
    bool empty = kafka_never_null(field);
    return (struct kafka_records){.bytes = empty ? slice_of("", 0) : (struct slice){0}};
}

void kafka_field_defaults(const struct kafka_field *field, void *structure)
{
    void *at = (uint8_t *)structure + field->offset;
    if (field->array)
        array_default(field, structure);
    else if (field->type == KAFKA_STRING || field->type == KAFKA_BYTES)
        *(struct slice *)at = default_slice(field);
    else if (field->type == KAFKA_RECORDS)
        *(struct kafka_records *)at = default_records(field);
    else if (field->type == KAFKA_UUID)
        *(struct uuid *)at = (struct uuid){0};
    else if (field->pointer)
        *(const void **)at = field->default_structure;
    else if (field->type == KAFKA_STRUCT)
        kafka_structure_defaults(field->structure, at);
    else
        number_default(field, at);
}

void kafka_structure_defaults(const struct kafka_structure *structure, void *out)
{
    for (int i = 0; i < structure->field_count; i++)
        kafka_field_defaults(&structure->fields[i], out);
    if (structure->has_tags)
        *(struct kafka_tags *)((uint8_t *)out + structure->tags_offset) = (struct kafka_tags){0};
}

void *kafka_structure_array(const struct kafka_structure *structure, struct arena *arena, int32_t count)
{
    ASSERT(count >= 0);
    uint8_t *items = arena_calloc(arena, (size_t)count, structure->size);
    for (int32_t i = 0; items != NULL && i < count; i++)
        kafka_structure_defaults(structure, items + (size_t)i * structure->size);
    return items;
}

void kafka_defaults(const struct kafka_message *message, void *out)
{
    kafka_structure_defaults(message->structure, out);
}

static bool structure_is_default(const struct kafka_structure *structure, const void *in)
{
    for (int i = 0; i < structure->field_count; i++) {
        if (!kafka_field_is_default(&structure->fields[i], in))
            return false;
    }
    const struct kafka_tags *tags = (const void *)((const uint8_t *)in + structure->tags_offset);
    return !structure->has_tags || tags->count == 0;
}

static bool pointer_is_default(const struct kafka_field *field, const void *value)
{
    if (field->default_structure == NULL || value == NULL)
        return value == field->default_structure;
    return structure_is_default(field->structure, value);
}

static bool slice_is_default(const struct kafka_field *field, struct slice value)
{
    if (kafka_never_null(field))
        return value.len == 0;
    return value.len == 0 && (value.data == NULL) == field->default_null;
}

static bool records_are_default(const struct kafka_field *field, const struct kafka_records *records)
{
    return records->piece_count == 0 && records->bytes.len == 0 &&
           (kafka_never_null(field) || records->bytes.data == NULL);
}

static bool number_is_default(const struct kafka_field *field, const void *at)
{
    int64_t value = field->default_number;
    switch ((enum kafka_type)field->type) {
    case KAFKA_BOOL:
        return *(const bool *)at == (value != 0);
    case KAFKA_INT8:
        return *(const int8_t *)at == value;
    case KAFKA_INT16:
        return *(const int16_t *)at == value;
    case KAFKA_UINT16:
        return *(const uint16_t *)at == value;
    case KAFKA_INT32:
        return *(const int32_t *)at == value;
    case KAFKA_INT64:
        return *(const int64_t *)at == value;
    case KAFKA_FLOAT64:
        return *(const double *)at == (double)value;
    default:
        UNREACHABLE("not a number");
    }
}

bool kafka_field_is_default(const struct kafka_field *field, const void *structure)
{
    const void *at = (const uint8_t *)structure + field->offset;
    if (field->array)
        return kafka_array_count(field, structure) == (field->default_null ? -1 : 0);
    if (field->type == KAFKA_STRING || field->type == KAFKA_BYTES)
        return slice_is_default(field, *(const struct slice *)at);
    if (field->type == KAFKA_RECORDS)
        return records_are_default(field, at);
    if (field->type == KAFKA_UUID)
        return uuid_is_zero(*(const struct uuid *)at);
    if (field->pointer)
        return pointer_is_default(field, *(void *const *)at);
    if (field->type == KAFKA_STRUCT)
        return structure_is_default(field->structure, at);
    return number_is_default(field, at);
}
