// SPDX-License-Identifier: Apache-2.0
// millrace group list|describe|lag|reset|replay|delete
#include "admin.h"
#include "commands.h"
#include "group_consumer.h"
#include "group_streams.h"
#include "group_lag.h"
#include "group_replay.h"
#include "group_reset.h"
#include "group_share.h"
#include "offsets.h"
#include "table.h"

#include "kafka/errors.h"
#include "kafka/messages/consumer_protocol.h"
#include "kafka/messages/delete_groups.h"
#include "kafka/messages/describe_groups.h"
#include "kafka/messages/list_groups.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct kafka_describe_groups_response_described_group group_info;
typedef struct kafka_describe_groups_response_described_group_member member_info;

// ---- list ----

// Every broker tells its own groups.
static enum cli_exit list_rows(struct admin *admin, int32_t node, struct table *table)
{
    struct kafka_list_groups_request request;
    kafka_defaults(&kafka_list_groups_request_message, &request);
    for (;;) {
        const struct kafka_list_groups_response *response;
        const void *body;
        enum cli_exit code = admin_call(admin, node, KAFKA_API_LIST_GROUPS, -1, &request, &body);
        if (code != CLI_DONE)
            return code;
        response = body;
        if (admin_again(admin, response->error_code))
            continue;
        if (response->error_code != 0)
            return admin_refused("groups of a broker", slice_str(""), response->error_code,
                                 slice_of(NULL, 0));
        for (int i = 0; i < response->groups_count; i++) {
            table_text(table, response->groups[i].group_id);
            table_text(table, response->groups[i].group_state);
            table_text(table, response->groups[i].protocol_type);
            table_text(table, response->groups[i].group_type);
        }
        return CLI_DONE;
    }
}

static enum cli_exit list_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    static const char *const columns[] = {"group", "state", "protocol_type", "type"};
    const struct admin_options *options = context;
    const struct kafka_metadata_response *metadata;
    struct table *table = table_new(columns, 4);
    enum cli_exit code = admin_metadata(admin, NULL, 0, &metadata);
    for (int i = 0; code == CLI_DONE && i < metadata->brokers_count; i++)
        code = list_rows(admin, metadata->brokers[i].node_id, table);
    table_print(&table, options->json, code == CLI_DONE ? "no groups" : NULL);
    return code;
}

static enum cli_exit group_list(int argc, char **argv)
{
    struct admin_options options = {0};
    const struct admin_command command = {.line = "group list [options]",
                                          .help = "Lists groups.",
                                          .run = list_run,
                                          .options = &options,
                                          .context = &options};
    return admin_command(&command, argc, argv);
}

// ---- describe ----

// It is no classic group: one of the consumer or the streams protocol, or none.
static enum cli_exit group_ask_other(struct admin *admin, const char *name, int32_t coordinator,
                                     const group_info **group)
{
    bool found;
    group_info *other = arena_alloc(admin_arena(admin), sizeof *other);
    if (other == NULL)
        return cli_fail(CLI_FAILED, "out of memory");
    enum cli_exit code = group_consumer_ask(admin, name, coordinator, other, &found);
    if (code == CLI_DONE && !found)
        code = group_streams_ask(admin, name, coordinator, other, &found);
    *group = other;
    if (code == CLI_DONE && !found)
        return cli_fail(CLI_FAILED, "there is no group %s; 'millrace group list' shows them", name);
    return code;
}

static enum cli_exit group_ask(struct admin *admin, const char *name, int32_t *coordinator,
                               const group_info **group)
{
    struct slice wanted = slice_str(name);
    for (;;) {
        struct kafka_describe_groups_request request;
        const struct kafka_describe_groups_response *response;
        const void *body;
        enum cli_exit code = admin_coordinator(admin, name, coordinator);
        if (code != CLI_DONE)
            return code;
        kafka_defaults(&kafka_describe_groups_request_message, &request);
        request.groups = &wanted;
        request.groups_count = 1;
        code = admin_call(admin, *coordinator, KAFKA_API_DESCRIBE_GROUPS, -1, &request, &body);
        if (code != CLI_DONE)
            return code;
        response = body;
        if (response->groups_count != 1)
            return cli_fail(CLI_FAILED, "the coordinator answered for %d groups", response->groups_count);
        *group = &response->groups[0];
        if (admin_again(admin, (*group)->error_code))
            continue;
        if ((*group)->error_code == KAFKA_ERR_GROUP_ID_NOT_FOUND || slice_is((*group)->group_state, "Dead"))
            return group_ask_other(admin, name, *coordinator, group);
        return (*group)->error_code == 0
                   ? CLI_DONE
                   : admin_refused("group", wanted, (*group)->error_code, (*group)->error_message);
    }
}

// Whether a member's assignment (KIP-54's format behind a version) has the partition.
static bool member_has(struct admin *admin, const member_info *member, const struct offset_item *item)
{
    struct kafka_consumer_protocol_assignment assignment;
    size_t used;
    struct slice bytes = member->member_assignment;
    if (bytes.len < 2)
        return false;
    int16_t version = (int16_t)(bytes.data[0] << 8 | bytes.data[1]);
    version = version > 3 ? 3 : version < 0 ? 0 : version;
    if (kafka_decode_prefix(&kafka_consumer_protocol_assignment_message, version,
                            slice_of(bytes.data + 2, bytes.len - 2), admin_arena(admin), &assignment,
                            &used) != ST_OK)
        return false;
    for (int t = 0; t < assignment.assigned_partitions_count; t++) {
        if (!slice_equal(assignment.assigned_partitions[t].topic, item->topic))
            continue;
        for (int p = 0; p < assignment.assigned_partitions[t].partitions_count; p++)
            if (assignment.assigned_partitions[t].partitions[p] == item->partition)
                return true;
    }
    return false;
}

static const member_info *member_of(struct admin *admin, const group_info *group,
                                    const struct offset_item *item)
{
    for (int i = 0; i < group->members_count; i++)
        if (member_has(admin, &group->members[i], item))
            return &group->members[i];
    return NULL;
}

static void offsets_print(struct admin *admin, const group_info *group, const struct offset_list *list,
                          bool json)
{
    static const char *const columns[] = {"topic", "partition", "committed", "end",
                                          "lag",   "member",    "client",    "host"};
    struct table *table = table_new(columns, 8);
    for (int i = 0; i < list->count; i++) {
        const struct offset_item *item = &list->items[i];
        const member_info *member = member_of(admin, group, item);
        bool known = item->found >= 0 && item->committed >= 0;
        table_text(table, item->topic);
        table_number(table, item->partition);
        table_known(table, item->committed);
        table_known(table, item->found);
        table_known(table, known ? (item->found > item->committed ? item->found - item->committed : 0) : -1);
        table_text(table, member != NULL ? member->member_id : slice_of(NULL, 0));
        table_text(table, member != NULL ? member->client_id : slice_of(NULL, 0));
        table_text(table, member != NULL ? member->client_host : slice_of(NULL, 0));
    }
    table_print(&table, json, "no committed offsets");
}

static void members_print(const group_info *group, bool json)
{
    static const char *const columns[] = {"member", "instance", "client", "host"};
    struct table *table = table_new(columns, 4);
    for (int i = 0; i < group->members_count; i++) {
        table_text(table, group->members[i].member_id);
        table_text(table, group->members[i].group_instance_id);
        table_text(table, group->members[i].client_id);
        table_text(table, group->members[i].client_host);
    }
    table_print(&table, json, "no members");
}

static void group_print(struct admin *admin, const group_info *group, const struct offset_list *list,
                        bool json)
{
    static const char *const columns[] = {"group", "state", "protocol_type", "protocol", "members"};
    struct table *table = table_new(columns, 5);
    table_text(table, group->group_id);
    table_text(table, group->group_state);
    table_text(table, group->protocol_type);
    table_text(table, group->protocol_data);
    table_number(table, group->members_count);
    printf(json ? "{\"group\":" : "");
    table_print_object(&table, json);
    printf(json ? ",\"offsets\":" : "\n");
    offsets_print(admin, group, list, json);
    printf(json ? ",\"members\":" : "\n");
    members_print(group, json);
    printf(json ? "}\n" : "");
}

static enum cli_exit describe_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    const struct admin_options *options = context;
    struct offset_list list = {0};
    const group_info *group = NULL;
    int32_t coordinator;
    bool shares;
    enum cli_exit code = group_share_describe(admin, positional->items[0], options->json, &shares);
    if (code != CLI_DONE || shares)
        return code;
    code = group_ask(admin, positional->items[0], &coordinator, &group);
    if (code == CLI_DONE)
        code = offsets_committed(admin, coordinator, positional->items[0], &list);
    if (code == CLI_DONE)
        code = offsets_find(admin, &list, OFFSETS_LATEST);
    if (code == CLI_DONE)
        group_print(admin, group, &list, options->json);
    return code;
}

static enum cli_exit group_describe(int argc, char **argv)
{
    struct admin_options options = {0};
    const struct admin_command command = {
        .line = "group describe GROUP [options]",
        .help = "Shows a group's members, committed offsets (of a share group: start offsets) and lag.",
        .positional_min = 1,
        .positional_max = 1,
        .run = describe_run,
        .options = &options,
        .context = &options};
    return admin_command(&command, argc, argv);
}

// ---- delete ----

static enum cli_exit delete_one(struct admin *admin, const char *name)
{
    struct slice wanted = slice_str(name);
    for (;;) {
        struct kafka_delete_groups_request request;
        const struct kafka_delete_groups_response *response;
        const void *body;
        int32_t coordinator;
        enum cli_exit code = admin_coordinator(admin, name, &coordinator);
        if (code != CLI_DONE)
            return code;
        kafka_defaults(&kafka_delete_groups_request_message, &request);
        request.groups_names = &wanted;
        request.groups_names_count = 1;
        code = admin_call(admin, coordinator, KAFKA_API_DELETE_GROUPS, -1, &request, &body);
        if (code != CLI_DONE)
            return code;
        response = body;
        if (response->results_count != 1)
            return cli_fail(CLI_FAILED, "the coordinator answered for %d groups", response->results_count);
        int16_t error = response->results[0].error_code;
        if (admin_again(admin, error))
            continue;
        return error == 0 ? CLI_DONE : admin_refused("group", wanted, error, slice_of(NULL, 0));
    }
}

static enum cli_exit delete_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    return admin_delete_each(admin, positional, context, delete_one);
}

static enum cli_exit group_delete(int argc, char **argv)
{
    struct admin_options options = {0};
    const struct admin_command command = {.line = "group delete GROUP... [options]",
                                          .help = "Deletes groups without members, with their offsets.",
                                          .positional_min = 1,
                                          .positional_max = CLI_MANY_MAX,
                                          .run = delete_run,
                                          .options = &options,
                                          .context = &options};
    return admin_command(&command, argc, argv);
}

enum cli_exit cmd_group(int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"list", group_list, "list groups"},
        {"describe", group_describe, "members, offsets and lag"},
        {"lag", group_lag, "how far groups are behind: records, age, time to drain"},
        {"reset", group_reset, "move a group's position"},
        {"reset-offsets", group_reset, "the same"},
        {"replay", group_replay, "put dead letters of a share group back"},
        {"delete", group_delete, "delete groups"}};
    return cli_dispatch("millrace group", commands, sizeof commands / sizeof *commands, argc, argv);
}
