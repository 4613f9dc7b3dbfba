// SPDX-License-Identifier: Apache-2.0
// Where tags are in a schema: a walk over its entities, each of which is an object with a member TAGS_MEMBER.
// What tags_edit.c and the languages share.
#ifndef REGISTRY_TAGS_WALK_H
#define REGISTRY_TAGS_WALK_H

#include "base/arena.h"
#include "schema/format.h"

#include <cjson/cJSON.h>

#define TAGS_MEMBER "confluent:tags" // a list of texts

struct walk;

// Told of every record and every field with its path. False: failed, the walk ends.
typedef bool entity_fn(struct walk *walk, cJSON *object, const char *path, bool field);

struct walk {
    struct arena *arena;        // of the paths
    struct schema_error *error; // why it failed
    entity_fn *visit;
    void *context;
    // JSON: a property that is an object is a record too; it is listed as a field alone. Protobuf: a member
    // of a oneof is found by way of its name too.
    bool by_all_names;
};

// Fails with NO_MEMORY; false.
bool tags_no_memory(struct walk *walk);

// An Avro schema: a record's full name, and of a field the name behind it.
bool tags_walk_avro(struct walk *walk, cJSON *schema);

// A JSON Schema, with the paths of Confluent's JsonSchema: what a schema is (object, array, anyof.N, oneof.N,
// allof.N, not, conditional.if/then/else) and under an object the property, or definitions.NAME, $defs.NAME.
// A "$ref" is not followed: what it leads to is found where it stands.
bool tags_walk_json(struct walk *walk, cJSON *schema);

// Entities of a Protobuf schema, each an object that has its tags as an Avro record would, as a list that is
// the caller's. NULL: there are too many.
cJSON *tags_protobuf_entities(const struct schema *schema);
bool tags_walk_protobuf(struct walk *walk, cJSON *entities);

// To be written back by tags_protobuf_text.
void tags_protobuf_changed(cJSON *entity);

// Appends the schema's text with the tags of the entities that have changed. LIMIT, NO_MEMORY.
enum status tags_protobuf_text(struct arena *arena, const struct schema *schema, const cJSON *entities,
                               struct buf *out);

#endif
