// SPDX-License-Identifier: Apache-2.0
// ListGroups and ListTransactions: every live coordinator is asked for what its shards have; what belongs to
// another node's list is left out. A coordinator that does not answer makes the list incomplete, which the
// answer says with a retriable error. What differs between the APIs stands in a table.
#include "lists.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/shard.h"
#include "frame.h"
#include "kafka/messages/list_groups.h"
#include "kafka/messages/list_transactions.h"
#include "relay_apis.h"
#include "storage.h"

enum { TIMEOUT_MS = 10000, COORDINATORS_MAX = 1024 };

struct list_api {
    int16_t key;
    int32_t (*count)(const void *answer);
    struct slice (*id)(const void *answer, int32_t i);
    int16_t *(*error)(void *answer);
    // Room for so many rows in response; false at the arena's cap.
    bool (*begin)(void *response, int32_t rows, struct arena *arena);
    // Adds row i of a part's answer.
    void (*put)(void *response, const void *answer, int32_t i);
    // Takes over what is no row from a part's answer.
    void (*rest)(void *response, const void *answer);
};

struct list_part {
    struct list *list;
    struct relay *relay; // NULL once it has ended
    struct block *response;
    void *answer; // in the arena; NULL: none came
};

struct list {
    struct storage_request *request;
    const struct list_api *api;
    struct list_part *parts;
    int32_t part_count;
    int32_t open;
    int16_t error;
};

// ---- ListGroups ----

static int32_t groups_count(const void *answer)
{
    return ((const struct kafka_list_groups_response *)answer)->groups_count;
}

static struct slice groups_id(const void *answer, int32_t i)
{
    return ((const struct kafka_list_groups_response *)answer)->groups[i].group_id;
}

static int16_t *groups_error(void *answer)
{
    return &((struct kafka_list_groups_response *)answer)->error_code;
}

static bool groups_begin(void *out, int32_t rows, struct arena *arena)
{
    struct kafka_list_groups_response *response = out;
    response->groups = arena_calloc(arena, (size_t)rows, sizeof *response->groups);
    return response->groups != NULL;
}

static void groups_put(void *out, const void *answer, int32_t i)
{
    struct kafka_list_groups_response *response = out;
    response->groups[response->groups_count++] =
        ((const struct kafka_list_groups_response *)answer)->groups[i];
}

// ---- ListTransactions ----

static int32_t transactions_count(const void *answer)
{
    return ((const struct kafka_list_transactions_response *)answer)->transaction_states_count;
}

static struct slice transactions_id(const void *answer, int32_t i)
{
    return ((const struct kafka_list_transactions_response *)answer)->transaction_states[i].transactional_id;
}

static int16_t *transactions_error(void *answer)
{
    return &((struct kafka_list_transactions_response *)answer)->error_code;
}

static bool transactions_begin(void *out, int32_t rows, struct arena *arena)
{
    struct kafka_list_transactions_response *response = out;
    response->transaction_states = arena_calloc(arena, (size_t)rows, sizeof *response->transaction_states);
    return response->transaction_states != NULL;
}

static void transactions_put(void *out, const void *answer, int32_t i)
{
    struct kafka_list_transactions_response *response = out;
    response->transaction_states[response->transaction_states_count++] =
        ((const struct kafka_list_transactions_response *)answer)->transaction_states[i];
}

static void transactions_rest(void *out, const void *answer)
{
    struct kafka_list_transactions_response *response = out;
    const struct kafka_list_transactions_response *part = answer;
    response->unknown_state_filters = part->unknown_state_filters;
    response->unknown_state_filters_count = part->unknown_state_filters_count;
}

static const struct list_api list_apis[] = {
    {KAFKA_API_LIST_GROUPS, groups_count, groups_id, groups_error, groups_begin, groups_put, NULL},
    {KAFKA_API_LIST_TRANSACTIONS, transactions_count, transactions_id, transactions_error, transactions_begin,
     transactions_put, transactions_rest},
};

static const struct list_api *list_api(int16_t key)
{
    for (size_t i = 0; i < sizeof list_apis / sizeof *list_apis; i++)
        if (list_apis[i].key == key)
            return &list_apis[i];
    UNREACHABLE("a list without its functions");
}

// ---- merging ----

static void list_free(struct list *list)
{
    for (int32_t i = 0; i < list->part_count; i++) {
        relay_cancel(&list->parts[i].relay);
        block_unref(&list->parts[i].response);
    }
    mem_free(list->parts);
    mem_free(list);
}

static bool listed_here(const struct storage_request *request, struct slice id)
{
    const struct image_node *front =
        shard_front(storage_image(request->storage), request->principal.listener, id);
    return front == NULL || front->id == storage_node_id(request->storage);
}

static int32_t listed_total(const struct list *list)
{
    int32_t total = 0;
    for (int32_t i = 0; i < list->part_count; i++)
        total += list->parts[i].answer != NULL ? list->api->count(list->parts[i].answer) : 0;
    return total;
}

static bool list_merge(struct list *list, void *response)
{
    struct storage_request *request = list->request;
    if (!list->api->begin(response, listed_total(list), &request->arena))
        return false;
    for (int32_t i = 0; i < list->part_count; i++) {
        const void *part = list->parts[i].answer;
        int32_t count = part != NULL ? list->api->count(part) : 0;
        for (int32_t g = 0; g < count; g++)
            if (listed_here(request, list->api->id(part, g)))
                list->api->put(response, part, g);
        if (part != NULL && list->api->rest != NULL)
            list->api->rest(response, part);
    }
    return true;
}

static void list_finish(struct list *list)
{
    struct storage_request *request = list->request;
    const struct kafka_message *message = request->api->response;
    void *response = arena_alloc(&request->arena, message->structure->size);
    bool done = response != NULL;
    if (done) {
        kafka_defaults(message, response);
        *list->api->error(response) = list->error;
        done = list_merge(list, response);
    }
    if (done)
        storage_answer(request, response); // encoded before the parts' blocks go
    else
        storage_answer_close(request, "out of memory for an answer");
    list_free(list);
}

static void list_on_done(void *context, enum status status, struct block *response)
{
    struct list_part *part = context;
    struct list *list = part->list;
    struct storage_request *request = list->request;
    part->relay = NULL;
    if (status == ST_OK) {
        part->response = block_ref(response);
        part->answer = arena_alloc(&request->arena, request->api->response->structure->size);
        if (part->answer == NULL)
            status = ST_LIMIT;
        else
            status = frame_decode(request->api, request->version, response, &request->arena, part->answer);
    }
    if (status != ST_OK) {
        part->answer = NULL;
        list->error = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    } else if (*list->api->error(part->answer) != KAFKA_ERR_NONE) {
        list->error = *list->api->error(part->answer);
    }
    if (--list->open == 0)
        list_finish(list);
}

static void list_on_cancelled(struct storage_request *request)
{
    list_free(request->held);
    storage_answer_none(request);
}

static void list_ask(struct list *list, const struct image_node *node)
{
    struct storage_request *request = list->request;
    struct list_part *part = &list->parts[list->part_count++];
    part->list = list;
    struct relay_call call = {.frame = request->conn->block,
                              .principal = &request->principal,
                              .target = RELAY_NODE,
                              .node = node->id,
                              .repeatable = true,
                              .timeout_ms = TIMEOUT_MS,
                              .done = list_on_done,
                              .context = part};
    part->relay = relay_start(storage_relays(request->storage), &call);
    list->open++;
}

void list_request(struct storage_request *request)
{
    const struct image *image = storage_image(request->storage);
    size_t nodes = image_node_count(image);
    struct list *list = mem_calloc(1, sizeof *list);
    list->request = request;
    list->api = list_api(request->api->key);
    list->parts = mem_calloc(nodes + 1, sizeof *list->parts);
    request->held = list;
    request->on_cancelled = list_on_cancelled;
    for (size_t i = 0; i < nodes && list->part_count < COORDINATORS_MAX; i++) {
        const struct image_node *node = image_node_at(image, i);
        if (image_node_live(node, MILLRACE__ROLE__ROLE_COORDINATOR))
            list_ask(list, node);
    }
    if (list->open == 0)
        list_finish(list);
}
