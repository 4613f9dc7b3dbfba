// SPDX-License-Identifier: Apache-2.0
// Allocation of small, fixed-size things of our own: it does not fail (the process ends with a message), so
// that callers stay straight. Anything sized by a client goes through buf, arena or block, which have limits
// and a status.
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

// Zeroed memory for count elements of size bytes. Never NULL.
void *mem_calloc(size_t count, size_t size);

// Resizes as realloc; the grown part is not zeroed. Never NULL for size > 0.
void *mem_realloc(void *old, size_t size);

// Copies of a NUL-terminated string, or of len bytes with a NUL added. Never NULL.
char *mem_strdup(const char *text);
char *mem_strndup(const char *text, size_t len);

// printf into a fresh string. Never NULL; the caller frees.
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

void mem_free(void *memory);

#endif
