// SPDX-License-Identifier: Apache-2.0
// Borrowed bytes: a pointer and a length into memory somebody else owns. Never freed through the slice.
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *data; // NULL stands for "no value" where a field is nullable
    size_t len;          // bytes
};

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){.data = (const uint8_t *)data, .len = len};
}

// The bytes of a NUL-terminated string, without the NUL. NULL gives the empty slice with data NULL.
static inline struct slice slice_str(const char *text)
{
    return slice_of(text, text ? strlen(text) : 0);
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool slice_is(struct slice s, const char *text)
{
    return slice_equal(s, slice_str(text));
}

// The value of a hexadecimal digit of either case; -1: it is none.
static inline int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Without the spaces at both ends.
static inline struct slice slice_trim(struct slice text)
{
    while (text.len > 0 && text.data[0] == ' ')
        text = slice_of(text.data + 1, text.len - 1);
    while (text.len > 0 && text.data[text.len - 1] == ' ')
        text.len--;
    return text;
}

#endif
