// SPDX-License-Identifier: Apache-2.0
// See offsets.h. Requests are grouped by node and by topic; lists are sorted, so that a topic's partitions
// stand together.
#include "offsets.h"

#include "kafka/errors.h"
#include "kafka/messages/list_offsets.h"
#include "kafka/messages/offset_commit.h"
#include "kafka/messages/offset_fetch.h"

#include <stdlib.h>

// Versions above these name topics by id.
enum { FETCH_VERSION_MAX = 9, COMMIT_VERSION_MAX = 9, FETCH_GROUPS_FROM = 8 };

static int by_place(const void *a, const void *b)
{
    const struct offset_item *left = a, *right = b;
    size_t len = left->topic.len < right->topic.len ? left->topic.len : right->topic.len;
    int order = memcmp(left->topic.data, right->topic.data, len);
    if (order != 0)
        return order;
    if (left->topic.len != right->topic.len)
        return left->topic.len < right->topic.len ? -1 : 1;
    return left->partition < right->partition ? -1 : left->partition > right->partition;
}

static enum cli_exit list_alloc(struct admin *admin, struct offset_list *list, int64_t count)
{
    list->count = 0;
    list->items =
        count <= OFFSETS_MAX ? arena_calloc(admin_arena(admin), (size_t)count, sizeof *list->items) : NULL;
    return list->items != NULL ? CLI_DONE : cli_fail(CLI_FAILED, "too many partitions");
}

// ---- committed ----

static enum cli_exit committed_of_groups(struct admin *admin,
                                         const struct kafka_offset_fetch_response *response,
                                         struct offset_list *list)
{
    const struct kafka_offset_fetch_response_offset_fetch_response_group *group = &response->groups[0];
    int64_t total = 0;
    for (int t = 0; t < group->topics_count; t++)
        total += group->topics[t].partitions_count;
    enum cli_exit code = list_alloc(admin, list, total);
    for (int t = 0; code == CLI_DONE && t < group->topics_count; t++)
        for (int p = 0; p < group->topics[t].partitions_count; p++)
            list->items[list->count++] =
                (struct offset_item){.topic = group->topics[t].name,
                                     .partition = group->topics[t].partitions[p].partition_index,
                                     .committed = group->topics[t].partitions[p].committed_offset,
                                     .error = group->topics[t].partitions[p].error_code};
    return code;
}

static enum cli_exit committed_of_topics(struct admin *admin,
                                         const struct kafka_offset_fetch_response *response,
                                         struct offset_list *list)
{
    int64_t total = 0;
    for (int t = 0; t < response->topics_count; t++)
        total += response->topics[t].partitions_count;
    enum cli_exit code = list_alloc(admin, list, total);
    for (int t = 0; code == CLI_DONE && t < response->topics_count; t++)
        for (int p = 0; p < response->topics[t].partitions_count; p++)
            list->items[list->count++] =
                (struct offset_item){.topic = response->topics[t].name,
                                     .partition = response->topics[t].partitions[p].partition_index,
                                     .committed = response->topics[t].partitions[p].committed_offset,
                                     .error = response->topics[t].partitions[p].error_code};
    return code;
}

enum cli_exit offsets_committed(struct admin *admin, int32_t coordinator, const char *group,
                                struct offset_list *list)
{
    struct kafka_offset_fetch_request request;
    struct kafka_offset_fetch_request_offset_fetch_request_group asked;
    bool groups =
        admin_version(admin, coordinator, KAFKA_API_OFFSET_FETCH, FETCH_VERSION_MAX) >= FETCH_GROUPS_FROM;
    kafka_defaults(&kafka_offset_fetch_request_message, &request);
    kafka_structure_defaults(&kafka_offset_fetch_request_offset_fetch_request_group_type, &asked);
    asked.group_id = request.group_id = slice_str(group);
    asked.topics_count = request.topics_count = -1;
    if (groups) {
        request.group_id = slice_str("");
        request.topics_count = 0;
        request.groups = &asked;
        request.groups_count = 1;
    }
    for (;;) {
        const void *body;
        enum cli_exit code =
            admin_call(admin, coordinator, KAFKA_API_OFFSET_FETCH, FETCH_VERSION_MAX, &request, &body);
        if (code != CLI_DONE)
            return code;
        const struct kafka_offset_fetch_response *response = body;
        if (groups && response->groups_count != 1)
            return cli_fail(CLI_FAILED, "the coordinator answered for %d groups", response->groups_count);
        int16_t error = groups ? response->groups[0].error_code : response->error_code;
        if (admin_again(admin, error))
            continue;
        if (error != 0)
            return admin_refused("group", slice_str(group), error, slice_of(NULL, 0));
        code =
            groups ? committed_of_groups(admin, response, list) : committed_of_topics(admin, response, list);
        if (code == CLI_DONE && list->count > 0)
            qsort(list->items, (size_t)list->count, sizeof *list->items, by_place);
        return code;
    }
}

enum cli_exit offsets_of_topic(struct admin *admin, const char *topic, struct offset_list *list)
{
    const struct kafka_metadata_response *response;
    struct slice name = slice_str(topic);
    enum cli_exit code = admin_metadata(admin, &name, 1, &response);
    if (code != CLI_DONE)
        return code;
    if (response->topics_count != 1 || response->topics[0].error_code != 0)
        return admin_refused("topic", name, response->topics_count == 1 ? response->topics[0].error_code : -1,
                             slice_of(NULL, 0));
    code = list_alloc(admin, list, response->topics[0].partitions_count);
    for (int p = 0; code == CLI_DONE && p < response->topics[0].partitions_count; p++)
        list->items[list->count++] = (struct offset_item){
            .topic = name, .partition = response->topics[0].partitions[p].partition_index, .committed = -1};
    if (list->count > 0)
        qsort(list->items, (size_t)list->count, sizeof *list->items, by_place);
    return code;
}

// ---- at the leaders ----

static const struct kafka_metadata_response_metadata_response_partition *
partition_of(const struct kafka_metadata_response *metadata, const struct offset_item *item)
{
    for (int t = 0; t < metadata->topics_count; t++) {
        if (!slice_equal(metadata->topics[t].name, item->topic))
            continue;
        for (int p = 0; p < metadata->topics[t].partitions_count; p++)
            if (metadata->topics[t].partitions[p].partition_index == item->partition)
                return &metadata->topics[t].partitions[p];
    }
    return NULL;
}

// The topics of a sorted list, each once.
static enum cli_exit topics_of(struct admin *admin, const struct offset_list *list, struct slice **topics,
                               int *count)
{
    *count = 0;
    *topics = arena_calloc(admin_arena(admin), (size_t)list->count + 1, sizeof **topics);
    if (*topics == NULL)
        return cli_fail(CLI_FAILED, "too many topics");
    for (int i = 0; i < list->count; i++)
        if (i == 0 || !slice_equal(list->items[i].topic, list->items[i - 1].topic))
            (*topics)[(*count)++] = list->items[i].topic;
    return CLI_DONE;
}

// Fills the request with the items marked for this node (item->error == -1), topic by topic.
static bool request_fill(struct admin *admin, const struct offset_list *list, const int32_t *leaders,
                         int32_t node, int64_t timestamp, struct kafka_list_offsets_request *request)
{
    struct arena *arena = admin_arena(admin);
    kafka_defaults(&kafka_list_offsets_request_message, request);
    request->topics =
        kafka_structure_array(&kafka_list_offsets_request_list_offsets_topic_type, arena, list->count);
    struct kafka_list_offsets_request_list_offsets_partition *partitions =
        kafka_structure_array(&kafka_list_offsets_request_list_offsets_partition_type, arena, list->count);
    if (request->topics == NULL || partitions == NULL)
        return false;
    int used = 0;
    for (int i = 0; i < list->count; i++) {
        if (leaders[i] != node)
            continue;
        struct kafka_list_offsets_request_list_offsets_topic *topic =
            request->topics_count > 0 ? &request->topics[request->topics_count - 1] : NULL;
        if (topic == NULL || !slice_equal(topic->name, list->items[i].topic)) {
            topic = &request->topics[request->topics_count++];
            topic->name = list->items[i].topic;
            topic->partitions = &partitions[used];
        }
        partitions[used].partition_index = list->items[i].partition;
        partitions[used++].timestamp = timestamp;
        topic->partitions_count++;
    }
    return true;
}

static void answer_take(const struct kafka_list_offsets_response *response, struct offset_list *list)
{
    for (int t = 0; t < response->topics_count; t++) {
        for (int p = 0; p < response->topics[t].partitions_count; p++) {
            struct offset_item key = {.topic = response->topics[t].name,
                                      .partition = response->topics[t].partitions[p].partition_index};
            struct offset_item *item =
                bsearch(&key, list->items, (size_t)list->count, sizeof *list->items, by_place);
            if (item == NULL)
                continue;
            item->error = response->topics[t].partitions[p].error_code;
            item->found = response->topics[t].partitions[p].offset;
        }
    }
}

// One round over all leaders; *error is one that may pass, or the first that will not.
static enum cli_exit find_round(struct admin *admin, struct offset_list *list, int64_t timestamp,
                                int16_t *error)
{
    const struct kafka_metadata_response *metadata;
    struct slice *topics;
    int count;
    enum cli_exit code = topics_of(admin, list, &topics, &count);
    if (code == CLI_DONE)
        code = admin_metadata(admin, topics, count, &metadata);
    int32_t *leaders = arena_calloc(admin_arena(admin), (size_t)list->count + 1, sizeof *leaders);
    if (code != CLI_DONE || leaders == NULL)
        return code != CLI_DONE ? code : cli_fail(CLI_FAILED, "too many partitions");
    *error = 0;
    for (int i = 0; i < list->count; i++) {
        const struct kafka_metadata_response_metadata_response_partition *partition =
            partition_of(metadata, &list->items[i]);
        leaders[i] = partition != NULL ? partition->leader_id : -1;
        list->items[i].found = -1;
        list->items[i].error = (int16_t)(partition == NULL ? KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION
                                                           : KAFKA_ERR_LEADER_NOT_AVAILABLE);
    }
    for (int b = 0; b < metadata->brokers_count; b++) {
        struct kafka_list_offsets_request request;
        const void *body;
        int32_t node = metadata->brokers[b].node_id;
        if (!request_fill(admin, list, leaders, node, timestamp, &request))
            return cli_fail(CLI_FAILED, "too many partitions");
        if (request.topics_count == 0)
            continue;
        code = admin_call(admin, node, KAFKA_API_LIST_OFFSETS, -1, &request, &body);
        if (code != CLI_DONE)
            return code;
        answer_take(body, list);
    }
    for (int i = 0; i < list->count; i++)
        if (list->items[i].error != 0 && list->items[i].error != KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION)
            *error = list->items[i].error;
    return CLI_DONE;
}

enum cli_exit offsets_find(struct admin *admin, struct offset_list *list, int64_t timestamp)
{
    int16_t error = 0;
    enum cli_exit code;
    if (list->count == 0)
        return CLI_DONE;
    do
        code = find_round(admin, list, timestamp, &error);
    while (code == CLI_DONE && error != 0 && admin_again(admin, error));
    return code; // what is still unknown has found -1
}

// ---- commit ----

static enum cli_exit commit_check(const struct kafka_offset_commit_response *response, const char *group,
                                  int16_t *error)
{
    *error = 0;
    for (int t = 0; t < response->topics_count; t++)
        for (int p = 0; p < response->topics[t].partitions_count; p++)
            if (response->topics[t].partitions[p].error_code != 0)
                *error = response->topics[t].partitions[p].error_code;
    if (*error == KAFKA_ERR_UNKNOWN_MEMBER_ID || *error == KAFKA_ERR_ILLEGAL_GENERATION ||
        *error == KAFKA_ERR_REBALANCE_IN_PROGRESS)
        return cli_fail(CLI_FAILED, "group %s has members; its offsets can be reset when they have stopped",
                        group);
    return CLI_DONE;
}

enum cli_exit offsets_commit(struct admin *admin, int32_t coordinator, const char *group,
                             const struct offset_list *list)
{
    struct arena *arena = admin_arena(admin);
    struct kafka_offset_commit_request request;
    kafka_defaults(&kafka_offset_commit_request_message, &request);
    request.group_id = slice_str(group);
    request.generation_id_or_member_epoch = -1; // from outside the group
    request.member_id = slice_str("");
    request.topics = kafka_structure_array(&kafka_offset_commit_request_offset_commit_request_topic_type,
                                           arena, list->count);
    struct kafka_offset_commit_request_offset_commit_request_partition *partitions = kafka_structure_array(
        &kafka_offset_commit_request_offset_commit_request_partition_type, arena, list->count);
    if (request.topics == NULL || partitions == NULL)
        return cli_fail(CLI_FAILED, "too many partitions");
    for (int i = 0; i < list->count; i++) {
        if (i == 0 || !slice_equal(list->items[i].topic, list->items[i - 1].topic)) {
            request.topics[request.topics_count].name = list->items[i].topic;
            request.topics[request.topics_count++].partitions = &partitions[i];
        }
        request.topics[request.topics_count - 1].partitions_count++;
        partitions[i].partition_index = list->items[i].partition;
        partitions[i].committed_offset = list->items[i].wanted;
        partitions[i].committed_metadata = slice_str("");
    }
    for (;;) {
        const void *body;
        int16_t error;
        enum cli_exit code =
            admin_call(admin, coordinator, KAFKA_API_OFFSET_COMMIT, COMMIT_VERSION_MAX, &request, &body);
        if (code == CLI_DONE)
            code = commit_check(body, group, &error);
        if (code != CLI_DONE || error == 0)
            return code;
        if (!admin_again(admin, error))
            return admin_refused("group", request.group_id, error, slice_of(NULL, 0));
    }
}
