// SPDX-License-Identifier: Apache-2.0
// Reads what a client pushes (KIP-714): OpenTelemetry's MetricsData in protobuf, as bytes, without building
// it. Numbers and the counts and sums of histograms are handed on one by one; the rest is skipped. Pure. The
// bytes are a stranger's: nothing is read past them, nesting is that of the schema, and there is a largest
// number of points.
#ifndef STORAGE_OTLP_H
#define STORAGE_OTLP_H

#include "base/slice.h"
#include "base/status.h"

#include <stdint.h>

enum { OTLP_POINTS_MAX = 10000, OTLP_ATTRIBUTES_MAX = 16 };

enum otlp_kind {
    OTLP_GAUGE, // as it is
    OTLP_TOTAL, // a sum since the client's start
    OTLP_DELTA  // what was added since its last push
};

struct otlp_attribute {
    struct slice key, value; // texts; other kinds of values are left out
};

struct otlp_point {
    struct slice name; // of the metric, as sent
    const char *part;  // "" or, of a histogram, "count" or "sum"
    enum otlp_kind kind;
    double value;
    struct otlp_attribute attributes[OTLP_ATTRIBUTES_MAX]; // further ones are left out
    int attribute_count;
};

// Valid during the call only.
typedef void otlp_point_fn(void *context, const struct otlp_point *point);

// MALFORMED: not protobuf, or a field of another wire type than the schema's; LIMIT: more than
// OTLP_POINTS_MAX points. What came before was handed on already.
enum status otlp_read(struct slice bytes, otlp_point_fn *each, void *context);

#endif
