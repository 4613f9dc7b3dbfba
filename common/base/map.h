// SPDX-License-Identifier: Apache-2.0
// Hash map from byte-string keys to pointers: open addressing, linear probing, insertion order kept for
// iteration so that nothing depends on the hash seed or on addresses. Keys are copied. Integer keys go
// through map_*_u64.
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/slice.h"

struct map_entry;

struct map {
    struct map_entry **slots; // hash table of pointers to entries
    size_t slot_count;        // power of two, 0 before the first insert
    size_t count;             // live entries
    size_t tombstones;        // slots that held an entry removed since the last rebuild
    struct map_entry *first;  // insertion order
    struct map_entry *last;
    uint64_t seed;
};

void map_init(struct map *map, uint64_t seed);

// Frees the entries; the values are the caller's.
void map_fini(struct map *map);

// Gives every value to value_free, in insertion order, and leaves an empty map. value_free must not use the
// map.
void map_clear(struct map *map, void (*value_free)(void *value));

// The value stored under key, or NULL.
void *map_get(const struct map *map, struct slice key);

// Stores value (not NULL) under key; returns the value it replaced, or NULL. A replaced key keeps its place.
void *map_put(struct map *map, struct slice key, void *value);

// Removes key and returns its value, or NULL when absent.
void *map_remove(struct map *map, struct slice key);

void *map_get_u64(const struct map *map, uint64_t key);
void *map_put_u64(struct map *map, uint64_t key, void *value);
void *map_remove_u64(struct map *map, uint64_t key);

// Iteration in insertion order: start with *cursor = NULL; false at the end. Removing the entry just returned
// is allowed, any other change is not. key and value may be NULL when not wanted.
//   struct map_entry *at = NULL; while (map_next(map, &at, &key, &value)) ...
bool map_next(const struct map *map, struct map_entry **cursor, struct slice *key, void **value);

#endif
