// SPDX-License-Identifier: Apache-2.0
// See share_state.h.
#include "share_state.h"

#include "kafka/errors.h"

void share_state_fini(struct share_state *state)
{
    share_batches_fini(&state->batches);
}

int16_t share_state_initialize(const struct share_desk *desk, int32_t state_epoch, int64_t start_offset,
                               struct share_state *next)
{
    const struct share_state *state = desk->state;
    // A group that begins to read names no start. Where there is a state it was told before, by a round whose
    // answers did not count or by the owner of the shard before this one, and has been read and written since,
    // perhaps: what is deleted has none.
    if (state != NULL && (state->state_epoch > state_epoch || start_offset == SHARE_STATE_UNSET))
        return KAFKA_ERR_FENCED_STATE_EPOCH;
    *next = (struct share_state){
        .snapshot_epoch = state != NULL ? state->snapshot_epoch + 1 : 0,
        .state_epoch = state_epoch,
        .leader_epoch = state != NULL ? state->leader_epoch : SHARE_STATE_UNSET,
        .start_offset = start_offset,
        .delivery_complete = start_offset == SHARE_STATE_UNSET ? SHARE_STATE_UNSET : 0,
        .created_ms = state != NULL ? state->created_ms : desk->now_ms,
        .written_ms = desk->now_ms,
    };
    return KAFKA_ERR_NONE;
}

// ---- writing ----

static bool is_fenced(int32_t epoch, int32_t by)
{
    return epoch != SHARE_STATE_UNSET && epoch < by;
}

static int16_t check(const struct share_state *state, const struct share_update *update)
{
    if (state == NULL)
        return KAFKA_ERR_INVALID_REQUEST;
#ifndef PLANTED_SHARE_UNFENCED
    if (is_fenced(update->leader_epoch, state->leader_epoch))
        return KAFKA_ERR_FENCED_LEADER_EPOCH;
#endif
    if (is_fenced(update->state_epoch, state->state_epoch))
        return KAFKA_ERR_FENCED_STATE_EPOCH;
    if (update->batches.count > SHARE_BATCHES_MAX)
        return KAFKA_ERR_RECORD_LIST_TOO_LARGE;
    return share_batches_valid(update->batches.items, update->batches.count) ? KAFKA_ERR_NONE
                                                                             : KAFKA_ERR_INVALID_REQUEST;
}

static int32_t epoch_after(int32_t now, int32_t said)
{
    return said == SHARE_STATE_UNSET ? now : said;
}

// Within a state epoch the start only moves on: a write from before it was asked for again, and comes behind
// later ones now.
static bool is_late(const struct share_state *state, const struct share_update *update)
{
    return update->state_epoch <= state->state_epoch && update->start_offset != SHARE_STATE_UNSET &&
           update->start_offset < state->start_offset;
}

void share_state_follow(const struct share_state *state, const struct share_update *update,
                        struct share_state *next)
{
    *next = *state;
    next->leader_epoch = epoch_after(state->leader_epoch, update->leader_epoch);
    next->state_epoch = epoch_after(state->state_epoch, update->state_epoch);
    if (!is_late(state, update)) {
        if (update->start_offset != SHARE_STATE_UNSET)
            next->start_offset = update->start_offset;
        next->delivery_complete = update->delivery_complete;
    }
    next->updates = state->updates + 1;
    share_batches_merge(&state->batches, &update->batches, next->start_offset, &next->batches);
}

// Kafka's ShareUpdateValue has no state epoch: a new one takes a snapshot.
static void write(const struct share_desk *desk, const struct share_update *update, struct share_state *next)
{
    const struct share_state *state = desk->state;
    share_state_follow(state, update, next);
    if (state->updates < desk->updates_max && next->state_epoch == state->state_epoch)
        return;
    next->snapshot_epoch++;
    next->updates = 0;
    next->written_ms = desk->now_ms;
}

// Reading comes first: who writes in an epoch that has not been read knows a state that was deleted
// meanwhile, with its group.
static bool has_read(const struct share_state *state, const struct share_update *update)
{
    return update->leader_epoch <= state->leader_epoch;
}

int16_t share_state_write(const struct share_desk *desk, const struct share_update *update,
                          struct share_state *next)
{
    int16_t error = check(desk->state, update);
    if (error == KAFKA_ERR_NONE && !has_read(desk->state, update))
        error = KAFKA_ERR_FENCED_LEADER_EPOCH;
    if (error != KAFKA_ERR_NONE)
        return error;
    write(desk, update, next);
    if (next->batches.count <= SHARE_BATCHES_MAX)
        return KAFKA_ERR_NONE;
    share_state_fini(next);
    return KAFKA_ERR_RECORD_LIST_TOO_LARGE;
}

int16_t share_state_read(const struct share_desk *desk, int32_t leader_epoch, bool *moves,
                         struct share_state *next)
{
    const struct share_state *state = desk->state;
    struct share_update update = {
        .state_epoch = SHARE_STATE_UNSET, .leader_epoch = leader_epoch, .start_offset = SHARE_STATE_UNSET};
    int16_t error = check(state, &update);
    *moves = false;
    if (error != KAFKA_ERR_NONE)
        return error;
    *moves = leader_epoch != SHARE_STATE_UNSET && leader_epoch != state->leader_epoch;
    update.delivery_complete = state->delivery_complete;
    if (*moves)
        write(desk, &update, next);
    return KAFKA_ERR_NONE;
}
