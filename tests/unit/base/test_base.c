// SPDX-License-Identifier: Apache-2.0
// Vectors for the hashes and ids (made by Java's own classes), limits of buffers and arenas, map against a
// model.
#include "base/arena.h"
#include "base/block.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/hist.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/prng.h"
#include "base/uuid.h"
#include "base/varint.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

Test(hash, crc32c_check_value_and_every_split)
{
    cr_assert_eq(crc32c(0, "123456789", 9), 0xe3069283u);
    uint8_t data[8192];
    struct prng prng = {7};
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)prng_next(&prng);
    for (size_t len = 0; len < sizeof data; len += 61) {
        uint32_t bytewise = 0;
        for (size_t i = 0; i < len; i++)
            bytewise = crc32c(bytewise, data + i, 1);
        cr_assert_eq(crc32c(0, data, len), bytewise, "length %zu", len);
    }
}

Test(hash, murmur2_vectors_of_kafka_utils_test)
{
    cr_assert_eq(murmur2("21", 2), -973932308);
    cr_assert_eq(murmur2("foobar", 6), -790332482);
    cr_assert_eq(murmur2("a-little-bit-long-string", 24), -985981536);
    cr_assert_eq(murmur2("a-little-bit-longer-string", 26), -1486304829);
    cr_assert_eq(murmur2("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 48), -58897971);
    cr_assert_eq(murmur2("abc", 3), 479470107);
}

Test(hash, java_string_hash_counts_utf16_units)
{
    cr_assert_eq(java_string_hash(slice_str("hello")), 99162322);
    cr_assert_eq(java_string_hash(slice_str("")), 0);
    cr_assert_eq(java_string_hash(slice_str("\xc3\xa9")), 0xe9);
    cr_assert_eq(java_string_hash(slice_str("\xf0\x9f\x98\x80")), 0xd83d * 31 + 0xde00);
}

Test(uuid, text_form_round_trips_and_rejects_other_lengths)
{
    struct uuid id = uuid_from_random(0x0123456789abcdefull, 0xfedcba9876543210ull);
    struct uuid back;
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    cr_assert_eq(strlen(text), 22);
    cr_assert(uuid_parse(text, &back));
    cr_assert(uuid_equal(id, back));
    cr_assert_not(uuid_parse("short", &back));
    cr_assert_not(uuid_parse("!!!!!!!!!!!!!!!!!!!!!!", &back));
}

Test(buf, refuses_growth_past_its_maximum_and_stays_failed)
{
    struct buf buf;
    buf_init(&buf, 10);
    cr_assert_eq(buf_append(&buf, "12345678", 8), ST_OK);
    cr_assert_eq(buf_append(&buf, "901", 3), ST_LIMIT);
    cr_assert_eq(buf.len, 8);
    cr_assert_eq(buf_put_u8(&buf, 1), ST_LIMIT);
    cr_assert_eq(buf_reserve(&buf, SIZE_MAX), ST_LIMIT);
    buf_fini(&buf);
}

Test(arena, cap_gives_null_and_overflow_is_refused)
{
    struct arena arena;
    arena_init(&arena, 1000);
    cr_assert_not_null(arena_alloc(&arena, 900));
    cr_assert_null(arena_alloc(&arena, 200));
    cr_assert_null(arena_calloc(&arena, SIZE_MAX / 2, 4));
    arena_reset(&arena);
    cr_assert_not_null(arena_alloc(&arena, 900));
    arena_fini(&arena);
}

Test(map, behaves_as_a_model_over_random_operations)
{
    struct map map;
    struct prng prng = {42};
    static int values[512];
    bool present[512] = {false};
    map_init(&map, 99);
    for (int step = 0; step < 200000; step++) {
        uint64_t key = prng_below(&prng, 512);
        if (prng_below(&prng, 2)) {
            void *old = map_put_u64(&map, key, &values[key]);
            cr_assert_eq(old != NULL, present[key]);
            present[key] = true;
        } else {
            void *old = map_remove_u64(&map, key);
            cr_assert_eq(old != NULL, present[key]);
            present[key] = false;
        }
    }
    size_t count = 0;
    struct map_entry *at = NULL;
    void *value;
    while (map_next(&map, &at, NULL, &value)) {
        cr_assert(present[(int *)value - values]);
        map_remove_u64(&map, (uint64_t)((int *)value - values)); // removing the current entry is allowed
        count++;
    }
    size_t expected = 0;
    for (int i = 0; i < 512; i++)
        expected += present[i];
    cr_assert_eq(count, expected);
    cr_assert_eq(map.count, 0);
    map_fini(&map);
}

static void count_up(void *value)
{
    ++*(int *)value;
}

Test(map, clearing_gives_every_value_back_and_leaves_an_empty_map)
{
    struct map map;
    int values[3] = {0};
    map_init(&map, 99);
    for (uint64_t i = 0; i < 3; i++)
        map_put_u64(&map, i, &values[i]);
    map_clear(&map, count_up);
    cr_expect(values[0] == 1 && values[1] == 1 && values[2] == 1);
    cr_expect_eq(map.count, 0);
    map_put_u64(&map, 1, &values[1]);
    cr_expect_eq(map_get_u64(&map, 1), &values[1], "it can be used on");
    map_fini(&map);
}

Test(varint, round_trips_extremes_and_refuses_overlong)
{
    int64_t cases[] = {0, 1, -1, 63, 64, -64, -65, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[VARINT64_MAX];
        int64_t back;
        int len = varint64_put(bytes, cases[i]);
        cr_assert_eq(varint64_get(bytes, (size_t)len, &back), len);
        cr_assert_eq(back, cases[i]);
        cr_assert_eq(varint64_get(bytes, (size_t)len - 1, &back), 0);
    }
    uint8_t overlong[11];
    memset(overlong, 0xff, sizeof overlong);
    uint64_t value;
    uint32_t small;
    cr_assert_eq(uvarint64_get(overlong, sizeof overlong, &value), -1);
    cr_assert_eq(uvarint32_get(overlong, sizeof overlong, &small), -1);
}

static void count_free(void *counter)
{
    ++*(int *)counter;
}

Test(block, foreign_memory_is_freed_once_at_the_last_reference)
{
    int freed = 0;
    uint8_t bytes[8];
    struct block *block = block_wrap(bytes, sizeof bytes, count_free, &freed);
    struct piece piece = piece_of_block(block, 2, 4);
    block_unref(&block);
    cr_assert_eq(freed, 0);
    piece_release(&piece);
    cr_assert_eq(freed, 1);
}

Test(metric, prints_help_once_per_name_and_cumulative_buckets)
{
    struct metric_registry registry = {0};
    struct metric a = {.name = "x_total", .help = "Xs.", .labels = "k=\"1\"", .kind = METRIC_COUNTER};
    struct metric b = {.name = "x_total", .help = "Xs.", .labels = "k=\"2\"", .kind = METRIC_COUNTER};
    struct metric h = {.name = "d_seconds", .help = "Ds.", .kind = METRIC_HISTOGRAM};
    metric_add(&registry, &a);
    metric_add(&registry, &b);
    metric_add(&registry, &h);
    metric_inc(&a, 3);
    metric_observe_us(&h, 100);
    struct buf out;
    buf_init(&out, 1 << 16);
    cr_assert_eq(metric_print(&registry, &out), ST_OK);
    buf_put_u8(&out, 0);
    cr_assert_not_null(
        strstr((char *)out.data, "# TYPE x_total counter\nx_total{k=\"1\"} 3\nx_total{k=\"2\"} 0\n"));
    cr_assert_not_null(strstr((char *)out.data, "d_seconds_bucket{le=\"0.000064\"} 0\n"));
    cr_assert_not_null(strstr((char *)out.data, "d_seconds_count 1\n"));
    buf_fini(&out);
}

static size_t three_rows(void *context)
{
    return 3;
}

static void print_row(const struct metric_table *table, size_t row, struct buf *out)
{
    if (row != 1) // has no value now
        buf_printf(out, "%s{%s=\"%zu\"} %zu\n", table->name, (const char *)table->context, row, row * 10);
}

Test(metric, rows_of_tables_come_in_slices_behind_the_others)
{
    struct metric_registry registry = {0};
    struct metric a = {.name = "x_total", .help = "Xs.", .kind = METRIC_COUNTER};
    struct metric_table t = {.name = "t",
                             .help = "Ts.",
                             .kind = METRIC_GAUGE,
                             .rows = three_rows,
                             .print = print_row,
                             .context = (char *)"row"};
    struct metric_table u = t;
    u.name = "u";
    metric_add(&registry, &a);
    metric_table_add(&registry, &t);
    metric_table_add(&registry, &u);
    struct buf whole, sliced;
    buf_init(&whole, 1 << 16);
    cr_assert_eq(metric_print(&registry, &whole), ST_OK);
    buf_put_u8(&whole, 0);
    cr_assert_str_eq((char *)whole.data, "# HELP x_total Xs.\n# TYPE x_total counter\nx_total 0\n"
                                         "# HELP t Ts.\n# TYPE t gauge\nt{row=\"0\"} 0\nt{row=\"2\"} 20\n"
                                         "# HELP u Ts.\n# TYPE u gauge\nu{row=\"0\"} 0\nu{row=\"2\"} 20\n");
    for (size_t step = 1; step <= 8; step++) {
        size_t at = 0, got;
        buf_init(&sliced, 1 << 16);
        while ((got = metric_print_some(&registry, at, step, &sliced)) > 0)
            at += got;
        cr_assert_eq(at, 7, "by %zu", step);
        cr_assert(slice_equal(buf_slice(&sliced), slice_of(whole.data, whole.len - 1)), "by %zu", step);
        buf_fini(&sliced);
    }
    metric_table_remove(&registry, &t);
    cr_assert_eq(metric_print_some(&registry, 0, 100, &whole), 4);
    buf_fini(&whole);
}

Test(metric, label_values_are_escaped)
{
    struct buf out;
    buf_init(&out, 1 << 10);
    metric_put_label(&out, "l", slice_str("a\"b\\c\nd\xff\xc3\xa4"));
    buf_put_u8(&out, 0);
    cr_assert_str_eq((char *)out.data, "l=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\xc3\xa4\"");
    buf_fini(&out);
}

Test(hist, quantiles_are_within_two_percent)
{
    struct hist *hist = mem_calloc(1, sizeof *hist);
    cr_assert_eq(hist_quantile(hist, 0.5), 0);
    for (int64_t us = 1; us <= 100000; us++)
        hist_add(hist, us);
    cr_assert_eq(hist_count(hist), 100000);
    const double shares[] = {0.001, 0.5, 0.99, 0.999, 1};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        double exact = shares[i] * 100000, told = (double)hist_quantile(hist, shares[i]);
        cr_assert(told >= exact - 1 && told <= exact * 1.02 + 1, "%f: %f", shares[i], told);
    }
    hist_add(hist, INT64_MAX);
    cr_assert_gt(hist_quantile(hist, 1), 1ll << 38);
    mem_free(hist);
}

Test(uuid, a_damaged_id_is_near_and_a_random_one_is_not)
{
    struct uuid id = uuid_from_random(0x0123456789abcdefull, 0xfedcba9876543210ull), other = id;
    cr_assert_not(uuid_near(id, other), "the same one is no damaged one");
    other.bytes[3] ^= 0x3f;
    cr_assert(uuid_near(id, other));
    other = uuid_from_random(0x7123456189a2cd5full, 0x1edc3a98b6b43514ull);
    cr_assert_not(uuid_near(id, other));
}

Test(hash, siphash_gives_the_published_values)
{
    // Key 00..0f, input 00, 01, ...; as the reference implementation and `openssl mac SIPHASH` have them.
    static const struct {
        size_t len;
        const char *hash;
    } expected[] = {{0, "a3817f04ba25a8e66df67214c7550293"},
                    {1, "da87c1d86b99af44347659119b22fc45"},
                    {8, "3b62a9ba6258f5610f83e264f31497b4"},
                    {17, "473d06e8738db89854c066c47ae47740"},
                    {100, "39732dd009be17338297c6358fe5e6d9"}};
    uint8_t key[HASH_SIP_SIZE], out[HASH_SIP_SIZE], input[100];
    for (uint8_t i = 0; i < sizeof input; i++)
        input[i] = i;
    memcpy(key, input, sizeof key);
    for (size_t k = 0; k < sizeof expected / sizeof *expected; k++) {
        char text[33];
        hash_sip128(key, input, expected[k].len, out);
        for (size_t i = 0; i < sizeof out; i++)
            snprintf(text + 2 * i, 3, "%02x", out[i]);
        cr_assert_str_eq(text, expected[k].hash, "%zu bytes", expected[k].len);
    }
}
