// SPDX-License-Identifier: Apache-2.0
// The checkers. Some look on while the cluster runs, the others read what is left when it has come to rest.
// They know nothing of the bug that may be planted.
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include "cluster.h"
#include "history.h"

struct check {
    struct cluster *cluster;
    struct history *history;
    struct map leaders;                  // topic id, partition, leader epoch -> node id + 1
    struct map terms;                    // Raft term -> active controller + 1
    struct map images;                   // committed metadata offset -> print of the image
    int64_t looked[CLUSTER_CONTROLLERS]; // offset of each controller looked at last
    struct map owners; // process, ledger partition -> newest owner epoch seen at its leader + 1
    struct timer timer;
};

// Begins to look on from a process that is never killed.
void check_begin(struct check *check, struct cluster *cluster, struct history *history, struct env *env);

// What the controllers say of themselves now (check_metadata.c).
void check_metadata(struct check *check);

// What the storage nodes hold at the end: every acknowledged record once, at its offset, in order; replicas
// equal. Reads the disks of the storage machines; call it once everything is flushed.
void check_logs(struct check *check);

#endif
