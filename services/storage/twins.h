// SPDX-License-Identifier: Apache-2.0
// A partition that is found in two directories of the node at a start: which of them is the replica. After a
// move between them (moves.h) the copy says so itself (log_replaces); else one was missing when it was made
// anew in the other, and whichever stays has to catch up before it counts.
#ifndef STORAGE_TWINS_H
#define STORAGE_TWINS_H

#include "log/log.h"

struct partitions;

// Looks for another log of this one's name. Returns the log if it is the one to be used, NULL if not; what is
// not used is removed when the other one has all of it, and set aside otherwise.
struct log *twins_set_aside(struct partitions *partitions, struct log *log);

// At a start, before anything is removed: logs need not say any more where they were moved from when nothing
// of them is there.
void twins_settle(struct partitions *partitions);

// The log's files are gone for good, and the log is about to be: one that took its place need not say so.
void twins_removed(struct partitions *partitions, const struct log *log);

#endif
