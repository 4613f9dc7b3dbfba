// SPDX-License-Identifier: Apache-2.0
// A data directory of partition logs (log/log.h): its lock and identity, recovery at open, the one flusher
// thread, flush rounds, checkpoints, clean close. Files and formats are Apache Kafka's. One loop thread calls
// everything; open and recovery block and belong to start-up, everything else is asynchronous.
//
// Life of a round: log_append marks a log dirty; log_flush starts a round when none runs; the flusher writes
// small appends to the journal (log/journal.h) and syncs that, large ones and new files to their segments,
// each synced; on the loop `flushed` moves and on_durable is told per log; the next round starts at once when
// something is dirty by then. A moment later the journaled batches are written to their segments, and
// `written` moves.
#ifndef LOG_SET_H
#define LOG_SET_H

#include "io/env.h"
#include "log/log.h"

// Bytes of record batches held in memory by all directories of a process until they are written.
struct log_budget {
    int64_t used, max;
};

enum { LOG_JOURNAL_BLOCKS = 8, LOG_JOURNAL_UNIT = 4096 };

// Compaction of a directory's logs whose settings say so (struct log_config): one log at a time, in slices on
// the pool that never take more than half of a thread. Kafka's names.
struct log_clean_config {
    bool enable;             // log.cleaner.enable
    int64_t backoff_ms;      // log.cleaner.backoff.ms: pause when nothing is to be done
    int64_t map_bytes;       // log.cleaner.dedupe.buffer.size: memory for keys; fewer are taken when they do
    double map_load;         // log.cleaner.io.buffer.load.factor, above 0 and up to 1
    double bytes_per_second; // log.cleaner.io.max.bytes.per.second: read and written, of the directory
};
struct log_clean_config log_clean_config_default(void); // on, 15 s, 128 MiB, 0.9, no limit

struct log_set_config {
    const char *cluster_id; // NULL: not known yet, see log_set_adopt; borrowed during the call
    int32_t node_id;        // -1: not known yet
    struct log_config log;  // for logs found on disk, until log_configure
    struct log_budget
        *budget;            // shared by the directories of a process, outlives the set; NULL: no common cap
    int64_t tail_bytes_max; // cap of one log's unwritten bytes
    int64_t
        lent_bytes_max;  // memory that answers made of cold reads hold; above it they are sent from the file
    int64_t verified_ms; // how long a batch that was written or verified counts as good; 0: it is verified
                         // each time it is read, but for the log's newest
    int64_t verified_bytes_max;  // memory that tells which batches are
    int64_t free_bytes_min;      // below this much free disk space appends are refused (ST_NO_SPACE)
    int64_t checkpoint_ms;       // how often recovery points, watermarks and epochs are saved (60,000)
    int64_t checkpoint_bytes;    // recovery points also after so many bytes written, so that recovery has no
                                 // more to read than this and what a second brings (64 MiB)
    int64_t journal_block_bytes; // of each of the journal's LOG_JOURNAL_BLOCKS files, a multiple of
                                 // LOG_JOURNAL_UNIT, at least two; 0: no journal
    int32_t sync_each_max;  // files and directories that one job syncs one by one; more: by one syncfs (16)
    int32_t close_portion;  // so many changed logs are closed between two savings of a stop (4,096)
    int32_t open_files_max; // segment files held open without being read; more are closed after use
    int64_t producer_expiry_ms; // producer.id.expiration.ms
    int32_t producers_max;      // producers remembered per log; the one idle longest is forgotten first
    const char *labels;         // of its metrics, e.g. "dir=\"/data\""; outlives the set; NULL: none
    bool verify_all;            // scan every segment at open, not only from the recovery point
    struct log_clean_config clean;
};

// Kafka's defaults where it has them; budget NULL, tail 16 MiB, 128 MiB lent, verified for 5 minutes in 16
// MiB, 64 MiB free, 4096 files.
struct log_set_config log_set_config_default(void);

// Opens (and creates, when the path is absent or empty) a data directory, locks it, reads its identity and
// recovers every log in it: from its recovery point the log is scanned, cut behind the last whole valid
// batch, indexes, epochs and producer state are rebuilt, everything is synced, and the recovery points are
// saved. One warning line per log that lost bytes. Logs that are as the last stop has left them are made
// without opening any of their files (resume.c). Blocks. ST_AGAIN: locked by another process; ST_MISMATCH:
// belongs to another cluster or node, or holds logs without meta.properties; ST_UNSUPPORTED: version of
// meta.properties; else the I/O error; a line in the diagnostics says more.
enum status log_set_open(struct env *env, const char *path, const struct log_set_config *config,
                         struct log_set **set);

// Writes everything, saves snapshots, checkpoints, Kafka's clean-shutdown marker and the manifest, calls done
// on the loop, after which nothing of the set may be used. Nothing may be appended meanwhile. status: the
// first error met. Should the process end before, the next start finds closed the logs that were, portion by
// portion.
typedef void log_set_closed_fn(enum status status, void *context);
void log_set_close(struct log_set *set, log_set_closed_fn *done, void *context);

// Drops everything in memory without writing (simulated crash, failed start-up). No job may run any more.
void log_set_abandon(struct log_set **set);

// producer.id.expiration.ms from here on.
void log_set_expire_producers(struct log_set *set, int64_t expiry_ms);

// Identity of the directory: cluster_id is NULL and node_id -1 while it is fresh.
const char *log_set_path(const struct log_set *set);
const char *log_set_cluster_id(const struct log_set *set);
int32_t log_set_node_id(const struct log_set *set);
struct uuid log_set_directory_id(const struct log_set *set);
// Whether the last run ended with log_set_close (Kafka's marker was there).
bool log_set_was_clean(const struct log_set *set);

// Writes the identity of a fresh directory durably (blocks, start-up only). ST_MISMATCH when it has another.
enum status log_set_adopt(struct log_set *set, const char *cluster_id, int32_t node_id);

// Where a node has several directories, each knows the ids of all, so that a missing one is noticed; the
// first is the one the node is known by. *count is 0 where there was only ever one. Valid until the list is
// replaced.
const struct uuid *log_set_siblings(const struct log_set *set, int *count);
// Replaces the list in meta.properties (blocks, start-up only).
enum status log_set_write_siblings(struct log_set *set, const struct uuid *ids, int count);
// The same a moment later; only when the identity is complete, which would overtake it otherwise. An error
// takes the directory offline.
void log_set_note_siblings(struct log_set *set, const struct uuid *ids, int count);

// Changes compaction's settings; what is under way goes on under the new ones.
void log_set_clean(struct log_set *set, const struct log_clean_config *config);

// ---- logs of the set ----
struct log *log_set_find(struct log_set *set, const char *name);
// Iteration in order of creation (found ones: by name); start with NULL, NULL at the end.
struct log *log_set_next(struct log_set *set, struct log *log);
int log_set_count(const struct log_set *set);
// The same for future logs (log_create_future), which those above pass over.
struct log *log_set_next_future(struct log_set *set, struct log *log);

// ---- flushing ----

// Told on the loop for each log of a round. ST_OK: log_flushed has moved. ST_NO_SPACE: nothing was lost, the
// batches wait in memory and are written when there is space again; appends are refused until then. Any other
// status: the log is offline (log_status).
typedef void log_durable_fn(struct log *log, enum status status);

// Starts a round when a log is dirty and none runs. Cheap; call it once after a turn's appends. on_durable is
// kept for the rounds that follow by themselves.
void log_flush(struct log_set *set, log_durable_fn *on_durable);

// Age of the running flush in microseconds, 0 when none runs (flush.stall.max.ms).
int64_t log_set_flush_age_us(const struct log_set *set);

// ST_OK, ST_NO_SPACE, or the error that took the whole directory offline (a checkpoint could not be synced).
enum status log_set_status(const struct log_set *set);

// How often one of its logs, or the directory, was taken offline. Never less than before.
int64_t log_set_failures(const struct log_set *set);

// ---- the way back of a log that its disk has failed ----

// Whether the log may be read anew now: nobody counts on what it said of its end any more. The records behind
// what was durable are gone afterwards.
typedef bool log_may_heal_fn(struct log *log);
// The log works again (log_status), or its files lack what was durable (log_lost); end and start may be lower
// than before.
typedef void log_healed_fn(struct log *log);

// From now on logs that are offline are tried again: a second later, then after pauses that double up to a
// minute. Both are called on the loop; a log is given back only if may_heal still says so then. A set that is
// offline as a whole stays so.
void log_set_heal(struct log_set *set, log_may_heal_fn *may_heal, log_healed_fn *on_healed);

// ---- retention (log/retention.h) ----

// Told on the loop when retention has moved a log's start and the move is durable.
typedef void log_start_fn(struct log *log);

// Retention begins: log->start follows log_config's limits within a second, up to the watermark told by
// log_note_high_watermark; segments below it are renamed away once a recovery point beyond them is saved, and
// removed delete_delay_ms later. An idle log's active segment rolls when segment_ms is over. Once per set.
void log_set_retain(struct log_set *set, log_start_fn *on_start);

// Saves recovery points, start offsets, watermarks and epochs now; done may be NULL.
typedef void log_set_done_fn(struct log_set *set, enum status status, void *context);
void log_set_checkpoint(struct log_set *set, log_set_done_fn *done, void *context);

#endif
