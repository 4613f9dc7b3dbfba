// SPDX-License-Identifier: Apache-2.0
// See schema_table.h. Open addressing with linear probing, at most half full; what is removed is closed up
// behind, so that there are no tombstones.
#include "schema_table.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "state.h"

enum { SLOTS_MIN = 16, SEED = 6 };

static size_t hash_of(struct schema_table_key key)
{
    uint64_t hash =
        key.guid != NULL ? hash_bytes(SEED, key.guid, STATE_GUID_SIZE) : hash_u64(SEED, (uint32_t)key.id);
    return (size_t)hash;
}

static struct schema_table_key key_of(const struct state_schema *schema, bool by_guid)
{
    return by_guid ? schema_table_guid(schema->guid) : schema_table_id(schema->id);
}

static bool has_key(const struct state_schema *schema, struct schema_table_key key)
{
    return key.guid != NULL ? memcmp(schema->guid, key.guid, STATE_GUID_SIZE) == 0 : schema->id == key.id;
}

// Its slot, or the free one it would get.
static size_t slot_of(const struct schema_table *table, struct schema_table_key key)
{
    size_t mask = table->slot_count - 1, i = hash_of(key) & mask;
    while (table->slots[i] != NULL && !has_key(table->slots[i], key))
        i = (i + 1) & mask;
    return i;
}

void schema_table_fini(struct schema_table *table)
{
    mem_free(table->slots);
    *table = (struct schema_table){0};
}

struct state_schema *schema_table_get(const struct schema_table *table, struct schema_table_key key)
{
    return table->count == 0 ? NULL : table->slots[slot_of(table, key)];
}

static void grow(struct schema_table *table, bool by_guid)
{
    struct schema_table old = *table;
    table->slot_count = old.slot_count == 0 ? SLOTS_MIN : old.slot_count * 2;
    table->slots = mem_calloc(table->slot_count, sizeof *table->slots);
    for (size_t i = 0; i < old.slot_count; i++)
        if (old.slots[i] != NULL)
            table->slots[slot_of(table, key_of(old.slots[i], by_guid))] = old.slots[i];
    mem_free(old.slots);
}

void schema_table_put(struct schema_table *table, struct schema_table_key key, struct state_schema *schema)
{
    if ((table->count + 1) * 2 > table->slot_count)
        grow(table, key.guid != NULL);
    size_t slot = slot_of(table, key);
    if (table->slots[slot] == NULL)
        table->count++;
    table->slots[slot] = schema;
}

void schema_table_remove(struct schema_table *table, struct schema_table_key key)
{
    bool by_guid = key.guid != NULL;
    size_t mask = table->slot_count - 1, hole = slot_of(table, key);
    ASSERT(table->slots[hole] != NULL);
    for (size_t i = (hole + 1) & mask; table->slots[i] != NULL; i = (i + 1) & mask) {
        size_t home = hash_of(key_of(table->slots[i], by_guid)) & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue; // its way from home does not pass the hole
        table->slots[hole] = table->slots[i];
        hole = i;
    }
    table->slots[hole] = NULL;
    table->count--;
}
