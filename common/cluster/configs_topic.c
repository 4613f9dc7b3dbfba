// SPDX-License-Identifier: Apache-2.0
// Topic configuration keys of Kafka 4.2 (org.apache.kafka.storage.internals.log.LogConfig), those of Confluent
// Server for schema validation (docs.confluent.io, "Validate schemas on a broker"), and some of ours.
#include "cluster/configs.h"

#define I32           2147483647.0
#define I64           9223372036854775807.0
#define LONG_MAX_TEXT "9223372036854775807"

#define STRATEGY            "io.confluent.kafka.serializers.subject."
#define TOPIC_NAME_STRATEGY STRATEGY "TopicNameStrategy"
#define STRATEGIES          TOPIC_NAME_STRATEGY "|" STRATEGY "RecordNameStrategy|" STRATEGY "TopicRecordNameStrategy"

// clang-format off
const struct configs_key configs_topic_keys[] = {
    {"cleanup.policy", CONFIGS_LIST, "delete", "log.cleanup.policy", 0, 0, "compact|delete", true,
     "delete: old segments go by time or size; compact: the newest record of each key stays; or both.", CONFIGS_BY_STORAGE},
    {"compression.gzip.level", CONFIGS_INT, "-1", "compression.gzip.level", -1, 9, NULL, true,
     "Level used when this topic's compression.type is gzip.", CONFIGS_BY_STORAGE},
    {"compression.lz4.level", CONFIGS_INT, "9", "compression.lz4.level", 1, 17, NULL, true,
     "Level used when this topic's compression.type is lz4.", CONFIGS_BY_STORAGE},
    {"compression.type", CONFIGS_STRING, "producer", "compression.type", 0, 0,
     "uncompressed|zstd|lz4|snappy|gzip|producer", true,
     "Final compression of batches; producer keeps what the producer chose.", CONFIGS_BY_STORAGE},
    {"compression.zstd.level", CONFIGS_INT, "3", "compression.zstd.level", -131072, 22, NULL, true,
     "Level used when this topic's compression.type is zstd.", CONFIGS_BY_STORAGE},
    {"confluent.key.schema.validation", CONFIGS_BOOLEAN, "false", NULL, 0, 0, NULL, true,
     "Whether keys must begin with the id of a schema that is registered under their subject; null is always taken.", CONFIGS_BY_STORAGE},
    {"confluent.key.subject.name.strategy", CONFIGS_STRING, TOPIC_NAME_STRATEGY, NULL, 0, 0, STRATEGIES, true,
     "Which subject that is: of the topic's name, of the schema's, or of both.", CONFIGS_BY_STORAGE},
    {"confluent.value.schema.validation", CONFIGS_BOOLEAN, "false", NULL, 0, 0, NULL, true,
     "Whether values must begin with the id of a schema that is registered under their subject; null is always taken.", CONFIGS_BY_STORAGE},
    {"confluent.value.subject.name.strategy", CONFIGS_STRING, TOPIC_NAME_STRATEGY, NULL, 0, 0, STRATEGIES, true,
     "Which subject that is: of the topic's name, of the schema's, or of both.", CONFIGS_BY_STORAGE},
    {"delete.retention.ms", CONFIGS_LONG, "86400000", "log.cleaner.delete.retention.ms", 0, I64, NULL, true,
     "How long delete markers of compacted topics are kept.", CONFIGS_BY_STORAGE},
    {"errors.deadletterqueue.group.enable", CONFIGS_BOOLEAN, "false", NULL, 0, 0, NULL, true,
     "Whether share groups may have this topic as their dead-letter topic (Kafka 4.4).", CONFIGS_BY_STORAGE},
    {"file.delete.delay.ms", CONFIGS_LONG, "60000", "log.segment.delete.delay.ms", 0, I64, NULL, true,
     "Time to wait before a file is removed from the file system.", CONFIGS_BY_STORAGE},
    {"flush.before.ack", CONFIGS_BOOLEAN, "true", "flush.before.ack", 0, 0, NULL, true,
     "millrace: acknowledge only what is durable on disk; false: what is in the page cache of every in-sync replica.", CONFIGS_BY_STORAGE},
    {"flush.messages", CONFIGS_LONG, LONG_MAX_TEXT, "log.flush.interval.messages", 1, I64, NULL, true,
     "Records after which data is flushed.", CONFIGS_NO_FLUSH},
    {"flush.ms", CONFIGS_LONG, LONG_MAX_TEXT, "log.flush.interval.ms", 0, I64, NULL, true,
     "Time after which data is flushed.", CONFIGS_NO_FLUSH},
    {"follower.replication.throttled.replicas", CONFIGS_LIST, "", NULL, 0, 0, "*|N:N", true,
     "Replicas whose replication is throttled on the follower side: partition:node,..., or *.", CONFIGS_BY_STORAGE},
    {"index.interval.bytes", CONFIGS_INT, "4096", "log.index.interval.bytes", 0, I32, NULL, true,
     "Bytes of log between two entries of the offset index.", CONFIGS_BY_STORAGE},
    {"leader.replication.throttled.replicas", CONFIGS_LIST, "", NULL, 0, 0, "*|N:N", true,
     "Replicas whose replication is throttled on the leader side: partition:node,..., or *.", CONFIGS_BY_STORAGE},
    {"local.retention.bytes", CONFIGS_LONG, "-2", "log.local.retention.bytes", -2, I64, NULL, true,
     "Bytes kept locally with tiered storage; -2: retention.bytes.", CONFIGS_NO_TIERS},
    {"local.retention.ms", CONFIGS_LONG, "-2", "log.local.retention.ms", -2, I64, NULL, true,
     "Time kept locally with tiered storage; -2: retention.ms.", CONFIGS_NO_TIERS},
    {"max.compaction.lag.ms", CONFIGS_LONG, LONG_MAX_TEXT, "log.cleaner.max.compaction.lag.ms", 1, I64, NULL, true,
     "Longest time a record stays uncompacted.", CONFIGS_BY_STORAGE},
    {"max.decompressed.message.bytes", CONFIGS_INT, "2147483639", "max.decompressed.message.bytes", 1, 2147483639.0, NULL, true,
     "Largest record batch when decompressed; here 64 MiB, and 512 times its size above 4 MiB.", CONFIGS_OTHERWISE},
    {"max.message.bytes", CONFIGS_INT, "1048588", "message.max.bytes", 0, I32, NULL, true,
     "Largest record batch (after compression) that is taken.", CONFIGS_BY_STORAGE},
    {"message.timestamp.after.max.ms", CONFIGS_LONG, "3600000", "log.message.timestamp.after.max.ms", 0, I64, NULL, true,
     "How far a record's timestamp may lie in the future.", CONFIGS_BY_STORAGE},
    {"message.timestamp.before.max.ms", CONFIGS_LONG, LONG_MAX_TEXT, "log.message.timestamp.before.max.ms", 0, I64, NULL, true,
     "How far a record's timestamp may lie in the past.", CONFIGS_BY_STORAGE},
    {"message.timestamp.type", CONFIGS_STRING, "CreateTime", "log.message.timestamp.type", 0, 0,
     "CreateTime|LogAppendTime", true, "Whether records keep the producer's time or get the time of appending.", CONFIGS_BY_STORAGE},
    {"millrace.key.schema.validation", CONFIGS_STRING, "none", NULL, 0, 0, "none|id|full", true,
     "millrace: full: keys must be of their schema besides, whatever confluent.key.schema.validation says; id: as if that "
     "were true.", CONFIGS_BY_STORAGE},
    {"millrace.validate.records", CONFIGS_STRING, "always", NULL, 0, 0, "always|header", true,
     "millrace: always: every record of a produced batch is looked at; header: the batch's checksum and header alone, "
     "without effect with cleanup.policy=compact and for what compression.type packs anew.", CONFIGS_BY_STORAGE},
    {"millrace.value.schema.validation", CONFIGS_STRING, "none", NULL, 0, 0, "none|id|full", true,
     "millrace: full: values must be of their schema besides, whatever confluent.value.schema.validation says; id: as if that "
     "were true.", CONFIGS_BY_STORAGE},
    {"min.cleanable.dirty.ratio", CONFIGS_DOUBLE, "0.5", "log.cleaner.min.cleanable.ratio", 0, 1, NULL, true,
     "Share of uncompacted bytes from which on a log is compacted.", CONFIGS_BY_STORAGE},
    {"min.compaction.lag.ms", CONFIGS_LONG, "0", "log.cleaner.min.compaction.lag.ms", 0, I64, NULL, true,
     "Shortest time a record stays uncompacted.", CONFIGS_BY_STORAGE},
    {"min.insync.replicas", CONFIGS_INT, "1", "min.insync.replicas", 1, I32, NULL, true,
     "In-sync replicas needed to take a write with acks=all.", CONFIGS_BY_STORAGE},
    {"preallocate", CONFIGS_BOOLEAN, "false", "log.preallocate", 0, 0, NULL, true,
     "Whether a new segment's file is allocated in full; space is reserved ahead without growing the file.", CONFIGS_OTHERWISE},
    {"remote.log.copy.disable", CONFIGS_BOOLEAN, "false", NULL, 0, 0, NULL, true,
     "Tiered storage: no further segments are copied.", CONFIGS_NO_TIERS},
    {"remote.log.delete.on.disable", CONFIGS_BOOLEAN, "false", NULL, 0, 0, NULL, true,
     "Tiered storage: remote data is deleted when it is switched off.", CONFIGS_NO_TIERS},
    {"remote.storage.enable", CONFIGS_BOOLEAN, "false", NULL, 0, 0, "false", true,
     "Tiered storage for this topic.", CONFIGS_NO_TIERS},
    {"retention.bytes", CONFIGS_LONG, "-1", "log.retention.bytes", 0, 0, NULL, true,
     "Bytes a partition may grow to before old segments go; -1: no limit.", CONFIGS_BY_STORAGE},
    {"retention.ms", CONFIGS_LONG, "604800000", "log.retention.ms", -1, I64, NULL, true,
     "Time records are kept with cleanup.policy=delete; -1: no limit.", CONFIGS_BY_STORAGE},
    {"segment.bytes", CONFIGS_INT, "1073741824", "log.segment.bytes", 14, I32, NULL, true,
     "Size of a segment file.", CONFIGS_BY_STORAGE},
    {"segment.index.bytes", CONFIGS_INT, "10485760", "log.index.size.max.bytes", 4, I32, NULL, true,
     "Largest size of a segment's index.", CONFIGS_BY_STORAGE},
    {"segment.jitter.ms", CONFIGS_LONG, "0", "log.roll.jitter.ms", 0, I64, NULL, true,
     "Random time taken off segment.ms, so that segments do not roll all at once.", CONFIGS_BY_STORAGE},
    {"segment.ms", CONFIGS_LONG, "604800000", "log.roll.ms", 1, I64, NULL, true,
     "Age at which a segment rolls although it is not full.", CONFIGS_BY_STORAGE},
    {"unclean.leader.election.enable", CONFIGS_BOOLEAN, "false", "unclean.leader.election.enable", 0, 0, NULL, true,
     "Whether a replica outside of the ISR may lead when there is no other; records may be lost.", CONFIGS_BY_CONTROLLER},
};
// clang-format on
const int configs_topic_count = sizeof configs_topic_keys / sizeof *configs_topic_keys;
