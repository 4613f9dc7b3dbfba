// SPDX-License-Identifier: Apache-2.0
// The keywords of JSON Schema that look at a value by itself, without other schemas: type, enum, const,
// bounds of numbers, lengths and counts, names that must be there, uniqueness.
#include "schema/jschema_own.h"

#include <math.h>
#include <stdlib.h>

static int rank(const struct tree *value)
{
    return value->kind == TREE_REAL ? TREE_INTEGER : (int)value->kind; // both are numbers
}

static int order_numbers(const struct tree *a, const struct tree *b)
{
    int64_t left, right;
    if (tree_integer(a, &left) && tree_integer(b, &right))
        return (left > right) - (left < right);
    double x = tree_number(a), y = tree_number(b);
    return (x > y) - (x < y);
}

static int order_members(const struct tree *a, const struct tree *b)
{
    const struct tree *left = a->first, *right = b->first;
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    for (uint32_t i = 0; i < a->count; i++) {
        bool object = a->kind == TREE_OBJECT;
        const struct tree *x = object ? a->sorted[i] : left, *y = object ? b->sorted[i] : right;
        int order = object ? tree_compare(x->name, y->name) : 0;
        if (order == 0)
            order = keywords_order(x, y);
        if (order != 0)
            return order;
        left = left->next;
        right = right->next;
    }
    return 0;
}

int keywords_order(const struct tree *a, const struct tree *b)
{
    if (rank(a) != rank(b))
        return rank(a) - rank(b);
    if (rank(a) == TREE_INTEGER)
        return order_numbers(a, b);
    if (a->kind == TREE_STRING)
        return tree_compare(a->text, b->text);
    return a->kind >= TREE_ARRAY ? order_members(a, b) : 0;
}

// Draft 4 knows integers by how they are written, later ones by their value.
static bool is_whole(const struct tree *value, enum jschema_draft draft)
{
    if (value->kind == TREE_INTEGER)
        return true;
    return value->kind == TREE_REAL && draft > JSCHEMA_4 && isfinite(value->real) &&
           value->real == floor(value->real);
}

static bool type_is(const struct tree *value, struct slice name, enum jschema_draft draft)
{
    static const char *const names[] = {
        [TREE_NULL] = "null",   [TREE_FALSE] = "boolean", [TREE_TRUE] = "boolean", [TREE_INTEGER] = "number",
        [TREE_REAL] = "number", [TREE_STRING] = "string", [TREE_ARRAY] = "array",  [TREE_OBJECT] = "object"};
    return slice_is(name, names[value->kind]) || (slice_is(name, "integer") && is_whole(value, draft));
}

static bool type_fits(const struct tree *value, const struct tree *types, enum jschema_draft draft)
{
    if (types->kind == TREE_STRING)
        return type_is(value, types->text, draft);
    for (const struct tree *at = types->kind == TREE_ARRAY ? types->first : NULL; at != NULL; at = at->next)
        if (at->kind == TREE_STRING && type_is(value, at->text, draft))
            return true;
    return false;
}

static bool is_among(const struct tree *value, const struct tree *list)
{
    for (const struct tree *at = list->kind == TREE_ARRAY ? list->first : NULL; at != NULL; at = at->next)
        if (keywords_order(value, at) == 0)
            return true;
    return false;
}

// Decimal fractions are no doubles: 0.0075 is a multiple of 0.0001, up to the last digits.
bool keywords_multiple(const struct tree *value, const struct tree *of)
{
    int64_t whole, divisor;
    if (tree_integer(value, &whole) && tree_integer(of, &divisor) && divisor > 0)
        return whole % divisor == 0;
    double ratio = tree_number(value) / tree_number(of);
    return isfinite(ratio) && fabs(ratio - round(ratio)) <= 1e-12 * fmax(1, fabs(ratio));
}

static bool number_fits(const struct scope *scope, const struct tree *schema, const struct tree *value,
                        const struct tree **broken)
{
    static const struct {
        const char *name, *exclusive; // exclusive: the flag of draft 4
        int sign;
        bool strict;
        enum jschema_draft first;
    } bounds[] = {{"maximum", "exclusiveMaximum", 1, false, JSCHEMA_4},
                  {"minimum", "exclusiveMinimum", -1, false, JSCHEMA_4},
                  {"exclusiveMaximum", NULL, 1, true, JSCHEMA_6},
                  {"exclusiveMinimum", NULL, -1, true, JSCHEMA_6}};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        *broken = checking_keyword(scope, schema, bounds[i].name, bounds[i].first, JSCHEMA_2020);
        if (*broken == NULL || rank(*broken) != TREE_INTEGER)
            continue;
        const struct tree *flag =
            bounds[i].exclusive ? checking_keyword(scope, schema, bounds[i].exclusive, JSCHEMA_4, JSCHEMA_4)
                                : NULL;
        int beyond = bounds[i].sign * order_numbers(value, *broken);
        if (beyond > 0 || (beyond == 0 && (bounds[i].strict || (flag != NULL && flag->kind == TREE_TRUE))))
            return false;
    }
    *broken = checking_keyword(scope, schema, "multipleOf", JSCHEMA_4, JSCHEMA_2020);
    return *broken == NULL || keywords_multiple(value, *broken);
}

static bool counts_fit(const struct scope *scope, const struct tree *schema, const char *const names[2],
                       double count, const struct tree **broken)
{
    for (int i = 0; i < 2; i++) {
        *broken = checking_keyword(scope, schema, names[i], JSCHEMA_4, JSCHEMA_2020);
        if (*broken == NULL || rank(*broken) != TREE_INTEGER)
            continue;
        double limit = tree_number(*broken);
        if (i == 0 ? count < limit : count > limit)
            return false;
    }
    return true;
}

static double characters(struct slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += (text.data[i] & 0xc0) != 0x80;
    return (double)count;
}

static int by_value(const void *a, const void *b)
{
    return keywords_order(*(const struct tree *const *)a, *(const struct tree *const *)b);
}

static bool all_different(struct checking *c, const struct tree *array)
{
    const struct tree **items = arena_calloc(&c->scratch, array->count, sizeof *items);
    uint32_t count = 0;
    if (items == NULL) {
        c->status = ST_LIMIT;
        return false;
    }
    for (const struct tree *at = array->first; at != NULL; at = at->next)
        items[count++] = at;
    qsort(items, count, sizeof *items, by_value);
    for (uint32_t i = 1; i < count; i++)
        if (keywords_order(items[i - 1], items[i]) == 0)
            return false;
    return true;
}

// Every name of the list is a member.
static bool all_there(const struct tree *names, const struct tree *object)
{
    for (const struct tree *at = names->kind == TREE_ARRAY ? names->first : NULL; at != NULL; at = at->next)
        if (at->kind == TREE_STRING && tree_get(object, at->text) == NULL)
            return false;
    return true;
}

// "dependentRequired", and the arrays of "dependencies" before it.
static bool dependents_there(const struct tree *dependents, const struct tree *object)
{
    for (const struct tree *at = dependents->kind == TREE_OBJECT ? dependents->first : NULL; at != NULL;
         at = at->next)
        if (tree_get(object, at->name) != NULL && !all_there(at, object))
            return false;
    return true;
}

// A keyword whose list is gone through for each value: to compare is cheaper than to apply a schema.
static const struct tree *listed(struct checking *c, const struct tree *keyword)
{
    enum { COMPARED_PER_STEP = 8 };
    if (keyword != NULL && keyword->kind >= TREE_ARRAY)
        c->steps += keyword->count / COMPARED_PER_STEP;
    return keyword;
}

static bool object_fits(struct checking *c, const struct scope *scope, const struct tree *schema,
                        const struct tree *value, const struct tree **broken)
{
    static const char *const counts[] = {"minProperties", "maxProperties"};
    *broken = listed(c, checking_keyword(scope, schema, "required", JSCHEMA_4, JSCHEMA_2020));
    if (*broken != NULL && !all_there(*broken, value))
        return false;
    *broken = listed(c, checking_keyword(scope, schema, "dependencies", JSCHEMA_4, JSCHEMA_7));
    if (*broken != NULL && !dependents_there(*broken, value))
        return false;
    *broken = listed(c, checking_keyword(scope, schema, "dependentRequired", JSCHEMA_2019, JSCHEMA_2020));
    if (*broken != NULL && !dependents_there(*broken, value))
        return false;
    return counts_fit(scope, schema, counts, value->count, broken);
}

static bool array_fits(struct checking *c, const struct scope *scope, const struct tree *schema,
                       const struct tree *value, const struct tree **broken)
{
    static const char *const counts[] = {"minItems", "maxItems"};
    *broken = checking_keyword(scope, schema, "uniqueItems", JSCHEMA_4, JSCHEMA_2020);
    if (*broken != NULL && (*broken)->kind == TREE_TRUE && !all_different(c, value))
        return false;
    return counts_fit(scope, schema, counts, value->count, broken);
}

static bool string_fits(struct checking *c, const struct scope *scope, const struct tree *schema,
                        const struct tree *value, const struct tree **broken)
{
    static const char *const counts[] = {"minLength", "maxLength"};
    *broken = checking_keyword(scope, schema, "pattern", JSCHEMA_4, JSCHEMA_2020);
    if (*broken != NULL && (*broken)->kind == TREE_STRING && !checking_match(c, *broken, value->text))
        return false;
    return counts_fit(scope, schema, counts, characters(value->text), broken);
}

static bool value_fits(struct checking *c, const struct scope *scope, const struct tree *schema,
                       const struct tree *value, const struct tree **broken)
{
    *broken = checking_keyword(scope, schema, "type", JSCHEMA_4, JSCHEMA_2020);
    if (*broken != NULL && !type_fits(value, *broken, scope->resource->draft))
        return false;
    *broken = listed(c, checking_keyword(scope, schema, "enum", JSCHEMA_4, JSCHEMA_2020));
    if (*broken != NULL && !is_among(value, *broken))
        return false;
    *broken = checking_keyword(scope, schema, "const", JSCHEMA_6, JSCHEMA_2020);
    if (*broken != NULL && keywords_order(value, *broken) != 0)
        return false;
    if (rank(value) == TREE_INTEGER)
        return number_fits(scope, schema, value, broken);
    if (value->kind == TREE_STRING)
        return string_fits(c, scope, schema, value, broken);
    if (value->kind == TREE_ARRAY)
        return array_fits(c, scope, schema, value, broken);
    return value->kind != TREE_OBJECT || object_fits(c, scope, schema, value, broken);
}

bool keywords_assert(struct checking *c, const struct scope *scope, const struct tree *schema,
                     const struct spot *spot)
{
    const struct tree *broken = NULL;
    return value_fits(c, scope, schema, spot->node, &broken) || checking_fail(c, spot, broken);
}
