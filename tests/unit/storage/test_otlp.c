// SPDX-License-Identifier: Apache-2.0
// What clients push: read point by point, and hostile bytes not past their end.
#include "otlp.h"

#include "base/buf.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { BYTES = 2, FIXED64 = 1, VARINT = 0 };

static void put_tag(struct buf *out, int number, int wire)
{
    buf_put_u8(out, (uint8_t)(number << 3 | wire));
}

static void put_bytes(struct buf *out, int number, struct slice bytes)
{
    put_tag(out, number, BYTES);
    cr_assert_lt(bytes.len, 16384);
    if (bytes.len >= 128)
        buf_put_u8(out, (uint8_t)(bytes.len & 0x7f) | 0x80);
    buf_put_u8(out, (uint8_t)(bytes.len >= 128 ? bytes.len >> 7 : bytes.len));
    buf_append(out, bytes.data, bytes.len);
}

static void put_double(struct buf *out, int number, double value)
{
    put_tag(out, number, FIXED64);
    buf_append(out, &value, sizeof value);
}

static void put_int(struct buf *out, int number, int64_t value)
{
    put_tag(out, number, FIXED64);
    buf_append(out, &value, sizeof value);
}

static void put_message(struct buf *out, int number, struct buf *message)
{
    put_bytes(out, number, buf_slice(message));
    buf_fini(message);
}

static struct buf fresh(void)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    return out;
}

static void put_attribute(struct buf *out, int number, const char *key, const char *value)
{
    struct buf any = fresh(), pair = fresh();
    put_bytes(&any, 1, slice_str(value));
    put_bytes(&pair, 1, slice_str(key));
    put_message(&pair, 2, &any);
    put_message(out, number, &pair);
}

// The metric in MetricsData; kind 5: gauge, 7: sum (delta), 9: histogram (delta).
static struct buf data_of(const char *name, int kind, struct buf *point)
{
    struct buf points = fresh(), metric = fresh(), scope = fresh(), resource = fresh(), data = fresh();
    put_message(&points, 1, point);
    if (kind != 5) {
        put_tag(&points, 2, VARINT);
        buf_put_u8(&points, 1);
    }
    put_bytes(&metric, 1, slice_str(name));
    put_bytes(&metric, 3, slice_str("a unit nobody reads"));
    put_message(&metric, kind, &points);
    put_message(&scope, 2, &metric);
    put_message(&resource, 2, &scope);
    put_message(&data, 1, &resource);
    return data;
}

static void note(void *context, const struct otlp_point *point)
{
    struct buf *out = context;
    buf_printf(out, "%.*s%s%s kind %d = %g", (int)point->name.len, (const char *)point->name.data,
               point->part[0] != 0 ? "." : "", point->part, point->kind, point->value);
    for (int i = 0; i < point->attribute_count; i++)
        buf_printf(out, " %.*s:%.*s", (int)point->attributes[i].key.len,
                   (const char *)point->attributes[i].key.data, (int)point->attributes[i].value.len,
                   (const char *)point->attributes[i].value.data);
    buf_printf(out, "; ");
}

static void expect(struct buf *data, enum status status, const char *points)
{
    struct buf noted = fresh();
    cr_expect_eq(otlp_read(buf_slice(data), note, &noted), status);
    buf_put_u8(&noted, 0);
    cr_expect_str_eq((const char *)noted.data, points);
    buf_fini(&noted);
    buf_fini(data);
}

Test(otlp, numbers_come_with_their_kind_and_texts_of_attributes)
{
    struct buf point = fresh();
    put_double(&point, 4, 2.5);
    put_attribute(&point, 7, "node", "1");
    struct buf data = data_of("a.b", 5, &point);
    expect(&data, ST_OK, "a.b kind 0 = 2.5 node:1; ");
    point = fresh();
    put_int(&point, 6, -3);
    data = data_of("c", 7, &point);
    expect(&data, ST_OK, "c kind 2 = -3; ");
}

Test(otlp, a_histogram_is_its_count_and_its_sum)
{
    struct buf point = fresh();
    put_int(&point, 4, 7);
    put_double(&point, 5, 1.5);
    put_attribute(&point, 9, "topic", "t");
    struct buf data = data_of("h", 9, &point);
    expect(&data, ST_OK, "h.count kind 2 = 7 topic:t; h.sum kind 2 = 1.5 topic:t; ");
}

Test(otlp, a_point_without_a_number_is_none_and_an_empty_push_has_none)
{
    struct buf point = fresh();
    put_attribute(&point, 7, "node", "1");
    struct buf data = data_of("a", 5, &point);
    expect(&data, ST_OK, "");
    data = fresh();
    expect(&data, ST_OK, "");
}

Test(otlp, a_field_of_another_wire_type_is_malformed)
{
    struct buf point = fresh();
    put_bytes(&point, 4, slice_str("12345678"));
    struct buf data = data_of("a", 5, &point);
    expect(&data, ST_MALFORMED, "");
}

Test(otlp, more_points_than_there_may_be_end_it)
{
    struct buf resource = fresh(), data;
    buf_init(&data, 1 << 20);
    struct buf scope = fresh(), metric = fresh(), points = fresh(), point = fresh();
    put_double(&point, 4, 1);
    for (int i = 0; i < 500; i++)
        put_bytes(&points, 1, buf_slice(&point));
    buf_fini(&point);
    put_bytes(&metric, 1, slice_str("a"));
    put_message(&metric, 5, &points);
    put_message(&scope, 2, &metric);
    put_message(&resource, 2, &scope);
    for (int i = 0; i < OTLP_POINTS_MAX / 500; i++)
        put_bytes(&data, 1, buf_slice(&resource));
    struct buf noted;
    buf_init(&noted, 1 << 20);
    cr_expect_eq(otlp_read(buf_slice(&data), note, &noted), ST_OK);
    put_message(&data, 1, &resource);
    cr_expect_eq(otlp_read(buf_slice(&data), note, &noted), ST_LIMIT);
    buf_fini(&noted);
    buf_fini(&data);
}

// Under the address sanitizer a read past the end ends the test.
Test(otlp, every_cut_and_every_flipped_byte_is_read_to_its_end_or_refused)
{
    struct buf point = fresh(), noted = fresh();
    put_double(&point, 4, 2.5);
    put_attribute(&point, 7, "node", "1");
    struct buf data = data_of("a.b", 5, &point);
    for (size_t len = 0; len < data.len; len++) {
        uint8_t *cut = malloc(len + 1);
        memcpy(cut, data.data, len);
        enum status status = otlp_read(slice_of(cut, len), note, &noted);
        cr_expect(len == 0 ? status == ST_OK : status == ST_MALFORMED, "%zu", len);
        free(cut);
    }
    for (size_t at = 0; at < data.len; at++)
        for (int bit = 0; bit < 8; bit++) {
            uint8_t *copy = malloc(data.len);
            memcpy(copy, data.data, data.len);
            copy[at] ^= (uint8_t)(1 << bit);
            otlp_read(slice_of(copy, data.len), note, &noted);
            noted.len = 0;
            free(copy);
        }
    buf_fini(&noted);
    buf_fini(&data);
}
