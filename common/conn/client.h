// SPDX-License-Identifier: Apache-2.0
// Kafka over sockets, client side, as raw as it gets: one connection, one request, one answer, in codec
// structs. No metadata, no retries: what a caller sees is what the broker did. Used by the command line,
// tests, benchmarks and the simulator. Requests may be pipelined; the broker answers in order.
#ifndef CONN_CLIENT_H
#define CONN_CLIENT_H

#include "base/arena.h"
#include "base/block.h"
#include "base/slice.h"
#include "io/env.h"

struct conn_client;

struct conn_client_config {
    const char *client_id;      // copied; NULL sends null
    int64_t connect_timeout_ms; // connect and ApiVersions together, 10 s
    int32_t response_max;       // largest accepted response in bytes, 128 MiB
};

struct conn_client_config conn_client_config_default(void);

// Answer to one call. Everything in it is valid during the callback only; frame_block may be referenced to
// keep record bytes that body borrows.
struct conn_answer {
    int16_t api;
    int16_t version;
    const void *body;   // the decoded response struct of that API
    struct slice frame; // the raw response behind its length prefix
    struct block *frame_block;
    int64_t elapsed_us; // from the call to the last byte
};

// ST_OK with an answer, or NULL and CLOSED, UNREACHABLE, TIMEOUT, MALFORMED (the connection is closed on all
// of these), CANCELLED (conn_client_destroy).
typedef void conn_answer_fn(enum status status, const struct conn_answer *answer, void *context);

// ready: connected and ApiVersions answered. Called once per conn_client_new.
typedef void conn_ready_fn(enum status status, void *context);

// Starts connecting. Never NULL.
struct conn_client *conn_client_new(struct env *env, const struct conn_client_config *config,
                                    const char *host, int port, conn_ready_fn *on_ready, void *context);

// Fails what is open with CANCELLED (callbacks run inside) and frees. Not from inside a callback of this
// client.
void conn_client_destroy(struct conn_client **client);

// The highest version both sides speak, at most version_max (-1: no limit); -1 when there is none. Before
// readiness: -1.
int16_t conn_client_version(const struct conn_client *client, int16_t api, int16_t version_max);

// Sends one request. version -1: the highest common one. body is the codec struct of the request, encoded
// before the call returns. timeout_ms counts from now; 0 = 30 s. on_answer NULL: no answer is expected
// (acks=0). UNSUPPORTED when the broker does not offer the version, CLOSED when the connection is not ready,
// LIMIT when more than 1,000 requests are open; then on_answer is not called.
enum status conn_client_call(struct conn_client *client, int16_t api, int16_t version, const void *body,
                             int64_t timeout_ms, conn_answer_fn *on_answer, void *context);

// Sends bytes as they are (tests of bad input), behind what is queued.
enum status conn_client_send_raw(struct conn_client *client, struct slice bytes);

// Whether it is connected and ready.
bool conn_client_ready(const struct conn_client *client);

struct env *conn_client_env(const struct conn_client *client);

// ---- blocking convenience over a real environment; runs its loop until the answer is there ----

enum status conn_client_connect_wait(struct env *env, const struct conn_client_config *config,
                                     const char *host, int port, struct conn_client **client);

// *body is decoded into arena together with its strings and record bytes, so it lives as long as the arena.
enum status conn_client_call_wait(struct conn_client *client, int16_t api, int16_t version,
                                  const void *request, int64_t timeout_ms, struct arena *arena,
                                  const void **body);

#endif
