// SPDX-License-Identifier: Apache-2.0
// OffsetCommit: a member of the group (or, while it is empty, anybody) writes how far it has read. The group
// without a name has no members but offsets: consumers of old commit to it when they are told no other.
#include "apis.h"
#include "kafka/messages/offset_commit.h"

typedef struct kafka_offset_commit_request request_t;
typedef struct kafka_offset_commit_request_offset_commit_request_topic topic_in;
typedef struct kafka_offset_commit_request_offset_commit_request_partition partition_in;
typedef struct kafka_offset_commit_response response_t;
typedef struct kafka_offset_commit_response_offset_commit_response_topic topic_out;

enum { VERSION_GROUP_NOT_FOUND = 9, VERSION_TOPIC_ID = 10 };

static const struct image_topic *topic_of(const struct coordinator_request *request, const topic_in *in)
{
    const struct image *image = request_image(request);
    return request->version >= VERSION_TOPIC_ID ? image_topic(image, in->topic_id)
                                                : image_topic_slice(image, in->name);
}

// Whether the image names every partition of the request; what it lacks may have been made a moment ago.
static bool all_known(const struct coordinator_request *request)
{
    const request_t *in = request->body;
    for (int32_t t = 0; t < in->topics_count; t++) {
        const struct image_topic *topic = topic_of(request, &in->topics[t]);
        for (int32_t p = 0; p < in->topics[t].partitions_count; p++) {
            int32_t index = in->topics[t].partitions[p].partition_index;
            if (topic == NULL || index < 0 || (size_t)index >= topic->partition_count)
                return false;
        }
    }
    return true;
}

// The answer with one error everywhere.
static bool make_answer(struct coordinator_request *request, int16_t error, response_t *response)
{
    const request_t *in = request->body;
    kafka_defaults(&kafka_offset_commit_response_message, response);
    response->topics = arena_calloc(&request->arena, (size_t)in->topics_count + 1, sizeof(topic_out));
    for (int32_t t = 0; response->topics != NULL && t < in->topics_count; t++) {
        topic_out *out = &response->topics[response->topics_count++];
        out->name = in->topics[t].name;
        out->topic_id = in->topics[t].topic_id;
        out->partitions_count = in->topics[t].partitions_count;
        out->partitions =
            arena_calloc(&request->arena, (size_t)out->partitions_count + 1, sizeof *out->partitions);
        if (out->partitions == NULL)
            return false;
        for (int32_t p = 0; p < out->partitions_count; p++) {
            out->partitions[p].partition_index = in->topics[t].partitions[p].partition_index;
            out->partitions[p].error_code = error;
        }
    }
    return response->topics != NULL;
}

// -1: as offsets.retention.minutes says. A client may ask for more time than there is.
static int64_t expiry_of(int64_t now_ms, int64_t retention_ms)
{
    if (retention_ms < 0)
        return -1;
    return retention_ms < INT64_MAX - now_ms ? now_ms + retention_ms : INT64_MAX;
}

static int16_t commit_one(const struct coordinator_request *request, struct shard_group *cell,
                          const struct image_topic *topic, const partition_in *in)
{
    const request_t *whole = request->body;
    const struct shard_settings *settings = shard_settings(cell->shard);
    if (in->partition_index < 0 || (size_t)in->partition_index >= topic->partition_count)
        return KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (in->committed_metadata.len > (size_t)settings->metadata_max)
        return KAFKA_ERR_OFFSET_METADATA_TOO_LARGE;
    int64_t now_ms = shard_now(cell->shard).wall_ms;
    struct offset_commit commit = {
        .offset = in->committed_offset,
        .leader_epoch = in->committed_leader_epoch,
        .commit_ms = now_ms,
        .expire_ms = expiry_of(now_ms, whole->retention_time_ms),
        .topic_id = topic->id,
        .metadata = in->committed_metadata.data == NULL ? slice_str("") : in->committed_metadata,
    };
    if (ledger_full(shard_ledger(cell->shard)) ||
        shard_commit(cell, slice_str(topic->name), in->partition_index, &commit) != ST_OK)
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    return KAFKA_ERR_NONE;
}

static int16_t topic_error(const struct coordinator_request *request, const struct image_topic *topic,
                           struct slice name)
{
    if (topic != NULL)
        name = slice_str(topic->name);
    if (topic == NULL && request->version >= VERSION_TOPIC_ID)
        return KAFKA_ERR_UNKNOWN_TOPIC_ID;
    if (!authorise(&request->principal, OPERATION_READ, RESOURCE_TYPE_TOPIC, name))
        return KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
    return topic == NULL ? KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_ERR_NONE;
}

// A member that commits at an older epoch than it has reached; both NULL: the sender is not behind.
struct behind {
    const struct consumer_member *consumer;
    const struct streams_member *streams;
};

// Whether a member that is behind its group may commit this one (KIP-1251); anybody else may.
static bool may_commit(const struct coordinator_request *request, const struct shard_group *cell,
                       const struct behind *behind, const struct image_topic *topic, const partition_in *in)
{
    struct parts_item part = {.topic = topic->id, .index = in->partition_index};
    int32_t epoch = ((const request_t *)request->body)->generation_id_or_member_epoch;
    if (behind->streams != NULL)
        return streams_may_commit_part(cell->streams, behind->streams, epoch, slice_str(topic->name),
                                       in->partition_index);
    return behind->consumer == NULL || consumer_may_commit_part(behind->consumer, epoch, &part);
}

static void commit_all(struct coordinator_request *request, struct shard_group *cell,
                       const struct behind *behind, response_t *response)
{
    const request_t *in = request->body;
    for (int32_t t = 0; t < in->topics_count; t++) {
        const struct image_topic *topic = topic_of(request, &in->topics[t]);
        int16_t error = topic_error(request, topic, in->topics[t].name);
        for (int32_t p = 0; p < in->topics[t].partitions_count; p++) {
            const partition_in *partition = &in->topics[t].partitions[p];
            int16_t *out = &response->topics[t].partitions[p].error_code;
            *out = error;
            if (error == KAFKA_ERR_NONE && !may_commit(request, cell, behind, topic, partition))
                *out = KAFKA_ERR_STALE_MEMBER_EPOCH;
            else if (error == KAFKA_ERR_NONE)
                *out = commit_one(request, cell, topic, partition);
        }
    }
}

// The group, and whether the sender may commit to it. A group nobody knows exists from its first offset on.
// *behind: a member of an older epoch, whose partitions are looked at one by one.
static int16_t find_group(struct coordinator_request *request, struct shard_group **cell,
                          struct behind *behind)
{
    const request_t *in = request->body;
    *behind = (struct behind){0};
    *cell = NULL;
    if (!request_allowed(request, in->group_id))
        return KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
    bool simple = in->generation_id_or_member_epoch < 0;
    *cell = shard_find(request->shard, in->group_id, simple);
    if (*cell == NULL && simple)
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    if (*cell == NULL)
        return request->version >= VERSION_GROUP_NOT_FOUND ? KAFKA_ERR_GROUP_ID_NOT_FOUND
                                                           : KAFKA_ERR_ILLEGAL_GENERATION;
    struct group_identity who = {.member_id = in->member_id,
                                 .instance_id = in->group_instance_id,
                                 .generation = in->generation_id_or_member_epoch};
    if ((*cell)->share != NULL)
        return KAFKA_ERR_GROUP_ID_NOT_FOUND; // where a share group is, share coordinators know
    struct consumer_commit commit = {who, request->version};
    if ((*cell)->consumer != NULL)
        return consumer_may_commit((*cell)->consumer, &commit, &behind->consumer);
    if ((*cell)->streams != NULL)
        return streams_may_commit((*cell)->streams, &commit, &behind->streams);
    return group_may_commit((*cell)->group, shard_now(request->shard), &who);
}

void coordinator_offset_commit(struct coordinator_request *request)
{
    if (!all_known(request) && request_wait_image(request))
        return;
    struct shard_group *cell;
    response_t response;
    struct behind behind;
    int16_t error = find_group(request, &cell, &behind);
    if (!make_answer(request, error, &response))
        kafka_defaults(&kafka_offset_commit_response_message,
                       &response); // the arena is full: nothing is written
    else if (error == KAFKA_ERR_NONE)
        commit_all(request, cell, &behind, &response);
    if (cell != NULL)
        shard_changed(cell);
    request_answer(request, &response);
}
