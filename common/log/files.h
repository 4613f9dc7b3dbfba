// SPDX-License-Identifier: Apache-2.0
// The small files beside the segments, in Kafka's formats: offset checkpoints ("version, count, topic
// partition offset" lines), meta.properties, partition.metadata, the clean-shutdown marker; and replacing
// such a file so that a power cut leaves the old or the new content. Blocking; any thread.
#ifndef LOG_FILES_H
#define LOG_FILES_H

#include "base/buf.h"
#include "io/env.h"

enum { LOG_NAME_MAX = 260, LOG_PATH_MAX = 4096, LOG_SMALL_FILE_MAX = 64 << 20 };

// dir + "/" + name in a fixed buffer. Longer than LOG_PATH_MAX is a bug: log_set_open bounds the directory.
struct log_path {
    char text[LOG_PATH_MAX];
};
struct log_path log_path_join(const char *dir, const char *name);

// Writes dir/name by way of a temporary file: content synced, renamed, and the directory synced when asked
// (the caller may have more to do there).
enum status log_file_replace(struct env *env, const char *dir, const char *name, struct slice content,
                             bool sync_dir);
// Its halves, for a caller that syncs many at once. What was staged must be durable before it is installed,
// unless a crash that leaves the file empty harms nobody.
enum status log_file_stage(struct env *env, const char *dir, const char *name, struct slice content,
                           bool sync);
enum status log_file_install(struct env *env, const char *dir, const char *name);

// Appends the file's content to out. ST_NOT_FOUND; ST_LIMIT when larger than out's maximum.
enum status log_file_load(struct env *env, const char *dir, const char *name, struct buf *out);

// Removes a file; an absent one is fine.
enum status log_file_remove(struct env *env, const char *dir, const char *name);

// fdatasync of dir/name; ST_NOT_FOUND when it is not there.
enum status log_file_sync(struct env *env, const char *dir, const char *name);

// ---- offset checkpoints ----
typedef void log_offset_fn(const char *name, int64_t offset, void *context);

// Calls each per line. ST_MALFORMED, ST_UNSUPPORTED (version other than 0).
enum status log_offsets_parse(struct slice text, log_offset_fn *each, void *context);

struct log_offset_row {
    const char *name; // "topic-partition"; borrowed
    int64_t offset;
};
enum status log_offsets_print(const struct log_offset_row *rows, int count, struct buf *out);

// Splits "topic-partition" at its last dash; false when it is not such a name.
bool log_name_split(const char *name, size_t *topic_len, int32_t *partition);

// ---- identity ----
enum { LOG_SIBLINGS_MAX = 32 };
struct log_identity {
    char cluster_id[64]; // empty: none yet
    int32_t node_id;     // -1: none yet
    struct uuid directory_id;
    struct uuid siblings[LOG_SIBLINGS_MAX]; // see log_set_siblings
    int sibling_count;
};
enum status log_identity_parse(struct slice text, struct log_identity *identity);
enum status log_identity_print(const struct log_identity *identity, struct buf *out);

enum status log_partition_metadata_parse(struct slice text, struct uuid *id);
enum status log_partition_metadata_print(struct uuid id, struct buf *out);
// The one in a partition's directory; id counts only with ST_OK. Blocking.
enum status log_partition_metadata_load(struct env *env, const char *dir, struct uuid *id);

#endif
