// SPDX-License-Identifier: Apache-2.0
// millrace topic reassign|reassignments|elect. See reassign.h.
#include "reassign.h"

#include "admin.h"
#include "table.h"

#include "kafka/errors.h"
#include "kafka/messages/alter_partition_reassignments.h"
#include "kafka/messages/elect_leaders.h"
#include "kafka/messages/list_partition_reassignments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES_MAX = 64, TEXT_MAX = 256 };

typedef struct kafka_alter_partition_reassignments_request_reassignable_partition wanted_partition;

// What reassign and elect are told.
struct order {
    struct admin_options options;
    const char *topic;
    struct cli_many partitions; // none: all
    const char *replicas;
    bool cancel, unclean;
};

static enum cli_exit number_of(const char *text, int32_t *number)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < 0 || value > INT32_MAX)
        return cli_fail(CLI_USAGE, "'%s' is not a number", text);
    *number = (int32_t)value;
    return CLI_DONE;
}

static enum cli_exit nodes_of(const char *text, int32_t nodes[NODES_MAX], int32_t *count)
{
    char copy[TEXT_MAX * 4], *rest = NULL;
    enum cli_exit code = strlen(text) < sizeof copy ? CLI_DONE : cli_fail(CLI_USAGE, "--replicas: too long");
    *count = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *item = strtok_r(copy, ",", &rest); item != NULL && code == CLI_DONE;
         item = strtok_r(NULL, ",", &rest)) {
        if (*count == NODES_MAX)
            return cli_fail(CLI_USAGE, "--replicas: more than %d", NODES_MAX);
        code = number_of(item, &nodes[(*count)++]);
    }
    return code;
}

// The partitions meant, in the admin's arena.
static enum cli_exit partitions_of(struct admin *admin, const struct order *order, int32_t **indexes,
                                   int32_t *count)
{
    struct slice name = slice_str(order->topic);
    const struct kafka_metadata_response *metadata;
    enum cli_exit code = admin_metadata(admin, &name, 1, &metadata);
    if (code != CLI_DONE)
        return code;
    if (metadata->topics_count != 1 || metadata->topics[0].error_code != 0)
        return admin_refused("topic", name, metadata->topics_count == 1 ? metadata->topics[0].error_code : 0,
                             slice_of(NULL, 0));
    *count = order->partitions.count > 0 ? order->partitions.count : metadata->topics[0].partitions_count;
    *indexes = arena_calloc(admin_arena(admin), (size_t)*count + 1, sizeof **indexes);
    for (int32_t i = 0; i < *count && code == CLI_DONE; i++) {
        (*indexes)[i] = metadata->topics[0].partitions[order->partitions.count > 0 ? 0 : i].partition_index;
        if (order->partitions.count > 0)
            code = number_of(order->partitions.items[i], &(*indexes)[i]);
    }
    return code;
}

// ---- reassign ----

static enum cli_exit result_of(const struct kafka_alter_partition_reassignments_response *response,
                               const struct order *order)
{
    if (response->error_code != 0)
        return admin_refused("topic", slice_str(order->topic), response->error_code, response->error_message);
    enum cli_exit code = CLI_DONE;
    for (int32_t i = 0; response->responses_count == 1 && i < response->responses[0].partitions_count; i++) {
        char name[TEXT_MAX + 16];
        snprintf(name, sizeof name, "%.250s-%d", order->topic,
                 response->responses[0].partitions[i].partition_index);
        if (response->responses[0].partitions[i].error_code != 0)
            code =
                admin_refused("partition", slice_str(name), response->responses[0].partitions[i].error_code,
                              response->responses[0].partitions[i].error_message);
    }
    return code;
}

static enum cli_exit reassign_send(struct admin *admin, const struct order *order)
{
    struct kafka_alter_partition_reassignments_request request;
    struct kafka_alter_partition_reassignments_request_reassignable_topic topic;
    int32_t nodes[NODES_MAX], node_count = -1, *indexes, count;
    enum cli_exit code = order->cancel ? CLI_DONE : nodes_of(order->replicas, nodes, &node_count);
    if (code == CLI_DONE)
        code = partitions_of(admin, order, &indexes, &count);
    if (code != CLI_DONE)
        return code;
    wanted_partition *wanted = kafka_structure_array(
        &kafka_alter_partition_reassignments_request_reassignable_partition_type, admin_arena(admin), count);
    for (int32_t i = 0; i < count; i++) {
        wanted[i].partition_index = indexes[i];
        wanted[i].replicas = order->cancel ? NULL : nodes;
        wanted[i].replicas_count = order->cancel ? -1 : node_count;
    }
    kafka_defaults(&kafka_alter_partition_reassignments_request_message, &request);
    kafka_structure_defaults(&kafka_alter_partition_reassignments_request_reassignable_topic_type, &topic);
    topic.name = slice_str(order->topic);
    topic.partitions = wanted;
    topic.partitions_count = count;
    request.topics = &topic;
    request.topics_count = 1;
    const void *body;
    code = admin_call(admin, ADMIN_ANY_NODE, KAFKA_API_ALTER_PARTITION_REASSIGNMENTS, -1, &request, &body);
    return code == CLI_DONE ? result_of(body, order) : code;
}

static enum cli_exit reassign_check(const struct cli_many *positional, void *context)
{
    const struct order *order = context;
    return order->cancel == (order->replicas != NULL) ? cli_fail(CLI_USAGE, "either --replicas or --cancel")
                                                      : CLI_DONE;
}

static enum cli_exit reassign_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    struct order *order = context;
    order->topic = positional->items[0];
    enum cli_exit code = reassign_send(admin, order);
    if (code == CLI_DONE)
        printf(order->options.json ? "{\"reassigned\":true}\n"
               : order->cancel     ? "cancelled\n"
                                   : "reassigning\n");
    return code;
}

enum cli_exit topic_reassign(int argc, char **argv)
{
    struct order order = {0};
    const struct cli_arg args[] = {
        {"--replicas|-r", CLI_TEXT, &order.replicas, 0, 0, "ID,...",
         "nodes that are to have the partitions; the first leads"},
        {"--partition|-p", CLI_MANY, &order.partitions, 0, 0, "N", "only this one (repeatable)"},
        {"--cancel", CLI_FLAG, &order.cancel, 0, 0, NULL, "back to the replicas from before"}};
    const struct admin_command command = {
        .line = "topic reassign NAME (--replicas ID,... | --cancel) [options]",
        .help = "Moves partitions to other nodes; 'topic reassignments' shows what still moves.",
        .args = args,
        .count = sizeof args / sizeof *args,
        .positional_min = 1,
        .positional_max = 1,
        .check = reassign_check,
        .run = reassign_run,
        .options = &order.options,
        .context = &order};
    return admin_command(&command, argc, argv);
}

// ---- reassignments ----

static void moving_print(const struct kafka_list_partition_reassignments_response *response, bool json)
{
    static const char *const columns[] = {"topic", "partition", "replicas", "adding", "removing"};
    struct table *table = table_new(columns, 5);
    for (int32_t t = 0; t < response->topics_count; t++)
        for (int32_t p = 0; p < response->topics[t].partitions_count; p++) {
            const struct kafka_list_partition_reassignments_response_ongoing_partition_reassignment
                *partition = &response->topics[t].partitions[p];
            table_text(table, response->topics[t].name);
            table_number(table, partition->partition_index);
            table_nodes(table, partition->replicas, partition->replicas_count);
            table_nodes(table, partition->adding_replicas, partition->adding_replicas_count);
            table_nodes(table, partition->removing_replicas, partition->removing_replicas_count);
        }
    table_print(&table, json, "nothing moves");
}

static enum cli_exit moving_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    const struct admin_options *options = context;
    struct kafka_list_partition_reassignments_request request;
    const void *body;
    kafka_defaults(&kafka_list_partition_reassignments_request_message, &request);
    enum cli_exit code =
        admin_call(admin, ADMIN_ANY_NODE, KAFKA_API_LIST_PARTITION_REASSIGNMENTS, -1, &request, &body);
    if (code != CLI_DONE)
        return code;
    const struct kafka_list_partition_reassignments_response *response = body;
    if (response->error_code != 0)
        return admin_refused("cluster", slice_str(""), response->error_code, response->error_message);
    moving_print(response, options->json);
    return CLI_DONE;
}

enum cli_exit topic_reassignments(int argc, char **argv)
{
    struct admin_options options = {0};
    const struct admin_command command = {.line = "topic reassignments [options]",
                                          .help = "Shows the partitions that are being moved, by whomever.",
                                          .run = moving_run,
                                          .options = &options,
                                          .context = &options};
    return admin_command(&command, argc, argv);
}

// ---- elect ----

static void elected_print(const struct kafka_elect_leaders_response *response, bool json)
{
    static const char *const columns[] = {"topic", "partition", "result"};
    struct table *table = table_new(columns, 3);
    for (int32_t t = 0; t < response->replica_election_results_count; t++)
        for (int32_t p = 0; p < response->replica_election_results[t].partition_result_count; p++) {
            const struct kafka_elect_leaders_response_partition_result *result =
                &response->replica_election_results[t].partition_result[p];
            table_text(table, response->replica_election_results[t].topic);
            table_number(table, result->partition_id);
            table_text(table,
                       slice_str(result->error_code == 0 ? "elected" : kafka_error_name(result->error_code)));
        }
    table_print(&table, json, "no election was needed");
}

static enum cli_exit elect_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    struct order *order = context;
    struct kafka_elect_leaders_request request;
    struct kafka_elect_leaders_request_topic_partitions topic;
    const void *body;
    order->topic = positional->items[0];
    kafka_defaults(&kafka_elect_leaders_request_message, &request);
    kafka_structure_defaults(&kafka_elect_leaders_request_topic_partitions_type, &topic);
    enum cli_exit code = partitions_of(admin, order, &topic.partitions, &topic.partitions_count);
    if (code != CLI_DONE)
        return code;
    topic.topic = slice_str(order->topic);
    request.election_type = order->unclean;
    request.topic_partitions = &topic;
    request.topic_partitions_count = 1;
    code = admin_call(admin, ADMIN_ANY_NODE, KAFKA_API_ELECT_LEADERS, -1, &request, &body);
    if (code != CLI_DONE)
        return code;
    const struct kafka_elect_leaders_response *response = body;
    if (response->error_code != 0)
        return admin_refused("topic", topic.topic, response->error_code, slice_of(NULL, 0));
    elected_print(response, order->options.json);
    return CLI_DONE;
}

enum cli_exit topic_elect(int argc, char **argv)
{
    struct order order = {0};
    const struct cli_arg args[] = {
        {"--partition|-p", CLI_MANY, &order.partitions, 0, 0, "N", "only this one (repeatable)"},
        {"--unclean", CLI_FLAG, &order.unclean, 0, 0, NULL,
         "a leader for those without one, although records may be lost"}};
    const struct admin_command command = {.line = "topic elect NAME [options]",
                                          .help = "Moves leadership to the preferred replicas.",
                                          .args = args,
                                          .count = sizeof args / sizeof *args,
                                          .positional_min = 1,
                                          .positional_max = 1,
                                          .run = elect_run,
                                          .options = &order.options,
                                          .context = &order};
    return admin_command(&command, argc, argv);
}
