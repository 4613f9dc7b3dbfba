// SPDX-License-Identifier: Apache-2.0
// Compaction's settings: of a topic, and of this node. See settings.h.
#include "settings.h"

#include <stdlib.h>
#include <string.h>

struct reader {
    const struct image *image;
    const char *topic;
    int32_t node_id;
    const struct config *process;
};

// The value of a topic's key, or of the node's that gives its default: the image's, else what this process
// was started with. NULL: neither is set.
static const char *value_of(const struct reader *reader, const char *key, const char *node_key)
{
    const char *text = image_topic_config(reader->image, reader->topic, key, node_key, reader->node_id, NULL);
    bool given = config_row_of(reader->process, node_key) != NULL && config_is_set(reader->process, node_key);
    return text == NULL && given ? config_text(reader->process, node_key) : text;
}

static int64_t whole_of(const char *text, int64_t fallback)
{
    char *end = NULL;
    long long value = text != NULL ? strtoll(text, &end, 10) : -1;
    return text == NULL || end == text || *end != '\0' || value < 0 ? fallback : (int64_t)value;
}

static double number_of(const char *text, double fallback)
{
    char *end = NULL;
    double value = text != NULL ? strtod(text, &end) : 0;
    return text == NULL || end == text || *end != '\0' || !(value >= 0) ? fallback : value;
}

void settings_compaction(const struct image *image, const char *topic, int32_t node_id,
                         const struct config *process, struct log_config *config)
{
    const struct reader reader = {image, topic, node_id, process};
    const char *policy = value_of(&reader, "cleanup.policy", "log.cleanup.policy");
    const char *ratio = value_of(&reader, "min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio");
    const char *lag_min = value_of(&reader, "min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms");
    const char *lag_max = value_of(&reader, "max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms");
    const char *retention = value_of(&reader, "delete.retention.ms", "log.cleaner.delete.retention.ms");
    config->compact = policy != NULL && strstr(policy, "compact") != NULL;
    config->dirty_ratio_min = number_of(ratio, config->dirty_ratio_min);
    config->compaction_lag_ms_min = whole_of(lag_min, config->compaction_lag_ms_min);
    config->compaction_lag_ms_max = whole_of(lag_max, config->compaction_lag_ms_max);
    config->delete_retention_ms = whole_of(retention, config->delete_retention_ms);
    // What shall be compacted in time must leave the active segment in time (KIP-354).
    if (config->compact && config->compaction_lag_ms_max < config->segment_ms)
        config->segment_ms = config->compaction_lag_ms_max;
}

// A node key's value: the image's, else what this process was started with.
static const char *node_value(const struct image *image, int32_t node_id, const struct config *process,
                              const char *key)
{
    return image_node_config(image, node_id, key, config_text(process, key), NULL);
}

struct log_clean_config settings_cleaner(const struct image *image, int32_t node_id,
                                         const struct config *process)
{
    struct log_clean_config clean = log_clean_config_default();
    clean.enable = strcmp(node_value(image, node_id, process, "log.cleaner.enable"), "false") != 0;
    clean.backoff_ms =
        whole_of(node_value(image, node_id, process, "log.cleaner.backoff.ms"), clean.backoff_ms);
    clean.map_bytes =
        whole_of(node_value(image, node_id, process, "log.cleaner.dedupe.buffer.size"), clean.map_bytes);
    double load =
        number_of(node_value(image, node_id, process, "log.cleaner.io.buffer.load.factor"), clean.map_load);
    if (load > 0 && load <= 1)
        clean.map_load = load;
    double rate = number_of(node_value(image, node_id, process, "log.cleaner.io.max.bytes.per.second"),
                            clean.bytes_per_second);
    if (rate > 0)
        clean.bytes_per_second = rate;
    return clean;
}
