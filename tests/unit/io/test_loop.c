// SPDX-License-Identifier: Apache-2.0
// The real loop: timers, hooks, job queues, the turn budget.
#include "io/env_posix.h"

#include "base/prng.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct env *env;

static void set_up(void)
{
    cr_assert_eq(env_posix_new("test", 2, &env), ST_OK);
}

static void tear_down(void)
{
    env_posix_destroy(&env);
}

TestSuite(loop, .init = set_up, .fini = tear_down);

static int fired[300];
static int fired_count;

static void note_fired(struct timer *timer)
{
    fired[fired_count++] = (int)(intptr_t)timer->context;
}

static void turns_for(int64_t us)
{
    for (int64_t end = env_now_us(env) + us; env_now_us(env) < end;)
        env_posix_turn(env, 1000);
}

Test(loop, timers_fire_in_order_of_time_then_of_start)
{
    struct timer timers[4];
    int64_t delays[] = {3000, 1000, 1000, 2000};
    int64_t now_us = env_now_us(env);
    for (int i = 0; i < 4; i++) {
        timer_init(&timers[i], note_fired, (void *)(intptr_t)i);
        env->ops->timer_start(env, &timers[i], now_us + delays[i]);
    }
    turns_for(20000);
    cr_assert_eq(fired_count, 4);
    int expected[] = {1, 2, 3, 0};
    for (int i = 0; i < 4; i++)
        cr_assert_eq(fired[i], expected[i]);
}

Test(loop, timers_stopped_and_moved_at_random_keep_the_heap_sorted)
{
    static struct timer timers[300];
    struct prng prng = {11};
    int64_t base_us = env_now_us(env);
    for (int i = 0; i < 300; i++)
        timer_init(&timers[i], note_fired, (void *)(intptr_t)i);
    for (int round = 0; round < 5000; round++) {
        struct timer *timer = &timers[prng_below(&prng, 300)];
        if (prng_below(&prng, 3) == 0)
            timer_stop(env, timer);
        else
            env->ops->timer_start(env, timer, base_us - 1000000 + (int64_t)prng_below(&prng, 1000000));
    }
    int running = 0;
    for (int i = 0; i < 300; i++)
        running += timer_running(&timers[i]);
    env_posix_turn(env, 0);
    cr_assert_eq(fired_count, running);
    for (int i = 1; i < fired_count; i++)
        cr_assert_leq(timers[fired[i - 1]].at_us, timers[fired[i]].at_us);
}

static void restart_at_once(struct timer *timer)
{
    fired_count++;
    timer_start_us(env, timer, 0);
}

Test(loop, timer_that_restarts_without_delay_fires_once_per_turn)
{
    struct timer timer;
    timer_init(&timer, restart_at_once, NULL);
    timer_start_us(env, &timer, 0);
    env_posix_turn(env, 0);
    env_posix_turn(env, 0);
    cr_assert_eq(fired_count, 2);
}

Test(loop, timer_wakes_a_loop_that_would_wait_for_ever)
{
    struct timer timer;
    timer_init(&timer, note_fired, NULL);
    int64_t began_us = env_now_us(env);
    timer_start_ms(env, &timer, 20);
    while (fired_count == 0)
        env_posix_turn(env, -1);
    int64_t took_us = env_now_us(env) - began_us;
    cr_assert(took_us >= 20000 && took_us < 500000, "took %lld us", (long long)took_us);
}

// ---- hooks ----

static int hook_runs;

static int64_t hook_busy_three_times(void *context)
{
    if (++hook_runs == 4)
        env_posix_stop(env);
    return hook_runs < 3 ? 0 : 1000;
}

Test(loop, hook_runs_before_every_sleep_and_bounds_it)
{
    loop_hook_add(env, hook_busy_three_times, NULL);
    int64_t began_us = env_now_us(env);
    env_posix_run(env); // would sleep for ever without the hook's wish
    cr_assert_eq(hook_runs, 4);
    cr_assert_lt(env_now_us(env) - began_us, 1000000);
    loop_hook_remove(env, hook_busy_three_times, NULL);
    env_posix_turn(env, 0);
    cr_assert_eq(hook_runs, 4);
}

static void read_byte(int fd, int events, void *context)
{
    char byte;
    cr_assert(events & STREAM_READABLE);
    cr_assert_eq(read(fd, &byte, 1), 1);
    ++*(int *)context;
}

Test(loop, foreign_descriptor_is_level_triggered_until_removed)
{
    int fds[2], seen = 0;
    cr_assert_eq(pipe(fds), 0);
    cr_assert_eq(loop_fd_add(env, fds[0], STREAM_READABLE, read_byte, &seen), ST_OK);
    cr_assert_eq(write(fds[1], "abc", 3), 3);
    env_posix_turn(env, 0);
    env_posix_turn(env, 0);
    cr_assert_eq(seen, 2);
    loop_fd_remove(env, fds[0]);
    env_posix_turn(env, 0);
    cr_assert_eq(seen, 2);
    close(fds[0]);
    close(fds[1]);
}

// ---- budget ----

static char logged[1200];

static void keep_line(struct diag *diag, const char *line)
{
    snprintf(logged, sizeof logged, "%s", line);
    ++*(int *)diag->context;
}

static void overrun(struct timer *timer)
{
    loop_handler(env, "innocent");
    loop_handler(env, "test.sleeper");
    usleep(15000);
    loop_handler(env, "innocent");
}

static int64_t metric_value(const char *name)
{
    for (struct metric *metric = env->metrics->first; metric != NULL; metric = metric->next)
        if (strcmp(metric->name, name) == 0)
            return metric->value;
    cr_assert_fail("no metric %s", name);
    return -1;
}

Test(loop, overlong_turn_is_counted_and_logged_once_a_second_with_the_handlers_name)
{
    int lines = 0;
    env->diag.write = keep_line;
    env->diag.context = &lines;
    struct timer timer;
    timer_init(&timer, overrun, NULL);
    for (int i = 0; i < 3; i++) {
        timer_start_us(env, &timer, 0);
        env_posix_turn(env, 0);
        env_posix_turn(env, 0);
    }
    cr_assert_geq(metric_value("millrace_loop_overruns_total"), 3);
    cr_assert_geq(metric_value("millrace_loop_longest_turn_us"), 15000);
    cr_assert_eq(lines, 1);
    cr_assert(strstr(logged, "slowest=test.sleeper"), "%s", logged);
}

Test(loop, time_between_turns_is_not_the_loops)
{
    int counted = 0;
    for (int i = 0; i < 10; i++) { // a busy machine may add one now and then
        int64_t before = metric_value("millrace_loop_overruns_total");
        env->diag.level = DIAG_ERROR;
        usleep(15000);
        env_posix_turn(env, 0);
        counted += metric_value("millrace_loop_overruns_total") > before;
    }
    cr_assert_lt(counted, 5);
}

// ---- jobs ----

struct numbered {
    struct job job;
    int number;
};
static int ran[2000], ran_count, done_count;
static pthread_t loop_thread;

static void run_numbered(struct job *job)
{
    if (((struct numbered *)job)->number % 100 == 0)
        usleep(1000);
    ran[ran_count++] = ((struct numbered *)job)->number;
}

static void done_numbered(struct job *job)
{
    cr_assert(pthread_equal(pthread_self(), loop_thread));
    cr_assert_eq(((struct numbered *)job)->number, done_count);
    done_count++;
    free(job);
}

static void submit_numbered(struct job_queue *queue, int count)
{
    loop_thread = pthread_self();
    for (int i = 0; i < count; i++) {
        struct numbered *numbered = calloc(1, sizeof *numbered);
        *numbered = (struct numbered){.job = {.run = run_numbered, .done = done_numbered}, .number = i};
        env_submit(env, queue, &numbered->job);
    }
}

Test(loop, queue_with_one_thread_runs_and_tells_in_order_of_submission)
{
    struct job_queue *queue = env_queue_new(env, "ordered", 1);
    submit_numbered(queue, 2000);
    while (done_count < 2000)
        env_posix_turn(env, -1);
    for (int i = 0; i < 2000; i++)
        cr_assert_eq(ran[i], i);
    env_queue_destroy(env, &queue);
}

Test(loop, queue_destroyed_runs_what_is_queued_and_tells_it_first)
{
    struct job_queue *queue = env_queue_new(env, "ordered", 1);
    submit_numbered(queue, 500);
    env_queue_destroy(env, &queue);
    cr_assert_eq(done_count, 500);
    cr_assert_null(queue);
}

static struct job_queue *victim;

static void done_destroys_queue(struct job *job)
{
    env_queue_destroy(env, &victim);
    cr_assert_eq(done_count, 3, "other jobs of the queue are told before destroy returns");
}

static void run_nothing(struct job *job)
{
}

Test(loop, queue_can_be_destroyed_by_a_done_callback)
{
    victim = env_queue_new(env, "victim", 1);
    struct job_queue *other = env_queue_new(env, "other", 1);
    struct job first = {.run = run_nothing, .done = done_destroys_queue};
    env_submit(env, other, &first);
    usleep(10000);
    submit_numbered(victim, 3);
    usleep(10000);
    env_posix_turn(env, 0);
    cr_assert_null(victim);
    env_queue_destroy(env, &other);
}

static void *stop_from_elsewhere(void *context)
{
    usleep(10000);
    env_posix_stop(env);
    return NULL;
}

Test(loop, run_ends_when_stopped_from_another_thread)
{
    pthread_t thread;
    pthread_create(&thread, NULL, stop_from_elsewhere, NULL);
    env_posix_run(env);
    pthread_join(thread, NULL);
}

Test(loop, random_numbers_differ)
{
    uint64_t seen[100];
    for (int i = 0; i < 100; i++) {
        seen[i] = env_random(env);
        for (int j = 0; j < i; j++)
            cr_assert_neq(seen[i], seen[j]);
    }
}
