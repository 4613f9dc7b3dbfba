// SPDX-License-Identifier: Apache-2.0
// What carries RPC messages: six functions that hide ZeroMQ. zmq.c is the real one; the simulator brings one
// that loses, delays, duplicates and reorders. A message is a list of frames (blocks). A daemon has one bound
// end, where requests come in and are answered by route, and per peer one lane of each kind, where requests
// go out and replies come back. Delivery is not promised: what was sent when a lane went down may be lost
// silently, so rpc.c fails a lane's calls when it hears TRANSPORT_LOST.
//
// Events are told on the loop thread, never from inside a call of the six functions.
#ifndef RPC_TRANSPORT_H
#define RPC_TRANSPORT_H

#include "base/block.h"
#include "base/status.h"

#include <stdint.h>

enum {
    TRANSPORT_FRAMES_MAX = 10,                         // envelope, message, payload frames
    TRANSPORT_CONTROL_FRAME_MAX = 1 << 20,             // bytes of any frame on the control lane
    TRANSPORT_BULK_FRAME_MAX = (16 << 20) + (64 << 10) // relay.max.bytes and some room for headers
};

enum rpc_lane { RPC_CONTROL, RPC_BULK, RPC_LANES };

// Roles are bits, so that a rule can allow several.
enum rpc_role {
    RPC_CONTROLLER = 1,
    RPC_STORAGE = 2,
    RPC_COORDINATOR = 4,
    RPC_TOOL = 8, // the command line and tests
    RPC_REGISTRY = 16,
    RPC_ROLE_LAST = RPC_REGISTRY,
    RPC_ANY_ROLE = 0xffff
};

// Who a daemon is, or whom an address belongs to. node -1: not known yet.
struct rpc_node {
    enum rpc_role role;
    int32_t node;
};

enum transport_state {
    TRANSPORT_CONNECTING, // first attempt, or the first after a loss
    TRANSPORT_UP,         // messages go out
    TRANSPORT_LOST,       // was up: everything in flight is lost; it tries again by itself
    TRANSPORT_REFUSED     // an attempt failed; it tries again by itself
};

struct transport;

// First member of every implementation's lane.
struct transport_lane {
    void *user; // set by rpc.c after connect
};

// Told by the transport to its one user (rpc.c). Frames are the callee's to ref; released after the call.
struct transport_events {
    // A message arrived at the bound end. route answers it. proven: whom the connection's key belongs to
    // (role 0 when the connection is not authenticated by a key; node -1 when the key is a role's).
    void (*on_request)(void *context, uint64_t route, struct rpc_node proven, struct block *const *frames,
                       int count);
    // A message arrived on a lane.
    void (*on_reply)(void *context, struct transport_lane *lane, struct block *const *frames, int count);
    // A connection of the bound end has ended, as far as that is noticed. A hint: where descriptors are used
    // again at that moment the route may be the next connection's.
    void (*on_gone)(void *context, uint64_t route);
    // A lane changed its state.
    void (*on_state)(void *context, struct transport_lane *lane, enum transport_state state);
};

// status: ST_OK the port accepts connections; ST_UNREACHABLE it refuses (the process is gone); ST_TIMEOUT or
// anything else: not known.
typedef void transport_probe_fn(void *context, enum status status);

struct transport_ops {
    // Opens the bound end, "tcp://127.0.0.1:0" picks a free port; *port tells which.
    enum status (*bind)(struct transport *transport, const char *endpoint, int *port);
    // Starts a lane to a peer; connecting goes on until disconnect. ST_DENIED: the address needs keys and
    // there are none, or none of the expected node.
    enum status (*connect)(struct transport *transport, const char *endpoint, struct rpc_node expected,
                           enum rpc_lane kind, struct transport_lane **lane);
    // Sends on a lane; takes references of its own. ST_AGAIN: not up, or too much waits to be sent.
    enum status (*send)(struct transport *transport, struct transport_lane *lane, struct block *const *frames,
                        int count);
    // Sends to the connection a request came from. ST_UNREACHABLE: it is gone. ST_AGAIN: too much waits.
    enum status (*answer)(struct transport *transport, uint64_t route, struct block *const *frames,
                          int count);
    // Asks whether somebody listens at the endpoint, by a plain connection. Answers once, within 1 s.
    void (*probe)(struct transport *transport, const char *endpoint, transport_probe_fn *on_probe,
                  void *context);
    // Drops a lane; nothing is told about it afterwards.
    void (*disconnect)(struct transport *transport, struct transport_lane **lane);
};

// First member of every implementation. The maker creates and destroys it; rpc_new sets events and context.
struct transport {
    const struct transport_ops *ops;
    const struct transport_events *events;
    void *context; // for events
};

#endif
