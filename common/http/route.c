// SPDX-License-Identifier: Apache-2.0
// Route table lookup and percent-decoding. Tables are small and walked in order; the first match wins. See
// route.h.
#include "http/route.h"

enum status percent_decode(struct slice text, struct arena *arena, const char **decoded)
{
    char *out = arena_alloc(arena, text.len + 1);
    if (out == NULL)
        return ST_NO_MEMORY;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        int c = text.data[i];
        if (c == '%') {
            if (i + 2 >= text.len)
                return ST_MALFORMED;
            int high = hex_digit(text.data[i + 1]);
            int low = hex_digit(text.data[i + 2]);
            if (high < 0 || low < 0 || (high == 0 && low == 0))
                return ST_MALFORMED;
            c = high << 4 | low;
            i += 2;
        }
        out[len++] = (char)c;
    }
    out[len] = '\0';
    *decoded = out;
    return ST_OK;
}

// Takes the segment up to the next '/' off the front; false when nothing is left.
static bool segment_next(const char **path, struct slice *segment)
{
    if (**path != '/')
        return false;
    size_t len = strcspn(*path + 1, "/");
    *segment = slice_of(*path + 1, len);
    *path += 1 + len;
    return true;
}

static bool is_param(struct slice pattern)
{
    return pattern.len > 2 && pattern.data[0] == '{' && pattern.data[pattern.len - 1] == '}';
}

// Whether the path has the pattern's shape; parameters are left raw in raw[].
static bool shape_matches(const char *pattern, const char *path, struct route_match *match, struct slice *raw)
{
    match->param_count = 0;
    struct slice want, got;
    while (segment_next(&pattern, &want)) {
        if (!segment_next(&path, &got))
            return false;
        if (is_param(want)) {
            if (match->param_count == HTTP_PARAMS_MAX || got.len == 0)
                return false;
            match->names[match->param_count] = slice_of(want.data + 1, want.len - 2);
            raw[match->param_count++] = got;
        } else if (!slice_equal(want, got)) {
            return false;
        }
    }
    return *path == '\0';
}

static enum status params_decode(struct route_match *match, const struct slice *raw, struct arena *arena)
{
    enum status status = ST_OK;
    for (int i = 0; i < match->param_count && status == ST_OK; i++)
        status = percent_decode(raw[i], arena, &match->values[i]);
    return status;
}

static void allow_add(struct buf *allow, const char *method)
{
    buf_printf(allow, "%s%s", allow->len > 0 ? ", " : "", method);
    if (strcmp(method, "GET") == 0)
        buf_printf(allow, ", HEAD");
}

enum status route_find(const struct http_table *tables, size_t table_count, const char *method,
                       const char *path, struct arena *arena, struct route_match *match, struct buf *allow)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    struct slice raw[HTTP_PARAMS_MAX];
    bool path_known = false;
    for (size_t t = 0; t < table_count; t++) {
        for (size_t i = 0; i < tables[t].count; i++) {
            const struct http_route *route = &tables[t].routes[i];
            if (!shape_matches(route->path, path, match, raw))
                continue;
            if (strcmp(route->method, wanted) == 0) {
                match->route = route;
                match->context = tables[t].context;
                return params_decode(match, raw, arena);
            }
            path_known = true;
            allow_add(allow, route->method);
        }
    }
    return path_known ? ST_UNSUPPORTED : ST_NOT_FOUND;
}
