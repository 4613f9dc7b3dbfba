// SPDX-License-Identifier: Apache-2.0
// What the owner of a shard of __share_group_state knows of one share partition (KIP-932, Kafka's
// ShareCoordinatorShard): where the group begins to read it, what became of records behind that, and in which
// epochs this was said. Every so many updates a snapshot is written, so that what is older can go. Decisions
// make a new state and change nothing; it takes the place of the old one when its record is applied. No I/O
// and no clock.
#ifndef COORDINATOR_SHARE_STATE_H
#define COORDINATOR_SHARE_STATE_H

#include "share_batches.h"

enum { SHARE_STATE_UNSET = -1 };

struct share_state {
    int32_t snapshot_epoch;    // of the last snapshot
    int32_t state_epoch;       // grows whenever somebody sets the start offset
    int32_t leader_epoch;      // of the partition's leader that read it last; UNSET: none has
    int64_t start_offset;      // UNSET: as share.auto.offset.reset says
    int32_t delivery_complete; // records behind the start that are over; UNSET: not known
    int64_t created_ms, written_ms;
    struct share_batches batches;
    int32_t updates; // since the snapshot; 0: the record of this state is a snapshot
};

// What a WriteShareGroupState says of a partition.
struct share_update {
    int32_t state_epoch, leader_epoch; // UNSET: as it is
    int64_t start_offset;              // UNSET: as it is
    int32_t delivery_complete;
    struct share_batches batches; // borrowed
};

void share_state_fini(struct share_state *state); // leaves it without batches

// Who takes part in deciding: the state as it is (NULL: none), how many updates follow a snapshot
// (share.coordinator.snapshot.update.records.per.snapshot, 0 or more), and the wall clock.
struct share_desk {
    const struct share_state *state;
    int32_t updates_max;
    int64_t now_ms;
};

// The state after an InitializeShareGroupState: nothing is known but the start (UNSET is allowed).
// KAFKA_ERR_FENCED_STATE_EPOCH: a later one was there, or any where no start is named.
int16_t share_state_initialize(const struct share_desk *desk, int32_t state_epoch, int64_t start_offset,
                               struct share_state *next);

// The state after an update. Else KAFKA_ERR_FENCED_LEADER_EPOCH, KAFKA_ERR_FENCED_STATE_EPOCH: a later leader
// has read it, this one has not, or the start was set anew; KAFKA_ERR_INVALID_REQUEST: there is no state, or
// the batches are none; KAFKA_ERR_RECORD_LIST_TOO_LARGE: more than SHARE_BATCHES_MAX.
int16_t share_state_write(const struct share_desk *desk, const struct share_update *update,
                          struct share_state *next);

// A ReadShareGroupState of a leader: errors as above. *moves: its epoch is new and must be written before the
// answer, so that no earlier leader writes any more; only then next is the state after that.
int16_t share_state_read(const struct share_desk *desk, int32_t leader_epoch, bool *moves,
                         struct share_state *next);

// What an update record changes, for those who apply it: nothing is asked, since it was decided before.
void share_state_follow(const struct share_state *state, const struct share_update *update,
                        struct share_state *next);

#endif
