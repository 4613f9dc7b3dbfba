// SPDX-License-Identifier: Apache-2.0
// The listener over real sockets: framing of hostile and awkward input, order of answers, hang-up, limits.
#include "server.h"

#include "base/bytes.h"
#include "kafka/api.h"

#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PRODUCE = KAFKA_API_PRODUCE, FETCH = KAFKA_API_FETCH, HEARTBEAT = KAFKA_API_HEARTBEAT };

static struct server server;

static void setup(void)
{
    server_init(&server);
}

static void teardown(void)
{
    server_fini(&server);
}

TestSuite(conn_listener, .init = setup, .fini = teardown, .timeout = 60);

Test(conn_listener, answers_a_request_that_arrives_byte_by_byte)
{
    server.answer_at_once = true;
    server_open(&server);
    int fd = dial(&server);
    uint8_t request[] = {0, 0, 0, 11, 0, 12, 0, 1, 0, 0, 0, 77, 0, 1, 't'};
    for (size_t i = 0; i < sizeof request; i++) {
        send_bytes(fd, request + i, 1);
        turn(&server, 2);
    }
    cr_expect_eq(receive_correlation(&server, fd), 77);
    close(fd);
}

Test(conn_listener, response_header_is_flexible_only_where_the_version_is)
{
    server.answer_at_once = true;
    server_open(&server);
    int fd = dial(&server);
    uint8_t data[64];
    send_request(fd, HEARTBEAT, 3, 1, 0);
    cr_expect_eq(receive(&server, fd, data, sizeof data), 4 + 6);
    send_request(fd, HEARTBEAT, 4, 2, 1); // the extra byte is the empty tag section of header v2
    cr_expect_eq(receive(&server, fd, data, sizeof data), 5 + 6);
    send_request(fd, KAFKA_API_API_VERSIONS, 3, 3, 1);
    cr_expect_eq(receive(&server, fd, data, sizeof data), 4 + 6);
    close(fd);
}

Test(conn_listener, closes_at_once_on_a_length_of_two_gigabytes)
{
    server_open(&server);
    static const uint8_t lengths[][4] = {
        {0x7f, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xff}, {0x80, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 7}};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        int fd = dial(&server);
        send_bytes(fd, lengths[i], 4);
        cr_expect(gone(&server, fd), "length %zu", i);
        close(fd);
    }
    turn(&server, 5);
    cr_expect_eq(conn_listener_connections(server.listener), 0);
}

static bool let_in(void *context, const char *listener, const char *host, char *principal, size_t size)
{
    return true;
}

Test(conn_listener, first_request_of_a_stranger_is_limited_to_the_handshake_size)
{
    const struct conn_authenticator authenticator = {.on_connect = let_in};
    server.answer_at_once = true;
    server.config.authenticator = &authenticator;
    server.config.handshake_max = 1000;
    server.config.request_max = 4000;
    server_open(&server);
    int fd = dial(&server);
    send_request(fd, HEARTBEAT, 0, 1, 1000);
    cr_expect(gone(&server, fd));
    close(fd);
    fd = dial(&server);
    send_request(fd, HEARTBEAT, 0, 1, 0);
    cr_expect_eq(receive_correlation(&server, fd), 1);
    send_request(fd, HEARTBEAT, 0, 2, 1000);
    cr_expect_eq(receive_correlation(&server, fd), 2);
    send_request(fd, HEARTBEAT, 0, 3, 4000);
    cr_expect(gone(&server, fd));
    close(fd);
}

Test(conn_listener, first_request_may_be_large_where_nobody_is_asked_who_he_is)
{
    server.answer_at_once = true;
    server.config.handshake_max = 1000;
    server_open(&server);
    int fd = dial(&server);
    send_request(fd, HEARTBEAT, 0, 1, 4000);
    cr_expect_eq(receive_correlation(&server, fd), 1);
    close(fd);
}

Test(conn_listener, random_bytes_close_only_their_connection)
{
    server.answer_at_once = true;
    server_open(&server);
    int honest = dial(&server);
    uint64_t state = 12345;
    for (int round = 0; round < 50; round++) {
        uint8_t noise[300];
        for (size_t i = 0; i < sizeof noise; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            noise[i] = (uint8_t)(state >> 56);
        }
        int fd = dial(&server);
        send_bytes(fd, noise, sizeof noise);
        turn(&server, 2);
        close(fd);
    }
    send_request(honest, HEARTBEAT, 0, 5, 0);
    cr_expect_eq(receive_correlation(&server, honest), 5);
    close(honest);
}

Test(conn_listener, unknown_api_key_closes_the_connection)
{
    server_open(&server);
    int fd = dial(&server);
    send_request(fd, 9999, 0, 1, 0);
    cr_expect(gone(&server, fd));
    cr_expect_eq(server.seen_count, 0);
    close(fd);
}

Test(conn_listener, requests_run_one_at_a_time_and_pipelined_ones_wait)
{
    server_open(&server);
    int fd = dial(&server);
    for (int i = 0; i < 5; i++)
        send_request(fd, HEARTBEAT, 0, i, 100);
    for (int i = 0; i < 5; i++) {
        turn(&server, 5);
        cr_assert_eq(server.held_count, 1);
        cr_expect_eq(server.held[0]->correlation, i);
        server_answer(&server, 0);
        cr_expect_eq(receive_correlation(&server, fd), i);
    }
    close(fd);
}

Test(conn_listener, consecutive_produces_overlap_and_answers_keep_their_order)
{
    server.config.produce_in_flight_max = 3;
    server_open(&server);
    int fd = dial(&server);
    for (int i = 0; i < 4; i++)
        send_request(fd, PRODUCE, 3, i, 50);
    send_request(fd, FETCH, 4, 4, 0);
    turn(&server, 5);
    cr_assert_eq(server.held_count, 3, "three overlap, the fourth waits");
    server_answer(&server, 2);
    server_answer(&server, 1);
    turn(&server, 5);
    uint8_t byte;
    cr_expect_lt(recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK), 0, "nothing overtakes the first");
    cr_expect_eq(server.held_count, 1);
    server_answer(&server, 0);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(receive_correlation(&server, fd), i);
    turn(&server, 5);
    cr_assert_eq(server.held_count, 1, "Fetch does not overlap with Produce");
    server_answer(&server, 0);
    cr_expect_eq(receive_correlation(&server, fd), 3);
    turn(&server, 5);
    cr_assert_eq(server.held_count, 1);
    server_answer(&server, 0);
    cr_expect_eq(receive_correlation(&server, fd), 4);
    close(fd);
}

Test(conn_listener, large_produces_overlap_up_to_their_bytes)
{
    enum { BODY = 4000 };
    server.config.produce_bytes_max = 10000;
    server_open(&server);
    int fd = dial(&server);
    for (int i = 0; i < 5; i++)
        send_request(fd, PRODUCE, 3, i, BODY);
    turn(&server, 5);
    cr_assert_eq(server.held_count, 3, "the third is begun below the limit, the fourth is not");
    server_answer(&server, 0);
    turn(&server, 5);
    cr_assert_eq(server.held_count, 3);
    cr_expect_eq(server.seen_count, 4);
    close(fd);
}

Test(conn_listener, hang_up_cancels_a_held_request)
{
    server_open(&server);
    int fd = dial(&server);
    send_request(fd, FETCH, 4, 1, 0);
    turn(&server, 5);
    cr_assert_eq(server.held_count, 1);
    close(fd);
    turn(&server, 20);
    cr_expect_eq(server.cancelled, 1);
    cr_expect_eq(server.held_count, 0);
    cr_expect_eq(server.closed, 1);
    cr_expect_eq(conn_listener_connections(server.listener), 0);
}

Test(conn_listener, hang_up_cancels_a_held_request_with_another_one_behind_it)
{
    server_open(&server);
    int fd = dial(&server);
    send_request(fd, FETCH, 4, 1, 0);
    send_request(fd, HEARTBEAT, 0, 2, 0); // waits, so the socket is not read any more
    turn(&server, 5);
    cr_assert_eq(server.held_count, 1);
    close(fd);
    turn(&server, 20);
    cr_expect_eq(server.cancelled, 1);
    cr_expect_eq(server.seen_count, 1);
}

// As with acks=0. With answers the kernel resets the connection and what was not yet read is lost, in Kafka
// too.
Test(conn_listener, unanswered_produce_sent_before_hanging_up_is_still_begun)
{
    server.answer_nothing = true;
    server.config.produce_in_flight_max = 2;
    server_open(&server);
    int fd = dial(&server);
    for (int i = 0; i < 40; i++)
        send_request(fd, PRODUCE, 3, i, 3000);
    close(fd);
    turn(&server, 50);
    cr_expect_eq(server.seen_count, 40);
    cr_expect_eq(conn_listener_connections(server.listener), 0);
}

Test(conn_listener, answering_after_a_cancel_is_allowed_later)
{
    server_open(&server);
    int fd = dial(&server);
    send_request(fd, PRODUCE, 3, 1, 0);
    send_request(fd, PRODUCE, 3, 2, 0);
    turn(&server, 5);
    cr_assert_eq(server.held_count, 2);
    server_answer(&server, 1);
    close(fd);
    turn(&server, 20);
    cr_expect_eq(server.cancelled, 1, "the answered one is not told");
    cr_expect_eq(conn_listener_requests(server.listener), 0);
}

Test(conn_listener, silent_connection_is_closed_at_the_handshake_deadline)
{
    server.config.handshake_ms = 60;
    server_open(&server);
    int silent = dial(&server), slow = dial(&server);
    uint8_t request[] = {0, 0, 0, 11, 0, 12, 0, 1, 0, 0, 0, 77, 0, 1, 't'};
    for (size_t i = 0; i < 10; i++) { // slow loris: a byte every 10 ms does not prolong the deadline
        if (send(slow, request + i, 1, MSG_NOSIGNAL) < 0)
            break;
        turn(&server, 10);
    }
    cr_expect(gone(&server, silent));
    cr_expect(gone(&server, slow));
    close(silent);
    close(slow);
}

Test(conn_listener, idle_connection_is_closed_but_not_one_that_waits_for_us)
{
    server.config.idle_ms = 60;
    server_open(&server);
    int idle = dial(&server), waiting = dial(&server);
    send_request(idle, HEARTBEAT, 0, 1, 0);
    turn(&server, 5);
    server_answer(&server, 0);
    cr_expect_eq(receive_correlation(&server, idle), 1);
    send_request(waiting, FETCH, 4, 2, 0);
    cr_expect(gone(&server, idle));
    turn(&server, 100);
    cr_assert_eq(server.held_count, 1);
    server_answer(&server, 0);
    cr_expect_eq(receive_correlation(&server, waiting), 2);
    close(idle);
    close(waiting);
}

Test(conn_listener, limits_per_address_and_in_total_hold)
{
    server.config.connections_per_ip_max = 2;
    server_open(&server);
    int a = dial(&server), b = dial(&server), c = dial(&server);
    cr_expect(gone(&server, c));
    cr_expect_eq(conn_listener_connections(server.listener), 2);
    close(a);
    turn(&server, 20);
    int d = dial(&server);
    turn(&server, 20);
    cr_expect_eq(conn_listener_connections(server.listener), 2);
    close(b);
    close(c);
    close(d);
}

Test(conn_listener, accepting_pauses_at_max_connections_and_resumes)
{
    server.answer_at_once = true;
    server.config.connections_max = 1;
    server_open(&server);
    int a = dial(&server), b = dial(&server);
    send_request(b, HEARTBEAT, 0, 9, 0);
    turn(&server, 20);
    cr_expect_eq(conn_listener_connections(server.listener), 1);
    cr_expect_eq(server.seen_count, 0);
    close(a);
    cr_expect_eq(receive_correlation(&server, b), 9);
    close(b);
}

Test(conn_listener, above_the_byte_budget_nobody_is_read_until_something_is_answered)
{
    server.config.queued_max = 2500;
    server_open(&server);
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = dial(&server);
        send_request(fds[i], HEARTBEAT, 0, i, 1000);
        turn(&server, 5);
    }
    cr_expect_eq(server.held_count, 3, "the third request goes over the budget, the fourth waits");
    server_answer(&server, 0);
    turn(&server, 20);
    cr_expect_eq(server.held_count, 3);
    while (server.held_count > 0) {
        server_answer(&server, 0);
        turn(&server, 5);
    }
    for (int i = 0; i < 4; i++) {
        cr_expect_eq(receive_correlation(&server, fds[i]), i);
        close(fds[i]);
    }
}

Test(conn_listener, half_received_frames_cannot_block_one_another_for_good)
{
    server.answer_at_once = true;
    server.config.queued_max = 150000;
    server_open(&server);
    int fds[3];
    uint8_t half[100000] = {0};
    store_be32(half, 200000);
    half[5] = HEARTBEAT;
    for (int i = 0; i < 3; i++) {
        fds[i] = dial(&server);
        send_bytes(fds[i], half, sizeof half);
        turn(&server, 5);
    }
    uint8_t rest[100004] = {0};
    for (int i = 0; i < 3; i++) {
        send_bytes(fds[i], rest, sizeof rest);
        turn(&server, 20);
    }
    turn(&server, 100);
    cr_expect_eq(server.seen_count, 3);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

Test(conn_listener, a_frame_that_never_ends_does_not_keep_others_from_being_read)
{
    server.answer_at_once = true;
    server.config.queued_max = 150000;
    server.config.handshake_ms = 400;
    server_open(&server);
    int fds[3];
    uint8_t half[100000] = {0};
    store_be32(half, 200000);
    half[5] = HEARTBEAT;
    for (int i = 0; i < 3; i++) {
        fds[i] = dial(&server);
        send_request(fds[i], HEARTBEAT, 0, i, 0);
        cr_assert_eq(receive_correlation(&server, fds[i]), i);
    }
    send_bytes(fds[0], half, sizeof half);
    turn(&server, 5);
    send_bytes(fds[1], half, sizeof half);
    turn(&server, 5);
    send_request(fds[2], HEARTBEAT, 0, 7, 0);
    cr_expect_eq(receive_correlation(&server, fds[2]), 7);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

Test(conn_listener, what_comes_behind_a_held_request_takes_no_room_from_others)
{
    server.config.queued_max = 150000;
    server_open(&server);
    int greedy = dial(&server), other = dial(&server);
    send_request(greedy, HEARTBEAT, 0, 1, 0);
    turn(&server, 5);
    uint8_t large[200004] = {0};
    store_be32(large, 200000);
    large[5] = HEARTBEAT;
    send_bytes(greedy, large, sizeof large);
    turn(&server, 20);
    send_request(other, HEARTBEAT, 0, 3, 0);
    turn(&server, 20);
    cr_assert_eq(server.held_count, 2, "one of each");
    server_answer(&server, 0);
    turn(&server, 20);
    cr_assert_eq(server.held_count, 2, "the large one is read now");
    cr_expect_eq(receive_correlation(&server, greedy), 1);
    close(greedy);
    close(other);
}

static void note_drained(void *context)
{
    *(bool *)context = true;
}

Test(conn_listener, draining_answers_what_is_in_progress_and_then_closes)
{
    server_open(&server);
    int busy = dial(&server), idle = dial(&server);
    send_request(busy, HEARTBEAT, 0, 1, 0);
    turn(&server, 5);
    conn_listener_drain(server.listener, note_drained, &server.drained);
    cr_expect(gone(&server, idle));
    cr_expect_not(server.drained);
    server_answer(&server, 0);
    cr_expect_eq(receive_correlation(&server, busy), 1);
    cr_expect(gone(&server, busy));
    turn(&server, 5);
    cr_expect(server.drained);
    close(busy);
    close(idle);
}

Test(conn_listener, destroying_cancels_what_is_held)
{
    server_open(&server);
    int fd = dial(&server);
    send_request(fd, PRODUCE, 3, 1, 0);
    send_request(fd, PRODUCE, 3, 2, 0);
    turn(&server, 5);
    cr_assert_eq(server.held_count, 2);
    close(fd);
}
