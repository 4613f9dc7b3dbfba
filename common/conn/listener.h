// SPDX-License-Identifier: Apache-2.0
// Kafka over sockets, server side. A listener accepts connections, cuts the byte stream into frames (4-byte
// length, request), parses the request header and hands each request to its handler; answers leave in the
// order of the requests. What the handler sees of a frame is a slice of a reference-counted block, so record
// bytes are kept by taking a reference. First step of a record's way; next is the API table of the service.
//
// Life of a request: on_request → exactly one of conn_reply, conn_reply_raw, conn_no_reply,
// conn_close_request, from inside on_request or any time later; the request is gone after that call. When the
// client goes away first, on_cancelled tells it once (never from inside a call of this header); the request
// must still be ended by one of the four, at once or later, and what it answers is dropped.
//
// One request of a connection is in progress at a time, except that consecutive Produce requests overlap (up
// to produce_in_flight_max and produce_bytes_max). Meanwhile the socket is read no further than 64 KiB, or
// behind Produce requests the frame that is being received.
#ifndef CONN_LISTENER_H
#define CONN_LISTENER_H

#include "base/block.h"
#include "base/slice.h"
#include "io/env.h"

struct conn_listener;
struct conn;
struct kafka_out; // kafka/codec.h

// Who the client is. Filled by the authenticator; with none every client is "User:ANONYMOUS".
struct conn_peer {
    uint64_t session;     // unique in this process, never 0
    const char *listener; // name of the listener it came in by
    char host[64];        // numeric address of the client
    char principal[128];  // e.g. "User:ANONYMOUS"
    char software[64];    // client software name of ApiVersions, "" until told
    char software_version[64];
    void *user; // the handler's, kept with the connection; see conn_handler.on_closed
};

struct conn_request {
    struct conn_peer *peer;
    struct block *block;    // holds frame; take a reference to keep record bytes beyond the request
    struct slice frame;     // the request from its header on, without the length prefix
    struct slice body;      // behind the header
    struct slice client_id; // inside frame; data NULL when the client sent null
    int16_t api;
    int16_t version;
    int32_t correlation;
    bool cancelled;      // the client is gone, on_cancelled was or is about to be called
    int64_t received_us; // env clock, when its last byte came in
    void *user;          // the handler's
};

struct conn_handler {
    void (*on_request)(struct conn_request *request, void *context);
    void (*on_cancelled)(struct conn_request *request, void *context);
    // The connection is gone and has no request left; frees peer->user. May be NULL.
    void (*on_closed)(struct conn_peer *peer, void *context);
};

// Names the client of a fresh connection; later also steps through SASL. May be NULL: anonymous.
struct conn_authenticator {
    // Writes the principal of a client that has sent nothing yet; false refuses the connection.
    bool (*on_connect)(void *context, const char *listener, const char *host, char *principal, size_t size);
    void *context;
};

struct conn_config {
    const char *name;               // e.g. "PLAINTEXT"; copied
    const char *host;               // address to bind; copied
    int port;                       // 0: any free one
    int32_t request_max;            // socket.request.max.bytes, 100 MiB
    int32_t handshake_max;          // largest first request where there is an authenticator, 256 KiB
    int32_t connections_max;        // max.connections, 10,000
    int32_t connections_per_ip_max; // max.connections.per.ip, 10,000
    int64_t idle_ms;      // connections.max.idle.ms, 10 minutes; progress = a frame, 64 KiB, or output
    int64_t handshake_ms; // a connection without a whole first request is closed after it, 10 s; also one
                          // that takes so long for a request while others are not read for queued_max
    int64_t queued_max;   // queued.max.request.bytes: above it nothing more is read, 128 MiB
    int32_t produce_in_flight_max; // overlapping Produce requests of one connection, 256
    int64_t produce_bytes_max;     // bytes of these above which no further one is taken, 16 MiB
    int64_t output_max;            // unsent reply bytes above which no further request is taken, 1 MiB
    const struct conn_authenticator *authenticator; // borrowed
};

// The defaults named above, name "PLAINTEXT", 127.0.0.1:9092.
struct conn_config conn_config_default(void);

// Everything but the port: nothing listens before conn_listener_open. Never NULL.
struct conn_listener *conn_listener_new(struct env *env, const struct conn_config *config,
                                        const struct conn_handler *handler, void *context);

// Binds and accepts. Fails as env_listen does; may be tried again.
enum status conn_listener_open(struct conn_listener *listener);

// The bound port, 0 while not open.
int conn_listener_port(const struct conn_listener *listener);

// New connections_max and connections_per_ip_max, both > 0; connections that are there stay.
void conn_listener_limit(struct conn_listener *listener, int32_t connections_max, int32_t per_ip_max);

// Stops or resumes accepting new connections; existing ones are served.
void conn_listener_pause(struct conn_listener *listener, bool paused);

// Stops accepting and reading, waits for the requests in progress, sends their answers, closes each
// connection, then calls on_drained once (from the loop). The handler should end held requests soon.
typedef void conn_drained_fn(void *context);
void conn_listener_drain(struct conn_listener *listener, conn_drained_fn *on_drained, void *context);

// Closes every connection and calls on_cancelled for what is in progress, before it returns; the handler ends
// each of these requests inside that call. Then frees the listener.
void conn_listener_destroy(struct conn_listener **listener);

// Open connections and requests in progress, for dumps.
int conn_listener_connections(const struct conn_listener *listener);
int conn_listener_requests(const struct conn_listener *listener);

// ---- the four ends of a request ----

// Sends the encoded response body behind a response header of the right version. Takes what out holds, also
// when the client is gone, and leaves it empty.
void conn_reply(struct conn_request *request, struct kafka_out *out_take);

// Sends a whole response, header included, as relayed from its owner; its correlation id must be the
// client's.
void conn_reply_raw(struct conn_request *request, struct block *response_take);

// Nothing is sent: Produce with acks=0.
void conn_no_reply(struct conn_request *request);

// Closes the connection without an answer: a request that cannot be understood, acks=0 with an error.
void conn_close_request(struct conn_request *request, const char *why);

#endif
