// SPDX-License-Identifier: Apache-2.0
// RFC 3986 section 5.2 in the parts that references of schemas use. See uri.h.
#include "schema/uri.h"

#include <ctype.h>

// Where what stands: [0, scheme) with its colon, [scheme, path) the authority with its slashes, then path and
// query.
struct parts {
    size_t scheme, path, query;
};

static struct parts split(struct slice uri)
{
    struct parts parts = {0, 0, uri.len};
    for (size_t i = 0; i < uri.len && (isalnum(uri.data[i]) || strchr("+-.:", uri.data[i]) != NULL); i++)
        if (uri.data[i] == ':') {
            parts.scheme = i > 0 && isalpha(uri.data[0]) ? i + 1 : 0;
            break;
        }
    parts.path = parts.scheme;
    if (uri.len >= parts.scheme + 2 && uri.data[parts.scheme] == '/' && uri.data[parts.scheme + 1] == '/') {
        parts.path += 2;
        while (parts.path < uri.len && uri.data[parts.path] != '/' && uri.data[parts.path] != '?')
            parts.path++;
    }
    const uint8_t *mark = memchr(uri.data + parts.path, '?', uri.len - parts.path);
    if (mark != NULL)
        parts.query = (size_t)(mark - uri.data);
    return parts;
}

struct slice uri_bare(struct slice uri)
{
    const uint8_t *mark = uri.len > 0 ? memchr(uri.data, '#', uri.len) : NULL;
    return mark != NULL ? slice_of(uri.data, (size_t)(mark - uri.data)) : uri;
}

// Takes "." and ".." out of the path that begins at from. Returns the new length.
static size_t remove_dots(uint8_t *uri, size_t from, size_t end)
{
    size_t out = from;
    for (size_t at = from; at < end;) {
        size_t next = at;
        while (next < end && uri[next] != '/')
            next++;
        size_t len = next - at;
        bool last = next == end;
        if (len == 2 && uri[at] == '.' && uri[at + 1] == '.') {
            if (out > from + 1) // drops the slash, then the segment before it
                for (out--; out > from && uri[out - 1] != '/'; out--)
                    continue;
        } else if (len != 1 || uri[at] != '.') {
            memmove(uri + out, uri + at, len);
            out += len;
            if (!last)
                uri[out++] = '/';
        }
        at = next + 1;
    }
    return out;
}

static struct slice join(struct arena *arena, struct slice head, struct slice tail)
{
    uint8_t *out = arena_alloc(arena, head.len + tail.len);
    if (out == NULL)
        return (struct slice){0};
    if (head.len > 0)
        memcpy(out, head.data, head.len);
    if (tail.len > 0)
        memcpy(out + head.len, tail.data, tail.len);
    return slice_of(out, head.len + tail.len);
}

static struct slice merge(struct arena *arena, struct slice base, struct slice ref)
{
    struct parts parts = split(base);
    size_t keep = parts.path;
    if (ref.data[0] == '?')
        return join(arena, slice_of(base.data, parts.query), ref);
    if (ref.len > 1 && ref.data[0] == '/' && ref.data[1] == '/')
        return join(arena, slice_of(base.data, parts.scheme), ref);
    if (ref.data[0] != '/')
        for (keep = parts.query; keep > parts.path && base.data[keep - 1] != '/'; keep--)
            continue;
    struct slice joined = join(arena, slice_of(base.data, keep), ref);
    if (joined.data == NULL)
        return joined;
    size_t query = split(joined).query,
           end = remove_dots((uint8_t *)(uintptr_t)joined.data, parts.path, query);
    memmove((uint8_t *)(uintptr_t)joined.data + end, joined.data + query, joined.len - query);
    return slice_of(joined.data, end + joined.len - query);
}

struct slice uri_resolve(struct arena *arena, struct slice base, struct slice ref, struct slice *fragment)
{
    struct slice bare = uri_bare(ref);
    *fragment = (struct slice){0};
    if (bare.len < ref.len)
        *fragment = slice_of(ref.data + bare.len + 1, ref.len - bare.len - 1);
    base = uri_bare(base);
    if (bare.len == 0)
        return base.data != NULL ? base : slice_str("");
    if (split(bare).scheme > 0)
        return bare;
    return merge(arena, base.data != NULL ? base : slice_str(""), bare);
}
