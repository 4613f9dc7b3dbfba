// SPDX-License-Identifier: Apache-2.0
// What compaction knows of a log's dirty part: for each key the offset of its newest record. A key is kept as
// a 128-bit hash under a random secret, so an entry takes 24 bytes whatever the key's length and nobody can
// make two keys meet; memory is fixed when the map is made (log.cleaner.dedupe.buffer.size). Compare Kafka's
// SkimpyOffsetMap. Pure; one thread at a time.
#ifndef LOG_KEY_MAP_H
#define LOG_KEY_MAP_H

#include "base/hash.h"
#include "base/slice.h"
#include "base/status.h"

struct log_key_map {
    uint8_t secret[HASH_SIP_SIZE];
    uint8_t *slots;
    size_t slot_count;
    size_t count, max; // keys held, and how many may be
};

enum { LOG_KEY_SLOT = HASH_SIP_SIZE + 8 };

// keys: how many there can be at most; bytes: memory to take at most (at least one slot is made); load: share
// of slots that may be used, above 0 and up to 1. ST_NO_MEMORY.
enum status log_key_map_init(struct log_key_map *map, const uint8_t secret[HASH_SIP_SIZE], int64_t keys,
                             int64_t bytes, double load);
void log_key_map_fini(struct log_key_map *map);

// Notes a record of the key; a lower offset than the one known changes nothing. false: the map is full and
// the key is not in it.
bool log_key_map_put(struct log_key_map *map, struct slice key, int64_t offset);

// The newest offset known of the key, -1: none.
int64_t log_key_map_get(const struct log_key_map *map, struct slice key);

#endif
