// SPDX-License-Identifier: Apache-2.0
// Private to common/rpc: the insides shared by rpc.c (life, dispatch), frame.c (bytes), peer.c and client.c
// (calls that go out), server.c (calls that come in).
#ifndef RPC_INTERNAL_H
#define RPC_INTERNAL_H

#include "base/arena.h"
#include "base/map.h"
#include "rpc/rpc.h"

#include "protos/envelope.pb-c.h"

enum {
    RPC_ENVELOPE_MAX = 4096,          // bytes of an envelope frame
    RPC_TEXT_MAX = 200,               // bytes of a failure's text
    RPC_WAITING_BYTES_MAX = 64 << 20, // of the frames that wait for a lane to connect; above: ST_LIMIT
    RPC_NESTING_MAX = 8,              // levels of a message type; recursion would overflow the stack
    RPC_UNPACK_FACTOR = 32,           // an unpacked message may take so many times its bytes, plus
    RPC_UNPACK_BASE = 64 << 10        // this; a hostile one blows up 56-fold (stack.md section 5)
};

struct frames {
    struct block *at[TRANSPORT_FRAMES_MAX];
    int count;
};

struct peer_lane {
    struct rpc_peer *peer;
    enum rpc_lane kind;
    struct transport_lane *link; // NULL until the first call
    enum transport_state state;
    struct out_call *first, *last; // in order of correlation
    struct out_call *waits_first;  // of the unsent ones: the lane is not up, or they linger
    size_t waiting_bytes;          // of unsent frames
    struct timer linger;           // sends them
};

struct rpc_peer {
    struct rpc *rpc;
    int refs;
    char *endpoint;
    char *key; // in rpc->peers
    struct rpc_node expected;
    int calls; // in progress
    struct peer_lane lanes[RPC_LANES];
    rpc_watch_fn *on_state;
    void *watch_context;
};

// A call that was made.
struct out_call {
    uint64_t correlation;
    struct rpc *rpc;
    struct peer_lane *lane;                   // NULL once it ends soon
    struct out_call *prev, *next;             // in the lane
    struct out_call *owner_prev, *owner_next; // of those with the same closure_data
    const ProtobufCMessageDescriptor *reply_type;
    ProtobufCClosure closure; // NULL: one-way
    void *closure_data;
    struct timer timer; // deadline; or the next turn, when it ended inside the call that made it
    enum status ended;  // what the timer tells
    const char *ended_text;
    struct frames unsent; // until sent
    bool waiting;         // unsent counts in the lane's waiting_bytes
};

// The stub that rpc_on hands out.
struct stub {
    ProtobufCService service; // first
    struct rpc *rpc;
    struct rpc_peer *peer;
    struct rpc_options options;
};

// A method offered by rpc_serve.
struct method {
    ProtobufCService *service;
    unsigned index;
    const struct rpc_rule *rule;
    const ProtobufCMethodDescriptor *type;
};

// A connection with requests in progress.
struct in_conn {
    uint64_t route;
    int calls;
};

struct rpc_call {
    struct rpc *rpc;
    struct rpc_call *prev, *next; // all in progress
    struct in_conn *conn;
    const struct method *method;
    uint64_t correlation;
    bool oneway;
    struct rpc_sender sender;
    int64_t deadline_us;
    struct arena arena;
    size_t bytes; // of the request's frames
    struct frames payload;
    struct frames reply_payload;
};

struct rpc_metrics {
    struct metric calls, failures, served, refused;
    struct metric late_replies; // answers nobody waits for any more
    struct metric lost_replies; // answers whose connection is gone or full
    struct metric malformed;    // messages dropped because they are not ours
    struct metric unknown;      // kinds, services or methods nobody here offers
    struct metric calls_now, served_now, held_bytes;
};

struct rpc {
    struct env *env;
    struct transport *transport;
    struct rpc_node self;
    uint64_t incarnation;
    struct uuid cluster;
    const struct rpc_rule *rules;
    bool closed;
    struct map methods; // "service/method" → struct method
    struct map types;   // method descriptor's address → rule (callers' side, for look-up only)
    struct map peers;   // endpoint, role and node → struct rpc_peer
    struct map calls;   // correlation → struct out_call
    struct map owners;  // closure data's address → the newest struct out_call with it; only for look-up
    struct map conns;   // route → struct in_conn
    uint64_t last_correlation;
    struct rpc_call *served; // in progress
    int served_count;
    int calls_per_peer;                // in progress, each way
    size_t held_bytes, held_bytes_max; // of the requests in progress
    struct stub stub;
    struct rpc_result result; // of the closure that runs
    struct arena scratch;     // envelopes
    struct rpc_metrics metrics;
    rpc_gone_fn *on_gone; // NULL: nobody wants to know
    void *gone_context;
};

// ---- frame.c ----
// Builds the frames of a message. message NULL: none follows. ST_LIMIT: too large.
enum status frames_pack(struct rpc *rpc, Millrace__Envelope *envelope, const ProtobufCMessage *message,
                        struct block *const *payload, int payload_count, struct frames *frames);
void frames_ref(struct frames *frames, struct block *const *blocks, int count);
void frames_unref(struct frames *frames);
size_t frames_bytes(const struct frames *frames);
// The envelope of a received message, valid until the next one is read; NULL when it is none.
const Millrace__Envelope *envelope_read(struct rpc *rpc, struct block *const *frames, int count);
// Unpacks and checks a message; *message lives in the arena.
enum status message_unpack(const ProtobufCMessageDescriptor *type, const struct block *frame,
                           struct arena *arena, ProtobufCMessage **message);
// Fills in what every envelope carries about us.
void envelope_fill(struct rpc *rpc, Millrace__Envelope *envelope, Millrace__Envelope__Kind kind,
                   uint64_t correlation);
struct rpc_sender envelope_sender(const Millrace__Envelope *envelope);
// Whether the sender may belong to our cluster.
bool envelope_same_cluster(const struct rpc *rpc, const Millrace__Envelope *envelope);

// ---- validate.c ----
// Levels of a message type; more than RPC_NESTING_MAX is a bug in a .proto (recursion).
int message_depth(const ProtobufCMessageDescriptor *type, int limit);
// What unpacking does not check: strings are UTF-8, enum values are known.
bool message_valid(const ProtobufCMessage *message);

// ---- client.c ----
void client_invoke(ProtobufCService *service, unsigned index, const ProtobufCMessage *input,
                   ProtobufCClosure closure, void *closure_data);
void client_on_reply(struct rpc *rpc, struct transport_lane *link, struct block *const *frames, int count);
// Ends a call; its closure runs inside.
void call_end(struct out_call *call, const struct rpc_result *result, const ProtobufCMessage *message);
// Sends what is unsent; the lane is up.
void call_send(struct out_call *call);
// Ends a call at the next turn; text is static.
void call_end_soon(struct out_call *call, enum status status, const char *text);

// ---- peer.c ----
enum status lane_connect(struct peer_lane *lane);
void lane_send_waiting(struct peer_lane *lane); // it is up
void lane_on_state(struct peer_lane *lane, enum transport_state state);
void peers_close(struct rpc *rpc);
void peers_fini(struct rpc *rpc); // frees those whose owners did not release them

// ---- server.c ----
void server_on_request(struct rpc *rpc, uint64_t route, struct rpc_node proven, struct block *const *frames,
                       int count);
void server_fini(struct rpc *rpc);

#endif
