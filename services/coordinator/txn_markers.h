// SPDX-License-Identifier: Apache-2.0
// Tells the logs how a transaction ended: once PREPARE is committed a marker goes to the leader of every
// partition, and for __consumer_offsets to the owner of that group shard, who applies it (KAFKA-17507); again
// and again until all have it. Then txn_cell_marked. A new owner of the shard begins anew: a marker written
// twice does no harm.
#ifndef TXN_MARKERS_H
#define TXN_MARKERS_H

#include "txn_shard.h"

void txn_markers_init(struct txn_cell *cell);
void txn_markers_fini(struct txn_cell *cell);

// The cell has come to a PREPARE state, or was found in it.
void txn_markers_begin(struct txn_cell *cell);
// The cell's timer has ended in a PREPARE state.
void txn_markers_again(struct txn_cell *cell);

#endif
