// SPDX-License-Identifier: Apache-2.0
// What counts as UTF-8: RFC 3629, no overlong forms, no surrogates, nothing beyond U+10FFFF.
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/slice.h"

// Bytes of the sequence at the start of left (> 0) bytes; 0: it is none, or ends too early.
size_t utf8_length(const uint8_t *at, size_t left);

bool utf8_valid(struct slice text);

// Writes the sequence of a code point (up to U+10FFFF; a surrogate is the caller's matter) to out, which has
// room for 4 bytes; how many it is.
size_t utf8_put(uint8_t *out, uint32_t point);

#endif
