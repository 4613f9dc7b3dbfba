// SPDX-License-Identifier: Apache-2.0
// See twice.h.
#include "twice.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *left, const void *right)
{
    const struct twice_key *a = left, *b = right;
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    if (a->name.len != b->name.len)
        return a->name.len < b->name.len ? -1 : 1;
    return a->name.len > 0 ? memcmp(a->name.data, b->name.data, a->name.len) : 0;
}

bool *twice_find(struct arena *arena, struct twice_key *keys, int32_t count)
{
    bool *twice = arena_calloc(arena, (size_t)count + 1, sizeof *twice);
    int32_t named = 0;
    for (int32_t i = 0; i < count; i++) {
        keys[i].at = i;
        if (keys[i].name.data != NULL)
            keys[named++] = keys[i];
    }
    if (named > 0)
        qsort(keys, (size_t)named, sizeof *keys, compare);
    for (int32_t i = 1; twice != NULL && i < named; i++)
        if (compare(&keys[i], &keys[i - 1]) == 0)
            twice[keys[i].at] = twice[keys[i - 1].at] = true;
    return twice;
}

bool *twice_named(struct arena *arena, const void *structures, int32_t count, struct twice_place place)
{
    struct twice_key *keys = arena_calloc(arena, (size_t)count + 1, sizeof *keys);
    for (int32_t i = 0; keys != NULL && i < count; i++) {
        const char *at = (const char *)structures + (size_t)i * place.size;
        keys[i].name = *(const struct slice *)(const void *)(at + place.name);
        keys[i].type = place.type >= 0 ? *(const int8_t *)(at + place.type) : 0;
    }
    return keys != NULL ? twice_find(arena, keys, count) : NULL;
}
