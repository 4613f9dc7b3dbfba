// SPDX-License-Identifier: Apache-2.0
// A group of the streams protocol (KIP-1071) in the form in which the command line shows groups: that of
// DescribeGroups, members' active tasks as the partitions they read.
#ifndef CLI_GROUP_STREAMS_H
#define CLI_GROUP_STREAMS_H

#include "admin.h"
#include "kafka/messages/describe_groups.h"

// As group_consumer_ask.
enum cli_exit group_streams_ask(struct admin *admin, const char *name, int32_t coordinator,
                                struct kafka_describe_groups_response_described_group *group, bool *found);

#endif
