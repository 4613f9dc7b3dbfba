// SPDX-License-Identifier: Apache-2.0
// Which replicas should be elsewhere. Pure: nodes and partitions in, moves out; the same input gives the same
// answer, and moves carried out one plan after the other come to an end. First what leaves: every replica on
// a leaving node goes to the emptiest other one. Then numbers of replicas are evened, at last preferred
// leaders, each only when the fullest and the emptiest node differ by more than the slack, and only where it
// lessens that. A move never puts the replicas of a partition on fewer racks, except away from a leaving node
// when no node could keep the number. The number of a partition's replicas stays as it is.
#ifndef CONTROLLER_BALANCE_H
#define CONTROLLER_BALANCE_H

#include "base/arena.h"
#include "cluster/image.h"

struct balance_node {
    int32_t id;
    const char *rack; // "" when unknown: a rack of its own
    bool live;        // can take replicas
    bool leaving;     // takes none, and is to lose those it has
    int64_t replicas; // after all that is under way
    int64_t leaders;  // ... partitions that have it as their first replica
};

struct balance_partition {
    struct uuid topic;
    int32_t index;
    struct image_ids replicas; // after what is under way
    bool moving;               // a reassignment runs: not touched
    bool whole;                // all replicas are in sync: may be moved for evenness alone
};

struct balance_limits {
    bool leaving_only; // nothing is moved for evenness
    int moves;         // at most, >= 0
    int slack_percent; // of the mean number per node, >= 0 ...
    int slack_least;   // ... and at least so many
};

struct balance_move {
    size_t partition; // index into the partitions given
    size_t slot;      // of its replicas ...
    int32_t node;     // ... that is to be this node; one of its replicas: the two change places
};

// The node in an ascending list; NULL when it is not there.
struct balance_node *balance_node(struct balance_node *nodes, int node_count, int32_t id);

// Returns the number of moves put into moves (limits->moves at most, a partition once at most); the nodes'
// numbers are changed to what they will be then. nodes ascending by id.
int balance_plan(struct balance_node *nodes, int node_count, const struct balance_partition *partitions,
                 size_t partition_count, const struct balance_limits *limits, struct balance_move *moves);

// The replicas of the partition after the move, in the arena.
struct image_ids balance_after(const struct balance_partition *partition, const struct balance_move *move,
                               struct arena *arena);

#endif
