// SPDX-License-Identifier: Apache-2.0
// Who gets which task of a streams group: Kafka 4.2's StickyTaskAssignor. Active tasks first, to whom had
// them, then to whom had them as standby, then to the process with the least to do; members get equally many.
// Then standby replicas of tasks with state, each in another process. Pure; the result depends on the order
// of subtopologies and members only.
#ifndef STREAMS_ASSIGNOR_H
#define STREAMS_ASSIGNOR_H

#include "streams_tasks.h"

struct streams_subject { // a subtopology
    struct uuid key;
    int32_t tasks;
    bool stateful; // keeps state: only then standby replicas make sense
};

struct streams_candidate { // a member
    struct slice process;
    const struct streams_tasks *former; // its last target
    struct streams_tasks target;        // out: owned by the caller; all zero before
};

struct streams_assignment {
    const struct streams_subject *subjects;
    int32_t subject_count;
    struct streams_candidate *members;
    int32_t member_count; // at least 1
    int32_t standbys;     // replicas per task with state
};

void streams_assign(const struct streams_assignment *assignment);

#endif
