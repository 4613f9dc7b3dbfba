// SPDX-License-Identifier: Apache-2.0
// See group_share.h.
#include "group_share.h"

#include "kafka/errors.h"
#include "kafka/messages/alter_share_group_offsets.h"
#include "kafka/messages/describe_share_group_offsets.h"
#include "kafka/messages/share_group_describe.h"
#include "table.h"

#include <stdio.h>

typedef struct kafka_share_group_describe_response_described_group group_t;
typedef struct kafka_share_group_describe_response_member member_t;
typedef struct kafka_describe_share_group_offsets_response_describe_share_group_offsets_response_group
    offsets_t;
typedef struct kafka_describe_share_group_offsets_response_describe_share_group_offsets_response_topic
    topic_t;

// ---- asking ----

static enum cli_exit ask_group(struct admin *admin, const char *name, int32_t coordinator,
                               const group_t **group, bool *found)
{
    struct slice wanted = slice_str(name);
    for (;;) {
        struct kafka_share_group_describe_request request = {.group_ids = &wanted, .group_ids_count = 1};
        const void *body;
        enum cli_exit code =
            admin_call(admin, coordinator, KAFKA_API_SHARE_GROUP_DESCRIBE, -1, &request, &body);
        if (code != CLI_DONE)
            return code;
        const struct kafka_share_group_describe_response *response = body;
        if (response->groups_count != 1)
            return cli_fail(CLI_FAILED, "the coordinator answered for %d groups", response->groups_count);
        *group = &response->groups[0];
        if (admin_again(admin, (*group)->error_code))
            continue;
        *found = (*group)->error_code != KAFKA_ERR_GROUP_ID_NOT_FOUND;
        return !*found || (*group)->error_code == KAFKA_ERR_NONE
                   ? CLI_DONE
                   : admin_refused("group", wanted, (*group)->error_code, (*group)->error_message);
    }
}

static enum cli_exit ask_offsets(struct admin *admin, const char *name, int32_t coordinator,
                                 const offsets_t **offsets)
{
    struct kafka_describe_share_group_offsets_request_describe_share_group_offsets_request_group wanted = {
        .group_id = slice_str(name), .topics_count = -1};
    for (;;) {
        struct kafka_describe_share_group_offsets_request request = {.groups = &wanted, .groups_count = 1};
        const void *body;
        enum cli_exit code =
            admin_call(admin, coordinator, KAFKA_API_DESCRIBE_SHARE_GROUP_OFFSETS, -1, &request, &body);
        if (code != CLI_DONE)
            return code;
        const struct kafka_describe_share_group_offsets_response *response = body;
        if (response->groups_count != 1)
            return cli_fail(CLI_FAILED, "the coordinator answered for %d groups", response->groups_count);
        *offsets = &response->groups[0];
        if (admin_again(admin, (*offsets)->error_code))
            continue;
        return (*offsets)->error_code == KAFKA_ERR_NONE
                   ? CLI_DONE
                   : admin_refused("group", wanted.group_id, (*offsets)->error_code,
                                   (*offsets)->error_message);
    }
}

static bool offsets_take(struct admin *admin, const offsets_t *offsets, struct offset_list *list)
{
    size_t count = 0;
    for (int32_t t = 0; t < offsets->topics_count; t++)
        count += (size_t)offsets->topics[t].partitions_count;
    list->items = arena_calloc(admin_arena(admin), count + 1, sizeof *list->items);
    list->count = 0;
    for (int32_t t = 0; list->items != NULL && t < offsets->topics_count; t++)
        for (int32_t p = 0; p < offsets->topics[t].partitions_count; p++)
            list->items[list->count++] =
                (struct offset_item){.topic = offsets->topics[t].topic_name,
                                     .partition = offsets->topics[t].partitions[p].partition_index,
                                     .committed = offsets->topics[t].partitions[p].start_offset,
                                     .found = -1};
    return list->items != NULL;
}

enum cli_exit group_share_offsets(struct admin *admin, int32_t coordinator, const char *name,
                                  struct offset_list *list, bool *found)
{
    const group_t *group = NULL;
    const offsets_t *offsets = NULL;
    *found = false;
    if (admin_version(admin, coordinator, KAFKA_API_SHARE_GROUP_DESCRIBE, -1) < 0)
        return CLI_DONE; // an older broker has no such groups
    enum cli_exit code = ask_group(admin, name, coordinator, &group, found);
    if (code != CLI_DONE || !*found)
        return code;
    code = ask_offsets(admin, name, coordinator, &offsets);
    if (code == CLI_DONE && !offsets_take(admin, offsets, list))
        code = cli_fail(CLI_FAILED, "too many partitions");
    return code;
}

// ---- altering ----

typedef struct kafka_alter_share_group_offsets_request alter_request;
typedef struct kafka_alter_share_group_offsets_response alter_response;
typedef struct kafka_alter_share_group_offsets_request_alter_share_group_offsets_request_topic alter_topic;
typedef struct kafka_alter_share_group_offsets_request_alter_share_group_offsets_request_partition alter_part;

// A topic entry for each partition: they may be in any order.
static bool alter_fill(struct admin *admin, const struct offset_list *list, alter_request *request)
{
    struct arena *arena = admin_arena(admin);
    alter_topic *topics = arena_calloc(arena, (size_t)list->count + 1, sizeof *topics);
    alter_part *parts = arena_calloc(arena, (size_t)list->count + 1, sizeof *parts);
    for (int i = 0; topics != NULL && parts != NULL && i < list->count; i++) {
        parts[i] =
            (alter_part){.partition_index = list->items[i].partition, .start_offset = list->items[i].wanted};
        topics[i] =
            (alter_topic){.topic_name = list->items[i].topic, .partitions = &parts[i], .partitions_count = 1};
    }
    request->topics = topics;
    request->topics_count = list->count;
    return topics != NULL && parts != NULL;
}

// The first error of a partition.
static enum cli_exit alter_check(const alter_response *response)
{
    for (int32_t t = 0; t < response->responses_count; t++)
        for (int32_t p = 0; p < response->responses[t].partitions_count; p++)
            if (response->responses[t].partitions[p].error_code != KAFKA_ERR_NONE)
                return admin_refused("a partition of topic", response->responses[t].topic_name,
                                     response->responses[t].partitions[p].error_code,
                                     response->responses[t].partitions[p].error_message);
    return CLI_DONE;
}

enum cli_exit group_share_alter(struct admin *admin, int32_t coordinator, const char *name,
                                const struct offset_list *list)
{
    alter_request request = {.group_id = slice_str(name)};
    if (!alter_fill(admin, list, &request))
        return cli_fail(CLI_FAILED, "too many partitions");
    for (;;) {
        const void *body;
        enum cli_exit code =
            admin_call(admin, coordinator, KAFKA_API_ALTER_SHARE_GROUP_OFFSETS, -1, &request, &body);
        if (code != CLI_DONE)
            return code;
        const alter_response *response = body;
        if (admin_again(admin, response->error_code))
            continue;
        if (response->error_code == KAFKA_ERR_NON_EMPTY_GROUP)
            return cli_fail(CLI_FAILED, "group %s has members; it can be reset when they have stopped", name);
        if (response->error_code != KAFKA_ERR_NONE)
            return admin_refused("group", request.group_id, response->error_code, response->error_message);
        return alter_check(response);
    }
}

// ---- showing ----

static void offsets_print(const offsets_t *offsets, bool json)
{
    static const char *const columns[] = {"topic", "partition", "start", "lag"};
    struct table *table = table_new(columns, 4);
    for (int32_t t = 0; t < offsets->topics_count; t++) {
        const topic_t *topic = &offsets->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            table_text(table, topic->topic_name);
            table_number(table, topic->partitions[p].partition_index);
            table_known(table, topic->partitions[p].start_offset);
            table_known(table, topic->partitions[p].lag);
        }
    }
    table_print(&table, json, "no partitions");
}

static void members_print(const group_t *group, bool json)
{
    static const char *const columns[] = {"member", "client", "host", "partitions"};
    struct table *table = table_new(columns, 4);
    for (int32_t i = 0; i < group->members_count; i++) {
        const member_t *member = &group->members[i];
        int32_t partitions = 0;
        for (int32_t t = 0; t < member->assignment.topic_partitions_count; t++)
            partitions += member->assignment.topic_partitions[t].partitions_count;
        table_text(table, member->member_id);
        table_text(table, member->client_id);
        table_text(table, member->client_host);
        table_number(table, partitions);
    }
    table_print(&table, json, "no members");
}

static void group_print(const group_t *group, const offsets_t *offsets, bool json)
{
    static const char *const columns[] = {"group", "state", "protocol_type", "protocol", "members"};
    struct table *table = table_new(columns, 5);
    table_text(table, group->group_id);
    table_text(table, group->group_state);
    table_text(table, slice_str("share"));
    table_text(table, group->assignor_name);
    table_number(table, group->members_count);
    printf(json ? "{\"group\":" : "");
    table_print_object(&table, json);
    printf(json ? ",\"offsets\":" : "\n");
    offsets_print(offsets, json);
    printf(json ? ",\"members\":" : "\n");
    members_print(group, json);
    printf(json ? "}\n" : "");
}

enum cli_exit group_share_describe(struct admin *admin, const char *name, bool json, bool *found)
{
    const group_t *group = NULL;
    const offsets_t *offsets = NULL;
    int32_t coordinator;
    *found = false;
    enum cli_exit code = admin_coordinator(admin, name, &coordinator);
    if (code != CLI_DONE || admin_version(admin, coordinator, KAFKA_API_SHARE_GROUP_DESCRIBE, -1) < 0)
        return code; // an older broker has no such groups
    code = ask_group(admin, name, coordinator, &group, found);
    if (code == CLI_DONE && *found)
        code = ask_offsets(admin, name, coordinator, &offsets);
    if (code == CLI_DONE && *found)
        group_print(group, offsets, json);
    return code;
}
