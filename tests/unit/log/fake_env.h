// SPDX-License-Identifier: Apache-2.0
// An environment for tests of the log: files in memory that remember what was synced, jobs that run when the
// test says so, a clock that stands still. A power cut puts every file back to its last sync (or to any
// mixture of that and later bytes) and drops directory entries that were never synced; a countdown makes the
// n-th change of a file the moment of death, so that a scenario can be cut at every step.
#ifndef TESTS_LOG_FAKE_ENV_H
#define TESTS_LOG_FAKE_ENV_H

#include "base/prng.h"
#include "io/env.h"

struct fake_node;
struct fake_queue;

struct fake_env {
    struct env env; // first
    struct fake_node *root;
    struct fake_node *nodes; // all ever made
    struct fake_queue *queues;
    struct timer *timers[16];
    int timer_count;
    int64_t now_us, wall_ms;
    int64_t modified_ns; // of the file written last: no two writes come at one time
    struct prng prng;
    struct metric_registry metrics;
    long changes; // file changes so far
    long die_at;  // the change with this number and all later ones fail without effect; -1: never
    bool dead;
    bool any_order;      // jobs of different queues run in any order, else the oldest queue's first
    bool sync_fails;     // file_sync returns ST_IO
    int syncs_late;      // so do that many calls, when everything has become durable
    const char *broken;  // see fake_break, NULL: nothing is
    const char *mute;    // reads of files whose path contains it end with ST_IO; NULL: none do
    bool sync_fs_fails;  // file_sync_fs does
    int syncs, fs_syncs; // calls: of files and directories, of everything
    int opens;           // of files
    int64_t read_bytes;  // by file_pread
    int64_t needed;      // bytes announced by file_will_need
    int64_t written_out; // bytes of file_write_out
    bool cache_empty;    // file_cached says no
    int cache_looks;     // calls of file_cached
    bool pool_last;      // jobs of the pool run when no other queue has any
    int64_t space;       // bytes that may still be written or reserved; < 0: any number
    char last_line[1024];
    int lines;
};

struct env *fake_env_new(uint64_t seed);
void fake_env_destroy(struct env **env);
struct fake_env *fake_of(struct env *env);

// Runs jobs until none is left.
void fake_run(struct env *env);
// Runs one job; false when there was none.
bool fake_step(struct env *env);
bool fake_step_pool(struct env *env); // of the pool's
// Fires one timer that is due; false when there is none.
bool fake_fire(struct env *env);
// Moves the clock, fires what is due, runs jobs.
void fake_advance_ms(struct env *env, int64_t ms);

// Power is cut and comes back. torn: unsynced bytes and entries survive at random instead of never.
void fake_power_cut(struct env *env, bool torn);

// The process dies (kill -9): everything written stays.
void fake_revive(struct env *env);

// Writes and syncs of files whose path contains `part`, which stays, and syncs of a directory that ends with
// it, end with ST_IO from now on, or no longer.
void fake_break(struct env *env, const char *part, bool broken);

// Bytes of a file for direct damage; NULL when absent.
struct buf *fake_file(struct env *env, const char *path);

#endif
