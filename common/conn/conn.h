// SPDX-License-Identifier: Apache-2.0
// Inside of common/conn: the state of a listener and its connections. Not for other folders.
//
// A connection does its work in conn_advance, on an event of its stream or from its listener's ready list
// (one timer per turn). Nothing calls a handler from inside a call the handler made, so handlers may answer
// at any point.
#ifndef CONN_CONN_H
#define CONN_CONN_H

#include "base/map.h"
#include "conn/bytes.h"
#include "conn/listener.h"
#include "conn/output.h"

enum {
    CONN_SCRATCH = 64 << 10, // bytes read ahead at most, also what is copied rather than referenced
    CONN_BULK = 32 << 10,    // a frame of so many bytes is a large one: behind it no more is read ahead than
    CONN_AHEAD_BULK = 512,
    CONN_READS_PER_TURN = 4,      // receive calls of one connection and turn
    CONN_REQUESTS_PER_TURN = 16,  // requests begun by one connection and turn
    CONN_SEND_PER_TURN = 1 << 20, // bytes sent by one connection and turn
    CONN_FRAME_FIRST = 1 << 20,   // first allocation for a frame; doubled as bytes really arrive
};

// A request in progress. The public part is first, so that the one is the other.
struct conn_pending {
    struct conn_request request;
    struct conn *conn;
    struct conn_pending *next; // in order of arrival
    struct conn_output reply;
    bool answered;  // the handler has ended it; reply waits for its turn
    bool announced; // on_cancelled was called
};

// Bytes of a frame that is still being received.
struct conn_frame {
    struct block *block; // len is the room taken so far
    size_t have;
    size_t need; // length of the whole frame; 0: no frame has begun
};

struct conn {
    struct conn_listener *listener;
    struct conn *next, *previous; // all connections of the listener
    struct conn *ready_next;
    bool ready;
    bool closed; // stream gone; freed once no request is left
    bool advancing;
    bool hungup;     // the peer has closed its side
    bool eof;        // nothing more will come
    bool handshaken; // a first whole request came in
    bool starved;    // does not read because of queued_max
    bool blocked;    // output waits for STREAM_WRITABLE
    bool bulk;       // the last frame was a large one
    const char *why; // reason to close, set by whoever finds it
    struct conn_bytes bytes;
    struct conn_peer peer;
    struct conn_pending *first, *last;
    int pending;           // requests begun and not yet taken off the list
    int produces;          // of these, Produce
    int64_t produce_bytes; // frames of those
    struct conn_frame frame;
    uint8_t *ahead; // read but not yet cut into frames
    size_t ahead_len;
    size_t ahead_at;
    struct conn_output output;
    int64_t opened_us;
    int64_t progress_us;
    size_t progress_bytes; // of a frame, since progress_us
};

struct conn_metrics {
    struct metric connections, accepted, refused, closed_bad, closed_idle, requests, in_bytes, out_bytes,
        queued;
    char *labels;
};

struct conn_listener {
    struct env *env;
    struct conn_config config;
    struct conn_handler handler;
    void *context;
    struct listener *port;
    int port_number;
    bool paused; // by the service
    bool full;   // accepting is paused at connections_max
    bool draining;
    conn_drained_fn *on_drained;
    void *drained_context;
    struct conn *first, *last;
    int connections;
    int requests;
    struct map per_ip; // host → int32_t *
    struct conn *ready_first, *ready_last;
    struct timer ready_timer;
    struct timer sweep_timer;
    int64_t queued;      // bytes of frames received and not yet answered
    bool starving;       // some connection does not read because of queued_max
    struct conn *permit; // the one that may finish its frame above queued_max
    int64_t permit_us;   // since when
    uint8_t *scratch;
    int64_t warned_us; // when the last refusal was logged
    int64_t unlogged;  // refusals since then
    struct conn_metrics metrics;
};

// ---- conn.c ----
// Whether a request is in progress that lets none begin behind it.
bool conn_holds_other_than_produce(const struct conn *conn);
struct conn *conn_new(struct conn_listener *listener, struct stream *stream_take, const char *host);
void conn_free(struct conn *conn);
// Does what can be done now: sends, begins requests, closes. May free conn.
void conn_advance(struct conn *conn);
// Closes now and tells the handler about the requests in progress. Not from inside a handler's call.
void conn_close(struct conn *conn, const char *why);

// ---- frame.c: bytes to frames ----
enum conn_cut { CONN_CUT_NONE, CONN_CUT_FRAME, CONN_CUT_BAD };
// Reads what may be read in this turn.
void conn_read(struct conn *conn);
// Cuts the next whole frame, if it is there. *block is the caller's.
enum conn_cut conn_cut(struct conn *conn, struct block **block, struct slice *frame);
// Whether bytes read so far hold a whole frame, and the API key of its request.
bool conn_peek(const struct conn *conn, int16_t *api);
// Moves what is left in the listener's scratch buffer to memory of the connection's own; ends every turn of
// it.
void conn_keep(struct conn *conn);
// Whether more bytes are of use: no whole frame waits.
bool conn_hungry(const struct conn *conn);
// Whether they may be received now.
bool conn_may_read(struct conn *conn);
void conn_frame_fini(struct conn *conn);

// ---- request.c ----
// Parses the header and hands the request to the handler; false: the frame is no request.
bool conn_begin(struct conn *conn, struct block *block_take, struct slice frame);
// Moves finished answers, in order, to the output.
void conn_collect(struct conn *conn);
// Drops the answers of a closed connection.
void conn_drop_answered(struct conn *conn);

// ---- listener.c ----
void conn_listener_ready(struct conn *conn);
void conn_listener_gone(struct conn *conn);
// Accounts received bytes; negative gives them back.
void conn_listener_queue(struct conn_listener *listener, int64_t bytes);
// Whether conn may read on, given queued_max.
bool conn_listener_admits(struct conn *conn);
// Gives the permit to read above queued_max back, when conn has it.
void conn_listener_release(struct conn *conn);
void conn_listener_warn(struct conn_listener *listener, const char *host, const char *why);

#endif
