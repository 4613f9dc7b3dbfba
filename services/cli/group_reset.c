// SPDX-License-Identifier: Apache-2.0
// millrace group reset: where a group without members goes on reading, a share group too. Shows what it would
// do; --execute does it. New positions are kept within what the log still has.
#include "group_reset.h"

#include "admin.h"
#include "group_share.h"
#include "offsets.h"
#include "table.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NOT_GIVEN = INT32_MIN };

struct reset {
    struct admin_options options;
    const char *group, *datetime;
    struct cli_many topics;
    bool all_topics, earliest, latest, execute;
    bool share; // the group is a share group
    int64_t offset, shift;
    int64_t time_ms; // of datetime
};

bool time_parse(const char *text, int64_t *ms)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
    size_t len = strlen(text);
    if (len > 0 && len < 19 && strspn(text, "0123456789") == len) {
        *ms = strtoll(text, NULL, 10);
        return true;
    }
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm utc = {0};
        const char *rest = strptime(text, forms[i], &utc);
        int64_t fraction = 0;
        if (rest == NULL)
            continue;
        if (i == 0 && *rest == '.') {
            int64_t unit = 100;
            for (rest++; isdigit((unsigned char)*rest); rest++, unit /= 10)
                fraction += (*rest - '0') * unit;
        }
        if (*rest == 'Z')
            rest++;
        if (*rest != '\0')
            continue;
        *ms = (int64_t)timegm(&utc) * 1000 + fraction;
        return true;
    }
    return false;
}

static enum cli_exit reset_check(const struct cli_many *positional, void *context)
{
    struct reset *reset = context;
    int ways = reset->earliest + reset->latest + (reset->offset != NOT_GIVEN) + (reset->shift != NOT_GIVEN) +
               (reset->datetime != NULL);
    if (ways != 1)
        return cli_fail(CLI_USAGE,
                        "one of --to-earliest, --to-latest, --to-offset, --to-datetime, --shift-by");
    if (reset->all_topics == (reset->topics.count > 0))
        return cli_fail(CLI_USAGE, "either --topic NAME (repeatable) or --all-topics");
    if (reset->datetime != NULL && !time_parse(reset->datetime, &reset->time_ms))
        return cli_fail(CLI_USAGE,
                        "--to-datetime: '%s' is neither milliseconds nor like 2026-01-31T12:30:00Z",
                        reset->datetime);
    return CLI_DONE;
}

// "name" or "name:0,3": whether the partition was asked for.
static bool partition_named(const char *topic, int32_t partition)
{
    const char *at = strchr(topic, ':');
    if (at == NULL)
        return true;
    while (*at != '\0') {
        char *end;
        long number = strtol(at + 1, &end, 10);
        if (end != at + 1 && number == partition)
            return true;
        at = strchr(at + 1, ',');
        if (at == NULL)
            return false;
    }
    return false;
}

static int64_t committed_of(const struct offset_list *committed, const struct offset_item *item)
{
    for (int i = 0; i < committed->count; i++)
        if (committed->items[i].partition == item->partition &&
            slice_equal(committed->items[i].topic, item->topic))
            return committed->items[i].committed;
    return -1;
}

// The partitions of one --topic, with what the group has committed there.
static enum cli_exit topic_items(struct admin *admin, const char *topic, const struct offset_list *committed,
                                 struct offset_list *list)
{
    char *name = arena_strndup(admin_arena(admin), topic, strcspn(topic, ":"));
    struct offset_list all = {0};
    enum cli_exit code = name != NULL ? offsets_of_topic(admin, name, &all) : CLI_FAILED;
    if (code != CLI_DONE)
        return code;
    struct offset_item *items = arena_calloc(admin_arena(admin), (size_t)all.count + 1, sizeof *items);
    list->items = items;
    list->count = 0;
    for (int i = 0; items != NULL && i < all.count; i++) {
        if (!partition_named(topic, all.items[i].partition))
            continue;
        items[list->count] = all.items[i];
        items[list->count].committed = committed_of(committed, &all.items[i]);
        list->count++;
    }
    return list->count > 0 ? CLI_DONE : cli_fail(CLI_USAGE, "--topic %s: no such partition", topic);
}

static int64_t within(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

// Where each partition goes: asks for the log's bounds and, by time, for the position.
static enum cli_exit positions_find(struct admin *admin, const struct reset *reset, struct offset_list *list)
{
    struct arena *arena = admin_arena(admin);
    int64_t *earliest = arena_calloc(arena, (size_t)list->count + 1, sizeof *earliest);
    int64_t *latest = arena_calloc(arena, (size_t)list->count + 1, sizeof *latest);
    if (earliest == NULL || latest == NULL)
        return cli_fail(CLI_FAILED, "too many partitions");
    enum cli_exit code = offsets_find(admin, list, OFFSETS_EARLIEST);
    for (int i = 0; i < list->count; i++)
        earliest[i] = list->items[i].found;
    if (code == CLI_DONE)
        code = offsets_find(admin, list, OFFSETS_LATEST);
    for (int i = 0; i < list->count; i++)
        latest[i] = list->items[i].found;
    if (code == CLI_DONE && reset->datetime != NULL)
        code = offsets_find(admin, list, reset->time_ms);
    for (int i = 0; code == CLI_DONE && i < list->count; i++) {
        struct offset_item *item = &list->items[i];
        int64_t base = item->committed >= 0 ? item->committed : latest[i];
        if (earliest[i] < 0 || latest[i] < 0)
            return cli_fail(CLI_FAILED, "partition %d of %.*s has no leader now", item->partition,
                            (int)item->topic.len, (const char *)item->topic.data);
        item->wanted = reset->earliest              ? earliest[i]
                       : reset->latest              ? latest[i]
                       : reset->offset != NOT_GIVEN ? reset->offset
                       : reset->shift != NOT_GIVEN  ? base + reset->shift
                       : item->found >= 0           ? item->found
                                                    : latest[i]; // nothing that new: the end
        item->wanted = within(item->wanted, earliest[i], latest[i]);
    }
    return code;
}

static void rows_add(struct table *table, const struct offset_list *list)
{
    for (int i = 0; i < list->count; i++) {
        table_text(table, list->items[i].topic);
        table_number(table, list->items[i].partition);
        if (list->items[i].committed >= 0)
            table_number(table, list->items[i].committed);
        else
            table_none(table);
        table_number(table, list->items[i].wanted);
    }
}

static enum cli_exit reset_list(struct admin *admin, const struct reset *reset, int32_t coordinator,
                                struct offset_list *list, struct table *table)
{
    enum cli_exit code = positions_find(admin, reset, list);
    if (code == CLI_DONE && reset->execute)
        code = reset->share ? group_share_alter(admin, coordinator, reset->group, list)
                            : offsets_commit(admin, coordinator, reset->group, list);
    if (code == CLI_DONE)
        rows_add(table, list);
    return code;
}

static enum cli_exit reset_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    struct reset *reset = context;
    static const char *const columns[] = {"topic", "partition", "before", "after"};
    struct offset_list committed = {0}, list = {0};
    int32_t coordinator;
    reset->group = positional->items[0];
    enum cli_exit code = admin_coordinator(admin, reset->group, &coordinator);
    if (code == CLI_DONE)
        code = group_share_offsets(admin, coordinator, reset->group, &committed, &reset->share);
    if (code == CLI_DONE && !reset->share)
        code = offsets_committed(admin, coordinator, reset->group, &committed);
    struct table *table = table_new(columns, 4);
    if (code == CLI_DONE && reset->all_topics)
        code = reset_list(admin, reset, coordinator, &committed, table);
    for (int i = 0; code == CLI_DONE && i < reset->topics.count; i++) {
        code = topic_items(admin, reset->topics.items[i], &committed, &list);
        if (code == CLI_DONE)
            code = reset_list(admin, reset, coordinator, &list, table);
    }
    table_print(&table, reset->options.json, code == CLI_DONE ? "nothing to reset" : NULL);
    if (code == CLI_DONE && !reset->execute && !reset->options.json)
        printf("nothing was changed; --execute does it\n");
    return code;
}

enum cli_exit group_reset(int argc, char **argv)
{
    struct reset reset = {.offset = NOT_GIVEN, .shift = NOT_GIVEN};
    const struct cli_arg args[] = {
        {"--topic|-t", CLI_MANY, &reset.topics, 0, 0, "NAME[:P,...]", "of this topic (repeatable)"},
        {"--all-topics", CLI_FLAG, &reset.all_topics, 0, 0, NULL, "of all topics the group has offsets in"},
        {"--to-earliest", CLI_FLAG, &reset.earliest, 0, 0, NULL, "to the first record"},
        {"--to-latest", CLI_FLAG, &reset.latest, 0, 0, NULL, "behind the last record"},
        {"--to-offset", CLI_INT, &reset.offset, 0, INT64_MAX, "N", "to this offset"},
        {"--to-datetime", CLI_TEXT, &reset.datetime, 0, 0, "TIME", "to the first record not older (UTC)"},
        {"--shift-by", CLI_INT, &reset.shift, -INT64_MAX, INT64_MAX, "N",
         "N records on, or back when negative"},
        {"--execute", CLI_FLAG, &reset.execute, 0, 0, NULL, "do it; without it only shown"}};
    const struct admin_command command = {
        .line = "group reset GROUP [options]",
        .help = "Moves the position of a group without members; of a share group\n"
                "the first record it delivers.",
        .args = args,
        .count = sizeof args / sizeof *args,
        .positional_min = 1,
        .positional_max = 1,
        .check = reset_check,
        .run = reset_run,
        .options = &reset.options,
        .context = &reset};
    return admin_command(&command, argc, argv);
}
