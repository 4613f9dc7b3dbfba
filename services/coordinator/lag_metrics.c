// SPDX-License-Identifier: Apache-2.0
// Lag on /metrics: a row per group, topic and partition, up to a number; what is left out is counted. See
// lag_state.h.
#include "base/mem.h"
#include "lag_state.h"

#include <inttypes.h>

enum { NAME_MAX_SHOWN = 249 }; // a longer group's name is not shown: lines stay short

// ---- rows ----

static size_t shown_rows(void *context)
{
    return ((const struct lag *)context)->shown_count;
}

static void put_value(const struct metric_table *table, const struct lag_row *row, int64_t value,
                      struct buf *out)
{
    buf_printf(out, "%s{", table->name);
    metric_put_label(out, "group", group_id(row->group->cell->group));
    buf_printf(out, ",");
    metric_put_label(out, "topic", lag_topic(row));
    buf_printf(out, ",partition=\"%" PRId32 "\"} %" PRId64 "\n", row->partition, value);
}

enum figure { RECORDS, AGE, DRAIN, ACQUIRED };

static void print_figure(const struct metric_table *table, size_t at, enum figure figure, struct buf *out)
{
    const struct lag_row *row = ((const struct lag *)table->context)->shown[at];
    struct lag_view view;
    if (row == NULL)
        return;
    lag_row_view(row, &view);
    const int64_t values[] = {
        [RECORDS] = view.records, [AGE] = view.age_ms, [DRAIN] = view.drain_ms, [ACQUIRED] = view.acquired};
    int64_t value = values[figure];
    if (value >= 0)
        put_value(table, row, value, out);
}

static void print_records(const struct metric_table *table, size_t row, struct buf *out)
{
    print_figure(table, row, RECORDS, out);
}

static void print_age(const struct metric_table *table, size_t row, struct buf *out)
{
    print_figure(table, row, AGE, out);
}

static void print_drain(const struct metric_table *table, size_t row, struct buf *out)
{
    print_figure(table, row, DRAIN, out);
}

static void print_acquired(const struct metric_table *table, size_t row, struct buf *out)
{
    print_figure(table, row, ACQUIRED, out);
}

// A line per group: at the first of its rows.
static void print_members(const struct metric_table *table, size_t at, struct buf *out)
{
    const struct lag *lag = table->context;
    const struct lag_row *row = lag->shown[at];
    if (row == NULL || (at > 0 && lag->shown[at - 1] != NULL && lag->shown[at - 1]->group == row->group))
        return;
    const struct group *group = row->group->cell->group;
    buf_printf(out, "%s{", table->name);
    metric_put_label(out, "group", group_id(group));
    buf_printf(out, ",");
    metric_put_label(out, "state", slice_str(shard_group_state(row->group->cell)));
    buf_printf(out, "} %zu\n", shard_group_members(row->group->cell));
}

// ---- who is shown ----

void lag_unshow(struct lag_row *row)
{
    if (row->shown > 0)
        row->group->lag->shown[row->shown - 1] = NULL;
    row->shown = 0;
}

static void show_group(struct lag *lag, struct lag_group *group)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->rows, &at, NULL, &value);) {
        struct lag_row *row = value;
        lag->shown[lag->shown_count] = row;
        row->shown = ++lag->shown_count;
    }
    group->shown = true;
}

static bool fits(const struct lag *lag, const struct lag_group *group)
{
    return lag->shown_count + group->rows.count <= (size_t)lag->options.settings.metrics_max &&
           group_id(group->cell->group).len <= NAME_MAX_SHOWN;
}

// Who was shown before (or not) and fits.
static void show_some(struct lag *lag, bool before)
{
    for (struct lag_group *group = lag->first; group != NULL; group = group->next) {
        if (group->shown != before)
            continue;
        group->shown = false;
        if (fits(lag, group))
            show_group(lag, group);
    }
}

static size_t left_out_total(const struct lag *lag)
{
    size_t total = lag->row_count - lag->shown_count;
    for (const struct lag_group *group = lag->first; group != NULL; group = group->next)
        total += group->left_out;
    return total;
}

static void hide_all(struct lag *lag)
{
    for (size_t i = 0; i < lag->shown_count; i++)
        if (lag->shown[i] != NULL)
            lag->shown[i]->shown = 0;
    lag->shown_count = 0;
}

void lag_show(struct lag *lag)
{
    size_t room = (size_t)lag->options.settings.metrics_max;
    if (room > lag->row_count)
        room = lag->row_count;
    hide_all(lag);
    if (room > lag->shown_cap) {
        lag->shown_cap = room;
        lag->shown = mem_realloc(lag->shown, room * sizeof(struct lag_row *));
    }
    show_some(lag, true);
    show_some(lag, false);
    metric_set(&lag->watched, (int64_t)lag->row_count);
    metric_set(&lag->left_out, (int64_t)left_out_total(lag));
}

// ---- life ----

void lag_metrics_start(struct lag *lag)
{
    struct metric_registry *registry = lag->env->metrics;
    lag->watched = (struct metric){.name = "millrace_group_lag_watched_partitions",
                                   .help = "Partitions whose lag is measured, of all groups.",
                                   .kind = METRIC_GAUGE};
    lag->left_out =
        (struct metric){.name = "millrace_group_lag_left_out",
                        .help = "Partitions whose lag is not shown here because there are too many.",
                        .kind = METRIC_GAUGE};
    lag->refused =
        (struct metric){.name = "millrace_group_lag_refused_total",
                        .help = "Times a group was not watched because there were too many partitions.",
                        .kind = METRIC_COUNTER};
    lag->asked = (struct metric){.name = "millrace_group_lag_questions_total",
                                 .help = "Partitions that storage nodes were asked about.",
                                 .kind = METRIC_COUNTER};
    metric_add(registry, &lag->watched);
    metric_add(registry, &lag->left_out);
    metric_add(registry, &lag->refused);
    metric_add(registry, &lag->asked);
    const struct metric_table tables[LAG_TABLES] = {
        {.name = "millrace_group_lag_records",
         .help = "Records between a group's committed offset and the end of the partition.",
         .print = print_records},
        {.name = "millrace_group_lag_age_ms",
         .help = "Age of the oldest record that the group has not read, 0 when it has read all.",
         .print = print_age},
        {.name = "millrace_group_lag_drain_ms",
         .help = "Time until the lag is gone at the measured rates; absent when it grows or is not known.",
         .print = print_drain},
        {.name = "millrace_group_acquired_records",
         .help = "Records that members of a share group hold; they count as lag until they are over.",
         .print = print_acquired},
        {.name = "millrace_group_members", .help = "Members of the group.", .print = print_members}};
    for (int i = 0; i < LAG_TABLES; i++) {
        lag->tables[i] = tables[i];
        lag->tables[i].kind = METRIC_GAUGE;
        lag->tables[i].rows = shown_rows;
        lag->tables[i].context = lag;
        metric_table_add(registry, &lag->tables[i]);
    }
}

void lag_metrics_stop(struct lag *lag)
{
    struct metric_registry *registry = lag->env->metrics;
    metric_remove(registry, &lag->watched);
    metric_remove(registry, &lag->left_out);
    metric_remove(registry, &lag->refused);
    metric_remove(registry, &lag->asked);
    for (int i = 0; i < LAG_TABLES; i++)
        metric_table_remove(registry, &lag->tables[i]);
}
