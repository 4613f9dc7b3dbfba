// SPDX-License-Identifier: Apache-2.0
// Offsets of partitions and of groups, asked where the answer is: partitions at their leaders, groups at
// their coordinator. Used by the group commands.
#ifndef CLI_OFFSETS_H
#define CLI_OFFSETS_H

#include "admin.h"

enum { OFFSETS_LATEST = -1, OFFSETS_EARLIEST = -2, OFFSETS_MAX = 1 << 20 };

struct offset_item {
    struct slice topic;
    int32_t partition;
    int64_t committed; // of the group, -1: none
    int64_t found;     // by offsets_find, -1: none
    int64_t wanted;    // for offsets_commit
    int16_t error;     // of the last call
};

struct offset_list {
    struct offset_item *items; // in admin_arena, by topic and partition
    int count;
};

// Everything the group has committed.
enum cli_exit offsets_committed(struct admin *admin, int32_t coordinator, const char *group,
                                struct offset_list *list);

// All partitions of a topic, nothing committed.
enum cli_exit offsets_of_topic(struct admin *admin, const char *topic, struct offset_list *list);

// Sets found: the first offset whose record is not older than timestamp (ms), or OFFSETS_LATEST / _EARLIEST.
enum cli_exit offsets_find(struct admin *admin, struct offset_list *list, int64_t timestamp);

// Commits wanted for a group without members.
enum cli_exit offsets_commit(struct admin *admin, int32_t coordinator, const char *group,
                             const struct offset_list *list);

#endif
