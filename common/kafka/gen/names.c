// SPDX-License-Identifier: Apache-2.0
// Memory, names and the one way kafka-gen fails. See model.h.
#include "model.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const struct primitive primitives[] = {
    {"bool", "bool", "KAFKA_BOOL", false},
    {"int8", "int8_t", "KAFKA_INT8", false},
    {"int16", "int16_t", "KAFKA_INT16", false},
    {"uint16", "uint16_t", "KAFKA_UINT16", false},
    {"int32", "int32_t", "KAFKA_INT32", false},
    {"int64", "int64_t", "KAFKA_INT64", false},
    {"float64", "double", "KAFKA_FLOAT64", false},
    {"uuid", "struct uuid", "KAFKA_UUID", false},
    {"string", "struct slice", "KAFKA_STRING", true},
    {"bytes", "struct slice", "KAFKA_BYTES", true},
    {"records", "struct kafka_records", "KAFKA_RECORDS", true},
    {NULL, NULL, NULL, false},
};

int primitive_find(const char *name)
{
    for (int i = 0; primitives[i].name != NULL; i++) {
        if (strcmp(primitives[i].name, name) == 0)
            return i;
    }
    return -1;
}

void gen_fail(const struct file *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: ", file ? file->path : "kafka-gen", line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void *gen_alloc(struct model *model, size_t size)
{
    // Two pointers in front keep 16-byte alignment; the first links the blocks.
    void **block = calloc(1, size + 2 * sizeof(void *));
    if (block == NULL)
        gen_fail(NULL, 0, "out of memory");
    block[0] = model->blocks;
    model->blocks = block;
    return block + 2;
}

void gen_free(struct model *model)
{
    while (model->blocks != NULL) {
        void **block = model->blocks;
        model->blocks = block[0];
        free(block);
    }
}

char *gen_printf(struct model *model, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = gen_alloc(model, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}

// A new word starts at a capital after a small letter or digit, and at the last capital of a run that small
// letters follow: ISRNodes -> isr_nodes, V3AndBelow -> v3_and_below.
static bool word_starts(const char *name, size_t i)
{
    if (i == 0 || !isupper((unsigned char)name[i]))
        return false;
    if (islower((unsigned char)name[i - 1]) || isdigit((unsigned char)name[i - 1]))
        return true;
    return islower((unsigned char)name[i + 1]) != 0;
}

char *gen_snake(struct model *model, const char *name)
{
    char *out = gen_alloc(model, 2 * strlen(name) + 1);
    size_t len = 0;
    for (size_t i = 0; name[i] != '\0'; i++) {
        if (word_starts(name, i))
            out[len++] = '_';
        out[len++] = (char)tolower((unsigned char)name[i]);
    }
    return out;
}

char *gen_upper(struct model *model, const char *name)
{
    char *out = gen_snake(model, name);
    for (char *c = out; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
    return out;
}
