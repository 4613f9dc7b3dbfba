// SPDX-License-Identifier: Apache-2.0
// Connections to other nodes by node id: made on first use, made anew when the node says it is elsewhere,
// and kept, so that calls do not each connect for themselves.
#ifndef CLUSTER_CONTACTS_H
#define CLUSTER_CONTACTS_H

#include "base/map.h"
#include "cluster/image.h"
#include "rpc/rpc.h"

struct contacts {
    struct rpc *rpc;
    struct map by_node; // node id, struct contact
};

void contacts_init(struct contacts *contacts, struct rpc *rpc, uint64_t seed);
void contacts_fini(struct contacts *contacts);

// Borrowed until the next call for that node. role: of the node.
struct rpc_peer *contacts_to(struct contacts *contacts, const struct image_node *node, enum rpc_role role);

#endif
