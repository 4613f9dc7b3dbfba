// SPDX-License-Identifier: Apache-2.0
// Batches packed anew by another codec, and the levels a codec packs with.
#include "base/prng.h"
#include "kafka/batch.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { COUNT = 50, ROOM = 1 << 20 };

static const struct batch_rules rules = {
    .before_ms = INT64_MAX, .after_ms = INT64_MAX, .limits = {ROOM, ROOM, 99}};

static struct buf build(enum compression codec)
{
    struct batch_record records[COUNT];
    struct batch_spec spec = batch_spec_plain();
    struct buf batch;
    for (int i = 0; i < COUNT; i++)
        records[i] = (struct batch_record){.timestamp = 1000 + i,
                                           .key = i % 3 == 0 ? (struct slice){0} : slice_str("key"),
                                           .value = slice_str("one value or another, much the same")};
    spec.compression = codec;
    spec.attributes = BATCH_TRANSACTIONAL;
    spec.base_offset = 17;
    spec.leader_epoch = 3;
    spec.producer_id = 4711;
    spec.producer_epoch = 2;
    spec.base_sequence = 5;
    buf_init(&batch, ROOM);
    cr_assert_eq(batch_build(&spec, records, COUNT, &batch), ST_OK);
    return batch;
}

// The batch's header, and its records unpacked.
static struct buf unpack(struct slice batch, struct batch_header *header)
{
    struct batch_verdict verdict;
    struct buf records;
    buf_init(&records, ROOM);
    cr_assert_eq(batch_validate(batch, &rules, &records, header, &verdict), ST_OK, "%s", verdict.why);
    if (batch_compression(header) == COMPRESSION_NONE)
        buf_append(&records, batch.data + BATCH_HEADER_SIZE, batch.len - BATCH_HEADER_SIZE);
    return records;
}

static void check_repacked(enum compression from, enum compression to, int level)
{
    struct batch_header before, after;
    struct buf batch = build(from), out;
    struct buf records = unpack(buf_slice(&batch), &before);
    buf_init(&out, BATCH_HEADER_SIZE + compress_pack_bound(to, records.len));
    cr_assert_eq(batch_repack(buf_slice(&batch), buf_slice(&records), to, level, &out), ST_OK);
    struct buf again = unpack(buf_slice(&out), &after);
    cr_assert(slice_equal(buf_slice(&records), buf_slice(&again)));
    cr_assert_eq(after.attributes, BATCH_TRANSACTIONAL | (int)to);
    cr_assert_eq(memcmp(batch.data, out.data, 8), 0, "base offset");
    cr_assert_eq(memcmp(batch.data + 12, out.data + 12, 5), 0, "leader epoch, magic");
    cr_assert_eq(memcmp(batch.data + 23, out.data + 23, BATCH_HEADER_SIZE - 23), 0,
                 "all behind the attributes");
    buf_fini(&batch);
    buf_fini(&records);
    buf_fini(&out);
    buf_fini(&again);
}

Test(repack, every_codec_becomes_every_other)
{
    for (int from = COMPRESSION_NONE; from < COMPRESSION_COUNT; from++)
        for (int to = COMPRESSION_NONE; to < COMPRESSION_COUNT; to++)
            check_repacked((enum compression)from, (enum compression)to,
                           compress_level_default((enum compression)to));
}

Test(repack, without_room_nothing_is_left_behind)
{
    struct buf batch = build(COMPRESSION_NONE), out;
    struct slice records = slice_of(batch.data + BATCH_HEADER_SIZE, batch.len - BATCH_HEADER_SIZE);
    for (size_t room = 0; room < BATCH_HEADER_SIZE + 40; room += 10) {
        buf_init(&out, room);
        cr_assert_eq(batch_repack(buf_slice(&batch), records, COMPRESSION_LZ4, 9, &out), ST_LIMIT);
        cr_assert_eq(out.len, 0);
        buf_fini(&out);
    }
    buf_fini(&batch);
}

// Words at random: there is something to find, and a thorough search finds more of it.
static struct buf text(void)
{
    struct prng prng = {3};
    struct buf plain;
    buf_init(&plain, ROOM);
    while (plain.len < 200000)
        buf_printf(&plain, "word%d ", (int)prng_below(&prng, 2000));
    return plain;
}

static size_t packed_size(enum compression codec, int level, struct slice plain)
{
    struct compress_limits limits = {ROOM, ROOM, 99};
    struct buf packed, again;
    buf_init(&packed, compress_pack_bound(codec, plain.len));
    buf_init(&again, ROOM);
    cr_assert_eq(compress_pack_at(codec, level, plain, &packed), ST_OK, "%s %d", compression_name(codec),
                 level);
    cr_assert_eq(compress_unpack(codec, buf_slice(&packed), &limits, &again), ST_OK);
    cr_assert(slice_equal(buf_slice(&again), plain));
    size_t size = packed.len;
    buf_fini(&packed);
    buf_fini(&again);
    return size;
}

Test(repack, levels_are_obeyed)
{
    struct buf plain = text();
    struct slice all = buf_slice(&plain);
    cr_assert_gt(packed_size(COMPRESSION_GZIP, 1, all), packed_size(COMPRESSION_GZIP, 9, all));
    cr_assert_eq(packed_size(COMPRESSION_GZIP, -1, all), packed_size(COMPRESSION_GZIP, 6, all));
    cr_assert_gt(packed_size(COMPRESSION_GZIP, 0, all), all.len, "level 0 stores");
    cr_assert_gt(packed_size(COMPRESSION_LZ4, 9, all), packed_size(COMPRESSION_LZ4, 8, all),
                 "Kafka's default is the fast compressor, all others are thorough");
    cr_assert_gt(packed_size(COMPRESSION_LZ4, 9, all), packed_size(COMPRESSION_LZ4, 1, all));
    cr_assert_geq(packed_size(COMPRESSION_LZ4, 3, all), packed_size(COMPRESSION_LZ4, 17, all));
    cr_assert_gt(packed_size(COMPRESSION_ZSTD, -1000, all), packed_size(COMPRESSION_ZSTD, 3, all));
    cr_assert_gt(packed_size(COMPRESSION_ZSTD, 1, all), packed_size(COMPRESSION_ZSTD, 19, all));
    packed_size(COMPRESSION_ZSTD, -131072, all);
    packed_size(COMPRESSION_ZSTD, 22, all);
    buf_fini(&plain);
}

// What does not pack at all must fit the bound, or a batch could not be packed anew.
Test(repack, noise_fits_the_bound)
{
    struct prng prng = {11};
    static const size_t sizes[] = {0, 1, 100, 32768, 65536, 65537, 300000};
    uint8_t *noise = malloc(300000);
    for (size_t i = 0; i < 300000; i++)
        noise[i] = (uint8_t)prng_next(&prng);
    for (int codec = COMPRESSION_NONE; codec < COMPRESSION_COUNT; codec++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            packed_size((enum compression)codec, compress_level_default((enum compression)codec),
                        slice_of(noise, sizes[i]));
    free(noise);
}
