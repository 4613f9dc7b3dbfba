// SPDX-License-Identifier: Apache-2.0
// The records of consumer groups in __consumer_offsets, as Apache Kafka 4.2 writes them. Every record stands
// for itself: the last one of a key counts, and one that is missing because two batches were cut apart is
// made good by consumer_resume. Assignment epochs are those of Kafka 4.3 (KIP-1251), a tag that 4.2 skips.
#ifndef CONSUMER_RECORD_H
#define CONSUMER_RECORD_H

#include "consumer_group.h"
#include "group_writer.h"

enum {
    CONSUMER_KEY_GROUP = 3,
    CONSUMER_KEY_PARTITIONS = 4, // written by Kafka before 4.1; not read, and buried at the next writing
    CONSUMER_KEY_MEMBER = 5,
    CONSUMER_KEY_TARGET = 6,
    CONSUMER_KEY_TARGET_MEMBER = 7,
    CONSUMER_KEY_CURRENT = 8,
    CONSUMER_KEY_REGEX = 16
};

// Whether keys of this type are about consumer groups.
bool consumer_key_is(int16_t type);
// bytes: behind the type. ST_MALFORMED, ST_TRUNCATED: not a key.
enum status consumer_key_parse(int16_t type, struct slice bytes, struct group_key *key);

// One record of a shard that is being loaded; value.data NULL: a tombstone. Statuses as kafka_decode.
enum status consumer_record_load(struct consumer_group *group, const struct group_key *key,
                                 struct slice value);

// Everything that has changed since the last time; then the group is clean.
enum status consumer_record_write(struct consumer_group *group, group_emit_fn *emit, void *context);
// Tombstones for all records the group may have; its own comes last.
enum status consumer_record_bury(struct consumer_group *group, group_emit_fn *emit, void *context);

#endif
