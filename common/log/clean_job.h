// SPDX-License-Identifier: Apache-2.0
// Cleaning one log, as work for the pool: first the keys of the dirty part go into a map, then group after
// group of segments is written anew without what later records supersede, each into .cleaned files, synced.
// The work is done in slices of about CLEAN_SLICE bytes; between them the loop may wait, swap a finished
// group (log/swap.h) or drop the whole. A slice touches nothing of the log but its files, whose segments are
// sealed.
#ifndef LOG_CLEAN_JOB_H
#define LOG_CLEAN_JOB_H

#include "log/dirty.h"
#include "log/fates.h"
#include "log/filter.h"
#include "log/scan.h"

enum { CLEAN_SLICE = 1 << 20, CLEAN_SYNC = 4 << 20 };

enum clean_phase {
    CLEAN_MAP,    // keys are read
    CLEAN_NEXT,   // a group is to be begun
    CLEAN_GROUP,  // it is being written
    CLEAN_SWAP,   // its files are complete and durable: the loop swaps them, then calls clean_job_swapped
    CLEAN_DONE,   // everything below `end` is clean
    CLEAN_FORGET, // set by clean_job_forget: the next slice removes what the group has written
    CLEAN_OVER    // and that is done
};

struct clean_job {
    struct job job; // run is a slice; done is the loop's
    void *owner;    // the loop's
    struct env *env;
    char *path; // the log's directory
    struct log_config config;
    struct log_source *sources; // ascending, without a gap between them
    int count;
    int64_t first, end; // dirty offsets; end is lowered to what the map holds
    struct log_last_batch *producers;
    enum clean_phase phase;
    enum status status; // of the slices so far; not OK ends the job

    struct log_key_map map;
    struct log_filter filter;
    struct log_fates fates;
    struct buf scratch; // decompressed records while mapping
    int at;             // source being read
    bool reading;       // and its file is open
    struct file *file;
    struct log_scan scan;
    int group, group_end;    // sources of the group, end exclusive
    struct log_segment *out; // the segment being made: numbers and index entries
    struct file *out_file;
    struct buf pending; // batches to write
    int64_t unsynced;
    int64_t slice_bytes; // read and written by the last slice
    int64_t read_bytes, written_bytes;
};

struct clean_spec {
    struct env *env;
    const char *path; // copied
    const struct log_config *config;
    struct log_source *sources; // taken
    int count;
    int64_t first, end;
    struct log_last_batch *producers; // taken; any order
    size_t producer_count;
    struct log_aborted *aborted; // taken; those with records or markers in the sources, any order
    int aborted_count;
    int64_t map_bytes; // log.cleaner.dedupe.buffer.size
    double map_load;   // log.cleaner.io.buffer.load.factor
};

// NULL: no memory for the map.
struct clean_job *clean_job_new(const struct clean_spec *spec);
// Frees it; files of an unfinished group are left to clean_job_forget or the next start.
void clean_job_destroy(struct clean_job **job);

// The loop has put the group's segment in place and owns `out` now.
void clean_job_swapped(struct clean_job *job);

// The job is given up. false: it has left no file; else its next slice removes them.
bool clean_job_forget(struct clean_job *job);

#endif
