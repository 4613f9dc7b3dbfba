// SPDX-License-Identifier: Apache-2.0
// One part per shard that the request's groups, or transactional ids, lie in. All APIs that come here ask
// about a list of groups and answer with a list in the same order; a table says where in their messages.
#include "split.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/shard.h"
#include "frame.h"
#include "kafka/messages/consumer_group_describe.h"
#include "kafka/messages/streams_group_describe.h"
#include "kafka/messages/delete_groups.h"
#include "kafka/messages/describe_groups.h"
#include "kafka/messages/describe_transactions.h"
#include "kafka/messages/describe_share_group_offsets.h"
#include "kafka/messages/offset_fetch.h"
#include "kafka/messages/share_group_describe.h"
#include "relay_apis.h"
#include "storage.h"

#include <stddef.h>
#include <string.h>

enum { TIMEOUT_MS = 30000, GROUPS_MAX = 10000 };

// A list in a message: offsets and sizes in its C structures.
struct list {
    uint16_t items, count; // in the message: the pointer, and how many it points to
    uint16_t size;         // of an item
    uint16_t name;         // in an item: the group
};

struct split_api {
    int16_t key;
    enum relay_target target; // RELAY_GROUP or RELAY_TRANSACTION: what a "group" is below
    bool repeatable;
    struct list asked, answered;
    uint16_t flag;                        // in the request: a bool that parts repeat, 0: there is none
    uint16_t error;                       // in an answer
    const struct kafka_structure *answer; // an item of answered
};

#define LIST(message, field, name)                                                                           \
    {offsetof(struct kafka_##message, field), offsetof(struct kafka_##message, field##_count),               \
     sizeof *((struct kafka_##message *)NULL)->field, name}
#define ANSWERS(message, field, item, group)                                                                 \
    .answered = LIST(message##_response, field, offsetof(struct kafka_##message##_response_##item, group)),  \
    .error = offsetof(struct kafka_##message##_response_##item, error_code),                                 \
    .answer = &kafka_##message##_response_##item##_type
#define FLAG(message, field) .flag = offsetof(struct kafka_##message##_request, field)

// clang-format off
static const struct split_api split_apis[] = {
    {KAFKA_API_DESCRIBE_TRANSACTIONS, RELAY_TRANSACTION, true,
     LIST(describe_transactions_request, transactional_ids, 0),
     ANSWERS(describe_transactions, transaction_states, transaction_state, transactional_id)},
    {KAFKA_API_OFFSET_FETCH, RELAY_GROUP, true, // version 8 and later
     LIST(offset_fetch_request, groups, offsetof(struct kafka_offset_fetch_request_offset_fetch_request_group, group_id)),
     ANSWERS(offset_fetch, groups, offset_fetch_response_group, group_id), FLAG(offset_fetch, require_stable)},
    {KAFKA_API_DESCRIBE_GROUPS, RELAY_GROUP, true,
     LIST(describe_groups_request, groups, 0),
     ANSWERS(describe_groups, groups, described_group, group_id), FLAG(describe_groups, include_authorized_operations)},
    {KAFKA_API_CONSUMER_GROUP_DESCRIBE, RELAY_GROUP, true,
     LIST(consumer_group_describe_request, group_ids, 0),
     ANSWERS(consumer_group_describe, groups, described_group, group_id),
     FLAG(consumer_group_describe, include_authorized_operations)},
    {KAFKA_API_STREAMS_GROUP_DESCRIBE, RELAY_GROUP, true,
     LIST(streams_group_describe_request, group_ids, 0),
     ANSWERS(streams_group_describe, groups, described_group, group_id),
     FLAG(streams_group_describe, include_authorized_operations)},
    {KAFKA_API_SHARE_GROUP_DESCRIBE, RELAY_GROUP, true,
     LIST(share_group_describe_request, group_ids, 0),
     ANSWERS(share_group_describe, groups, described_group, group_id),
     FLAG(share_group_describe, include_authorized_operations)},
    {KAFKA_API_DESCRIBE_SHARE_GROUP_OFFSETS, RELAY_GROUP, true,
     LIST(describe_share_group_offsets_request, groups,
          offsetof(struct kafka_describe_share_group_offsets_request_describe_share_group_offsets_request_group, group_id)),
     ANSWERS(describe_share_group_offsets, groups, describe_share_group_offsets_response_group, group_id)},
    {KAFKA_API_DELETE_GROUPS, RELAY_GROUP, false,
     LIST(delete_groups_request, groups_names, 0),
     ANSWERS(delete_groups, results, deletable_group_result, group_id)},
};
// clang-format on

struct split_part {
    struct split *split;
    struct relay *relay; // NULL once it has ended
    struct block *response;
    int32_t *places; // of its groups in the request; in the arena
    int32_t count;
};

struct split {
    struct storage_request *request;
    const struct split_api *api;
    void *response; // in the arena
    struct split_part *parts;
    int32_t part_count;
    int32_t open; // parts without an answer
};

// ---- lists ----

static int32_t list_count(const struct list *list, const void *message)
{
    int32_t count;
    memcpy(&count, (const char *)message + list->count, sizeof count);
    return count;
}

static char *list_item(const struct list *list, const void *message, int32_t i)
{
    char *items;
    memcpy(&items, (const char *)message + list->items, sizeof items);
    return items + (size_t)i * list->size;
}

static struct slice list_name(const struct list *list, const void *message, int32_t i)
{
    struct slice name;
    memcpy(&name, list_item(list, message, i) + list->name, sizeof name);
    return name;
}

static void list_set(const struct list *list, void *message, void *items, int32_t count)
{
    memcpy((char *)message + list->items, &items, sizeof items);
    memcpy((char *)message + list->count, &count, sizeof count);
}

static struct slice group_at(const struct split *split, int32_t place)
{
    return list_name(&split->api->asked, split->request->body, place);
}

// ---- parts ----

// A request for the part's groups, in the arena; NULL at its cap.
static void *part_body(const struct split_part *part)
{
    struct storage_request *request = part->split->request;
    const struct split_api *api = part->split->api;
    const struct list *asked = &api->asked;
    char *body = arena_alloc(&request->arena, request->api->request->structure->size);
    char *items = arena_calloc(&request->arena, (size_t)part->count, asked->size);
    if (body == NULL || items == NULL)
        return NULL;
    kafka_defaults(request->api->request, body);
    for (int32_t i = 0; i < part->count; i++)
        memcpy(items + (size_t)i * asked->size, list_item(asked, request->body, part->places[i]), asked->size);
    list_set(asked, body, items, part->count);
    if (api->flag != 0)
        memcpy(body + api->flag, (const char *)request->body + api->flag, sizeof(bool));
    return body;
}

static void group_failed(struct split *split, int32_t place, int16_t error)
{
    const struct list *answered = &split->api->answered;
    char *item = list_item(answered, split->response, place);
    struct slice group = group_at(split, place);
    memcpy(item + answered->name, &group, sizeof group);
    memcpy(item + split->api->error, &error, sizeof error);
}

// Copies answer i of a part; false when it is not about that group.
static bool group_answered(struct split *split, int32_t place, const void *answer, int32_t i)
{
    const struct list *answered = &split->api->answered;
    if (i >= list_count(answered, answer) ||
        !slice_equal(list_name(answered, answer, i), group_at(split, place)))
        return false;
    memcpy(list_item(answered, split->response, place), list_item(answered, answer, i), answered->size);
    return true;
}

static void split_free(struct split *split)
{
    for (int32_t i = 0; i < split->part_count; i++) {
        relay_cancel(&split->parts[i].relay);
        block_unref(&split->parts[i].response);
    }
    mem_free(split->parts);
    mem_free(split);
}

static void part_failed(struct split_part *part, int16_t error)
{
    for (int32_t i = 0; i < part->count; i++)
        group_failed(part->split, part->places[i], error);
}

static void part_answered(struct split_part *part)
{
    struct split *split = part->split;
    struct storage_request *request = split->request;
    void *answer = arena_alloc(&request->arena, request->api->response->structure->size);
    if (answer == NULL ||
        frame_decode(request->api, request->version, part->response, &request->arena, answer) != ST_OK) {
        part_failed(part, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    for (int32_t i = 0; i < part->count; i++)
        if (!group_answered(split, part->places[i], answer, i))
            group_failed(split, part->places[i], KAFKA_ERR_COORDINATOR_NOT_AVAILABLE);
}

static void split_finish(struct split *split)
{
    struct storage_request *request = split->request;
    storage_answer(request, split->response); // encoded before the parts' blocks go
    split_free(split);
}

static void part_on_done(void *context, enum status status, struct block *response)
{
    struct split_part *part = context;
    part->relay = NULL;
    if (status == ST_OK) {
        part->response = block_ref(response);
        part_answered(part);
    } else {
        part_failed(part, relay_group_error(status));
    }
    if (--part->split->open == 0)
        split_finish(part->split);
}

static void split_on_cancelled(struct storage_request *request)
{
    split_free(request->held);
    storage_answer_none(request);
}

static bool part_start(struct split *split, struct split_part *part)
{
    struct storage_request *request = split->request;
    void *body = part_body(part);
    struct block *frame =
        body != NULL ? frame_encode(request->api, request->version, request->conn, body) : NULL;
    if (frame == NULL)
        return false;
    struct relay_call call = {.frame = frame,
                              .principal = &request->principal,
                              .target = split->api->target,
                              .key = group_at(split, part->places[0]),
                              .repeatable = split->api->repeatable,
                              .timeout_ms = TIMEOUT_MS,
                              .done = part_on_done,
                              .context = part};
    part->relay = relay_start(storage_relays(request->storage), &call);
    block_unref(&frame);
    split->open++;
    return true;
}

// The shard of each group; all zero while the topic does not exist: then they wait for an owner together.
static int32_t *shards_of(struct split *split, int32_t count, int32_t *shard_count)
{
    struct storage_request *request = split->request;
    const char *name =
        split->api->target == RELAY_TRANSACTION ? SHARD_TOPIC_TRANSACTIONS : SHARD_TOPIC_GROUPS;
    const struct image_topic *topic = image_topic_named(storage_image(request->storage), name);
    *shard_count = topic != NULL && topic->partition_count > 0 ? (int32_t)topic->partition_count : 1;
    int32_t *shards = arena_calloc(&request->arena, (size_t)count, sizeof *shards);
    for (int32_t i = 0; shards != NULL && i < count; i++)
        shards[i] = shard_of(group_at(split, i), *shard_count);
    return shards;
}

// Gathers the groups of the first shard that is not in a part yet.
static bool part_gather(struct split *split, int32_t *shards, int32_t count, int32_t first)
{
    struct split_part *part = &split->parts[split->part_count++];
    part->split = split;
    part->places = arena_calloc(&split->request->arena, (size_t)(count - first), sizeof *part->places);
    if (part->places == NULL)
        return false;
    int32_t shard = shards[first];
    for (int32_t i = first; i < count; i++) {
        if (shards[i] != shard)
            continue;
        part->places[part->count++] = i;
        shards[i] = -1;
    }
    return part_start(split, part);
}

static bool split_start(struct split *split, int32_t count)
{
    struct storage_request *request = split->request;
    int32_t shard_count;
    int32_t *shards = shards_of(split, count, &shard_count);
    split->response = arena_alloc(&request->arena, request->api->response->structure->size);
    if (shards == NULL || split->response == NULL)
        return false;
    kafka_defaults(request->api->response, split->response);
    void *answers = kafka_structure_array(split->api->answer, &request->arena, count);
    if (answers == NULL)
        return false;
    list_set(&split->api->answered, split->response, answers, count);
    split->parts = mem_calloc((size_t)(count < shard_count ? count : shard_count), sizeof *split->parts);
    for (int32_t i = 0; i < count; i++) {
        if (shards[i] >= 0 && !part_gather(split, shards, count, i))
            return false;
    }
    return true;
}

static const struct split_api *split_api(int16_t key)
{
    for (size_t i = 0; i < sizeof split_apis / sizeof *split_apis; i++) {
        if (split_apis[i].key == key)
            return &split_apis[i];
    }
    UNREACHABLE("a split API without its functions");
}

void split_request(struct storage_request *request)
{
    if (request->api->key == KAFKA_API_OFFSET_FETCH && request->version < 8) {
        relay_group(request);
        return;
    }
    struct split *split = mem_calloc(1, sizeof *split);
    split->request = request;
    split->api = split_api(request->api->key);
    request->held = split;
    request->on_cancelled = split_on_cancelled;
    int32_t count = list_count(&split->api->asked, request->body);
    if (count > GROUPS_MAX || !split_start(split, count)) {
        split_free(split);
        storage_answer_close(request, "too many groups in one request");
    } else if (split->open == 0) {
        split_finish(split);
    }
}
