// SPDX-License-Identifier: Apache-2.0
// What compaction leaves of a batch, by the rules of Kafka's Cleaner and MemoryRecords.filterTo: a record
// stays while no later one has its key; one without key goes; a record without value (a tombstone) stays
// until the delete horizon that the first cleaning writes into its batch has passed (KIP-534). Records of an
// aborted transaction go; the marker of a transaction of which nothing is left goes by a horizon as a
// tombstone does (log/fates.h says which those are). Offsets, sequences and epochs never change. A batch left
// without records goes too, unless it is its producer's last one or the last of its segment: then its header
// stays, so that sequence numbers and the segment's end survive. Pure.
#ifndef LOG_FILTER_H
#define LOG_FILTER_H

#include "kafka/batch.h"
#include "log/key_map.h"

// A producer and where its last data batch ends, ascending by id.
struct log_last_batch {
    int64_t producer_id;
    int64_t last_offset; // -1: none since a marker raised its epoch; that marker stays
    int16_t epoch;       // the producer's
};

enum {
    LOG_FILTER_KEEP_HEADER = 1, // also without records the batch's header stays
    LOG_FILTER_USELESS = 2      // log_fates_show has said so
};

struct log_filter {
    const struct log_key_map *map;
    int64_t map_end;             // records from here on are not in the map and stay
    int64_t now_ms;              // wall clock
    int64_t delete_retention_ms; // delete.retention.ms
    const struct log_last_batch *producers;
    size_t producer_count;
    struct buf scratch, records; // decompressed and kept records of the batch at hand
};

void log_filter_init(struct log_filter *filter); // the fields above are then the caller's to set
void log_filter_fini(struct log_filter *filter);

// Appends to out what stays of the whole, valid batch; nothing when all of it goes. how: LOG_FILTER_*.
// ST_CORRUPT: its records cannot be read; ST_LIMIT: too large for out or when decompressed; ST_NO_MEMORY.
enum status log_filter_batch(struct log_filter *filter, struct slice batch, const struct batch_header *header,
                             unsigned how, struct buf *out);

#endif
