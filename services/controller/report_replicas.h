// SPDX-License-Identifier: Apache-2.0
// ReportReplicas: what a storage node's disks say of its replicas (KIP-858's meaning).
#ifndef CONTROLLER_REPORT_REPLICAS_H
#define CONTROLLER_REPORT_REPLICAS_H

#include "state.h"

// Answers when what follows from the reports is committed. Reports of an older partition epoch change nothing
// and fail nothing: the node sees the newer one in its image and says again what still holds.
void report_replicas(struct controller *controller, const Millrace__ReportReplicasRequest *request,
                     Millrace__Empty_Closure closure, struct rpc_call *call);

#endif
