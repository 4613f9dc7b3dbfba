// SPDX-License-Identifier: Apache-2.0
// Records of __transaction_state as Kafka writes them: TransactionLogKey and TransactionLogValue version 1.
// One thing is added, as a tag that Kafka skips: the epoch before a bump that the producer may not have heard
// of, which Kafka forgets when its coordinator changes.
#ifndef TXN_RECORD_H
#define TXN_RECORD_H

#include "base/buf.h"
#include "txn.h"
#include "txn_partitions.h"

enum {
    TXN_TAG_LAST_EPOCH = 10000,       // int16
    TXN_RECORD_PARTITIONS_MAX = 65536 // of one transaction: more are refused
};

// Appends the key or the value. ST_LIMIT at out's maximum, or when the ledger would not take the record; what
// it takes of an open transaction it also takes of the same one that ends.
enum status txn_record_key(struct slice transactional_id, struct buf *out);
enum status txn_record_value(const struct txn_head *head, const struct txn_partitions *partitions,
                             struct buf *out);

// transactional_id borrows from bytes. ST_UNSUPPORTED: a key of a newer kind; ST_MALFORMED, ST_TRUNCATED.
enum status txn_record_key_parse(struct slice bytes, struct slice *transactional_id);
// partitions is emptied first. ST_UNSUPPORTED: a version or state we do not know.
enum status txn_record_parse(struct slice value, struct txn_head *head, struct txn_partitions *partitions);

#endif
