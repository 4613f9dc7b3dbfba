// SPDX-License-Identifier: Apache-2.0
// A cluster of Raft cores in one process: disks that lose what was not acknowledged, a network that drops,
// doubles and delays, and checkers that look at every step. Driven by hand (settle, elect) or by a seed
// (random).
#ifndef TESTS_RAFT_CLUSTER_H
#define TESTS_RAFT_CLUSTER_H

#include "raft/raft.h"

#include "base/map.h"
#include "base/prng.h"

enum { NODES_MAX = 5, INDEX_MAX = 8192, CHUNKS = 3 };

struct cluster_faults {
    int drop;      // per cent of messages
    int duplicate; // per cent
    int delay_ms;  // largest
    int persist_ms;
};

struct disk {
    struct raft_hard hard;
    struct raft_snapshot snapshot;
    uint64_t snapshot_state;
    struct raft_entry entries[INDEX_MAX]; // blocks held
    int64_t count;
};

struct node {
    struct raft *raft; // NULL: down
    struct raft_voter self;
    struct disk *disk;
    struct write *writes; // asked for, not durable yet; oldest first
    struct held *held;    // messages that wait for one of them
    uint64_t acked;
    int64_t applied;
    uint64_t state; // hash over everything applied
};

struct cluster {
    int count;
    struct node nodes[NODES_MAX];
    bool cut[NODES_MAX][NODES_MAX]; // [from][to]
    struct packet *packets;
    struct cluster_faults faults;
    struct prng prng;
    int64_t now_ms;
    int64_t committed; // highest index any node has committed
    struct {
        int64_t term;
        uint64_t print; // of the entry
        uint64_t state; // after it
    } history[INDEX_MAX];
    struct map entries; // (index, term) -> what every log must have there
    struct map leaders; // term -> node + 1
    uint64_t values;
    struct cluster_counts {
        int64_t elections, truncations, installs, configs, reads, crashes;
    } counts;
    struct raft_updates out;
    char failure[256]; // first violation; empty = none
};

// Starts count nodes, all of them voters of a bootstrapped configuration (entry 1, term 1).
void cluster_init(struct cluster *cluster, int count, uint64_t seed);
void cluster_fini(struct cluster *cluster);

// Steps one node and carries out the updates.
enum status cluster_step(struct cluster *cluster, int node, struct raft_event event);

// Delivers messages and writes until nothing is under way, without time passing.
void cluster_settle(struct cluster *cluster);

// Lets ms milliseconds pass, with ticks, deliveries and faults.
void cluster_run(struct cluster *cluster, int64_t ms);

// Time jumps far enough that nobody is bound to a leader, then this node campaigns; settles.
void cluster_elect(struct cluster *cluster, int node);

enum status cluster_propose(struct cluster *cluster, int node);
void cluster_crash(struct cluster *cluster, int node);
void cluster_start(struct cluster *cluster, int node);
void cluster_isolate(struct cluster *cluster, int node, bool cut);
void cluster_heal(struct cluster *cluster);
void cluster_snapshot(struct cluster *cluster, int node);
int cluster_leader(const struct cluster *cluster); // of the highest term, -1 when none

#endif
