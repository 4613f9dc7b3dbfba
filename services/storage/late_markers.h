// SPDX-License-Identifier: Apache-2.0
// Markers under way whose call was answered without them (markers.c). Their sender tells them again; what is
// written already is then waited for, and not written again. One per transaction and partition, until it is
// committed or lost. Used by markers.c only, on the loop.
#ifndef STORAGE_LATE_MARKERS_H
#define STORAGE_LATE_MARKERS_H

#include "markers.h"

struct late_markers;

// env: of the metric millrace_storage_markers_late; borrowed.
struct late_markers *late_markers_new(struct env *env);
void late_markers_destroy(struct late_markers **late);

// Goes on waiting for what wait, in the replica's commit_waits, waits for; wait itself is taken out. A marker
// that cannot be told from another transaction's, or is one too many, is forgotten: told again it is written
// again.
void late_markers_keep(struct late_markers *late, const struct replica *replica, const struct marker *marker,
                       struct wait *wait);

// The watermark at which a marker that is under way is committed; it is kept no longer. -1: not known.
int64_t late_markers_take(struct late_markers *late, const struct replica *replica,
                          const struct marker *marker);

#endif
