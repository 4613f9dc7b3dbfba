// SPDX-License-Identifier: Apache-2.0
// A group of the consumer protocol (KIP-848) in the form in which the command line shows groups: that of
// DescribeGroups, members' assignments encoded as classic consumers do.
#ifndef CLI_GROUP_CONSUMER_H
#define CLI_GROUP_CONSUMER_H

#include "admin.h"
#include "kafka/messages/describe_groups.h"

// group gets the group, in admin_arena; *found tells whether it is one of this protocol. A message is printed
// on failure.
enum cli_exit group_consumer_ask(struct admin *admin, const char *name, int32_t coordinator,
                                 struct kafka_describe_groups_response_described_group *group, bool *found);

#endif
