// SPDX-License-Identifier: Apache-2.0
// millrace features describe|upgrade|downgrade: levels of cluster-wide features (KIP-584), as ApiVersions
// tells them and UpdateFeatures changes them.
#include "admin.h"
#include "commands.h"
#include "table.h"

#include "kafka/messages/api_versions.h"
#include "kafka/messages/update_features.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

// ---- changing ----

enum upgrade_type { UPGRADE = 1, DOWNGRADE_SAFE = 2, DOWNGRADE_UNSAFE = 3 }; // FeatureUpdate.UpgradeType

struct change {
    struct admin_options options;
    bool dry_run, unsafe, down;
};

typedef struct kafka_update_features_request_feature_update_key update_t;

// NAME=LEVEL.
static bool update_parse(const char *text, update_t *update)
{
    const char *equals = strchr(text, '=');
    char *end;
    long level = equals != NULL ? strtol(equals + 1, &end, 10) : -1;
    if (equals == NULL || equals == text || equals[1] == '\0' || *end != '\0' || level < 0 ||
        level > INT16_MAX)
        return false;
    update->feature = slice_of(text, (size_t)(equals - text));
    update->max_version_level = (int16_t)level;
    return true;
}

static enum cli_exit change_check(const struct cli_many *positional, void *context)
{
    update_t update;
    for (int i = 0; i < positional->count; i++)
        if (!update_parse(positional->items[i], &update))
            return cli_fail(CLI_USAGE, "'%s' is not FEATURE=LEVEL", positional->items[i]);
    return CLI_DONE;
}

// The first refusal: of all (from version 2 on the only one), or of one feature.
static enum cli_exit refusal_of(const struct kafka_update_features_response *response)
{
    if (response->error_code != 0)
        return admin_refused("features", slice_str(""), response->error_code, response->error_message);
    for (int32_t i = 0; i < response->results_count; i++)
        if (response->results[i].error_code != 0)
            return admin_refused("feature", response->results[i].feature, response->results[i].error_code,
                                 response->results[i].error_message);
    return CLI_DONE;
}

static enum cli_exit change_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    const struct change *change = context;
    update_t updates[CLI_MANY_MAX];
    struct kafka_update_features_request request;
    const void *body;
    kafka_defaults(&kafka_update_features_request_message, &request);
    for (int i = 0; i < positional->count; i++) {
        kafka_structure_defaults(&kafka_update_features_request_feature_update_key_type, &updates[i]);
        update_parse(positional->items[i], &updates[i]);
        updates[i].upgrade_type = (int8_t)(!change->down    ? UPGRADE
                                           : change->unsafe ? DOWNGRADE_UNSAFE
                                                            : DOWNGRADE_SAFE);
    }
    request.feature_updates = updates;
    request.feature_updates_count = positional->count;
    request.timeout_ms = (int32_t)change->options.timeout_s * 1000;
    request.validate_only = change->dry_run;
    enum cli_exit code = admin_call(admin, ADMIN_ANY_NODE, KAFKA_API_UPDATE_FEATURES, -1, &request, &body);
    if (code == CLI_DONE)
        code = refusal_of(body);
    if (code == CLI_DONE)
        printf(change->options.json ? "{\"changed\":%s}\n" : "%s\n",
               change->options.json ? (change->dry_run ? "false" : "true")
               : change->dry_run    ? "nothing was changed; it would be taken"
                                    : "changed");
    return code;
}

static enum cli_exit change(int argc, char **argv, struct change change)
{
    const struct cli_arg args[] = {
        {"--dry-run", CLI_FLAG, &change.dry_run, 0, 0, NULL, "only ask whether it would be taken"},
        {"--unsafe", CLI_FLAG, &change.unsafe, 0, 0, NULL, "also where metadata is lost by it"}};
    const struct admin_command command = {
        .line = change.down ? "features downgrade FEATURE=LEVEL... [options]"
                            : "features upgrade FEATURE=LEVEL... [options]",
        .help = change.down ? "Lowers levels of features; 0 switches one off." : "Raises levels of features.",
        .args = args,
        .count = change.down ? 2 : 1,
        .positional_min = 1,
        .positional_max = CLI_MANY_MAX,
        .check = change_check,
        .run = change_run,
        .options = &change.options,
        .context = &change};
    return admin_command(&command, argc, argv);
}

static enum cli_exit upgrade(int argc, char **argv)
{
    return change(argc, argv, (struct change){0});
}

static enum cli_exit downgrade(int argc, char **argv)
{
    return change(argc, argv, (struct change){.down = true});
}

enum cli_exit cmd_features(int argc, char **argv)
{
    static const struct cli_command commands[] = {{"describe", describe, "levels supported and in use"},
                                                  {"upgrade", upgrade, "raise levels"},
                                                  {"downgrade", downgrade, "lower levels"}};
    return cli_dispatch("millrace features", commands, sizeof commands / sizeof *commands, argc, argv);
}
