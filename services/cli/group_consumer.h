// SPDX-License-Identifier: Apache-2.0
// A group of the consumer protocol (KIP-848) in the form in which the command line shows groups: that of
// DescribeGroups, members' assignments encoded as classic consumers do.
#ifndef CLI_GROUP_CONSUMER_H
#define CLI_GROUP_CONSUMER_H

#include "admin.h"
#include "kafka/messages/describe_groups.h"

struct group_assigned { // partitions of a topic
    struct slice topic;
    int32_t *partitions;
    int32_t partition_count;
};

// The bytes a classic consumer would have for it, in admin_arena; data NULL when memory is short.
struct slice group_assignment_encode(struct admin *admin, const struct group_assigned *topics, int32_t count);

// group gets the group, in admin_arena; *found tells whether it is one of this protocol. A message is printed
// on failure.
enum cli_exit group_consumer_ask(struct admin *admin, const char *name, int32_t coordinator,
                                 struct kafka_describe_groups_response_described_group *group, bool *found);

#endif
