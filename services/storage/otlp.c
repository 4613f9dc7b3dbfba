// SPDX-License-Identifier: Apache-2.0
// See otlp.h. Field numbers are those of opentelemetry/proto/metrics/v1/metrics.proto and common.proto.
#include "otlp.h"

#include <string.h>

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

enum {
    DATA_RESOURCE_METRICS = 1,
    RESOURCE_SCOPE_METRICS = 2,
    SCOPE_METRICS = 2,
    METRIC_NAME = 1,
    METRIC_GAUGE = 5,
    METRIC_SUM = 7,
    METRIC_HISTOGRAM = 9,
    POINTS = 1, // of gauge, sum and histogram
    TEMPORALITY = 2,
    TEMPORALITY_DELTA = 1,
    NUMBER_DOUBLE = 4,
    NUMBER_INT = 6,
    NUMBER_ATTRIBUTES = 7,
    HISTOGRAM_COUNT = 4,
    HISTOGRAM_SUM = 5,
    HISTOGRAM_ATTRIBUTES = 9,
    KEY_VALUE_KEY = 1,
    KEY_VALUE_VALUE = 2,
    ANY_STRING = 1
};

struct field {
    uint32_t number;
    enum wire wire;
    uint64_t number_value; // varint and fixed ones
    struct slice bytes;
};

struct reading {
    otlp_point_fn *each;
    void *context;
    int points;
};

static bool varint(struct slice *rest, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 64 && rest->len > 0; shift += 7) {
        uint8_t byte = rest->data[0];
        *rest = slice_of(rest->data + 1, rest->len - 1);
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return true;
    }
    return false;
}

static bool fixed(struct slice *rest, size_t size, uint64_t *value)
{
    if (rest->len < size)
        return false;
    *value = 0;
    for (size_t i = 0; i < size; i++)
        *value |= (uint64_t)rest->data[i] << (8 * i);
    *rest = slice_of(rest->data + size, rest->len - size);
    return true;
}

// The next field; groups, long gone from the language, are malformed.
static enum status next_field(struct slice *rest, struct field *field)
{
    uint64_t tag, len;
    *field = (struct field){0};
    if (!varint(rest, &tag) || tag >> 3 == 0 || tag >> 3 > INT32_MAX)
        return ST_MALFORMED;
    field->number = (uint32_t)(tag >> 3);
    field->wire = (enum wire)(tag & 7);
    bool ok = false;
    switch (field->wire) {
    case WIRE_VARINT:
        ok = varint(rest, &field->number_value);
        break;
    case WIRE_FIXED64:
        ok = fixed(rest, 8, &field->number_value);
        break;
    case WIRE_FIXED32:
        ok = fixed(rest, 4, &field->number_value);
        break;
    case WIRE_BYTES:
        if (!varint(rest, &len) || len > rest->len)
            return ST_MALFORMED;
        field->bytes = slice_of(rest->data, (size_t)len);
        *rest = slice_of(rest->data + len, rest->len - (size_t)len);
        ok = true;
        break;
    }
    return ok ? ST_OK : ST_MALFORMED;
}

// Calls each for the message's fields of that number and wire type; one of another wire type is malformed.
typedef enum status field_fn(struct reading *reading, const struct field *field, void *of);

static enum status each_field(struct reading *reading, struct slice message, uint32_t number, enum wire wire,
                              field_fn *each, void *of)
{
    enum status status = ST_OK;
    while (status == ST_OK && message.len > 0) {
        struct field field;
        status = next_field(&message, &field);
        if (status != ST_OK || field.number != number)
            continue;
        status = field.wire == wire ? each(reading, &field, of) : ST_MALFORMED;
    }
    return status;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// ---- attributes ----

static enum status take_bytes(struct reading *reading, const struct field *field, void *of)
{
    *(struct slice *)of = field->bytes;
    return ST_OK;
}

static enum status add_attribute(struct reading *reading, const struct field *field, void *of)
{
    struct otlp_point *point = of;
    struct otlp_attribute attribute = {0};
    struct slice value = {0};
    enum status status =
        each_field(reading, field->bytes, KEY_VALUE_KEY, WIRE_BYTES, take_bytes, &attribute.key);
    if (status == ST_OK)
        status = each_field(reading, field->bytes, KEY_VALUE_VALUE, WIRE_BYTES, take_bytes, &value);
    while (status == ST_OK && value.len > 0) { // one field of several kinds: only text is of use
        struct field kind;
        status = next_field(&value, &kind);
        if (status == ST_OK && kind.number == ANY_STRING && kind.wire == WIRE_BYTES)
            attribute.value = kind.bytes;
    }
    bool wanted = attribute.key.len > 0 && attribute.value.data != NULL;
    if (status == ST_OK && wanted && point->attribute_count < OTLP_ATTRIBUTES_MAX)
        point->attributes[point->attribute_count++] = attribute;
    return status;
}

// ---- points ----

static enum status hand_on(struct reading *reading, const struct otlp_point *point)
{
    if (reading->points++ >= OTLP_POINTS_MAX)
        return ST_LIMIT;
    reading->each(reading->context, point);
    return ST_OK;
}

static enum status take_number(struct slice message, struct otlp_point *point, bool *found)
{
    enum status status = ST_OK;
    while (status == ST_OK && message.len > 0) {
        struct field field;
        status = next_field(&message, &field);
        if (status != ST_OK || (field.number != NUMBER_DOUBLE && field.number != NUMBER_INT))
            continue;
        if (field.wire != WIRE_FIXED64)
            return ST_MALFORMED;
        point->value = field.number == NUMBER_DOUBLE ? double_of(field.number_value)
                                                     : (double)(int64_t)field.number_value;
        *found = true;
    }
    return status;
}

static enum status number_point(struct reading *reading, const struct field *field, void *of)
{
    struct otlp_point point = *(const struct otlp_point *)of;
    bool found = false;
    enum status status = take_number(field->bytes, &point, &found);
    if (status == ST_OK)
        status = each_field(reading, field->bytes, NUMBER_ATTRIBUTES, WIRE_BYTES, add_attribute, &point);
    return status == ST_OK && found ? hand_on(reading, &point) : status;
}

static enum status take_fixed(struct reading *reading, const struct field *field, void *of)
{
    *(uint64_t *)of = field->number_value;
    return ST_OK;
}

static enum status histogram_point(struct reading *reading, const struct field *field, void *of)
{
    struct otlp_point point = *(const struct otlp_point *)of;
    uint64_t count = 0, sum = 0;
    enum status status = each_field(reading, field->bytes, HISTOGRAM_COUNT, WIRE_FIXED64, take_fixed, &count);
    if (status == ST_OK)
        status = each_field(reading, field->bytes, HISTOGRAM_SUM, WIRE_FIXED64, take_fixed, &sum);
    if (status == ST_OK)
        status = each_field(reading, field->bytes, HISTOGRAM_ATTRIBUTES, WIRE_BYTES, add_attribute, &point);
    point.part = "count";
    point.value = (double)count;
    if (status == ST_OK)
        status = hand_on(reading, &point);
    point.part = "sum";
    point.value = double_of(sum);
    return status == ST_OK ? hand_on(reading, &point) : status;
}

// ---- metrics ----

static enum status take_varint(struct reading *reading, const struct field *field, void *of)
{
    *(uint64_t *)of = field->number_value;
    return ST_OK;
}

static enum status gauge(struct reading *reading, const struct field *field, void *of)
{
    struct otlp_point point = *(const struct otlp_point *)of;
    point.kind = OTLP_GAUGE;
    return each_field(reading, field->bytes, POINTS, WIRE_BYTES, number_point, &point);
}

static enum status summed(struct reading *reading, const struct field *field, struct otlp_point point,
                          field_fn *each)
{
    uint64_t temporality = 0;
    enum status status =
        each_field(reading, field->bytes, TEMPORALITY, WIRE_VARINT, take_varint, &temporality);
    point.kind = temporality == TEMPORALITY_DELTA ? OTLP_DELTA : OTLP_TOTAL;
    return status == ST_OK ? each_field(reading, field->bytes, POINTS, WIRE_BYTES, each, &point) : status;
}

static enum status sum(struct reading *reading, const struct field *field, void *of)
{
    return summed(reading, field, *(const struct otlp_point *)of, number_point);
}

static enum status histogram(struct reading *reading, const struct field *field, void *of)
{
    return summed(reading, field, *(const struct otlp_point *)of, histogram_point);
}

static enum status metric(struct reading *reading, const struct field *field, void *of)
{
    struct otlp_point point = {.part = ""};
    struct slice body = field->bytes;
    enum status status = each_field(reading, body, METRIC_NAME, WIRE_BYTES, take_bytes, &point.name);
    if (status == ST_OK)
        status = each_field(reading, body, METRIC_GAUGE, WIRE_BYTES, gauge, &point);
    if (status == ST_OK)
        status = each_field(reading, body, METRIC_SUM, WIRE_BYTES, sum, &point);
    if (status == ST_OK)
        status = each_field(reading, body, METRIC_HISTOGRAM, WIRE_BYTES, histogram, &point);
    return status;
}

static enum status scope(struct reading *reading, const struct field *field, void *of)
{
    return each_field(reading, field->bytes, SCOPE_METRICS, WIRE_BYTES, metric, NULL);
}

static enum status resource(struct reading *reading, const struct field *field, void *of)
{
    return each_field(reading, field->bytes, RESOURCE_SCOPE_METRICS, WIRE_BYTES, scope, NULL);
}

enum status otlp_read(struct slice bytes, otlp_point_fn *each, void *context)
{
    struct reading reading = {.each = each, .context = context};
    return each_field(&reading, bytes, DATA_RESOURCE_METRICS, WIRE_BYTES, resource, NULL);
}
