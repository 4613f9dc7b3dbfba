// SPDX-License-Identifier: Apache-2.0
// The real environment put together: clock and random numbers here, the rest in loop.c, timers.c, pool.c,
// file.c, path.c and tcp.c.
#include "io/posix.h"

#include "base/assert.h"
#include "base/mem.h"

#include <errno.h>
#include <signal.h>
#include <sys/random.h>
#include <time.h>

static int64_t posix_now_us(struct env *env)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t posix_wall_ms(struct env *env)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t posix_random(struct env *env)
{
    struct posix_env *px = posix_of(env);
    if (px->random_left == 0) {
        ssize_t got;
        do
            got = getrandom(px->random, sizeof px->random, 0);
        while (got < 0 && errno == EINTR);
        ASSERT(got == sizeof px->random); // up to 256 bytes come whole once the pool is seeded
        px->random_left = (int)(sizeof px->random / sizeof *px->random);
    }
    uint64_t value = px->random[--px->random_left];
    px->random[px->random_left] = 0; // it may become a secret of somebody
    return value;
}

static void metrics_add(struct posix_env *px)
{
    px->turns = (struct metric){.name = "millrace_loop_turns_total", .help = "Turns of the event loop."};
    px->overruns = (struct metric){.name = "millrace_loop_overruns_total",
                                   .help = "Turns of the event loop that took longer than 10 ms."};
    px->longest = (struct metric){.name = "millrace_loop_longest_turn_us",
                                  .help = "Longest turn of the event loop so far, in microseconds.",
                                  .kind = METRIC_GAUGE};
    px->accept_pauses = (struct metric){.name = "millrace_accept_pauses_total",
                                        .help = "Times accepting paused because no descriptor was left."};
    metric_add(&px->registry, &px->turns);
    metric_add(&px->registry, &px->overruns);
    metric_add(&px->registry, &px->longest);
    metric_add(&px->registry, &px->accept_pauses);
}

static const struct env_ops *posix_ops(struct env_ops *ops)
{
    *ops = (struct env_ops){.now_us = posix_now_us,
                            .wall_ms = posix_wall_ms,
                            .timer_start = timers_start,
                            .timer_stop = timers_stop,
                            .random = posix_random,
                            .queue_new = pool_queue_new,
                            .queue_destroy = pool_queue_destroy,
                            .submit = pool_submit};
    file_ops_fill(ops);
    path_ops_fill(ops);
    tcp_ops_fill(ops);
    return ops;
}

enum status env_posix_new(const char *who, int pool_threads, struct env **env)
{
    struct posix_env *px = mem_calloc(1, sizeof *px);
    px->env.ops = posix_ops(&px->ops);
    px->who = mem_strdup(who);
    px->env.diag = (struct diag){.level = DIAG_INFO, .who = px->who};
    px->env.metrics = &px->registry;
    px->epoll_fd = -1;
    metrics_add(px);
    pthread_mutex_init(&px->finished_lock, NULL);
    signal(SIGPIPE, SIG_IGN); // sendfile has no MSG_NOSIGNAL
    enum status status = loop_init(px);
    *env = &px->env;
    if (status == ST_OK)
        px->env.pool = pool_queue_new(&px->env, "pool", pool_threads);
    else
        env_posix_destroy(env);
    return status;
}

void env_posix_destroy(struct env **env)
{
    if (*env == NULL)
        return;
    struct posix_env *px = posix_of(*env);
    *env = NULL;
    pool_queue_destroy(&px->env, &px->env.pool);
    loop_fini(px);
    pthread_mutex_destroy(&px->finished_lock);
    mem_free(px->who);
    mem_free(px);
}
