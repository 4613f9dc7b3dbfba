// SPDX-License-Identifier: Apache-2.0
// Producer state of a log: per producer id its epoch and its last five batches, so that a retried batch is
// recognised (KIP-98) also after a restart or a change of leader. It is derived from the batches alone: live
// appends, followers, truncation and recovery all go through log_producers_note. A .snapshot file in Kafka's
// format saves it; behind Kafka's part ours adds the batches before the last, which Kafka does not keep and
// without which a retry after a crash would look out of order. Pure.
#ifndef LOG_PRODUCERS_H
#define LOG_PRODUCERS_H

#include "base/buf.h"
#include "base/map.h"
#include "kafka/batch.h"
#include "log/transactions.h"

enum { LOG_PRODUCER_BATCHES = 5 };

struct log_producer_batch {
    int32_t last_sequence;
    int32_t offset_delta; // last offset - first offset = last sequence - first sequence
    int64_t last_offset;
    int64_t timestamp;
};

struct log_producer {
    int64_t id;
    int16_t epoch;
    int32_t coordinator_epoch;                               // of the last marker, -1
    int64_t txn_first_offset;                                // of the open transaction, -1
    int64_t last_timestamp;                                  // of the last batch or marker
    int64_t touched_ms;                                      // by the monotonic clock: expiry
    int batch_count;                                         // 0 after a marker that raised the epoch
    struct log_producer_batch batches[LOG_PRODUCER_BATCHES]; // oldest first
    struct log_producer *older, *newer;
    struct log_producer *before, *behind; // of those with an open transaction, by its first offset
};

struct log_producers {
    struct map by_id;
    struct log_producer *oldest, *newest; // by last use
    int max;                              // more forget the one idle longest
    struct log_producer *open_first, *open_last;
    struct log_ended ended;
};

void log_producers_init(struct log_producers *producers, int max);
void log_producers_fini(struct log_producers *producers);

// What to do with a batch; see log_check_sequence in log.h.
enum sequence_verdict log_producers_check(const struct log_producers *producers,
                                          const struct batch_header *header, struct batch_place *duplicate);

// Moves the state with a batch that is appended or found. marker: what a control batch says, NULL when the
// batch is none or no transaction marker. True when it aborts a transaction that has records: *aborted
// belongs into the segment's index.
bool log_producers_note(struct log_producers *producers, const struct batch_header *header,
                        const struct batch_marker *marker, int64_t now_ms, struct log_aborted *aborted);

// The producer's open transaction begins at first and not where it was thought to; -1: none is open.
void log_producers_reopen(struct log_producers *producers, struct log_producer *producer, int64_t first);

// The first offset of the earliest transaction that is open or whose marker the watermark has not passed;
// INT64_MAX when there is none (ProducerStateManager.firstUnstableOffset).
int64_t log_producers_unstable(const struct log_producers *producers, int64_t high_watermark);

// Forgets producers idle for longer than expiry_ms; one with an open transaction stays, also at the table's
// limit: its records would otherwise look stable.
void log_producers_expire(struct log_producers *producers, int64_t now_ms, int64_t expiry_ms);

// Snapshot file. Parse replaces the content of the table; on ST_CORRUPT or ST_UNSUPPORTED it is left empty.
enum status log_producers_print(const struct log_producers *producers, struct buf *out);
enum status log_producers_parse(struct slice bytes, struct log_producers *producers, int64_t now_ms);

#endif
