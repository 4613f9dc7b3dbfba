// SPDX-License-Identifier: Apache-2.0
// The test server and its blocking clients. See server.h.
#include "server.h"

#include "base/bytes.h"
#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/messages/heartbeat.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static void answer(struct conn_request *request)
{
    struct kafka_heartbeat_response response = {0};
    struct kafka_out out;
    kafka_out_init(&out, 1 << 20);
    cr_assert_eq(kafka_encode(&kafka_heartbeat_response_message, 1, &response, &out), ST_OK);
    conn_reply(request, &out);
}

static void on_request(struct conn_request *request, void *context)
{
    struct server *server = context;
    if (server->seen_count < 1024)
        server->seen[server->seen_count++] = request->correlation;
    if (server->answer_at_once) {
        answer(request);
        return;
    }
    if (server->answer_nothing) {
        conn_no_reply(request);
        return;
    }
    cr_assert_lt(server->held_count, HELD_MAX);
    server->held[server->held_count++] = request;
}

static void forget(struct server *server, int i)
{
    memmove(&server->held[i], &server->held[i + 1],
            sizeof server->held[0] * (size_t)(server->held_count - i - 1));
    server->held_count--;
}

static void on_cancelled(struct conn_request *request, void *context)
{
    struct server *server = context;
    server->cancelled++;
    for (int i = 0; i < server->held_count; i++) {
        if (server->held[i] == request)
            forget(server, i);
    }
    conn_no_reply(request);
}

static void on_closed(struct conn_peer *peer, void *context)
{
    struct server *server = context;
    (void)peer;
    server->closed++;
}

void server_init(struct server *server)
{
    *server = (struct server){.config = conn_config_default()};
    server->config.port = 0;
    cr_assert_eq(env_posix_new("test", 1, &server->env), ST_OK);
    server->env->diag.level = DIAG_ERROR;
}

void server_open(struct server *server)
{
    static const struct conn_handler handler = {on_request, on_cancelled, on_closed};
    server->listener = conn_listener_new(server->env, &server->config, &handler, server);
    cr_assert_eq(conn_listener_open(server->listener), ST_OK);
}

void server_fini(struct server *server)
{
    conn_listener_destroy(&server->listener);
    cr_expect_eq(server->held_count, 0, "destroy cancels what is held");
    env_posix_destroy(&server->env);
}

void turn(struct server *server, int ms)
{
    int64_t until = env_now_us(server->env) + ms * 1000;
    while (env_now_us(server->env) < until)
        env_posix_turn(server->env, 1000);
}

void server_answer(struct server *server, int i)
{
    cr_assert_lt(i, server->held_count);
    struct conn_request *request = server->held[i];
    forget(server, i);
    answer(request);
}

int dial(struct server *server)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)conn_listener_port(server->listener))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    turn(server, 5);
    return fd;
}

void send_bytes(int fd, const void *data, size_t len)
{
    cr_assert_eq(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

void send_request(int fd, int api, int version, int correlation, size_t extra)
{
    uint8_t bytes[4 + 11 + 4096] = {0};
    cr_assert_leq(extra, 4096);
    store_be32(bytes, (uint32_t)(11 + extra));
    store_be16(bytes + 4, (uint16_t)api);
    store_be16(bytes + 6, (uint16_t)version);
    store_be32(bytes + 8, (uint32_t)correlation);
    store_be16(bytes + 12, 1);
    bytes[14] = 't';
    send_bytes(fd, bytes, 15 + extra);
}

// One non-blocking read of exactly len bytes, with turns of the loop in between.
static bool receive_all(struct server *server, int fd, uint8_t *data, size_t len)
{
    size_t have = 0;
    for (int64_t until = env_now_us(server->env) + 2000000; have < len;) {
        ssize_t got = recv(fd, data + have, len - have, MSG_DONTWAIT);
        if (got > 0)
            have += (size_t)got;
        else if (got == 0 || errno != EAGAIN || env_now_us(server->env) > until)
            return false;
        else
            env_posix_turn(server->env, 1000);
    }
    return true;
}

int receive(struct server *server, int fd, uint8_t *data, size_t room)
{
    uint8_t prefix[4];
    if (!receive_all(server, fd, prefix, sizeof prefix))
        return -1;
    size_t len = load_be32(prefix);
    cr_assert_leq(len, room);
    return receive_all(server, fd, data, len) ? (int)len : -1;
}

int receive_correlation(struct server *server, int fd)
{
    uint8_t data[256];
    return receive(server, fd, data, sizeof data) < 4 ? -1 : (int)load_be32(data);
}

bool gone(struct server *server, int fd)
{
    uint8_t data[4096];
    for (int64_t until = env_now_us(server->env) + 2000000; env_now_us(server->env) < until;) {
        ssize_t got = recv(fd, data, sizeof data, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            return true;
        env_posix_turn(server->env, 1000);
    }
    return false;
}
