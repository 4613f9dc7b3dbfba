// SPDX-License-Identifier: Apache-2.0
// See streams_record.h.
#include "streams_record.h"

#include "base/bytes.h"
#include "base/varint.h"
#include "kafka/messages/consumer_offsets_records.h"
#include "streams_state.h"

#include <inttypes.h>

typedef struct kafka_streams_group_current_member_assignment_value current_value;
typedef struct kafka_streams_group_current_member_assignment_value_task_ids current_tasks;
typedef struct kafka_streams_group_target_assignment_member_value target_value;
typedef struct kafka_streams_group_target_assignment_member_value_task_ids target_tasks;
typedef struct kafka_streams_group_member_metadata_value member_value;

static const struct slice of_group = {0}; // the name in a group's own keys

// ---- keys ----

bool streams_key_is(int16_t type)
{
    return type == STREAMS_KEY_GROUP || (type >= STREAMS_KEY_MEMBER && type <= STREAMS_KEY_TOPOLOGY);
}

enum status streams_key_parse(int16_t type, struct slice bytes, struct group_key *key)
{
    bool named =
        type == STREAMS_KEY_MEMBER || type == STREAMS_KEY_TARGET_MEMBER || type == STREAMS_KEY_CURRENT;
    return group_key_parse(type, named, bytes, key);
}

// ---- writing ----

struct writer {
    struct group_writer out;
    struct streams_group *group;
};

static void writer_init(struct writer *writer, struct streams_group *group, group_emit_fn *emit,
                        void *context)
{
    writer->group = group;
    group_writer_init(&writer->out, block_slice(group->id), emit, context);
}

static void put(struct writer *writer, int16_t type, struct slice name, const struct kafka_message *message,
                const void *value)
{
    group_writer_put(&writer->out, type, name, message, value);
}

static void bury(struct writer *writer, int16_t type, struct slice name)
{
    put(writer, type, name, NULL, NULL);
}

// In the order in which Kafka takes them: it refuses the end of a member that still has something.
static void bury_member(struct writer *writer, struct slice id)
{
    bury(writer, STREAMS_KEY_CURRENT, id);
    bury(writer, STREAMS_KEY_TARGET_MEMBER, id);
    bury(writer, STREAMS_KEY_MEMBER, id);
}

static void put_epoch(struct writer *writer)
{
    const struct streams_group *group = writer->group;
    struct kafka_streams_group_metadata_value_last_assignment_config config = {
        .key = slice_str("num.standby.replicas"),
        .value = slice_str(arena_printf(&writer->out.arena, "%" PRId32, group->standbys))};
    struct kafka_streams_group_metadata_value value = {.epoch = group->epoch,
                                                       .metadata_hash = (int64_t)group->hash,
                                                       .validated_topology_epoch = group->validated_epoch,
                                                       .last_assignment_configs = &config,
                                                       .last_assignment_configs_count = 1};
    if (config.value.data == NULL)
        group_writer_no_memory(&writer->out);
    put(writer, STREAMS_KEY_GROUP, of_group, &kafka_streams_group_metadata_value_message, &value);
}

static void put_target_epoch(struct writer *writer)
{
    struct kafka_streams_group_target_assignment_metadata_value value = {.assignment_epoch =
                                                                             writer->group->target_epoch};
    put(writer, STREAMS_KEY_TARGET, of_group, &kafka_streams_group_target_assignment_metadata_value_message,
        &value);
}

static void put_profile(struct writer *writer, const struct streams_member *member)
{
    const struct streams_profile *profile = member->profile;
    struct kafka_streams_group_member_metadata_value_endpoint endpoint = {
        .host = profile->endpoint_host, .port = (uint16_t)profile->endpoint_port};
    member_value value = {
        .rack_id = profile->rack,
        .client_id = profile->client_id,
        .client_host = profile->client_host,
        .rebalance_timeout_ms = profile->rebalance_ms,
        .topology_epoch = profile->topology_epoch,
        .process_id = profile->process_id,
        .user_endpoint = profile->endpoint_host.data == NULL ? NULL : &endpoint,
    };
    value.client_tags =
        arena_calloc(&writer->out.arena, (size_t)profile->tag_count + 1, sizeof *value.client_tags);
    if (value.client_tags == NULL)
        group_writer_no_memory(&writer->out);
    for (int32_t i = 0; value.client_tags != NULL && i < profile->tag_count; i++) {
        value.client_tags[i].key = profile->tags[i].key;
        value.client_tags[i].value = profile->tags[i].value;
        value.client_tags_count++;
    }
    put(writer, STREAMS_KEY_MEMBER, block_slice(member->id),
        &kafka_streams_group_member_metadata_value_message, &value);
}

// The subtopology's id; the topology knows all that members have.
static struct slice name_of(const struct streams_group *group, struct uuid key)
{
    int32_t place = streams_topology_find(group->topology, key);
    return streams_topology_value_of(group->topology)->subtopologies[place].subtopology_id;
}

static target_tasks *target_of(struct writer *writer, const struct parts *set, int32_t *count)
{
    target_tasks *out = arena_calloc(&writer->out.arena, parts_topics(set) + 1, sizeof *out);
    for (size_t at = 0; out != NULL && at < set->count; (*count)++) {
        size_t end = parts_topic_end(set, at);
        out[*count] = (target_tasks){.subtopology_id = name_of(writer->group, set->items[at].topic),
                                     .partitions = parts_indexes(set, at, end, &writer->out.arena),
                                     .partitions_count = (int32_t)(end - at)};
        if (out[*count].partitions == NULL)
            return NULL;
        at = end;
    }
    return out;
}

static void put_target(struct writer *writer, const struct streams_member *member)
{
    const struct parts *roles = member->target.roles;
    target_value value = {0};
    value.active_tasks = target_of(writer, &roles[STREAMS_ACTIVE], &value.active_tasks_count);
    value.standby_tasks = target_of(writer, &roles[STREAMS_STANDBY], &value.standby_tasks_count);
    value.warmup_tasks = target_of(writer, &roles[STREAMS_WARMUP], &value.warmup_tasks_count);
    if (value.active_tasks == NULL || value.standby_tasks == NULL || value.warmup_tasks == NULL)
        group_writer_no_memory(&writer->out);
    put(writer, STREAMS_KEY_TARGET_MEMBER, block_slice(member->id),
        &kafka_streams_group_target_assignment_member_value_message, &value);
}

// NULL at the arena's cap.
static int32_t *epochs_of(const struct parts *set, size_t from, size_t end, struct arena *arena)
{
    int32_t *epochs = arena_calloc(arena, end - from, sizeof *epochs);
    for (size_t i = from; epochs != NULL && i < end; i++)
        epochs[i - from] = set->items[i].epoch;
    return epochs;
}

// Only active tasks have assignment epochs.
static current_tasks *current_of(struct writer *writer, const struct parts *set, bool epochs, int32_t *count)
{
    struct arena *arena = &writer->out.arena;
    current_tasks *out = arena_calloc(arena, parts_topics(set) + 1, sizeof *out);
    for (size_t at = 0; out != NULL && at < set->count; (*count)++) {
        size_t end = parts_topic_end(set, at);
        out[*count] = (current_tasks){.subtopology_id = name_of(writer->group, set->items[at].topic),
                                      .partitions = parts_indexes(set, at, end, arena),
                                      .partitions_count = (int32_t)(end - at),
                                      .assignment_epochs_count = -1};
        if (epochs) {
            out[*count].assignment_epochs = epochs_of(set, at, end, arena);
            out[*count].assignment_epochs_count = (int32_t)(end - at);
        }
        if (out[*count].partitions == NULL || (epochs && out[*count].assignment_epochs == NULL))
            return NULL;
        at = end;
    }
    return out;
}

static void put_current(struct writer *writer, const struct streams_member *member)
{
    const struct parts *has = member->assigned.roles, *gives = member->revoking.roles;
    current_value value = {.member_epoch = member->epoch,
                           .previous_member_epoch = member->previous_epoch,
                           .state = (int8_t)member->progress};
    value.active_tasks = current_of(writer, &has[STREAMS_ACTIVE], true, &value.active_tasks_count);
    value.standby_tasks = current_of(writer, &has[STREAMS_STANDBY], false, &value.standby_tasks_count);
    value.warmup_tasks = current_of(writer, &has[STREAMS_WARMUP], false, &value.warmup_tasks_count);
    value.active_tasks_pending_revocation =
        current_of(writer, &gives[STREAMS_ACTIVE], true, &value.active_tasks_pending_revocation_count);
    value.standby_tasks_pending_revocation =
        current_of(writer, &gives[STREAMS_STANDBY], false, &value.standby_tasks_pending_revocation_count);
    value.warmup_tasks_pending_revocation =
        current_of(writer, &gives[STREAMS_WARMUP], false, &value.warmup_tasks_pending_revocation_count);
    if (value.active_tasks == NULL || value.standby_tasks == NULL || value.warmup_tasks == NULL ||
        value.active_tasks_pending_revocation == NULL || value.standby_tasks_pending_revocation == NULL ||
        value.warmup_tasks_pending_revocation == NULL)
        group_writer_no_memory(&writer->out);
    put(writer, STREAMS_KEY_CURRENT, block_slice(member->id),
        &kafka_streams_group_current_member_assignment_value_message, &value);
}

static void put_gone(struct writer *writer)
{
    struct slice name;
    for (struct map_entry *at = NULL; map_next(&writer->group->gone, &at, &name, NULL);)
        bury_member(writer, name);
}

// The group's epoch comes before, and the target's after all of the target: cut in between, the target is
// computed anew.
static void put_changed(struct writer *writer)
{
    struct streams_group *group = writer->group;
    void *value;
    if (group->dirty_topology)
        group_writer_put_bytes(&writer->out, STREAMS_KEY_TOPOLOGY, of_group,
                               streams_topology_record(group->topology));
    if (group->dirty_epoch)
        put_epoch(writer);
    put_gone(writer);
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        const struct streams_member *member = value;
        if (member->dirty_profile)
            put_profile(writer, member);
        if (member->dirty_target)
            put_target(writer, member);
    }
    if (group->dirty_target_epoch)
        put_target_epoch(writer);
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        const struct streams_member *member = value;
        if (member->dirty_current)
            put_current(writer, member);
    }
}

static void clean(struct streams_group *group)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct streams_member *member = value;
        member->dirty_profile = member->dirty_target = member->dirty_current = false;
    }
    map_fini(&group->gone);
    map_init(&group->gone, 0);
    group->dirty = group->dirty_epoch = group->dirty_target_epoch = group->dirty_topology = false;
    group->written = true;
}

enum status streams_record_write(struct streams_group *group, group_emit_fn *emit, void *context)
{
    struct writer writer;
    writer_init(&writer, group, emit, context);
    put_changed(&writer);
    if (writer.out.status == ST_OK)
        clean(group);
    return group_writer_fini(&writer.out);
}

enum status streams_record_bury(struct streams_group *group, group_emit_fn *emit, void *context)
{
    struct writer writer;
    writer_init(&writer, group, emit, context);
    put_gone(&writer);
    struct slice name;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, &name, NULL);)
        bury_member(&writer, name);
    bury(&writer, STREAMS_KEY_TARGET, of_group);
    bury(&writer, STREAMS_KEY_TOPOLOGY, of_group);
    bury(&writer, STREAMS_KEY_GROUP, of_group);
    return group_writer_fini(&writer.out);
}
