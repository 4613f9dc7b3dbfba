// SPDX-License-Identifier: Apache-2.0
// Counters, gauges and histograms in a registry per process part, printed as Prometheus text. The loop thread
// writes and prints; a counter touched by helper threads is declared atomic by its type (values are relaxed
// atomics).
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include "base/buf.h"

#include <stdatomic.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

enum { METRIC_BUCKETS = 20 }; // powers of two from 64 µs up, the last one is +Inf

struct metric {
    const char *name;   // e.g. "millrace_storage_produce_requests_total"; borrowed, static
    const char *help;   // one sentence; borrowed, static
    const char *labels; // e.g. "lane=\"bulk\"" or NULL; borrowed
    enum metric_kind kind;
    _Atomic int64_t value;                   // counter and gauge; histogram: sum in microseconds
    _Atomic int64_t buckets[METRIC_BUCKETS]; // histogram only
    struct metric *next;
};

// Counters or gauges whose labels are data, so that they come and go: their owner prints them, behind the
// metrics that stay.
struct metric_table {
    const char *name, *help; // as of metric
    enum metric_kind kind;
    size_t (*rows)(void *context);
    // Appends "name{labels} value\n" of a row, a short line, or nothing when it has no value now.
    void (*print)(const struct metric_table *table, size_t row, struct buf *out);
    void *context;
    struct metric_table *next;
};

struct metric_registry {
    struct metric *first, *last; // in order of registration; metrics are embedded in their owners
    struct metric_table *tables; // likewise
};

// Adds a metric that lives at least as long as the registry is printed, behind the last one of the same name
// (differing labels), since HELP and TYPE are printed once per name.
void metric_add(struct metric_registry *registry, struct metric *metric);

// Takes a metric out before its owner is freed.
void metric_remove(struct metric_registry *registry, struct metric *metric);

void metric_table_add(struct metric_registry *registry, struct metric_table *table);
void metric_table_remove(struct metric_registry *registry, struct metric_table *table);

// Appends name="value" with the escapes of the text format; bytes that are not UTF-8 become U+FFFD.
void metric_put_label(struct buf *out, const char *name, struct slice value);

static inline void metric_inc(struct metric *metric, int64_t by)
{
    atomic_fetch_add_explicit(&metric->value, by, memory_order_relaxed);
}
static inline void metric_set(struct metric *metric, int64_t value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

// Counts one observation of a duration in microseconds.
void metric_observe_us(struct metric *metric, int64_t us);

// Prometheus text exposition format 0.0.4 of all metrics, HELP and TYPE once per name.
enum status metric_print(const struct metric_registry *registry, struct buf *out);

// The same for count metrics and rows of tables behind the first from ones, for printing in slices; returns
// how many there were.
size_t metric_print_some(const struct metric_registry *registry, size_t from, size_t count, struct buf *out);

#endif
