// SPDX-License-Identifier: Apache-2.0
// Confluent's normalized text of an Avro schema (AvroSchemaUtils.toNormalizedString): canonical form with all
// names in full, plus what the canonical form drops, in a fixed order: logical type, doc, aliases sorted,
// defaults as the values that Java makes of them, properties sorted. avro_text.c parses the result again.
#include "schema/avro.h"

#include "base/mem.h"
#include "base/utf8.h"

struct normal {
    struct buf *out;
    struct arena *scratch;
    bool *known; // by id
    int depth;
    enum status status;
};

static void write_type(struct normal *n, const struct avro_type *type);

static void put(struct normal *n, const char *text)
{
    buf_append(n->out, text, strlen(text));
}

static void put_member(struct normal *n, const char *name, struct slice text)
{
    buf_printf(n->out, ",\"%s\":", name);
    tree_put_string(text, n->out);
}

// The logical type stands before the other properties, which name it again: of a name said twice the first
// place counts when the text is parsed.
static void put_logical(struct normal *n, const struct avro_type *type)
{
    if (type->logical == AVRO_PLAIN || type->logical == AVRO_DURATION) // not registered in Java
        return;
    put_member(n, "logicalType", slice_str(avro_logical_name(type->logical)));
    if (type->logical != AVRO_DECIMAL)
        return;
    buf_printf(n->out, ",\"precision\":%d", type->precision);
    if (type->scale != 0)
        buf_printf(n->out, ",\"scale\":%d", type->scale);
}

static void put_property(struct normal *n, const struct tree *property)
{
    put(n, ",");
    tree_put_string(property->name, n->out);
    put(n, ":");
    tree_print(property, true, n->out);
}

static void put_properties(struct normal *n, const struct avro_type *type)
{
    for (uint32_t i = 0; i < type->json->count; i++)
        if (avro_is_property(type, type->json->sorted[i]->name))
            put_property(n, type->json->sorted[i]);
}

static void put_sorted(struct normal *n, const struct slice *texts, uint32_t count)
{
    struct avro_index index;
    struct slice twice;
    if (count == 0)
        return;
    if (!avro_index_make(n->scratch, texts, count, &index, &twice)) {
        n->status = ST_LIMIT;
        return;
    }
    put(n, ",\"aliases\":[");
    for (uint32_t i = 0; i < count; i++) {
        put(n, i > 0 ? "," : "");
        tree_put_string(texts[index.order[i]], n->out);
    }
    put(n, "]");
}

// Schema.getAliases: full names, and ".C" for one without a namespace where the type has one.
static void put_aliases(struct normal *n, const struct avro_type *type)
{
    struct slice *texts = arena_calloc(n->scratch, type->alias_count, sizeof *texts);
    for (uint32_t i = 0; texts != NULL && i < type->alias_count; i++) {
        const struct avro_name *alias = &type->aliases[i];
        texts[i] = alias->full;
        if (alias->space.data == NULL && type->name.space.data != NULL) {
            char *dotted =
                arena_printf(n->scratch, ".%.*s", (int)alias->last.len, (const char *)alias->last.data);
            texts[i] = slice_str(dotted);
        }
        if (texts[i].data == NULL)
            texts = NULL;
    }
    if (texts == NULL)
        n->status = ST_LIMIT;
    else
        put_sorted(n, texts, type->alias_count);
}

static bool put_value(struct normal *n, const struct avro_type *type, const struct tree *value);

// A list or object whose elements are written by their types; what has no value in Java cannot be written.
static bool put_elements(struct normal *n, const struct avro_type *type, const struct tree *value)
{
    bool object = value->kind == TREE_OBJECT;
    const struct tree *at = value->first;
    put(n, object ? "{" : "[");
    for (uint32_t i = 0; i < value->count; i++, at = at->next) {
        const struct tree *element = object ? value->sorted[i] : at;
        const struct avro_type *inner = NULL;
        if (type != NULL && type->kind == (object ? AVRO_MAP : AVRO_ARRAY))
            inner = type->items;
        int field = object && type != NULL && type->kind == AVRO_RECORD
                        ? avro_index_find(&type->index, element->name)
                        : -1;
        if (field >= 0)
            inner = type->fields[field].type;
        put(n, i > 0 ? "," : "");
        if (object) {
            tree_put_string(element->name, n->out);
            put(n, ":");
        }
        if (!put_value(n, inner, element))
            return false;
    }
    put(n, object ? "}" : "]");
    return true;
}

static bool put_number(struct normal *n, const struct avro_type *type, const struct tree *value)
{
    int64_t number;
    if (value->kind == TREE_INTEGER && !tree_integer(value, &number))
        return false; // Java's BigInteger is no value here
    if (type->kind == AVRO_FLOAT)
        tree_put_float((float)tree_number(value), n->out);
    else if (type->kind == AVRO_DOUBLE)
        tree_put_double(tree_number(value), n->out);
    else if ((type->kind == AVRO_INT || type->kind == AVRO_LONG) && value->kind == TREE_INTEGER)
        tree_print(value, false, n->out);
    else
        return false;
    return true;
}

// Bytes as ISO 8859-1 says them: every other character is a question mark.
static void put_latin(struct normal *n, struct slice text)
{
    uint8_t *latin = arena_alloc(n->scratch, text.len);
    size_t len = 0;
    if (latin == NULL) {
        n->status = ST_LIMIT;
        return;
    }
    for (size_t i = 0, unit; i < text.len; i += unit) {
        unit = utf8_length(text.data + i, text.len - i);
        bool fits = unit == 1 || (unit == 2 && text.data[i] <= 0xc3);
        if (fits)
            memcpy(latin + len, text.data + i, unit);
        else
            latin[len] = '?';
        len += fits ? unit : 1;
    }
    tree_put_string(slice_of(latin, len), n->out);
}

static bool put_text(struct normal *n, const struct avro_type *type, struct slice text)
{
    if (type->kind == AVRO_STRING || type->kind == AVRO_ENUM)
        tree_put_string(text, n->out);
    else if (type->kind == AVRO_BYTES || type->kind == AVRO_FIXED)
        put_latin(n, text);
    else
        return false;
    return true;
}

// What Java's JacksonUtils.toObject makes of a default, and Confluent's genJson of that: a union's default is
// taken for its first branch, a float's digits are those of a float. False: Java has no value for it.
static bool put_value(struct normal *n, const struct avro_type *type, const struct tree *value)
{
    if (type != NULL && type->kind == AVRO_UNION)
        return type->count > 0 && put_value(n, type->branches[0], value);
    if (type == NULL || value->kind <= TREE_TRUE) {
        tree_print(value, true, n->out);
        return true;
    }
    switch (value->kind) {
    case TREE_INTEGER:
    case TREE_REAL:
        return put_number(n, type, value);
    case TREE_STRING:
        return put_text(n, type, value->text);
    default:
        return put_elements(n, type, value);
    }
}

static void put_default(struct normal *n, const struct avro_field *field)
{
    size_t before = n->out->len;
    put(n, ",\"default\":");
    if (!put_value(n, field->type, field->value) && buf_status(n->out) == ST_OK)
        n->out->len = before;
}

static void write_field(struct normal *n, const struct avro_field *field)
{
    static const char *const orders[] = {"ASCENDING", "DESCENDING", "IGNORE"};
    put(n, "{\"name\":");
    tree_put_string(field->name, n->out);
    put(n, ",\"type\":");
    write_type(n, field->type);
    buf_printf(n->out, ",\"order\":\"%s\"", orders[field->order]);
    if (field->doc.data != NULL)
        put_member(n, "doc", field->doc);
    put_sorted(n, field->aliases, field->alias_count);
    if (field->value != NULL)
        put_default(n, field);
    for (uint32_t i = 0; i < field->json->count; i++)
        if (avro_is_field_property(field->json->sorted[i]->name))
            put_property(n, field->json->sorted[i]);
    put(n, "}");
}

static void write_body(struct normal *n, const struct avro_type *type)
{
    bool record = type->kind == AVRO_RECORD;
    if (type->kind == AVRO_FIXED) {
        buf_printf(n->out, ",\"size\":%d", (int)type->size);
        put_logical(n, type);
        return;
    }
    put(n, record ? ",\"fields\":[" : ",\"symbols\":[");
    for (uint32_t i = 0; i < type->count; i++) {
        put(n, i > 0 ? "," : "");
        if (record)
            write_field(n, &type->fields[i]);
        else
            tree_put_string(type->index.names[i], n->out);
    }
    put(n, "]");
}

static void write_named(struct normal *n, const struct avro_type *type)
{
    if (n->known[type->id]) {
        tree_put_string(type->name.full, n->out);
        return;
    }
    n->known[type->id] = true;
    put(n, "{\"name\":");
    tree_put_string(type->name.full, n->out);
    put_member(n, "type", slice_str(avro_kind_name(type->kind)));
    write_body(n, type);
    if (type->doc.len > 0)
        put_member(n, "doc", type->doc);
    put_aliases(n, type);
    if (type->kind == AVRO_ENUM && type->symbol.data != NULL)
        put_member(n, "default", type->symbol);
    put_properties(n, type);
    put(n, "}");
}

static void write_unnamed(struct normal *n, const struct avro_type *type)
{
    bool items = type->kind == AVRO_ARRAY || type->kind == AVRO_MAP;
    if (!items && !avro_has_properties(type)) {
        buf_printf(n->out, "\"%s\"", avro_kind_name(type->kind));
        return;
    }
    buf_printf(n->out, "{\"type\":\"%s\"", avro_kind_name(type->kind));
    if (items) {
        put(n, type->kind == AVRO_ARRAY ? ",\"items\":" : ",\"values\":");
        write_type(n, type->items);
    }
    put_logical(n, type);
    put_properties(n, type);
    put(n, "}");
}

static void write_type(struct normal *n, const struct avro_type *type)
{
    if (n->depth == AVRO_NEST_MAX || buf_status(n->out) != ST_OK) {
        n->status = ST_LIMIT;
        return;
    }
    n->depth++;
    if (avro_named(type->kind)) {
        write_named(n, type);
    } else if (type->kind != AVRO_UNION) {
        write_unnamed(n, type);
    } else {
        put(n, "[");
        for (uint32_t i = 0; i < type->count; i++) {
            put(n, i > 0 ? "," : "");
            write_type(n, type->branches[i]);
        }
        put(n, "]");
    }
    n->depth--;
}

enum status avro_normal_text(const struct avro_schema *schema, struct buf *out)
{
    struct arena scratch;
    struct normal n = {
        .out = out, .scratch = &scratch, .known = mem_calloc(schema->names.count + 1, sizeof *n.known)};
    arena_init(&scratch, SCHEMA_TOTAL_MAX);
    for (size_t i = 0; i < schema->n_refs; i++)
        if (avro_named(schema->ref_roots[i]->kind))
            n.known[schema->ref_roots[i]->id] = true;
    write_type(&n, schema->root);
    arena_fini(&scratch);
    mem_free(n.known);
    return n.status != ST_OK ? n.status : buf_status(out);
}
