// SPDX-License-Identifier: Apache-2.0
// A scripted controller for tests: serves RegisterNode, Heartbeat, Follow and AllocateProducerIds over real
// sockets on the test's own loop, and counts what it is asked.
#ifndef TESTS_CLUSTER_VOTER_H
#define TESTS_CLUSTER_VOTER_H

#include "cluster/image.h"
#include "io/env_posix.h"
#include "protos/controller.pb-c.h"
#include "rpc/rpc.h"
#include "rpc/zmq.h"

enum voter_mood {
    VOTER_ANSWERS,
    VOTER_NOT_LEADER, // with the hint as text
    VOTER_SILENT,     // never answers
    VOTER_FAILS       // with `failure`
};

struct voter {
    struct transport *transport;
    struct rpc *rpc;
    Millrace__Controller_Service service;
    char endpoint[64];
    enum voter_mood mood;
    enum status failure;
    const char *hint;
    const char *tells; // address of a controller in answers to heartbeats; NULL: none
    int registered, heartbeats, follows, allocated; // requests seen
    bool fenced, left;
    int32_t told_max; // of transaction.version by the last registration
    int32_t lease_ms;
    int64_t commit_offset;
    struct buf log; // payload of Follow: everything from offset 0 on
    int64_t log_count;
    int64_t snapshot_offset; // >= 0: Follow answers with a snapshot of `log` in chunks of chunk_bytes
    size_t chunk_bytes;
    uint8_t cluster; // sixteen of these
};

// A client process' side: the loop, and an rpc that calls as a storage node.
struct client {
    struct env *env;
    struct transport *transport;
    struct rpc *rpc;
};

void client_start(struct client *client);
void client_stop(struct client *client);
void voter_start(struct voter *voter, struct env *env);
void voter_stop(struct voter *voter);

// Adds a topic record to the voter's log, or, name NULL, an entry without a record.
void voter_log_topic(struct voter *voter, uint8_t id, const char *name);

// Turns the loop until the condition holds; fails the test after 10 s.
#define turn_until(client, condition)                                                                        \
    for (int64_t end_ = env_now_us((client)->env) + 10000000; !(condition);                                  \
         env_posix_turn((client)->env, 10000))                                                               \
    cr_assert_lt(env_now_us((client)->env), end_, "waited for " #condition)

void turn_for(struct client *client, int64_t ms);

#endif
