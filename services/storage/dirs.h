// SPDX-License-Identifier: Apache-2.0
// The data directories of a node (log.dirs): each a log set with a journal, a flusher and a failure of its
// own (KIP-112, KIP-858). One that fails takes its logs along and nothing else; one that cannot be opened, or
// that another one knows of and that is not there, is missing: what it may hold is not made anew elsewhere.
#ifndef STORAGE_DIRS_H
#define STORAGE_DIRS_H

#include "base/config.h"
#include "log/set.h"

struct dirs;

enum { DIRS_MAX = 32 };

// Opens the directories of log.dirs (blocking) with the given settings. One of several that cannot be read is
// told and left out; without any, or with one that is another node's, another process's or of a newer
// version, the status of log_set_open. ST_INVALID: none or too many are named, or one twice.
enum status dirs_open(struct env *env, const struct config *config, const struct log_set_config *settings,
                      struct dirs **dirs);

// Takes over one open set; for tests of what lies above.
struct dirs *dirs_of(struct env *env, struct log_set *set_take);

// Closes what is open clean; done is told the first error. Afterwards only dirs_destroy.
void dirs_close(struct dirs *dirs, log_set_closed_fn *done, void *context);

// What is not closed is abandoned as in a crash.
void dirs_destroy(struct dirs **dirs);

// ---- identity ----
const char *dirs_cluster_id(const struct dirs *dirs); // NULL while all are fresh
int32_t dirs_node_id(const struct dirs *dirs);        // -1 while all are fresh
struct uuid
dirs_directory_id(const struct dirs *dirs); // by which the node is known, whichever ones are there
// Writes it into the fresh ones (blocks, start-up only); ST_MISMATCH.
enum status dirs_adopt(struct dirs *dirs, const char *cluster_id, int32_t node_id);

// Whether one is missing now. Logs of it are not to be made anew.
bool dirs_missing(const struct dirs *dirs);
// Whether one that was there is no longer in log.dirs: what it held is lost. Until dirs_settle.
bool dirs_dropped(const struct dirs *dirs);
// Everything that follows from dirs_dropped is told and decided.
void dirs_settle(struct dirs *dirs);

// ---- logs ----
struct log *dirs_find(const struct dirs *dirs, const char *name); // NULL: in none
// All logs, directory by directory; start with NULL, NULL at the end.
struct log *dirs_next(const struct dirs *dirs, struct log *log);
int dirs_log_count(const struct dirs *dirs);
// log_create in the working directory with the fewest logs. ST_IO when none works.
enum status dirs_create(struct dirs *dirs, const char *name, struct uuid id, const struct log_config *config,
                        struct log **log);

// ---- work ----
void dirs_flush(struct dirs *dirs, log_durable_fn *on_durable);
void dirs_retain(struct dirs *dirs, log_start_fn *on_start);
void dirs_clean(struct dirs *dirs, const struct log_clean_config *config);
void dirs_heal(struct dirs *dirs, log_may_heal_fn *may_heal, log_healed_fn *on_healed);
int64_t dirs_flush_age_us(const struct dirs *dirs); // the highest
bool dirs_work(const struct dirs *dirs);            // at least one does
bool dirs_works(const struct dirs *dirs, int i);    // this one does
bool dirs_whole(const struct dirs *dirs);           // all do
int64_t dirs_failures(const struct dirs *dirs);     // log_set_failures of all together

// ---- one by one, as log.dirs names them ----
int dirs_count(const struct dirs *dirs);
const char *dirs_path(const struct dirs *dirs, int i);
struct log_set *dirs_set(const struct dirs *dirs, int i); // NULL: could not be opened

#endif
