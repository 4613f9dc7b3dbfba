// SPDX-License-Identifier: Apache-2.0
// See group_streams.h.
#include "group_streams.h"

#include "group_consumer.h"
#include "kafka/errors.h"
#include "kafka/messages/streams_group_describe.h"

typedef struct kafka_describe_groups_response_described_group group_info;
typedef struct kafka_streams_group_describe_response_described_group described;
typedef struct kafka_streams_group_describe_response_member described_member;
typedef struct kafka_streams_group_describe_response_subtopology subtopology_t;
typedef struct kafka_streams_group_describe_response_task_ids tasks_t;

static const subtopology_t *subtopology_of(const described *from, struct slice id)
{
    for (int32_t i = 0; from->topology != NULL && i < from->topology->subtopologies_count; i++) {
        if (slice_equal(from->topology->subtopologies[i].subtopology_id, id))
            return &from->topology->subtopologies[i];
    }
    return NULL;
}

// Topics that the tasks of a subtopology read.
static int32_t topics_read(const described *from, const tasks_t *tasks)
{
    const subtopology_t *sub = subtopology_of(from, tasks->subtopology_id);
    return sub == NULL ? 0 : sub->source_topics_count + sub->repartition_source_topics_count;
}

static void put_read(const described *from, const tasks_t *tasks, struct group_assigned *out, int32_t *count)
{
    const subtopology_t *sub = subtopology_of(from, tasks->subtopology_id);
    for (int32_t i = 0; sub != NULL && i < sub->source_topics_count; i++)
        out[(*count)++] =
            (struct group_assigned){sub->source_topics[i], tasks->partitions, tasks->partitions_count};
    for (int32_t i = 0; sub != NULL && i < sub->repartition_source_topics_count; i++)
        out[(*count)++] = (struct group_assigned){sub->repartition_source_topics[i].name, tasks->partitions,
                                                  tasks->partitions_count};
}

static struct slice encoded(struct admin *admin, const described *from, const described_member *member)
{
    int32_t room = 0, count = 0;
    for (int32_t i = 0; i < member->assignment.active_tasks_count; i++)
        room += topics_read(from, &member->assignment.active_tasks[i]);
    struct group_assigned *topics = arena_calloc(admin_arena(admin), (size_t)room + 1, sizeof *topics);
    for (int32_t i = 0; topics != NULL && i < member->assignment.active_tasks_count; i++)
        put_read(from, &member->assignment.active_tasks[i], topics, &count);
    return topics == NULL ? (struct slice){0} : group_assignment_encode(admin, topics, count);
}

static enum cli_exit take(struct admin *admin, const described *from, group_info *group)
{
    kafka_structure_defaults(&kafka_describe_groups_response_described_group_type, group);
    group->group_id = from->group_id;
    group->group_state = from->group_state;
    group->protocol_type = slice_str("streams");
    group->protocol_data = slice_str("sticky");
    group->members =
        arena_calloc(admin_arena(admin), (size_t)from->members_count + 1, sizeof *group->members);
    for (int32_t i = 0; group->members != NULL && i < from->members_count; i++) {
        const described_member *member = &from->members[i];
        group->members[group->members_count++] =
            (struct kafka_describe_groups_response_described_group_member){
                .member_id = member->member_id,
                .group_instance_id = member->instance_id,
                .client_id = member->client_id,
                .client_host = member->client_host,
                .member_assignment = encoded(admin, from, member),
            };
    }
    return group->members == NULL ? cli_fail(CLI_FAILED, "the group has too many members") : CLI_DONE;
}

static struct group_said said(const void *response)
{
    const struct kafka_streams_group_describe_response *in = response;
    if (in->groups_count != 1)
        return (struct group_said){.groups = in->groups_count};
    return (struct group_said){1, in->groups[0].error_code, in->groups[0].error_message};
}

enum cli_exit group_streams_ask(struct admin *admin, const char *name, int32_t coordinator, group_info *group,
                                bool *found)
{
    struct slice wanted = slice_str(name);
    const struct kafka_streams_group_describe_request request = {.group_ids = &wanted, .group_ids_count = 1};
    const struct group_question question = {KAFKA_API_STREAMS_GROUP_DESCRIBE, &request, wanted, said};
    const void *response;
    enum cli_exit code = group_described(admin, coordinator, &question, &response, found);
    if (code != CLI_DONE || !*found)
        return code;
    return take(admin, &((const struct kafka_streams_group_describe_response *)response)->groups[0], group);
}
