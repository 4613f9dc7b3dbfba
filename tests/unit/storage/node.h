// SPDX-License-Identifier: Apache-2.0
// A storage node for the tests of API table, relays, split and lists: real listener, rpc and codec on one
// loop; the image is what the test put there; coordinators and the controller are scripted, each with an rpc
// end of its own. Replaces storage.c, so no data directory is needed.
#ifndef TESTS_STORAGE_NODE_H
#define TESTS_STORAGE_NODE_H

#include "conn/client.h"
#include "conn/listener.h"
#include "io/env_posix.h"
#include "protos/controller.pb-c.h"
#include "protos/coordinator.pb-c.h"
#include "protos/storage.pb-c.h"
#include "rpc/rpc.h"
#include "storage.h"

enum { COORDINATORS = 2, SELF = 1, FIRST_COORDINATOR = 11, SHARDS = 4 };

enum mood { ANSWERS, HOLDS, FAILS };

// A scripted owner of requests: a coordinator, or the controller.
struct owner {
    struct transport *transport;
    struct rpc *rpc;
    union {
        Millrace__Coordinator_Service coordinator;
        Millrace__Controller_Service controller;
        Millrace__Storage_Service storage;
    } service;
    char endpoint[64];
    int32_t node;
    enum mood mood;
    enum status failure;         // FAILS
    int failures;                // FAILS: so many, then it answers; 0: for ever
    int relays, cancels, blocks; // seen
    int16_t api;                 // of the last relay
    int topics_created;
    int16_t create_error;    // of CreateTopics; 0: they are made
    int64_t metadata_offset; // told with answers, -1: none
    const char *groups[4];   // listed by ListGroups
    struct rpc_call *held;
    Millrace__RelayReply_Closure held_closure;
    struct block *held_frame;
};

struct node {
    struct env *env;
    struct config *config;
    struct transport *transport;
    struct rpc *rpc;
    struct conn_listener *listener;
    struct conn_client *client;
    struct arena arena; // of answers
    int64_t offset;     // of the last record put
    struct owner controller;
    struct owner coordinators[COORDINATORS];
    struct owner peer; // of node_add_peer
    Millrace__Empty_Closure peer_closure;
};

// The image has this node, SHARDS shards of __consumer_offsets owned in turn by the coordinators, topic "t".
void node_start(struct node *node);
void node_stop(struct node *node);
struct storage *node_storage(void);

// Puts the owner of every shard into the image: i-th shard → coordinator i mod COORDINATORS, or to (>= 0)
// only.
void node_assign(struct node *node, int only);
void node_unassign(struct node *node);
// The same of __transaction_state, which was not there before.
void node_add_transactions(struct node *node);

// Another storage node joins the cluster; it leads topic "u". It serves Applied: node->peer holds the call.
void node_add_peer(struct node *node, int32_t id);
void peer_answer_applied(struct node *node);

// The process of a coordinator dies; a new one begins at another endpoint (so that node_stop can end it).
void coordinator_kill(struct owner *owner);
void coordinator_reopen(struct owner *owner, struct env *env);

// A conn_answer_fn: keeps the status in *(enum status *)context.
void note_status(enum status status, const struct conn_answer *answer, void *context);

// Answers what the owner holds.
void owner_answer_held(struct owner *owner);

// Sends a request and waits for its answer; NULL when the connection was closed instead.
const void *ask(struct node *node, int16_t api, int16_t version, const void *body);

// Sends bytes on a connection of its own and returns what came back within 100 ms, at most room bytes.
int raw_exchange(struct node *node, struct slice bytes, uint8_t *data, size_t room);

void node_turn(struct node *node, int ms);

#endif
