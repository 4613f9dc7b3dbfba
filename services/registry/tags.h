// SPDX-License-Identifier: Apache-2.0
// Tags inside of Avro schemas ("confluent:tags" of records and fields), as Confluent's AvroSchema keeps them.
// An entity is found by its path: a record's full name, behind it the field's name.
#ifndef REGISTRY_TAGS_H
#define REGISTRY_TAGS_H

#include "call.h"

// The Avro text with tags added and taken away: lists of {"schemaEntity":{"entityPath","entityType"},"tags"}
// (SchemaTags), either may be NULL. In the call's arena. NULL: answered 42201, 422.
const char *tags_change(struct call *call, const char *text, const cJSON *add, const cJSON *remove);

// Puts ,"schemaTags":[...] in front of the answer's last brace: entities of the version with one of the tags
// the argument findTags names ("*": any). Nothing when there is no such argument or the format has none.
void tags_answer(struct call *call, const struct state_version *version);

#endif
