// SPDX-License-Identifier: Apache-2.0
// See map.h. Entries are allocated one by one and linked in insertion order; the table holds pointers to
// them.
#include "base/map.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/mem.h"

struct map_entry {
    struct map_entry *next, *previous;
    uint64_t hash;
    void *value;
    size_t key_len;
    uint8_t key[];
};

static struct map_entry tombstone;

void map_init(struct map *map, uint64_t seed)
{
    *map = (struct map){.seed = seed};
}

void map_fini(struct map *map)
{
    struct map_entry *entry = map->first;
    while (entry != NULL) {
        struct map_entry *next = entry->next;
        mem_free(entry);
        entry = next;
    }
    mem_free(map->slots);
    *map = (struct map){.seed = map->seed};
}

// The slot that holds key, or the one a new entry should take.
static size_t slot_find(const struct map *map, uint64_t hash, struct slice key)
{
    size_t mask = map->slot_count - 1;
    size_t free_slot = SIZE_MAX;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct map_entry *entry = map->slots[i];
        if (entry == NULL)
            return free_slot != SIZE_MAX ? free_slot : i;
        if (entry == &tombstone)
            free_slot = free_slot != SIZE_MAX ? free_slot : i;
        else if (entry->hash == hash && slice_equal(slice_of(entry->key, entry->key_len), key))
            return i;
    }
}

static void rebuild(struct map *map)
{
    size_t wanted = map->count * 4 < 16 ? 16 : map->count * 4;
    size_t size = 16;
    while (size < wanted)
        size *= 2;
    mem_free(map->slots);
    map->slots = mem_calloc(size, sizeof *map->slots);
    map->slot_count = size;
    map->tombstones = 0;
    for (struct map_entry *entry = map->first; entry != NULL; entry = entry->next) {
        size_t i = entry->hash & (size - 1);
        while (map->slots[i] != NULL)
            i = (i + 1) & (size - 1);
        map->slots[i] = entry;
    }
}

static struct map_entry *entry_at(const struct map *map, size_t slot)
{
    struct map_entry *entry = map->slots[slot];
    return entry == &tombstone ? NULL : entry;
}

void map_clear(struct map *map, void (*value_free)(void *value))
{
    void *value;
    for (struct map_entry *at = NULL; map_next(map, &at, NULL, &value);)
        value_free(value);
    map_fini(map);
}

void *map_get(const struct map *map, struct slice key)
{
    if (map->count == 0)
        return NULL;
    struct map_entry *entry = entry_at(map, slot_find(map, hash_bytes(map->seed, key.data, key.len), key));
    return entry ? entry->value : NULL;
}

void *map_put(struct map *map, struct slice key, void *value)
{
    ASSERT(value != NULL);
    if ((map->count + map->tombstones + 1) * 2 > map->slot_count)
        rebuild(map);
    uint64_t hash = hash_bytes(map->seed, key.data, key.len);
    size_t slot = slot_find(map, hash, key);
    struct map_entry *entry = entry_at(map, slot);
    if (entry != NULL) {
        void *old = entry->value;
        entry->value = value;
        return old;
    }
    if (map->slots[slot] == &tombstone)
        map->tombstones--;
    entry = mem_calloc(1, sizeof *entry + key.len);
    entry->hash = hash;
    entry->value = value;
    entry->key_len = key.len;
    if (key.len > 0)
        memcpy(entry->key, key.data, key.len);
    entry->previous = map->last;
    if (map->last != NULL)
        map->last->next = entry;
    else
        map->first = entry;
    map->last = entry;
    map->slots[slot] = entry;
    map->count++;
    return NULL;
}

void *map_remove(struct map *map, struct slice key)
{
    if (map->count == 0)
        return NULL;
    size_t slot = slot_find(map, hash_bytes(map->seed, key.data, key.len), key);
    struct map_entry *entry = entry_at(map, slot);
    if (entry == NULL)
        return NULL;
    void *value = entry->value;
    map->slots[slot] = &tombstone;
    map->tombstones++;
    map->count--;
    *(entry->previous ? &entry->previous->next : &map->first) = entry->next;
    *(entry->next ? &entry->next->previous : &map->last) = entry->previous;
    mem_free(entry);
    return value;
}

void *map_get_u64(const struct map *map, uint64_t key)
{
    uint8_t bytes[8];
    store_be64(bytes, key);
    return map_get(map, slice_of(bytes, sizeof bytes));
}

void *map_put_u64(struct map *map, uint64_t key, void *value)
{
    uint8_t bytes[8];
    store_be64(bytes, key);
    return map_put(map, slice_of(bytes, sizeof bytes), value);
}

void *map_remove_u64(struct map *map, uint64_t key)
{
    uint8_t bytes[8];
    store_be64(bytes, key);
    return map_remove(map, slice_of(bytes, sizeof bytes));
}

// The cursor is the entry to visit next, with NULL meaning the start and &tombstone the end: so the entry
// just returned may be removed by the caller.
bool map_next(const struct map *map, struct map_entry **cursor, struct slice *key, void **value)
{
    struct map_entry *entry = *cursor == NULL ? map->first : *cursor;
    if (entry == NULL || entry == &tombstone)
        return false;
    if (key != NULL)
        *key = slice_of(entry->key, entry->key_len);
    if (value != NULL)
        *value = entry->value;
    *cursor = entry->next ? entry->next : &tombstone;
    return true;
}
