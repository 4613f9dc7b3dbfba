// SPDX-License-Identifier: Apache-2.0
// Hostile record batches: validation as for a client, then reading the records and their headers. The
// checksum is made right first, or nothing would get past it. Seeds: tests/golden/batch/*.bin.
#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/mem.h"
#include "kafka/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SCRATCH_MAX = 1 << 20 };

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct batch_rules rules = {.from_client = true,
                                .before_ms = INT64_MAX,
                                .after_ms = INT64_MAX,
                                .limits = {.bytes_max = SCRATCH_MAX, .free_bytes = 1 << 16, .ratio_max = 50}};
    if (size < BATCH_HEADER_SIZE)
        return 0;
    uint8_t *copy = mem_calloc(1, size);
    memcpy(copy, data, size);
    store_be32(copy + 8, (uint32_t)(size - BATCH_PREFIX_SIZE));
    store_be32(copy + 17, crc32c(0, copy + BATCH_CRC_FROM, size - BATCH_CRC_FROM));
    struct buf scratch;
    struct batch_header header;
    struct batch_verdict verdict;
    buf_init(&scratch, SCRATCH_MAX);
    enum status status = batch_validate(slice_of(copy, size), &rules, &scratch, &header, &verdict);
    ASSERT(scratch.len <= SCRATCH_MAX && (status == ST_OK || verdict.why[0] != 0));
    if (status == ST_OK)
        read_all(slice_of(copy, size), &header, &rules, &scratch);
    buf_fini(&scratch);
    mem_free(copy);
    return 0;
}
