// SPDX-License-Identifier: Apache-2.0
// JSON Schema: drafts 4, 6, 7, 2019-09 and 2020-12 read, and values checked against them. Nothing is ever
// fetched: a "$ref" leads into the schema itself, one of the texts it came with, or a metaschema of the
// drafts, which are built in. "format" and "content..." say something about a value and refuse none.
#ifndef SCHEMA_JSCHEMA_H
#define SCHEMA_JSCHEMA_H

#include "schema/format.h"

enum jschema_draft { JSCHEMA_4, JSCHEMA_6, JSCHEMA_7, JSCHEMA_2019, JSCHEMA_2020 };

enum {
    JSCHEMA_STEPS_MAX = 1 << 22,    // schemas and patterns that one value may be held against
    JSCHEMA_NEST_MAX = 1000,        // schemas within schemas while a value is checked
    JSCHEMA_PATTERN_MAX = 16 << 10, // bytes of one regular expression
    JSCHEMA_PATTERNS_MAX = 8 << 20, // bytes of all of a schema's and its references' as they are compiled
    JSCHEMA_QUICK_MAX = 1 << 28,    // characters that regular expressions may look at without being counted
    JSCHEMA_MATCH_MAX = 1 << 22,    // and counted, beside 16 for each byte of the value
    JSCHEMA_BYTE_STEPS = 32,        // steps that each byte of a value brings along where many share a budget
    JSCHEMA_VALUE_MAX = 16 << 20,   // bytes of a value's text
    JSCHEMA_VALUE_DEPTH_MAX = 200,  // brackets open at once in a value
};

struct jschema;

// Parses a schema and the texts its references may lead to (each by its name and by its own "$id"). draft: of
// a text that names none in "$schema". MALFORMED: no JSON, neither object nor boolean, a "$ref" that leads
// nowhere, a pattern that is no regular expression; LIMIT: as schema_parse. *error says what; *schema is the
// caller's (jschema_free).
enum status jschema_parse(const struct schema_source *source, enum jschema_draft draft,
                          struct schema_error *error, struct jschema **schema);

// NULL is fine.
void jschema_free(struct jschema *schema);

// Whether the JSON text is a value of the schema. MALFORMED: no JSON, or none of its values; *error says
// where in the value and which rule is broken. LIMIT: one of the limits above.
enum status jschema_check(const struct jschema *schema, struct slice json, struct schema_error *error);

// The same for one of many values, without saying why not. Together they may take *spare steps beyond
// JSCHEMA_BYTE_STEPS for each of their bytes; what is used of them is taken off. A character that is counted
// while an expression is matched is a step, of the others JSCHEMA_QUICK_MAX are worth JSCHEMA_STEPS_MAX.
// LIMIT also when a value takes more than it brings along and is left.
enum status jschema_check_many(const struct jschema *schema, struct slice json, size_t *spare);

#endif
