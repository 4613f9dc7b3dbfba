// SPDX-License-Identifier: Apache-2.0
// The table of who calls what, one screen for the whole cluster: add a row when a .proto gains a method.
// control: small and urgent (Raft, heartbeats, acknowledgements, metadata); bulk: everything with payload.
#include "rpc/roles.h"

#include <string.h>

#define EVERY_NODE (RPC_CONTROLLER | RPC_STORAGE | RPC_COORDINATOR | RPC_REGISTRY)
#define OWNERS     (RPC_COORDINATOR | RPC_REGISTRY) // of shards of internal ledgers

const struct rpc_rule rpc_rules[] = {
    // service, method, lane, who may call
    {"millrace.Controller", "Probe", RPC_CONTROL, EVERY_NODE | RPC_TOOL},
    {"millrace.Controller", "Observe", RPC_CONTROL, RPC_CONTROLLER},
    {"millrace.Controller", "Raft", RPC_CONTROL, RPC_CONTROLLER},
    {"millrace.Controller", "RegisterNode", RPC_CONTROL, EVERY_NODE},
    {"millrace.Controller", "Heartbeat", RPC_CONTROL, EVERY_NODE},
    {"millrace.Controller", "Follow", RPC_BULK, EVERY_NODE | RPC_TOOL},
    {"millrace.Controller", "AlterIsr", RPC_CONTROL, RPC_STORAGE},
    {"millrace.Controller", "ReportReplicas", RPC_CONTROL, RPC_STORAGE},
    {"millrace.Controller", "AllocateProducerIds", RPC_CONTROL, RPC_STORAGE | RPC_COORDINATOR},
    {"millrace.Controller", "AdoptTopic", RPC_CONTROL, RPC_STORAGE},
    {"millrace.Controller", "NeedTopic", RPC_CONTROL, RPC_STORAGE | OWNERS},
    {"millrace.Controller", "Relay", RPC_BULK, RPC_STORAGE | RPC_COORDINATOR}, // topics of streams groups
    {"millrace.Coordinator", "Relay", RPC_BULK, RPC_STORAGE | RPC_COORDINATOR}, // share coordinators
    {"millrace.Coordinator", "CancelRelay", RPC_CONTROL, RPC_STORAGE},
    {"millrace.Coordinator", "AddToTransaction", RPC_CONTROL, RPC_STORAGE | RPC_COORDINATOR},
    {"millrace.Coordinator", "WriteMarkers", RPC_CONTROL, RPC_STORAGE | RPC_COORDINATOR},
    {"millrace.Storage", "Applied", RPC_CONTROL, RPC_STORAGE},
    {"millrace.Storage", "OpenStream", RPC_CONTROL, RPC_STORAGE},
    {"millrace.Storage", "Subscribe", RPC_CONTROL, RPC_STORAGE},
    {"millrace.Storage", "Append", RPC_BULK, RPC_STORAGE},
    {"millrace.Storage", "LedgerOpen", RPC_CONTROL, OWNERS},
    {"millrace.Storage", "LedgerAppend", RPC_BULK, OWNERS},
    {"millrace.Storage", "LedgerRead", RPC_BULK, OWNERS},
    {"millrace.Storage", "WriteMarkers", RPC_CONTROL, RPC_COORDINATOR},
    {"millrace.Storage", "Deliver", RPC_BULK, RPC_STORAGE},
    {"millrace.Storage", "Positions", RPC_BULK, RPC_COORDINATOR}, // never in the way of what is urgent
    {"millrace.Registry", "Run", RPC_BULK, RPC_REGISTRY},
    {"millrace.Registry", "Locate", RPC_BULK, RPC_STORAGE},
    {.service = NULL},
};

const struct rpc_rule *rpc_rule_find(const struct rpc_rule *rules, const char *service, const char *method)
{
    for (const struct rpc_rule *rule = rules; rule->service != NULL; rule++)
        if (strcmp(rule->service, service) == 0 && strcmp(rule->method, method) == 0)
            return rule;
    return NULL;
}
