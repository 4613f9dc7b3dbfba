// SPDX-License-Identifier: Apache-2.0
// AddToTransaction (protos/coordinator.proto): what a log's leader, or the owner of a group's shard, asks
// before the first record of a transaction goes in (KIP-890). What comes while the former transaction is
// being ended waits for that: the producer has been told to go on.
#ifndef ADD_TO_TRANSACTION_H
#define ADD_TO_TRANSACTION_H

#include "coordinator_state.h"

void add_to_transaction(struct coordinator *coordinator, const Millrace__AddToTransactionRequest *request,
                        Millrace__AddToTransactionReply_Closure closure, struct rpc_call *call);

#endif
