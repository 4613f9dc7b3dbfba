// SPDX-License-Identifier: Apache-2.0
// A listener over real sockets for the tests of common/conn: its handler keeps every request until the test
// says how to end it, or answers at once. Clients are plain blocking sockets; turn() runs the loop between
// their steps.
#ifndef TEST_CONN_SERVER_H
#define TEST_CONN_SERVER_H

#include "conn/listener.h"
#include "io/env_posix.h"

enum { HELD_MAX = 64 };

struct server {
    struct env *env;
    struct conn_listener *listener;
    struct conn_config config;
    bool answer_at_once; // Heartbeat answers with error code 0; else requests are held
    bool answer_nothing; // every request ends without an answer
    struct conn_request *held[HELD_MAX];
    int held_count;
    int32_t seen[1024]; // correlation ids in the order of arrival
    int seen_count;
    int cancelled;
    int closed;
    bool drained;
};

// Fills env and config; the test may change config before server_open.
void server_init(struct server *server);
void server_open(struct server *server);
void server_fini(struct server *server);

// Runs the loop until it has been quiet for ms.
void turn(struct server *server, int ms);

// Answers held request i (Produce or Heartbeat) with a body of its own and closes the gap.
void server_answer(struct server *server, int i);

// ---- clients ----
int dial(struct server *server);
// Sends a request without body behind a version 1 header: api, version, correlation id, client id "t", then
// extra bytes.
void send_request(int fd, int api, int version, int correlation, size_t extra);
void send_bytes(int fd, const void *data, size_t len);
// Receives one answer within 2 s of loop turns; its length without prefix, -1 when the connection ended.
int receive(struct server *server, int fd, uint8_t *data, size_t room);
// The correlation id of the next answer, or -1.
int receive_correlation(struct server *server, int fd);
// Whether the server has closed the connection (after up to 2 s of turns).
bool gone(struct server *server, int fd);

#endif
