// SPDX-License-Identifier: Apache-2.0
// Inside of the skeleton, shared by daemon.c (life), settings.c (arguments and configuration), admin.c
// (HTTP), report.c (ready file, survey, start-up line), heap.c (free memory).
#ifndef DAEMON_INTERNAL_H
#define DAEMON_INTERNAL_H

#include "daemon/daemon.h"
#include "http/http.h"
#include "survey/survey.h"

enum daemon_phase {
    DAEMON_STARTING, // not ready for clients yet
    DAEMON_READY,    // was ready once
    DAEMON_DRAINING  // leaves
};

struct daemon {
    const struct daemon_spec *spec;
    struct config *config;
    struct env *env;
    struct transport *transport;
    struct rpc *rpc;
    struct http_server *http;
    struct survey *survey;
    void *service;
    enum daemon_phase phase;
    int exit_code;
    bool started; // the service's start succeeded
    uint64_t incarnation;
    int64_t began_us;
    int signal_fd;
    struct timer drain_timer;
    struct timer ready_timer;
    struct timer heap_timer;
    int heap_checks;  // in a row that found too much held
    char *who;        // "storage-1"
    char *endpoint;   // "tcp://host:port" of rpc for others
    char *rpc_bound;  // "host:port"
    char *http_bound; // "host:port"
    char *data_dir;   // "" when the daemon has none
    const char *ready_file;
};

// ---- settings.c ----
struct daemon_options {
    const char *ready_file;
    long parent; // die with this process; 0: no
    bool help, version;
};

// Fills config from the command line, MILLRACE_* and --config FILE. False: a message was printed, exit
// code 2.
bool settings_read(const struct daemon_spec *spec, struct config *config, int argc, char **argv,
                   struct daemon_options *options);
void settings_help(const struct daemon_spec *spec, const struct config *config);

// ---- admin.c ----
enum status admin_start(struct daemon *daemon);

// Whether clients may be sent here; else reason says why not.
bool admin_ready(struct daemon *daemon, struct buf *reason);

// ---- report.c ----
void report_started(struct daemon *daemon);

// Who and where it is, as one line of JSON.
void report_text(struct daemon *daemon, bool ready, struct buf *out);

// Writes the ready file, if one is wanted, with what is known now.
void report_ready_file(struct daemon *daemon, bool ready);
enum status report_survey_start(struct daemon *daemon);

// ---- heap.c ----
// Tells the allocator what to keep; before any thread exists.
void heap_prepare(void);

// Gives back what stays free, from now until heap_timer is stopped.
void heap_start(struct daemon *daemon);

// Bytes resident; *own: those of them that are no file's. 0 when the kernel does not say.
int64_t heap_resident(int64_t *own);

#endif
