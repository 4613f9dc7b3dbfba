// SPDX-License-Identifier: Apache-2.0
// Private to the ZeroMQ transport: zmq.c (bound end, life), zmq_lane.c, zsock.c (a socket in the loop),
// zmsg.c (frames), zap.c (who may connect), hoard.c, resolve.c, probe.c.
#ifndef RPC_ZMQ_INTERNAL_H
#define RPC_ZMQ_INTERNAL_H

#include "base/map.h"
#include "io/env_posix.h"
#include "rpc/curve.h"
#include "rpc/rpc.h"
#include "rpc/zmq.h"

#include <sys/socket.h>
#include <zmq.h>

enum {
    ZMQ_HANDSHAKE_MS = 1000,
    ZMQ_BEAT_MS = 400,         // ZMTP heartbeat of the side that connects; a silent peer
    ZMQ_BULK_BEAT_MS = 1000,   // the same of bulk lanes: what waits there waits for a new owner or leader too
    ZMQ_BEAT_TIMEOUT_MS = 400, // is lost so long after one, on both sides
    ZMQ_ACCEPTED_BEAT_MS = 5000,            // of the other side, for peers that send none
    ZMQ_RECONNECT_MS = 5,                   // first pause before connecting again, doubling up to
    ZMQ_RECONNECT_MS_MAX = 200,             // this
    ZMQ_RESOLVE_AGAIN_MS = 500,             // a name whose lane is not up is looked up again
    ZMQ_QUEUE_MAX = 4 * RPC_CALLS_PER_PEER, // messages waiting per connection and direction: more than
                                            // there are calls in progress, since an answer finds room or
                                            // is lost
    ZMQ_BYTES_MAX = 128 << 20,              // waiting to be sent over all connections; above: ST_AGAIN
    ZMQ_HOARD_MAX = 3 * TRANSPORT_BULK_FRAME_MAX, // received on a connection without a whole message
    ZMQ_HOARD_CHECK_MS = 20, // (tune) busy connections are looked at so often: loopback brings 4 GB/s
    ZMQ_SHARE = 64,          // messages taken from one socket per turn,
    ZMQ_SHARE_US = 4000,     // (tune) none after so long, of the 10 ms a turn has
    ZMQ_COPY_MAX = 1024      // frames up to this size are copied, larger ones travel by reference
};

struct zmq_transport;
struct zsock;

// One message was received, or an event of a monitor.
typedef void zsock_fn(struct zsock *zsock, zmq_msg_t *messages, int count);

// A ZeroMQ socket in the loop. Its descriptor is edge-triggered: after every send it must be received from
// until there is nothing before the loop sleeps, so a touched socket is marked and served by the hook.
struct zsock {
    struct zmq_transport *zt;
    void *socket;
    int fd;
    zsock_fn *on_message;
    void *owner;
    bool marked; // in the list of sockets to serve
    bool dead;   // freed when the list is through with it
    struct zsock *next;
};

struct zap; // who may connect: a thread of its own

struct zmq_transport {
    struct transport transport; // first
    struct env *env;
    void *context;
    struct curve_keys *keys; // NULL: plain
    struct zap *zap;
    struct job_queue *names; // threads that wait for name servers, made with the first name
    struct zsock *router;
    struct zsock *router_monitor;
    struct map conns; // accepted descriptor → struct hoard_conn
    int hoard_fd;     // the epoll set of them
    struct timer hoard_timer;
    int64_t hoard_told_us; // when the set last told
    bool hoard_due;
    struct zsock *marked_first, *marked_last;
    uint64_t monitors; // names the next monitor's endpoint
    int lanes;
    struct metric bytes_waiting; // sent but not yet taken by the kernel; large frames only
    struct metric foreign;
    struct metric hoarders;
    struct probe *probes;
};

// zsock.c
struct zsock *zsock_new(struct zmq_transport *zt, int type, zsock_fn *on_message, void *owner);
void zsock_close(struct zsock **zsock);
void zsock_mark(struct zsock *zsock);
void zsock_start(struct zsock *zsock); // once connected or bound: into the loop
int64_t zsock_hook(void *zt);
void zsock_option(void *socket, int option, int value);
void zsock_options(void *socket, int64_t frame_max);          // what every connection has
void zsock_beats(void *socket, int every_ms, int timeout_ms); // the timeout is told to the peer, as its own
void zsock_domain(void *socket); // of a listener: libzmq then turns peers of ZMTP 1 and 2 away
void zsock_keys(struct zsock *zsock, const char *server_key); // NULL: it is the server
// A socket that hears of another one's events (ZMQ_EVENT_ bits); it has the same owner.
struct zsock *zsock_monitor(struct zsock *watched, int events, zsock_fn *on_event);
uint16_t zsock_event(zmq_msg_t *messages, int *number); // of a monitor's message; number may be NULL

// zmq.c: whether an address may be used with the keys there are; says so in the log when not
bool zmq_address_allowed(struct zmq_transport *zt, const char *endpoint);

// zmq_lane.c
enum status lane_open(struct transport *transport, const char *endpoint, struct rpc_node expected,
                      enum rpc_lane kind, struct transport_lane **out);
enum status lane_send(struct transport *transport, struct transport_lane *out, struct block *const *frames,
                      int count);
void lane_close(struct transport *transport, struct transport_lane **out);

// resolve.c
struct resolved {
    struct sockaddr_storage address;
    socklen_t len;
    char endpoint[80]; // "tcp://192.0.2.1:9092"
};
typedef void resolve_fn(void *context, enum status status, const struct resolved *resolved);
bool resolve_numeric(const char *endpoint, struct resolved *resolved);    // false: it is a name, or nothing
enum status resolve_now(const char *endpoint, struct resolved *resolved); // may block
struct resolve *resolve_start(struct zmq_transport *zt, const char *endpoint, resolve_fn *on_resolved,
                              void *context);
void resolve_cancel(struct resolve **resolve); // nothing is told any more
void resolve_fini(struct zmq_transport *zt);   // all are cancelled

// zmsg.c
struct block *zmsg_block(zmq_msg_t *message_take);
// Sends the frames, the first ones behind a routing id when route is not NULL. ST_AGAIN, ST_UNREACHABLE.
enum status zmsg_send(struct zsock *zsock, const struct slice *route, struct block *const *frames, int count);

// zap.c
struct zap *zap_new(void *context, struct curve_keys *keys);
void zap_join(struct zap **zap); // after zmq_ctx_shutdown
// The node a connection's key belongs to, as the handler wrote it; role 0 when it has none.
struct rpc_node zap_node(zmq_msg_t *message);

// hoard.c
void hoard_init(struct zmq_transport *zt);
void hoard_fini(struct zmq_transport *zt);
void hoard_accepted(struct zmq_transport *zt, int fd);
void hoard_delivered(struct zmq_transport *zt, zmq_msg_t *message, uint64_t route);
// The connection has ended. True with its route when it ever delivered a message.
bool hoard_gone(struct zmq_transport *zt, int fd, uint64_t *route);
void hoard_turn(struct zmq_transport *zt); // all that was delivered has been taken

// probe.c
void probe_start(struct transport *transport, const char *endpoint, transport_probe_fn *on_probe,
                 void *context);
void probes_fini(struct zmq_transport *zt);

#endif
