// SPDX-License-Identifier: Apache-2.0
// See leases.h.
#include "leases.h"

#include "base/mem.h"

#include <string.h>

static size_t find(const struct nodes *nodes, int32_t id)
{
    size_t at = 0;
    while (at < nodes->count && nodes->items[at].id < id)
        at++;
    return at;
}

struct lease *leases_get(const struct nodes *nodes, int32_t id)
{
    size_t at = find(nodes, id);
    return at < nodes->count && nodes->items[at].id == id ? &nodes->items[at] : NULL;
}

static void forget_probe(struct lease *lease)
{
    if (lease->probe != NULL)
        lease->probe->controller = NULL;
}

struct lease *leases_put(struct nodes *nodes, int32_t id, uint64_t incarnation)
{
    size_t at = find(nodes, id);
    if (at < nodes->count && nodes->items[at].id == id) {
        forget_probe(&nodes->items[at]);
    } else {
        if (nodes->count == nodes->cap) {
            nodes->cap = nodes->cap ? nodes->cap * 2 : 16;
            nodes->items = mem_realloc(nodes->items, nodes->cap * sizeof *nodes->items);
        }
        memmove(nodes->items + at + 1, nodes->items + at, (nodes->count - at) * sizeof *nodes->items);
        nodes->count++;
    }
    nodes->items[at] = (struct lease){.id = id, .incarnation = incarnation, .reported = -1};
    return &nodes->items[at];
}

void leases_clear(struct nodes *nodes)
{
    for (size_t i = 0; i < nodes->count; i++)
        forget_probe(&nodes->items[i]);
    mem_free(nodes->items);
    *nodes = (struct nodes){0};
}
