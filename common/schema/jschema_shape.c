// SPDX-License-Identifier: Apache-2.0
// What a keyword's value must look like, as the metaschemas of the drafts say it, for the keywords that mean
// something here: a table instead of a run of the metaschema, so that every schema costs one look at its own
// members. What the metaschemas forbid and everit's loader (Confluent's) takes stays allowed: empty lists,
// repeated names, "$schema" of nobody.
#include "schema/jschema_own.h"

enum value {
    IS_TEXT = 1 << TREE_STRING,
    IS_NUMBER = 1 << TREE_INTEGER | 1 << TREE_REAL,
    IS_FLAG = 1 << TREE_TRUE | 1 << TREE_FALSE,
    IS_LIST = 1 << TREE_ARRAY,
    IS_OBJECT = 1 << TREE_OBJECT,
    IS_SCHEMA = IS_OBJECT | IS_FLAG,
};

static const struct {
    const char *name;
    enum jschema_draft first, last;
    int value, within; // within: of elements or members; 0: anything
} keywords[] = {
    {"$anchor", JSCHEMA_2019, JSCHEMA_2020, IS_TEXT, 0},
    {"$ref", JSCHEMA_4, JSCHEMA_2020, IS_TEXT, 0},
    {"additionalItems", JSCHEMA_4, JSCHEMA_2019, IS_SCHEMA, 0},
    {"additionalProperties", JSCHEMA_4, JSCHEMA_2020, IS_SCHEMA, 0},
    {"allOf", JSCHEMA_4, JSCHEMA_2020, IS_LIST, IS_SCHEMA},
    {"anyOf", JSCHEMA_4, JSCHEMA_2020, IS_LIST, IS_SCHEMA},
    {"contains", JSCHEMA_6, JSCHEMA_2020, IS_SCHEMA, 0},
    {"definitions", JSCHEMA_4, JSCHEMA_2020, IS_OBJECT, 0},
    {"dependencies", JSCHEMA_4, JSCHEMA_7, IS_OBJECT, IS_SCHEMA | IS_LIST},
    {"dependentRequired", JSCHEMA_2019, JSCHEMA_2020, IS_OBJECT, IS_LIST},
    {"dependentSchemas", JSCHEMA_2019, JSCHEMA_2020, IS_OBJECT, IS_SCHEMA},
    {"else", JSCHEMA_7, JSCHEMA_2020, IS_SCHEMA, 0},
    {"enum", JSCHEMA_4, JSCHEMA_2020, IS_LIST, 0},
    {"exclusiveMaximum", JSCHEMA_4, JSCHEMA_4, IS_FLAG, 0},
    {"exclusiveMaximum", JSCHEMA_6, JSCHEMA_2020, IS_NUMBER, 0},
    {"exclusiveMinimum", JSCHEMA_4, JSCHEMA_4, IS_FLAG, 0},
    {"exclusiveMinimum", JSCHEMA_6, JSCHEMA_2020, IS_NUMBER, 0},
    {"if", JSCHEMA_7, JSCHEMA_2020, IS_SCHEMA, 0},
    {"items", JSCHEMA_4, JSCHEMA_2019, IS_SCHEMA | IS_LIST, IS_SCHEMA},
    {"items", JSCHEMA_2020, JSCHEMA_2020, IS_SCHEMA, 0},
    {"maxContains", JSCHEMA_2019, JSCHEMA_2020, IS_NUMBER, 0},
    {"maxItems", JSCHEMA_4, JSCHEMA_2020, IS_NUMBER, 0},
    {"maxLength", JSCHEMA_4, JSCHEMA_2020, IS_NUMBER, 0},
    {"maxProperties", JSCHEMA_4, JSCHEMA_2020, IS_NUMBER, 0},
    {"maximum", JSCHEMA_4, JSCHEMA_2020, IS_NUMBER, 0},
    {"minContains", JSCHEMA_2019, JSCHEMA_2020, IS_NUMBER, 0},
    {"minItems", JSCHEMA_4, JSCHEMA_2020, IS_NUMBER, 0},
    {"minLength", JSCHEMA_4, JSCHEMA_2020, IS_NUMBER, 0},
    {"minProperties", JSCHEMA_4, JSCHEMA_2020, IS_NUMBER, 0},
    {"minimum", JSCHEMA_4, JSCHEMA_2020, IS_NUMBER, 0},
    {"multipleOf", JSCHEMA_4, JSCHEMA_2020, IS_NUMBER, 0},
    {"not", JSCHEMA_4, JSCHEMA_2020, IS_SCHEMA, 0},
    {"oneOf", JSCHEMA_4, JSCHEMA_2020, IS_LIST, IS_SCHEMA},
    {"pattern", JSCHEMA_4, JSCHEMA_2020, IS_TEXT, 0},
    {"patternProperties", JSCHEMA_4, JSCHEMA_2020, IS_OBJECT, IS_SCHEMA},
    {"prefixItems", JSCHEMA_2020, JSCHEMA_2020, IS_LIST, IS_SCHEMA},
    {"properties", JSCHEMA_4, JSCHEMA_2020, IS_OBJECT, IS_SCHEMA},
    {"propertyNames", JSCHEMA_6, JSCHEMA_2020, IS_SCHEMA, 0},
    {"required", JSCHEMA_4, JSCHEMA_2020, IS_LIST, IS_TEXT},
    {"then", JSCHEMA_7, JSCHEMA_2020, IS_SCHEMA, 0},
    {"type", JSCHEMA_4, JSCHEMA_2020, IS_TEXT | IS_LIST, IS_TEXT},
    {"unevaluatedItems", JSCHEMA_2019, JSCHEMA_2020, IS_SCHEMA, 0},
    {"unevaluatedProperties", JSCHEMA_2019, JSCHEMA_2020, IS_SCHEMA, 0},
    {"uniqueItems", JSCHEMA_4, JSCHEMA_2020, IS_FLAG, 0},
    {"$defs", JSCHEMA_2019, JSCHEMA_2020, IS_OBJECT, IS_SCHEMA},
};

static bool known_type(struct slice name)
{
    static const char *const names[] = {"array", "boolean", "integer", "null", "number", "object", "string"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_is(name, names[i]))
            return true;
    return false;
}

static bool types_exist(const struct tree *types)
{
    if (types->kind == TREE_STRING)
        return known_type(types->text);
    for (const struct tree *at = types->first; at != NULL; at = at->next)
        if (!known_type(at->text))
            return false;
    return true;
}

static bool fits(const struct tree *value, int kinds, int within)
{
    if ((kinds >> value->kind & 1) == 0)
        return false;
    if (within == 0 || value->kind < TREE_ARRAY || (value->kind == TREE_OBJECT && (kinds & IS_LIST)))
        return true; // an object that could be a list is a schema itself
    for (const struct tree *at = value->first; at != NULL; at = at->next)
        if ((within >> at->kind & 1) == 0)
            return false;
    return true;
}

// A boolean is a schema from draft 6 on; in draft 4 only what is additional may be one.
static int kinds_of(int kinds, const char *name, enum jschema_draft draft)
{
    bool schema = (kinds & IS_SCHEMA) == IS_SCHEMA, additional = strncmp(name, "additional", 10) == 0;
    return schema && draft == JSCHEMA_4 && !additional ? kinds & ~IS_FLAG : kinds;
}

static enum status wrong(const struct tree *keyword, struct schema_error *error)
{
    struct buf text;
    buf_init(&text, 200);
    tree_print(keyword, false, &text);
    schema_fail(error, ST_MALFORMED, "the keyword %.*s cannot have the value %.*s", (int)keyword->name.len,
                (const char *)keyword->name.data, (int)text.len, (const char *)text.data);
    buf_fini(&text);
    return ST_MALFORMED;
}

enum status jschema_keywords_fit(const struct tree *schema, enum jschema_draft draft,
                                 struct schema_error *error)
{
    if (draft <= JSCHEMA_7 && tree_get(schema, slice_str("$ref")) != NULL)
        return ST_OK; // what is beside it does not count
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        const struct tree *found = draft >= keywords[i].first && draft <= keywords[i].last
                                       ? tree_get(schema, slice_str(keywords[i].name))
                                       : NULL;
        if (found == NULL)
            continue;
        if (!fits(found, kinds_of(keywords[i].value, keywords[i].name, draft),
                  kinds_of(keywords[i].within, keywords[i].name, draft)))
            return wrong(found, error);
        if (strcmp(keywords[i].name, "type") == 0 && !types_exist(found))
            return wrong(found, error);
    }
    return ST_OK;
}
