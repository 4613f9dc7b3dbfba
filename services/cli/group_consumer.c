// SPDX-License-Identifier: Apache-2.0
// See group_consumer.h.
#include "group_consumer.h"

#include "kafka/errors.h"
#include "kafka/messages/consumer_group_describe.h"
#include "kafka/messages/consumer_protocol.h"

typedef struct kafka_describe_groups_response_described_group group_info;
typedef struct kafka_consumer_group_describe_response_described_group described;
typedef struct kafka_consumer_group_describe_response_member described_member;
typedef struct kafka_consumer_protocol_assignment_topic_partition assigned_t;

enum { ASSIGNMENT_MAX = 8 << 20 };

struct slice group_assignment_encode(struct admin *admin, const struct group_assigned *topics, int32_t count)
{
    struct arena *arena = admin_arena(admin);
    struct kafka_consumer_protocol_assignment assignment = {0};
    assignment.assigned_partitions = arena_calloc(arena, (size_t)count + 1, sizeof(assigned_t));
    if (assignment.assigned_partitions == NULL)
        return (struct slice){0};
    for (int32_t i = 0; i < count; i++)
        assignment.assigned_partitions[i] =
            (assigned_t){topics[i].topic, topics[i].partitions, topics[i].partition_count};
    assignment.assigned_partitions_count = count;
    struct kafka_out out;
    kafka_out_init(&out, ASSIGNMENT_MAX);
    struct slice bytes = {0};
    if (buf_put_be16(&out.bytes, 0) == ST_OK &&
        kafka_encode(&kafka_consumer_protocol_assignment_message, 0, &assignment, &out) == ST_OK)
        bytes = slice_of(arena_strndup(arena, out.bytes.data, out.bytes.len), out.bytes.len);
    kafka_out_fini(&out);
    return bytes;
}

static struct slice encoded(struct admin *admin, const described_member *member)
{
    int32_t count = member->assignment.topic_partitions_count;
    struct group_assigned *topics = arena_calloc(admin_arena(admin), (size_t)count + 1, sizeof *topics);
    for (int32_t i = 0; topics != NULL && i < count; i++)
        topics[i] = (struct group_assigned){member->assignment.topic_partitions[i].topic_name,
                                            member->assignment.topic_partitions[i].partitions,
                                            member->assignment.topic_partitions[i].partitions_count};
    return topics == NULL ? (struct slice){0} : group_assignment_encode(admin, topics, count);
}

static enum cli_exit take(struct admin *admin, const described *from, group_info *group)
{
    kafka_structure_defaults(&kafka_describe_groups_response_described_group_type, group);
    group->group_id = from->group_id;
    group->group_state = from->group_state;
    group->protocol_type = slice_str("consumer");
    group->protocol_data = from->assignor_name;
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
                .member_assignment = encoded(admin, member),
            };
    }
    return group->members == NULL ? cli_fail(CLI_FAILED, "the group has too many members") : CLI_DONE;
}

enum cli_exit group_described(struct admin *admin, int32_t coordinator, const struct group_question *question,
                              const void **response, bool *found)
{
    *found = false;
    if (admin_version(admin, coordinator, question->api, 0) < 0)
        return CLI_DONE; // an older broker: there are no such groups
    for (;;) {
        enum cli_exit code = admin_call(admin, coordinator, question->api, 0, question->request, response);
        if (code != CLI_DONE)
            return code;
        struct group_said said = question->said(*response);
        if (said.groups != 1)
            return cli_fail(CLI_FAILED, "the coordinator answered for %d groups", said.groups);
        if (admin_again(admin, said.error))
            continue;
        if (said.error == KAFKA_ERR_GROUP_ID_NOT_FOUND)
            return CLI_DONE;
        if (said.error != KAFKA_ERR_NONE)
            return admin_refused("group", question->name, said.error, said.text);
        *found = true;
        return CLI_DONE;
    }
}

static struct group_said said(const void *response)
{
    const struct kafka_consumer_group_describe_response *in = response;
    if (in->groups_count != 1)
        return (struct group_said){.groups = in->groups_count};
    return (struct group_said){1, in->groups[0].error_code, in->groups[0].error_message};
}

enum cli_exit group_consumer_ask(struct admin *admin, const char *name, int32_t coordinator,
                                 group_info *group, bool *found)
{
    struct slice wanted = slice_str(name);
    const struct kafka_consumer_group_describe_request request = {.group_ids = &wanted, .group_ids_count = 1};
    const struct group_question question = {KAFKA_API_CONSUMER_GROUP_DESCRIBE, &request, wanted, said};
    const void *response;
    enum cli_exit code = group_described(admin, coordinator, &question, &response, found);
    if (code != CLI_DONE || !*found)
        return code;
    return take(admin, &((const struct kafka_consumer_group_describe_response *)response)->groups[0], group);
}
