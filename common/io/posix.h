// SPDX-License-Identifier: Apache-2.0
// Private to common/io: the insides of the real environment, shared by its parts (loop, timers, pool, file,
// tcp).
#ifndef IO_POSIX_H
#define IO_POSIX_H

#include "io/env_posix.h"

#include <pthread.h>

enum {
    LOOP_BUDGET_US = 10000,     // a longer turn is counted and logged (design section 3, rule 1)
    LOOP_EVENTS_PER_TURN = 128, // descriptors served before timers get their chance again
    ACCEPTS_PER_TURN = 64,      // connections taken from one listener per turn
    ACCEPT_PAUSE_US = 100000,   // pause after the descriptor limit was met
    WARN_EVERY_US = 10000000, // a lasting lack of descriptors is logged no more often
    LISTEN_BACKLOG = 1024
};

// A descriptor in the epoll set. dispatch runs with the epoll bits.
struct source;
typedef void source_fn(struct source *source, uint32_t events);

struct source {
    int fd;
    source_fn *dispatch;
    struct source *next_dead; // removed during a turn: freed at its end, since the batch may still name it
    bool dead;
};

struct file {
    int fd;
};

struct hook {
    loop_hook_fn *run;
    void *context;
    struct hook *next;
};

struct timer_heap {
    struct timer **slots;
    int count, cap;
    uint64_t sequence;
};

struct posix_env {
    struct env env;     // first: struct env * is cast to this
    struct env_ops ops; // filled by the parts
    struct metric_registry registry;
    char *who;
    int epoll_fd;
    bool milliseconds_only; // epoll_pwait2 is not there
    struct source *wake; // eventfd: finished jobs, stop
    atomic_bool stopping;
    struct timer_heap timers;
    struct hook *hooks;
    struct map *fds;             // foreign descriptor → its source
    struct source *dead_sources; // freed at the end of the turn
    // jobs that ran, waiting for done()
    pthread_mutex_t finished_lock;
    struct job *finished_first, *finished_last;
    int finished_count;
    // random bytes read ahead
    uint64_t random[32];
    int random_left;
    // what the turn is doing
    struct loop_state state;
    int64_t handler_began_us;
    int64_t hooks_wish_us; // how long the next turn may sleep for their sake
    const char *slowest;
    int64_t slowest_us;
    int64_t overrun_logged_us;
    struct metric overruns, turns, longest, accept_pauses;
};

static inline struct posix_env *posix_of(struct env *env)
{
    return (struct posix_env *)env;
}

// timers.c
void timers_start(struct env *env, struct timer *timer, int64_t at_us);
void timers_stop(struct env *env, struct timer *timer);
// Fires what is due at now_us; a timer started meanwhile waits for the next turn even when it is due.
void timers_fire(struct posix_env *px, int64_t now_us);
// When the earliest one is due, -1 when none runs.
int64_t timers_next_us(const struct posix_env *px);

// loop.c
enum status loop_init(struct posix_env *px);
void loop_fini(struct posix_env *px);
void loop_wake(struct posix_env *px); // from any thread
enum status source_add(struct posix_env *px, struct source *source, uint32_t epoll_bits);
void source_change(struct posix_env *px, struct source *source, uint32_t epoll_bits);
void source_remove(struct posix_env *px, struct source *source); // closes nothing, frees later

// pool.c
struct job_queue *pool_queue_new(struct env *env, const char *name, int threads);
void pool_queue_destroy(struct env *env, struct job_queue **queue);
void pool_submit(struct env *env, struct job_queue *queue, struct job *job);
void pool_finish_jobs(struct posix_env *px);

// file.c: whether all of a range is in memory, without cachestat. A mapping of it is asked, which touches none
// of its pages.
bool file_cached_by_mapping(int fd, int64_t at, int64_t len);

// file.c, path.c, tcp.c: their part of the table
void file_ops_fill(struct env_ops *ops);
void path_ops_fill(struct env_ops *ops);
void tcp_ops_fill(struct env_ops *ops);

#endif
