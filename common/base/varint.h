// SPDX-License-Identifier: Apache-2.0
// Variable-length integers as Kafka uses them: unsigned LEB128, and zig-zag for the signed ones in records.
#ifndef BASE_VARINT_H
#define BASE_VARINT_H

#include <stddef.h>
#include <stdint.h>

enum { VARINT32_MAX = 5, VARINT64_MAX = 10 };

// Reads from [data, data+len). Returns the bytes used, 0 when the input ends too early, -1 when it is longer
// than a value of that width can be.
static inline int uvarint64_get(const uint8_t *data, size_t len, uint64_t *value)
{
    uint64_t result = 0;
    for (size_t i = 0; i < VARINT64_MAX; i++) {
        if (i == len)
            return 0;
        if (i == VARINT64_MAX - 1 && data[i] > 1)
            return -1;
        result |= (uint64_t)(data[i] & 0x7f) << (7 * i);
        if ((data[i] & 0x80) == 0) {
            *value = result;
            return (int)i + 1;
        }
    }
    return -1;
}

static inline int uvarint32_get(const uint8_t *data, size_t len, uint32_t *value)
{
    uint32_t result = 0;
    for (size_t i = 0; i < VARINT32_MAX; i++) {
        if (i == len)
            return 0;
        if (i == VARINT32_MAX - 1 && data[i] > 15)
            return -1;
        result |= (uint32_t)(data[i] & 0x7f) << (7 * i);
        if ((data[i] & 0x80) == 0) {
            *value = result;
            return (int)i + 1;
        }
    }
    return -1;
}

// Writes value; out has room for VARINT64_MAX bytes. Returns the bytes written.
static inline int uvarint64_put(uint8_t *out, uint64_t value)
{
    int len = 0;
    while (value >= 0x80) {
        out[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[len++] = (uint8_t)value;
    return len;
}

static inline uint64_t zigzag64(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}
static inline int64_t unzigzag64(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static inline int varint64_get(const uint8_t *data, size_t len, int64_t *value)
{
    uint64_t raw;
    int used = uvarint64_get(data, len, &raw);
    if (used > 0)
        *value = unzigzag64(raw);
    return used;
}
static inline int varint64_put(uint8_t *out, int64_t value)
{
    return uvarint64_put(out, zigzag64(value));
}

#endif
