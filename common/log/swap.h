// SPDX-License-Identifier: Apache-2.0
// The files' side of putting a cleaned segment in the place of those it was made from, under Kafka's names.
// The new files are written and synced as <base>.{log,index,timeindex}.cleaned, and .txnindex.cleaned when a
// segment they are made from has such an index: empty when nothing is left to say. Then:
//   1. they become .swap, the log file last and by itself durably: from there on the swap is decided;
//   2. the segments behind the base that it replaces are removed, durably;
//   3. .swap becomes the final name, the log file last and by itself durably. An empty .txnindex is removed.
// Whatever a crash leaves is finished or forgotten by log_swap_recover, and can be so again: .cleaned files
// go, a .swap log file is carried on from step 2. The segment ends where its last batch does (log/filter.h
// keeps it), which tells what it replaces. Blocking; the pool, and start-up. Nothing else may change those
// segments' files meanwhile, and the journal must not name them any more.
#ifndef LOG_SWAP_H
#define LOG_SWAP_H

#include "io/env.h"

// Steps 1 to 3 for the segment that begins at base and ends before `end`. *decided: step 1 is done, so that
// after an error only log_swap_recover may touch the files.
enum status log_swap_files(struct env *env, const char *dir, int64_t base, int64_t end, bool *decided);

// Removes the .cleaned files of a segment that is not wanted; what fails is left for the next start.
void log_swap_forget(struct env *env, const char *dir, int64_t base);

// Before a log is loaded: see above. Of what Kafka has left, parts of a split that was not decided go,
// too. ST_CORRUPT: a decided swap's log file cannot be read.
enum status log_swap_recover(struct env *env, const char *dir);

#endif
