// SPDX-License-Identifier: Apache-2.0
// Names of kinds and logical types, the parts of names, sorted names and what counts as a property: the words
// of avro.h that parser, printers and comparison share.
#include "schema/avro.h"

#include <math.h>
#include <stdlib.h>

static const char *const kinds[AVRO_KINDS] = {
    [AVRO_RECORD] = "record",   [AVRO_ENUM] = "enum",   [AVRO_ARRAY] = "array",   [AVRO_MAP] = "map",
    [AVRO_UNION] = "union",     [AVRO_FIXED] = "fixed", [AVRO_STRING] = "string", [AVRO_BYTES] = "bytes",
    [AVRO_INT] = "int",         [AVRO_LONG] = "long",   [AVRO_FLOAT] = "float",   [AVRO_DOUBLE] = "double",
    [AVRO_BOOLEAN] = "boolean", [AVRO_NULL] = "null",
};

// The type a logical type stands on; decimal and uuid are looked at more closely.
static const struct {
    const char *name;
    enum avro_kind kind;
} logicals[AVRO_LOGICALS] = {
    [AVRO_DECIMAL] = {"decimal", AVRO_BYTES},
    [AVRO_BIG_DECIMAL] = {"big-decimal", AVRO_BYTES},
    [AVRO_UUID] = {"uuid", AVRO_STRING},
    [AVRO_DATE] = {"date", AVRO_INT},
    [AVRO_TIME_MILLIS] = {"time-millis", AVRO_INT},
    [AVRO_TIME_MICROS] = {"time-micros", AVRO_LONG},
    [AVRO_TIMESTAMP_MILLIS] = {"timestamp-millis", AVRO_LONG},
    [AVRO_TIMESTAMP_MICROS] = {"timestamp-micros", AVRO_LONG},
    [AVRO_TIMESTAMP_NANOS] = {"timestamp-nanos", AVRO_LONG},
    [AVRO_LOCAL_TIMESTAMP_MILLIS] = {"local-timestamp-millis", AVRO_LONG},
    [AVRO_LOCAL_TIMESTAMP_MICROS] = {"local-timestamp-micros", AVRO_LONG},
    [AVRO_LOCAL_TIMESTAMP_NANOS] = {"local-timestamp-nanos", AVRO_LONG},
    [AVRO_DURATION] = {"duration", AVRO_FIXED},
};

const char *avro_kind_name(enum avro_kind kind)
{
    return kinds[kind];
}

const char *avro_logical_name(enum avro_logical logical)
{
    return logicals[logical].name;
}

enum avro_kind avro_primitive(struct slice name)
{
    enum avro_kind kind = AVRO_STRING;
    while (kind < AVRO_KINDS && !slice_is(name, kinds[kind]))
        kind++;
    return kind;
}

struct slice avro_type_name(const struct avro_type *type)
{
    return avro_named(type->kind) ? type->name.full : slice_str(kinds[type->kind]);
}

bool avro_name_make(struct arena *arena, struct slice name, struct slice space, struct avro_name *made)
{
    size_t dot = name.len;
    while (dot > 0 && name.data[dot - 1] != '.')
        dot--;
    if (dot > 0)
        space = slice_of(name.data, dot - 1);
    if (space.len == 0)
        space.data = NULL;
    *made = (struct avro_name){.space = space, .last = slice_of(name.data + dot, name.len - dot)};
    if (space.data == NULL) {
        made->full = made->last;
        return true;
    }
    size_t len = space.len + 1 + made->last.len;
    uint8_t *full = arena_alloc(arena, len);
    if (full == NULL)
        return false;
    memcpy(full, space.data, space.len);
    full[space.len] = '.';
    memcpy(full + space.len + 1, made->last.data, made->last.len);
    made->full = slice_of(full, len);
    return true;
}

static int by_name(const void *a, const void *b, void *context)
{
    const struct slice *names = context;
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    int order = tree_compare(names[left], names[right]);
    return order != 0 ? order : (left > right) - (left < right);
}

bool avro_index_make(struct arena *arena, const struct slice *names, uint32_t count, struct avro_index *index,
                     struct slice *twice)
{
    uint32_t *order = arena_calloc(arena, count, sizeof *order);
    *twice = (struct slice){0};
    if (order == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    qsort_r(order, count, sizeof *order, by_name, (void *)(uintptr_t)names);
    for (uint32_t i = 1; i < count && twice->data == NULL; i++)
        if (slice_equal(names[order[i - 1]], names[order[i]]))
            *twice = names[order[i]];
    *index = (struct avro_index){.names = names, .order = order, .count = count};
    return true;
}

int avro_index_find(const struct avro_index *index, struct slice name)
{
    uint32_t low = 0, high = index->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = tree_compare(name, index->names[index->order[middle]]);
        if (order == 0)
            return (int)index->order[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

static bool among(struct slice name, const char *const *words)
{
    while (*words != NULL && !slice_is(name, *words))
        words++;
    return *words != NULL;
}

bool avro_is_property(const struct avro_type *type, struct slice name)
{
    static const char *const reserved[] = {"doc",     "fields", "items", "name",    "namespace", "size",
                                           "symbols", "values", "type",  "aliases", NULL};
    if (type->kind == AVRO_ENUM && slice_is(name, "default"))
        return false;
    return !among(name, reserved);
}

bool avro_is_field_property(struct slice name)
{
    static const char *const reserved[] = {"default", "doc", "name", "order", "type", "aliases", NULL};
    return !among(name, reserved);
}

bool avro_has_properties(const struct avro_type *type)
{
    const struct tree *at = type->json != NULL ? type->json->first : NULL;
    while (at != NULL && !avro_is_property(type, at->name))
        at = at->next;
    return at != NULL;
}

// LogicalTypes.Decimal: digits a fixed of that size can hold; bytes hold any number.
static bool decimal_fits(struct avro_type *type)
{
    const struct tree *precision = tree_get(type->json, slice_str("precision"));
    const struct tree *scale = tree_get(type->json, slice_str("scale"));
    int64_t digits = 0, point = 0;
    if (precision == NULL || !tree_integer(precision, &digits) || (scale && !tree_integer(scale, &point)))
        return false;
    double most = type->kind == AVRO_BYTES ? INT32_MAX : floor(log10(2) * (8 * (double)type->size - 1));
    if (digits <= 0 || digits > INT32_MAX || (double)digits > most || point < 0 || point > digits)
        return false;
    type->precision = (int)digits;
    type->scale = (int)point;
    return true;
}

static bool logical_fits(struct avro_type *type, enum avro_logical logical)
{
    if (type->kind == AVRO_FIXED && logical == AVRO_UUID)
        return type->size == 16;
    if (logical == AVRO_DECIMAL)
        return (type->kind == AVRO_FIXED || type->kind == AVRO_BYTES) && decimal_fits(type);
    return logicals[logical].kind == type->kind && (logical != AVRO_DURATION || type->size == 12);
}

void avro_logical_find(struct avro_type *type)
{
    const struct tree *name = tree_get(type->json, slice_str("logicalType"));
    if (name == NULL || name->kind != TREE_STRING)
        return;
    for (enum avro_logical logical = AVRO_PLAIN + 1; logical < AVRO_LOGICALS; logical++)
        if (slice_is(name->text, logicals[logical].name) && logical_fits(type, logical))
            type->logical = logical;
}
