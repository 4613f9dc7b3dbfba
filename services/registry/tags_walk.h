// SPDX-License-Identifier: Apache-2.0
// Where tags are in a schema: a walk over its entities. What tags.c and the languages share.
#ifndef REGISTRY_TAGS_WALK_H
#define REGISTRY_TAGS_WALK_H

#include "call.h"

// Told of every record and every field with its path. False: answered, the walk ends.
typedef bool entity_fn(struct call *call, cJSON *object, const char *path, bool field, void *context);

struct walk {
    struct call *call; // paths live in its arena
    entity_fn *visit;
    void *context;
    bool by_all_names; // JSON: a property that is an object is a record too; it is listed as a field alone
};

// Answers 50001; false.
bool tags_no_memory(struct call *call);

// A JSON Schema, with the paths of Confluent's JsonSchema: what a schema is (object, array, anyof.N, oneof.N,
// allof.N, not, conditional.if/then/else) and under an object the property, or definitions.NAME, $defs.NAME.
// A "$ref" is not followed: what it leads to is found where it stands.
bool tags_walk_json(struct walk *walk, cJSON *schema);

#endif
