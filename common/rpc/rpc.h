// SPDX-License-Identifier: Apache-2.0
// Calls between daemons: protobuf-c services over a transport. The frames of a message are
// [envelope][message][payload...]; payload frames reference the buffer they came from and are never copied.
//
// Calling:   ProtobufCService *svc = rpc_on(peer, &millrace__storage__descriptor, &options);
//            millrace__storage__append(svc, &request, on_append_reply, context);
//   on_append_reply gets the reply, or NULL when the call failed; rpc_result() tells status, text, payload.
//   A call ends exactly once, never from inside the call that made it: reply, failure told by the peer,
//   deadline (TIMEOUT), lane lost or refused (UNREACHABLE; whether the peer acted is not known), peer
//   released or rpc closed (CLOSED). With a NULL closure the message is one-way and nothing is told.
//
// Serving:   the functions of the generated service struct get (service, request, closure, closure_data);
//   closure_data is a struct rpc_call. Answer by closure(&reply, closure_data) or rpc_fail(), at once or
//   later, exactly once; request and payload stay valid until then. An answer after the deadline is dropped.
#ifndef RPC_RPC_H
#define RPC_RPC_H

#include "base/uuid.h"
#include "io/env.h"
#include "rpc/roles.h"
#include "rpc/transport.h"

#include <protobuf-c/protobuf-c.h>

struct rpc;
struct rpc_peer;
struct rpc_call;

enum {
    RPC_VERSION = 1,           // of the envelope; any other is refused with both numbers named
    RPC_MESSAGE_MAX = 1 << 20, // bytes of a packed message (not payload)
    RPC_TOTAL_MAX = 32 << 20,  // bytes of all frames of a message; each has its lane's limit too
    RPC_PAYLOADS_MAX = 8,      // payload frames of a message
    RPC_DEADLINE_MS_DEFAULT = 30000,
    RPC_DEADLINE_MS_MAX = 600000,
    RPC_CALLS_PER_PEER = 16384, // in progress, each way, unless configured; above: ST_LIMIT
    RPC_CALLS_PEERS = 4,        // over all peers as many as so many of them may have; above: ST_LIMIT
    RPC_HELD_BYTES_MAX =
        512 << 20 // of requests being served, however many, unless configured; above: ST_LIMIT
};

struct rpc_config {
    struct env *env;
    struct transport *transport; // borrowed; outlives the rpc
    struct rpc_node self;
    uint64_t incarnation;         // random per start of the process
    struct uuid cluster;          // zero: not known yet (rpc_set_cluster)
    const struct rpc_rule *rules; // who may call what on which lane; NULL: rpc_rules of roles.c
    int calls_per_peer;           // rpc.calls.per.peer.max; 0: RPC_CALLS_PER_PEER
    size_t held_bytes_max;        // 0: RPC_HELD_BYTES_MAX
};

struct rpc *rpc_new(const struct rpc_config *config);

// Ends every call that was made with CLOSED (closures run inside), accepts nothing any more. Held served
// calls may still be answered, to nobody. Call it before the services are destroyed, rpc_destroy after.
void rpc_close(struct rpc *rpc);
void rpc_destroy(struct rpc **rpc);

// From now on only messages of this cluster (or of senders that know none yet) are accepted; MISMATCH
// otherwise. rpc_set_node: the id given at registration.
void rpc_set_cluster(struct rpc *rpc, struct uuid cluster);
void rpc_set_node(struct rpc *rpc, int32_t node);

// ---- serving ----

// Accepts requests at "tcp://host:port"; *port: the port in use. Addresses other than loopback need keys.
enum status rpc_listen(struct rpc *rpc, const char *endpoint, int *port);

// Offers a generated service. Each of its methods must have a rule (roles.c); a missing one is a bug.
void rpc_serve(struct rpc *rpc, ProtobufCService *service);

struct rpc_sender {
    struct rpc_node node;
    uint64_t incarnation;
};
const struct rpc_sender *rpc_call_sender(const struct rpc_call *call);
// The connection it came by, as rpc_watch_gone names it.
uint64_t rpc_call_connection(const struct rpc_call *call);
// The first payload frame (borrowed until answered; take a reference to keep it), NULL when there is none.
struct block *rpc_call_payload(const struct rpc_call *call);
int rpc_call_payloads(const struct rpc_call *call, struct block *const **blocks);
// When the caller stops waiting, on env_now_us's clock.
int64_t rpc_call_deadline_us(const struct rpc_call *call);
// Attaches payload frames to the answer; takes references. Before the closure.
void rpc_reply_payload(struct rpc_call *call, struct block *const *blocks, int count);
// Answers with a failure; text (copied, at most 200 bytes) says what is wrong, for people.
void rpc_fail(struct rpc_call *call, enum status status, const char *text);

// ---- calling ----

// The peer at "tcp://host:port", made on first use; expected: role and id that must answer there (checked;
// node -1: any of that role). One more reference for the caller. Lanes connect with the first call.
struct rpc_peer *rpc_peer(struct rpc *rpc, const char *endpoint, struct rpc_node expected);
struct rpc_peer *rpc_peer_ref(struct rpc_peer *peer);
// At the last reference the peer's calls end with CLOSED (at the next turn) and its lanes are dropped.
void rpc_peer_release(struct rpc_peer **peer);
const char *rpc_peer_endpoint(const struct rpc_peer *peer);

struct rpc_options {
    int64_t deadline_ms;          // 0: RPC_DEADLINE_MS_DEFAULT
    int64_t linger_us;            // may wait so long for others to go out with; 0: goes at once
    struct block *const *payload; // payload frames; references are taken
    int payload_count;
};

// The stub to call through; it holds for the very next call only. options may be NULL.
ProtobufCService *rpc_on(struct rpc_peer *peer, const ProtobufCServiceDescriptor *service,
                         const struct rpc_options *options);

struct rpc_result {
    enum status status;           // of the call that just ended
    const char *text;             // for people; "" when none
    struct block *const *payload; // borrowed
    int payload_count;
    struct rpc_sender sender; // who answered; role 0 when nobody did
};
// Valid inside a closure only.
const struct rpc_result *rpc_result(const struct rpc *rpc);

// Forgets every call made with that closure data: nothing is told about them. For owners that go away.
void rpc_cancel(struct rpc *rpc, void *closure_data);

// Whether the peer's RPC port still accepts a connection: ST_OK yes, ST_UNREACHABLE refused (the process is
// gone), else not known. Answers once, within 1 s; not tied to the peer's life.
void rpc_probe(struct rpc *rpc, const char *endpoint, transport_probe_fn *on_probe, void *context);

// Told of a connection of others to us that has ended, by the number rpc_call_connection gives; a hint, see
// transport.h. One watcher.
typedef void rpc_gone_fn(void *context, uint64_t connection);
void rpc_watch_gone(struct rpc *rpc, rpc_gone_fn *on_gone, void *context);

// Told when a peer's lane goes up, is lost or refused; one watcher per peer, NULL ends it.
typedef void rpc_watch_fn(struct rpc_peer *peer, enum rpc_lane lane, enum transport_state state,
                          void *context);
void rpc_peer_watch(struct rpc_peer *peer, rpc_watch_fn *on_state, void *context);

#endif
