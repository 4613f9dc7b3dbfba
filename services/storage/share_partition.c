// SPDX-License-Identifier: Apache-2.0
// See share_partition.h: beginning, restoring, the start offset, and what time and writes change.
// share_acquire.c and share_acks.c have what members do.
#include "share_partition.h"

#include "base/assert.h"
#include "share_state.h"

void share_partition_init(struct share_partition *partition, const struct share_limits *limits, int64_t start,
                          uint64_t seed)
{
    ASSERT(limits->locks_max > 0 && limits->deliveries_max > 0);
    *partition =
        (struct share_partition){.limits = *limits, .start = start, .end = start, .deadline_ms = INT64_MAX};
    share_runs_init(&partition->runs, seed);
}

void share_partition_fini(struct share_partition *partition)
{
    share_runs_fini(&partition->runs);
}

// ---- the start offset ----

static bool is_over(const struct share_run *run)
{
    return run != NULL && share_state_over(run->fate.state);
}

void share_partition_settled(struct share_partition *partition)
{
    struct share_runs *runs = &partition->runs;
    while (is_over(runs->head))
        share_runs_remove(runs, runs->head);
    share_runs_join(runs);
    partition->start = runs->head != NULL ? runs->head->first : partition->end;
}

void share_partition_move_start(struct share_partition *partition, int64_t offset)
{
    struct share_runs *runs = &partition->runs;
    if (offset <= partition->start)
        return;
    while (runs->head != NULL && runs->head->first < offset)
        share_runs_remove(runs, share_runs_cut(runs, runs->head, runs->head->first, offset - 1));
    if (partition->end < offset)
        partition->end = offset;
    share_partition_settled(partition);
}

// ---- restoring ----

static bool was_written(const struct share_batch *batch, int64_t behind)
{
    enum share_state state = batch->fate.state;
    bool known = state == SHARE_AVAILABLE || share_state_over(state);
    return known && behind <= batch->first && batch->first <= batch->last && batch->last < INT64_MAX &&
           batch->fate.deliveries >= 0;
}

static void append(struct share_partition *partition, int64_t last, struct share_fate fate)
{
    if (partition->end > last)
        return;
    share_runs_append(&partition->runs, partition->end, last, fate);
    partition->end = last + 1;
}

enum status share_partition_restore(struct share_partition *partition, const struct share_batch *batches,
                                    size_t count)
{
    ASSERT(partition->runs.head == NULL);
    for (size_t i = 0; i < count; i++) {
        if (!was_written(&batches[i], i > 0 ? batches[i - 1].last + 1 : 0))
            return ST_CORRUPT;
        append(partition, batches[i].first - 1, (struct share_fate){SHARE_AVAILABLE, 0});
#ifndef PLANTED_SHARE_COUNT_FORGOTTEN
        append(partition, batches[i].last, batches[i].fate);
#else
        append(partition, batches[i].last, (struct share_fate){batches[i].fate.state, 0});
#endif
    }
    share_partition_settled(partition);
    return ST_OK;
}

// ---- writes ----

// Records that are over, or will be when what is being written is. Those that others give up may take long.
static int32_t delivery_complete(const struct share_partition *partition, const struct share_write *write)
{
    int64_t complete = partition->runs.over;
    for (const struct share_run *run = partition->runs.head; run != NULL; run = run->next)
        if (run->write != 0 && share_state_over(run->outcome.state) &&
            (!run->dies || run->write == write->dead_number))
            complete += run->last - run->first + 1;
    return complete < INT32_MAX ? (int32_t)complete : INT32_MAX;
}

void share_write_finish(const struct share_partition *partition, struct share_write *write)
{
    write->start_offset = partition->start;
    write->delivery_complete = delivery_complete(partition, write);
}

void share_run_await(struct share_partition *partition, struct share_run *run, struct share_fate outcome,
                     enum share_death death, struct share_write *write)
{
    int64_t *number = death == SHARE_NO_DEATH ? &write->number : &write->dead_number;
    if (*number == 0)
        *number = ++partition->writes;
    run->write = *number;
    run->dies = death != SHARE_NO_DEATH;
    run->outcome = outcome;
    share_write_add(write, &(struct share_batch){run->first, run->last, outcome, death});
}

void share_partition_written(struct share_partition *partition, int64_t number)
{
    ASSERT(number > 0);
    for (struct share_run *run = partition->runs.head; run != NULL; run = run->next)
        if (run->write == number)
            share_runs_settle(&partition->runs, run, run->outcome);
    share_partition_settled(partition);
}

void share_partition_kept(struct share_partition *partition, int64_t number, int64_t until_ms)
{
    ASSERT(number > 0);
    for (struct share_run *run = partition->runs.head; run != NULL; run = run->next) {
        if (run->write != number)
            continue;
        if (run->deadline_ms < until_ms)
            run->deadline_ms = until_ms;
        share_lock_goes_on(partition, run);
    }
    share_partition_settled(partition);
}

// ---- locks ----

// Its lock may end while an answer for it is being written; only when that failed is it looked at again.
void share_lock_goes_on(struct share_partition *partition, struct share_run *run)
{
    run->write = 0;
    if (run->deadline_ms < partition->deadline_ms)
        partition->deadline_ms = run->deadline_ms;
}

struct share_fate share_fate_undelivered(const struct share_partition *partition, int16_t deliveries)
{
#ifndef PLANTED_SHARE_DELIVERED_FOR_EVER
    bool again = deliveries < partition->limits.deliveries_max;
#else
    bool again = true;
#endif
    return (struct share_fate){again ? SHARE_AVAILABLE : SHARE_ARCHIVED, deliveries};
}

static bool locked(const struct share_run *run)
{
    return run->fate.state == SHARE_ACQUIRED && run->write == 0;
}

void share_partition_expire(struct share_partition *partition, int64_t now_ms, struct share_write *write)
{
    if (now_ms < partition->deadline_ms)
        return;
    partition->deadline_ms = INT64_MAX;
    for (struct share_run *run = partition->runs.head; run != NULL; run = run->next) {
        if (!locked(run))
            continue;
        if (run->deadline_ms > now_ms) {
            share_lock_goes_on(partition, run);
            continue;
        }
        struct share_fate fate = share_fate_undelivered(partition, run->fate.deliveries);
        if (fate.state == SHARE_ARCHIVED) {
            share_run_await(partition, run, fate, SHARE_WORN_OUT, write);
            continue;
        }
        share_runs_settle(&partition->runs, run, fate);
        share_write_add(write, &(struct share_batch){run->first, run->last, fate, SHARE_NO_DEATH});
    }
    share_partition_settled(partition);
    share_write_finish(partition, write);
}

void share_partition_waiting(const struct share_partition *partition, struct share_write *write)
{
    share_write_fini(write);
    for (const struct share_run *run = partition->runs.head; run != NULL; run = run->next)
        if (run->fate.state == SHARE_AVAILABLE && run->fate.deliveries > 0)
            share_write_add(write, &(struct share_batch){run->first, run->last, run->fate, SHARE_NO_DEATH});
    share_write_finish(partition, write);
}

int64_t share_partition_deadline(const struct share_partition *partition)
{
    return partition->deadline_ms;
}
