// SPDX-License-Identifier: Apache-2.0
// One partition's append-only log of record batches in Apache Kafka's on-disk format. It knows offsets, not
// topics: a directory name and an opaque id. One loop thread calls everything. Offsets, all exclusive:
//   start <= ... <= flushed <= written <= end
// end: next to be assigned; written: below it batches are in the segment file, above in memory (the tail);
// flushed: below it they are durable, every earlier byte included. Flushing is the set's (log/set.h).
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include "base/block.h"
#include "base/uuid.h"
#include "kafka/batch.h"

struct log;
struct log_set;

// Per log, by Kafka's topic settings.
struct log_config {
    int32_t segment_bytes;     // segment.bytes: a batch that would not fit starts a new segment
    int64_t segment_ms;        // segment.ms: by the batches' timestamps
    int64_t segment_jitter_ms; // segment.jitter.ms: up to so much, drawn per segment, is taken off segment_ms
    int32_t index_interval_bytes; // index.interval.bytes: about one index entry per so many bytes
    int32_t index_bytes_max;      // segment.index.bytes: a full index starts a new segment
    bool flush_before_ack;        // false: `flushed` follows the write to the page cache, without fsync
    int64_t retention_ms;         // retention.ms, -1: no limit
    int64_t late_ms;              // log.retention.check.interval.ms: how long records stay that came too old
    int64_t retention_bytes;      // retention.bytes, -1: no limit
    bool deletes;                 // cleanup.policy contains delete
    int64_t delete_delay_ms;      // file.delete.delay.ms

    bool compact;                  // cleanup.policy contains compact; see struct log_clean_config
    double dirty_ratio_min;        // min.cleanable.dirty.ratio: share of bytes not yet cleaned, 0..1
    int64_t compaction_lag_ms_min; // min.compaction.lag.ms: younger records are left alone
    int64_t compaction_lag_ms_max; // max.compaction.lag.ms: older ones call for cleaning whatever the ratio
    int64_t delete_retention_ms;   // delete.retention.ms: how long tombstones stay
};
// 1 GiB, 7 days, 4096, 10 MiB, true, 7 days, 5 minutes, -1, true, 1 minute; compact: false, 0.5, 0, no limit,
// 1 day
struct log_config log_config_default(void);

// A new, empty log in memory; its directory appears with the first record. name: "topic-partition", at most
// 249 + 11 characters, the topic's characters as Kafka allows them. ST_EXISTS; ST_INVALID for a bad name. A
// name whose recorded files are gone exists already: see log_lost.
enum status log_create(struct log_set *set, const char *name, struct uuid id, const struct log_config *config,
                       struct log **log);

// A log that is to take the place of another directory's log of that name (KIP-113): a directory of its own,
// "NAME.UNIQUE-future", and nobody finds it by its name; otherwise a log like any other, recovered at a
// start, in which it is met by log_set_next_future. ST_EXISTS: the set has the name already, either way;
// ST_INVALID: bad, or too long for the directory's name.
enum status log_create_future(struct log_set *set, const char *name, struct uuid id,
                              const struct log_config *config, struct log **log);
bool log_is_future(const struct log *log);

void log_configure(struct log *log, const struct log_config *config);
const char *log_name(const struct log *log);
struct uuid log_id(const struct log *log); // from partition.metadata; zero when that tells none
struct log_set *log_owner_set(const struct log *log);
void log_attach(struct log *log, void *user); // the owner's pointer, for callbacks
void *log_user(const struct log *log);

int64_t log_start(const struct log *log);
// Where the batch that holds log_start begins at the earliest: the base of its segment. log_start itself when
// the log ends there: no batch holds it.
int64_t log_start_base(const struct log *log);
int64_t log_start_saved(const struct log *log); // as far as it survives a crash; at most log_start
int64_t log_end(const struct log *log);
int64_t log_flushed(const struct log *log);
int64_t log_written(const struct log *log);
// Base of the segment that holds offset: a log_truncate to it reads nothing of that segment.
int64_t log_segment_start(const struct log *log, int64_t offset);
int64_t log_size(const struct log *log);       // bytes of all segments, tail included
int64_t log_tail_bytes(const struct log *log); // of these, in memory only or in the journal

// ST_OK; ST_NO_SPACE while it waits for disk space; else the error that took it offline.
enum status log_status(const struct log *log);

// The files that recovery expected are gone or end below the recorded recovery point: the log must not be
// taken for what it was. Refuses appends (ST_CORRUPT) until log_truncate_fully says where it starts anew.
bool log_lost(const struct log *log);
// It is lost in that nobody can say of which topic it is, partition.metadata cannot be read, while its files
// are whole: log_identify brings it back.
bool log_nameless(const struct log *log);
// It is offline since the disk did not give its partition.metadata at the start, and log_id is zero for that.
// Back again it has its id, or it is nameless where the file is no good.
bool log_id_unread(const struct log *log);
bool log_is_read(const struct log *log);   // a read or look-up on the pool is under way
bool log_has_files(const struct log *log); // its directory is there

// The watermark kept in replication-offset-checkpoint; saved at the next checkpoint, read back at open (0
// when absent). Never above log_end when read back.
void log_note_high_watermark(struct log *log, int64_t high_watermark);
int64_t log_high_watermark(const struct log *log);

// ---- append ----

// Appends one whole batch that has its final base offset (>= log_end) and leader epoch (>= the last one) set:
// len bytes of block from `from`, of which header was parsed. Takes a reference of its own. Epochs, producer
// state and timestamps move at once. ST_LIMIT: the tail is full, wait for on_durable; ST_NO_SPACE;
// ST_OUT_OF_RANGE: below log_end; ST_STALE: older leader epoch; ST_AGAIN: a truncation runs; ST_CORRUPT:
// lost; or log_status.
enum status log_append(struct log *log, struct block *block, size_t from, size_t len,
                       const struct batch_header *header);

// While held, appends are refused as if the tail were full (ST_LIMIT). Everything else goes on.
void log_hold(struct log *log, bool held);
bool log_held(const struct log *log);

// ---- producer sequences (KIP-98, KIP-360) ----

enum sequence_verdict {
    SEQUENCE_APPEND,
    SEQUENCE_UNKNOWN, // append: nothing is known of the producer, and this is not its first batch (KIP-360)
    SEQUENCE_DUPLICATE,
    SEQUENCE_OUT_OF_ORDER,
    SEQUENCE_FENCED
};

struct batch_place {
    int64_t base_offset, last_offset;
    int64_t timestamp; // max timestamp of the stored batch
};

// What to do with a batch by its producer fields; always APPEND without producer id. duplicate is filled for
// SEQUENCE_DUPLICATE: the answer waits until last_offset has passed the watermark.
enum sequence_verdict log_check_sequence(const struct log *log, const struct batch_header *header,
                                         struct batch_place *duplicate);

// ---- transactions (KIP-98) ----

// Below it every transaction has ended and its marker is below the watermark: what a read_committed reader
// may see (UnifiedLog.lastStableOffset). Never below log_start. high_watermark is the caller's, read once.
int64_t log_stable_end(const struct log *log, int64_t high_watermark);

// An aborted transaction: offsets of its first record and of its marker, and the log's stable end then.
struct log_aborted {
    int64_t producer_id, first, last, stable;
};

// Whether log_find_aborted might find one in [from, to); cheap.
bool log_may_have_aborted(const struct log *log, int64_t from, int64_t to);

// The aborted transactions with records in [from, to), by their markers' offsets; to is at most the stable
// end. Read on the pool, always asynchronous; rows are borrowed during the call. Statuses as log_read_async.
typedef void log_aborted_fn(struct log *log, enum status status, const struct log_aborted *rows, int count,
                            void *context);
void log_find_aborted(struct log *log, int64_t from, int64_t to, log_aborted_fn *done, void *context);

// What a log knows of a producer.
struct log_producer_view {
    int64_t id;
    int16_t epoch;
    int32_t coordinator_epoch; // of the last marker, -1: none
    int64_t txn_first_offset;  // of the open transaction, -1: none
    int32_t last_sequence;     // -1: none in this epoch
    int64_t last_timestamp;    // of the last batch or marker
};
// false when nothing is known of it.
bool log_find_producer(const struct log *log, int64_t id, struct log_producer_view *view);
// All of them, the one idle longest first.
typedef void log_producer_fn(void *context, const struct log_producer_view *view);
void log_each_producer(const struct log *log, log_producer_fn *each, void *context);
size_t log_producer_count(const struct log *log);

// The largest producer id known of, -1: none.
int64_t log_producer_id_max(const struct log *log);

// ---- read ----

struct log_range {
    int64_t from;     // the first batch returned contains it (or follows, after a compaction gap)
    int64_t up_to;    // exclusive: no batch that reaches it or beyond (watermark, log_end)
    size_t max_bytes; // soft: whole batches up to this many bytes
    bool min_one;     // the first batch is returned even when larger than max_bytes
    bool in_file;     // ranges of files are as good as memory, see below
};

struct log_found {
    int64_t first;        // base offset of the first batch
    int64_t next;         // offset behind the last batch returned; from when nothing was
    size_t bytes;         // of all pieces
    int32_t leader_epoch; // of the last batch returned
    bool more;            // of the range, but not from this read
};

enum { LOG_PIECES = 16 }; // enough for any read to make progress

// Reads without blocking: batches still in memory (pieces of blocks), those among the log's last few hundred
// that this process wrote (ranges of the segment file, for sendfile) and, with in_file, at most 1 MiB (or the
// first batch) of older ones that it wrote or verified lately and that are in the page cache. The caller
// releases the pieces; they stay valid over roll, truncation and deletion. *count is 0 when nothing is there.
// ST_AGAIN: the range is older, use log_read_async; ST_OUT_OF_RANGE: from is below log_start or above
// log_end; or log_status when offline.
enum status log_read(struct log *log, const struct log_range *range, struct piece *pieces, int max,
                     int *count, struct log_found *found);

// Reads a range of written batches on the pool: index lookup, read of at most 1 MiB (or the first batch),
// every batch's CRC checked. done gets one piece (empty when nothing is there) and takes it over: memory, or
// with in_file, when answers hold lent_bytes_max already, 64 KiB or more of the file, which were in the page
// cache a moment ago. Behind a read that goes on where another ended bytes are fetched ahead. While records are
// flushed it is 512 KiB, nothing is fetched ahead, and the read waits for its turn beside the flush rounds.
// status: ST_OK, ST_OUT_OF_RANGE, ST_AGAIN (a truncation came between, or the range lies in the tail:
// log_read), ST_CORRUPT (a bad batch), ST_NO_MEMORY, ST_CLOSED (log deleted), I/O errors. Always
// asynchronous.
typedef void log_read_fn(struct log *log, enum status status, struct piece *piece,
                         const struct log_found *found, void *context);
void log_read_async(struct log *log, const struct log_range *range, log_read_fn *done, void *context);

// ---- leader epochs (KIP-101, 279, 320) ----

// The largest epoch <= the requested one that has records, and the offset where it ends (log_end for the
// last). An epoch older than all known gives itself and the start of the first known. Newer than all: *epoch
// and *end are -1.
void log_epoch_end(const struct log *log, int32_t requested, int32_t *epoch, int64_t *end);
int32_t log_last_epoch(const struct log *log);               // -1 when there is none
int32_t log_epoch_at(const struct log *log, int64_t offset); // epoch of the record there, -1 unknown

// ---- timestamps ----

// The largest timestamp of all batches and the last offset of its batch; -1 and -1 when empty.
void log_max_timestamp(const struct log *log, int64_t *timestamp, int64_t *offset);

// The first record with timestamp >= the given one and offset < up_to; offset -1 in the answer when none.
// Always asynchronous; statuses as log_read_async.
struct log_time_answer {
    int64_t timestamp, offset;
    int32_t leader_epoch;
};
typedef void log_time_fn(struct log *log, enum status status, const struct log_time_answer *answer,
                         void *context);
void log_find_by_timestamp(struct log *log, int64_t timestamp, int64_t up_to, log_time_fn *done,
                           void *context);

// ---- changes in the order of the flusher; done comes when they are durable ----

typedef void log_done_fn(struct log *log, enum status status, void *context);

// Cuts the log so that log_end <= to (whole batches); batches not yet flushed go, also those below `to`.
// log_end moves at done; appends are refused until then.
void log_truncate(struct log *log, int64_t to, log_done_fn *done, void *context);

// Drops everything; the log is empty and starts and ends at offset. Clears log_lost.
void log_truncate_fully(struct log *log, int64_t offset, log_done_fn *done, void *context);

// Moves the start up (DeleteRecords); at most to log_end, never down (ST_OUT_OF_RANGE). log_start moves, and
// so refuses readers, before done; after a crash in between it is where it was. Moves of one turn are made
// durable together. Segments that lie below the start are removed some time later.
void log_raise_start(struct log *log, int64_t start, log_done_fn *done, void *context);

// The directory of a future log, which must have files, takes the partition's own name. From then on the node
// has it twice, in the directory of the log it is to replace, old, too, and says so (log/origin.h): a start
// that finds it like this takes it for a future log again.
void log_take_name(struct log *future, const struct log *old, log_done_fn *done, void *context);

// The set finds an installed future log by its name from now on: it is one like any other. What only the log
// whose place it takes still knows comes along: producers and epochs whose records are gone. Its compaction
// begins anew. The old one is good for nothing but log_delete afterwards, and for that not before done has
// said ST_OK: then it is durable that the copy counts, and before that nothing appended to it is. Both have
// the same start and end, both are durable to it, and old has settled a move of its own (log_moved_from).
// After another status the log is offline; it is decided when it heals.
void log_promote(struct log *future, struct log *old, log_done_fn *done, void *context);
bool log_is_decided(const struct log *log); // false: promoted, and that is not durable yet

// Whether the log is known, durably, to have taken the place of the other one, of its name in another
// directory.
bool log_replaces(const struct log *log, const struct log *other);
// The id of the data directory that a log was moved from, zero: from none, or log_settle was called.
struct uuid log_moved_from(const struct log *log);
// The log that it was moved from is gone for good, and a later one of that directory must not be taken for
// it: forgotten soon after. If that fails the log goes offline.
void log_settle(struct log *log);

// Takes the log out of the set and keeps its files: the directory is renamed durably to Kafka's name for a
// stray, "NAME.UNIQUE-stray", which no start looks at. done as log_delete's.
void log_set_aside(struct log *log, log_done_fn *done, void *context);

// Gives the log another id, in partition.metadata soon after; if that cannot be written the log goes offline.
void log_adopt(struct log *log, struct uuid id);

// The id of a nameless log is this one, as its owner knows from elsewhere: it is not lost any more.
void log_identify(struct log *log, struct uuid id);

// A log just created should have held records below `had`, which are not here: see log_lost.
void log_declare_lost(struct log *log, int64_t had);

// Renames the directory away durably, then removes it on the pool. done (log no longer valid after it) comes
// when the removal can no longer be undone by a crash; what its disk fails is tried again until then, or until
// the set is closed. A new log of the name has files of its own only behind it.
void log_delete(struct log *log, log_done_fn *done, void *context);

#endif
