// SPDX-License-Identifier: Apache-2.0
// Leases of nodes, in memory of the active controller.
#ifndef CONTROLLER_LEASES_H
#define CONTROLLER_LEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct controller;

// A question whether a node's port still answers; outlives the lease when the answer is late.
struct lease_probe {
    struct controller *controller; // NULL: nobody wants to know any more
    int32_t node;
    uint64_t incarnation;
    int64_t began_ms;
};

struct lease {
    int32_t id;
    uint64_t incarnation;
    int64_t heard_ms, until_ms;
    int64_t reported;        // metadata offset of its last heartbeat, -1: none yet
    int64_t must_have;       // offset its image needs before it is unfenced: it then knows what it has lost
    int64_t commit_then;     // commit offset told with the last heartbeat's answer
    int64_t behind_since_ms; // 0: it keeps up
    bool assumed;            // from the predecessor's image: not heard of since this controller is active
    bool draining, stalled;
    uint64_t connection;       // its last call came by
    bool gone;                 // that connection has ended, and nothing was heard since
    struct lease_probe *probe; // under way
};

struct nodes {
    struct lease *items; // ascending by id
    size_t count, cap;
};

// NULL when there is none. Pointers are valid until the next leases_put.
struct lease *leases_get(const struct nodes *nodes, int32_t id);
// A fresh lease for that incarnation; an old one of the id is dropped.
struct lease *leases_put(struct nodes *nodes, int32_t id, uint64_t incarnation);
void leases_clear(struct nodes *nodes);

#endif
