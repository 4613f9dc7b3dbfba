// SPDX-License-Identifier: Apache-2.0
// One type of an Avro schema: primitives, arrays, maps, unions; what has a name is read by
// avro_parse_named.c.
#include "schema/avro_parser.h"

struct slice parser_text(const struct tree *object, const char *name)
{
    const struct tree *found = tree_get(object, slice_str(name));
    return found != NULL && found->kind == TREE_STRING ? found->text : (struct slice){0};
}

static struct avro_type *new_type(struct parser *p, enum avro_kind kind, const struct tree *json)
{
    struct avro_type *type = arena_alloc(&p->schema->arena, sizeof *type);
    if (type != NULL) {
        type->kind = kind;
        type->json = json;
    }
    return type;
}

static enum status parse_items(struct parser *p, const struct place *at, struct avro_type *type,
                               struct slice space)
{
    struct place inner = {.up = at, .token = type->kind == AVRO_ARRAY ? "items" : "values"};
    const struct tree *tree = tree_get(type->json, slice_str(inner.token));
    if (tree == NULL)
        return parser_fail(p, at, "%s has no \"%s\"", avro_kind_name(type->kind), inner.token);
    return parser_type(p, &inner, tree, space, &type->items);
}

// In Java's words: what the type of a new node is.
static enum avro_kind complex_kind(struct slice name)
{
    if (slice_is(name, "error"))
        return AVRO_RECORD;
    enum avro_kind kind = AVRO_RECORD;
    while (kind < AVRO_STRING && (kind == AVRO_UNION || !slice_is(name, avro_kind_name(kind))))
        kind++;
    return kind < AVRO_STRING ? kind : AVRO_KINDS;
}

static enum status parse_kind(struct parser *p, const struct place *at, struct avro_type *type,
                              struct slice space)
{
    switch (type->kind) {
    case AVRO_RECORD:
        return parser_record(p, at, type, space);
    case AVRO_ENUM:
        return parser_enum(p, at, type, space);
    case AVRO_FIXED:
        return parser_fixed(p, at, type, space);
    case AVRO_ARRAY:
    case AVRO_MAP:
        return parse_items(p, at, type, space);
    default:
        return ST_OK;
    }
}

static enum status parse_object(struct parser *p, const struct place *at, const struct tree *tree,
                                struct slice space, struct avro_type **slot)
{
    struct slice name = parser_text(tree, "type");
    if (name.data == NULL)
        return parser_fail(p, at, "\"type\" is missing or no string");
    enum avro_kind kind = avro_primitive(name);
    if (kind == AVRO_KINDS)
        kind = complex_kind(name);
    if (kind == AVRO_KINDS)
        return parser_reference(p, name, space, slot);
    struct avro_type *type = new_type(p, kind, tree);
    if (type == NULL)
        return parser_full(p);
    type->is_error = slice_is(name, "error");
    *slot = type;
    enum status status = parse_kind(p, at, type, space);
    if (status == ST_OK)
        avro_logical_find(type);
    return status;
}

// Marks the first branch that parser_type has put off: the union is looked at again when all are known.
static void put_off(struct pending *pending, struct avro_type *within)
{
    while (pending->slot < within->branches || pending->slot >= within->branches + within->count)
        pending = pending->next;
    pending->within = within;
}

static enum status parse_union(struct parser *p, const struct place *at, struct avro_type *type,
                               const struct tree *tree, struct slice space)
{
    struct pending **before = p->pending_end;
    type->count = tree->count;
    type->branches = arena_calloc(&p->schema->arena, tree->count, sizeof *type->branches);
    if (type->branches == NULL)
        return parser_full(p);
    struct place inner = {.up = at};
    for (const struct tree *branch = tree->first; branch != NULL; branch = branch->next, inner.index++) {
        enum status status = parser_type(p, &inner, branch, space, &type->branches[inner.index]);
        if (status != ST_OK)
            return status;
    }
    for (uint32_t i = 0; i < type->count; i++)
        if (type->branches[i] == NULL) {
            put_off(*before, type);
            return ST_OK;
        }
    return parser_branches(p, at, type);
}

enum status parser_branches(struct parser *p, const struct place *at, struct avro_type *type)
{
    struct slice *names = arena_calloc(&p->schema->arena, type->count, sizeof *names), twice;
    if (names == NULL)
        return parser_full(p);
    for (uint32_t i = 0; i < type->count; i++) {
        if (type->branches[i]->kind == AVRO_UNION)
            return parser_fail(p, at, "a union stands in a union");
        names[i] = avro_type_name(type->branches[i]);
    }
    if (!avro_index_make(&p->schema->arena, names, type->count, &type->index, &twice))
        return parser_full(p);
    if (twice.data != NULL)
        return parser_fail(p, at, "%.*s is twice in a union", NAME_ARGS(twice));
    return ST_OK;
}

static enum status parse_name(struct parser *p, struct slice name, struct slice space,
                              struct avro_type **slot)
{
    enum avro_kind kind = avro_primitive(name);
    if (kind == AVRO_KINDS)
        return parser_reference(p, name, space, slot);
    *slot = new_type(p, kind, NULL);
    return *slot != NULL ? ST_OK : parser_full(p);
}

// As deep in the C stack as SCHEMA_DEPTH_MAX allows.
enum status parser_type(struct parser *p, const struct place *at, const struct tree *tree, struct slice space,
                        struct avro_type **slot)
{
    if (tree->kind == TREE_STRING)
        return parse_name(p, tree->text, space, slot);
    if (tree->kind == TREE_OBJECT)
        return parse_object(p, at, tree, space, slot);
    if (tree->kind != TREE_ARRAY)
        return parser_fail(p, at, "a type is a name, an object or an array of types");
    *slot = new_type(p, AVRO_UNION, NULL);
    return *slot != NULL ? parse_union(p, at, *slot, tree, space) : parser_full(p);
}
