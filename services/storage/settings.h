// SPDX-License-Identifier: Apache-2.0
// Effective settings of a topic on this node, read from the image in Kafka's override order (topic, node, all
// nodes, static default of the table in cluster/configs.h).
#ifndef STORAGE_SETTINGS_H
#define STORAGE_SETTINGS_H

#include "cluster/image.h"
#include "replica.h"

void settings_topic(const struct image *image, const char *topic, int32_t node_id,
                    struct replica_settings *settings);
int32_t settings_min_isr(const struct image *image, const char *topic, int32_t node_id);
struct log_config settings_log(const struct image *image, const char *topic, int32_t node_id);

#endif
