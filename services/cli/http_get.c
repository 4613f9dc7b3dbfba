// SPDX-License-Identifier: Apache-2.0
// See http_get.h. HTTP/1.0, so that the answer ends where the connection does.
#include "http_get.h"

#include "base/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 64 << 10, REQUEST_MAX = 16 << 20 };

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum status wait_for(int fd, short events, int64_t until_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    int64_t left_ms = until_ms - now_ms();
    int ready = left_ms > 0 ? poll(&poll_fd, 1, (int)left_ms) : 0;
    return ready > 0 ? ST_OK : ready == 0 || errno == EINTR ? ST_TIMEOUT : ST_IO;
}

static enum status connect_one(const struct addrinfo *to, int64_t until_ms, int *fd)
{
    int error = 0;
    socklen_t len = sizeof error;
    *fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return status_from_errno(errno);
    if (connect(*fd, to->ai_addr, to->ai_addrlen) == 0)
        return ST_OK;
    if (errno != EINPROGRESS)
        return ST_UNREACHABLE;
    enum status status = wait_for(*fd, POLLOUT, until_ms);
    if (status != ST_OK)
        return status;
    return getsockopt(*fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0 ? ST_OK : ST_UNREACHABLE;
}

static enum status connect_to(const char *address, int64_t until_ms, int *fd)
{
    char host[256], service[16];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int port;
    if (config_address(address, NULL, host, &port) != ST_OK)
        return ST_INVALID;
    snprintf(service, sizeof service, "%d", port);
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return ST_UNREACHABLE;
    enum status status = ST_UNREACHABLE;
    for (const struct addrinfo *at = found; at != NULL && status != ST_OK; at = at->ai_next) {
        status = connect_one(at, until_ms, fd);
        if (status != ST_OK && *fd >= 0)
            close(*fd);
    }
    freeaddrinfo(found);
    return status;
}

static enum status send_all(int fd, struct slice bytes, int64_t until_ms)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes = slice_of(bytes.data + sent, bytes.len - (size_t)sent);
            continue;
        }
        enum status status = errno == EAGAIN ? wait_for(fd, POLLOUT, until_ms) : ST_CLOSED;
        if (status != ST_OK)
            return status;
    }
    return ST_OK;
}

static enum status receive_all(int fd, struct buf *in, int64_t until_ms)
{
    for (;;) {
        enum status status = wait_for(fd, POLLIN, until_ms);
        if (status == ST_OK)
            status = buf_reserve(in, PIECE < in->max - in->len ? PIECE : in->max - in->len);
        if (status != ST_OK)
            return status;
        if (in->len == in->max)
            return ST_LIMIT;
        size_t room = in->cap - in->len < PIECE ? in->cap - in->len : PIECE;
        ssize_t got = recv(fd, in->data + in->len, room, 0);
        if (got == 0)
            return ST_OK;
        if (got < 0 && errno != EAGAIN)
            return ST_CLOSED;
        in->len += got > 0 ? (size_t)got : 0;
    }
}

// Takes the head off; what is left is the body.
static enum status head_take(struct buf *in, int *code)
{
    static const char start[] = "HTTP/1.", end[] = "\r\n\r\n";
    if (in->len < 12 || memcmp(in->data, start, strlen(start)) != 0)
        return ST_MALFORMED;
    *code = (int)strtol((const char *)in->data + 9, NULL, 10);
    for (size_t i = 12; i + 4 <= in->len; i++)
        if (memcmp(in->data + i, end, 4) == 0) {
            buf_consume(in, i + 4);
            return ST_OK;
        }
    return ST_MALFORMED;
}

static void request_put(const struct http_ask *ask, struct buf *out)
{
    buf_printf(out, "%s %s HTTP/1.0\r\nHost: %s\r\n", ask->method, ask->path, ask->address);
    if (ask->json.data != NULL)
        buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", ask->json.len);
    if (ask->header != NULL)
        buf_printf(out, "%s\r\n", ask->header);
    buf_printf(out, "\r\n");
    buf_append(out, ask->json.data, ask->json.len);
}

enum status http_get(const char *address, const char *path, int wait_ms, struct buf *body, int *code)
{
    struct http_ask ask = {.address = address, .method = "GET", .path = path, .wait_ms = wait_ms};
    return http_ask(&ask, body, code);
}

enum status http_ask(const struct http_ask *ask, struct buf *body, int *code)
{
    int64_t until_ms = now_ms() + ask->wait_ms;
    int fd = -1;
    struct buf request;
    enum status status = connect_to(ask->address, until_ms, &fd);
    if (status != ST_OK)
        return status;
    buf_init(&request, REQUEST_MAX);
    request_put(ask, &request);
    status = buf_status(&request);
    if (status == ST_OK)
        status = send_all(fd, buf_slice(&request), until_ms);
    if (status == ST_OK)
        status = receive_all(fd, body, until_ms);
    if (status == ST_OK)
        status = head_take(body, code);
    buf_fini(&request);
    close(fd);
    return status;
}

void http_put_segment(struct buf *out, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        if (isalnum(c) || strchr("-._~", c) != NULL)
            buf_put_u8(out, c);
        else
            buf_printf(out, "%%%02X", c);
    }
}
