// SPDX-License-Identifier: Apache-2.0
// StreamsGroupDescribe (KIP-1071): epochs, topology, members, what they have and what they are to have. A
// group of another protocol is GROUP_ID_NOT_FOUND here.
#include "apis.h"
#include "streams_message.h"

typedef struct kafka_streams_group_describe_request request_t;
typedef struct kafka_streams_group_describe_response response_t;
typedef struct kafka_streams_group_describe_response_described_group group_t;
typedef struct kafka_streams_group_describe_response_member member_t;
typedef struct kafka_streams_group_describe_response_topology topology_t;
typedef struct kafka_streams_group_describe_response_subtopology subtopology_t;
typedef struct kafka_streams_group_describe_response_topic_info topic_t;
typedef struct kafka_streams_group_describe_response_key_value pair_t;

static bool put_error(group_t *out, int16_t error, const char *text)
{
    out->error_code = error;
    out->error_message = slice_str(text);
    return true;
}

// ---- topology ----

// A topic that exists has the partitions it has; else what the topology says of it (0: not decided there).
static topic_t *put_topics(struct coordinator_request *request, const streams_topic_info *in, int32_t count)
{
    topic_t *out = arena_calloc(&request->arena, (size_t)count + 1, sizeof *out);
    for (int32_t i = 0; out != NULL && i < count; i++) {
        const struct image_topic *topic = image_topic_slice(request_image(request), in[i].name);
        pair_t *pairs = arena_calloc(&request->arena, (size_t)in[i].topic_configs_count + 1, sizeof *pairs);
        if (pairs == NULL)
            return NULL;
        for (int32_t c = 0; c < in[i].topic_configs_count; c++)
            pairs[c] = (pair_t){.key = in[i].topic_configs[c].key, .value = in[i].topic_configs[c].value};
        out[i] = (topic_t){.name = in[i].name,
                           .partitions = topic == NULL ? in[i].partitions : (int32_t)topic->partition_count,
                           .replication_factor = in[i].replication_factor,
                           .topic_configs = pairs,
                           .topic_configs_count = in[i].topic_configs_count};
    }
    return out;
}

static bool put_subtopology(struct coordinator_request *request, const streams_subtopology *in,
                            subtopology_t *out)
{
    *out = (subtopology_t){
        .subtopology_id = in->subtopology_id,
        .source_topics = in->source_topics,
        .source_topics_count = in->source_topics_count,
        .repartition_sink_topics = in->repartition_sink_topics,
        .repartition_sink_topics_count = in->repartition_sink_topics_count,
        .state_changelog_topics =
            put_topics(request, in->state_changelog_topics, in->state_changelog_topics_count),
        .state_changelog_topics_count = in->state_changelog_topics_count,
        .repartition_source_topics =
            put_topics(request, in->repartition_source_topics, in->repartition_source_topics_count),
        .repartition_source_topics_count = in->repartition_source_topics_count,
    };
    return out->state_changelog_topics != NULL && out->repartition_source_topics != NULL;
}

static bool put_topology(struct coordinator_request *request, const streams_topology_value *value,
                         group_t *out)
{
    topology_t *topology = arena_calloc(&request->arena, 1, sizeof *topology);
    if (topology == NULL)
        return false;
    topology->epoch = value->epoch;
    topology->subtopologies = arena_calloc(&request->arena, (size_t)value->subtopologies_count + 1,
                                           sizeof *topology->subtopologies);
    out->topology = topology;
    bool done = topology->subtopologies != NULL;
    for (int32_t i = 0; done && i < value->subtopologies_count; i++)
        done = put_subtopology(request, &value->subtopologies[i],
                               &topology->subtopologies[topology->subtopologies_count++]);
    return done;
}

// ---- members ----

static bool put_profile(struct coordinator_request *request, const struct streams_profile *profile,
                        member_t *out)
{
    out->rack_id = profile->rack;
    out->client_id = profile->client_id;
    out->client_host = profile->client_host;
    out->topology_epoch = profile->topology_epoch;
    out->process_id = profile->process_id;
    out->client_tags =
        arena_calloc(&request->arena, (size_t)profile->tag_count + 1, sizeof *out->client_tags);
    for (int32_t i = 0; out->client_tags != NULL && i < profile->tag_count; i++)
        out->client_tags[out->client_tags_count++] =
            (pair_t){.key = profile->tags[i].key, .value = profile->tags[i].value};
    if (profile->endpoint_host.data == NULL)
        return out->client_tags != NULL;
    out->user_endpoint = arena_calloc(&request->arena, 1, sizeof *out->user_endpoint);
    if (out->user_endpoint == NULL)
        return false;
    out->user_endpoint->host = profile->endpoint_host;
    out->user_endpoint->port = (uint16_t)profile->endpoint_port;
    return out->client_tags != NULL;
}

static bool put_member(struct coordinator_request *request, const struct streams_topology *topology,
                       const struct streams_member_view *view, member_t *out)
{
    kafka_structure_defaults(&kafka_streams_group_describe_response_member_type, out);
    out->member_id = view->id;
    out->member_epoch = view->epoch;
    return put_profile(request, view->profile, out) &&
           streams_message_assignment(topology, view->assigned, &request->arena, &out->assignment) &&
           streams_message_assignment(topology, view->target, &request->arena, &out->target_assignment);
}

static bool put_group(struct coordinator_request *request, const struct streams_group *group, group_t *out)
{
    const struct streams_topology *topology = streams_topology_of(group);
    out->group_state = slice_str(streams_state_text(streams_state(group)));
    out->group_epoch = streams_epoch(group);
    out->assignment_epoch = streams_target_epoch(group);
    out->members = arena_calloc(&request->arena, streams_size(group) + 1, sizeof(member_t));
    bool done = out->members != NULL;
    if (done && topology != NULL)
        done = put_topology(request, streams_topology_value_of(topology), out);
    struct streams_member_view view;
    for (struct map_entry *at = NULL; done && streams_next_member(group, &at, &view);)
        done = put_member(request, topology, &view, &out->members[out->members_count++]);
    return done;
}

// ---- groups ----

// Whether the client may be told of all topics of the topology.
static bool topics_allowed(const struct coordinator_request *request, const struct streams_group *group)
{
    if (streams_topology_of(group) == NULL)
        return true;
    const streams_topology_value *value = streams_topology_value_of(streams_topology_of(group));
    for (int32_t s = 0; s < value->subtopologies_count; s++) {
        struct slice name;
        for (int32_t i = 0; streams_topic_needed(&value->subtopologies[s], i, &name); i++) {
            if (!authorise(&request->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_TOPIC, name))
                return false;
        }
    }
    return true;
}

// false when the arena is full.
static bool describe(struct coordinator_request *request, struct slice id, group_t *out)
{
    const request_t *in = request->body;
    out->group_id = id;
    if (!request_allowed(request, id))
        return put_error(out, KAFKA_ERR_GROUP_AUTHORIZATION_FAILED, NULL);
    if (id.len == 0)
        return put_error(out, KAFKA_ERR_INVALID_GROUP_ID, NULL);
    if (!request_owns(request, id))
        return put_error(out, KAFKA_ERR_NOT_COORDINATOR, NULL);
    const struct shard_group *cell = shard_find(request->shard, id, false);
    if (cell == NULL)
        return put_error(out, KAFKA_ERR_GROUP_ID_NOT_FOUND, "The group does not exist.");
    if (cell->streams == NULL)
        return put_error(out, KAFKA_ERR_GROUP_ID_NOT_FOUND, "The group is not a streams group.");
    if (!topics_allowed(request, cell->streams))
        return put_error(out, KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED,
                         "The described group uses topics that the client is not authorized to describe.");
    if (in->include_authorized_operations)
        out->authorized_operations = authorise_operations(&request->principal, RESOURCE_TYPE_GROUP, id);
    return put_group(request, cell->streams, out);
}

void coordinator_streams_group_describe(struct coordinator_request *request)
{
    const request_t *in = request->body;
    response_t response;
    kafka_defaults(&kafka_streams_group_describe_response_message, &response);
    response.groups = kafka_structure_array(&kafka_streams_group_describe_response_described_group_type,
                                            &request->arena, in->group_ids_count);
    for (int32_t i = 0; response.groups != NULL && i < in->group_ids_count; i++) {
        group_t *out = &response.groups[response.groups_count++];
        if (describe(request, in->group_ids[i], out))
            continue;
        kafka_structure_defaults(&kafka_streams_group_describe_response_described_group_type, out);
        out->group_id = in->group_ids[i];
        put_error(out, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE, NULL);
    }
    request_answer(request, &response);
}
