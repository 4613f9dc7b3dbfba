// SPDX-License-Identifier: Apache-2.0
// Tags inside of schemas ("confluent:tags"), as Confluent's AvroSchema and JsonSchema keep them. Avro: of
// records and fields; an entity is found by a record's full name, behind it the field's name. JSON Schema: of
// objects and properties; tags_walk.h has their paths.
#ifndef REGISTRY_TAGS_H
#define REGISTRY_TAGS_H

#include "call.h"

struct tags_text {
    const char *type, *text; // of a schema
};

// Whether schemas of this type have tags inside here.
bool tags_known(const char *type);

// The text (of a type that is known) with tags added and taken away: lists of
// {"schemaEntity":{"entityPath","entityType"},"tags"} (SchemaTags), either may be NULL. In the call's arena.
// NULL: answered 42201, 422.
const char *tags_change(struct call *call, const struct tags_text *of, const cJSON *add, const cJSON *remove);

// The text with the tags that the entities it has in common with an older schema of its type have there
// (propagateSchemaTags); itself when there are none. In the call's arena. NULL: answered 42201.
const char *tags_propagate(struct call *call, const struct tags_text *of, const struct state_schema *older);

// Puts ,"schemaTags":[...] in front of the answer's last brace: entities of the version with one of the tags
// the argument findTags names ("*": any). Nothing when there is no such argument or the format has none.
void tags_answer(struct call *call, const struct state_version *version);

#endif
