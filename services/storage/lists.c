// SPDX-License-Identifier: Apache-2.0
// ListGroups: every live coordinator is asked for the groups of its shards; those that belong to another
// node's list are left out. A coordinator that does not answer makes the list incomplete, which the answer
// says with a retriable error.
#include "lists.h"

#include "base/mem.h"
#include "cluster/shard.h"
#include "frame.h"
#include "kafka/messages/list_groups.h"
#include "relay_apis.h"
#include "storage.h"

enum { TIMEOUT_MS = 10000, COORDINATORS_MAX = 1024 };

typedef struct kafka_list_groups_response_listed_group listed_group;

struct list_part {
    struct list *list;
    struct relay *relay; // NULL once it has ended
    struct block *response;
    struct kafka_list_groups_response *answer; // in the arena; NULL: none came
};

struct list {
    struct storage_request *request;
    struct list_part *parts;
    int32_t part_count;
    int32_t open;
    int16_t error;
};

static void list_free(struct list *list)
{
    for (int32_t i = 0; i < list->part_count; i++) {
        relay_cancel(&list->parts[i].relay);
        block_unref(&list->parts[i].response);
    }
    mem_free(list->parts);
    mem_free(list);
}

static bool listed_here(const struct storage_request *request, struct slice group)
{
    const struct image_node *front =
        shard_front(storage_image(request->storage), request->principal.listener, group);
    return front == NULL || front->id == storage_node_id(request->storage);
}

static int32_t listed_total(const struct list *list)
{
    int32_t total = 0;
    for (int32_t i = 0; i < list->part_count; i++)
        total += list->parts[i].answer != NULL ? list->parts[i].answer->groups_count : 0;
    return total;
}

static bool list_merge(struct list *list, struct kafka_list_groups_response *response)
{
    struct storage_request *request = list->request;
    listed_group *groups = arena_calloc(&request->arena, (size_t)listed_total(list), sizeof(listed_group));
    if (groups == NULL)
        return false;
    response->groups = groups;
    response->groups_count = 0;
    for (int32_t i = 0; i < list->part_count; i++) {
        const struct kafka_list_groups_response *part = list->parts[i].answer;
        for (int32_t g = 0; part != NULL && g < part->groups_count; g++) {
            if (listed_here(request, part->groups[g].group_id))
                groups[response->groups_count++] = part->groups[g];
        }
    }
    return true;
}

static void list_finish(struct list *list)
{
    struct storage_request *request = list->request;
    struct kafka_list_groups_response response;
    kafka_defaults(&kafka_list_groups_response_message, &response);
    response.error_code = list->error;
    if (list_merge(list, &response))
        storage_answer(request, &response); // encoded before the parts' blocks go
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
        part->answer = arena_alloc(&request->arena, sizeof *part->answer);
        if (part->answer == NULL)
            status = ST_LIMIT;
        else
            status = frame_decode(request->api, request->version, response, &request->arena, part->answer);
    }
    if (status != ST_OK) {
        part->answer = NULL;
        list->error = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    } else if (part->answer->error_code != KAFKA_ERR_NONE) {
        list->error = part->answer->error_code;
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
