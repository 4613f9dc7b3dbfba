// SPDX-License-Identifier: Apache-2.0
// What a Kafka message is made of: the value types that appear in the generated structures
// ("kafka/messages/NAME.h", one header per protos/kafka/NAME.msg), and the descriptor tables that the codec
// interprets. Callers use the structures; only codec, generator and tests look into the descriptors.
//
// In the structures: a string or bytes field is a slice whose data is NULL for null; an array is a pointer
// and NAME_count, -1 for null; a nullable structure is a pointer (its default may be shared: assign, do not
// write through it). Names are the notation's in snake case.
#ifndef KAFKA_MESSAGE_H
#define KAFKA_MESSAGE_H

#include "base/block.h"
#include "base/slice.h"
#include "base/uuid.h"

// Record batches. Decoding fills bytes only. For encoding either bytes, or, when piece_count > 0, pieces in
// order: these are not copied but spliced into the answer (struct kafka_out).
struct kafka_records {
    struct slice bytes; // data NULL: null
    struct piece *pieces;
    int32_t piece_count;
};

// A tagged field nobody declared, kept as it came.
struct kafka_tag {
    uint32_t tag;
    struct slice bytes;
};

// Last member of every structure of a message that has flexible versions. Tags must ascend for encoding.
struct kafka_tags {
    struct kafka_tag *items;
    int32_t count;
};

enum kafka_type {
    KAFKA_BOOL,
    KAFKA_INT8,
    KAFKA_INT16,
    KAFKA_UINT16,
    KAFKA_INT32,
    KAFKA_INT64,
    KAFKA_FLOAT64,
    KAFKA_UUID,
    KAFKA_STRING,
    KAFKA_BYTES,
    KAFKA_RECORDS,
    KAFKA_STRUCT,
};

enum kafka_kind {
    KAFKA_REQUEST,
    KAFKA_RESPONSE,
    KAFKA_HEADER,
    KAFKA_DATA,
    KAFKA_COORDINATOR_KEY,
    KAFKA_COORDINATOR_VALUE,
};

// Inclusive; first > last is the empty range. An open range ends at INT16_MAX.
struct kafka_versions {
    int16_t first;
    int16_t last;
};

static inline bool kafka_in(struct kafka_versions range, int16_t version)
{
    return version >= range.first && version <= range.last;
}

struct kafka_structure;

struct kafka_field {
    const char *name;
    const struct kafka_structure *structure; // for KAFKA_STRUCT
    const void *default_structure;           // of a nullable structure whose default is not null: all zero
    int64_t default_number;                  // of numbers and bool
    struct kafka_versions versions;          // in which the field exists
    struct kafka_versions nullable;          // in which it may be null
    uint16_t offset;
    uint16_t count_offset; // of NAME_count, for arrays
    int16_t tag;           // in every version it has; -1: not tagged
    uint8_t type;          // enum kafka_type, of the elements for arrays
    bool array;
    bool pointer; // a nullable structure
    bool ignorable;
    bool never_flexible; // strings keep the int16 length in flexible versions
    bool default_null;
};

struct kafka_structure {
    const struct kafka_field *fields; // in the order of the wire
    uint16_t field_count;
    uint16_t tagged_count; // fields with a tag
    uint16_t size;         // of the C structure
    uint16_t tags_offset;  // of struct kafka_tags
    bool has_tags;
};

struct kafka_message {
    const char *name; // as Kafka spells it, e.g. "ProduceRequest"
    const struct kafka_structure *structure;
    struct kafka_versions valid;
    struct kafka_versions flexible;
    int16_t key; // API key or record type, -1: none
    uint8_t kind;
};

// Every declared message, in no particular but a stable order.
extern const struct kafka_message *const kafka_messages[];
extern const int32_t kafka_message_count;

#endif
