// SPDX-License-Identifier: Apache-2.0
// Protobuf's wire format, one field after the other: what descriptors and payloads are walked with. Nothing
// is copied; every length is compared with what is left.
#ifndef SCHEMA_PROTOBUF_WIRE_H
#define SCHEMA_PROTOBUF_WIRE_H

#include "base/slice.h"
#include "base/status.h"

enum wire_type {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_GROUP = 3,
    WIRE_GROUP_END = 4,
    WIRE_FIXED32 = 5,
};

enum { WIRE_NUMBER_MAX = (1 << 29) - 1 }; // highest number of a field

struct wire {
    const uint8_t *at, *end;
};

struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;     // VARINT
    struct slice bytes; // BYTES: the content; FIXED32, FIXED64: 4 or 8 bytes
};

static inline struct wire wire_of(struct slice bytes)
{
    return (struct wire){bytes.data, bytes.data + bytes.len};
}

// Takes the next field. Of a group only its beginning or end is taken. NOT_FOUND: there is none; TRUNCATED:
// the bytes end inside of it; MALFORMED: no field.
enum status wire_next(struct wire *wire, struct wire_field *field);

// Takes one varint. TRUNCATED, MALFORMED.
enum status wire_varint(struct wire *wire, uint64_t *value);

#endif
