// SPDX-License-Identifier: Apache-2.0
// A node's membership: registers with the active controller, heartbeats, holds the lease. The lease counts
// from the moment the renewed heartbeat was SENT and is given up 10 % early, so a node stops before the
// controller replaces it. Heartbeats come from the loop that does the work: a hung loop loses its lease. A
// node the controller does not know any more (or knows under another incarnation: NOT_FOUND, STALE) registers
// again. A registration may be sent twice: the controller answers the same incarnation with the same node id.
// MISMATCH, DENIED, EXISTS, INVALID, UNSUPPORTED are final. Used by storage nodes and coordinators.
#ifndef CLUSTER_MEMBER_H
#define CLUSTER_MEMBER_H

#include "cluster/controllers.h"
#include "cluster/follow.h"

struct member;

enum member_state {
    MEMBER_JOINING, // not registered, or registered and the image has not reached the registration yet
    MEMBER_FENCED,  // registered; the controller has fenced us or the lease has run out
    MEMBER_ACTIVE,  // registered, lease held, unfenced
    MEMBER_LEFT,    // said goodbye
    MEMBER_REFUSED  // wrong cluster, directory or id: the process should stop
};

struct member_endpoint {
    const char *listener, *host;
    int32_t port;
};

struct member_lost {
    struct uuid topic_id;
    int32_t partition;
};

struct member_options {
    struct env *env;
    struct controllers *controllers;
    struct follow *follow;
    Millrace__Role role;
    int32_t node_id;          // -1: ask for one
    uint64_t incarnation;     // random per process start
    struct uuid directory_id; // zero for roles without data
    struct uuid cluster_id;   // of the data directory; zero on first start
    const char *rpc_endpoint; // where we listen, as others reach it
    const char *rack, *host;  // may be NULL
    const struct member_endpoint *endpoints;
    size_t endpoint_count;
    const struct member_lost *lost; // told in the first registration of this process
    size_t lost_count;
    // The strings and arrays are copied.

    void *context;
    // The controller has accepted us: persist node and cluster id before returning. Anything but ST_OK:
    // MEMBER_REFUSED.
    enum status (*on_registered)(void *context, int32_t node_id, struct uuid cluster_id);
    // Every change of state. text says why for FENCED and REFUSED, else "".
    void (*on_state)(void *context, enum member_state state, const char *text);
    // Age of the oldest unfinished flush in ms; NULL: not reported.
    int64_t (*flush_age_ms)(void *context);
    // Told with every heartbeat reply while draining: leaderships still held. May be NULL.
    void (*on_leaderships)(void *context, int32_t leaderships);
};

enum status member_new(const struct member_options *options, struct member **member);
void member_destroy(struct member **member);

enum member_state member_state(const struct member *member);
const char *member_state_text(enum member_state state);
int32_t member_node_id(const struct member *member); // -1 before registration
uint64_t member_incarnation(const struct member *member);
// Metadata offset of the present registration; -1 before.
int64_t member_registered_offset(const struct member *member);
// Whether the lease is held now (active; 10 % margin included). Check before anything only an owner may do.
bool member_lease_held(const struct member *member);
// From now on heartbeats say draining: leaderships are to be moved away.
void member_drain(struct member *member);
// Says goodbye: one last heartbeat with leaving=true, at most timeout_ms; then MEMBER_LEFT.
void member_leave(struct member *member, int64_t timeout_ms);

#endif
