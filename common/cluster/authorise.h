// SPDX-License-Identifier: Apache-2.0
// Who may do what: one table from API key to operation and resource, one function every handler asks. It
// allows everybody now; the rules (ACLs) come later behind the same function, so no handler will change.
#ifndef CLUSTER_AUTHORISE_H
#define CLUSTER_AUTHORISE_H

#include "base/slice.h"
#include "base/status.h"

#include <stdint.h>

// Who sent a request; every handler receives one, relays carry it.
struct principal {
    const char *name;     // "User:ANONYMOUS"
    const char *listener; // the listener the client came in by, e.g. "PLAINTEXT"
    const char *host;     // numeric address of the client
    uint64_t session;     // the connection, unique per process
};

#define PRINCIPAL_ANONYMOUS "User:ANONYMOUS"

// Kafka's numbers (org.apache.kafka.common.acl.AclOperation).
enum operation {
    OPERATION_NONE = 0, // answered before anything is known of the client
    OPERATION_ALL = 2,
    OPERATION_READ = 3,
    OPERATION_WRITE = 4,
    OPERATION_CREATE = 5,
    OPERATION_DELETE = 6,
    OPERATION_ALTER = 7,
    OPERATION_DESCRIBE = 8,
    OPERATION_CLUSTER_ACTION = 9,
    OPERATION_DESCRIBE_CONFIGS = 10,
    OPERATION_ALTER_CONFIGS = 11,
    OPERATION_IDEMPOTENT_WRITE = 12,
    OPERATION_CREATE_TOKENS = 13,
    OPERATION_DESCRIBE_TOKENS = 14,
    OPERATION_TWO_PHASE_COMMIT = 15
};

// Kafka's numbers (org.apache.kafka.common.resource.ResourceType).
enum resource_type {
    RESOURCE_TYPE_NONE = 0,
    RESOURCE_TYPE_TOPIC = 2,
    RESOURCE_TYPE_GROUP = 3,
    RESOURCE_TYPE_CLUSTER = 4,
    RESOURCE_TYPE_TRANSACTIONAL_ID = 5,
    RESOURCE_TYPE_DELEGATION_TOKEN = 6,
    RESOURCE_TYPE_USER = 7
};

#define RESOURCE_CLUSTER_NAME "kafka-cluster"

struct authorise_rule {
    int16_t api_key;
    enum operation operation;    // the main one
    enum resource_type resource; // what its name means in the request
    enum operation also;         // second operation on also_on, or OPERATION_NONE
    enum resource_type also_on;
};

// The rule of an API; NULL when the API is unknown.
const struct authorise_rule *authorise_rule(int16_t api_key);

// Whether the principal may do the operation on the named resource (RESOURCE_CLUSTER_NAME for the cluster).
bool authorise(const struct principal *principal, enum operation operation, enum resource_type type,
               struct slice name);

// Kafka's bit set of the operations the principal may do on a resource (bit = operation's number), as in
// Metadata's authorized operations.
int32_t authorise_operations(const struct principal *principal, enum resource_type type, struct slice name);

#endif
