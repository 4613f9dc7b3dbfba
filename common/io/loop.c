// SPDX-License-Identifier: Apache-2.0
// The loop of the real environment. A turn: epoll; then timers, descriptors and finished jobs; then the
// hooks, which say how long the next turn may sleep. What runs is named (loop_handler), so that a turn over
// its budget can be blamed and the survey thread can tell where a hung loop hangs.
#include "io/posix.h"

#include "base/assert.h"
#include "base/map.h"
#include "base/mem.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

// A descriptor somebody else owns (ZeroMQ, libmicrohttpd, signals).
struct foreign {
    struct source source; // first
    loop_fd_fn *on_event;
    void *context;
};

// ---- sources ----

enum status source_add(struct posix_env *px, struct source *source, uint32_t epoll_bits)
{
    struct epoll_event event = {.events = epoll_bits, .data.ptr = source};
    if (epoll_ctl(px->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) != 0)
        return status_from_errno(errno);
    return ST_OK;
}

void source_change(struct posix_env *px, struct source *source, uint32_t epoll_bits)
{
    struct epoll_event event = {.events = epoll_bits, .data.ptr = source};
    int rc = epoll_ctl(px->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
    ASSERT(rc == 0);
}

void source_remove(struct posix_env *px, struct source *source)
{
    ASSERT(!source->dead);
    epoll_ctl(px->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL); // fails when a stream left the set by itself
    source->dead = true;
    source->next_dead = px->dead_sources;
    px->dead_sources = source;
}

static void sources_bury(struct posix_env *px)
{
    while (px->dead_sources != NULL) {
        struct source *source = px->dead_sources;
        px->dead_sources = source->next_dead;
        mem_free(source);
    }
}

// ---- foreign descriptors ----

static void foreign_dispatch(struct source *source, uint32_t bits)
{
    struct foreign *foreign = (struct foreign *)source;
    int events = 0;
    if (bits & EPOLLIN)
        events |= STREAM_READABLE;
    if (bits & EPOLLOUT)
        events |= STREAM_WRITABLE;
    if (bits & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
        events |= STREAM_HANGUP;
    foreign->on_event(source->fd, events, foreign->context);
}

enum status loop_fd_add(struct env *env, int fd, int events, loop_fd_fn *on_event, void *context)
{
    struct posix_env *px = posix_of(env);
    struct foreign *foreign = mem_calloc(1, sizeof *foreign);
    *foreign = (struct foreign){
        .source = {.fd = fd, .dispatch = foreign_dispatch}, .on_event = on_event, .context = context};
    uint32_t bits = (events & STREAM_READABLE ? (uint32_t)EPOLLIN : 0) |
                    (events & STREAM_WRITABLE ? (uint32_t)EPOLLOUT : 0);
    enum status status = source_add(px, &foreign->source, bits);
    if (status != ST_OK) {
        mem_free(foreign);
        return status;
    }
    void *replaced = map_put_u64(px->fds, (uint64_t)fd, foreign);
    ASSERT(replaced == NULL);
    return ST_OK;
}

void loop_fd_remove(struct env *env, int fd)
{
    struct posix_env *px = posix_of(env);
    struct foreign *foreign = map_remove_u64(px->fds, (uint64_t)fd);
    ASSERT(foreign != NULL);
    source_remove(px, &foreign->source);
}

// ---- hooks ----

void loop_hook_add(struct env *env, loop_hook_fn *run, void *context)
{
    struct hook **at = &posix_of(env)->hooks;
    while (*at != NULL)
        at = &(*at)->next;
    *at = mem_calloc(1, sizeof **at);
    **at = (struct hook){.run = run, .context = context};
}

void loop_hook_remove(struct env *env, loop_hook_fn *run, void *context)
{
    for (struct hook **at = &posix_of(env)->hooks; *at != NULL; at = &(*at)->next) {
        if ((*at)->run != run || (*at)->context != context)
            continue;
        struct hook *gone = *at;
        *at = gone->next;
        mem_free(gone);
        return;
    }
}

static int64_t hooks_run(struct posix_env *px)
{
    int64_t sleep_us = -1;
    struct hook *next;
    for (struct hook *hook = px->hooks; hook != NULL; hook = next) {
        next = hook->next; // a hook may remove itself
        loop_handler(&px->env, "hook");
        int64_t wish = hook->run(hook->context);
        if (wish >= 0 && (sleep_us < 0 || wish < sleep_us))
            sleep_us = wish;
    }
    return sleep_us;
}

// ---- budget ----

static void handler_account(struct posix_env *px, int64_t now_us)
{
    int64_t took = now_us - px->handler_began_us;
    if (took > px->slowest_us) {
        px->slowest_us = took;
        px->slowest = atomic_load_explicit(&px->state.handler, memory_order_relaxed);
    }
    px->handler_began_us = now_us;
}

void loop_handler(struct env *env, const char *name)
{
    struct posix_env *px = posix_of(env);
    handler_account(px, env_now_us(env));
    atomic_store_explicit(&px->state.handler, name, memory_order_relaxed);
}

const struct loop_state *loop_state(struct env *env)
{
    return &posix_of(env)->state;
}

static void turn_begin(struct posix_env *px)
{
    int64_t now_us = env_now_us(&px->env);
    px->handler_began_us = now_us;
    px->slowest_us = 0;
    px->slowest = "none";
    atomic_store_explicit(&px->state.handler, "loop", memory_order_relaxed);
    atomic_store_explicit(&px->state.turn_began_us, now_us, memory_order_relaxed);
    atomic_fetch_add_explicit(&px->state.turns, 1, memory_order_relaxed);
    metric_inc(&px->turns, 1);
}

static void turn_end(struct posix_env *px)
{
    int64_t now_us = env_now_us(&px->env);
    int64_t took_us = now_us - atomic_load_explicit(&px->state.turn_began_us, memory_order_relaxed);
    handler_account(px, now_us);
    atomic_store_explicit(&px->state.handler, "idle", memory_order_relaxed);
    if (took_us > atomic_load_explicit(&px->longest.value, memory_order_relaxed))
        metric_set(&px->longest, took_us);
    if (took_us <= LOOP_BUDGET_US)
        return;
    metric_inc(&px->overruns, 1);
    if (px->overrun_logged_us != 0 && now_us - px->overrun_logged_us < 1000000)
        return;
    px->overrun_logged_us = now_us;
    DIAG_WARN(&px->env.diag,
              "loop turn over its budget took_us=%lld slowest=%s slowest_us=%lld overruns=%lld",
              (long long)took_us, px->slowest, (long long)px->slowest_us,
              (long long)atomic_load_explicit(&px->overruns.value, memory_order_relaxed));
}

// ---- turns ----

static int64_t shorter(int64_t a_us, int64_t b_us)
{
    return a_us < 0 ? b_us : b_us < 0 || a_us < b_us ? a_us : b_us;
}

// Kernels before 5.11, valgrind and older container runtimes know only milliseconds.
static int epoll_sleep(struct posix_env *px, int64_t wait_us, struct epoll_event *events)
{
    if (!px->milliseconds_only) {
        struct timespec wait = {.tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000};
        int count =
            epoll_pwait2(px->epoll_fd, events, LOOP_EVENTS_PER_TURN, wait_us < 0 ? NULL : &wait, NULL);
        if (count >= 0 || (errno != ENOSYS && errno != EPERM))
            return count;
        px->milliseconds_only = true;
    }
    int64_t wait_ms = wait_us < 0 ? -1 : (wait_us + 999) / 1000;
    return epoll_wait(px->epoll_fd, events, LOOP_EVENTS_PER_TURN, wait_ms < 3600000 ? (int)wait_ms : 3600000);
}

static int loop_sleep(struct posix_env *px, int64_t wait_us, struct epoll_event *events)
{
    int64_t at_us = timers_next_us(px);
    if (at_us >= 0) {
        int64_t left_us = at_us - env_now_us(&px->env);
        wait_us = shorter(wait_us, left_us > 0 ? left_us : 0);
    }
    if (atomic_load_explicit(&px->stopping, memory_order_acquire))
        wait_us = 0;
    int count = epoll_sleep(px, wait_us, events);
    ASSERT(count >= 0 || errno == EINTR);
    return count > 0 ? count : 0;
}

static void turn(struct posix_env *px, int64_t wait_us)
{
    struct epoll_event events[LOOP_EVENTS_PER_TURN];
    int count = loop_sleep(px, shorter(wait_us, px->hooks_wish_us), events);
    turn_begin(px);
    timers_fire(px, px->handler_began_us);
    for (int i = 0; i < count; i++) {
        struct source *source = events[i].data.ptr;
        if (source->dead)
            continue;
        loop_handler(&px->env, "descriptor");
        source->dispatch(source, events[i].events);
    }
    pool_finish_jobs(px);
    px->hooks_wish_us = hooks_run(px);
    sources_bury(px);
    turn_end(px);
}

void env_posix_turn(struct env *env, int64_t wait_us)
{
    struct posix_env *px = posix_of(env);
    px->hooks_wish_us = hooks_run(px); // for what the caller did between two turns
    turn(px, wait_us);
}

void env_posix_run(struct env *env)
{
    struct posix_env *px = posix_of(env);
    px->hooks_wish_us = hooks_run(px);
    while (!atomic_load_explicit(&px->stopping, memory_order_acquire))
        turn(px, -1);
    atomic_store_explicit(&px->stopping, false, memory_order_release);
}

void env_posix_stop(struct env *env)
{
    struct posix_env *px = posix_of(env);
    atomic_store_explicit(&px->stopping, true, memory_order_release);
    loop_wake(px);
}

// ---- life ----

void loop_wake(struct posix_env *px)
{
    uint64_t one = 1;
    ssize_t wrote = write(px->wake->fd, &one, sizeof one);
    ASSERT(wrote == sizeof one || errno == EAGAIN); // EAGAIN: the counter is full, so it is awake anyway
}

static void wake_dispatch(struct source *source, uint32_t events)
{
    uint64_t count;
    ssize_t got = read(source->fd, &count, sizeof count);
    ASSERT(got == sizeof count || errno == EAGAIN);
}

enum status loop_init(struct posix_env *px)
{
    px->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (px->epoll_fd < 0)
        return status_from_errno(errno);
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return status_from_errno(errno);
    px->wake = mem_calloc(1, sizeof *px->wake);
    *px->wake = (struct source){.fd = fd, .dispatch = wake_dispatch};
    px->fds = mem_calloc(1, sizeof *px->fds);
    map_init(px->fds, 0);
    return source_add(px, px->wake, EPOLLIN);
}

void loop_fini(struct posix_env *px)
{
    while (px->hooks != NULL)
        loop_hook_remove(&px->env, px->hooks->run, px->hooks->context);
    if (px->fds != NULL) {
        void *foreign;
        for (struct map_entry *at = NULL; map_next(px->fds, &at, NULL, &foreign);)
            mem_free(foreign);
        map_fini(px->fds);
        mem_free(px->fds);
    }
    sources_bury(px);
    if (px->wake != NULL)
        close(px->wake->fd);
    mem_free(px->wake);
    if (px->epoll_fd >= 0)
        close(px->epoll_fd);
    mem_free(px->timers.slots);
}
