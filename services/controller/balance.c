// SPDX-License-Identifier: Apache-2.0
// See balance.h. One pass over the partitions for each of the three aims; every move for evenness lowers the
// sum of the squares of the numbers, so plans come to an end.
#include "balance.h"

#include "base/assert.h"

#include <string.h>

struct plan {
    struct balance_node *nodes;
    int node_count;
    const struct balance_partition *partitions;
    size_t partition_count;
    const struct balance_limits *limits;
    struct balance_move *moves;
    int count;
};

struct balance_node *balance_node(struct balance_node *nodes, int node_count, int32_t id)
{
    int low = 0, high = node_count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (nodes[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < node_count && nodes[low].id == id ? &nodes[low] : NULL;
}

static struct balance_node *node_of(const struct plan *plan, int32_t id)
{
    return balance_node(plan->nodes, plan->node_count, id);
}

static bool stays(const struct balance_node *node)
{
    return node != NULL && node->live && !node->leaving;
}

static bool same_rack(const struct balance_node *a, const struct balance_node *b)
{
    return a == b || (a->rack[0] != 0 && strcmp(a->rack, b->rack) == 0);
}

// Whether the partition's other replicas leave the rack of node to itself.
static bool alone_in_rack(const struct plan *plan, const struct balance_partition *partition, size_t slot,
                          const struct balance_node *node)
{
    for (size_t i = 0; i < partition->replicas.count; i++) {
        const struct balance_node *other = node_of(plan, partition->replicas.ids[i]);
        if (i != slot && other != NULL && same_rack(node, other))
            return false;
    }
    return true;
}

// Whether the partition is on as many racks when the slot's replica is on node instead.
static bool keeps_racks(const struct plan *plan, const struct balance_partition *partition, size_t slot,
                        const struct balance_node *from, const struct balance_node *node)
{
    bool lost = from != NULL && alone_in_rack(plan, partition, slot, from);
    return !lost || alone_in_rack(plan, partition, slot, node);
}

// The emptiest node with at most so many replicas that can take over the slot; NULL when there is none.
static struct balance_node *emptiest(const struct plan *plan, const struct balance_partition *partition,
                                     size_t slot, const struct balance_node *from, bool any_rack,
                                     int64_t most)
{
    struct balance_node *best = NULL;
    for (int i = 0; i < plan->node_count; i++) {
        struct balance_node *node = &plan->nodes[i];
        if (!stays(node) || node->replicas > most || image_ids_have(&partition->replicas, node->id))
            continue;
        if (!any_rack && !keeps_racks(plan, partition, slot, from, node))
            continue;
        if (best == NULL || node->replicas < best->replicas)
            best = node;
    }
    return best;
}

static void move(struct plan *plan, size_t partition, size_t slot, struct balance_node *from,
                 struct balance_node *to)
{
    ASSERT(plan->count < plan->limits->moves);
    plan->moves[plan->count++] = (struct balance_move){.partition = partition, .slot = slot, .node = to->id};
    to->replicas++;
    to->leaders += slot == 0;
    if (from == NULL)
        return;
    from->replicas--;
    from->leaders -= slot == 0;
}

static void empty_leaving(struct plan *plan)
{
    for (size_t p = 0; p < plan->partition_count && plan->count < plan->limits->moves; p++) {
        const struct balance_partition *partition = &plan->partitions[p];
        for (size_t slot = 0; !partition->moving && slot < partition->replicas.count; slot++) {
            struct balance_node *from = node_of(plan, partition->replicas.ids[slot]);
            if (from == NULL || !from->leaving)
                continue;
            struct balance_node *to = emptiest(plan, partition, slot, from, false, INT64_MAX);
            if (to == NULL)
                to = emptiest(plan, partition, slot, from, true, INT64_MAX);
            if (to == NULL)
                continue;
            move(plan, p, slot, from, to);
            break; // one replica of a partition at a time
        }
    }
}

static int64_t number(const struct balance_node *node, bool leaders)
{
    return leaders ? node->leaders : node->replicas;
}

struct measure {
    int64_t mean; // of the staying nodes, rounded up
    int64_t slack;
};

// Whether the staying nodes differ by more than the slack.
static bool uneven(const struct plan *plan, bool leaders, struct measure *measure)
{
    int64_t sum = 0, low = INT64_MAX, high = 0;
    int count = 0;
    for (int i = 0; i < plan->node_count; i++) {
        int64_t have = number(&plan->nodes[i], leaders);
        if (!stays(&plan->nodes[i]))
            continue;
        sum += have;
        low = have < low ? have : low;
        high = have > high ? have : high;
        count++;
    }
    if (count < 2)
        return false;
    measure->mean = (sum + count - 1) / count;
    measure->slack = measure->mean * plan->limits->slack_percent / 100;
    if (measure->slack < plan->limits->slack_least)
        measure->slack = plan->limits->slack_least;
    return high - low > measure->slack;
}

// What a node that takes one from a node with so many may have at most: never so much that the two only
// change places, and from a node that has no more than the mean only when the difference is worth it.
static int64_t most_beside(const struct measure *measure, int64_t have)
{
    return have > measure->mean ? have - 2 : have - measure->slack - 1;
}

static void even_replicas(struct plan *plan)
{
    struct measure measure;
    if (!uneven(plan, false, &measure))
        return;
    for (size_t p = 0; p < plan->partition_count && plan->count < plan->limits->moves; p++) {
        const struct balance_partition *partition = &plan->partitions[p];
        for (size_t slot = 0; partition->whole && !partition->moving && slot < partition->replicas.count;
             slot++) {
            struct balance_node *from = node_of(plan, partition->replicas.ids[slot]);
            if (!stays(from))
                continue;
            int64_t most = most_beside(&measure, from->replicas);
            struct balance_node *to = emptiest(plan, partition, slot, from, false, most);
            if (to == NULL)
                continue;
            move(plan, p, slot, from, to);
            break;
        }
    }
}

static void even_leaders(struct plan *plan)
{
    struct measure measure;
    if (!uneven(plan, true, &measure))
        return;
    for (size_t p = 0; p < plan->partition_count && plan->count < plan->limits->moves; p++) {
        const struct balance_partition *partition = &plan->partitions[p];
        struct balance_node *first = node_of(plan, partition->replicas.ids[0]), *best = NULL;
        if (!partition->whole || partition->moving || !stays(first))
            continue;
        for (size_t slot = 1; slot < partition->replicas.count; slot++) {
            struct balance_node *node = node_of(plan, partition->replicas.ids[slot]);
            if (stays(node) && node->leaders <= most_beside(&measure, first->leaders) &&
                (best == NULL || node->leaders < best->leaders))
                best = node;
        }
        if (best == NULL)
            continue;
        plan->moves[plan->count++] = (struct balance_move){.partition = p, .slot = 0, .node = best->id};
        first->leaders--;
        best->leaders++;
    }
}

int balance_plan(struct balance_node *nodes, int node_count, const struct balance_partition *partitions,
                 size_t partition_count, const struct balance_limits *limits, struct balance_move *moves)
{
    struct plan plan = {.nodes = nodes,
                        .node_count = node_count,
                        .partitions = partitions,
                        .partition_count = partition_count,
                        .limits = limits,
                        .moves = moves};
    empty_leaving(&plan);
    if (plan.count == 0 && !limits->leaving_only)
        even_replicas(&plan);
    if (plan.count == 0 && !limits->leaving_only)
        even_leaders(&plan);
    return plan.count;
}

struct image_ids balance_after(const struct balance_partition *partition, const struct balance_move *move,
                               struct arena *arena)
{
    size_t count = partition->replicas.count;
    int32_t *ids = arena_calloc(arena, count, sizeof *ids);
    ASSERT(ids != NULL && move->slot < count);
    for (size_t i = 0; i < count; i++) {
        bool swapped = partition->replicas.ids[i] == move->node;
        ids[i] = i == move->slot ? move->node : partition->replicas.ids[swapped ? move->slot : i];
    }
    return (struct image_ids){.ids = ids, .count = count};
}
