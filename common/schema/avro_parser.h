// SPDX-License-Identifier: Apache-2.0
// What the files of the Avro parser share (avro_parse.c: texts and references to names; avro_parse_type.c:
// one type; avro_parse_named.c: records, enums, fixed). For them only.
#ifndef SCHEMA_AVRO_PARSER_H
#define SCHEMA_AVRO_PARSER_H

#include "schema/avro.h"

// Where in the text the parser is: a chain over its own stack, written out only when something is wrong.
struct place {
    const struct place *up;
    const char *token; // NULL: an element, by index
    uint32_t index;
};

// A name that was said before what it names: filled in when the text is read (ParseContext of Avro 1.12 lets
// types be used before they stand).
struct pending {
    struct pending *next;
    struct avro_type **slot;
    struct slice full;
    struct avro_type *within; // the union it is a branch of, or NULL
};

struct parser {
    struct avro_schema *schema;
    struct schema_error *error;
    struct slice reference; // the one being parsed; data NULL: the schema itself
    struct pending *pending, **pending_end;
    struct avro_field **default_end;
    uint32_t named; // ids given
    size_t steps;   // values of defaults looked at
};

// Says what is wrong at a place (NULL: nowhere in particular) and returns MALFORMED.
enum status parser_fail(struct parser *p, const struct place *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// The arena is full.
enum status parser_full(struct parser *p);

// %.*s of a name in an error, cut where it is long.
#define NAME_ARGS(name) (int)((name).len < 120 ? (name).len : 120), (const char *)(name).data

// The type that tree spells out or names goes into *slot, now or at the end of the text. space: the enclosing
// namespace. within: the union that *slot is a branch of.
enum status parser_type(struct parser *p, const struct place *at, const struct tree *tree, struct slice space,
                        struct avro_type **slot);
enum status parser_reference(struct parser *p, struct slice name, struct slice space,
                             struct avro_type **slot);

enum status parser_record(struct parser *p, const struct place *at, struct avro_type *type,
                          struct slice space);
enum status parser_enum(struct parser *p, const struct place *at, struct avro_type *type, struct slice space);
enum status parser_fixed(struct parser *p, const struct place *at, struct avro_type *type,
                         struct slice space);

// The branches of a union, once all are known: none twice, none a union.
enum status parser_branches(struct parser *p, const struct place *at, struct avro_type *type);

// The strings of tree's member "aliases", each once, in order. *count 0 when there is none.
enum status parser_aliases(struct parser *p, const struct place *at, const struct tree *tree,
                           struct slice **aliases, uint32_t *count);
// A member's text; data NULL when it is absent or no string.
struct slice parser_text(const struct tree *object, const char *name);

#endif
