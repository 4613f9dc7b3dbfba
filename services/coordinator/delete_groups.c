// SPDX-License-Identifier: Apache-2.0
// DeleteGroups: removes empty groups with their offsets. What share coordinators keep of a share group goes
// first, so that nothing is left of it that nobody would ever delete.
#include "apis.h"
#include "kafka/messages/delete_groups.h"
#include "share_asks.h"

typedef struct kafka_delete_groups_request request_t;
typedef struct kafka_delete_groups_response response_t;

static int16_t may_delete(const struct shard_group *cell)
{
    if (cell->share != NULL)
        return share_group_size(cell->share) == 0 ? KAFKA_ERR_NONE : KAFKA_ERR_NON_EMPTY_GROUP;
    if (cell->streams != NULL)
        return streams_may_delete(cell->streams);
    return cell->consumer != NULL ? consumer_may_delete(cell->consumer) : group_may_delete(cell->group);
}

// *cell: the group, when it may be deleted.
static int16_t find(const struct coordinator_request *request, struct slice id, struct shard_group **cell)
{
    *cell = NULL;
    if (!request_allowed(request, id))
        return KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
    if (!request_owns(request, id))
        return KAFKA_ERR_NOT_COORDINATOR;
    struct shard_group *found = shard_find(request->shard, id, false);
    if (found == NULL)
        return KAFKA_ERR_GROUP_ID_NOT_FOUND;
    int16_t error = may_delete(found);
    if (error == KAFKA_ERR_NONE && ledger_full(shard_ledger(request->shard)))
        error = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    if (error == KAFKA_ERR_NONE)
        *cell = found;
    return error;
}

static int16_t delete_one(const struct coordinator_request *request, struct slice id)
{
    struct shard_group *cell;
    int16_t error = find(request, id, &cell);
    if (cell != NULL && cell->share != NULL && share_group_kept(cell->share))
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE; // not all share coordinators have answered
    if (cell != NULL && !shard_delete(cell))
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE; // the client asks again, for what is left
    return error;
}

// ---- share coordinators ----

static bool ask(struct share_asks *asks, struct shard_group *cell)
{
    shard_share_hush(cell); // or what it says might come behind the deletion
    struct parts parts = parts_sum(share_group_pending(cell->share), share_group_initialized(cell->share));
    bool added = share_asks_add(asks, SHARE_ASK_DELETE, group_id(cell->group), -1, &parts, NULL);
    parts_fini(&parts);
    return added;
}

// Whether the request is parked until they have forgotten its share groups.
static bool ask_all(struct coordinator_request *request)
{
    const request_t *in = request->body;
    struct share_asks *asks = share_asks_new(request);
    for (int32_t i = 0; asks != NULL && i < in->groups_names_count; i++) {
        struct shard_group *cell;
        find(request, in->groups_names[i], &cell);
        bool asks_for = cell != NULL && cell->share != NULL && share_group_kept(cell->share) &&
                        share_asks_find(asks, in->groups_names[i]) == NULL;
        if (asks_for && !ask(asks, cell))
            break; // without memory its answer says that it is not deleted
    }
    if (asks == NULL || !share_asks_any(asks))
        return false;
    share_asks_park(asks);
    return true;
}

static void take_answers(const struct coordinator_request *request, const struct share_asks *asks)
{
    const request_t *in = request->body;
    for (int32_t i = 0; i < in->groups_names_count; i++) {
        const struct share_ask *asked = share_asks_find(asks, in->groups_names[i]);
        struct shard_group *cell = shard_find(request->shard, in->groups_names[i], false);
        struct parts gone = {0};
        if (asked == NULL || cell == NULL || cell->share == NULL)
            continue;
        for (size_t k = 0; k < asked->count; k++)
            if (asked->items[k].error == KAFKA_ERR_NONE)
                parts_append(&gone, &asked->items[k].part);
        share_group_forgotten(cell->share, &gone);
        parts_fini(&gone);
        shard_changed(cell);
    }
}

void coordinator_delete_groups(struct coordinator_request *request)
{
    const request_t *in = request->body;
    response_t response;
    if (share_asks_of(request) == NULL && ask_all(request))
        return;
    if (share_asks_of(request) != NULL)
        take_answers(request, share_asks_of(request));
    kafka_defaults(&kafka_delete_groups_response_message, &response);
    response.results =
        arena_calloc(&request->arena, (size_t)in->groups_names_count + 1, sizeof *response.results);
    for (int32_t i = 0; response.results != NULL && i < in->groups_names_count; i++) {
        response.results[i].group_id = in->groups_names[i];
        response.results[i].error_code = delete_one(request, in->groups_names[i]);
        response.results_count++;
    }
    request_answer(request, &response);
}
