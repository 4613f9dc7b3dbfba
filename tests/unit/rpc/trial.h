// SPDX-License-Identifier: Apache-2.0
// A daemon for the tests of common/rpc: environment, transport, rpc and the trial service in one.
#ifndef UNIT_RPC_TRIAL_H
#define UNIT_RPC_TRIAL_H

#include "base/mem.h"
#include "io/env_posix.h"
#include "rpc/curve.h"
#include "rpc/rpc.h"
#include "rpc/zmq.h"

#include "trial.pb-c.h"

enum { HELD_MAX = RPC_CALLS_PER_PEER };

struct trial {
    struct env *env;
    struct transport *transport;
    struct rpc *rpc;
    Trial__Trial_Service service;
    char endpoint[64];
    struct rpc_call *held[HELD_MAX];
    int held_count;
    int served;
    int echo_us; // what an Echo takes
    uint64_t last_number;
    struct rpc_sender last_sender;
    uint64_t last_connection;
};

// What a closure saw.
struct outcome {
    struct trial *trial;
    int count;
    enum status status;
    char text[256];
    uint64_t number;
    size_t payload_len;
    int payload_count;
    uint8_t payload_first;
};

extern const struct rpc_rule trial_rules[];

// role/node of the daemon; keys may be NULL. bind NULL: it only calls.
void trial_start(struct trial *trial, struct rpc_node self, struct curve_keys *keys_take, const char *bind);
// The same with rpc's limits: calls_per_peer, held_bytes_max.
void trial_start_limited(struct trial *trial, struct rpc_node self, const char *bind,
                         const struct rpc_config *limits);
void trial_stop(struct trial *trial);
// As trial_start, in a process of its own; returns its pid and fills in the endpoint.
int trial_fork(struct rpc_node self, char endpoint[64]);

void trial_turn(struct trial *one, struct trial *other); // other may be NULL
// Turns until outcome->count reaches count, at most 10 s.
void trial_await(struct trial *one, struct trial *other, const struct outcome *outcome, int count);
// Turns until *number is at least wanted, at most 10 s.
void trial_await_int(struct trial *one, struct trial *other, const int *number, int wanted);
void trial_turns_for(struct trial *one, struct trial *other, int64_t ms);

void outcome_note(const Trial__Answer *answer, void *context);
void trial_ask(struct rpc_peer *peer, uint64_t number, const struct rpc_options *options,
               struct outcome *outcome); // Echo

int64_t trial_metric(struct trial *trial, const char *name);
int64_t trial_resident_bytes(int pid); // 0: this process

#endif
