// SPDX-License-Identifier: Apache-2.0
// See share_record.h. The two kinds of record have the same keys and batches, but types of their own.
#include "share_record.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "kafka/messages/share_group_state_records.h"
#include "record.h"

typedef struct kafka_share_snapshot_value snapshot_t;
typedef struct kafka_share_snapshot_value_state_batch snapshot_batch_t;
typedef struct kafka_share_update_value update_t;
typedef struct kafka_share_update_value_state_batch update_batch_t;

enum { VERSION = 0, ARENA_MAX = 16 << 20, BYTES_MAX = 12 << 20 };

// ---- keys ----

enum status share_record_key(const struct share_key *key, bool snapshot, struct buf *out)
{
    struct kafka_share_snapshot_key whole = {
        .group_id = key->group, .topic_id = key->topic, .partition = key->partition};
    struct kafka_share_update_key part = {
        .group_id = key->group, .topic_id = key->topic, .partition = key->partition};
    const struct kafka_message *message =
        snapshot ? &kafka_share_snapshot_key_message : &kafka_share_update_key_message;
    const void *in = snapshot ? (const void *)&whole : (const void *)&part;
    return record_put(message, VERSION, message->key, in, BYTES_MAX, out);
}

enum status share_record_key_parse(struct slice bytes, struct share_key *key, bool *snapshot)
{
    if (bytes.len < 2)
        return ST_TRUNCATED;
    int16_t type = (int16_t)load_be16(bytes.data);
    *snapshot = type == kafka_share_snapshot_key_message.key;
    if (!*snapshot && type != kafka_share_update_key_message.key)
        return ST_UNSUPPORTED;
    struct arena arena; // keys have no arrays: nothing is taken from it
    arena_init(&arena, ARENA_MAX);
    struct kafka_share_snapshot_key read; // an update's key has the same bytes
    enum status status = kafka_decode(&kafka_share_snapshot_key_message, VERSION,
                                      slice_of(bytes.data + 2, bytes.len - 2), &arena, &read);
    if (status == ST_OK)
        *key = (struct share_key){read.group_id, read.topic_id, read.partition};
    arena_fini(&arena);
    return status;
}

// ---- writing ----

static enum status snapshot_value(const struct share_state *state, struct arena *arena, snapshot_t *value)
{
    kafka_defaults(&kafka_share_snapshot_value_message, value);
    value->snapshot_epoch = state->snapshot_epoch;
    value->state_epoch = state->state_epoch;
    value->leader_epoch = state->leader_epoch;
    value->start_offset = state->start_offset;
    value->delivery_complete_count = state->delivery_complete;
    value->create_timestamp = state->created_ms;
    value->write_timestamp = state->written_ms;
    value->state_batches = arena_calloc(arena, state->batches.count + 1, sizeof(snapshot_batch_t));
    if (value->state_batches == NULL)
        return ST_NO_MEMORY;
    for (size_t i = 0; i < state->batches.count; i++) {
        const struct share_batch *batch = &state->batches.items[i];
        value->state_batches[i] = (snapshot_batch_t){.first_offset = batch->first,
                                                     .last_offset = batch->last,
                                                     .delivery_state = batch->state,
                                                     .delivery_count = batch->deliveries};
    }
    value->state_batches_count = (int32_t)state->batches.count;
    return ST_OK;
}

enum status share_record_snapshot(const struct share_state *state, struct buf *out)
{
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    snapshot_t value;
    enum status status = snapshot_value(state, &arena, &value);
    if (status == ST_OK)
        status = record_put(&kafka_share_snapshot_value_message, VERSION, VERSION, &value, BYTES_MAX, out);
    arena_fini(&arena);
    return status;
}

static enum status update_value(const struct share_update *update, struct arena *arena, update_t *value)
{
    kafka_defaults(&kafka_share_update_value_message, value);
    value->leader_epoch = update->leader_epoch;
    value->start_offset = update->start_offset;
    value->delivery_complete_count = update->delivery_complete;
    value->state_batches = arena_calloc(arena, update->batches.count + 1, sizeof(update_batch_t));
    if (value->state_batches == NULL)
        return ST_NO_MEMORY;
    for (size_t i = 0; i < update->batches.count; i++) {
        const struct share_batch *batch = &update->batches.items[i];
        value->state_batches[i] = (update_batch_t){.first_offset = batch->first,
                                                   .last_offset = batch->last,
                                                   .delivery_state = batch->state,
                                                   .delivery_count = batch->deliveries};
    }
    value->state_batches_count = (int32_t)update->batches.count;
    return ST_OK;
}

enum status share_record_update(int32_t snapshot_epoch, const struct share_update *update, struct buf *out)
{
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    update_t value;
    enum status status = update_value(update, &arena, &value);
    value.snapshot_epoch = snapshot_epoch;
    if (status == ST_OK)
        status = record_put(&kafka_share_update_value_message, VERSION, VERSION, &value, BYTES_MAX, out);
    arena_fini(&arena);
    return status;
}

// ---- reading ----

// The batches are new memory, as many as bytes were there to read them from.
static enum status take_snapshot(const snapshot_t *value, struct share_state *state, bool *present)
{
    size_t count = (size_t)value->state_batches_count;
    struct share_batches batches = {mem_calloc(count + 1, sizeof(struct share_batch)), count};
    for (size_t i = 0; i < count; i++) {
        const snapshot_batch_t *batch = &value->state_batches[i];
        batches.items[i] = (struct share_batch){batch->first_offset, batch->last_offset,
                                                batch->delivery_state, batch->delivery_count};
    }
    if (!share_batches_valid(batches.items, count)) {
        share_batches_fini(&batches);
        return ST_CORRUPT;
    }
    if (*present)
        share_state_fini(state);
    *present = true;
    *state = (struct share_state){
        .snapshot_epoch = value->snapshot_epoch,
        .state_epoch = value->state_epoch,
        .leader_epoch = value->leader_epoch,
        .start_offset = value->start_offset,
        .delivery_complete = value->delivery_complete_count,
        .created_ms = value->create_timestamp,
        .written_ms = value->write_timestamp,
        .batches = batches,
    };
    return ST_OK;
}

static enum status apply_snapshot(struct slice bytes, struct arena *arena, struct share_state *state,
                                  bool *present)
{
    snapshot_t value;
    enum status status = kafka_decode(&kafka_share_snapshot_value_message, (int16_t)load_be16(bytes.data),
                                      slice_of(bytes.data + 2, bytes.len - 2), arena, &value);
    return status == ST_OK ? take_snapshot(&value, state, present) : status;
}

static enum status take_update(const update_t *value, struct share_state *state)
{
    size_t count = (size_t)value->state_batches_count;
    struct share_batches batches = {mem_calloc(count + 1, sizeof(struct share_batch)), count};
    for (size_t i = 0; i < count; i++) {
        const update_batch_t *batch = &value->state_batches[i];
        batches.items[i] = (struct share_batch){batch->first_offset, batch->last_offset,
                                                batch->delivery_state, batch->delivery_count};
    }
    bool valid = share_batches_valid(batches.items, count);
    if (valid) {
        struct share_update update = {SHARE_STATE_UNSET, value->leader_epoch, value->start_offset,
                                      value->delivery_complete_count, batches};
        struct share_state next;
        share_state_follow(state, &update, &next);
        share_state_fini(state);
        *state = next;
    }
    share_batches_fini(&batches);
    return valid ? ST_OK : ST_CORRUPT;
}

static enum status apply_update(struct slice bytes, struct arena *arena, struct share_state *state,
                                bool present)
{
    update_t value;
    enum status status = kafka_decode(&kafka_share_update_value_message, (int16_t)load_be16(bytes.data),
                                      slice_of(bytes.data + 2, bytes.len - 2), arena, &value);
    if (status != ST_OK || !present || value.snapshot_epoch != state->snapshot_epoch)
        return status;
    return take_update(&value, state);
}

static void bury(struct share_state *state, bool *present)
{
    if (*present)
        share_state_fini(state);
    *present = false;
}

enum status share_record_apply(bool snapshot, struct slice value, struct share_state *state, bool *present)
{
    if (value.data == NULL) {
        if (snapshot)
            bury(state, present);
        return ST_OK;
    }
    if (value.len < 2)
        return ST_TRUNCATED;
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    enum status status = snapshot ? apply_snapshot(value, &arena, state, present)
                                  : apply_update(value, &arena, state, *present);
    arena_fini(&arena);
    return status;
}
