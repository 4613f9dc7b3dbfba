// SPDX-License-Identifier: Apache-2.0
// Metrics of clients (KIP-714): which client instance is to push what and how often, by the CLIENT_METRICS
// resources of the image, and whether a push may come now. Rules as in Kafka 4.2's ClientMetricsManager and
// ClientMetricsInstance. An instance is known by its id; the node remembers a bounded number of them, the
// longest silent goes first, and one that says nothing for three of its intervals is forgotten with its
// series. A node that has never heard of an instance takes its id as it is: the subscription's id is the same
// on every node.
#ifndef STORAGE_TELEMETRY_H
#define STORAGE_TELEMETRY_H

#include "base/uuid.h"
#include "cluster/client_match.h"
#include "cluster/image.h"
#include "io/env.h"
#include "telemetry_series.h"

enum {
    TELEMETRY_INSTANCES_MAX = 16384,
    TELEMETRY_METRICS_MAX = 1000,   // prefixes of one instance's subscription
    TELEMETRY_INTERVAL_MS = 300000, // without a subscription
    TELEMETRY_QUIET_MS_MIN = 60000  // an instance is remembered for at least so long
};

struct telemetry;

struct telemetry_subscription {
    int32_t id;
    int32_t interval_ms;
    const char *const *metrics; // prefixes, ascending, each once; "*" alone: everything
    int32_t metric_count;       // 0: nothing is wanted
};

// A client as its connection and requests tell it.
struct telemetry_client {
    struct uuid instance;
    struct slice client[CLIENT_MATCH_SELECTORS]; // all but the instance's id
};

struct telemetry *telemetry_new(struct env *env, struct image *image);
void telemetry_destroy(struct telemetry **telemetry);

// GetTelemetrySubscriptions. KAFKA_ERR_THROTTLING_QUOTA_EXCEEDED: too early; else 0 with the subscription,
// which is valid until the next call.
int16_t telemetry_ask(struct telemetry *telemetry, const struct telemetry_client *client,
                      struct telemetry_subscription *subscription);

// What a PushTelemetry says of itself.
struct telemetry_push {
    int32_t subscription_id;
    int8_t compression;
    bool terminating;
    size_t bytes, bytes_max; // of the metrics as they came, and telemetry.max.bytes
};

// Whether it may be taken: 0 or the error.
int16_t telemetry_admit(struct telemetry *telemetry, const struct telemetry_client *client,
                        const struct telemetry_push *push);

// Takes the points of an admitted push; unpacked: OTLP. KAFKA_ERR_INVALID_RECORD: it cannot be read to its
// end. The instance may have been forgotten meanwhile: then nothing is taken.
int16_t telemetry_take(struct telemetry *telemetry, const struct telemetry_client *client,
                       struct slice unpacked);

// The push could not even be unpacked.
void telemetry_failed(struct telemetry *telemetry, struct uuid instance);

#endif
