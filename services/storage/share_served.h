// SPDX-License-Identifier: Apache-2.0
// One share partition this node serves (KIP-932): the state machine of share_partition.h with what surrounds
// it. At first what the share coordinator keeps is read, in this leader's epoch, which fences earlier ones; a
// group that begins writes where it begins. Then what members do is written there, one write at a time, and
// answered when it is. It ends with leadership, when a write shows that somebody else is in charge, or when
// no session of the group is left here, and is read anew when the next request comes.
#ifndef STORAGE_SHARE_SERVED_H
#define STORAGE_SHARE_SERVED_H

#include "base/block.h"
#include "io/env.h"
#include "replica.h"
#include "share_partition.h"
#include "wait.h"

struct share_groups; // share_groups.h
struct share_written;

enum share_serving {
    SHARE_READING,  // its state is asked for
    SHARE_SEEKING,  // the log is searched for where the group begins
    SHARE_STARTING, // that is being written
    SHARE_READY
};

// Embedded in who waits for a write; told once.
struct share_waiter {
    void (*done)(struct share_waiter *waiter, int16_t error); // Kafka's error of the acknowledgement
    struct share_written *written, *dying;                    // what it waits for; NULL: nothing
    int16_t error;                                            // of the one that has ended
};

// It is not told any more; nothing for one that does not wait.
void share_waiter_cancel(struct share_waiter *waiter);

struct share_served {
    struct share_groups *groups;
    struct block *name; // as the share coordinator knows it
    char *group;        // owned
    struct uuid topic;
    int32_t index, leader_epoch, state_epoch;
    enum share_serving state;
    struct share_partition partition; // from STARTING on
    struct relay *relay;              // a read or the first write, under way
    int64_t asked_us;                 // ... since then
    struct dead_letters *letters;     // of the first of the dying, under way
    struct share_seek *seek;          // the log is searched for where the group begins
    struct share_written *first, *last;
    struct share_written *lapsed; // ... of locks that have ended, until its turn comes
    struct share_written *dying, *last_dying; // writes whose dead letters must be delivered first, or are
    struct timer again;                       // ... and the writing is repeated
    const char *dead_trouble;                 // why that has failed last; NULL: it has not since
    int64_t dead_tried_us;                    // ... and when
    struct wait_list waits; // woken with ST_OK when records may have become available, else when it ends
    struct timer lock;      // the next lock ends
    int64_t pending;        // writes
    bool retiring;          // no session of its group is left here
};

// Begins to serve and to read its state. The replica is led here; it is found again by its topic and index.
struct share_served *share_served_new(struct share_groups *groups, struct slice group, struct block *name,
                                      const struct replica *replica);
// Waits end with status, writes with the Kafka error of NOT_LEADER_OR_FOLLOWER. It must be out of the map.
void share_served_destroy(struct share_served **served, enum status status);

// Whether the replica is led here in the epoch it is served in.
bool share_served_current(const struct share_served *served, const struct replica *replica);
// Nothing is written or waited for. What is held then was so by members whose sessions are over, in partitions
// they had forgotten: nobody can say any more what became of it.
bool share_served_quiet(const struct share_served *served);

// What share_partition_acknowledge says; NONE with *waits: the waiter is told when it is written. READY only.
int16_t share_served_acknowledge(struct share_served *served, struct slice member,
                                 const struct share_ack *acks, size_t count, struct share_waiter *waiter,
                                 bool *waits);
// The member's session is over.
void share_served_release(struct share_served *served, struct slice member);
// Records were acquired, or the start moved: the clock of locks is set.
void share_served_acquired(struct share_served *served);

#endif
