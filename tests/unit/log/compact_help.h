// SPDX-License-Identifier: Apache-2.0
// A log of keyed records and what was written to it, for tests of compaction: random keys and tombstones
// under random codecs go in, everything is read back and compared by the rules a compacted log must obey.
#ifndef TESTS_COMPACT_HELP_H
#define TESTS_COMPACT_HELP_H

#include "log_help.h"

enum { COMPACT_ROWS_MAX = 8192, COMPACT_KEYS = 40 };

struct compact_row {
    int64_t offset;
    int key;
    int version;     // of the value; -1: tombstone
    int64_t last;    // of its batch: rows go with their batch when the log is cut
    bool superseded; // by a record that was cut since: it may be there or not
};

struct compact {
    struct help help;
    struct prng prng;
    struct compact_row rows[COMPACT_ROWS_MAX];
    int count;
    int versions;
    int keys; // how many different ones
    int32_t epoch;
    bool tombstones_gone; // those below the cleaned offset may be missing
};

// Opens "t-0" with small segments, cleaned whenever there is anything; cleanings follow a checkpoint.
void compact_init(struct compact *compact, uint64_t seed);
void compact_fini(struct compact *compact);
void compact_open(struct compact *compact);

// Appends a number of batches and flushes.
void compact_append(struct compact *compact, int batches);
// The watermark follows the log; the cleaner's time comes, until nothing changes any more.
void compact_clean(struct compact *compact);
int64_t compact_first_dirty(const struct compact *compact);
// The log is about to be cut: what later records supersede now may have been cleaned away.
void compact_mark_superseded(struct compact *compact);
void compact_forget_from(struct compact *compact, int64_t offset);

// Reads the log to its end, in memory and cold. What is there is what was written, in order; of each key the
// newest record written is there; below `clean` no record has a later one of its key below `clean`. Returns
// the number of records.
int compact_check(struct compact *compact, int64_t clean);

// Offset of the first record at or behind `from` that is its key's newest of all.
int64_t compact_newest_from(const struct compact *compact, int64_t from);

#endif
