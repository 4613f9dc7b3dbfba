// SPDX-License-Identifier: Apache-2.0
// What became of the transactions of a log that is being cleaned, and of which anything is left, as Kafka's
// CleanedTransactionMetadata keeps it: records of an aborted transaction go at once; a marker may go only
// when none of its transaction's batches was met before it; the index entry of an aborted one stays as long
// as its marker hides something. Batches are shown in the order of the log, from its first one on. All
// transactions shown must have ended. Pure.
#ifndef LOG_FATES_H
#define LOG_FATES_H

#include "base/map.h"
#include "log/transactions.h"

struct log_fates {
    struct log_aborted *rows; // ascending by producer, then by first offset
    bool *met;                // per row: a batch of it was
    int count;
    struct map committed; // producers that have met batches without a marker yet; at most those of
                          // transactions that overlap in the log
};

// rows: the aborted transactions with records or a marker in what will be shown, in any order; taken.
void log_fates_init(struct log_fates *fates, struct log_aborted *rows_take, int count);
void log_fates_fini(struct log_fates *fates);

// Whether the data batch belongs to an aborted transaction. Nothing is remembered.
bool log_fates_aborted(const struct log_fates *fates, const struct batch_header *header);

// Shows the next batch of the log, whole and valid. True when its records are of no use any more: it belongs
// to an aborted transaction, or is the marker of one of which nothing was met. *entry: what the segment's
// index must say of the marker, NULL: nothing; valid until fini.
bool log_fates_show(struct log_fates *fates, struct slice batch, const struct batch_header *header,
                    const struct log_aborted **entry);

#endif
