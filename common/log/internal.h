// SPDX-License-Identifier: Apache-2.0
// What the files of this folder share about a log and its set; nobody outside includes it. Ownership: the
// loop owns all of it. At most one flusher job, one write-back and one checkpoint (of the saver's thread,
// while the flusher runs rounds only) of a set are in flight; each works on what its preparation copied out
// or, the flusher's, on what the log's `busy` mark freezes, and its done() moves the state on the loop. A
// log's segment is written by one of the two at a time.
#ifndef LOG_INTERNAL_H
#define LOG_INTERNAL_H

#include "base/map.h"
#include "log/cursor.h"
#include "log/files.h"
#include "log/journal.h"
#include "log/lent.h"
#include "log/origin.h"
#include "log/retention.h"
#include "log/set.h"
#include "log/state.h"
#include "log/verified.h"

enum {
    LOG_RECENT_MAX = 256, // written batches remembered per log for reads without blocking
    LOG_TAIL_BATCHES_MAX = 65536,
    LOG_ROUND_PARTS_MAX = 1024,  // logs of one flush round or write-back
    LOG_ROUND_DIRECT_MAX = 256,  // of those, segments written directly
    LOG_ROUND_MAX = 32 << 20,    // bytes of one flush round or write-back
    LOG_BACKLOG_MAX = 1 << 20,   // (tune) bytes in the journal alone at which they are written to their segments,
    LOG_BACKLOG_MIN = 256 << 10, // or when so many
    LOG_BACKLOG_SOON_MS = 16,    // ... have been there for so long,
    LOG_BACKLOG_MS = 100,        // or any for so long
    LOG_RETRY_MS = 1000,         // how often a full disk is looked at
    LOG_READ_MAX = 1 << 20,      // bytes of one cold read, but for the first batch
    LOG_READ_IN_FILE = 64 << 10, // from so many on it may be answered with a range of the file
    LOG_READ_AHEAD = 4 << 20     // how far before a cold read that goes on from another bytes are fetched
};

// The threads of a set that make things durable.
enum log_thread { LOG_FLUSHER, LOG_WRITER, LOG_SAVER, LOG_THREADS };

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
    uint64_t journal; // number of the journal's block that holds it, 0 none
};

// A ring of entries in log order: first the written ones, then the tail, of which a part may be in the
// journal.
struct log_ring {
    struct log_entry *rows;
    uint32_t cap, head, count; // cap is a power of two or 0
    uint32_t written;          // how many of count, from the head, are in the file
    uint32_t flushed;          // and how many are durable; written <= flushed <= count
    int64_t floor;             // offsets from here on are covered by the ring
};

// A read or search that a swap of segments has overtaken; `again` starts it anew.
struct log_parked {
    struct log_parked *next;
    void (*again)(struct log_parked *parked);
};

// What compaction knows of a log (clean.c), and the swap that it has under way.
struct log_clean {
    int64_t first_dirty; // below it everything is clean
    bool failed;         // something in it cannot be read: left alone until the next start
    bool swapping;       // files of the segments with swap_from <= base < swap_end are being replaced
    int64_t swap_from, swap_end;
    uint64_t swaps; // so far
    struct log_parked *parked;
};

// Between the tries to bring back what is offline (heal.c).
struct log_pause {
    int64_t until_us; // offline: when it is tried; else since when it is back
    int64_t ms;       // how long that was, 0: never yet
};

// One for each partition, of which a node has many: what is small stands together.
struct log {
    struct log_set *set;
    struct log *next, *previous; // of the set, in order of creation
    char *name, *path;
    struct uuid id;
    int32_t partition; // as the name says
    int jobs;          // parts of it in flight
    int readers;       // cold reads in flight
    int due_at;        // place in the set's heap, -1: not in it
    void *user;
    struct log_config config;
    struct log_state state;
    struct log_ring ring;
    int64_t start, flushed, written;
    int64_t start_saved;    // as far as it is durable
    int64_t synced;         // durable for certain, also with flush_before_ack=false; the next recovery point
    int64_t recovery_point; // as last saved
    int64_t indexed;        // from here on index entries are kept back (part.c), INT64_MAX: none are
    int64_t high_watermark;
    int64_t tail_bytes, bytes;
    int64_t backlog;             // of the tail, bytes that are in the journal
    int64_t backlog_us;          // since when
    uint64_t journal_oldest;     // block that holds what is not synced in its segment, 0 none
    uint64_t journal_newest;     // last block that says anything of this log, 0 none
    uint64_t generation;         // goes up with every truncation and removal; cold reads compare it
    uint64_t change;             // number of the listing that names it, 0: none need
    struct log_cursors *cursors; // where cold reads ended; NULL: there was none
    struct log_known known;      // what of its files is sent without being read
    enum status status;
    bool on_disk;             // the directory exists
    bool future;              // see log_create_future
    struct log_origin origin; // for how it came from another directory, see future.c
    bool on_hold;             // see log_hold
    bool lost, stalled, busy;
    bool nameless;   // lost for that alone: see log_nameless
    bool id_unread;  // offline, and the id is not known yet: see log_id_unread
    bool deleted;    // log_delete was called
    bool gone;       // and has been answered: the last cold read frees it
    bool dirty;      // in the set's dirty list
    bool lazy;       // the active segment has bytes written without fsync
    bool touched;    // appended to, or index entries written, since the last checkpoint
    bool index_lazy; // the active segment's index files have entries written without fsync
    bool index_due;  // the next write-back takes what is kept back of index entries
    bool writing;    // in a write-back
    bool flushing;   // a job of the flusher writes to its segments or changes its files
    bool held; // dirty, but its direct write waits for the write-back it is in, or for a log of the same
               // name to leave the directory
    bool in_backlog;
    bool adopting;           // its new id is not in partition.metadata yet
    bool resumed;            // its row of the manifest is true, see log_change_note
    bool finished;           // and its files are what a clean stop leaves
    bool raised, reclaiming; // in the lists of raised_next, of reclaim_next
    bool leftovers; // renamed files of removed segments lie in the directory; known while the set is closing
    struct log_clean clean;
    struct log_pause pause;
    struct log *next_dirty;
    struct log *back_next, *back_previous;
    struct log *served_next, *served_previous; // with the same journal_oldest
    struct log *raised_next, *raised_previous; // while it starts inside or behind its first segment
    struct log *reclaim_next;                  // while segments lie below the start
    int64_t due_ms;                            // wall clock: when retention looks at it next
    int64_t bytes_max;                         // or when it has so many bytes
};

// A change that runs between flush rounds: prepare on the loop, run on the flusher, finish on the loop.
struct log_op {
    struct job job;
    struct log_op *next;
    struct log_set *set;
    struct log *log; // NULL: of the whole set
    void (*prepare)(struct log_op *op);
    void (*again)(struct log_op *op); // prepares another try when the disk was full; NULL: that is a failure
    void (*ended)(struct log_op *op); // a try, and another one follows; NULL: it holds nothing
    void (*run)(struct log_op *op);
    void (*finish)(struct log_op *op); // tells the caller; the op is freed after it
    enum status status;
    int64_t offset;
    log_done_fn *on_log_done;
    log_set_done_fn *on_set_done;
    log_set_closed_fn *on_closed;
    bool last;           // closing: waits until everything is written and no cold read is in flight
    bool settle;         // waits until what the journal holds of the log is in its segment
    bool voids;          // has a group of the journal to write
    int64_t voids_below; // only of what ends at or below; 0: of everything
    bool removal;        // tried again after any failure, not only of space
    bool keeps;          // one that only takes the files out of the way
    bool beside;         // runs on the saver's thread, beside rounds; no other op meanwhile
    bool alone;          // beside no write-back
    struct journal_place place;
    void *context;
    void *data; // the op's own
};

// What the manifest is to the next start (resume.c, changes.c).
enum log_manifest_use {
    MANIFEST_NONE,   // nothing
    MANIFEST_STANDS, // with the marker: all of it is true
    MANIFEST_LISTS,  // without: the logs that are not listed are as it says
    MANIFEST_STUCK   // it is not true and cannot be removed: nothing of the set may be changed any more
};

struct log_round;
struct log_raise;
struct log_doomed;
struct log_cleaner;

struct log_cold {
    struct job *first, *last; // that wait for their turn
    int under_way, in_turn;   // readings on the pool; begun in this turn
    struct timer turn;
};

struct log_set {
    struct env *env;
    char *path;
    struct log_set_config config;
    struct log_identity identity;
    struct file *lock;
    struct file *file_system[LOG_THREADS]; // see sync.c
    struct job_queue *flusher, *writer, *saver;
    struct journal journal;
    struct map by_name;
    struct map leaving; // name -> log that leaves it last; its directory is still there
    struct log *first, *last;
    struct log *dirty_first, *dirty_last;
    struct log *back_first, *back_last; // with a backlog, the longest waiting first
    int64_t backlog;
    struct log *served[JOURNAL_BLOCKS]; // by journal_oldest modulo JOURNAL_BLOCKS
    struct log_op *ops_first, *ops_last;
    struct log_op *ops_waiting; // for disk space
    int64_t block_retry_us;     // when a block may be made again that met a full disk
    int64_t block_held_us;      // when it is looked at again whether a failed log keeps the oldest block
    bool journal_wanted;        // something was appended
    bool running;               // a flusher job is in flight or its done() is at work
    bool writing;               // likewise of the writer
    bool saving;                // an op of the saver's is
    bool opening, closing, was_clean, low_space;
    bool checkpoint_fails; // the last one of the clock's did, and is tried again
    enum log_manifest_use manifest;
    int64_t manifest_bytes; // of the file, so far as it counts
    struct buf changes;     // names to be listed in it, each with a zero behind it
    bool listing;           // a job of the flusher does so
    uint64_t listings;      // so far: the next one has the number behind it
    uint64_t listed;        // the last that is durable
    struct log *look_next;  // whose files are looked at next; NULL: everybody's have been
    struct timer look;
    int64_t failures; // of logs and of the directory
    bool ended;       // being taken down: no job is started
    int64_t running_since_us, space_checked_us;
    int count, stalled_logs, offline_logs, readers;
    int open_files;
    enum status status;
    log_durable_fn *on_durable;
    struct timer retry, checkpoint, back, heal;
    struct log_cold cold;
    log_may_heal_fn *may_heal; // NULL: what is offline stays so
    log_healed_fn *on_healed;
    bool healing;                           // an op that reads logs anew is queued or runs
    struct log_pause pause;                 // of the directory, when it has failed as a whole
    bool alone;                             // an op of that kind runs
    struct log *raised_first;               // see log_start_note
    struct log_raise *raises, *raises_last; // moves of the start that no op has taken yet
    struct log **due;                       // heap, the earliest first
    int due_count, due_cap;
    struct timer expiry;
    struct log_clock clock;
    log_start_fn *on_start;               // NULL: retention is not begun
    struct log *reclaims, *reclaims_last; // with segments below the start
    bool reclaiming;                      // an op removes some of them
    int64_t points_us;                    // when recovery points were last saved for them
    int64_t unsaved_bytes;                // written since recovery points were last saved
    int64_t points_after_us;              // when those bytes may have them saved again
    int points_left;              // checkpoints of recovery points in a row that have left some as they were
    bool points_unsure;           // a checkpoint has failed: those on disk may be higher than in memory
    struct log_doomed *doomed;    // renamed files that wait for their removal
    struct log_budget own_budget; // when the config names none
    struct log_cleaner *cleaner;
    struct metric m_rounds, m_syncs, m_flush_us, m_tail_bytes, m_written_bytes;
    struct log_lent *lent;
    struct metric m_lent_bytes;
    struct log_verified *verified;
    struct metric m_journal_bytes, m_journal_blocks, m_backlog_bytes, m_write_backs;
    struct metric m_segments_removed, m_removed_bytes, m_doomed_bytes, m_resting, m_resumed;
    struct metric m_offline, m_healed, m_heal_failures, m_checkpoint_failures;
};

// ---- cold.c ----
void log_cold_init(struct log_set *set);
void log_cold_abandon(struct log_set *set);       // whoever waits goes to the pool: turns end no more
size_t log_cold_piece(const struct log_set *set); // bytes that one reading may take now
// To the pool, when it is the job's turn. Its done() says log_cold_ended first.
void log_cold_submit(struct log_set *set, struct job *job);
void log_cold_ended(struct log_set *set);
void log_cold_turn(struct log_set *set); // the flusher's job has ended, or took too long

// ---- ring.c ----
struct log_entry *log_ring_at(const struct log_ring *ring, uint32_t i);
struct log_entry *log_ring_push(struct log_ring *ring, struct log_entry entry);
uint32_t log_ring_find(const struct log_ring *ring,
                       int64_t offset); // first entry with last >= offset, or count
void log_ring_trim(struct log_ring *ring, uint32_t keep_written);
void log_ring_fini(struct log_ring *ring);

// ---- log.c ----
struct log *log_new(struct log_set *set, const char *name, struct uuid id, const struct log_config *config);
// The same without an entry in by_name, in a directory of another name.
struct log *log_new_in(struct log_set *set, const char *dir, const char *name,
                       const struct log_config *config);
bool log_name_ok(const char *name);
void log_free(struct log *log);      // takes it out of the set
void log_drop_tail(struct log *log); // unwritten batches leave memory; the state is not touched
void log_account_tail(struct log *log, int64_t bytes);
void log_let_go(struct log *log); // of memory and files, when it is offline and in no job
void log_drop_recent(struct log *log);
void log_files_changed(struct log *log); // what is known of their content is void, also to reads under way
void log_go_offline(struct log *log, enum status status);
void log_fail(struct log *log, enum status status); // the same of one that is not, without a line of its own
void log_set_go_offline(struct log_set *set, enum status status);
void log_set_stalled(struct log *log, bool stalled); // it waits for disk space
void log_close_handle(struct log *log, struct log_segment *segment);
struct log_load log_load_of(const struct log *log, int64_t recovery_point);
struct log_segment *log_roll(struct log *log); // a new active segment, in memory
// segment.ms less what was drawn for this segment (segment.jitter.ms); draws at the first call.
int64_t log_roll_after_ms(const struct log *log, struct log_segment *segment);

// ---- future.c ----
// The name of the log a directory's name says it is to replace; false: it is no such directory's.
bool log_future_split(const char *dir, char name[LOG_NAME_MAX]);
bool log_future_exists(const struct log_set *set, const char *name);
// Gives the directory of a copy that was never decided a future log's name again, dir. Blocking; start-up.
enum status log_future_return(struct log_set *set, const char *name, char dir[LOG_NAME_MAX]);
// Whether a crash would still find the other directory's log in its place: no round takes anything of it.
bool log_undecided(const struct log *log);
// Ends that on disk, for whoever runs on the flusher, and then on the loop.
enum status log_origin_decide(const struct log *log);
void log_origin_decided(struct log *log);

// ---- flush.c ----
void log_retry_fire(struct timer *timer);
void log_mark_dirty(struct log *log);
void log_unmark_dirty(struct log *log);
void log_set_work(struct log_set *set); // starts the next op or round when none runs
void log_set_submit(struct log_set *set, struct job *job);
void log_set_idle(struct log_set *set); // a job's done() has finished its work
void log_round_start(struct log_set *set);

// ---- sync.c ----
enum status log_sync_open(struct log_set *set); // once it is locked
void log_sync_close(struct log_set *set);
// Everything written so far is durable. Blocking; thread: the one that calls (the loop at start-up:
// LOG_FLUSHER). After any other status the directory must be taken offline.
enum status log_sync_all(struct log_set *set, enum log_thread thread);

// ---- part.c ----
// The log's directory with its partition.metadata, whose durability is the caller's affair unless durable.
enum status log_make_directory(const struct log *log, bool durable);
bool log_part_unsealed(const struct log *log); // a rolled segment is not final on disk

// ---- back.c ----
void log_journal_wrote(struct log_set *set, const struct journal_place *place);
void log_back_add(struct log *log, int64_t bytes);    // they are in the journal now
void log_back_settle(struct log *log, int64_t bytes); // they are in the segment now
void log_back_index(struct log *log);                 // index entries kept back go to their files soon
// The oldest block that holds what a crash would need for the log, 0 none.
void log_back_serve(struct log *log, uint64_t block);
void log_back_work(struct log_set *set); // starts a write-back when one is due and none runs
void log_back_fire(struct timer *timer);

// ---- read.c: a job of the pool that looks at the log's files has begun or ended ----
void log_reader_began(struct log *log);
void log_reader_ended(struct log *log); // may free the log

// The newest batches alone stay in the ring; older ones that are in the file are remembered by their place.
void log_trim_recent(struct log *log);

// Whether what a read has found at a segment may be a mixture of old and new files. If so, it is started
// anew, now or when the swap is over. swaps: log->clean.swaps when it began.
bool log_swap_overtook(struct log *log, int64_t segment_base, uint64_t swaps, struct log_parked *parked);

// ---- aborted.c ----
// As log_find_aborted, for all that the log's segments have of [their first offset, to), also below the
// start.
void log_list_aborted(struct log *log, int64_t to, log_aborted_fn *done, void *context);

// ---- clean.c ----
struct log_cleaner *log_cleaner_new(struct log_set *set, const struct log_clean_config *config);
void log_cleaner_stop(struct log_cleaner *cleaner); // the set is closing: what waits for its time ends
void log_cleaner_destroy(struct log_cleaner **cleaner);
void log_cleaner_each_metric(struct log_cleaner *cleaner,
                             void (*act)(struct metric_registry *registry, struct metric *metric));
void log_clean_cut(struct log *log, int64_t to); // the log is being cut there

// ---- ops.c ----
struct log_op *log_op_new(struct log_set *set, struct log *log);
void log_op_queue(struct log_op *op);
void log_op_queue_first(struct log_op *op);
bool log_op_alone(const struct log_set *set); // one that runs beside no write-back runs or is the first
bool log_op_ready(const struct log_set *set); // the first one may run
void log_op_submit(struct log_set *set);
// Whether files of an earlier log of its name are still where its own would be.
bool log_name_taken(const struct log *log);
bool log_is_journaled(const struct log *log); // a crash would still find something of it in the journal
// A state read anew takes the place of the log's, which gets the old one back for its owner to end. The tail
// must have been dropped. The log ends where the state does, all of it durable, and starts at `start`.
void log_install(struct log *log, struct log_state *state, int64_t start);
void log_ops_release(struct log_set *set);  // what waits for disk space is tried again
enum status log_op_void(struct log_op *op); // what the journal says of its log is void; flusher
// An empty segment's files, durably; flusher.
enum status log_segment_make(const struct log_load *load, int64_t base);

// ---- start.c ----
// The start, the first segment or their place have changed: keeps the set's list of logs whose start the
// files alone do not tell.
void log_start_note(struct log *log);
void log_start_forget(struct log *log);
void log_start_abandon(struct log_set *set);

// ---- heal.c: logs that are offline come back ----
void log_heal_fire(struct timer *timer);
void log_heal_later(struct log *log);         // it has failed, once more perhaps
void log_heal_set_later(struct log_set *set); // its directory has, as a whole

// ---- expiry.c: when retention looks at which log ----
void log_expiry_fire(struct timer *timer);
void log_expiry_soon(struct log *log); // at the next look; nothing happens before log_set_retain
void log_expiry_forget(struct log *log);

// ---- reclaim.c: segments below the start leave the state and the disk ----
void log_reclaim_want(struct log *log);
void log_reclaim_forget(struct log *log);
void log_reclaim_work(struct log_set *set); // starts an op when one can do something and none is queued
void log_reclaim_abandon(struct log_set *set);

// ---- checkpoint.c ----
struct log_checkpoint;
// A copy of what the checkpoint files shall say; logs being deleted are left out. points_only: nothing but
// the recovery points will be written, and those that would take many syncs of index files stay as they are.
struct log_checkpoint *log_checkpoint_new(struct log_set *set, bool points_only);
enum status log_checkpoint_write(struct log_checkpoint *checkpoint, enum log_thread thread); // blocking
void log_checkpoint_done(struct log_checkpoint *checkpoint);                                 // loop; frees it
// A stop goes through its logs in portions, all of this blocking: log i's epochs are written, and take their
// place when the caller has synced them and its indexes; nothing is left to do for it then. The recovery
// points of the logs that are `finished` are saved, those of others stay as they are.
int log_checkpoint_count(const struct log_checkpoint *checkpoint);
struct log *log_checkpoint_log(const struct log_checkpoint *checkpoint, int i);
enum status log_checkpoint_stage(const struct log_checkpoint *checkpoint, int i);
enum status log_checkpoint_install(struct log_checkpoint *checkpoint, int i);
enum status log_checkpoint_save_points(const struct log_checkpoint *checkpoint);
void log_checkpoint_fire(struct timer *timer);
void log_checkpoint_work(struct log_set *set);   // saves recovery points when enough was written
void log_checkpoint_points(struct log_set *set); // saves them, and nothing else
// log-start-offset-checkpoint alone; the rows' names are borrowed. Blocking.
enum status log_checkpoint_starts(struct log_set *set, const struct log_offset_row *rows, int count);

// ---- changes.c: what of the manifest is no longer true ----
// Before anything changes that the log's row in the manifest tells of, its files included: no job that is
// about it starts before the log is listed. Cheap when it is.
void log_change_note(struct log *log);
// Lists what has been noted. Whether all of it is listed, so that any job may be started; if not,
// log_set_work is called again when more is.
bool log_changes_listed(struct log_set *set);
// Whether the log's own changes are: it may be part of a flush round.
bool log_change_listed(const struct log *log);
// Lists the names, each with a zero behind it, and takes the marker away. Blocking; start-up.
enum status log_changes_begin(struct log_set *set, struct slice names);
// Marker and manifest go, durably. Blocking; start-up or flusher.
enum status log_resume_discard(struct log_set *set);

// ---- resume.c: the end of a stop, and the start behind it ----
struct log_resume;
// On the loop while the set is closing: notes which directories hold what is no log's state.
void log_resume_prepare(struct log_set *set);
// Writes the manifest, with a row for each log that is `resumed`, if that tells all of it. ended: the marker
// is durable and nothing may change any more; else it is true without a marker. Blocking; flusher or
// start-up. Without it the next start opens every log.
enum status log_resume_save(struct log_set *set, bool ended);
// Behind a recovery that had to open many: the logs that are all right need not be opened again. Blocking;
// start-up.
enum status log_resume_renew(struct log_set *set);
// Reads the manifest if it belongs to the marker that is there, or needs none. Blocking; start-up.
struct log_resume *log_resume_new(struct log_set *set);
void log_resume_destroy(struct log_resume **resume);
// Whether it needs none: recovery points must be known then before its logs are made.
bool log_resume_lists(const struct log_resume *resume);
// The name of a directory found, in byte order: true when its log was made from the manifest.
bool log_resume_take(struct log_resume *resume, const char *name, int64_t recovery_point);
// Behind the last name: whether the manifest told of all there should be. others: logs it did not tell of. If
// so it stays as it is while nothing changes.
bool log_resume_whole(struct log_resume *resume, int others);
// If not, before the others are loaded: it stays for the logs that it told of, or goes. Blocking; start-up.
enum status log_resume_keep(struct log_resume *resume);
// Whether nothing has happened since the start that the files do not say: there is nothing to save.
bool log_resume_unchanged(const struct log_set *set);
// The files of an active segment as the manifest has them; before the first write to it. Blocking; flusher.
enum status log_resume_look(const struct log *log, const struct log_segment *segment);
void log_resume_init(struct log_set *set);
void log_resume_begin_looks(struct log_set *set); // at all others, in the background
void log_resume_forget(struct log *log);

// ---- reclaim.c ----
// Names of the logs with renamed files; a name may come twice.
void log_reclaim_each_doomed(struct log_set *set, void (*each)(const char *name, void *context),
                             void *context);

// ---- open.c, close.c, metrics.c ----
// The id in partition.metadata; zero when it tells none, which is fine in a directory without records. ST_IO:
// the disk does not say. Any other status but ST_OK: there are records, and nobody says whose. Blocking.
enum status log_load_id(const struct log *log, struct uuid *id);
void log_set_init_metrics(struct log_set *set);
void log_set_each_metric(struct log_set *set,
                         void (*act)(struct metric_registry *registry, struct metric *metric));
void log_remove_dir(struct env *env, const char *path);           // what fails is left for the next start
void log_remove_dir_later(struct log_set *set, const char *name); // of the data directory, on the pool

#endif
