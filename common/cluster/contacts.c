// SPDX-License-Identifier: Apache-2.0
// See contacts.h.
#include "cluster/contacts.h"

#include "base/mem.h"

#include <string.h>

struct contact {
    struct rpc_peer *peer;
};

void contacts_init(struct contacts *contacts, struct rpc *rpc, uint64_t seed)
{
    contacts->rpc = rpc;
    map_init(&contacts->by_node, seed);
}

void contacts_fini(struct contacts *contacts)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&contacts->by_node, &at, NULL, &value);) {
        struct contact *one = value;
        rpc_peer_release(&one->peer);
        mem_free(one);
    }
    map_fini(&contacts->by_node);
}

struct rpc_peer *contacts_to(struct contacts *contacts, const struct image_node *node, enum rpc_role role)
{
    struct contact *one = map_get_u64(&contacts->by_node, (uint64_t)node->id);
    if (one == NULL) {
        one = mem_calloc(1, sizeof *one);
        map_put_u64(&contacts->by_node, (uint64_t)node->id, one);
    }
    if (one->peer != NULL && strcmp(rpc_peer_endpoint(one->peer), node->rpc_endpoint) != 0)
        rpc_peer_release(&one->peer);
    if (one->peer == NULL)
        one->peer = rpc_peer(contacts->rpc, node->rpc_endpoint, (struct rpc_node){role, node->id});
    return one->peer;
}
