// SPDX-License-Identifier: Apache-2.0
// A hash table of the state's schemas, by what they carry themselves: id or guid. It holds nothing but
// pointers, since a state may have a million schemas, each in two tables.
#ifndef REGISTRY_SCHEMA_TABLE_H
#define REGISTRY_SCHEMA_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STATE_GUID_SIZE = 16 };

struct state_schema;

struct schema_table { // all zero: empty
    struct state_schema **slots;
    size_t slot_count; // power of two, 0 before the first
    size_t count;
};

// What is looked for; guid NULL: by id. A table is asked for one kind only.
struct schema_table_key {
    int32_t id;
    const uint8_t *guid;
};

static inline struct schema_table_key schema_table_id(int32_t id)
{
    return (struct schema_table_key){.id = id};
}
static inline struct schema_table_key schema_table_guid(const uint8_t guid[STATE_GUID_SIZE])
{
    return (struct schema_table_key){.guid = guid};
}

void schema_table_fini(struct schema_table *table); // the schemas are the caller's
struct state_schema *schema_table_get(const struct schema_table *table, struct schema_table_key key);
// Instead of the one that has the key already.
void schema_table_put(struct schema_table *table, struct schema_table_key key, struct state_schema *schema);
// It must be there.
void schema_table_remove(struct schema_table *table, struct schema_table_key key);

#endif
