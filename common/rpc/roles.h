// SPDX-License-Identifier: Apache-2.0
// Who talks to whom: one row per method says the lane it travels on and which roles may call it. Caller and
// server read the same table; a method without a row can neither be called nor served.
#ifndef RPC_ROLES_H
#define RPC_ROLES_H

#include "rpc/transport.h"

struct rpc_rule {
    const char *service; // full name as in the .proto: "millrace.Storage"
    const char *method;  // "Append"
    enum rpc_lane lane;
    unsigned callers; // bits of enum rpc_role
};

// The table of all daemons (roles.c), ended by a row with service NULL.
extern const struct rpc_rule rpc_rules[];

// The row of a method, or NULL.
const struct rpc_rule *rpc_rule_find(const struct rpc_rule *rules, const char *service, const char *method);

#endif
