// SPDX-License-Identifier: Apache-2.0
// Raft's durable state in a directory: meta.properties (who we are), hard-state (term and vote), log (entries
// behind the snapshot), snapshot-N. Everything carries a CRC-32C; small files are replaced atomically (write,
// sync, rename, sync the directory), but for hard-state, which is written over in two copies and needs no
// space. A damaged file is named and refused, never dropped: a voter that forgets is worse than one that is
// down. Writes run in order on a queue of their own, one sync for all that came meanwhile.
#ifndef CONTROLLER_STORE_H
#define CONTROLLER_STORE_H

#include "base/buf.h"
#include "io/env.h"
#include "raft/raft.h"

struct store;

enum {
    STORE_CHUNK_BYTES = 256 * 1024, // of a snapshot in one message
    STORE_RESERVE = 16 << 20,       // disk space kept ahead of the log's end
    STORE_RESERVE_LOW = 4 << 20     // below it nothing new is taken
};

// What a start finds.
struct store_boot {
    struct raft_hard hard;
    struct raft_snapshot snapshot; // index 0: none
    int64_t next_offset;           // metadata offset behind the snapshot
    struct buf records;            // of the snapshot: varint length + MetadataRecord each
    struct raft_entry *entries;    // owned, with their blocks
    int64_t entry_count;
};

struct store_options {
    struct env *env;
    const char *directory; // exists
    int32_t node_id;
    void *context;
    // Everything up to this raft_updates.persist is durable.
    void (*on_durable)(void *context, uint64_t step);
    // A snapshot received from the leader is in place (raft_chunk.done); it is read on the spot.
    void (*on_installed)(void *context, struct store_boot *boot);
    // A snapshot of ours is in place, or (status) could not be written; the old one is still there then.
    void (*on_snapshot)(void *context, enum status status, int64_t index);
    // Writing failed: nothing after it can be trusted, the process must end. why names the file.
    void (*on_failed)(void *context, const char *why);
};

// Locks the directory and reads meta.properties; makes a directory id on the first start. MISMATCH, with a
// line that says both: the directory belongs to another node id. AGAIN: another process uses it. CORRUPT.
enum status store_open(const struct store_options *options, struct store **store);
// Finishes what is queued.
void store_close(struct store **store);

struct uuid store_directory(const struct store *store);
struct uuid store_cluster(const struct store *store); // zero: not formatted yet

// First start: writes the voter set as entry 1 of term 1, then the cluster id. Blocking.
enum status store_format(struct store *store, struct uuid cluster, const struct raft_config *config);
// A directory that joins a cluster that exists: no voters, an empty log. Blocking.
enum status store_join(struct store *store, struct uuid cluster);

// Reads everything; blocking. Only for a formatted directory.
enum status store_load(struct store *store, struct store_boot *boot);
void store_boot_fini(struct store_boot *boot);

// Queues what a step asks for (out->persist != 0); copies what it needs.
void store_write(struct store *store, const struct raft *raft, const struct raft_updates *out);

// Queues a snapshot; takes the records. next_offset: metadata offset behind it.
void store_snapshot_take(struct store *store, const struct raft *raft, const struct raft_snapshot *snapshot,
                         int64_t next_offset, struct buf *records_take);

// Reads a piece of the snapshot file off the loop. done: block NULL when it is gone; last: it ends there.
typedef void store_chunk_fn(void *context, struct block *block, bool last);
void store_read_chunk(struct store *store, int64_t index, int64_t offset, store_chunk_fn *done,
                      void *context);

// Whether less than STORE_RESERVE_LOW is left of the reserved space and more could not be had.
bool store_low(const struct store *store);
int64_t store_log_bytes(const struct store *store);

#endif
