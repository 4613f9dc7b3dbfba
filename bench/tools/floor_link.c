// SPDX-License-Identifier: Apache-2.0
// Buffers of a connection of the floor; see floor.h.
#include "floor.h"

#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IN_FIRST = 512 << 10, OUT_FIRST = 4096 };

struct link *link_new(int fd, enum link_kind kind)
{
    struct link *link = calloc(1, sizeof *link);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    link->fd = fd;
    link->kind = kind;
    return link;
}

void link_free(struct link *link)
{
    close(link->fd);
    free(link->in);
    free(link->out);
    free(link);
}

static size_t frame_size(const struct link *link)
{
    return link->have - link->from < 4 ? 4 : (size_t)load_be32(link->in + link->from) + 4;
}

bool link_recv(struct link *link)
{
    size_t wanted = frame_size(link) > IN_FIRST ? frame_size(link) : IN_FIRST;
    if (link->from > 0)
        memmove(link->in, link->in + link->from, link->have - link->from);
    link->have -= link->from;
    link->from = 0;
    if (link->in_cap < wanted)
        link->in = realloc(link->in, link->in_cap = wanted);
    ssize_t n = recv(link->fd, link->in + link->have, link->in_cap - link->have, 0);
    if (n > 0)
        link->have += (size_t)n;
    return n > 0 || (n < 0 && errno == EAGAIN);
}

bool link_frame(struct link *link, struct slice *frame)
{
    size_t size = frame_size(link);
    if (size > FRAME_MAX)
        link->dead = true;
    if (link->dead || link->have - link->from < 4 || link->have - link->from < size)
        return false;
    *frame = slice_of(link->in + link->from + 4, size - 4);
    link->from += size;
    return true;
}

void link_put(struct link *link, const void *data, size_t len)
{
    if (link->dead || link->out_len + len > OUT_MAX) {
        link->dead = true;
        return;
    }
    while (link->out_cap < link->out_len + len)
        link->out = realloc(link->out, link->out_cap = link->out_cap == 0 ? OUT_FIRST : 2 * link->out_cap);
    memcpy(link->out + link->out_len, data, len);
    link->out_len += len;
}

void link_send(struct link *link, struct iovec *parts, int count)
{
    ssize_t n = link->sent < link->out_len || link->dead ? 0 : writev(link->fd, parts, count);
    size_t gone = n > 0 ? (size_t)n : 0;
    for (int i = 0; i < count; i++) {
        size_t skip = gone < parts[i].iov_len ? gone : parts[i].iov_len;
        gone -= skip;
        if (skip < parts[i].iov_len)
            link_put(link, (const uint8_t *)parts[i].iov_base + skip, parts[i].iov_len - skip);
    }
}

bool link_flush(struct link *link)
{
    while (!link->dead && link->sent < link->out_len) {
        ssize_t n = send(link->fd, link->out + link->sent, link->out_len - link->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n <= 0)
            link->dead = true;
        else
            link->sent += (size_t)n;
    }
    if (!link->dead)
        link->sent = link->out_len = 0;
    return !link->dead;
}
