// SPDX-License-Identifier: Apache-2.0
// Cold reads and flush rounds take turns at the disk. A disk serves calls in about the order they come, and a
// sync is several, one after the other, each behind what readers have asked for by then: beside a consumer that
// catches up every acknowledgement would wait for as much as it can have read ahead. So while records are
// flushed a reading takes a piece only, and the end of a round lets a few begin.
#include "log/internal.h"

enum {
    PIECE_BYTES = 512 << 10, // of one reading,
    AT_ONCE = 2,             // and as many of them under way, and begun in one turn, while records are flushed
    FLUSHING_MS = 100,       // so long after a round has begun another one is to be expected
    TURN_MS = 20             // a turn that a slow sync does not end ends by itself
};

static bool is_flushing(const struct log_set *set)
{
    return set->running || env_now_us(set->env) - set->running_since_us < FLUSHING_MS * 1000;
}

size_t log_cold_piece(const struct log_set *set)
{
    return is_flushing(set) ? PIECE_BYTES : LOG_READ_MAX;
}

static bool may_begin(const struct log_set *set)
{
    const struct log_cold *cold = &set->cold;
    return !is_flushing(set) || (cold->under_way < AT_ONCE && (cold->in_turn < AT_ONCE || !set->running));
}

static struct job *take_first(struct log_cold *cold)
{
    struct job *job = cold->first;
    cold->first = job->next;
    return job;
}

static void begin_some(struct log_set *set)
{
    struct log_cold *cold = &set->cold;
    while (cold->first != NULL && may_begin(set)) {
        cold->under_way++;
        cold->in_turn++;
        env_submit(set->env, set->env->pool, take_first(cold));
    }
    if (cold->first != NULL && !timer_running(&cold->turn))
        timer_start_ms(set->env, &cold->turn, TURN_MS);
}

static void turn_fire(struct timer *timer)
{
    log_cold_turn(timer->context);
}

void log_cold_init(struct log_set *set)
{
    timer_init(&set->cold.turn, turn_fire, set);
}

void log_cold_abandon(struct log_set *set)
{
    timer_stop(set->env, &set->cold.turn);
    while (set->cold.first != NULL)
        env_submit(set->env, set->env->pool, take_first(&set->cold));
}

void log_cold_submit(struct log_set *set, struct job *job)
{
    struct log_cold *cold = &set->cold;
    job->next = NULL;
    *(cold->first != NULL ? &cold->last->next : &cold->first) = job;
    cold->last = job;
    begin_some(set);
}

void log_cold_ended(struct log_set *set)
{
    set->cold.under_way--;
    begin_some(set);
}

void log_cold_turn(struct log_set *set)
{
    set->cold.in_turn = 0;
    begin_some(set);
}
