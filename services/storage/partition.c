// SPDX-License-Identifier: Apache-2.0
// See partition.h. Steps 4 and 6 of a record's way decide here: what may be acknowledged and what may be
// read.
#include "partition.h"

#include "base/assert.h"
#include "base/mem.h"

enum {
    HEARD_US_MAX = 1000000
}; // a follower silent for longer is not proposed by a change of the image alone

void partition_init(struct partition *partition, int32_t self, int64_t log_start, int64_t log_end,
                    int64_t high_watermark)
{
    ASSERT(log_start <= log_end);
    if (high_watermark > log_end)
        high_watermark = log_end;
    if (high_watermark < log_start)
        high_watermark = log_start;
    *partition = (struct partition){.self = self,
                                    .leader = -1,
                                    .leader_epoch = -1,
                                    .partition_epoch = -1,
                                    .log_start = log_start,
                                    .log_end = log_end,
                                    .flushed = log_end,
                                    .high_watermark = high_watermark};
}

void partition_fini(struct partition *partition)
{
    mem_free(partition->replicas);
    partition->replicas = NULL;
    partition->replica_count = 0;
}

struct partition_replica *partition_replica(struct partition *partition, int32_t node)
{
    for (int i = 0; i < partition->replica_count; i++)
        if (partition->replicas[i].node == node)
            return &partition->replicas[i];
    return NULL;
}

int partition_isr_size(const struct partition *partition)
{
    int size = 0;
    for (int i = 0; i < partition->replica_count; i++)
        size += partition->replicas[i].in_isr;
    return size;
}

int partition_isr_needed(const struct partition *partition)
{
    int replicas = 0;
    for (int i = 0; i < partition->replica_count; i++)
        replicas += partition->replicas[i].in_isr || !partition->replicas[i].adding;
    return partition->min_isr < replicas ? partition->min_isr : replicas;
}

bool partition_end_known(const struct partition *partition)
{
    return partition->role == PARTITION_LEADER && partition->high_watermark >= partition->epoch_start;
}

// The lowest flushed offset that matters; see the rules in partition.h.
static int watermark_advance(struct partition *partition)
{
    if (partition->role != PARTITION_LEADER ||
        partition_isr_size(partition) < partition_isr_needed(partition))
        return 0;
    int64_t lowest = partition->flushed;
    for (int i = 0; i < partition->replica_count; i++) {
        const struct partition_replica *replica = &partition->replicas[i];
        bool counts = replica->in_isr || (partition->proposal_open && replica->proposed);
#ifdef PLANTED_PROPOSED_MEMBER_IGNORED
        counts = replica->in_isr && replica->proposed;
#endif
        if (!counts || replica->node == partition->self)
            continue;
        if (replica->flushed < lowest)
            lowest = replica->flushed;
    }
    if (lowest <= partition->high_watermark)
        return 0;
    partition->high_watermark = lowest;
    return PARTITION_WATERMARK;
}

// A follower outside the ISR comes in once it has everything committed and this epoch's beginning (KIP-207,
// Kafka's rule for expansion); one proposal is open at a time.
static int propose_addition(struct partition *partition, struct partition_replica *replica)
{
    if (partition->proposal_open || replica->in_isr || replica->fenced || replica->failed ||
        replica->incarnation == 0)
        return 0;
#ifndef PLANTED_JOINS_BEFORE_CAUGHT_UP
    if (replica->flushed < partition->high_watermark || replica->flushed < partition->epoch_start)
        return 0;
#endif
    replica->proposed = true;
    partition->proposal_open = true;
    return PARTITION_PROPOSE;
}

// Looks at every follower: what kept one out (fenced, refused, another proposal) may be over without it
// having anything new to acknowledge.
static int propose_additions(struct partition *partition, int64_t now_us, int64_t heard_us_max)
{
    int change = 0;
#ifdef PLANTED_IDLE_FOLLOWER_FORGOTTEN
    return change;
#endif
    for (int i = 0; partition->role == PARTITION_LEADER && i < partition->replica_count; i++)
        if (now_us - partition->replicas[i].caught_up_us <= heard_us_max)
            change |= propose_addition(partition, &partition->replicas[i]);
    return change;
}

static void replicas_from_view(struct partition *partition, const struct partition_view *view, bool new_epoch,
                               int64_t now_us)
{
    struct partition_replica *old = partition->replicas;
    int old_count = partition->replica_count;
    ASSERT(view->replica_count <= PARTITION_REPLICAS_MAX);
    partition->replicas = mem_calloc((size_t)view->replica_count, sizeof *old);
    partition->replica_count = view->replica_count;
    for (int i = 0; i < view->replica_count; i++) {
        struct partition_replica *replica = &partition->replicas[i];
        *replica = (struct partition_replica){.node = view->replicas[i].node,
                                              .flushed = -1,
                                              .log_start = -1,
                                              .caught_up_us = now_us,
                                              .heard_us = now_us};
        for (int k = 0; k < old_count; k++) {
            // What a follower acknowledged counts only in the epoch and from the incarnation it was said in.
            bool same = old[k].node == replica->node && old[k].incarnation == view->replicas[i].incarnation;
            if (same && !new_epoch && !view->replicas[i].failed)
                *replica = old[k];
        }
        replica->incarnation = view->replicas[i].incarnation;
        replica->fenced = view->replicas[i].fenced;
        replica->adding = view->replicas[i].adding;
        replica->failed = view->replicas[i].failed;
        replica->in_isr = view->replicas[i].in_isr;
    }
    mem_free(old);
}

int partition_view(struct partition *partition, const struct partition_view *view, int64_t now_us)
{
    if (view->partition_epoch < partition->partition_epoch || view->leader_epoch < partition->leader_epoch)
        return 0;
    bool new_epoch = view->leader_epoch > partition->leader_epoch;
    bool decided = view->partition_epoch > partition->partition_epoch;
    enum partition_role role = view->leader < 0                  ? PARTITION_OFFLINE
                               : view->leader == partition->self ? PARTITION_LEADER
                                                                 : PARTITION_FOLLOWER;
    int change = new_epoch || role != partition->role ? PARTITION_ROLE : 0;
    replicas_from_view(partition, view, new_epoch, now_us);
    partition->role = role;
    partition->leader = view->leader;
    partition->leader_epoch = view->leader_epoch;
    partition->partition_epoch = view->partition_epoch;
    partition->min_isr = view->min_isr;
    if (new_epoch && role == PARTITION_LEADER)
        partition->epoch_start = partition->log_end;
    if (decided || new_epoch)
        partition->proposal_open = false;
    if (!partition->proposal_open)
        for (int i = 0; i < partition->replica_count; i++)
            partition->replicas[i].proposed = partition->replicas[i].in_isr;
    return change | propose_additions(partition, now_us, HEARD_US_MAX) | watermark_advance(partition);
}

void partition_appended(struct partition *partition, int64_t log_end)
{
    ASSERT(log_end >= partition->log_end);
    partition->log_end = log_end;
}

int partition_flushed(struct partition *partition, int64_t flushed)
{
    if (flushed > partition->log_end) // flushed before a truncation that has overtaken the news
        flushed = partition->log_end;
    if (flushed <= partition->flushed)
        return 0;
    partition->flushed = flushed;
    return watermark_advance(partition);
}

void partition_truncated(struct partition *partition, int64_t to)
{
    if (partition->log_end > to)
        partition->log_end = to;
    if (partition->epoch_start > to)
        partition->epoch_start = to;
    if (partition->flushed > to)
        partition->flushed = to;
    if (partition->high_watermark > to)
        partition->high_watermark = to;
}

void partition_reloaded(struct partition *partition, int64_t log_start, int64_t log_end,
                        int64_t high_watermark)
{
    ASSERT(partition->role != PARTITION_LEADER && log_start <= log_end);
    partition->log_start = log_start;
    partition->log_end = partition->flushed = log_end;
    if (partition->high_watermark > high_watermark)
        partition->high_watermark = high_watermark;
    if (partition->high_watermark < log_start)
        partition->high_watermark = log_start;
}

int partition_acknowledged(struct partition *partition, int32_t node, uint64_t incarnation,
                           int32_t leader_epoch, int64_t flushed, int64_t now_us)
{
    struct partition_replica *replica = partition_replica(partition, node);
    if (partition->role != PARTITION_LEADER || leader_epoch != partition->leader_epoch || replica == NULL ||
        replica->failed || replica->incarnation != incarnation || flushed > partition->log_end ||
        flushed < replica->flushed)
        return 0;
    replica->flushed = flushed;
    if (flushed >= partition->log_end)
        replica->caught_up_us = now_us;
    else if (flushed >= replica->log_end_then && replica->heard_us > replica->caught_up_us)
        replica->caught_up_us = replica->heard_us; // it had everything there was when we last heard of it
    replica->heard_us = now_us;
    replica->log_end_then = partition->log_end;
    int change = propose_addition(partition, replica);
    return change | watermark_advance(partition);
}

void partition_started(struct partition *partition, int64_t log_start)
{
    if (log_start > partition->log_start)
        partition->log_start = log_start;
    if (partition->high_watermark < partition->log_start)
        partition->high_watermark = partition->log_start; // of a follower: the leader's start overtook it
}

void partition_follower_started(struct partition *partition, int32_t node, uint64_t incarnation,
                                int32_t leader_epoch, int64_t log_start)
{
    struct partition_replica *replica = partition_replica(partition, node);
    if (partition->role == PARTITION_LEADER && leader_epoch == partition->leader_epoch && replica != NULL &&
        replica->incarnation == incarnation && log_start > replica->log_start)
        replica->log_start = log_start;
}

int64_t partition_low_watermark(const struct partition *partition)
{
    int64_t lowest = partition->log_start;
    for (int i = 0; i < partition->replica_count; i++) {
        const struct partition_replica *replica = &partition->replicas[i];
        bool live = replica->incarnation != 0 && !replica->fenced && !replica->failed;
        if (live && replica->node != partition->self && replica->log_start < lowest)
            lowest = replica->log_start;
    }
    return lowest;
}

int partition_leader_watermark(struct partition *partition, int32_t leader_epoch, int64_t high_watermark)
{
    if (partition->role != PARTITION_FOLLOWER || leader_epoch != partition->leader_epoch)
        return 0;
    if (high_watermark > partition->log_end)
        high_watermark = partition->log_end;
    if (high_watermark <= partition->high_watermark)
        return 0;
    partition->high_watermark = high_watermark;
    return PARTITION_WATERMARK;
}

void partition_heard(struct partition *partition, int32_t node, int64_t heard_us)
{
    struct partition_replica *replica = partition_replica(partition, node);
    if (replica != NULL && replica->flushed >= partition->log_end && heard_us > replica->caught_up_us)
        replica->caught_up_us = heard_us;
}

int partition_tick(struct partition *partition, int64_t now_us, int64_t lag_max_us)
{
    if (partition->role != PARTITION_LEADER || partition->proposal_open)
        return 0;
    bool shrinks = false;
    for (int i = 0; i < partition->replica_count; i++) {
        struct partition_replica *replica = &partition->replicas[i];
        if (replica->node == partition->self || !replica->in_isr)
            continue;
        if (now_us - replica->caught_up_us > lag_max_us) {
            replica->proposed = false;
            shrinks = true;
        }
    }
    if (!shrinks)
        return propose_additions(partition, now_us, lag_max_us);
    partition->proposal_open = true;
    return PARTITION_PROPOSE;
}

static bool replica_quiet(const struct partition *partition, const struct partition_replica *replica,
                          int64_t now_us, int64_t lag_max_us)
{
    if (replica->node == partition->self)
        return true;
    return replica->in_isr ? replica->flushed >= partition->log_end
                           : now_us - replica->caught_up_us > lag_max_us;
}

bool partition_quiet(const struct partition *partition, int64_t now_us, int64_t lag_max_us)
{
    if (partition->role != PARTITION_LEADER)
        return true;
    if (partition->proposal_open)
        return false;
    for (int i = 0; i < partition->replica_count; i++)
        if (!replica_quiet(partition, &partition->replicas[i], now_us, lag_max_us))
            return false;
    return true;
}

int partition_refused(struct partition *partition, int32_t partition_epoch)
{
    if (partition_epoch > partition->partition_epoch)
        return 0;
    partition->proposal_open = false;
    for (int i = 0; i < partition->replica_count; i++)
        partition->replicas[i].proposed = partition->replicas[i].in_isr;
    return watermark_advance(partition); // whoever was proposed held it back
}
