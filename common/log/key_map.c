// SPDX-License-Identifier: Apache-2.0
// Open addressing over one array of (hash, offset + 1) slots; a zero offset field is a free slot. See
// key_map.h.
#include "log/key_map.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

enum { AT_OFFSET = HASH_SIP_SIZE };

enum status log_key_map_init(struct log_key_map *map, const uint8_t secret[HASH_SIP_SIZE], int64_t keys,
                             int64_t bytes, double load)
{
    ASSERT(keys >= 0 && load > 0 && load <= 1);
    double wanted = (double)keys / load + 2, room = (double)bytes / LOG_KEY_SLOT;
    *map = (struct log_key_map){.slot_count = (size_t)(wanted < room ? wanted : room)};
    if (map->slot_count < 2)
        map->slot_count = 2;
    map->max = (size_t)((double)map->slot_count * load);
    if (map->max >= map->slot_count)
        map->max = map->slot_count - 1; // a search must meet a free slot
    if (map->max < 1)
        map->max = 1;
    memcpy(map->secret, secret, sizeof map->secret);
    map->slots = calloc(map->slot_count, LOG_KEY_SLOT); // may be large: a failure is no end of the world
    return map->slots != NULL ? ST_OK : ST_NO_MEMORY;
}

void log_key_map_fini(struct log_key_map *map)
{
    free(map->slots);
    *map = (struct log_key_map){0};
}

// The slot that holds the key or is free for it.
static uint8_t *slot_of(const struct log_key_map *map, const uint8_t hash[HASH_SIP_SIZE])
{
    size_t at = (size_t)(load_le64(hash) % map->slot_count);
    for (;;) {
        uint8_t *slot = map->slots + at * LOG_KEY_SLOT;
        if (load_le64(slot + AT_OFFSET) == 0 || memcmp(slot, hash, HASH_SIP_SIZE) == 0)
            return slot;
        at = at + 1 < map->slot_count ? at + 1 : 0;
    }
}

bool log_key_map_put(struct log_key_map *map, struct slice key, int64_t offset)
{
    uint8_t hash[HASH_SIP_SIZE];
    hash_sip128(map->secret, key.data, key.len, hash);
    uint8_t *slot = slot_of(map, hash);
    uint64_t known = load_le64(slot + AT_OFFSET);
    if (known == 0 && map->count == map->max)
        return false;
    map->count += known == 0;
    if ((uint64_t)offset + 1 <= known)
        return true;
    memcpy(slot, hash, HASH_SIP_SIZE);
    store_le64(slot + AT_OFFSET, (uint64_t)offset + 1);
    return true;
}

int64_t log_key_map_get(const struct log_key_map *map, struct slice key)
{
    uint8_t hash[HASH_SIP_SIZE];
    hash_sip128(map->secret, key.data, key.len, hash);
    return (int64_t)load_le64(slot_of(map, hash) + AT_OFFSET) - 1;
}
