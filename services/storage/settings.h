// SPDX-License-Identifier: Apache-2.0
// Effective settings of a topic on this node, read from the image in Kafka's override order (topic, node, all
// nodes, static default of the table in cluster/configs.h).
#ifndef STORAGE_SETTINGS_H
#define STORAGE_SETTINGS_H

#include "base/config.h"
#include "cluster/image.h"
#include "replica.h"

// process: what this process was started with.
void settings_topic(const struct image *image, const char *topic, int32_t node_id,
                    const struct config *process, struct replica_settings *settings);
struct log_config settings_log(const struct image *image, const char *topic, int32_t node_id,
                               const struct config *process);

// The static value of a node key in text, NULL when the process was not given it. A time that was given in
// larger units (log.retention.minutes, log.retention.hours, log.roll.hours) is the value of its key in
// milliseconds, by Kafka's precedence: ms, minutes, hours.
enum { SETTINGS_TEXT = 32 };
const char *settings_static(const struct config *config, const char *key, char text[SETTINGS_TEXT]);

// Fills in what compaction does with the topic's logs; its other fields are set already.
void settings_compaction(const struct image *image, const char *topic, int32_t node_id,
                         const struct config *process, struct log_config *config);
// How this node compacts.
struct log_clean_config settings_cleaner(const struct image *image, int32_t node_id,
                                         const struct config *process);

#endif
