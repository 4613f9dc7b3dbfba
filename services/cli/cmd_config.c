// SPDX-License-Identifier: Apache-2.0
// millrace config list|set|delete: parameters of a topic, a broker, all brokers or a group.
#include "commands.h"
#include "configs.h"
#include "table.h"

#include "kafka/messages/describe_configs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config_command {
    struct admin_options options;
    const char *topic, *broker, *group;
    bool brokers; // the default of all brokers
    bool all;     // defaults too
    struct config_target target;
};

// What the options name.
static enum cli_exit target_check(const struct cli_many *positional, void *context)
{
    struct config_command *command = context;
    struct config_target *target = &command->target;
    int given =
        (command->topic != NULL) + (command->broker != NULL) + (command->group != NULL) + command->brokers;
    if (given != 1)
        return cli_fail(CLI_USAGE, "one of --topic NAME, --broker ID, --brokers, --group NAME");
    if (command->broker != NULL && (strspn(command->broker, "0123456789") != strlen(command->broker) ||
                                    *command->broker == '\0' || strlen(command->broker) > 9))
        return cli_fail(CLI_USAGE, "--broker: '%s' is not a node id", command->broker);
    target->type = command->topic != NULL   ? CONFIG_TARGET_TOPIC
                   : command->group != NULL ? CONFIG_TARGET_GROUP
                                            : CONFIG_TARGET_BROKER;
    target->name = command->topic != NULL    ? command->topic
                   : command->group != NULL  ? command->group
                   : command->broker != NULL ? command->broker
                                             : "";
    return CLI_DONE;
}

#define TARGET_ARGS(command)                                                                                 \
    {"--topic|-t", CLI_TEXT, &(command).topic, 0, 0, "NAME", "of a topic"},                                  \
        {"--broker", CLI_TEXT, &(command).broker, 0, 0, "ID", "of one broker"},                              \
        {"--brokers", CLI_FLAG, &(command).brokers, 0, 0, NULL, "the default of all brokers"},               \
    {                                                                                                        \
        "--group", CLI_TEXT, &(command).group, 0, 0, "NAME", "of a group"                                    \
    }

// Where a value comes from, as Kafka numbers it.
static const char *source_text(int8_t source)
{
    static const char *const names[] = {"unknown", "topic",  "broker",         "brokers", "broker file",
                                        "default", "logger", "client metrics", "group"};
    return source >= 0 && source < (int)(sizeof names / sizeof *names) ? names[source] : "unknown";
}

enum { SOURCE_FILE = 4, SOURCE_DEFAULT = 5 };

static void results_print(const struct config_command *command,
                          const struct kafka_describe_configs_response_describe_configs_result *result)
{
    static const char *const columns[] = {"key", "value", "source", "read_only", "sensitive"};
    struct table *table = table_new(columns, 5);
    for (int i = 0; i < result->configs_count; i++) {
        const struct kafka_describe_configs_response_describe_configs_resource_result *row =
            &result->configs[i];
        bool set = row->config_source != SOURCE_DEFAULT && row->config_source != SOURCE_FILE;
        if (!command->all && !set)
            continue;
        table_text(table, row->name);
        table_text(table, row->is_sensitive ? slice_of(NULL, 0) : row->value);
        table_text(table, slice_str(source_text(row->config_source)));
        table_bool(table, row->read_only);
        table_bool(table, row->is_sensitive);
    }
    table_print(&table, command->options.json, "nothing set; --all shows the defaults");
}

static enum cli_exit list_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    const struct config_command *command = context;
    const struct config_target *target = &command->target;
    struct kafka_describe_configs_request request;
    struct kafka_describe_configs_request_describe_configs_resource resource;
    const struct kafka_metadata_response *brokers;
    kafka_defaults(&kafka_describe_configs_request_message, &request);
    kafka_structure_defaults(&kafka_describe_configs_request_describe_configs_resource_type, &resource);
    resource.resource_type = (int8_t)target->type;
    resource.resource_name = slice_str(target->name);
    resource.configuration_keys = NULL;
    resource.configuration_keys_count = -1;
    request.resources = &resource;
    request.resources_count = 1;
    int32_t node = config_node(target);
    enum cli_exit code = node != ADMIN_ANY_NODE ? admin_metadata(admin, NULL, 0, &brokers) : CLI_DONE;
    while (code == CLI_DONE) {
        const struct kafka_describe_configs_response *response;
        const void *body;
        code = admin_call(admin, node, KAFKA_API_DESCRIBE_CONFIGS, -1, &request, &body);
        if (code != CLI_DONE)
            break;
        response = body;
        if (response->results_count != 1)
            return cli_fail(CLI_FAILED, "the broker answered for %d resources", response->results_count);
        int16_t error = response->results[0].error_code;
        if (admin_again(admin, error))
            continue;
        if (error != 0)
            return admin_refused("parameters of", resource.resource_name, error,
                                 response->results[0].error_message);
        results_print(command, &response->results[0]);
        break;
    }
    return code;
}

static enum cli_exit config_list(int argc, char **argv)
{
    struct config_command command = {0};
    const struct cli_arg args[] = {{"--all|-a", CLI_FLAG, &command.all, 0, 0, NULL, "defaults too"},
                                   TARGET_ARGS(command)};
    const struct admin_command list = {
        .line = "config list (--topic NAME | --broker ID | --brokers | --group NAME)",
        .help = "Shows the parameters that are set.",
        .args = args,
        .count = sizeof args / sizeof *args,
        .check = target_check,
        .run = list_run,
        .options = &command.options,
        .context = &command};
    return admin_command(&list, argc, argv);
}

static enum cli_exit altered(const struct config_command *command, enum cli_exit code)
{
    if (code == CLI_DONE)
        printf(command->options.json ? "{\"altered\":true}\n" : "altered\n");
    return code;
}

static enum cli_exit set_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    const struct config_command *command = context;
    const struct cli_many none = {0};
    return altered(command, config_alter(admin, &command->target, positional, &none));
}

static enum cli_exit delete_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    const struct config_command *command = context;
    const struct cli_many none = {0};
    return altered(command, config_alter(admin, &command->target, &none, positional));
}

static enum cli_exit change(int argc, char **argv, bool set)
{
    struct config_command command = {0};
    const struct cli_arg args[] = {TARGET_ARGS(command)};
    const struct admin_command change = {
        .line = set ? "config set KEY=VALUE... (--topic NAME | --broker ID | --brokers | --group NAME)"
                    : "config delete KEY... (--topic NAME | --broker ID | --brokers | --group NAME)",
        .help = set ? "Sets parameters, all of them or none." : "Takes parameters back to their defaults.",
        .args = args,
        .count = sizeof args / sizeof *args,
        .positional_min = 1,
        .positional_max = CLI_MANY_MAX,
        .check = target_check,
        .run = set ? set_run : delete_run,
        .options = &command.options,
        .context = &command};
    return admin_command(&change, argc, argv);
}

static enum cli_exit config_set_command(int argc, char **argv)
{
    return change(argc, argv, true);
}

static enum cli_exit config_delete(int argc, char **argv)
{
    return change(argc, argv, false);
}

enum cli_exit cmd_config(int argc, char **argv)
{
    static const struct cli_command commands[] = {{"list", config_list, "show parameters"},
                                                  {"set", config_set_command, "set parameters"},
                                                  {"delete", config_delete, "back to the defaults"}};
    return cli_dispatch("millrace config", commands, sizeof commands / sizeof *commands, argc, argv);
}
