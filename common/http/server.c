// SPDX-License-Identifier: Apache-2.0
// libmicrohttpd without threads: its epoll descriptor is nested in our loop, and a hook asks MHD_get_timeout
// before every sleep, because the library also has work that no descriptor tells of (resumed connections,
// timeouts, data already read). Paths are not decoded by the library (it would turn %2F into a separator);
// route.c does it. See http.h for the contract.
#include "http/server.h"

#include "base/assert.h"
#include "base/mem.h"
#include "io/env_posix.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_ARENA_MAX = 128 << 10, LISTEN_BACKLOG = 511, DISCARD_MAX = 256 << 10 };

// The library must not decode: a decoded slash could not be told from a separator any more.
static size_t unescape_nothing(void *context, struct MHD_Connection *connection, char *text)
{
    return strlen(text);
}

static void request_free(struct http_request *request)
{
    struct http_server *server = request->server;
    if (request->stream != NULL)
        stream_release(request->stream);
    if (request->response != NULL)
        MHD_destroy_response(request->response);
    if (request->previous != NULL)
        request->previous->next = request->next;
    else
        server->requests = request->next;
    if (request->next != NULL)
        request->next->previous = request->previous;
    buf_fini(&request->body);
    arena_fini(&request->arena);
    mem_free(request);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **memory,
                         enum MHD_RequestTerminationCode why)
{
    struct http_server *server = context;
    if (*memory != NULL)
        request_free(*memory);
    *memory = NULL;
    peer_waits(connection, env_now_us(server->env));
}

static struct http_request *request_new(struct http_server *server, struct MHD_Connection *connection,
                                        const char *method)
{
    struct http_request *request = mem_calloc(1, sizeof *request);
    request->server = server;
    request->connection = connection;
    request->method = method;
    arena_init(&request->arena, REQUEST_ARENA_MAX);
    buf_init(&request->body, server->config.body_max);
    request->next = server->requests;
    if (server->requests != NULL)
        server->requests->previous = request;
    server->requests = request;
    metric_inc(&server->requests_total, 1);
    peer_waits(connection, env_now_us(server->env));
    return request;
}

static bool announced_too_large(struct http_request *request)
{
    const char *length = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Content-Length");
    return length != NULL && strtoull(length, NULL, 10) > request->server->config.body_max;
}

// Headers are complete: find the route, refuse what will not be handled before its body is read.
static enum MHD_Result request_begin(struct http_request *request, const char *path)
{
    struct buf allow;
    char methods[128] = "";
    buf_init(&allow, sizeof methods - 1);
    const struct http_table *tables = request->server->config.tables;
    enum status status =
        route_find(tables, 2, request->method, path, &request->arena, &request->match, &allow);
    if (allow.len > 0)
        memcpy(methods, allow.data, allow.len);
    buf_fini(&allow);
    if (request->server->stopping)
        return request_refuse(request, 503, "shutting down");
    if (status == ST_NOT_FOUND)
        return request_refuse(request, 404, "no such resource");
    if (status == ST_UNSUPPORTED) {
        http_reply_header(request, "Allow", methods);
        if (strcmp(request->method, "OPTIONS") == 0)
            return request_allow(request);
        return request_refuse(request, 405, "method not allowed here");
    }
    if (status != ST_OK)
        return request_refuse(request, 400, "path is not encoded correctly");
    if (announced_too_large(request))
        return request_refuse(request, 413, "body too large");
    return MHD_YES;
}

static enum MHD_Result body_append(struct http_request *request, const char *data, size_t *len)
{
    if (request->discarded > 0 || buf_append(&request->body, data, *len) != ST_OK)
        request->discarded += *len;
    // A client that goes on sending long past the limit is cut off instead of answered.
    enum MHD_Result result = request->discarded > DISCARD_MAX ? MHD_NO : MHD_YES;
    *len = 0;
    return result;
}

// The last run of the library, when the server goes, may still complete a body: what handlers look at is
// gone.
static enum MHD_Result request_handle(struct http_request *request)
{
    if (request->server->stopping)
        return request_refuse(request, 503, "shutting down");
    if (request->discarded > 0)
        return request_refuse(request, 413, "body too large");
    request->state = REQUEST_HANDLING;
    peer_waits(request->connection, 0);
    loop_handler(request->server->env, request->match.route->path);
    request->match.route->handle(request, request->match.context);
    if (request->state == REQUEST_ANSWERED)
        return request_send(request);
    request->state = REQUEST_HELD;
    MHD_suspend_connection(request->connection);
    return MHD_YES;
}

// Called by the library when headers are complete, for every piece of the body, at its end, and again when a
// suspended connection was resumed.
static enum MHD_Result on_access(void *context, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data, size_t *len,
                                 void **memory)
{
    struct http_request *request = *memory;
    if (request == NULL) {
        request = request_new(context, connection, method);
        *memory = request;
        return request_begin(request, url);
    }
    switch (request->state) {
    case REQUEST_RECEIVING:
        return *len > 0 ? body_append(request, data, len) : request_handle(request);
    case REQUEST_ANSWERED:
        return request_send(request);
    case REQUEST_REFUSED:
        *len = 0;
        return MHD_YES;
    case REQUEST_HANDLING:
    case REQUEST_HELD:
        return MHD_YES;
    }
    UNREACHABLE("request state");
}

void request_resume(struct http_request *request)
{
    request->server->run_again = true;
    MHD_resume_connection(request->connection);
}

// At its connection limit the library takes the listening socket out of its epoll set and puts it back only
// in the run after one in which a connection ended; nothing would cause that run.
static void library_run(struct http_server *server)
{
    MHD_run(server->daemon);
    unsigned now = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections;
    if (now < server->connections)
        server->run_again = true;
    server->connections = now;
}

static void on_epoll(int fd, int events, void *context)
{
    library_run(context);
}

// Once the library has run the hooks are run again before the loop sleeps: what its handlers did, a call by
// RPC for one, may be work for a hook that was run before this one.
static int64_t before_sleep(void *context)
{
    struct http_server *server = context;
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    bool ran = server->run_again;
    if (server->run_again) {
        server->run_again = false;
        library_run(server);
    }
    bool timed = MHD_get_timeout(server->daemon, &wait_ms) == MHD_YES;
    if (timed && wait_ms == 0) {
        library_run(server);
        ran = true;
    }
    if (ran)
        return 0;
    return timed ? (int64_t)wait_ms * 1000 : -1;
}

static enum status listen_on(const char *host, int port, int *out)
{
    char service[8];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    if (getaddrinfo(*host != '\0' ? host : NULL, service, &hints, &found) != 0)
        return ST_INVALID;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int one = 1;
    enum status status = ST_OK;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, LISTEN_BACKLOG) != 0)
        status = errno == EADDRINUSE ? ST_EXISTS : status_from_errno(errno);
    freeaddrinfo(found);
    if (status != ST_OK && fd >= 0)
        close(fd);
    *out = fd;
    return status;
}

static int bound_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    char service[8];
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0 ||
        getnameinfo((struct sockaddr *)&address, len, NULL, 0, service, sizeof service, NI_NUMERICSERV) != 0)
        return 0;
    return (int)strtol(service, NULL, 10);
}

static void defaults_fill(struct http_config *config)
{
    config->body_max = config->body_max > 0 ? config->body_max : HTTP_BODY_MAX_DEFAULT;
    config->header_max = config->header_max > 0 ? config->header_max : HTTP_HEADER_MAX_DEFAULT;
    config->idle_s = config->idle_s > 0 ? config->idle_s : HTTP_IDLE_S_DEFAULT;
    if (config->connections_max <= 0)
        config->connections_max = HTTP_CONNECTIONS_MAX_DEFAULT;
}

static struct MHD_Daemon *library_start(struct http_server *server, int fd)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
    return MHD_start_daemon(flags, 0, NULL, NULL, on_access, server, MHD_OPTION_LISTEN_SOCKET, fd,
                            MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
                            peers_on_change, server, MHD_OPTION_UNESCAPE_CALLBACK, unescape_nothing, server,
                            MHD_OPTION_CONNECTION_LIMIT,
                            (unsigned)server->config.connections_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            server->config.header_max, MHD_OPTION_CONNECTION_TIMEOUT,
                            (unsigned)server->config.idle_s, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

enum status http_server_new(const struct http_config *config, struct http_server **out)
{
    int fd;
    enum status status = listen_on(config->host, config->port, &fd);
    if (status != ST_OK)
        return status;
    struct http_server *server = mem_calloc(1, sizeof *server);
    server->env = config->env;
    server->config = *config;
    defaults_fill(&server->config);
    server->port = bound_port(fd);
    peers_init(server);
    server->daemon = library_start(server, fd);
    if (server->daemon == NULL) {
        close(fd);
        mem_free(server);
        return ST_IO;
    }
    server->epoll_fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    status = loop_fd_add(server->env, server->epoll_fd, STREAM_READABLE, on_epoll, server);
    if (status != ST_OK) {
        MHD_stop_daemon(server->daemon);
        mem_free(server);
        return status;
    }
    loop_hook_add(server->env, before_sleep, server);
    server->requests_total = (struct metric){.name = "millrace_http_requests_total",
                                             .help = "HTTP requests whose headers were received.",
                                             .kind = METRIC_COUNTER};
    server->slow_total = (struct metric){.name = "millrace_http_slow_total",
                                         .help = "HTTP connections cut off for a request that took too long.",
                                         .kind = METRIC_COUNTER};
    metric_add(server->env->metrics, &server->requests_total);
    metric_add(server->env->metrics, &server->slow_total);
    *out = server;
    return ST_OK;
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

void http_server_quiesce(struct http_server *server)
{
    int fd = (int)MHD_quiesce_daemon(server->daemon);
    if (fd >= 0)
        close(fd);
}

void http_server_destroy(struct http_server **out)
{
    struct http_server *server = *out;
    if (server == NULL)
        return;
    server->stopping = true;
    http_server_quiesce(server);
    // The library must not be stopped with suspended connections: it would wait for them, or abort.
    for (struct http_request *request = server->requests; request != NULL; request = request->next) {
        if (request->state == REQUEST_HELD)
            http_reply_error(request, 503, "shutting down");
        else if (request->stream != NULL)
            http_stream_wake(request->stream);
    }
    MHD_run(server->daemon);
    loop_hook_remove(server->env, before_sleep, server);
    loop_fd_remove(server->env, server->epoll_fd);
    MHD_stop_daemon(server->daemon);
    ASSERT(server->requests == NULL && server->peers == NULL);
    timer_stop(server->env, &server->sweep);
    metric_remove(server->env->metrics, &server->requests_total);
    metric_remove(server->env->metrics, &server->slow_total);
    mem_free(server);
    *out = NULL;
}
