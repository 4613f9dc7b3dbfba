// SPDX-License-Identifier: Apache-2.0
// Seeds against the core: five nodes, lossy network, crashes that lose what was not acknowledged, partitions,
// snapshots, transfers, membership changes, reads. The checkers are in cluster.c.
#include <criterion/criterion.h>

#include "cluster.h"

#include "base/mem.h"

#include <stdlib.h>

static bool up(const struct cluster *cluster, int node)
{
    return cluster->nodes[node].raft != NULL;
}

// Whoever has no vote is a learner, as far as the leader is told of it in time.
static void name_learners(struct cluster *cluster, int leader)
{
    struct raft_voter learners[NODES_MAX];
    int count = 0;
    for (int i = 0; i < cluster->count; i++)
        if (raft_config_find(raft_config(cluster->nodes[leader].raft), cluster->nodes[i].self) < 0)
            learners[count++] = cluster->nodes[i].self;
    struct raft_event event = {.kind = RAFT_EVENT_LEARNERS, .learners = learners, .learner_count = count};
    cluster_step(cluster, leader, event);
}

static void change_membership(struct cluster *cluster, int leader)
{
    struct raft_config config = *raft_config(cluster->nodes[leader].raft);
    int node = (int)prng_below(&cluster->prng, (uint64_t)cluster->count);
    int at = raft_config_find(&config, cluster->nodes[node].self);
    if (at >= 0 && config.count > 3) {
        raft_config_remove(&config, at);
    } else if (at < 0) {
        raft_config_insert(&config, cluster->nodes[node].self, "");
    } else {
        return;
    }
    cluster_step(cluster, leader, (struct raft_event){.kind = RAFT_EVENT_CONFIG, .config = &config});
}

static void disturb(struct cluster *cluster)
{
    int node = (int)prng_below(&cluster->prng, (uint64_t)cluster->count);
    int other = (int)prng_below(&cluster->prng, (uint64_t)cluster->count);
    int leader = cluster_leader(cluster);
    switch (prng_below(&cluster->prng, 40)) {
    case 0:
    case 1:
        if (up(cluster, node))
            cluster_crash(cluster, node);
        break;
    case 2:
    case 3:
    case 4:
        if (!up(cluster, node))
            cluster_start(cluster, node);
        break;
    case 5:
        cluster->cut[node][other] = true;
        break;
    case 6:
        cluster_isolate(cluster, node, true);
        break;
    case 7:
    case 8:
        cluster_heal(cluster);
        break;
    case 9:
        if (up(cluster, node))
            cluster_snapshot(cluster, node);
        break;
    case 10:
        if (leader >= 0)
            cluster_step(cluster, leader, (struct raft_event){.kind = RAFT_EVENT_TRANSFER, .peer = node});
        break;
    case 11:
        if (leader >= 0)
            change_membership(cluster, leader);
        break;
    case 12:
        if (leader >= 0)
            cluster_step(cluster, leader,
                         (struct raft_event){.kind = RAFT_EVENT_READ, .token = (uint64_t)cluster->committed});
        break;
    case 13:
        if (up(cluster, node))
            cluster_step(cluster, node, (struct raft_event){.kind = RAFT_EVENT_PEER_LOST, .peer = other});
        break;
    case 14:
    case 15:
        if (leader >= 0)
            name_learners(cluster, leader);
        break;
    default:
        for (int i = 0; leader >= 0 && i < 8; i++)
            cluster_propose(cluster, leader);
    }
}

// Everything works again: within five seconds a new entry is committed everywhere that has a vote.
static void recover(struct cluster *cluster)
{
    cluster_heal(cluster);
    cluster->faults = (struct cluster_faults){.delay_ms = 2, .persist_ms = 2};
    for (int i = 0; i < cluster->count; i++)
        if (!up(cluster, i))
            cluster_start(cluster, i);
    cluster_run(cluster, 4000);
    int leader = cluster_leader(cluster);
    if (cluster->failure[0] != 0)
        return;
    cr_assert(leader >= 0, "no leader");
    cr_assert_eq(cluster_propose(cluster, leader), ST_OK);
    int64_t index = raft_last_index(cluster->nodes[leader].raft);
    cluster_run(cluster, 1000);
    const struct raft_config *config = raft_config(cluster->nodes[leader].raft);
    for (int i = 0; i < config->count; i++)
        cr_assert(raft_commit(cluster->nodes[config->voters[i].id].raft) >= index, "voter %d is behind",
                  config->voters[i].id);
}

static void add(struct cluster_counts *sum, const struct cluster_counts *one)
{
    sum->elections += one->elections;
    sum->truncations += one->truncations;
    sum->installs += one->installs;
    sum->configs += one->configs;
    sum->reads += one->reads;
    sum->crashes += one->crashes;
}

static int64_t one_seed(uint64_t seed, struct cluster_counts *sum)
{
    struct cluster *cluster = mem_calloc(1, sizeof *cluster);
    cluster_init(cluster, 5, seed);
    cluster->faults = (struct cluster_faults){.drop = (int)prng_below(&cluster->prng, 20),
                                              .duplicate = (int)prng_below(&cluster->prng, 10),
                                              .delay_ms = 1 + (int)prng_below(&cluster->prng, 40),
                                              .persist_ms = 1 + (int)prng_below(&cluster->prng, 30)};
    for (int i = 0; i < 250 && cluster->failure[0] == 0; i++) {
        disturb(cluster);
        cluster_run(cluster, 5 + (int64_t)prng_below(&cluster->prng, 120));
    }
    if (cluster->failure[0] == 0)
        recover(cluster);
    cr_assert_eq(cluster->failure[0], 0, "seed %lu: %s", (unsigned long)seed, cluster->failure);
    int64_t committed = cluster->committed;
    add(sum, &cluster->counts);
    cluster_fini(cluster);
    mem_free(cluster);
    return committed;
}

Test(raft_sim, seeds_keep_every_invariant_and_recover, .timeout = 300)
{
    const char *seeds = getenv("RAFT_SEEDS");
    const char *first = getenv("RAFT_SEED");
    uint64_t from = first != NULL ? strtoull(first, NULL, 10) : 1;
    uint64_t count = seeds != NULL ? strtoull(seeds, NULL, 10) : 2000;
    int64_t committed = 0;
    struct cluster_counts sum = {0};
    for (uint64_t seed = from; seed < from + count; seed++)
        committed += one_seed(seed, &sum);
    int64_t least = (int64_t)count / 4; // a fault or transition that hardly occurred proves nothing
    cr_assert(committed > (int64_t)count * 50, "too little happened: %ld", (long)committed);
    cr_assert(sum.elections > least * 4 && sum.crashes > least * 4 && sum.truncations > least);
    cr_assert(sum.installs > least && sum.configs > least && sum.reads > least);
}
