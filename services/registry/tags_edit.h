// SPDX-License-Identifier: Apache-2.0
// Tags of a schema, listed and changed, without a call around it: chores.h has it done, in any thread.
#ifndef REGISTRY_TAGS_EDIT_H
#define REGISTRY_TAGS_EDIT_H

#include "schema/schema.h"

#include <cjson/cJSON.h>

enum {
    TAGS_MAX = 1000,       // of one entity
    TAGS_TOTAL_MAX = 10000 // of all entities of one request, each of which is looked for among those there
};

struct tags_source {
    enum schema_format format;
    struct slice text;
    const struct schema *schema; // Protobuf: of the text; else NULL
};

// Appends what its entities have, as SchemaTags: [{"schemaEntity":{"entityPath","entityType"},"tags"},...].
// MALFORMED, LIMIT, NO_MEMORY: *error says why.
enum status tags_list(const struct tags_source *source, struct schema_error *error, struct buf *out);

// Appends the text with other tags. wishes: {"add":[...],"remove":[...]} of SchemaTags, what is taken away
// goes last; "common":true passes over entities that are not there. MALFORMED, LIMIT, NO_MEMORY: *error says
// why.
enum status tags_apply(const struct tags_source *source, struct slice wishes, struct schema_error *error,
                       struct buf *out);

// The place of a text in a list of tags, or -1.
int tags_find(const cJSON *tags, const char *text);

#endif
