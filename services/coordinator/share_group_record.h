// SPDX-License-Identifier: Apache-2.0
// The records of share groups in __consumer_offsets, as Apache Kafka 4.2 writes them. Every record stands for
// itself, as those of consumer groups (consumer_record.h).
#ifndef SHARE_GROUP_RECORD_H
#define SHARE_GROUP_RECORD_H

#include "group_writer.h"
#include "share_group.h"

enum {
    SHARE_KEY_MEMBER = 10,
    SHARE_KEY_GROUP = 11,
    SHARE_KEY_TARGET = 12,
    SHARE_KEY_TARGET_MEMBER = 13,
    SHARE_KEY_CURRENT = 14,
    SHARE_KEY_PARTS = 15 // which partitions share coordinators have been told of
};

// Whether keys of this type are about share groups; they are parsed by share_group_key_parse, whose type is
// then one of the above.
bool share_group_key_is(int16_t type);
enum status share_group_key_parse(int16_t type, struct slice bytes, struct group_key *key);

// As consumer_record_load, _write and _bury.
enum status share_group_record_load(struct share_group *group, const struct group_key *key,
                                    struct slice value);
enum status share_group_record_write(struct share_group *group, group_emit_fn *emit, void *context);
enum status share_group_record_bury(struct share_group *group, group_emit_fn *emit, void *context);

#endif
