// SPDX-License-Identifier: Apache-2.0
// See sorted.h.
#include "cluster/sorted.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

size_t sorted_find(const struct sorted *sorted, const void *key, sorted_compare *compare, bool *found)
{
    size_t low = 0, high = sorted->count;
    bool equal = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(key, sorted->items[middle]);
        equal = equal || order == 0;
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (found != NULL)
        *found = equal;
    return low;
}

void *sorted_get(const struct sorted *sorted, const void *key, sorted_compare *compare)
{
    bool found;
    size_t at = sorted_find(sorted, key, compare, &found);
    return found ? sorted->items[at] : NULL;
}

void sorted_insert(struct sorted *sorted, size_t at, void *item)
{
    ASSERT(at <= sorted->count);
    if (sorted->count == sorted->cap) {
        sorted->cap = sorted->cap > 0 ? sorted->cap * 2 : 8;
        sorted->items = mem_realloc(sorted->items, sorted->cap * sizeof *sorted->items);
    }
    memmove(sorted->items + at + 1, sorted->items + at, (sorted->count - at) * sizeof *sorted->items);
    sorted->items[at] = item;
    sorted->count++;
}

void *sorted_remove(struct sorted *sorted, size_t at)
{
    ASSERT(at < sorted->count);
    void *item = sorted->items[at];
    sorted->count--;
    memmove(sorted->items + at, sorted->items + at + 1, (sorted->count - at) * sizeof *sorted->items);
    return item;
}

void sorted_fini(struct sorted *sorted)
{
    mem_free(sorted->items);
    *sorted = (struct sorted){0};
}
