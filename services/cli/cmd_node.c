// SPDX-License-Identifier: Apache-2.0
// millrace node list|drain|undrain|remove: storage nodes come and go. Draining is the broker parameter
// millrace.node.draining, so that other tools can do it too; removing is Kafka's UnregisterBroker.
#include "commands.h"
#include "configs.h"
#include "table.h"

#include "kafka/messages/describe_cluster.h"
#include "kafka/messages/describe_configs.h"
#include "kafka/messages/unregister_broker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAINING "millrace.node.draining"

typedef struct kafka_describe_cluster_response_describe_cluster_broker broker;
typedef struct kafka_metadata_response_metadata_response_partition partition_view;

// ---- list ----

struct load {
    int64_t replicas, leaders;
};

static void count_partition(const partition_view *partition, int32_t node, struct load *load)
{
    load->leaders += partition->leader_id == node;
    for (int32_t i = 0; i < partition->replica_nodes_count; i++)
        load->replicas += partition->replica_nodes[i] == node;
}

static struct load load_of(const struct kafka_metadata_response *metadata, int32_t node)
{
    struct load load = {0};
    for (int32_t t = 0; t < metadata->topics_count; t++)
        for (int32_t p = 0; p < metadata->topics[t].partitions_count; p++)
            count_partition(&metadata->topics[t].partitions[p], node, &load);
    return load;
}

// What the node itself says; only it can be asked. *value is a NULL slice when it does not know the key, or
// cannot be reached.
static enum cli_exit draining_of(struct admin *admin, int32_t node, struct slice *value)
{
    struct kafka_describe_configs_request request;
    struct kafka_describe_configs_request_describe_configs_resource resource;
    struct slice key = slice_str(DRAINING);
    const void *body;
    char name[16];
    *value = (struct slice){0};
    if (admin_version(admin, node, KAFKA_API_DESCRIBE_CONFIGS, -1) < 0)
        return CLI_DONE; // its process is gone, and nobody has noticed yet
    snprintf(name, sizeof name, "%d", node);
    kafka_defaults(&kafka_describe_configs_request_message, &request);
    kafka_structure_defaults(&kafka_describe_configs_request_describe_configs_resource_type, &resource);
    resource.resource_type = CONFIG_TARGET_BROKER;
    resource.resource_name = slice_str(name);
    resource.configuration_keys = &key;
    resource.configuration_keys_count = 1;
    request.resources = &resource;
    request.resources_count = 1;
    enum cli_exit code = admin_call(admin, node, KAFKA_API_DESCRIBE_CONFIGS, -1, &request, &body);
    const struct kafka_describe_configs_response *response = body;
    if (code == CLI_DONE && response->results_count == 1 && response->results[0].configs_count == 1)
        *value = response->results[0].configs[0].value;
    return code;
}

static enum cli_exit node_row(struct admin *admin, struct table *table, const broker *node,
                              const struct kafka_metadata_response *metadata)
{
    struct slice draining = {0};
    enum cli_exit code = node->is_fenced ? CLI_DONE : draining_of(admin, node->broker_id, &draining);
    if (code != CLI_DONE)
        return code;
    struct load load = load_of(metadata, node->broker_id);
    char address[300];
    snprintf(address, sizeof address, "%.*s:%d", (int)node->host.len, (const char *)node->host.data,
             node->port);
    table_number(table, node->broker_id);
    table_text(table, slice_str(address));
    table_text(table, node->rack);
    table_text(table, slice_str(node->is_fenced ? "down" : "up"));
    if (draining.data != NULL)
        table_bool(table, slice_is(draining, "true"));
    else
        table_none(table); // it cannot be asked
    table_number(table, load.replicas);
    table_number(table, load.leaders);
    return CLI_DONE;
}

static enum cli_exit nodes_print(struct admin *admin, const struct admin_options *options)
{
    static const char *const columns[] = {"node",     "address",  "rack",   "state",
                                          "draining", "replicas", "leaders"};
    struct kafka_describe_cluster_request request;
    const struct kafka_metadata_response *metadata;
    const void *body;
    kafka_defaults(&kafka_describe_cluster_request_message, &request);
    request.include_fenced_brokers =
        admin_version(admin, ADMIN_ANY_NODE, KAFKA_API_DESCRIBE_CLUSTER, -1) >= 2;
    enum cli_exit code = admin_call(admin, ADMIN_ANY_NODE, KAFKA_API_DESCRIBE_CLUSTER, -1, &request, &body);
    if (code == CLI_DONE)
        code = admin_metadata(admin, NULL, 0, &metadata);
    if (code != CLI_DONE)
        return code;
    const struct kafka_describe_cluster_response *response = body;
    struct table *table = table_new(columns, 7);
    for (int32_t i = 0; code == CLI_DONE && i < response->brokers_count; i++)
        code = node_row(admin, table, &response->brokers[i], metadata);
    table_print(&table, options->json, code == CLI_DONE ? "no nodes" : NULL);
    return code;
}

static enum cli_exit list_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    return nodes_print(admin, context);
}

static enum cli_exit node_list(int argc, char **argv)
{
    struct admin_options options = {0};
    const struct admin_command command = {.line = "node list [options]",
                                          .help = "Lists storage nodes and what they hold.",
                                          .run = list_run,
                                          .options = &options,
                                          .context = &options};
    return admin_command(&command, argc, argv);
}

// ---- drain, undrain, remove ----

// A command that names one node.
struct node_change {
    struct admin_options options;
    const char *done; // what is said when it is
    enum cli_exit (*change)(struct admin *admin, const char *id);
};

static enum cli_exit id_check(const struct cli_many *positional, void *context)
{
    const char *text = positional->items[0];
    if (*text == '\0' || strlen(text) > 9 || strspn(text, "0123456789") != strlen(text))
        return cli_fail(CLI_USAGE, "'%s' is not a node id", text);
    return CLI_DONE;
}

static enum cli_exit change_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    const struct node_change *change = context;
    enum cli_exit code = change->change(admin, positional->items[0]);
    if (code == CLI_DONE)
        printf(change->options.json ? "{\"%s\":%s}\n" : "%s %s\n", change->done, positional->items[0]);
    return code;
}

static enum cli_exit node_command(int argc, char **argv, const char *line, const char *help,
                                  struct node_change change)
{
    const struct admin_command command = {.line = line,
                                          .help = help,
                                          .positional_min = 1,
                                          .positional_max = 1,
                                          .check = id_check,
                                          .run = change_run,
                                          .options = &change.options,
                                          .context = &change};
    return admin_command(&command, argc, argv);
}

static enum cli_exit drain(struct admin *admin, const char *id)
{
    const struct config_target target = {.type = CONFIG_TARGET_BROKER, .name = id};
    const struct cli_many sets = {.items = {DRAINING "=true"}, .count = 1}, removes = {0};
    return config_alter(admin, &target, &sets, &removes);
}

static enum cli_exit undrain(struct admin *admin, const char *id)
{
    const struct config_target target = {.type = CONFIG_TARGET_BROKER, .name = id};
    const struct cli_many sets = {0}, removes = {.items = {DRAINING}, .count = 1};
    return config_alter(admin, &target, &sets, &removes);
}

static enum cli_exit unregister(struct admin *admin, const char *id)
{
    struct kafka_unregister_broker_request request;
    kafka_defaults(&kafka_unregister_broker_request_message, &request);
    request.broker_id = (int32_t)strtol(id, NULL, 10);
    for (;;) {
        const void *body;
        enum cli_exit code =
            admin_call(admin, ADMIN_ANY_NODE, KAFKA_API_UNREGISTER_BROKER, -1, &request, &body);
        if (code != CLI_DONE)
            return code;
        const struct kafka_unregister_broker_response *response = body;
        if (admin_again(admin, response->error_code))
            continue;
        return response->error_code == 0
                   ? CLI_DONE
                   : admin_refused("node", slice_str(id), response->error_code, response->error_message);
    }
}

static enum cli_exit node_drain(int argc, char **argv)
{
    return node_command(
        argc, argv, "node drain ID [options]",
        "Empties a storage node: leaderships and replicas move to others, none come. 'node list'\n"
        "shows how far it is; with no other node to take a replica it stays.",
        (struct node_change){.done = "draining", .change = drain});
}

static enum cli_exit node_undrain(int argc, char **argv)
{
    return node_command(argc, argv, "node undrain ID [options]", "A drained node takes replicas again.",
                        (struct node_change){.done = "undrained", .change = undrain});
}

static enum cli_exit node_remove(int argc, char **argv)
{
    return node_command(argc, argv, "node remove ID [options]",
                        "Forgets a storage node that is stopped and holds no replicas (node drain).",
                        (struct node_change){.done = "removed", .change = unregister});
}

enum cli_exit cmd_node(int argc, char **argv)
{
    static const struct cli_command commands[] = {{"list", node_list, "show nodes and what they hold"},
                                                  {"drain", node_drain, "move everything away from a node"},
                                                  {"undrain", node_undrain, "use it again"},
                                                  {"remove", node_remove, "forget a stopped, empty node"}};
    return cli_dispatch("millrace node", commands, sizeof commands / sizeof *commands, argc, argv);
}
