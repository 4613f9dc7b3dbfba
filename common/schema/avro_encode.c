// SPDX-License-Identifier: Apache-2.0
// Avro's JSON encoding (specification, "JSON Encoding") into its binary one. As strict as Java's JsonDecoder:
// every field of a record is there, a union's value says its branch; and what no field has is told, for it is
// mostly a name misspelt.
#include "schema/avro_parser.h"

#include "base/utf8.h"
#include "base/varint.h"

#include <math.h>

struct encoder {
    struct parser parser; // says what is wrong and where
    struct buf *out;
    int depth;
};

static enum status encode(struct encoder *e, const struct place *at, const struct avro_type *type,
                          const struct tree *value);

static enum status put_long(struct encoder *e, int64_t value)
{
    uint8_t bytes[VARINT64_MAX];
    return buf_append(e->out, bytes, (size_t)varint64_put(bytes, value));
}

static enum status wrong(struct encoder *e, const struct place *at, const struct avro_type *type)
{
    struct slice name = avro_type_name(type);
    return parser_fail(&e->parser, at, "this is no %.*s", NAME_ARGS(name));
}

static enum status encode_integer(struct encoder *e, const struct place *at, const struct avro_type *type,
                                  const struct tree *value)
{
    int64_t number;
    if (!tree_integer(value, &number) ||
        (type->kind == AVRO_INT && (number < INT32_MIN || number > INT32_MAX)))
        return wrong(e, at, type);
    return put_long(e, number);
}

static bool real_of(const struct tree *value, double *number)
{
    static const struct {
        const char *text;
        double value;
    } words[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
    *number = tree_number(value);
    if (value->kind == TREE_INTEGER || value->kind == TREE_REAL)
        return true;
    for (size_t i = 0; i < sizeof words / sizeof *words && value->kind == TREE_STRING; i++)
        if (slice_is(value->text, words[i].text)) {
            *number = words[i].value;
            return true;
        }
    return false;
}

static enum status encode_real(struct encoder *e, const struct place *at, const struct avro_type *type,
                               const struct tree *value)
{
    double number;
    uint64_t bits;
    uint32_t narrow_bits;
    uint8_t bytes[8];
    if (!real_of(value, &number))
        return wrong(e, at, type);
    float narrow = (float)number;
    memcpy(&bits, &number, sizeof bits);
    memcpy(&narrow_bits, &narrow, sizeof narrow_bits);
    if (type->kind == AVRO_FLOAT)
        bits = narrow_bits;
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(bits >> 8 * i);
    return buf_append(e->out, bytes, type->kind == AVRO_FLOAT ? 4 : 8);
}

// The byte that a character of a bytes or fixed value stands for, or -1; *len: its bytes in UTF-8.
static int latin(struct slice text, size_t i, size_t *len)
{
    uint8_t c = text.data[i];
    *len = c < 0x80 ? 1 : 2;
    if (c < 0x80)
        return c;
    return c == 0xc2 || c == 0xc3 ? (c & 3) << 6 | (text.data[i + 1] & 0x3f) : -1;
}

static enum status encode_bytes(struct encoder *e, const struct place *at, const struct avro_type *type,
                                const struct tree *value)
{
    int64_t count = 0;
    if (value->kind != TREE_STRING)
        return wrong(e, at, type);
    for (size_t i = 0, len; i < value->text.len; i += len, count++)
        if (latin(value->text, i, &len) < 0)
            return parser_fail(&e->parser, at, "bytes have no character beyond U+00FF");
    if (type->kind == AVRO_FIXED && count != type->size)
        return parser_fail(&e->parser, at, "%lld bytes stand where %lld belong", (long long)count,
                           (long long)type->size);
    if (type->kind == AVRO_BYTES)
        put_long(e, count);
    for (size_t i = 0, len; i < value->text.len; i += len)
        buf_put_u8(e->out, (uint8_t)latin(value->text, i, &len));
    return buf_status(e->out);
}

static enum status encode_string(struct encoder *e, const struct place *at, const struct avro_type *type,
                                 const struct tree *value)
{
    if (value->kind != TREE_STRING)
        return wrong(e, at, type);
    put_long(e, (int64_t)value->text.len);
    return buf_append(e->out, value->text.data, value->text.len);
}

static enum status encode_enum(struct encoder *e, const struct place *at, const struct avro_type *type,
                               const struct tree *value)
{
    int symbol = value->kind == TREE_STRING ? avro_index_find(&type->index, value->text) : -1;
    if (symbol < 0)
        return wrong(e, at, type);
    return put_long(e, symbol);
}

static enum status encode_union(struct encoder *e, const struct place *at, const struct avro_type *type,
                                const struct tree *value)
{
    bool null = value->kind == TREE_NULL;
    if (!null && (value->kind != TREE_OBJECT || value->count != 1))
        return parser_fail(&e->parser, at, "a value of a union is null or {\"type\": value}");
    struct slice name = null ? slice_str("null") : value->first->name;
    int branch = avro_index_find(&type->index, name);
    if (branch < 0)
        return parser_fail(&e->parser, at, "the union has no branch %.*s", NAME_ARGS(name));
    put_long(e, branch);
    struct place inner = {.up = at, .token = (const char *)name.data};
    return encode(e, &inner, type->branches[branch], null ? value : value->first);
}

static enum status encode_items(struct encoder *e, const struct place *at, const struct avro_type *type,
                                const struct tree *value)
{
    struct place inner = {.up = at};
    bool map = type->kind == AVRO_MAP;
    if (value->kind != (map ? TREE_OBJECT : TREE_ARRAY))
        return wrong(e, at, type);
    if (value->count > 0)
        put_long(e, value->count);
    for (const struct tree *item = value->first; item != NULL; item = item->next, inner.index++) {
        if (map) {
            inner.token = (const char *)item->name.data;
            put_long(e, (int64_t)item->name.len);
            buf_append(e->out, item->name.data, item->name.len);
        }
        enum status status = encode(e, &inner, type->items, item);
        if (status != ST_OK)
            return status;
    }
    return put_long(e, 0);
}

static enum status refuse_unknown(struct encoder *e, const struct place *at, const struct avro_type *type,
                                  const struct tree *value)
{
    for (const struct tree *member = value->first; member != NULL; member = member->next)
        if (avro_index_find(&type->index, member->name) < 0)
            return parser_fail(&e->parser, at, "record %.*s has no field %.*s", NAME_ARGS(type->name.full),
                               NAME_ARGS(member->name));
    return ST_OK;
}

static enum status encode_record(struct encoder *e, const struct place *at, const struct avro_type *type,
                                 const struct tree *value)
{
    if (value->kind != TREE_OBJECT)
        return wrong(e, at, type);
    for (uint32_t i = 0; i < type->count; i++) {
        const struct avro_field *field = &type->fields[i];
        struct place inner = {.up = at, .token = (const char *)field->name.data};
        const struct tree *given = tree_get(value, field->name);
        if (given == NULL)
            return parser_fail(&e->parser, at, "field %.*s is missing", NAME_ARGS(field->name));
        enum status status = encode(e, &inner, field->type, given);
        if (status != ST_OK)
            return status;
    }
    return refuse_unknown(e, at, type, value);
}

static enum status encode_kind(struct encoder *e, const struct place *at, const struct avro_type *type,
                               const struct tree *value)
{
    switch (type->kind) {
    case AVRO_RECORD:
        return encode_record(e, at, type, value);
    case AVRO_ENUM:
        return encode_enum(e, at, type, value);
    case AVRO_ARRAY:
    case AVRO_MAP:
        return encode_items(e, at, type, value);
    case AVRO_UNION:
        return encode_union(e, at, type, value);
    case AVRO_INT:
    case AVRO_LONG:
        return encode_integer(e, at, type, value);
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        return encode_real(e, at, type, value);
    case AVRO_BOOLEAN:
        if (value->kind != TREE_TRUE && value->kind != TREE_FALSE)
            return wrong(e, at, type);
        return buf_put_u8(e->out, value->kind == TREE_TRUE);
    case AVRO_NULL:
        return value->kind == TREE_NULL ? ST_OK : wrong(e, at, type);
    case AVRO_STRING:
        return encode_string(e, at, type, value);
    default:
        return encode_bytes(e, at, type, value);
    }
}

// As deep as the JSON text, but for records that hold only themselves, which no text is deep enough for.
static enum status encode(struct encoder *e, const struct place *at, const struct avro_type *type,
                          const struct tree *value)
{
    if (e->depth == SCHEMA_PAYLOAD_DEPTH_MAX)
        return schema_fail(e->parser.error, ST_LIMIT, "values are nested too deeply");
    e->depth++;
    enum status status = encode_kind(e, at, type, value);
    e->depth--;
    if (status != ST_OK) // a full buffer has no place
        schema_fail(e->parser.error, status, "the payload is too long");
    return status;
}

enum status avro_payload_from_json(const struct schema *schema, struct slice json, struct schema_error *error,
                                   struct buf *payload)
{
    static const struct place root = {.token = ""};
    struct arena arena;
    struct tree *value;
    struct tree_fault fault;
    struct encoder encoder = {.parser = {.error = error}, .out = payload};
    if (json.len > SCHEMA_JSON_MAX)
        return schema_fail(error, ST_LIMIT, "the JSON text is too long");
    arena_init(&arena, 96 * json.len + (1 << 20));
    enum status status = tree_parse(&arena, json, 2 * SCHEMA_PAYLOAD_DEPTH_MAX, false, &value, &fault);
    if (status != ST_OK)
        schema_fail(error, status, "line %zu, column %zu: %s", fault.line, fault.column, fault.text);
    else
        status = encode(&encoder, &root, avro_of(schema)->root, value);
    arena_fini(&arena);
    return status;
}
