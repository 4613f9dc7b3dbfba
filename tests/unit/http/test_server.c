// SPDX-License-Identifier: Apache-2.0
// The HTTP server over real sockets, client and server in one process: the loop is turned by hand while the
// client waits. One test per trap of libmicrohttpd that stack.md names.
#include "http/http.h"

#include "io/env_posix.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
    struct env *env;
    struct http_server *server;
    struct http_request *held;
    struct http_stream *stream;
    int pieces_left;
    int streams_ended;
    int handled;
};

static void on_echo(struct http_request *request, void *context)
{
    ((struct fixture *)context)->handled++;
    const char *query = http_query(request, "q");
    char text[512];
    snprintf(text, sizeof text, "%s|%s|%zu|%s", http_method(request), http_param(request, "name"),
             http_body(request).len, query != NULL ? query : "-");
    http_reply(request, 200, "text/plain", slice_str(text));
}

static void query_add(const char *name, const char *value, void *context)
{
    buf_printf(context, "%s=%s;", name, value);
}

static void on_list(struct http_request *request, void *context)
{
    struct buf out;
    buf_init(&out, 4096);
    buf_printf(&out, "%s|", http_matched(request)->path);
    http_query_each(request, query_add, &out);
    http_reply_take(request, 200, "text/plain", &out);
    cr_expect_eq(out.len, 0);
    buf_printf(&out, "the server has the former bytes");
    buf_fini(&out);
}

static void on_hold(struct http_request *request, void *context)
{
    ((struct fixture *)context)->held = request;
}

static enum http_next next_piece(struct buf *out, void *context)
{
    struct fixture *fixture = context;
    if (fixture->pieces_left == 0)
        return HTTP_WAIT;
    buf_printf(out, "piece %d\n", fixture->pieces_left--);
    return fixture->pieces_left == 0 ? HTTP_END : HTTP_WAIT;
}

static void stream_ended(void *context)
{
    ((struct fixture *)context)->streams_ended++;
}

static void on_stream(struct http_request *request, void *context)
{
    static const struct http_source source = {next_piece, stream_ended};
    ((struct fixture *)context)->stream = http_reply_stream(request, 200, "text/plain", &source, context);
}

static const struct http_route routes[] = {{"GET", "/echo/{name}", on_echo},
                                           {"POST", "/echo/{name}", on_echo},
                                           {"GET", "/list/{a}/{b}", on_list},
                                           {"GET", "/hold", on_hold},
                                           {"GET", "/stream", on_stream}};

static void setup(struct fixture *fixture, size_t body_max, int connections_max)
{
    *fixture = (struct fixture){.pieces_left = 3};
    cr_assert_eq(env_posix_new("test", 1, &fixture->env), ST_OK);
    struct http_config config = {.env = fixture->env,
                                 .host = "127.0.0.1",
                                 .tables = {{routes, sizeof routes / sizeof *routes, fixture}},
                                 .body_max = body_max,
                                 .connections_max = connections_max,
                                 .idle_s = 1};
    cr_assert_eq(http_server_new(&config, &fixture->server), ST_OK);
}

static void teardown(struct fixture *fixture)
{
    http_server_destroy(&fixture->server);
    env_posix_destroy(&fixture->env);
}

static int dial(struct fixture *fixture)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_server_port(fixture->server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void say(struct fixture *fixture, int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            bytes += sent;
            len -= (size_t)sent;
        } else if (errno != EAGAIN) {
            return; // cut off by the server: what it said is what counts
        }
        env_posix_turn(fixture->env, 1000);
    }
}

// Turns the loop until the text shows up in what fd received, the connection ends, or wait_ms passed. Returns
// whether it showed up.
static bool hear(struct fixture *fixture, int fd, const char *text, char *heard, size_t size, int wait_ms)
{
    size_t len = strlen(heard);
    int64_t until = env_now_ms(fixture->env) + wait_ms;
    while (strstr(heard, text) == NULL && env_now_ms(fixture->env) < until) {
        env_posix_turn(fixture->env, 2000);
        ssize_t got = recv(fd, heard + len, size - 1 - len, MSG_DONTWAIT);
        if (got == 0)
            break;
        len += got > 0 ? (size_t)got : 0;
        heard[len] = '\0';
    }
    return strstr(heard, text) != NULL;
}

static bool ask(struct fixture *fixture, const char *request, const char *expected)
{
    char heard[70000] = "";
    int fd = dial(fixture);
    say(fixture, fd, request, strlen(request));
    bool found = hear(fixture, fd, expected, heard, sizeof heard, 3000);
    if (!found)
        fprintf(stderr, "asked: %.200s\nheard: %.500s\n", request, heard);
    close(fd);
    return found;
}

Test(http, routes_parameters_and_query)
{
    struct fixture f;
    setup(&f, 0, 0);
    cr_expect(ask(&f, "GET /echo/abc?q=x%20y HTTP/1.1\r\nHost: a\r\n\r\n", "GET|abc|0|x y"));
    cr_expect(
        ask(&f, "POST /echo/abc HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "POST|abc|5|-"));
    teardown(&f);
}

Test(http, every_query_argument_is_told_in_order_and_the_route_is_known)
{
    struct fixture f;
    setup(&f, 0, 0);
    cr_expect(ask(&f, "GET /list/x/y?k=1&k=%202&%6Bey[]=v&bad=%zz&none HTTP/1.1\r\nHost: a\r\n\r\n",
                  "/list/{a}/{b}|k=1;k= 2;key[]=v;none=;"));
    teardown(&f);
}

Test(http, an_encoded_slash_stays_in_its_segment)
{
    struct fixture f;
    setup(&f, 0, 0);
    cr_expect(ask(&f, "GET /echo/a%2Fb%41 HTTP/1.1\r\nHost: a\r\n\r\n", "GET|a/bA|0|-"));
    cr_expect(ask(&f, "GET /echo/a/b HTTP/1.1\r\nHost: a\r\n\r\n", " 404 "));
    teardown(&f);
}

Test(http, broken_escapes_and_nul_are_bad_requests)
{
    struct fixture f;
    setup(&f, 0, 0);
    const char *const bad[] = {"%", "%4", "%zz", "%00", "a%"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char request[100];
        snprintf(request, sizeof request, "GET /echo/%s HTTP/1.1\r\nHost: a\r\n\r\n", bad[i]);
        cr_expect(ask(&f, request, " 400 "), "%s", bad[i]);
    }
    teardown(&f);
}

Test(http, unknown_paths_and_methods)
{
    struct fixture f;
    setup(&f, 0, 0);
    cr_expect(ask(&f, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", " 404 "));
    cr_expect(ask(&f, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", "{\"error_code\":404,"));
    cr_expect(ask(&f, "DELETE /echo/x HTTP/1.1\r\nHost: a\r\n\r\n", "Allow: GET, HEAD, POST"));
    cr_expect(ask(&f, "DELETE /echo/x HTTP/1.1\r\nHost: a\r\n\r\n", " 405 "));
    cr_expect(ask(&f, "OPTIONS /echo/x HTTP/1.1\r\nHost: a\r\n\r\n", "Allow: GET, HEAD, POST"));
    cr_expect(ask(&f, "OPTIONS /echo/x HTTP/1.1\r\nHost: a\r\n\r\n", " 200 "));
    cr_expect(ask(&f, "OPTIONS /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", " 404 "));
    teardown(&f);
}

Test(http, head_has_the_length_but_no_body)
{
    struct fixture f;
    setup(&f, 0, 0);
    char heard[4096] = "";
    int fd = dial(&f);
    const char *request = "HEAD /echo/abc HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    say(&f, fd, request, strlen(request));
    cr_assert_not(hear(&f, fd, "HEAD|abc", heard, sizeof heard, 3000));
    cr_assert(strstr(heard, " 200 ") && strstr(heard, "Content-Length: 12\r\n"), "%s", heard);
    close(fd);
    teardown(&f);
}

Test(http, the_body_of_a_refused_request_is_not_the_next_request)
{
    struct fixture f;
    setup(&f, 0, 0);
    char heard[4096] = "";
    int fd = dial(&f);
    const char *smuggled = "GET /echo/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    char request[400];
    snprintf(request, sizeof request, "POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(smuggled), smuggled);
    say(&f, fd, request, strlen(request));
    hear(&f, fd, "smuggled", heard, sizeof heard, 300);
    cr_assert(strstr(heard, " 404 ") != NULL);
    cr_assert_eq(f.handled, 0);
    close(fd);
    teardown(&f);
}

Test(http, chunked_bodies_arrive_whole)
{
    struct fixture f;
    setup(&f, 0, 0);
    cr_expect(ask(&f,
                  "POST /echo/c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n",
                  "POST|c|7|-"));
    teardown(&f);
}

Test(http, bodies_above_the_limit_are_refused_announced_or_not)
{
    struct fixture f;
    setup(&f, 10, 0);
    cr_expect(ask(&f, "POST /echo/c HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", " 413 "));
    cr_expect(ask(&f,
                  "POST /echo/c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "b\r\nabcdefghijk\r\n0\r\n\r\n",
                  " 413 "));
    cr_expect(
        ask(&f, "POST /echo/c HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789", "POST|c|10|-"));
    cr_expect_eq(f.handled, 1);
    teardown(&f);
}

Test(http, a_client_waiting_for_100_continue_is_told)
{
    struct fixture f;
    setup(&f, 0, 0);
    cr_expect(ask(&f, "POST /echo/c HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
                  "HTTP/1.1 100 Continue"));
    teardown(&f);
}

Test(http, headers_above_the_limit_get_a_status)
{
    struct fixture f;
    setup(&f, 0, 0);
    size_t size = HTTP_HEADER_MAX_DEFAULT + 2000;
    char *request = malloc(size + 100);
    size_t len = (size_t)sprintf(request, "GET /echo/c HTTP/1.1\r\nHost: a\r\n");
    while (len < size)
        len += (size_t)sprintf(request + len,
                               "X-Filler-%zu: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", len);
    strcpy(request + len, "\r\n");
    cr_expect(ask(&f, request, "HTTP/1.1 4"));
    cr_expect_eq(f.handled, 0);
    free(request);
    teardown(&f);
}

Test(http, a_hundred_headers_fit)
{
    struct fixture f;
    setup(&f, 0, 0);
    char request[20000];
    size_t len = (size_t)sprintf(request, "GET /echo/c HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 100; i++)
        len +=
            (size_t)sprintf(request + len, "X-Filler-%d: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", i);
    strcpy(request + len, "\r\n");
    cr_expect(ask(&f, request, "GET|c|0|-"));
    teardown(&f);
}

Test(http, an_idle_connection_is_closed_although_nothing_else_wakes_the_loop)
{
    struct fixture f;
    setup(&f, 0, 0);
    char heard[4096] = "x";
    int fd = dial(&f);
    say(&f, fd, "GET /echo", 9);
    int64_t began = env_now_ms(f.env);
    char byte;
    ssize_t got = -1;
    // The loop sleeps as long as it likes: only the hook's answer can wake it.
    while (got < 0 && env_now_ms(f.env) - began < 4000) {
        env_posix_turn(f.env, 4000000);
        got = recv(fd, &byte, 1, MSG_DONTWAIT);
    }
    (void)heard;
    cr_assert_geq(got, 0, "closed or answered");
    cr_assert_lt(env_now_ms(f.env) - began, 3000);
    close(fd);
    teardown(&f);
}

Test(http, a_held_request_is_answered_later)
{
    struct fixture f;
    setup(&f, 0, 0);
    char heard[4096] = "";
    int fd = dial(&f);
    const char *request = "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n";
    say(&f, fd, request, strlen(request));
    cr_assert_not(hear(&f, fd, "HTTP", heard, sizeof heard, 50));
    cr_assert_not_null(f.held);
    cr_expect(ask(&f, "GET /echo/other HTTP/1.1\r\nHost: a\r\n\r\n", "GET|other|0|-"));
    http_reply(f.held, 200, "text/plain", slice_str("late"));
    cr_assert(hear(&f, fd, "late", heard, sizeof heard, 1000));
    close(fd);
    teardown(&f);
}

Test(http, a_held_request_is_answered_503_when_the_server_goes)
{
    struct fixture f;
    setup(&f, 0, 0);
    char heard[4096] = "";
    int fd = dial(&f);
    const char *request = "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n";
    say(&f, fd, request, strlen(request));
    hear(&f, fd, "HTTP", heard, sizeof heard, 50);
    http_server_destroy(&f.server);
    ssize_t got = recv(fd, heard, sizeof heard - 1, 0);
    cr_assert_gt(got, 0);
    heard[got] = '\0';
    cr_assert(strstr(heard, " 503 ") != NULL, "%s", heard);
    close(fd);
    env_posix_destroy(&f.env);
}

Test(http, a_stream_waits_without_spinning_and_ends)
{
    struct fixture f;
    setup(&f, 0, 0);
    char heard[4096] = "";
    int fd = dial(&f);
    const char *request = "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n";
    say(&f, fd, request, strlen(request));
    cr_assert(hear(&f, fd, "piece 3", heard, sizeof heard, 1000));
    cr_assert_not(hear(&f, fd, "0\r\n\r\n", heard, sizeof heard, 20), "%s", heard);
    uint64_t before = atomic_load(&loop_state(f.env)->turns);
    int64_t until = env_now_ms(f.env) + 50;
    while (env_now_ms(f.env) < until)
        env_posix_turn(f.env, 60000);
    cr_assert_lt(atomic_load(&loop_state(f.env)->turns) - before, 20);
    http_stream_wake(f.stream);
    cr_assert(hear(&f, fd, "piece 2", heard, sizeof heard, 1000));
    http_stream_wake(f.stream);
    cr_assert(hear(&f, fd, "0\r\n\r\n", heard, sizeof heard, 1000));
    cr_assert_eq(f.streams_ended, 1);
    close(fd);
    teardown(&f);
}

Test(http, a_stream_ends_when_its_client_leaves)
{
    struct fixture f;
    setup(&f, 0, 0);
    f.pieces_left = 1000;
    char heard[4096] = "";
    int fd = dial(&f);
    const char *request = "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n";
    say(&f, fd, request, strlen(request));
    cr_assert(hear(&f, fd, "piece", heard, sizeof heard, 1000));
    close(fd);
    for (int i = 0; i < 50 && f.streams_ended == 0; i++) {
        http_stream_wake(f.stream);
        env_posix_turn(f.env, 2000);
    }
    cr_assert_eq(f.streams_ended, 1);
    teardown(&f);
}

Test(http, a_body_that_is_complete_when_the_server_goes_is_handled_by_nobody)
{
    struct fixture f;
    setup(&f, 0, 0);
    int fd = dial(&f);
    const char *begin = "POST /echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo";
    char heard[4096] = "";
    say(&f, fd, begin, strlen(begin));
    cr_assert_not(hear(&f, fd, "x", heard, sizeof heard, 20), "the body is not complete");
    cr_assert_eq(send(fd, "dy", 2, MSG_NOSIGNAL), 2);
    teardown(&f);
    cr_expect_eq(f.handled, 0);
    close(fd);
}

Test(http, connections_above_the_limit_wait_and_are_served_later)
{
    struct fixture f;
    setup(&f, 0, 2);
    int first = dial(&f);
    int second = dial(&f);
    const char *request = "GET /echo/x HTTP/1.1\r\nHost: a\r\n\r\n";
    char heard[4096] = "";
    say(&f, first, request, strlen(request));
    say(&f, second, request, strlen(request));
    cr_assert(hear(&f, first, "GET|x", heard, sizeof heard, 1000));
    close(first);
    close(second);
    cr_expect(ask(&f, request, "GET|x"));
    teardown(&f);
}

// What another part of the daemon wants done before the loop sleeps, as a socket of RPC does. Its hook is
// run before the server's; the second request comes when the library has run for the first.
struct neighbour {
    struct fixture *fixture;
    struct timer watchdog;
    int second;
    bool asked, saw, late;
};

static int64_t neighbour_hook(void *context)
{
    struct neighbour *n = context;
    const char *request = "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n";
    if (n->fixture->handled > 0 && !n->asked) {
        n->asked = true;
        cr_assert_eq(send(n->second, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    }
    if (n->fixture->held != NULL && !n->saw) {
        n->saw = true;
        env_posix_stop(n->fixture->env);
    }
    return -1;
}

static void too_late(struct timer *timer)
{
    struct neighbour *n = timer->context;
    n->late = true;
    env_posix_stop(n->fixture->env);
}

Test(http, the_loop_does_not_sleep_on_what_a_handler_began_in_the_hook)
{
    struct fixture f;
    setup(&f, 0, 0);
    http_server_destroy(&f.server);
    struct neighbour n = {.fixture = &f};
    loop_hook_add(f.env, neighbour_hook, &n);
    struct http_config config = {
        .env = f.env, .host = "127.0.0.1", .tables = {{routes, sizeof routes / sizeof *routes, &f}}};
    cr_assert_eq(http_server_new(&config, &f.server), ST_OK);
    int first = dial(&f);
    n.second = dial(&f);
    for (int i = 0; i < 20; i++)
        env_posix_turn(f.env, 1000);
    const char *last = "GET /echo/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    cr_assert_eq(send(first, last, strlen(last), MSG_NOSIGNAL), (ssize_t)strlen(last));
    timer_init(&n.watchdog, too_late, &n);
    timer_start_ms(f.env, &n.watchdog, 2000);
    env_posix_run(f.env);
    cr_expect(n.asked && n.saw);
    cr_expect_not(n.late, "the hook was run again only when something else woke the loop");
    timer_stop(f.env, &n.watchdog);
    loop_hook_remove(f.env, neighbour_hook, &n);
    close(first);
    close(n.second);
    teardown(&f);
}

// Sends a byte of the text every 100 ms, again and again; true when the server has closed the connection.
static bool drip(struct fixture *fixture, int fd, const char *text, int for_ms)
{
    int64_t until = env_now_ms(fixture->env) + for_ms;
    for (size_t i = 0; env_now_ms(fixture->env) < until; i++) {
        char byte;
        if (send(fd, &text[i % strlen(text)], 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
            return true;
        for (int64_t next = env_now_ms(fixture->env) + 100; env_now_ms(fixture->env) < next;)
            env_posix_turn(fixture->env, 10000);
        if (recv(fd, &byte, 1, MSG_DONTWAIT) == 0)
            return true;
    }
    return false;
}

Test(http, a_head_that_comes_a_byte_at_a_time_does_not_hold_its_connection)
{
    struct fixture f;
    setup(&f, 0, 0);
    int fd = dial(&f);
    const char *begin = "GET /echo/x HTTP/1.1\r\nHost: a\r\n";
    say(&f, fd, begin, strlen(begin));
    cr_expect(drip(&f, fd, "X-Y: z\r\n", 5000));
    close(fd);
    teardown(&f);
}

Test(http, a_body_that_comes_a_byte_at_a_time_does_not_hold_its_connection)
{
    struct fixture f;
    setup(&f, 0, 0);
    int fd = dial(&f);
    const char *begin = "POST /echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
    say(&f, fd, begin, strlen(begin));
    cr_expect(drip(&f, fd, "b", 5000));
    close(fd);
    teardown(&f);
}

Test(http, a_held_request_may_take_longer_than_a_slow_one)
{
    struct fixture f;
    setup(&f, 0, 0);
    char heard[4096] = "";
    int fd = dial(&f);
    const char *request = "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n";
    say(&f, fd, request, strlen(request));
    cr_assert_not(hear(&f, fd, "HTTP", heard, sizeof heard, 3500));
    http_reply(f.held, 200, "text/plain", slice_str("late"));
    cr_expect(hear(&f, fd, "late", heard, sizeof heard, 1000));
    close(fd);
    teardown(&f);
}
