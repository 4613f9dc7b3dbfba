// SPDX-License-Identifier: Apache-2.0
// AlterShareGroupOffsets (KIP-932): an empty share group begins elsewhere. Its share coordinators are told in
// a new state epoch, which fences leaders that still serve it from where it was.
#include "apis.h"
#include "kafka/messages/alter_share_group_offsets.h"
#include "share_asks.h"
#include "share_question.h"

typedef struct kafka_alter_share_group_offsets_request request_t;
typedef struct kafka_alter_share_group_offsets_response response_t;
typedef struct kafka_alter_share_group_offsets_request_alter_share_group_offsets_request_topic asked_topic;
typedef struct kafka_alter_share_group_offsets_response_alter_share_group_offsets_response_topic topic_t;
typedef struct kafka_alter_share_group_offsets_response_alter_share_group_offsets_response_partition part_t;

// The group when it may be altered.
static int16_t find(const struct coordinator_request *request, struct shard_group **cell)
{
    const request_t *in = request->body;
    *cell = NULL;
    if (!request_allowed(request, in->group_id))
        return KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
    struct shard_group *found = shard_find(request->shard, in->group_id, false);
    if (found == NULL || found->share == NULL)
        return KAFKA_ERR_GROUP_ID_NOT_FOUND;
    if (share_group_size(found->share) > 0)
        return KAFKA_ERR_NON_EMPTY_GROUP;
    if (ledger_full(shard_ledger(request->shard)))
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    *cell = found;
    return KAFKA_ERR_NONE;
}

static const struct image_topic *topic_of(const struct coordinator_request *request, struct slice name)
{
    if (!authorise(&request->principal, OPERATION_READ, RESOURCE_TYPE_TOPIC, name))
        return NULL;
    return image_topic_slice(request_image(request), name);
}

// ---- asking ----

struct wanted {
    struct parts parts; // epoch: place in starts
    int64_t *starts;    // as asked, one after the other
};

static bool gather(struct coordinator_request *request, struct wanted *wanted)
{
    const request_t *in = request->body;
    size_t count = 0;
    for (int32_t i = 0; i < in->topics_count; i++)
        count += (size_t)in->topics[i].partitions_count;
    int64_t *asked = arena_calloc(&request->arena, count + 1, sizeof *asked);
    wanted->starts = arena_calloc(&request->arena, count + 1, sizeof *wanted->starts);
    if (asked == NULL || wanted->starts == NULL)
        return false;
    count = 0;
    for (int32_t i = 0; i < in->topics_count; i++) {
        const struct image_topic *topic = topic_of(request, in->topics[i].topic_name);
        for (int32_t k = 0; k < in->topics[i].partitions_count; k++) {
            int32_t index = in->topics[i].partitions[k].partition_index;
            if (topic == NULL || image_topic_partition(topic, index) == NULL)
                continue;
            asked[count] = in->topics[i].partitions[k].start_offset;
            parts_push(&wanted->parts, &(struct parts_item){topic->id, index, (int32_t)count++});
        }
    }
    parts_sort(&wanted->parts);
    for (size_t i = 0; i < wanted->parts.count; i++)
        wanted->starts[i] = asked[wanted->parts.items[i].epoch];
    return true;
}

// What was to begin by configuration is not told so any more: it might come behind what is asked for here. Members
// that read it have it initialised, should nothing come of this.
static void take_over(struct share_group *group, const struct parts *wanted)
{
    struct parts pending = parts_both(share_group_pending(group), wanted);
    if (pending.count > 0)
        share_group_forgotten(group, &pending);
    parts_fini(&pending);
}

// Whether the request is parked until share coordinators have answered.
static bool ask(struct coordinator_request *request)
{
    struct shard_group *cell;
    struct wanted wanted = {0};
    struct share_asks *asks = share_asks_new(request);
    if (asks == NULL || find(request, &cell) != KAFKA_ERR_NONE)
        return false;
    bool asked = gather(request, &wanted) && wanted.parts.count > 0;
    if (asked) {
        shard_share_hush(cell); // or an older word might come behind this one
        take_over(cell->share, &wanted.parts);
        asked = share_asks_add(asks, SHARE_ASK_INITIALIZE, group_id(cell->group),
                               share_group_state_epoch(cell->share, true), &wanted.parts, wanted.starts);
        shard_changed(cell);
    }
    parts_fini(&wanted.parts);
    if (asked)
        share_asks_park(asks);
    return asked;
}

// ---- the answer ----

static int16_t result_of(const struct share_ask *asked, const struct image_topic *topic, int32_t index)
{
    const struct share_round_item *item =
        asked != NULL && topic != NULL ? share_question_find(asked->items, asked->count, topic->id, index)
                                       : NULL;
    return item != NULL ? item->error : KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

static bool put_topic(struct coordinator_request *request, const asked_topic *asked, topic_t *out)
{
    const request_t *in = request->body;
    struct share_asks *asks = share_asks_of(request);
    const struct image_topic *topic = topic_of(request, asked->topic_name);
    out->topic_name = asked->topic_name;
    if (topic != NULL)
        out->topic_id = topic->id;
    out->partitions = kafka_structure_array(
        &kafka_alter_share_group_offsets_response_alter_share_group_offsets_response_partition_type,
        &request->arena, asked->partitions_count);
    for (int32_t i = 0; out->partitions != NULL && i < asked->partitions_count; i++) {
        part_t *part = &out->partitions[out->partitions_count++];
        part->partition_index = asked->partitions[i].partition_index;
        part->error_code = result_of(asks != NULL ? share_asks_find(asks, in->group_id) : NULL, topic,
                                     part->partition_index);
    }
    return out->partitions != NULL;
}

static void take_answers(struct shard_group *cell, const struct share_ask *asked)
{
    struct parts told = {0};
    for (size_t i = 0; asked != NULL && i < asked->count; i++)
        if (asked->items[i].error == KAFKA_ERR_NONE)
            parts_append(&told, &asked->items[i].part);
    if (told.count > 0)
        share_group_told(cell->share, &told);
    parts_fini(&told);
    shard_changed(cell);
}

void coordinator_alter_share_group_offsets(struct coordinator_request *request)
{
    const request_t *in = request->body;
    struct shard_group *cell;
    response_t response;
    if (share_asks_of(request) == NULL && ask(request))
        return;
    kafka_defaults(&kafka_alter_share_group_offsets_response_message, &response);
    response.error_code = find(request, &cell);
    if (response.error_code != KAFKA_ERR_NONE) {
        response.error_message = slice_str(kafka_error_text(response.error_code));
        request_answer(request, &response);
        return;
    }
    if (share_asks_of(request) != NULL)
        take_answers(cell, share_asks_find(share_asks_of(request), in->group_id));
    response.responses = kafka_structure_array(
        &kafka_alter_share_group_offsets_response_alter_share_group_offsets_response_topic_type,
        &request->arena, in->topics_count);
    for (int32_t i = 0; response.responses != NULL && i < in->topics_count; i++)
        if (put_topic(request, &in->topics[i], &response.responses[response.responses_count]))
            response.responses_count++;
    request_answer(request, &response);
}
