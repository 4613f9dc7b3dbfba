// SPDX-License-Identifier: Apache-2.0
// Prometheus text of the registered metrics. See metric.h.
#include "base/metric.h"

#include "base/assert.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <string.h>

void metric_add(struct metric_registry *registry, struct metric *metric)
{
    ASSERT(metric->next == NULL && metric != registry->last);
    struct metric *before = registry->last;
    for (struct metric *at = registry->first; at != NULL; at = at->next) {
        if (strcmp(at->name, metric->name) == 0)
            before = at;
    }
    if (before == NULL) {
        registry->first = metric;
    } else {
        metric->next = before->next;
        before->next = metric;
    }
    if (before == registry->last)
        registry->last = metric;
}

void metric_remove(struct metric_registry *registry, struct metric *metric)
{
    struct metric *previous = NULL;
    for (struct metric *at = registry->first; at != NULL; previous = at, at = at->next) {
        if (at != metric)
            continue;
        *(previous ? &previous->next : &registry->first) = metric->next;
        if (registry->last == metric)
            registry->last = previous;
        metric->next = NULL;
        return;
    }
}

static int64_t bucket_bound_us(int bucket)
{
    return 64ll << bucket;
}

void metric_observe_us(struct metric *metric, int64_t us)
{
    int bucket = 0;
    while (bucket < METRIC_BUCKETS - 1 && us > bucket_bound_us(bucket))
        bucket++;
    atomic_fetch_add_explicit(&metric->buckets[bucket], 1, memory_order_relaxed);
    metric_inc(metric, us);
}

static void print_histogram(const struct metric *metric, struct buf *out)
{
    const char *labels = metric->labels ? metric->labels : "";
    const char *comma = metric->labels ? "," : "";
    int64_t total = 0;
    for (int i = 0; i < METRIC_BUCKETS; i++) {
        total += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
        if (i < METRIC_BUCKETS - 1)
            buf_printf(out, "%s_bucket{%s%sle=\"%.6f\"} %" PRId64 "\n", metric->name, labels, comma,
                       (double)bucket_bound_us(i) / 1e6, total);
        else
            buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRId64 "\n", metric->name, labels, comma, total);
    }
    const char *open = metric->labels ? "{" : "";
    const char *close = metric->labels ? "}" : "";
    buf_printf(out, "%s_sum%s%s%s %.6f\n", metric->name, open, labels, close,
               (double)atomic_load_explicit(&metric->value, memory_order_relaxed) / 1e6);
    buf_printf(out, "%s_count%s%s%s %" PRId64 "\n", metric->name, open, labels, close, total);
}

static void print_one(const struct metric *metric, struct buf *out)
{
    if (metric->kind == METRIC_HISTOGRAM) {
        print_histogram(metric, out);
        return;
    }
    int64_t value = atomic_load_explicit(&metric->value, memory_order_relaxed);
    if (metric->labels != NULL)
        buf_printf(out, "%s{%s} %" PRId64 "\n", metric->name, metric->labels, value);
    else
        buf_printf(out, "%s %" PRId64 "\n", metric->name, value);
}

void metric_table_add(struct metric_registry *registry, struct metric_table *table)
{
    struct metric_table **at = &registry->tables;
    while (*at != NULL)
        at = &(*at)->next;
    table->next = NULL;
    *at = table;
}

void metric_table_remove(struct metric_registry *registry, struct metric_table *table)
{
    struct metric_table **at = &registry->tables;
    while (*at != NULL && *at != table)
        at = &(*at)->next;
    if (*at != NULL)
        *at = table->next;
}

void metric_put_label(struct buf *out, const char *name, struct slice value)
{
    buf_printf(out, "%s=\"", name);
    for (size_t i = 0, len; i < value.len; i += len) {
        len = utf8_length(value.data + i, value.len - i);
        uint8_t c = value.data[i];
        if (len == 0) {
            buf_append(out, "\xef\xbf\xbd", 3);
            len = 1;
        } else if (c == '\n') {
            buf_append(out, "\\n", 2);
        } else {
            if (c == '"' || c == '\\')
                buf_put_u8(out, '\\');
            buf_append(out, value.data + i, len);
        }
    }
    buf_put_u8(out, '"');
}

static void print_head(const char *name, const char *help, enum metric_kind kind, struct buf *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kinds[kind]);
}

// The rows of tables in [from, from + count); returns how many there were.
static size_t print_tables(const struct metric_registry *registry, size_t from, size_t count, struct buf *out)
{
    size_t printed = 0;
    for (const struct metric_table *table = registry->tables; table != NULL; table = table->next) {
        size_t rows = table->rows(table->context);
        for (size_t row = from; row < rows && printed < count; row++, printed++) {
            if (row == 0)
                print_head(table->name, table->help, table->kind, out);
            table->print(table, row, out);
        }
        from = from > rows ? from - rows : 0;
    }
    return printed;
}

size_t metric_print_some(const struct metric_registry *registry, size_t from, size_t count, struct buf *out)
{
    const char *last_name = "";
    size_t position = 0;
    const struct metric *metric = registry->first;
    for (; metric != NULL && position - from != count; metric = metric->next, position++) {
        if (position >= from) {
            if (strcmp(last_name, metric->name) != 0)
                print_head(metric->name, metric->help, metric->kind, out);
            print_one(metric, out);
        }
        last_name = metric->name;
    }
    size_t printed = position > from ? position - from : 0;
    if (metric == NULL)
        printed += print_tables(registry, from > position ? from - position : 0, count - printed, out);
    return printed;
}

enum status metric_print(const struct metric_registry *registry, struct buf *out)
{
    metric_print_some(registry, 0, SIZE_MAX, out);
    return buf_status(out);
}
