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

const char *http_header(struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

struct slice http_body(const struct http_request *request)
{
    return buf_slice(&request->body);
}
