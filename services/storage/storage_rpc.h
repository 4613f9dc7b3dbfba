// SPDX-License-Identifier: Apache-2.0
// The Storage rpc service of protos/storage.proto as a table: which file serves which method.
#ifndef STORAGE_RPC_H
#define STORAGE_RPC_H

#include "deliver.h"
#include "ledger.h"
#include "markers.h"
#include "partitions.h"
#include "positions.h"

// Embedded in the node; service is its first member, so that a method finds its context.
struct storage_rpc {
    Millrace__Storage_Service service;
    struct partitions *partitions;
    struct ledgers *ledgers;
    struct markers *markers;
    struct positions *positions;
    struct deliveries *deliveries;
};

// Fills the service and offers it to other daemons (rpc_serve). What it serves from must be set.
void storage_rpc_serve(struct storage_rpc *storage, struct rpc *rpc);

#endif
