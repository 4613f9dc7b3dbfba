// SPDX-License-Identifier: Apache-2.0
// The named types of an Avro schema: records with their fields, enums and fixed.
#include "schema/avro_parser.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

// A type may stand a second time if Java's equals finds both the same before the properties of the second are
// read: an enum or fixed without properties, same symbols or size (ParseContext.put).
static bool same_again(const struct avro_type *old, const struct avro_type *type)
{
    if (old->kind != type->kind || avro_has_properties(old))
        return false;
    if (type->kind == AVRO_FIXED)
        return old->size == type->size;
    if (type->kind != AVRO_ENUM || old->count != type->count)
        return false;
    for (uint32_t i = 0; i < type->count; i++)
        if (!slice_equal(old->index.names[i], type->index.names[i]))
            return false;
    return true;
}

static enum status define(struct parser *p, const struct place *at, struct avro_type *type)
{
    struct slice full = type->name.full;
    if (avro_primitive(full) != AVRO_KINDS)
        return parser_fail(p, at, "no type may be named as a primitive: %.*s", NAME_ARGS(full));
    if (!avro_full_name_valid(full))
        return parser_fail(p, at, "invalid name or namespace: %.*s", NAME_ARGS(full));
    const struct avro_type *old = map_get(&p->schema->names, full);
    if (old != NULL && !same_again(old, type))
        return parser_fail(p, at, "%.*s is defined twice", NAME_ARGS(full));
    type->id = old != NULL ? old->id : p->named++;
    if (old == NULL)
        map_put(&p->schema->names, full, type);
    return ST_OK;
}

static enum status parse_name(struct parser *p, const struct place *at, struct avro_type *type,
                              struct slice space)
{
    struct slice own = parser_text(type->json, "namespace");
    struct slice name = parser_text(type->json, "name");
    if (name.data == NULL)
        return parser_fail(p, at, "%s has no name", avro_kind_name(type->kind));
    type->doc = parser_text(type->json, "doc");
    if (!avro_name_make(&p->schema->arena, name, own.data != NULL ? own : space, &type->name))
        return parser_full(p);
    return ST_OK;
}

// Drops strings that are there before, keeping the order.
static enum status drop_repeated(struct parser *p, struct slice *names, uint32_t *count)
{
    struct avro_index index;
    struct slice twice;
    if (!avro_index_make(&p->schema->arena, names, *count, &index, &twice))
        return parser_full(p);
    if (twice.data == NULL)
        return ST_OK;
    bool *repeated = arena_calloc(&p->schema->arena, *count, sizeof *repeated);
    if (repeated == NULL)
        return parser_full(p);
    for (uint32_t i = 1; i < *count; i++)
        repeated[index.order[i]] = slice_equal(names[index.order[i - 1]], names[index.order[i]]);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *count; i++)
        if (!repeated[i])
            names[kept++] = names[i];
    *count = kept;
    return ST_OK;
}

enum status parser_aliases(struct parser *p, const struct place *at, const struct tree *tree,
                           struct slice **aliases, uint32_t *count)
{
    const struct tree *list = tree_get(tree, slice_str("aliases"));
    *count = 0;
    if (list == NULL)
        return ST_OK;
    if (list->kind != TREE_ARRAY)
        return parser_fail(p, at, "\"aliases\" is no array");
    *aliases = arena_calloc(&p->schema->arena, list->count, sizeof **aliases);
    if (*aliases == NULL)
        return parser_full(p);
    for (const struct tree *alias = list->first; alias != NULL; alias = alias->next) {
        if (alias->kind != TREE_STRING)
            return parser_fail(p, at, "an alias is no string");
        (*aliases)[(*count)++] = alias->text;
    }
    return drop_repeated(p, *aliases, count);
}

// An alias without a namespace is in the type's own (Schema.addAlias).
static enum status parse_type_aliases(struct parser *p, const struct place *at, struct avro_type *type)
{
    struct slice *texts = NULL;
    uint32_t count;
    enum status status = parser_aliases(p, at, type->json, &texts, &count);
    struct avro_name *names = arena_calloc(&p->schema->arena, count, sizeof *names);
    if (status != ST_OK || names == NULL)
        return status != ST_OK ? status : parser_full(p);
    for (uint32_t i = 0; i < count; i++) {
        if (!avro_name_make(&p->schema->arena, texts[i], type->name.space, &names[i]))
            return parser_full(p);
        if (!avro_name_valid(names[i].last))
            return parser_fail(p, at, "invalid alias: %.*s", NAME_ARGS(texts[i]));
        texts[i] = names[i].full;
    }
    uint32_t kept = count;
    status = drop_repeated(p, texts, &kept);
    type->aliases = names;
    for (uint32_t i = 0; i < count && type->alias_count < kept; i++) // one name may be said in two ways
        if (slice_equal(names[i].full, texts[type->alias_count]))
            names[type->alias_count++] = names[i];
    return status;
}

// What Java's Double.parseDouble reads, hexadecimal notation left out.
static bool parse_double(struct slice text, double *value)
{
    char copy[400], *end;
    while (text.len > 0 && text.data[0] <= ' ')
        text = slice_of(text.data + 1, text.len - 1);
    while (text.len > 0 && text.data[text.len - 1] <= ' ')
        text.len--;
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    const char *bare = copy + strspn(copy, "+-");
    bool word = strcmp(bare, "NaN") == 0 || strcmp(bare, "Infinity") == 0;
    if (bare - copy > 1 || (!word && !isdigit((unsigned char)*bare) && *bare != '.'))
        return false;
    if (!word && text.len > 1 && strchr("fFdD", copy[text.len - 1]) != NULL)
        copy[text.len - 1] = '\0';
    if (!word && copy[strspn(copy, "+-.eE0123456789")] != '\0')
        return false;
    *value = strtod(copy, &end);
    return *end == '\0' && end != copy;
}

// A number may be given as a string, which is how NaN is written (Schema.parseField).
static enum status parse_default(struct parser *p, const struct place *at, struct avro_field *field)
{
    const struct tree *value = tree_get(field->json, slice_str("default"));
    bool real = field->type != NULL && (field->type->kind == AVRO_FLOAT || field->type->kind == AVRO_DOUBLE);
    field->value = value;
    if (value == NULL)
        return ST_OK;
    if (real && value->kind == TREE_STRING) {
        struct tree *number = arena_alloc(&p->schema->arena, sizeof *number);
        if (number == NULL)
            return parser_full(p);
        number->kind = TREE_REAL;
        if (!parse_double(value->text, &number->real))
            return parser_fail(p, at, "the default of %.*s is no number", NAME_ARGS(field->name));
        field->value = number;
    }
    *p->default_end = field;
    p->default_end = &field->next_default;
    return ST_OK;
}

// Only remembered: old schemas may break the rule (AvroSchemaProvider validates defaults of new ones).
static void check_default(struct parser *p, const struct place *at, const struct avro_field *field)
{
    if (field->value == NULL || p->schema->default_fault.code != ST_OK)
        return;
    enum status status = avro_default_check(field->type, field->value, &p->steps);
    if (status == ST_OK)
        return;
    struct schema_error told = {.code = ST_OK}, *error = p->error;
    p->error = &told;
    parser_fail(p, at,
                status == ST_LIMIT ? "the default of field %.*s is too large to be checked"
                                   : "the default of field %.*s does not fit its type",
                NAME_ARGS(field->name));
    p->error = error;
    told.code = status;
    p->schema->default_fault = told;
}

static enum status parse_order(struct parser *p, const struct place *at, struct avro_field *field)
{
    static const char *const words[] = {"ascending", "descending", "ignore"};
    const struct tree *order = tree_get(field->json, slice_str("order"));
    if (order == NULL)
        return ST_OK;
    for (int i = 0; i < 3 && order->kind == TREE_STRING; i++)
        if (order->text.len == strlen(words[i]) &&
            strncasecmp((const char *)order->text.data, words[i], order->text.len) == 0) {
            field->order = (enum avro_order)i;
            return ST_OK;
        }
    return parser_fail(p, at, "\"order\" is ascending, descending or ignore");
}

static enum status parse_field(struct parser *p, const struct place *at, struct avro_field *field,
                               struct slice space)
{
    struct place inner = {.up = at, .token = "type"};
    const struct tree *type = tree_get(field->json, slice_str("type"));
    struct slice *aliases = NULL;
    field->name = parser_text(field->json, "name");
    field->doc = parser_text(field->json, "doc");
    if (field->name.data == NULL)
        return parser_fail(p, at, "a field has no name");
    if (!avro_name_valid(field->name))
        return parser_fail(p, at, "invalid name of a field: %.*s", NAME_ARGS(field->name));
    if (type == NULL)
        return parser_fail(p, at, "field %.*s has no type", NAME_ARGS(field->name));
    enum status status = parser_type(p, &inner, type, space, &field->type);
    if (status == ST_OK)
        status = parse_order(p, at, field);
    if (status == ST_OK)
        status = parse_default(p, at, field);
    if (status == ST_OK)
        status = parser_aliases(p, at, field->json, &aliases, &field->alias_count);
    field->aliases = aliases;
    if (status == ST_OK)
        check_default(p, at, field);
    return status;
}

static enum status index_fields(struct parser *p, const struct place *at, struct avro_type *type)
{
    struct slice *names = arena_calloc(&p->schema->arena, type->count, sizeof *names), twice;
    if (names == NULL)
        return parser_full(p);
    for (uint32_t i = 0; i < type->count; i++)
        names[i] = type->fields[i].name;
    if (!avro_index_make(&p->schema->arena, names, type->count, &type->index, &twice))
        return parser_full(p);
    if (twice.data != NULL)
        return parser_fail(p, at, "field %.*s is there twice", NAME_ARGS(twice));
    type->complete = true;
    return ST_OK;
}

static enum status parse_fields(struct parser *p, const struct place *at, struct avro_type *type)
{
    const struct tree *list = tree_get(type->json, slice_str("fields"));
    struct place fields = {.up = at, .token = "fields"}, inner = {.up = &fields};
    if (list == NULL || list->kind != TREE_ARRAY)
        return parser_fail(p, at, "record %.*s has no array of fields", NAME_ARGS(type->name.full));
    type->fields = arena_calloc(&p->schema->arena, list->count, sizeof *type->fields);
    if (type->fields == NULL)
        return parser_full(p);
    type->count = list->count;
    for (const struct tree *json = list->first; json != NULL; json = json->next, inner.index++) {
        type->fields[inner.index].json = json;
        enum status status = parse_field(p, &inner, &type->fields[inner.index], type->name.space);
        if (status != ST_OK)
            return status;
    }
    return index_fields(p, &fields, type);
}

enum status parser_record(struct parser *p, const struct place *at, struct avro_type *type,
                          struct slice space)
{
    enum status status = parse_name(p, at, type, space);
    if (status == ST_OK)
        status = define(p, at, type);
    if (status == ST_OK)
        status = parse_fields(p, at, type);
    if (status == ST_OK)
        status = parse_type_aliases(p, at, type);
    return status;
}

static enum status parse_symbols(struct parser *p, const struct place *at, struct avro_type *type)
{
    const struct tree *list = tree_get(type->json, slice_str("symbols"));
    if (list == NULL || list->kind != TREE_ARRAY)
        return parser_fail(p, at, "enum %.*s has no array of symbols", NAME_ARGS(type->name.full));
    struct slice *names = arena_calloc(&p->schema->arena, list->count, sizeof *names), twice;
    if (names == NULL)
        return parser_full(p);
    for (const struct tree *symbol = list->first; symbol != NULL; symbol = symbol->next) {
        if (symbol->kind != TREE_STRING || !avro_name_valid(symbol->text))
            return parser_fail(p, at, "a symbol of enum %.*s is no name", NAME_ARGS(type->name.full));
        names[type->count++] = symbol->text;
    }
    if (!avro_index_make(&p->schema->arena, names, type->count, &type->index, &twice))
        return parser_full(p);
    if (twice.data != NULL)
        return parser_fail(p, at, "symbol %.*s is there twice", NAME_ARGS(twice));
    return ST_OK;
}

enum status parser_enum(struct parser *p, const struct place *at, struct avro_type *type, struct slice space)
{
    enum status status = parse_name(p, at, type, space);
    if (status == ST_OK)
        status = parse_symbols(p, at, type);
    if (status != ST_OK)
        return status;
    type->symbol = parser_text(type->json, "default");
    if (type->symbol.data != NULL && avro_index_find(&type->index, type->symbol) < 0)
        return parser_fail(p, at, "the default %.*s is no symbol of enum %.*s", NAME_ARGS(type->symbol),
                           NAME_ARGS(type->name.full));
    status = define(p, at, type);
    return status == ST_OK ? parse_type_aliases(p, at, type) : status;
}

enum status parser_fixed(struct parser *p, const struct place *at, struct avro_type *type, struct slice space)
{
    const struct tree *size = tree_get(type->json, slice_str("size"));
    enum status status = parse_name(p, at, type, space);
    if (status != ST_OK)
        return status;
    if (size == NULL || !tree_integer(size, &type->size) || type->size < 0 || type->size > AVRO_FIXED_MAX)
        return parser_fail(p, at, "fixed %.*s has no valid size", NAME_ARGS(type->name.full));
    status = define(p, at, type);
    return status == ST_OK ? parse_type_aliases(p, at, type) : status;
}
