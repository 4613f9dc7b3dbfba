// SPDX-License-Identifier: Apache-2.0
// DeleteShareGroupOffsets (KIP-932): an empty share group forgets topics; read again, they begin as its
// configuration says.
#include "apis.h"
#include "kafka/messages/delete_share_group_offsets.h"
#include "share_asks.h"

typedef struct kafka_delete_share_group_offsets_request request_t;
typedef struct kafka_delete_share_group_offsets_response response_t;
typedef struct kafka_delete_share_group_offsets_response_delete_share_group_offsets_response_topic topic_t;

// The group when topics of it may be deleted.
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

// The topics that are named, as their partition 0: each once, however often the request names it.
static struct parts named_topics(const struct coordinator_request *request)
{
    const request_t *in = request->body;
    struct parts named = {0};
    for (int32_t i = 0; i < in->topics_count; i++) {
        const struct image_topic *topic = topic_of(request, in->topics[i].topic_name);
        if (topic != NULL)
            parts_push(&named, &(struct parts_item){.topic = topic->id});
    }
    parts_sort(&named);
    return named;
}

// What share coordinators may keep of the topics that are named.
static struct parts gather(const struct coordinator_request *request, const struct share_group *group)
{
    struct parts out = {0}, named = named_topics(request);
    struct parts all = parts_sum(share_group_pending(group), share_group_initialized(group));
    for (size_t i = 0; i < all.count; i++)
        if (parts_have(&named, &(struct parts_item){.topic = all.items[i].topic}))
            parts_append(&out, &all.items[i]);
    parts_fini(&all);
    parts_fini(&named);
    return out;
}

static bool ask(struct coordinator_request *request)
{
    struct shard_group *cell;
    struct share_asks *asks = share_asks_new(request);
    if (asks == NULL || find(request, &cell) != KAFKA_ERR_NONE)
        return false;
    struct parts parts = gather(request, cell->share);
    bool asked = parts.count > 0;
    if (asked) {
        shard_share_hush(cell); // or what it says might come behind the deletion
        asked = share_asks_add(asks, SHARE_ASK_DELETE, group_id(cell->group), -1, &parts, NULL);
    }
    parts_fini(&parts);
    if (asked)
        share_asks_park(asks);
    return asked;
}

// The topics that were not forgotten, as their partition 0; epoch: the first error of their partitions.
static struct parts failed_topics(const struct share_ask *asked)
{
    struct parts failed = {0};
    for (size_t i = 0; asked != NULL && i < asked->count; i++) {
        struct uuid topic = asked->items[i].part.topic;
        bool known = failed.count > 0 && uuid_equal(failed.items[failed.count - 1].topic, topic);
        if (asked->items[i].error != KAFKA_ERR_NONE && !known)
            parts_append(&failed, &(struct parts_item){.topic = topic, .epoch = asked->items[i].error});
    }
    return failed;
}

static void put_topic(struct coordinator_request *request, struct slice name, const struct parts *failed,
                      topic_t *out)
{
    const struct image_topic *topic = topic_of(request, name);
    out->topic_name = name;
    out->error_code = KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (topic == NULL)
        return;
    const struct parts_item *found = parts_find(failed, &(struct parts_item){.topic = topic->id});
    out->topic_id = topic->id;
    out->error_code = found != NULL ? (int16_t)found->epoch : KAFKA_ERR_NONE;
}

static void put_topics(struct coordinator_request *request, const struct share_ask *asked, response_t *out)
{
    const request_t *in = request->body;
    struct parts failed = failed_topics(asked);
    out->responses = kafka_structure_array(
        &kafka_delete_share_group_offsets_response_delete_share_group_offsets_response_topic_type,
        &request->arena, in->topics_count);
    for (int32_t i = 0; out->responses != NULL && i < in->topics_count; i++)
        put_topic(request, in->topics[i].topic_name, &failed, &out->responses[out->responses_count++]);
    parts_fini(&failed);
}

// Also when the group has got members meanwhile: they have it initialised again.
static void take_answers(const struct coordinator_request *request, const struct share_ask *asked)
{
    const request_t *in = request->body;
    struct shard_group *cell = shard_find(request->shard, in->group_id, false);
    struct parts gone = {0};
    if (cell == NULL || cell->share == NULL)
        return;
    for (size_t i = 0; asked != NULL && i < asked->count; i++)
        if (asked->items[i].error == KAFKA_ERR_NONE)
            parts_append(&gone, &asked->items[i].part);
    if (gone.count > 0)
        share_group_forgotten(cell->share, &gone);
    parts_fini(&gone);
    shard_changed(cell);
}

void coordinator_delete_share_group_offsets(struct coordinator_request *request)
{
    const request_t *in = request->body;
    struct shard_group *cell;
    response_t response;
    if (share_asks_of(request) == NULL && ask(request))
        return;
    struct share_asks *asks = share_asks_of(request);
    const struct share_ask *asked = asks != NULL ? share_asks_find(asks, in->group_id) : NULL;
    if (asks != NULL)
        take_answers(request, asked);
    kafka_defaults(&kafka_delete_share_group_offsets_response_message, &response);
    response.error_code = find(request, &cell);
    if (response.error_code != KAFKA_ERR_NONE) {
        response.error_message = slice_str(kafka_error_text(response.error_code));
        request_answer(request, &response);
        return;
    }
    put_topics(request, asked, &response);
    request_answer(request, &response);
}
