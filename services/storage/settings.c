// SPDX-License-Identifier: Apache-2.0
// See settings.h. Values in the image were validated by the controller; one that still does not parse gives
// the default, so that a replica never stops over a setting.
#include "settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const struct image *image;
    const char *topic;
    int32_t node_id;
    const struct config *config; // static values
};

// Keys in larger units than the one they stand in for.
static const struct {
    const char *key, *larger;
    int64_t ms;
} units[] = {{"log.retention.ms", "log.retention.minutes", 60000},
             {"log.retention.ms", "log.retention.hours", 3600000},
             {"log.roll.ms", "log.roll.hours", 3600000},
             {"log.roll.jitter.ms", "log.roll.jitter.hours", 3600000}};

static bool given(const struct config *config, const char *key)
{
    return key != NULL && config_row_of(config, key) != NULL && config_is_set(config, key);
}

const char *settings_static(const struct config *config, const char *key, char text[SETTINGS_TEXT])
{
    if (given(config, key))
        return config_text(config, key);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(key, units[i].key) != 0 || !given(config, units[i].larger))
            continue;
        int64_t value = config_int(config, units[i].larger);
        snprintf(text, SETTINGS_TEXT, "%" PRId64, value < 0 ? -1 : value * units[i].ms);
        return text;
    }
    return NULL;
}

static int64_t number(const struct reader *reader, const char *key, const char *node_key, int64_t fallback)
{
    char room[SETTINGS_TEXT];
    const char *text = image_topic_config(reader->image, reader->topic, key, node_key, reader->node_id, NULL);
    if (text == NULL)
        text = settings_static(reader->config, node_key, room);
    if (text == NULL)
        return fallback;
    char *end;
    long long value = strtoll(text, &end, 10);
    return end != text && *end == '\0' ? value : fallback;
}

static int32_t number32(const struct reader *reader, const char *key, const char *node_key, int32_t fallback)
{
    int64_t value = number(reader, key, node_key, fallback);
    return value < 0 || value > INT32_MAX ? fallback : (int32_t)value;
}

static const char *word(const struct reader *reader, const char *key, const char *node_key,
                        const char *fallback)
{
    if (given(reader->config, node_key))
        fallback = config_text(reader->config, node_key);
    return image_topic_config(reader->image, reader->topic, key, node_key, reader->node_id, fallback);
}

static int32_t min_isr(const struct reader *reader)
{
    int32_t value = number32(reader, "min.insync.replicas", "min.insync.replicas", 1);
    return value < 1 ? 1 : value;
}

// compression.type and the level of its codec.
static void read_codec(const struct reader *reader, struct replica_settings *settings)
{
    static const char *const keys[COMPRESSION_COUNT] = {[COMPRESSION_GZIP] = "compression.gzip.level",
                                                        [COMPRESSION_LZ4] = "compression.lz4.level",
                                                        [COMPRESSION_ZSTD] = "compression.zstd.level"};
    const char *type = word(reader, "compression.type", "compression.type", "producer");
    enum compression codec = COMPRESSION_NONE;
    settings->repack = strcmp(type, "uncompressed") == 0 || compression_parse(type, &codec);
    settings->codec = codec;
    settings->codec_level = compress_level_default(codec);
    if (keys[codec] != NULL)
        settings->codec_level = (int)number(reader, keys[codec], keys[codec], settings->codec_level);
}

static bool says(const struct reader *reader, const char *key, const char *value)
{
    return strcmp(word(reader, key, NULL, ""), value) == 0;
}

static enum guard_strategy strategy_of(const char *class)
{
    const char *name = strrchr(class, '.');
    if (name != NULL && strcmp(name, ".RecordNameStrategy") == 0)
        return GUARD_RECORD_NAME;
    if (name != NULL && strcmp(name, ".TopicRecordNameStrategy") == 0)
        return GUARD_TOPIC_RECORD_NAME;
    return GUARD_TOPIC_NAME;
}

static void read_guard(const struct reader *reader, struct guard_rules *rules)
{
    static const struct {
        const char *confluent, *millrace, *strategy;
    } keys[SCHEMA_SIDES] = {
        [SCHEMA_KEY] = {"confluent.key.schema.validation", "millrace.key.schema.validation",
                        "confluent.key.subject.name.strategy"},
        [SCHEMA_VALUE] = {"confluent.value.schema.validation", "millrace.value.schema.validation",
                          "confluent.value.subject.name.strategy"}};
    for (int i = 0; i < SCHEMA_SIDES; i++) {
        struct guard_rule *rule = &rules->sides[i];
        rule->level = GUARD_NONE;
        if (says(reader, keys[i].confluent, "true") || says(reader, keys[i].millrace, "id"))
            rule->level = GUARD_ID;
        if (says(reader, keys[i].millrace, "full"))
            rule->level = GUARD_FULL;
        rule->strategy = strategy_of(word(reader, keys[i].strategy, NULL, ""));
    }
    rules->any =
        rules->sides[SCHEMA_KEY].level != GUARD_NONE || rules->sides[SCHEMA_VALUE].level != GUARD_NONE;
}

void settings_topic(const struct image *image, const char *topic, int32_t node_id,
                    const struct config *process, struct replica_settings *settings)
{
    struct reader reader = {.image = image, .topic = topic, .node_id = node_id, .config = process};
    settings->min_isr = min_isr(&reader);
    settings->message_bytes_max = number32(&reader, "max.message.bytes", "message.max.bytes", 1048588);
    settings->before_ms_max =
        number(&reader, "message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms", INT64_MAX);
    settings->after_ms_max =
        number(&reader, "message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms", 3600000);
    settings->log_append_time =
        strcmp(word(&reader, "message.timestamp.type", "log.message.timestamp.type", "CreateTime"),
               "LogAppendTime") == 0;
    const char *policy = word(&reader, "cleanup.policy", "log.cleanup.policy", "delete");
    settings->compacted = strstr(policy, "compact") != NULL;
    settings->deletes = strstr(policy, "delete") != NULL;
    read_guard(&reader, &settings->guard);
    // A record without key in a compacted topic would never go: those are looked at in any case.
    settings->header_only = !settings->compacted && !settings->guard.any &&
                            strcmp(word(&reader, "millrace.validate.records", NULL, "always"), "header") == 0;
    settings->segment_bytes =
        number32(&reader, "segment.bytes", "log.segment.bytes", log_config_default().segment_bytes);
    read_codec(&reader, settings);
}

// Any negative number is no limit.
static int64_t limit(int64_t value)
{
    return value < 0 ? -1 : value;
}

static void settings_retention(const struct reader *reader, struct log_config *config)
{
    config->retention_ms = limit(number(reader, "retention.ms", "log.retention.ms", config->retention_ms));
    if (config_row_of(reader->config, "log.retention.check.interval.ms") != NULL)
        config->late_ms = config_int(reader->config, "log.retention.check.interval.ms");
    config->retention_bytes =
        limit(number(reader, "retention.bytes", "log.retention.bytes", config->retention_bytes));
    config->deletes =
        strstr(word(reader, "cleanup.policy", "log.cleanup.policy", "delete"), "delete") != NULL;
    config->delete_delay_ms =
        limit(number(reader, "file.delete.delay.ms", "log.segment.delete.delay.ms", config->delete_delay_ms));
}

struct log_config settings_log(const struct image *image, const char *topic, int32_t node_id,
                               const struct config *process)
{
    struct reader reader = {.image = image, .topic = topic, .node_id = node_id, .config = process};
    struct log_config config = log_config_default();
    config.segment_bytes = number32(&reader, "segment.bytes", "log.segment.bytes", config.segment_bytes);
    config.segment_ms = number(&reader, "segment.ms", "log.roll.ms", config.segment_ms);
    config.segment_jitter_ms =
        number(&reader, "segment.jitter.ms", "log.roll.jitter.ms", config.segment_jitter_ms);
    config.index_interval_bytes =
        number32(&reader, "index.interval.bytes", "log.index.interval.bytes", config.index_interval_bytes);
    config.index_bytes_max =
        number32(&reader, "segment.index.bytes", "log.index.size.max.bytes", config.index_bytes_max);
    config.flush_before_ack =
        strcmp(word(&reader, "flush.before.ack", "flush.before.ack", "true"), "false") != 0;
    settings_retention(&reader, &config);
    settings_compaction(image, topic, node_id, process, &config);
    return config;
}
