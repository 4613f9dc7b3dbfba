// SPDX-License-Identifier: Apache-2.0
// malloc with the decision taken: running out of memory for a small structure ends the process with one line.
#include "base/mem.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CACHED_MAX = 1024 }; // glibc keeps freed pieces up to this size per thread, and calloc passes them by

void *mem_calloc(size_t count, size_t size)
{
    size_t total;
    bool small = !__builtin_mul_overflow(count, size, &total) && total <= CACHED_MAX;
    void *memory = small ? malloc(total ? total : 1) : calloc(count, size);
    ASSERT(memory != NULL);
    return small ? memset(memory, 0, total) : memory;
}

void *mem_realloc(void *old, size_t size)
{
    void *memory = realloc(old, size ? size : 1);
    ASSERT(memory != NULL);
    return memory;
}

char *mem_strdup(const char *text)
{
    return mem_strndup(text, strlen(text));
}

char *mem_strndup(const char *text, size_t len)
{
    char *copy = mem_calloc(1, len + 1);
    memcpy(copy, text, len);
    return copy;
}

char *mem_printf(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    ASSERT(len >= 0);
    return text;
}

void mem_free(void *memory)
{
    free(memory);
}
