// SPDX-License-Identifier: Apache-2.0
// What the files of JSON Schema share: jschema_parse.c (texts, resources, references), jschema_shape.c (which
// value a keyword may have), jschema_check.c (a value against a schema), jschema_keywords.c (one keyword);
// jschema_model.c and jschema_compare*.c compare two schemas. For them only.
#ifndef SCHEMA_JSCHEMA_OWN_H
#define SCHEMA_JSCHEMA_OWN_H

#include "base/map.h"
#include "schema/jschema.h"
#include "schema/tree.h"

// A schema with a URI of its own: a text, or a part of one with an "$id".
struct resource {
    struct slice uri; // absolute where its "$id" is, without a fragment
    const struct tree *root;
    enum jschema_draft draft;
    bool asserts; // its metaschema has the vocabulary of validation
};

// What a "$ref" leads to.
struct target {
    const struct tree *node;
    const struct resource *resource;
    bool dynamic; // an anchor that "$dynamicRef" looks for
};

// A text that was read: the schema's own first, then those that references lead to.
struct text {
    struct text *next;
    struct slice name; // as the references say it
    const struct tree *root;
    const struct resource *resource;
    bool builtin; // a metaschema
};

struct jschema {
    struct arena arena;
    struct text *texts;
    const struct tree *root;
    const struct resource *resource; // of the root
    struct map places;               // "uri" or "uri#anchor" -> struct target
    struct map resources;            // address of a node -> struct resource, where one begins
    struct map refs;                 // address of a "$ref" member -> struct target
    struct map patterns; // address of a "pattern" or patternProperties member -> struct jschema_pattern
};

static inline uint64_t jschema_key(const void *address)
{
    return (uint64_t)(uintptr_t)address;
}

// A place of the value while it is checked. marks: for each element or member whether a schema has looked at
// it ("unevaluatedItems", "unevaluatedProperties"); NULL: nobody asks.
struct spot {
    const struct spot *up;
    const struct tree *node;
    uint32_t index; // in up
    bool *marks;
};

// The resources that were entered on the way ("$dynamicRef").
struct scope {
    const struct scope *up;
    const struct resource *resource;
};

struct checking {
    const struct jschema *schema;
    struct arena scratch;
    struct schema_error *error;
    int quiet; // above 0: failing is no failure of the whole
    int depth;
    size_t steps, steps_max;
    uint64_t quick_left, counted_left; // of JSCHEMA_QUICK_MAX and JSCHEMA_MATCH_MAX
    enum status status;                // LIMIT, or OK
};

// Whether the value at the spot is one of the schema.
bool checking_apply(struct checking *c, const struct scope *scope, const struct tree *schema,
                    const struct spot *spot);
// Says which rule is broken, once. Returns false.
bool checking_fail(struct checking *c, const struct spot *spot, const struct tree *keyword);
// A keyword of the schema if the scope's draft has it; first to last.
const struct tree *checking_keyword(const struct scope *scope, const struct tree *schema, const char *name,
                                    enum jschema_draft first, enum jschema_draft last);
// ---- jschema_pattern.c ----
struct jschema_pattern;

// Takes the memory it needs from *left. MALFORMED: no regular expression; LIMIT: too long, or *left is too
// little. The caller's (jschema_pattern_free).
enum status jschema_pattern_new(struct slice text, size_t *left, struct jschema_pattern **pattern);
void jschema_pattern_free(void *pattern);
// Whether the expression of "pattern", or of a member of patternProperties, is found in text. False with
// c->status LIMIT when that takes more than is left.
bool checking_match(struct checking *c, const struct tree *member, struct slice text);

// Keywords that look at the value itself: numbers, strings, counts, enum, type.
bool keywords_assert(struct checking *c, const struct scope *scope, const struct tree *schema,
                     const struct spot *spot);
// An order of all JSON values in which equal ones (1 and 1.0 too) are 0 apart.
int keywords_order(const struct tree *a, const struct tree *b);

// Whether one number is a multiple of another (decimals up to their last digits); both are numbers.
bool keywords_multiple(const struct tree *value, const struct tree *of);

// Whether each keyword of one schema object has a value of the kind the draft asks for: a type that exists, a
// count that is a number, ... MALFORMED with the error filled in, or OK.
enum status jschema_keywords_fit(const struct tree *schema, enum jschema_draft draft,
                                 struct schema_error *error);

// The schema as one text, with the texts it came with among its definitions. UNSUPPORTED: one of them is of
// another draft, or a reference is a dynamic one; LIMIT: too much memory, or out is full.
enum status jschema_resolved_text(const struct jschema *schema, struct buf *out);

// The text of a metaschema of the drafts, by its URI; data NULL: none.
struct slice jschema_builtin(struct slice uri);

#endif
