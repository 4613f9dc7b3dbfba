// SPDX-License-Identifier: Apache-2.0
// See share_partition.h: delivering records to members.
#include "base/assert.h"
#include "base/mem.h"
#include "share_state.h"

static int64_t larger(int64_t one, int64_t other)
{
    return one > other ? one : other;
}

static int64_t smaller(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

// How many records may still come to those on their way.
static int64_t locks_left(const struct share_partition *partition)
{
    int64_t under_way = partition->runs.available + partition->runs.acquired;
    return larger(partition->limits.locks_max - under_way, 0);
}

int64_t share_partition_next(const struct share_partition *partition)
{
    if (partition->runs.available == 0)
        return partition->end;
    const struct share_run *run = partition->runs.head;
    while (run->fate.state != SHARE_AVAILABLE)
        run = run->next;
    return run->first;
}

bool share_partition_room(const struct share_partition *partition)
{
    return partition->runs.available > 0 || locks_left(partition) > 0;
}

// ---- records nobody is to read ----

// from: where to begin to look, NULL: at the head. Returns where to go on behind last.
static struct share_run *archive(struct share_partition *partition, struct share_run *from, int64_t first,
                                 int64_t last)
{
    struct share_runs *runs = &partition->runs;
    struct share_run *run = from != NULL ? from : runs->head;
    for (; run != NULL && run->first <= last; run = run->next) {
        from = run;
        if (run->last < first || run->fate.state != SHARE_AVAILABLE)
            continue;
        from = run = share_runs_cut(runs, run, first, last);
        share_runs_settle(runs, run, (struct share_fate){SHARE_ARCHIVED, run->fate.deliveries});
    }
    if (last >= partition->end) {
        share_runs_append(runs, partition->end, last, (struct share_fate){SHARE_ARCHIVED, 0});
        partition->end = last + 1;
    }
    return from;
}

void share_partition_pass(struct share_partition *partition, const struct share_span *spans, size_t count)
{
    struct share_run *at = NULL;
    for (size_t i = 0; i < count && spans[i].first <= partition->end; i++)
        if (spans[i].last >= partition->start)
            at = archive(partition, at, spans[i].first, spans[i].last);
    share_partition_settled(partition);
}

// ---- acquiring ----

struct taking {
    struct share_partition *partition;
    const struct share_demand *demand;
    struct share_acquisition *got;
    struct share_run *at; // batches ascend, and so does this
    bool full;            // nothing more is to be taken
};

// A part that goes on where the last one ended is joined to it until that has batch_size records.
static void answer(struct taking *taking, int64_t first, int64_t last, int16_t deliveries)
{
    struct share_acquisition *got = taking->got;
    struct share_acquired *end = got->count > 0 ? &got->parts[got->count - 1] : NULL;
    got->records += last - first + 1;
    if (end != NULL && end->last + 1 == first && end->deliveries == deliveries &&
        end->last - end->first + 1 < taking->demand->batch_size) {
        end->last = last;
        return;
    }
    if (got->count == got->room) {
        got->room = got->room == 0 ? 8 : 2 * got->room;
        got->parts = mem_realloc(got->parts, got->room * sizeof *got->parts);
    }
    got->parts[got->count++] = (struct share_acquired){first, last, deliveries};
}

static void take(struct taking *taking, struct share_run *run)
{
    struct share_partition *partition = taking->partition;
#ifndef PLANTED_SHARE_LOCK_ENDS_EARLY
    int64_t deadline_ms = taking->demand->now_ms + partition->limits.lock_ms;
#else
    int64_t deadline_ms = taking->demand->now_ms + partition->limits.lock_ms / 8;
#endif
    int16_t deliveries = (int16_t)(run->fate.deliveries + 1);
    share_runs_lock(&partition->runs, run, taking->demand->member, deliveries, deadline_ms);
    partition->deadline_ms = smaller(partition->deadline_ms, deadline_ms);
    answer(taking, run->first, run->last, deliveries);
}

static int64_t wanted(const struct taking *taking)
{
    return taking->demand->records_max - taking->got->records;
}

// Delivered so often, records are isolated (Kafka's throttling in SharePartition): half of them at first, a
// quarter then, one the last time. 0: they are not.
static int64_t isolated(const struct share_partition *partition, const struct share_run *run)
{
    int64_t most = partition->limits.deliveries_max, from = larger((most + 1) / 2, 2);
    int64_t deliveries = run->fate.deliveries;
    if (deliveries < from)
        return 0;
    if (deliveries + 1 >= most)
        return 1;
    return larger((run->last - run->first + 1) >> (deliveries - from + 1), 1);
}

// Takes the available records of a run that lie in the batch; returns where it is left.
static struct share_run *take_again(struct taking *taking, struct share_run *run,
                                    const struct share_span *batch)
{
    int64_t first = larger(run->first, batch->first), last = smaller(run->last, batch->last);
    int64_t few = isolated(taking->partition, run);
    if (few > 0 && taking->got->records > 0) {
        taking->full = true;
        return run;
    }
    if (few > 0)
        last = smaller(last, first + few - 1);
    if (taking->demand->strict)
        last = smaller(last, first + wanted(taking) - 1);
    run = share_runs_cut(&taking->partition->runs, run, first, last);
    take(taking, run);
    taking->full = few > 0 || (taking->demand->strict && wanted(taking) <= 0);
    return run;
}

// Takes the records of a batch that nobody had yet.
static void take_new(struct taking *taking, const struct share_span *batch)
{
    struct share_partition *partition = taking->partition;
    int64_t count = smaller(batch->last - partition->end + 1, locks_left(partition));
    if (taking->demand->strict)
        count = smaller(count, wanted(taking));
    if (count > 0) {
        int64_t first = partition->end;
        partition->end += count;
        taking->at = share_runs_append(&partition->runs, first, partition->end - 1,
                                       (struct share_fate){SHARE_AVAILABLE, 0});
        take(taking, taking->at);
    }
    taking->full = partition->end <= batch->last;
}

static void take_batch(struct taking *taking, const struct share_span *batch)
{
    struct share_run *run = taking->at != NULL ? taking->at : taking->partition->runs.head;
    for (; run != NULL && run->first <= batch->last && !taking->full; run = run->next) {
        taking->at = run;
        if (run->last >= batch->first && run->fate.state == SHARE_AVAILABLE)
            taking->at = run = take_again(taking, run, batch);
    }
    if (!taking->full && taking->partition->end <= batch->last)
        take_new(taking, batch);
}

// The records of the log that lie between batches, or before the first, are gone (compaction).
static void pass_gap(struct taking *taking, int64_t first, int64_t last)
{
    if (first <= last)
        archive(taking->partition, taking->at, first, last);
}

void share_partition_acquire(struct share_partition *partition, const struct share_demand *demand,
                             const struct share_fetched *fetched, struct share_acquisition *acquisition)
{
    struct taking taking = {partition, demand, acquisition, NULL, false};
    int64_t at = fetched->offset;
    ASSERT(at <= partition->end);
    for (size_t i = 0; i < fetched->count && !taking.full && wanted(&taking) > 0; i++) {
        const struct share_span *batch = &fetched->batches[i];
        pass_gap(&taking, at, batch->first - 1);
        take_batch(&taking, batch);
        at = batch->last + 1;
    }
    share_partition_settled(partition);
}
