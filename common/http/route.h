// SPDX-License-Identifier: Apache-2.0
// Finding the route of a request: pure, no library. Paths are split at '/' before they are percent-decoded,
// so that a parameter may contain an encoded slash.
#ifndef HTTP_ROUTE_H
#define HTTP_ROUTE_H

#include "base/arena.h"
#include "http/http.h"

struct route_match {
    const struct http_route *route;
    void *context;
    int param_count;
    struct slice names[HTTP_PARAMS_MAX]; // within the route's path
    const char *values[HTTP_PARAMS_MAX]; // decoded, in the arena
};

// The route of method and raw path (without query). OK; MALFORMED: bad percent-encoding (or an encoded NUL);
// NOT_FOUND: no such path; UNSUPPORTED: another method, allow has the list for Allow; NO_MEMORY: arena full.
enum status route_find(const struct http_table *tables, size_t table_count, const char *method,
                       const char *path, struct arena *arena, struct route_match *match, struct buf *allow);

// Percent-decodes into the arena; MALFORMED for a broken escape or an encoded NUL.
enum status percent_decode(struct slice text, struct arena *arena, const char **decoded);

#endif
