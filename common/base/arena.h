// SPDX-License-Identifier: Apache-2.0
// Bump allocator for what lives exactly as long as one request: everything is freed at once. The cap turns
// hostile input into NULL instead of memory pressure. Memory is zeroed and aligned to 16 bytes.
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/slice.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *head; // newest chunk first
    size_t used;              // bytes handed out, alignment included
    size_t cap;               // bytes it may ever hand out
};

void arena_init(struct arena *arena, size_t cap);
void arena_fini(struct arena *arena);

// Frees all but one chunk and starts over.
void arena_reset(struct arena *arena);

// Zeroed memory, or NULL when the cap or the machine's memory is reached. size 0 gives a valid pointer.
void *arena_alloc(struct arena *arena, size_t size);

// count * size with the overflow checked.
void *arena_calloc(struct arena *arena, size_t count, size_t size);

// A NUL-terminated copy of the bytes; NULL at the cap.
char *arena_strndup(struct arena *arena, const void *bytes, size_t len);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
