// SPDX-License-Identifier: Apache-2.0
// Transactions as a log sees them (KIP-98): which ones are open or ended but not
// yet behind the watermark, and the entries of a segment's .txnindex, in Kafka's format (TransactionIndex):
// per aborted transaction 34 bytes, in order of their markers. Pure.
#ifndef LOG_TRANSACTIONS_H
#define LOG_TRANSACTIONS_H

#include "base/buf.h"
#include "kafka/batch.h"
#include "log/log.h"

enum {
    LOG_ABORTED_ENTRY = 34, // int16 version 0, int64 producer id, first, last and last stable offset
    LOG_MARKER_MAX = 4096   // bytes of a control batch that can be a marker; Kafka's have 78
};

// ---- ended, not yet replicated ----

// Ended transactions whose marker the watermark has not passed: what they wrote is not stable, for a new
// leader may not have the marker. Those that a later one covers are left out, so first and last both ascend.
struct log_ended {
    struct log_ended_row {
        int64_t first, last;
    } * rows;
    int head, count, cap;
};

void log_ended_fini(struct log_ended *ended);
// last is above that of every row.
void log_ended_push(struct log_ended *ended, int64_t first, int64_t last);
// Forgets those the watermark has passed.
void log_ended_pass(struct log_ended *ended, int64_t high_watermark);
// The lowest first offset of those the watermark has not passed; INT64_MAX: none.
int64_t log_ended_first(const struct log_ended *ended, int64_t high_watermark);

// ---- index entries ----

void log_aborted_print(const struct log_aborted *aborted, struct buf *out);
void log_aborted_parse(const uint8_t entry[LOG_ABORTED_ENTRY], struct log_aborted *aborted);

// Bytes at the start of an index's content that can be kept: entries of version 0, markers ascending from the
// segment's base and below `below`. *whole: nothing but markers at or above `below` follows.
size_t log_aborted_keep(struct slice bytes, int64_t base, int64_t below, bool *whole);

#endif
