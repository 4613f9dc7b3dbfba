// SPDX-License-Identifier: Apache-2.0
// What the files of this folder share about a log and its set; nobody outside includes it. Ownership: the
// loop owns all of it. At most one flusher job of a set is in flight; it works on what its preparation copied
// out or on what the log's `busy` mark freezes, and its done() moves the state on the loop.
#ifndef LOG_INTERNAL_H
#define LOG_INTERNAL_H

#include "base/map.h"
#include "log/files.h"
#include "log/set.h"
#include "log/state.h"

enum {
    LOG_RECENT_MAX = 256, // written batches remembered per log for reads without blocking
    LOG_TAIL_BATCHES_MAX = 65536,
    LOG_WRITE_MAX = 256 << 10, // bytes of one pwritev
    LOG_ROUND_PARTS_MAX = 256, // segments of one flush round
    LOG_ROUND_MAX = 32 << 20,  // bytes of one flush round
    LOG_READ_MAX = 1 << 20     // bytes of one cold read, but for the first batch
};

// A batch of the tail (block set) or among the recently written ones.
struct log_entry {
    int64_t base, last;
    int32_t epoch;
    uint32_t size;
    int64_t position;  // in the segment's file
    int64_t timestamp; // max of the batch
    struct log_segment *segment;
    struct block *block; // NULL once written
    size_t from;
};

// A ring of entries in log order: first the written ones, then the tail.
struct log_ring {
    struct log_entry *rows;
    uint32_t cap, head, count; // cap is a power of two or 0
    uint32_t written;          // how many of count, from the head, are in the file
    int64_t floor;             // offsets from here on are covered by the ring
};

struct log {
    struct log_set *set;
    struct log *next, *previous; // of the set, in order of creation
    char *name, *path;
    struct uuid id;
    void *user;
    struct log_config config;
    struct log_state state;
    struct log_ring ring;
    int64_t start, flushed, written;
    int64_t synced;         // durable for certain, also with flush_before_ack=false; the next recovery point
    int64_t recovery_point; // as last saved
    int64_t high_watermark;
    int64_t tail_bytes, bytes;
    uint64_t generation; // goes up with every truncation and removal; cold reads compare it
    int readers;         // cold reads in flight
    enum status status;
    bool on_disk; // the directory exists
    bool lost, stalled, busy;
    bool deleted; // log_delete was called
    bool gone;    // and has been answered: the last cold read frees it
    bool dirty;   // in the set's dirty list
    bool lazy;    // the active segment has bytes written without fsync
    bool touched; // appended to since the last checkpoint
    struct log *next_dirty;
};

// A change that runs between flush rounds: prepare on the loop, run on the flusher, finish on the loop.
struct log_op {
    struct job job;
    struct log_op *next;
    struct log_set *set;
    struct log *log; // NULL: of the whole set
    void (*prepare)(struct log_op *op);
    void (*run)(struct log_op *op);
    void (*finish)(struct log_op *op); // tells the caller; the op is freed after it
    enum status status;
    int64_t offset;
    log_done_fn *on_log_done;
    log_set_done_fn *on_set_done;
    log_set_closed_fn *on_closed;
    bool last; // closing: waits until everything is written and no cold read is in flight
    void *context;
    void *data; // the op's own
};

struct log_round;

struct log_set {
    struct env *env;
    char *path;
    struct log_set_config config;
    struct log_identity identity;
    struct file *lock;
    struct job_queue *flusher;
    struct map by_name;
    struct log *first, *last;
    struct log *dirty_first, *dirty_last;
    struct log_op *ops_first, *ops_last;
    bool running; // a flusher job is in flight or its done() is at work
    bool closing, was_clean, low_space;
    int64_t running_since_us, space_checked_us;
    int count, stalled_logs, readers;
    int open_files;
    enum status status;
    log_durable_fn *on_durable;
    struct timer retry, checkpoint;
    struct log_budget own_budget; // when the config names none
    struct metric m_rounds, m_syncs, m_flush_us, m_tail_bytes, m_written_bytes;
};

// ---- ring.c ----
struct log_entry *log_ring_at(const struct log_ring *ring, uint32_t i);
struct log_entry *log_ring_push(struct log_ring *ring, struct log_entry entry);
uint32_t log_ring_find(const struct log_ring *ring,
                       int64_t offset); // first entry with last >= offset, or count
void log_ring_trim(struct log_ring *ring, uint32_t keep_written);
void log_ring_fini(struct log_ring *ring);

// ---- log.c ----
struct log *log_new(struct log_set *set, const char *name, struct uuid id, const struct log_config *config);
bool log_name_ok(const char *name);
void log_free(struct log *log);      // takes it out of the set
void log_drop_tail(struct log *log); // unwritten batches leave memory; the state is not touched
void log_drop_recent(struct log *log);
void log_set_stalled(struct log *log, bool stalled); // it waits for disk space
void log_go_offline(struct log *log, enum status status);
void log_close_handle(struct log *log, struct log_segment *segment);
struct log_load log_load_of(const struct log *log, int64_t recovery_point);

// ---- flush.c ----
void log_retry_fire(struct timer *timer);
void log_mark_dirty(struct log *log);
void log_unmark_dirty(struct log *log);
void log_set_work(struct log_set *set); // starts the next op or round when none runs
void log_set_submit(struct log_set *set, struct job *job);
void log_set_idle(struct log_set *set); // a job's done() has finished its work
void log_round_start(struct log_set *set);
enum status log_make_directory(const struct log *log);

// ---- read.c: a job of the pool that looks at the log's files has begun or ended ----
void log_reader_began(struct log *log);
void log_reader_ended(struct log *log); // may free the log

// ---- ops.c ----
struct log_op *log_op_new(struct log_set *set, struct log *log);
void log_op_queue(struct log_op *op);

// ---- checkpoint.c ----
struct log_checkpoint;
// A copy of what the checkpoint files shall say; logs being deleted are left out.
struct log_checkpoint *log_checkpoint_new(struct log_set *set);
enum status log_checkpoint_write(struct log_checkpoint *checkpoint); // blocking
void log_checkpoint_done(struct log_checkpoint *checkpoint);         // loop; frees it
void log_checkpoint_fire(struct timer *timer);

// ---- open.c, close.c ----
void log_remove_dir(struct env *env, const char *path);           // what fails is left for the next start
void log_remove_dir_later(struct log_set *set, const char *name); // of the data directory, on the pool

#endif
