// SPDX-License-Identifier: Apache-2.0
// Tags inside of schemas, as Confluent's AvroSchema, JsonSchema and ProtobufSchema keep them:
// "confluent:tags" of Avro's records and fields and of objects and properties of a JSON Schema, options of
// confluent/meta.proto of Protobuf's messages and fields. An entity is found by its path: a record's full
// name, behind it the field's name (Avro); tags_walk.h (JSON Schema); ".Message.Nested.field" (Protobuf). All
// of it is done as chores (chores.h): a call may have to be run again.
#ifndef REGISTRY_TAGS_H
#define REGISTRY_TAGS_H

#include "call.h"

struct tags_of {
    const char *subject; // that has the schema, or is to have it
    const struct content *content;
};

// Whether schemas of this type have tags inside here.
bool tags_known(const char *type);

// The text (of a type that is known) with tags added and taken away: lists of
// {"schemaEntity":{"entityPath","entityType"},"tags"} (SchemaTags), either may be NULL. In the call's arena.
// NULL: answered 42201, 42209 or 422, or to be run again.
const char *tags_change(struct call *call, struct tags_of of, const cJSON *add, const cJSON *remove);

// The text with the tags that the entities it has in common with an older schema of its type have there
// (propagateSchemaTags); itself when there are none. In the call's arena. NULL: as tags_change.
const char *tags_propagate(struct call *call, struct tags_of of, struct tags_of older);

// Puts ,"schemaTags":[...] in front of the answer's last brace: entities of the version with one of the tags
// the argument findTags names ("*": any). Nothing when there is no such argument or the format has none.
void tags_answer(struct call *call, const struct state_version *version);

#endif
