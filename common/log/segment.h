// SPDX-License-Identifier: Apache-2.0
// One segment of a log: <base offset>.log with whole batches, .index (offset → position), .timeindex
// (timestamp → offset) and, once a transaction was aborted, .txnindex, all in Kafka's formats, big-endian.
// The loop keeps the numbers; the files are touched by the flusher and the pool only. Index entries are kept
// in memory until the flusher has written them.
#ifndef LOG_SEGMENT_H
#define LOG_SEGMENT_H

#include "base/buf.h"
#include "io/env.h"
#include "kafka/batch.h"
#include "log/transactions.h"

#include <stdatomic.h>

enum {
    LOG_INDEX_ENTRY = 8, // relative last offset of a batch, position of that batch
    LOG_TIME_ENTRY = 12, // timestamp, relative last offset of the batch that has it as its maximum
    LOG_SEGMENT_NAME = 40
};

// An open file with a reference per user: the segment and each reply that sends from it.
struct log_handle {
    atomic_int refs;
    struct env *env;
    struct file *file;
};
struct log_handle *log_handle_new(struct env *env, struct file *file_take);
struct log_handle *log_handle_ref(struct log_handle *handle);
void log_handle_unref(struct log_handle **handle); // NULL inside is fine

// Index entries: how many exist, and the bytes of those not yet in the file.
struct log_index {
    int32_t entries;
    int64_t written; // bytes of the file
    struct buf pending;
};

struct log_segment {
    int64_t base;               // offset in the file name
    int64_t size;               // bytes, tail included
    int64_t written;            // bytes in the file
    int64_t reserved;           // bytes of disk space allocated; the flusher's
    int64_t first_timestamp;    // max timestamp of the first batch, -1 unknown; segment.ms
    int64_t created_ms;         // wall clock when the first batch came, or when it was found
    uint64_t jitter;            // drawn for segment.jitter.ms; 0: not yet
    int64_t max_timestamp;      // of batches with records, -1: none
    int64_t max_timestamp_last; // last offset of the batch that has it
    int64_t last_time_entry;    // timestamp of the newest time index entry, -1
    int64_t since_entry;        // bytes appended since the last index entry
    struct log_index index, times;
    struct log_index aborted;  // .txnindex; pending ones stay until their write has ended: readers need all
    int64_t aborted_first;     // lowest first offset among them, INT64_MAX
    int64_t aborted_last;      // marker of the newest one, -1
    struct log_handle *handle; // NULL when closed
    struct buf snapshot;       // producer snapshot at base, until written
    bool exists;               // the files exist
    bool found;                // a load has come upon them: created_ms is when
    bool sealed;               // rolled, and its files are final and synced
    bool unseen;               // known by the manifest: nobody has looked at the files yet; the flusher's
};

struct log_segment *log_segment_new(int64_t base);
void log_segment_destroy(struct log_segment **segment);

// Notes a batch of size bytes at the segment's end: size, timestamps, index entries as Kafka's
// LogSegment.append makes them.
void log_segment_note(struct log_segment *segment, const struct batch_header *header, int32_t index_interval);

// Notes an aborted transaction whose marker is in the segment.
void log_segment_note_aborted(struct log_segment *segment, const struct log_aborted *aborted);

// The last time index entry of a finished segment (Kafka writes one at roll and close).
void log_segment_finish(struct log_segment *segment);

// File name with its suffix (".log", ".index", ".timeindex", ".txnindex", ".snapshot").
struct log_segment_name {
    char text[LOG_SEGMENT_NAME];
};
struct log_segment_name log_segment_name(int64_t base, const char *suffix);

// The base offset when name is 20 digits and the suffix; -1 otherwise.
int64_t log_segment_name_base(const char *name, const char *suffix);

// Position of the last index entry whose batch ends at or below offset, 0 when there is none. bytes: how much
// of the file counts. Blocking.
enum status log_index_find(struct env *env, struct file *file, int64_t bytes, int64_t base, int64_t offset,
                           int64_t *position);

// The last offset told by the newest time index entry whose timestamp is below the given one: no batch up to
// it needs looking at. base - 1 when there is none. Blocking.
enum status log_times_find(struct env *env, struct file *file, int64_t bytes, int64_t base, int64_t timestamp,
                           int64_t *offset);

#endif
