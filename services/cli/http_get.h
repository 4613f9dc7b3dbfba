// SPDX-License-Identifier: Apache-2.0
// One HTTP request of a daemon's admin port or REST interface, blocking, answer in memory.
#ifndef CLI_HTTP_GET_H
#define CLI_HTTP_GET_H

#include "base/buf.h"

enum { HTTP_GET_BYTES_MAX = 256 << 20 };

// GET path (percent-encoded) at "host:port". body (initialised by the caller with the most it may hold) gets
// what follows the headers, *code the answer's. wait_ms is for the whole exchange. INVALID: not an address;
// UNREACHABLE, TIMEOUT, CLOSED; MALFORMED: no HTTP; LIMIT: longer than body may be.
enum status http_get(const char *address, const char *path, int wait_ms, struct buf *body, int *code);

// Any method with JSON in a body; as http_get otherwise.
struct http_ask {
    const char *address, *method, *path;
    const char *header; // one more, "Name: value"; NULL: none
    struct slice json;  // data NULL: no body
    int wait_ms;
};
enum status http_ask(const struct http_ask *ask, struct buf *body, int *code);

// Appends text as one segment of a path: everything but letters, digits, "-._~" percent-encoded.
void http_put_segment(struct buf *out, const char *text);

#endif
