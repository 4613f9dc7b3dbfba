// SPDX-License-Identifier: Apache-2.0
// What storage nodes ask: whether records of a topic may have a schema (rpc Locate). A request becomes a call
// of operation_locate, which runs as any read does: here if it is found here, else at the owner.
#ifndef REGISTRY_LOCATE_H
#define REGISTRY_LOCATE_H

#include "protos/registry.pb-c.h"
#include "registry.h"

void locate_serve(struct registry *registry, const Millrace__LocateRequest *request,
                  Millrace__RegistryReply_Closure closure, struct rpc_call *rpc_call);

#endif
