// SPDX-License-Identifier: Apache-2.0
// Feature levels (KIP-584): what all nodes of a cluster have agreed to do, each a name and a number. Which
// levels this build understands is this table; which one holds is in the image (image_feature). Names,
// numbers and their meaning are Kafka 4.2's (org.apache.kafka.server.common.Feature, MetadataVersion).
#ifndef CLUSTER_FEATURES_H
#define CLUSTER_FEATURES_H

#include "base/slice.h"

#include <stdint.h>

struct features_row {
    const char *name;
    int16_t min, max; // levels this build understands; max 0: the feature is not told to clients
    int16_t initial;  // level of a new cluster
    int16_t implied;  // level of a cluster formed before levels were kept in its metadata
};

extern const struct features_row features_rows[]; // ascending by name
extern const int features_count;

#define FEATURES_KRAFT       "kraft.version" // 1: the metadata log has the addresses of the voters (KIP-853)
#define FEATURES_METADATA    "metadata.version"
#define FEATURES_TRANSACTION "transaction.version"
#define FEATURES_GROUP       "group.version"
#define FEATURES_SHARE       "share.version"
#define FEATURES_STREAMS     "streams.version"

// NULL when this build does not know the feature.
const struct features_row *features_row(struct slice name);

// Whether going down from one metadata.version to another would lose something that records of Kafka's
// metadata say only since then (MetadataVersion.checkIfMetadataChanged).
bool features_metadata_loses(int16_t from, int16_t to);

#endif
