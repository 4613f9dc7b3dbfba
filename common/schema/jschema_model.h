// SPDX-License-Identifier: Apache-2.0
// A JSON schema as Confluent's registry sees it when it compares two: everit's classes
// (org.everit.json.schema), one part for each family of keywords that an object has, several of them joined
// by an "allOf" of their own. Drafts 2019-09 and 2020-12 are brought into the same form (Confluent's
// SchemaTranslator). Parts are made when they are asked for, in the arena of one comparison; the schema
// itself stays as it is.
#ifndef SCHEMA_JSCHEMA_MODEL_H
#define SCHEMA_JSCHEMA_MODEL_H

#include "schema/jschema_own.h"

enum part_shape {
    PART_ANY,   // true, {}, or only annotations
    PART_NEVER, // false
    PART_STRING,
    PART_NUMBER,
    PART_BOOLEAN,
    PART_NULL,
    PART_ARRAY,
    PART_OBJECT,
    PART_ENUM,
    PART_CONST,
    PART_NOT,
    PART_CONDITION, // if, then, else
    PART_CHOICE,    // allOf, anyOf, oneOf, a list of types, or several parts of one object
    PART_LINK,      // what stands at node; part_settle follows it
};

enum part_criterion { PART_ALL_OF, PART_ANY_OF, PART_ONE_OF };

struct part {
    struct model *model;
    const struct tree *node;         // whose keywords are meant; LINK: where it leads
    const struct resource *resource; // gives the draft
    struct part **parts;             // CHOICE
    uint32_t count;
    enum part_shape shape;
    enum part_criterion criterion;
    bool integer; // NUMBER: of whole ones
};

struct model {
    const struct jschema *schema;
    struct arena *arena;
    struct map made;     // address of a node -> struct part
    struct part any;     // where nothing can be said
    enum status *status; // LIMIT when the arena is full
};

// One side of a comparison. arena: where its parts live, which must outlive the model; *status becomes LIMIT
// when it is full.
void model_init(struct model *model, const struct jschema *schema, struct arena *arena, enum status *status);
void model_fini(struct model *model);

struct part *model_root(struct model *model);

// A link to a schema that stands inside of a part's; NULL for NULL.
struct part *part_at(const struct part *part, const struct tree *schema);

// What a part is behind all links and references. A reference that leads to nothing but itself is ANY.
const struct part *part_settle(const struct part *part);

// A keyword of the part's object that its draft has, or NULL.
const struct tree *part_keyword(const struct part *part, const char *name);

#endif
