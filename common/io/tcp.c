// SPDX-License-Identifier: Apache-2.0
// TCP of the real environment: non-blocking sockets in the epoll set. A hang-up is told once, also to a
// stream that wants nothing: EPOLLRDHUP is always in the mask until then, and a stream that is hung up and
// wants nothing leaves the set, because EPOLLHUP cannot be masked and would spin the loop. A listener that
// meets the descriptor limit pauses and tries again a little later: the connections wait in the kernel.
#include "io/posix.h"

#include "base/assert.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

struct stream {
    struct source source; // first
    struct posix_env *px;
    stream_fn *on_event;
    void *context;
    int want;
    int error; // errno of a failed connect; recv and send report it
    bool connecting;
    bool hangup_told;
    uint32_t armed; // the bits epoll has for it; 0: it is not in the set
};

struct listener {
    struct source source; // first
    struct posix_env *px;
    accept_fn *on_accept;
    void *context;
    bool paused;       // by the owner
    bool out_of_files; // until retry fires
    int64_t warned_us; // when a lack of descriptors was last logged
    struct timer retry;
};

// ---- streams ----

static uint32_t stream_bits(const struct stream *stream)
{
    uint32_t bits = stream->hangup_told ? 0 : (uint32_t)EPOLLRDHUP;
    if (stream->want & STREAM_READABLE)
        bits |= EPOLLIN;
    if (stream->want & STREAM_WRITABLE || stream->connecting)
        bits |= EPOLLOUT;
    return bits;
}

static void stream_arm(struct stream *stream)
{
    struct posix_env *px = stream->px;
    uint32_t bits = stream_bits(stream);
    if (bits == stream->armed)
        return;
    if (bits != 0 && stream->armed != 0)
        source_change(px, &stream->source, bits);
    else if (bits != 0)
        bits = source_add(px, &stream->source, bits) == ST_OK ? bits : 0;
    else
        epoll_ctl(px->epoll_fd, EPOLL_CTL_DEL, stream->source.fd, NULL);
    stream->armed = bits;
}

static void stream_connected(struct stream *stream, uint32_t bits)
{
    socklen_t len = sizeof stream->error;
    if (bits & (EPOLLERR | EPOLLHUP))
        getsockopt(stream->source.fd, SOL_SOCKET, SO_ERROR, &stream->error, &len);
    stream->connecting = false;
}

static void stream_dispatch(struct source *source, uint32_t bits)
{
    struct stream *stream = (struct stream *)source;
    int events = 0;
    if (stream->connecting)
        stream_connected(stream, bits);
    if (bits & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) && !stream->hangup_told) {
        events |= STREAM_HANGUP;
        stream->hangup_told = true;
    }
    // EPOLLERR and EPOLLHUP let a waiting reader or writer meet the error.
    if (bits & (EPOLLIN | EPOLLHUP | EPOLLERR))
        events |= stream->want & STREAM_READABLE;
    if (bits & (EPOLLOUT | EPOLLERR) && stream->error == 0)
        events |= stream->want & STREAM_WRITABLE;
    stream_arm(stream);
    if (events != 0)
        stream->on_event(stream, events, stream->context);
}

static struct stream *stream_new(struct posix_env *px, int fd, bool connecting)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct stream *stream = mem_calloc(1, sizeof *stream);
    *stream = (struct stream){
        .source = {.fd = fd, .dispatch = stream_dispatch}, .px = px, .connecting = connecting};
    return stream;
}

static void posix_stream_handle(struct env *env, struct stream *stream, stream_fn *on_event, void *context)
{
    stream->on_event = on_event;
    stream->context = context;
    stream_arm(stream);
}

static void posix_stream_want(struct env *env, struct stream *stream, int events)
{
    ASSERT(stream->on_event != NULL);
    if (stream->want == events)
        return;
    stream->want = events;
    stream_arm(stream);
}

static enum status stream_failure(struct stream *stream, int error)
{
    if (error == EAGAIN || error == EINTR)
        return ST_AGAIN;
    stream->error = error;
    return status_from_errno(error);
}

static enum status posix_stream_recv(struct env *env, struct stream *stream, void *data, size_t len,
                                     size_t *got)
{
    *got = 0;
    if (stream->error != 0)
        return status_from_errno(stream->error);
    ssize_t n = recv(stream->source.fd, data, len, 0);
    if (n < 0)
        return stream_failure(stream, errno);
    *got = (size_t)n;
    return n == 0 && len > 0 ? ST_CLOSED : ST_OK;
}

static enum status posix_stream_send(struct env *env, struct stream *stream, const struct iovec *iov,
                                     int count, size_t *sent)
{
    *sent = 0;
    if (stream->error != 0)
        return status_from_errno(stream->error);
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                             .msg_iovlen = (size_t)(count < IOV_MAX ? count : IOV_MAX)};
    ssize_t n = sendmsg(stream->source.fd, &message, MSG_NOSIGNAL);
    if (n < 0)
        return stream_failure(stream, errno);
    *sent = (size_t)n;
    return ST_OK;
}

static enum status posix_stream_send_file(struct env *env, struct stream *stream, struct file *file,
                                          int64_t at, size_t len, size_t *sent)
{
    *sent = 0;
    if (stream->error != 0)
        return status_from_errno(stream->error);
    off_t offset = at;
    ssize_t n = sendfile(stream->source.fd, file->fd, &offset, len);
    if (n < 0)
        return stream_failure(stream, errno);
    *sent = (size_t)n;
    return n == 0 && len > 0 ? ST_CORRUPT : ST_OK; // 0: the file ends before the promised bytes
}

static void posix_stream_close(struct env *env, struct stream **pointer)
{
    struct stream *stream = *pointer;
    *pointer = NULL;
    source_remove(stream->px, &stream->source);
    close(stream->source.fd);
}

// ---- addresses ----

static enum status address_find(const char *host, int port, int flags, struct addrinfo **found)
{
    char service[8];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICHOST | AI_NUMERICSERV};
    if (port < 0 || port > 65535)
        return ST_INVALID;
    if (getaddrinfo(host, service, &hints, found) == 0)
        return ST_OK;
    hints.ai_flags = flags | AI_NUMERICSERV;
    return getaddrinfo(host, service, &hints, found) == 0 ? ST_OK : ST_NOT_FOUND;
}

static enum status posix_connect(struct env *env, const char *host, int port, struct stream **stream)
{
    struct addrinfo *address;
    enum status status = address_find(host, port, 0, &address);
    if (status != ST_OK)
        return status;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        status = status_from_errno(errno);
    } else if (connect(fd, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS) {
        status = status_from_errno(errno);
        close(fd);
    } else {
        *stream = stream_new(posix_of(env), fd, true); // also when connected already: epoll tells at once
    }
    freeaddrinfo(address);
    return status;
}

// ---- listeners ----

static void listener_arm(struct listener *listener)
{
    bool accepting = !listener->paused && !listener->out_of_files;
    source_change(listener->px, &listener->source, accepting ? EPOLLIN : 0);
}

static void listener_retry(struct timer *timer)
{
    struct listener *listener = timer->context;
    listener->out_of_files = false;
    listener_arm(listener);
}

static void listener_out_of_files(struct listener *listener, int error)
{
    struct posix_env *px = listener->px;
    metric_inc(&px->accept_pauses, 1);
    int64_t now = env_now_us(&px->env);
    if (listener->warned_us == 0 || now - listener->warned_us > WARN_EVERY_US) {
        DIAG_WARN(&px->env.diag, "accepting pauses, no descriptor is left errno=%d", error);
        listener->warned_us = now;
    }
    listener->out_of_files = true;
    listener_arm(listener);
    timer_start_us(&px->env, &listener->retry, ACCEPT_PAUSE_US);
}

// A client of IPv4 has its own address also on a listener of both, as in Kafka.
static void client_host(const struct sockaddr_storage *address, socklen_t len, char host[NI_MAXHOST])
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
    if (address->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], host, NI_MAXHOST);
    else if (getnameinfo((const struct sockaddr *)address, len, host, NI_MAXHOST, NULL, 0, NI_NUMERICHOST) !=
             0)
        snprintf(host, NI_MAXHOST, "unknown");
}

static void listener_dispatch(struct source *source, uint32_t bits)
{
    struct listener *listener = (struct listener *)source;
    for (int i = 0; i < ACCEPTS_PER_TURN && !source->dead && !listener->paused; i++) {
        struct sockaddr_storage address;
        socklen_t len = sizeof address;
        int fd = accept4(source->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            listener_out_of_files(listener, errno);
            return;
        }
        if (fd < 0 && errno == EAGAIN)
            return;
        if (fd < 0)
            continue; // ECONNABORTED and the like: that connection is gone, others are not
        char host[NI_MAXHOST];
        client_host(&address, len, host);
        listener->on_accept(listener, stream_new(listener->px, fd, false), host, listener->context);
    }
}

static enum status socket_listen(const struct addrinfo *address, int *fd)
{
    *fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return status_from_errno(errno);
    int on = 1;
    setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(*fd, address->ai_addr, address->ai_addrlen) == 0 && listen(*fd, LISTEN_BACKLOG) == 0)
        return ST_OK;
    enum status status = errno == EADDRINUSE ? ST_EXISTS : status_from_errno(errno);
    close(*fd);
    return status;
}

static enum status posix_listen(struct env *env, const char *host, int port, accept_fn *on_accept,
                                void *context, struct listener **pointer)
{
    struct posix_env *px = posix_of(env);
    struct addrinfo *address;
    enum status status = address_find(host, port, AI_PASSIVE, &address);
    if (status != ST_OK)
        return status;
    int fd;
    status = socket_listen(address, &fd);
    freeaddrinfo(address);
    if (status != ST_OK)
        return status;
    struct listener *listener = mem_calloc(1, sizeof *listener);
    *listener = (struct listener){.source = {.fd = fd, .dispatch = listener_dispatch},
                                  .px = px,
                                  .on_accept = on_accept,
                                  .context = context};
    timer_init(&listener->retry, listener_retry, listener);
    status = source_add(px, &listener->source, EPOLLIN);
    if (status != ST_OK) {
        close(fd);
        mem_free(listener);
        return status;
    }
    *pointer = listener;
    return ST_OK;
}

static int posix_listener_port(struct env *env, struct listener *listener)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    int rc = getsockname(listener->source.fd, (struct sockaddr *)&address, &len);
    ASSERT(rc == 0);
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static void posix_listener_pause(struct env *env, struct listener *listener, bool paused)
{
    listener->paused = paused;
    listener_arm(listener);
}

static void posix_listener_close(struct env *env, struct listener **pointer)
{
    struct listener *listener = *pointer;
    *pointer = NULL;
    if (listener == NULL)
        return;
    timer_stop(env, &listener->retry);
    source_remove(listener->px, &listener->source);
    close(listener->source.fd);
}

void tcp_ops_fill(struct env_ops *ops)
{
    ops->listen = posix_listen;
    ops->listener_port = posix_listener_port;
    ops->listener_pause = posix_listener_pause;
    ops->listener_close = posix_listener_close;
    ops->connect = posix_connect;
    ops->stream_handle = posix_stream_handle;
    ops->stream_want = posix_stream_want;
    ops->stream_recv = posix_stream_recv;
    ops->stream_send = posix_stream_send;
    ops->stream_send_file = posix_stream_send_file;
    ops->stream_close = posix_stream_close;
}
