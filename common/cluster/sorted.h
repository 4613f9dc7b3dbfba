// SPDX-License-Identifier: Apache-2.0
// A sorted array of pointers: what the image keeps its things in, so that iteration order depends on content
// only. Insertion moves the tail, which at the sizes here (up to 10^5 pointers) costs microseconds.
#ifndef CLUSTER_SORTED_H
#define CLUSTER_SORTED_H

#include <stdbool.h>
#include <stddef.h>

struct sorted {
    void **items;
    size_t count, cap;
};

// < 0, 0, > 0 as the key sorts before, at, after the item.
typedef int sorted_compare(const void *key, const void *item);

// Position of the first item that does not sort before key; *found: it is equal (found may be NULL).
size_t sorted_find(const struct sorted *sorted, const void *key, sorted_compare *compare, bool *found);

// The item equal to key, or NULL.
void *sorted_get(const struct sorted *sorted, const void *key, sorted_compare *compare);
void sorted_insert(struct sorted *sorted, size_t at, void *item);
void *sorted_remove(struct sorted *sorted, size_t at);

// Frees the array, not the items.
void sorted_fini(struct sorted *sorted);

#endif
