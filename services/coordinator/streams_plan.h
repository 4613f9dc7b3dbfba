// SPDX-License-Identifier: Apache-2.0
// What a topology comes to on the topics that exist (Kafka's InternalTopicManager): how many partitions its
// repartition and changelog topics must have, which of them are to be made, how many tasks each subtopology
// has; or why it cannot run yet. Pure.
#ifndef STREAMS_PLAN_H
#define STREAMS_PLAN_H

#include "streams_topology.h"

enum { STREAMS_TASKS_MAX = 100000 }; // of one group; more are INCORRECTLY_PARTITIONED_TOPICS

// Codes of StreamsGroupHeartbeatResponse.Status.
enum streams_status {
    STREAMS_READY = -1,
    STREAMS_STALE_TOPOLOGY = 0,
    STREAMS_MISSING_SOURCE_TOPICS = 1,
    STREAMS_INCORRECTLY_PARTITIONED = 2,
    STREAMS_MISSING_INTERNAL_TOPICS = 3,
    STREAMS_SHUTDOWN_APPLICATION = 4,
    STREAMS_ASSIGNMENT_DELAYED = 5
};

struct streams_internal { // a topic the application keeps for itself
    const streams_topic_info *info;
    int32_t partitions;
};

struct streams_plan {
    enum streams_status status;
    char *detail;        // why it is not STREAMS_READY; NULL then
    const char *invalid; // why no topics could make it right: STREAMS_INVALID_TOPOLOGY; NULL: they could
    int32_t *tasks;      // per subtopology; counts only with READY and MISSING_INTERNAL_TOPICS
    struct streams_internal *missing; // with MISSING_INTERNAL_TOPICS: those to be made
    int32_t missing_count;
};

// Partitions of a topic that exists; -1: it does not.
typedef int32_t streams_partitions_fn(void *context, struct slice topic);

// topology is borrowed by the plan.
void streams_plan_init(struct streams_plan *plan, const struct streams_topology *topology,
                       streams_partitions_fn *partitions, void *context);
void streams_plan_fini(struct streams_plan *plan); // also of one that is all zero

#endif
