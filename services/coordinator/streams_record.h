// SPDX-License-Identifier: Apache-2.0
// The records of streams groups in __consumer_offsets, as Apache Kafka 4.2 writes them. Every record stands
// for itself: the last one of a key counts, and one that is missing because two batches were cut apart is
// made good by streams_resume.
#ifndef STREAMS_RECORD_H
#define STREAMS_RECORD_H

#include "group_writer.h"
#include "streams_group.h"

enum {
    STREAMS_KEY_GROUP = 17,
    STREAMS_KEY_MEMBER = 19,
    STREAMS_KEY_TARGET = 20,
    STREAMS_KEY_TARGET_MEMBER = 21,
    STREAMS_KEY_CURRENT = 22,
    STREAMS_KEY_TOPOLOGY = 23
};

// Whether keys of this type are about streams groups.
bool streams_key_is(int16_t type);
// bytes: behind the type. ST_MALFORMED, ST_TRUNCATED: not a key.
enum status streams_key_parse(int16_t type, struct slice bytes, struct group_key *key);

// One record of a shard that is being loaded; value.data NULL: a tombstone. Statuses as kafka_decode.
enum status streams_record_load(struct streams_group *group, const struct group_key *key, struct slice value);

// Everything that has changed since the last time; then the group is clean.
enum status streams_record_write(struct streams_group *group, group_emit_fn *emit, void *context);
// Tombstones for all records the group may have; its own comes last.
enum status streams_record_bury(struct streams_group *group, group_emit_fn *emit, void *context);

#endif
