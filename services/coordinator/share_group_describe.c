// SPDX-License-Identifier: Apache-2.0
// ShareGroupDescribe (KIP-932): epochs, members and what they have. A group that is no share group is
// GROUP_ID_NOT_FOUND here.
#include "apis.h"
#include "kafka/messages/share_group_describe.h"

typedef struct kafka_share_group_describe_request request_t;
typedef struct kafka_share_group_describe_response response_t;
typedef struct kafka_share_group_describe_response_described_group group_t;
typedef struct kafka_share_group_describe_response_member member_t;
typedef struct kafka_share_group_describe_response_assignment assignment_t;

static bool put_error(group_t *out, int16_t error, const char *text)
{
    out->error_code = error;
    if (text != NULL)
        out->error_message = slice_str(text);
    return true;
}

// Topics that are gone have no name: they are left out.
static bool put_parts(struct coordinator_request *request, const struct parts *parts, assignment_t *out)
{
    out->topic_partitions =
        arena_calloc(&request->arena, parts_topics(parts) + 1, sizeof *out->topic_partitions);
    for (size_t at = 0; out->topic_partitions != NULL && at < parts->count;) {
        size_t end = parts_topic_end(parts, at);
        const struct image_topic *topic = image_topic(request_image(request), parts->items[at].topic);
        struct kafka_share_group_describe_response_topic_partitions *to =
            &out->topic_partitions[out->topic_partitions_count];
        to->topic_id = parts->items[at].topic;
        to->topic_name = slice_str(topic == NULL ? "" : topic->name);
        to->partitions = parts_indexes(parts, at, end, &request->arena);
        to->partitions_count = (int32_t)(end - at);
        if (to->partitions == NULL)
            return false;
        out->topic_partitions_count += topic == NULL ? 0 : 1;
        at = end;
    }
    return out->topic_partitions != NULL;
}

static bool put_member(struct coordinator_request *request, const struct share_member_view *view,
                       member_t *out)
{
    kafka_structure_defaults(&kafka_share_group_describe_response_member_type, out);
    out->member_id = view->id;
    out->rack_id = view->profile->rack;
    out->member_epoch = view->epoch;
    out->client_id = view->profile->client_id;
    out->client_host = view->profile->client_host;
    out->subscribed_topic_names = (struct slice *)view->profile->topics;
    out->subscribed_topic_names_count = view->profile->topic_count;
    return put_parts(request, view->assigned, &out->assignment);
}

static bool put_group(struct coordinator_request *request, const struct share_group *group, group_t *out)
{
    out->group_state = slice_str(share_group_state(group));
    out->group_epoch = share_group_epoch(group);
    out->assignment_epoch = share_group_target_epoch(group);
    out->assignor_name = slice_str("simple");
    out->members = arena_calloc(&request->arena, share_group_size(group) + 1, sizeof(member_t));
    struct share_member_view view;
    bool done = out->members != NULL;
    for (struct map_entry *at = NULL; done && share_group_next(group, &at, &view);)
        done = put_member(request, &view, &out->members[out->members_count++]);
    return done;
}

// Whether members may be told of all topics they read.
static bool topics_allowed(const struct coordinator_request *request, const struct share_group *group)
{
    struct share_member_view view;
    for (struct map_entry *at = NULL; share_group_next(group, &at, &view);)
        for (int32_t i = 0; i < view.profile->topic_count; i++)
            if (!authorise(&request->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_TOPIC,
                           view.profile->topics[i]))
                return false;
    return true;
}

// false when the arena is full.
static bool describe(struct coordinator_request *request, struct slice id, group_t *out)
{
    const request_t *in = request->body;
    kafka_structure_defaults(&kafka_share_group_describe_response_described_group_type, out);
    out->group_id = id;
    if (!request_allowed(request, id))
        return put_error(out, KAFKA_ERR_GROUP_AUTHORIZATION_FAILED, NULL);
    if (in->include_authorized_operations)
        out->authorized_operations = authorise_operations(&request->principal, RESOURCE_TYPE_GROUP, id);
    if (!request_owns(request, id))
        return put_error(out, KAFKA_ERR_NOT_COORDINATOR, NULL);
    const struct shard_group *cell = shard_find(request->shard, id, false);
    if (cell == NULL || cell->share == NULL)
        return put_error(
            out, KAFKA_ERR_GROUP_ID_NOT_FOUND,
            arena_printf(&request->arena, "Group %.*s not found.", (int)id.len, (const char *)id.data));
    if (!topics_allowed(request, cell->share))
        return put_error(out, KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED,
                         "The group has described topic(s) that the client is not authorized to describe.");
    return put_group(request, cell->share, out);
}

void coordinator_share_group_describe(struct coordinator_request *request)
{
    const request_t *in = request->body;
    response_t response;
    kafka_defaults(&kafka_share_group_describe_response_message, &response);
    response.groups = arena_calloc(&request->arena, (size_t)in->group_ids_count + 1, sizeof(group_t));
    for (int32_t i = 0; response.groups != NULL && i < in->group_ids_count; i++) {
        group_t *out = &response.groups[response.groups_count++];
        if (!describe(request, in->group_ids[i], out)) {
            kafka_structure_defaults(&kafka_share_group_describe_response_described_group_type, out);
            out->group_id = in->group_ids[i];
            put_error(out, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE, NULL);
        }
    }
    request_answer(request, &response);
}
