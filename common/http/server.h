// SPDX-License-Identifier: Apache-2.0
// Inside of the HTTP server, shared by server.c (library, loop), peers.c (connections), request.c (what
// handlers read) and reply.c (what they send).
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "http/route.h"

#include <microhttpd.h>

enum request_state {
    REQUEST_RECEIVING, // headers known, body arrives
    REQUEST_REFUSED,   // answered before its body was read
    REQUEST_HANDLING,  // inside the handler
    REQUEST_HELD,      // the handler keeps it, the connection is suspended
    REQUEST_ANSWERED   // response is set
};

struct http_request {
    struct http_server *server;
    struct MHD_Connection *connection;
    const char *method; // the library's, valid as long as the request
    enum request_state state;
    struct route_match match;
    struct arena arena;
    struct buf body;
    size_t discarded; // bytes of the body past the limit
    struct MHD_Response *response;
    int code;
    int header_count;
    const char *headers[HTTP_REPLY_HEADERS_MAX][2]; // in the arena
    struct http_stream *stream;                     // of a streamed answer, NULL once it ended
    struct http_request *next, *previous;           // all requests of the server
};

struct http_server {
    struct env *env;
    struct MHD_Daemon *daemon;
    struct http_config config;
    int port;
    int epoll_fd;
    bool run_again;       // a connection was resumed since the library last ran
    unsigned connections; // after the library last ran
    bool stopping;
    struct http_request *requests;
    struct http_peer *peers; // all connections
    struct timer sweep;
    struct metric requests_total;
    struct metric slow_total;
};

// Hands the set response to the library; called inside the library's callback.
enum MHD_Result request_send(struct http_request *request);

// Answers with a short text from inside the library's callback, before or instead of a handler.
enum MHD_Result request_refuse(struct http_request *request, int code, const char *message);

// Answers OPTIONS: 200 without a body; Allow is set.
enum MHD_Result request_allow(struct http_request *request);

// Lets a suspended connection go on at the next turn.
void request_resume(struct http_request *request);

// ---- peers.c ----
void peers_init(struct http_server *server);
// The library tells of a new connection and of one that ends.
void peers_on_change(void *context, struct MHD_Connection *connection, void **memory,
                     enum MHD_ConnectionNotificationCode what);
// Since when the connection's next head, or the body behind the last one, is waited for; 0: none is.
void peer_waits(struct MHD_Connection *connection, int64_t since_us);

// The request is over in the library: frees what a stream holds.
void stream_release(struct http_stream *stream);

#endif
