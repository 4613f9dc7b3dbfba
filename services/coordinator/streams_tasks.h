// SPDX-License-Identifier: Apache-2.0
// The tasks of a member of a streams group by what it does with them. Each role is a set (parts.h); a
// subtopology's key (streams_key) stands in the place of the topic's id. Pure.
#ifndef STREAMS_TASKS_H
#define STREAMS_TASKS_H

#include "parts.h"

enum streams_role { STREAMS_ACTIVE, STREAMS_STANDBY, STREAMS_WARMUP, STREAMS_ROLES };

struct streams_tasks { // {0}: none
    struct parts roles[STREAMS_ROLES];
};

void streams_tasks_fini(struct streams_tasks *tasks);
// *tasks takes over the content of *from, which is empty afterwards.
void streams_tasks_move(struct streams_tasks *tasks, struct streams_tasks *from);
struct streams_tasks streams_tasks_copy(const struct streams_tasks *tasks);
bool streams_tasks_equal(const struct streams_tasks *a, const struct streams_tasks *b);
// Whether every task of a is in b, in the same role.
bool streams_tasks_within(const struct streams_tasks *a, const struct streams_tasks *b);
// Whether any task of a is in b, in the same role.
bool streams_tasks_meet(const struct streams_tasks *a, const struct streams_tasks *b);
size_t streams_tasks_count(const struct streams_tasks *tasks);

#endif
