// SPDX-License-Identifier: Apache-2.0
// AlterIsr: the leader of a partition proposes its in-sync set; compare-and-set on the partition epoch, every
// member named with its incarnation.
#ifndef CONTROLLER_ALTER_ISR_H
#define CONTROLLER_ALTER_ISR_H

#include "state.h"

void alter_isr(struct controller *controller, const Millrace__AlterIsrRequest *request,
               Millrace__AlterIsrReply_Closure closure, struct rpc_call *call);

// AllocateProducerIds: a block of ids that are never given out again.
void producer_ids(struct controller *controller, const Millrace__ProducerIdsRequest *request,
                  Millrace__ProducerIdsReply_Closure closure, struct rpc_call *call);

#endif
