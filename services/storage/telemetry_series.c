// SPDX-License-Identifier: Apache-2.0
// See telemetry_series.h. Names and labels are a stranger's text: they are cut at their room, and escaped.
#include "telemetry_series.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 120, KEY_MAX = 40 };

struct series {
    struct series *next;
    size_t row; // in the registry
    double value;
    char labels[];
};

static size_t series_count(const struct series_registry *registry)
{
    return (size_t)atomic_load_explicit(&registry->count.value, memory_order_relaxed);
}

static size_t rows(void *context)
{
    return series_count(context);
}

static void print(const struct metric_table *table, size_t row, struct buf *out)
{
    const struct series_registry *registry = table->context;
    const struct series *series = registry->all[row];
    buf_printf(out, "%s{%s} %.17g\n", table->name, series->labels, series->value);
}

void series_registry_init(struct series_registry *registry, struct metric_registry *metrics)
{
    *registry = (struct series_registry){
        .metrics = metrics,
        .count = {.name = "millrace_client_series",
                  .help = "Series of metrics that clients have pushed.",
                  .kind = METRIC_GAUGE},
        .left_out = {.name = "millrace_client_points_left_out_total",
                     .help = "Pushed values without a series, of which there are enough.",
                     .kind = METRIC_COUNTER},
        .table = {.name = "millrace_client_metric",
                  .help = "What clients have pushed (KIP-714).",
                  .kind = METRIC_GAUGE,
                  .rows = rows,
                  .print = print,
                  .context = registry}};
    metric_add(metrics, &registry->count);
    metric_add(metrics, &registry->left_out);
    metric_table_add(metrics, &registry->table);
}

void series_registry_fini(struct series_registry *registry)
{
    metric_remove(registry->metrics, &registry->count);
    metric_remove(registry->metrics, &registry->left_out);
    metric_table_remove(registry->metrics, &registry->table);
}

// ---- labels ----

// A label of a stranger's text, without control characters.
static void put_text(struct buf *out, const char *name, struct slice text)
{
    char plain[TEXT_MAX];
    size_t len = text.len < TEXT_MAX ? text.len : TEXT_MAX;
    for (size_t i = 0; i < len; i++)
        plain[i] = text.data[i] < ' ' || text.data[i] == 0x7f ? '?' : (char)text.data[i];
    metric_put_label(out, name, slice_of(plain, len));
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

enum { LABEL_SIZE = sizeof "attribute_" + KEY_MAX };

// Behind a prefix, so that it may begin with anything and never is a label of ours.
static void label_of(struct slice key, char label[LABEL_SIZE])
{
    size_t len = (size_t)snprintf(label, LABEL_SIZE, "attribute_");
    for (size_t i = 0; i < key.len && i < KEY_MAX; i++) {
        uint8_t c = key.data[i];
        label[len++] = is_letter(c) || (c >= '0' && c <= '9') ? (char)c : '_';
    }
    label[len] = 0;
}

// Each label once, or nobody could read the page; what becomes the same label is left out.
static void put_attributes(struct buf *out, const struct otlp_point *point)
{
    char labels[OTLP_ATTRIBUTES_MAX][LABEL_SIZE];
    for (int i = 0; i < point->attribute_count; i++) {
        bool known = false;
        label_of(point->attributes[i].key, labels[i]);
        for (int k = 0; k < i; k++)
            known |= strcmp(labels[k], labels[i]) == 0;
        if (known)
            continue;
        buf_put_u8(out, ',');
        put_text(out, labels[i], point->attributes[i].value);
    }
}

static void put_name(struct buf *out, const struct otlp_point *point)
{
    const int part = 8; // room for ".count" or ".sum"
    char name[TEXT_MAX];
    int len = point->name.len < TEXT_MAX - (size_t)part ? (int)point->name.len : TEXT_MAX - part;
    len = snprintf(name, sizeof name, "%.*s%s%s", len, (const char *)point->name.data,
                   point->part[0] != 0 ? "." : "", point->part);
    put_text(out, "metric", slice_of(name, (size_t)len));
}

// In out, NUL-terminated. False when they do not fit: cut labels would be other ones.
static bool make_labels(struct buf *out, struct slice instance, struct slice client_id,
                        const struct otlp_point *point)
{
    put_name(out, point);
    buf_put_u8(out, ',');
    put_text(out, "client_id", client_id);
    buf_put_u8(out, ',');
    put_text(out, "instance", instance);
    put_attributes(out, point);
    buf_put_u8(out, 0);
    return buf_status(out) == ST_OK;
}

// ---- series ----

static struct series *find(const struct series_set *set, const char *labels)
{
    for (struct series *series = set->first; series != NULL; series = series->next)
        if (strcmp(series->labels, labels) == 0)
            return series;
    return NULL;
}

static struct series *add(struct series_set *set, struct series_registry *registry, const char *labels)
{
    size_t count = series_count(registry), size = strlen(labels) + 1;
    if (set->count >= SERIES_OF_INSTANCE_MAX || count >= SERIES_MAX)
        return NULL;
    struct series *series = mem_calloc(1, sizeof *series + size);
    memcpy(series->labels, labels, size);
    series->row = count;
    series->next = set->first;
    set->first = series;
    set->count++;
    registry->all[count] = series;
    metric_inc(&registry->count, 1);
    return series;
}

// The last one takes its place.
static void drop(struct series *series, struct series_registry *registry)
{
    struct series *last = registry->all[series_count(registry) - 1];
    registry->all[series->row] = last;
    last->row = series->row;
    metric_inc(&registry->count, -1);
    mem_free(series);
}

void series_set_take(struct series_set *set, struct series_registry *registry, struct slice instance,
                     struct slice client_id, const struct otlp_point *point)
{
    struct buf labels;
    struct series *series = NULL;
    buf_init(&labels, SERIES_LABELS_MAX);
    if (!isnan(point->value) && make_labels(&labels, instance, client_id, point)) {
        series = find(set, (const char *)labels.data);
        if (series == NULL)
            series = add(set, registry, (const char *)labels.data);
    }
    buf_fini(&labels);
    if (series == NULL)
        metric_inc(&registry->left_out, 1);
    else
        series->value = point->kind == OTLP_DELTA ? series->value + point->value : point->value;
}

void series_set_fini(struct series_set *set, struct series_registry *registry)
{
    for (struct series *series = set->first, *next; series != NULL; series = next) {
        next = series->next;
        drop(series, registry);
    }
    *set = (struct series_set){0};
}
