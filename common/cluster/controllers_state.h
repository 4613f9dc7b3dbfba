// SPDX-License-Identifier: Apache-2.0
// What follow.c borrows from controllers.c: the peers of the voters, which both poll.
#ifndef CLUSTER_CONTROLLERS_STATE_H
#define CLUSTER_CONTROLLERS_STATE_H

#include "cluster/controllers.h"
#include "rpc/rpc.h"

// The i-th endpoint's peer (borrowed), made on first use.
struct rpc_peer *controllers_peer(struct controllers *controllers, size_t i);

#endif
