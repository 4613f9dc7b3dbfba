// SPDX-License-Identifier: Apache-2.0
// DescribeGroups: state and members of groups. A group nobody knows is "Dead" (an error from version 6 on).
#include "apis.h"
#include "kafka/messages/describe_groups.h"

typedef struct kafka_describe_groups_request request_t;
typedef struct kafka_describe_groups_response response_t;
typedef struct kafka_describe_groups_response_described_group group_t;
typedef struct kafka_describe_groups_response_described_group_member member_t;

enum { VERSION_NOT_FOUND = 6 };

static void put_error(group_t *out, int16_t error, const char *state)
{
    out->error_code = error;
    out->group_state = slice_str(state);
}

static void put_missing(const struct coordinator_request *request, const char *why, group_t *out)
{
    put_error(out, KAFKA_ERR_NONE, "Dead");
    if (request->version < VERSION_NOT_FOUND)
        return;
    out->error_code = KAFKA_ERR_GROUP_ID_NOT_FOUND;
    out->error_message = slice_str(why);
}

static void put_group(struct coordinator_request *request, const struct group *group, group_t *out)
{
    bool stable = group_state(group) == GROUP_STABLE;
    out->group_state = slice_str(group_state_text(group_state(group)));
    out->protocol_type = group_protocol_type(group);
    if (stable)
        out->protocol_data = group_protocol(group);
    out->members = arena_calloc(&request->arena, group_size(group) + 1, sizeof(member_t));
    if (out->members == NULL) {
        put_error(out, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE, "");
        return;
    }
    struct group_member_view view;
    for (struct map_entry *at = NULL; group_next_member(group, &at, &view);)
        out->members[out->members_count++] = (member_t){
            .member_id = view.id,
            .group_instance_id = view.instance_id,
            .client_id = view.client_id,
            .client_host = view.client_host,
            .member_metadata = stable ? view.metadata : slice_str(""),
            .member_assignment = view.assignment.data == NULL ? slice_str("") : view.assignment,
        };
}

static void describe(struct coordinator_request *request, struct slice id, group_t *out)
{
    const request_t *in = request->body;
    kafka_structure_defaults(&kafka_describe_groups_response_described_group_type, out);
    out->group_id = id;
    if (!request_allowed(request, id)) {
        put_error(out, KAFKA_ERR_GROUP_AUTHORIZATION_FAILED, "");
        return;
    }
    if (in->include_authorized_operations)
        out->authorized_operations = authorise_operations(&request->principal, RESOURCE_TYPE_GROUP, id);
    const struct shard_group *cell = request_owns(request, id) ? shard_find(request->shard, id, false) : NULL;
    if (!request_owns(request, id))
        put_error(out, KAFKA_ERR_NOT_COORDINATOR, "");
    else if (cell == NULL)
        put_missing(request, "The group does not exist.", out);
    else if (cell->consumer != NULL || cell->streams != NULL || cell->share != NULL)
        put_missing(request, "The group is not a classic group.", out);
    else
        put_group(request, cell->group, out);
}

void coordinator_describe_groups(struct coordinator_request *request)
{
    const request_t *in = request->body;
    response_t response;
    kafka_defaults(&kafka_describe_groups_response_message, &response);
    response.groups = arena_calloc(&request->arena, (size_t)in->groups_count + 1, sizeof(group_t));
    for (int32_t i = 0; response.groups != NULL && i < in->groups_count; i++)
        describe(request, in->groups[i], &response.groups[response.groups_count++]);
    request_answer(request, &response);
}
