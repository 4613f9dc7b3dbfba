// SPDX-License-Identifier: Apache-2.0
// See replica.h. Steps 4 to 7 of a record's way meet here: offset and epoch are assigned, the log takes the
// batch, and what the state machine answers is turned into wake-ups and messages.
#include "replica.h"

#include "admission.h"
#include "base/assert.h"
#include "isr.h"
#include "partitions_state.h"
#include "report.h"
#include "stream_in.h"
#include "stream_in_state.h"
#include "stream_out.h"
#include "watch.h"

#include <stdio.h>

const char *replica_name(const struct replica *replica)
{
    struct partitions *partitions = replica->partitions;
    snprintf(partitions->name, sizeof partitions->name, "%s-%d", replica->topic, replica->index);
    return partitions->name;
}

static void role_changed(struct replica *replica)
{
    struct partitions *partitions = replica->partitions;
    DIAG_DEBUG(&partitions->options.env->diag, "leader changed partition=%s leader=%d epoch=%d",
               replica_name(replica), replica->state.leader, replica->state.leader_epoch);
    replica->role_us = env_now_us(partitions->options.env);
    wait_fail(&replica->commit_waits, ST_NOT_LEADER);
    wait_fail(&replica->flush_waits, ST_NOT_LEADER);
    wait_cancel(&replica->room);
    admission_forget(replica);
    wait_fail(&replica->check_waits, ST_NOT_LEADER);
    wait_fail(&replica->append_waits, ST_NOT_LEADER);
    wait_fail(&replica->read_waits, ST_NOT_LEADER);
    wait_fail(&replica->start_waits, ST_NOT_LEADER);
    wait_fail(&replica->low_waits, ST_NOT_LEADER);
    isr_forget(partitions->isr, replica);
    streams_out_drop(replica);
    streams_in_unfollow(replica);
    if (replica->state.role == PARTITION_FOLLOWER && !replica->closing)
        streams_in_follow(partitions->in, replica);
}

void replica_act(struct replica *replica, int change)
{
    if (change & PARTITION_ROLE)
        role_changed(replica);
    if (change & PARTITION_WATERMARK) {
        if (replica->log != NULL)
            log_note_high_watermark(replica->log, replica->state.high_watermark);
        wait_reached(&replica->commit_waits, replica->state.high_watermark);
        wait_reached(&replica->read_waits, replica->state.high_watermark);
        streams_out_watermark(replica);
    }
    if (change & PARTITION_PROPOSE) {
        if (env_now_us(replica->partitions->options.env) < replica->isr_retry_us)
            replica_act(replica, partition_refused(&replica->state,
                                                   replica->state.partition_epoch)); // asked again later
        else
            isr_propose(replica->partitions->isr, replica);
    }
}

static enum status serves(const struct replica *replica, int32_t claimed, bool as_follower, bool *fenced)
{
    const struct partitions_options *options = &replica->partitions->options;
    *fenced = false;
    if (replica->closing)
        return ST_NOT_LEADER;
    if (claimed >= 0 && claimed != replica->state.leader_epoch) {
        *fenced = claimed < replica->state.leader_epoch;
        return ST_STALE;
    }
    enum partition_role role = replica->state.role;
    bool may = role == PARTITION_LEADER || (as_follower && role == PARTITION_FOLLOWER);
    if (!may || !options->lease_held(options->context))
        return ST_NOT_LEADER;
    if (replica->log == NULL || replica->cutting)
        return ST_LOADING;
    return log_lost(replica->log) ? ST_CORRUPT : ST_OK;
}

enum status replica_lead(const struct replica *replica, int32_t claimed, bool *fenced)
{
    return serves(replica, claimed, false, fenced);
}

enum status replica_serve(const struct replica *replica, int32_t claimed, bool *fenced)
{
    return serves(replica, claimed, true, fenced);
}

void replica_epoch_end(const struct replica *replica, int32_t requested, int32_t *epoch, int64_t *end)
{
    int32_t own = replica->state.leader_epoch, last = log_last_epoch(replica->log);
    log_epoch_end(replica->log, requested, epoch, end);
    if (requested < 0 || requested > own || *end >= 0)
        return;
    // Nothing was written since the requested epoch began.
    *epoch = requested == own || last < 0 ? requested : last;
    *end = replica->state.log_end;
}

enum status replica_append(struct replica *replica, struct block *block, size_t from, size_t len,
                           struct batch_header *header)
{
    struct partition *state = &replica->state;
    ASSERT(state->role == PARTITION_LEADER && replica->log != NULL);
    header->base_offset = state->log_end;
    header->leader_epoch = state->leader_epoch;
    batch_set_base_offset(block->data + from, header->base_offset);
    batch_set_leader_epoch(block->data + from, header->leader_epoch);
    enum status status = log_append(replica->log, block, from, len, header);
    if (status != ST_OK)
        return status;
    watch_add(replica);
    partition_appended(state, log_end(replica->log));
    streams_out_changed(replica);
    return ST_OK;
}

void replica_low_moved(struct replica *replica)
{
    if (replica->state.role == PARTITION_LEADER)
        wait_reached(&replica->low_waits, partition_low_watermark(&replica->state));
}

void replica_started(struct replica *replica)
{
    partition_started(&replica->state, log_start_saved(replica->log));
    wait_reached(&replica->start_waits, replica->state.log_start);
    streams_out_started(replica);
    replica_low_moved(replica);
}

static void start_on_raised(struct log *log, enum status status, void *context)
{
    struct replica *replica = log_user(log);
    if (replica == NULL || replica->closing)
        return;
    if (status == ST_OK) {
        replica_started(replica);
    } else {
        wait_fail(&replica->start_waits, status);
        wait_fail(&replica->low_waits, status);
    }
}

void replica_raise_start(struct replica *replica, int64_t start)
{
    int64_t present = log_start(replica->log);
    if (start > log_start_saved(replica->log) && start <= log_end(replica->log))
        log_raise_start(replica->log, start > present ? start : present, start_on_raised, NULL);
}

enum status replica_delete_records(struct replica *replica, int64_t before)
{
    if (before > replica->state.high_watermark)
        return ST_OUT_OF_RANGE;
    replica_raise_start(replica, before);
    return ST_OK;
}

static void on_room(struct wait *room, enum status status)
{
    struct replica *replica = room->context;
    wait_reached(&replica->append_waits, INT64_MAX);
}

void replica_wait_room(struct replica *replica, struct wait *wait, wait_fn *wake, void *context)
{
    wait_add(&replica->append_waits, wait, 0, wake, context);
    if (replica->room.list == NULL)
        wait_add(&replica->partitions->room_waits, &replica->room, 0, on_room, replica);
}

void replica_damaged(struct replica *replica, int64_t offset, enum status why)
{
    bool whole = log_status(replica->log) == ST_OK && !log_lost(replica->log);
    if (replica->damaged_at >= 0 || replica->cutting || replica->closing || !whole)
        return;
    replica->damaged_at = offset;
    DIAG_ERROR(&replica->partitions->options.env->diag,
               "records cannot be read back from the disk partition=%s offset=%lld why=%s",
               replica_name(replica), (long long)offset, status_name(why));
    metric_inc(&replica->partitions->damaged, 1);
#ifdef PLANTED_DAMAGE_DROPPED_IN_SYNC
    if (replica->link == REPLICA_LINKED)
        stream_in_wanted(replica, 0);
#endif
    reports_soon(replica->partitions->reports);
}

void replica_durable(struct replica *replica, enum status status)
{
    if (status == ST_NO_SPACE)
        return; // the batches wait in memory and are written when there is space again
    if (status == ST_OK) {
        int change = partition_flushed(&replica->state, log_flushed(replica->log));
        wait_reached(&replica->flush_waits, log_flushed(replica->log));
        replica_act(replica, change);
    } else {
        wait_fail(&replica->check_waits, status);
        wait_fail(&replica->append_waits, status);
        wait_fail(&replica->commit_waits, status);
        wait_fail(&replica->flush_waits, status);
        wait_fail(&replica->read_waits, status);
        wait_fail(&replica->start_waits, status);
        wait_fail(&replica->low_waits, status);
    }
    partitions_room_made(replica->partitions);
}

void replica_healed(struct replica *replica)
{
    const struct log *log = replica->log;
    replica->damaged_at = -1; // of the disk as it was; it is noticed again by who reads it
    partition_reloaded(&replica->state, log_start(log), log_end(log), log_high_watermark(log));
    if (replica->stream != NULL)
        stream_in_wanted(replica, 0);
    reports_soon(replica->partitions->reports);
    partitions_room_made(replica->partitions);
}
