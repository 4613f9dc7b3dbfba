// SPDX-License-Identifier: Apache-2.0
// OffsetFetch: what was committed, for named partitions or for all, of one group (to version 7) or several.
// A partition without a commit answers offset -1, never an error and never nothing. An offset that was
// committed for a former topic of the same name counts as none.
#include "apis.h"
#include "kafka/messages/offset_fetch.h"

typedef struct kafka_offset_fetch_request request_t;
typedef struct kafka_offset_fetch_request_offset_fetch_request_group group_in;
typedef struct kafka_offset_fetch_request_offset_fetch_request_topics topic_in;
typedef struct kafka_offset_fetch_response response_t;
typedef struct kafka_offset_fetch_response_offset_fetch_response_group group_out;
typedef struct kafka_offset_fetch_response_offset_fetch_response_topics topic_out;
typedef struct kafka_offset_fetch_response_offset_fetch_response_partitions partition_out;

enum { VERSION_GROUPS = 8, VERSION_TOPIC_ID = 10, VERSION_GROUP_ERROR = 2 };

static partition_out partition_answer(const struct coordinator_request *request,
                                      const struct shard_group *cell, struct slice name, int32_t index)
{
    partition_out out = {.partition_index = index,
                         .committed_offset = -1,
                         .committed_leader_epoch = -1,
                         .metadata = slice_str("")};
    const request_t *in = request->body;
    struct offset_commit commit;
    if (in->require_stable && cell != NULL && shard_unstable(cell, name, index)) {
        out.error_code = KAFKA_ERR_UNSTABLE_OFFSET_COMMIT; // KIP-447: the transaction is about to end
        return out;
    }
    if (cell == NULL || !offsets_get(&cell->offsets, name, index, &commit))
        return out;
    const struct image_topic *topic = image_topic_slice(request_image(request), name);
    if (topic != NULL && !uuid_is_zero(commit.topic_id) && !uuid_equal(topic->id, commit.topic_id))
        return out;
    out.committed_offset = commit.offset;
    out.committed_leader_epoch = commit.leader_epoch;
    out.metadata = commit.metadata;
    return out;
}

static bool fetch_topic(struct coordinator_request *request, const struct shard_group *cell,
                        const topic_in *in, topic_out *out)
{
    struct slice name = in->name;
    int16_t error = KAFKA_ERR_NONE;
    if (request->version >= VERSION_TOPIC_ID) {
        const struct image_topic *topic = image_topic(request_image(request), in->topic_id);
        name = slice_str(topic == NULL ? "" : topic->name);
        error = topic == NULL ? KAFKA_ERR_UNKNOWN_TOPIC_ID : KAFKA_ERR_NONE;
    }
    if (error == KAFKA_ERR_NONE &&
        !authorise(&request->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_TOPIC, name))
        error = KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
    out->name = name;
    out->topic_id = in->topic_id;
    out->partitions_count = in->partition_indexes_count;
    out->partitions =
        arena_calloc(&request->arena, (size_t)in->partition_indexes_count + 1, sizeof(partition_out));
    for (int32_t i = 0; out->partitions != NULL && i < in->partition_indexes_count; i++) {
        const struct shard_group *from = error == KAFKA_ERR_NONE ? cell : NULL;
        out->partitions[i] = partition_answer(request, from, name, in->partition_indexes[i]);
        if (error != KAFKA_ERR_NONE)
            out->partitions[i].error_code = error;
    }
    return out->partitions != NULL;
}

static bool fetch_named(struct coordinator_request *request, const struct shard_group *cell,
                        const group_in *in, group_out *out)
{
    out->topics = arena_calloc(&request->arena, (size_t)in->topics_count + 1, sizeof(topic_out));
    for (int32_t t = 0; out->topics != NULL && t < in->topics_count; t++) {
        if (!fetch_topic(request, cell, &in->topics[t], &out->topics[out->topics_count++]))
            return false;
    }
    return out->topics != NULL;
}

static bool put_all(struct coordinator_request *request, const struct shard_group *cell, struct slice name,
                    const struct offsets_topic *topic, topic_out *out)
{
    const struct image_topic *known = image_topic_slice(request_image(request), name);
    out->name = name;
    out->topic_id = known == NULL ? (struct uuid){{0}} : known->id;
    out->partitions = arena_calloc(&request->arena, offsets_partitions(topic) + 1, sizeof(partition_out));
    int32_t index;
    struct offset_commit commit;
    for (struct map_entry *at = NULL; out->partitions != NULL && offsets_next(topic, &at, &index, &commit);) {
        partition_out answer = partition_answer(request, cell, name, index);
        if (answer.committed_offset >= 0 || answer.error_code != KAFKA_ERR_NONE)
            out->partitions[out->partitions_count++] = answer;
    }
    return out->partitions != NULL;
}

static bool fetch_all(struct coordinator_request *request, const struct shard_group *cell, group_out *out)
{
    size_t count = cell == NULL ? 0 : cell->offsets.topics.count;
    out->topics = arena_calloc(&request->arena, count + 1, sizeof(topic_out));
    struct slice name;
    const struct offsets_topic *topic;
    for (struct map_entry *at = NULL;
         out->topics != NULL && count > 0 && offsets_next_topic(&cell->offsets, &at, &name, &topic);) {
        bool known = image_topic_slice(request_image(request), name) != NULL;
        if (!authorise(&request->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_TOPIC, name) ||
            (request->version >= VERSION_TOPIC_ID && !known))
            continue;
        if (!put_all(request, cell, name, topic, &out->topics[out->topics_count]))
            return false;
        if (out->topics[out->topics_count].partitions_count > 0)
            out->topics_count++;
    }
    return out->topics != NULL;
}

static void fetch_group(struct coordinator_request *request, const group_in *in, group_out *out)
{
    bool all = in->topics_count < 0;
    out->group_id = in->group_id;
    if (!request_allowed(request, in->group_id))
        out->error_code = KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
    else if (!request_owns(request, in->group_id))
        out->error_code = KAFKA_ERR_NOT_COORDINATOR;
    if (out->error_code != KAFKA_ERR_NONE)
        return;
    const struct shard_group *cell = shard_find(request->shard, in->group_id, false);
    if (cell != NULL && cell->consumer != NULL)
        out->error_code = consumer_may_fetch(cell->consumer, in->member_id, in->member_epoch);
    else if (cell != NULL && cell->streams != NULL)
        out->error_code = streams_may_fetch(cell->streams, in->member_id, in->member_epoch);
    if (out->error_code != KAFKA_ERR_NONE)
        return;
    bool done = all ? fetch_all(request, cell, out) : fetch_named(request, cell, in, out);
    if (!done) {
        out->topics_count = 0;
        out->error_code = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    }
}

// ---- to version 7: one group, and other structures of the same content ----

static bool single_in(struct coordinator_request *request, group_in *out)
{
    const request_t *in = request->body;
    *out = (group_in){.group_id = in->group_id, .member_epoch = -1, .topics_count = in->topics_count};
    if (in->topics_count < 0)
        return true;
    out->topics = arena_calloc(&request->arena, (size_t)in->topics_count + 1, sizeof(topic_in));
    for (int32_t t = 0; out->topics != NULL && t < in->topics_count; t++)
        out->topics[t] = (topic_in){.name = in->topics[t].name,
                                    .partition_indexes = in->topics[t].partition_indexes,
                                    .partition_indexes_count = in->topics[t].partition_indexes_count};
    return out->topics != NULL;
}

static bool single_topic(struct coordinator_request *request, const topic_out *in,
                         struct kafka_offset_fetch_response_offset_fetch_response_topic *out)
{
    out->name = in->name;
    out->partitions =
        arena_calloc(&request->arena, (size_t)in->partitions_count + 1, sizeof *out->partitions);
    for (int32_t p = 0; out->partitions != NULL && p < in->partitions_count; p++) {
        const partition_out *from = &in->partitions[p];
        out->partitions[out->partitions_count++] =
            (struct kafka_offset_fetch_response_offset_fetch_response_partition){
                .partition_index = from->partition_index,
                .committed_offset = from->committed_offset,
                .committed_leader_epoch = from->committed_leader_epoch,
                .metadata = from->metadata,
                .error_code = from->error_code,
            };
    }
    return out->partitions != NULL;
}

// Before version 2 there is no error of the whole: every named partition carries it.
static bool spread_error(struct coordinator_request *request, const group_in *in, group_out *out)
{
    int16_t error = out->error_code;
    if (error == KAFKA_ERR_NONE || request->version >= VERSION_GROUP_ERROR)
        return true;
    bool done = fetch_named(request, NULL, in, out);
    for (int32_t t = 0; done && t < out->topics_count; t++)
        for (int32_t p = 0; p < out->topics[t].partitions_count; p++)
            out->topics[t].partitions[p].error_code = error;
    return done;
}

static bool fetch_single(struct coordinator_request *request, response_t *response)
{
    group_in in;
    group_out out = {0};
    if (!single_in(request, &in))
        return false;
    fetch_group(request, &in, &out);
    if (!spread_error(request, &in, &out))
        return false;
    response->error_code = out.error_code;
    response->topics = arena_calloc(&request->arena, (size_t)out.topics_count + 1, sizeof *response->topics);
    for (int32_t t = 0; response->topics != NULL && t < out.topics_count; t++) {
        if (!single_topic(request, &out.topics[t], &response->topics[response->topics_count++]))
            return false;
    }
    return response->topics != NULL;
}

static bool fetch_groups(struct coordinator_request *request, response_t *response)
{
    const request_t *in = request->body;
    response->groups = arena_calloc(&request->arena, (size_t)in->groups_count + 1, sizeof(group_out));
    for (int32_t g = 0; response->groups != NULL && g < in->groups_count; g++)
        fetch_group(request, &in->groups[g], &response->groups[response->groups_count++]);
    return response->groups != NULL;
}

void coordinator_offset_fetch(struct coordinator_request *request)
{
    response_t response;
    kafka_defaults(&kafka_offset_fetch_response_message, &response);
    bool done = request->version >= VERSION_GROUPS ? fetch_groups(request, &response)
                                                   : fetch_single(request, &response);
    if (!done) {
        kafka_defaults(&kafka_offset_fetch_response_message, &response);
        response.error_code = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    }
    request_answer(request, &response);
}
