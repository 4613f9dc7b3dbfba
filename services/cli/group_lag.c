// SPDX-License-Identifier: Apache-2.0
// millrace group lag: how far groups are behind as their coordinators measure it.
#include "group_lag.h"

#include "base/mem.h"
#include "daemons.h"
#include "table.h"

#include <string.h>

static void put_integer(struct table *table, const cJSON *row, const char *name)
{
    int64_t value = -1;
    if (json_integer(row, name, &value) != ST_OK)
        value = -1;
    table_known(table, value);
}

static void put_time(struct table *table, const cJSON *row, const char *name)
{
    int64_t value = -1;
    if (json_integer(row, name, &value) != ST_OK)
        value = -1;
    table_duration(table, value);
}

static void put_rate(struct table *table, const cJSON *row, const char *name)
{
    const cJSON *value = json_get(row, name);
    table_rate(table, cJSON_IsNumber(value) ? value->valuedouble : -1);
}

static void put_string(struct table *table, const cJSON *row, const char *name)
{
    table_text(table, slice_str(json_string(row, name)));
}

// ---- one group ----

static void put_partition(struct table *table, const cJSON *row, bool shares)
{
    put_string(table, row, "topic");
    put_integer(table, row, "partition");
    put_integer(table, row, "committed");
    put_integer(table, row, "end");
    put_integer(table, row, "lag");
    put_time(table, row, "age_ms");
    put_time(table, row, "drain_ms");
    put_rate(table, row, "commit_rate");
    put_rate(table, row, "produce_rate");
    const char *status = json_string(row, "status");
    bool grows = cJSON_IsTrue(json_get(row, "grows"));
    table_text(table, slice_str(status != NULL && strcmp(status, "OK") != 0 ? status
                                : grows                                     ? "grows"
                                                                            : "ok"));
    if (shares)
        put_integer(table, row, "acquired");
}

static enum cli_exit partitions_print(const struct daemons *daemons, const char *group, bool json)
{
    static const char *const columns[] = {"topic",        "partition", "committed", "end",
                                          "lag",          "age_ms",    "drain_ms",  "commit_rate",
                                          "produce_rate", "state",     "acquired"};
    const struct daemons_thing thing = {
        .role = "coordinator", .what = "group", .before = "/v1/groups/", .name = group, .after = "/lag"};
    cJSON *answer;
    enum cli_exit code = daemons_get_thing(daemons, &thing, &answer);
    if (code != CLI_DONE)
        return code;
    const char *type = json_string(answer, "type");
    bool shares = type != NULL && strcmp(type, "share") == 0;
    struct table *table = table_new(columns, sizeof columns / sizeof *columns - !shares);
    const cJSON *row;
    cJSON_ArrayForEach(row, json_get(answer, "partitions")) put_partition(table, row, shares);
    table_print(&table, json, "no committed offsets");
    cJSON_Delete(answer);
    return CLI_DONE;
}

// ---- all groups ----

static void groups_take(struct table *table, const struct daemon_place *place)
{
    cJSON *answer;
    const cJSON *row;
    int code;
    if (daemons_get(place, "/v1/groups", &answer, &code) == ST_OK && code == 200)
        cJSON_ArrayForEach(row, json_get(answer, "groups"))
        {
            put_string(table, row, "group");
            put_string(table, row, "state");
            put_integer(table, row, "members");
            put_integer(table, row, "lag");
            put_time(table, row, "age_ms");
            put_time(table, row, "drain_ms");
        }
    cJSON_Delete(answer);
}

static void groups_print(const struct daemons *daemons, bool json)
{
    static const char *const columns[] = {"group", "state", "members", "lag", "age_ms", "drain_ms"};
    struct table *table = table_new(columns, sizeof columns / sizeof *columns);
    for (int i = 0; i < daemons->count; i++)
        if (strcmp(daemons->places[i].role, "coordinator") == 0 && daemons->places[i].answers)
            groups_take(table, &daemons->places[i]);
    table_print(&table, json, "no groups");
}

enum cli_exit group_lag(int argc, char **argv)
{
    struct daemons_options options = {0};
    bool json = false;
    const struct cli_arg args[] = {DAEMONS_ARGS(options),
                                   {"--json", CLI_FLAG, &json, 0, 0, NULL, "print the result as JSON"}};
    const struct cli_usage usage = {
        .line = "group lag [GROUP] [options]",
        .help =
            "Shows how far a group is behind in each partition: records, age of the oldest one not read,\n"
            "time to drain at the measured rates; without GROUP the sums of every group. Of a share\n"
            "group committed is the first record that is not over, acquired what members hold.",
        .args = args,
        .count = sizeof args / sizeof *args,
        .positional_max = 1};
    struct cli_many positional = {0};
    struct daemons *daemons;
    enum cli_exit code;
    if (!cli_args(&usage, argc, argv, &positional, &code))
        return code;
    code = daemons_find(&options, &daemons);
    if (code != CLI_DONE)
        return code;
    if (positional.count > 0)
        code = partitions_print(daemons, positional.items[0], json);
    else
        groups_print(daemons, json);
    mem_free(daemons);
    return code;
}
