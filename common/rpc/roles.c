// SPDX-License-Identifier: Apache-2.0
// The table of who calls what, one screen for the whole cluster: add a row when a .proto gains a method.
// control: small and urgent (Raft, heartbeats, acknowledgements, metadata); bulk: everything with payload.
#include "rpc/roles.h"

#include <string.h>

const struct rpc_rule rpc_rules[] = {
    {.service = NULL},
};

const struct rpc_rule *rpc_rule_find(const struct rpc_rule *rules, const char *service, const char *method)
{
    for (const struct rpc_rule *rule = rules; rule->service != NULL; rule++)
        if (strcmp(rule->service, service) == 0 && strcmp(rule->method, method) == 0)
            return rule;
    return NULL;
}
