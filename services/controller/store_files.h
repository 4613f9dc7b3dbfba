// SPDX-License-Identifier: Apache-2.0
// The formats of the store's files, without the queue: see store.h. Numbers are big-endian.
#ifndef CONTROLLER_STORE_FILES_H
#define CONTROLLER_STORE_FILES_H

#include "store.h"

enum {
    FILES_VERSION = 1,
    LOG_HEADER = 48, // magic 8, version 4, crc 4, base index 8, cluster 16, node id 4, zero 4
    RECORD_HEADER =
        32 // length 4, crc of the data 4, type 1, kind 1, zero 2, index 8, term 8, crc of the header 4
};

// SYNCED is the first record of every write: all before it was durable by then.
enum record_type { RECORD_ENTRY = 1, RECORD_TRUNCATE = 2, RECORD_SYNCED = 3 };

// Whose files these are.
struct files {
    struct env *env;
    const char *directory;
    int32_t node_id;
    struct uuid directory_id;
    struct uuid cluster;
};

// directory/name; the caller frees.
char *store_files_path(const struct files *files, const char *name);
char *store_files_snapshot_name(int64_t index);

// Writes the bytes under a temporary name, syncs, renames, syncs the directory. IO: it may be renamed all the
// same, and back after a crash; anything else: the old file is as it was.
enum status store_files_replace(const struct files *files, const char *name, const struct iovec *iov,
                                int count);
// The whole file; LIMIT above max bytes.
enum status store_files_read(const struct files *files, const char *name, size_t max, struct buf *out);

// ---- meta.properties ----
enum status store_meta_write(const struct files *files);
// NOT_FOUND: first start. Fills directory_id and cluster; MISMATCH names both node ids.
enum status store_meta_read(struct files *files);

// ---- hard-state ----
// Term and vote stand in two copies, each in a block of its own. They are written over, one after the other,
// so that a full disk does not keep a controller from voting; whatever a power cut or a flipped bit makes of
// one, the other is whole.
enum status store_hard_make(const struct files *files, const struct raft_hard *hard); // the file, anew
enum status store_hard_write(const struct files *files, const struct raft_hard *hard);
// Makes both copies alike again. CORRUPT, with a line that names the file: neither is whole.
enum status store_hard_read(const struct files *files, struct raft_hard *hard);

// ---- log ----
void store_log_put_header(const struct files *files, struct buf *out, int64_t base_index);
void store_log_put_entry(struct buf *out, const struct raft_entry *entry);
void store_log_put_truncate(struct buf *out, int64_t from);
// at: position of this record in the file.
void store_log_put_synced(struct buf *out, int64_t at);
// Reads the log into boot->entries, which starts empty. *end: where appending goes on; a torn tail lies
// behind it. CORRUPT, with a line naming file and position.
enum status store_log_read(const struct files *files, struct store_boot *boot, int64_t *end);

// ---- snapshots ----
// The header in front of the records.
void store_snapshot_put_header(const struct files *files, struct buf *out,
                               const struct raft_snapshot *snapshot, int64_t next_offset,
                               struct slice records);
// Reads and checks a snapshot file into boot.
enum status store_snapshot_read(const struct files *files, const char *name, struct store_boot *boot);
// Index of the newest snapshot, 0 when there is none.
enum status store_snapshot_newest(const struct files *files, int64_t *index);
// Unlinks every snapshot but this one.
void store_snapshot_clean(const struct files *files, int64_t keep);

#endif
