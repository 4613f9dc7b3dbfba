// SPDX-License-Identifier: Apache-2.0
// What the directory of a log that came from another data directory says of that (KIP-113): a small file
// "millrace-origin", which Kafka passes over. It is there from before the copy takes the partition's name
// until the directory that it was copied from is gone for good, and tells two directories of one name apart:
// before the copy is decided the other one is the replica, afterwards the copy is. (Kafka tells by the
// directory that the metadata log has assigned, KIP-858.) Blocking; any thread.
#ifndef LOG_ORIGIN_H
#define LOG_ORIGIN_H

#include "base/uuid.h"
#include "io/env.h"

struct log_origin {
    struct uuid directory_id; // of the data directory copied from (meta.properties); zero: none
    bool decided;             // the copy has taken the other one's place
};

// Reads the file in the log's directory. Absent: an origin with a zero id. ST_MALFORMED, ST_UNSUPPORTED
// (another version), I/O errors.
enum status log_origin_load(struct env *env, const char *dir, struct log_origin *origin);

// Puts it there, durably; a power cut leaves the old or the new one.
enum status log_origin_save(struct env *env, const char *dir, const struct log_origin *origin);

// Removes it, durably; an absent one is fine.
enum status log_origin_remove(struct env *env, const char *dir);

#endif
