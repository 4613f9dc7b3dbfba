// SPDX-License-Identifier: Apache-2.0
// Record batches and compression: batches made by Kafka's own classes are read and rebuilt byte for byte,
// every damaged byte is noticed, every rule of validation refuses what it must, and small inputs that claim
// or produce much stop at the limits.
#include "kafka/batch.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "base/prng.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { RECORDS = 10 };

static const struct batch_rules any_rules = {
    .before_ms = INT64_MAX, .after_ms = INT64_MAX, .limits = {64 << 20, 4 << 20, 512}};

static struct buf load(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/batch/%s", MILLRACE_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    buf_reserve(&bytes, 1 << 16);
    bytes.len = fread(bytes.data, 1, 1 << 16, file);
    fclose(file);
    return bytes;
}

// The ten records of MakeBatches.java; storage holds what the slices point at.
struct ten {
    struct batch_record records[RECORDS];
    struct record_header headers[RECORDS][3];
    char values[RECORDS][1024], keys[RECORDS][16];
};

static struct slice ten_value(struct ten *ten, int i)
{
    if (i == 4)
        return (struct slice){0};
    size_t len = 0;
    ten->values[i][0] = 0;
    for (int n = 0; n < i * 7 && i != 5; n++)
        len += (size_t)sprintf(ten->values[i] + len, "value-%d;", i);
    return slice_of(ten->values[i], len);
}

static void make_ten(struct ten *ten)
{
    static const char *const names[] = {"h0", "h1", "h2"};
    static const char *const texts[] = {"header value 0", NULL, "header value 2"};
    for (int i = 0; i < RECORDS; i++) {
        sprintf(ten->keys[i], "key-%d", i);
        for (int h = 0; h < i % 4; h++)
            ten->headers[i][h] = (struct record_header){slice_str(names[h]), slice_str(texts[h])};
        ten->records[i] = (struct batch_record){
            .timestamp = 1700000000000 + (i % 2 == 0 ? i * 100 : -i),
            .key = i % 3 == 0 ? (struct slice){0} : slice_of(ten->keys[i], i % 3 == 1 ? 0 : 5),
            .value = ten_value(ten, i),
            .headers = ten->headers[i],
            .header_count = i % 4};
    }
}

static struct batch_spec golden_spec(void)
{
    struct batch_spec spec = batch_spec_plain();
    spec.base_offset = 4711;
    spec.leader_epoch = 9;
    return spec;
}

static bool same_bytes(struct slice a, struct slice b)
{
    return (a.data == NULL) == (b.data == NULL) && slice_equal(a, b);
}

static void check_ten(struct slice batch)
{
    struct ten *ten = malloc(sizeof *ten);
    make_ten(ten);
    struct batch_header header;
    struct batch_verdict verdict;
    struct buf scratch;
    buf_init(&scratch, 1 << 20);
    enum status status = batch_validate(batch, &any_rules, &scratch, &header, &verdict);
    cr_assert_eq(status, ST_OK, "%s", verdict.why);
    cr_assert_eq(verdict.max_timestamp, 1700000000800);
    cr_assert_eq(header.max_timestamp, 1700000000800);
    struct batch_reader reader;
    struct record record;
    cr_assert_eq(batch_reader_init(&reader, batch, &header, &any_rules.limits, &scratch), ST_OK);
    for (int i = 0; i < RECORDS; i++) {
        cr_assert_eq(batch_next(&reader, &record), ST_OK);
        cr_assert_eq(record.offset, 4711 + i);
        cr_assert_eq(record.timestamp, ten->records[i].timestamp);
        cr_assert(same_bytes(record.key, ten->records[i].key), "key %d", i);
        cr_assert(same_bytes(record.value, ten->records[i].value), "value %d", i);
        struct record_header at;
        int count = 0;
        while (record_next_header(&record, &at)) {
            cr_assert(same_bytes(at.key, ten->headers[i][count].key));
            cr_assert(same_bytes(at.value, ten->headers[i][count].value));
            count++;
        }
        cr_assert_eq(count, i % 4);
    }
    cr_assert_eq(batch_next(&reader, &record), ST_NOT_FOUND);
    buf_fini(&scratch);
    free(ten);
}

Test(batch, kafkas_batches_of_every_compression_are_read)
{
    static const char *const names[] = {"none.bin", "gzip.bin", "snappy.bin", "lz4.bin", "zstd.bin"};
    for (int i = 0; i < COMPRESSION_COUNT; i++) {
        struct buf bytes = load(names[i]);
        struct batch_header header;
        cr_assert_eq(batch_parse(buf_slice(&bytes), &header), ST_OK);
        cr_assert_eq(batch_compression(&header), (enum compression)i, "%s", names[i]);
        cr_assert_eq(header.leader_epoch, 9);
        check_ten(buf_slice(&bytes));
        buf_fini(&bytes);
    }
}

Test(batch, uncompressed_batches_are_built_as_kafka_does_byte_for_byte)
{
    static const char *const names[] = {"none.bin", "idempotent.bin", "transactional.bin"};
    struct ten *ten = malloc(sizeof *ten);
    make_ten(ten);
    for (int i = 0; i < 3; i++) {
        struct buf expected = load(names[i]), built;
        struct batch_spec spec = golden_spec();
        if (i > 0) {
            spec.producer_id = 123456789012;
            spec.producer_epoch = 3;
            spec.base_sequence = 2147483640;
            spec.attributes = i == 2 ? BATCH_TRANSACTIONAL : 0;
        }
        buf_init(&built, 1 << 16);
        cr_assert_eq(batch_build(&spec, ten->records, RECORDS, &built), ST_OK);
        cr_assert(slice_equal(buf_slice(&built), buf_slice(&expected)), "%s", names[i]);
        struct batch_header header;
        batch_parse(buf_slice(&built), &header);
        if (i > 0)
            cr_assert_eq(batch_last_sequence(&header), 1, "the sequence wraps behind 2^31-1");
        buf_fini(&built);
        buf_fini(&expected);
    }
    free(ten);
}

Test(batch, markers_are_built_as_kafka_does_byte_for_byte)
{
    for (int commit = 0; commit < 2; commit++) {
        struct buf expected = load(commit ? "commit.bin" : "abort.bin"), built;
        struct batch_spec spec = golden_spec();
        spec.producer_id = 123456789012;
        spec.producer_epoch = 3;
        buf_init(&built, 1 << 16);
        cr_assert_eq(batch_build_marker(&spec, commit, 42, 1700000000000, &built), ST_OK);
        cr_assert(slice_equal(buf_slice(&built), buf_slice(&expected)));
        buf_fini(&built);
        buf_fini(&expected);
    }
}

Test(batch, built_batches_of_every_compression_are_read_back)
{
    struct ten *ten = malloc(sizeof *ten);
    make_ten(ten);
    for (int i = 0; i < COMPRESSION_COUNT; i++) {
        struct buf built;
        struct batch_spec spec = golden_spec();
        spec.compression = (enum compression)i;
        buf_init(&built, 1 << 16);
        cr_assert_eq(batch_build(&spec, ten->records, RECORDS, &built), ST_OK);
        check_ten(buf_slice(&built));
        buf_fini(&built);
    }
    free(ten);
}

static enum status validate(struct slice bytes, const struct batch_rules *rules,
                            struct batch_verdict *verdict)
{
    struct batch_header header;
    struct buf scratch;
    buf_init(&scratch, rules->limits.bytes_max);
    enum status status = batch_validate(bytes, rules, &scratch, &header, verdict);
    buf_fini(&scratch);
    return status;
}

Test(batch, every_damaged_byte_and_every_cut_is_noticed)
{
    static const char *const names[] = {"none.bin", "gzip.bin", "snappy.bin", "lz4.bin", "zstd.bin"};
    struct batch_verdict verdict;
    for (int n = 0; n < COMPRESSION_COUNT; n++) {
        struct buf bytes = load(names[n]);
        for (size_t i = 0; i < bytes.len; i++) {
            if (i < 8 || (i >= 12 && i < 16))
                continue; // base offset and leader epoch: the broker's, not covered
            bytes.data[i] ^= 0x10;
            cr_assert_neq(validate(buf_slice(&bytes), &any_rules, &verdict), ST_OK, "%s byte %zu", names[n],
                          i);
            bytes.data[i] ^= 0x10;
        }
        for (size_t len = 0; len < bytes.len; len++)
            cr_assert_eq(validate(slice_of(bytes.data, len), &any_rules, &verdict), ST_MALFORMED);
        buf_put_u8(&bytes, 0);
        cr_assert_eq(validate(buf_slice(&bytes), &any_rules, &verdict), ST_MALFORMED,
                     "bytes behind the batch");
        buf_fini(&bytes);
    }
}

// Damage inside with a checksum made anew: only the rules stand between it and the log.
Test(batch, damaged_records_with_a_right_checksum_never_break_the_reader)
{
    static const char *const names[] = {"none.bin", "gzip.bin", "snappy.bin", "lz4.bin", "zstd.bin"};
    struct prng prng = {5};
    int refused = 0, rounds = 4000;
    for (int n = 0; n < rounds; n++) {
        struct buf bytes = load(names[n % COMPRESSION_COUNT]);
        for (uint64_t k = 0; k <= prng_below(&prng, 3); k++)
            bytes.data[21 + prng_below(&prng, bytes.len - 21)] = (uint8_t)prng_next(&prng);
        store_be32(bytes.data + 17, crc32c(0, bytes.data + 21, bytes.len - 21));
        struct batch_verdict verdict;
        if (validate(buf_slice(&bytes), &any_rules, &verdict) != ST_OK)
            refused++;
        buf_fini(&bytes);
    }
    cr_assert_gt(refused, rounds / 4);
}

static enum status validate_changed(const char *name, size_t at, int size, uint64_t value,
                                    const struct batch_rules *rules, struct batch_verdict *verdict)
{
    struct buf bytes = load(name);
    if (size == 2)
        store_be16(bytes.data + at, (uint16_t)value);
    else if (size == 4)
        store_be32(bytes.data + at, (uint32_t)value);
    else if (size == 8)
        store_be64(bytes.data + at, value);
    store_be32(bytes.data + 17, crc32c(0, bytes.data + 21, bytes.len - 21));
    enum status status = validate(buf_slice(&bytes), rules, verdict);
    buf_fini(&bytes);
    return status;
}

Test(batch, header_rules_for_clients)
{
    struct batch_rules rules = any_rules;
    struct batch_verdict verdict;
    rules.from_client = true;
    rules.now_ms = 1700000000000;
    cr_assert_eq(validate_changed("none.bin", 0, 0, 0, &rules, &verdict), ST_OK);
    cr_assert_eq(validate_changed("none.bin", 57, 4, 9, &rules, &verdict), ST_MALFORMED, "count");
    cr_assert_eq(validate_changed("none.bin", 23, 4, 8, &rules, &verdict), ST_MALFORMED, "last offset delta");
    cr_assert_eq(validate_changed("none.bin", 57, 4, 0x7fffffff, &rules, &verdict), ST_MALFORMED,
                 "huge count");
    cr_assert_eq(validate_changed("none.bin", 21, 2, 5, &rules, &verdict), ST_UNSUPPORTED, "codec 5");
    cr_assert_eq(validate_changed("none.bin", 21, 2, BATCH_LOG_APPEND_TIME, &rules, &verdict),
                 ST_OUT_OF_RANGE);
    cr_assert_eq(validate_changed("none.bin", 21, 2, BATCH_TRANSACTIONAL, &rules, &verdict), ST_MALFORMED);
    cr_assert_eq(validate_changed("idempotent.bin", 53, 4, UINT32_MAX, &rules, &verdict), ST_MALFORMED,
                 "sequence");
    cr_assert_eq(validate_changed("idempotent.bin", 51, 2, UINT16_MAX, &rules, &verdict), ST_MALFORMED,
                 "epoch");
    cr_assert_eq(validate_changed("commit.bin", 0, 0, 0, &rules, &verdict), ST_MALFORMED, "control batch");
    cr_assert_eq(validate_changed("commit.bin", 0, 0, 0, &any_rules, &verdict), ST_OK,
                 "but a replica takes it");
    struct buf bytes = load("none.bin");
    bytes.data[16] = 1;
    cr_assert_eq(validate(buf_slice(&bytes), &rules, &verdict), ST_UNSUPPORTED, "magic 1");
    buf_fini(&bytes);
}

Test(batch, record_rules_for_clients)
{
    struct batch_rules rules = any_rules;
    struct batch_verdict verdict;
    rules.from_client = rules.key_required = true;
    cr_assert_eq(validate_changed("none.bin", 0, 0, 0, &rules, &verdict), ST_MALFORMED);
    cr_assert_eq(verdict.bad_record, 0);
    rules.key_required = false;
    rules.now_ms = 1700000000000;
    rules.before_ms = 8;
    rules.after_ms = 1000;
    cr_assert_eq(validate_changed("none.bin", 0, 0, 0, &rules, &verdict), ST_OUT_OF_RANGE);
    cr_assert_eq(verdict.bad_record, 9, "record 9 is 9 ms too early");
    rules.before_ms = 9;
    cr_assert_eq(validate_changed("none.bin", 0, 0, 0, &rules, &verdict), ST_OK);
    rules.after_ms = 799;
    cr_assert_eq(validate_changed("none.bin", 0, 0, 0, &rules, &verdict), ST_OUT_OF_RANGE);
    cr_assert_eq(verdict.bad_record, 8);
    rules.log_append_time = true;
    cr_assert_eq(validate_changed("none.bin", 0, 0, 0, &rules, &verdict), ST_OK);
}

Test(batch, every_record_at_fault_is_named)
{
    struct batch_record records[4] = {{.timestamp = 1000, .value = slice_str("no key")},
                                      {.timestamp = 1000, .key = slice_str("k")},
                                      {.timestamp = 5000, .key = slice_str("too late")},
                                      {.timestamp = 1000, .value = slice_str("no key")}};
    struct batch_spec spec = batch_spec_plain();
    struct batch_rules rules = any_rules;
    struct batch_verdict verdict;
    struct buf bytes;
    rules.from_client = rules.key_required = true;
    rules.now_ms = 1000;
    rules.before_ms = rules.after_ms = 100;
    buf_init(&bytes, 1000);
    batch_build(&spec, records, 4, &bytes);
    cr_assert_eq(validate(buf_slice(&bytes), &rules, &verdict), ST_OUT_OF_RANGE, "a wrong time outweighs");
    cr_assert_eq(verdict.bad_record, 0);
    cr_assert_eq(verdict.fault_count, 3);
    cr_assert_eq(verdict.faults[0].record, 0);
    cr_assert_eq(verdict.faults[1].record, 2);
    cr_assert_eq(verdict.faults[2].record, 3);
    rules.after_ms = INT64_MAX;
    cr_assert_eq(validate(buf_slice(&bytes), &rules, &verdict), ST_MALFORMED);
    cr_assert_eq(verdict.fault_count, 2);
    buf_fini(&bytes);
}

Test(batch, more_records_at_fault_than_are_named)
{
    struct batch_record records[BATCH_FAULTS_MAX + 5] = {{.timestamp = 1}};
    struct batch_spec spec = batch_spec_plain();
    struct batch_rules rules = any_rules;
    struct batch_verdict verdict;
    struct buf bytes;
    rules.key_required = true;
    buf_init(&bytes, 1 << 20);
    batch_build(&spec, records, BATCH_FAULTS_MAX + 5, &bytes);
    cr_assert_eq(validate(buf_slice(&bytes), &rules, &verdict), ST_MALFORMED);
    cr_assert_eq(verdict.fault_count, BATCH_FAULTS_MAX);
    buf_fini(&bytes);
}

// Times before 1970 are what databases send as birthdays.
Test(batch, negative_timestamps_are_taken)
{
    struct batch_record record = {.timestamp = -86400000, .value = slice_str("v")};
    struct batch_spec spec = batch_spec_plain();
    struct batch_rules rules = any_rules;
    struct batch_verdict verdict;
    struct buf bytes;
    rules.from_client = true;
    rules.now_ms = 1700000000000;
    rules.before_ms = INT64_MAX;
    rules.after_ms = 1000;
    buf_init(&bytes, 1000);
    batch_build(&spec, &record, 1, &bytes);
    cr_assert_eq(validate(buf_slice(&bytes), &rules, &verdict), ST_OK);
    rules.before_ms = 1700000000000 + 86399999;
    cr_assert_eq(validate(buf_slice(&bytes), &rules, &verdict), ST_OUT_OF_RANGE);
    buf_fini(&bytes);
}

Test(batch, offsets_that_are_not_dense_are_refused)
{
    struct batch_record records[2] = {{.timestamp = 1, .value = slice_str("a")},
                                      {.timestamp = 1, .value = slice_str("b")}};
    struct batch_spec spec = batch_spec_plain();
    struct buf bytes;
    struct batch_verdict verdict;
    buf_init(&bytes, 1000);
    batch_build(&spec, records, 2, &bytes);
    // length, attributes, timestamp delta, offset delta: the first record's offset delta becomes 1
    bytes.data[61 + 3] = 2;
    store_be32(bytes.data + 17, crc32c(0, bytes.data + 21, bytes.len - 21));
    cr_assert_eq(validate(buf_slice(&bytes), &any_rules, &verdict), ST_MALFORMED);
    cr_assert_eq(verdict.bad_record, 0);
    buf_fini(&bytes);
}

Test(batch, setters_keep_the_checksum_right)
{
    struct buf bytes = load("none.bin");
    struct batch_header header;
    batch_set_base_offset(bytes.data, 99);
    batch_set_leader_epoch(bytes.data, 77);
    cr_assert_eq(batch_parse(buf_slice(&bytes), &header), ST_OK);
    cr_assert_eq(header.base_offset, 99);
    cr_assert_eq(header.leader_epoch, 77);
    cr_assert(batch_crc_ok(buf_slice(&bytes), &header));
    batch_set_max_timestamp(bytes.data, bytes.len, true, 123);
    batch_parse(buf_slice(&bytes), &header);
    cr_assert(batch_crc_ok(buf_slice(&bytes), &header));
    cr_assert_eq(header.max_timestamp, 123);
    struct batch_reader reader;
    struct record record;
    batch_reader_init(&reader, buf_slice(&bytes), &header, &any_rules.limits, NULL);
    cr_assert_eq(batch_next(&reader, &record), ST_OK);
    cr_assert_eq(record.timestamp, 123, "with log append time all records have the batch's time");
    buf_fini(&bytes);
}

// ---- compression ----

static const struct compress_limits small_limits = {
    .bytes_max = 1 << 20, .free_bytes = 64 << 10, .ratio_max = 100};

Test(compress, every_codec_returns_what_it_was_given)
{
    static const size_t sizes[] = {0, 1, 1000, 65536, 200000};
    uint8_t *data = malloc(200000);
    struct prng prng = {3};
    for (size_t i = 0; i < 200000; i++)
        data[i] = (uint8_t)(prng_next(&prng) % 7 == 0 ? prng_next(&prng) : 'x');
    for (int c = 0; c < COMPRESSION_COUNT; c++) {
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            struct buf packed, plain;
            buf_init(&packed, 1 << 20);
            buf_init(&plain, 1 << 20);
            cr_assert_eq(compress_pack((enum compression)c, slice_of(data, sizes[s]), &packed), ST_OK);
            enum status status =
                compress_unpack((enum compression)c, buf_slice(&packed), &small_limits, &plain);
            cr_assert_eq(status, ST_OK, "%s %zu: %s", compression_name((enum compression)c), sizes[s],
                         status_name(status));
            cr_assert(slice_equal(buf_slice(&plain), slice_of(data, sizes[s])));
            buf_fini(&packed);
            buf_fini(&plain);
        }
    }
    free(data);
}

Test(compress, an_output_of_exactly_the_limit_passes_and_one_byte_more_does_not)
{
    uint8_t *zeros = calloc(1, (64 << 10) + 1);
    struct compress_limits limits = {.bytes_max = 64 << 10, .free_bytes = 64 << 10, .ratio_max = 1};
    for (int c = 0; c < COMPRESSION_COUNT; c++) {
        for (size_t more = 0; more < 2; more++) {
            struct buf packed, plain;
            buf_init(&packed, 1 << 20);
            buf_init(&plain, 1 << 20);
            buf_append(&plain, "keep", 4);
            compress_pack((enum compression)c, slice_of(zeros, (64 << 10) + more), &packed);
            cr_assert_eq(compress_unpack((enum compression)c, buf_slice(&packed), &limits, &plain),
                         more ? ST_LIMIT : ST_OK, "%s + %zu", compression_name((enum compression)c), more);
            cr_assert_eq(plain.len, more ? 4u : 4u + (64 << 10));
            buf_fini(&packed);
            buf_fini(&plain);
        }
    }
    free(zeros);
}

Test(compress, a_bomb_stops_at_the_ratio_without_taking_much_memory)
{
    size_t huge = 64u << 20;
    uint8_t *zeros = calloc(1, huge);
    for (int c = COMPRESSION_GZIP; c < COMPRESSION_COUNT; c++) {
        struct buf packed, plain;
        buf_init(&packed, 256 << 20);
        buf_init(&plain, 1u << 30);
        cr_assert_eq(compress_pack((enum compression)c, slice_of(zeros, huge), &packed), ST_OK);
        struct compress_limits limits = {.bytes_max = 1u << 30, .free_bytes = 1 << 20, .ratio_max = 15};
        cr_assert_eq(compress_unpack((enum compression)c, buf_slice(&packed), &limits, &plain), ST_LIMIT);
        cr_assert_leq(plain.cap, packed.len * 15 * 2 + (4 << 20), "%s",
                      compression_name((enum compression)c));
        buf_fini(&packed);
        buf_fini(&plain);
    }
    free(zeros);
}

Test(compress, input_cut_at_every_byte_or_with_more_behind_is_malformed)
{
    uint8_t data[3000];
    struct prng prng = {4};
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)prng_below(&prng, 50);
    for (int c = COMPRESSION_GZIP; c < COMPRESSION_COUNT; c++) {
        struct buf packed, plain;
        buf_init(&packed, 1 << 20);
        compress_pack((enum compression)c, slice_of(data, sizeof data), &packed);
        for (size_t len = 0; len < packed.len; len++) {
            if (c == COMPRESSION_SNAPPY && len == 16)
                continue; // a header without chunks is an empty stream
            buf_init(&plain, 1 << 20);
            cr_assert_eq(
                compress_unpack((enum compression)c, slice_of(packed.data, len), &small_limits, &plain),
                ST_MALFORMED, "%s %zu", compression_name((enum compression)c), len);
            buf_fini(&plain);
        }
        buf_put_u8(&packed, 0x55);
        buf_init(&plain, 1 << 20);
        cr_assert_eq(compress_unpack((enum compression)c, buf_slice(&packed), &small_limits, &plain),
                     ST_MALFORMED);
        buf_fini(&plain);
        buf_fini(&packed);
    }
}

Test(compress, snappy_lengths_that_lie_are_refused_before_memory_is_taken)
{
    // Raw snappy that claims 4 GiB - 1; xerial chunks that are longer than the input or negative.
    static const uint8_t raw[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0};
    static const uint8_t xerial[] = {0x82, 'S', 'N', 'A', 'P', 'P',  'Y',  0,    0,    0, 0,
                                     1,    0,   0,   0,   1,   0xff, 0xff, 0xff, 0xf0, 1};
    // Claims 60,000 from three bytes.
    static const uint8_t liar[] = {0xe0, 0xd4, 0x03, 0, 'a'};
    struct buf plain;
    buf_init(&plain, SIZE_MAX / 2);
    cr_assert_eq(
        compress_unpack(COMPRESSION_SNAPPY, slice_of(raw, sizeof raw), &compress_limits_default, &plain),
        ST_LIMIT);
    cr_assert_eq(compress_unpack(COMPRESSION_SNAPPY, slice_of(xerial, sizeof xerial),
                                 &compress_limits_default, &plain),
                 ST_MALFORMED);
    cr_assert_eq(
        compress_unpack(COMPRESSION_SNAPPY, slice_of(liar, sizeof liar), &compress_limits_default, &plain),
        ST_MALFORMED);
    cr_assert_eq(plain.cap, 0);
    buf_fini(&plain);
}

Test(compress, raw_snappy_and_concatenated_frames_are_taken)
{
    static const uint8_t raw[] = {5, 4 << 2, 'h', 'e', 'l', 'l', 'o'};
    struct buf plain, packed;
    buf_init(&plain, 1 << 20);
    cr_assert_eq(compress_unpack(COMPRESSION_SNAPPY, slice_of(raw, sizeof raw), &small_limits, &plain),
                 ST_OK);
    cr_assert(slice_is(buf_slice(&plain), "hello"));
    static const enum compression frames[] = {COMPRESSION_GZIP, COMPRESSION_LZ4, COMPRESSION_ZSTD};
    for (int i = 0; i < 3; i++) {
        buf_init(&packed, 1 << 20);
        compress_pack(frames[i], slice_str("one,"), &packed);
        compress_pack(frames[i], slice_str("two"), &packed);
        buf_clear(&plain);
        cr_assert_eq(compress_unpack(frames[i], buf_slice(&packed), &small_limits, &plain), ST_OK);
        cr_assert(slice_is(buf_slice(&plain), "one,two"));
        buf_fini(&packed);
    }
    buf_fini(&plain);
}
