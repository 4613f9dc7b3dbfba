// SPDX-License-Identifier: Apache-2.0
// Which part of a log compaction may and should clean, as Kafka's LogCleanerManager decides it, and how its
// segments are joined. Pure: numbers in, numbers out.
#ifndef LOG_DIRTY_H
#define LOG_DIRTY_H

#include "log/log.h"
#include "log/state.h"

struct log_dirty_bounds {
    int64_t first;  // first offset not yet cleaned (cleaner-offset-checkpoint)
    int64_t limit;  // only segments that end at or below it: last stable offset, recovery point
    int64_t now_ms; // wall clock
};

struct log_dirty {
    int64_t first, end;               // offsets to clean, end exclusive; equal when there is nothing
    int64_t clean_bytes, dirty_bytes; // of whole segments below end
    bool overdue;                     // a record in it is older than max.compaction.lag.ms
};

// The cleanable part: whole segments behind the active one, up to the first that ends above the limit or has
// a record younger than min.compaction.lag.ms.
struct log_dirty log_dirty_find(const struct log_state *state, const struct log_config *config,
                                const struct log_dirty_bounds *bounds);

// Share of dirty bytes, 0..1; and whether it calls for cleaning.
double log_dirty_ratio(const struct log_dirty *dirty);
bool log_dirty_due(const struct log_dirty *dirty, const struct log_config *config);

// A segment to be cleaned.
struct log_source {
    int64_t base, next; // its first offset, and the first of the segment behind it
    int64_t size, index_bytes, times_bytes;
    bool aborted; // it has an index of aborted transactions
};

// How many of the count sources from the first on become one segment: as many as are together no larger than
// a segment and its indexes may be and whose offsets fit 31 bits. At least one.
int log_dirty_group(const struct log_source *sources, int count, const struct log_config *config);

#endif
