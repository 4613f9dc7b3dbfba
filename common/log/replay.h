// SPDX-License-Identifier: Apache-2.0
// Reading the journal after a crash (log/journal.h): what its groups say is put into an index by log, and
// each log's batches are written to their segments before the log is loaded. Doing it twice changes nothing,
// so a crash in the middle is harmless. Blocking; log/open.c.
#ifndef LOG_REPLAY_H
#define LOG_REPLAY_H

#include "base/uuid.h"
#include "io/env.h"

struct log_replay;

// Reads the journal of a directory; one without a journal gives an empty index. A last group that is torn was
// never acknowledged and does not count. ST_CORRUPT: damaged in the middle, a line in the diagnostics names
// file and position: acknowledged records would be missing, so nothing is guessed.
enum status log_replay_read(struct env *env, const char *dir, struct log_replay **replay);
void log_replay_destroy(struct log_replay **replay);

// Writes what the journal holds of a log from recovery_point on into the segments in `path`. *end: offset
// behind the last batch the journal knows of the log, which the log must reach; -1 when it knows none. A
// missing segment ends it: the log then falls short of *end. ST_NO_SPACE and I/O errors.
enum status log_replay_apply(struct log_replay *replay, struct uuid id, int32_t partition, const char *path,
                             int64_t recovery_point, int64_t *end);

// How many logs of that partition index the journal has batches of while nobody has asked for them; *id: the
// last one's, untouched when there is none.
int log_replay_unclaimed(const struct log_replay *replay, int32_t partition, struct uuid *id);

// Removes the journal's files: every log is loaded and synced, and the recovery points are saved.
enum status log_replay_remove(const struct log_replay *replay);

int64_t log_replay_bytes(const struct log_replay *replay); // written to segments so far

#endif
