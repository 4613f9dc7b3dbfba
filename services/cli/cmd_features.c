// SPDX-License-Identifier: Apache-2.0
// millrace features describe: levels of cluster-wide features (KIP-584), as ApiVersions tells them.
#include "admin.h"
#include "commands.h"
#include "table.h"

#include "kafka/messages/api_versions.h"

enum { VERSION_FEATURES = 3 };

typedef struct kafka_api_versions_response answer_t;

static int32_t level_of(const answer_t *answer, struct slice name)
{
    for (int32_t i = 0; i < answer->finalized_features_count; i++)
        if (slice_equal(answer->finalized_features[i].name, name))
            return answer->finalized_features[i].max_version_level;
    return 0; // KIP-584: not finalized is level 0
}

static enum cli_exit describe_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    static const char *const columns[] = {"feature", "supported_min", "supported_max", "finalized"};
    const struct admin_options *options = context;
    struct kafka_api_versions_request request;
    const void *body;
    kafka_defaults(&kafka_api_versions_request_message, &request);
    request.client_software_name = slice_str("millrace");
    request.client_software_version = slice_str(MILLRACE_VERSION);
    if (admin_version(admin, ADMIN_ANY_NODE, KAFKA_API_API_VERSIONS, -1) < VERSION_FEATURES)
        return cli_fail(CLI_FAILED, "the broker tells no features (it is older than Kafka 2.4)");
    enum cli_exit code = admin_call(admin, ADMIN_ANY_NODE, KAFKA_API_API_VERSIONS, -1, &request, &body);
    if (code != CLI_DONE)
        return code;
    const answer_t *answer = body;
    if (answer->error_code != 0)
        return admin_refused("features", slice_str(""), answer->error_code, slice_of(NULL, 0));
    struct table *table = table_new(columns, 4);
    for (int32_t i = 0; i < answer->supported_features_count; i++) {
        table_text(table, answer->supported_features[i].name);
        table_number(table, answer->supported_features[i].min_version);
        table_number(table, answer->supported_features[i].max_version);
        table_number(table, level_of(answer, answer->supported_features[i].name));
    }
    table_print(&table, options->json, "no features");
    return CLI_DONE;
}

static enum cli_exit describe(int argc, char **argv)
{
    struct admin_options options = {0};
    const struct admin_command command = {
        .line = "features describe [options]",
        .help = "Shows the levels of features that the brokers support and use.",
        .run = describe_run,
        .options = &options,
        .context = &options};
    return admin_command(&command, argc, argv);
}

enum cli_exit cmd_features(int argc, char **argv)
{
    static const struct cli_command commands[] = {{"describe", describe, "levels supported and in use"}};
    return cli_dispatch("millrace features", commands, sizeof commands / sizeof *commands, argc, argv);
}
