// SPDX-License-Identifier: Apache-2.0
// The checkers. Some look on while the cluster runs, the others read what is left when it has come to rest.
// They know nothing of the bug that may be planted.
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include "cluster.h"
#include "history.h"

// A voter as it was after the last event.
struct check_voter {
    uint64_t generation; // of its process
    int64_t led_term;    // newest term it was seen leading
    int64_t commit, last, last_term;
};

// Members of an ISR as last committed.
struct check_isr {
    int count;
    int32_t nodes[CLUSTER_STORAGE];
    int failed; // replicas
};

// What a storage node's log holds, by what was appended to it.
struct check_batch {
    int64_t base, last;
    uint64_t print;
};

struct check_log {
    char name[40];
    const struct log *log; // in the node's present life
    struct check_batch *batches;
    int count, cap;
    int64_t first;   // offset of the first batch that is known
    int64_t durable; // told so
    bool flipped;    // a bit of it: what the disk holds proves nothing any more
    int64_t cut;     // a truncation to here is under way; INT64_MAX: none
    bool offline;    // its disk has failed it, and it is not back
    bool removed;    // the node has begun to remove it; it may be back as it was until a new one is durable
};

enum { CHECK_LOGS = 16 };

struct check_node {
    uint64_t generation; // of its process
    struct check_log logs[CHECK_LOGS];
    int count;
    bool flipped; // a bit of its disk, wherever
};

struct check {
    struct cluster *cluster;
    struct history *history;
    struct map leaders;      // topic id, partition, leader epoch -> node id + 1
    struct map terms;        // Raft term -> leading controller + 1
    struct map committed;    // Raft index -> print of the entry first committed there
    int64_t committed_index; // highest of them
    struct check_voter voters[CLUSTER_CONTROLLERS_MAX];
    struct map images;                       // committed metadata offset -> print of the image
    int64_t looked[CLUSTER_CONTROLLERS_MAX]; // offset of each controller looked at last
    struct map owners; // process, ledger partition -> newest owner epoch seen at its leader + 1
    int64_t watermarks[HISTORY_PARTITIONS]; // highest ever seen
    struct check_isr isr[HISTORY_PARTITIONS];
    int64_t isr_offset; // metadata offset of isr
    struct check_node nodes[CLUSTER_STORAGE];
    struct timer timer;
};

// Begins to look on from a process that is never killed.
void check_begin(struct check *check, struct cluster *cluster, struct history *history, struct env *env);

// What the controllers say of themselves now (check_metadata.c).
void check_metadata(struct check *check);

// Their Raft, after each event (check_quorum.c).
void check_quorum(struct check *check);

// Who is in sync has what is committed (check_isr.c).
void check_isr(struct check *check);
// What a controller has committed, whenever that changes.
struct image;
void check_isr_note(struct check *check, const struct image *image);

// What each storage node called durable, after each event (check_log.c).
void check_log(struct check *check);
// A line of a storage node's diagnostics: a truncation begins.
void check_log_cut(struct check *check, const struct machine *machine, const char *line);
// ... or a removal.
void check_log_removed(struct check *check, const struct machine *machine, const char *line);
// A bit was flipped on a machine's disk, of a log or (NULL) of what is derived.
void check_log_flipped(struct check *check, const struct machine *machine, const char *name);
// Bytes of all segments of a log on a machine's disk; the caller ends the buf.
void check_read_log(struct machine *machine, const char *name, struct buf *bytes);

// What the storage nodes hold at the end: every acknowledged record once, at its offset, in order; replicas
// equal. Reads the disks of the storage machines; call it once everything is flushed.
void check_logs(struct check *check);

#endif
