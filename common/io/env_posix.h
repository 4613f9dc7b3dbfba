// SPDX-License-Identifier: Apache-2.0
// The real environment: an epoll loop with timers in a heap, helper threads for jobs, Linux files and TCP
// sockets.
#ifndef IO_ENV_POSIX_H
#define IO_ENV_POSIX_H

#include "io/env.h"

struct loop;

// Creates an environment with its loop, a pool of pool_threads helper threads and an empty metric registry.
// who: name for diagnostic lines, e.g. "storage-1" (copied).
enum status env_posix_new(const char *who, int pool_threads, struct env **env);

// Stops the threads after what is queued, frees everything.
void env_posix_destroy(struct env **env);

// Runs until env_posix_stop: timers, then descriptors, then job completions, then the hooks, each turn.
void env_posix_run(struct env *env);

// Runs one turn, waiting at most wait_us (-1: until something happens).
void env_posix_turn(struct env *env, int64_t wait_us);
void env_posix_stop(struct env *env);

// Foreign descriptors in the loop (ZeroMQ, libmicrohttpd, signals). events: bits of enum stream_event.
typedef void loop_fd_fn(int fd, int events, void *context);
enum status loop_fd_add(struct env *env, int fd, int events, loop_fd_fn *on_event, void *context);
void loop_fd_remove(struct env *env, int fd);

// A hook that runs at the end of every turn before the loop sleeps, and says how long the loop may sleep at
// most: 0 = do not sleep (more work waits), -1 = as long as it likes, else microseconds. ZeroMQ sockets and
// libmicrohttpd need it: their descriptors are edge-triggered or nested.
typedef int64_t loop_hook_fn(void *context);
void loop_hook_add(struct env *env, loop_hook_fn *hook, void *context);
void loop_hook_remove(struct env *env, loop_hook_fn *hook, void *context);

// What the loop is doing, for the survey: turns so far, when the present one began, name of the running
// handler.
struct loop_state {
    _Atomic uint64_t turns;
    _Atomic int64_t turn_began_us;
    const char *_Atomic handler;
};
const struct loop_state *loop_state(struct env *env);

// Names the handler that runs now (a static string), for loop_state and the log line of an over-long turn (10
// ms).
void loop_handler(struct env *env, const char *name);

#endif
