// SPDX-License-Identifier: Apache-2.0
// TCP of the real environment: hang-ups, half-closed peers, the descriptor limit, sendfile.
#include "io/env_posix.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

static struct env *env;
static struct listener *listener;
static struct stream *accepted[64];
static int accepted_count;
static int events_seen, hangups;

static void on_accept(struct listener *from, struct stream *stream, const char *host, void *context)
{
    cr_assert_str_eq(host, "127.0.0.1");
    accepted[accepted_count++] = stream;
}

static void on_event(struct stream *stream, int events, void *context)
{
    events_seen |= events;
    hangups += (events & STREAM_HANGUP) != 0;
}

static void set_up(void)
{
    cr_assert_eq(env_posix_new("test", 1, &env), ST_OK);
    cr_assert_eq(env_listen(env, "127.0.0.1", 0, on_accept, NULL, &listener), ST_OK);
}

static void tear_down(void)
{
    for (int i = 0; i < accepted_count; i++)
        stream_close(env, &accepted[i]);
    listener_close(env, &listener);
    env_posix_destroy(&env);
}

TestSuite(tcp, .init = set_up, .fini = tear_down);

static int plain_connect(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)listener_port(env, listener)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void turns(int count)
{
    for (int i = 0; i < count; i++)
        env_posix_turn(env, 5000);
}

static struct stream *accept_one(int *fd)
{
    *fd = plain_connect();
    int before = accepted_count;
    while (accepted_count == before)
        env_posix_turn(env, -1);
    stream_handle(env, accepted[before], on_event, NULL);
    return accepted[before];
}

Test(tcp, hangup_is_told_once_to_a_stream_that_wants_nothing)
{
    int fd;
    accept_one(&fd);
    close(fd);
    turns(10);
    cr_assert_eq(hangups, 1);
    cr_assert_eq(events_seen, STREAM_HANGUP);
}

Test(tcp, reset_peer_does_not_spin_a_stream_that_wants_nothing)
{
    int fd;
    accept_one(&fd);
    struct linger now = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
    turns(2);
    uint64_t before = loop_state(env)->turns;
    int64_t began_us = env_now_us(env);
    env_posix_turn(env, 50000);
    cr_assert_eq(loop_state(env)->turns, before + 1);
    cr_assert_geq(env_now_us(env) - began_us, 50000, "the turn slept");
    cr_assert_eq(hangups, 1);
}

Test(tcp, what_was_sent_before_a_hangup_is_still_read)
{
    int fd;
    struct stream *stream = accept_one(&fd);
    cr_assert_eq(write(fd, "bye", 3), 3);
    close(fd);
    turns(3);
    cr_assert_eq(hangups, 1);
    char data[8];
    size_t got;
    stream_want(env, stream, STREAM_READABLE);
    env_posix_turn(env, -1);
    cr_assert(events_seen & STREAM_READABLE);
    cr_assert_eq(stream_recv(env, stream, data, sizeof data, &got), ST_OK);
    cr_assert_eq(got, 3);
    cr_assert_eq(stream_recv(env, stream, data, sizeof data, &got), ST_CLOSED);
}

Test(tcp, send_stops_at_a_full_socket_and_writable_tells_when_it_goes_on)
{
    int fd;
    struct stream *stream = accept_one(&fd);
    static char data[1 << 16];
    struct iovec iov = {.iov_base = data, .iov_len = sizeof data};
    size_t sent, total = 0;
    enum status status;
    while ((status = stream_send(env, stream, &iov, 1, &sent)) == ST_OK)
        total += sent;
    cr_assert_eq(status, ST_AGAIN);
    stream_want(env, stream, STREAM_WRITABLE);
    turns(2);
    cr_assert_not(events_seen & STREAM_WRITABLE);
    while (total > 0)
        total -= (size_t)read(fd, data, sizeof data < total ? sizeof data : total);
    turns(2);
    cr_assert(events_seen & STREAM_WRITABLE);
    close(fd);
}

Test(tcp, connect_tells_success_by_writable_and_refusal_by_hangup)
{
    struct stream *stream;
    int port = listener_port(env, listener);
    cr_assert_eq(env_connect(env, "127.0.0.1", port, &stream), ST_OK);
    stream_handle(env, stream, on_event, NULL);
    stream_want(env, stream, STREAM_WRITABLE);
    while (events_seen == 0)
        env_posix_turn(env, -1);
    cr_assert_eq(events_seen, STREAM_WRITABLE);
    stream_close(env, &stream);
    listener_close(env, &listener);
    events_seen = 0;
    cr_assert_eq(env_connect(env, "127.0.0.1", port, &stream), ST_OK);
    stream_handle(env, stream, on_event, NULL);
    stream_want(env, stream, STREAM_WRITABLE);
    while (events_seen == 0)
        env_posix_turn(env, -1);
    cr_assert_eq(events_seen, STREAM_HANGUP);
    char byte;
    size_t got;
    cr_assert_eq(stream_recv(env, stream, &byte, 1, &got), ST_UNREACHABLE);
    stream_close(env, &stream);
    cr_assert_eq(env_listen(env, "127.0.0.1", 0, on_accept, NULL, &listener), ST_OK);
}

Test(tcp, accepting_pauses_without_descriptors_and_resumes)
{
    int fds[4];
    for (int i = 0; i < 4; i++)
        fds[i] = plain_connect(); // the kernel's backlog takes them
    struct rlimit before, limit = {.rlim_cur = (rlim_t)fds[3] + 1};
    getrlimit(RLIMIT_NOFILE, &before);
    limit.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    env->diag.level = DIAG_ERROR;
    turns(10);
    cr_assert_eq(accepted_count, 0);
    uint64_t turns_before = loop_state(env)->turns;
    int64_t began_us = env_now_us(env);
    while (env_now_us(env) - began_us < 250000)
        env_posix_turn(env, 50000);
    cr_assert_lt(loop_state(env)->turns - turns_before, 20, "the loop does not spin meanwhile");
    setrlimit(RLIMIT_NOFILE, &before);
    began_us = env_now_us(env);
    while (accepted_count < 4 && env_now_us(env) - began_us < 1000000)
        env_posix_turn(env, 50000);
    cr_assert_eq(accepted_count, 4);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}

Test(tcp, paused_listener_leaves_connections_in_the_backlog)
{
    listener_pause(env, listener, true);
    int fd = plain_connect();
    turns(3);
    cr_assert_eq(accepted_count, 0);
    listener_pause(env, listener, false);
    turns(3);
    cr_assert_eq(accepted_count, 1);
    close(fd);
}

Test(tcp, a_client_of_ipv4_has_its_own_address_on_a_listener_of_both)
{
    listener_close(env, &listener);
    enum status status = env_listen(env, "::", 0, on_accept, NULL, &listener);
    if (status != ST_OK)
        cr_skip_test("no IPv6 here");
    int fd = plain_connect();
    turns(2);
    cr_expect_eq(accepted_count, 1);
    close(fd);
}

Test(tcp, sendfile_sends_a_range_and_names_a_file_that_is_too_short)
{
    int fd;
    struct stream *stream = accept_one(&fd);
    char path[] = "/tmp/millrace-tcp-XXXXXX";
    close(mkstemp(path));
    struct file *file;
    size_t sent;
    char back[16];
    cr_assert_eq(file_open(env, path, FILE_WRITE, &file), ST_OK);
    cr_assert_eq(file_pwrite(env, file, "0123456789", 10, 0), ST_OK);
    cr_assert_eq(stream_send_file(env, stream, file, 4, 3, &sent), ST_OK);
    cr_assert_eq(sent, 3);
    cr_assert_eq(read(fd, back, sizeof back), 3);
    cr_assert_eq(memcmp(back, "456", 3), 0);
    cr_assert_eq(stream_send_file(env, stream, file, 10, 3, &sent), ST_CORRUPT);
    file_close(env, &file);
    unlink(path);
    close(fd);
}

static void close_the_other(struct stream *stream, int events, void *context)
{
    struct stream **other = context;
    events_seen++;
    stream_close(env, other);
}

Test(tcp, no_event_is_told_for_a_stream_closed_earlier_in_the_same_turn)
{
    int fds[2];
    struct stream *pair[2] = {accept_one(&fds[0]), accept_one(&fds[1])};
    stream_handle(env, pair[0], close_the_other, &accepted[1]);
    stream_handle(env, pair[1], close_the_other, &accepted[0]);
    stream_want(env, pair[0], STREAM_READABLE);
    stream_want(env, pair[1], STREAM_READABLE);
    cr_assert_eq(write(fds[0], "x", 1), 1);
    cr_assert_eq(write(fds[1], "x", 1), 1);
    usleep(2000);
    env_posix_turn(env, -1);
    cr_assert_eq(events_seen, 1);
    close(fds[0]);
    close(fds[1]);
}
