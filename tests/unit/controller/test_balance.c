// SPDX-License-Identifier: Apache-2.0
// The balancer's plan: what it must do in plain cases, and what holds for any cluster.
#include <criterion/criterion.h>

#include "balance.h"
#include "base/prng.h"

#include <stdio.h>

enum { NODES_MAX = 12, PARTITIONS_MAX = 300, FACTOR_MAX = 4, MOVES_MAX = 10 };

struct cluster {
    struct balance_node nodes[NODES_MAX];
    int node_count;
    struct balance_partition partitions[PARTITIONS_MAX];
    int32_t ids[PARTITIONS_MAX][FACTOR_MAX];
    size_t partition_count;
    struct balance_limits limits;
    struct balance_move moves[MOVES_MAX];
};

static void count(struct cluster *cluster)
{
    for (int i = 0; i < cluster->node_count; i++)
        cluster->nodes[i].replicas = cluster->nodes[i].leaders = 0;
    for (size_t p = 0; p < cluster->partition_count; p++)
        for (size_t i = 0; i < cluster->partitions[p].replicas.count; i++) {
            struct balance_node *node = balance_node(cluster->nodes, cluster->node_count, cluster->ids[p][i]);
            node->replicas++;
            node->leaders += i == 0;
        }
}

// Nodes 1, 2, ... with the racks named; so many partitions on nodes 1 to factor.
static void begin(struct cluster *cluster, const char *const *racks, int node_count, size_t partitions,
                  size_t factor)
{
    *cluster = (struct cluster){.node_count = node_count,
                                .partition_count = partitions,
                                .limits = {.moves = MOVES_MAX, .slack_percent = 10, .slack_least = 5}};
    for (int i = 0; i < node_count; i++)
        cluster->nodes[i] = (struct balance_node){.id = i + 1, .rack = racks ? racks[i] : "", .live = true};
    for (size_t p = 0; p < partitions; p++) {
        for (size_t i = 0; i < factor; i++)
            cluster->ids[p][i] = (int32_t)i + 1;
        cluster->partitions[p] = (struct balance_partition){
            .index = (int32_t)p, .replicas = {cluster->ids[p], factor}, .whole = true};
    }
    count(cluster);
}

static int plan(struct cluster *cluster)
{
    return balance_plan(cluster->nodes, cluster->node_count, cluster->partitions, cluster->partition_count,
                        &cluster->limits, cluster->moves);
}

static void carry_out(struct cluster *cluster, int moves)
{
    struct arena arena;
    arena_init(&arena, 1 << 16);
    for (int i = 0; i < moves; i++) {
        struct balance_partition *partition = &cluster->partitions[cluster->moves[i].partition];
        struct image_ids after = balance_after(partition, &cluster->moves[i], &arena);
        memcpy(cluster->ids[cluster->moves[i].partition], after.ids, after.count * sizeof *after.ids);
    }
    arena_fini(&arena);
}

static int64_t spread(const struct cluster *cluster, bool leaders)
{
    int64_t low = INT64_MAX, high = 0;
    for (int i = 0; i < cluster->node_count; i++) {
        const struct balance_node *node = &cluster->nodes[i];
        int64_t have = leaders ? node->leaders : node->replicas;
        if (!node->live || node->leaving)
            continue;
        low = have < low ? have : low;
        high = have > high ? have : high;
    }
    return low > high ? 0 : high - low;
}

Test(balance, a_new_node_gets_its_share_and_then_leaders)
{
    struct cluster cluster;
    int rounds = 0;
    begin(&cluster, NULL, 4, 40, 3);
    for (int moves; (moves = plan(&cluster)) > 0; rounds++) {
        cr_assert_leq(moves, MOVES_MAX);
        cr_assert_lt(rounds, 100);
        carry_out(&cluster, moves);
        count(&cluster);
    }
    cr_assert_leq(spread(&cluster, false), 5);
    cr_assert_leq(spread(&cluster, true), 5);
    cr_assert_geq(cluster.nodes[3].leaders, 5);
}

Test(balance, a_small_difference_is_left_alone)
{
    struct cluster cluster;
    begin(&cluster, NULL, 2, 5, 1); // 5 and none
    cr_assert_eq(plan(&cluster), 0);
    begin(&cluster, NULL, 2, 6, 1);
    cr_assert_gt(plan(&cluster), 0);
    begin(&cluster, NULL, 2, 6, 1);
    cluster.limits.leaving_only = true;
    cr_assert_eq(plan(&cluster), 0);
    cluster.nodes[0].leaving = true;
    cr_assert_eq(plan(&cluster), 6);
}

Test(balance, a_leaving_node_is_emptied_though_it_is_dead_and_its_partitions_are_not_whole)
{
    struct cluster cluster;
    begin(&cluster, NULL, 4, 8, 3);
    cluster.nodes[1].leaving = true;
    cluster.nodes[1].live = false;
    for (size_t p = 0; p < cluster.partition_count; p++)
        cluster.partitions[p].whole = false;
    cr_assert_eq(plan(&cluster), 8);
    carry_out(&cluster, 8);
    count(&cluster);
    cr_assert_eq(cluster.nodes[1].replicas, 0);
    cr_assert_eq(cluster.nodes[3].replicas, 8);
}

Test(balance, what_moves_is_not_touched)
{
    struct cluster cluster;
    begin(&cluster, NULL, 4, 8, 3);
    cluster.nodes[0].leaving = true;
    for (size_t p = 0; p < cluster.partition_count; p++)
        cluster.partitions[p].moving = true;
    cr_assert_eq(plan(&cluster), 0);
}

Test(balance, an_empty_node_of_a_full_rack_gets_nothing_that_another_rack_would_lose)
{
    static const char *const racks[] = {"a", "b", "a"};
    struct cluster cluster;
    begin(&cluster, racks, 3, 20, 2);
    for (int moves; (moves = plan(&cluster)) > 0;) {
        for (int i = 0; i < moves; i++) // only in the place of node 1, or a change of places
            cr_assert(cluster.moves[i].node != 3 ||
                      cluster.ids[cluster.moves[i].partition][cluster.moves[i].slot] == 1);
        carry_out(&cluster, moves);
        count(&cluster);
    }
    cr_assert_eq(cluster.nodes[1].replicas, 20);
    cr_assert_geq(cluster.nodes[2].replicas, 7);
}

Test(balance, draining_takes_another_rack_only_when_it_must)
{
    static const char *const racks[] = {"a", "b", "a", "b"};
    struct cluster cluster;
    begin(&cluster, racks, 4, 4, 2);
    cluster.nodes[1].leaving = true;
    cr_assert_eq(plan(&cluster), 4);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(cluster.moves[i].node, 4);
    cluster.node_count = 3;
    count(&cluster);
    cluster.nodes[1].leaving = true;
    cr_assert_eq(plan(&cluster), 4);
    cr_assert_eq(cluster.moves[0].node, 3);
}

// ---- any cluster ----

static int racks_of(const struct cluster *cluster, size_t partition)
{
    int racks = 0;
    for (size_t i = 0; i < cluster->partitions[partition].replicas.count; i++) {
        const char *rack = cluster->nodes[cluster->ids[partition][i] - 1].rack;
        bool seen = false;
        for (size_t k = 0; k < i && rack[0] != 0; k++)
            seen |= strcmp(cluster->nodes[cluster->ids[partition][k] - 1].rack, rack) == 0;
        racks += !seen;
    }
    return racks;
}

static void random_cluster(struct cluster *cluster, struct prng *prng)
{
    static const char *const names[] = {"", "a", "b", "c"};
    const char *racks[NODES_MAX];
    int nodes = 1 + (int)prng_below(prng, NODES_MAX);
    for (int i = 0; i < nodes; i++)
        racks[i] = names[prng_below(prng, 4)];
    size_t factor = 1 + prng_below(prng, (uint64_t)(nodes < FACTOR_MAX ? nodes : FACTOR_MAX));
    begin(cluster, racks, nodes, prng_below(prng, PARTITIONS_MAX), factor);
    uint64_t used = 1 + prng_below(prng, (uint64_t)nodes); // the others are new
    if (used < factor)
        used = factor;
    for (size_t p = 0; p < cluster->partition_count; p++) {
        for (size_t i = 0; i < factor; i++) {
            int32_t id = 1 + (int32_t)prng_below(prng, used);
            for (size_t k = 0; k < i; k++)
                if (cluster->ids[p][k] == id) {
                    id = id % (int32_t)used + 1;
                    k = (size_t)-1;
                }
            cluster->ids[p][i] = id;
        }
        cluster->partitions[p].whole = prng_below(prng, 10) > 0;
        cluster->partitions[p].moving = prng_below(prng, 20) == 0;
    }
    for (int i = 0; i < nodes; i++) {
        cluster->nodes[i].live = prng_below(prng, 10) > 0;
        cluster->nodes[i].leaving = prng_below(prng, 10) == 0;
    }
    count(cluster);
}

static void check_moves(const struct cluster *before, const struct cluster *after, int moves)
{
    cr_assert_leq(moves, before->limits.moves);
    for (int i = 0; i < moves; i++) {
        const struct balance_move *move = &after->moves[i];
        size_t p = move->partition;
        const struct balance_partition *partition = &before->partitions[p];
        const struct balance_node *from = &before->nodes[before->ids[p][move->slot] - 1];
        for (int k = 0; k < i; k++)
            cr_assert_neq(after->moves[k].partition, p);
        cr_assert_not(partition->moving);
        cr_assert(partition->whole || from->leaving);
        cr_assert(before->nodes[move->node - 1].live && !before->nodes[move->node - 1].leaving);
        cr_assert(from->leaving || racks_of(after, p) >= racks_of(before, p));
        for (size_t a = 0; a < partition->replicas.count; a++)
            for (size_t b = 0; b < a; b++)
                cr_assert_neq(after->ids[p][a], after->ids[p][b]);
    }
}

Test(balance, any_cluster_comes_to_rest_with_what_it_had_and_no_worse_spread)
{
    struct prng prng = {1};
    struct cluster cluster, before;
    for (int seed = 0; seed < 2000; seed++) {
        random_cluster(&cluster, &prng);
        int64_t replicas = spread(&cluster, false);
        bool drained = false;
        for (int round = 0;; round++) {
            memcpy(&before, &cluster, sizeof cluster);
            int moves = plan(&cluster);
            if (moves == 0)
                break;
            cr_assert_lt(round, 3 * PARTITIONS_MAX, "seed %d", seed);
            carry_out(&cluster, moves);
            check_moves(&before, &cluster, moves);
            for (int i = 0; i < moves; i++)
                drained |=
                    before.nodes[before.ids[cluster.moves[i].partition][cluster.moves[i].slot] - 1].leaving;
            struct balance_node planned[NODES_MAX];
            memcpy(planned, cluster.nodes, sizeof planned);
            count(&cluster);
            for (int i = 0; i < cluster.node_count; i++)
                cr_assert(planned[i].replicas == cluster.nodes[i].replicas &&
                              planned[i].leaders == cluster.nodes[i].leaders,
                          "seed %d", seed);
        }
        cr_assert(drained || spread(&cluster, false) <= replicas, "seed %d", seed);
    }
}
