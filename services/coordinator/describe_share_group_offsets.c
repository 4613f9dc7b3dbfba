// SPDX-License-Identifier: Apache-2.0
// DescribeShareGroupOffsets (KIP-932): where share groups are in their partitions, and how many records they
// have before them: those behind the start offset that are not over. Share coordinators know the first, the
// partitions' leaders where the logs end.
#include "apis.h"
#include "kafka/messages/describe_share_group_offsets.h"
#include "share_asks.h"
#include "share_question.h"

typedef struct kafka_describe_share_group_offsets_request request_t;
typedef struct kafka_describe_share_group_offsets_response response_t;
typedef struct kafka_describe_share_group_offsets_request_describe_share_group_offsets_request_group asked_t;
typedef struct kafka_describe_share_group_offsets_response_describe_share_group_offsets_response_group
    group_t;
typedef struct kafka_describe_share_group_offsets_response_describe_share_group_offsets_response_topic
    topic_t;
typedef struct kafka_describe_share_group_offsets_response_describe_share_group_offsets_response_partition
    part_t;

static const struct kafka_structure *const topic_type =
    &kafka_describe_share_group_offsets_response_describe_share_group_offsets_response_topic_type;
static const struct kafka_structure *const part_type =
    &kafka_describe_share_group_offsets_response_describe_share_group_offsets_response_partition_type;

static int16_t find(const struct coordinator_request *request, struct slice id,
                    const struct shard_group **cell)
{
    *cell = NULL;
    if (!request_allowed(request, id))
        return KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
    if (!request_owns(request, id))
        return KAFKA_ERR_NOT_COORDINATOR;
    const struct shard_group *found = shard_find(request->shard, id, false);
    if (found == NULL || found->share == NULL)
        return KAFKA_ERR_GROUP_ID_NOT_FOUND;
    *cell = found;
    return KAFKA_ERR_NONE;
}

static bool may_tell(const struct coordinator_request *request, struct slice name)
{
    return authorise(&request->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_TOPIC, name);
}

// ---- asking ----

// The partitions asked for, as far as the group reads them; all when it names no topics.
static struct parts gather(const struct coordinator_request *request, const asked_t *asked,
                           const struct share_group *group)
{
    struct parts named = {0};
    if (asked->topics_count < 0)
        return parts_copy(share_group_initialized(group));
    for (int32_t i = 0; i < asked->topics_count; i++) {
        const struct image_topic *topic =
            image_topic_slice(request_image(request), asked->topics[i].topic_name);
        for (int32_t k = 0; topic != NULL && k < asked->topics[i].partitions_count; k++)
            parts_push(&named,
                       &(struct parts_item){.topic = topic->id, .index = asked->topics[i].partitions[k]});
    }
    parts_sort(&named);
    struct parts out = parts_both(&named, share_group_initialized(group));
    parts_fini(&named);
    return out;
}

static bool ask(struct coordinator_request *request)
{
    const request_t *in = request->body;
    struct share_asks *asks = share_asks_new(request);
    for (int32_t i = 0; asks != NULL && i < in->groups_count; i++) {
        const struct shard_group *cell;
        if (find(request, in->groups[i].group_id, &cell) != KAFKA_ERR_NONE ||
            share_asks_find(asks, in->groups[i].group_id) != NULL)
            continue;
        struct parts parts = gather(request, &in->groups[i], cell->share);
        if (parts.count > 0)
            share_asks_add(asks, SHARE_ASK_SUMMARY, in->groups[i].group_id, -1, &parts, NULL);
        parts_fini(&parts);
    }
    if (asks == NULL || !share_asks_any(asks))
        return false;
    share_asks_park(asks);
    return true;
}

// ---- the answer ----

static void put_part(const struct share_round_item *item, part_t *out)
{
    out->partition_index = item->part.index;
    out->error_code = item->error;
    out->start_offset = item->error == KAFKA_ERR_NONE ? item->start : -1;
    if (item->error != KAFKA_ERR_NONE)
        return;
    out->leader_epoch = item->leader_epoch > 0 ? item->leader_epoch : 0;
    if (item->start >= 0 && item->end >= item->start)
        out->lag = item->end - item->start - (item->complete > 0 ? item->complete : 0);
}

static size_t topic_end(const struct share_ask *asked, size_t from)
{
    size_t end = from;
    while (end < asked->count && uuid_equal(asked->items[end].part.topic, asked->items[from].part.topic))
        end++;
    return end;
}

// Everything the group reads.
static bool put_all(struct coordinator_request *request, const struct share_ask *asked, group_t *out)
{
    int32_t most = asked != NULL ? (int32_t)asked->count : 0;
    out->topics = kafka_structure_array(topic_type, &request->arena, most);
    for (size_t at = 0; out->topics != NULL && asked != NULL && at < asked->count;) {
        size_t end = topic_end(asked, at);
        const struct image_topic *topic = image_topic(request_image(request), asked->items[at].part.topic);
        topic_t *to = &out->topics[out->topics_count];
        to->topic_id = asked->items[at].part.topic;
        to->topic_name = slice_str(topic != NULL ? topic->name : "");
        to->partitions = kafka_structure_array(part_type, &request->arena, (int32_t)(end - at));
        for (; to->partitions != NULL && at < end; at++)
            put_part(&asked->items[at], &to->partitions[to->partitions_count++]);
        out->topics_count += topic != NULL && may_tell(request, to->topic_name);
        at = end;
    }
    return out->topics != NULL;
}

// One that the group does not read is nowhere: -1, as in Kafka.
static void put_named_part(const struct share_ask *asked, const struct image_topic *topic, int32_t index,
                           part_t *out)
{
    out->partition_index = index;
    out->start_offset = -1;
    if (topic == NULL || image_topic_partition(topic, index) == NULL)
        out->error_code = KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
    const struct share_round_item *item =
        asked != NULL && topic != NULL ? share_question_find(asked->items, asked->count, topic->id, index)
                                       : NULL;
    if (item != NULL)
        put_part(item, out);
}

static bool put_named(struct coordinator_request *request, const asked_t *in, const struct share_ask *asked,
                      group_t *out)
{
    out->topics = kafka_structure_array(topic_type, &request->arena, in->topics_count);
    for (int32_t i = 0; out->topics != NULL && i < in->topics_count; i++) {
        topic_t *to = &out->topics[out->topics_count++];
        to->topic_name = in->topics[i].topic_name;
        const struct image_topic *topic = may_tell(request, to->topic_name)
                                              ? image_topic_slice(request_image(request), to->topic_name)
                                              : NULL;
        if (topic != NULL)
            to->topic_id = topic->id;
        to->partitions = kafka_structure_array(part_type, &request->arena, in->topics[i].partitions_count);
        for (int32_t k = 0; to->partitions != NULL && k < in->topics[i].partitions_count; k++)
            put_named_part(asked, topic, in->topics[i].partitions[k],
                           &to->partitions[to->partitions_count++]);
    }
    return out->topics != NULL;
}

static void put_group(struct coordinator_request *request, const asked_t *in, group_t *out)
{
    struct share_asks *asks = share_asks_of(request);
    const struct shard_group *cell;
    out->group_id = in->group_id;
    out->error_code = find(request, in->group_id, &cell);
    if (out->error_code != KAFKA_ERR_NONE) {
        out->error_message = slice_str(kafka_error_text(out->error_code));
        return;
    }
    const struct share_ask *asked = asks != NULL ? share_asks_find(asks, in->group_id) : NULL;
    bool done = in->topics_count < 0 ? put_all(request, asked, out) : put_named(request, in, asked, out);
    if (!done)
        out->error_code = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
}

void coordinator_describe_share_group_offsets(struct coordinator_request *request)
{
    const request_t *in = request->body;
    response_t response;
    if (share_asks_of(request) == NULL && ask(request))
        return;
    if (share_asks_of(request) != NULL && share_asks_ends(share_asks_of(request)))
        return;
    kafka_defaults(&kafka_describe_share_group_offsets_response_message, &response);
    response.groups = kafka_structure_array(
        &kafka_describe_share_group_offsets_response_describe_share_group_offsets_response_group_type,
        &request->arena, in->groups_count);
    for (int32_t i = 0; response.groups != NULL && i < in->groups_count; i++)
        put_group(request, &in->groups[i], &response.groups[response.groups_count++]);
    request_answer(request, &response);
}
