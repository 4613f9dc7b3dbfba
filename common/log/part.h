// SPDX-License-Identifier: Apache-2.0
// One segment's share of a job that writes: which batches of the log's ring, where they go, which index
// entries go along. The loop fills parts from the log and moves the log by their outcome; in between they are
// the helper thread's, which works on what was copied into them, so that a log may be in a flush round
// (flush.c) and in a write-back (back.c) at once.
#ifndef LOG_PART_H
#define LOG_PART_H

#include "log/internal.h"

struct part {
    struct log *log;
    struct log_segment *segment;
    struct log_handle *handle; // a reference of its own; NULL until the segment is opened
    struct iovec *iov;         // the batches
    int iov_count;
    uint32_t entries; // of the log's ring
    int64_t bytes;
    int64_t base, end;                      // offsets of the batches: first, and behind the last
    int64_t at;                             // position of the first batch in the segment
    struct buf index, times;                // entries to write; moved out of the segment, none when kept back
    struct buf aborted;                     // likewise, but a copy
    int64_t index_at, times_at, aborted_at; // where in their files
    bool exists;                            // the segment's files do
    bool journal;                           // goes to the journal; the segment gets its space only
    bool back;                              // was in the journal: a write-back
    bool seal, sync, new_dir, first_of_log;
    bool indexed;  // no index entry of its batches, or of any before, is kept back
    bool together; // a syncfs has made durable what was written
    bool opened;
    enum status status;
};

struct log_parts {
    struct part *rows;
    int count, cap;
    int64_t bytes;
};

// ---- the loop ----

// All of the log that is not in its segments yet: one part per segment not sealed.
void log_parts_collect(struct log_parts *parts, struct log *log);
// What is not yet durable, for the journal. log_part_journals says whether it may go there.
bool log_part_journals(const struct log *log);
void log_parts_collect_journal(struct log_parts *parts, struct log *log);
// What is durable in the journal but not in the segment; sync also when there is nothing to write.
void log_parts_collect_back(struct log_parts *parts, struct log *log, bool sync);

// Moves the log by the part's outcome and ends the part.
void log_part_finish(struct part *part, uint64_t block);
void log_parts_fini(struct log_parts *parts);

// ---- a helper thread ----

// Writes the part to its files: segment, indexes; the directory is there. Nothing is synced but what a later
// entry needs.
enum status log_part_write(struct part *part);
// Opens the segment and takes the space its batches will need.
enum status log_part_prepare(struct part *part);
// fdatasync of the segment; its error is final, also when it says there is no space.
enum status log_part_sync(struct part *part);

#endif
