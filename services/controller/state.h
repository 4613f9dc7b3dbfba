// SPDX-License-Identifier: Apache-2.0
// Inside of the controller: what its files share. controller.c wires it together; each other file is one
// decision or one duty, and changes metadata only through metadata_append.
#ifndef CONTROLLER_STATE_H
#define CONTROLLER_STATE_H

#include "controller.h"
#include "feed.h"
#include "metadata.h"
#include "observers.h"
#include "quorum.h"
#include "store.h"
#include "voters.h"

struct nodes;
struct formation;
struct joining;

struct controller {
    struct controller_options options;
    struct env *env;
    const struct config *config;
    struct rpc *rpc;
    int32_t node_id;
    struct voters voters;
    struct store *store;
    struct quorum *quorum;     // NULL until the cluster is formed
    struct metadata *metadata; // likewise
    struct feed *feed;
    struct formation *formation;
    struct joining *joining;
    struct observers observers;        // while leading
    char endpoint[RAFT_ENDPOINT_SIZE]; // of this one for other controllers; "": none that they could use
    struct nodes *nodes;
    Millrace__Controller_Service service;
    struct timer tick;
    int64_t balanced_ms;    // when leadership was balanced last
    int64_t moved_ms;       // when the balancer looked last
    int64_t even_offset;    // of the metadata when it found nothing to do
    int64_t ensured_offset; // of it when internal topics lacked nothing, -1: look again
    int64_t low_told_ms;    // when lack of space was told last
    bool failed;
    void (*drained)(void *context);
    void *drained_context;
    int64_t drain_until_ms;
    struct metric is_active, term, offset, nodes_live, log_bytes, moving;
};

// The quorum begins to work: the directory is formatted. FAILED is told by on_fail.
void controller_form(struct controller *controller);

// Ends a call that only the active controller may answer: NOT_LEADER with the active one's endpoint.
void controller_redirect(struct controller *controller, struct rpc_call *call);

// A decision of our own (no caller waits for it): appends it. False: it is refused, and a diag line says so.
bool controller_decide(struct controller *controller, const struct decision *decision, const char *what);

#endif
