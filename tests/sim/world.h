// SPDX-License-Identifier: Apache-2.0
// The simulated world: one virtual clock, one queue of events, machines with disks, processes with an
// environment each, a network between them. Everything random comes from the seed, so a seed is a run and
// equal seeds give equal traces. A process that is killed is never called again; its memory is left behind (a
// seed runs in a child process).
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "base/map.h"
#include "base/prng.h"
#include "io/env.h"

enum { WORLD_MACHINES_MAX = 16 };

// How often each fault struck and each transition was seen; one that stays 0 over a whole run fails it.
#define WORLD_COUNTERS(X)                                                                                    \
    X(message_lost)                                                                                          \
    X(message_duplicated)                                                                                    \
    X(message_delayed)                                                                                       \
    X(message_reordered)                                                                                     \
    X(lane_lost)                                                                                             \
    X(partition_made)                                                                                        \
    X(partition_healed)                                                                                      \
    X(kill)                                                                                                  \
    X(power_cut)                                                                                             \
    X(unsynced_bytes_dropped)                                                                                \
    X(torn_write)                                                                                            \
    X(slow_disk)                                                                                             \
    X(late_write)                                                                                            \
    X(disk_stalled)                                                                                          \
    X(clock_jump)                                                                                            \
    X(restart)                                                                                               \
    X(stream_broken)                                                                                         \
    X(controllers_regrouped)                                                                                 \
    X(election_struck) X(rejoin_struck) X(leader_changed) X(isr_shrunk) X(isr_grown) X(truncated)            \
        X(truncation_struck) X(power_cut_in_job) X(journal_replayed) X(journal_block_given_back)             \
            X(controller_elected) X(controller_changed) X(metadata_committed) X(metadata_overwritten)        \
                X(shard_moved) X(record_acknowledged) X(record_unknown) X(offset_committed) X(rebalance)     \
                    X(reassignment_begun) X(reassignment_cancelled) X(replica_removed) X(disk_filled)        \
                        X(space_refused) X(appends_refused) X(disk_emptied) X(disk_failing) X(io_error)      \
                            X(sync_lost_bytes) X(disk_working) X(replica_failed) X(replica_mended)           \
                                X(log_returned) X(bit_flipped) X(damage_found) X(damage_refetched)           \
                                    X(checkpoint_remade) X(topic_id_repaired) X(batches_read) X(clean_stop)  \
                                        X(resumed) X(transaction_committed) X(transaction_aborted)           \
                                            X(transaction_offset) X(late_request) X(cached_read)             \
                                                X(consumer_told) X(voter_added) X(voter_removed)             \
                                                    X(share_given) X(share_over) X(tasks_told)               \
                                                        X(tasks_committed) X(schema_registered)              \
                                                            X(schema_read) X(registry_changed)               \
                                                                X(large_schema) X(batch_behind)              \
                                                                    X(producer_renewed) X(all_killed)        \
                                                                        X(unled) X(return_struck)

enum world_counter {
#define WORLD_ENUM(name) COUNT_##name,
    WORLD_COUNTERS(WORLD_ENUM)
#undef WORLD_ENUM
        COUNT_MAX
};

struct world;
struct process;

enum disk_call { DISK_READS = 1, DISK_WRITES = 2, DISK_SYNCS = 4 };

// What is wrong with a machine's disk now.
struct disk_ills {
    bool full;           // files grow by no more than
    int64_t room;        // ... so many bytes; what is given back counts
    bool room_hidden;    // the file system reports space all the same, as with a quota
    int failing;         // enum disk_call, ored: these calls end with ST_IO ...
    char failing_at[32]; // ... for paths that contain this
};

struct world_faults {
    int lose_per_10000;      // messages lost
    int duplicate_per_10000; // ... delivered twice (control lane)
    int delay_per_10000;     // ... held for up to 300 ms, which also reorders
    int slow_disk_per_10000; // jobs that take up to 400 ms
};

typedef void event_fn(void *context);

// Something that happens at a time to a process (or to the world when process is NULL).
struct event {
    int64_t at_us;
    uint64_t sequence;
    struct process *process;
    uint64_t generation; // of the process when it was made; another one: dropped
    event_fn *fn;
    void *context;
};

// A machine keeps its disk over the lives of its process.
struct machine {
    struct world *world;
    int id;
    struct map files;                  // path -> struct inode, as a running process sees it
    struct map durable;                // path -> struct inode, as it would be after a power cut
    struct process *process;           // running, or NULL
    bool isolated[WORLD_MACHINES_MAX]; // cut off from that machine
    int64_t stalled_us;                // its disk begins nothing before that time
    int changes_left;   // of files by jobs, until its power goes in the middle of one; 0: it stays on
    int changes_at_cut; // the same, counted from the next file that a job cuts; 0: none
    bool in_job;        // a job runs now
    struct disk_ills ills;
    bool dark; // the power went in this event: no more changes; whoever asked for it ends the process
};

// One life of a daemon or client on a machine.
struct process {
    struct env env; // first: an env is its process
    struct world *world;
    struct machine *machine;
    uint64_t generation;
    bool alive;
    char name[32];
    struct metric_registry metrics;
    struct timer **timers; // heap
    int timer_count, timer_cap;
    uint64_t timer_sequence;
    struct job_queue *queues[16];
    int queue_count;
    int64_t clock_skew_ms; // of the wall clock
};

struct world {
    uint64_t seed;
    struct prng prng;
    int64_t now_us;
    struct event *events; // heap
    int event_count, event_cap;
    uint64_t sequence;
    uint64_t generation;
    struct machine machines[WORLD_MACHINES_MAX];
    int machine_count;
    struct process *processes[WORLD_MACHINES_MAX]; // alive
    int process_count;
    struct map listeners;  // port -> struct listener
    struct map transports; // "tcp://host:port" -> bound transport
    int next_port;
    struct world_faults faults;
    int64_t counters[COUNT_MAX];
    uint64_t trace; // hash over everything that happened
    bool verbose;
    // Sees every diagnostic line, for counting transitions.
    void (*on_line)(struct process *process, const char *line);
    // Runs after each event: nothing that a daemon does is too short to be seen. turn: the process the event
    // belonged to, NULL when to none.
    void (*on_turn)(struct world *world);
    struct process *turn;
};

void world_init(struct world *world, uint64_t seed);

// Runs events until the virtual time; false when nothing is left to happen.
bool world_run_until(struct world *world, int64_t at_us);

// A machine, and a process on it with an empty environment.
struct machine *world_machine(struct world *world);
struct process *process_start(struct machine *machine, const char *name);

// Ends a process as kill -9 does, or as a power cut: what was not synced is lost, in part or whole.
void process_kill(struct process *process);
void process_power_cut(struct process *process);

// Cuts or joins two machines.
void world_cut(struct world *world, int a, int b, bool cut);
bool world_reachable(const struct process *from, const struct process *to);

// Adds an event delay_us from now; process may be NULL.
void world_at(struct world *world, int64_t delay_us, struct process *process, event_fn *fn, void *context);

// True in so many of 10,000 cases.
bool world_chance(struct world *world, int per_10000);
int64_t world_between(struct world *world, int64_t low, int64_t high);
void world_count(struct world *world, enum world_counter counter);

// Mixes a fact into the trace hash.
void world_trace(struct world *world, uint64_t fact);

// ---- parts, each in a file of its own ----
void disk_power_cut(struct machine *machine);
// A directory that is there from the beginning, durable.
void disk_root(struct machine *machine, const char *path);
// ---- what is wrong with it (disk_ills.c) ----
// Bytes for a file to grow by: how many of them there is room for, which are taken.
int64_t disk_room_take(struct machine *machine, int64_t bytes);
void disk_room_give(struct machine *machine, int64_t bytes);
// Whether a call fails for that path.
bool disk_fails(struct machine *machine, enum disk_call call, const char *path);
void disk_fill(struct machine *machine, int64_t room, bool hidden);
void disk_empty(struct machine *machine);
void disk_break(struct machine *machine, int calls, const char *failing_at);
void disk_mend(struct machine *machine);
// A bit at byte `at` of a file is another one from now on. False: that byte is not durable, is being
// overwritten, or was found in the cache a moment ago.
bool disk_flip(struct machine *machine, struct slice path, size_t at, int bit);

// The bytes of a file as processes see them, NULL when absent; and a walk over all paths.
const uint8_t *disk_read(const struct machine *machine, struct slice path, size_t *len);
bool disk_next(const struct machine *machine, struct map_entry **at, struct slice *path);
extern const struct env_ops sim_env_ops;

// The functions of env_ops by part.
enum status sim_file_open(struct env *env, const char *path, int flags, struct file **file);
void sim_file_close(struct env *env, struct file **file);
void sim_file_will_need(struct env *env, struct file *file, int64_t at, int64_t len);
bool sim_file_cached(struct env *env, struct file *file, int64_t at, int64_t len);
enum status sim_file_pread(struct env *env, struct file *file, void *data, size_t len, int64_t at,
                           size_t *got);
enum status sim_file_pwritev(struct env *env, struct file *file, const struct iovec *iov, int count,
                             int64_t at);
enum status sim_file_truncate(struct env *env, struct file *file, int64_t size);
enum status sim_file_reserve(struct env *env, struct file *file, int64_t at, int64_t len);
void sim_file_write_out(struct env *env, struct file *file, int64_t at, int64_t len);
enum status sim_file_sync(struct env *env, struct file *file);
enum status sim_file_sync_fs(struct env *env, struct file *file);
enum status sim_file_size(struct env *env, struct file *file, int64_t *size);
void sim_file_drop_cache(struct env *env, struct file *file, int64_t at);
enum status sim_file_lock(struct env *env, struct file *file);
enum status sim_path_info(struct env *env, const char *path, struct file_info *info);
enum status sim_path_mkdir(struct env *env, const char *path);
enum status sim_path_rename(struct env *env, const char *from, const char *to);
enum status sim_path_unlink(struct env *env, const char *path);
enum status sim_path_sync_dir(struct env *env, const char *path);
enum status sim_path_list(struct env *env, const char *path, list_fn *each, void *context);
enum status sim_path_free_bytes(struct env *env, const char *path, int64_t *bytes);
enum status sim_path_total_bytes(struct env *env, const char *path, int64_t *bytes);

enum status sim_listen(struct env *env, const char *host, int port, accept_fn *on_accept, void *context,
                       struct listener **listener);
int sim_listener_port(struct env *env, struct listener *listener);
void sim_listener_pause(struct env *env, struct listener *listener, bool paused);
void sim_listener_close(struct env *env, struct listener **listener);
enum status sim_connect(struct env *env, const char *host, int port, struct stream **stream);
void sim_stream_handle(struct env *env, struct stream *stream, stream_fn *on_event, void *context);
void sim_stream_want(struct env *env, struct stream *stream, int events);
enum status sim_stream_recv(struct env *env, struct stream *stream, void *data, size_t len, size_t *got);
enum status sim_stream_send(struct env *env, struct stream *stream, const struct iovec *iov, int count,
                            size_t *sent);
enum status sim_stream_send_file(struct env *env, struct stream *stream, struct file *file, int64_t at,
                                 size_t len, size_t *sent);
void sim_stream_close(struct env *env, struct stream **stream);

struct transport *sim_transport_new(struct process *process);

#endif
