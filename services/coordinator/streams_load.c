// SPDX-License-Identifier: Apache-2.0
// Records of streams groups back into groups. Compaction leaves the last record of each key in the order in
// which these were written, so a member's tasks may come before the topology that names them: what is known
// is gathered, and streams_resume drops what never became whole. See streams_record.h.
#include "base/arena.h"
#include "base/bytes.h"
#include "kafka/codec.h"
#include "kafka/messages/consumer_offsets_records.h"
#include "streams_record.h"
#include "streams_state.h"

#include <stdlib.h>

typedef struct kafka_streams_group_member_metadata_value member_value;
typedef struct kafka_streams_group_target_assignment_member_value target_value;
typedef struct kafka_streams_group_target_assignment_member_value_task_ids target_tasks;
typedef struct kafka_streams_group_current_member_assignment_value current_value;
typedef struct kafka_streams_group_current_member_assignment_value_task_ids current_tasks;

enum { ARENA_MAX = 64 << 20 };

static enum status load_epoch(struct streams_group *group, const void *in)
{
    const struct kafka_streams_group_metadata_value *value = in;
    group->epoch = value->epoch;
    group->hash = (uint64_t)value->metadata_hash;
    group->validated_epoch = value->validated_topology_epoch;
    group->standbys = -1;
    for (int32_t i = 0; i < value->last_assignment_configs_count; i++) {
        struct slice number = value->last_assignment_configs[i].value;
        char digits[12];
        if (!slice_is(value->last_assignment_configs[i].key, "num.standby.replicas") ||
            number.len >= sizeof digits || number.len == 0)
            continue;
        memcpy(digits, number.data, number.len);
        digits[number.len] = '\0';
        group->standbys = (int32_t)strtol(digits, NULL, 10);
    }
    return ST_OK;
}

static enum status load_target_epoch(struct streams_group *group, const void *in)
{
    group->target_epoch =
        ((const struct kafka_streams_group_target_assignment_metadata_value *)in)->assignment_epoch;
    return ST_OK;
}

static enum status load_profile(struct streams_group *group, struct streams_member *member,
                                const member_value *value, struct arena *arena)
{
    struct streams_profile profile = {
        .rack = value->rack_id,
        .process_id = value->process_id,
        .client_id = value->client_id,
        .client_host = value->client_host,
        .rebalance_ms = value->rebalance_timeout_ms,
        .topology_epoch = value->topology_epoch,
        .tag_count = value->client_tags_count,
    };
    if (value->user_endpoint != NULL) {
        profile.endpoint_host = value->user_endpoint->host;
        profile.endpoint_port = value->user_endpoint->port;
    }
    struct streams_tag *tags = arena_calloc(arena, (size_t)value->client_tags_count + 1, sizeof *tags);
    for (int32_t i = 0; tags != NULL && i < value->client_tags_count; i++)
        tags[i] = (struct streams_tag){value->client_tags[i].key, value->client_tags[i].value};
    profile.tags = tags;
    struct streams_profile *copy = tags == NULL ? NULL : streams_profile_copy(&profile);
    if (copy == NULL)
        return ST_NO_MEMORY;
    streams_drop_profile(group, member); // nothing is held yet
    streams_set_profile(group, member, copy);
    member->dirty_profile = false;
    return ST_OK;
}

static void push_tasks(struct parts *set, struct slice subtopology, const int32_t *partitions, int32_t count,
                       const int32_t *epochs)
{
    struct parts_item task = {.topic = streams_key(subtopology)};
    for (int32_t i = 0; i < count; i++) {
        task.index = partitions[i];
        task.epoch = epochs == NULL ? 0 : epochs[i];
        parts_push(set, &task);
    }
}

static struct parts target_from(const target_tasks *tasks, int32_t count)
{
    struct parts set = {0};
    for (int32_t i = 0; i < count; i++)
        push_tasks(&set, tasks[i].subtopology_id, tasks[i].partitions, tasks[i].partitions_count, NULL);
    parts_sort(&set);
    return set;
}

static void load_target(struct streams_member *member, const target_value *value)
{
    struct streams_tasks target = {
        {[STREAMS_ACTIVE] = target_from(value->active_tasks, value->active_tasks_count),
         [STREAMS_STANDBY] = target_from(value->standby_tasks, value->standby_tasks_count),
         [STREAMS_WARMUP] = target_from(value->warmup_tasks, value->warmup_tasks_count)}};
    streams_tasks_move(&member->target, &target);
}

// Tasks whose epochs are not as many as they are count from the beginning.
static struct parts current_from(const current_tasks *tasks, int32_t count)
{
    struct parts set = {0};
    for (int32_t i = 0; i < count; i++)
        push_tasks(&set, tasks[i].subtopology_id, tasks[i].partitions, tasks[i].partitions_count,
                   tasks[i].assignment_epochs_count == tasks[i].partitions_count ? tasks[i].assignment_epochs
                                                                                 : NULL);
    parts_sort(&set);
    return set;
}

// Who has what is settled when all is loaded.
static void load_current(struct streams_member *member, const current_value *value)
{
    struct streams_tasks assigned = {
        {[STREAMS_ACTIVE] = current_from(value->active_tasks, value->active_tasks_count),
         [STREAMS_STANDBY] = current_from(value->standby_tasks, value->standby_tasks_count),
         [STREAMS_WARMUP] = current_from(value->warmup_tasks, value->warmup_tasks_count)}};
    struct streams_tasks revoking = {
        {[STREAMS_ACTIVE] = current_from(value->active_tasks_pending_revocation,
                                         value->active_tasks_pending_revocation_count),
         [STREAMS_STANDBY] = current_from(value->standby_tasks_pending_revocation,
                                          value->standby_tasks_pending_revocation_count),
         [STREAMS_WARMUP] = current_from(value->warmup_tasks_pending_revocation,
                                         value->warmup_tasks_pending_revocation_count)}};
    member->epoch = value->member_epoch;
    member->previous_epoch = value->previous_member_epoch;
    bool known = value->state >= STREAMS_DONE && value->state <= STREAMS_UNRELEASED;
    member->progress = known ? (enum streams_progress)value->state : STREAMS_UNKNOWN;
    streams_tasks_move(&member->assigned, &assigned);
    streams_tasks_move(&member->revoking, &revoking);
}

static void forget_member_part(struct streams_group *group, struct streams_member *member, int16_t type)
{
    if (member == NULL)
        return;
    if (type == STREAMS_KEY_TARGET_MEMBER) {
        streams_tasks_fini(&member->target);
    } else if (type == STREAMS_KEY_CURRENT) {
        streams_tasks_fini(&member->assigned);
        streams_tasks_fini(&member->revoking);
        member->epoch = member->previous_epoch = 0;
        member->progress = STREAMS_DONE;
    } else {
        streams_drop_profile(group, member);
    }
    if (member->profile != NULL || member->epoch != 0 || streams_tasks_count(&member->target) > 0)
        return;
    map_remove(&group->members, block_slice(member->id)); // its last tombstone: nothing is left to bury
    streams_member_free(member);
}

static enum status bury(struct streams_group *group, const struct group_key *key)
{
    if (key->type == STREAMS_KEY_TOPOLOGY)
        streams_topology_destroy(&group->topology);
    else if (key->type == STREAMS_KEY_TARGET)
        group->target_epoch = 0;
    else
        forget_member_part(group, streams_find(group, key->name), key->type);
    return ST_OK;
}

static enum status load_topology(struct streams_group *group, struct slice value)
{
    struct streams_topology *topology;
    enum status status = streams_topology_parse(value, &topology);
    if (status != ST_OK)
        return status;
    streams_topology_destroy(&group->topology);
    group->topology = topology;
    return ST_OK;
}

static enum status load_member_part(struct streams_group *group, const struct group_key *key, const void *in,
                                    struct arena *arena)
{
    struct streams_member *member = streams_find(group, key->name);
    if (member == NULL)
        member = streams_member_new(group, key->name);
    if (member == NULL)
        return ST_NO_MEMORY;
    if (key->type == STREAMS_KEY_MEMBER)
        return load_profile(group, member, in, arena);
    if (key->type == STREAMS_KEY_TARGET_MEMBER)
        load_target(member, in);
    else
        load_current(member, in);
    return ST_OK;
}

static const struct kafka_message *value_message(int16_t type)
{
    switch (type) {
    case STREAMS_KEY_GROUP:
        return &kafka_streams_group_metadata_value_message;
    case STREAMS_KEY_MEMBER:
        return &kafka_streams_group_member_metadata_value_message;
    case STREAMS_KEY_TARGET:
        return &kafka_streams_group_target_assignment_metadata_value_message;
    case STREAMS_KEY_TARGET_MEMBER:
        return &kafka_streams_group_target_assignment_member_value_message;
    default:
        return &kafka_streams_group_current_member_assignment_value_message;
    }
}

static enum status load_decoded(struct streams_group *group, const struct group_key *key, const void *in,
                                struct arena *arena)
{
    if (key->type == STREAMS_KEY_GROUP)
        return load_epoch(group, in);
    if (key->type == STREAMS_KEY_TARGET)
        return load_target_epoch(group, in);
    return load_member_part(group, key, in, arena);
}

enum status streams_record_load(struct streams_group *group, const struct group_key *key, struct slice value)
{
    group->written = true;
    if (value.data == NULL)
        return bury(group, key);
    if (key->type == STREAMS_KEY_TOPOLOGY)
        return load_topology(group, value);
    if (value.len < 2)
        return ST_TRUNCATED;
    const struct kafka_message *message = value_message(key->type);
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    void *in = arena_alloc(&arena, message->structure->size);
    enum status status = kafka_decode(message, (int16_t)load_be16(value.data),
                                      slice_of(value.data + 2, value.len - 2), &arena, in);
    if (status == ST_OK)
        status = load_decoded(group, key, in, &arena);
    arena_fini(&arena);
    return status;
}
