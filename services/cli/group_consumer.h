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

// What an API that describes groups of one protocol has said of the only group asked for.
struct group_said {
    int32_t groups; // in the answer
    int16_t error;  // of the first
    struct slice text;
};
typedef struct group_said group_said_fn(const void *response);

struct group_question {
    int16_t api; // version 0 of it
    const void *request;
    struct slice name; // of the group, for messages
    group_said_fn *said;
};

// Asks until the coordinator knows. *response: its answer, in admin_arena, when *found; else there is no such
// group of that protocol. A message is printed on failure.
enum cli_exit group_described(struct admin *admin, int32_t coordinator, const struct group_question *question,
                              const void **response, bool *found);

// group gets the group, in admin_arena; *found tells whether it is one of this protocol. A message is printed
// on failure.
enum cli_exit group_consumer_ask(struct admin *admin, const char *name, int32_t coordinator,
                                 struct kafka_describe_groups_response_described_group *group, bool *found);

#endif
