// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 server on the daemon's loop (libmicrohttpd, no thread of its own): a table of routes with
// {parameters}, whole bodies up to a limit, answers at once, later, or streamed. Unknown paths are answered
// 404, known paths with another method 405 with Allow, HEAD as GET without a body, OPTIONS with Allow alone.
//
//   static const struct http_route routes[] = {
//       {"GET", "/subjects/{subject}/versions", list_versions}};
//   static void list_versions(struct http_request *request, void *context)
//   {
//       const char *subject = http_param(request, "subject");
//       http_reply(request, 200, "application/json", slice_str("[]"));
//   }
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/buf.h"
#include "io/env.h"

struct http_server;
struct http_request;
struct http_stream;

// Answers now, or keeps the request and answers later, exactly once. context: of http_config.
typedef void http_handler_fn(struct http_request *request, void *context);

struct http_route {
    const char *method;      // "GET", "POST", "PUT", "DELETE", "PATCH"
    const char *path;        // "/a/{b}/c": {b} takes one whole segment, percent-decoded (also %2F)
    http_handler_fn *handle; //
};

enum {
    HTTP_BODY_MAX_DEFAULT = 1 << 20,
    HTTP_CONNECTIONS_MAX_DEFAULT = 256,
    HTTP_HEADER_MAX_DEFAULT = 32 << 10, // request line and headers, bytes; above: 431
    HTTP_IDLE_S_DEFAULT = 30,           // a connection without progress is closed; so is, after twice the
                                        // time, one without the whole head, or body, of a request
    HTTP_PARAMS_MAX = 8,
    HTTP_ROUTES_MAX = 256,
    HTTP_REPLY_HEADERS_MAX = 8
};

struct http_table {
    const struct http_route *routes; // borrowed
    size_t count;
    void *context; // handed to these routes' handlers
};

struct http_config {
    struct env *env;
    const char *host;            // numeric address or name
    int port;                    // 0: a free one
    struct http_table tables[2]; // searched in order
    size_t body_max;             // bytes; 0: default; above: 413
    int connections_max;         // 0: default; more wait in the backlog
    size_t header_max;           // 0: default
    int idle_s;                  // 0: default
};

enum status http_server_new(const struct http_config *config, struct http_server **server);
int http_server_port(const struct http_server *server);

// Stops accepting; requests under way go on.
void http_server_quiesce(struct http_server *server);

// Held requests are answered 503, connections closed.
void http_server_destroy(struct http_server **server);

// ---- the request; what it returns is valid until it is answered ----
const char *http_method(const struct http_request *request);
// The decoded value of {name}; a name the route does not have is a bug.
const char *http_param(const struct http_request *request, const char *name);
// Decoded value of a query argument, "" for one without value, NULL when absent or wrongly encoded.
const char *http_query(struct http_request *request, const char *name);
// Every query argument in the order they were sent, decoded; one that is wrongly encoded is left out. each
// may be called with the same name more than once. Texts as of http_query.
void http_query_each(struct http_request *request,
                     void (*each)(const char *name, const char *value, void *context), void *context);
// The route that was found.
const struct http_route *http_matched(const struct http_request *request);
// Request header, names in any case; NULL when absent.
const char *http_header(struct http_request *request, const char *name);
struct slice http_body(const struct http_request *request);

// ---- the answer ----
// Adds a header (copied) to the coming answer; beyond HTTP_REPLY_HEADERS_MAX is a bug.
void http_reply_header(struct http_request *request, const char *name, const char *value);
// Sends code and body (copied). type: content type, NULL for none. The request is gone afterwards.
void http_reply(struct http_request *request, int code, const char *type, struct slice body);
// The same without a copy: the bytes are sent from where they are, and the buf is empty afterwards.
void http_reply_take(struct http_request *request, int code, const char *type, struct buf *body_take);
// {"error_code":code,"message":...} with HTTP status code; the text is escaped.
void http_reply_error(struct http_request *request, int code, const char *message);

// ---- streamed answers ----
enum http_next {
    HTTP_MORE, // something was appended; call again when it is sent
    HTTP_WAIT, // that is all for now: do not call before http_stream_wake
    HTTP_END
};
struct http_source {
    // Appends the next piece to out (empty, at most HTTP_SLICE_MAX bytes are kept).
    enum http_next (*next)(struct buf *out, void *context);
    // The stream has ended, sent whole or because the peer left; context may be freed.
    void (*end)(void *context);
};
enum { HTTP_SLICE_MAX = 64 << 10 };

// Begins a chunked answer fed by source. The stream is valid until end is called.
struct http_stream *http_reply_stream(struct http_request *request, int code, const char *type,
                                      const struct http_source *source, void *context);
void http_stream_wake(struct http_stream *stream);

#endif
