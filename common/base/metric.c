// SPDX-License-Identifier: Apache-2.0
// Prometheus text of the registered metrics. See metric.h.
#include "base/metric.h"

#include "base/assert.h"

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

size_t metric_print_some(const struct metric_registry *registry, size_t from, size_t count, struct buf *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    const char *last_name = "";
    size_t position = 0;
    for (const struct metric *metric = registry->first; metric != NULL && position - from != count;
         metric = metric->next, position++) {
        if (position >= from) {
            if (strcmp(last_name, metric->name) != 0)
                buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
                           kinds[metric->kind]);
            print_one(metric, out);
        }
        last_name = metric->name;
    }
    return position > from ? position - from : 0;
}

enum status metric_print(const struct metric_registry *registry, struct buf *out)
{
    metric_print_some(registry, 0, SIZE_MAX, out);
    return buf_status(out);
}
