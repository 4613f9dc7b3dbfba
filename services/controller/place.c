// SPDX-License-Identifier: Apache-2.0
// See place.h. Greedy: every replica goes to the node that is best now, which keeps numbers within one of
// each other and needs no state between calls.
#include "place.h"

#include <string.h>

static bool same(const char *a, const char *b)
{
    return a[0] != 0 && strcmp(a, b) == 0;
}

static struct place_node *node_of(struct place_node *nodes, int count, int32_t id)
{
    for (int i = 0; i < count; i++)
        if (nodes[i].id == id)
            return &nodes[i];
    return NULL;
}

struct spread {
    int racks, hosts; // of the replicas chosen so far that share the node's rack, host
    bool taken;
};

static struct spread spread_of(struct place_node *nodes, int count, const struct place_node *node,
                               const int32_t *have, int have_count)
{
    struct spread spread = {0};
    for (int i = 0; i < have_count; i++) {
        const struct place_node *other = node_of(nodes, count, have[i]);
        spread.taken |= have[i] == node->id;
        if (other == NULL)
            continue; // not alive now
        spread.racks += same(node->rack, other->rack);
        spread.hosts += same(node->host, other->host);
    }
    return spread;
}

// Whether a is the better place: alive, then fewer of the partition's replicas beside it, then less load,
// then lower id.
static bool better(const struct place_node *a, struct spread sa, const struct place_node *b, struct spread sb,
                   bool leader)
{
    if (a->down != b->down)
        return b->down;
    if (sa.racks != sb.racks)
        return sa.racks < sb.racks;
    if (sa.hosts != sb.hosts)
        return sa.hosts < sb.hosts;
    if (leader && a->leaders != b->leaders)
        return a->leaders < b->leaders;
    return a->replicas < b->replicas;
}

static struct place_node *choose(struct place_node *nodes, int count, const int32_t *have, int have_count)
{
    struct place_node *best = NULL;
    struct spread best_spread = {0};
    for (int i = 0; i < count; i++) {
        struct spread spread = spread_of(nodes, count, &nodes[i], have, have_count);
        if (spread.taken)
            continue;
        if (best == NULL || better(&nodes[i], spread, best, best_spread, have_count == 0)) {
            best = &nodes[i];
            best_spread = spread;
        }
    }
    return best;
}

enum status place_replicas(struct place_node *nodes, int node_count, int32_t count, int factor, int32_t *out)
{
    if (factor > node_count)
        return ST_LIMIT;
    for (int32_t partition = 0; partition < count; partition++, out += factor)
        for (int i = 0; i < factor; i++) {
            struct place_node *node = choose(nodes, node_count, out, i);
            out[i] = node->id;
            node->leaders += i == 0;
            node->replicas++;
        }
    return ST_OK;
}

int32_t place_one_more(struct place_node *nodes, int node_count, const int32_t *have, int have_count)
{
    struct place_node *node = choose(nodes, node_count, have, have_count);
    if (node == NULL)
        return -1;
    node->replicas++;
    return node->id;
}

void place_prefer(struct place_node *nodes, int node_count, int32_t *replicas, int count)
{
    struct place_node *first = node_of(nodes, node_count, replicas[0]);
    int best = 0;
    for (int i = 1; i < count && first != NULL; i++) {
        struct place_node *node = node_of(nodes, node_count, replicas[i]);
        struct place_node *least = node_of(nodes, node_count, replicas[best]);
        if (node != NULL && node->leaders + (best == 0) < least->leaders)
            best = i;
    }
    if (best == 0)
        return;
    first->leaders--;
    node_of(nodes, node_count, replicas[best])->leaders++;
    int32_t swap = replicas[0];
    replicas[0] = replicas[best];
    replicas[best] = swap;
}
