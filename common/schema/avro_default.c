// SPDX-License-Identifier: Apache-2.0
// Whether a default fits its type, as Schema.isValidDefault of Avro 1.12 decides it: any branch of a union
// may be meant, a string stands for bytes, fixed and any enum's symbol, a record takes what the value leaves
// out from its own fields' defaults. Since those have defaults in turn, the number of values can grow beyond
// all bounds; steps counts them.
#include "schema/avro.h"

struct checking {
    size_t *steps;
    int depth;
    enum status status; // what ended the walk: a limit, or a record that is still being read
};

static bool fits(struct checking *c, const struct avro_type *type, const struct tree *value);

static bool integer_fits(enum avro_kind kind, const struct tree *value)
{
    int64_t number;
    return tree_integer(value, &number) &&
           (kind == AVRO_LONG || (number >= INT32_MIN && number <= INT32_MAX));
}

static bool members_fit(struct checking *c, const struct avro_type *type, const struct tree *value)
{
    for (const struct tree *at = value->first; at != NULL; at = at->next)
        if (!fits(c, type->items, at))
            return false;
    return true;
}

static bool record_fits(struct checking *c, const struct avro_type *type, const struct tree *value)
{
    if (value->kind != TREE_OBJECT)
        return false;
    if (!type->complete) { // Java throws here: no other branch of a union is tried
        c->status = ST_MALFORMED;
        return false;
    }
    for (uint32_t i = 0; i < type->count; i++) {
        const struct tree *given = tree_get(value, type->fields[i].name);
        if (given == NULL)
            given = type->fields[i].value;
        if (given == NULL || !fits(c, type->fields[i].type, given))
            return false;
    }
    return true;
}

static bool union_fits(struct checking *c, const struct avro_type *type, const struct tree *value)
{
    for (uint32_t i = 0; i < type->count; i++)
        if (fits(c, type->branches[i], value))
            return true;
    return false;
}

static bool kind_fits(struct checking *c, const struct avro_type *type, const struct tree *value)
{
    switch (type->kind) {
    case AVRO_RECORD:
        return record_fits(c, type, value);
    case AVRO_UNION:
        return union_fits(c, type, value);
    case AVRO_ARRAY:
        return value->kind == TREE_ARRAY && members_fit(c, type, value);
    case AVRO_MAP:
        return value->kind == TREE_OBJECT && members_fit(c, type, value);
    case AVRO_INT:
    case AVRO_LONG:
        return integer_fits(type->kind, value);
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        return value->kind == TREE_INTEGER || value->kind == TREE_REAL;
    case AVRO_BOOLEAN:
        return value->kind == TREE_TRUE || value->kind == TREE_FALSE;
    case AVRO_NULL:
        return value->kind == TREE_NULL;
    default:
        return value->kind == TREE_STRING; // string, bytes, fixed, enum
    }
}

static bool fits(struct checking *c, const struct avro_type *type, const struct tree *value)
{
    if (++*c->steps > AVRO_DEFAULT_STEPS_MAX || c->depth == AVRO_NEST_MAX)
        c->status = ST_LIMIT;
    if (c->status != ST_OK)
        return false;
    if (type == NULL)
        return value->kind == TREE_OBJECT; // Java has an empty record in the place of what it cannot know yet
    c->depth++;
    bool result = kind_fits(c, type, value);
    c->depth--;
    return result;
}

enum status avro_default_check(const struct avro_type *type, const struct tree *value, size_t *steps)
{
    struct checking checking = {.steps = steps};
    if (fits(&checking, type, value))
        return ST_OK;
    return checking.status != ST_OK ? checking.status : ST_MALFORMED;
}
