// SPDX-License-Identifier: Apache-2.0
// Chunks that grow with use; the first is of a size that malloc keeps at hand. See arena.h.
#include "base/arena.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHUNK_MIN = 960, CHUNK_GROWTH = 4, CHUNK_MAX = 1 << 20, ALIGNMENT = 16 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; // bytes behind the header
    size_t used;
    size_t padding; // keeps the bytes behind the header 16-aligned
};

void arena_init(struct arena *arena, size_t cap)
{
    *arena = (struct arena){.cap = cap};
}

static void chunks_free(struct arena_chunk *chunk)
{
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void arena_fini(struct arena *arena)
{
    chunks_free(arena->head);
    *arena = (struct arena){0};
}

void arena_reset(struct arena *arena)
{
    if (arena->head != NULL) {
        chunks_free(arena->head->next);
        arena->head->next = NULL;
        arena->head->used = 0;
    }
    arena->used = 0;
}

static struct arena_chunk *chunk_add(struct arena *arena, size_t size)
{
    size_t want = arena->head ? arena->head->size * CHUNK_GROWTH : CHUNK_MIN;
    if (want > CHUNK_MAX)
        want = CHUNK_MAX;
    if (want < size)
        want = size;
    struct arena_chunk *chunk = malloc(sizeof *chunk + want);
    if (chunk == NULL)
        return NULL;
    *chunk = (struct arena_chunk){.next = arena->head, .size = want};
    arena->head = chunk;
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > arena->cap)
        return NULL;
    size_t rounded = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (rounded > arena->cap - arena->used || arena->used > arena->cap)
        return NULL;
    struct arena_chunk *chunk = arena->head;
    if (chunk == NULL || chunk->size - chunk->used < rounded)
        chunk = chunk_add(arena, rounded);
    if (chunk == NULL)
        return NULL;
    uint8_t *memory = (uint8_t *)(chunk + 1) + chunk->used;
    chunk->used += rounded;
    arena->used += rounded;
    return memset(memory, 0, rounded);
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return arena_alloc(arena, total);
}

char *arena_strndup(struct arena *arena, const void *bytes, size_t len)
{
    char *copy = arena_alloc(arena, len + 1);
    if (copy != NULL && len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    ASSERT(len >= 0);
    char *text = arena_alloc(arena, (size_t)len + 1);
    if (text == NULL)
        return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}
