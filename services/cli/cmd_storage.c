// SPDX-License-Identifier: Apache-2.0
// millrace storage: a data directory without its daemon. recover: what was left by a crash becomes a
// directory that Apache Kafka, too, could start on. adopt: partition directories of a stopped Apache Kafka
// broker become a stopped node's; when the node starts it tells the cluster of their topics. release: the way
// back.
#include "adoption.h"
#include "commands.h"
#include "table.h"

#include "io/env_posix.h"
#include "log/set.h"

#include <stdio.h>
#include <string.h>

struct closing {
    bool done;
    enum status status;
};

static void storage_on_closed(enum status status, void *context)
{
    struct closing *closing = context;
    *closing = (struct closing){.done = true, .status = status};
}

static enum status close_set(struct env *env, struct log_set *set)
{
    struct closing closing = {0};
    log_set_close(set, storage_on_closed, &closing);
    while (!closing.done)
        env_posix_turn(env, -1);
    return closing.status;
}

static void row_print(struct table *table, const struct log *log)
{
    const char *state = log_lost(log)              ? "lost"
                        : log_status(log) != ST_OK ? status_name(log_status(log))
                                                   : "whole";
    table_text(table, slice_str(log_name(log)));
    table_number(table, log_start(log));
    table_number(table, log_end(log));
    table_number(table, log_size(log));
    table_text(table, slice_str(state));
}

// Recovers as a node does at start and closes cleanly. table: gets a row per partition; NULL: none.
static enum cli_exit recover(struct env *env, const char *path, struct table *table)
{
    struct log_set_config config = log_set_config_default();
    struct log_set *set;
    bool whole = true;
    config.free_bytes_min = 0;
    enum status status = log_set_open(env, path, &config, &set);
    if (status != ST_OK)
        return cli_fail(CLI_FAILED, "%s: %s", path,
                        status == ST_AGAIN ? "in use by another process" : status_text(status));
    for (struct log *log = log_set_next(set, NULL); log != NULL; log = log_set_next(set, log)) {
        whole = whole && !log_lost(log) && log_status(log) == ST_OK;
        if (table != NULL)
            row_print(table, log);
    }
    status = close_set(env, set);
    if (status != ST_OK)
        return cli_fail(CLI_FAILED, "%s: %s", path, status_text(status));
    return whole ? CLI_DONE : CLI_FAILED;
}

static enum cli_exit storage_recover(int argc, char **argv)
{
    static const char *const columns[] = {"partition", "start", "end", "bytes", "state"};
    bool json = false;
    const struct cli_arg args[] = {{"--json", CLI_FLAG, &json, 0, 0, NULL, "print the result as JSON"}};
    const struct cli_usage usage = {
        .line = "storage recover DIR [--json]",
        .help =
            "Replays the journal of a stopped node's data directory and leaves it as a clean stop would:\n"
            "a directory in Apache Kafka's format. Fails when a partition does not have all that was "
            "durable.",
        .args = args,
        .count = sizeof args / sizeof *args,
        .positional_min = 1,
        .positional_max = 1};
    struct cli_many positional = {0};
    struct env *env;
    enum cli_exit code;
    if (!cli_args(&usage, argc, argv, &positional, &code))
        return code;
    enum status status = env_posix_new("millrace", 1, &env);
    if (status != ST_OK)
        return cli_fail(CLI_FAILED, "cannot start: %s", status_text(status));
    env->diag.level = DIAG_WARN;
    struct table *table = table_new(columns, 5);
    code = recover(env, positional.items[0], table);
    table_print(&table, json, "no partitions");
    env_posix_destroy(&env);
    return code;
}

// The topics' configuration stays behind in Kafka's metadata. Without it the default retention would begin to
// delete as soon as the node runs.
static bool keep_everything(struct cli_many *configs)
{
    static const char *const defaults[] = {"retention.ms=-1", "retention.bytes=-1"};
    for (size_t i = 0; i < 2; i++) {
        size_t len = strcspn(defaults[i], "=") + 1;
        bool given = false;
        for (int k = 0; k < configs->count; k++)
            given = given || strncmp(configs->items[k], defaults[i], len) == 0;
        if (!given && configs->count == CLI_MANY_MAX)
            return false;
        if (!given)
            configs->items[configs->count++] = defaults[i];
    }
    return true;
}

// The node's directory is made clean first, also of what its journal holds; then the copies.
static enum cli_exit run_adoption(struct adoption_options *options, bool json)
{
    struct env *env;
    enum status status = env_posix_new("millrace", 1, &env);
    if (status != ST_OK)
        return cli_fail(CLI_FAILED, "cannot start: %s", status_text(status));
    env->diag.level = DIAG_WARN;
    enum cli_exit code = recover(env, options->way == LOG_ADOPT ? options->to : options->from, NULL);
    if (code == CLI_DONE)
        code = adoption_run(env, options, json);
    env_posix_destroy(&env);
    return code;
}

// What adopt and release read alike: DIR, then where the partitions go. why: an option says that.
static enum cli_exit adoption_command(const struct cli_usage *usage, int argc, char **argv,
                                      struct adoption_options *options, const bool *json, const char *why)
{
    struct cli_many positional = {0};
    enum cli_exit code;
    if (!cli_args(usage, argc, argv, &positional, &code))
        return code;
    if (options->to == NULL)
        return cli_fail(CLI_USAGE, "%s", why);
    if (options->way == LOG_ADOPT && !keep_everything(&options->configs))
        return cli_fail(CLI_USAGE, "too many --config");
    options->from = positional.items[0];
    return run_adoption(options, *json);
}

static enum cli_exit storage_adopt(int argc, char **argv)
{
    struct adoption_options options = {.way = LOG_ADOPT};
    bool json = false;
    const struct cli_arg args[] = {
        {"--data|-d", CLI_TEXT, &options.to, 0, 0, "DIR", "the stopped node's data directory (log.dirs)"},
        {"--topic|-t", CLI_MANY, &options.topics, 0, 0, "NAME", "only this topic; may be repeated"},
        {"--config|-c", CLI_MANY, &options.configs, 0, 0, "KEY=VALUE", "a parameter the topics get"},
        {"--json", CLI_FLAG, &json, 0, 0, NULL, "print the result as JSON"}};
    const struct cli_usage usage = {
        .line = "storage adopt DIR --data DIR [--topic NAME]... [--config KEY=VALUE]...",
        .help = "Copies the partitions in DIR, a log directory of a stopped Apache Kafka 4 broker, into\n"
                "the data directory of a stopped storage node, every checksum verified: all or none.\n"
                "When the node starts, the cluster gets the topics with their ids, records, offsets,\n"
                "epochs and producers' sequences. All partitions of a topic must be in DIR; Kafka's\n"
                "internal topics are left out. Nothing is deleted by time or size (retention.ms=-1,\n"
                "retention.bytes=-1) until --config or `millrace config set` says so.",
        .args = args,
        .count = sizeof args / sizeof *args,
        .positional_min = 1,
        .positional_max = 1};
    return adoption_command(&usage, argc, argv, &options, &json,
                            "--data says which node gets the partitions");
}

static enum cli_exit storage_release(int argc, char **argv)
{
    struct adoption_options options = {.way = LOG_RELEASE};
    bool json = false;
    const struct cli_arg args[] = {
        {"--to", CLI_TEXT, &options.to, 0, 0, "DIR", "the stopped broker's log directory (log.dirs)"},
        {"--topic|-t", CLI_MANY, &options.topics, 0, 0, "NAME", "only this topic; may be repeated"},
        {"--json", CLI_FLAG, &json, 0, 0, NULL, "print the result as JSON"}};
    const struct cli_usage usage = {
        .line = "storage release DIR --to DIR [--topic NAME]...",
        .help = "The way back of `storage adopt`: copies the partitions in DIR, the data directory of a\n"
                "stopped storage node, into a log directory of a cleanly stopped Apache Kafka 4 broker,\n"
                "every checksum verified: all or none. They take the places of the broker's partitions\n"
                "of the same names: those they were adopted from, or empty ones, of a topic created\n"
                "there for them. The broker must have come to leader epochs as high as those of the\n"
                "records; each start and stop of it raises them. Then start it.",
        .args = args,
        .count = sizeof args / sizeof *args,
        .positional_min = 1,
        .positional_max = 1};
    return adoption_command(&usage, argc, argv, &options, &json,
                            "--to says which broker gets the partitions");
}

enum cli_exit cmd_storage(int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"adopt", storage_adopt, "take over partitions of a stopped Apache Kafka broker"},
        {"recover", storage_recover, "make a clean directory of what a crash has left"},
        {"release", storage_release, "give partitions to a stopped Apache Kafka broker"}};
    return cli_dispatch("millrace storage", commands, sizeof commands / sizeof *commands, argc, argv);
}
