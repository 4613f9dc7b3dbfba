// SPDX-License-Identifier: Apache-2.0
// Everything about a log that is derived from its files: segments, leader epochs, producers, end. One
// function, log_state_load, makes it from a directory and repairs the files on the way; recovery at start and
// truncation both end in it, so there is one way in which a log's state can come about.
#ifndef LOG_STATE_H
#define LOG_STATE_H

#include "log/epochs.h"
#include "log/producers.h"
#include "log/segment.h"

struct log_state {
    struct log_segment **segments; // ascending; the last one is active
    int count, cap;
    struct log_epochs epochs;
    struct log_producers producers;
    int64_t end;
};

void log_state_init(struct log_state *state, int producers_max);
void log_state_fini(struct log_state *state);

// Adds an empty segment behind the last one.
struct log_segment *log_state_add_segment(struct log_state *state, int64_t base);

// The segment that holds offset, or would: the last one with base <= offset; -1 below the first.
int log_state_segment_at(const struct log_state *state, int64_t offset);

struct log_load {
    struct env *env;
    const char *path;       // the log's directory
    int64_t recovery_point; // durable below it: not scanned, and must be there
    bool verify_all;        // scan everything all the same
    bool clean;             // the last run synced everything: what needs no change needs no sync
    bool doubts_memory; // a sync may have failed since the machine started: what is scanned comes from the
                        // disk
    bool sync_later;    // leaves syncs to the caller, who must do them before anything relies on the files
    int32_t index_interval;
    int64_t high_watermark;          // what transactions ended below it is stable
    const struct log_epochs *epochs; // known ones, instead of the file; NULL: read the file
};

struct log_load_report {
    int64_t dropped_bytes; // cut off behind the last whole valid batch
    const char *why;       // static text when bytes were dropped
    int damaged;           // batches below the recovery point whose checksum does not fit; they stay
    bool unsynced;         // with sync_later: something is left to sync
    bool lost;             // ends below the recovery point: nothing was changed, the state must not be used
};

// Reads the directory (absent = empty) into a freshly initialised state: scans from the recovery point, cuts
// behind the last whole valid batch, rebuilds indexes, epochs and producers, syncs what it scanned or
// changed. Blocking; start-up or flusher. Idempotent: a second load finds nothing to do.
enum status log_state_load(const struct log_load *load, struct log_state *state,
                           struct log_load_report *report);

// Physically cuts the files so that the log ends at or below to (whole batches): later segments are removed
// from the last one down, each durably before the next, so that a crash leaves a prefix. *cut is the new end.
// to is at least the first segment's base. Blocking; flusher. The state is only read; load it anew
// afterwards.
enum status log_state_cut_files(const struct log_load *load, const struct log_state *state, int64_t to,
                                int64_t *cut);

// Removes all files of a segment; snapshot and log file durably, the indexes of no log file matter to nobody.
enum status log_segment_remove(struct env *env, const char *dir, int64_t base);

#endif
