// SPDX-License-Identifier: Apache-2.0
// Tells the controller of replicas whose log cannot be used, or can again (ReportReplicas, KIP-858's
// meaning). Nothing is remembered of what was said: as long as the image differs from what this node's disks
// say, it is said again.
#ifndef STORAGE_REPORT_H
#define STORAGE_REPORT_H

#include "replica.h"

struct reports;

struct reports *reports_new(struct partitions *partitions);
void reports_destroy(struct reports **reports);

// Looks at all replicas soon: a log fails, or a replica is known to differ from the image.
void reports_soon(struct reports *reports);

// The partitions' clock: the same when a log or a directory has failed since, of which nobody need have told.
void reports_tick(struct reports *reports);

// Whether the image says something else of this replica than its log.
bool report_due(const struct replica *replica);

// Whether the image has it that this replica's log cannot be used.
bool report_failed(const struct replica *replica);

// The same, and that the ISR does without it.
bool report_spared(const struct replica *replica);

#endif
