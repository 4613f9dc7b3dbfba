// SPDX-License-Identifier: Apache-2.0
// The transport over ZeroMQ: one ROUTER as the bound end, a DEALER per lane, all on the loop's thread.
#ifndef RPC_ZMQ_H
#define RPC_ZMQ_H

#include "io/env.h"
#include "rpc/transport.h"

struct curve_keys;

// env: the real one. keys: own key pair and the keys of all daemons (rpc/curve.h; taken over); with them
// every connection is encrypted and proven. NULL: plain, loopback addresses only.
struct transport *zmq_transport_new(struct env *env, struct curve_keys *keys_take);

// After rpc_destroy. Blocks that were received may live on.
void zmq_transport_destroy(struct transport **transport);

#endif
