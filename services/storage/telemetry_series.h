// SPDX-License-Identifier: Apache-2.0
// What clients have pushed, on /metrics: millrace_client_metric{metric="...",client_id="...",instance="..."},
// one series for each name and set of attributes of a client instance. All instances together have at most so
// many; what comes beyond is counted and left out. What a client sent as a difference is added up.
#ifndef STORAGE_TELEMETRY_SERIES_H
#define STORAGE_TELEMETRY_SERIES_H

#include "base/metric.h"
#include "otlp.h"

enum { SERIES_MAX = 2000, SERIES_OF_INSTANCE_MAX = 200, SERIES_LABELS_MAX = 512 };

struct series; // one

struct series_registry {
    struct metric_registry *metrics;
    struct metric count, left_out;
    struct metric_table table;
    struct series *all[SERIES_MAX];
};

void series_registry_init(struct series_registry *registry, struct metric_registry *metrics);
void series_registry_fini(struct series_registry *registry);

// Of one client instance.
struct series_set {
    struct series *first;
    int count;
};

// Takes a point over. instance and client_id become labels.
void series_set_take(struct series_set *set, struct series_registry *registry, struct slice instance,
                     struct slice client_id, const struct otlp_point *point);
void series_set_fini(struct series_set *set, struct series_registry *registry);

#endif
