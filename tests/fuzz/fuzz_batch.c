// SPDX-License-Identifier: Apache-2.0
// Hostile record batches: validation under rules drawn from the input, then reading the records and their
// headers, and packing them anew. The checksum is made right first, or nothing would get past it. Seeds:
// tests/golden/batch/*.bin.
#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/mem.h"
#include "kafka/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SCRATCH_MAX = 1 << 20 };

// The bits of the leader epoch, which no checksum covers, choose what the topic asks for.
static struct batch_rules rules_of(const uint8_t *batch)
{
    uint8_t bits = batch[12];
    return (struct batch_rules){.from_client = (bits & 1) == 0,
                                .header_only = (bits & 2) != 0,
                                .key_required = (bits & 4) != 0,
                                .log_append_time = (bits & 8) != 0,
                                .now_ms = 1700000000000,
                                .before_ms = bits & 16 ? 1000 : INT64_MAX,
                                .after_ms = bits & 32 ? 1000 : INT64_MAX,
                                .limits = {.bytes_max = SCRATCH_MAX, .free_bytes = 1 << 16, .ratio_max = 50}};
}

static void read_all(struct slice batch, const struct batch_header *header, const struct batch_rules *rules,
                     struct buf *scratch)
{
    struct batch_reader reader;
    struct record record;
    struct record_header at;
    enum status status = batch_reader_init(&reader, batch, header, &rules->limits, scratch);
    ASSERT(status == ST_OK);
    while ((status = batch_next(&reader, &record)) == ST_OK)
        while (record_next_header(&record, &at))
            ASSERT(at.key.data != NULL);
    ASSERT(status == ST_NOT_FOUND);
}

// A valid batch packed by another codec is a valid batch of the same records.
static void repack(struct slice batch, const struct batch_header *header, const struct batch_rules *rules,
                   struct slice records)
{
    enum compression codec = (enum compression)((unsigned)header->crc % COMPRESSION_COUNT);
    struct batch_rules again = *rules;
    struct batch_header packed;
    struct batch_verdict verdict;
    struct buf out, scratch;
    buf_init(&out, BATCH_HEADER_SIZE + compress_pack_bound(codec, records.len));
    buf_init(&scratch, SCRATCH_MAX);
    again.limits.ratio_max = 1 << 20;
    ASSERT(batch_repack(batch, records, codec, compress_level_default(codec), &out) == ST_OK);
    ASSERT(batch_validate(buf_slice(&out), &again, &scratch, &packed, &verdict) == ST_OK);
    ASSERT(packed.count == header->count && batch_compression(&packed) == codec);
    buf_fini(&scratch);
    buf_fini(&out);
}

static void check(struct slice batch, const struct batch_rules *rules, struct buf *scratch)
{
    struct batch_header header;
    struct batch_verdict verdict;
    enum status status = batch_validate(batch, rules, scratch, &header, &verdict);
    ASSERT(scratch->len <= SCRATCH_MAX && (status == ST_OK || verdict.why[0] != 0));
    ASSERT(status != ST_CORRUPT && verdict.fault_count <= BATCH_FAULTS_MAX);
    for (int i = 0; i < verdict.fault_count; i++)
        ASSERT(verdict.faults[i].record >= 0 && verdict.faults[i].record < header.count);
    if (status != ST_OK || rules->header_only)
        return;
    read_all(batch, &header, rules, scratch);
    bool plain = batch_compression(&header) == COMPRESSION_NONE;
    struct slice body = slice_of(batch.data + BATCH_HEADER_SIZE, batch.len - BATCH_HEADER_SIZE);
    repack(batch, &header, rules, plain ? body : buf_slice(scratch));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < BATCH_HEADER_SIZE)
        return 0;
    uint8_t *copy = mem_calloc(1, size);
    memcpy(copy, data, size);
    struct batch_rules rules = rules_of(copy);
    store_be32(copy + 8, (uint32_t)(size - BATCH_PREFIX_SIZE));
    store_be32(copy + 17, crc32c(0, copy + BATCH_CRC_FROM, size - BATCH_CRC_FROM));
    struct buf scratch;
    buf_init(&scratch, SCRATCH_MAX);
    check(slice_of(copy, size), &rules, &scratch);
    buf_fini(&scratch);
    mem_free(copy);
    return 0;
}
