// SPDX-License-Identifier: Apache-2.0
// A group's durable half as Kafka's record: GroupMetadataKey / GroupMetadataValue of __consumer_offsets.
//
// Kafka writes a group when it is stable or empty; such records of ours are exactly Kafka's (version 3). In
// the middle of a rebalance we write version 4 with one unknown tagged field, which every Kafka that knows
// version 4 skips (KIP-915): Kafka sees an empty group, so that its members would join afresh; a millrace
// owner finds the rebalance in the tag and goes on with it.
#ifndef GROUP_RECORD_H
#define GROUP_RECORD_H

#include "group.h"

#include "base/buf.h"

enum {
    GROUP_TAG_REBALANCE = 10000, // of the value: uint8 version 1, uint8 state, GroupMetadataValue version 4
    GROUP_TAG_UNSEEN = 10001     // of a member in there: its client may not know its id; no content
};

// Appends the record's key or value. ST_LIMIT at out's maximum.
enum status group_record_key(struct slice group_id, struct buf *out);
enum status group_record_value(const struct group *group, struct buf *out);

// Builds a group that is new from its value. Afterwards it is clean; group_resume starts its clocks.
// ST_UNSUPPORTED: a version we do not know; ST_MALFORMED, ST_TRUNCATED: not such a record; ST_NO_MEMORY.
enum status group_record_load(struct group *group, struct slice value);

#endif
