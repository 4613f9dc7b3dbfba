// SPDX-License-Identifier: Apache-2.0
// An Avro schema from its text and the texts it refers to: one parser reads them in order, each may use the
// names of those before it (Confluent's AvroSchema does the same with Java's Schema.Parser). Names said
// before their type are filled in at the end of each text, then what depends on them is checked.
#include "schema/avro_parser.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

// Memory a schema may take for each byte of its texts: "[0,0" makes a node of 48 bytes of every two, and an
// object's members stand in two tables besides.
enum { MEMORY_PER_BYTE = 96, MEMORY_AT_LEAST = 1 << 20 };

static size_t write_place(const struct place *at, char *out, size_t size)
{
    if (at == NULL)
        return 0;
    size_t len = write_place(at->up, out, size);
    if (len + 1 < size && (at->token == NULL || *at->token != '\0'))
        len += at->token ? (size_t)snprintf(out + len, size - len, "/%s", at->token)
                         : (size_t)snprintf(out + len, size - len, "/%u", at->index);
    return len < size ? len : size - 1;
}

enum status parser_fail(struct parser *p, const struct place *at, const char *format, ...)
{
    char place[200] = "", text[SCHEMA_ERROR_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t len = write_place(at, place, sizeof place);
    if (p->reference.data != NULL)
        return schema_fail(p->error, ST_MALFORMED, "reference %.*s: %s%s%.250s", NAME_ARGS(p->reference),
                           place, len > 0 ? ": " : "", text);
    return schema_fail(p->error, ST_MALFORMED, "%s%s%.300s", place, len > 0 ? ": " : "", text);
}

enum status parser_full(struct parser *p)
{
    return schema_fail(p->error, ST_LIMIT, "the schema takes too much memory");
}

static struct avro_type *named_type(const struct parser *p, struct slice full)
{
    return map_get(&p->schema->names, full);
}

// ParseContext.find: a name without dots is looked for in the enclosing namespace first, then by itself; one
// that is not there yet is expected in the enclosing namespace.
enum status parser_reference(struct parser *p, struct slice name, struct slice space, struct avro_type **slot)
{
    struct arena *arena = &p->schema->arena;
    struct avro_name made = {.full = name};
    if (memchr(name.data, '.', name.len) == NULL && !avro_name_make(arena, name, space, &made))
        return parser_full(p);
    *slot = named_type(p, made.full);
    if (*slot == NULL)
        *slot = named_type(p, name);
    if (*slot != NULL)
        return ST_OK;
    struct pending *pending = arena_alloc(arena, sizeof *pending);
    if (pending == NULL)
        return parser_full(p);
    *pending = (struct pending){.slot = slot, .full = made.full};
    *p->pending_end = pending;
    p->pending_end = &pending->next;
    return ST_OK;
}

static enum status fill_pending(struct parser *p)
{
    for (struct pending *at = p->pending; at != NULL; at = at->next) {
        *at->slot = named_type(p, at->full);
        if (*at->slot == NULL)
            return parser_fail(p, NULL, "undefined name: %.*s", NAME_ARGS(at->full));
    }
    enum status status = ST_OK;
    for (struct pending *at = p->pending; at != NULL && status == ST_OK; at = at->next)
        if (at->within != NULL)
            status = parser_branches(p, NULL, at->within);
    return status;
}

// Defaults of types that were not known yet when the field was read.
static void check_defaults_again(struct parser *p)
{
    struct schema_error *fault = &p->schema->default_fault;
    for (struct avro_field *at = p->schema->defaults; at != NULL && fault->code == ST_OK;
         at = at->next_default) {
        enum status status = avro_default_check(at->type, at->value, &p->steps);
        if (status != ST_OK)
            schema_fail(fault, status, "invalid default for field %.*s", NAME_ARGS(at->name));
    }
}

static enum status parse_text(struct parser *p, struct slice text, struct avro_type **root)
{
    static const struct place top = {.token = ""};
    struct tree *tree;
    struct tree_fault fault;
    enum status status = tree_parse(&p->schema->arena, text, SCHEMA_DEPTH_MAX, true, &tree, &fault);
    if (status == ST_LIMIT)
        return schema_fail(p->error, status, "%s", fault.text);
    if (status != ST_OK)
        return parser_fail(p, NULL, "line %zu, column %zu: %s", fault.line, fault.column, fault.text);
    p->pending = NULL;
    p->pending_end = &p->pending;
    status = parser_type(p, &top, tree, (struct slice){0}, root);
    if (status == ST_OK && p->pending != NULL) {
        status = fill_pending(p);
        if (status == ST_OK)
            check_defaults_again(p);
    }
    return status;
}

static bool copy_slice(struct arena *arena, struct slice from, struct slice *to)
{
    char *copy = arena_strndup(arena, from.data, from.len);
    *to = slice_of(copy, from.len);
    return copy != NULL;
}

// The texts are kept for the normal form, which parses again.
static bool copy_source(struct avro_schema *schema, const struct schema_source *source)
{
    schema->refs = arena_calloc(&schema->arena, source->n_refs, sizeof *schema->refs);
    schema->ref_roots = arena_calloc(&schema->arena, source->n_refs, sizeof(struct avro_type *));
    if (schema->refs == NULL || schema->ref_roots == NULL)
        return false;
    schema->n_refs = source->n_refs;
    for (size_t i = 0; i < source->n_refs; i++)
        if (!copy_slice(&schema->arena, source->refs[i].name, &schema->refs[i].name) ||
            !copy_slice(&schema->arena, source->refs[i].text, &schema->refs[i].text))
            return false;
    return copy_slice(&schema->arena, source->text, &schema->text);
}

static enum status parse_all(struct parser *p, const struct schema_source *source)
{
    struct avro_schema *schema = p->schema;
    if (!copy_source(schema, source))
        return parser_full(p);
    for (size_t i = 0; i < schema->n_refs; i++) {
        p->reference = schema->refs[i].name;
        enum status status = parse_text(p, schema->refs[i].text, &schema->ref_roots[i]);
        if (status != ST_OK)
            return status;
    }
    p->reference = (struct slice){0};
    return parse_text(p, schema->text, &schema->root);
}

enum status avro_parse(const struct schema_source *source, struct schema_error *error, struct schema **schema)
{
    struct avro_schema *made = mem_calloc(1, sizeof *made);
    struct parser parser = {.schema = made, .error = error, .default_end = &made->defaults};
    size_t total = source->text.len;
    for (size_t i = 0; i < source->n_refs; i++)
        total += source->refs[i].text.len + source->refs[i].name.len;
    made->base.language = &avro_language;
    arena_init(&made->arena, MEMORY_PER_BYTE * total + MEMORY_AT_LEAST);
    map_init(&made->names, (uint64_t)(uintptr_t)made);
    enum status status = parse_all(&parser, source);
    if (status == ST_OK)
        *schema = &made->base;
    else
        avro_free(&made->base);
    return status;
}

void avro_free(struct schema *schema)
{
    struct avro_schema *own = (struct avro_schema *)schema;
    map_fini(&own->names);
    arena_fini(&own->arena);
    mem_free(own);
}

static enum status avro_validate(const struct schema *schema, struct schema_error *error)
{
    *error = avro_of(schema)->default_fault;
    return error->code;
}

static struct slice avro_title(const struct schema *schema)
{
    const struct avro_type *root = avro_of(schema)->root;
    return avro_named(root->kind) ? root->name.full : (struct slice){0};
}

const struct schema_language avro_language = {
    .name = "AVRO",
    .format = SCHEMA_AVRO,
    .parse = avro_parse,
    .free = avro_free,
    .validate = avro_validate,
    .title = avro_title,
    .text = avro_text,
    .check = avro_check,
    .payload_check = avro_payload_check,
    .payload_check_many = avro_payload_check_many,
    .payload_explain = avro_payload_explain,
    .payload_to_json = avro_payload_to_json,
    .payload_from_json = avro_payload_from_json,
};
