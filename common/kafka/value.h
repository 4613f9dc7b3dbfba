// SPDX-License-Identifier: Apache-2.0
// What decoder, encoder and defaults share about values in generated structures; private to common/kafka.
#ifndef KAFKA_VALUE_H
#define KAFKA_VALUE_H

#include "kafka/message.h"

enum { KAFKA_STRING_MAX = INT16_MAX };

// Bytes that one element of a type takes in memory.
size_t kafka_value_size(const struct kafka_field *field);

// Sets one field of a structure to its default.
void kafka_field_defaults(const struct kafka_field *field, void *structure);

// Whether a field has its default, unknown tags of nested structures included.
bool kafka_field_is_default(const struct kafka_field *field, const void *structure);

static inline int32_t kafka_array_count(const struct kafka_field *field, const void *structure)
{
    int32_t count;
    memcpy(&count, (const uint8_t *)structure + field->count_offset, sizeof count);
    return count;
}

static inline void *kafka_pointer(const struct kafka_field *field, const void *structure)
{
    void *pointer;
    memcpy(&pointer, (const uint8_t *)structure + field->offset, sizeof pointer);
    return pointer;
}

static inline bool kafka_never_null(const struct kafka_field *field)
{
    return field->nullable.first > field->nullable.last;
}

#endif
