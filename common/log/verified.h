// SPDX-License-Identifier: Apache-2.0
// Batches of segment files whose bytes are known to be what was appended, because this process wrote them or
// has checked them a while ago: where each lies, and the open file, so that a read of them is a sendfile that
// needs neither index nor checksum. A memory of a set, with a part per log (struct log_known), bounded in
// bytes and files, the oldest going first; and bounded in time, after which a bit that flipped on the disk
// meanwhile is looked for again. It says nothing of whether the bytes are in memory: file_cached does.
//
// Batches are kept in runs: neighbours in a file that became known at about the same time. The loop's.
#ifndef LOG_VERIFIED_H
#define LOG_VERIFIED_H

#include "base/metric.h"
#include "log/log.h"
#include "log/segment.h"

enum {
    LOG_VERIFIED_FILES = 1024,        // segments remembered; each may keep a descriptor
    LOG_VERIFIED_RUN_ROWS = 256,      // batches of a run
    LOG_VERIFIED_RUN_BYTES = 1 << 20, // bytes of the file in a run, but for its first batch
    LOG_VERIFIED_SPREAD = 8           // a run is extended for this part of the time that it is kept
};

struct log_verified;
struct verified_file;

// What is known of one log; zero: nothing. It stays where it is while anything is.
struct log_known {
    struct verified_file *files;
};

// A batch as it lies in the file of a segment.
struct log_place {
    int64_t base, last;
    int64_t position;
    uint32_t size;
    int32_t epoch;
};

// Whole batches one behind the other in a file.
struct log_stretch {
    struct log_handle *handle; // borrowed until the memory changes
    int64_t position;
    size_t len;
    int64_t first, next; // offsets: base of the first batch, behind the last one; both `from` when len is 0
    int32_t epoch;       // of the last batch
    bool more;           // the range goes on, but nothing is known of that
};

// keep_ms: for how long a batch counts as known, 0: nothing is remembered. bytes_max: memory for it all.
struct log_verified *log_verified_new(struct env *env, int64_t keep_ms, int64_t bytes_max);
void log_verified_destroy(struct log_verified **verified); // what was known of any log is void

// A batch of the segment with that base is good, from now on. The handle gets a reference when it is the
// first of its segment. Batches of one read come in their order. What is known already stays as it is.
void log_verified_add(struct log_verified *verified, struct log_known *known, int64_t segment,
                      struct log_handle *handle, const struct log_place *place);

// The batches from the one that holds range->from on, as far as they are known, lie in that segment, and
// range allows. False: that one is not known.
bool log_verified_find(struct log_verified *verified, const struct log_known *known, int64_t segment,
                       const struct log_range *range, struct log_stretch *found);

// The open file of a segment of which something is known, borrowed; else NULL.
struct log_handle *log_verified_handle(const struct log_known *known, int64_t segment);

// Forgets the runs that have a part in a stretch found a moment ago: its bytes are not in memory any more,
// and what the disk gives in their place is to be checked.
void log_verified_drop(struct log_verified *verified, struct log_known *known, int64_t segment,
                       const struct log_stretch *stretch);

// Forgets segments whose files change or go: those with base below `below`; INT64_MAX: all.
void log_verified_forget(struct log_verified *verified, struct log_known *known, int64_t below);

// Memory in use, and the bytes of files that it knows.
void log_verified_each_metric(struct log_verified *verified, const char *labels,
                              void (*act)(struct metric_registry *registry, struct metric *metric));

#endif
