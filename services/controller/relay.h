// SPDX-License-Identifier: Apache-2.0
// Admin requests of Kafka clients, passed on by storage nodes as raw frames: decode, authorise, decide,
// append, and answer when it is committed. One file per API; the table is in relay.c.
#ifndef CONTROLLER_RELAY_H
#define CONTROLLER_RELAY_H

#include "cluster/authorise.h"
#include "state.h"
#include "topics.h"

// One request under way. request and response are the API's structures; response has its defaults set.
struct relay {
    struct controller *controller;
    struct principal principal;
    int16_t version;
    struct arena arena;
    const void *request;
    void *response;
    bool appended;      // something was decided: its outcome must not be guessed
    enum status failed; // the whole request fails with this status instead of a response
    bool validate_only;
};

typedef void relay_fn(struct relay *relay);

relay_fn create_topics, delete_topics, create_partitions, incremental_alter_configs, alter_configs;
relay_fn elect_leaders, alter_partition_reassignments, list_partition_reassignments, unregister_broker;
relay_fn update_features, describe_quorum, add_raft_voter, remove_raft_voter;

void relay_request(struct controller *controller, const Millrace__RelayRequest *request,
                   Millrace__RelayReply_Closure closure, struct rpc_call *call);

// Appends unless the request only validates. false: *error says why (or relay->failed is set).
bool relay_append(struct relay *relay, const struct decision *decision, struct topics_error *error);

// The text of an error in the relay's arena; a NULL slice when there is none.
struct slice relay_text(struct relay *relay, const struct topics_error *error);

#endif
