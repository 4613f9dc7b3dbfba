// SPDX-License-Identifier: Apache-2.0
// ListGroups: the groups of all shards of this process; the storage nodes share them out among themselves.
#include "apis.h"
#include "coordinator_state.h"
#include "kafka/messages/list_groups.h"

#include <strings.h>

typedef struct kafka_list_groups_request request_t;
typedef struct kafka_list_groups_response response_t;
typedef struct kafka_list_groups_response_listed_group listed_t;

// Whether a filter lets a word pass; names are compared without case, an empty filter passes all.
static bool passes(const struct slice *filter, int32_t count, const char *word)
{
    size_t len = strlen(word);
    for (int32_t i = 0; i < count; i++) {
        if (filter[i].len == len && strncasecmp((const char *)filter[i].data, word, len) == 0)
            return true;
    }
    return count <= 0;
}

static bool wanted(const struct coordinator_request *request, const struct shard_group *cell)
{
    const request_t *in = request->body;
    return passes(in->states_filter, in->states_filter_count, shard_group_state(cell)) &&
           passes(in->types_filter, in->types_filter_count, shard_group_type(cell)) &&
           (authorise(&request->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_CLUSTER,
                      slice_str(RESOURCE_CLUSTER_NAME)) ||
            authorise(&request->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_GROUP, group_id(cell->group)));
}

static void list_shard(const struct coordinator_request *request, const struct shard *shard,
                       response_t *response)
{
    struct shard_group *cell;
    for (struct map_entry *at = NULL; shard_next(shard, &at, &cell);) {
        if (!wanted(request, cell))
            continue;
        response->groups[response->groups_count++] = (listed_t){
            .group_id = group_id(cell->group),
            .protocol_type = shard_group_protocol_type(cell),
            .group_state = slice_str(shard_group_state(cell)),
            .group_type = slice_str(shard_group_type(cell)),
        };
    }
}

void coordinator_list_groups(struct coordinator_request *request)
{
    const struct map *shards = &request->coordinator->shards;
    response_t response;
    kafka_defaults(&kafka_list_groups_response_message, &response);
    size_t count = 0;
    void *value;
    for (struct map_entry *at = NULL; map_next(shards, &at, NULL, &value);)
        count += shard_count(value);
    response.groups = arena_calloc(&request->arena, count + 1, sizeof(listed_t));
    if (response.groups == NULL)
        response.error_code = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    for (struct map_entry *at = NULL; response.groups != NULL && map_next(shards, &at, NULL, &value);)
        list_shard(request, value, &response);
    request_answer(request, &response);
}
