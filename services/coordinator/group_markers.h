// SPDX-License-Identifier: Apache-2.0
// WriteMarkers of the Coordinator service: the owner of a transaction tells the owners of group shards how it
// ended. Answered when the offsets that waited count, or never will, and that is committed (KAFKA-17507).
#ifndef GROUP_MARKERS_H
#define GROUP_MARKERS_H

#include "coordinator_state.h"

void group_markers(struct coordinator *coordinator, const Millrace__WriteMarkersRequest *request,
                   Millrace__WriteMarkersReply_Closure closure, struct rpc_call *call);

#endif
