// SPDX-License-Identifier: Apache-2.0
// What validating a produced batch costs the processor, beside its checksum alone: uncompressed records of
// one size in batches of one size, over and over, in the thread's own CPU time. The batches do not fit the
// cache all together, as those of a busy node do not.
//   validate [RECORD_BYTES [BATCH_BYTES [GIGABYTES]]]         default 1024 262144 8
// Prints CPU seconds per gigabyte and per million records: the checksum, both values of
// millrace.validate.records, and what looking at the records adds to the checksum.
#include "base/mem.h"
#include "kafka/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCHES_BYTES = 4 << 20 };

struct load {
    struct buf *batches;
    int count, records; // batches, and records in each
};

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static struct load load_make(size_t record_bytes, size_t batch_bytes)
{
    struct batch_spec spec = batch_spec_plain();
    struct load load = {.count = (int)(BATCHES_BYTES / batch_bytes) + 1,
                        .records = (int)(batch_bytes / record_bytes) + 1};
    struct batch_record *records = mem_calloc((size_t)load.records, sizeof *records);
    uint8_t *value = mem_calloc(1, record_bytes);
    for (int i = 0; i < load.records; i++)
        records[i] =
            (struct batch_record){.timestamp = 1700000000000 + i / 8,
                                  .key = slice_str("key-0123456789"),
                                  .value = slice_of(value, record_bytes > 22 ? record_bytes - 22 : 0)};
    load.batches = mem_calloc((size_t)load.count, sizeof *load.batches);
    for (int i = 0; i < load.count; i++) {
        buf_init(&load.batches[i], 2 * batch_bytes + 4096);
        batch_build(&spec, records, load.records, &load.batches[i]);
    }
    mem_free(value);
    mem_free(records);
    return load;
}

// CPU seconds for so many passes over all batches.
static double load_run(const struct load *load, const struct batch_rules *rules, int passes)
{
    struct batch_header header;
    struct batch_verdict verdict;
    double began = cpu_s();
    int wrong = 0;
    for (int pass = 0; pass < passes; pass++) {
        for (int i = 0; i < load->count; i++) {
            struct slice batch = buf_slice(&load->batches[i]);
            if (rules != NULL)
                wrong += batch_validate(batch, rules, NULL, &header, &verdict) != ST_OK;
            else
                wrong += batch_parse(batch, &header) != ST_OK || !batch_crc_ok(batch, &header);
        }
    }
    if (wrong > 0) {
        fprintf(stderr, "validate: %d batches were refused\n", wrong);
        exit(1);
    }
    return cpu_s() - began;
}

static void print_row(const char *name, double seconds, double bytes, double records)
{
    printf("%-10s %12.4f %20.4f\n", name, seconds / bytes * 1e9, seconds / records * 1e6);
}

int main(int argc, char **argv)
{
    size_t record_bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 1024;
    size_t batch_bytes = argc > 2 ? strtoul(argv[2], NULL, 10) : 262144;
    double gigabytes = argc > 3 ? strtod(argv[3], NULL) : 8;
    struct batch_rules rules = {.from_client = true,
                                .now_ms = 1700000000000,
                                .before_ms = INT64_MAX,
                                .after_ms = INT64_MAX,
                                .limits = compress_limits_default};
    struct load load = load_make(record_bytes, batch_bytes);
    double bytes = (double)load.batches[0].len * load.count;
    int passes = (int)(gigabytes * 1e9 / bytes) + 1;
    double records = (double)load.records * load.count * passes;
    bytes *= passes;
    double crc = load_run(&load, NULL, passes), always = load_run(&load, &rules, passes);
    rules.header_only = true;
    double header = load_run(&load, &rules, passes);
    printf("records of %zu B in batches of %zu B\n", record_bytes, load.batches[0].len);
    printf("%-10s %12s %20s\n", "", "CPU-s per GB", "per million records");
    print_row("checksum", crc, bytes, records);
    print_row("header", header, bytes, records);
    print_row("always", always, bytes, records);
    print_row("records", always - crc, bytes, records);
    for (int i = 0; i < load.count; i++)
        buf_fini(&load.batches[i]);
    mem_free(load.batches);
}
