// SPDX-License-Identifier: Apache-2.0
// An Avro schema as Java's Schema.toString prints it, byte for byte: what Confluent's registry stores and
// compares. A named type is written out where it occurs first and named from then on; types of references are
// named throughout, but only those that are a reference's outermost type (AvroSchema.canonicalString).
#include "schema/avro.h"

#include "base/mem.h"

struct printer {
    struct buf *out;
    bool *known; // by id: named types that are only named from here on
    int depth;
    enum status status;
};

static void print_type(struct printer *p, const struct avro_type *type, struct slice space);

static void put(struct printer *p, const char *text)
{
    buf_append(p->out, text, strlen(text));
}

static void put_member(struct printer *p, const char *name, struct slice text)
{
    buf_printf(p->out, ",\"%s\":", name);
    tree_put_string(text, p->out);
}

// Schema.Name.getQualified: in its own namespace a name stands alone, unless it is a word of the language.
static struct slice qualified(const struct avro_name *name, struct slice space)
{
    if (name->space.data == NULL || !slice_equal(name->space, space))
        return name->full;
    for (enum avro_kind kind = AVRO_RECORD; kind < AVRO_KINDS; kind++)
        if (slice_is(name->last, avro_kind_name(kind)))
            return name->full;
    return name->last;
}

static void put_properties(struct printer *p, const struct avro_type *type)
{
    for (const struct tree *at = type->json->first; at != NULL; at = at->next)
        if (avro_is_property(type, at->name)) {
            put(p, ",");
            tree_put_string(at->name, p->out);
            put(p, ":");
            tree_print(at, false, p->out);
        }
}

static void put_strings(struct printer *p, const char *name, const struct slice *texts, uint32_t count)
{
    buf_printf(p->out, ",\"%s\":[", name);
    for (uint32_t i = 0; i < count; i++) {
        put(p, i > 0 ? "," : "");
        tree_put_string(texts[i], p->out);
    }
    put(p, "]");
}

static void put_aliases(struct printer *p, const struct avro_type *type)
{
    if (type->alias_count == 0)
        return;
    put(p, ",\"aliases\":[");
    for (uint32_t i = 0; i < type->alias_count; i++) {
        put(p, i > 0 ? "," : "");
        tree_put_string(qualified(&type->aliases[i], type->name.space), p->out);
    }
    put(p, "]");
}

static void print_field(struct printer *p, const struct avro_field *field, struct slice space)
{
    put(p, "{\"name\":");
    tree_put_string(field->name, p->out);
    put(p, ",\"type\":");
    print_type(p, field->type, space);
    if (field->doc.data != NULL)
        put_member(p, "doc", field->doc);
    if (field->value != NULL) {
        put(p, ",\"default\":");
        tree_print(field->value, false, p->out);
    }
    if (field->order != AVRO_ASCENDING)
        put(p, field->order == AVRO_DESCENDING ? ",\"order\":\"descending\"" : ",\"order\":\"ignore\"");
    if (field->alias_count > 0)
        put_strings(p, "aliases", field->aliases, field->alias_count);
    for (const struct tree *at = field->json->first; at != NULL; at = at->next)
        if (avro_is_field_property(at->name)) {
            put(p, ",");
            tree_put_string(at->name, p->out);
            put(p, ":");
            tree_print(at, false, p->out);
        }
    put(p, "}");
}

static void print_fields(struct printer *p, const struct avro_type *type)
{
    put(p, ",\"fields\":[");
    for (uint32_t i = 0; i < type->count && buf_status(p->out) == ST_OK; i++) {
        put(p, i > 0 ? "," : "");
        print_field(p, &type->fields[i], type->name.space);
    }
    put(p, "]");
}

static void print_named(struct printer *p, const struct avro_type *type, struct slice space)
{
    const struct avro_name *name = &type->name;
    if (p->known[type->id]) {
        tree_put_string(qualified(name, space), p->out);
        return;
    }
    p->known[type->id] = true;
    buf_printf(p->out, "{\"type\":\"%s\"", type->is_error ? "error" : avro_kind_name(type->kind));
    put_member(p, "name", name->last);
    if (name->space.data != NULL ? !slice_equal(name->space, space) : space.data != NULL)
        put_member(p, "namespace", name->space);
    if (type->doc.data != NULL)
        put_member(p, "doc", type->doc);
    if (type->kind == AVRO_RECORD)
        print_fields(p, type);
    else if (type->kind == AVRO_FIXED)
        buf_printf(p->out, ",\"size\":%d", (int)type->size);
    else
        put_strings(p, "symbols", type->index.names, type->count);
    if (type->kind == AVRO_ENUM && type->symbol.data != NULL)
        put_member(p, "default", type->symbol);
    put_properties(p, type);
    put_aliases(p, type);
    put(p, "}");
}

static void print_branches(struct printer *p, const struct avro_type *type, struct slice space)
{
    put(p, "[");
    for (uint32_t i = 0; i < type->count && buf_status(p->out) == ST_OK; i++) {
        put(p, i > 0 ? "," : "");
        print_type(p, type->branches[i], space);
    }
    put(p, "]");
}

static void print_unnamed(struct printer *p, const struct avro_type *type, struct slice space)
{
    bool items = type->kind == AVRO_ARRAY || type->kind == AVRO_MAP;
    if (!items && !avro_has_properties(type)) {
        buf_printf(p->out, "\"%s\"", avro_kind_name(type->kind));
        return;
    }
    buf_printf(p->out, "{\"type\":\"%s\"", avro_kind_name(type->kind));
    if (items) {
        put(p, type->kind == AVRO_ARRAY ? ",\"items\":" : ",\"values\":");
        print_type(p, type->items, space);
    }
    put_properties(p, type);
    put(p, "}");
}

static void print_type(struct printer *p, const struct avro_type *type, struct slice space)
{
    if (p->depth == AVRO_NEST_MAX || buf_status(p->out) != ST_OK) {
        p->status = ST_LIMIT;
        return;
    }
    p->depth++;
    if (avro_named(type->kind))
        print_named(p, type, space);
    else if (type->kind == AVRO_UNION)
        print_branches(p, type, space);
    else
        print_unnamed(p, type, space);
    p->depth--;
}

static enum status print(const struct avro_schema *schema, const struct avro_type *type, bool resolved,
                         struct buf *out)
{
    struct printer p = {.out = out, .known = mem_calloc(schema->names.count + 1, sizeof *p.known)};
    for (size_t i = 0; i < schema->n_refs && !resolved; i++)
        if (avro_named(schema->ref_roots[i]->kind))
            p.known[schema->ref_roots[i]->id] = true;
    print_type(&p, type, (struct slice){0});
    mem_free(p.known);
    return p.status != ST_OK ? p.status : buf_status(out);
}

enum status avro_type_text(const struct avro_schema *schema, const struct avro_type *type, struct buf *out)
{
    return print(schema, type, true, out);
}

// AvroSchema.normalize: the normalized text is parsed, and what is stored is the schema that comes of it.
static enum status print_normal(const struct avro_schema *schema, struct buf *out)
{
    struct schema_error error;
    struct schema *normal = NULL;
    struct buf text;
    buf_init(&text, SCHEMA_TEXT_MAX);
    enum status status = avro_normal_text(schema, &text);
    if (status == ST_OK)
        status = schema_parse(SCHEMA_AVRO, buf_slice(&text), schema->refs, schema->n_refs, &error, &normal);
    if (status == ST_OK)
        status = print(avro_of(normal), avro_of(normal)->root, false, out);
    schema_free(normal);
    buf_fini(&text);
    return status;
}

enum status avro_text(const struct schema *schema, enum schema_text form, struct buf *out)
{
    const struct avro_schema *own = avro_of(schema);
    switch (form) {
    case SCHEMA_TEXT_PLAIN:
        return print(own, own->root, false, out);
    case SCHEMA_TEXT_RESOLVED:
        return print(own, own->root, true, out);
    case SCHEMA_TEXT_NORMAL:
        return print_normal(own, out);
    case SCHEMA_TEXT_CANONICAL:
        return avro_canonical_text(own, out);
    default:
        return ST_UNSUPPORTED;
    }
}
