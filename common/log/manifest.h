// SPDX-License-Identifier: Apache-2.0
// The manifest of a data directory as bytes: everything a log's state consists of, one row per log, so that a
// start behind a clean stop opens none of their files. Rows stand in byte order of the names, as a directory
// is listed. The head names the clean-shutdown marker it belongs to by the time that was written: Kafka
// writes a marker of its own, and knows nothing of this file. A checksum covers all of it. Behind the rows
// come, in groups with a checksum each, the names of the logs that have changed since: their rows are not
// true any more. Pure; what it is used for is resume.c's.
#ifndef LOG_MANIFEST_H
#define LOG_MANIFEST_H

#include "base/uuid.h"
#include "log/state.h"

// Name of the file. Kafka passes over plain files it does not know.
#define LOG_MANIFEST_NAME "millrace-manifest"

enum {
    LOG_MANIFEST_MAGIC = 0x4d524d31, // "MRM1"
    LOG_MANIFEST_VERSION = 2,
    LOG_MANIFEST_HEAD = 32,
    LOG_MANIFEST_MAX = 256 << 20,         // bytes of it all; logs that find no room in it are left out
    LOG_MANIFEST_PRODUCERS_MAX = 64 << 10 // bytes of a log's producer snapshot; one with more is left out
};

// Of a log, beside its state. Offsets as in log.h; it ends, and is durable, at state->end.
struct log_manifest_row {
    const char *name; // of its directory
    struct uuid id;   // zero: it has no partition.metadata
    int64_t start, high_watermark, first_dirty;
    bool leftovers; // renamed files of removed segments lie in the directory
    bool
        unfinished; // what a clean stop writes for Kafka (epochs, snapshot, last time entry) may not be there
};

// ---- writing ----

struct log_manifest_totals {
    int64_t marker_ns; // modification time of the marker, 0: there is none, the stop had not ended
    uint32_t rows;     // logs with a row
    uint32_t left_out; // logs of the directory without one
};

// Makes room for the head; out is empty and has LOG_MANIFEST_MAX or more as its maximum.
void log_manifest_begin(struct buf *out);
// Appends a row. Every segment exists, nothing of it is in memory only, no transaction is open. ST_LIMIT: it
// found no room, out is as it was.
enum status log_manifest_add(struct buf *out, const struct log_manifest_row *row,
                             const struct log_state *state);
// Fills the head.
void log_manifest_seal(struct buf *out, const struct log_manifest_totals *totals);

// Appends a group of changes. names: of logs, each with a zero behind it; none is a group, too.
void log_manifest_add_changes(struct buf *out, struct slice names);

// ---- reading ----

struct log_manifest {
    struct log_manifest_totals totals;
    struct slice rest;    // borrowed
    struct slice changes; // all groups, unchecked; borrowed
    uint32_t left;        // rows not read yet
    struct slice body;    // of the row read last
    char name[260];       // its log's
    bool broken;          // the rows are not what the head promised
};

// Checks head and checksum of the rows; bytes stay borrowed. ST_TRUNCATED, ST_CORRUPT; ST_UNSUPPORTED: of
// another version, *version says which.
enum status log_manifest_open(struct slice bytes, struct log_manifest *manifest, uint32_t *version);
// Goes to the next row, of which only the name is read. False at the end, or when `broken`.
bool log_manifest_next(struct log_manifest *manifest);
// Reads the row: row->name is the manifest's, the state freshly initialised. now_ms: monotonic, for
// producers. ST_CORRUPT: it makes no sense, the state is to be dropped.
enum status log_manifest_read(const struct log_manifest *manifest, int64_t now_ms,
                              struct log_manifest_row *row, struct log_state *state);
// Calls each with every name of the groups; a log may come twice. ST_NOT_FOUND: there is no group;
// ST_CORRUPT: one is not whole, which tells nothing of the names behind it.
typedef void log_manifest_change_fn(const char *name, void *context);
enum status log_manifest_each_change(const struct log_manifest *manifest, log_manifest_change_fn *each,
                                     void *context);

#endif
