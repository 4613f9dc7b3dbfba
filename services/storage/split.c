// SPDX-License-Identifier: Apache-2.0
// One part per shard that the request's groups, or transactional ids, lie in. What differs between the APIs
// stands in a table: the groups it names, a request for some of them, the answer about one, an error about
// one.
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

enum { TIMEOUT_MS = 30000, GROUPS_MAX = 10000 };

typedef struct kafka_offset_fetch_request_offset_fetch_request_group fetch_group;
typedef struct kafka_offset_fetch_response_offset_fetch_response_group fetched_group;

struct split_api {
    int16_t key;
    enum relay_target target; // RELAY_GROUP or RELAY_TRANSACTION: what a "group" is below
    bool repeatable;
    int32_t (*count)(const void *body);
    struct slice (*group)(const void *body, int32_t i);
    // A request for the groups at those places of body, in the arena; NULL at its cap.
    void *(*part)(const void *body, const int32_t *places, int32_t count, struct arena *arena);
    // Room for all answers in response.
    bool (*begin)(void *response, int32_t count, struct arena *arena);
    // Copies answer from of part to place to of response; false when it is not about that group.
    bool (*take)(void *response, int32_t to, const void *part, int32_t from, struct slice group);
    void (*error)(void *response, int32_t to, struct slice group, int16_t error);
};

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

// ---- DescribeGroups ----

static int32_t describe_count(const void *body)
{
    return ((const struct kafka_describe_groups_request *)body)->groups_count;
}

static struct slice describe_group(const void *body, int32_t i)
{
    return ((const struct kafka_describe_groups_request *)body)->groups[i];
}

static void *describe_part(const void *body, const int32_t *places, int32_t count, struct arena *arena)
{
    const struct kafka_describe_groups_request *whole = body;
    struct kafka_describe_groups_request *part = arena_alloc(arena, sizeof *part);
    struct slice *groups = arena_calloc(arena, (size_t)count, sizeof *groups);
    if (part == NULL || groups == NULL)
        return NULL;
    for (int32_t i = 0; i < count; i++)
        groups[i] = whole->groups[places[i]];
    part->groups = groups;
    part->groups_count = count;
    part->include_authorized_operations = whole->include_authorized_operations;
    return part;
}

static bool describe_begin(void *out, int32_t count, struct arena *arena)
{
    struct kafka_describe_groups_response *response = out;
    response->groups =
        kafka_structure_array(&kafka_describe_groups_response_described_group_type, arena, count);
    response->groups_count = count;
    return response->groups != NULL;
}

static bool describe_take(void *out, int32_t to, const void *answer, int32_t from, struct slice group)
{
    struct kafka_describe_groups_response *response = out;
    const struct kafka_describe_groups_response *part = answer;
    if (from >= part->groups_count || !slice_equal(part->groups[from].group_id, group))
        return false;
    response->groups[to] = part->groups[from];
    return true;
}

static void describe_error(void *out, int32_t to, struct slice group, int16_t error)
{
    struct kafka_describe_groups_response *response = out;
    response->groups[to].group_id = group;
    response->groups[to].error_code = error;
}

// ---- ConsumerGroupDescribe ----

static int32_t consumer_count(const void *body)
{
    return ((const struct kafka_consumer_group_describe_request *)body)->group_ids_count;
}

static struct slice consumer_group(const void *body, int32_t i)
{
    return ((const struct kafka_consumer_group_describe_request *)body)->group_ids[i];
}

static void *consumer_part(const void *body, const int32_t *places, int32_t count, struct arena *arena)
{
    const struct kafka_consumer_group_describe_request *whole = body;
    struct kafka_consumer_group_describe_request *part = arena_alloc(arena, sizeof *part);
    struct slice *groups = arena_calloc(arena, (size_t)count, sizeof *groups);
    if (part == NULL || groups == NULL)
        return NULL;
    for (int32_t i = 0; i < count; i++)
        groups[i] = whole->group_ids[places[i]];
    part->group_ids = groups;
    part->group_ids_count = count;
    part->include_authorized_operations = whole->include_authorized_operations;
    return part;
}

static bool consumer_begin(void *out, int32_t count, struct arena *arena)
{
    struct kafka_consumer_group_describe_response *response = out;
    response->groups =
        kafka_structure_array(&kafka_consumer_group_describe_response_described_group_type, arena, count);
    response->groups_count = count;
    return response->groups != NULL;
}

static bool consumer_take(void *out, int32_t to, const void *answer, int32_t from, struct slice group)
{
    struct kafka_consumer_group_describe_response *response = out;
    const struct kafka_consumer_group_describe_response *part = answer;
    if (from >= part->groups_count || !slice_equal(part->groups[from].group_id, group))
        return false;
    response->groups[to] = part->groups[from];
    return true;
}

static void consumer_error(void *out, int32_t to, struct slice group, int16_t error)
{
    struct kafka_consumer_group_describe_response *response = out;
    response->groups[to].group_id = group;
    response->groups[to].error_code = error;
}

// ---- StreamsGroupDescribe ----

static int32_t streams_count(const void *body)
{
    return ((const struct kafka_streams_group_describe_request *)body)->group_ids_count;
}

static struct slice streams_group(const void *body, int32_t i)
{
    return ((const struct kafka_streams_group_describe_request *)body)->group_ids[i];
}

static void *streams_part(const void *body, const int32_t *places, int32_t count, struct arena *arena)
{
    const struct kafka_streams_group_describe_request *whole = body;
    struct kafka_streams_group_describe_request *part = arena_alloc(arena, sizeof *part);
    struct slice *groups = arena_calloc(arena, (size_t)count, sizeof *groups);
    if (part == NULL || groups == NULL)
        return NULL;
    for (int32_t i = 0; i < count; i++)
        groups[i] = whole->group_ids[places[i]];
    part->group_ids = groups;
    part->group_ids_count = count;
    part->include_authorized_operations = whole->include_authorized_operations;
    return part;
}

static bool streams_begin(void *out, int32_t count, struct arena *arena)
{
    struct kafka_streams_group_describe_response *response = out;
    response->groups =
        kafka_structure_array(&kafka_streams_group_describe_response_described_group_type, arena, count);
    response->groups_count = count;
    return response->groups != NULL;
}

static bool streams_take(void *out, int32_t to, const void *answer, int32_t from, struct slice group)
{
    struct kafka_streams_group_describe_response *response = out;
    const struct kafka_streams_group_describe_response *part = answer;
    if (from >= part->groups_count || !slice_equal(part->groups[from].group_id, group))
        return false;
    response->groups[to] = part->groups[from];
    return true;
}

static void streams_error(void *out, int32_t to, struct slice group, int16_t error)
{
    struct kafka_streams_group_describe_response *response = out;
    response->groups[to].group_id = group;
    response->groups[to].error_code = error;
}

// ---- ShareGroupDescribe ----

static int32_t share_count(const void *body)
{
    return ((const struct kafka_share_group_describe_request *)body)->group_ids_count;
}

static struct slice share_group(const void *body, int32_t i)
{
    return ((const struct kafka_share_group_describe_request *)body)->group_ids[i];
}

static void *share_part(const void *body, const int32_t *places, int32_t count, struct arena *arena)
{
    const struct kafka_share_group_describe_request *whole = body;
    struct kafka_share_group_describe_request *part = arena_alloc(arena, sizeof *part);
    struct slice *groups = arena_calloc(arena, (size_t)count, sizeof *groups);
    if (part == NULL || groups == NULL)
        return NULL;
    for (int32_t i = 0; i < count; i++)
        groups[i] = whole->group_ids[places[i]];
    part->group_ids = groups;
    part->group_ids_count = count;
    part->include_authorized_operations = whole->include_authorized_operations;
    return part;
}

static bool share_begin(void *out, int32_t count, struct arena *arena)
{
    struct kafka_share_group_describe_response *response = out;
    response->groups =
        kafka_structure_array(&kafka_share_group_describe_response_described_group_type, arena, count);
    response->groups_count = count;
    return response->groups != NULL;
}

static bool share_take(void *out, int32_t to, const void *answer, int32_t from, struct slice group)
{
    struct kafka_share_group_describe_response *response = out;
    const struct kafka_share_group_describe_response *part = answer;
    if (from >= part->groups_count || !slice_equal(part->groups[from].group_id, group))
        return false;
    response->groups[to] = part->groups[from];
    return true;
}

static void share_error(void *out, int32_t to, struct slice group, int16_t error)
{
    struct kafka_share_group_describe_response *response = out;
    response->groups[to].group_id = group;
    response->groups[to].error_code = error;
}

// ---- DescribeShareGroupOffsets ----

typedef struct kafka_describe_share_group_offsets_request share_offsets_request;
typedef struct kafka_describe_share_group_offsets_response share_offsets_response;

static int32_t share_offsets_count(const void *body)
{
    return ((const share_offsets_request *)body)->groups_count;
}

static struct slice share_offsets_group(const void *body, int32_t i)
{
    return ((const share_offsets_request *)body)->groups[i].group_id;
}

static void *share_offsets_part(const void *body, const int32_t *places, int32_t count, struct arena *arena)
{
    const share_offsets_request *whole = body;
    share_offsets_request *part = arena_calloc(arena, 1, sizeof *part);
    if (part != NULL)
        part->groups = arena_calloc(arena, (size_t)count, sizeof *part->groups);
    if (part == NULL || part->groups == NULL)
        return NULL;
    for (int32_t i = 0; i < count; i++)
        part->groups[i] = whole->groups[places[i]];
    part->groups_count = count;
    return part;
}

static bool share_offsets_begin(void *out, int32_t count, struct arena *arena)
{
    share_offsets_response *response = out;
    response->groups = kafka_structure_array(
        &kafka_describe_share_group_offsets_response_describe_share_group_offsets_response_group_type, arena,
        count);
    response->groups_count = count;
    return response->groups != NULL;
}

static bool share_offsets_take(void *out, int32_t to, const void *answer, int32_t from, struct slice group)
{
    share_offsets_response *response = out;
    const share_offsets_response *part = answer;
    if (from >= part->groups_count || !slice_equal(part->groups[from].group_id, group))
        return false;
    response->groups[to] = part->groups[from];
    return true;
}

static void share_offsets_error(void *out, int32_t to, struct slice group, int16_t error)
{
    share_offsets_response *response = out;
    response->groups[to].group_id = group;
    response->groups[to].error_code = error;
}

// ---- DeleteGroups ----

static int32_t delete_count(const void *body)
{
    return ((const struct kafka_delete_groups_request *)body)->groups_names_count;
}

static struct slice delete_group(const void *body, int32_t i)
{
    return ((const struct kafka_delete_groups_request *)body)->groups_names[i];
}

static void *delete_part(const void *body, const int32_t *places, int32_t count, struct arena *arena)
{
    const struct kafka_delete_groups_request *whole = body;
    struct kafka_delete_groups_request *part = arena_alloc(arena, sizeof *part);
    struct slice *groups = arena_calloc(arena, (size_t)count, sizeof *groups);
    if (part == NULL || groups == NULL)
        return NULL;
    for (int32_t i = 0; i < count; i++)
        groups[i] = whole->groups_names[places[i]];
    part->groups_names = groups;
    part->groups_names_count = count;
    return part;
}

static bool delete_begin(void *out, int32_t count, struct arena *arena)
{
    struct kafka_delete_groups_response *response = out;
    response->results =
        kafka_structure_array(&kafka_delete_groups_response_deletable_group_result_type, arena, count);
    response->results_count = count;
    return response->results != NULL;
}

static bool delete_take(void *out, int32_t to, const void *answer, int32_t from, struct slice group)
{
    struct kafka_delete_groups_response *response = out;
    const struct kafka_delete_groups_response *part = answer;
    if (from >= part->results_count || !slice_equal(part->results[from].group_id, group))
        return false;
    response->results[to] = part->results[from];
    return true;
}

static void delete_error(void *out, int32_t to, struct slice group, int16_t error)
{
    struct kafka_delete_groups_response *response = out;
    response->results[to].group_id = group;
    response->results[to].error_code = error;
}

// ---- OffsetFetch, version 8 and later ----

static int32_t fetch_count(const void *body)
{
    return ((const struct kafka_offset_fetch_request *)body)->groups_count;
}

static struct slice fetch_group_name(const void *body, int32_t i)
{
    return ((const struct kafka_offset_fetch_request *)body)->groups[i].group_id;
}

static void *fetch_part(const void *body, const int32_t *places, int32_t count, struct arena *arena)
{
    const struct kafka_offset_fetch_request *whole = body;
    struct kafka_offset_fetch_request *part = arena_alloc(arena, sizeof *part);
    fetch_group *groups = arena_calloc(arena, (size_t)count, sizeof *groups);
    if (part == NULL || groups == NULL)
        return NULL;
    for (int32_t i = 0; i < count; i++)
        groups[i] = whole->groups[places[i]];
    kafka_defaults(&kafka_offset_fetch_request_message, part);
    part->groups = groups;
    part->groups_count = count;
    part->require_stable = whole->require_stable;
    return part;
}

static bool fetch_begin(void *out, int32_t count, struct arena *arena)
{
    struct kafka_offset_fetch_response *response = out;
    response->groups =
        kafka_structure_array(&kafka_offset_fetch_response_offset_fetch_response_group_type, arena, count);
    response->groups_count = count;
    return response->groups != NULL;
}

static bool fetch_take(void *out, int32_t to, const void *answer, int32_t from, struct slice group)
{
    struct kafka_offset_fetch_response *response = out;
    const struct kafka_offset_fetch_response *part = answer;
    if (from >= part->groups_count || !slice_equal(part->groups[from].group_id, group))
        return false;
    response->groups[to] = part->groups[from];
    return true;
}

static void fetch_error(void *out, int32_t to, struct slice group, int16_t error)
{
    struct kafka_offset_fetch_response *response = out;
    response->groups[to].group_id = group;
    response->groups[to].error_code = error;
}

// ---- DescribeTransactions ----

static int32_t transactions_count(const void *body)
{
    return ((const struct kafka_describe_transactions_request *)body)->transactional_ids_count;
}

static struct slice transaction_id(const void *body, int32_t i)
{
    return ((const struct kafka_describe_transactions_request *)body)->transactional_ids[i];
}

static void *transactions_part(const void *body, const int32_t *places, int32_t count, struct arena *arena)
{
    const struct kafka_describe_transactions_request *whole = body;
    struct kafka_describe_transactions_request *part = arena_calloc(arena, 1, sizeof *part);
    struct slice *ids = arena_calloc(arena, (size_t)count, sizeof *ids);
    if (part == NULL || ids == NULL)
        return NULL;
    for (int32_t i = 0; i < count; i++)
        ids[i] = whole->transactional_ids[places[i]];
    part->transactional_ids = ids;
    part->transactional_ids_count = count;
    return part;
}

static bool transactions_begin(void *out, int32_t count, struct arena *arena)
{
    struct kafka_describe_transactions_response *response = out;
    response->transaction_states =
        kafka_structure_array(&kafka_describe_transactions_response_transaction_state_type, arena, count);
    response->transaction_states_count = count;
    return response->transaction_states != NULL;
}

static bool transactions_take(void *out, int32_t to, const void *answer, int32_t from, struct slice id)
{
    struct kafka_describe_transactions_response *response = out;
    const struct kafka_describe_transactions_response *part = answer;
    if (from >= part->transaction_states_count ||
        !slice_equal(part->transaction_states[from].transactional_id, id))
        return false;
    response->transaction_states[to] = part->transaction_states[from];
    return true;
}

static void transactions_error(void *out, int32_t to, struct slice id, int16_t error)
{
    struct kafka_describe_transactions_response *response = out;
    response->transaction_states[to].transactional_id = id;
    response->transaction_states[to].error_code = error;
}

static const struct split_api split_apis[] = {
    {KAFKA_API_DESCRIBE_TRANSACTIONS, RELAY_TRANSACTION, true, transactions_count, transaction_id,
     transactions_part, transactions_begin, transactions_take, transactions_error},
    {KAFKA_API_OFFSET_FETCH, RELAY_GROUP, true, fetch_count, fetch_group_name, fetch_part, fetch_begin, fetch_take,
     fetch_error},
    {KAFKA_API_DESCRIBE_GROUPS, RELAY_GROUP, true, describe_count, describe_group, describe_part, describe_begin,
     describe_take, describe_error},
    {KAFKA_API_CONSUMER_GROUP_DESCRIBE, RELAY_GROUP, true, consumer_count, consumer_group, consumer_part,
     consumer_begin, consumer_take, consumer_error},
    {KAFKA_API_STREAMS_GROUP_DESCRIBE, RELAY_GROUP, true, streams_count, streams_group, streams_part, streams_begin,
     streams_take, streams_error},
    {KAFKA_API_SHARE_GROUP_DESCRIBE, RELAY_GROUP, true, share_count, share_group, share_part, share_begin,
     share_take, share_error},
    {KAFKA_API_DESCRIBE_SHARE_GROUP_OFFSETS, RELAY_GROUP, true, share_offsets_count, share_offsets_group,
     share_offsets_part, share_offsets_begin, share_offsets_take, share_offsets_error},
    {KAFKA_API_DELETE_GROUPS, RELAY_GROUP, false, delete_count, delete_group, delete_part, delete_begin, delete_take,
     delete_error},
};

// ---- parts ----

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
    struct split *split = part->split;
    for (int32_t i = 0; i < part->count; i++)
        split->api->error(split->response, part->places[i],
                          split->api->group(split->request->body, part->places[i]), error);
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
    for (int32_t i = 0; i < part->count; i++) {
        struct slice group = split->api->group(request->body, part->places[i]);
        if (!split->api->take(split->response, part->places[i], answer, i, group))
            split->api->error(split->response, part->places[i], group, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE);
    }
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
    void *body = split->api->part(request->body, part->places, part->count, &request->arena);
    struct block *frame =
        body != NULL ? frame_encode(request->api, request->version, request->conn, body) : NULL;
    if (frame == NULL)
        return false;
    struct relay_call call = {.frame = frame,
                              .principal = &request->principal,
                              .target = split->api->target,
                              .key = split->api->group(request->body, part->places[0]),
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
        shards[i] = shard_of(split->api->group(request->body, i), *shard_count);
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
    if (!split->api->begin(split->response, count, &request->arena))
        return false;
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
    int32_t count = split->api->count(request->body);
    if (count > GROUPS_MAX || !split_start(split, count)) {
        split_free(split);
        storage_answer_close(request, "too many groups in one request");
    } else if (split->open == 0) {
        split_finish(split);
    }
}
