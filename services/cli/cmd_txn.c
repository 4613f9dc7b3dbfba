// SPDX-License-Identifier: Apache-2.0
// millrace txn list|describe|abort
#include "admin.h"
#include "commands.h"
#include "table.h"
#include "txn_abort.h"

#include "kafka/errors.h"
#include "kafka/messages/describe_transactions.h"
#include "kafka/messages/list_transactions.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct kafka_describe_transactions_response_transaction_state txn_info;

// ---- list ----

enum { VERSION_PATTERN = 2 };

struct list_options {
    struct admin_options admin;
    struct cli_many states;
    int64_t producer_id, longer_ms; // -1: any
    const char *pattern;            // NULL: any
};

static void put_filters(struct admin *admin, const struct list_options *options,
                        struct kafka_list_transactions_request *request)
{
    kafka_defaults(&kafka_list_transactions_request_message, request);
    request->state_filters = arena_alloc(admin_arena(admin), sizeof(struct slice) * CLI_MANY_MAX);
    for (int i = 0; request->state_filters != NULL && i < options->states.count; i++)
        request->state_filters[request->state_filters_count++] = slice_str(options->states.items[i]);
    request->producer_id_filters = arena_alloc(admin_arena(admin), sizeof(int64_t));
    if (request->producer_id_filters != NULL && options->producer_id >= 0)
        request->producer_id_filters[request->producer_id_filters_count++] = options->producer_id;
    request->duration_filter = options->longer_ms;
    if (options->pattern != NULL)
        request->transactional_id_pattern = slice_str(options->pattern);
}

// Every broker tells its own ids.
static enum cli_exit list_rows(struct admin *admin, int32_t node, const struct list_options *options,
                               struct table *table)
{
    struct kafka_list_transactions_request request;
    const struct kafka_list_transactions_response *response;
    const void *body;
    if (options->pattern != NULL &&
        admin_version(admin, node, KAFKA_API_LIST_TRANSACTIONS, -1) < VERSION_PATTERN)
        return cli_fail(CLI_FAILED, "broker %" PRId32 " cannot list by pattern", node);
    put_filters(admin, options, &request);
    do {
        enum cli_exit code = admin_call(admin, node, KAFKA_API_LIST_TRANSACTIONS, -1, &request, &body);
        if (code != CLI_DONE)
            return code;
        response = body;
    } while (admin_again(admin, response->error_code));
    if (response->error_code != 0)
        return admin_refused("transactions of a broker", slice_str(""), response->error_code,
                             slice_of(NULL, 0));
    if (response->unknown_state_filters_count > 0)
        return cli_fail(CLI_USAGE, "there is no state %.*s", (int)response->unknown_state_filters[0].len,
                        (const char *)response->unknown_state_filters[0].data);
    for (int i = 0; i < response->transaction_states_count; i++) {
        table_text(table, response->transaction_states[i].transactional_id);
        table_number(table, response->transaction_states[i].producer_id);
        table_text(table, response->transaction_states[i].transaction_state);
    }
    return CLI_DONE;
}

static enum cli_exit list_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    static const char *const columns[] = {"transactional_id", "producer_id", "state"};
    const struct list_options *options = context;
    const struct kafka_metadata_response *metadata;
    struct table *table = table_new(columns, 3);
    enum cli_exit code = admin_metadata(admin, NULL, 0, &metadata);
    for (int i = 0; code == CLI_DONE && i < metadata->brokers_count; i++)
        code = list_rows(admin, metadata->brokers[i].node_id, options, table);
    if (code == CLI_DONE)
        table_print(&table, options->admin.json, "no transactional ids");
    else
        table_destroy(&table);
    return code;
}

static enum cli_exit txn_list(int argc, char **argv)
{
    struct list_options list = {.producer_id = -1, .longer_ms = -1};
    const struct cli_arg args[] = {
        {"--state|-s", CLI_MANY, &list.states, 0, 0, "STATE",
         "only in this state: Empty, Ongoing, PrepareCommit, ... (several)"},
        {"--producer-id|-p", CLI_INT, &list.producer_id, 0, INT64_MAX, "ID", "only of this producer"},
        {"--pattern|-e", CLI_TEXT, &list.pattern, 0, 0, "REGEX", "only ids that match as a whole (RE2)"},
        {"--longer-than|-l", CLI_INT, &list.longer_ms, 0, INT64_MAX, "MS", "only begun so long ago"}};
    const struct admin_command command = {.line = "txn list [options]",
                                          .help = "Lists transactional ids and the state of their "
                                                  "transactions.",
                                          .args = args,
                                          .count = sizeof args / sizeof *args,
                                          .run = list_run,
                                          .options = &list.admin,
                                          .context = &list};
    return admin_command(&command, argc, argv);
}

// ---- describe ----

static void partitions_print(const txn_info *txn, bool json)
{
    static const char *const columns[] = {"topic", "partition"};
    struct table *table = table_new(columns, 2);
    for (int t = 0; t < txn->topics_count; t++) {
        for (int p = 0; p < txn->topics[t].partitions_count; p++) {
            table_text(table, txn->topics[t].topic);
            table_number(table, txn->topics[t].partitions[p]);
        }
    }
    table_print(&table, json, "no partitions");
}

static void txn_print(const txn_info *txn, int32_t coordinator, bool json)
{
    static const char *const columns[] = {"transactional_id", "state",      "producer_id", "epoch",
                                          "timeout_ms",       "started_ms", "coordinator"};
    struct table *table = table_new(columns, 7);
    table_text(table, txn->transactional_id);
    table_text(table, txn->transaction_state);
    table_number(table, txn->producer_id);
    table_number(table, txn->producer_epoch);
    table_number(table, txn->transaction_timeout_ms);
    if (txn->transaction_start_time_ms >= 0)
        table_number(table, txn->transaction_start_time_ms);
    else
        table_none(table);
    table_number(table, coordinator);
    printf(json ? "{\"transaction\":" : "");
    table_print_object(&table, json);
    printf(json ? ",\"partitions\":" : "\n");
    partitions_print(txn, json);
    printf(json ? "}\n" : "");
}

static enum cli_exit describe_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    const struct admin_options *options = context;
    const txn_info *txn;
    int32_t coordinator;
    enum cli_exit code = txn_ask(admin, positional->items[0], &coordinator, &txn);
    if (code == CLI_DONE)
        txn_print(txn, coordinator, options->json);
    return code;
}

static enum cli_exit txn_describe(int argc, char **argv)
{
    struct admin_options options = {0};
    const struct admin_command command = {.line = "txn describe TRANSACTIONAL-ID [options]",
                                          .help =
                                              "Shows a transactional id's producer, state and partitions.",
                                          .positional_min = 1,
                                          .positional_max = 1,
                                          .run = describe_run,
                                          .options = &options,
                                          .context = &options};
    return admin_command(&command, argc, argv);
}

enum cli_exit cmd_txn(int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"list", txn_list, "list transactional ids"},
        {"describe", txn_describe, "producer, state and partitions of one"},
        {"abort", txn_abort, "end a transaction that its producer does not end"}};
    return cli_dispatch("millrace txn", commands, sizeof commands / sizeof *commands, argc, argv);
}
