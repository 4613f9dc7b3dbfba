// SPDX-License-Identifier: Apache-2.0
// What looking at the schemas of a produced batch costs the processor (services/storage/guard_judge.h), in
// the thread's own CPU time: one batch of uncompressed records with the id of one known schema in front,
// judged over and over, by ids alone and with its Avro payloads decoded.
//   schemas [STRING_BYTES [RECORDS [PASSES]]]         default 20 1000 2000
// Prints microseconds per batch and CPU seconds per million records, beside those of batch_validate.
#include "base/mem.h"
#include "guard_judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ORDER                                                                                                \
    "{\"type\":\"record\",\"name\":\"Order\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"},"               \
    "{\"name\":\"customer\",\"type\":\"string\"},{\"name\":\"note\",\"type\":[\"null\",\"string\"]},"        \
    "{\"name\":\"amount\",\"type\":\"double\"},{\"name\":\"paid\",\"type\":\"boolean\"},"                    \
    "{\"name\":\"lines\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"Line\","     \
    "\"fields\":[{\"name\":\"article\",\"type\":\"int\"},{\"name\":\"count\",\"type\":\"int\"}]}}}]}"

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// An Order with two lines and a customer of so many (at most 63) letters.
static size_t put_order(uint8_t *out, int string_bytes)
{
    static const uint8_t head[] = {0, 0, 0, 0, 1, 0x80, 0x80, 1};
    static const uint8_t tail[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 4, 0x80, 2, 4, 0x82, 2, 6, 0};
    size_t len = sizeof head;
    memcpy(out, head, len);
    out[len++] = (uint8_t)(2 * string_bytes);
    memset(out + len, 'c', (size_t)string_bytes);
    len += (size_t)string_bytes;
    memcpy(out + len, tail, sizeof tail);
    return len + sizeof tail;
}

static struct guard_books books_make(struct guard_cache *cache, enum guard_level level)
{
    struct guard_id id = {.schema = schema_id_of(1)};
    struct guard_rule rule = {.level = level};
    struct guard_told told = {.verdict = GUARD_GOOD};
    struct schema_error error;
    guard_cache_init(cache, 100, 1 << 20, 1);
    struct guard_side *side = guard_cache_side(cache, (struct uuid){{1}}, SCHEMA_VALUE, rule);
    if (level == GUARD_FULL)
        schema_parse(SCHEMA_AVRO, slice_str(ORDER), NULL, 0, &error, &told.schema);
    guard_side_tell(side, &id, &told, 0);
    return (struct guard_books){{NULL, guard_side_book(side, 0)}};
}

static void batch_make(struct buf *batch, int string_bytes, int count)
{
    uint8_t value[128];
    struct batch_spec spec = batch_spec_plain();
    struct batch_record *records = mem_calloc((size_t)count, sizeof *records);
    size_t len = put_order(value, string_bytes);
    for (int i = 0; i < count; i++)
        records[i] = (struct batch_record){.timestamp = 1700000000000 + i / 8,
                                           .key = slice_str("key-0123456789"),
                                           .value = slice_of(value, len)};
    buf_init(batch, 64 << 20);
    batch_build(&spec, records, count, batch);
    mem_free(records);
}

static void print_row(const char *name, double seconds, int count, int passes)
{
    printf("%-10s %12.1f %20.4f\n", name, seconds / passes * 1e6, seconds / passes / count * 1e6);
}

static void measure_judge(const char *name, enum guard_level level, struct slice batch, int count, int passes)
{
    struct guard_cache cache;
    struct guard_books books = books_make(&cache, level);
    struct batch_header header;
    struct slice records = slice_of(batch.data + BATCH_HEADER_SIZE, batch.len - BATCH_HEADER_SIZE);
    batch_parse(batch, &header);
    double began = cpu_s();
    for (int i = 0; i < passes; i++)
        if (guard_judge(&books, &header, records, GUARD_SPARE_POOL, NULL) != NULL) {
            fprintf(stderr, "schemas: a record was refused\n");
            exit(1);
        }
    print_row(name, cpu_s() - began, count, passes);
    guard_books_unref(&books);
    guard_cache_fini(&cache);
}

static void measure_validation(struct slice batch, int count, int passes)
{
    struct batch_rules rules = {.from_client = true,
                                .now_ms = 1700000000000,
                                .before_ms = INT64_MAX,
                                .after_ms = INT64_MAX,
                                .limits = compress_limits_default};
    struct batch_header header;
    struct batch_verdict verdict;
    double began = cpu_s();
    for (int i = 0; i < passes; i++)
        batch_validate(batch, &rules, NULL, &header, &verdict);
    print_row("validation", cpu_s() - began, count, passes);
}

int main(int argc, char **argv)
{
    int string_bytes = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 20,
        count = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 1000;
    int passes = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 2000;
    struct buf batch;
    batch_make(&batch, string_bytes < 63 ? string_bytes : 63, count);
    printf("%d records in a batch of %zu B\n", count, batch.len);
    printf("%-10s %12s %20s\n", "", "µs per batch", "CPU-s per million");
    measure_validation(buf_slice(&batch), count, passes);
    measure_judge("+ ids", GUARD_ID, buf_slice(&batch), count, passes);
    measure_judge("+ full", GUARD_FULL, buf_slice(&batch), count, passes);
    buf_fini(&batch);
}
