// SPDX-License-Identifier: Apache-2.0
// Batches of a ledger's log, record by record, into calls of ledger_ops: for the owner (ledger_read.c) and
// for those who only read along (tail.c). It can be left between any two records. Inside common/ledger only.
#ifndef LEDGER_RECORDS_H
#define LEDGER_RECORDS_H

#include "kafka/batch.h"
#include "ledger/ledger.h"

struct ledger_records {
    const struct ledger_ops *ops;
    void *context;
    int64_t *position; // of the reader: nothing below is applied; moved behind what was
    struct slice rest; // batches that are not begun, borrowed
    bool in_batch;     // header, reader: of the batch that is begun
    struct batch_header header;
    struct batch_reader reader;
    struct buf scratch; // its records, when it is compressed
};

void ledger_records_init(struct ledger_records *records, const struct ledger_ops *ops, void *context,
                         int64_t *position);
// Forgets bytes that are not applied.
void ledger_records_clear(struct ledger_records *records);
// ... and the memory they took.
void ledger_records_fini(struct ledger_records *records);

// Whole batches to be applied; they stay as long as there are any left.
void ledger_records_begin(struct ledger_records *records, struct slice bytes);
bool ledger_records_left(const struct ledger_records *records);
// The next step: a batch is begun, a record applied, or a batch is done. TRUNCATED, CORRUPT, or what a batch
// that cannot be read is.
enum status ledger_records_next(struct ledger_records *records);

#endif
