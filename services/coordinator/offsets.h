// SPDX-License-Identifier: Apache-2.0
// The committed offsets of one group, by topic and partition, and their records: OffsetCommitKey and
// OffsetCommitValue of __consumer_offsets as Kafka writes them. Pure.
#ifndef OFFSETS_H
#define OFFSETS_H

#include "base/arena.h"
#include "base/block.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/uuid.h"

struct offsets_topic;

struct offsets {
    struct map topics; // by name, struct offsets_topic
    size_t count;      // partitions with an offset
    size_t bytes;      // of names and metadata
};

struct offset_commit {
    int64_t offset;
    int32_t leader_epoch; // -1: not known
    int64_t commit_ms;    // wall clock
    int64_t expire_ms;    // -1: by the group's retention (only OffsetCommit v2-4 can say otherwise)
    struct uuid topic_id; // zero: not known (written by an older Kafka)
    struct slice metadata;
    uint64_t order; // of its record in the log, against others of the shard; not written
};

void offsets_init(struct offsets *offsets);
void offsets_fini(struct offsets *offsets);

// ST_NO_MEMORY changes nothing. metadata is copied.
enum status offsets_put(struct offsets *offsets, struct slice topic, int32_t partition,
                        const struct offset_commit *commit);
void offsets_remove(struct offsets *offsets, struct slice topic, int32_t partition);
// false when there is none; metadata is borrowed until the next change.
bool offsets_get(const struct offsets *offsets, struct slice topic, int32_t partition,
                 struct offset_commit *commit);

// In the order of first commit. Start with *cursor = NULL; nothing may be changed meanwhile.
bool offsets_next_topic(const struct offsets *offsets, struct map_entry **cursor, struct slice *name,
                        const struct offsets_topic **topic);
bool offsets_next(const struct offsets_topic *topic, struct map_entry **cursor, int32_t *partition,
                  struct offset_commit *commit);
// The first one, whatever it is; false when there is none.
bool offsets_first(const struct offsets *offsets, struct slice *name, int32_t *partition);
size_t offsets_partitions(const struct offsets_topic *topic);

// ---- records ----
enum coordinator_record {
    RECORD_OFFSET,
    RECORD_GROUP,
    RECORD_CONSUMER,
    RECORD_STREAMS,
    RECORD_SHARE,
    RECORD_OTHER
};

struct record_key {
    enum coordinator_record kind;
    struct slice group, topic; // topic and partition for RECORD_OFFSET
    int32_t partition;
    int16_t type;       // of a group of a newer protocol: its key is read by its record file (consumer_record.h, ...),
    struct slice bytes; // from what follows the type
};

// What a record of __consumer_offsets is about. RECORD_OTHER: of a newer kind, to be passed over.
// ST_MALFORMED, ST_TRUNCATED: not a key.
enum status record_key_parse(struct slice bytes, struct record_key *key);

enum status offset_record_key(struct slice group, struct slice topic, int32_t partition, struct buf *out);
// Version 4 with the topic's id; version 1 when it has a time of its own to expire, as Kafka.
enum status offset_record_value(const struct offset_commit *commit, struct buf *out);
// metadata borrows from bytes. ST_UNSUPPORTED: a version we do not know.
enum status offset_record_parse(struct slice bytes, struct offset_commit *commit);

#endif
