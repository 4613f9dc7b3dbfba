// SPDX-License-Identifier: Apache-2.0
// The skeleton of every daemon: main() is a table and one call. It owns the process: arguments,
// configuration, signals, the environment, metrics, rpc, the admin HTTP port, the survey responder, start-up
// line, drain.
//
//   int main(int argc, char **argv)
//   {
//       static const struct daemon_spec spec = {
//           .name = "storage", .role = RPC_STORAGE, .summary = "partition logs and the Kafka listener",
//           .rows = storage_config_rows, .row_count = STORAGE_CONFIG_ROWS, .data_key = "log.dirs",
//           .create = create, .start = start, ...};
//       return daemon_main(argc, argv, &spec);
//   }
//
// Order of life: create, start (loop runs) ... SIGTERM or SIGINT: drain (at most 10 s), destroy, exit 0.
// All functions run on the loop's thread. Configuration comes, later ones winning, from --config FILE,
// MILLRACE_* environment variables (MILLRACE_NODE_ID is node.id) and --set key=value.
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "base/buf.h"
#include "base/config.h"
#include "io/env.h"
#include "rpc/rpc.h"

struct daemon;
struct http_route; // http/http.h

struct daemon_spec {
    const char *name;    // "storage": the program is millrace-storage
    enum rpc_role role;  // of the rpc end
    const char *summary; // one line for --help
    // Parameters beside config_common_rows.
    const struct config_row *rows;
    size_t row_count;
    const char *data_key; // parameter whose (first) value is the data directory, NULL: none; made when absent
    int pool_threads;     // helper threads of env->pool, 0: 2

    // Makes the service from daemon_env, daemon_config, daemon_rpc. Files may be read here (blocking). A
    // failure is told by a diag line of the service and ends the process with exit code 1.
    enum status (*create)(struct daemon *daemon, void **service);
    // Begins to work: listens, registers. The loop runs right after. NULL: nothing to do.
    enum status (*start)(void *service);
    // Leaves the work in order (moves leadership away, answers what is parked), then calls done(context)
    // once, later or at once. After 10 s the process goes on without it. NULL: nothing to do.
    void (*drain)(void *service, void (*done)(void *context), void *context);
    void (*destroy)(void **service);
    // Whether clients may be sent here; when not, writes the reason (one short line). NULL: always.
    bool (*ready)(void *service, struct buf *reason);
    // State for `millrace status` and the debug bundle: lines "key=value\n", at most 64 KiB are kept. Called
    // at most once a second and only while somebody asks. NULL: none.
    void (*dump)(void *service, struct buf *out);
    // Address clients of the service reach, "host:port" as bound ("" when there is none yet); written to
    // the ready file as "kafka". NULL: none.
    const char *(*kafka_address)(void *service);
    // The same of a REST interface that is not the admin port; "rest" in the ready file.
    const char *(*rest_address)(void *service);

    // HTTP beside /metrics and /health/*; handlers get the service as context. NULL: none.
    const struct http_route *routes;
    size_t route_count;
};

// Runs the daemon to its end and returns the exit code: 0 after a drain, 1 when it could not start or failed,
// 2 for wrong arguments or configuration.
int daemon_main(int argc, char **argv, const struct daemon_spec *spec);

struct env *daemon_env(struct daemon *daemon);
const struct config *daemon_config(struct daemon *daemon);

// Listening already; serve before start returns.
struct rpc *daemon_rpc(struct daemon *daemon);

// "tcp://host:port" others reach this daemon's rpc at (rpc.advertised, else the bound address).
const char *daemon_rpc_endpoint(struct daemon *daemon);

// Random number of this start of the process, the one rpc messages carry; never 0.
uint64_t daemon_incarnation(struct daemon *daemon);

// Ends the process because going on would be wrong (a failed disk, a lost directory): says why, exit code 1
// after what is running now returned; no drain.
void daemon_fail(struct daemon *daemon, const char *why);

#endif
