// SPDX-License-Identifier: Apache-2.0
// See share_partition.h: what members say of the records they hold. A request is looked at whole before
// anything changes.
#include "kafka/errors.h"
#include "share_state.h"

// Walks over the records of acknowledgements; those ascend, and so do the runs.
struct walk {
    struct share_partition *partition;
    struct slice member;
    const struct share_ack *acks;
    size_t count;
    struct share_run *at;
};

static int64_t larger(int64_t one, int64_t other)
{
    return one > other ? one : other;
}

// The run that has the offset; one lies there.
static struct share_run *walk_to(struct walk *walk, int64_t offset)
{
    while (walk->at->last < offset)
        walk->at = walk->at->next;
    return walk->at;
}

// ---- whether it may ----

static bool types_fit(const struct share_ack *ack)
{
    if (ack->count != 1 && ack->count - 1 != ack->last - ack->first)
        return false;
    for (int32_t i = 0; i < ack->count; i++)
        if (ack->types[i] < SHARE_GAP || ack->types[i] > SHARE_RENEW)
            return false;
    return true;
}

static bool ascending(const struct walk *walk)
{
    int64_t behind = 0;
    for (size_t i = 0; i < walk->count; i++) {
        const struct share_ack *ack = &walk->acks[i];
        if (ack->first < behind || ack->last < ack->first || ack->last == INT64_MAX || !types_fit(ack))
            return false;
        behind = ack->last + 1;
    }
    return true;
}

static bool holds(struct walk *walk, const struct share_ack *ack)
{
    struct share_run *run = walk_to(walk, larger(ack->first, walk->partition->start));
    const struct share_member *member = share_runs_member(&walk->partition->runs, walk->member);
    for (; run != NULL && run->first <= ack->last; run = run->next)
        if (run->member == NULL || run->member != member || run->write != 0)
            return false;
    return true;
}

// KIP-1240: a group may forbid renewals.
static bool renewal_refused(const struct share_partition *partition, const struct share_ack *ack)
{
    for (int32_t i = 0; i < ack->count && partition->limits.no_renewals; i++)
        if (ack->types[i] == SHARE_RENEW)
            return true;
    return false;
}

static int16_t check(struct walk *walk)
{
    const struct share_partition *partition = walk->partition;
    if (!ascending(walk))
        return KAFKA_ERR_INVALID_REQUEST;
    for (size_t i = 0; i < walk->count; i++) {
        const struct share_ack *ack = &walk->acks[i];
        if (ack->last < partition->start)
            continue;
        if (walk->at == NULL)
            return KAFKA_ERR_INVALID_RECORD_STATE;
        if (ack->last >= partition->end)
            return KAFKA_ERR_INVALID_REQUEST;
        if (!holds(walk, ack) || renewal_refused(partition, ack))
            return KAFKA_ERR_INVALID_RECORD_STATE;
    }
    return KAFKA_ERR_NONE;
}

// ---- what becomes of them ----

static struct share_fate outcome_of(const struct share_partition *partition, int16_t deliveries, int8_t type)
{
    if (type == SHARE_RELEASE)
        return share_fate_undelivered(partition, deliveries);
    return (struct share_fate){type == SHARE_ACCEPT ? SHARE_ACKNOWLEDGED : SHARE_ARCHIVED, deliveries};
}

static enum share_death death_of(struct share_fate outcome, int8_t type)
{
    if (type == SHARE_REJECT)
        return SHARE_REJECTED;
    return type == SHARE_RELEASE && outcome.state == SHARE_ARCHIVED ? SHARE_WORN_OUT : SHARE_NO_DEATH;
}

// One type for the offsets first to last. A renewal needs no write: locks are not written.
static void apply_type(struct walk *walk, struct share_span span, int8_t type, int64_t now_ms,
                       struct share_write *write)
{
    struct share_partition *partition = walk->partition;
    struct share_run *run = walk_to(walk, span.first);
    for (; run != NULL && run->first <= span.last; run = run->next) {
        walk->at = run = share_runs_cut(&partition->runs, run, span.first, span.last);
        if (type == SHARE_RENEW) {
            run->deadline_ms = now_ms + partition->limits.lock_ms;
            continue;
        }
        struct share_fate outcome = outcome_of(partition, run->fate.deliveries, type);
        share_run_await(partition, run, outcome, death_of(outcome, type), write);
    }
}

// How many offsets from the i-th on have the same type.
static int64_t stretch(const struct share_ack *ack, int64_t i)
{
    int64_t end = i + 1;
    if (ack->count == 1)
        return ack->last - ack->first + 1 - i;
    while (end < ack->count && ack->types[end] == ack->types[i])
        end++;
    return end - i;
}

static void apply(struct walk *walk, const struct share_ack *ack, int64_t now_ms, struct share_write *write)
{
    int64_t start = larger(walk->partition->start, ack->first);
    for (int64_t i = start - ack->first; ack->first + i <= ack->last;) {
        int64_t length = stretch(ack, i), first = ack->first + i;
        int8_t type = ack->types[ack->count == 1 ? 0 : i];
        apply_type(walk, (struct share_span){first, first + length - 1}, type, now_ms, write);
        i += length;
    }
}

int16_t share_partition_acknowledge(struct share_partition *partition, struct slice member,
                                    const struct share_ack *acks, size_t count, int64_t now_ms,
                                    struct share_write *write)
{
    struct walk walk = {partition, member, acks, count, partition->runs.head};
    int16_t error = check(&walk);
    if (error != KAFKA_ERR_NONE)
        return error;
    walk.at = partition->runs.head;
    for (size_t i = 0; i < count; i++)
        apply(&walk, &acks[i], now_ms, write);
    share_runs_join(&partition->runs);
    share_write_finish(partition, write);
    return KAFKA_ERR_NONE;
}

void share_partition_release(struct share_partition *partition, struct slice member,
                             struct share_write *write)
{
    const struct share_member *holder = share_runs_member(&partition->runs, member);
    for (struct share_run *run = partition->runs.head; run != NULL && holder != NULL; run = run->next)
        if (run->member == holder && run->write == 0) {
            int16_t before = (int16_t)(run->fate.deliveries - 1);
#ifndef PLANTED_SHARE_RELEASED_IS_OVER
            enum share_state state = SHARE_AVAILABLE;
#else
            enum share_state state = SHARE_ARCHIVED;
#endif
            share_run_await(partition, run, (struct share_fate){state, before}, SHARE_NO_DEATH, write);
        }
    share_runs_join(&partition->runs);
    share_write_finish(partition, write);
}
