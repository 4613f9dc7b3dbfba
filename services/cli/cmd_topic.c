// SPDX-License-Identifier: Apache-2.0
// millrace topic create|list|describe|alter|delete, and what reassign.c has
#include "admin.h"
#include "commands.h"
#include "configs.h"
#include "delete_records.h"
#include "reassign.h"
#include "table.h"

#include "kafka/errors.h"
#include "kafka/messages/create_partitions.h"
#include "kafka/messages/create_topics.h"
#include "kafka/messages/delete_topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct topic_create {
    struct admin_options options;
    const char *name;
    int64_t partitions, replication;
    struct cli_many configs;
    bool absent_only;
};

// ---- create ----

static enum cli_exit create_result(const struct topic_create *create,
                                   const struct kafka_create_topics_response_creatable_topic_result *result)
{
    static const char *const columns[] = {"topic", "topic_id", "partitions", "replication_factor"};
    if (result->error_code == KAFKA_ERR_TOPIC_ALREADY_EXISTS && create->absent_only) {
        if (!create->options.json)
            printf("%s exists already\n", create->name);
        return CLI_DONE;
    }
    if (result->error_code != 0)
        return admin_refused("topic", slice_str(create->name), result->error_code, result->error_message);
    if (!create->options.json) {
        printf("created %s\n", create->name);
        return CLI_DONE;
    }
    char id[UUID_TEXT_SIZE];
    struct table *table = table_new(columns, 4);
    uuid_format(result->topic_id, id);
    table_text(table, slice_str(create->name));
    table_text(table, slice_str(id));
    table_number(table, result->num_partitions);
    table_number(table, result->replication_factor);
    table_print_object(&table, true);
    return CLI_DONE;
}

static enum cli_exit create_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    struct topic_create *create = context;
    struct kafka_create_topics_request_creatable_topic topic;
    struct kafka_create_topics_request_creatable_topic_config configs[CLI_MANY_MAX];
    struct kafka_create_topics_request request;
    create->name = positional->items[0];
    kafka_defaults(&kafka_create_topics_request_message, &request);
    kafka_structure_defaults(&kafka_create_topics_request_creatable_topic_type, &topic);
    topic.name = slice_str(create->name);
    topic.num_partitions = (int32_t)create->partitions;
    topic.replication_factor = (int16_t)create->replication;
    for (int i = 0; i < create->configs.count; i++) {
        kafka_structure_defaults(&kafka_create_topics_request_creatable_topic_config_type, &configs[i]);
        enum cli_exit code = config_split(create->configs.items[i], &configs[i].name, &configs[i].value);
        if (code != CLI_DONE)
            return code;
    }
    topic.configs = configs;
    topic.configs_count = create->configs.count;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = (int32_t)create->options.timeout_s * 1000;
    for (;;) {
        const struct kafka_create_topics_response *response;
        const void *body;
        enum cli_exit code = admin_call(admin, ADMIN_ANY_NODE, KAFKA_API_CREATE_TOPICS, -1, &request, &body);
        if (code != CLI_DONE)
            return code;
        response = body;
        if (response->topics_count != 1)
            return cli_fail(CLI_FAILED, "the broker answered for %d topics", response->topics_count);
        if (!admin_again(admin, response->topics[0].error_code))
            return create_result(create, &response->topics[0]);
    }
}

static enum cli_exit topic_create(int argc, char **argv)
{
    struct topic_create create = {.partitions = -1, .replication = -1};
    const struct cli_arg args[] = {
        {"--partitions|-p", CLI_INT, &create.partitions, 1, 1000000, "N",
         "partitions (the broker's default)"},
        {"--replication-factor|-r", CLI_INT, &create.replication, 1, 32767, "N",
         "replicas (the broker's default)"},
        {"--config|-c", CLI_MANY, &create.configs, 0, 0, "KEY=VALUE", "topic parameter (repeatable)"},
        {"--if-not-exists", CLI_FLAG, &create.absent_only, 0, 0, NULL, "no error when it is there"}};
    const struct admin_command command = {.line = "topic create NAME [options]",
                                          .help = "Creates a topic.",
                                          .args = args,
                                          .count = sizeof args / sizeof *args,
                                          .positional_min = 1,
                                          .positional_max = 1,
                                          .run = create_run,
                                          .options = &create.options,
                                          .context = &create};
    return admin_command(&command, argc, argv);
}

// ---- list, describe ----

struct topic_list {
    struct admin_options options;
    bool internal;
};

static enum cli_exit list_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    static const char *const columns[] = {"topic", "partitions", "replication_factor", "internal"};
    const struct topic_list *list = context;
    const struct kafka_metadata_response *response;
    enum cli_exit code = admin_metadata(admin, NULL, 0, &response);
    if (code != CLI_DONE)
        return code;
    struct table *table = table_new(columns, 4);
    for (int i = 0; i < response->topics_count; i++) {
        const struct kafka_metadata_response_metadata_response_topic *topic = &response->topics[i];
        if (topic->is_internal && !list->internal)
            continue;
        table_text(table, topic->name);
        table_number(table, topic->partitions_count);
        table_number(table, topic->partitions_count > 0 ? topic->partitions[0].replica_nodes_count : 0);
        table_bool(table, topic->is_internal);
    }
    table_print(&table, list->options.json, "no topics");
    return CLI_DONE;
}

static enum cli_exit topic_list(int argc, char **argv)
{
    struct topic_list list = {0};
    const struct cli_arg args[] = {
        {"--internal", CLI_FLAG, &list.internal, 0, 0, NULL, "internal topics too"}};
    const struct admin_command command = {.line = "topic list [options]",
                                          .help = "Lists topics.",
                                          .args = args,
                                          .count = sizeof args / sizeof *args,
                                          .run = list_run,
                                          .options = &list.options,
                                          .context = &list};
    return admin_command(&command, argc, argv);
}

static int by_partition(const void *a, const void *b)
{
    const struct kafka_metadata_response_metadata_response_partition *left = a, *right = b;
    return left->partition_index < right->partition_index   ? -1
           : left->partition_index > right->partition_index ? 1
                                                            : 0;
}

static void topic_rows(struct table *table,
                       const struct kafka_metadata_response_metadata_response_topic *topic)
{
    qsort(topic->partitions, (size_t)topic->partitions_count, sizeof *topic->partitions, by_partition);
    for (int p = 0; p < topic->partitions_count; p++) {
        const struct kafka_metadata_response_metadata_response_partition *partition = &topic->partitions[p];
        table_text(table, topic->name);
        table_number(table, partition->partition_index);
        table_number(table, partition->leader_id);
        table_number(table, partition->leader_epoch);
        table_nodes(table, partition->replica_nodes, partition->replica_nodes_count);
        table_nodes(table, partition->isr_nodes, partition->isr_nodes_count);
        table_text(table, partition->error_code == 0 ? slice_str("ok")
                                                     : slice_str(kafka_error_name(partition->error_code)));
    }
}

static enum cli_exit describe_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    static const char *const columns[] = {"topic",    "partition", "leader", "leader_epoch",
                                          "replicas", "isr",       "state"};
    const struct admin_options *options = context;
    const struct kafka_metadata_response *response;
    struct slice names[CLI_MANY_MAX];
    for (int i = 0; i < positional->count; i++)
        names[i] = slice_str(positional->items[i]);
    enum cli_exit code =
        admin_metadata(admin, positional->count > 0 ? names : NULL, positional->count, &response);
    struct table *table = table_new(columns, 7);
    for (int i = 0; code == CLI_DONE && i < response->topics_count; i++) {
        const struct kafka_metadata_response_metadata_response_topic *topic = &response->topics[i];
        if (topic->error_code != 0 && topic->partitions_count <= 0)
            code = admin_refused("topic", topic->name, topic->error_code, slice_of(NULL, 0));
        else
            topic_rows(table, topic);
    }
    table_print(&table, options->json, code == CLI_DONE ? "no topics" : NULL);
    return code;
}

static enum cli_exit topic_describe(int argc, char **argv)
{
    struct admin_options options = {0};
    const struct admin_command command = {
        .line = "topic describe [NAME...] [options]",
        .help = "Shows partitions, leaders and replicas; without NAME of all topics.",
        .positional_max = CLI_MANY_MAX,
        .run = describe_run,
        .options = &options,
        .context = &options};
    return admin_command(&command, argc, argv);
}

// ---- alter, delete ----

static enum cli_exit partitions_raise(struct admin *admin, const char *name, int64_t count)
{
    struct kafka_create_partitions_request request;
    struct kafka_create_partitions_request_create_partitions_topic topic;
    kafka_defaults(&kafka_create_partitions_request_message, &request);
    kafka_structure_defaults(&kafka_create_partitions_request_create_partitions_topic_type, &topic);
    topic.name = slice_str(name);
    topic.count = (int32_t)count;
    topic.assignments = NULL;
    topic.assignments_count = -1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 30000;
    for (;;) {
        const struct kafka_create_partitions_response *response;
        const void *body;
        enum cli_exit code =
            admin_call(admin, ADMIN_ANY_NODE, KAFKA_API_CREATE_PARTITIONS, -1, &request, &body);
        if (code != CLI_DONE)
            return code;
        response = body;
        if (response->results_count != 1)
            return cli_fail(CLI_FAILED, "the broker answered for %d topics", response->results_count);
        int16_t error = response->results[0].error_code;
        if (admin_again(admin, error))
            continue;
        return error == 0 ? CLI_DONE
                          : admin_refused("topic", topic.name, error, response->results[0].error_message);
    }
}

struct topic_alter {
    struct admin_options options;
    int64_t partitions; // 0: as many as there are
    struct cli_many sets, removes;
};

static enum cli_exit alter_check(const struct cli_many *positional, void *context)
{
    const struct topic_alter *alter = context;
    if (alter->partitions == 0 && alter->sets.count + alter->removes.count == 0)
        return cli_fail(CLI_USAGE, "nothing to change: --partitions, --config or --delete-config");
    return CLI_DONE;
}

static enum cli_exit alter_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    const struct topic_alter *alter = context;
    struct config_target target = {.type = CONFIG_TARGET_TOPIC, .name = positional->items[0]};
    enum cli_exit code = CLI_DONE;
    if (alter->sets.count + alter->removes.count > 0)
        code = config_alter(admin, &target, &alter->sets, &alter->removes);
    if (code == CLI_DONE && alter->partitions > 0)
        code = partitions_raise(admin, target.name, alter->partitions);
    if (code == CLI_DONE)
        printf(alter->options.json ? "{\"altered\":true}\n" : "altered\n");
    return code;
}

static enum cli_exit topic_alter(int argc, char **argv)
{
    struct topic_alter alter = {0};
    const struct cli_arg args[] = {
        {"--partitions|-p", CLI_INT, &alter.partitions, 1, 1000000, "N",
         "raise the number of partitions to N"},
        {"--config|-c", CLI_MANY, &alter.sets, 0, 0, "KEY=VALUE", "set a topic parameter (repeatable)"},
        {"--delete-config", CLI_MANY, &alter.removes, 0, 0, "KEY", "back to the default (repeatable)"}};
    const struct admin_command command = {.line = "topic alter NAME [options]",
                                          .help = "Changes a topic.",
                                          .args = args,
                                          .count = sizeof args / sizeof *args,
                                          .positional_min = 1,
                                          .positional_max = 1,
                                          .check = alter_check,
                                          .run = alter_run,
                                          .options = &alter.options,
                                          .context = &alter};
    return admin_command(&command, argc, argv);
}

static enum cli_exit delete_one(struct admin *admin, const char *name)
{
    struct kafka_delete_topics_request request;
    struct kafka_delete_topics_request_delete_topic_state state;
    struct slice text = slice_str(name);
    kafka_defaults(&kafka_delete_topics_request_message, &request);
    kafka_structure_defaults(&kafka_delete_topics_request_delete_topic_state_type, &state);
    state.name = text;
    if (admin_version(admin, ADMIN_ANY_NODE, KAFKA_API_DELETE_TOPICS, -1) >= 6) {
        request.topics = &state;
        request.topics_count = 1;
    } else {
        request.topic_names = &text;
        request.topic_names_count = 1;
    }
    request.timeout_ms = 30000;
    for (;;) {
        const struct kafka_delete_topics_response *response;
        const void *body;
        enum cli_exit code = admin_call(admin, ADMIN_ANY_NODE, KAFKA_API_DELETE_TOPICS, -1, &request, &body);
        if (code != CLI_DONE)
            return code;
        response = body;
        if (response->responses_count != 1)
            return cli_fail(CLI_FAILED, "the broker answered for %d topics", response->responses_count);
        int16_t error = response->responses[0].error_code;
        bool passing = error != KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION; // here it means: there is none
        if (passing && admin_again(admin, error))
            continue;
        return error == 0 ? CLI_DONE
                          : admin_refused("topic", text, error, response->responses[0].error_message);
    }
}

static enum cli_exit delete_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    return admin_delete_each(admin, positional, context, delete_one);
}

static enum cli_exit topic_delete(int argc, char **argv)
{
    struct admin_options options = {0};
    const struct admin_command command = {.line = "topic delete NAME... [options]",
                                          .help = "Deletes topics with all their records.",
                                          .positional_min = 1,
                                          .positional_max = CLI_MANY_MAX,
                                          .run = delete_run,
                                          .options = &options,
                                          .context = &options};
    return admin_command(&command, argc, argv);
}

enum cli_exit cmd_topic(int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"create", topic_create, "create a topic"},
        {"list", topic_list, "list topics"},
        {"describe", topic_describe, "show partitions and replicas"},
        {"alter", topic_alter, "add partitions, change parameters"},
        {"reassign", topic_reassign, "move partitions to other nodes"},
        {"reassignments", topic_reassignments, "show what is being moved"},
        {"elect", topic_elect, "leadership to the preferred replicas"},
        {"delete", topic_delete, "delete topics"},
        {"delete-records", topic_delete_records, "delete the oldest records"}};
    return cli_dispatch("millrace topic", commands, sizeof commands / sizeof *commands, argc, argv);
}
