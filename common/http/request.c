// SPDX-License-Identifier: Apache-2.0
// What a handler reads of its request. See http.h.
#include "http/server.h"

#include "base/assert.h"

const char *http_method(const struct http_request *request)
{
    return request->method;
}

const char *http_param(const struct http_request *request, const char *name)
{
    for (int i = 0; i < request->match.param_count; i++)
        if (slice_is(request->match.names[i], name))
            return request->match.values[i];
    UNREACHABLE("parameter is not in the route's path");
}

const char *http_query(struct http_request *request, const char *name)
{
    const char *raw = NULL;
    size_t len = 0;
    if (MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name), &raw,
                                      &len) != MHD_YES)
        return NULL;
    const char *decoded;
    if (raw == NULL)
        return "";
    return percent_decode(slice_of(raw, len), &request->arena, &decoded) == ST_OK ? decoded : NULL;
}

struct query_walk {
    struct http_request *request;
    void (*each)(const char *name, const char *value, void *context);
    void *context;
};

static enum MHD_Result query_one(void *closure, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct query_walk *walk = closure;
    struct arena *arena = &walk->request->arena;
    const char *decoded_name, *decoded_value;
    if (percent_decode(slice_str(name), arena, &decoded_name) == ST_OK &&
        percent_decode(slice_str(value != NULL ? value : ""), arena, &decoded_value) == ST_OK)
        walk->each(decoded_name, decoded_value, walk->context);
    return MHD_YES;
}

void http_query_each(struct http_request *request,
                     void (*each)(const char *name, const char *value, void *context), void *context)
{
    struct query_walk walk = {request, each, context};
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, query_one, &walk);
}

const struct http_route *http_matched(const struct http_request *request)
{
    return request->match.route;
}

const char *http_header(struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

struct slice http_body(const struct http_request *request)
{
    return buf_slice(&request->body);
}
